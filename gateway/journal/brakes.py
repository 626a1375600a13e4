"""The SQL of brakes: which creates count, which wait, and what becomes of those that wait."""

import sqlite3
from collections.abc import Collection, Sequence

from gateway.journal.protocol import HistoryLine
from gateway.journal.rows import draft_from_json, dumps, give_reason, write_history
from gateway.model.brake import CAUSE, Allowance, BrakeView, Held, WaitingCreate
from gateway.model.reasons import Reason

AHEAD = 60.0
"""Seconds that an instant may lie in the future (a clock was put back) and still count."""

COUNTS = f"kind = 'create' AND substr(cause, 1, {len(CAUSE)}) != '{CAUSE}'"
"""SQL: an action that counts against the brake, unless it is free."""
_BEGUN = """
SELECT count(*) FROM action
WHERE helpdesk = :helpdesk AND begun_at > :since AND begun_at <= :until AND queued_at > :free
"""
_COUNTED_OR_DONE = f"""
SELECT count(*) FROM action
WHERE id IN (SELECT value FROM json_each(:claimed)) AND (
    begun_at IS NOT NULL OR status NOT IN ('queued', 'in_flight', 'unknown') OR queued_at <= :free OR NOT ({COUNTS}))
"""  # noqa: S608 - constants
"""Of what is given out: what counts already, or never will. The rest is about to be called; it may not even be written yet."""
_WHICH = f"""
FROM action WHERE helpdesk = :helpdesk AND status IN ('queued', 'unknown') AND status = 'queued' AND not_before <= :now
    AND {COUNTS} AND queued_at > :free AND id NOT IN (SELECT value FROM json_each(:claimed))
"""  # noqa: S608 - constants
_WAITING = f"SELECT count(*) {_WHICH}"
_FIRST = f"SELECT incident, title, draft {_WHICH} ORDER BY not_before, number LIMIT :first"
_TO_HOLD = f"""
SELECT id, receipt, incident {_WHICH} AND reason != 'held_by_brake' ORDER BY not_before, number LIMIT :limit OFFSET :left
"""
_OVER = """
SELECT action.id, action.receipt, action.incident FROM action JOIN incident ON incident.id = action.incident
WHERE action.helpdesk = :helpdesk AND action.reason = 'held_by_brake' AND action.status = 'queued'
    AND action.kind = 'create' AND action.tries = 0 AND action.unresolved = 0
    AND action.id NOT IN (SELECT value FROM json_each(:claimed))
    AND incident.state = 'closed' AND incident.ticket IS NULL
    AND NOT EXISTS (SELECT 1 FROM action AS other WHERE other.incident = action.incident
        AND other.helpdesk = action.helpdesk AND other.status = 'waiting'
        AND (other.kind NOT IN ('append', 'close') OR instr(other.flags, '"noted"')))
LIMIT :limit
"""


def view(
    connection: sqlite3.Connection,
    helpdesk: str,
    allowance: Allowance,
    *,
    now: float,
    first: int,
    claimed: Collection[str],
) -> BrakeView:
    """How a brake stands. ``claimed`` are the creates that are given out: they count, whether they are begun yet or not."""
    values = {
        "helpdesk": helpdesk,
        "now": now,
        "since": now - allowance.per,
        "until": now + AHEAD,
        "free": allowance.free_until,
        "claimed": dumps(list(claimed)).decode(),
        "first": first,
    }
    coming = len(claimed) - connection.execute(_COUNTED_OR_DONE, values).fetchone()[0]
    return BrakeView(
        begun=connection.execute(_BEGUN, values).fetchone()[0] + coming,
        waiting=connection.execute(_WAITING, values).fetchone()[0],
        first=tuple(
            WaitingCreate(row[0], row[1], draft_from_json(row[2])) for row in connection.execute(_FIRST, values)
        ),
    )


def hold(
    connection: sqlite3.Connection,
    helpdesk: str,
    *,
    free_until: float,
    left: int,
    now: float,
    limit: int,
    claimed: Collection[str],
) -> Held:
    """Mark the creates that wait, but for the ``left`` oldest, and end those whose problem is over."""
    values = {
        "helpdesk": helpdesk,
        "now": now,
        "free": free_until,
        "claimed": dumps(list(claimed)).decode(),
        "left": left,
        "limit": limit,
    }
    marked = connection.execute(_TO_HOLD, values).fetchall()
    ids = dumps([row["id"] for row in marked]).decode()
    connection.execute(
        "UPDATE action SET reason = 'held_by_brake' WHERE id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    lines = [
        HistoryLine(now, "held", Reason.HELD_BY_BRAKE, "", row["receipt"], None, row["incident"], row["id"])
        for row in marked
    ]
    over = connection.execute(_OVER, values).fetchall()
    for row in over:
        lines += _end(connection, helpdesk, row, now)
    write_history(connection, lines)
    return Held(len(marked), len(over))


def _end(connection: sqlite3.Connection, helpdesk: str, create: sqlite3.Row, now: float) -> Sequence[HistoryLine]:
    """A held create and what waits behind it come to their end unmade."""
    reason = Reason.RECOVERED_WHILE_HELD
    behind = connection.execute(
        "SELECT id, receipt FROM action WHERE incident = ? AND helpdesk = ? AND (status = 'waiting' OR id = ?)"
        " ORDER BY sequence",
        (create["incident"], helpdesk, create["id"]),
    ).fetchall()
    connection.execute(
        "UPDATE action SET status = 'skipped', reason = ? WHERE id IN (SELECT value FROM json_each(?))",
        (reason.value, dumps([row["id"] for row in behind]).decode()),
    )
    give_reason(connection, create["incident"], reason)
    return [
        HistoryLine(now, "skipped", reason, "", row["receipt"], None, create["incident"], row["id"]) for row in behind
    ]
