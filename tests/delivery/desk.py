"""A journal, one helpdesk and its delivery, with the network in the test's hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.config.values import RateLimit
from gateway.delivery.worker import Delivery, Step
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.protocol import FinishedAttempt, HelpdeskState, Journal, JournalFull
from gateway.journal.sqlite import SqliteJournal
from gateway.model.action import Action, ActionKind, ActionStatus
from gateway.model.incident import TicketRef
from tests.journal.builders import NOON, an_action, an_incident, processed

LIMITS: dict[str, object] = {"timeout": "1s", "settle": "100ms", "retry_first": "20ms", "retry_most": "50ms"}
Reply = Callable[["Wire", str, bytes], Awaitable[Answer]]


def settings(**limits: object) -> OsTicketSettings:
    return OsTicketSettings.model_validate(
        {
            "kind": "osticket",
            "url": "http://127.0.0.1:9/api",
            "auth": {"api_key": "A" * 32},
            "requester": {"name": "Monitoring", "email": "monitoring@example.org"},
            "sandbox": True,
            "limits": {**LIMITS, **limits},
        },
    )


def answer(status: int, body: str = "", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@dataclass(slots=True)
class Wire:
    """The network: keeps what was called, in order, and answers as the test says. The probe always gets its answer."""

    reply: Reply
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    probes: int = 0
    probe_answer: Answer = field(default_factory=lambda: answer(400, "No errors"))
    tickets: int = 100000

    async def request(self, method: str, url: str, *, headers: object, content: bytes = b"", timeout: float) -> Answer:
        assert method == "POST"
        if content == b"{}":
            self.probes += 1
            return self.probe_answer
        self.calls.append((url.rpartition("/")[2], content))
        try:
            async with asyncio.timeout(timeout):
                return await self.reply(self, url, content)
        except TimeoutError:
            raise CallFailed("no answer in time", sent=True) from None

    def ticket(self) -> Answer:
        self.tickets += 1
        return answer(201, str(self.tickets))

    def ways(self) -> list[str]:
        return [way for way, _ in self.calls]


async def makes_tickets(wire: Wire, url: str, content: bytes) -> Answer:
    return wire.ticket()


@dataclass(slots=True)
class Clock:
    """The wall clock, which may jump. It runs with the loop's."""

    offset: float = 0.0

    def __call__(self) -> float:
        return NOON + self.offset + asyncio.get_running_loop().time()


class Disk:
    """A journal whose disk is full whenever the test says so, for what delivery writes."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal = journal
        self.full: set[str] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self.journal, name)

    def _room(self, what: str) -> None:
        if what in self.full:
            raise JournalFull("no room")

    async def begin_attempt(self, action_id: str, **intent: Any) -> bool:
        self._room("intent")
        return await self.journal.begin_attempt(action_id, **intent)

    async def finish_attempt(self, finished: FinishedAttempt) -> bool:
        self._room("outcome")
        return await self.journal.finish_attempt(finished)

    async def save_helpdesk_state(self, state: HelpdeskState) -> None:
        self._room("state")
        await self.journal.save_helpdesk_state(state)


@dataclass(slots=True)
class Told:
    """What the watcher was told."""

    steps: list[Step] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def ticket(self, action: Action, ticket: TicketRef) -> None:
        self.words.append(f"ticket {ticket.number}")

    def coalesced(self, action: Action, number: int) -> None:
        self.words.append(f"coalesced {number}")

    def helpdesk(self, name: str, what: str, detail: str) -> None:
        self.words.append(what)


@dataclass(slots=True)
class Desk:
    """What a test works with."""

    journal: Journal
    wire: Wire
    clock: Clock
    told: Told
    delivery: Delivery
    task: "asyncio.Task[None]"

    async def incidents(self, number: int, *, appends: int = 0, requester: str = "") -> list[str]:
        """So many incidents with a create and follow-ups; gives back the receipts."""
        receipts: list[str] = []
        for _ in range(number):
            incident = an_incident(key=f"key-{len(receipts)}-{id(object())}-{asyncio.get_running_loop().time()}")
            actions = [an_action(incident.id, requester=requester, queued_at=self.clock() - 1)]
            actions += [
                an_action(incident.id, ActionKind.APPEND, sequence=2 + n, queued_at=self.clock() - 1)
                for n in range(appends)
            ]
            receipts.append(await processed(self.journal, *actions, incident=incident, at=self.clock() - 1))
        self.delivery.wake()
        return receipts

    async def statuses(self, receipts: list[str]) -> list[ActionStatus]:
        found: list[ActionStatus] = []
        for receipt in receipts:
            view = await self.journal.reader().receipt(receipt)
            assert view is not None
            found += [action.status for action in view.actions]
        return found

    async def all_are(self, receipts: list[str], status: ActionStatus, seconds: float = 8.0) -> None:
        """Until every action of the receipts has this status; the delivery must stay alive meanwhile."""
        end = asyncio.get_running_loop().time() + seconds
        while set(await self.statuses(receipts)) != {status}:
            if self.task.done():
                self.task.result()
            assert asyncio.get_running_loop().time() < end, f"{await self.statuses(receipts)}, {self.wire.ways()}"
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Ask until it holds."""
    for _ in range(int(seconds * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


@asynccontextmanager
async def desk(
    journal: Journal, reply: Reply = makes_tickets, *, clock: Clock | None = None, **limits: object
) -> AsyncIterator[Desk]:
    """A delivery that runs; stopped afterwards."""
    configured, wire, told = settings(**limits), Wire(reply), Told()
    assert configured.limits.rate is None or isinstance(configured.limits.rate, RateLimit)
    clock = clock or Clock()
    connector = OsTicketConnector("osticket", configured)
    delivery = Delivery(connector, configured, journal, wire, told, clock=clock, reachable=lambda name: name == "other")
    task = asyncio.create_task(delivery.run())
    try:
        yield Desk(journal, wire, clock, told, delivery, task)
    finally:
        await delivery.stop(0.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
