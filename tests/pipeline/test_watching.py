"""Watching tickets: what is concluded from how they stand, when they are read, and that reading never gets in the way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import watching
from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.protocol import Answer, Http
from gateway.helpdesks.standing import Standing
from gateway.journal.memory import MemoryJournal
from gateway.journal.protocol import Noticed
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.incident import Deed, Incident, TicketRef, Touch
from gateway.model.reasons import Reason
from gateway.noticing import noticed
from gateway.watching import Watch
from tests.helpdesks.zammad.desk import settings
from tests.journal.builders import NOON, a_ticket, an_action, an_incident, claimed, deliver, processed

T = TypeVar("T")

STANDINGS = st.builds(
    Standing,
    ticket=st.none() | st.builds(a_ticket, st.sampled_from(["1", "2"])),
    state=st.sampled_from(TicketState),
    deeds=st.sampled_from([(), ("owner by anna",)]),
)
TOUCHES = st.none() | st.builds(Touch, st.sampled_from(Deed), st.just(NOON))


async def comes_true(condition: Callable[[], bool]) -> None:
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")


def after(incident: Incident, read: Noticed) -> Incident:
    return replace(incident, touch=read.touch, ticket=read.becomes or incident.ticket)


@given(STANDINGS, TOUCHES)
def test_what_was_told_once_is_not_told_again(standing: Standing, touch: Touch | None) -> None:
    before = replace(an_incident(), ticket=a_ticket("1"), touch=touch)
    first = noticed(before, standing, NOON)
    again = noticed(after(before, first), standing, NOON + 1)
    assert again.history == ()
    assert (again.touch, again.becomes) == (first.touch, None)


@given(st.lists(STANDINGS, max_size=6))
def test_what_is_known_is_what_was_seen_last(seen: list[Standing]) -> None:
    incident = replace(an_incident(), ticket=a_ticket("1"))
    for standing in seen:
        incident = after(incident, noticed(incident, standing, NOON))
        deed = incident.touch.deed if incident.touch is not None else None
        if standing.ticket is None:
            assert deed is Deed.REMOVED
        else:
            assert incident.ticket is not None
            assert incident.ticket.id == standing.ticket.id
            assert (deed is Deed.CLOSED) is (standing.state is TicketState.CLOSED)


@dataclass
class House:
    """A journal with some open tickets, and a helpdesk in the test's hand."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    now: float = NOON + 1000
    read: list[str] = field(default_factory=list)
    told: list[Noticed] = field(default_factory=list)
    busy: bool = False
    at_once: int = 0
    fails: bool = False

    async def standing(self, ticket: TicketRef, http: Http, *, timeout: float) -> Standing | Outcome:
        if self.fails:
            raise RuntimeError("a bug")
        self.read.append(ticket.id)
        if len(self.read) % 2:  # what cannot be told now
            return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, "502")
        return Standing(ticket, TicketState.CLOSED)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        if self.busy:
            return None
        self.at_once += 1
        assert self.at_once == 1, "one question at a time"
        await asyncio.sleep(0)
        answer = await question()
        self.at_once -= 1
        return answer

    async def request(self, method: str, url: str, **_: object) -> Answer:
        raise AssertionError

    async def open(self, number: int) -> list[Incident]:
        incidents = [an_incident(f"key {index}") for index in range(number)]
        for index, incident in enumerate(incidents):
            await processed(self.journal, an_action(incident.id), incident=incident)
            [create] = await claimed(self.journal)
            await deliver(self.journal, create, ticket=a_ticket(str(index)))
        return incidents

    async def reads(self, number: int) -> None:
        await comes_true(lambda: len(self.read) >= number)

    def watch(self, poll: str | None = None) -> Watch:
        desk = settings(**({"poll": poll} if poll else {"notify": {"secret": "s"}}))
        return Watch("osticket", self, desk, self.journal, self, self, self.told.append, clock=lambda: self.now)

    async def until(self, watch: Watch, done: Callable[[], bool]) -> None:
        task = asyncio.create_task(watch.run())
        try:
            await comes_true(done)
            await asyncio.sleep(0.02)
        finally:
            watch.stop()
            await task


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of rest become thousandths."""
    for name in ("REST", "IDLE"):
        monkeypatch.setattr(watching, name, getattr(watching, name) / 1000)


@pytest.mark.anyio
async def test_each_interval_reads_at_most_so_many_those_first_that_were_not_read_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "MOST_AT_ONCE", 2)
    house = House()
    await house.open(5)
    watch = house.watch("5m")
    task = asyncio.create_task(watch.run())
    for expected in (["0", "1"], ["0", "1", "2", "3"], ["0", "1", "2", "3", "4", "0"]):
        await house.reads(len(expected))
        await asyncio.sleep(0.05)
        assert house.read == expected, "and no more before the next interval"
        house.now += 301
    watch.stop()
    await task
    house.now -= 86_400  # a clock that is put back does not stop it
    await house.until(house.watch("5m"), lambda: len(house.read) > 6)


@pytest.mark.anyio
async def test_a_hint_reads_its_ticket_and_an_unknown_one_nothing() -> None:
    house = House()
    await house.open(3)
    watch = house.watch()
    for ticket in ("2", "4711", "2", "1"):
        watch.hint(ticket)
    await house.until(watch, lambda: len(house.read) >= 2)
    assert house.read == ["2", "1"]
    assert [[line.reason for line in one.history] for one in house.told] == [[Reason.CLOSED_BY_HAND]]


@pytest.mark.anyio
async def test_more_hints_than_can_be_kept_read_every_open_ticket_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_HINTS", 2)
    monkeypatch.setattr(watching, "MOST_AT_ONCE", 2)
    house = House()
    await house.open(5)
    watch = house.watch()
    for number in range(9):
        watch.hint(str(number + 100))
    await house.until(watch, lambda: len(house.read) >= 5)
    assert sorted(house.read) == ["0", "1", "2", "3", "4"]


@pytest.mark.anyio
async def test_while_there_is_no_room_nothing_is_read_and_nothing_is_forgotten() -> None:
    house = House(busy=True)
    await house.open(1)
    watch = house.watch()
    watch.hint("0")
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    assert house.read == []
    house.busy = False
    await comes_true(lambda: bool(house.read))
    watch.stop()
    await task


@pytest.mark.anyio
async def test_a_connector_that_fails_concludes_nothing_and_ends_nothing() -> None:
    house = House(fails=True)
    [incident] = await house.open(1)
    watch = house.watch()
    watch.hint("0")
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    house.fails = False
    watch.hint("0")
    await comes_true(lambda: bool(house.read))
    watch.stop()
    await task
    found = await house.journal.reader().incident(incident.id)
    assert found is not None
    assert found.touch is None
