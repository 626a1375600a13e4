"""Configurations with tests, and the verb that runs them."""

import json
from pathlib import Path

from click.testing import Result

from tests.cli.support import tg

HEAD = """\
version: 1
sources:
  nagios: {kind: nagios, auth: {bearer: "${env:NAGIOS_TOKEN}"}}
  zabbix: {kind: zabbix, auth: {bearer: "${env:ZABBIX_TOKEN}"}, timezone: Europe/Berlin}
  shop: {kind: generic, auth: {bearer: "${file:/run/secrets/shop}"}, malformed: reject}
  support: {kind: mail, recipients: [support@gateway.example.org]}
helpdesks:
  osticket:
    kind: osticket
    url: "${env:OSTICKET_URL}"
    auth: {api_key: "${env:OSTICKET_KEY}"}
    requester: {name: Monitoring, email: monitoring@example.org}
  zammad:
    kind: zammad
    url: https://zammad.example.org/helpdesk
    auth: {token: "${file:/run/secrets/zammad}"}
    group: Users
    customer: monitoring@example.org
  otobo:
    kind: otobo
    url: https://otobo.example.org/otobo
    auth: {user: gateway-agent, password: "${env:OTOBO_PASSWORD}"}
    queue: Raw
    customer: monitoring@firma.test
  mailbox: {kind: smtp, host: mail.example.org, from: gateway@example.org, to: helpdesk@example.org}
schedules:
  nights: {tz: Europe/Berlin, weekly: ["22:00-06:00"]}
routes:
  - {name: nights, match: {source: nagios, severity: {lt: critical}}, when: {during: nights}, drop: {reason: it is night}}
  - name: alerts
    match: {source: nagios}
    ticket: {helpdesk: zammad, template: alert, fields: {group: "Ops::{{ event.host }}", priority: 3 high}}
    incident: {confirm: 90s, recover: {hold: 5m}, reopen_within: 3d, expire: {after: 14d}}
  - name: zabbix
    match: {source: zabbix}
    ticket: {helpdesk: osticket, template: alert, fields: {topicId: 77}}
  - name: shop
    match: {source: shop}
    ticket: {helpdesk: otobo, template: generic, fields: {queue: "Shop::{{ event.host }}"}}
  - name: mail
    match: {source: support}
    ticket: {helpdesk: zammad, template: mail, fields: {customer: "{{ event.sender.address }}"}}
"""


def written(folder: Path, tests: str, head: str = HEAD) -> Path:
    """A configuration with these tests, written as list entries without indentation."""
    path = folder / "routes.yaml"
    path.write_text(head + "tests:\n" + tests)
    return path


def run(path: Path, *arguments: object) -> Result:
    return tg("test", path, *arguments)


def passed(folder: Path, tests: str, head: str = HEAD) -> Result:
    result = run(written(folder, tests, head))
    assert result.exit_code == 0, result.output
    return result


def outcome(path: Path, *arguments: object) -> dict[str, object]:
    found = json.loads(run(path, "--json", *arguments).output)
    assert isinstance(found, dict)
    return found
