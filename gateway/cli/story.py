"""The story of one receipt, for people: what it said, why it went where it went, and what became of it."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from gateway.cli.common import counted, moment
from gateway.cli.requests import request_lines
from gateway.cli.shapes import iso
from gateway.cli.terminal import block
from gateway.journal.protocol import ALSO, ActionView, AttemptView, EventView, HistoryLine, ReceiptView
from gateway.model.action import ActionKind, ActionStatus
from gateway.model.decision import LookedUp
from gateway.model.incident import Deed, Incident, IncidentState
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus

_WANTS = {
    ActionKind.CREATE: "make a ticket",
    ActionKind.APPEND: "add to the ticket",
    ActionKind.CLOSE: "close the ticket",
    ActionKind.REOPEN: "reopen the ticket",
    ActionKind.UPDATE: "change the ticket",
}
_STANDS = {
    ActionStatus.WAITING: "waits for an earlier action of its incident",
    ActionStatus.QUEUED: "waits for its next try",
    ActionStatus.IN_FLIGHT: "is being sent",
    ActionStatus.UNKNOWN: "may have been written; it will be looked up before any repeat",
    ActionStatus.BLOCKED: "waits behind a dead letter; see `ticket-gateway dead ls`",
    ActionStatus.DELIVERED: "done",
    ActionStatus.SKIPPED: "not done",
    ActionStatus.DEAD: "a dead letter; see `ticket-gateway dead ls`",
    ActionStatus.DROPPED: "dropped",
}

MOST_ADDRESSES = 5
"""Recipients that are shown of a mail; --json shows all."""


def story(view: ReceiptView, requests: Mapping[str, JsonValue] | None = None) -> str:
    """The whole story. ``requests`` are those to be shown, by action."""
    lines = [
        f"Receipt {view.id}",
        f"  from {view.source}{f' ({view.peer})' if view.peer else ''} at {moment(view.received_at)}, {_bytes(view)}",
        f"  {_stands(view)}",
    ]
    tickets = dict.fromkeys(incident.ticket for incident in view.incidents if incident.ticket is not None)
    lines += [f"  ticket {ticket.number} in {ticket.helpdesk}  {ticket.url}".rstrip() for ticket in tickets]
    lines += [f"  warning: {warning}" for warning in dict.fromkeys(view.warnings)]
    incidents = {incident.id: incident for incident in view.incidents}
    for event in view.events:
        lines += ["", *_event(event, incidents.get(event.incident), _beside(view.timeline, event))]
        lines += _further(view.timeline, event, incidents)
    for action in view.actions:
        lines += ["", *_action(action)]
        if requests and action.id in requests:
            lines += ["  request", *(f"  {line}" for line in request_lines(requests[action.id]))]
    if not view.actions and view.status is ReceiptStatus.PROCESSED:
        waits = any(incident.state is IncidentState.PENDING for incident in view.incidents)
        if any(incident.is_told_by_digest for incident in view.incidents):
            lines += ["", "No action of its own: the digest of a storm tells of it."]
        else:
            lines += [
                "",
                "Nothing is written to a helpdesk yet." if waits else "Nothing was to be written to a helpdesk.",
            ]
    if view.timeline:
        lines += ["", "Timeline", *_timeline(view.timeline)]
    return "\n".join(lines)


def _bytes(view: ReceiptView) -> str:
    return f"{view.size} octets of {view.content_type or 'no declared type'}"


def _stands(view: ReceiptView) -> str:
    if view.status is ReceiptStatus.ACCEPTED:
        tries = f"; {counted(view.tries, 'try').replace('trys', 'tries')} so far" if view.tries else ""
        return f"accepted: it is on disk and waits to be processed{tries}"
    if view.status is ReceiptStatus.DEAD:
        why = view.reason.explain() if view.reason is not None else ""
        more = f" It says: {view.detail}" if view.detail and view.detail != why else ""
        word = view.reason.value if view.reason is not None else "dead"
        return f"a dead letter ({word}): {why}{more}"
    return "processed"


def _beside(timeline: Sequence[HistoryLine], event: EventView) -> list[Reason]:
    """What else was found out when the event was processed: why a mail did not join a ticket, for example."""
    of_event = (line for line in timeline if line.event == event.index and line.what == "correlated")
    found = (line.reason for line in of_event if not line.detail.startswith(ALSO))
    return [reason for reason in dict.fromkeys(found) if reason is not None and reason is not event.reason]


def _further(timeline: Sequence[HistoryLine], event: EventView, incidents: Mapping[str, Incident]) -> list[str]:
    """What became of the event under further routes."""
    lines: list[str] = []
    for line in timeline:
        if line.event == event.index and line.reason is not None and line.detail.startswith(ALSO):
            lines.append(f"  {line.detail}: {line.reason.value}: {line.reason.explain()}")
            incident = incidents.get(line.incident)
            lines += _incident(incident) if incident is not None else []
    return lines


def _event(view: EventView, incident: Incident | None, beside: Iterable[Reason]) -> list[str]:
    event = view.event
    graded = event.get("severity") != "unknown" or event.get("state")  # of a person's mail it would say nothing
    kind = f"{event.get('kind')}, {event.get('severity')}" if graded else event.get("kind")
    lines = [f"Event {view.index}: {kind}: {event.get('title')}"]
    place = [f"{name} {event[name]}" for name in ("host", "service", "state") if event.get(name)]
    occurred = event.get("occurred_at")
    if isinstance(occurred, int | float):
        place.append(f"it happened at {moment(occurred)}")
    lines += [f"  {', '.join(place)}"] if place else []
    lines += [f"  {line}" for line in (*mail_lines(event), *_attachments(event))]
    text = event.get("text")
    lines += block(text, "  | ")[:8] if isinstance(text, str) and text.strip() else []
    lines += _rules(view)
    if view.duplicate_of is not None:
        lines.append(
            f"  {view.reason.value}: a repeat of event {view.duplicate_of[1]} of receipt {view.duplicate_of[0]}"
        )
    else:
        lines.append(f"  {view.reason.value}: {view.reason.explain()}")
    lines += [f"  {reason.value}: {reason.explain()}" for reason in beside]
    if incident is not None:
        lines += _incident(incident)
    return lines


def mail_lines(event: Mapping[str, object]) -> list[str]:
    """From whom and to whom a mail is, from an event's JSON form; nothing for an event that is no mail."""
    name, address = event.get("sender_name"), event.get("sender_address")
    sender = f"{name} <{address}>" if name and address else name or address
    to, cc = (_some(event.get(field)) for field in ("to", "cc"))
    if not sender or not (event.get("message_id") or to or cc):
        return []
    return [f"mail from {sender}{f' to {to}' if to else ''}{f', Cc {cc}' if cc else ''}"]


