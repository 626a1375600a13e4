"""An operator's pause: nothing is sent, nothing is lost, nothing grows older; and it outlives the process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.helpdesks.protocol import Answer
from gateway.journal.protocol import Journal
from gateway.journal.sqlite import open_sqlite
from gateway.model.action import ActionStatus
from tests.delivery.desk import Clock, Wire, answer, desk, makes_tickets, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Journal]:
    opened = await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()


async def test_a_paused_helpdesk_gets_nothing_and_its_queue_stays_until_it_is_resumed(journal: Journal) -> None:
    async with desk(journal, makes_tickets) as at:
        await at.delivery.pause("root", "moving house")
        receipts = await at.incidents(3, appends=1)
        await until(lambda: "paused" in at.told.words)
        assert at.delivery.pauses.told == "by root: moving house"
        assert (at.wire.calls, at.wire.probes) == ([], 0)
        assert set(await at.statuses(receipts)) == {ActionStatus.QUEUED, ActionStatus.WAITING}
        assert await at.delivery.resume()
        await at.all_are(receipts, ActionStatus.DELIVERED)
        for receipt in receipts:
            view = await journal.reader().receipt(receipt)
            assert view is not None
            assert [action.tries for action in view.actions] == [1, 1]
        assert not await at.delivery.resume()


async def test_an_operators_pause_outlives_a_restart_and_no_probe_ends_it(journal: Journal) -> None:
    clock = Clock()
    async with desk(journal, makes_tickets, clock=clock) as at:
        await at.delivery.pause("root", "")
    clock.offset += 600
    async with desk(journal, makes_tickets, clock=clock) as at:
        receipts = await at.incidents(1)
        await until(lambda: "paused" in at.told.words)
        at.delivery.wake()
        assert (at.wire.calls, at.wire.probes) == ([], 0)
        assert set(await at.statuses(receipts)) == {ActionStatus.QUEUED}
        await at.delivery.resume()
        await at.all_are(receipts, ActionStatus.DELIVERED)
    assert (await journal.helpdesk_state("osticket")).paused_total >= 600


async def test_age_stands_still_while_an_operator_has_paused_the_helpdesk(journal: Journal) -> None:
    clock = Clock()
    async with desk(journal, makes_tickets, clock=clock, max_age="60s") as at:
        receipts = []
        await at.delivery.pause("root", "a long week-end")
        receipts = await at.incidents(1)
        clock.offset += 4 * 86400
        await at.delivery.resume()
        await at.all_are(receipts, ActionStatus.DELIVERED)


async def test_an_operators_resume_ends_a_pause_for_refused_credentials_at_once(journal: Journal) -> None:
    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        return answer(401, "Valid API key required") if len(wire.calls) == 1 else wire.ticket()

    async with desk(journal, reply, retry_most="1h") as at:
        at.wire.probe_answer = answer(401, "Valid API key required")
        receipts = await at.incidents(1)
        await until(at.delivery.pauses.stands)
        assert at.delivery.pauses.by == ""
        assert await at.delivery.resume()
        await at.all_are(receipts, ActionStatus.DELIVERED)


async def test_an_operators_pause_takes_over_one_for_refused_credentials(journal: Journal) -> None:
    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        return answer(401, "Valid API key required")

    async with desk(journal, reply) as at:
        at.wire.probe_answer = answer(401, "Valid API key required")
        await at.incidents(1)
        await until(at.delivery.pauses.stands)
        await at.delivery.pause("root", "the new key comes on Monday")
        at.wire.probe_answer = answer(400, "No errors")
        probes = at.wire.probes
        at.delivery.wake()
        await until(lambda: at.delivery.pauses.by == "root")
        assert at.delivery.pauses.stands()
        assert at.wire.probes <= probes + 1
