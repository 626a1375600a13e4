"""What every journal promises about follow-ups that are sent as a part of another one."""

from dataclasses import replace

import pytest

from gateway.journal.protocol import Journal, Merge
from gateway.model.action import Action, ActionKind, ActionStatus
from gateway.model.reasons import Reason
from tests.journal.builders import (
    DAY,
    NOON,
    a_ticket,
    an_action,
    an_incident,
    claimed,
    deliver,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio


async def waiting(journal: Journal, *kinds: ActionKind) -> list[str]:
    """A delivered create, and behind it one receipt for each further action; gives back the receipts."""
    incident = an_incident()
    receipts = [await processed(journal, an_action(incident.id), incident=incident)]
    for number, kind in enumerate(kinds):
        receipts.append(await processed(journal, an_action(incident.id, kind, sequence=2 + number)))
    [create] = await claimed(journal)
    assert await deliver(journal, create, ticket=a_ticket())
    return receipts


async def merging(journal: Journal, action: Action, *taken: str, at: float = NOON) -> bool:
    return await journal.begin_attempt(
        action.id,
        fence=action.fence,
        request=b"all of them",
        started_at=at,
        deadline=at + 30,
        resolve_at=at + 120,
        merge=Merge(replace(action.draft, text="all of them"), taken),
    )


async def actions(journal: Journal, receipt: str) -> list[tuple[str, str, str]]:
    view = await journal.reader().receipt(receipt)
    assert view is not None
    return [(one.status.value, one.reason.value, one.coalesced_into) for one in view.actions]


APPEND, CLOSE = ActionKind.APPEND, ActionKind.CLOSE


async def test_a_claimed_follow_up_is_told_those_behind_it_up_to_another_kind(journal: Journal) -> None:
    receipts = await waiting(journal, APPEND, APPEND, APPEND, CLOSE, APPEND)
    [first] = await claimed(journal)
    assert [follower.receipt for follower in first.behind] == receipts[2:4]
    assert [follower.draft for follower in first.behind] == [first.draft] * 2
    assert [follower.queued_at for follower in first.behind] == [NOON] * 2


async def test_creates_and_closes_are_told_of_nothing_behind_them(journal: Journal) -> None:
    incident = an_incident()
    await processed(journal, an_action(incident.id), an_action(incident.id, APPEND, sequence=2), incident=incident)
    [create] = await claimed(journal)
    assert create.behind == ()
    await deliver(journal, create, ticket=a_ticket())


async def test_what_is_taken_up_is_skipped_with_the_intent_and_what_follows_goes_on_behind_it(journal: Journal) -> None:
    receipts = await waiting(journal, APPEND, APPEND, APPEND, CLOSE)
    [first] = await claimed(journal)
    assert await merging(journal, first, *(one.id for one in first.behind))
    assert await actions(journal, receipts[2]) == [("skipped", "coalesced_into", first.id)]
    assert await actions(journal, receipts[3]) == [("skipped", "coalesced_into", first.id)]
    view = await journal.reader().receipt(receipts[2])
    assert view is not None
    assert view.timeline[-1].reason is Reason.COALESCED_INTO
    assert view.timeline[-1].detail == f"action {first.id}"
    assert await claimed(journal) == []
    assert await journal.finish_attempt(finished(first, ActionStatus.DELIVERED))
    [close] = await claimed(journal)
    assert close.kind is CLOSE
    counts = await journal.reader().counts()
    assert counts.actions_waiting == {"osticket": 1}


async def test_after_a_failed_attempt_the_whole_comes_back_and_takes_up_nothing_more(journal: Journal) -> None:
    await waiting(journal, APPEND, APPEND, APPEND)
    [first] = await claimed(journal)
    assert await merging(journal, first, first.behind[0].id)
    await journal.finish_attempt(finished(first, ActionStatus.QUEUED, reason=Reason.NOT_SENT, not_before=NOON))
    [again] = await claimed(journal)
    assert (again.id, again.draft.text, again.request, again.behind) == (first.id, "all of them", b"all of them", ())


async def test_a_stale_fence_takes_up_nothing(journal: Journal) -> None:
    receipts = await waiting(journal, APPEND, APPEND)
    [first] = await claimed(journal)
    assert not await merging(journal, replace(first, fence=first.fence + 1), first.behind[0].id)
    assert await actions(journal, receipts[2]) == [("waiting", "opened", "")]


async def test_one_that_does_not_wait_any_more_makes_the_whole_intent_come_to_nothing(journal: Journal) -> None:
    receipts = await waiting(journal, APPEND, APPEND, CLOSE)
    [first] = await claimed(journal)
    close = await journal.reader().receipt(receipts[3])
    assert close is not None
    assert not await merging(journal, first, first.behind[0].id, close.actions[0].id)
    assert not await merging(journal, first, first.behind[0].id, "nobody")
    assert await actions(journal, receipts[2]) == [("waiting", "opened", "")]
    [again] = await claimed(journal)
    assert (again.id, again.tries, again.draft) == (first.id, 0, first.draft)


async def test_what_an_unfinished_action_has_taken_up_is_not_pruned(journal: Journal) -> None:
    receipts = await waiting(journal, APPEND, APPEND)
    [first] = await claimed(journal)
    assert await merging(journal, first, first.behind[0].id)
    await journal.prune(now=NOON + 40 * DAY, keep=30 * DAY, keep_links=400 * DAY, limit=10)
    assert await actions(journal, receipts[2]) == [("skipped", "coalesced_into", first.id)]
    assert await journal.finish_attempt(finished(first, ActionStatus.DELIVERED))
    await journal.prune(now=NOON + 40 * DAY, keep=30 * DAY, keep_links=400 * DAY, limit=10)
    assert await journal.reader().receipt(receipts[2]) is None
