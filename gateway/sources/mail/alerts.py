"""Mails of monitoring systems as what they are: problems, recoveries and notes with host, service and severity.

Only exact matches count: the words of the stock notification commands and templates, at their places. Anything else
stays an ordinary mail, which a person reads. The shapes are those of recorded mails (Nagios, Zabbix, Monit) and of the
vendors' own templates (Icinga 2 `mail-service-notification.sh`, Checkmk `mail`, Alertmanager `email.default.html`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.model.event import Kind, Severity
from gateway.sources.mail.message import Message
from gateway.sources.nagios.source import KINDS, SEVERITIES
from gateway.sources.text import line, names_key
from gateway.sources.zabbix.source import SEVERITIES as ZABBIX_SEVERITIES

_LONGEST: Final = 20_000
_MOST_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Alert:
    """What an alert mail says. ``key`` names what has the problem; equal for the problem and its recovery."""

    tool: str
    kind: Kind
    key: str
    state: str = ""
    severity: Severity = Severity.UNKNOWN
    still_in_problem: bool | None = None
    host: str = ""
    service: str = ""
    title: str = ""
    problem_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)


def alert_of(message: Message) -> Alert | None:
    """The alert that this mail is; None if it is none that we know exactly."""
    lines = message.text[:_LONGEST].split("\n")[:_MOST_LINES]
    for reader in _READERS:
        found = reader(message, lines)
        if found is not None:
            return found
    return None


_LABEL = re.compile(r"^\s{0,8}([A-Za-z][A-Za-z0-9/ ]{1,30}?)\s{0,10}:\s*(.*?)\s*$")


def _labels(lines: list[str]) -> dict[str, str]:
    """Lines ``Name: value``; the first of each name counts. A line without value takes the next line that has text."""
    found: dict[str, str] = {}
    for index, text in enumerate(lines):
        match = _LABEL.match(text[:2000])
        if match is None:
            continue
        name, value = match[1].lower(), match[2]
        if not value:
            value = next((other.strip() for other in lines[index + 1 : index + 4] if other.strip()), "")
            if not match[1].lower().endswith("info") and _LABEL.match(value[:2000]):
                value = ""
        found.setdefault(name, value)
    return found


# ------------------------------------------------------------------------------------------------------ Nagios, Icinga

_STATES: Final = frozenset(SEVERITIES)
_GOOD: Final = frozenset({"OK", "UP"})
_TYPES: Final = "|".join(KINDS)
_STATE: Final = "|".join(SEVERITIES)
_NAGIOS_SUBJECT = re.compile(rf"\*\* ({_TYPES})(?: \([^()]*\))? (Service|Host) Alert: (.+) is ({_STATE}) \*\*")
_ICINGA_OLD = re.compile(rf"({_TYPES}) - (.+?)(?: - (.+))? is ({_STATE})")
_ICINGA_NEW = re.compile(rf"\[({_TYPES})\] (?:Host (.+)|(.+) on (.+)) is ({_STATE})!")
_BANNER = re.compile(r"\*{3,5} *(?:Nagios|Icinga|Naemon|(?:Service|Host) Monitoring on .+?)(?: .{0,60})? *\*{3,5}")


def _nagios(message: Message, lines: list[str]) -> Alert | None:
    """The stock commands of Nagios and Icinga 1, and the scripts of Icinga 2."""
    subject = message.subject
    first = next((text.strip() for text in lines if text.strip()), "")
    if not first.startswith("***") or _BANNER.fullmatch(first) is None:
        return None
    said = _labels(lines)
    new = _ICINGA_NEW.fullmatch(subject)
    if new is not None:
        kind, state, host, service = (
            new[1],
            new[5],
            said.get("host") or new[2] or new[4],
            said.get("service") or new[3] or "",
        )
        if new[2]:
            service = ""
    else:
        old = _NAGIOS_SUBJECT.fullmatch(subject) or _ICINGA_OLD.fullmatch(subject)
        kind, state = said.get("notification type", "").upper(), said.get("state", "").upper()
        host, service = said.get("host", ""), said.get("service", "")
        if old is None or kind != old[1] or state != old[4]:
            return None
    if kind not in KINDS or state not in _STATES or not host:
        return None
    return _nagios_alert("icinga" if "Nagios" not in first else "nagios", KINDS[kind], state, host, service, said)


def _nagios_alert(tool: str, kind: Kind, state: str, host: str, service: str, said: dict[str, str]) -> Alert:
    host, service = line(host, 500), line(service, 500)
    labels = {
        name: said[key]
        for name, key in (("address", "address"), ("alias", "alias"), ("output", "info"))
        if said.get(key)
    }
    if said.get("additional info"):
        labels["output"] = said["additional info"]
    thing = f"{service} on {host}" if service else host
    return Alert(
        tool=tool,
        kind=kind,
        key=names_key(host, service) if service else names_key(host),
        state=state,
        severity=SEVERITIES[state],
        still_in_problem=state not in _GOOD and kind is not Kind.RECOVERY,
        host=host,
        service=service,
        title=f"{state}: {thing}"
        if kind in {Kind.PROBLEM, Kind.RECOVERY}
        else f"{kind.value.replace('_', ' ')}: {thing} is {state}",
        labels=labels,
    )


# --------------------------------------------------------------------------------------------------------------- Zabbix

_ZABBIX_ID = re.compile(r"(\d{1,20})\.[0-9a-f]{32}\.\d{1,20}\.[0-9a-f]{32}@zabbix\.com")
_ZABBIX_UPDATE = re.compile(
    r".{1,300} (?:acknowledged|unacknowledged|commented|closed|suppressed|unsuppressed|changed severity)\b.{0,500}"
)
_ZABBIX_WORDS: Final = {
    "not classified": "0",
    "information": "1",
    "warning": "2",
    "average": "3",
    "high": "4",
    "disaster": "5",
}


def _zabbix(message: Message, lines: list[str]) -> Alert | None:
    """The Email media type: the id of the event stands in In-Reply-To, the same in problem, updates and recovery."""
    match = next((found for found in map(_ZABBIX_ID.fullmatch, message.in_reply_to) if found), None)
    if match is None or message.message_id:
        return None  # a person's answer to such a mail has an id of its own
    if "{EVENT." in message.subject:
        return None  # not the event of a trigger: the template's macros stayed unresolved
    event = match[1]
    first = next((text.strip() for text in lines if text.strip()), "")
    subject = message.subject
    said = _labels(lines)
    if subject.startswith("Updated problem") or _ZABBIX_UPDATE.fullmatch(first[:900]):
        kind, still = Kind.UPDATE, True if "problem" in subject.lower() else None
    elif subject.startswith(("Resolved:", "Resolved in ")) or first.startswith(
        ("Resolved ", "Problem has been resolved")
    ):
        kind, still = Kind.RECOVERY, False
    elif subject.startswith("Problem:") or first.startswith("Problem "):
        kind, still = Kind.PROBLEM, True
    else:
        return None
    host = said.get("host", "")
    word = said.get("severity", "").lower()
    severity = (
        Severity.INFO if kind is Kind.RECOVERY else ZABBIX_SEVERITIES.get(_ZABBIX_WORDS.get(word, ""), Severity.UNKNOWN)
    )
    name = said.get("problem name") or re.sub(
        r"^(?:Problem|Resolved(?: in [^:]{1,40})?|Updated problem(?: in [^:]{1,40})?):\s*", "", subject
    )
    return Alert(
        tool="zabbix",
        kind=kind,
        key=event,
        state="RESOLVED"
        if kind is Kind.RECOVERY
        else said.get("severity", "") or ("PROBLEM" if kind is Kind.PROBLEM else ""),
        severity=severity,
        still_in_problem=still,
        host=line(host, 500),
        title=line(name),
        problem_id=event,
        labels={"event_id": event},
    )


# -------------------------------------------------------------------------------------------------------------- Checkmk

_SHORT: Final = {
    "OK": "OK", "WARN": "WARNING", "CRIT": "CRITICAL", "UNKN": "UNKNOWN", "UP": "UP", "DOWN": "DOWN", "UNRE": "UNREACHABLE",
    "UNREACH": "UNREACHABLE", "WARNING": "WARNING", "CRITICAL": "CRITICAL", "UNKNOWN": "UNKNOWN",
    "UNREACHABLE": "UNREACHABLE", "PEND": "", "PENDING": "",
}  # fmt: skip
_CMK_STATE: Final = "|".join(sorted(_SHORT, key=len, reverse=True))
_CHECKMK = re.compile(
    rf"Check(?:_MK|mk): ([^/]+?)(?:/(.+?)|(?: -))? (?:(?:{_CMK_STATE}) ?(?:->|→) ?({_CMK_STATE})|([A-Z][a-z]+ ?[a-z]* ?[a-z]*))"
)
_CMK_NOTES: Final = {
    "acknowledged": Kind.ACKNOWLEDGEMENT, "acknowledgement": Kind.ACKNOWLEDGEMENT,
    "downtime started": Kind.DOWNTIME_START, "downtime start": Kind.DOWNTIME_START, "downtime ended": Kind.DOWNTIME_END,
    "downtime end": Kind.DOWNTIME_END, "downtime cancelled": Kind.DOWNTIME_CANCELLED,
    "started flapping": Kind.FLAPPING_START, "flapping started": Kind.FLAPPING_START,
    "stopped flapping": Kind.FLAPPING_STOP, "flapping stopped": Kind.FLAPPING_STOP,
}  # fmt: skip


def _checkmk(message: Message, lines: list[str]) -> Alert | None:
    """The mail plug-in: `Check_MK: host/service OK -> CRIT`, for hosts `Check_MK: host - UP -> DOWN`."""
    match = _CHECKMK.fullmatch(message.subject)
    if match is None:
        return None
    host, service = match[1].strip(), (match[2] or "").strip()
    if host not in "\n".join(lines):
        return None
    if match[3]:
        state = _SHORT[match[3]]
        if not state:
            return None
        kind = Kind.RECOVERY if state in _GOOD else Kind.PROBLEM
        return _nagios_alert("checkmk", kind, state, host, service, {})
    note = _CMK_NOTES.get(match[4].strip().lower())
    if note is None:
        return None
    thing = f"{service} on {host}" if service else host
    return Alert(
        tool="checkmk", kind=note, key=names_key(host, service) if service else names_key(host), host=line(host, 500),
        service=line(service, 500), title=line(f"{match[4].strip()}: {thing}"),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- Monit

_MONIT_PAIRS: Final = {
    "does not exist": ("existence", True), "exists": ("existence", False), "content match": ("content", True),
    "content doesn't match": ("content", False), "resource limit matched": ("resource", True),
    "resource limit succeeded": ("resource", False), "timeout": ("timeout", True), "timeout recovery": ("timeout", False),
    "invalid type": ("type", True), "type succeeded": ("type", False), "link down": ("link", True), "link up": ("link", False),
    "data access error": ("data access", True), "data access succeeded": ("data access", False),
}  # fmt: skip
_MONIT_FAMILY = re.compile(
    r"(checksum|connection|execution|filesystem flags|gid|heartbeat|permission|pid|ppid|ping|saturation|size|speed|status"
    r"|timestamp|uid|uptime|link) (failed|succeeded)"
)
_MONIT_FIRST = re.compile(r"(.{1,80}?) Service (\S.{0,200}?)")


def _monit(message: Message, lines: list[str]) -> Alert | None:
    """Monit's default format, with its X-Mailer; events come in pairs that differ by their words."""
    if not message.headers.plain("x-mailer").startswith("Monit"):
        return None
    first = next((text.strip() for text in lines if text.strip()), "")
    match = _MONIT_FIRST.fullmatch(first)
    said = _labels(lines)
    if match is None or not all(said.get(name) for name in ("host", "action", "description")):
        return None
    event, service, host = match[1].lower(), line(match[2], 500), line(said["host"], 500)
    family, bad = _MONIT_PAIRS.get(event, ("", None))
    regular = _MONIT_FAMILY.fullmatch(event)
    if regular is not None:
        family, bad = regular[1], regular[2] == "failed"
    kind = Kind.INFORMATION if bad is None else Kind.PROBLEM if bad else Kind.RECOVERY
    return Alert(
        tool="monit",
        kind=kind,
        key=names_key(host, service, family or event),
        state=match[1],
        severity=Severity.MAJOR if bad else Severity.INFO,
        still_in_problem=bad,
        host=host,
        service=service,
        title=line(f"{match[1]}: {service} on {host}"),
        labels={"event": match[1], "action": said["action"], "output": said["description"]},
    )


