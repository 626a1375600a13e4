"""An incident's way from one helpdesk to another: its undelivered create, and all that waits behind it, in one transaction."""

import sqlite3
from collections.abc import Collection
from dataclasses import replace

from gateway.journal.processing import write_action
from gateway.journal.protocol import FinishedAttempt, HistoryLine
from gateway.journal.rows import draft_from_json, dumps, elsewhere_from_json, write_history
from gateway.model.action import ActionKind, NewAction
from gateway.model.ids import marker_of, new_id
from gateway.model.reasons import Reason

CLAIMED = """
SELECT action.*, incident.ticket AS ticket, request.content AS content, request.file AS file
FROM action LEFT JOIN incident ON incident.id = action.incident LEFT JOIN request ON request.action = action.id
WHERE action.id IN (SELECT value FROM json_each(?)) ORDER BY action.not_before, action.number
"""
"""Actions by their ids (a JSON list), with their incident's ticket and their request."""
_OVERDUE = """
SELECT id FROM action
WHERE helpdesk = :helpdesk AND status = 'queued' AND falls_back_after IS NOT NULL AND unresolved = 0
    AND reason != 'held_by_brake'
    AND queued_at + falls_back_after + max(0, :paused_total - paused_before) <= :now
    AND id NOT IN (SELECT value FROM json_each(:taken))
ORDER BY queued_at, number LIMIT :limit
"""


def overdue(
    connection: sqlite3.Connection,
    helpdesk: str,
    *,
    limit: int,
    now: float,
    paused_total: float,
    taken: Collection[str],
) -> list[sqlite3.Row]:
    """The creates that have waited for too long and are proven to have written nothing, those that wait longest first."""
    values = {"helpdesk": helpdesk, "limit": limit, "now": now, "paused_total": paused_total}
    chosen = [row[0] for row in connection.execute(_OVERDUE, {**values, "taken": dumps(list(taken)).decode()})]
    return connection.execute(CLAIMED, (dumps(chosen).decode(),)).fetchall() if chosen else []


_MOVE = "UPDATE incident SET helpdesk = ?, plan = ?, version = version + 1 WHERE id = ?"
_FOLLOWERS = """
SELECT * FROM action WHERE incident = ? AND helpdesk = ? AND status IN ('waiting', 'blocked') ORDER BY sequence, number
"""
_LEAVE = "UPDATE action SET status = 'skipped', reason = 'fell_back', detail = ? WHERE id = ?"


def fall_back(connection: sqlite3.Connection, row: sqlite3.Row, finished: FinishedAttempt) -> None:
    """Move the incident of a create that just ended, and do there what was to be done here, in its order.

    Raises:
        ValueError: the create has no such fallback.
    """
    name, now = finished.falls_back_to, finished.finished_at
    there = next((one for one in elsewhere_from_json(row["elsewhere"]) if one.helpdesk == name), None)
    if there is None:
        raise ValueError(f"action {row['id']} cannot fall back to {name!r}")
    connection.execute(_MOVE, (there.helpdesk, there.plan, row["incident"]))
    followers = connection.execute(_FOLLOWERS, (row["incident"], row["helpdesk"])).fetchall()
    detail = f"from {row['helpdesk']} to {name}, with its ticket"
    for follower in followers:
        connection.execute(_LEAVE, (detail, follower["id"]))
    for one in (row, *followers):
        for action in _moved(one, name, now):
            write_action(connection, action, one["receipt"])
    write_history(
        connection,
        [
            HistoryLine(now, "fell_back", Reason.FELL_BACK, detail, one["receipt"], None, row["incident"], one["id"])
            for one in followers
        ],
    )


def _moved(row: sqlite3.Row, name: str, now: float) -> list[NewAction]:
    """What is done at the fallback in an action's place; the first of it bears the fallbacks that are left."""
    known = elsewhere_from_json(row["elsewhere"])
    position = next((index for index, one in enumerate(known) if one.helpdesk == name), None)
    if position is None:
        return [_told(row, name, now)]
    return [
        replace(
            action,
            sequence=row["sequence"],
            queued_at=now,
            elsewhere=tuple(one if part == 0 else replace(one, actions=()) for one in known[position + 1 :]),
        )
        for part, action in enumerate(known[position].actions)
    ]


def _told(row: sqlite3.Row, name: str, now: float) -> NewAction:
    """A follow-up that was made under rules without this fallback: its text is added there."""
    kind, draft = ActionKind.APPEND, draft_from_json(row["draft"])
    return NewAction(
        id=new_id(),
        incident=row["incident"],
        helpdesk=name,
        kind=kind,
        marker=marker_of(
            cause=row["cause"], route=row["route"], helpdesk=name, kind=kind.value, ordinal=row["ordinal"]
        ),
        cause=row["cause"],
        route=row["route"],
        ordinal=row["ordinal"],
        sequence=row["sequence"],
        draft=replace(draft, fields={}, message_name="", reasons=(*draft.reasons, Reason.FELL_BACK)),
        requester=row["requester"],
        queued_at=now,
        reason=Reason(row["reason"]),
    )
