"""The work of ``explain``: run a message through the pure stages, and tell what they decided."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import orjson

from gateway.cli.common import counted
from gateway.cli.requests import cut, request_lines
from gateway.cli.shapes import event_json
from gateway.cli.story import clause_line, key_text, mail_lines
from gateway.cli.terminal import block
from gateway.config.values import duration_text
from gateway.delivery.shadow import NUMBER
from gateway.facts import Facts
from gateway.helpdesks.protocol import Order
from gateway.journal.protocol import ALSO, IncidentChange, Processed, ReceiptView
from gateway.judging import Routed, RoutedEvent, route
from gateway.model.action import ActionKind, Elsewhere, NewAction
from gateway.model.event import Event, event_to_json
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.processing import process
from gateway.ruleset import Ruleset

_FIELDS = ("severity", "state", "host", "service", "origin_key", "problem_id", "occurred_at")


@dataclass(frozen=True, slots=True)
class Request:
    """An action with its request, as the connector would send it; a create also with what is done at its fallbacks."""

    action: NewAction
    target: str
    prepared: JsonValue
    shadow: bool = False
    fallbacks: "tuple[tuple[Elsewhere, tuple[Request, ...]], ...]" = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """One message with all that was decided about it."""

    name: str
    source: str
    kind: str
    routed: Routed
    processed: Processed
    requests: tuple[Request, ...]
    then: ReceiptView | None = None
    """Of a stored receipt that was worked on: what became of it, with the incidents that were open then."""


def explained(name: str, receipt: Receipt, facts: Facts, tickets: dict[str, TicketRef], rules: Ruleset) -> Explained:
    """Parse, route, correlate and render. ``facts`` and ``tickets`` (by incident) are carried forward."""
    settings, kind = rules.source(receipt.source), rules.kind_of(receipt.source)
    assert settings is not None
    assert kind is not None
    routed = route(receipt, kind.parse(receipt, settings), rules, full=True)
    processed = process(routed, facts, rules)
    requests = tuple(_request(action, tickets, rules) for action in processed.actions)
    return Explained(name, receipt.source, kind.name, routed, processed, requests)


def _request(action: NewAction, tickets: dict[str, TicketRef], rules: Ruleset) -> Request:
    connector = rules.connectors[action.helpdesk]
    unknown = TicketRef(action.helpdesk, NUMBER, NUMBER, requester=action.requester)
    order = Order(
        action=action.id,
        kind=action.kind,
        marker=action.marker,
        draft=action.draft,
        ticket=None if action.kind is ActionKind.CREATE else tickets.get(action.incident, unknown),
        queued_at=action.queued_at,
        receipt=action.cause.partition("/")[0],
        attachments=[b"x" * reference.size for reference in action.draft.attachments],
    )
    try:
        prepared: JsonValue = orjson.loads(connector.prepare(order))
    except ValueError as error:
        prepared = {"error": str(error)}
    if action.kind is ActionKind.CREATE and isinstance(prepared, dict):
        anchor = prepared.get("anchor")
        tickets[action.incident] = TicketRef(
            action.helpdesk,
            NUMBER,
            NUMBER,
            anchor=anchor if isinstance(anchor, str) else "",
            requester=action.requester,
            fingerprint=connector.fingerprint,
        )
    others = action.elsewhere if action.kind is ActionKind.CREATE else ()
    fallbacks = tuple((one, tuple(_request(there, {}, rules) for there in one.actions)) for one in others)
    return Request(action, connector.fingerprint, prepared, rules.shows_only(action.helpdesk), fallbacks)


# ---------------------------------------------------------------------------------------------------------- for people


def as_text(one: Explained) -> str:
    """All of it, for a terminal."""
    lines = [f"== {one.name}", f"   read as a message of source {one.source} ({one.kind})"]
    lines += [f"   warning: {warning}" for warning in one.processed.warnings]
    incidents = {change.incident.id: change for change in one.processed.incidents}
    for event in one.routed.events:
        lines += ["", *_event_lines(event.index, event.event), "", "Rules", *_rule_lines(event)]
        lines += [f"  {found}" for found in event.decision.lookups]
        lines += ["", *_result_lines(one.processed, event, incidents)]
    for request in one.requests:
        told = {record.reason for record in one.processed.events}
        lines += ["", *_request_lines(request, told)]
        before = request.action.helpdesk
        for other, requests in request.fallbacks:
            due = f"if {before} refuses it, or has not taken it for {duration_text(other.after)}"
            lines += ["", f"Fallback: {other.helpdesk}, {due}"]
            lines += [f"  {line}" for there in requests for line in _request_lines(there, {*told, Reason.FELL_BACK})]
            before = other.helpdesk
    later = _later_lines(one.processed, one.routed.receipt.received_at)
    lines += ["", *later] if later else []
    if not one.requests:
        lines += ["", "Request: none now" if later else "Request: none"]
    lines += ["", _then_line(one.then)] if one.then is not None and one.then.events else []
    return "\n".join([*lines, ""])


def _then_line(view: ReceiptView) -> str:
    became = ", ".join(dict.fromkeys(event.reason.value for event in view.events))
    ticket = f", ticket {view.ticket.number}" if view.ticket is not None else ""
    return f"When it came: {became}{ticket}; see `ticket-gateway events show {view.id}`"


def _event_lines(index: int, event: Event) -> list[str]:
    shown = event_json(event)
    rows = [(name, str(shown[name])) for name in _FIELDS if shown[name]]
    rows += [("group", event.group)] if event.group else []
    rows += [("mail", line.removeprefix("mail ")) for line in mail_lines(event_to_json(event))]
    rows += [(f"labels.{name}", value) for name, value in sorted(event.labels.items())]
    rows += [("attachment", f"{file.filename} ({file.media_type}, {file.size} octets)") for file in event.attachments]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"Event {index}: {event.kind.value}: {event.title}"]
    lines += [f"  {name.ljust(width)}  {cut(value)}" for name, value in rows]
    return lines + (block(event.text, "  | ") if event.text.strip() else [])


def _rule_lines(event: RoutedEvent) -> list[str]:
    lines: list[str] = []
    for trace in event.decision.trace:
        lines.append(f"  {trace.route}: {'takes it' if trace.matched else 'does not match'}")
        lines += [clause_line(c.path, c.expected, cut(c.seen), holds=c.holds) for c in trace.clauses]
        if trace.matched and not trace.clauses:
            lines.append("    yes  it has no `match`, so it takes everything")
    return lines or ["  there are none"]


def _result_lines(processed: Processed, event: RoutedEvent, incidents: Mapping[str, IncidentChange]) -> list[str]:
    record = next(one for one in processed.events if one.index == event.index)
    lines = [f"Becomes: {record.reason.value}: {record.reason.explain()}"]
    lines += [f"  route     {record.route}"] if record.route else []
    change = incidents.get(record.incident)
    if change is not None:
        incident = change.incident
        lines += [
            f"  incident  {incident.state.value}, {counted(incident.occurrences, 'occurrence')}, severity {incident.severity}",
            f"  key       {key_text(incident.key)}",
        ]
    else:
        lines += [f"  key       {key_text(target.key)}" for target in event.targets if target.rule.plan is not None]
    return [*lines, *(f"  {text}" for text in _remarks(processed, event.index, record.reason))]


def _remarks(processed: Processed, index: int, told: Reason) -> list[str]:
    """What else was found out about an event, or how its incident was found, beside the reason that is told already."""
    remarks: list[str] = []
    for line in processed.history:
        if line.event == index and line.reason is not None and line.detail.startswith(ALSO):
            remarks.append(f"{line.detail}: {line.reason.value}: {line.reason.explain()}")
        elif line.event == index and line.reason is not None and line.reason is not told:
            remarks.append(f"{line.reason.value}: {line.reason.explain()}{f' ({line.detail})' if line.detail else ''}")
        elif line.event == index and line.reason is told and line.detail and not line.detail.startswith("route "):
            remarks.append(f"because   {line.detail}")
    return remarks


def _later_lines(processed: Processed, now: float) -> list[str]:
    """What is to be done later, unless something comes in between."""
    lines: list[str] = []
    for timer in sorted(processed.timers, key=lambda timer: timer.due_at):
        held = timer.held
        what = f": {held.kind.value}, {held.draft.title}" if held is not None else ""
        lines.append(f"Later: {timer.kind} after {duration_text(round(timer.due_at - now, 3))}{what}")
    return lines


def _request_lines(request: Request, told: set[Reason]) -> list[str]:
    action = request.action
    only = "; only shown: it is in shadow mode" if request.shadow else ""
    lines = [f"Request: {action.kind.value}, to {action.helpdesk} ({request.target}){only}"]
    reasons = dict.fromkeys((action.reason, *action.draft.reasons))
    lines += [f"  {reason.value}: {reason.explain()}" for reason in reasons if reason not in told]
    lines += [f"  marker {action.marker}"]
    return [*lines, *request_lines(request.prepared)]


# -------------------------------------------------------------------------------------------------------- for programs


def as_json_object(one: Explained) -> JsonObject:
    """All of it, nothing cut."""
    records = {record.index: record for record in one.processed.events}
    return {
        "message": one.name,
        "source": one.source,
        "warnings": list(one.processed.warnings),
        "became": [event.reason.value for event in one.then.events] if one.then is not None else [],
        "events": [
            {
                "event": event_json(event.event),
                "rules": [
                    {
                        "route": trace.route,
                        "matched": trace.matched,
                        "clauses": [
                            {"path": c.path, "expected": c.expected, "seen": c.seen, "holds": c.holds}
                            for c in trace.clauses
                        ],
                    }
                    for trace in event.decision.trace
                ],
                "lookups": [asdict(found) for found in event.decision.lookups],
                "route": records[event.index].route,
                "reason": records[event.index].reason.value,
                "incident": records[event.index].incident,
                "keys": [target.key for target in event.targets],
                "remarks": list(_remarks(one.processed, event.index, records[event.index].reason)),
            }
            for event in one.routed.events
        ],
        "actions": [
            {
                "kind": request.action.kind.value,
                "helpdesk": request.action.helpdesk,
                "incident": request.action.incident,
                "marker": request.action.marker,
                "reason": request.action.reason.value,
                "title": request.action.draft.title,
                "text": request.action.draft.text,
                "request": _opened(request.prepared),
                "shadow": request.shadow,
                "fallbacks": [
                    {
                        "helpdesk": other.helpdesk,
                        "after_seconds": other.after,
                        "requests": [_opened(there.prepared) for there in requests],
                    }
                    for other, requests in request.fallbacks
                ],
            }
            for request in one.requests
        ],
        "later": [
            {
                "timer": timer.kind,
                "due_at": timer.due_at,
                "incident": timer.incident,
                "kind": timer.held.kind.value if timer.held is not None else None,
                "title": timer.held.draft.title if timer.held is not None else None,
                "text": timer.held.draft.text if timer.held is not None else None,
            }
            for timer in one.processed.timers
        ],
    }


def _opened(prepared: JsonValue) -> JsonValue:
    """The request with its JSON body as JSON, so that programs need not parse twice."""
    if isinstance(prepared, dict) and isinstance(prepared.get("json"), str) and prepared["json"]:
        body: JsonValue = orjson.loads(str(prepared["json"]))
        return {**prepared, "json": body}
    return prepared
