"""What every journal promises of incidents that fall back to another helpdesk."""

from dataclasses import replace

import pytest

from gateway.journal.protocol import (
    CommitResult,
    FinishedAttempt,
    HelpdeskState,
    IncidentChange,
    Journal,
    Processed,
)
from gateway.model.action import Action, ActionKind, ActionStatus, Elsewhere, NewAction, Outcome, OutcomeKind
from gateway.model.incident import Incident
from gateway.model.reasons import Reason
from tests.journal.builders import (
    NOON,
    a_receipt,
    a_ticket,
    an_action,
    an_incident,
    begun,
    claimed,
    deliver,
    die,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio

AFTER = 900.0


def with_fallbacks(action: NewAction, *helpdesks: str, kinds: tuple[ActionKind, ...] = ()) -> NewAction:
    """The action with what is done in its place: the same, or these kinds."""
    others = tuple(
        Elsewhere(
            name,
            f"plan of {name}",
            AFTER,
            tuple(
                an_action(action.incident, kind, sequence=action.sequence, helpdesk=name, queued_at=action.queued_at)
                for kind in kinds or (action.kind,)
            ),
        )
        for name in helpdesks
    )
    return replace(action, elsewhere=others)


async def an_incident_that_waits(
    journal: Journal, *followers: ActionKind, helpdesks: tuple[str, ...] = ("other",)
) -> tuple[str, Incident]:
    incident = an_incident(plan="plan of osticket")
    actions = [with_fallbacks(an_action(incident.id, requester="me@x"), *helpdesks)]
    for number, kind in enumerate(followers):
        actions.append(with_fallbacks(an_action(incident.id, kind, sequence=2 + number), *helpdesks))
    return await processed(journal, *actions, incident=incident), incident


def fallen(action: Action, to: str = "other", *, at: float = NOON + 5) -> FinishedAttempt:
    outcome = Outcome(OutcomeKind.REJECTED, Reason.REJECTED, "no such group")
    return FinishedAttempt(action.id, action.fence, at, outcome, ActionStatus.SKIPPED, falls_back_to=to)


async def stands(journal: Journal, receipt: str) -> list[tuple[str, str, str]]:
    view = await journal.reader().receipt(receipt)
    assert view is not None
    return [(one.helpdesk, one.kind.value, one.status.value) for one in view.actions]


async def test_an_incident_falls_back_with_all_that_waits_in_its_order(journal: Journal) -> None:
    receipt, incident = await an_incident_that_waits(journal, ActionKind.APPEND, ActionKind.CLOSE)
    [create] = await claimed(journal)
    assert (create.fallbacks, create.falls_back_after) == (("other",), AFTER)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create))
    moved = await journal.reader().incident(incident.id)
    assert moved is not None
    assert (moved.helpdesk, moved.plan, moved.version) == ("other", "plan of other", 1)
    assert await stands(journal, receipt) == [
        ("osticket", "create", "skipped"),
        ("osticket", "append", "skipped"),
        ("osticket", "close", "skipped"),
        ("other", "create", "queued"),
        ("other", "append", "waiting"),
        ("other", "close", "waiting"),
    ]
    view = await journal.reader().receipt(receipt)
    assert view is not None
    assert {one.reason for one in view.actions[:3]} == {Reason.FELL_BACK}
    assert view.actions[0].detail == "to other: no such group"
    assert view.actions[1].detail == "from osticket to other, with its ticket"
    assert view.actions[0].attempts[0].outcome == "rejected"
    assert [line.detail for line in view.timeline if line.what == "fell_back"] == [view.actions[1].detail] * 2
    assert await claimed(journal, now=NOON + 9) == []
    for kind in (ActionKind.CREATE, ActionKind.APPEND, ActionKind.CLOSE):
        [action] = await journal.claim_actions("other", limit=9, now=NOON + 9, lease=60)
        assert (action.kind, action.queued_at, action.tries) == (kind, NOON + 5, 0)
        assert action.ticket == (a_ticket() if kind is not ActionKind.CREATE else None)
        assert await deliver(journal, action, ticket=a_ticket() if kind is ActionKind.CREATE else None)


