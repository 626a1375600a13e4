"""What storms leave in the journal: groups, and the incidents that digests tell of."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence

import orjson

from gateway.journal.protocol import Processed
from gateway.journal.rows import clean, dumps, insert_many, listed
from gateway.model.event import Severity
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from gateway.model.storm import StormChange, StormGroup, StormRow

_GROUPS = """
SELECT key, version, opened, digest, last_at, expires_at FROM storm WHERE key IN (SELECT value FROM json_each(?))
"""


def groups(connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, StormGroup]:
    """The groups with these keys."""
    if not keys:
        return {}
    rows = connection.execute(_GROUPS, (dumps([clean(key) for key in keys]).decode(),))
    return {row[0]: StormGroup(row[0], row[1], tuple(orjson.loads(row[2])), row[3], row[4], row[5]) for row in rows}


def wanted(incidents: Mapping[str, Incident], asked: Collection[str]) -> set[str]:
    """The keys of the groups that matter to these incidents, and those that were asked for."""
    pending = {one.storm for one in incidents.values() if one.storm and one.state is IncidentState.PENDING}
    return {*asked, *pending}


_ROWS = """
SELECT m.digest, m.incident, m.receipt, m.told, i.state, i.severity, i.host, i.service, i.title, i.opened_at, i.closed_at,
    i.reasons, i.life
FROM json_each(?) AS wanted CROSS JOIN storm_member AS m ON m.digest = wanted.value JOIN incident AS i ON i.id = m.incident
ORDER BY m.digest, m.incident
"""


def rows(connection: sqlite3.Connection, digests: Sequence[str]) -> dict[str, tuple[StormRow, ...]]:
    """The incidents that these digests tell of."""
    found: dict[str, list[StormRow]] = {}
    for row in connection.execute(_ROWS, (dumps(list(digests)).decode(),)):
        found.setdefault(row["digest"], []).append(
            StormRow(
                incident=row["incident"],
                receipt=row["receipt"],
                told=row["told"],
                state=IncidentState(row["state"]),
                severity=Severity(row["severity"]),
                host=row["host"],
                service=row["service"],
                title=row["title"],
                opened_at=row["opened_at"],
                closed_at=row["closed_at"],
                flapping=bool(orjson.loads(row["life"]).get("flapping", False)),
                escalated=Reason.ESCALATED.value in listed(row["reasons"]),
            ),
        )
    return {digest: tuple(group) for digest, group in found.items()}


_INSERT = "INSERT INTO storm (key, version, opened, digest, last_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
_UPDATE = """
UPDATE storm SET version = ?, opened = ?, digest = ?, last_at = ?, expires_at = ? WHERE key = ? AND version = ?
"""
_TOLD = "UPDATE storm_member SET told = ? WHERE digest = ? AND incident = ?"


def write(connection: sqlite3.Connection, processed: Processed) -> bool:
    """Write what a receipt or timer changes of storms; false if a group is not any more what was looked at."""
    if not all(_write_group(connection, change) for change in processed.storms):
        return False
    insert_many(
        connection,
        "INSERT INTO storm_member (digest, incident, receipt, joined_at)",
        4,
        [(one.digest, one.incident, one.receipt, one.joined_at) for one in processed.joined],
    )
    connection.executemany(_TOLD, [(one.stands, one.digest, one.incident) for one in processed.told])
    return True


def _write_group(connection: sqlite3.Connection, change: StormChange) -> bool:
    group, key = change.group, clean(change.group.key)
    values = (group.version, dumps(list(group.opened)).decode(), group.digest, group.last_at, group.expires_at)
    if change.expected_version is None:
        connection.execute(_INSERT, (key, *values))
        return True
    return connection.execute(_UPDATE, (*values, key, change.expected_version)).rowcount > 0


def forget(connection: sqlite3.Connection, incident: str) -> None:
    """Forget an incident, or what a digest told."""
    connection.execute("DELETE FROM storm_member WHERE incident = ?", (incident,))
    connection.execute("DELETE FROM storm_member WHERE digest = ?", (incident,))


_EXPIRED = "DELETE FROM storm WHERE key IN (SELECT key FROM storm WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"


def prune(connection: sqlite3.Connection, now: float, most: int) -> None:
    """Forget groups that tell nothing any more."""
    connection.execute(_EXPIRED, (now, most))
