"""Checks of routes: names, references, templates, what a helpdesk can do, rules that are never reached."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from gateway.config.models import HelpdeskSettings, IncidentPolicy, Route, Ticket
from gateway.config.problems import Level, Path, did_you_mean
from gateway.config.registries import Rules
from gateway.config.subject import Check, Note, Subject, error, info, warning
from gateway.config.values import duration_text
from gateway.helpdesks.protocol import Capabilities, HelpdeskKind
from gateway.model.action import ActionKind
from gateway.model.json import JsonValue


def former_names(subject: Subject) -> Iterator[Note]:
    """A former name belongs to one route only, and is no other's name now."""
    owner: dict[str, int] = {}
    for index, route in subject.routes:
        owner.setdefault(route.name, index)
    former: dict[str, int] = {}
    for index, route in subject.routes:
        for was in [route.was] if isinstance(route.was, str) else route.was:
            other = owner.get(was, former.get(was))
            if other is not None:
                hint = f"routes[{other}] has it" if other != index else "remove it"
                yield error(("routes", index, "was"), f"the former name '{was}' is taken", hint)
            former[was] = index


def purpose(subject: Subject) -> Iterator[Note]:
    """A route does something."""
    for index, route in subject.routes:
        if route.drop is None and route.ticket is None and route.then == "stop":
            hint = "add `ticket:`, or say `drop: {reason: ...}`"
            message = f"'{route.name}' makes no ticket: what it takes is only recorded"
            yield warning(("routes", index), message, hint)


def shadows(subject: Subject) -> Iterator[Note]:
    """No route stands behind one that takes everything."""
    all_taken = ""
    for index, route in subject.routes:
        if all_taken:
            hint = "move it up, or give that one a `match`"
            yield warning(("routes", index), f"'{route.name}' is never reached: '{all_taken}' takes everything", hint)
        elif not route.match and route.then == "stop":
            all_taken = route.name


def rules(subject: Subject) -> Iterator[Note]:
    """Every rule can be compiled, and what it names exists. A rule that is not valid is left out in its place."""
    valid = dict(subject.routes)
    stand_in = Route(name="not-valid", match={"kind": "raw"})
    routes = [
        valid.get(index, stand_in.model_copy(update={"name": f"not-valid-{index}"})) for index in range(subject.count)
    ]
    given = Rules(
        routes=routes,
        unrouted=subject.config.unrouted,
        sources=subject.source_names,
        source_kinds=list(subject.registries.source_kinds),
        read_lines=subject.config.read_lines,
    )
    for fault in subject.registries.check_rules(given):
        yield error(fault.path, fault.message, fault.hint)


def helpdesks(subject: Subject) -> Iterator[Note]:
    """Tickets go to a helpdesk that exists, with fields that it knows."""
    for path, ticket, policy in subject.tickets():
        at = (*path, "ticket", "helpdesk")
        if ticket.helpdesk not in subject.helpdesk_names:
            hint = did_you_mean(ticket.helpdesk, subject.helpdesk_names) or "add it under `helpdesks`"
            yield error(at, f"unknown helpdesk '{ticket.helpdesk}'", hint)
            continue
        settings = subject.config.helpdesks.get(ticket.helpdesk)
        kind = subject.registries.helpdesk_kinds.get(settings.kind) if settings else None
        if kind is not None and settings is not None:
            yield from _fields((*path, "ticket", "fields"), ticket, kind, settings, subject.registries.fields)
            yield from _substitutes(path, policy, kind.name, kind.capabilities)


def _fields(
    path: Path, ticket: Ticket, kind: HelpdeskKind, settings: HelpdeskSettings, fields: Collection[str]
) -> Iterator[Note]:
    known = kind.capabilities
    if kind.check_fields is not None:
        for name, problem, hint in kind.check_fields(ticket.fields, settings):
            yield error((*path, name), problem, hint)
    for name, value in ticket.fields.items():
        if kind.check_fields is None and name not in known.fields and not known.open_fields:
            yield error((*path, name), f"{kind.name} has no field '{name}'", did_you_mean(name, known.fields))
        elif isinstance(value, dict) and ("from" in value or "table" in value):
            yield from _table((*path, name), value, fields)


