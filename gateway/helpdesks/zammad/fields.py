"""The fields of a ticket: names as in ``ticket.fields``, keys and values as Zammad takes them.

Zammad ignores unknown keys without a word, looks numbers under a name's key up as names, and dies on a JSON array of
tags. So names are told from ids here, and what steers the article or the gateway's own work is not a field.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.config.values import duration
from gateway.helpdesks.zammad.settings import ZammadSettings, mail_address
from gateway.model.json import JsonObject, JsonValue

DOCUMENTED: dict[str, str] = {
    "group": "Group by name (`Sales::Europe`) or id; needed, unless the help desk's settings have one.",
    "customer": "Mail address of the customer, who owns the ticket; Zammad makes an unknown one.",
    "customer_name": "Name of a customer that Zammad does not know yet.",
    "organization": "Organization by name or id; kept only if the customer belongs to it.",
    "state": "State of a new ticket by name or id; default: Zammad's own (`new`).",
    "priority": "Priority by name (`3 high`) or id.",
    "owner": "Agent by login, address or id; needs full access to the group, else Zammad takes it away again.",
    "pending_time": "When a pending state ends: a time with its zone, or a duration from now (`2d`).",
    "tags": "Tags: a list, or a text with commas.",
    "mentions": "Ids of users who are to be told of changes: a list of numbers.",
    "note": "Short note of the ticket, at most 250 characters.",
    "internal": "Hide the article from customers: true or false.",
    "article_type": "`note`, `phone` or `web`; `email` would send real mail and is not taken.",
    "article_sender": "`Agent` (default), `Customer` or `System`.",
}
"""The documented fields, with a line each. Any other identifier is a custom attribute by its internal name."""

NAMED = ("group", "organization", "state", "priority", "owner")
"""Fields that take a name or, under the key with ``_id``, an id."""

MOST_NOTE = 250
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("title", "article", "subject", "body", "attachments"),
        ("is made from the ticket's template", "use the template, or `title:` and `body:`"),
    ),
    **dict.fromkeys(
        ("id", "number", "created_at", "updated_at", "created_by_id", "updated_by_id", "links", "preferences"),
        ("is Zammad's or the gateway's own", "leave it out"),
    ),
    **{f"{name}_id": ("is not written like this", f"write `{name}`; it takes an id too") for name in NAMED},
    "customer_id": ("is not written like this", "write `customer` with the mail address"),
}


class FieldProblem(NamedTuple):
    """A field that cannot be sent: its name, what is wrong, and the way out."""

    field: str
    problem: str
    hint: str


class FieldRefusedError(ValueError):
    """A field that Zammad would misunderstand."""

    def __init__(self, name: str, problem: str, hint: str) -> None:
        """What `FieldProblem` holds."""
        super().__init__(f"field {name}: {problem}; {hint}")
        self.problem = FieldProblem(name, problem, hint)


@dataclass(frozen=True, slots=True)
class Checked:
    """Fields as they are sent.

    ``ticket`` are keys of the ticket, ``article`` those of its article; ``sent`` maps the keys to the names of the fields
    that may be left out after a refusal. ``customer`` is the address, lower case; empty where none is given.
    """

    ticket: JsonObject
    article: JsonObject
    customer: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)


def check_fields(fields: Mapping[str, JsonValue], settings: ZammadSettings) -> list[FieldProblem]:
    """What is wrong with a route's ``ticket.fields``, before any event; values are checked where they are constant."""
    problems: list[FieldProblem] = []
    for name, value in fields.items():
        table = value.get("table") if isinstance(value, dict) else None
        for constant in table.values() if isinstance(table, dict) else [value]:
            try:
                _field(name, None if _templated(constant) else constant, 0.0, settings)
            except FieldRefusedError as error:
                problems.append(error.problem)
                break
    if not fields.get("group") and not settings.group:
        problems.append(
            FieldProblem("group", "is needed and not given", "add `group` here, or to the help desk's settings")
        )
    if not fields.get("customer") and not settings.customer:
        problems.append(
            FieldProblem("customer", "is needed and not given", "add `customer` here, or to the help desk's settings")
        )
    return problems


