"""What delivery and operators do to actions: claims, intents, outcomes, requeue, drop, and recovery at open."""

import sqlite3
from collections.abc import Collection, Sequence

from gateway.journal import persons
from gateway.journal.bodies import Stored
from gateway.journal.falling_back import CLAIMED, fall_back
from gateway.journal.processing import paused_until, place
from gateway.journal.protocol import FIRST_FENCE, MOST_BEHIND, RELEASED, FinishedAttempt, HistoryLine, Intent, Merge
from gateway.journal.rows import (
    clean,
    draft_from_json,
    draft_to_json,
    dumps,
    elsewhere_from_json,
    give_reason,
    listed,
    texts,
    ticket_from_json,
    ticket_to_json,
    write_history,
)
from gateway.model.action import Action, ActionKind, ActionStatus, Follower, NewAction, OutcomeKind
from gateway.model.reasons import HELD, Reason

# ------------------------------------------------------------------------------------------------------------ claims

_BUSY = """
SELECT DISTINCT requester FROM action
WHERE helpdesk = ? AND kind = 'create' AND requester != '' AND status IN ('in_flight', 'unknown')
"""
_SEEN = """
SELECT requester FROM requester WHERE helpdesk = ? AND requester IN (SELECT value FROM json_each(?))
"""
_DUE = """
SELECT id, kind, status, requester, incident,
    status = 'queued' AND queued_at > :free AND kind = 'create' AND substr(cause, 1, 6) != 'brake/' AS counts FROM action
WHERE helpdesk = :helpdesk AND status IN ('queued', 'unknown') AND not_before <= :now
    AND NOT (:braked AND kind = 'create' AND status = 'queued' AND queued_at > :free AND substr(cause, 1, 6) != 'brake/')
    AND NOT (kind = 'create' AND status = 'queued' AND requester IN (SELECT value FROM json_each(:busy)))
    AND id NOT IN (SELECT value FROM json_each(:taken))
ORDER BY not_before, number LIMIT :limit
"""


def due(
    connection: sqlite3.Connection,
    helpdesk: str,
    *,
    limit: int,
    now: float,
    taken: Collection[str],
    creating: Collection[str],
    creates: int | None = None,
    free_until: float = 0.0,
) -> list[sqlite3.Row]:
    """The actions that may be given out now, those that are due longest first.

    ``taken`` are ids that are claimed already, ``creating`` the requesters for whom a create is claimed. ``creates`` and
    ``free_until`` are as in `Journal.claim_actions`.
    """
    left = limit if creates is None else creates
    busy = {row[0] for row in connection.execute(_BUSY, (helpdesk,))} | {name for name in creating if name}
    busy -= _seen(connection, helpdesk, busy)
    chosen: list[str] = []
    excluded = set(taken)
    while len(chosen) < limit:
        page = connection.execute(
            _DUE,
            {
                "helpdesk": helpdesk,
                "now": now,
                "busy": dumps(list(busy)).decode(),
                "taken": dumps(list(excluded)).decode(),
                "limit": limit - len(chosen),
                "braked": left <= 0,
                "free": free_until,
            },
        ).fetchall()
        if not page:
            break
        for row in page:
            careful = row["kind"] == "create" and row["requester"] != ""
            if careful and row["status"] == "queued" and row["requester"] in busy:
                continue
            if row["counts"] and left <= 0:
                continue
            left -= row["counts"]
            chosen.append(row["id"])
            excluded.add(row["id"])
            if careful and not _seen(connection, helpdesk, {row["requester"]}):
                busy.add(row["requester"])
    return connection.execute(CLAIMED, (dumps(chosen).decode(),)).fetchall() if chosen else []


def _seen(connection: sqlite3.Connection, helpdesk: str, names: set[str]) -> set[str]:
    return {row[0] for row in connection.execute(_SEEN, (helpdesk, dumps(list(names)).decode()))} if names else set()


_BEHIND = """
SELECT id, receipt, queued_at, draft, kind, status, tries, unresolved, fence FROM action
WHERE incident = ? AND helpdesk = ? AND sequence > ? AND status IN ('waiting', 'queued', 'in_flight', 'unknown')
ORDER BY sequence, number LIMIT ?
"""


