"""The fields of a Zabbix webhook: names of our media type and of those that users wrote, values that may be unresolved.

Source: Zabbix manual, "Supported macros", and requests recorded from Zabbix 6.0.14.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.model.json import JsonValue
from gateway.sources.payload import text_of
from gateway.sources.text import line

# A macro without a value stays as its own text, or becomes *UNKNOWN*.
_UNRESOLVED = re.compile(r"\{[$#A-Za-z0-9_.:\"]{1,255}\}|\*UNKNOWN\*")
_NOT_A_NAME = re.compile(r"[^a-z0-9$]+")
_MOST_TAGS = 200

# Other names that users give the same macro: the field of our media type -> what is looked at, in this order.
_ALIASES: dict[str, tuple[str, ...]] = {
    "event_id": ("eventid", "problem_id", "problemid"),
    "event_recovery_id": ("recovery_id", "event_recoveryid"),
    "event_nseverity": ("nseverity", "severity_number", "trigger_nseverity"),
    "event_severity": ("severity", "trigger_severity"),
    "event_update_user": ("user_fullname", "user", "user_alias", "user_username"),
    "event_name": ("problem_name", "trigger_name", "name"),
    "event_tags": ("event_tagsjson", "tags", "event_tags_json"),
    "event_opdata": ("opdata", "operational_data"),
    "event_update_action": ("update_action",),
    "event_update_message": ("update_message",),
    "event_update_status": ("update_status",),
    "trigger_id": ("triggerid",),
    "host_host": ("hostname", "host"),
    "host_name": ("visible_name",),
    "host_ip": ("host_conn", "ip"),
    "host_groups": ("trigger_hostgroups", "trigger_hostgroup_name", "hostgroups", "hostgroup"),
    "trigger_description": ("description",),
    "trigger_url": ("url",),
    "item_id": ("itemid", "item_id1"),
    "sendto": ("alert_sendto", "to"),
    "subject": ("alert_subject", "title"),
    "message": ("alert_message", "body"),
    "zabbix_url": ("$zabbix_url", "zabbixurl"),
}


@dataclass(frozen=True, slots=True)
class Macros:
    """The fields of one message that have a value, and the event's tags."""

    values: Mapping[str, str]
    tags: tuple[tuple[str, str], ...]

    def get(self, *names: str) -> str:
        """The first of the fields that has a value, by its name or another name for it; else the empty text."""
        for name in names:
            for candidate in (name, *_ALIASES.get(name, ())):
                if candidate in self.values:
                    return self.values[candidate]
        return ""


def resolved(text: str) -> bool:
    """True if the text is a value, not the name of a macro that had none."""
    stripped = text.strip()
    return bool(stripped) and not _UNRESOLVED.fullmatch(stripped)


def macros_of(fields: Mapping[str, JsonValue]) -> Macros:
    """The fields of a body. ``EVENT.ID``, ``{EVENT.ID}``, ``Event_Id`` and ``event-id`` are one name."""
    values: dict[str, str] = {}
    tags: tuple[tuple[str, str], ...] = ()
    for name, value in fields.items():
        plain = _NOT_A_NAME.sub("_", name[:200].lower()).strip("_")
        if plain in {"event_tags", "tags", "event_tagsjson", "event_tags_json"}:
            tags = _tags(value) or tags
            continue
        text = text_of(value)
        if resolved(text):
            values.setdefault(plain, text)
    return Macros(values, tags)


def _tags(value: JsonValue) -> tuple[tuple[str, str], ...]:
    """Tags from a list of ``{"tag", "value"}``, from its JSON text, or from ``name:value, name:value``."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _tags_of_text(value) if isinstance(value, str) and resolved(value) else ()
    if not isinstance(value, list):
        return ()
    found = [
        (line(text_of(tag.get("tag")), 200), line(text_of(tag.get("value")))) for tag in value if isinstance(tag, dict)
    ]
    return tuple((name, text) for name, text in found if name)[:_MOST_TAGS]


def _tags_of_text(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (part.strip().partition(":") for part in text[:20000].split(","))
    return tuple((line(name, 200), line(value)) for name, _, value in pairs if line(name, 200))[:_MOST_TAGS]
