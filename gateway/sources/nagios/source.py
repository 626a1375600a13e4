"""Nagios notifications to events: the table of kinds, severities and keys."""

import math

from gateway.config.models import SourceSettings
from gateway.model.event import Event, Kind, Link, Severity
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.nagios.macros import Macros, macros_of, unescaped
from gateway.sources.payload import Body, fields_of, missing, place_of, raw, read
from gateway.sources.protocol import Malformed, SourceKind
from gateway.sources.text import digest_key, key, line, names_key, web_address

KINDS = {
    "PROBLEM": Kind.PROBLEM,
    "RECOVERY": Kind.RECOVERY,
    "ACKNOWLEDGEMENT": Kind.ACKNOWLEDGEMENT,
    "CUSTOM": Kind.CUSTOM,
    "FLAPPINGSTART": Kind.FLAPPING_START,
    "FLAPPINGSTOP": Kind.FLAPPING_STOP,
    "FLAPPINGEND": Kind.FLAPPING_STOP,  # Icinga 2
    "FLAPPINGDISABLED": Kind.FLAPPING_STOP,
    "DOWNTIMESTART": Kind.DOWNTIME_START,
    "DOWNTIMEEND": Kind.DOWNTIME_END,
    "DOWNTIMECANCELLED": Kind.DOWNTIME_CANCELLED,
    "DOWNTIMEREMOVED": Kind.DOWNTIME_CANCELLED,  # Icinga 2
}

SEVERITIES = {
    "UP": Severity.INFO,
    "OK": Severity.INFO,
    "WARNING": Severity.WARNING,
    "UNKNOWN": Severity.MINOR,
    "UNREACHABLE": Severity.MAJOR,  # a consequence of another host's failure
    "CRITICAL": Severity.CRITICAL,
    "DOWN": Severity.CRITICAL,
}

_GOOD = {"OK", "UP"}
_WORDS = {
    Kind.ACKNOWLEDGEMENT: "Acknowledged",
    Kind.CUSTOM: "Custom notification",
    Kind.FLAPPING_START: "Flapping started",
    Kind.FLAPPING_STOP: "Flapping stopped",
    Kind.DOWNTIME_START: "Downtime started",
    Kind.DOWNTIME_END: "Downtime ended",
    Kind.DOWNTIME_CANCELLED: "Downtime cancelled",
}
_LABELS = {
    "alias": ("HOSTALIAS", "HOSTDISPLAYNAME"),
    "address": ("HOSTADDRESS",),
    "hostgroups": ("HOSTGROUPNAMES",),
    "contact": ("CONTACTNAME",),
    "notification_type": ("NOTIFICATIONTYPE",),
    "notification_number": ("NOTIFICATIONNUMBER",),
    "author": ("NOTIFICATIONAUTHOR", "SERVICEACKAUTHOR", "HOSTACKAUTHOR"),
    "comment": ("NOTIFICATIONCOMMENT", "SERVICEACKCOMMENT", "HOSTACKCOMMENT"),
    "host_state": ("HOSTSTATE",),
}
# Macros that exist for both; `{}` is SERVICE or HOST.
_OBJECT_LABELS = {
    "problem_id": "{}PROBLEMID",
    "last_problem_id": "LAST{}PROBLEMID",
    "event_id": "{}EVENTID",
    "last_state": "LAST{}STATE",
    "state_type": "{}STATETYPE",
    "attempt": "{}ATTEMPT",
    "duration": "{}DURATION",
    "perfdata": "{}PERFDATA",
    "notes": "{}NOTES",
    "servicegroups": "{}GROUPNAMES",
}
_AUTHORED = {Kind.ACKNOWLEDGEMENT, Kind.CUSTOM, Kind.DOWNTIME_START, Kind.DOWNTIME_END, Kind.DOWNTIME_CANCELLED}
_MOST_CUSTOM = 200
_MOST_EVENT_ID = 999_999


class NagiosSettings(SourceSettings):
    """A Nagios server. UNKNOWN counts as `minor`; say `severity: {UNKNOWN: warning}` to change it."""


def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
    """The one event of a notification. Never raises: what is none becomes `raw`."""
    try:
        body, macros = _read(receipt.body, receipt.content_type, repair=True)
    except Malformed as fault:
        return raw(receipt.source, receipt.body, receipt.content_type, place_of(fault))
    event, warnings = _event(macros, settings)
    if body.files:
        # `curl -F 'X=$SERVICEOUTPUT$'` uploads a local file if the output begins with `@`: never pass it on.
        warnings.append(
            f"{len(body.files)} uploaded file(s) left out: use --data-urlencode; with -F, curl uploads local files",
        )
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
    for name in ("NOTIFICATIONTYPE", "HOSTNAME"):
        if not line(macros.get(name)):
            hint = "Use the command definition that ships with the gateway."
            raise missing(name, f"{name} is missing or empty", hint, body)
    return body, macros


