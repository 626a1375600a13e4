"""Delivery against a helpdesk that is not well, a disk that fills up, and a clock that jumps."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from gateway.delivery import worker
from gateway.delivery.breaker import BreakerState
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.protocol import Journal
from gateway.journal.sqlite import SqliteJournal, open_sqlite
from gateway.model.action import ActionStatus, OutcomeKind
from gateway.model.reasons import Reason
from tests.delivery.desk import Clock, Disk, Wire, answer, desk, makes_tickets, until
from tests.journal.builders import NOON, an_action, an_incident, begun, claimed, finished, processed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteJournal]:
    opened = await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()


async def test_follow_ups_come_in_their_order_whatever_the_network_does(journal: Journal) -> None:
    chance = random.Random(7)
    written: list[bytes] = []

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if chance.random() < 0.3:
            raise CallFailed("refused", sent=False)
        written.append(content)
        return answer(201, "100001")

    async with desk(journal, reply, settle="10ms") as at:
        (receipt,) = await at.incidents(1, appends=6)
        await at.all_are([receipt], ActionStatus.DELIVERED)
        view = await journal.reader().receipt(receipt)
        assert view is not None
        order = [next(a.sequence for a in view.actions if a.marker.encode() in content) for content in written]
        assert order == [1, 2, 3, 4, 5, 6, 7]


async def test_a_create_whose_answer_is_lost_is_settled_by_mail_and_never_repeated_as_json(journal: Journal) -> None:
    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if url.endswith("json"):
            raise CallFailed("connection lost", sent=True)
        return wire.ticket()

    async with desk(journal, reply) as at:
        receipts = await at.incidents(3)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert sorted(at.wire.ways()) == ["tickets.email"] * 3 + ["tickets.json"] * 3


async def test_a_connector_that_fails_in_an_unforeseen_way_costs_one_action_and_not_the_process(
    journal: Journal,
) -> None:
    incident = an_incident()
    receipt = await processed(journal, an_action(incident.id), incident=incident)
    [action] = await claimed(journal)
    assert await begun(journal, action, request=b'{"v":2}')  # of a newer version of the gateway
    await journal.finish_attempt(finished(action, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT))
    async with desk(journal) as at:
        neighbours = await at.incidents(2)
        await at.all_are(neighbours, ActionStatus.DELIVERED)
        await at.all_are([receipt], ActionStatus.DEAD)
        (letter,) = await journal.reader().dead_letters()
        assert "version 2" in letter.detail


@pytest.mark.parametrize("rate", ["5/s", "10/s"])
async def test_a_rate_slower_than_an_intent_may_wait_delays_and_doubles_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    monkeypatch.setattr(worker, "LONGEST_INTENT", 0.15)
    async with desk(journal, rate=rate) as at:
        receipts = await at.incidents(8)
        await at.all_are(receipts, ActionStatus.DELIVERED, 4.0)
        assert len(at.wire.calls) == 8
        assert {step.outcome.kind for step in at.told.steps} == {OutcomeKind.DELIVERED}


async def test_an_intent_that_waited_too_long_is_not_called_and_comes_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_INTENT", 0.1)

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if len(wire.calls) == 3:
            await asyncio.sleep(0.4)
        return wire.ticket()

    async with desk(journal, reply, concurrency=1) as at:
        receipts = await at.incidents(6)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert len(at.wire.calls) == 6
        assert [step.outcome.detail for step in at.told.steps if step.outcome.kind is OutcomeKind.NOT_SENT] == [
            "its turn came too late; not called"
        ]


async def test_a_full_disk_while_the_queue_is_paused_leaves_no_action_in_flight(journal: SqliteJournal) -> None:
    disk = Disk(journal)
    disk.full = {"state"}

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if wire.probe_answer.status == 401:
            return answer(401, "Valid API key required")
        return wire.ticket()

    async with desk(cast("Journal", disk), reply) as at:
        at.wire.probe_answer = answer(401, "Valid API key required")
        receipts = await at.incidents(2)
        await at.all_are(receipts, ActionStatus.QUEUED)
        await until(at.delivery.pauses.stands)
        at.wire.probe_answer = answer(400, "No errors")
        await asyncio.sleep(0.1)
        disk.full = set()
        await at.all_are(receipts, ActionStatus.DELIVERED)


async def test_an_outcome_waits_for_room_and_nothing_is_called_twice(journal: SqliteJournal) -> None:
    disk = Disk(journal)
    disk.full = {"outcome"}
    async with desk(cast("Journal", disk)) as at:
        receipts = await at.incidents(3)
        await at.all_are(receipts, ActionStatus.IN_FLIGHT)
        disk.full = set()
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert len(at.wire.calls) == 3


@pytest.mark.parametrize("what", ["intent", "outcome"])
async def test_a_delivery_that_waits_for_room_on_the_disk_says_so_once_and_when_it_goes_on(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(worker, "POLL", 0.05)
    disk = Disk(journal)
    disk.full = {what}
    async with desk(cast("Journal", disk)) as at:
        receipts = await at.incidents(2)
        await until(lambda: "no_room" in at.told.words)
        await asyncio.sleep(0.3)
        assert at.told.words.count("no_room") == 1
        assert "room_again" not in at.told.words
        disk.full = set()
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert [word for word in at.told.words if "room" in word] == ["no_room", "room_again"]
        assert len(at.wire.calls) == 2


@pytest.mark.parametrize("jump", [86400.0, -3600.0])
async def test_a_clock_that_jumps_during_a_call_does_not_shorten_the_time_to_settle(
    journal: Journal, jump: float
) -> None:
    clock = Clock()
    lost: list[float] = []
    settled: list[float] = []

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if url.endswith("json"):
            clock.offset += jump
            lost.append(clock())
            raise CallFailed("connection lost", sent=True)
        settled.append(clock())
        return wire.ticket()

    async with desk(journal, reply, clock=clock, settle="300ms") as at:
        receipts = await at.incidents(1)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert settled[0] - lost[0] >= 0.3


async def test_a_refused_look_up_leaves_the_question_open_for_a_retry(journal: Journal) -> None:
    """The settling mail was refused: that says nothing of the first call, so the JSON must never go out again."""
    refused = True

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if url.endswith("json"):
            raise CallFailed("connection lost", sent=True)
        if refused:
            return answer(413, "<html>Request Entity Too Large</html>")
        return wire.ticket()

    async with desk(journal, reply) as at:
        receipts = await at.incidents(1)
        await at.all_are(receipts, ActionStatus.DEAD)
        refused = False
        (letter,) = await journal.reader().dead_letters()
        await journal.requeue([letter.id], now=at.clock())
        at.delivery.wake()
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert at.wire.ways() == ["tickets.json", "tickets.email", "tickets.email"]


async def test_what_a_stop_cuts_off_is_looked_up_by_the_next_delivery_of_the_same_process(journal: Journal) -> None:
    async def hangs(wire: Wire, url: str, content: bytes) -> Answer:
        await asyncio.sleep(60)
        return wire.ticket()

    async with desk(journal, hangs, timeout="50s") as at:
        receipts = await at.incidents(1, appends=1)
        await until(lambda: bool(at.wire.calls))
        await at.delivery.stop(0.05)
    assert await at.statuses(receipts) == [ActionStatus.UNKNOWN, ActionStatus.WAITING]
    async with desk(journal) as after:
        await after.all_are(receipts, ActionStatus.DELIVERED)
        assert after.wire.ways()[0] == "tickets.email"


async def test_a_breaker_stops_the_calls_and_lets_them_go_again(journal: Journal) -> None:
    down = True

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if down:
            raise CallFailed("refused", sent=False)
        return wire.ticket()

    async with desk(journal, reply, retry_first="5ms", retry_most="10ms") as at:
        at.wire.probe_answer = answer(502, "<html>Bad Gateway</html>")
        receipts = await at.incidents(6)
        await until(lambda: at.delivery.breaker is BreakerState.OPEN)
        await asyncio.sleep(0.1)
        called = len(at.wire.calls)
        await asyncio.sleep(0.5)
        assert len(at.wire.calls) == called
        down = False
        at.wire.probe_answer = answer(400, "No errors")
        at.clock.offset -= 3600.0  # a clock put back must not keep it shut
        await asyncio.sleep(0.05)
        at.clock.offset += 3600.0
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert "breaker_open" in at.told.words


async def test_the_wish_of_a_helpdesk_to_wait_is_granted(journal: Journal) -> None:
    times: list[float] = []

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            return answer(429, "slow down", retry_after="1")
        return wire.ticket()

    async with desk(journal, reply) as at:
        receipts = await at.incidents(1)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert times[1] - times[0] >= 1.0


async def test_a_dead_create_of_a_new_requester_does_not_hold_up_the_others(journal: Journal) -> None:
    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if len(wire.calls) == 1:
            return answer(403, "Unable to create new ticket :Ticket denied: banned@example.org")
        return wire.ticket()

    async with desk(journal, reply) as at:
        receipts = await at.incidents(4, requester="new@example.org")
        await until(lambda: len(at.told.steps) == 4)
        await at.all_are(receipts[1:], ActionStatus.DELIVERED)
        assert (await at.statuses(receipts))[0] is ActionStatus.DEAD


async def test_a_paused_helpdesk_is_tried_again_after_a_restart(journal: Journal) -> None:
    await journal.save_helpdesk_state(
        (await journal.helpdesk_state("osticket")).__class__("osticket", "", NOON - 60, "key refused", 0.0)
    )
    async with desk(journal, makes_tickets) as at:
        receipts = await at.incidents(1)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        state = await journal.helpdesk_state("osticket")
        assert state.paused_since is None
        assert state.paused_total >= 60
