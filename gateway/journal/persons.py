"""What is kept of persons at an incident's ticket, and its SQL."""

import sqlite3

from gateway.journal.protocol import Noticed
from gateway.journal.rows import clean, incidents_by_id, ticket_to_json, write_history
from gateway.model.action import ActionKind, Outcome, OutcomeKind
from gateway.model.incident import Deed, Incident, Touch
from gateway.model.reasons import Reason


def touch_after(kind: ActionKind, outcome: Outcome, before: Touch | None, at: float) -> Touch | None:
    """What a person did to the ticket, as far as the end of one of our actions tells it."""
    if outcome.kind is OutcomeKind.SKIPPED:
        if outcome.reason is Reason.CLOSED_BY_HAND:
            return before if before is not None and before.deed is Deed.CLOSED else Touch(Deed.CLOSED, at)
        return Touch(Deed.WORKED, at) if outcome.reason is Reason.TOUCHED else before
    if outcome.kind is not OutcomeKind.DELIVERED or before is None:
        return before
    opened = kind is ActionKind.REOPEN or not {Reason.CLOSED_BY_HAND, Reason.TICKET_REPLACED}.isdisjoint(outcome.flags)
    return None if opened else before


OPEN_TICKETS = """
SELECT id FROM incident
WHERE helpdesk = ? AND state != 'closed' AND ticket IS NOT NULL AND looked_at < ? ORDER BY looked_at, rowid LIMIT ?
"""
OF_TICKET = """
SELECT id FROM incident
WHERE state != 'closed' AND ticket IS NOT NULL AND helpdesk = :helpdesk AND json_extract(ticket, '$.id') = :ticket
UNION SELECT id FROM incident
WHERE state != 'closed' AND ticket IS NOT NULL AND helpdesk = :helpdesk AND json_extract(ticket, '$.number') = :ticket
"""
_LOOKED = "UPDATE incident SET looked_at = ? WHERE id = ?"
_TOUCH = "UPDATE incident SET touch = ?, touched_at = ? WHERE id = ?"
_STANDS = (
    "SELECT 1 FROM incident WHERE id = ? AND version = ? AND state != 'closed' AND json_extract(ticket, '$.id') = ?"
)
# A reopening that is a dead letter leaves the ticket closed by ourselves.
_UNDER_WAY = """
SELECT 1 FROM action WHERE incident = ?
    AND (status IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked') OR (kind = 'reopen' AND status = 'dead'))
"""


_ENDED_SINCE = """
SELECT 1 FROM action JOIN attempt ON attempt.action = action.id WHERE action.incident = ? AND attempt.finished_at >= ?
"""


def open_tickets(connection: sqlite3.Connection, helpdesk: str, limit: int, looked_before: float) -> list[Incident]:
    """Those whose ticket was not looked at for longest."""
    ids = [row[0] for row in connection.execute(OPEN_TICKETS, (helpdesk, looked_before, limit))]
    found = incidents_by_id(connection, ids)
    return [found[one] for one in ids]


def incidents_of_ticket(connection: sqlite3.Connection, helpdesk: str, ticket: str) -> list[Incident]:
    """By the ticket's id or number."""
    asked = {"helpdesk": helpdesk, "ticket": clean(ticket)}
    ids = sorted(row[0] for row in connection.execute(OF_TICKET, asked))
    found = incidents_by_id(connection, ids)
    return [found[one] for one in ids if (ref := found[one].ticket) is not None and ref.helpdesk in {"", helpdesk}]


def notice(connection: sqlite3.Connection, noticed: Noticed) -> bool:
    """Write what was read, if the incident still stands as it did before."""
    incident = noticed.incident
    connection.execute(_LOOKED, (noticed.at, incident.id))
    ticket = incident.ticket.id if incident.ticket is not None else ""
    if connection.execute(_STANDS, (incident.id, incident.version, ticket)).fetchone() is None:
        return False
    if connection.execute(_UNDER_WAY, (incident.id,)).fetchone() is not None:
        return False
    if connection.execute(_ENDED_SINCE, (incident.id, noticed.began)).fetchone() is not None:
        return False
    put_touch(connection, incident.id, noticed.touch)
    if noticed.becomes is not None:
        connection.execute(
            "UPDATE incident SET ticket = ? WHERE id = ?", (ticket_to_json(noticed.becomes), incident.id)
        )
    write_history(connection, noticed.history)
    return True


def put_touch(connection: sqlite3.Connection, incident: str, touch: Touch | None) -> None:
    """Write what a person did last, or that nobody did anything."""
    word, at = (touch.deed.value, touch.at) if touch is not None else ("", 0.0)
    connection.execute(_TOUCH, (word, at, incident))


def learn(connection: sqlite3.Connection, incident: str, kind: ActionKind, outcome: Outcome, at: float) -> None:
    """Write what the end of an action tells of persons."""
    row = connection.execute("SELECT touch, touched_at FROM incident WHERE id = ?", (incident,)).fetchone()
    if row is None:
        return
    before = Touch(Deed(row[0]), row[1]) if row[0] else None
    after = touch_after(kind, outcome, before, at)
    if after != before:
        put_touch(connection, incident, after)
