"""Routing: the rules in their order, compiled once, and the decision with its trace."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import orjson

from gateway.config.models import IncidentPolicy, Route, Unrouted, When
from gateway.model.decision import Chosen, Clause, Decision, RuleTrace
from gateway.routing.clauses import Every, Within
from gateway.routing.errors import RuleError, RuleErrors, did_you_mean
from gateway.routing.fields import Subject, UnknownField, reader_of
from gateway.routing.lookups import Lookups, check_column, references
from gateway.routing.matchers import Compiler
from gateway.routing.schedules import Schedule

UNROUTED = "unrouted"
"""The name of the ``unrouted`` section where a route's name is wanted."""


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    test: Every
    groups: tuple[str, ...]
    stops: bool
    lookup: str = ""  # its own
    reads: tuple[str, ...] = ()  # the look-ups that its tests name

    def chosen(self, subject: Subject) -> Chosen:
        if not self.groups:
            return Chosen(self.name)
        captured: dict[str, str] = {}
        self.test.capture(subject, captured)
        # A group that took no part is an empty text, so that a template that names it does not fail.
        return Chosen(self.name, {name: captured.get(name, "") for name in self.groups})


@dataclass(frozen=True, slots=True)
class Router:
    """The compiled rules. ``warnings`` are rules that can never be reached; they are told, not refused."""

    routes: Mapping[str, Route]
    unrouted: Unrouted
    warnings: tuple[RuleError, ...] = ()
    _rules: tuple[_Rule, ...] = field(default=(), repr=False)
    _reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def decide(self, subject: Subject, *, trace: bool = True, brief: bool = False) -> Decision:
        """Which routes take the event. The first match wins, but for ``then: continue``.

        With ``trace`` every rule that was tried is listed with every clause, also those after its first false one.
        Without it the decision is the same, and faster. Rules after the one that stopped were not tried. With ``brief``
        a rule that did not match is listed with only one clause that does not hold: that is what is worth storing with
        every event, at about half the time and size; the full trace can be made again from the receipt.
        """
        chosen: list[Chosen] = []
        traces: list[RuleTrace] = []
        for rule in self._rules:
            if rule.lookup != subject.lookup:
                subject = replace(subject, lookup=rule.lookup)
            if trace:
                clauses: list[Clause] = []
                attempt = rule.test.trace_briefly if brief else rule.test.trace
                matched = attempt(subject, clauses)
                traces.append(RuleTrace(rule.name, matched, tuple(clauses)))
            else:
                matched = rule.test.holds(subject)
            if matched:
                chosen.append(rule.chosen(subject))
                if rule.stops:
                    break
        return Decision(tuple(chosen), tuple(traces))

    def reads(self, route: str) -> tuple[str, ...]:
        """The look-ups that a route's match names."""
        return self._reads.get(route, ())

    def groups(self, route: str) -> tuple[str, ...]:
        """The variables that a route's match gives: the named groups of its regular expressions."""
        return next((rule.groups for rule in self._rules if rule.name == route), ())


