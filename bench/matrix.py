"""`python -m bench.matrix`: every fault of the sandbox x every action x every helpdesk, through a whole gateway.

One *story* is one helpdesk with one fault: a ticket is made (with an attachment), followed up, raised, closed and reopened, and
the fault is switched on for one of these steps, or for all of them. Then the helpdesk is looked at as a person would:

* **ok**: one ticket, each step's words in it once, status and priority as they should be;
* **ok by hand**: the same after a person has sent the dead letters on their way again, which the gateway had set aside;
* **flagged**: something is there twice, and the gateway says so (`possible_duplicate`);
* **wrong**: anything else. Something was lost, or is there twice without a word. The program then ends with 1.

`--pairs N` adds N stories with two faults behind each other, drawn by `--seed`.
"""

import argparse
import asyncio
import base64
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog

from gateway.model.json import JsonObject
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house
from tests.e2e.test_webhook import LOOKED_UP, PLAIN

TIMEOUT = 1.0
"""Seconds that a call may take; faults that hang last longer."""
SETTLE = 1.0
"""Seconds after which what the helpdesk did late has surely been done."""
PATIENCE = 150.0
"""Seconds until a story must have come to rest."""
COMPLETION = "Files that were missing after an interrupted call."
"""What stands in an article that completes one."""
AT_ONCE = 10
"""Stories that one process runs at a time."""

# ----------------------------------------------------------------------------------------------------------------- desks


@dataclass(frozen=True, slots=True)
class Desk:
    """A helpdesk as it is configured, and what it can do. ``settings`` are switches of its stand-in."""

    name: str
    double: str
    config: str
    fields: str
    settings: dict[str, object] = field(default_factory=dict)
    states: tuple[str, str] | None = None  # when closed, when open again; None: it does neither over its API
    raised: str = ""
    files: bool = True


_OSTICKET = """\
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
"""
_ZAMMAD = """\
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    group: Users
    customer: monitoring@example.org
"""
_OTOBO = """\
    kind: otobo
    url: {sandbox}/otobo
    auth: {{user: gateway, password: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    queue: Monitoring
    customer: kunde
"""
_SMTP = """\
    kind: smtp
    host: 127.0.0.1
    port: MAIL-PORT
    tls: none
    from: monitoring@example.org
    to: support@example.org
"""
_ZAMMAD_FIELDS = '{priority: {from: severity, table: {critical: 3 high, "*": 2 normal}}}'
_OTOBO_FIELDS = '{priority: {from: severity, table: {critical: 5 very high, "*": 3 normal}}}'
_OPEN = ("closed", "open")
_SUCCESSFUL = ("closed successful", "open")
_SEARCHES = LOOKED_UP.replace("CERTAINTY", "strong").replace("      idempotent: true\n", "")


def _webhook(config: str) -> str:
    """The part of a test's configuration that says how its API is called."""
    return config.partition("  desk:\n")[2].partition("    sandbox: true")[0]


DESKS = (
    Desk("osticket", "osticket", _OSTICKET, "{}"),
    Desk("smtp", "smtp", _SMTP, "{}"),
    Desk("smtp, drops copies", "smtp", _SMTP + "    deduplicates: true\n", "{}", {"deduplicates": True}),
    Desk("webhook, nothing to look up", "webhook", _webhook(PLAIN), "{}", files=False),
    Desk(
        "webhook, look-up",
        "webhook",
        _webhook(_SEARCHES),
        "{}",
        files=False,
    ),
    Desk("zammad", "zammad", _ZAMMAD, _ZAMMAD_FIELDS, {"attributes": ["gateway_key"]}, _OPEN, "3 high"),
    Desk("zammad, by message id", "zammad", _ZAMMAD, _ZAMMAD_FIELDS, {"attributes": []}, _OPEN, "3 high"),
    Desk("zammad, older", "zammad", _ZAMMAD, _ZAMMAD_FIELDS, {"release": "older"}, _OPEN, "3 high"),
    Desk("otobo", "otobo", _OTOBO, _OTOBO_FIELDS, {}, _SUCCESSFUL, "5 very high"),
    Desk(
        "otobo, stock routes",
        "otobo",
        _OTOBO + "    webservice: GenericTicketConnectorREST\n    layout: stock\n",
        _OTOBO_FIELDS,
        {},
        _SUCCESSFUL,
        "5 very high",
    ),
    Desk(
        "znuny",
        "znuny",
        _OTOBO.replace("kind: otobo", "kind: znuny").replace("/otobo\n", "/znuny\n"),
        _OTOBO_FIELDS,
        {},
        _SUCCESSFUL,
        "5 very high",
    ),
)

