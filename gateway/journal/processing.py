"""What processing reads and writes: the SQL of `know`, `commit_processed` and `due_timers`."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from gateway.journal import storms, threads
from gateway.journal.bodies import Stored
from gateway.journal.protocol import (
    INCIDENT_RATE,
    REMEMBERED,
    Arrival,
    CommitResult,
    EventRecord,
    HeldAction,
    IncidentChange,
    Known,
    Lookup,
    NewArrival,
    Processed,
    Timer,
)
from gateway.journal.rows import (
    INCIDENT_COLUMNS,
    clean,
    draft_to_json,
    dumps,
    elsewhere_to_json,
    held_from_json,
    held_to_json,
    incident_to_row,
    incidents_by_id,
    insert_many,
    listed,
    texts,
    write_history,
)
from gateway.model.action import ActionStatus, NewAction
from gateway.model.event import event_to_json
from gateway.model.incident import Incident, IncidentState, Tombstone

UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}

Attachments = Mapping[tuple[str, int, int], Stored]
"""Where the attachments of a batch were put: (receipt, event, position) -> stored."""


class _Conflict(Exception):
    """Somebody else was there first."""


class _Gone(Exception):
    """There is nothing left to do."""


# ------------------------------------------------------------------------------------------------------------- know

_BY_KEY = """
SELECT wanted.value AS key, coalesce(
    (SELECT id FROM incident WHERE key = wanted.value AND state != 'closed'),
    (SELECT id FROM incident WHERE key = wanted.value AND state = 'closed' ORDER BY closed_at DESC, rowid DESC LIMIT 1)
) AS id
FROM json_each(?) AS wanted
"""
_BY_MEMBER = """
SELECT DISTINCT member.source, member.origin_key, member.incident
FROM json_each(?) AS wanted CROSS JOIN member
    ON member.source = json_extract(wanted.value, '$[0]') AND member.origin_key = json_extract(wanted.value, '$[1]')
WHERE member.open = 1 ORDER BY member.incident
"""
_TOMBSTONES = """
SELECT key, origin_key, problem_id, at, clock, expires_at FROM tombstone
WHERE key IN (SELECT value FROM json_each(?)) AND expires_at > ? ORDER BY at, origin_key, problem_id
"""
_EVENT_DUPLICATES = """
SELECT d.source, d.key, d.receipt, d.event
FROM json_each(?) AS wanted CROSS JOIN event_duplicate AS d
    ON d.source = json_extract(wanted.value, '$[0]') AND d.key = json_extract(wanted.value, '$[1]')