def compile_routes(
    routes: Sequence[Route],
    unrouted: Unrouted,
    *,
    read_lines: Callable[[str], frozenset[str]],
    sources: Collection[str] = (),
    source_kinds: Collection[str] = (),
    schedules: Mapping[str, Schedule] | None = None,
    lookups: Lookups | None = None,
    own: Sequence[str] = (),
) -> Router:
    """Compile the rules.

    ``read_lines(path)`` gives the lines of an ``in_file`` list and may raise OSError or ValueError. ``sources`` and
    ``source_kinds`` are the names that exist; with them, a rule that names another is a fault. ``schedules`` are what `when` may
    name. ``lookups`` are all tables; ``own`` names that of each rule, and behind them that of ``unrouted``.

    Raises:
        RuleErrors: with all faults at once.
    """
    errors: list[RuleError] = []
    names = {"source": sources, "source_kind": source_kinds}
    rules: list[_Rule] = []
    seen: dict[str, int] = {}
    for index, route in enumerate(routes):
        place = ("routes", index)
        lookup = own[index] if index < len(own) else ""
        check = partial(check_column, own=lookup, lookups=lookups or {})
        compiler = Compiler(read_lines, names, errors, check=check)
        test = compiler.match(dict(route.match), (*place, "match"))
        if route.when is not None:
            times = _times(route.when, (*place, "when"), schedules or {}, errors)
            test = Every("", (*test.parts, *times))
        reads = tuple(dict.fromkeys(name for path in sorted(compiler.fields) for name in references(path, lookup)))
        rules.append(_Rule(route.name, test, tuple(sorted(compiler.groups)), route.then == "stop", lookup, reads))
        errors += _faults(route, place, seen.setdefault(route.name, index), index, check)
    check = partial(check_column, own=own[len(routes)] if len(own) > len(routes) else "", lookups=lookups or {})
    errors += _key_faults(unrouted.incident, (UNROUTED, "incident"), check)
    if not unrouted.dead_letter and unrouted.ticket is None:
        told = "events that no route takes would be lost without a trace"
        errors.append(RuleError((UNROUTED, "dead_letter"), told, "leave it true, or give `unrouted` a ticket section"))
    if errors:
        raise RuleErrors(errors)
    by_name = {route.name: route for route in routes}
    reads_of = {rule.name: rule.reads for rule in rules if rule.reads}
    return Router(by_name, unrouted, _unreachable(routes), tuple(rules), reads_of)


def decision_json(decision: Decision) -> bytes:
    """The decision with its trace as JSON, as it is stored with the event."""
    return orjson.dumps(decision)


def _times(
    when: When, place: tuple[str | int, ...], schedules: Mapping[str, Schedule], errors: list[RuleError]
) -> list[Within]:
    found: list[Within] = []
    for key, name in (("during", when.during), ("outside", when.outside)):
        if name is None:
            continue
        if name in schedules:
            found.append(Within(f"when.{key}", name, schedules[name], inside=key == "during"))
        else:
            hint = did_you_mean(name, schedules) or "add it under `schedules`"
            errors.append(RuleError((*place, key), f"there is no schedule {name!r}", hint))
    if when.during is None and when.outside is None:
        errors.append(RuleError(place, "names no time", "write {during: NAME} or {outside: NAME}"))
    return found


def _faults(
    route: Route, place: tuple[str | int, ...], first: int, index: int, check: Callable[[str], None]
) -> list[RuleError]:
    errors = _key_faults(route.incident, (*place, "incident"), check)
    if first != index:
        told = f"route {first + 1} is called {route.name!r} too"
        errors.append(RuleError((*place, "name"), told, "every route needs a name of its own"))
    if route.name == UNROUTED:
        told = f"{UNROUTED!r} is the name of the section for what no route takes"
        errors.append(RuleError((*place, "name"), told, "choose another name"))
    if route.drop is not None and route.ticket is not None:
        errors.append(RuleError((*place, "drop"), "a route drops or makes a ticket, not both", "make two routes of it"))
    if route.drop is not None and route.then == "continue":
        errors.append(RuleError((*place, "then"), "what is dropped does not go on", "leave `then` out"))
    return errors


def _key_faults(
    incident: IncidentPolicy, place: tuple[str | int, ...], check: Callable[[str], None]
) -> list[RuleError]:
    if incident.key is None:
        return []
    if not incident.key:
        return [RuleError((*place, "key"), "an empty key would make one incident of everything", "name fields")]
    errors = []
    for index, name in enumerate(incident.key):
        try:
            reader_of(name)
            check(name)
        except UnknownField as unknown:
            errors.append(RuleError((*place, "key", index), str(unknown), unknown.hint))
    return errors


def _unreachable(routes: Sequence[Route]) -> tuple[RuleError, ...]:
    """Rules behind one that takes everything and stops."""
    for index, route in enumerate(routes):
        if not route.match and route.when is None and route.then == "stop":
            told = f"is never reached: route {route.name!r} before it takes everything"
            hint = f"move {route.name!r} to the end, or give it a match"
            return tuple(
                RuleError(("routes", later), f"route {routes[later].name!r} {told}", hint)
                for later in range(index + 1, len(routes))
            )
    return ()
