"""Waiting for a ticket: whoever waits is told, at whatever moment the ticket comes."""

import asyncio
from pathlib import Path

import pytest

from gateway.delivery.worker import Step
from gateway.model.action import ActionStatus, Outcome, OutcomeKind
from gateway.model.reasons import Reason
from tests.journal.builders import a_ticket, deliver
from tests.pipeline.works import Works, event, works

pytestmark = pytest.mark.anyio


async def delivered(at: Works) -> None:
    """Deliver the one action there is, as delivery would."""
    (create,) = await at.journal.claim_actions("desk", limit=1, now=at.at + 1, lease=60)
    assert await deliver(at.journal, create, ticket=a_ticket())
    outcome = Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, ticket=a_ticket())
    at.pipeline.tickets.step(Step("desk", create, ActionStatus.DELIVERED, Reason.DELIVERED, outcome, 0.1))


async def test_two_who_wait_for_one_receipt_are_both_told(tmp_path: Path) -> None:
    async with works(tmp_path) as at:
        name = await at.take(event("down"))
        waiting = [asyncio.create_task(at.pipeline.wait_ticket(name, 5.0)) for _ in range(2)]
        impatient = asyncio.create_task(at.pipeline.wait_ticket(name, 0.05))
        await at.idle()
        assert (await impatient).ticket is None
        await delivered(at)
        begun = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*waiting)
        assert [answer.ticket for answer in answers] == [a_ticket(), a_ticket()]
        assert asyncio.get_running_loop().time() - begun < 1.0


@pytest.mark.parametrize("turns", range(8))
async def test_a_ticket_that_comes_while_somebody_begins_to_wait_is_told(tmp_path: Path, turns: int) -> None:
    async with works(tmp_path) as at:
        name = await at.take(event("down"))
        await at.idle()
        (create,) = await at.journal.claim_actions("desk", limit=1, now=at.at + 1, lease=60)
        waiting = asyncio.create_task(at.pipeline.wait_ticket(name, 3.0))
        await asyncio.sleep(turns * 0.0005)
        assert await deliver(at.journal, create, ticket=a_ticket())
        outcome = Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, ticket=a_ticket())
        at.pipeline.tickets.step(Step("desk", create, ActionStatus.DELIVERED, Reason.DELIVERED, outcome, 0.1))
        assert (await waiting).ticket == a_ticket()