"""
_ARRIVALS = """
SELECT key, receipt, at, held FROM arrival WHERE key IN (SELECT value FROM json_each(?)) ORDER BY key, at DESC, receipt DESC
"""
_PLANS = "SELECT digest, content FROM plan WHERE digest IN (SELECT value FROM json_each(?))"


def know(connection: sqlite3.Connection, lookup: Lookup, now: float) -> Known:
    """Answer a `Lookup` from one snapshot. Nothing is scanned: every question goes by an index."""
    keys = dumps(list(lookup.keys)).decode()
    key_ids = {key: found for key, found in connection.execute(_BY_KEY, (keys,)) if found} if lookup.keys else {}
    member_ids: dict[tuple[str, str], list[str]] = {}
    if lookup.members:
        for source, origin_key, incident in connection.execute(_BY_MEMBER, (dumps(list(lookup.members)).decode(),)):
            member_ids.setdefault((source, origin_key), []).append(incident)
    named = threads.named(connection, lookup.threads)
    ids = {*key_ids.values(), *(found for group in member_ids.values() for found in group), *named[-1]}
    of_hosts = _of_hosts(connection, lookup.hosts, now)
    incidents = incidents_by_id(connection, list({*ids, *of_hosts}))
    groups = storms.groups(connection, storms.wanted(incidents, lookup.storms))
    joined = {one.digest for one in incidents.values()} | {group.digest for group in groups.values()} | lookup.digests
    digests = incidents_by_id(connection, sorted(joined - {""}))
    tombstones: dict[str, list[Tombstone]] = {}
    if lookup.keys:
        for row in connection.execute(_TOMBSTONES, (keys, now)):
            tombstones.setdefault(row[0], []).append(Tombstone(row[0], row[1], row[2], row[3], bool(row[4]), row[5]))
    duplicates: dict[tuple[str, str], tuple[str, int]] = {}
    if lookup.duplicates:
        for row in connection.execute(_EVENT_DUPLICATES, (dumps(list(lookup.duplicates)).decode(),)):
            duplicates[row[0], row[1]] = (row[2], row[3])
    plans = dumps(list({incident.plan for incident in (*incidents.values(), *digests.values())})).decode()
    return Known(
        by_key={key: incidents[found] for key, found in key_ids.items()},
        by_member={member: tuple(incidents[found] for found in group) for member, group in member_ids.items()},
        tombstones={key: tuple(group) for key, group in tombstones.items()},
        duplicates=duplicates,
        plans={row[0]: bytes(row[1]) for row in connection.execute(_PLANS, (plans,))} if incidents or digests else {},
        arrivals=_arrivals(connection, [*lookup.rates, *(INCIDENT_RATE + name for name in ids)])
        if lookup.rates
        else {},
        threads=threads.known(connection, named, incidents),
        of_hosts=tuple(incidents[name] for name in of_hosts if name in incidents),
        storms=groups,
        digests=tuple(digests[name] for name in sorted(digests)),
        held=_held(connection, [one.id for one in incidents.values() if one.state in _WAITING]),
    )


_WAITING = frozenset({IncidentState.PENDING, IncidentState.RECOVERING})
_HELD = """
SELECT incident, kind, held FROM timer WHERE incident IN (SELECT value FROM json_each(?)) AND held IS NOT NULL
"""


_OF_HOSTS = """
SELECT incident.id FROM json_each(?) AS wanted CROSS JOIN incident ON incident.host = wanted.value
WHERE incident.service = '' AND incident.host != '' AND (incident.closed_at IS NULL OR incident.closed_at > ?)
ORDER BY incident.id
"""


def _of_hosts(connection: sqlite3.Connection, hosts: Collection[str], now: float) -> list[str]:
    """The incidents of these hosts themselves that are open or closed not long ago."""
    if not hosts:
        return []
    wanted = dumps([clean(host) for host in hosts]).decode()
    return [row[0] for row in connection.execute(_OF_HOSTS, (wanted, now - REMEMBERED))]


def _held(connection: sqlite3.Connection, incidents: Sequence[str]) -> dict[tuple[str, str], HeldAction]:
    """What the timers of these incidents keep."""
    if not incidents:
        return {}
    rows = connection.execute(_HELD, (dumps(list(incidents)).decode(),))
    return {(row[0], row[1]): held for row in rows if (held := held_from_json(row[2])) is not None}


def _arrivals(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, tuple[Arrival, ...]]:
    found: dict[str, list[Arrival]] = {}
    for key, receipt, at, held in connection.execute(_ARRIVALS, (dumps([clean(key) for key in keys]).decode(),)):
        found.setdefault(key, []).append(Arrival(key, receipt, at, bool(held)))
    return {key: tuple(group) for key, group in found.items()}


# ----------------------------------------------------------------------------------------------------------- timers

_DUE = """
SELECT id, kind, due_at, incident, held FROM timer
WHERE due_at <= :now AND due_at < :horizon ORDER BY due_at, id LIMIT :limit
"""
_OLDEST_WAITING = "SELECT min(received_at) FROM receipt WHERE status = 'accepted'"


def plans(connection: sqlite3.Connection, digests: Sequence[str]) -> dict[str, bytes]:
    """The stored plans with these digests."""
    return {row[0]: bytes(row[1]) for row in connection.execute(_PLANS, (dumps(list(digests)).decode(),))}


def due_timers(connection: sqlite3.Connection, now: float, limit: int, coming: float | None) -> list[Timer]:
    """Timers that may fire. ``coming`` is the oldest instant of a receipt that is accepted but not yet committed."""
    if connection.execute("SELECT 1 FROM timer WHERE due_at <= ? LIMIT 1", (now,)).fetchone() is None:
        return []
    oldest = connection.execute(_OLDEST_WAITING).fetchone()[0]
    horizon = min((instant for instant in (oldest, coming) if instant is not None), default=float("inf"))
    rows = connection.execute(_DUE, {"now": now, "horizon": horizon, "limit": limit}).fetchall()
    incidents = incidents_by_id(connection, [row["incident"] for row in rows])
    return [
        Timer(row["id"], row["kind"], row["due_at"], incidents[row["incident"]], held_from_json(row["held"]))
        for row in rows
        if row["incident"] in incidents
    ]


# -------------------------------------------------------------------------------------------------- commit_processed


def commit(
    connection: sqlite3.Connection,
    batch: Sequence[Processed],
    attachments: Attachments,
) -> tuple[list[CommitResult], Exception | None]:
    """Write each `Processed` under a savepoint of its own.

    An error that is neither conflict nor fatal undoes its own item only; the first one is given back for the caller to
    raise when the rest is durable. (Asked again, the rest answers GONE.)
    """
    results: list[CommitResult] = []
    failure: Exception | None = None
    for processed in batch:
        connection.execute("SAVEPOINT processed")
        try:
            _write(connection, processed, attachments)
            results.append(CommitResult.COMMITTED)
        except (_Conflict, _Gone, sqlite3.IntegrityError, ValueError, TypeError) as error:
            connection.execute("ROLLBACK TO processed")
            results.append(CommitResult.GONE if isinstance(error, _Gone) else CommitResult.CONFLICT)
            if not _is_conflict(error):
                failure = failure or error
        connection.execute("RELEASE processed")
    return results, failure


def _is_conflict(error: Exception) -> bool:
    if isinstance(error, sqlite3.IntegrityError):
        return error.sqlite_errorcode in UNIQUE
    return isinstance(error, _Conflict | _Gone)


def _write(connection: sqlite3.Connection, processed: Processed, attachments: Attachments) -> None:
    source, received_at = _finish_cause(connection, processed)
    for digest, content in processed.plans.items():
        connection.execute("INSERT OR IGNORE INTO plan (digest, content) VALUES (?, ?)", (digest, content))
    for change in processed.incidents:
        _write_incident(connection, change)
    if (processed.storms or processed.joined or processed.told) and not storms.write(connection, processed):
        raise _Conflict
    _write_events(connection, processed.receipt, processed.events, attachments)
    for record in processed.events:
        if record.event.duplicate_key and record.duplicate_of is None:
            _write_event_key(connection, source, received_at, processed.receipt, record)
    for action in sorted(processed.actions, key=lambda action: action.sequence):
        write_action(connection, action, action.receipt or processed.receipt)
    for timer_id in processed.cancelled_timers:
        connection.execute("DELETE FROM timer WHERE id = ?", (timer_id,))
    insert_many(
        connection,
        "INSERT INTO timer (id, incident, kind, due_at, held)",
        5,
        [(one.id, one.incident, one.kind, one.due_at, held_to_json(one.held)) for one in processed.timers],
    )
    for stone in processed.tombstones:
        connection.execute(
            "INSERT OR REPLACE INTO tombstone (key, origin_key, problem_id, at, clock, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                clean(stone.key),
                clean(stone.origin_key),
                clean(stone.problem_id),
                stone.at,
                stone.clock,
                stone.expires_at,
            ),
        )
    for arrival in processed.arrivals:
        _write_arrival(connection, arrival)
    for taken in processed.mails:
        threads.write(connection, taken)
    write_history(connection, processed.history)


_TRIM = """
DELETE FROM arrival WHERE key = ?1 AND receipt NOT IN (
    SELECT receipt FROM arrival WHERE key = ?1 ORDER BY at DESC, receipt DESC LIMIT ?2)
