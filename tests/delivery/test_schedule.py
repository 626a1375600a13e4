"""What follows from an outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import Limits
from gateway.delivery.schedule import LONGEST_RETRY_AFTER, Next, after_call, after_look_up, pause_before, too_old
from gateway.helpdesks.protocol import Certainty
from gateway.model.action import Action, ActionKind, ActionStatus, Outcome, OutcomeKind, TicketDraft
from gateway.model.reasons import Reason

LIMITS = Limits.model_validate({"retry_first": "5s", "retry_most": "1h", "max_age": "7d"})
NOW = 1_000_000.0
PROVEN = [OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN, OutcomeKind.AUTH_BROKEN]


def action(*, tries: int = 0, resolve: bool = False, degraded: tuple[str, ...] = (), queued_at: float = NOW) -> Action:
    return Action(
        id="a",
        incident="i",
        helpdesk="desk",
        kind=ActionKind.CREATE,
        marker="m",
        route="r",
        sequence=1,
        draft=TicketDraft("t", "x"),
        requester="",
        status=ActionStatus.UNKNOWN if resolve else ActionStatus.QUEUED,
        fence=1,
        tries=tries,
        queued_at=queued_at,
        not_before=0.0,
        ticket=None,
        degraded=degraded,
        resolve=resolve,
    )


def called(
    of: Action, outcome: Outcome, certainty: Certainty = Certainty.IDEMPOTENT_MAIL, on_unknown: str = "dead_letter"
) -> Next:
    return after_call(
        of, outcome, LIMITS, certainty=certainty, on_unknown=on_unknown, now=NOW, resolve_at=NOW + 90, draw=0.5
    )


def looked_up(of: Action, outcome: Outcome, certainty: Certainty = Certainty.IDEMPOTENT_MAIL) -> Next:
    return after_look_up(of, outcome, LIMITS, certainty=certainty, now=NOW, resolve_at=NOW + 90, draw=0.5)


@pytest.mark.parametrize("kind", PROVEN)
def test_what_is_proven_to_have_written_nothing_is_called_again_later(kind: OutcomeKind) -> None:
    following = called(action(), Outcome(kind, Reason.NOT_SENT))
    assert following.status is ActionStatus.QUEUED
    assert following.not_before > NOW


def test_an_unknown_outcome_is_looked_up_and_not_before_it_has_settled() -> None:
    following = called(action(), Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME))
    assert following == Next(ActionStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME, NOW + 90)


def test_without_any_look_up_an_unknown_outcome_waits_for_a_person() -> None:
    following = called(action(), Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME), Certainty.NONE)
    assert following.status is ActionStatus.DEAD


def test_without_any_look_up_a_resend_that_is_asked_for_is_flagged_as_possible_duplicate() -> None:
    following = called(action(), Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME), Certainty.NONE, "resend")
    assert (following.status, following.reason) == (ActionStatus.QUEUED, Reason.POSSIBLE_DUPLICATE)
    assert following.not_before >= NOW + 90


@pytest.mark.parametrize("kind", [*PROVEN, OutcomeKind.UNKNOWN])
def test_a_look_up_by_idempotent_mail_that_fails_is_repeated_and_never_followed_by_a_call(kind: OutcomeKind) -> None:
    following = looked_up(action(resolve=True), Outcome(kind, Reason.NOT_SENT))
    assert following.status is ActionStatus.UNKNOWN
    assert not following.call_again


def test_a_look_up_that_proves_absence_lets_the_next_attempt_call() -> None:
    following = looked_up(action(resolve=True), Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT), Certainty.STRONG_LOOKUP)
    assert following.call_again


def test_a_refused_field_is_left_out_once_and_then_the_action_is_a_dead_letter() -> None:
    refused = Outcome(OutcomeKind.REJECTED, Reason.REJECTED, degrade=("phone",))
    once = called(action(), refused)
    assert (once.status, once.degraded) == (ActionStatus.QUEUED, ("phone",))
    assert called(action(degraded=("phone",)), refused).status is ActionStatus.DEAD
    assert called(action(), Outcome(OutcomeKind.REJECTED, Reason.REJECTED)).status is ActionStatus.DEAD


def test_after_an_unknown_outcome_a_rejection_never_leads_back_to_the_first_call() -> None:
    refused = Outcome(OutcomeKind.REJECTED, Reason.REJECTED, degrade=("phone",))
    assert looked_up(action(resolve=True), refused).status is ActionStatus.DEAD


@given(st.integers(0, 100_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_with_jitter_and_never_pass_their_bound(tries: int, draw: float) -> None:
    pause = pause_before(tries, LIMITS, draw)
    assert 0.5 <= pause <= 3600.0
    assert pause <= 5.0 * 2.0 ** min(max(tries - 1, 0), 20)


def test_the_helpdesks_wish_to_wait_is_honoured_up_to_an_hour() -> None:
    wish = called(action(), Outcome(OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED, retry_after=600.0))
    assert wish.not_before == NOW + 600.0
    absurd = called(action(), Outcome(OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED, retry_after=1e9))
    assert absurd.not_before == NOW + LONGEST_RETRY_AFTER


def test_age_stands_still_while_the_helpdesk_is_paused() -> None:
    week = 7 * 86400.0
    old = action(queued_at=NOW - week - 60)
    assert too_old(old, LIMITS, now=NOW, paused=0.0)
    assert not too_old(old, LIMITS, now=NOW, paused=120.0)
