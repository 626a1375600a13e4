"""Zabbix messages to events: the table of kinds, severities, objects and keys."""

import re
from datetime import datetime
from typing import Final
from urllib.parse import quote

from pydantic import Field

from gateway.config.models import SourceSettings
from gateway.config.values import Duration
from gateway.model.event import Event, Kind, Link, Severity
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.clock import in_zone
from gateway.sources.payload import Body, fields_of, missing, place_of, raw, read
from gateway.sources.protocol import Malformed, SourceKind
from gateway.sources.text import digest_key, key, line, web_address
from gateway.sources.zabbix.macros import Macros, macros_of

# The macro EVENT.SOURCE.
TRIGGER: Final = "0"
DISCOVERY: Final = "1"
AUTOREGISTRATION: Final = "2"
INTERNAL: Final = "3"
SERVICE: Final = "4"

# The macro EVENT.NSEVERITY; the names can be changed by the administrator, the numbers cannot.
SEVERITIES = {
    "0": Severity.UNKNOWN,  # Not classified
    "1": Severity.INFO,  # Information
    "2": Severity.WARNING,  # Warning
    "3": Severity.MINOR,  # Average
    "4": Severity.MAJOR,  # High
    "5": Severity.CRITICAL,  # Disaster
}
_NAMES = ("not classified", "information", "warning", "average", "high", "disaster")
_GOOD_WORDS = {"ok", "resolved"}
_DATE = re.compile(r"(\d{4})[.-](\d\d)[.-](\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)", re.ASCII)
_LABELS = (
    "event_id",
    "event_recovery_id",
    "event_source",
    "trigger_id",
    "host_id",
    "host_name",
    "sendto",
    "event_opdata",
    "event_severity",
    "event_duration",
    "event_update_action",
    "event_update_user",
    "event_update_message",
    "item_key",
    "host_metadata",
)


class ZabbixSettings(SourceSettings):
    """A Zabbix server. `timezone` is the server's, since its times bear none; `wait` gives it the ticket's number."""

    retry_horizon: Duration = Field(
        default=600.0,
        description="Byte-equal requests within this time are one delivery, where the message has no id of its own; "
        "longer than all attempts of the media type.",
    )


def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
    """The one event of a message. Never raises: what is none becomes `raw`."""
    try:
        body, macros = _read(receipt.body, receipt.content_type, repair=True)
    except Malformed as fault:
        return raw(receipt.source, receipt.body, receipt.content_type, place_of(fault))
    event, warnings = _event(macros, settings)
    return Parsed((event,), (*body.warnings, *warnings))


def inspect(new: NewReceipt, _settings: SourceSettings) -> None:
    """Refuse what `parse` could not read without repair.

    Raises:
        Malformed: with the place or the name of the missing field.
    """
    _read(new.body, new.content_type, repair=False)


def _read(data: bytes, content_type: str, *, repair: bool) -> tuple[Body, Macros]:
    body = read(data, content_type, repair=repair)
    macros = macros_of(fields_of(body.value))
    if not key(macros.get("event_id")):
        hint = "Add a parameter event_id with {EVENT.ID}, or import the media type that ships with the gateway."
        raise missing("event_id", "event_id is missing or not resolved", hint, body)
    return body, macros


def _event(macros: Macros, settings: SourceSettings) -> tuple[Event, list[str]]:
    source = _source(macros)
    kind, still, warnings = _kind(macros, source)
    if macros.get("truncated") == "1":
        warnings.append("Zabbix cut the message (over 64 k characters); what was whole was used")
    event_id = key(macros.get("event_id"))
    host = key(macros.get("host_host", "host_name"))
    title = line(macros.get("event_name", "subject")) or f"Zabbix event {event_id}"
    occurred_at, reasons = _occurred(macros, kind, settings.timezone)
    user = line(macros.get("event_update_user"), 200)
    event = Event(
        kind=kind,
        severity=_severity(macros, kind, source, settings),
        title=title,
        text=_text(macros, kind),
        state=_state(macros, kind),
        still_in_problem=still,
        host=host,
        service=key(macros.get("service_name")) if source == SERVICE else "",
        labels=_labels(macros, _object(macros, source, event_id, host)),
        origin_key=event_id,
        problem_id=event_id if kind is not Kind.INFORMATION else "",
        occurred_at=occurred_at,
        links=_links(macros, event_id),
        sender_name=user if kind is Kind.UPDATE else "",
        duplicate_key=_duplicate_key(macros, kind, source, event_id),
        reasons=reasons,
    )
    return event, warnings