_CONFIG = """\
version: 1
server:
  http: {{{{listen: "127.0.0.1:0", max_body: 8MiB}}}}
  journal: {{{{url: "sqlite:///journal.db", min_free: 1MiB}}}}
  operator: {{{{bearer: the-operators-token}}}}
sources:
  app: {{{{kind: generic, auth: {{{{bearer: {{token}}}}}}}}}}
helpdesks:
  desk:
{helpdesk}    sandbox: true
    limits: {{{{creates: off, timeout: {timeout}ms, settle: {settle}ms, retry_first: 50ms, retry_most: 200ms}}}}
{{rest}}
"""
_ROUTES = """\
routes:
  - name: alerts
    ticket: {{helpdesk: desk, template: alert, fields: {fields}}}
    incident: {{escalate: {escalate}, reopen_within: 1h}}
"""


def config_of(desk: Desk) -> str:
    """The configuration, with what `house` fills in left open."""
    return _CONFIG.format(helpdesk=desk.config, timeout=round(TIMEOUT * 1000), settle=round(SETTLE * 1000))


def routes_of(desk: Desk) -> str:
    """The one route."""
    update = f"{{severity: update, fields: {desk.fields}}}" if desk.raised else "append"
    return _ROUTES.format(fields=desk.fields, escalate=update)


# ---------------------------------------------------------------------------------------------------------------- faults

LATE = TIMEOUT + 0.1
_LATE = "slow, too slow"
FAULTS: dict[str, Fault] = {
    "refuse": Fault(fault=FaultKind.REFUSE, count=1),
    "refuse, 3 times": Fault(fault=FaultKind.REFUSE, count=3),
    "slow": Fault(fault=FaultKind.SLOW, seconds=0.15, count=6),
    _LATE: Fault(fault=FaultKind.SLOW, seconds=LATE, count=1),
    "rate_limit": Fault(fault=FaultKind.RATE_LIMIT, seconds=0, count=2),
    "auth_broken": Fault(fault=FaultKind.AUTH_BROKEN, count=2),
    "database_down": Fault(fault=FaultKind.DATABASE_DOWN, count=1),
    "database_down, 3 times": Fault(fault=FaultKind.DATABASE_DOWN, count=3),
    "html_error 502": Fault(fault=FaultKind.HTML_ERROR, count=1),
    "html_error 504": Fault(fault=FaultKind.HTML_ERROR, status=504, count=2),
    "redirect": Fault(fault=FaultKind.REDIRECT, count=2),
    "maintenance": Fault(fault=FaultKind.MAINTENANCE, seconds=0, count=1),
    "hang_before_commit, written": Fault(fault=FaultKind.HANG_BEFORE_COMMIT, seconds=LATE, count=1),
    "hang_before_commit, not written": Fault(fault=FaultKind.HANG_BEFORE_COMMIT, seconds=LATE, commits=False, count=1),
    "commit_then_hang": Fault(fault=FaultKind.COMMIT_THEN_HANG, seconds=2 * LATE, count=1),
    "commit_then_drop": Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1),
    "commit_then_drop, twice": Fault(fault=FaultKind.COMMIT_THEN_DROP, count=2),
    "die_half_way, ticket": Fault(fault=FaultKind.DIE_HALF_WAY, at="ticket", count=1),
    "die_half_way, article": Fault(fault=FaultKind.DIE_HALF_WAY, at="thread_entry", count=1),
    "die_half_way, attachment": Fault(fault=FaultKind.DIE_HALF_WAY, at="attachment", count=1),
}

# ----------------------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, and the action that it asks for."""

    action: str
    event: dict[str, object]


_FILE = {"filename": "log.txt", "media_type": "text/plain", "content": base64.b64encode(b"a line\n" * 50).decode()}
STEPS = (
    Step("create", {"kind": "problem", "severity": "warning", "attachments": [_FILE]}),
    Step(
        "append", {"kind": "acknowledgement", "severity": "warning", "attachments": [{**_FILE, "filename": "ack.txt"}]}
    ),
    Step("update", {"kind": "problem", "severity": "critical"}),
    Step("close", {"kind": "recovery", "severity": "info"}),
    Step("reopen", {"kind": "problem", "severity": "critical"}),
)


@dataclass(frozen=True, slots=True)
class Story:
    """Faults at one step (or at every one) of a helpdesk's story."""

    desk: int
    faults: tuple[str, ...]
    at: str

    def __str__(self) -> str:
        return f"{DESKS[self.desk].name}: {' + '.join(self.faults)} at {self.at}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in the helpdesk afterwards."""

    story: Story
    grade: str
    why: str
    seconds: float


