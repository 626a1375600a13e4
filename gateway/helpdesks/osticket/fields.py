"""The fields of a ticket: which names osTicket understands, and which values it keeps.

osTicket answers 201 to everything: an unknown priority or topic is silently replaced, an unknown name is logged and
ignored, and some undocumented names do more than anybody wants. So all of it is checked here.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.helpdesks.osticket.settings import OsTicketSettings, ip_address, mail_address
from gateway.helpdesks.osticket.text import body_text, one_line
from gateway.model.json import JsonValue

DOCUMENTED: dict[str, str] = {
    "name": "Name of the requester, for an address that osTicket does not know yet.",
    "email": "Mail address of the requester, who owns the ticket.",
    "phone": "Phone of a new requester: 7 to 16 digits, an extension after `x` (`+49 30 123456 x45`).",
    "ip": "IP address shown with the ticket.",
    "priority": "Priority by name or id, as listed in the help desk's `priorities`.",
    "source": "Only `API`, which is the default.",
    "topicId": "Id of a help topic, which decides department, SLA, assignee and number format.",
    "notes": "Internal note on a new requester.",
    "alert": "Alert the agents: true or false.",
    "autorespond": "Confirm the ticket to the requester: true or false.",
}
"""The documented fields, with a line each. Any other identifier is a custom field by its variable name."""

BY_MAIL = frozenset({"name", "email", "autorespond", "source"})
"""Those that a mail can carry too."""

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_RENDERED = "subject message attachments"
_PRIVILEGED = "statusId deptId staffId teamId slaId uid userId assignId emailId formId priorityId"
_THREAD = (
    "mid header in_reply_to references recipients reply_to reply_to_name to_email_id system_emails flags mailflags"
)
_WITHOUT_EFFECT = "number ticketId ticket_id duedate due status statusName dept department staff team sla"
_REFUSED: dict[str, tuple[str, str]] = {
    **{
        name.lower(): ("is made from the ticket's template", "use the template, or `title:` and `body:`")
        for name in _RENDERED.split()
    },
    **{
        name.lower(): (
            "is not documented and changes more than it says",
            "let a help topic decide it (`topicId`), or `priority` for the priority",
        )
        for name in _PRIVILEGED.split()
    },
    **{
        name.lower(): ("steers the ticket's mail thread, which the gateway does", "leave it out")
        for name in _THREAD.split()
    },
    **{
        name.lower(): (
            "has no effect in osTicket's API",
            "leave it out; a help topic sets department, SLA and due date",
        )
        for name in _WITHOUT_EFFECT.split()
    },
}
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_KNOWN = {name.lower(): name for name in DOCUMENTED}


class FieldProblem(NamedTuple):
    """A field that cannot be sent: its name, what is wrong, and the way out."""

    field: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Fields as they are sent. ``others`` has osTicket's names; empty strings and nulls are left out.

    ``notes`` are lines for the ticket's text about what could not be sent as it was wished.
    """

    name: str
    email: str
    alert: bool
    autorespond: bool
    others: dict[str, JsonValue]
    notes: tuple[str, ...] = ()


def check_fields(fields: Mapping[str, JsonValue], settings: OsTicketSettings) -> list[FieldProblem]:
    """What is wrong with a route's ``ticket.fields``, before any event.

    Names are checked always, values where they are constant: not in templates. A ``{from, table}`` is checked value by
    value.
    """
    problems: list[FieldProblem] = []
    for name, value in fields.items():
        table = value.get("table") if isinstance(value, dict) else None
        for constant in table.values() if isinstance(table, dict) else [value]:
            templated = isinstance(constant, str) and _TEMPLATE.search(constant)
            try:
                _field(name, None if templated else constant, settings)
            except FieldRefusedError as error:
                problems.append(error.problem)
                break
    return problems


def checked(fields: Mapping[str, JsonValue], settings: OsTicketSettings) -> Checked:
    """The fields of a rendered draft, normalised.

    An owner's address that osTicket takes from nobody (`root@localhost`, an address in another script) comes from the
    event, not from the route's author: such a ticket belongs to the configured requester, and its text says whose it is.

    Raises:
        ValueError: the first field that cannot be sent, with the way out.
    """
    values: dict[str, JsonValue] = {}
    notes: tuple[str, ...] = ()
    for name, value in fields.items():
        try:
            normal = _field(name, value, settings)
        except FieldRefusedError:
            if name != "email" or not isinstance(value, str):
                raise
            normal, notes = None, (f"Written by {one_line(value)[:200]}, an address that the help desk does not take.",)
        if normal is not None:
            values[name] = normal
    if notes:
        values.pop("name", None)  # it is not the requester's
    values.pop("source", None)  # `API` is the default, and any other word is an error
    email = str(values.pop("email", settings.requester.email))
    name = str(values.pop("name", "")) or (
        settings.requester.name if email.lower() == settings.requester.email.lower() else email.partition("@")[0]
    )
    alert, autorespond = values.pop("alert", None), values.pop("autorespond", None)
    return Checked(
        name=name,
        email=email,
        alert=settings.alert if alert is None else bool(alert),
        autorespond=settings.autorespond if autorespond is None else bool(autorespond),
        others=values,
        notes=notes,
    )


