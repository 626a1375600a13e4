"""`python -m bench.story`: the life of one incident, told to an osTicket, a Zammad and an OTOBO, with real processes.

A problem, its repeat, a worse severity, a mail from its owner, the recovery and the relapse, with `ticket-gateway serve` and
`ticket-gateway sandbox` as they are shipped. For each helpdesk it writes into a folder: what `events show` says of each of the
six, the ticket as the sandbox's page shows it (HTML and, where there is a Chromium, a picture), and what the helpdesk holds; and
it prints the ticket in a few lines. It ends with 1 if it is not one ticket with every word once.
"""

import argparse
import json
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.model.json import JsonObject
from tests.crash.harness import PROGRAM, free_port, sandbox_process
from tests.e2e.process import OPERATOR, Program, running

TOKEN = "a-token-of-nagios"
OWNER = "ann@example.org"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

_CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}", public_url: "http://127.0.0.1:{port}"}}
  smtp: {{listen: "127.0.0.1:{mail}", hostname: tickets.example.org}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  operator: {{bearer: {operator}}}
sources:
  nagios: {{kind: nagios, auth: {{bearer: {token}}}}}
  mail: {{kind: mail, recipients: ["support@tickets.example.org"]}}
helpdesks:
  desk:
{desk}    ticket_url: "{sandbox}/tickets/number/{double}/{{number}}"
    sandbox: true
routes:
  - name: alerts
    match: {{source: nagios}}
    ticket: {{helpdesk: desk, template: alert, fields: {fields}}}
    incident: {{escalate: {escalate}, reopen_within: 1h}}
  - name: mail
    match: {{source: mail}}
    ticket: {{helpdesk: desk, template: mail}}
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """A helpdesk, how it writes a ticket's number into a subject, and what a worse severity changes in it."""

    name: str
    config: str
    subject: str
    fields: str
    raises: bool = True


DESKS = (
    Desk(
        "osticket",
        f"""\
    kind: osticket
    url: {{sandbox}}/osticket/api
    auth: {{{{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}}}
    requester: {{{{name: Ann Example, email: {OWNER}}}}}
""",
        "[#{number}]",
        "{}",
        raises=False,
    ),
    Desk(
        "zammad",
        f"""\
    kind: zammad
    url: {{sandbox}}/zammad
    auth: {{{{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}}}
    group: Users
    customer: {OWNER}
""",
        "[Ticket#{number}]",
        '{priority: {from: severity, table: {critical: 3 high, "*": 2 normal}}}',
    ),
    Desk(
        "otobo",
        f"""\
    kind: otobo
    url: {{sandbox}}/otobo
    auth: {{{{user: gateway, password: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}}}
    queue: Monitoring
    customer: {OWNER}
""",
        "[Ticket#{number}]",
        '{priority: {from: severity, table: {critical: 5 very high, "*": 3 normal}}}',
    ),
)

# ------------------------------------------------------------------------------------------------------------- the story

WORDS = (
    "DISK WARNING - 91% used",
    "DISK WARNING - 92% used",
    "DISK CRITICAL - 98% used",
    "I am deleting old dumps",
    "DISK OK",
    "again",
)
PARTS = ("problem", "repeat", "escalation", "reply", "recovery", "relapse")


def _nagios(program: Program, kind: str, state: str, output: str, number: int) -> str:
    form = {
        "NOTIFICATIONTYPE": kind,
        "HOSTNAME": "db-fra-1",
        "HOSTALIAS": "Database Frankfurt",
        "HOSTADDRESS": "192.0.2.17",
        "SERVICEDESC": "disk /var",
        "SERVICESTATE": state,
        "SERVICEOUTPUT": output,
        "SERVICENOTIFICATIONID": str(number),
    }
    body = urllib.parse.urlencode(form).encode()
    answer = program.post("nagios", body, content_type="application/x-www-form-urlencoded")
    return str(program.ended(answer)["id"])


def _reply(program: Program, port: int, subject: str) -> str:
    """A person's answer by mail; the id of its receipt, from the answer of the mail door."""
    lines = [
        f"From: Ann Example <{OWNER}>",
        "To: support@tickets.example.org",
        f"Subject: Re: {subject} disk /var on db-fra-1",
        f"Message-ID: <{time.time_ns()}@example.org>",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "I am deleting old dumps. Back to normal in ten minutes.",
        "",
        "Ann",
        "",
        "> The problem has become worse: critical.",
    ]
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail(OWNER)
        client.rcpt("support@tickets.example.org")
        _, told = client.data("\r\n".join(lines).encode())
    receipt = told.decode().split()[-1]
    program.settled(receipt)
    return receipt


def tell(program: Program, mail: int, desk: Desk, sandbox: str) -> list[str]:
    """The six parts, one after the other; their receipts."""
    told = [
        _nagios(program, "PROBLEM", "WARNING", WORDS[0], 1),
        _nagios(program, "PROBLEM", "WARNING", WORDS[1], 2),
        _nagios(program, "PROBLEM", "CRITICAL", WORDS[2], 3),
    ]
    (ticket, *_) = tickets(sandbox)
    told.append(_reply(program, mail, desk.subject.format(number=ticket["number"])))
    told.append(_nagios(program, "RECOVERY", "OK", f"{WORDS[4]} - 40% used", 4))
    told.append(_nagios(program, "PROBLEM", "CRITICAL", f"DISK CRITICAL - {WORDS[5]} 97% used", 5))
    return told


def tickets(sandbox: str) -> list[JsonObject]:
    """What the helpdesk holds."""
    with urllib.request.urlopen(f"{sandbox}/tickets.json") as answer:
        found = json.load(answer)
    listed = found["tickets"] if isinstance(found, dict) else found
    return [one for one in listed if isinstance(one, dict)]


# ------------------------------------------------------------------------------------------------------------ what is kept


def run(desk: Desk, out: Path) -> list[str]:
    """One helpdesk's story; what is wrong with its end."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="story-") as name, sandbox_process(Path(name)) as sandbox:
        folder, port, mail = Path(name), free_port(), free_port()
        config = _CONFIG.format(
            port=port,
            mail=mail,
            operator=OPERATOR,
            token=TOKEN,
            desk=desk.config.format(sandbox=sandbox),
            sandbox=sandbox,
            double=desk.name,
            fields=desk.fields,
            escalate=f"{{severity: update, fields: {desk.fields}}}" if desk.raises else "append",
        )
        _settings(sandbox)
        with running(folder, config, port=port, token=TOKEN) as program:
            receipts = tell(program, mail, desk, sandbox)
            for number, (part, receipt) in enumerate(zip(PARTS, receipts, strict=True), 1):
                shown = _command(folder, "events", "show", receipt)
                (out / f"{number}-{part}.txt").write_text(shown, encoding="utf-8")
            (out / "events-ls.txt").write_text(_command(folder, "events", "ls"), encoding="utf-8")
        held = tickets(sandbox)
        (out / "tickets.json").write_text(json.dumps(held, indent=1, ensure_ascii=False), encoding="utf-8")
        for ticket in held:
            _page(f"{sandbox}/tickets/number/{desk.name}/{ticket['number']}", out / "ticket")
        _page(sandbox, out / "tickets")
    return _wrong(held) if len(held) == 1 else [f"{len(held)} tickets"]


def _settings(sandbox: str) -> None:
    """In OTOBO a customer is a login that exists; here logins are addresses, as in many an OTOBO."""
    body = json.dumps(
        {"otobo": {"customers": {OWNER: {"name": "Ann Example", "email": OWNER, "company": "Example"}}}}
    ).encode()
    request = urllib.request.Request(f"{sandbox}/settings", body, {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request).close()


def _command(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *words, "--config", str(folder / "routes.yaml")], capture_output=True, text=True, check=True
    )
    return done.stdout


def _page(url: str, file: Path) -> None:
    """A page as HTML, and as a picture where there is a browser."""
    with urllib.request.urlopen(url) as answer:
        file.with_suffix(".html").write_bytes(answer.read())
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is not None:
        picture = [f"--screenshot={file.with_suffix('.png')}", "--window-size=1100,2000", "--hide-scrollbars"]
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        subprocess.run([browser, *flags, *picture, url], capture_output=True, timeout=60, check=False)


def _wrong(held: Sequence[JsonObject]) -> list[str]:
    entries = held[0]["entries"]
    assert isinstance(entries, list)
    bodies = [str(entry["body"]) for entry in entries if isinstance(entry, dict)]
    once = [words for number, words in enumerate(WORDS) if number != 1]  # the repeat is counted only
    faults = [
        f"{words!r} stands there {found} times"
        for words in once
        if (found := sum(words in body for body in bodies)) != 1
    ]
    return faults + ([f"{len(bodies)} articles"] if len(bodies) != len(once) else [])


def brief(out: Path) -> str:
    """The ticket in a few lines."""
    (ticket, *_) = json.loads((out / "tickets.json").read_text(encoding="utf-8"))
    lines = [f"ticket {ticket['number']} [{ticket['status']}, {ticket['priority']}] {ticket['subject']}"]
    for entry in ticket["entries"]:
        text = " ".join(_plain(str(entry["body"])).split())
        lines.append(f"  {entry['type']:<8} {entry['poster']:<22.22} {text[:110]}")
    lines += [f"  ({event['type']}: {event['detail']})" for event in ticket["events"]]
    return "\n".join(lines)


def _plain(body: str) -> str:
    text, inside = [], False
    for character in body:
        inside = character == "<" or (inside and character != ">")
        text.append(" " if inside or character == ">" else character)
    return "".join(text)


def main() -> int:
    """Tell all of them."""
    parser = argparse.ArgumentParser(prog="python -m bench.story", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/story"), help="folder for what is kept")
    parser.add_argument("--desk", action="append", choices=[desk.name for desk in DESKS], help="only this one")
    asked = parser.parse_args()
    wrong = False
    for desk in DESKS:
        if asked.desk and desk.name not in asked.desk:
            continue
        faults = run(desk, asked.out / desk.name)
        print(f"{desk.name}: {'; '.join(faults) or 'one ticket, every word once'}\n{brief(asked.out / desk.name)}\n")
        wrong = wrong or bool(faults)
    print(f"All of it is in {asked.out}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
