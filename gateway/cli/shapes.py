"""Events as the command line prints them: the names of the configuration, instants as ISO 8601."""

from datetime import UTC, datetime

from gateway.model.event import Event
from gateway.model.json import JsonObject, JsonValue


def iso(instant: float | None) -> str | None:
    """An instant as ISO 8601 in UTC."""
    if instant is None:
        return None
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_json(event: Event) -> JsonObject:
    """An event without the contents of its attachments. What only mails have is there, and empty for the others."""
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
        "to": list(event.to),
        "cc": list(event.cc),
        "message_id": event.message_id,
        "in_reply_to": list(event.in_reply_to),
        "references": list(event.references),
        "auto_generated": event.auto_generated,
        "reply_text": event.reply_text,
        "attachments": [
            {
                "filename": attachment.filename,
                "media_type": attachment.media_type,
                "detected_type": attachment.detected_type,
                "size": attachment.size,
                "inline": attachment.inline,
                "content_id": attachment.content_id,
                "sha256": attachment.sha256,
            }
            for attachment in event.attachments
        ],
    }