def _table(path: Path, value: Mapping[str, JsonValue], fields: Collection[str]) -> Iterator[Note]:
    source, table = value.get("from"), value.get("table")
    if set(value) != {"from", "table"} or not isinstance(source, str) or not isinstance(table, dict) or not table:
        yield error(
            path, "a look-up has `from` and `table`", 'write {from: severity, table: {critical: "3", "*": "2"}}'
        )
        return
    family, dot, name = source.partition(".")
    if fields and source not in fields and not (dot and name and f"{family}.NAME" in fields):
        yield error((*path, "from"), f"unknown field '{source}'", did_you_mean(source, fields))
    if "*" not in table:
        yield warning((*path, "table"), "a value outside of the table leaves the field out", 'add "*": VALUE')


def _substitutes(path: Path, policy: IncidentPolicy, helpdesk: str, capabilities: Capabilities) -> Iterator[Note]:
    wanted = [(ActionKind.CLOSE, "recover", "action")] if policy.recover.action == "close" else []
    if policy.reopen_within > 0:
        wanted.append((ActionKind.REOPEN, "reopen_within", ""))
    for action, *keys in wanted:
        if action in capabilities.actions:
            continue
        at = (*path, "incident", *(key for key in keys if key))
        substitute = capabilities.substitutes.get(action)
        if substitute is None:
            yield error(at, f"{helpdesk} cannot {action.value} a ticket over its API", "choose something else")
            continue
        _, reason, words = substitute
        written = "close" if action is ActionKind.CLOSE else duration_text(policy.reopen_within)
        yield info(at, f"{written}: {words.rstrip('.')} ({reason.value})")


def templates(subject: Subject) -> Iterator[Note]:
    """Template folders hold what a ticket needs, and every text can be compiled."""
    used: set[str] = set()
    for path, ticket, _ in subject.tickets():
        at = (*path, "ticket", "template")
        folder = subject.config.templates.get(ticket.template)
        if folder is None:
            if subject.config.templates or ticket.title is None or ticket.body is None:
                hint = did_you_mean(ticket.template, subject.config.templates)
                yield error(at, f"there is no template folder '{ticket.template}'", hint)
        else:
            used.add(ticket.template)
            yield from _folder(at, ticket, folder)
        for name in ("title", "body", "update", "recovery"):
            text = getattr(ticket, name)
            if isinstance(text, str):
                yield from _inline(subject, (*path, "ticket", name), text)
        for name, value in ticket.fields.items():
            if isinstance(value, str):
                yield from _inline(subject, (*path, "ticket", "fields", name), value)
    for index, route in subject.routes:
        for name, text in route.vars.items():
            yield from _inline(subject, ("routes", index, "vars", name), text)
    for name in sorted(used):
        for file, text in subject.config.templates[name].items():
            output: Literal["text", "html"] = "html" if file.endswith(".html.j2") else "text"
            fault = subject.registries.check_template(output, f"templates/{name}/{file}", text)
            if fault is not None:
                yield Note(Level.ERROR, (), fault.message, file=f"templates/{name}/{file}", line=fault.line)


def _folder(at: Path, ticket: Ticket, folder: Mapping[str, str]) -> Iterator[Note]:
    there = f"it holds {', '.join(sorted(folder))}" if folder else "it is empty"
    if ticket.title is None and "title.j2" not in folder:
        yield error(at, f"templates/{ticket.template}/title.j2 is missing", f"{there}; or give `title`")
    bodies: Sequence[str] = {"text": ["body.txt.j2"], "html": ["body.html.j2"]}.get(
        ticket.format or "", ["body.html.j2", "body.txt.j2"]
    )
    if ticket.body is None and not any(body in folder for body in bodies):
        yield error(at, f"templates/{ticket.template}/{bodies[-1]} is missing", f"{there}; or give `body`")


def _inline(subject: Subject, path: Path, text: str) -> Iterator[Note]:
    fault = subject.registries.check_template("text", str(path[-1]), text)
    if fault is not None:
        line = f"line {fault.line}: " if fault.line > 1 else ""
        yield error(path, f"{line}{fault.message}")


ROUTE_CHECKS: tuple[Check, ...] = (former_names, purpose, shadows, rules, helpdesks, templates)
"""All checks of this module."""