"""


def _write_arrival(connection: sqlite3.Connection, new: NewArrival) -> None:
    """Add it to its key, and forget what is no longer among the newest."""
    arrival, key = new.arrival, clean(new.arrival.key)
    connection.execute(
        "INSERT OR REPLACE INTO arrival (key, receipt, at, held, expires_at) VALUES (?, ?, ?, ?, ?)",
        (key, arrival.receipt, arrival.at, arrival.held, new.expires_at),
    )
    connection.execute(_TRIM, (key, new.keep))


def _finish_cause(connection: sqlite3.Connection, processed: Processed) -> tuple[str, float]:
    if processed.timer and not connection.execute("DELETE FROM timer WHERE id = ?", (processed.timer,)).rowcount:
        raise _Gone
    if not processed.receipt:
        return "", 0.0
    row = connection.execute(
        "SELECT source, received_at, status, warnings FROM receipt WHERE id = ?",
        (processed.receipt,),
    ).fetchone()
    if row is None or row["status"] != "accepted":
        raise _Gone
    connection.execute(
        "UPDATE receipt SET status = ?, reason = ?, detail = ?, warnings = ? WHERE id = ?",
        (
            "dead" if processed.dead else "processed",
            processed.dead.value if processed.dead else None,
            clean(processed.detail),
            texts([*listed(row["warnings"]), *processed.warnings]),
            processed.receipt,
        ),
    )
    return row["source"], row["received_at"]


_INSERT_INCIDENT = f"INSERT INTO incident ({INCIDENT_COLUMNS}) VALUES ({','.join('?' * 19)}, NULL)"  # noqa: S608 - constant
_UPDATE_INCIDENT = """
UPDATE incident SET id = ?, key = ?, state = ?, version = ?, route = ?, helpdesk = ?, plan = ?, severity = ?, title = ?,
    host = ?, service = ?, occurrences = ?, sequence = ?, opened_at = ?, last_event_at = ?, last_appended_at = ?,
    closed_at = ?, reasons = ?, life = ?
