"""The fields that rules, keys and look-up tables may name, and how each is read from an event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.model.event import Event, Kind
from gateway.routing.errors import did_you_mean

Value: TypeAlias = "str | float | bool | tuple[str, ...] | None"
"""What a field holds. None: it is not there; a tuple: it has several values, and a test holds if one of them does."""

Reader: TypeAlias = "Callable[[Subject], Value]"


class Columns(Protocol):
    """What a look-up table says about an event (`gateway.routing.lookups.Lookup`)."""

    def value(self, subject: "Subject", column: str) -> Value:
        """What a column holds; None where it is absent."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """An event with all that routing may look at.

    ``source`` is the source's name, ``source_kind`` its kind. ``peer`` is the address that sent it. ``headers`` are the
    allow-listed ones of its receipt, names in lower case; ``envelope`` is what the door knows beside the body. ``at`` is the
    instant for which times count: that of the receipt. ``lookups`` are the tables by name, ``lookup`` the name of the rule's own.
    """

    event: Event
    source: str
    source_kind: str = ""
    peer: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    envelope: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0
    lookups: Mapping[str, Columns] = field(default_factory=dict)
    lookup: str = ""


class UnknownField(ValueError):
    """No field has this name. ``hint`` names the nearest one, or what may follow."""

    def __init__(self, path: str, hint: str) -> None:
        """``path`` is the name as it was written."""
        super().__init__(f"there is no field {path!r}")
        self.path = path
        self.hint = hint


_READERS: dict[str, tuple[str, Reader]] = {
    "kind": (
        "What the event says: `problem`, `recovery`, `update`, `message` and so on.",
        lambda s: s.event.kind.value,
    ),
    "severity": (
        "`info`, `warning`, `minor`, `major`, `critical` or `unknown`, which compares with nothing.",
        lambda s: s.event.severity.value,
    ),
    "title": ("One line that says what it is about.", lambda s: s.event.title),
    "text": ("The event's text.", lambda s: s.event.text),
    "html": ("The event's text as HTML, where the sender gave it.", lambda s: s.event.html),
    "state": ("The sender's own word for the state (`CRITICAL`, `DOWN`, `High`).", lambda s: s.event.state),
    "still_in_problem": (
        "How the object stands after the event: `true`, `false`, or absent where the sender does not say.",
        lambda s: s.event.still_in_problem,
    ),
    "host": ("The host, as the sender names it.", lambda s: s.event.host),
    "service": ("The service or check on that host; empty for an event about the host.", lambda s: s.event.service),
    "origin_key": ("The sender's own name for what has the problem.", lambda s: s.event.origin_key),
    "group": ("The sender's name for the group of alerts in which it came.", lambda s: s.event.group),
    "problem_id": ("The sender's id of this episode, where it has one.", lambda s: s.event.problem_id),
    "occurred_at": (
        "When it happened, in seconds since 1970 (UTC); absent where the sender's time bears no zone.",
        lambda s: s.event.occurred_at,
    ),
    "sender.name": ("Name of the person who sent it.", lambda s: s.event.sender_name),
    "sender.address": ("Mail address of the person who sent it.", lambda s: s.event.sender_address),
    "recipients": ("Mail addresses it was sent to (several values).", lambda s: s.event.recipients),
    "links": ("Addresses that lead back to the sender (several values).", lambda s: _links(s.event)),
    "attachments": ("File names of the attachments (several values).", lambda s: _file_names(s.event)),
    "attachments.names": ("The same as `attachments`.", lambda s: _file_names(s.event)),
    "attachments.count": ("Number of attachments.", lambda s: float(len(s.event.attachments))),
    "mail.auth": (
        "Whether the domain in From vouches for a mail: `pass`, `fail`, `temperror`, `none`; absent where nobody looked.",
        lambda s: s.event.labels.get("mail.auth"),
    ),
    "mail.auth.dkim": (
        "Result of DKIM: `pass`, `fail`, `neutral`, `none`, `policy`, `temperror`, `permerror`.",
        lambda s: s.event.labels.get("mail.auth.dkim"),
    ),
    "mail.auth.spf": (
        "Result of SPF: `pass`, `fail`, `softfail`, `neutral`, `none`, `temperror`, `permerror`.",
        lambda s: s.event.labels.get("mail.auth.spf"),
    ),
    "mail.auth.dmarc": (
        "Result of DMARC: `pass`, `fail`, `none`, `temperror`, `permerror`.",
        lambda s: s.event.labels.get("mail.auth.dmarc"),
    ),
    "mail.auth.signers": (
        "Domains whose DKIM signatures are right, whether From is theirs or not (several values).",
        lambda s: _listed(s.event.labels.get("mail.auth.signers")),
    ),
    "mail.class": (
        "Who wrote a mail: `person`, `bounce`, `auto-replied`, `auto-generated`, `bulk` or `list`.",
        lambda s: (s.event.labels.get("mail.auto") or "person") if _is_mail(s) else None,
    ),
    "mail.from": ("Address in From of a mail, in lower case.", lambda s: _mail_from(s) or None),
    "mail.from_domain": ("Its domain.", lambda s: _mail_from(s).rpartition("@")[2] or None),
    "mail.envelope_from": (
        "Sender of the envelope, in lower case; empty for the null sender of bounces.",
        lambda s: s.envelope["mail_from"].lower() if _is_mail(s) and "mail_from" in s.envelope else None,
    ),
    "mail.to": ("Addresses in To of a mail, in lower case (several values).", lambda s: _lower(s.event.to)),
    "mail.cc": ("Addresses in Cc of a mail, in lower case (several values).", lambda s: _lower(s.event.cc)),
    "mail.subaddress": (
        "What stands behind the `+` of its recipients (several values).",
        lambda s: tuple(s.envelope["subaddress"].split("\n")) if s.envelope.get("subaddress") else None,
    ),
    "mail.list_id": ("Mailing list that a mail came by (its List-Id).", lambda s: s.event.labels.get("mail.list_id")),
    "mail.reply_to": ("Address in Reply-To of a mail.", lambda s: s.event.labels.get("mail.reply_to")),
    "mail.priority": ("`high` or `low`, where a mail says so.", lambda s: s.event.labels.get("mail.priority")),
    "mail.marks": ("`signed`, `encrypted` (several values).", lambda s: _listed(s.event.labels.get("mail.marks"))),
    "mail.alert": ("Program whose alert mail it is, or name of a pattern.", lambda s: s.event.labels.get("mail.alert")),
    "mail.loop": ("Why a mail goes in a circle.", lambda s: s.event.labels.get("mail.loop")),
    "mail.thread": (
        "Own name of a mail, its default key; of an alert mail the alert's.",
        lambda s: s.event.labels.get("mail.thread"),
    ),
    "mail.message_id": ("Message-ID of a mail.", lambda s: s.event.message_id or None),
    "source": ("Name of the source that received it.", lambda s: s.source),
    "source_kind": ("Kind of that source: `nagios`, `zabbix`, `generic`.", lambda s: s.source_kind),
    "peer": ("Network address of the sender.", lambda s: s.peer or None),
}

_FAMILIES: dict[str, str] = {
    "labels": "One label of the event, by its name.",
    "header": "One header of the request or mail, by its name without case, as far as the source keeps it (several values).",
    "headers": "The same as `header.NAME`.",
    "lookup": "One column of the row that the rule's own `lookup` found; absent without a row.",
    "lookups": "One column of a table under `lookups`: `lookups.hosts.site`.",
    "envelope": "What the door knows beside the body: `envelope.path`, `envelope.query`, `envelope.method`.",
}

FIELD_NAMES: Mapping[str, str] = {
    **{name: line for name, (line, _) in _READERS.items()},
    **{f"{name}.NAME": line for name, line in _FAMILIES.items()},
}
"""Every field with one line of documentation; ``NAME`` stands for a name of the sender's own."""


