"""What follows from how the ticket of an open incident stands in its helpdesk. Pure."""

from dataclasses import replace

from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.standing import Standing
from gateway.journal.protocol import HistoryLine, Noticed
from gateway.model.incident import Deed, Incident, Touch
from gateway.model.reasons import Reason

WHAT = "ticket"
"""What the lines of history are about."""


def noticed(incident: Incident, standing: Standing, now: float) -> Noticed:
    """What is to be written. ``incident`` is as it was before its ticket was read.

    Of an incident that is not closed we close no ticket: if it is closed, somebody else did that.
    """
    read = Noticed(incident, now, incident.touch)
    before = incident.touch
    if standing.ticket is None:
        if before is not None and before.deed is Deed.REMOVED:
            return read
        return _told(replace(read, touch=Touch(Deed.REMOVED, now)), Reason.TICKET_GONE, standing.detail)
    if incident.ticket is not None and standing.ticket.id != incident.ticket.id:
        detail = f"ticket {incident.ticket.number} was merged into ticket {standing.ticket.number}"
        moved = replace(standing.ticket, requester=incident.ticket.requester, anchor=incident.ticket.anchor)
        read = _told(replace(read, becomes=moved), Reason.TICKET_MOVED, detail)
    if standing.state is TicketState.CLOSED:
        if before is not None and before.deed is Deed.CLOSED:
            return read
        detail = f"ticket {standing.ticket.number}"
        return _told(replace(read, touch=Touch(Deed.CLOSED, now)), Reason.CLOSED_BY_HAND, detail)
    if before is not None and before.deed is not Deed.WORKED:
        deed = Touch(Deed.WORKED, now)  # whoever opened it again works on it
        return _told(replace(read, touch=deed), Reason.OPENED_BY_HAND, f"ticket {standing.ticket.number}")
    if before is None and standing.deeds:
        return _told(replace(read, touch=Touch(Deed.WORKED, now)), Reason.TOUCHED, "; ".join(standing.deeds))
    return read


def _told(read: Noticed, reason: Reason, detail: str) -> Noticed:
    line = HistoryLine(read.at, WHAT, reason, detail, incident=read.incident.id)
    return replace(read, history=(*read.history, line))
