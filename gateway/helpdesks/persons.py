"""What connectors say alike where a person was there before us."""

import html as markup
from dataclasses import replace

from gateway.helpdesks.protocol import Order
from gateway.model.action import ActionKind, ClosedByHand, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason


def closed_by_hand(order: Order) -> ClosedByHand:
    """What becomes of an order if its ticket is closed. A close of ours that broke off may have closed it: that was no person."""
    if order.kind is ActionKind.CLOSE and order.doubtful:
        return ""
    return order.draft.closed_by_hand


def follows_on(before: TicketRef, *, gone: bool) -> str:
    """The line by which a new ticket names the one whose place it takes."""
    why = "is not there any more" if gone else "was closed by hand while the problem lasts"
    where = f" ({before.url})" if before.url else ""
    return f"This goes on from ticket {before.number}{where}, which {why}."


def skipped(written: Outcome, reason: Reason, detail: str) -> Outcome:
    """What was asked for is not done, and a note that says so was ``written`` in its place; or what became of the note."""
    if written.kind is not OutcomeKind.DELIVERED:
        return written
    return replace(written, kind=OutcomeKind.SKIPPED, reason=reason, detail=detail)


def with_line(draft: TicketDraft, line: str) -> TicketDraft:
    """The draft with one more line before all others; the same where there is none."""
    if not line:
        return draft
    html = f"<p>{markup.escape(line)}</p>{draft.html}" if draft.html.strip() else draft.html
    return replace(draft, text=f"{line}\n\n{draft.text}", html=html)
