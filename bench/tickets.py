"""From an event to its ticket: how long it takes, and whether a slow helpdesk is kept busy.

Both are compared with posting the same JSON straight to the sandbox's ``tickets.json``: the very body that the gateway
sends for the same event.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson

from bench.client import Client
from bench.disk import Disk
from bench.figures import Figure, at_least, below, median, spread
from bench.intake import RUNS
from bench.load import Spec, load
from bench.payload import mark, pieces
from bench.processes import API_KEY, TO_TICKETS, TOKEN, Running, address, gateway, sandbox, tune, wait_until

EVENT_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Prefer": "wait=8"}
DIRECT_HEADERS = {"X-API-Key": API_KEY}
DIRECT_PATH = "/sandbox/osticket/api/tickets.json"
BUSY_LATENCY = 0.04
PAUSE = 0.03
"""Seconds before each event and each direct post where their latency is measured: each finds the machine idle."""
BUSY_CALLS = 4


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from sending to the answer, and to the instant that the sandbox wrote on its ticket."""

    answered: float
    created: float


# ------------------------------------------------------------------------------------------------------------ latency


def latency(folder: Path, disk: Disk, *, quick: bool, delay: float = 0.0) -> list[Figure]:
    """Events and direct posts by turns, one at a time, with an instant sandbox.

    The named baseline is a direct POST with httpx, the client that a program would use and that the gateway's own calls
    stand on (through httpcore). Beside it, what a bare socket with a request put together beforehand takes.
    """
    times = 60 if quick else 200
    with sandbox(folder) as desk, gateway(folder, action=TO_TICKETS, sandbox=address(desk), delay=delay) as ours:
        turns = _turns(folder, ours, desk, times)
    post = median(turns.posted) * 1000
    bare = median(turns.bare) * 1000
    made = median([one.created for one in turns.events]) * 1000
    answered = median([one.answered for one in turns.events]) * 1000
    fsync = (delay + disk.p50) * 1000
    goal = 3 * post + (4 * fsync if delay else 0.0)
    how = f"3 × direct POST p50 {post:.2f} ms" + (f" + 4 × fsync {fsync:.2f} ms" if delay else "")
    figures = [
        below("event to ticket in the sandbox, p50", made, goal, f"by the sandbox's own clock; {how}", unit=" ms"),
        below("event to ticket delivered and answered, p50", answered, goal, how, unit=" ms"),
    ]
    if delay:
        return figures
    ratios = f"event to ticket takes {made / bare:.1f} of it in the sandbox, {answered / bare:.1f} answered"
    return [*figures, Figure("for comparison: direct POST by a bare socket, p50", f"{bare:.2f} ms", how=ratios)]


@dataclass(frozen=True, slots=True)
class _Turns:
    """What each side took; seconds."""

    events: list[Times]
    posted: list[float]
    bare: list[float]