async def test_what_does_not_hold_the_fence_moves_nothing(journal: Journal) -> None:
    receipt, incident = await an_incident_that_waits(journal, ActionKind.APPEND)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert not await journal.finish_attempt(replace(fallen(create), fence=create.fence + 1))
    assert await stands(journal, receipt) == [("osticket", "create", "in_flight"), ("osticket", "append", "waiting")]
    kept = await journal.reader().incident(incident.id)
    assert kept is not None
    assert (kept.helpdesk, kept.version) == ("osticket", 0)


async def test_it_falls_back_once(journal: Journal) -> None:
    receipt, _ = await an_incident_that_waits(journal)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create))
    assert not await journal.finish_attempt(fallen(create))
    assert len(await stands(journal, receipt)) == 2


async def test_who_still_believes_in_the_old_helpdesk_correlates_again(journal: Journal) -> None:
    _, incident = await an_incident_that_waits(journal)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create))
    late = a_receipt(b"late")
    await journal.accept(late, claim=True)
    append = an_action(incident.id, ActionKind.APPEND, sequence=2)
    change = IncidentChange(replace(incident, version=1), 0)
    [result] = await journal.commit_processed([Processed(late.id, incidents=(change,), actions=(append,))])
    assert result is CommitResult.CONFLICT


async def test_from_fallback_to_fallback(journal: Journal) -> None:
    receipt, incident = await an_incident_that_waits(journal, ActionKind.APPEND, helpdesks=("second", "third"))
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create, "second"))
    [create] = await journal.claim_actions("second", limit=9, now=NOON + 9, lease=60)
    assert create.fallbacks == ("third",)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create, "third"))
    assert await stands(journal, receipt) == [
        ("osticket", "create", "skipped"),
        ("osticket", "append", "skipped"),
        ("second", "create", "skipped"),
        ("second", "append", "skipped"),
        ("third", "create", "queued"),
        ("third", "append", "waiting"),
    ]
    moved = await journal.reader().incident(incident.id)
    assert moved is not None
    assert (moved.helpdesk, moved.plan, moved.version) == ("third", "plan of third", 2)
    [create] = await journal.claim_actions("third", limit=9, now=NOON + 9, lease=60)
    assert (create.fallbacks, create.falls_back_after) == ((), None)


async def test_one_action_may_be_several_there_and_several_one(journal: Journal) -> None:
    incident = an_incident()
    whole = with_fallbacks(an_action(incident.id), "other", kinds=(ActionKind.CREATE, ActionKind.APPEND))
    part = an_action(incident.id, ActionKind.APPEND, sequence=2)
    part = replace(part, elsewhere=(Elsewhere("other", "plan of other", AFTER),))
    note = with_fallbacks(an_action(incident.id, ActionKind.APPEND, sequence=3), "other", kinds=(ActionKind.UPDATE,))
    receipt = await processed(journal, whole, part, note, incident=incident)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create))
    assert (await stands(journal, receipt))[3:] == [
        ("other", "create", "queued"),
        ("other", "append", "waiting"),
        ("other", "update", "waiting"),
    ]


async def test_a_follow_up_of_other_rules_is_told_at_the_fallback_too(journal: Journal) -> None:
    incident = an_incident()
    create = with_fallbacks(an_action(incident.id), "other")
    receipt = await processed(journal, create, an_action(incident.id, ActionKind.CLOSE, sequence=2), incident=incident)
    [claim] = await claimed(journal)
    assert await begun(journal, claim)
    assert await journal.finish_attempt(fallen(claim))
    assert (await stands(journal, receipt))[-1] == ("other", "append", "waiting")
    [there] = await journal.claim_actions("other", limit=9, now=NOON + 9, lease=60)
    assert await deliver(journal, there, ticket=a_ticket())
    [told] = await journal.claim_actions("other", limit=9, now=NOON + 9, lease=60)
    assert (told.draft.text, dict(told.draft.fields)) == ("The disk is full.", {})
    assert Reason.FELL_BACK in told.draft.reasons