def behind(connection: sqlite3.Connection, row: sqlite3.Row) -> tuple[Follower, ...]:
    """The appends right behind a claimed one that was never tried."""
    if row["kind"] != "append" or row["tries"] or row["fence"] or row["unresolved"]:
        return ()
    found: list[Follower] = []
    for other in connection.execute(_BEHIND, (row["incident"], row["helpdesk"], row["sequence"], MOST_BEHIND)):
        if not _is_untouched(other):
            break
        found.append(Follower(other["id"], other["receipt"], other["queued_at"], draft_from_json(other["draft"])))
    return tuple(found)


def _is_untouched(row: sqlite3.Row) -> bool:
    """Whether it is an append that waits and was never tried."""
    tried = row["tries"] or row["fence"] or row["unresolved"]
    return row["kind"] == "append" and row["status"] == "waiting" and not tried


def action_from_row(row: sqlite3.Row, fence: int, request: bytes, followers: tuple[Follower, ...] = ()) -> Action:
    """An action of a row of `CLAIMED`."""
    return Action(
        id=row["id"],
        incident=row["incident"],
        helpdesk=row["helpdesk"],
        kind=ActionKind(row["kind"]),
        marker=row["marker"],
        route=row["route"],
        sequence=row["sequence"],
        draft=draft_from_json(row["draft"]),
        requester=row["requester"],
        status=ActionStatus(row["status"]),
        fence=fence,
        tries=row["tries"],
        queued_at=row["queued_at"],
        not_before=row["not_before"],
        ticket=ticket_from_json(row["ticket"]),
        degraded=listed(row["degraded"]),
        receipt=row["receipt"],
        resolve=bool(row["unresolved"]),
        request=request,
        paused_before=row["paused_before"],
        fallbacks=tuple(other.helpdesk for other in elsewhere_from_json(row["elsewhere"])),
        falls_back_after=row["falls_back_after"],
        behind=followers,
    )


# ---------------------------------------------------------------------------------------------------------- attempts

_BEGIN = """
UPDATE action SET status = 'in_flight', fence = :fence, tries = tries + 1, resolve_at = :resolve_at,
    begun_at = CASE WHEN kind = 'create' AND substr(cause, 1, 6) != 'brake/' THEN coalesce(begun_at, :started_at) END
WHERE id = :id AND fence < :fence AND status IN ('queued', 'unknown')
"""
_INTENT = "INSERT INTO attempt (action, number, started_at, deadline) VALUES (?, ?, ?, ?)"
_REQUEST = "INSERT OR REPLACE INTO request (action, content, file) VALUES (?, ?, ?)"


def begin(
    connection: sqlite3.Connection,
    action_id: str,
    fence: int,
    stored: Stored,
    *,
    started_at: float,
    deadline: float,
    resolve_at: float,
    merge: Merge | None = None,
) -> bool:
    """Write the intent, if the stored fence is still below this one. The attempt's number is its fence."""
    if merge is not None and not _may_merge(connection, merge):
        return False
    values = {"id": action_id, "fence": fence, "resolve_at": resolve_at, "started_at": started_at}
    if connection.execute(_BEGIN, values).rowcount == 0:
        return False
    connection.execute(_INTENT, (action_id, fence, started_at, deadline))
    if merge is not None:
        _merge(connection, action_id, merge, started_at)
    before = connection.execute("SELECT content, file FROM request WHERE action = ?", (action_id,)).fetchone()
    if before is None or (before["content"], before["file"]) != (stored.content, stored.file):
        connection.execute(_REQUEST, (action_id, stored.content, stored.file))
    return True


_TAKEN = """
SELECT id, receipt, incident, kind, status, tries, unresolved, fence FROM action
WHERE id IN (SELECT value FROM json_each(?))
"""
_MERGE = """
UPDATE action SET status = 'skipped', reason = 'coalesced_into', coalesced_into = ?
WHERE id IN (SELECT value FROM json_each(?))
"""


def _may_merge(connection: sqlite3.Connection, merge: Merge) -> bool:
    rows = connection.execute(_TAKEN, (texts(merge.actions),)).fetchall()
    return len(rows) == len(merge.actions) and all(_is_untouched(row) for row in rows)


