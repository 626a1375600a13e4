"""Events as the command line prints them: the names of the configuration, instants as ISO 8601."""

from datetime import UTC, datetime
from typing import cast

from gateway.model.event import Event, event_to_json
from gateway.model.json import JsonObject, JsonValue


def iso(instant: float | None) -> str | None:
    """An instant as ISO 8601 in UTC."""
    if instant is None:
        return None
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_SHOWN = [
    "kind",
    "state",
    "still_in_problem",
    "severity",
    "problem_id",
    "title",
    "text",
    "html",
    "host",
    "service",
    "labels",
    "origin_key",
    "occurred_at",
    "links",
    "sender",
    "recipients",
    "to",
    "cc",
    "message_id",
    "in_reply_to",
    "references",
    "auto_generated",
    "reply_text",
    "attachments",
]


def event_json(event: Event) -> JsonObject:
    """An event without the contents of its attachments. What only mails have is there, and empty for the others."""
    values = event_to_json(event)
    values["occurred_at"] = iso(event.occurred_at)
    values["sender"] = {"name": event.sender_name, "address": event.sender_address}
    return {name: cast("JsonValue", values[name]) for name in _SHOWN}
