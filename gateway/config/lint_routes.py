"""Checks of routes: names, references, templates, what a helpdesk can do, rules that are never reached."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal

from gateway.config.lookups import own_name
from gateway.config.models import Escalate, Expire, HelpdeskSettings, IncidentPolicy, Route, Ticket
from gateway.config.problems import Level, Path, did_you_mean
from gateway.config.registries import Rules
from gateway.config.subject import Check, Note, Subject, error, info, warning
from gateway.config.ticket_texts import ticket_texts
from gateway.config.values import duration_text
from gateway.helpdesks.protocol import Capabilities, HelpdeskKind
from gateway.model.action import ActionKind
from gateway.model.json import JsonValue
from gateway.routing.schedules import weekly_of, window_of, zone_of


def former_names(subject: Subject) -> Iterator[Note]:
    """A former name belongs to one route only, and is no other's name now."""
    owner: dict[str, int] = {}
    names = {index: route.name for index, route in subject.routes}
    for index, route in subject.routes:
        owner.setdefault(route.name, index)
    former: dict[str, int] = {}
    for index, route in subject.routes:
        for was in [route.was] if isinstance(route.was, str) else route.was:
            other = owner.get(was, former.get(was))
            if other is not None:
                hint = f"route '{names[other]}' has it" if other != index else "remove it"
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
        elif not route.match and route.when is None and route.then == "stop":
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
        schedules=subject.config.schedules,
        lookups=subject.config.lookups,
        own=[*(own_name(route.lookup) for route in routes), subject.config.lookup],
    )
    for fault in subject.registries.check_rules(given):
        yield error(fault.path, fault.message, fault.hint)


def schedules(subject: Subject) -> Iterator[Note]:
    """Times can be read, and are used."""
    used = {name for _, route in subject.routes if route.when for name in (route.when.during, route.when.outside)}
    for name, settings in subject.config.schedules.items():
        path: Path = ("schedules", name)
        try:
            zone = zone_of(settings.tz)
        except ValueError as fault:
            yield _split(error, (*path, "tz"), str(fault))
            continue
        for index, text in enumerate(settings.windows):
            try:
                window_of(text, zone)
            except ValueError as fault:
                yield _split(error, (*path, "windows", index), str(fault))
        for index, text in enumerate(settings.weekly):
            try:
                weekly_of(text)
            except ValueError as fault:
                yield _split(error, (*path, "weekly", index), str(fault))
        if not settings.windows and not settings.weekly:
            yield error(path, "holds no time", "add `windows` or `weekly`")
        if name not in used:
            yield warning(path, f"no route uses '{name}'", "write `when: {during: " + name + "}` in one")


def _split(note: Callable[[Path, str, str], Note], path: Path, words: str) -> Note:
    message, _, hint = words.partition("; ")
    return note(path, message, hint)


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
            yield from known_fields(
                (*path, "ticket", "fields"), ticket.fields, kind, settings, subject.registries.fields
            )
            if isinstance(policy.escalate, Escalate):
                at = (*path, "incident", "escalate", "fields")
                yield from known_fields(
                    at, policy.escalate.fields, kind, settings, subject.registries.fields, change=True
                )
            able = kind.connect(ticket.helpdesk, settings).capabilities  # those of a webhook are what is configured
            yield from substitutes(path, policy, kind.name, able)


def escalations(subject: Subject) -> Iterator[Note]:
    """An update has something to change, and what it would change is used."""
    for path, _, policy in subject.tickets():
        at = (*path, "incident", "escalate")
        given = policy.escalate if isinstance(policy.escalate, Escalate) else Escalate(severity=policy.escalate)
        updates = given.severity == "update" or (given.after is not None and given.action == "update")
        if updates and not given.fields:
            yield error(at, "`update` names no fields to set", "write {severity: update, fields: {priority: ...}}")
        if given.fields and not updates:
            yield warning((*at, "fields"), "nothing sets these fields", "write `severity: update` or `action: update`")
        if (
            given.after is None
            and isinstance(policy.escalate, Escalate)
            and "action" in policy.escalate.model_fields_set
        ):
            yield warning((*at, "action"), "does nothing without `after`", "add `after: 30m`")


def several_sources(subject: Subject) -> Iterator[Note]:
    """Sources that share incidents exist, are several, and have a key in common."""
    for path, _, policy in subject.tickets():
        if not policy.across:
            continue
        at: Path = (*path, "incident", "across")
        for index, name in enumerate(policy.across):
            if name not in subject.source_names:
                hint = did_you_mean(name, subject.source_names) or "add it under `sources`"
                yield error((*at, index), f"unknown source '{name}'", hint)
        if len(set(policy.across)) < 2:
            yield error(at, "names one source only", "name all that see the same things, or leave it out")
        if policy.key is None:
            yield error(at, "needs a `key`: the sources' own keys differ", "write `key: [host, service]`")
        if not policy.include_source:
            yield error(
                at, "does nothing with `include_source: false`, which joins all sources", "leave one of them out"
            )


def waits(subject: Subject) -> Iterator[Note]:
    """What waits is kept for so long."""
    keep = subject.config.server.journal.keep
    for path, _, policy in subject.tickets():
        times = [(("confirm",), policy.confirm), (("recover", "hold"), policy.recover.hold)]
        times += [(("flap", "within"), policy.flap.within)] if policy.flap is not None else []
        for keys, seconds in times:
            if seconds and seconds >= keep:
                hint = f"less than {duration_text(keep)}, the `server.journal.keep`"
                yield error((*path, "incident", *keys), f"{duration_text(seconds)} is too long", hint)
        if isinstance(policy.expire, Expire) and policy.expire.after <= policy.confirm + policy.recover.hold:
            at = (*path, "incident", "expire", "after")
            yield error(
                at, f"{duration_text(policy.expire.after)} is too short", "longer than `confirm` and `recover.hold`"
            )


