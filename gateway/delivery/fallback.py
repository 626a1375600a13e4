"""When a ticket may be made at another helpdesk: only if it is proven that this one has written nothing. Pure."""

from collections.abc import Callable

from gateway.delivery.schedule import Next
from gateway.model.action import Action, ActionKind, ActionStatus, Outcome, OutcomeKind

WROTE_NOTHING = frozenset(
    {OutcomeKind.NOT_SENT, OutcomeKind.REJECTED, OutcomeKind.HELPDESK_DOWN, OutcomeKind.AUTH_BROKEN}
)
"""Outcomes of a call that prove it."""


def fallback_of(action: Action, reachable: Callable[[str], bool]) -> str:
    """The helpdesk that an action may fall back to; empty: none. ``reachable`` is true for helpdesks that are configured.

    Only a create without a ticket may: what belongs to a ticket must go where that ticket is.
    """
    if action.kind is not ActionKind.CREATE or action.ticket is not None:
        return ""
    return next((name for name in action.fallbacks if reachable(name)), "")


def has_waited(action: Action, *, now: float, paused_total: float) -> bool:
    """True if its turn at the fallback has come. ``paused_total``: seconds of the helpdesk's pauses that are over.

    Those in its life do not count, like for its age; a pause that lasts because credentials are refused does.
    """
    stood = max(0.0, paused_total - action.paused_before)
    return action.falls_back_after is not None and now - action.queued_at - stood >= action.falls_back_after


def falls_back(outcome: Outcome, following: Next, *, looked_up: bool, waited: bool) -> bool:
    """Whether a create with this outcome goes to its fallback in place of what would follow.

    ``looked_up``: the outcome is that of a look-up; then only its proof of absence counts. ``waited``: see `has_waited`.
    """
    proven = following.call_again if looked_up else outcome.kind in WROTE_NOTHING
    if not proven or following.degraded is not None:
        return False
    return waited or following.status is ActionStatus.DEAD