def _source(macros: Macros) -> str:
    """{EVENT.SOURCE}; a media type without it serves triggers unless it names a service and no trigger."""
    said = macros.get("event_source").strip()
    if said in {TRIGGER, DISCOVERY, AUTOREGISTRATION, INTERNAL, SERVICE}:
        return said
    return SERVICE if macros.get("service_name") and not macros.get("trigger_id") else TRIGGER


def _kind(macros: Macros, source: str) -> tuple[Kind, bool | None, list[str]]:
    """What the message says, how the object stands after it, and what had to be guessed."""
    if source in {DISCOVERY, AUTOREGISTRATION}:
        return Kind.INFORMATION, None, []
    value, warnings = _value(macros)
    still = value == "1"
    updated = macros.get("event_update_status").strip()
    if source == TRIGGER and (updated == "1" or (not updated and macros.get("event_update_action"))):
        return Kind.UPDATE, still, warnings  # with value 0: a note on a closed event, no recovery
    if not still:
        return Kind.RECOVERY, False, warnings
    if source == SERVICE and macros.get("event_update_nseverity", "event_update_severity"):
        return Kind.UPDATE, True, warnings  # looks like a second problem but for the new severity
    return Kind.PROBLEM, True, warnings


def _value(macros: Macros) -> tuple[str, list[str]]:
    """{EVENT.VALUE}, else from the words of {EVENT.STATUS} or {TRIGGER.STATUS}."""
    value = macros.get("event_value").strip()
    if value in {"0", "1"}:
        return value, []
    word = macros.get("event_status", "trigger_status", "status").strip().lower()
    if word:
        return ("0" if word in _GOOD_WORDS else "1"), []
    if macros.get("event_recovery_id"):
        return "0", []
    return "1", ["field event_value: missing, so the message was taken for a problem; add {EVENT.VALUE}"]


def _severity(macros: Macros, kind: Kind, source: str, settings: SourceSettings) -> Severity:
    number = macros.get("event_update_nseverity", "event_nseverity").strip()
    word = macros.get("event_update_severity", "event_severity").strip().lower()
    changed = {name.lower(): severity for name, severity in settings.severity.items()}
    if kind is Kind.RECOVERY or (kind is Kind.INFORMATION and source in {DISCOVERY, AUTOREGISTRATION}):
        return Severity.INFO
    for said in (number, word):
        if said in changed:
            return Severity(changed[said])
    if number not in SEVERITIES and word in _NAMES:
        number = str(_NAMES.index(word))
    return SEVERITIES.get(number, Severity.UNKNOWN)


def _state(macros: Macros, kind: Kind) -> str:
    if kind is Kind.RECOVERY:
        return line(macros.get("event_status"), 100) or "RESOLVED"
    return line(macros.get("event_update_severity", "event_severity", "event_status"), 100)


