"""Kills the real gateway at chosen points while real clients send, and counts at the end.

The sandbox helpdesk is a process of its own and outlives the kills. Every kill is at a fault point (`gateway.faultpoints`),
chosen by a seeded generator, at the N-th time the process comes there.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from gateway.faultpoints import ENVIRONMENT, Point
from gateway.journal.locate import reading
from gateway.journal.protocol import ReceiptView
from gateway.model.action import ActionKind, ActionStatus
from gateway.model.reasons import Reason

PROGRAM = [sys.executable, "-m", "gateway"]
KEYS = 24
BANNED = 2
"""Of the keys so many belong to a requester that the helpdesk refuses: their creates die, and what follows is blocked."""
CLIENTS = 4
PATIENCE = 40.0

ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  log: {{level: warning}}
sources:
  app: {{kind: generic, auth: {{bearer: crash-test-token}}}}
  shop: {{kind: generic, auth: {{bearer: crash-test-token}}}}
helpdesks:
  desk:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{creates: off, timeout: 2s, settle: 300ms, retry_first: 100ms, retry_most: 400ms, concurrency: 4}}
routes:
  - name: banned
    match: {{host: {{glob: "banned-*"}}}}
    ticket: {{helpdesk: desk, template: generic, fields: {{email: banned@example.org, name: Nobody}}}}
    incident: {{repeat: {{append_every: 1s}}, reopen_within: 1h}}
  - name: all
    ticket: {{helpdesk: desk, template: generic}}
    incident: {{repeat: {{append_every: 1s}}, reopen_within: 1h}}
"""

COUNTED = {Reason.OPENED, Reason.REPEATED, Reason.REPEAT_APPENDED, Reason.RELAPSED}


