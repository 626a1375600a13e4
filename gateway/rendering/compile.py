"""From a route and the template folders to a plan; every fault of every template is found here, all at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from jinja2 import TemplateError as JinjaError
from jinja2 import meta, nodes

from gateway.config.models import Escalate, IncidentPolicy, Route, Ticket
from gateway.model.json import JsonValue
from gateway.model.plan import Plan, Policy, Template, TicketSpec
from gateway.rendering import builtin
from gateway.rendering.context import FIELDS, NAMES
from gateway.rendering.environment import ENVIRONMENTS, Format, RenderFailed, compiled, parsed
from gateway.rendering.language import near

Folders: TypeAlias = Mapping[str, Mapping[str, str]]
"""Folder name -> file name -> text."""
RouteParts: TypeAlias = tuple[str, Ticket, IncidentPolicy, Mapping[str, str]]
"""What stands in for a route where there is none (``unrouted``): name, ticket, incident, vars."""

_BUILT_IN: dict[tuple[str, str], str] = {
    ("update", "text"): builtin.UPDATE_TEXT,
    ("update", "html"): builtin.UPDATE_HTML,
    ("recovery", "text"): builtin.RECOVERY_TEXT,
    ("recovery", "html"): builtin.RECOVERY_HTML,
}


@dataclass(frozen=True, slots=True)
class TemplateError:
    """One fault of a template.

    ``file`` is the template's name (a file, or its place in ``routes.yaml``), ``line`` its own line (0: the whole),
    ``path`` the place in the route (``("ticket", "title")``) for which the caller knows line and column.
    """

    file: str
    line: int
    message: str
    hint: str = ""
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class TemplateErrors(Exception):
    """All faults of a route's templates."""

    def __init__(self, errors: list[TemplateError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


def check_template(
    format: Format,  # noqa: A002 - the word of the configuration
    template: Template,
    path: tuple[str | int, ...] = (),
) -> list[TemplateError]:
    """What is wrong with a template before it ever runs: syntax, unknown filters, unknown variables and fields."""
    faults = _faults(format, template.text) if "{" in template.text else ()  # else it is a constant
    return [TemplateError(template.name, line, message, hint, path) for line, message, hint in faults]


@lru_cache(maxsize=1024)  # several routes use one folder, and what lint has seen is compiled again for the rules
def _faults(format_: Format, text: str) -> tuple[tuple[int, str, str], ...]:
    """Line, message and hint of each fault."""
    try:
        compiled(format_, "", text)
        tree = parsed(format_, text)
        unknown = _undeclared(tree) - NAMES - set(ENVIRONMENTS[format_].globals)
    except RenderFailed as failed:
        message, _, hint = failed.message.partition("; ")
        return ((failed.line, message, hint),)
    except JinjaError as error:
        return ((0, str(error), ""),)
    return tuple(sorted([*_unknown_names(tree, unknown), *_unknown_fields(tree)]))


def _undeclared(tree: nodes.Template) -> set[str]:
    """The variables that must come from outside. Finding out which of those that are assigned somewhere takes time."""
    used = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
    assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    return meta.find_undeclared_variables(tree) if used & assigned else used


def _unknown_names(tree: nodes.Template, unknown: set[str]) -> Iterator[tuple[int, str, str]]:
    for name in sorted(unknown):
        line = min((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), default=0)
        hint = near(name, NAMES) or f"there are {', '.join(sorted(NAMES))}"
        yield line, f"there is no variable `{name}`", hint


def _unknown_fields(tree: nodes.Template) -> Iterator[tuple[int, str, str]]:
    assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    for node in tree.find_all(nodes.Getattr):
        owner = node.node.name if isinstance(node.node, nodes.Name) else ""
        if owner in assigned or owner not in FIELDS or node.attr in FIELDS[owner]:
            continue
        if node.attr in {"get", "items", "keys", "values"}:
            continue
        hint = near(node.attr, FIELDS[owner]) or f"there are {', '.join(sorted(FIELDS[owner]))}"
        yield node.lineno, f"`{owner}` has no field `{node.attr}`", hint


def compile_plan(
    route: Route | RouteParts,
    *,
    templates: Folders,
    policy: Policy,
    folder: str = "templates",
    file: str = "routes.yaml",
    lookup: str = "",
) -> Plan:
    """The plan of a route that makes tickets.

    ``folder`` and ``file`` are how errors name where things stand. ``lookup`` names the route's own table.

    Raises:
        TemplateErrors: with all faults at once.
        ValueError: if the route has no ticket section.
    """
    name, ticket, variables = (
        (route.name, route.ticket, route.vars) if isinstance(route, Route) else (*route[:2], route[3])
    )
    if ticket is None:
        raise ValueError(f"route {name!r} has no ticket section")
    incident = route.incident if isinstance(route, Route) else route[2]
    escalated = incident.escalate.fields if isinstance(incident.escalate, Escalate) else {}
    chosen = _Folder(name, ticket, templates, folder, file)
    format_ = chosen.format
    spec = TicketSpec(
        title=chosen.part("title", "text"),
        body=chosen.part("body", format_),
        update=chosen.part("update", format_),
        recovery=chosen.part("recovery", format_),
        format=format_,
        fields=ticket.fields,
        attachments=ticket.attachments,
        escalated=escalated,
    )
    errors = chosen.errors
    errors += check_template("text", spec.title, ("ticket", "title"))
    for part, template in (("body", spec.body), ("update", spec.update), ("recovery", spec.recovery)):
        errors += check_template(format_, template, ("ticket", part))
    for path, text in _texts(ticket.fields, ("ticket", "fields")):
        errors += check_template("text", Template(place_of(file, name, path), text), path)
    for path, text in _texts(escalated, ("incident", "escalate", "fields")):
        errors += check_template("text", Template(place_of(file, name, path), text), path)
    for variable, text in variables.items():
        path = ("vars", variable)
        errors += check_template("text", Template(place_of(file, name, path), text), path)
    storm, faults = _digest(name, incident, ticket, templates, folder, file)
    errors += faults
    if errors:
        raise TemplateErrors(errors)
    return Plan(
        route=name,
        helpdesk=ticket.helpdesk,
        policy=policy,
        ticket=spec,
        vars=dict(variables),
        lookup=lookup,
        storm=storm,
    )


def _digest(
    name: str, incident: IncidentPolicy, ticket: Ticket, templates: Folders, folder: str, file: str
) -> tuple[TicketSpec | None, list[TemplateError]]:
    """What the digest of a storm is made of, in the format of the route's own tickets where its folder has that."""
    if incident.storm is None:
        return None, []
    wanted = Ticket(helpdesk=ticket.helpdesk, template=incident.storm.template, format=ticket.format)
    chosen = _Folder(name, wanted, templates, folder, file, ("incident", "storm", "template"))
    texts = {part: chosen.part(part, "text" if part == "title" else chosen.format) for part in _PARTS}
    errors = chosen.errors
    for part, template in texts.items():
        errors += check_template("text" if part == "title" else chosen.format, template)
    spec = TicketSpec(
        texts["title"], texts["body"], texts["update"], texts["recovery"], format=chosen.format, attachments=False
    )
    return spec, errors


_PARTS = ("title", "body", "update", "recovery")


def place_of(file: str, route: str, path: tuple[str | int, ...]) -> str:
    """How a template that stands in the configuration is named: ``routes.yaml: routes[NAME].ticket.title``."""
    owner = "unrouted" if route == "unrouted" else f"routes[{route}]"
    return f"{file}: {owner}" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


class _Folder:
    """Finds the templates of one route: its own texts first, then those of its folder, then the built-in ones."""

    def __init__(
        self,
        route: str,
        ticket: Ticket,
        templates: Folders,
        folder: str,
        file: str,
        place: tuple[str | int, ...] = ("ticket", "template"),
    ) -> None:
        """``place`` is where the folder is named."""
        self.errors: list[TemplateError] = []
        self._place = place
        self._route, self._ticket, self._file = route, ticket, file
        self._where = f"{folder}/{ticket.template}"
        self._files: Mapping[str, str] | None = templates.get(ticket.template)
        self._own = {"title": ticket.title, "body": ticket.body, "update": ticket.update, "recovery": ticket.recovery}
        if self._files is None and not (ticket.title is not None and ticket.body is not None):
            there = f"there are {', '.join(sorted(templates))}" if templates else "there is none yet"
            self._fault(f"there is no template folder {self._where}", near(ticket.template, templates) or there)

    @property
    def format(self) -> Format:
        """Of body, update and recovery: as the ticket says; else text for a body in the route; else HTML if there is."""
        if self._ticket.format is not None:
            return self._ticket.format
        if self._ticket.body is not None:
            return "text"
        return "html" if self._files and "body.html.j2" in self._files else "text"

    def part(self, part: str, format_: Format) -> Template:
        """One template by its part; an empty one, and an error noted, where it is missing."""
        own = self._own[part]
        if own is not None:
            return Template(place_of(self._file, self._route, ("ticket", part)), own)
        files = self._files or {}
        suffix = "html" if format_ == "html" else "txt"
        names = ["title.j2"] if part == "title" else [f"{part}.{suffix}.j2", f"{part}.j2"]
        for name in names:
            if name in files:
                return Template(f"{self._where}/{name}", files[name])
        if (part, format_) in _BUILT_IN:
            return Template(f"built-in {part}", _BUILT_IN[part, format_])
        if self._files is not None:
            there = f"it holds {', '.join(sorted(files))}" if files else "it is empty"
            self._fault(f"{self._where} has no {names[0]}", there)
        return Template(f"{self._where}/{names[0]}", "")

    def _fault(self, message: str, hint: str) -> None:
        path = self._place
        self.errors.append(TemplateError(place_of(self._file, self._route, path), 0, message, hint, path))


def _texts(value: JsonValue, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All texts in a field's value, with their places."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
