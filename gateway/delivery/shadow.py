"""What is told of an action that is only shown: what would have been done. Pure."""

from gateway.model.action import Action, ActionKind, Outcome, OutcomeKind
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason

_WOULD = {
    ActionKind.CREATE: "created a ticket",
    ActionKind.APPEND: "added to",
    ActionKind.CLOSE: "closed",
    ActionKind.REOPEN: "reopened",
    ActionKind.UPDATE: "changed",
}


NUMBER = "NUMBER"
"""Stands for a ticket's number, which only the helpdesk can give."""


def imagined(action: Action, fingerprint: str) -> TicketRef:
    """The ticket that an action would have been for, had it been made."""
    return TicketRef(action.helpdesk, NUMBER, NUMBER, requester=action.requester, fingerprint=fingerprint)


def shown(action: Action, helpdesk: str) -> Outcome:
    """The outcome of an action whose helpdesk is in shadow mode: the call is not made."""
    what = _WOULD[action.kind]
    if action.kind is not ActionKind.CREATE:
        number = action.ticket.number if action.ticket is not None else NUMBER
        what += " the ticket" if number == NUMBER else f" ticket {number}"
    return Outcome(OutcomeKind.SKIPPED, Reason.SHADOW, f"would have {what} in {helpdesk}: {action.draft.title}")


def without_ticket() -> Outcome:
    """The outcome of an action for a ticket that was never made."""
    return Outcome(OutcomeKind.SKIPPED, Reason.NO_TICKET, "its ticket was never made")


def left_open() -> Outcome:
    """The outcome of looking, in shadow mode, at an action that may have been written before that."""
    return Outcome(
        OutcomeKind.UNKNOWN, Reason.SHADOW, "it may have been written; looked up when the helpdesk is live again"
    )