def _some(addresses: object) -> str:
    found = [str(one) for one in addresses] if isinstance(addresses, list | tuple) else []
    more = len(found) - MOST_ADDRESSES
    return ", ".join(found[:MOST_ADDRESSES]) + (f" and {more} more" if more > 0 else "")


def _attachments(event: Mapping[str, object]) -> list[str]:
    files = event.get("attachments")
    return [
        f"attachment {file.get('filename')} ({file.get('media_type')}, {file.get('size')} octets)"
        for file in (files if isinstance(files, list | tuple) else ())
        if isinstance(file, Mapping)
    ]


def _rules(view: EventView) -> list[str]:
    """The rules as they were tried when the event was processed."""
    trace = view.decision.get("trace")
    lines: list[str] = []
    for rule in trace if isinstance(trace, list) else []:
        if not isinstance(rule, Mapping):
            continue
        lines.append(f"  route {rule.get('route')} {'took it' if rule.get('matched') else 'did not match'}")
        clauses = rule.get("clauses")
        lines += [
            clause_line(str(c.get("path")), str(c.get("expected")), str(c.get("seen")), holds=bool(c.get("holds")))
            for c in (clauses if isinstance(clauses, list) else [])
            if isinstance(c, Mapping)
        ]
    if not lines:
        return ["  no route was tried"]
    lines += _lookups(view)
    if view.route and not any(f"route {view.route} took it" in line for line in lines):
        lines.append(f"  it follows the incident, which route {view.route} opened")
    return lines


def _lookups(view: EventView) -> list[str]:
    """The rows that were found when the event was processed."""
    lines: list[str] = []
    found = view.decision.get("lookups")
    for one in found if isinstance(found, list) else []:
        if isinstance(one, Mapping) and isinstance(columns := one.get("columns"), Mapping):
            lookup, by, value, place = (str(one.get(name, "")) for name in ("lookup", "by", "value", "place"))
            lines.append(f"  {LookedUp(lookup, by, value, place, {str(n): str(text) for n, text in columns.items()})}")
    return lines


