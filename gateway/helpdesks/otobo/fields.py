"""The fields of a ticket: their names here, and where they stand in a request.

OTOBO ignores keys that it does not know without a word, so names and values are checked before anything is sent.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway.config.values import duration
from gateway.helpdesks.otobo.settings import WebService
from gateway.helpdesks.otobo.text import MOST_VALUE
from gateway.helpdesks.text import one_line, whole
from gateway.model.json import JsonObject, JsonValue

DYNAMIC = "DynamicField_"
"""How the names of dynamic fields begin."""

DOCUMENTED: dict[str, str] = {
    "queue": "Queue by name (`A::B`, with its case) or id.",
    "state": "State of a new ticket by name or id (`new`, `open`); a pending one needs `pending`.",
    "priority": "Priority by name (`3 normal`) or id.",
    "type": "Ticket type by name or id.",
    "service": "Service by name or id; it must be allowed for the customer.",
    "sla": "Service level agreement by name or id; it needs a service.",
    "owner": "Agent who owns the ticket, by login or id; locks it unless `lock` says otherwise.",
    "responsible": "Agent who is responsible, by login or id.",
    "lock": "`lock` or `unlock`.",
    "customer": "Customer of the ticket: a login, or a mail address.",
    "customer_id": "Customer's company; default: that of the customer's record.",
    "pending": "When a pending state ends: a duration (`2h`), or `2027-01-31 08:00` in the helpdesk's zone.",
    "channel": "Communication channel of the article: `Internal`, `Email`, `Phone`. None of them sends mail.",
    "visible": "Show the article to the customer: true or false.",
    "sender": "Sender type of the article: `agent`, `system`, `customer`.",
    "from": "Sender of the article, a mail address; default: the customer, in follow-ups the agent.",
    "time_unit": "Time units of the article, a number.",
    "auto_response": "Type of automatic answer to ask for.",
    "notify": "Tell the agents: true or false. Default: true, for quiet follow-ups false.",
    "DynamicField_NAME": "A dynamic field of tickets; lists for those that take several values.",
}
"""The documented fields, with a line each."""

TICKET = frozenset(
    [
        "queue",
        "state",
        "priority",
        "type",
        "service",
        "sla",
        "owner",
        "responsible",
        "lock",
        "customer",
        "customer_id",
        "pending",
    ]
)
"""Those that belong to the ticket and not to the article."""

_NAMES = {
    "queue": "Queue",
    "state": "State",
    "priority": "Priority",
    "type": "Type",
    "service": "Service",
    "sla": "SLA",
    "owner": "Owner",
    "responsible": "Responsible",
    "lock": "Lock",
    "customer": "CustomerUser",
    "customer_id": "CustomerID",
    "pending": "PendingTime",
    "channel": "CommunicationChannel",
    "visible": "IsVisibleForCustomer",
    "sender": "SenderType",
    "from": "From",
    "time_unit": "TimeUnit",
    "auto_response": "AutoResponseType",
}
OURS: Mapping[str, str] = {theirs.lower(): ours for ours, theirs in _NAMES.items()} | {
    f"{_NAMES[ours].lower()}id": ours for ours in ("queue", "state", "priority", "type", "service", "sla", "owner")
}
"""The helpdesk's names in lower case, and ours for them."""
_BY_ID = frozenset(["queue", "state", "priority", "type", "service", "sla", "owner", "responsible"])
_RENDERED = frozenset({"title", "subject", "body", "article", "ticket", "attachment", "attachments", "contenttype"})
_SENDS = frozenset({"articlesend", "to", "cc", "bcc", "sign", "crypt"})
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_DYNAMIC_NAME = re.compile(rf"{DYNAMIC}([A-Za-z0-9-]+)")
_WHEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::\d\d)?")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class FieldProblem(NamedTuple):
    """A field that cannot be sent: its name, what is wrong, and the way out."""

    field: str
    problem: str
    hint: str


class FieldRefusedError(ValueError):
    """A field that the helpdesk would misunderstand."""

    def __init__(self, field: str, problem: str, hint: str) -> None:
        super().__init__(f"field {field}: {problem}; {hint}")
        self.problem = FieldProblem(field, problem, hint)


@dataclass(frozen=True, slots=True)
class Checked:
    """Fields under the helpdesk's names. ``notify`` is None where nothing was said; ``notes`` tell what was cut."""

    ticket: JsonObject
    article: JsonObject
    dynamic: tuple[tuple[str, JsonValue], ...]
    notify: bool | None = None
    notes: tuple[str, ...] = ()


def check_fields(fields: Mapping[str, JsonValue], settings: WebService) -> list[FieldProblem]:
    """What is wrong with a route's ``ticket.fields``, before any event; values only where they are constant."""
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
    state = fields.get("state")
    if isinstance(state, str) and state.lower().startswith("pending") and "pending" not in fields:
        problems.append(FieldProblem("state", "is a pending state without a time", "add `pending: 2h`"))
    return problems