def _turns(folder: Path, ours: Running, desk: Running, times: int) -> _Turns:
    run, parts = RUNS.next(), pieces()
    to_us, to_desk = Client(ours.port), Client(desk.port)
    send_event = _poster(to_us, "/in/app", EVENT_HEADERS)
    send_bare = _poster(to_desk, DIRECT_PATH, DIRECT_HEADERS)
    warm_up = 20
    for number in range(warm_up):
        send_event(mark(run, number).join(parts))
    template = stored_request(folder / "journal.db")
    sent: dict[str, tuple[float, float]] = {}
    posted: list[float] = []
    bare: list[float] = []
    headers = {**DIRECT_HEADERS, "Content-Type": "application/json"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        send_usual = _usual(client, f"http://127.0.0.1:{desk.port}{DIRECT_PATH}")
        for number in range(warm_up, warm_up + times):
            body = mark(run, number).join(parts)
            time.sleep(PAUSE)  # the bookkeeping of the event before this one is not part of this one's way
            before = time.time()
            seconds, answer = send_event(body)
            sent[_number(answer)] = (before, seconds)
            for which, (send, taken) in enumerate(((send_usual, posted), (send_bare, bare))):
                body = fresh_request(template, 2 * number + which)
                time.sleep(PAUSE)  # the same for the other sides: all find the machine as idle
                taken.append(send(body)[0])
    to_us.close()
    to_desk.close()
    created = _created(desk)
    events = [Times(seconds, created[name] - before) for name, (before, seconds) in sent.items()]
    return _Turns(events, posted, bare)


def _usual(client: httpx.Client, url: str) -> Callable[[bytes], tuple[float, bytes]]:
    def post(body: bytes) -> tuple[float, bytes]:
        began = time.perf_counter()
        answer = client.post(url, content=body)
        seconds = time.perf_counter() - began
        answer.raise_for_status()
        return seconds, answer.content

    return post


def _poster(client: Client, path: str, headers: dict[str, str]) -> Callable[[bytes], tuple[float, bytes]]:
    def post(body: bytes) -> tuple[float, bytes]:
        began = time.perf_counter()
        status, answer = client.post(path, body, headers)
        seconds = time.perf_counter() - began
        if status != 201:
            raise RuntimeError(f"{path} answered {status}: {answer[:500]!r}")
        return seconds, answer

    return post


def _number(answer: bytes) -> str:
    number = orjson.loads(answer)["ticket"]["number"]
    return str(number)


def _created(desk: Running) -> dict[str, float]:
    """Ticket number -> when the sandbox made it."""
    with closing(sqlite3.connect(desk.folder.parent / "sandbox" / "sandbox.db")) as database:
        return dict(database.execute("SELECT number, created FROM ticket"))


def stored_request(path: Path) -> bytes:
    """The body that the gateway posted for the newest ticket, from its journal."""
    with closing(sqlite3.connect(path)) as database:
        row = database.execute("SELECT content FROM request ORDER BY rowid DESC LIMIT 1").fetchone()
    body: str = orjson.loads(row[0])["json"]
    return body.encode()


_MID = re.compile(rb"tg-[0-9a-f-]{32,}@")


def fresh_request(template: bytes, number: int) -> bytes:
    """The same under a Message-ID of its own: osTicket would take it for a repeat otherwise."""
    return _MID.sub(b"tg-%016x%016x@" % (time.time_ns(), number), template)


# -------------------------------------------------------------------------------------------------------- throughput


def busy(folder: Path, *, quick: bool) -> list[Figure]:
    """40 ms per create, four at a time: tickets per second by four direct clients, and by the gateway."""
    rounds, seconds = (2, 2.0) if quick else (4, 4.0)
    with sandbox(folder) as desk, gateway(folder, action=TO_TICKETS, sandbox=address(desk)) as ours:
        first = Client(ours.port)
        _poster(first, "/in/app", EVENT_HEADERS)(mark(RUNS.next(), 0).join(pieces()))
        first.close()
        template = stored_request(folder / "journal.db")
        tune(desk, latency=BUSY_LATENCY, workers=BUSY_CALLS)
        shares: list[float] = []
        pairs: list[tuple[float, float]] = []
        for _ in range(rounds):
            direct = _steady(desk, lambda: _four_clients(desk, template, seconds))
            through = _steady(desk, lambda: _events(ours, desk, seconds))
            pairs.append((direct, through))
            shares.append(through / direct)
    direct, through = (median([pair[side] for pair in pairs]) for side in (0, 1))
    how = f"{through:.1f} of {direct:.1f} tickets/s; shares of the rounds: {spread(shares, 3)}"
    return [at_least("helpdesk of 40 ms kept busy, share of four direct clients", median(shares), 0.95, how)]


def _steady(desk: Running, work: Callable[[], None]) -> float:
    """Tickets per second between the first and the last one that ``work`` had made, by the sandbox's clock."""
    began = time.time()
    work()
    instants = sorted(instant for instant in _created(desk).values() if instant >= began)
    return (len(instants) - 1) / (instants[-1] - instants[0])


def _four_clients(desk: Running, template: bytes, seconds: float) -> None:
    end = time.monotonic() + seconds

    def post(which: int) -> None:
        client = Client(desk.port)
        send = _poster(client, DIRECT_PATH, DIRECT_HEADERS)
        number = which
        while time.monotonic() < end:
            send(fresh_request(template, number))
            number += BUSY_CALLS
        client.close()

    threads = [threading.Thread(target=post, args=(which,)) for which in range(BUSY_CALLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _events(ours: Running, desk: Running, seconds: float) -> None:
    """As many events as four calls of 40 ms can deliver in that time, sent at once; wait until all are tickets."""
    count = int(seconds * BUSY_CALLS / BUSY_LATENCY)
    before = len(_created(desk))
    load(Spec(ours.port, "/in/app", TOKEN, RUNS.next(), connections=8, count=count))
    wait_until(lambda: len(_created(desk)) >= before + count, "all events to become tickets", 60.0 + 4 * seconds)