def _merge(connection: sqlite3.Connection, action_id: str, merge: Merge, at: float) -> None:
    """Make follow-ups a part of the one that is about to be sent."""
    taken = texts(merge.actions)
    rows = connection.execute(_TAKEN, (taken,)).fetchall()
    connection.execute(_MERGE, (action_id, taken))
    connection.execute("UPDATE action SET draft = ? WHERE id = ?", (draft_to_json(merge.draft), action_id))
    lines = [
        HistoryLine(
            at,
            "skipped",
            Reason.COALESCED_INTO,
            f"action {action_id}",
            row["receipt"],
            None,
            row["incident"],
            row["id"],
        )
        for row in rows
    ]
    write_history(connection, lines)


_CREATING = """
SELECT 1 FROM action
WHERE helpdesk = ? AND requester = ? AND kind = 'create' AND status IN ('in_flight', 'unknown') AND id != ? LIMIT 1
"""


def begin_first(connection: sqlite3.Connection, action: NewAction, intent: Intent, creating: Collection[str]) -> bool:
    """Begin the first attempt of an action of this very transaction, unless something stands before it.

    ``creating`` are the requesters for whom a create is claimed by others.
    """
    if action.kind is ActionKind.CREATE and action.requester:
        who = (action.helpdesk, action.requester)
        known = bool(_seen(connection, action.helpdesk, {action.requester}))
        if not known and (
            action.requester in creating or connection.execute(_CREATING, (*who, action.id)).fetchone() is not None
        ):
            return False
    return begin(
        connection,
        action.id,
        FIRST_FENCE,
        Stored(intent.request, None),
        started_at=intent.started_at,
        deadline=intent.deadline,
        resolve_at=intent.resolve_at,
    )


_FINISH = """
UPDATE action SET status = :status, fence = :fence, not_before = :not_before, reason = :reason, detail = :detail,
    flags = :flags, degraded = :degraded, unresolved = :unresolved, tries = tries - :back, dead_at = :dead_at,
    begun_at = CASE WHEN :counts THEN begun_at END
WHERE id = :id
"""
_OUTCOME = "UPDATE attempt SET finished_at = ?, outcome = ?, reason = ?, detail = ? WHERE action = ? AND number = ?"


def finish(
    connection: sqlite3.Connection, finished: FinishedAttempt, *, claimed: bool, stored: Stored | None = None
) -> bool:
    """Write the outcome of an attempt, or, for a claim that never began one (``claimed``), what became of the action.

    ``stored`` is where `FinishedAttempt.request` was put.
    """
    row = connection.execute("SELECT * FROM action WHERE id = ?", (finished.action,)).fetchone()
    if row is None:
        return False
    begun = row["status"] == "in_flight" and row["fence"] == finished.fence
    unbegun = claimed and row["status"] in {"queued", "unknown"} and row["fence"] < finished.fence
    if not (begun or unbegun):
        return False
    outcome, status = finished.outcome, finished.status
    # An action that dies while the outcome of an earlier attempt is not known keeps that question for a later retry.
    open_question = outcome.kind is OutcomeKind.UNKNOWN or (status is ActionStatus.DEAD and row["unresolved"])
    connection.execute(
        _FINISH,
        {
            "id": finished.action,
            "status": status.value,
            "fence": finished.fence,
            "not_before": finished.not_before,
            "reason": finished.reason.value,
            "detail": clean(finished.detail),
            "flags": texts(list(dict.fromkeys([*listed(row["flags"]), *(flag.value for flag in outcome.flags)]))),
            "degraded": row["degraded"] if finished.degraded is None else texts(finished.degraded),
            "unresolved": bool(open_question or status is ActionStatus.UNKNOWN),
            "counts": status in {ActionStatus.DELIVERED, ActionStatus.UNKNOWN} or open_question,
            "back": int(begun and not finished.burnt and row["tries"] > 0),
            "dead_at": finished.finished_at if status is ActionStatus.DEAD else None,
        },
    )
    connection.execute(
        _OUTCOME,
        (
            finished.finished_at,
            outcome.kind.value,
            outcome.reason.value,
            clean(outcome.detail),
            finished.action,
            finished.fence,
        ),
    )
    if status is ActionStatus.DELIVERED:
        _delivered(connection, row, finished)
    if status in {ActionStatus.DELIVERED, ActionStatus.SKIPPED}:
        persons.learn(connection, row["incident"], ActionKind(row["kind"]), outcome, finished.finished_at)
    if stored is not None:
        connection.execute(_REQUEST, (finished.action, stored.content, stored.file))
    if status is ActionStatus.SKIPPED and row["kind"] == "create" and outcome.reason is Reason.SHADOW:
        give_reason(connection, row["incident"], Reason.SHADOW)
    if finished.falls_back_to:
        fall_back(connection, row, finished)
    else:
        _follow(connection, row, status)
    write_history(connection, finished.history)
    return True


