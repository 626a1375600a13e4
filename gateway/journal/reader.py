"""The read side for console, status page and CLI: one read-only connection in one thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

import orjson

from gateway.journal import helpdesks, silences
from gateway.journal.bodies import Bodies, Stored
from gateway.journal.pace import Pace
from gateway.journal.protocol import (
    ActionView,
    AttachmentGone,
    AttemptView,
    Counts,
    DeadLetter,
    EventView,
    HelpdeskState,
    HistoryLine,
    ReceiptLine,
    ReceiptView,
)
from gateway.journal.rows import (
    HISTORY_COLUMNS,
    dumps,
    history_from_row,
    incidents_by_id,
    listed,
    receipt_from_row,
    ticket_from_json,
)
from gateway.model.action import ActionKind, ActionStatus
from gateway.model.incident import Incident
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt, ReceiptStatus
from gateway.model.silence import Silence

SHORTEST_PREFIX = 8

T = TypeVar("T")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that sees what is committed and can write nothing."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=10,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    return connection


class Snapshots:
    """A read-only connection in a thread of its own; every call sees one snapshot."""

    def __init__(self, path: Path, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._on_thread: set[Future[object]] = set()
        self._pace = Pace()

    async def ask(self, question: Callable[[sqlite3.Connection], T], *, brief: bool = False) -> T:
        """Run a function of reads within one snapshot; a ``brief`` one right here while such take next to no time."""
        if brief and not self._on_thread and self._pace.fast:
            began = time.monotonic()
            try:
                return self._ask(question)
            finally:
                self._pace.took(time.monotonic() - began)
        work = self._thread.submit(self._timed, question, brief)
        asked = cast("Future[object]", work)
        self._on_thread.add(asked)  # until it has really ended, even if nobody waits for it any more
        asked.add_done_callback(self._on_thread.discard)
        return await asyncio.wrap_future(work)

    def _timed(self, question: Callable[[sqlite3.Connection], T], brief: bool) -> T:  # noqa: FBT001 - an executor passes it
        began = time.monotonic()
        try:
            return self._ask(question)
        finally:
            if brief:
                self._pace.took_elsewhere(time.monotonic() - began)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = connect_read_only(self._path)
        self._connection.execute("BEGIN")
        try:
            return question(self._connection)
        finally:
            self._connection.execute("COMMIT")

    async def close(self) -> None:
        """Let go of connection and thread."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()