def known_fields(
    path: Path,
    given: Mapping[str, JsonValue],
    kind: HelpdeskKind,
    settings: HelpdeskSettings,
    fields: Collection[str],
    *,
    change: bool = False,
) -> Iterator[Note]:
    """Fields are of the helpdesk's kind. ``change``: they change a ticket that is there, so that none is needed."""
    known = kind.capabilities
    if kind.check_fields is not None:
        for name, problem, hint in kind.check_fields(given, settings):
            if change and name not in given:
                continue
            yield error((*path, name), problem, hint)
    for name, value in given.items():
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


def substitutes(path: Path, policy: IncidentPolicy, helpdesk: str, capabilities: Capabilities) -> Iterator[Note]:
    """What a policy asks of a helpdesk is done, or something in its place."""
    wanted: list[tuple[ActionKind, tuple[str, ...], str]] = []
    if policy.recover.action == "close":
        wanted.append((ActionKind.CLOSE, ("recover", "action"), "close"))
    if policy.reopen_within > 0:
        wanted.append((ActionKind.REOPEN, ("reopen_within",), duration_text(policy.reopen_within)))
    elif policy.flap is not None:
        wanted.append((ActionKind.REOPEN, ("flap", "within"), duration_text(policy.flap.within)))
    if isinstance(policy.expire, Expire) and policy.expire.then == "close":
        wanted.append((ActionKind.CLOSE, ("expire", "then"), "close"))
    if policy.escalate == "update":
        wanted.append((ActionKind.UPDATE, ("escalate",), "update"))
    if isinstance(policy.escalate, Escalate):
        for key, value in (("severity", policy.escalate.severity), ("action", policy.escalate.action)):
            if value == "update":
                wanted.append((ActionKind.UPDATE, ("escalate", key), "update"))
    for action, keys, written in wanted:
        if action in capabilities.actions:
            continue
        at = (*path, "incident", *keys)
        substitute = capabilities.substitutes.get(action)
        if substitute is None:
            yield error(at, f"{helpdesk} cannot {action.value} a ticket over its API", "choose something else")
            continue
        _, reason, words = substitute
        yield info(at, f"{written}: {words.rstrip('.')} ({reason.value})")


def templates(subject: Subject) -> Iterator[Note]:
    """Template folders hold what a ticket needs, and every text can be compiled."""
    used: set[str] = set()
    for path, ticket, policy in subject.tickets():
        at = (*path, "ticket", "template")
        folder = subject.config.templates.get(ticket.template)
        if folder is None:
            if subject.config.templates or ticket.title is None or ticket.body is None:
                hint = did_you_mean(ticket.template, subject.config.templates)
                yield error(at, f"there is no template folder '{ticket.template}'", hint)
        else:
            used.add(ticket.template)
            yield from whole_folder(at, ticket, folder)
        if policy.storm is not None and policy.storm.template in subject.config.templates:
            used.add(policy.storm.template)
        for place, text in ticket_texts(path, ticket, policy):
            yield from inline(subject, place, text)
    for index, route in subject.routes:
        for name, text in route.vars.items():
            yield from inline(subject, ("routes", index, "vars", name), text)
    for name in sorted(used):
        yield from folder_texts(subject, name)


def folder_texts(subject: Subject, name: str) -> Iterator[Note]:
    """Every text of a template folder can be compiled."""
    for file, text in subject.config.templates[name].items():
        output: Literal["text", "html"] = "html" if file.endswith(".html.j2") else "text"
        fault = subject.registries.check_template(output, f"templates/{name}/{file}", text)
        if fault is not None:
            yield Note(Level.ERROR, (), fault.message, fault.hint, file=f"templates/{name}/{file}", line=fault.line)


def whole_folder(at: Path, ticket: Ticket, folder: Mapping[str, str]) -> Iterator[Note]:
    """A template folder holds what a ticket does not say itself."""
    there = f"it holds {', '.join(sorted(folder))}" if folder else "it is empty"
    if ticket.title is None and "title.j2" not in folder:
        yield error(at, f"templates/{ticket.template}/title.j2 is missing", f"{there}; or give `title`")
    bodies: Sequence[str] = {"text": ["body.txt.j2"], "html": ["body.html.j2"]}.get(
        ticket.format or "", ["body.html.j2", "body.txt.j2"]
    )
    if ticket.body is None and not any(body in folder for body in bodies):
        yield error(at, f"templates/{ticket.template}/{bodies[-1]} is missing", f"{there}; or give `body`")


def inline(subject: Subject, path: Path, text: str) -> Iterator[Note]:
    """A template text in the file can be compiled."""
    fault = subject.registries.check_template("text", str(path[-1]), text)
    if fault is not None:
        line = f"line {fault.line}: " if fault.line > 1 else ""
        yield error(path, f"{line}{fault.message}", fault.hint)


ROUTE_CHECKS: tuple[Check, ...] = (
    former_names,
    purpose,
    shadows,
    rules,
    schedules,
    helpdesks,
    escalations,
    several_sources,
    waits,
    templates,
)
"""All checks of this module."""
