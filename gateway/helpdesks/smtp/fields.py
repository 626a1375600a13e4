"""The fields of a ticket by mail: recipients, where answers go, and headers of the helpdesk's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.helpdesks.addresses import plain_address
from gateway.helpdesks.smtp.settings import SmtpSettings, header_name
from gateway.helpdesks.text import one_line
from gateway.model.json import JsonValue

DOCUMENTED: dict[str, str] = {
    "to": "Mailbox of the helpdesk; its domain must be one of `to_domains`. Follow-ups go where the first mail went.",
    "cc": "Further recipients: a list, or a text with commas; only domains of `to_domains`.",
    "reply_to": "Where answers go: the writer's own address, say (`{{ event.sender.address }}`).",
    "X-NAME": "A header of that name, for helpdesks that read some (`X-OTRS-Queue`, `X-Zammad-Ticket-Priority`, `X-Priority`).",
}
_TEMPLATE = ("{{", "{%", "{#")


class FieldProblem(NamedTuple):
    """A field that cannot be sent: its name, what is wrong, and the way out."""

    field: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Fields as they are sent."""

    to: str
    copies: tuple[str, ...]
    reply_to: str
    headers: tuple[tuple[str, str], ...]


def checked(fields: Mapping[str, JsonValue], settings: SmtpSettings) -> Checked:
    """The fields of a draft.

    Raises:
        ValueError: with what is wrong with one of them.
    """
    for name in fields:
        _known(name)
    return Checked(
        to=_recipient(fields.get("to") or settings.to, settings),
        copies=tuple(dict.fromkeys(_recipient(one, settings) for one in _list(fields.get("cc")))),
        reply_to=plain_address(fields["reply_to"]) if fields.get("reply_to") else settings.reply_to,
        headers=tuple(
            (name, text)
            for name, value in fields.items()
            if _is_header(name) and (text := one_line(_text(name, value)))
        ),
    )


def check_fields(fields: Mapping[str, JsonValue], settings: SmtpSettings) -> list[FieldProblem]:
    """What is wrong with a route's ``ticket.fields``; values are checked where they are constant."""
    problems: list[FieldProblem] = []
    for name, value in fields.items():
        try:
            _known(name)
        except ValueError as error:
            problems.append(FieldProblem(name, str(error), "known: to, cc, reply_to, and X-... for headers"))
            continue
        for one in _constants(value):
            try:
                checked({name: one}, settings)
            except ValueError as error:
                problem, _, hint = str(error).partition("; ")
                problems.append(FieldProblem(name, problem, hint))
    return problems


def _known(name: str) -> None:
    if name in {"to", "cc", "reply_to"}:
        return
    if not _is_header(name):
        raise ValueError(f"a mail has no field {name!r}")
    header_name(name)


def _is_header(name: str) -> bool:
    return name[:2].lower() == "x-"


def _recipient(value: JsonValue, settings: SmtpSettings) -> str:
    address = plain_address(value)
    domain = address.rpartition("@")[2].lower()
    if domain not in settings.allowed and address.lower() != settings.to.lower():
        known = ", ".join(sorted(settings.allowed))
        raise ValueError(f"{address}: mails go only to {known}; add {domain} to the helpdesk's `to_domains`")
    return address


def _list(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, str):
        return [one.strip() for one in value.split(",") if one.strip()]
    return [one for one in value if one not in (None, "")] if isinstance(value, list) else []


def _text(name: str, value: JsonValue) -> str:
    if isinstance(value, dict | list):
        raise ValueError(f"{name}: a header is a text; write one value")  # noqa: TRY004 - the caller wants ValueError
    return "" if value is None else str(value)


def _constants(value: JsonValue) -> list[JsonValue]:
    """The values that are known before any event; of tables each of them."""
    table = value.get("table") if isinstance(value, dict) else None
    values = list(table.values()) if isinstance(table, dict) else [value]
    return [one for one in values if not _is_open(one)]


def _is_open(value: JsonValue) -> bool:
    if isinstance(value, list):
        return any(_is_open(one) for one in value)
    return isinstance(value, dict) or (isinstance(value, str) and any(sign in value for sign in _TEMPLATE))