class SqliteReader:
    """Implements `Reader`."""

    def __init__(self, snapshots: Snapshots, bodies: Bodies) -> None:
        self._snapshots = snapshots
        self._bodies = bodies

    async def receipt(self, receipt_id: str) -> ReceiptView | None:
        """Everything about one receipt."""
        return await self._snapshots.ask(lambda connection: _receipt(connection, receipt_id))

    async def body(self, receipt_id: str) -> Receipt | None:
        """The receipt with its bytes."""

        def read(connection: sqlite3.Connection) -> Receipt | None:
            name = _whole_id(connection, receipt_id)
            row = connection.execute(_WITH_BODY, (name,)).fetchone()
            return receipt_from_row(row, self._bodies.load(Stored(row["content"], row["file"]))) if row else None

        return await self._snapshots.ask(read)

    async def receipts(self, *, limit: int, source: str = "", status: str = "", before: str = "") -> list[ReceiptLine]:
        """The newest receipts first."""
        return await self._snapshots.ask(lambda connection: _receipts(connection, limit, source, status, before))

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident by its id."""
        return await self._snapshots.ask(lambda connection: incidents_by_id(connection, [incident_id]).get(incident_id))

    async def request(self, action_id: str) -> bytes | None:
        """The stored request of an action."""

        def read(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT content, file FROM request WHERE action = ?", (action_id,)).fetchone()
            if row is None:
                return None
            try:
                return self._bodies.load(Stored(row["content"], row["file"])) or None
            except AttachmentGone:
                return None

        return await self._snapshots.ask(read)

    async def helpdesks(self) -> list[HelpdeskState]:
        """What is remembered of each helpdesk."""
        return await self._snapshots.ask(helpdesks.every)

    async def silences(self) -> list[Silence]:
        """All silences that are kept."""
        return await self._snapshots.ask(silences.every)

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """All that waits for a person, oldest first."""
        return await self._snapshots.ask(lambda connection: _dead_letters(connection, limit))

    async def counts(self) -> Counts:
        """Figures of now."""
        return await self._snapshots.ask(_counts)


_WITH_BODY = """
SELECT receipt.*, body.content AS content, body.file AS file FROM receipt JOIN body USING (sequence) WHERE id = ?
"""


def _whole_id(connection: sqlite3.Connection, prefix: str) -> str:
    """The only receipt id that begins so; the text itself if there is none or more than one."""
    if len(prefix) < SHORTEST_PREFIX or len(prefix) >= 36:
        return prefix
    found = connection.execute(
        "SELECT id FROM receipt WHERE id >= ? AND id < ? LIMIT 2",
        (prefix, prefix + "\U0010ffff"),
    ).fetchall()
    return str(found[0][0]) if len(found) == 1 else prefix


def _receipt(connection: sqlite3.Connection, prefix: str) -> ReceiptView | None:
    row = connection.execute("SELECT * FROM receipt WHERE id = ?", (_whole_id(connection, prefix),)).fetchone()
    if row is None:
        return None
    name = row["id"]
    events = _events(connection, name)
    of_events = list(dict.fromkeys(event.incident for event in events if event.incident))
    further = [row[0] for row in connection.execute(_FURTHER, (name,))]
    own = dumps(list(dict.fromkeys((*of_events, *further)))).decode()
    actions = _actions(connection, name, own)
    ids = list(dict.fromkeys((*of_events, *further, *(action.incident for action in actions))))
    incidents = incidents_by_id(connection, ids)
    digests = dict.fromkeys(one.digest for one in incidents.values() if one.is_told_by_digest)
    ids += [name for name in digests if name not in incidents]  # last: an own ticket comes first
    incidents |= incidents_by_id(connection, list(digests))
    ordered = tuple(incidents[found] for found in ids if found in incidents)
    speaking = {*of_events, *(incidents[one].digest for one in of_events if one in incidents)}
    return ReceiptView(
        id=name,
        source=row["source"],
        received_at=row["received_at"],
        peer=row["peer"],
        content_type=row["content_type"],
        size=row["size"],
        status=ReceiptStatus(row["status"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        detail=row["detail"],
        tries=row["tries"],
        warnings=listed(row["warnings"]),
        envelope=orjson.loads(row["envelope"]),
        events=events,
        actions=actions,
        incidents=ordered,
        ticket=next((one.ticket for one in ordered if one.ticket and one.id in speaking), None),
        timeline=_timeline(connection, name, row["received_at"], actions, own),
    )


_FURTHER = """
SELECT incident FROM history
WHERE receipt = ? AND receipt != '' AND what = 'correlated' AND incident != '' ORDER BY number
"""


def _events(connection: sqlite3.Connection, receipt: str) -> tuple[EventView, ...]:
    rows = connection.execute("SELECT * FROM event WHERE receipt = ? ORDER BY event", (receipt,))
    return tuple(
        EventView(
            index=row["event"],
            event=orjson.loads(row["content"]),
            reason=Reason(row["reason"]),
            route=row["route"],
            incident=row["incident"],
            decision=orjson.loads(row["decision"]),
            duplicate_of=(row["duplicate_receipt"], row["duplicate_event"]) if row["duplicate_receipt"] else None,
        )
        for row in rows
    )


_ACTIONS = """
SELECT * FROM action WHERE receipt = :receipt AND receipt != ''
UNION ALL SELECT * FROM action WHERE incident IN (SELECT value FROM json_each(:incidents)) AND receipt = ''
ORDER BY number
"""


def _actions(connection: sqlite3.Connection, receipt: str, incidents: str) -> tuple[ActionView, ...]:
    """The actions of a receipt, and those that timers have caused in its incidents (a JSON text of their ids)."""
    rows = connection.execute(_ACTIONS, {"receipt": receipt, "incidents": incidents}).fetchall()
    attempts: dict[str, list[AttemptView]] = {}
    for row in connection.execute(
        "SELECT * FROM attempt WHERE action IN (SELECT value FROM json_each(?)) ORDER BY action, number",
        (dumps([row["id"] for row in rows]).decode(),),
    ):
        attempts.setdefault(row["action"], []).append(
            AttemptView(
                row["number"],
                row["started_at"],
                row["deadline"],
                row["finished_at"],
                row["outcome"],
                row["reason"],
                row["detail"],
            ),
        )
    return tuple(
        ActionView(
            id=row["id"],
            incident=row["incident"],
            helpdesk=row["helpdesk"],
            kind=ActionKind(row["kind"]),
            status=ActionStatus(row["status"]),
            reason=Reason(row["reason"]),
            flags=listed(row["flags"]),
            marker=row["marker"],
            route=row["route"],
            sequence=row["sequence"],
            receipt=row["receipt"],
            queued_at=row["queued_at"],
            not_before=row["not_before"],
            tries=row["tries"],
            title=row["title"],
            detail=row["detail"],
            attempts=tuple(attempts.get(row["id"], ())),
            coalesced_into=row["coalesced_into"],
        )
        for row in rows
    )


_TIMELINE = f"""
SELECT number, {HISTORY_COLUMNS} FROM history WHERE receipt = :receipt AND receipt != ''
UNION SELECT number, {HISTORY_COLUMNS} FROM history
    WHERE action != '' AND action IN (SELECT value FROM json_each(:actions))
