"""The brake: no more tickets in a time than allowed; the others wait in their order, and people are told once."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal.protocol import Journal
from gateway.journal.sqlite import open_sqlite
from gateway.model.action import ActionStatus
from gateway.model.reasons import Reason
from tests.delivery.desk import Clock, Desk, desk, makes_tickets, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Journal]:
    opened = await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()


def titles(at: Desk) -> list[str]:
    return [str(json.loads(content)["subject"]) for way, content in at.wire.calls if way == "tickets.json"]


def digests(at: Desk) -> list[str]:
    return [title for title in titles(at) if "limits" in title or "wait for" in title]


async def held(at: Desk, receipts: list[str]) -> int:
    found = 0
    for receipt in receipts:
        view = await at.journal.reader().receipt(receipt)
        assert view is not None
        found += sum(action.reason is Reason.HELD_BY_BRAKE for action in view.actions)
    return found


async def made(at: Desk, receipts: list[str]) -> list[bool]:
    return [status is ActionStatus.DELIVERED for status in await at.statuses(receipts)]


async def test_more_tickets_than_allowed_wait_in_their_order_and_people_are_told_once(journal: Journal) -> None:
    clock = Clock()
    async with desk(journal, makes_tickets, clock=clock, creates="5/h") as at:
        receipts = await at.incidents(8)
        await until(lambda: "brake" in at.told.words)
        await at.all_are(receipts[:5], ActionStatus.DELIVERED)
        assert len(at.wire.calls) == 5
        clock.offset += 10  # the ticket that tells people waits a moment, so that it can say how many
        at.delivery.wake()
        await until(lambda: len(digests(at)) == 1)
        assert await held(at, receipts) == 3
        assert at.delivery.brake.waiting == 3
        assert "3 wait" in digests(at)[0]
        assert (await made(at, receipts)) == [True] * 5 + [False] * 3
        clock.offset += 3600
        at.delivery.wake()
        await at.all_are(receipts, ActionStatus.DELIVERED)
        await until(lambda: "brake_off" in at.told.words)
        assert at.told.words.count("brake") == 1
        assert len(digests(at)) == 1
        assert len(titles(at)) == 9
        assert (await journal.helpdesk_state("osticket")).braking_since is None


async def test_the_journal_counts_so_that_a_restart_lets_nothing_through_and_tells_nobody_twice(
    journal: Journal,
) -> None:
    clock = Clock()
    async with desk(journal, makes_tickets, clock=clock, creates="3/h") as at:
        receipts = await at.incidents(5)
        await at.all_are(receipts[:3], ActionStatus.DELIVERED)
        clock.offset += 10
        at.delivery.wake()
        await until(lambda: len(digests(at)) == 1)
    clock.offset += 60
    async with desk(journal, makes_tickets, clock=clock, creates="3/h") as at:
        receipts += await at.incidents(1)
        await until(lambda: at.delivery.brake.waiting == 3)
        clock.offset += 10
        at.delivery.wake()
        await until(lambda: at.delivery.brake.waiting == 3)
        assert titles(at) == []
        await at.delivery.release(clock())
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert len(titles(at)) == 3
        clock.offset += 5
        more = await at.incidents(4)
        await at.all_are(more[:3], ActionStatus.DELIVERED)
        await until(lambda: at.told.words.count("brake") == 1)
        assert (await made(at, more)) == [True] * 3 + [False]


async def test_follow_ups_of_tickets_that_are_there_are_not_held_back(journal: Journal) -> None:
    async with desk(journal, makes_tickets, creates="2/h") as at:
        receipts = await at.incidents(2, appends=3)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert await held(at, await at.incidents(1)) == 0
        await until(lambda: "brake" in at.told.words)


async def test_without_a_brake_all_go(journal: Journal) -> None:
    async with desk(journal, makes_tickets, creates="off") as at:
        receipts = await at.incidents(12)
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert "brake" not in at.told.words