def checked(fields: Mapping[str, JsonValue], settings: WebService) -> Checked:
    """The fields of a rendered draft.

    Raises:
        ValueError: the first field that cannot be sent, with the way out.
    """
    ticket: JsonObject = {}
    article: JsonObject = {}
    dynamic: list[tuple[str, JsonValue]] = []
    notes: list[str] = []
    notify: bool | None = None
    for name, value in fields.items():
        normal = _field(name, value, settings)
        if normal is None:
            continue
        if name.startswith(DYNAMIC):
            if isinstance(normal, str) and len(normal) > MOST_VALUE:
                notes.append(f"{name} was cut at {MOST_VALUE} of {len(normal)} characters.")
                normal = normal[:MOST_VALUE]
            dynamic.append((name.removeprefix(DYNAMIC), normal))
        elif name == "notify":
            notify = bool(normal)
        elif name in _BY_ID and isinstance(normal, int):
            ticket[f"{_NAMES[name]}ID"] = normal
        else:
            (ticket if name in TICKET else article)[_NAMES[name]] = normal
    state = ticket.get("State")
    if isinstance(state, str) and state.lower().startswith("pending") and "PendingTime" not in ticket:
        raise FieldRefusedError("state", "is a pending state without a time", "add the field `pending`")
    return Checked(ticket, article, tuple(dynamic), notify, tuple(notes))


def _field(name: str, value: JsonValue, settings: WebService) -> JsonValue:
    """The value to send, None to leave it out."""
    lower = name.lower().replace("_", "")
    if name.startswith(DYNAMIC):
        return _dynamic(name, value, settings)
    if lower in _RENDERED:
        raise FieldRefusedError(name, "is made from the ticket's template", "use the template, or `title:` and `body:`")
    if lower in _SENDS:
        raise FieldRefusedError(name, "could make the helpdesk send mail", "leave it out")
    if name not in DOCUMENTED or name == "DynamicField_NAME":
        known = OURS.get(lower) or (lower if lower in DOCUMENTED else "")
        hint = f"write `{known}`" if known else f"a dynamic field is written `{DYNAMIC}{name}`"
        raise FieldRefusedError(name, "is not known; the helpdesk would ignore it without a word", hint)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return _VALUES.get(name, _text)(value)
    except ValueError as error:
        raise FieldRefusedError(name, str(error), DOCUMENTED[name]) from None


def _dynamic(name: str, value: JsonValue, settings: WebService) -> JsonValue:
    match = _DYNAMIC_NAME.fullmatch(name)
    if match is None:
        raise FieldRefusedError(name, "is no name of a dynamic field", f"write `{DYNAMIC}` and the name with its case")
    if match[1] == settings.dynamic_field:
        raise FieldRefusedError(name, "holds the gateway's marker", "use another dynamic field")
    if value in (None, "", []):
        return None
    if isinstance(value, bool):
        return int(value)  # a checkbox takes 1 and 0 and refuses true
    if isinstance(value, dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise FieldRefusedError(
            name, f"{value!r} is neither a text nor a number nor a list of them", "write one of these"
        )
    if isinstance(value, list):
        if not all(isinstance(one, str | int) for one in value):
            raise FieldRefusedError(name, f"{value!r} is no list of texts", "write a list of the field's keys")
        return [str(one) for one in value]
    return whole(value).strip() or None if isinstance(value, str) else value


def _text(value: JsonValue) -> JsonValue:
    if isinstance(value, bool | list | dict):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - becomes a problem of the field
    return one_line(str(value)) or None


def _name_or_id(value: JsonValue) -> JsonValue:
    text = str(_text(value))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _customer(value: JsonValue) -> JsonValue:
    text = str(_text(value))
    if any(sign in text for sign in "<>,;"):
        raise ValueError(f"{value!r} would be stored whole; write one login or one plain mail address")
    return text


def _pending(value: JsonValue) -> JsonValue:
    match = _WHEN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        year, month, day, hour, minute = (int(part) for part in match.groups())
        datetime(year, month, day, hour, minute)  # noqa: DTZ001 - only to see whether there is such a day
        return {"Year": year, "Month": month, "Day": day, "Hour": hour, "Minute": minute}
    seconds = value * 60 if isinstance(value, int) and not isinstance(value, bool) else duration(value)
    if not 60 <= seconds < 10 * 366 * 86400:
        raise ValueError(f"{value!r} is shorter than a minute or longer than ten years")
    return {"Diff": math.ceil(seconds / 60)}


def _one_of(*words: str) -> Callable[[JsonValue], JsonValue]:
    def check(value: JsonValue) -> JsonValue:
        known = {word.lower(): word for word in words}
        if str(value).strip().lower() not in known:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return known[str(value).strip().lower()]

    return check


def _truth(value: JsonValue) -> JsonValue:
    word = str(value).strip().lower()
    if word not in _TRUTH:
        raise ValueError(f"{value!r} is neither true nor false")
    return int(_TRUTH[word])


def _number(value: JsonValue) -> JsonValue:
    number = float(str(value))
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return int(number) if number.is_integer() else number


_VALUES: dict[str, Callable[[JsonValue], JsonValue]] = {
    **dict.fromkeys(_BY_ID, _name_or_id),
    "lock": _one_of("lock", "unlock"),
    "customer": _customer,
    "pending": _pending,
    "channel": _one_of("Internal", "Email", "Phone"),
    "visible": _truth,
    "sender": _one_of("agent", "system", "customer"),
    "time_unit": _number,
    "notify": _truth,
}