async def test_what_a_dead_create_had_blocked_goes_with_it_when_it_is_retried_and_refused(journal: Journal) -> None:
    receipt, _ = await an_incident_that_waits(journal, ActionKind.APPEND)
    [create] = await claimed(journal)
    assert await die(journal, create)
    assert await stands(journal, receipt) == [("osticket", "create", "dead"), ("osticket", "append", "blocked")]
    assert await journal.requeue([create.id], now=NOON + 10) == [create.id]
    [create] = await claimed(journal, now=NOON + 10)
    assert await begun(journal, create)
    assert await journal.finish_attempt(fallen(create))
    assert (await stands(journal, receipt))[2:] == [("other", "create", "queued"), ("other", "append", "waiting")]


async def overdue(journal: Journal, now: float, paused_total: float = 0.0) -> list[Action]:
    return await journal.claim_overdue("osticket", limit=9, now=now, lease=60, paused_total=paused_total)


async def test_a_create_is_overdue_when_it_has_waited_for_after_whether_it_may_be_called_or_not(
    journal: Journal,
) -> None:
    receipt, _ = await an_incident_that_waits(journal, ActionKind.APPEND)
    await processed(journal, an_action(an_incident("lone").id))  # has no fallback
    assert await overdue(journal, NOON + AFTER - 1) == []
    [create] = [one for one in await claimed(journal) if one.fallbacks]
    assert await begun(journal, create)
    later = finished(create, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT, not_before=NOON + 1e6)
    assert await journal.finish_attempt(later)
    [late] = await overdue(journal, NOON + AFTER)
    assert late.id == create.id
    assert await overdue(journal, NOON + AFTER) == []  # it is claimed
    await journal.release_action(late.id, fence=late.fence)
    [late] = await overdue(journal, NOON + AFTER)
    outcome = Outcome(OutcomeKind.SKIPPED, Reason.FELL_BACK, "not taken within 15m")
    moved = replace(fallen(late), outcome=outcome)
    assert await journal.finish_attempt(moved)
    assert not await journal.finish_attempt(moved)
    assert (await stands(journal, receipt))[2:] == [("other", "create", "queued"), ("other", "append", "waiting")]
    view = await journal.reader().receipt(receipt)
    assert view is not None
    assert [attempt.outcome for attempt in view.actions[0].attempts] == ["not_sent"]


async def test_pauses_that_are_over_do_not_count_for_it(journal: Journal) -> None:
    await journal.save_helpdesk_state(HelpdeskState("osticket", paused_total=50.0))
    await an_incident_that_waits(journal)
    assert await overdue(journal, NOON + AFTER + 99, paused_total=150.0) == []
    assert len(await overdue(journal, NOON + AFTER + 100, paused_total=150.0)) == 1


@pytest.mark.parametrize("status", [ActionStatus.UNKNOWN, ActionStatus.QUEUED])
async def test_while_an_outcome_is_not_known_nothing_is_overdue(journal: Journal, status: ActionStatus) -> None:
    await an_incident_that_waits(journal)
    [create] = await claimed(journal)
    assert await begun(journal, create)
    assert await overdue(journal, NOON + 1e6) == []  # in flight
    doubt = finished(create, status, OutcomeKind.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, not_before=NOON + 9)
    assert await journal.finish_attempt(doubt)
    assert await overdue(journal, NOON + 1e6) == []
    [again] = await claimed(journal, now=NOON + 9)
    assert again.resolve
    assert await begun(journal, again)
    proof = finished(again, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT, not_before=NOON + 99)
    assert await journal.finish_attempt(proof)
    assert len(await overdue(journal, NOON + 1e6)) == 1