async def play(story: Story, folder: Path) -> Verdict:
    """Run one story and look at the helpdesk."""
    began = time.monotonic()
    desk = DESKS[story.desk]
    async with house(folder, routes_of(desk), config=config_of(desk)) as home:
        if desk.settings:
            home.sandbox.change_settings({desk.double: desk.settings})
        by_hand = False
        await _tell(
            home, "other", {"kind": "problem", "severity": "warning"}, "before all"
        )  # what absence is proven by
        for number, step in enumerate(STEPS):
            if story.at in {step.action, "all"}:
                home.sandbox.set_faults({desk.double: [FAULTS[name] for name in story.faults]})
            await _tell(home, "one", step.event, _words(number))
            if story.at in {step.action, "all"}:
                home.sandbox.clear_faults()
            by_hand = await _by_hand(home) or by_hand
            if story.at == "all":  # so that the breaker, which waits long, stays closed
                for other in range(3):
                    await _tell(home, f"other-{number}-{other}", {"kind": "problem", "severity": "warning"}, "fine")
        faults = judge(home, desk)
        flagged = await _flagged(home)
    grade = "wrong" if faults and not flagged else "flagged" if faults else "ok by hand" if by_hand else "ok"
    return Verdict(story, grade, "; ".join(faults), time.monotonic() - began)


def _words(number: int) -> str:
    return f"words-of-step-{number}."


async def _tell(home: House, host: str, event: dict[str, object], text: str) -> None:
    content = {"title": f"disk of {host}", "text": text, "host": host, "origin_key": host, **event}
    answer = await home.post("app", json=content)
    if answer.status_code not in {201, 202}:
        raise httpx.HTTPError(f"the gateway answered {answer.status_code}: {answer.text}")
    await _rest(home)


async def _rest(home: House) -> None:
    """Until nothing waits."""
    end = time.monotonic() + PATIENCE
    while True:
        counts = await home.gateway.reader.counts()
        if counts.receipts_waiting == 0 and sum(counts.actions_waiting.values()) == 0:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to rest: {counts}")
        await asyncio.sleep(0.05)


async def _by_hand(home: House) -> bool:
    """Send dead letters on their way again, as a person would who has read them."""
    letters = [letter.id for letter in await home.gateway.reader.dead_letters()]
    if letters:
        await home.gateway.journal.requeue(letters, now=time.time())
        for delivery, _, _ in home.gateway._deliveries.values():  # noqa: SLF001 - `dead retry` does it over the socket
            delivery.wake()
        await _rest(home)
    return bool(letters)


async def _flagged(home: House) -> bool:
    for line in await home.gateway.reader.receipts(limit=100):
        view = await home.gateway.reader.receipt(line.id)
        if view is not None and any(Reason.POSSIBLE_DUPLICATE.value in action.flags for action in view.actions):
            return True
    return False


# ----------------------------------------------------------------------------------------------------------------- judge


def judge(home: House, desk: Desk) -> list[str]:
    """What is not as it should be."""
    ours = [ticket for ticket in home.tickets() if "disk of one" in str(ticket["subject"])]
    others = len(home.tickets()) - len(ours)
    if len(ours) != 1 or others % 3 != 1:
        return [f"{len(ours)} tickets, and {others} others"]
    (ticket,) = ours
    entries = ticket["entries"]
    assert isinstance(entries, list)
    bodies = [entry for entry in entries if isinstance(entry, dict)]
    found = [_places(bodies, _words(number)) for number in range(len(STEPS))]
    faults = [
        f"{step.action} stands there {len(places)} times"
        for step, places in zip(STEPS, found, strict=True)
        if len(places) != 1
    ]
    if not faults and found != sorted(found):
        faults.append(f"the order is {found}")
    added = sum(COMPLETION in str(entry["body"]) for entry in bodies)
    if len(bodies) - added != len(STEPS):
        faults.append(f"{len(bodies)} articles")
    if not faults:
        faults += _of_attachments(bodies) if desk.files else []
    return faults + _of_state(ticket, desk)


def _places(bodies: Sequence[JsonObject], words: str) -> list[int]:
    return [place for place, entry in enumerate(bodies) if words in str(entry["body"])]


def _of_attachments(bodies: Sequence[JsonObject]) -> list[str]:
    """Each file once; those of a call that died half-way may stand in an article that says so."""
    names: list[str] = []
    for entry in bodies:
        files = entry["attachments"]
        assert isinstance(files, list)
        shown = [str(file["filename"]) for file in files if isinstance(file, dict)]
        names += [name for name in shown if name != "file-2"]  # as OTOBO and Znuny keep the HTML of an article
    return [] if sorted(names) == ["ack.txt", "log.txt"] else [f"attachments {names}"]


