"""A storm: ten thousand alerts over three hundred things, and what the helpdesk saw of it. Real processes.

``python -m bench.storm [--alerts N] [--keys N] [--helpdesk osticket|zammad] [--keep SECONDS]``; without ``storm`` in the
route it would be a ticket for each thing.
"""

import argparse
import json
import shutil
import sqlite3
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client
from bench.processes import API_KEY, TOKEN, Running, address, sandbox, serve, wait_until
from tests.crash.harness import free_port

LIMIT = 20
CLIENTS = 8
_ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db"}}
  log: {{level: warning}}
sources:
  app: {{kind: generic, auth: {{bearer: {token}}}}}
helpdesks:
  desk:
{desk}
routes:
  - name: alerts
    ticket: {{helpdesk: desk, template: alert{fields}}}
    incident: {{key: [host, service], storm: {{limit: {limit}, within: 10m, every: 5s}}}}
"""
_DESKS = {
    "osticket": (
        """\
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: {key}}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true""",
        "",
    ),
    "zammad": (
        """\
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: {key}}}
    customer: monitoring@example.org
    sandbox: true""",
        ", fields: {group: Users}",
    ),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One delivery."""

    key: int
    number: int
    kind: str = "problem"

    def body(self) -> bytes:
        host, service = f"srv-{self.key // 3:03}", ("HTTP", "disk", "load")[self.key % 3]
        severity = "info" if self.kind == "recovery" else ("critical", "major", "warning")[self.key % 3]
        event = {
            "kind": self.kind,
            "severity": severity,
            "title": f"{service} on {host} is {'well' if self.kind == 'recovery' else 'not well'}",
            "host": host,
            "service": service,
            "origin_key": f"{host}/{service}",
            "text": f"delivery {self.number}",
        }
        return json.dumps(event).encode()


def send(port: int, alerts: Sequence[Alert]) -> float:
    """Send them over several connections; gives back the seconds until all were answered with 2xx."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def work(which: int) -> None:
        client = Client(port)
        for alert in alerts[which::CLIENTS]:
            while True:
                try:
                    status, _ = client.post("/in/app", alert.body(), {**headers, "Idempotency-Key": f"a{alert.number}"})
                except (OSError, ValueError):
                    status = 0
                if status // 100 == 2:
                    break
                time.sleep(0.05)
                client.close()
                client = Client(port)
        client.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(which,)) for which in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def _tickets(desk: Running) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{address(desk)}/tickets.json", timeout=20.0) as answer:
        found: list[dict[str, object]] = json.load(answer)
    return list(reversed(found))


def _count(folder: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "journal.db", timeout=10.0)) as database:
        return database.execute(question).fetchall()


def _waiting(folder: Path) -> int:
    ((receipts,),) = _count(folder, "SELECT count(*) FROM receipt WHERE status = 'accepted'")
    ((actions,),) = _count(
        folder, "SELECT count(*) FROM action WHERE status IN ('waiting', 'queued', 'in_flight', 'unknown')"
    )
    return int(str(receipts)) + int(str(actions))


def _digests(folder: Path) -> list[tuple[object, ...]]:
    return _count(folder, "SELECT i.id, i.state FROM incident AS i WHERE json_extract(i.life, '$.digest') = i.id")


def _reasons(folder: Path) -> str:
    counted = Counter(str(reason) for (reason,) in _count(folder, "SELECT reason FROM event"))
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def run(folder: Path, *, alerts: int, keys: int, kind: str, keep: float) -> None:
    """Send the storm, then let all of it be over, and tell what the helpdesk saw."""
    with sandbox(folder) as desk:
        port = free_port()
        text, fields = _DESKS[kind]
        text = text.format(sandbox=address(desk), key=API_KEY)
        routes = _ROUTES.format(port=port, token=TOKEN, desk=text, fields=fields, limit=LIMIT)
        with serve(folder, routes, port) as ours:
            storm = [Alert(number % keys, number) for number in range(alerts)]
            sent = send(ours.port, storm)
            began = time.perf_counter()
            wait_until(lambda: not _waiting(folder), "all to be worked on", 120.0)
            worked = time.perf_counter() - began
            print(f"{alerts} alerts over {keys} things, {kind}: sent in {sent:.1f} s, worked on {worked:.1f} s later")
            wait_until(lambda: len(_tickets(desk)) > LIMIT, "the digest", 60.0)
            wait_until(lambda: not _waiting(folder), "all to be written", 60.0)
            _tell("while it is on", desk, folder)
            if keep:
                print(f"the page: {address(desk)}", flush=True)
                time.sleep(keep)
            send(ours.port, [Alert(key, alerts + key, "recovery") for key in range(keys)])
            wait_until(lambda: all(state == "closed" for _, state in _digests(folder)), "the digest to close", 120.0)
            wait_until(lambda: not _waiting(folder), "all to be written", 60.0)
            _tell("when all is over", desk, folder)
            if keep:
                print(f"the page: {address(desk)}", flush=True)
                time.sleep(keep)


def _tell(when: str, desk: Running, folder: Path) -> None:
    tickets = _tickets(desk)
    entries = [len(list(ticket["entries"])) for ticket in tickets if isinstance(ticket["entries"], list)]
    ((calls,),) = _count(folder, "SELECT count(*) FROM attempt")
    ((joined,),) = _count(folder, "SELECT count(*) FROM storm_member")
    print(f"{when}: {len(tickets)} tickets with {sum(entries)} entries, by {calls} calls; events: {_reasons(folder)}")
    for ticket in tickets[LIMIT:]:
        told = ticket["entries"]
        assert isinstance(told, list)
        print(f"  ticket {ticket['number']}: {ticket['subject']}: {joined} incidents, {len(told)} entries")
        last = told[-1]["text"] if "text" in told[-1] else told[-1]["body"]
        print("    last entry: " + " ".join(str(last).split())[:200])


def main() -> None:
    """What stands above."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--helpdesk", choices=sorted(_DESKS), default="osticket")
    parser.add_argument("--keep", type=float, default=0.0, help="Seconds that the sandbox stays up to be looked at.")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    try:
        run(folder, alerts=given.alerts, keys=given.keys, kind=given.helpdesk, keep=given.keep)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