def _delivered(connection: sqlite3.Connection, row: sqlite3.Row, finished: FinishedAttempt) -> None:
    if finished.outcome.ticket is not None:
        ticket = ticket_to_json(finished.outcome.ticket)
        connection.execute("UPDATE incident SET ticket = ? WHERE id = ?", (ticket, row["incident"]))
    if row["kind"] == "create" and row["requester"]:
        connection.execute(
            "INSERT OR IGNORE INTO requester (helpdesk, requester) VALUES (?, ?)",
            (row["helpdesk"], row["requester"]),
        )


_NEXT = """
SELECT id, unresolved FROM action
WHERE incident = ? AND helpdesk = ? AND status = 'waiting' ORDER BY sequence, number LIMIT 1
"""
_ACTIVE = """
SELECT 1 FROM action WHERE incident = ? AND helpdesk = ? AND status IN ('queued', 'in_flight', 'unknown')
"""


def _follow(connection: sqlite3.Connection, row: sqlite3.Row, status: ActionStatus) -> None:
    """What the new status of one action does to those behind it."""
    place_of = (row["incident"], row["helpdesk"])
    if status is ActionStatus.DEAD and row["kind"] == "create":
        connection.execute(
            "UPDATE action SET status = 'blocked' WHERE incident = ? AND helpdesk = ? AND status = 'waiting'",
            place_of,
        )
        return
    if connection.execute(_ACTIVE, place_of).fetchone() is not None:
        return
    following = connection.execute(_NEXT, place_of).fetchone()
    if following is not None:
        ready = "unknown" if following["unresolved"] else "queued"
        connection.execute("UPDATE action SET status = ? WHERE id = ?", (ready, following["id"]))


# ---------------------------------------------------------------------------------------------------------- recovery

_INTERRUPTED_LINES = """
INSERT INTO history (at, what, reason, detail, receipt, event, incident, action)
SELECT attempt.started_at, 'interrupted', 'interrupted', '', action.receipt, NULL, action.incident, action.id
FROM action JOIN attempt ON attempt.action = action.id AND attempt.number = action.fence
WHERE action.status = 'in_flight'
"""
_INTERRUPTED_ATTEMPTS = """
UPDATE attempt SET outcome = 'unknown', reason = 'interrupted'
WHERE finished_at IS NULL AND outcome = ''
    AND action IN (SELECT id FROM action WHERE status = 'in_flight')
"""
_INTERRUPTED_ACTIONS = """
UPDATE action SET status = 'unknown', unresolved = 1, reason = 'interrupted', not_before = resolve_at
WHERE status = 'in_flight'
"""


def recover(connection: sqlite3.Connection) -> int:
    """Turn what an earlier process left in flight into what is looked up; gives back how many there were."""
    connection.execute(_INTERRUPTED_LINES)
    connection.execute(_INTERRUPTED_ATTEMPTS)
    return connection.execute(_INTERRUPTED_ACTIONS).rowcount


# --------------------------------------------------------------------------------------------------------- operators


def requeue(connection: sqlite3.Connection, ids: Sequence[str], now: float) -> list[str]:
    """Send dead actions and receipts on their way again."""
    return [name for name in ids if _requeue_action(connection, name, now) or _requeue_receipt(connection, name, now)]


_REQUEUE = """
UPDATE action SET status = ?, not_before = ?, tries = 0, dead_at = NULL, reason = 'retried_by_operator',
    paused_before = ? - (? - queued_at)
WHERE id = ?
"""