def checked(fields: Mapping[str, JsonValue], settings: ZammadSettings, at: float, *, new: bool = True) -> Checked:
    """The fields of a rendered draft. ``at`` is the instant from which durations count; ``new`` adds the defaults.

    Raises:
        ValueError: the first field that cannot be sent, with the way out.
    """
    values = {name: _field(name, value, at, settings) for name, value in fields.items()}
    values = {name: value for name, value in values.items() if value is not None}
    article: JsonObject = {
        "type": values.pop("article_type", settings.article_type),
        "sender": values.pop("article_sender", "Agent"),
        "internal": values.pop("internal", settings.internal),
    }
    full_name = str(values.pop("customer_name", ""))
    customer = str(values.pop("customer", settings.customer if new else ""))
    if new and "group" not in values and settings.group:
        values["group"] = settings.group
    if new and "group" not in values:
        raise FieldRefusedError("group", "is needed and not given", DOCUMENTED["group"])
    if new and not customer:
        raise FieldRefusedError("customer", "is needed and not given", DOCUMENTED["customer"])
    ticket: JsonObject = {}
    sent: dict[str, str] = {}
    for name, value in values.items():
        key = f"{name}_id" if name in NAMED and isinstance(value, int) else name
        ticket[key] = value
        default = {"group": settings.group}.get(name)
        if name != "group" or (default and default != value):
            sent[key] = name
    if customer:
        ticket.update(_customer(customer, full_name))
        if settings.customer and customer.lower() != settings.customer.lower():
            sent["customer"] = sent["customer_id"] = "customer"
    return Checked(ticket, article, customer.lower(), sent)


def _customer(address: str, full_name: str) -> JsonObject:
    """An unknown customer is made by Zammad, with a name where we know one; a known one keeps its own."""
    if not full_name:
        return {"customer_id": f"guess:{address}"}
    first, _, last = full_name.partition(" ")
    return {"customer": {"firstname": first, "lastname": last, "email": address}}


def _templated(value: JsonValue) -> bool:
    if isinstance(value, list):
        return any(_templated(one) for one in value)
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def _field(name: str, value: JsonValue, at: float, settings: ZammadSettings) -> JsonValue:
    """The value to send, None to leave it out."""
    if name in _REFUSED:
        raise FieldRefusedError(name, *_REFUSED[name])
    if not _IDENTIFIER.fullmatch(name):
        raise FieldRefusedError(name, "is no attribute's name", "use the internal name from Zammad's object manager")
    if name == settings.marker_attribute:
        raise FieldRefusedError(name, "is the gateway's own", "leave it out, or name another `marker_attribute`")
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return _VALUES[name](value, at) if name in _VALUES else _custom(value)
    except ValueError as error:
        raise FieldRefusedError(name, str(error), DOCUMENTED.get(name, "see the attribute in Zammad")) from None


def _named(value: JsonValue, _: float) -> JsonValue:
    """A name, or a number as an id: Zammad would look a number under a name's key up as a name."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is neither a name nor an id")  # noqa: TRY004 - becomes a problem of the field
    text = str(value).strip()
    if text.isascii() and text.isdigit():
        if not 0 < int(text[:12]) < 2**31:
            raise ValueError(f"{value!r} is no id")
        return int(text)
    return text


def _address(value: JsonValue, _: float) -> JsonValue:
    return mail_address(value)


def _line(value: JsonValue, _: float) -> JsonValue:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - becomes a problem of the field
    return " ".join(value.split())[:MOST_NOTE] or None


def _tags(value: JsonValue, _: float) -> JsonValue:
    """One text with commas: Zammad dies on an array. A comma cannot be part of a tag."""
    parts = value if isinstance(value, list) else str(value).split(",")
    names = [" ".join(str(part).replace(",", " ").split()) for part in parts if not isinstance(part, list | dict)]
    return ",".join(dict.fromkeys(name for name in names if name)) or None


def _mentions(value: JsonValue, _: float) -> JsonValue:
    given = value if isinstance(value, list) else str(value).split(",")
    ids: list[JsonValue] = []
    for one in given:
        text = str(one).strip()
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{one!r} is no id of a user")
        ids.append(int(text))
    return ids


def _truth(value: JsonValue, _: float) -> JsonValue:
    word = str(value).strip().lower()
    if word not in _TRUTH:
        raise ValueError(f"{value!r} is neither true nor false")
    return _TRUTH[word]


def _one_of(*choices: str) -> Callable[[JsonValue, float], JsonValue]:
    def chosen(value: JsonValue, _: float) -> JsonValue:
        for choice in choices:
            if str(value).strip().lower() == choice.lower():
                return choice
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")

    return chosen


def _pending_time(value: JsonValue, at: float) -> JsonValue:
    text = str(value).strip()
    try:
        return _iso(at + duration(text))
    except (ValueError, TypeError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{value!r} is neither a time nor a duration") from None
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no zone; write 2026-12-05T22:00:00Z")
    return _iso(moment.timestamp())


def _iso(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _custom(value: JsonValue) -> JsonValue:
    if isinstance(value, dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is no value of an attribute")
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


_VALUES: dict[str, Callable[[JsonValue, float], JsonValue]] = {
    **dict.fromkeys(NAMED, _named),
    "customer": _address,
    "customer_name": _line,
    "pending_time": _pending_time,
    "tags": _tags,
    "mentions": _mentions,
    "note": _line,
    "internal": _truth,
    "article_type": _one_of("note", "phone", "web"),
    "article_sender": _one_of("Agent", "Customer", "System"),
}