UNION SELECT number, {HISTORY_COLUMNS} FROM history
    WHERE incident != '' AND incident IN (SELECT value FROM json_each(:incidents)) AND receipt = ''
        AND (what = 'timer' OR (what = 'ticket' AND at >= :received_at))
ORDER BY at, number
"""  # noqa: S608 - constants


def _timeline(
    connection: sqlite3.Connection,
    receipt: str,
    received_at: float,
    actions: tuple[ActionView, ...],
    incidents: str,
) -> tuple[HistoryLine, ...]:
    """What was written about the receipt, its actions, and the timers of its incidents.

    Accepting writes no line of its own: the receipt is it.
    """
    ids = dumps([action.id for action in actions]).decode()
    rows = connection.execute(
        _TIMELINE, {"receipt": receipt, "actions": ids, "incidents": incidents, "received_at": received_at}
    )
    return (HistoryLine(received_at, "accepted", receipt=receipt), *(history_from_row(row) for row in rows))


_LIST = """
SELECT r.sequence, r.id, r.source, r.received_at, r.status, r.reason AS dead, e.kind, e.title, e.reason,
    coalesce(i.ticket, (SELECT ticket FROM incident WHERE id = json_extract(i.life, '$.digest'))) AS ticket,
    i.reasons, EXISTS (SELECT 1 FROM action AS a WHERE a.receipt = r.id AND a.status = 'queued'
        AND a.reason = 'held_by_brake') AS held
FROM receipt AS r
    LEFT JOIN event AS e ON e.receipt = r.id AND e.event = (SELECT min(event) FROM event WHERE receipt = r.id)
    LEFT JOIN incident AS i ON i.id = e.incident
WHERE r.sequence < :before AND (:source = '' OR r.source = :source) AND (:status = '' OR r.status = :status)
ORDER BY r.sequence DESC LIMIT :limit
"""


def _receipts(connection: sqlite3.Connection, limit: int, source: str, status: str, before: str) -> list[ReceiptLine]:
    end = 2**62
    if before:
        row = connection.execute(
            "SELECT sequence FROM receipt WHERE id = ?", (_whole_id(connection, before),)
        ).fetchone()
        if row is None:
            return []
        end = row[0]
    rows = connection.execute(_LIST, {"before": end, "source": source, "status": status, "limit": limit})
    lines: list[ReceiptLine] = []
    for row in rows:
        ticket = ticket_from_json(row["ticket"])
        lines.append(
            ReceiptLine(
                id=row["id"],
                source=row["source"],
                received_at=row["received_at"],
                status=ReceiptStatus(row["status"]),
                kind=row["kind"] or "",
                title=row["title"] or "",
                reason=row["dead"] or row["reason"] or "",
                ticket=ticket.number if ticket else "",
                remark=_remark(row) if ticket is None else "",
            ),
        )
    return lines


def _remark(row: sqlite3.Row) -> str:
    """Why there is no ticket, as far as that can be said in a word."""
    if row["held"]:
        return "held"
    return "shadow" if Reason.SHADOW.value in listed(row["reasons"] or "[]") else ""


_DEAD_RECEIPTS = """
SELECT r.id, r.source, r.reason, r.detail, r.received_at, (
    SELECT title FROM event WHERE receipt = r.id ORDER BY event LIMIT 1) AS title
