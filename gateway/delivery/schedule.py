"""What follows from an outcome: pure, so that every row can be read and tested."""

from dataclasses import dataclass

from gateway.config.models import Limits
from gateway.helpdesks.protocol import Certainty
from gateway.model.action import Action, ActionStatus, Outcome, OutcomeKind
from gateway.model.reasons import Reason

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: a longer wish of a helpdesk is cut to this (RFC 9110, 10.2.3, sets no bound)."""


@dataclass(frozen=True, slots=True)
class Next:
    """What an action is after an attempt.

    ``not_before`` matters for QUEUED and UNKNOWN. ``degraded`` is set where a refused field is left out from now on.
    ``call_again``: the look-up proved that nothing was written, so the next attempt may call.
    """

    status: ActionStatus
    reason: Reason
    not_before: float = 0.0
    degraded: tuple[str, ...] | None = None
    call_again: bool = False


def pause_before(tries: int, limits: Limits, draw: float) -> float:
    """Seconds to wait after the ``tries``-th attempt: full jitter over a doubling bound.

    ``draw`` is a random number from [0, 1). The bound starts at ``limits.retry_first`` and never passes
    ``limits.retry_most``; a tenth of it is always waited, so that a burst of failures does not come back at once.
    """
    bound = min(limits.retry_most, limits.retry_first * 2.0 ** min(max(tries - 1, 0), 32))
    return bound * (0.1 + 0.9 * draw)


def too_old(action: Action, limits: Limits, *, now: float, paused: float) -> bool:
    """True if the action has waited longer than ``limits.max_age``, the time that its helpdesk was paused not counted.

    ``paused`` are the seconds its helpdesk was paused since the action was queued.
    """
    return now - action.queued_at - paused > limits.max_age


def after_call(
    action: Action,
    outcome: Outcome,
    limits: Limits,
    *,
    certainty: Certainty,
    on_unknown: str,
    now: float,
    resolve_at: float,
    draw: float,
) -> Next:
    """What follows from the outcome of a call that was not a look-up."""
    later = now + max(pause_before(action.tries + 1, limits, draw), _wish(outcome))
    match outcome.kind:
        case OutcomeKind.DELIVERED:
            return Next(ActionStatus.DELIVERED, outcome.reason)
        case OutcomeKind.SKIPPED:
            return Next(ActionStatus.SKIPPED, outcome.reason)
        case OutcomeKind.NOT_SENT | OutcomeKind.HELPDESK_DOWN | OutcomeKind.AUTH_BROKEN:
            return Next(ActionStatus.QUEUED, outcome.reason, later)
        case OutcomeKind.REJECTED:
            return _rejected(action, outcome, now)
        case OutcomeKind.UNKNOWN if certainty is Certainty.NONE and on_unknown == "resend":
            return Next(ActionStatus.QUEUED, Reason.POSSIBLE_DUPLICATE, max(resolve_at, later))
        case OutcomeKind.UNKNOWN if certainty is Certainty.NONE:
            return Next(ActionStatus.DEAD, Reason.UNKNOWN_OUTCOME)
        case OutcomeKind.UNKNOWN:
            return Next(ActionStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME, max(resolve_at, now + _wish(outcome)))


def after_look_up(
    action: Action,
    outcome: Outcome,
    limits: Limits,
    *,
    certainty: Certainty,
    now: float,
    resolve_at: float,
    draw: float,
) -> Next:
    """What follows from a look-up. Whatever is not proof of presence or absence is looked up again, never resent."""
    later = now + max(pause_before(action.tries + 1, limits, draw), _wish(outcome))
    match outcome.kind:
        case OutcomeKind.DELIVERED:
            return Next(ActionStatus.DELIVERED, outcome.reason)
        case OutcomeKind.SKIPPED:
            return Next(ActionStatus.SKIPPED, outcome.reason)
        case OutcomeKind.NOT_SENT if certainty in {Certainty.STRONG_LOOKUP, Certainty.EVENTUAL_LOOKUP}:
            return Next(ActionStatus.UNKNOWN, Reason.NOT_SENT, now, call_again=True)
        case OutcomeKind.NOT_SENT | OutcomeKind.HELPDESK_DOWN | OutcomeKind.AUTH_BROKEN:
            return Next(ActionStatus.UNKNOWN, outcome.reason, later)
        case OutcomeKind.REJECTED:
            return _rejected(action, outcome, now)
        case OutcomeKind.UNKNOWN:
            return Next(ActionStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME, max(resolve_at, later))


def _rejected(action: Action, outcome: Outcome, now: float) -> Next:
    fresh = tuple(name for name in outcome.degrade if name not in action.degraded)
    if fresh and not action.degraded and not action.resolve:
        return Next(ActionStatus.QUEUED, Reason.FIELD_REFUSED, now, degraded=fresh)
    return Next(ActionStatus.DEAD, Reason.REJECTED)


def _wish(outcome: Outcome) -> float:
    return min(max(outcome.retry_after or 0.0, 0.0), LONGEST_RETRY_AFTER)