@dataclass(slots=True)
class Tally:
    """What a run did and found. ``faults`` are broken promises, in words."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    plain_kills: int = 0
    accepted: int = 0
    resent: int = 0
    incidents: int = 0
    refused: int = 0
    files: int = 0
    tickets: int = 0
    entries: int = 0
    merged: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    looked_up: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        hits = "\n".join(f"  {point.value:<26} {self.kills[point.value]}" for point in Point)
        reasons = ", ".join(f"{name} {number}" for name, number in sorted(self.reasons.items()))
        return (
            f"seed {self.seed}: {sum(self.kills.values()) + self.plain_kills} kills in {self.seconds:.0f} s, by fault point\n"
            f"{hits}\n  at no point (timed)        {self.plain_kills}\n"
            f"{self.accepted} events answered with 2xx ({self.resent} requests were repeated by their senders)\n"
            f"{self.incidents} incidents, {self.tickets} tickets, {self.entries} entries and {self.files} files in them; "
            f"{self.refused} incidents refused by the helpdesk; {self.looked_up} unknown outcomes looked up; "
            f"{self.merged} follow-ups sent as a part of another one\n"
            f"reasons: {reasons}\n"
            f"broken promises: {len(self.faults)}" + "".join(f"\n  {fault}" for fault in self.faults[:20])
        )


@dataclass(slots=True)
class _Clients:
    """Senders that repeat a request until it is answered with 2xx, as curl and Zabbix do; some give up at once."""

    address: str
    seed: int
    stop: threading.Event = field(default_factory=threading.Event)
    answered: dict[str, str] = field(default_factory=dict)
    sent: dict[str, dict[str, object]] = field(default_factory=dict)
    resent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(CLIENTS):
            thread = threading.Thread(target=self._send, args=(number,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def finish(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(PATIENCE * 2)

    def _send(self, number: int) -> None:
        chance = random.Random(self.seed * 1000 + number)
        sent = 0
        while not self.stop.is_set():
            key = chance.randrange(KEYS)
            kind = chance.choices(["problem", "recovery"], [3, 1])[0]
            mark = f"{number}-{sent}"
            sent += 1
            host = f"banned-{key}" if key < BANNED else f"host-{key}"
            event: dict[str, object] = {
                "kind": kind,
                "severity": "critical",
                "title": f"host {key} {kind}",
                "host": host,
                "origin_key": host,
                "text": f"mark {mark} .",
            }
            if chance.random() < 0.02 and key >= BANNED:  # a body that is a file, and one that is parsed in the child
                content = chance.randbytes(chance.choice([60_000, 250_000]))
                event["attachments"] = [{"filename": f"{mark}.bin", "content": base64.b64encode(content).decode()}]
            with self.lock:
                self.sent[mark] = event
            source, body = ("shop", "app")[number % 2], json.dumps(event).encode()
            gives_up = chance.random() < 0.2
            while True:
                answer = self._post(source, body, mark)
                if answer is not None:
                    with self.lock:
                        first = self.answered.setdefault(mark, answer)
                    if first != answer:
                        with self.lock:
                            self.answered[f"{mark} answered {first} and {answer}"] = "different ids"
                    break
                if gives_up or self.stop.wait(0.02):
                    break
                with self.lock:
                    self.resent += 1
            self.stop.wait(chance.random() * 0.02)

    def _post(self, source: str, body: bytes, mark: str) -> str | None:
        request = urllib.request.Request(
            f"{self.address}/in/{source}",
            data=body,
            headers={
                "Authorization": "Bearer crash-test-token",
                "Content-Type": "application/json",
                "Idempotency-Key": mark,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                identity: str = json.load(answer)["id"]
                return identity
        except (OSError, urllib.error.URLError, ValueError):
            return None


def free_port() -> int:
    """A port that was free a moment ago, below those that the kernel gives to clients.

    Who asks an unused port of that range again and again is at last connected to itself.
    """
    while True:
        port = secrets.randbelow(12_000) + 20_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def sandbox_process(folder: Path) -> Iterator[str]:
    """The sandbox as a process of its own; gives its address up to ``/sandbox``."""
    port = free_port()
    log = (folder / "sandbox.log").open("wb")
    process = subprocess.Popen(
        [*PROGRAM, "sandbox", "--port", str(port), "--data", str(folder / "sandbox")], stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}/sandbox"
    try:
        wait_for(lambda: _get(f"{url}/tickets.json") is not None, "the sandbox to answer")
        yield url
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def run_crashes(folder: Path, *, kills: int, seed: int, at_least: int = 3) -> Tally:
    """Kill the gateway ``kills`` times while clients send, then let it finish, and count."""
    tally = Tally(seed)
    began = time.monotonic()
    chance = random.Random(seed)
    plan = _plan(kills, at_least, chance)
    with sandbox_process(folder) as sandbox:
        port = free_port()
        (folder / "routes.yaml").write_text(ROUTES.format(port=port, sandbox=sandbox))
        _templates(folder)
        _faults(sandbox, seed)
        _put(f"{sandbox}/settings", {"osticket": {"banned": ["banned@example.org"]}})
        clients = _Clients(f"http://127.0.0.1:{port}", seed)
        clients.start()
        for point, count in plan:
            _one_life(folder, point, count, tally)
        process = _start(folder, {})
        try:
            time.sleep(0.5)
            clients.finish()
            _put(f"{sandbox}/faults", {"osticket": []})
            wait_for(lambda: _drained(folder), "the queue to drain", 120.0)
        finally:
            process.terminate()
            code = process.wait(40)
        if code != 0:
            tally.faults.append(f"the last stop ended with exit code {code}")
        tickets = _get(f"{sandbox}/tickets.json")
    tally.resent = clients.resent
    _count(folder, clients, tickets, tally)
    tally.seconds = time.monotonic() - began
    return tally


def _plan(kills: int, at_least: int, chance: random.Random) -> list[tuple[Point, int]]:
    points = [*Point] * at_least
    points += [chance.choice([*Point]) for _ in range(kills - len(points))]
    chance.shuffle(points)
    return [(point, chance.randint(1, 6)) for point in points]


def _one_life(folder: Path, point: Point, count: int, tally: Tally) -> None:
    """Start the gateway, let it come to its point, and see it dead."""
    if point in {Point.CLAIM_BEFORE_COMMIT, Point.CLAIM_AFTER_COMMIT}:
        count = 1  # claims happen at the start, when what the last life left is taken up
    process = _start(folder, {ENVIRONMENT: f"{point.value}={count}"})
    try:
        process.wait(6.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        tally.plain_kills += 1
        return
    if process.returncode == -signal.SIGKILL:
        tally.kills[point.value] += 1
    else:
        tally.faults.append(f"the gateway ended by itself with {process.returncode} before {point.value}")


def _start(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / "gateway.log").open("ab") as log:
        return subprocess.Popen(
            [*PROGRAM, "serve", "--config", str(folder / "routes.yaml")],
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
        )


def _marker(message_id: str) -> str:
    """The marker in a Message-ID of ours, `<tg-MARKER-INCIDENT-SIGNATURE@domain>`."""
    return message_id.removeprefix("<tg-")[:32]


def _templates(folder: Path) -> None:
    target = folder / "templates" / "generic"
    target.mkdir(parents=True)
    (target / "title.j2").write_text("{{ event.title }}")
    (target / "body.txt.j2").write_text("{{ event.text }}")


def _faults(sandbox: str, seed: int) -> None:
    """A helpdesk that is not well either: now and then it commits and drops the connection, or stands still."""
    faults = [
        {"fault": "commit_then_drop", "probability": 0.03, "seed": seed},
        {"fault": "refuse", "probability": 0.03, "seed": seed + 1},
    ]
    _put(f"{sandbox}/faults", {"osticket": faults})


def _drained(folder: Path) -> bool:
    async def look() -> bool:
        async with reading(folder / "journal.db") as reader:
            counts = await reader.counts()
        return counts.receipts_waiting == 0 and sum(counts.actions_waiting.values()) == 0

    return asyncio.run(look())


def _views(folder: Path) -> list[ReceiptView]:
    async def read() -> list[ReceiptView]:
        async with reading(folder / "journal.db") as reader:
            lines = await reader.receipts(limit=1_000_000)
            views = [await reader.receipt(line.id) for line in lines]
        return [view for view in views if view is not None]

    return asyncio.run(read())


def _count(folder: Path, clients: _Clients, tickets: object, tally: Tally) -> None:
    """Hold the promise against what is there."""
    assert isinstance(tickets, list)
    answered = clients.answered
    views = {view.id: view for view in _views(folder)}
    where: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    markers = {action.id: action.marker for view in views.values() for action in view.actions}
    for ticket in tickets:
        tally.tickets += 1
        for entry in ticket["entries"]:
            tally.entries += 1
            for mark in re.findall(r"mark (\d+-\d+) ", entry["body"]):
                told.setdefault(mark, []).append(_marker(entry["message_id"]))
            if entry["message_id"]:
                where.setdefault(_marker(entry["message_id"]), []).append(ticket["number"])
    tally.accepted = len(answered)
    for mark, identity in answered.items():
        if identity == "different ids":
            tally.faults.append(f"mark {mark}")
        elif identity not in views:
            tally.faults.append(f"mark {mark}: receipt {identity} was answered with 2xx and is gone")
        else:
            _count_meaning(mark, clients.sent[mark], views[identity], tally)
    files = {
        file["filename"]: file for ticket in tickets for entry in ticket["entries"] for file in entry["attachments"]
    }
    tally.files = len(files)
    sequences = {action.marker: action.sequence for view in views.values() for action in view.actions}
    for ticket in tickets:
        _count_ticket(ticket, clients.sent, files, sequences, tally)
    creates: dict[str, list[str]] = {}
    occurrences: Counter[str] = Counter()
    incidents: dict[str, int] = {}
    for view in views.values():
        _count_receipt(view, where, creates, occurrences, tally)
        _count_merged(view, told, markers, tally)
        incidents.update({incident.id: incident.occurrences for incident in view.incidents})
    tally.incidents = len(incidents)
    for incident, counted in incidents.items():
        if creates.get(incident) == ["refused"]:
            tally.refused += 1
        elif len(creates.get(incident, [])) != 1:
            tally.faults.append(f"incident {incident} has tickets {creates.get(incident)}")
        if occurrences[incident] != counted:
            tally.faults.append(f"incident {incident} counts {counted} of {occurrences[incident]} problems")
    if tally.tickets != len(incidents) - tally.refused:
        tally.faults.append(f"{len(incidents)} incidents, {tally.refused} refused, but {tally.tickets} tickets")


def _count_meaning(mark: str, sent: dict[str, object], view: ReceiptView, tally: Tally) -> None:
    """What was accepted must have been understood: kills alone make no event unreadable."""
    for event in view.events:
        if (event.event["kind"], event.event["title"]) != (sent["kind"], sent["title"]):
            tally.faults.append(f"mark {mark} became {event.event['kind']} {event.event['title']!r}")


def _count_ticket(
    ticket: dict[str, list[dict[str, str]]],
    sent: dict[str, dict[str, object]],
    files: dict[str, dict[str, object]],
    sequences: dict[str, int],
    tally: Tally,
) -> None:
    """The entries of a ticket stand in the order of their actions, each sender's in the order it sent them, with files."""
    markers = [_marker(entry["message_id"]) for entry in ticket["entries"]]
    order = [sequences[marker] for marker in markers if marker in sequences]
    if order != sorted(order):
        tally.faults.append(f"ticket {ticket['number']}: its entries stand in the order {order}")
    last: dict[str, int] = {}
    for entry in ticket["entries"]:
        for client, number in re.findall(r"mark (\d+)-(\d+) ", entry["body"]):
            if int(number) <= last.get(client, -1):
                tally.faults.append(f"ticket {ticket['number']}: mark {client}-{number} is late or doubled")
            last[client] = int(number)
            for file in cast("list[dict[str, str]]", sent[f"{client}-{number}"].get("attachments", [])):
                digest = hashlib.sha256(base64.b64decode(file["content"])).hexdigest()
                if files.get(file["filename"], {}).get("sha256") != digest:
                    tally.faults.append(f"ticket {ticket['number']}: file {file['filename']} is missing or damaged")


