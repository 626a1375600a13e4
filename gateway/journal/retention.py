"""What may be forgotten, and when: the SQL of `prune`."""

import sqlite3
from collections.abc import Sequence

import orjson

from gateway.journal import storms, threads
from gateway.journal.rows import dumps

DUPLICATE_KEYS = 7 * 86400.0
"""Seconds that event keys live at least, whatever ``keep`` says."""

_OLDEST = "SELECT sequence, id, received_at, status FROM receipt WHERE sequence > ? ORDER BY sequence LIMIT ?"
# Bounded, since the writer does nothing else meanwhile; what is left goes with the next call.
_EXPIRED_KEYS = """
DELETE FROM duplicate WHERE (key, digest) IN (
    SELECT key, digest FROM duplicate WHERE expires_at < ? ORDER BY expires_at LIMIT ?)
"""
_EXPIRED_EVENT_KEYS = """
DELETE FROM event_duplicate WHERE (source, key) IN (
    SELECT source, key FROM event_duplicate WHERE seen_at < ? ORDER BY seen_at LIMIT ?)
"""
_EXPIRED_TOMBSTONES = """
DELETE FROM tombstone WHERE (key, origin_key, problem_id) IN (
    SELECT key, origin_key, problem_id FROM tombstone WHERE expires_at < ? ORDER BY expires_at LIMIT ?)
"""
_EXPIRED_ARRIVALS = """
DELETE FROM arrival WHERE (key, receipt) IN (
    SELECT key, receipt FROM arrival WHERE expires_at < ? ORDER BY expires_at LIMIT ?)
"""
# What an unfinished action has taken up (`coalesced_into`) is sent with it, files and all.
_HELD = """
SELECT part.receipt FROM action AS part LEFT JOIN action AS whole ON whole.id = part.coalesced_into
WHERE part.receipt IN (SELECT value FROM json_each(?))
    AND coalesce(whole.status, part.status) IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked', 'dead')
"""


def prune(
    connection: sqlite3.Connection, now: float, keep: float, keep_links: float, limit: int
) -> tuple[int, list[str]]:
    """Delete what is past its time; gives back the number of receipts and the body files to unlink after the commit."""
    chosen: list[tuple[int, str]] = []
    after = -1
    while len(chosen) < limit:
        rows = connection.execute(_OLDEST, (after, limit)).fetchall()
        if not rows or rows[0]["received_at"] >= now - keep:
            break  # those after it are younger still; looking through all of them would hold up intake
        after = rows[-1]["sequence"]
        page = [
            (row["sequence"], row["id"])
            for row in rows
            if row["received_at"] < now - keep and row["status"] == "processed"
        ]
        wanted = dumps([name for _, name in page]).decode()
        held = {row[0] for row in connection.execute(_HELD, (wanted,))}
        chosen += [item for item in page if item[1] not in held][: limit - len(chosen)]
    files = _delete_receipts(connection, chosen)
    files += _delete_incidents(connection, now, keep, keep_links, limit)
    most = max(limit * 10, 20_000)
    connection.execute(_EXPIRED_KEYS, (now, most))
    connection.execute(_EXPIRED_EVENT_KEYS, (now - max(keep, DUPLICATE_KEYS), most))
    connection.execute(_EXPIRED_TOMBSTONES, (now, most))
    connection.execute(_EXPIRED_ARRIVALS, (now, most))
    storms.prune(connection, now, most)
    return len(chosen), files


def _delete_receipts(connection: sqlite3.Connection, chosen: Sequence[tuple[int, str]]) -> list[str]:
    if not chosen:
        return []
    sequences = dumps([sequence for sequence, _ in chosen]).decode()
    ids = dumps([name for _, name in chosen]).decode()
    in_ids = "IN (SELECT value FROM json_each(?))"
    actions = [row[0] for row in connection.execute(f"SELECT id FROM action WHERE receipt {in_ids}", (ids,))]  # noqa: S608 - constant
    files = _files(connection, f"body WHERE sequence {in_ids}", sequences)
    files += _files(connection, f"attachment WHERE receipt {in_ids}", ids)
    files += _delete_actions(connection, actions)
    connection.execute(f"DELETE FROM body WHERE sequence {in_ids}", (sequences,))  # noqa: S608 - constant
    for table in ("attachment", "event", "history"):
        connection.execute(f"DELETE FROM {table} WHERE receipt {in_ids}", (ids,))  # noqa: S608 - constant
    connection.execute(f"DELETE FROM receipt WHERE sequence {in_ids}", (sequences,))  # noqa: S608 - constant
    return files


def _files(connection: sqlite3.Connection, where: str, wanted: str) -> list[str]:
    return [row[0] for row in connection.execute(f"SELECT file FROM {where} AND file IS NOT NULL", (wanted,))]  # noqa: S608 - constant


def _delete_actions(connection: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    wanted = dumps(list(ids)).decode()
    files = _files(connection, "request WHERE action IN (SELECT value FROM json_each(?))", wanted)
    for table in ("request", "attempt"):
        connection.execute(f"DELETE FROM {table} WHERE action IN (SELECT value FROM json_each(?))", (wanted,))  # noqa: S608 - constant
    connection.execute(
        "DELETE FROM history WHERE action != '' AND action IN (SELECT value FROM json_each(?))", (wanted,)
    )
    connection.execute("DELETE FROM action WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    return files


_CLOSED = """
SELECT incident.id, incident.closed_at, incident.ticket IS NOT NULL AS linked, plan.content AS plan
FROM incident LEFT JOIN plan ON plan.digest = incident.plan
WHERE incident.state = 'closed' AND incident.closed_at < ? ORDER BY incident.closed_at LIMIT ?
"""
_UNFINISHED = """
SELECT 1 FROM action
WHERE incident = ? AND status IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked', 'dead')
"""


def _delete_incidents(
    connection: sqlite3.Connection,
    now: float,
    keep: float,
    keep_links: float,
    limit: int,
) -> list[str]:
    """Closed incidents: without a ticket after ``keep`` (or their reopen window), with one after ``keep_links``.

    Bounded by looking only at those closed longest ago: ten times the limit.
    """
    files: list[str] = []
    for row in connection.execute(_CLOSED, (now - keep, limit * 10)).fetchall():
        least = max(keep, reopen_within(row["plan"]), keep_links if row["linked"] else 0.0)
        if row["closed_at"] >= now - least or connection.execute(_UNFINISHED, (row["id"],)).fetchone():
            continue
        actions = [found[0] for found in connection.execute("SELECT id FROM action WHERE incident = ?", (row["id"],))]
        files += _delete_actions(connection, actions)
        connection.execute("DELETE FROM member WHERE incident = ?", (row["id"],))
        threads.forget(connection, row["id"])
        storms.forget(connection, row["id"])
        connection.execute("DELETE FROM timer WHERE incident = ?", (row["id"],))
        connection.execute("DELETE FROM history WHERE incident = ? AND incident != ''", (row["id"],))
        connection.execute("DELETE FROM incident WHERE id = ?", (row["id"],))
    return files


def reopen_within(plan: bytes | None) -> float:
    """The reopen window of a stored plan, seconds; 0 if the plan is unknown or says nothing."""
    if not plan:
        return 0.0
    try:
        return float(orjson.loads(plan)["policy"]["reopen_within"])
    except (ValueError, KeyError, TypeError):
        return 0.0
