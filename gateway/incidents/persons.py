"""What a person did to a ticket, and what that does to our follow-ups. Pure.

People close tickets while the problem lasts, answer in them, take them over. What a rule says of that goes with each follow-up
(`gateway.model.action.TicketDraft`), and the connector, which reads the ticket before it writes to it, acts upon it: so it holds
for what is true at that moment, and after a crash it is asked anew.
"""

from dataclasses import replace

from gateway.incidents.transition import Purpose, Wish
from gateway.model.action import ActionKind, ClosedByHand, TicketDraft
from gateway.model.event import Kind
from gateway.model.plan import Policy

_LASTS = frozenset({Purpose.REPEAT, Purpose.WORSE, Purpose.JOINED, Purpose.ESCALATION, Purpose.FLAPPING})
"""What says that the problem lasts: only that may open a ticket again, or make a new one."""
_NEWS = frozenset({Purpose.WORSE, Purpose.JOINED})
"""What who closed the ticket did not know yet."""
_REPORTS = frozenset({Kind.INFORMATION, Kind.RAW})


def with_rules(draft: TicketDraft, wish: Wish, kind: Kind, policy: Policy) -> TicketDraft:
    """The draft with what is to be done if a person was there before. ``kind`` is that of the event that it tells of."""
    return replace(
        draft,
        only_if_untouched=policy.only_if_untouched and wish.kind is ActionKind.CLOSE,
        closed_by_hand=when_closed(wish, kind, policy),
    )


def when_closed(wish: Wish, kind: Kind, policy: Policy) -> ClosedByHand:
    """What becomes of a follow-up if a person has closed the ticket.

    A rule that stays quiet speaks of a problem that is known. What is worse than any before, or joins a group, is not known yet;
    and a report, of which nobody will say that it is over, is each time a new one: these open the ticket again.
    """
    said = policy.closed_by_hand
    if not said or wish.reopen or wish.kind in {ActionKind.CREATE, ActionKind.REOPEN}:
        return ""
    if said == "stay_quiet":
        return "reopen" if wish.purpose in _NEWS or kind in _REPORTS else "stay_quiet"
    return said if wish.purpose in _LASTS else ""
