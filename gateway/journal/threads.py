"""Mails of incidents and who takes part in them: the SQL of what correlation asks about threads, and of what it keeps."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from gateway.journal.protocol import MOST_MAILS, MOST_PARTICIPANTS, KnownThreads, MailTaken, ThreadLookup
from gateway.journal.rows import clean, dumps
from gateway.model.incident import Incident, IncidentState

_BY_MAIL = """
SELECT mail.source, mail.message_id, mail.incident
FROM json_each(?) AS wanted CROSS JOIN mail
    ON mail.source = json_extract(wanted.value, '$[0]') AND mail.message_id = json_extract(wanted.value, '$[1]')
ORDER BY mail.number DESC
"""
_BY_MARKER = "SELECT marker, incident FROM action WHERE marker IN (SELECT value FROM json_each(?))"
# Every incident of such a number, the open ones and then the newest first. A ticket has few: more than that is not asked.
_BY_TICKET = """
SELECT helpdesk, json_extract(ticket, '$.number'), id FROM incident
WHERE ticket IS NOT NULL AND json_extract(ticket, '$.number') IN (SELECT value FROM json_each(?))
ORDER BY state = 'closed', opened_at DESC, id DESC LIMIT 1000
"""
_EXIST = "SELECT id FROM incident WHERE id IN (SELECT value FROM json_each(?))"
_PARTICIPANTS = "SELECT incident, address FROM participant WHERE incident IN (SELECT value FROM json_each(?))"
_OPEN_KEYS = "SELECT key FROM incident WHERE key IN (SELECT value FROM json_each(?)) AND state != 'closed'"

Named = tuple[
    Mapping[tuple[str, str], Sequence[str]], Mapping[str, str], Mapping[tuple[str, str], Sequence[str]], frozenset[str]
]
"""Ids of incidents by mail, by marker, by ticket; and all of them, with those that were asked for by their ids."""


def named(connection: sqlite3.Connection, lookup: ThreadLookup | None) -> Named:
    """The ids of the incidents that a lookup is about."""
    if lookup is None:
        return {}, {}, {}, frozenset()
    mails: dict[tuple[str, str], list[str]] = {}
    if lookup.mails:
        wanted = dumps([(source, clean(name)) for source, name in lookup.mails]).decode()
        for source, message_id, incident in connection.execute(_BY_MAIL, (wanted,)):
            mails.setdefault((source, message_id), []).append(incident)
    markers = _pairs(connection.execute(_BY_MARKER, (_list(lookup.markers),))) if lookup.markers else {}
    tickets: dict[tuple[str, str], list[str]] = {}
    if lookup.tickets:
        numbers = {clean(number) for _, number in lookup.tickets}
        for helpdesk, number, incident in connection.execute(_BY_TICKET, (_list(numbers),)):
            if (helpdesk, number) in lookup.tickets:
                tickets.setdefault((helpdesk, number), []).append(incident)
    signed = {row[0] for row in connection.execute(_EXIST, (_list(lookup.incidents),))} if lookup.incidents else set()
    groups = (*mails.values(), *tickets.values(), markers.values(), signed)
    return mails, markers, tickets, frozenset(name for group in groups for name in group)


def known(connection: sqlite3.Connection, found: Named, incidents: Mapping[str, Incident]) -> KnownThreads:
    """The whole answer, with the incidents as they were read."""
    mails, markers, tickets, ids = found
    if not ids:
        return KnownThreads()
    participants: dict[str, set[str]] = {}
    for incident, address in connection.execute(_PARTICIPANTS, (_list(ids),)):
        participants.setdefault(incident, set()).add(address)
    mine = {name: incidents[name] for name in ids if name in incidents}
    closed = [incident.key for incident in mine.values() if incident.state is IncidentState.CLOSED]
    open_keys = frozenset(row[0] for row in connection.execute(_OPEN_KEYS, (_list(closed),))) if closed else frozenset()
    return KnownThreads(
        incidents=mine,
        mails={key: tuple(group) for key, group in mails.items()},
        markers=dict(markers),
        tickets={key: tuple(group) for key, group in tickets.items()},
        participants={name: frozenset(group) for name, group in participants.items()},
        open_keys=open_keys,
    )


def _list(values: Iterable[str]) -> str:
    return dumps([clean(value) for value in values]).decode()


def _pairs(rows: Iterable[sqlite3.Row]) -> dict[str, str]:
    return {row[0]: row[1] for row in rows if row[1]}


_INSERT_MAIL = "INSERT OR IGNORE INTO mail (source, message_id, incident) VALUES (?, ?, ?)"
_TRIM_MAILS = """
DELETE FROM mail WHERE number IN (
    SELECT number FROM mail WHERE incident = ?1 ORDER BY number DESC LIMIT -1 OFFSET ?2)
"""
_COUNT = "SELECT count(*) FROM participant WHERE incident = ?"
_INSERT_PARTICIPANT = "INSERT OR IGNORE INTO participant (incident, address) VALUES (?, ?)"


def write(connection: sqlite3.Connection, taken: MailTaken) -> None:
    """Remember a mail that an incident took in, and who takes part by it; within the bounds of an incident."""
    if taken.message_id:
        connection.execute(_INSERT_MAIL, (taken.source, clean(taken.message_id), taken.incident))
        connection.execute(_TRIM_MAILS, (taken.incident, MOST_MAILS))
    if not taken.participants:
        return
    count = connection.execute(_COUNT, (taken.incident,)).fetchone()[0]
    for address in taken.participants:
        if count >= MOST_PARTICIPANTS:
            return
        count += connection.execute(_INSERT_PARTICIPANT, (taken.incident, clean(address))).rowcount


def forget(connection: sqlite3.Connection, incident: str) -> None:
    """Forget what belongs to an incident that is deleted."""
    connection.execute("DELETE FROM mail WHERE incident = ?", (incident,))
    connection.execute("DELETE FROM participant WHERE incident = ?", (incident,))