class FieldRefusedError(ValueError):
    """A field that osTicket would misunderstand."""

    def __init__(self, field: str, problem: str, hint: str) -> None:
        super().__init__(f"field {field}: {problem}; {hint}")
        self.problem = FieldProblem(field, problem, hint)


def _field(name: str, value: JsonValue, settings: OsTicketSettings) -> JsonValue:
    """The value to send, None to leave it out."""
    if name.lower().replace("-", "_") in _REFUSED:
        raise FieldRefusedError(name, *_REFUSED[name.lower().replace("-", "_")])
    if not _IDENTIFIER.fullmatch(name):
        raise FieldRefusedError(name, "is no variable name", "use the field's variable from osTicket's form editor")
    if name not in DOCUMENTED and name.lower() in _KNOWN:
        raise FieldRefusedError(name, "is not written like this", f"write `{_KNOWN[name.lower()]}`")
    if settings.create_by == "mail" and name not in BY_MAIL:
        raise FieldRefusedError(
            name,
            "cannot be given by mail",
            "use `create_by: api`, or let a mailbox (`to`) or a ticket filter decide",
        )
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return _VALUES[name](value, settings) if name in _VALUES else _custom(value)
    except ValueError as error:
        raise FieldRefusedError(
            name, str(error), DOCUMENTED.get(name, "custom fields take a text, a number or a truth")
        ) from None


def _text(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - becomes a problem of the field
    return one_line(value)[:128] or None


def _notes(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - becomes a problem of the field
    return body_text(value, "-")


def _email(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    return mail_address(value)


def _phone(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    number, _x, extension = str(value).strip().upper().partition("X")
    digits = re.sub(r"[()\-.+/\s]", "", number.removesuffix("E"))  # `ext`, `x`
    extension = re.sub(r"[T.:\s]", "", extension)
    if not re.fullmatch(r"[0-9]{7,16}", digits) or not re.fullmatch(r"[0-9]{0,10}", extension):
        raise ValueError(f"{value!r} is no phone number that osTicket takes")
    return f"{digits}X{extension}" if extension else digits


def _ip(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    return ip_address(str(value))


def _priority(value: JsonValue, settings: OsTicketSettings) -> JsonValue:
    word = "" if isinstance(value, bool) else str(value).strip().lower()
    if word.isascii() and word.isdigit() and int(word[:9]) in settings.priorities.values():
        return int(word)
    by_name = {name.lower(): number for name, number in settings.priorities.items()}
    if word not in by_name:
        known = ", ".join(f"{name} ({number})" for name, number in settings.priorities.items())
        raise ValueError(f"{value!r} is no priority of this help desk; it has {known}")
    return by_name[word]


def _topic(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    word = "" if isinstance(value, bool) else str(value).strip()
    if not re.fullmatch(r"[1-9][0-9]{0,8}", word):
        raise ValueError(f"{value!r} is no id of a help topic")
    return int(word)


def _source(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    if str(value).strip().upper() != "API":
        raise ValueError(f"{value!r} is refused by osTicket")
    return "API"


def _truth(value: JsonValue, _: OsTicketSettings) -> JsonValue:
    word = str(value).strip().lower()
    if word not in _TRUTH:
        raise ValueError(f"{value!r} is neither true nor false")
    return _TRUTH[word]


def _custom(value: JsonValue) -> JsonValue:
    """A list or an object can end in a fatal error of PHP, so only single values pass."""
    if isinstance(value, str):
        return body_text(value, "-")
    if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is no single value")
    if isinstance(value, int) and not -(2**53) < value < 2**53:
        return str(value)
    return value


_VALUES: dict[str, Callable[[JsonValue, OsTicketSettings], JsonValue]] = {
    "name": _text,
    "email": _email,
    "phone": _phone,
    "ip": _ip,
    "priority": _priority,
    "source": _source,
    "topicId": _topic,
    "notes": _notes,
    "alert": _truth,
    "autorespond": _truth,
}
