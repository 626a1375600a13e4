"""Checks of look-ups: what templates and tables of fields name is there, and what is there is used."""

from collections.abc import Iterator
from typing import Literal

from gateway.config.lookups import own_name
from gateway.config.models import IncidentPolicy, Ticket
from gateway.config.problems import Level, Path, did_you_mean
from gateway.config.subject import Check, Note, Subject, error, info
from gateway.config.ticket_texts import field_sections, ticket_texts
from gateway.routing.fields import UnknownField
from gateway.routing.lookups import check_column


def columns(subject: Subject) -> Iterator[Note]:
    """Columns that templates name are there, in the table that the route has."""
    by_index = dict(subject.routes)
    for path, ticket, policy in subject.tickets():
        route = by_index.get(path[1]) if len(path) > 1 and isinstance(path[1], int) else None
        own = own_name(route.lookup) if route is not None else subject.config.lookup
        variables = route.vars.items() if route is not None else ()
        texts = [*ticket_texts(path, ticket, policy), *(((*path, "vars", name), text) for name, text in variables)]
        for at, text in texts:
            for line, message, hint in _unknown(subject, "text", text, own):
                yield error(at, f"line {line}: {message}" if line > 1 else message, hint)
        for file, text in subject.config.templates.get(ticket.template, {}).items():
            output: Literal["text", "html"] = "html" if file.endswith(".html.j2") else "text"
            name = f"templates/{ticket.template}/{file}"
            for line, message, hint in _unknown(subject, output, text, own):
                owner = f"route '{route.name}'" if route is not None else "unrouted"
                yield Note(Level.ERROR, (), f"{message} in {owner}", hint, file=name, line=line)
        for at, field in _look_ups(path, ticket, policy):
            try:
                check_column(field, own, subject.config.lookups)
            except UnknownField as unknown:
                yield error(at, str(unknown), unknown.hint)


def _unknown(subject: Subject, output: Literal["text", "html"], text: str, own: str) -> Iterator[tuple[int, str, str]]:
    named = {name for name, one in subject.config.lookups.items() if one.named}
    for line, table, column in subject.registries.named_columns(output, text):
        if not column:
            if table and table not in named:
                yield line, f"there is no look-up `{table}`", did_you_mean(table, named) or "add it under `lookups`"
            continue
        path = f"lookups.{table}.{column}" if table else f"lookup.{column}"
        try:
            check_column(path, own, subject.config.lookups)
        except UnknownField as unknown:
            yield line, f"there is no `{path}`", unknown.hint


def _look_ups(path: Path, ticket: Ticket, policy: IncidentPolicy) -> Iterator[tuple[Path, str]]:
    for at, fields in field_sections(path, ticket, policy):
        for name, value in fields.items():
            source = value.get("from") if isinstance(value, dict) else None
            if isinstance(source, str):
                yield (*at, name, "from"), source


def unused(subject: Subject) -> Iterator[Note]:
    """Tables are there for something; it may be silences."""
    if not subject.whole:
        return
    config = subject.config
    own = {own_name(route.lookup) for _, route in subject.routes} | {config.lookup}
    for name, one in config.lookups.items():
        if one.named and name not in own and not any(_mentions(subject, name)):
            yield info(
                ("lookups", name), f"no rule and no template uses '{name}'", f"write lookups.{name}.COLUMN in one"
            )


def _mentions(subject: Subject, name: str) -> Iterator[bool]:
    word = f"lookups.{name}"
    for _, route in subject.routes:
        yield word in route.model_dump_json()
    yield word in subject.config.unrouted.model_dump_json()
    for files in subject.config.templates.values():
        yield any(word in text for text in files.values())


LOOKUP_CHECKS: tuple[Check, ...] = (columns, unused)
"""All checks of this module."""