FROM receipt AS r WHERE r.status = 'dead' ORDER BY r.sequence LIMIT ?
"""
_DEAD_ACTIONS = """
SELECT a.id, a.receipt, r.source, a.helpdesk, a.title, a.reason, a.detail, a.dead_at, CASE a.kind WHEN 'create' THEN (
    SELECT count(*) FROM action AS b
    WHERE b.incident = a.incident AND b.helpdesk = a.helpdesk AND b.status = 'blocked') ELSE 0 END AS blocked
FROM action AS a LEFT JOIN receipt AS r ON r.id = a.receipt
WHERE a.status = 'dead'
    AND a.status IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked', 'dead')
ORDER BY a.dead_at, a.number LIMIT ?
"""


def _dead_letters(connection: sqlite3.Connection, limit: int) -> list[DeadLetter]:
    letters = [
        DeadLetter(
            what="receipt",
            id=row["id"],
            receipt=row["id"],
            source=row["source"],
            helpdesk="",
            title=row["title"] or "",
            reason=Reason(row["reason"]),
            detail=row["detail"],
            since=row["received_at"],
        )
        for row in connection.execute(_DEAD_RECEIPTS, (limit,))
    ]
    letters += [
        DeadLetter(
            what="action",
            id=row["id"],
            receipt=row["receipt"],
            source=row["source"] or "",
            helpdesk=row["helpdesk"],
            title=row["title"],
            reason=Reason(row["reason"]),
            detail=row["detail"],
            since=row["dead_at"],
            blocked=row["blocked"],
        )
        for row in connection.execute(_DEAD_ACTIONS, (limit,))
    ]
    return sorted(letters, key=lambda letter: letter.since)[:limit]


_COUNT_ACTIONS = """
SELECT helpdesk, status, count(*) AS many, min(queued_at) AS oldest FROM action
WHERE status IN ('waiting', 'queued', 'in_flight', 'unknown', 'blocked', 'dead') GROUP BY helpdesk, status
"""


_COUNT_HELD = """
SELECT helpdesk, count(*) FROM action WHERE reason = 'held_by_brake' AND status = 'queued' GROUP BY helpdesk
"""


def _counts(connection: sqlite3.Connection) -> Counts:
    waiting, oldest = connection.execute(
        "SELECT count(*), min(received_at) FROM receipt WHERE status = 'accepted'",
    ).fetchone()
    moving: dict[str, int] = {}
    ages: dict[str, float] = {}
    still = {"dead": 0, "blocked": 0}
    for row in connection.execute(_COUNT_ACTIONS):
        if row["status"] in still:
            still[row["status"]] += row["many"]
            continue
        name = row["helpdesk"]
        moving[name] = moving.get(name, 0) + row["many"]
        ages[name] = min(ages.get(name, row["oldest"]), row["oldest"])
    return Counts(
        receipts_waiting=waiting,
        oldest_receipt=oldest,
        actions_waiting=moving,
        oldest_action=ages,
        dead_receipts=connection.execute("SELECT count(*) FROM receipt WHERE status = 'dead'").fetchone()[0],
        dead_actions=still["dead"],
        blocked_actions=still["blocked"],
        held={row[0]: row[1] for row in connection.execute(_COUNT_HELD)},
        open_incidents=connection.execute("SELECT count(*) FROM incident WHERE state != 'closed'").fetchone()[0],
    )
