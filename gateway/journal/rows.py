"""Between the words of the product and what a database stores: JSON texts and tuples."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from gateway.journal.protocol import HeldAction, HistoryLine, Variant
from gateway.model.action import ActionKind, AttachmentRef, Elsewhere, NewAction, TicketDraft
from gateway.model.event import Severity
from gateway.model.incident import Deadline, Deed, Incident, IncidentState, Member, TicketRef, TimerKind, Touch
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt

INCIDENT_COLUMNS = (
    "id, key, state, version, route, helpdesk, plan, severity, title, host, service, occurrences, sequence, "
    "opened_at, last_event_at, last_appended_at, closed_at, reasons, life, ticket"
)
HISTORY_COLUMNS = "at, what, reason, detail, receipt, event, incident, action"


def clean(text: str) -> str:
    """The text with lone surrogates replaced: they have no UTF-8 form, and no payload may fail a transaction."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def dumps(value: object) -> bytes:
    """JSON of plain values and dataclasses; lone surrogates are replaced."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_cleaned(value), option=orjson.OPT_NON_STR_KEYS)


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)  # orjson writes 64 bits
    return value


def texts(values: Sequence[str]) -> str:
    """A JSON text of a list of texts."""
    return dumps(list(values)).decode() if values else "[]"


def listed(text: str) -> tuple[str, ...]:
    """The inverse of `texts`."""
    return tuple(orjson.loads(text)) if text != "[]" else ()


def draft_to_json(draft: TicketDraft) -> bytes:
    """A draft as it is stored."""
    return dumps(asdict(draft))


def draft_from_json(data: bytes) -> TicketDraft:
    """The inverse of `draft_to_json`."""
    return _draft(orjson.loads(data))


def _draft(raw: dict[str, Any]) -> TicketDraft:
    return TicketDraft(
        title=raw["title"],
        text=raw["text"],
        html=raw["html"],
        fields=raw["fields"],
        attachments=tuple(AttachmentRef(**item) for item in raw["attachments"]),
        quiet=raw["quiet"],
        reopen=raw["reopen"],
        reasons=tuple(Reason(item) for item in raw["reasons"]),
        message_name=raw.get("message_name", ""),  # absent in drafts of earlier versions
        references=tuple(raw.get("references", ())),
        alone=raw.get("alone", False),
        only_if_untouched=raw.get("only_if_untouched", False),
        closed_by_hand=raw.get("closed_by_hand", ""),
    )


def held_to_json(held: HeldAction | None) -> bytes | None:
    """What a timer keeps, as it is stored."""
    if held is None:
        return None
    plain = asdict(held)
    if not held.variants:
        del plain["variants"]
    return dumps(plain)


def held_from_json(data: bytes | None) -> HeldAction | None:
    """The inverse of `held_to_json`."""
    if not data:
        return None
    raw = orjson.loads(data)
    return HeldAction(
        ActionKind(raw["kind"]),
        _draft(raw["draft"]),
        Reason(raw["reason"]),
        raw["receipt"],
        tuple(
            Variant(one["helpdesk"], ActionKind(one["kind"]), _draft(one["draft"])) for one in raw.get("variants", ())
        ),
    )


def elsewhere_to_json(elsewhere: Sequence[Elsewhere]) -> bytes | None:
    """What is done at other helpdesks, as it is stored; None for nothing."""
    return dumps([asdict(one) for one in elsewhere]) if elsewhere else None


def elsewhere_from_json(data: bytes | None) -> tuple[Elsewhere, ...]:
    """The inverse of `elsewhere_to_json`."""
    if not data:
        return ()
    return tuple(
        Elsewhere(one["helpdesk"], one["plan"], one["after"], tuple(_new_action(action) for action in one["actions"]))
        for one in orjson.loads(data)
    )


def _new_action(raw: dict[str, Any]) -> NewAction:
    known = {"kind": ActionKind(raw["kind"]), "draft": _draft(raw["draft"]), "reason": Reason(raw["reason"])}
    return NewAction(**{**raw, **known, "elsewhere": ()})


def ticket_to_json(ticket: TicketRef) -> str:
    """A ticket as it is stored."""
    return dumps(asdict(ticket)).decode()


def ticket_from_json(text: str | None) -> TicketRef | None:
    """The inverse of `ticket_to_json`; None for NULL."""
    return TicketRef(**orjson.loads(text)) if text else None


def receipt_from_row(row: sqlite3.Row, body: bytes) -> Receipt:
    """A receipt of the columns of table ``receipt``."""
    return Receipt(
        id=row["id"],
        sequence=row["sequence"],
        source=row["source"],
        received_at=row["received_at"],
        body=body,
        content_type=row["content_type"],
        headers=tuple((name, value) for name, value in orjson.loads(row["headers"])),
        envelope=orjson.loads(row["envelope"]),
        peer=row["peer"],
        tries=row["tries"],
    )


def incident_to_row(incident: Incident) -> tuple[object, ...]:
    """The values of `INCIDENT_COLUMNS` but the last (the ticket, which delivery writes)."""
    return (
        incident.id,
        clean(incident.key),
        incident.state.value,
        incident.version,
        incident.route,
        incident.helpdesk,
        incident.plan,
        incident.severity.value,
        clean(incident.title),
        clean(incident.host),
        clean(incident.service),
        incident.occurrences,
        incident.sequence,
        incident.opened_at,
        incident.last_event_at,
        incident.last_appended_at,
        incident.closed_at,
        texts(incident.reasons),
        _life_to_json(incident),
    )


def _life_to_json(incident: Incident) -> str:
    timers = {timer.kind.value: timer.due_at for timer in incident.timers}
    life: dict[str, object] = {"timers": timers, "worst": incident.worst.value}
    if incident.changes or incident.flapping:
        life |= {"changes": incident.changes, "flapping": incident.flapping}
    if incident.storm:
        life["storm"] = incident.storm
    if incident.digest:
        life["digest"] = incident.digest
    if incident.news:
        life["news"] = incident.news
    return dumps(life).decode()


def incident_from_row(row: sqlite3.Row, members: Sequence[Member]) -> Incident:
    """An incident of the columns of table ``incident``."""
    life = orjson.loads(row["life"])
    return Incident(
        id=row["id"],
        key=row["key"],
        state=IncidentState(row["state"]),
        version=row["version"],
        route=row["route"],
        helpdesk=row["helpdesk"],
        plan=row["plan"],
        severity=Severity(row["severity"]),
        title=row["title"],
        host=row["host"],
        service=row["service"],
        occurrences=row["occurrences"],
        sequence=row["sequence"],
        opened_at=row["opened_at"],
        last_event_at=row["last_event_at"],
        last_appended_at=row["last_appended_at"],
        closed_at=row["closed_at"],
        members=tuple(members),
        ticket=ticket_from_json(row["ticket"]),
        reasons=listed(row["reasons"]),
        timers=tuple(Deadline(TimerKind(kind), due_at) for kind, due_at in life.get("timers", {}).items()),
        worst=Severity(life.get("worst", row["severity"])),  # absent in incidents of earlier versions
        changes=tuple(life.get("changes", ())),
        flapping=life.get("flapping", False),
        touch=Touch(Deed(row["touch"]), row["touched_at"]) if row["touch"] else None,
        storm=life.get("storm", ""),
        digest=life.get("digest", ""),
        news=tuple(life.get("news", ())),
    )


def incidents_by_id(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Incident]:
    """The incidents of these ids with their members; unknown ids are absent."""
    if not ids:
        return {}
    wanted = dumps(list(ids)).decode()
    members: dict[str, list[Member]] = {}
    for row in connection.execute(
        "SELECT incident, source, origin_key, in_problem, problem_id, last_problem_at, recovered_at, clock, title,"
        " host, service, severity, grouped_by"
        " FROM member WHERE incident IN (SELECT value FROM json_each(?)) ORDER BY incident, position",
        (wanted,),
    ):
        members.setdefault(row[0], []).append(
            Member(
                row[1],
                row[2],
                bool(row[3]),
                row[4],
                row[5],
                row[6],
                bool(row[7]),
                row[8],
                row[9],
                row[10],
                Severity(row[11]),
                row[12],
            ),
        )
    rows = connection.execute(
        f"SELECT {INCIDENT_COLUMNS}, touch, touched_at FROM incident WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608 - constant
        (wanted,),
    )
    return {row["id"]: incident_from_row(row, members.get(row["id"], ())) for row in rows}


def history_to_row(line: HistoryLine) -> tuple[object, ...]:
    """The values of `HISTORY_COLUMNS`."""
    return (
        line.at,
        line.what,
        line.reason.value if line.reason else None,
        clean(line.detail),
        line.receipt,
        line.event,
        line.incident,
        line.action,
    )


def history_from_row(row: sqlite3.Row) -> HistoryLine:
    """The inverse of `history_to_row`."""
    return HistoryLine(
        at=row["at"],
        what=row["what"],
        reason=Reason(row["reason"]) if row["reason"] else None,
        detail=row["detail"],
        receipt=row["receipt"],
        event=row["event"],
        incident=row["incident"],
        action=row["action"],
    )


def write_history(connection: sqlite3.Connection, lines: Sequence[HistoryLine]) -> None:
    """Append lines to the timeline, in as few statements as may be."""
    insert_many(connection, f"INSERT INTO history ({HISTORY_COLUMNS})", 8, [history_to_row(line) for line in lines])


_LARGEST_STEP = 64


def insert_many(connection: sqlite3.Connection, head: str, width: int, rows: Sequence[tuple[object, ...]]) -> None:
    """``INSERT`` rows by statements of 64, 32, ... 1 rows.

    Every step of SQLite lets go of the interpreter's lock and must win it back from the event loop, so the number of
    steps, not of rows, is what costs. Powers of two keep the number of different statements, and so the statement
    cache, small.
    """
    position, step = 0, _LARGEST_STEP
    while position < len(rows):
        while step > len(rows) - position:
            step //= 2
        values: list[object] = []
        for row in rows[position : position + step]:
            values.extend(row)
        marks = "(" + ",".join("?" * width) + ")"
        connection.execute(f"{head} VALUES {','.join([marks] * step)}", values)
        position += step


def give_reason(connection: sqlite3.Connection, incident: str, reason: Reason) -> None:
    """Put a reason on an incident. Its version rises, so that nobody writes an older one over it."""
    known = connection.execute("SELECT reasons FROM incident WHERE id = ?", (incident,)).fetchone()
    if known is not None:
        reasons = texts(list(dict.fromkeys([*listed(known["reasons"]), reason.value])))
        connection.execute("UPDATE incident SET reasons = ?, version = version + 1 WHERE id = ?", (reasons, incident))