def clause_line(path: str, expected: str, seen: str, *, holds: bool) -> str:
    """One clause of a rule as it was tried."""
    return f"    {'yes' if holds else 'no '}  {path} wants {expected}; saw {seen}"


def _incident(incident: Incident) -> list[str]:
    ended = f", closed {moment(incident.closed_at)}" if incident.state is IncidentState.CLOSED else ""
    many = counted(incident.occurrences, "occurrence")
    lines = [
        f"  incident {incident.id}: {incident.state.value}, {many}, opened {moment(incident.opened_at)}{ended}",
        f"    key {key_text(incident.key)}",
    ]
    if incident.touch is not None and incident.state is not IncidentState.CLOSED:
        deed = {
            Deed.WORKED: "works on its ticket",
            Deed.CLOSED: "closed its ticket",
            Deed.REMOVED: "removed its ticket",
        }
        lines.append(f"    a person {deed[incident.touch.deed]} (known since {moment(incident.touch.at)})")
    if incident.is_told_by_digest:
        lines.append(f"    the digest of a storm tells of it: incident {incident.digest}")
    if incident.state is IncidentState.CLOSED:
        return lines
    timers = sorted(incident.timers, key=lambda timer: timer.due_at)
    return lines + [f"    {timer.kind.value} is due {moment(timer.due_at)}" for timer in timers]


def key_text(key: str) -> str:
    """A correlation key for people: ``source nagios, route alerts, host web1, service HTTP``."""
    try:
        pairs = orjson.loads(key)
    except orjson.JSONDecodeError:
        return key
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return key
    return ", ".join(f"{name} {value}" for name, value in pairs)


def _action(action: ActionView) -> list[str]:
    if action.status is ActionStatus.SKIPPED and action.reason is Reason.SHADOW:
        lines = [f"Action, only shown: {action.detail}"]
        lines += [f"  {name}: {Reason(name).explain()}" for name in (*action.flags, Reason.SHADOW.value)]
        return [*lines, f"  marker {action.marker}, action {action.id}"]
    stands = _STANDS[action.status]
    if action.status is ActionStatus.QUEUED and action.reason is Reason.HELD_BY_BRAKE:
        stands = "held back by the brake"
    elif action.status is ActionStatus.QUEUED and action.not_before:
        stands += f", not before {moment(action.not_before)}"
    if action.status is ActionStatus.SKIPPED and action.reason is Reason.FELL_BACK:
        stands = f"fell back {action.detail}"
    lines = [f"Action: {_WANTS[action.kind]} in {action.helpdesk}: {stands}"]
    if action.coalesced_into:
        lines[0] = (
            f"Action: {_WANTS[action.kind]} in {action.helpdesk}: sent as a part of action {action.coalesced_into}"
        )
    lines += [f"  {flag}: {Reason(flag).explain()}" for flag in action.flags if flag in set(Reason)]
    if (
        action.status not in {ActionStatus.DELIVERED, ActionStatus.IN_FLIGHT}
        and action.reason.value not in action.flags
    ):
        lines.append(f"  {action.reason.value}: {action.reason.explain()}")
    lines += [f"  attempt {_attempt(attempt)}" for attempt in action.attempts]
    lines.append(f"  marker {action.marker}, action {action.id}")
    return lines


def _attempt(attempt: AttemptView) -> str:
    if attempt.finished_at is None:
        return f"{attempt.number} at {moment(attempt.started_at)}: no outcome yet"
    took = max(0.0, attempt.finished_at - attempt.started_at)
    reason = f" ({attempt.reason})" if attempt.reason and attempt.reason != attempt.outcome else ""
    detail = f": {attempt.detail}" if attempt.detail else ""
    return f"{attempt.number} at {moment(attempt.started_at)}, {took * 1000:.0f} ms: {attempt.outcome}{reason}{detail}"


def _timeline(lines: Sequence[HistoryLine]) -> Iterable[str]:
    first = lines[0].at
    for line in lines:
        reason = f" ({line.reason.value})" if line.reason is not None and line.reason.value != line.what else ""
        detail = f": {'; '.join(dict.fromkeys(line.detail.split('; ')))}" if line.detail else ""
        yield f"  {iso(line.at)}  +{max(0.0, line.at - first):.3f} s  {line.what}{reason}{detail}"