def _of_state(ticket: JsonObject, desk: Desk) -> list[str]:
    faults: list[str] = []
    if desk.states is not None:
        if ticket["status"] != desk.states[1]:
            faults.append(f"status {ticket['status']}")
        events = ticket["events"]
        assert isinstance(events, list)
        changes = [
            str(event["detail"]) for event in events if isinstance(event, dict) and event["type"] == "StateUpdate"
        ]
        closed = [change for change in changes if change.endswith(f"%%{desk.states[0]}%%")]
        if changes and len(closed) != 1:
            faults.append(f"closed {len(closed)} times")
    if desk.raised and ticket["priority"] != desk.raised:
        faults.append(f"priority {ticket['priority']}")
    return faults


# ------------------------------------------------------------------------------------------------------------------- run


def stories(desks: Sequence[int], pairs: int, seed: int) -> list[Story]:
    """All of them: each fault at each step of each helpdesk, and drawn pairs of faults."""
    every = [Story(desk, (name,), step.action) for desk in desks for name in FAULTS for step in STEPS]
    draw = random.Random(seed)
    names = list(FAULTS)
    places = [*(step.action for step in STEPS), "all"]
    drawn: list[Story] = []
    while len(drawn) < pairs:
        first, second = draw.choice(names), draw.choice(names)
        if (first, second) != (
            _LATE,
            _LATE,
        ):  # both would hit one request, which then writes later than any settling waits
            drawn.append(Story(draw.choice(desks), (first, second), draw.choice(places)))
    return every + drawn


def run_some(chosen: Sequence[Story], folder: str) -> list[Verdict]:
    """Some stories, several at a time, in one process."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def all_of_them() -> list[Verdict]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(story: Story) -> Verdict:
            async with turns:
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    try:
                        return await play(story, Path(place))
                    except (TimeoutError, AssertionError, httpx.HTTPError) as error:
                        return Verdict(story, "wrong", f"{type(error).__name__}: {error}", 0.0)

        return list(await asyncio.gather(*(one(story) for story in chosen)))

    return asyncio.run(all_of_them())


GRADES = ("ok", "ok by hand", "flagged", "wrong")


def table(verdicts: Sequence[Verdict]) -> str:
    """Counts by helpdesk, action and fault."""
    lines: list[str] = []
    single = [one for one in verdicts if len(one.story.faults) == 1]
    names = list(dict.fromkeys(DESKS[one.story.desk].name for one in single))
    width = max(map(len, FAULTS))
    for name in names:
        lines.append(f"\n{name:<{width}}  " + "  ".join(f"{step.action:^10}" for step in STEPS))
        for fault in FAULTS:
            cells = {
                one.story.at: one.grade
                for one in single
                if DESKS[one.story.desk].name == name and one.story.faults == (fault,)
            }
            if cells:
                lines.append(f"  {fault:<{width}}" + "  ".join(f"{cells.get(step.action, '-'):^10}" for step in STEPS))
    lines.append(f"\n{'':<{width}}" + "".join(f"{grade:>12}" for grade in GRADES))
    for name in names:
        counts = Counter(one.grade for one in single if DESKS[one.story.desk].name == name)
        lines.append(f"{name:<{width}}" + "".join(f"{counts[grade]:>12}" for grade in GRADES))
    pairs = Counter(one.grade for one in verdicts if len(one.story.faults) > 1)
    if pairs:
        lines.append(f"{'two faults':<{width}}" + "".join(f"{pairs[grade]:>12}" for grade in GRADES))
    return "\n".join(lines)


def main() -> int:
    """Run the matrix."""
    asked = _arguments()
    desks = [place for place, desk in enumerate(DESKS) if not asked.desk or desk.name in asked.desk]
    chosen = [
        story
        for story in stories(desks, asked.pairs, asked.seed)
        if (not asked.fault or any(name in asked.fault for name in story.faults))
        and (not asked.action or story.at in asked.action)
    ]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-", dir=asked.dir) as folder:
        groups = [chosen[number :: asked.processes] for number in range(asked.processes)]
        with ProcessPoolExecutor(asked.processes) as pool:
            futures = [pool.submit(run_some, group, folder) for group in groups if group]
            verdicts = [verdict for future in futures for verdict in future.result()]
    print(table(verdicts))
    for verdict in verdicts:
        if verdict.grade in {"flagged", "wrong"}:
            print(f"{verdict.grade}: {verdict.story}: {verdict.why}")
    wrong = sum(verdict.grade == "wrong" for verdict in verdicts)
    print(f"\n{len(verdicts)} stories in {time.monotonic() - began:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.matrix", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100, help="stories with two faults")
    parser.add_argument("--seed", type=int, default=1, help="by which these are drawn")
    parser.add_argument("--desk", action="append", choices=[desk.name for desk in DESKS], help="only this one")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this one")
    parser.add_argument(
        "--action", action="append", choices=[*(step.action for step in STEPS), "all"], help="only this one"
    )
    parser.add_argument("--processes", type=int, default=max(2, os.cpu_count() or 2))
    parser.add_argument("--dir", type=Path, default=None, help="where journals are made; default: the system's")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
