"""Every text of a ticket section that is a template, with its place."""

from collections.abc import Iterator, Mapping

from gateway.config.fallbacks import fallbacks_of
from gateway.config.models import Escalate, Fallback, IncidentPolicy, Ticket
from gateway.config.problems import Path
from gateway.model.json import JsonValue


def ticket_texts(path: Path, ticket: Ticket, policy: IncidentPolicy) -> Iterator[tuple[Path, str]]:
    """The ticket's own templates and those of its fields; ``path`` leads to what holds the section."""
    for name in ("title", "body", "update", "recovery"):
        text = getattr(ticket, name)
        if isinstance(text, str):
            yield (*path, "ticket", name), text
    for at, one in _fallbacks(path, ticket):
        for name in ("title", "body", "update", "recovery"):
            text = getattr(one, name)
            if isinstance(text, str):
                yield (*at, name), text
    for at, fields in field_sections(path, ticket, policy):
        for name, value in fields.items():
            yield from _inside((*at, name), value)


def field_sections(
    path: Path, ticket: Ticket, policy: IncidentPolicy
) -> Iterator[tuple[Path, Mapping[str, JsonValue]]]:
    """The sections that set fields of a helpdesk."""
    yield (*path, "ticket", "fields"), ticket.fields
    if isinstance(policy.escalate, Escalate):
        yield (*path, "incident", "escalate", "fields"), policy.escalate.fields
    for at, one in _fallbacks(path, ticket):
        yield (*at, "fields"), one.fields
        yield (*at, "escalated"), one.escalated


def _fallbacks(path: Path, ticket: Ticket) -> Iterator[tuple[Path, Fallback]]:
    at: Path = (*path, "ticket", "fallback")
    for index, one in enumerate(fallbacks_of(ticket)):
        yield (*at, index) if isinstance(ticket.fallback, list) else at, one


def _inside(path: Path, value: JsonValue) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inside((*path, index), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _inside((*path, key), item)