def _event(macros: Macros, settings: SourceSettings) -> tuple[Event, list[str]]:
    warnings: list[str] = []
    said = line(macros.get("NOTIFICATIONTYPE"), 100).upper().split(" ")[0]
    kind = KINDS.get(said, Kind.CUSTOM)
    if said not in KINDS:
        warnings.append(f"field NOTIFICATIONTYPE: {said} is not known; the event is a note of kind custom")
    host = key(macros.get("HOSTNAME"))
    service = key(macros.get("SERVICEDESC"))
    what = "SERVICE" if service else "HOST"
    state = line(macros.get(f"{what}STATE"), 100).upper()
    author = line(macros.get("NOTIFICATIONAUTHOR", f"{what}ACKAUTHOR"), 200)
    comment = macros.get("NOTIFICATIONCOMMENT", f"{what}ACKCOMMENT")
    event = Event(
        kind=kind,
        severity=_severity(kind, state, settings),
        title=_title(kind, state, host, service),
        text=_text(kind, macros, what, author, comment),
        state=state,
        still_in_problem=_still(kind, state),
        host=host,
        service=service,
        labels=_labels(macros, what),
        origin_key=names_key(host, service) if service else names_key(host),
        occurred_at=_instant(macros.get("TIMET"), macros.get(f"{what}EVENTID")),
        links=_links(macros),
        sender_name=author if kind in _AUTHORED else "",
        duplicate_key=_duplicate_key(macros, what, said, state, host, service),
    )
    return event, warnings


def _severity(kind: Kind, state: str, settings: SourceSettings) -> Severity:
    if kind is Kind.RECOVERY:
        state = state or "OK"
    changed = {word.upper(): name for word, name in settings.severity.items()}
    if state in changed:
        return Severity(changed[state])
    return SEVERITIES.get(state, Severity.UNKNOWN)


def _still(kind: Kind, state: str) -> bool | None:
    if kind is Kind.RECOVERY or state in _GOOD:
        return False
    if kind is Kind.PROBLEM or state in SEVERITIES:
        return True
    return None


def _title(kind: Kind, state: str, host: str, service: str) -> str:
    thing = f"{service} on {host}" if service else host
    if kind in _WORDS:
        return line(f"{_WORDS[kind]}: {thing}" + (f" is {state}" if state else ""))
    return line(f"{state or kind.upper()}: {thing}")


def _text(kind: Kind, macros: Macros, what: str, author: str, comment: str) -> str:
    parts: list[str] = []
    if kind in _AUTHORED and (author or comment):
        parts.append(f"{author or 'Somebody'}: {comment}" if comment else f"By {author}")
    output = [macros.get(f"{what}OUTPUT"), unescaped(macros.get(f"LONG{what}OUTPUT"))]
    parts.append("\n".join(text for text in output if text).strip())
    return "\n\n".join(part for part in parts if part)


def _labels(macros: Macros, what: str) -> dict[str, str]:
    labels = {label: macros.get(*names) for label, names in _LABELS.items()}
    labels |= {label: macros.get(name.format(what)) for label, name in _OBJECT_LABELS.items()}
    if what == "HOST":
        labels.pop("servicegroups")
    labels |= dict(list(macros.custom.items())[:_MOST_CUSTOM])
    return {line(name, 200): line(value, 2000) for name, value in labels.items() if value}


def _links(macros: Macros) -> tuple[Link, ...]:
    wanted = {
        "Service notes": "SERVICENOTESURL",
        "Service graphs": "SERVICEACTIONURL",
        "Service in Nagios": "SERVICEINFOURL",
        "Host notes": "HOSTNOTESURL",
        "Host graphs": "HOSTACTIONURL",
        "Host in Nagios": "HOSTINFOURL",
    }
    found = ((title, web_address(macros.get(name))) for title, name in wanted.items())
    return tuple(Link(title, url) for title, url in found if url)


def _instant(text: str, event_id: str) -> float | None:
    """Seconds since the epoch from ``$TIMET$``; None if it is no time of this age.

    Nagios runs the commands of two notifications side by side, and a trap may set and clear an alarm within one second:
    then the recovery may come first. So the number of the state change makes the fraction of the second. It counts up over
    all objects; beyond what fits, two changes of one second stand equal, and the order of receipt decides.
    """
    try:
        value = float(text.strip()) if len(text) < 40 else math.nan
    except ValueError:
        return None
    if not 0 < value < 32503680000:  # up to the year 3000; false for NaN
        return None
    number = event_id.strip()
    known = len(number) < 20 and number.isascii() and number.isdigit() and value.is_integer()
    return value + min(int(number), _MOST_EVENT_ID) / 1e6 if known else value


def _duplicate_key(macros: Macros, what: str, said: str, state: str, host: str, service: str) -> str:
    """The same for all contacts and repeats of one notification, never for two notifications.

    Notification and event ids begin again where Nagios keeps no state over a restart, so the time is part of it.
    Two contacts whose commands straddle a second give two events; the second one is then a counted repeat.
    """
    notification = macros.get(f"{what}NOTIFICATIONID")
    event_id = macros.get(f"{what}EVENTID")
    time = macros.get("TIMET")
    if notification in {"", "0"} and not (event_id and time):
        return ""
    number, comment = macros.get("NOTIFICATIONNUMBER"), macros.get("NOTIFICATIONCOMMENT")
    return digest_key("nagios", notification, event_id, time, said, state, number, host, service, comment)


KIND = SourceKind(
    name="nagios",
    title="Nagios Core",
    settings=NagiosSettings,
    parse=parse,
    inspect=inspect,
    default_key=("host", "service"),
)
