"""Events and receipts as the command line prints them: the names of the configuration, instants as ISO 8601."""

from datetime import UTC, datetime

from gateway.journal.protocol import ReceiptView
from gateway.model.event import Event
from gateway.model.json import JsonObject, JsonValue


def iso(instant: float | None) -> str | None:
    """An instant as ISO 8601 in UTC."""
    if instant is None:
        return None
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_json(event: Event) -> JsonObject:
    """An event without the contents of its attachments."""
    labels: dict[str, JsonValue] = dict(event.labels)
    return {
        "kind": event.kind.value,
        "state": event.state,
        "still_in_problem": event.still_in_problem,
        "severity": event.severity.value,
        "problem_id": event.problem_id,
        "title": event.title,
        "text": event.text,
        "html": event.html,
        "host": event.host,
        "service": event.service,
        "labels": labels,
        "origin_key": event.origin_key,
        "occurred_at": iso(event.occurred_at),
        "links": [{"title": link.title, "url": link.url} for link in event.links],
        "sender": {"name": event.sender_name, "address": event.sender_address},
        "recipients": list(event.recipients),
        "attachments": [
            {
                "filename": attachment.filename,
                "media_type": attachment.media_type,
                "size": attachment.size,
                "inline": attachment.inline,
                "content_id": attachment.content_id,
                "sha256": attachment.sha256,
            }
            for attachment in event.attachments
        ],
    }


def receipt_text(view: ReceiptView) -> str:
    """A receipt with its story, for a terminal."""
    lines = [
        f"receipt   {view.id}",
        f"source    {view.source}" + (f" from {view.peer}" if view.peer else ""),
        f"received  {iso(view.received_at)}, {view.size} octets of {view.content_type or 'no declared type'}",
        f"status    {view.status.value}" + (f" ({view.reason.value}: {view.detail})" if view.reason else ""),
    ]
    if view.ticket is not None:
        url = f"  {view.ticket.url}" if view.ticket.url else ""
        lines.append(f"ticket    {view.ticket.number} in {view.ticket.helpdesk}{url}")
    lines += [f"warning   {warning}" for warning in view.warnings]
    for event in view.events:
        where = f", route {event.route}" if event.route else ""
        lines.append("")
        lines.append(f"event {event.index}   {event.event.get('kind')}: {event.event.get('title')}")
        lines.append(f"          {event.reason.value}{where}: {event.reason.explain()}")
        if event.incident:
            lines.append(f"          incident {event.incident}")
    for action in view.actions:
        lines.append("")
        lines.append(
            f"action    {action.kind.value} in {action.helpdesk}: {action.status.value} ({action.reason.value})"
        )
        if action.flags:
            lines.append(f"          {', '.join(action.flags)}")
        lines += [
            f"          attempt {attempt.number} {iso(attempt.started_at)}: {attempt.outcome or 'under way'}"
            + (f" ({attempt.reason})" if attempt.reason and attempt.reason != attempt.outcome else "")
            + (f" {attempt.detail}" if attempt.detail else "")
            for attempt in action.attempts
        ]
    if view.timeline:
        lines += ["", "timeline"]
        lines += [
            f"  {iso(line.at)}  {line.what}"
            + (f" [{line.reason.value}]" if line.reason else "")
            + (f" {line.detail}" if line.detail else "")
            for line in view.timeline
        ]
    return "\n".join(lines)