def _requeue_action(connection: sqlite3.Connection, name: str, now: float) -> bool:
    row = connection.execute("SELECT * FROM action WHERE id = ? AND status = 'dead'", (name,)).fetchone()
    if row is None:
        return False
    status = place(connection, row["incident"], row["helpdesk"], name)
    if row["unresolved"]:
        status = ActionStatus.UNKNOWN if status is ActionStatus.QUEUED else status
    else:  # proven to have written nothing: it may be prepared anew, with what was mended
        connection.execute("UPDATE request SET content = x'', file = NULL WHERE action = ?", (name,))
    paused = paused_until(connection, row["helpdesk"], now)
    connection.execute(_REQUEUE, (status.value, now, paused, now, name))
    if row["kind"] == "create":
        connection.execute(
            "UPDATE action SET status = 'waiting', paused_before = ? - (? - queued_at)"
            " WHERE incident = ? AND helpdesk = ? AND status = 'blocked'",
            (paused, now, row["incident"], row["helpdesk"]),
        )
    line = HistoryLine(now, "requeued", Reason.RETRIED_BY_OPERATOR, "", row["receipt"], None, row["incident"], name)
    write_history(connection, [line])
    return True


_REQUEUE_RECEIPT = """
UPDATE receipt SET status = 'accepted', tries = 0, reason = NULL, detail = '', envelope = CASE
    WHEN reason IN (SELECT value FROM json_each(?2)) THEN json_set(envelope, ?1, reason) ELSE envelope END
WHERE id = ?3 AND status = 'dead'
"""


def _requeue_receipt(connection: sqlite3.Connection, name: str, now: float) -> bool:
    cursor = connection.execute(_REQUEUE_RECEIPT, (f"$.{RELEASED}", dumps(sorted(HELD)).decode(), name))
    if cursor.rowcount == 0:
        return False
    connection.execute("DELETE FROM event WHERE receipt = ?", (name,))
    connection.execute("DELETE FROM event_duplicate WHERE receipt = ?", (name,))
    write_history(connection, [HistoryLine(now, "requeued", Reason.RETRIED_BY_OPERATOR, "", name)])
    return True


def drop(connection: sqlite3.Connection, ids: Sequence[str], now: float, who: str) -> list[str]:
    """Drop dead actions and receipts for good."""
    return [
        name for name in ids if _drop_action(connection, name, now, who) or _drop_receipt(connection, name, now, who)
    ]


def _drop_action(connection: sqlite3.Connection, name: str, now: float, who: str) -> bool:
    row = connection.execute("SELECT * FROM action WHERE id = ? AND status = 'dead'", (name,)).fetchone()
    if row is None:
        return False
    connection.execute(
        "UPDATE action SET status = 'dropped', reason = 'dropped_by_operator', dead_at = NULL WHERE id = ?",
        (name,),
    )
    lines = [HistoryLine(now, "dropped", Reason.DROPPED_BY_OPERATOR, who, row["receipt"], None, row["incident"], name)]
    if row["kind"] == "create":
        lines += _drop_followers(connection, row, now)
    write_history(connection, lines)
    return True


def _drop_followers(connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> list[HistoryLine]:
    place_of = (row["incident"], row["helpdesk"])
    followers = connection.execute(
        "SELECT id, receipt FROM action WHERE incident = ? AND helpdesk = ? AND status = 'blocked' ORDER BY sequence",
        place_of,
    ).fetchall()
    connection.execute(
        "UPDATE action SET status = 'dropped', reason = 'create_dropped'"
        " WHERE incident = ? AND helpdesk = ? AND status = 'blocked'",
        place_of,
    )
    lines = [
        HistoryLine(now, "dropped", Reason.CREATE_DROPPED, "", follower[1], None, row["incident"], follower[0])
        for follower in followers
    ]
    # Also one that is closed already: it has no ticket, and a relapse must not use it again.
    give_reason(connection, row["incident"], Reason.CREATE_DROPPED)
    cursor = connection.execute(
        "UPDATE incident SET state = 'closed', closed_at = ? WHERE id = ? AND state != 'closed'",
        (now, row["incident"]),
    )
    if cursor.rowcount:
        connection.execute("UPDATE member SET open = 0 WHERE incident = ?", (row["incident"],))
        connection.execute("DELETE FROM timer WHERE incident = ?", (row["incident"],))
        lines.append(HistoryLine(now, "closed", Reason.CREATE_DROPPED, "", incident=row["incident"]))
    return lines


def _drop_receipt(connection: sqlite3.Connection, name: str, now: float, who: str) -> bool:
    cursor = connection.execute(
        "UPDATE receipt SET status = 'processed', reason = 'dropped_by_operator' WHERE id = ? AND status = 'dead'",
        (name,),
    )
    if cursor.rowcount == 0:
        return False
    write_history(connection, [HistoryLine(now, "dropped", Reason.DROPPED_BY_OPERATOR, who, name)])
    return True
