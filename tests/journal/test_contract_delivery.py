"""What every journal promises about actions, attempts, dead letters and retention."""

import asyncio
from dataclasses import replace

import pytest

from gateway.journal.protocol import HelpdeskState, HistoryLine, IncidentChange, Journal, Lookup, Processed
from gateway.model.action import ActionKind, ActionStatus, OutcomeKind
from gateway.model.incident import IncidentState
from gateway.model.reasons import Reason
from tests.journal.builders import (
    DAY,
    NOON,
    a_plan,
    a_receipt,
    a_record,
    a_ticket,
    a_timer,
    an_action,
    an_event,
    an_incident,
    begun,
    claimed,
    deliver,
    die,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio
WHO = "monitoring@example.org"


async def statuses(journal: Journal, receipt: str) -> list[str]:
    view = await journal.reader().receipt(receipt)
    assert view is not None
    return [action.status.value for action in view.actions]


async def three_actions(journal: Journal) -> tuple[str, str]:
    """One incident with a create and two appends; gives back receipt and incident."""
    incident = an_incident()
    receipt = await processed(
        journal,
        an_action(incident.id),
        an_action(incident.id, ActionKind.APPEND, sequence=2),
        an_action(incident.id, ActionKind.APPEND, sequence=3),
        incident=incident,
    )
    return receipt, incident.id


async def test_an_incident_has_one_action_out_at_a_time_in_order(journal: Journal) -> None:
    receipt, incident = await three_actions(journal)
    assert await statuses(journal, receipt) == ["queued", "waiting", "waiting"]
    [create] = await claimed(journal)
    assert (create.kind, create.ticket, create.fence, create.tries) == (ActionKind.CREATE, None, 1, 0)
    assert await claimed(journal) == []
    assert await deliver(journal, create, ticket=a_ticket())
    [append] = await claimed(journal)
    assert (append.sequence, append.ticket) == (2, a_ticket())
    stored = await journal.reader().incident(incident)
    assert stored is not None
    assert (stored.ticket, stored.version) == (a_ticket(), 0)


async def test_a_draft_comes_back_as_it_was_written(journal: Journal) -> None:
    action = an_action(an_incident().id)
    await processed(journal, action)
    [out] = await claimed(journal)
    assert (out.draft, out.marker, out.route, out.queued_at) == (action.draft, action.marker, "databases", NOON)


async def test_a_claim_ends_with_its_lease_and_the_late_owner_may_not_begin(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [first] = await claimed(journal, lease=60)
    assert await claimed(journal, now=NOON + 59) == []
    [second] = await claimed(journal, now=NOON + 61)
    assert second.fence > first.fence
    assert not await begun(journal, first)
    assert await begun(journal, second)


async def test_a_released_action_is_given_out_again_untouched(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [first] = await claimed(journal)
    await journal.release_action(first.id, fence=first.fence)
    [again] = await claimed(journal)
    assert (again.id, again.tries, again.status) == (first.id, 0, ActionStatus.QUEUED)


async def test_an_intent_is_written_once(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    assert await begun(journal, action)
    assert not await begun(journal, action)
    assert await claimed(journal, now=NOON + DAY) == []


async def test_an_outcome_with_a_stale_fence_writes_nothing(journal: Journal) -> None:
    receipt, _ = await three_actions(journal)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    stale = replace(create, fence=create.fence - 1)
    assert not await journal.finish_attempt(finished(stale, ActionStatus.DELIVERED))
    assert await journal.finish_attempt(finished(create, ActionStatus.DELIVERED))
    assert not await journal.finish_attempt(finished(create, ActionStatus.DEAD))
    assert await statuses(journal, receipt) == ["delivered", "queued", "waiting"]


async def test_a_retry_waits_for_its_time_and_carries_the_same_request(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    await begun(journal, action, request=b"y" * 70_000)
    retry = finished(action, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT, not_before=NOON + 30)
    await journal.finish_attempt(replace(retry, degraded=("topicId",)))
    assert await claimed(journal, now=NOON + 29) == []
    [again] = await claimed(journal, now=NOON + 30)
    assert (again.tries, again.request, again.resolve, again.degraded) == (1, b"y" * 70_000, False, ("topicId",))
    assert again.fence == action.fence + 1


async def test_an_attempt_that_is_not_burnt_does_not_count(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    await begun(journal, action)
    await journal.finish_attempt(finished(action, ActionStatus.QUEUED, reason=Reason.AUTH_BROKEN, burnt=False))
    [again] = await claimed(journal)
    assert again.tries == 0


async def test_an_unknown_action_is_given_out_to_be_resolved(journal: Journal) -> None:
    receipt, _ = await three_actions(journal)
    [action] = await claimed(journal)
    await begun(journal, action)
    await journal.finish_attempt(finished(action, ActionStatus.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME))
    assert await statuses(journal, receipt) == ["unknown", "waiting", "waiting"]
    [again] = await claimed(journal)
    assert (again.id, again.resolve, again.status) == (action.id, True, ActionStatus.UNKNOWN)


async def test_a_claim_may_be_finished_without_an_attempt(journal: Journal) -> None:
    receipt, _ = await three_actions(journal)
    [action] = await claimed(journal)
    assert await journal.finish_attempt(finished(action, ActionStatus.SKIPPED, reason=Reason.TOO_OLD))
    assert await statuses(journal, receipt) == ["skipped", "queued", "waiting"]


async def test_a_dead_create_blocks_its_followers_and_retry_releases_them_in_order(journal: Journal) -> None:
    receipt, incident = await three_actions(journal)
    [create] = await claimed(journal)
    await die(journal, create)
    assert await statuses(journal, receipt) == ["dead", "blocked", "blocked"]
    await processed(journal, late := an_action(incident, ActionKind.APPEND, sequence=4))
    [letter] = await journal.reader().dead_letters()
    assert (letter.what, letter.id, letter.blocked, letter.source) == ("action", create.id, 3, "nagios")
    assert (await journal.reader().counts()).blocked_actions == 3
    assert await claimed(journal, now=NOON + DAY) == []
    assert await journal.requeue([create.id], now=NOON + DAY) == [create.id]
    assert await statuses(journal, receipt) == ["queued", "waiting", "waiting"]
    order = []
    for _ in range(4):
        [action] = await claimed(journal, now=NOON + DAY)
        order.append(action.sequence)
        await deliver(journal, action)
    assert order == [1, 2, 3, late.sequence]


async def test_a_requeued_action_is_new_in_age_and_tries_but_not_in_its_date(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    await die(journal, action)
    await journal.requeue([action.id], now=NOON + DAY)
    [again] = await claimed(journal, now=NOON + DAY)
    assert (again.queued_at, again.tries, again.request) == (NOON, 0, b"")
    assert NOON + DAY - again.queued_at - (0.0 - again.paused_before) == 0.0


async def test_a_dead_letter_of_unknown_outcome_is_resolved_when_requeued(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    await begun(journal, action)
    await journal.finish_attempt(
        finished(action, ActionStatus.DEAD, OutcomeKind.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME)
    )
    await journal.requeue([action.id], now=NOON)
    [again] = await claimed(journal)
    assert (again.resolve, again.request) == (True, b"request")


async def test_a_dead_append_blocks_nothing(journal: Journal) -> None:
    receipt, _ = await three_actions(journal)
    [create] = await claimed(journal)
    await deliver(journal, create)
    [append] = await claimed(journal)
    await die(journal, append)
    assert await statuses(journal, receipt) == ["delivered", "dead", "queued"]
    await journal.requeue([append.id], now=NOON)
    assert await statuses(journal, receipt) == ["delivered", "waiting", "queued"]


async def test_dropping_a_create_ends_its_followers_and_closes_its_incident(journal: Journal) -> None:
    receipt, incident = await three_actions(journal)
    more = a_receipt()
    await journal.accept(more)
    await journal.commit_processed([Processed(more.id, timers=(a_timer(incident, NOON),))])
    [create] = await claimed(journal)
    await die(journal, create)
    assert await journal.drop([create.id], now=NOON + 9, who="anna") == [create.id]
    assert await journal.drop([create.id], now=NOON + 9, who="anna") == []
    view = await journal.reader().receipt(receipt)
    assert view is not None
    assert [action.reason for action in view.actions] == [
        Reason.DROPPED_BY_OPERATOR,
        Reason.CREATE_DROPPED,
        Reason.CREATE_DROPPED,
    ]
    assert {action.status for action in view.actions} == {ActionStatus.DROPPED}
    stored = await journal.reader().incident(incident)
    assert stored is not None
    assert (stored.state, stored.closed_at, stored.version) == (IncidentState.CLOSED, NOON + 9, 1)
    known = await journal.know(Lookup(members=frozenset({("nagios", "db-1/disk")})), NOON)
    assert known.by_member == {}
    assert await journal.due_timers(now=NOON + DAY, limit=9) == []


async def test_creates_for_an_unseen_requester_go_one_at_a_time_until_one_is_delivered(journal: Journal) -> None:
    for number in range(4):
        incident = an_incident(f"key-{number}")
        await processed(journal, an_action(incident.id, requester=WHO), incident=incident)
    [first] = await claimed(journal)
    assert await claimed(journal) == []
    await begun(journal, first)
    await journal.finish_attempt(
        finished(first, ActionStatus.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, not_before=NOON + 90),
    )
    assert await claimed(journal) == []
    [again] = await claimed(journal, now=NOON + 90)
    assert again.id == first.id
    await deliver(journal, again)
    assert len(await claimed(journal)) == 3


async def test_other_requesters_and_other_helpdesks_do_not_wait(journal: Journal) -> None:
    for number, (who, helpdesk) in enumerate(
        [(WHO, "osticket"), ("b@x", "osticket"), (WHO, "zammad"), ("", "osticket")]
    ):
        incident = an_incident(f"key-{number}")
        await processed(journal, an_action(incident.id, requester=who, helpdesk=helpdesk), incident=incident)
    assert len(await claimed(journal)) == 3
    assert len(await journal.claim_actions("zammad", limit=9, now=NOON, lease=60)) == 1


async def test_parallel_claims_never_give_out_one_action_twice(journal: Journal) -> None:
    for number in range(30):
        incident = an_incident(f"key-{number}")
        await processed(journal, an_action(incident.id), incident=incident)
    groups = await asyncio.gather(*(claimed(journal, limit=4) for _ in range(10)))
    ids = [action.id for group in groups for action in group]
    assert len(ids) == len(set(ids)) == 30


async def test_what_is_due_longest_comes_first(journal: Journal) -> None:
    for number, queued_at in enumerate([NOON + 2, NOON, NOON + 1]):
        incident = an_incident(f"key-{number}")
        await processed(journal, an_action(incident.id, queued_at=queued_at), incident=incident)
    assert [action.queued_at for action in await claimed(journal, now=NOON + 9)] == [NOON, NOON + 1, NOON + 2]


async def test_pauses_before_an_action_was_queued_are_told(journal: Journal) -> None:
    assert await journal.helpdesk_state("osticket") == HelpdeskState("osticket")
    state = HelpdeskState("osticket", "https://x", NOON - 50, "key refused", 100.0, "root")
    await journal.save_helpdesk_state(state)
    assert await journal.helpdesk_state("osticket") == state
    assert await journal.reader().helpdesks() == [state]
    await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    assert action.paused_before == 150.0


async def test_attempts_are_shown_with_their_outcomes(journal: Journal) -> None:
    receipt = await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    await begun(journal, action)
    line = HistoryLine(NOON + 1, "rejected", Reason.REJECTED, action=action.id)
    await journal.finish_attempt(
        replace(finished(action, ActionStatus.DEAD, at=NOON + 1, reason=Reason.REJECTED), history=(line,)),
    )
    view = await journal.reader().receipt(receipt)
    assert view is not None
    [shown] = view.actions
    [attempt] = shown.attempts
    assert (attempt.outcome, attempt.reason, attempt.finished_at) == ("rejected", "rejected", NOON + 1)
    assert view.timeline[-1] == line


async def test_the_counts_tell_what_waits_where(journal: Journal) -> None:
    await three_actions(journal)
    await journal.accept(a_receipt(at=NOON + 5))
    counts = await journal.reader().counts()
    assert (counts.receipts_waiting, counts.oldest_receipt, counts.open_incidents) == (1, NOON + 5, 1)
    assert (counts.actions_waiting, counts.oldest_action) == ({"osticket": 3}, {"osticket": NOON})
    assert (counts.dead_receipts, counts.dead_actions, counts.blocked_actions) == (0, 0, 0)


async def pruned(journal: Journal, now: float, *, keep: float = DAY, limit: int = 100) -> int:
    return await journal.prune(now=now, keep=keep, keep_links=400 * DAY, limit=limit)


async def test_prune_deletes_finished_receipts_past_their_time_up_to_the_limit(journal: Journal) -> None:
    ids = [await processed(journal) for _ in range(5)]
    fresh = await processed(journal, at=NOON + DAY)
    assert await pruned(journal, NOON + DAY) == 0
    assert await pruned(journal, NOON + DAY + 1, limit=3) == 3
    assert await pruned(journal, NOON + DAY + 1) == 2
    assert [await journal.reader().receipt(name) for name in ids] == [None] * 5
    assert await journal.reader().receipt(fresh) is not None


async def test_prune_never_takes_unfinished_work_or_dead_letters(journal: Journal) -> None:
    unfinished, _ = await three_actions(journal)
    waiting, dead = a_receipt(), a_receipt()
    await journal.accept_all([waiting, dead])
    await journal.commit_processed([Processed(dead.id, dead=Reason.POISON)])
    lost = an_incident("lost")
    dead_action = await processed(journal, an_action(lost.id, queued_at=NOON - 1), incident=lost)
    [action, *_] = await claimed(journal)
    await die(journal, action)
    assert await pruned(journal, NOON + 99 * DAY) == 0
    for name in (unfinished, waiting.id, dead.id, dead_action):
        assert await journal.reader().receipt(name) is not None


async def test_prune_keeps_incidents_for_their_reopen_window_and_links_for_longer(journal: Journal) -> None:
    plan = a_plan(reopen_within=3 * DAY)
    closed = an_incident("a", state=IncidentState.CLOSED, closed_at=NOON, plan=plan.digest)
    linked = an_incident("b")
    opened = an_incident("c")
    await processed(journal, incident=closed, plan=plan)
    await processed(journal, an_action(linked.id), incident=linked)
    await processed(journal, incident=opened)
    [action] = await claimed(journal)
    await deliver(journal, action, ticket=a_ticket())
    receipt = a_receipt()
    await journal.accept(receipt)
    shut = replace(linked, state=IncidentState.CLOSED, closed_at=NOON, version=1)
    await journal.commit_processed([Processed(receipt.id, incidents=(IncidentChange(shut, 0),))])
    reader = journal.reader()
    await pruned(journal, NOON + 2 * DAY)
    assert await reader.incident(closed.id) is not None
    await pruned(journal, NOON + 3 * DAY + 1)
    assert await reader.incident(closed.id) is None
    await pruned(journal, NOON + 399 * DAY)
    kept = await reader.incident(linked.id)
    assert kept is not None
    assert kept.ticket == a_ticket()
    await pruned(journal, NOON + 401 * DAY)
    assert await reader.incident(linked.id) is None
    assert await reader.incident(opened.id) is not None


async def test_prune_keeps_event_keys_for_a_week(journal: Journal) -> None:
    receipt = a_receipt()
    await journal.accept(receipt)
    await journal.commit_processed([Processed(receipt.id, events=(a_record(an_event(duplicate_key="n")),))])
    asked = Lookup(duplicates=frozenset({("nagios", "n")}))
    assert await pruned(journal, NOON + 6 * DAY) == 1
    assert (await journal.know(asked, NOON)).duplicates == {("nagios", "n"): (receipt.id, 0)}
    await pruned(journal, NOON + 8 * DAY)
    assert (await journal.know(asked, NOON)).duplicates == {}


async def test_an_action_that_is_only_shown_keeps_its_request_and_marks_its_incident(journal: Journal) -> None:
    receipt, incident = await three_actions(journal)
    [create] = await claimed(journal)
    before = await journal.reader().incident(incident)
    shown = replace(
        finished(create, ActionStatus.SKIPPED, OutcomeKind.SKIPPED, reason=Reason.SHADOW, burnt=False),
        request=b'{"title": "disk full"}',
    )
    assert await journal.finish_attempt(shown)
    assert await statuses(journal, receipt) == ["skipped", "queued", "waiting"]
    assert await journal.reader().request(create.id) == b'{"title": "disk full"}'
    after = await journal.reader().incident(incident)
    assert before is not None
    assert after is not None
    assert (after.reasons, after.version) == ((*before.reasons, "shadow"), before.version + 1)
    [append] = await claimed(journal)
    shown = finished(append, ActionStatus.SKIPPED, OutcomeKind.SKIPPED, reason=Reason.SHADOW, burnt=False)
    assert await journal.finish_attempt(shown)
    assert await journal.reader().request(append.id) is None
    assert await journal.reader().incident(incident) == after
    view = await journal.reader().receipt(receipt)
    assert view is not None
    assert (view.actions[0].tries, view.actions[0].attempts) == (0, ())
    assert [line.remark for line in await journal.reader().receipts(limit=1)] == ["shadow"]
