"""What every journal promises about an action whose first attempt begins in the transaction that makes it."""

import asyncio
from dataclasses import replace

import pytest

from gateway.journal.protocol import FIRST_FENCE, CommitResult, IncidentChange, Intent, Journal, Processed
from gateway.model.action import Action, ActionStatus, NewAction
from gateway.model.incident import Incident
from gateway.model.reasons import Reason
from tests.journal.builders import (
    NOON,
    a_receipt,
    a_record,
    a_ticket,
    an_action,
    an_incident,
    begun,
    claimed,
    deliver,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio
WHO = "monitoring@example.org"


def intent(action: NewAction) -> Intent:
    return Intent(action.id, b"request", NOON, NOON + 30, NOON + 120)


async def committed(journal: Journal, action: NewAction, incident: Incident) -> tuple[str, CommitResult, bool]:
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    wanted = Processed(
        receipt.id,
        events=(a_record(incident=incident.id),),
        incidents=(IncidentChange(incident, None),),
        actions=(action,),
    )
    return receipt.id, *await journal.commit_and_begin(wanted, intent(action))


async def out(journal: Journal, action: NewAction, receipt: str) -> Action:
    """The action as its owner knows it without having claimed it."""
    view = await journal.reader().receipt(receipt)
    assert view is not None
    [stored] = view.actions
    assert stored.status is ActionStatus.IN_FLIGHT
    assert [(attempt.number, attempt.started_at) for attempt in stored.attempts] == [(FIRST_FENCE, NOON)]
    return Action.first(action, receipt=receipt, fence=FIRST_FENCE, paused_before=0.0)


async def test_an_action_that_is_begun_with_its_making_is_in_flight_and_given_to_nobody_else(journal: Journal) -> None:
    incident = an_incident()
    action = an_action(incident.id, requester=WHO)
    receipt, result, ours = await committed(journal, action, incident)
    assert (result, ours) == (CommitResult.COMMITTED, True)
    assert await claimed(journal, now=NOON + 10_000) == []
    owned = await out(journal, action, receipt)
    assert not await begun(journal, owned)  # it is begun already
    assert await journal.finish_attempt(finished(owned, ActionStatus.DELIVERED, ticket=a_ticket()))
    stored = await journal.reader().incident(incident.id)
    assert stored is not None
    assert stored.ticket == a_ticket()


async def test_what_came_to_nothing_is_claimed_again_with_the_next_fence_and_its_request(journal: Journal) -> None:
    incident = an_incident()
    action = an_action(incident.id)
    receipt, _, _ = await committed(journal, action, incident)
    owned = await out(journal, action, receipt)
    again = finished(owned, ActionStatus.QUEUED, reason=Reason.NOT_SENT, not_before=NOON + 5)
    assert await journal.finish_attempt(again)
    [claim] = await claimed(journal, now=NOON + 5)
    assert (claim.fence, claim.tries, claim.request) == (FIRST_FENCE + 1, 1, b"request")
    assert await deliver(journal, claim)


async def test_an_action_behind_another_of_its_incident_is_written_and_waits(journal: Journal) -> None:
    incident = an_incident()
    await processed(journal, an_action(incident.id), incident=incident)
    follower = an_action(incident.id, sequence=2)
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    wanted = Processed(receipt.id, events=(a_record(incident=incident.id),), actions=(follower,))
    assert await journal.commit_and_begin(wanted, intent(follower)) == (CommitResult.COMMITTED, False)
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert [(action.status, action.attempts) for action in view.actions] == [(ActionStatus.WAITING, ())]


@pytest.mark.parametrize("how", ["claimed", "in flight", "unknown"])
async def test_a_create_waits_while_another_one_of_its_unseen_requester_is_out(journal: Journal, how: str) -> None:
    first = an_incident("first")
    await processed(journal, an_action(first.id, requester=WHO), incident=first)
    [other] = await claimed(journal)
    if how != "claimed":
        await begun(journal, other)
    if how == "unknown":
        await journal.finish_attempt(finished(other, ActionStatus.UNKNOWN, not_before=NOON + 90))
    second = an_incident("second")
    assert (await committed(journal, an_action(second.id, requester=WHO), second))[1:] == (
        CommitResult.COMMITTED,
        False,
    )
    stranger = an_incident("third")
    assert (await committed(journal, an_action(stranger.id, requester="b@x"), stranger))[2]


async def test_creates_of_a_requester_wait_for_the_one_that_was_begun_at_once(journal: Journal) -> None:
    first, second = an_incident("first"), an_incident("second")
    action = an_action(first.id, requester=WHO)
    receipt, _, ours = await committed(journal, action, first)
    assert ours
    await processed(journal, an_action(second.id, requester=WHO), incident=second)
    assert await claimed(journal) == []
    await journal.finish_attempt(finished(await out(journal, action, receipt), ActionStatus.DELIVERED))
    assert len(await claimed(journal)) == 1
    third = an_incident("third")  # the requester is known now
    assert (await committed(journal, an_action(third.id, requester=WHO), third))[2]


async def test_nothing_begins_of_a_receipt_that_is_gone_or_in_conflict(journal: Journal) -> None:
    incident = an_incident()
    receipt, _, _ = await committed(journal, an_action(incident.id), incident)
    other = an_action(incident.id, sequence=2)
    again = Processed(receipt, actions=(other,))
    assert await journal.commit_and_begin(again, intent(other)) == (CommitResult.GONE, False)
    never = Processed("0199-never-accepted", actions=(other,))
    assert await journal.commit_and_begin(never, intent(other)) == (CommitResult.GONE, False)
    late = a_receipt()
    await journal.accept(late, claim=True)
    changed = replace(incident, version=8)
    stale = Processed(late.id, incidents=(IncidentChange(changed, 7),), actions=(other,))
    assert await journal.commit_and_begin(stale, intent(other)) == (CommitResult.CONFLICT, False)
    view = await journal.reader().receipt(late.id)
    assert view is not None
    assert view.actions == ()


async def test_claims_and_beginnings_at_the_same_time_never_let_two_creates_of_an_unseen_requester_out(
    journal: Journal,
) -> None:
    for turn in range(20):
        who = f"user{turn}@example.org"
        queued = an_incident(f"queued-{turn}")
        await processed(journal, an_action(queued.id, requester=who), incident=queued)
        fresh = an_incident(f"fresh-{turn}")
        made, given = await asyncio.gather(
            committed(journal, an_action(fresh.id, requester=who), fresh), claimed(journal, limit=100)
        )
        assert made[2] + sum(action.requester == who for action in given) == 1