def _count_receipt(
    view: ReceiptView,
    where: dict[str, list[str]],
    creates: dict[str, list[str]],
    occurrences: Counter[str],
    tally: Tally,
) -> None:
    if len(view.events) != 1:
        tally.faults.append(f"receipt {view.id} is {view.status} with {len(view.events)} events")
        return
    event = view.events[0]
    tally.reasons[event.reason.value] += 1
    if event.reason in COUNTED:
        occurrences[event.incident] += 1
    for action in view.actions:
        if action.coalesced_into:
            continue  # counted by `_count_merged`
        found = where.get(action.marker, [])
        if str(event.event["host"]).startswith("banned-"):
            expected = ActionStatus.DEAD if action.kind is ActionKind.CREATE else ActionStatus.BLOCKED
            if action.status is not expected or found:
                tally.faults.append(f"{action.kind} {action.id} of a banned requester is {action.status}, in {found}")
            if action.kind is ActionKind.CREATE:
                creates.setdefault(action.incident, []).append("refused")
            continue
        tally.looked_up += sum(attempt.outcome == "unknown" for attempt in action.attempts)
        if action.status is not ActionStatus.DELIVERED:
            tally.faults.append(f"{action.kind} {action.id} is {action.status} ({action.reason})")
        elif len(found) != 1:
            tally.faults.append(f"{action.kind} {action.id} stands {len(found)} times in the helpdesk: {found}")
        elif view.ticket is not None and found[0] != view.ticket.number:
            tally.faults.append(f"{action.kind} {action.id} is in ticket {found[0]}, not {view.ticket.number}")
        if action.kind is ActionKind.CREATE:
            creates.setdefault(action.incident, []).extend(found)


def _count_merged(view: ReceiptView, told: dict[str, list[str]], markers: dict[str, str], tally: Tally) -> None:
    """What was sent as a part of another follow-up stands in that one's entry, and nowhere else."""
    for action in view.actions:
        if action.coalesced_into:
            tally.merged += 1
            words = re.findall(r"mark (\d+-\d+) ", str(view.events[0].event["text"]))
            if action.status is not ActionStatus.SKIPPED:
                tally.faults.append(f"{action.kind} {action.id} was merged and is {action.status}")
            if [told.get(word) for word in words] != [[markers.get(action.coalesced_into)]]:
                tally.faults.append(f"{action.kind} {action.id} is told by {[told.get(word) for word in words]}")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Ask until the condition holds.

    Raises:
        TimeoutError: naming ``what`` did not come.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        threading.Event().wait(0.05)


def _get(url: str) -> object | None:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            value: object = json.load(answer)
            return value
    except (OSError, urllib.error.URLError):
        return None


def _put(url: str, value: object) -> None:
    request = urllib.request.Request(url, data=json.dumps(value).encode(), method="PUT")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=PATIENCE):
        return