# --------------------------------------------------------------------------------------------------------- Alertmanager

_AM_SUBJECT = re.compile(r"\[(FIRING|RESOLVED)(?::(\d{1,6}))?\] ?(.*)")
_AM_GROUP = re.compile(r"(?:\d{1,6} alerts?|\d{1,6} resolved alerts?) for\s*(.*)")
_AM_LABEL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*) ?= ?(.*)")
_AM_SEVERITIES: Final = {
    "critical": Severity.CRITICAL, "page": Severity.CRITICAL, "error": Severity.MAJOR, "major": Severity.MAJOR,
    "minor": Severity.MINOR, "warning": Severity.WARNING, "info": Severity.INFO, "none": Severity.INFO,
}  # fmt: skip


def _alertmanager(message: Message, lines: list[str]) -> Alert | None:
    """The default template: one mail per group; its labels, as the text names them, are the key."""
    match = _AM_SUBJECT.fullmatch(message.subject)
    if match is None or not any("Alertmanager" in text for text in lines):
        return None
    texts = [text.strip(" |") for text in lines]
    position = next((index for index, text in enumerate(texts) if _AM_GROUP.fullmatch(text)), -1)
    if position < 0:
        return None
    labels: dict[str, set[str]] = {}
    group: list[str] = [text for text in [_AM_GROUP.fullmatch(texts[position])[1]] if text]  # type: ignore[index]  # just matched
    for text in texts[position + 1 :]:
        pair = _AM_LABEL.fullmatch(text[:1000])
        if pair is not None:
            labels.setdefault(pair[1], set()).add(pair[2])
            if not group:
                group.append(f"{pair[1]}={pair[2]}")
        elif text and not group:
            break
    if not group:
        return None
    firing = match[1] == "FIRING"
    worst = [_AM_SEVERITIES[word] for word in labels.get("severity", ()) if word in _AM_SEVERITIES]
    one = {name: next(iter(values)) for name, values in labels.items() if len(values) == 1}
    return Alert(
        tool="alertmanager",
        kind=Kind.PROBLEM if firing else Kind.RECOVERY,
        key=names_key("alertmanager", *(re.sub(r"\s*=\s*", "=", text).strip() for text in group)),
        state=match[1],
        severity=max(worst, key=lambda item: item.rank or 0, default=Severity.UNKNOWN) if firing else Severity.INFO,
        still_in_problem=firing,
        host=line(one.get("instance", one.get("host", "")), 500),
        service=line(one.get("alertname", one.get("job", "")), 500),
        title=line(match[3]) or line(" ".join(group)),
        labels={name: line(value, 500) for name, value in list(one.items())[:50]},
    )


_READERS: Final[tuple[Callable[[Message, list[str]], Alert | None], ...]] = (
    _nagios,
    _zabbix,
    _checkmk,
    _monit,
    _alertmanager,
)
