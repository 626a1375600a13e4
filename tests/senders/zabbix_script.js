// Runs a Zabbix webhook script as Zabbix does: a function of `value` with a synchronous HttpRequest.
// Standard input: {"script": TEXT, "value": TEXT}. Standard output: {"returned": TEXT} or {"thrown": TEXT}.
'use strict';
const {spawnSync} = require('child_process');
const {script, value} = JSON.parse(require('fs').readFileSync(0, 'utf-8'));

class HttpRequest {
    constructor() { this.headers = []; this.status = 0; this.proxy = ''; }
    addHeader(line) { this.headers.push(line); }
    setProxy(proxy) { this.proxy = proxy; }
    getStatus() { return this.status; }
    post(url, data) {
        const headers = this.headers.flatMap(line => ['-H', line]);
        const words = ['-sS', '--max-time', '15', '-A', 'Zabbix', '--proxy', this.proxy, ...headers];
        const curl = spawnSync('curl', [...words, '--data-binary', '@-', '-w', '\n%{http_code}', url], {input: data});
        if (curl.status !== 0) {
            throw 'cannot get URL: ' + curl.stderr.toString().trim();
        }
        const answer = curl.stdout.toString(), end = answer.lastIndexOf('\n');
        this.status = Number(answer.slice(end + 1));
        return answer.slice(0, end);
    }
}

let result;
try {
    result = {returned: new Function('value', 'HttpRequest', script)(value, HttpRequest)};
} catch (error) {
    result = {thrown: String(error)};
}
process.stdout.write(JSON.stringify(result));