def reader_of(path: str) -> Reader:
    """The function that reads a field.

    Raises:
        UnknownField: with a hint.
    """
    found = _READERS.get(path)
    if found is not None:
        return found[1]
    family, _, name = path.partition(".")
    if name:
        if family == "labels":
            return lambda s: s.event.labels.get(name)
        if family == "envelope":
            return lambda s: s.envelope.get(name)
        if family == "lookup":
            return lambda s: _column(s, s.lookup, name)
        if family == "lookups":
            table, _, column = name.partition(".")
            return lambda s: _column(s, table, column)
        if family in {"header", "headers"}:
            wanted = name.lower()
            return lambda s: _header(s, wanted)
    raise UnknownField(path, _hint(path))


def value_of(subject: Subject, path: str) -> Value:
    """What a field holds; None where it is not there.

    Raises:
        UnknownField: with a hint.
    """
    return reader_of(path)(subject)


def number_text(number: float) -> str:
    """A number as people write it: whole ones without a decimal point."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def text_of(value: Value) -> str:
    """A field's value as one text: empty where it is not there, several values joined by a comma and a blank."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    return number_text(float(value))


def _is_mail(subject: Subject) -> bool:
    return subject.source_kind == "mail" and subject.event.kind is not Kind.RAW


def _mail_from(subject: Subject) -> str:
    return subject.event.sender_address.lower() if _is_mail(subject) else ""


def _lower(values: tuple[str, ...]) -> Value:
    return tuple(value.lower() for value in values) or None


def _listed(value: str | None) -> Value:
    return tuple(value.split(", ")) if value else None


def _links(event: Event) -> tuple[str, ...]:
    return tuple(link.url for link in event.links)


def _file_names(event: Event) -> tuple[str, ...]:
    return tuple(attachment.filename for attachment in event.attachments)


def _header(subject: Subject, name: str) -> Value:
    values = tuple(value for key, value in subject.headers if key == name)
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def _column(subject: Subject, lookup: str, column: str) -> Value:
    found = subject.lookups.get(lookup)
    return None if found is None else found.value(subject, column)


def _hint(path: str) -> str:
    family = path.rstrip(".")
    if family in _FAMILIES:
        return f"name one of them: {family}.NAME"
    if path.startswith("event."):
        short = path.removeprefix("event.")
        return f"write it without 'event.': {short!r}" if short in _READERS or "." in short else ""
    head, _, name = path.partition(".")
    if name:
        near = did_you_mean(head, _FAMILIES).removeprefix("did you mean ").rstrip("?").strip("'")
        if near and path not in _READERS and not did_you_mean(path, _READERS):
            return f"did you mean '{near}.{name}'?"
    return did_you_mean(path, _READERS) or "the fields are " + ", ".join(FIELD_NAMES)
