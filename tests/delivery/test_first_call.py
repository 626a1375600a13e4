"""Calls whose intent is written in the transaction that makes their action."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.protocol import IncidentChange, Journal, Processed
from gateway.journal.sqlite import SqliteJournal, open_sqlite
from gateway.model.action import ActionStatus, NewAction
from gateway.model.reasons import Reason
from tests.delivery.desk import Desk, Wire, answer, desk, makes_tickets, until
from tests.journal.builders import a_receipt, a_record, an_action, an_incident

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteJournal]:
    opened = await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()


async def ready(at: Desk) -> None:
    """Until the delivery has looked at its queue."""
    await until(lambda: at.delivery.first_call(an_action("none", queued_at=at.clock()), "receipt", ()) is not None)


async def made(at: Desk, *, key: str = "key", queued_at: float | None = None) -> tuple[str, NewAction, Processed]:
    """A receipt with the processing that wants its ticket, not written yet."""
    incident = an_incident(key)
    action = an_action(incident.id, queued_at=at.clock() if queued_at is None else queued_at)
    receipt = a_receipt(at=at.clock())
    await at.journal.accept(receipt, claim=True)
    wanted = Processed(
        receipt.id,
        events=(a_record(incident=incident.id),),
        incidents=(IncidentChange(incident, None),),
        actions=(action,),
    )
    return receipt.id, action, wanted


async def test_a_call_goes_out_as_soon_as_its_intent_is_durable_and_ends_like_any_other(journal: Journal) -> None:
    async with desk(journal) as at:
        await ready(at)
        receipt, action, wanted = await made(at)
        call = at.delivery.first_call(action, receipt, ())
        assert call is not None
        assert at.wire.calls == []  # nothing leaves before the intent is written
        assert (await journal.commit_and_begin(wanted, call.intent))[1]
        call.go()
        await at.all_are([receipt], ActionStatus.DELIVERED)
        assert at.wire.ways() == ["tickets.json"]
        assert call.intent.request
        assert [(step.status, step.reason) for step in at.told.steps] == [(ActionStatus.DELIVERED, Reason.DELIVERED)]


async def test_one_whose_answer_is_lost_is_settled_like_any_other(journal: Journal) -> None:
    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if url.endswith("json"):
            raise CallFailed("connection lost", sent=True)
        return wire.ticket()

    async with desk(journal, reply) as at:
        await ready(at)
        receipt, action, wanted = await made(at)
        call = at.delivery.first_call(action, receipt, ())
        assert call is not None
        await journal.commit_and_begin(wanted, call.intent)
        call.go()
        await at.all_are([receipt], ActionStatus.DELIVERED)
        assert at.wire.ways() == ["tickets.json", "tickets.email"]


async def test_what_was_begun_when_the_delivery_stopped_goes_back_to_the_queue(journal: Journal) -> None:
    async with desk(journal) as at:
        await ready(at)
        receipt, action, wanted = await made(at)
        call = at.delivery.first_call(action, receipt, ())
        assert call is not None
        await journal.commit_and_begin(wanted, call.intent)
        await at.delivery.stop(0.0)
        call.go()
        await at.all_are([receipt], ActionStatus.QUEUED)
        assert at.wire.calls == []
    async with desk(journal) as again:
        await again.all_are([receipt], ActionStatus.DELIVERED)


async def test_no_call_is_prepared_while_the_helpdesk_is_paused(journal: Journal) -> None:
    async def refused(wire: Wire, url: str, content: bytes) -> Answer:
        return answer(401, "Valid API key required")

    async with desk(journal, refused) as at:
        at.wire.probe_answer = answer(401, "Valid API key required")
        await ready(at)
        await at.incidents(1)
        await until(at.delivery.pauses.stands)
        assert at.delivery.first_call(an_action("none", queued_at=at.clock()), "receipt", ()) is None


async def test_no_call_is_prepared_for_a_rate_an_old_event_or_a_stopped_delivery(journal: Journal) -> None:
    async with desk(journal, rate="1/s") as at:
        await asyncio.sleep(0)
        assert at.delivery.first_call(an_action("none", queued_at=at.clock()), "receipt", ()) is None
    async with desk(journal) as at:
        await ready(at)
        assert at.delivery.first_call(an_action("none", queued_at=at.clock() - 60), "receipt", ()) is None
        await at.delivery.stop(0.0)
        assert at.delivery.first_call(an_action("none", queued_at=at.clock()), "receipt", ()) is None


async def test_no_call_is_prepared_while_as_many_run_as_may(journal: Journal) -> None:
    gate = asyncio.Event()

    async def waits(wire: Wire, url: str, content: bytes) -> Answer:
        await gate.wait()
        return await makes_tickets(wire, url, content)

    async with desk(journal, waits, concurrency=1) as at:
        await ready(at)
        receipts = await at.incidents(1)
        await until(lambda: bool(at.wire.calls))
        assert at.delivery.first_call(an_action("none", queued_at=at.clock()), "receipt", ()) is None
        gate.set()
        await at.all_are(receipts, ActionStatus.DELIVERED)