WHERE id = ? AND version = ?
"""


def _write_incident(connection: sqlite3.Connection, change: IncidentChange) -> None:
    incident = change.incident
    if change.expected_version is None:
        connection.execute(_INSERT_INCIDENT, incident_to_row(incident))
    else:
        cursor = connection.execute(
            _UPDATE_INCIDENT,
            (*incident_to_row(incident), incident.id, change.expected_version),
        )
        if cursor.rowcount == 0:
            raise _Conflict
        connection.execute("DELETE FROM member WHERE incident = ?", (incident.id,))
    _write_members(connection, incident)


def _write_members(connection: sqlite3.Connection, incident: Incident) -> None:
    is_open = incident.state is not IncidentState.CLOSED
    insert_many(
        connection,
        "INSERT INTO member (incident, position, source, origin_key, in_problem, problem_id, last_problem_at,"
        " recovered_at, clock, title, host, service, severity, grouped_by, open)",
        15,
        [
            (
                incident.id,
                position,
                member.source,
                clean(member.origin_key),
                member.in_problem,
                clean(member.problem_id),
                member.last_problem_at,
                member.recovered_at,
                member.clock,
                clean(member.title),
                clean(member.host),
                clean(member.service),
                member.severity.value,
                clean(member.group),
                is_open,
            )
            for position, member in enumerate(incident.members)
        ],
    )


def _write_events(
    connection: sqlite3.Connection,
    receipt: str,
    records: Sequence[EventRecord],
    attachments: Attachments,
) -> None:
    events: list[tuple[object, ...]] = []
    files: list[tuple[object, ...]] = []
    for record in records:
        first, index = record.duplicate_of or (None, None)
        events.append(
            (
                receipt,
                record.index,
                record.event.kind.value,
                clean(record.event.title),
                record.reason.value,
                record.route,
                record.incident,
                first,
                index,
                dumps(event_to_json(record.event)),
                record.decision,
            ),
        )
        if not record.keep_attachments:
            continue
        for position, attachment in enumerate(record.event.attachments):
            stored = attachments[receipt, record.index, position]
            files.append((receipt, record.index, position, attachment.sha256, stored.content, stored.file))
    insert_many(
        connection,
        "INSERT INTO event (receipt, event, kind, title, reason, route, incident, duplicate_receipt, duplicate_event,"
        " content, decision)",
        11,
        events,
    )
    insert_many(
        connection,
        "INSERT OR REPLACE INTO attachment (receipt, event, position, sha256, content, file)",
        6,
        files,
    )


def _write_event_key(
    connection: sqlite3.Connection,
    source: str,
    received_at: float,
    receipt: str,
    record: EventRecord,
) -> None:
    """The first event that bears a key keeps it; a second one of another receipt must be correlated as a repeat."""
    key = clean(record.event.duplicate_key)
    cursor = connection.execute(
        "INSERT OR IGNORE INTO event_duplicate (source, key, receipt, event, seen_at) VALUES (?, ?, ?, ?, ?)",
        (source, key, receipt, record.index, received_at),
    )
    if cursor.rowcount:
        return
    row = connection.execute(
        "SELECT receipt FROM event_duplicate WHERE source = ? AND key = ?",
        (source, key),
    ).fetchone()
    if row[0] != receipt:
        raise _Conflict


_PLACE = """
SELECT
    max(status = 'dead' AND kind = 'create') AS blocked,
    max(status IN ('waiting', 'queued', 'in_flight', 'unknown')) AS busy