def _text(macros: Macros, kind: Kind) -> str:
    parts: list[str] = []
    if kind is Kind.UPDATE and macros.get("event_update_action", "event_update_message"):
        user = line(macros.get("event_update_user"), 200)
        what = line(macros.get("event_update_action"))
        said = macros.get("event_update_message")
        head = " ".join(part for part in (user, what) if part)
        parts.append(f"{head}: {said}" if head and said else head or said)
    else:
        parts.append(macros.get("message", "trigger_description"))
    values = line(macros.get("event_opdata"))
    if values and values not in parts[0]:
        parts.append(f"Operational data: {values}")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _object(macros: Macros, source: str, event_id: str, host: str) -> str:
    """What has the problem, the same for all its events; part of the correlation key."""
    trigger, item, service = (key(macros.get(name)) for name in ("trigger_id", "item_id", "service_name"))
    if source == SERVICE and service:
        return f"service:{service}"
    if source == AUTOREGISTRATION and host:
        return f"autoregistration:{host}"
    if source == INTERNAL and trigger:
        # "cannot be evaluated" is another incident than the problem which the same trigger reports
        return f"internal:trigger:{trigger}"
    if trigger:
        return f"trigger:{trigger}"
    if item:
        return f"item:{item}"
    return f"event:{event_id}"


def _labels(macros: Macros, thing: str) -> dict[str, str]:
    own = {
        name.removeprefix("event_") if name.startswith("event_update") else name: macros.get(name) for name in _LABELS
    }
    own |= {"object": thing, "address": macros.get("host_ip"), "hostgroups": macros.get("host_groups")}
    labels = {name: line(value, 2000) for name, value in own.items() if value}
    tags: dict[str, list[str]] = {}
    for name, value in macros.tags:
        values = tags.setdefault(name if name not in own else f"tag_{name}", [])
        if value not in values:
            values.append(value)
    return {**{name: ", ".join(values) for name, values in tags.items()}, **labels}


def _links(macros: Macros, event_id: str) -> tuple[Link, ...]:
    links: list[Link] = []
    base = web_address(macros.get("zabbix_url")).rstrip("/")
    trigger = macros.get("trigger_id")
    if base and trigger:
        url = f"{base}/tr_events.php?triggerid={quote(trigger, safe='')}&eventid={quote(event_id, safe='')}"
        links.append(Link("Event in Zabbix", url))
    runbook = web_address(macros.get("trigger_url"))
    if runbook:
        links.append(Link("Trigger", runbook))
    return tuple(links)


def _occurred(macros: Macros, kind: Kind, zone: str) -> tuple[float | None, tuple[str, ...]]:
    """When it happened: the problem's own time, the recovery's, or an update's, where the message has it."""
    if kind is Kind.RECOVERY:
        date, time = macros.get("event_recovery_date"), macros.get("event_recovery_time")
    elif kind is Kind.UPDATE:
        date, time = macros.get("event_update_date", "date"), macros.get("event_update_time", "time")
    else:
        date, time = macros.get("event_date"), macros.get("event_time")
    day, hour = _DATE.fullmatch(date.strip()), _TIME.fullmatch(time.strip())
    if not day or not hour:
        return None, ()
    try:
        moment = datetime(int(day[1]), int(day[2]), int(day[3]), int(hour[1]), int(hour[2]), int(hour[3]))  # noqa: DTZ001 - the zone is the source's
    except ValueError:
        return None, ()
    return in_zone(moment, zone)


def _duplicate_key(macros: Macros, kind: Kind, source: str, event_id: str) -> str:
    """The same for all attempts of one message, never for two messages.

    An update has no id: two equal ones (acknowledged, taken back, acknowledged) differ only by their time. Where the
    media type does not send it, there is no key, and byte-equal requests within `retry_horizon` count as one.
    """
    recovery = macros.get("event_recovery_id")
    if kind is not Kind.UPDATE:
        began = (macros.get("event_date"), macros.get("event_time"))  # ids begin again in a new Zabbix database
        return digest_key("zabbix", source, event_id, kind.value, recovery, *began)
    moment = [macros.get("event_update_date", "date"), macros.get("event_update_time", "time")]
    if not all(moment):
        return ""
    said = [macros.get(f"event_update_{name}") for name in ("action", "message", "user", "nseverity")]
    return digest_key("zabbix", source, event_id, kind.value, *moment, *said, macros.get("event_nseverity"))


KIND = SourceKind(
    name="zabbix",
    title="Zabbix",
    settings=ZabbixSettings,
    parse=parse,
    inspect=inspect,
    default_key=("labels.object",),
)