FROM action WHERE incident = ? AND helpdesk = ? AND id != ?
"""
PAUSED = "SELECT paused_total, paused_since FROM helpdesk WHERE name = ?"
_INSERT_ACTION = """
INSERT INTO action (id, marker, incident, helpdesk, kind, cause, receipt, route, ordinal, sequence, requester, title,
    draft, queued_at, paused_before, not_before, status, reason, flags, elsewhere, falls_back_after)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (marker) DO NOTHING
"""


def place(connection: sqlite3.Connection, incident: str, helpdesk: str, action: str) -> ActionStatus:
    """Where an action of this incident stands when it comes (back) into the queue."""
    row = connection.execute(_PLACE, (incident, helpdesk, action)).fetchone()
    if row["blocked"]:
        return ActionStatus.BLOCKED
    return ActionStatus.WAITING if row["busy"] else ActionStatus.QUEUED


def paused_until(connection: sqlite3.Connection, helpdesk: str, now: float) -> float:
    """Seconds that a helpdesk has been paused up to ``now``, the running pause included."""
    row = connection.execute(PAUSED, (helpdesk,)).fetchone()
    if row is None:
        return 0.0
    running = max(0.0, now - row["paused_since"]) if row["paused_since"] is not None else 0.0
    return float(row["paused_total"]) + running


def write_action(connection: sqlite3.Connection, action: NewAction, receipt: str) -> None:
    """Put an action of a receipt into its place in the queue; one whose marker is there already is left as it is."""
    connection.execute(
        _INSERT_ACTION,
        (
            action.id,
            action.marker,
            action.incident,
            action.helpdesk,
            action.kind.value,
            action.cause,
            receipt,
            action.route,
            action.ordinal,
            action.sequence,
            clean(action.requester),
            clean(action.draft.title),
            draft_to_json(action.draft),
            action.queued_at,
            paused_until(connection, action.helpdesk, action.queued_at),
            action.queued_at,
            place(connection, action.incident, action.helpdesk, action.id).value,
            action.reason.value,
            texts(action.flags),
            elsewhere_to_json(action.elsewhere),
            action.falls_back_after,
        ),
    )
