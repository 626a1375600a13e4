"""What the loader must know of the rest of the house, as parameters: the kinds, and who checks rules and templates."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.config.models import Route, ScheduleSettings, Unrouted
from gateway.config.problems import Path
from gateway.helpdesks.protocol import HelpdeskKind
from gateway.routing.lookups import Lookups
from gateway.sources.protocol import SourceKind


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A fault in a rule; ``path`` begins at the root of the file."""

    path: Path
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """A fault in a template's text. ``line`` counts from 1, 0 if it is not known."""

    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a file with what they may refer to.

    ``read_lines`` gives the lines of an ``in_file`` list, ``own`` the look-up of each route and behind them that of ``unrouted``.
    """

    routes: Sequence[Route]
    unrouted: Unrouted
    sources: Collection[str]
    source_kinds: Collection[str]
    read_lines: Callable[[str], Sequence[str]]
    schedules: Mapping[str, ScheduleSettings] = field(default_factory=dict)
    lookups: Lookups = field(default_factory=dict)
    own: Sequence[str] = ()


def _no_faults(_: Rules) -> Sequence[RuleFault]:
    return ()


def _no_fault(_format: str, _name: str, _text: str) -> TemplateFault | None:
    return None


def _no_columns(_format: str, _text: str) -> Sequence[tuple[int, str, str]]:
    return ()


@dataclass(frozen=True, slots=True)
class Registries:
    """The kinds of sources and helpdesks, and the checks of rules and template texts.

    * ``fields``: the fields of an event that a look-up may name; ``labels.NAME`` means any name after ``labels.``.
    * ``check_rules(rules)``: everything that is wrong with the rules.
    * ``check_template(format, name, text)``: the first thing that is wrong with a template, or None.
    * ``named_columns(format, text)``: the columns of look-ups that a template names: line, table (empty: the route's own) and
      column (empty where only its run tells).
    """

    source_kinds: Mapping[str, SourceKind]
    helpdesk_kinds: Mapping[str, HelpdeskKind]
    fields: Mapping[str, str] = field(default_factory=dict)
    check_rules: Callable[[Rules], Sequence[RuleFault]] = _no_faults
    check_template: Callable[[Literal["text", "html"], str, str], TemplateFault | None] = _no_fault
    named_columns: Callable[[Literal["text", "html"], str], Sequence[tuple[int, str, str]]] = _no_columns


def default_registries() -> Registries:
    """Those of this installation."""
    # Imported here: sources, helpdesks and routing import the models of this package.
    from gateway.helpdesks.registry import HELPDESK_KINDS  # noqa: PLC0415 - see above
    from gateway.routing.fields import FIELD_NAMES  # noqa: PLC0415 - see above
    from gateway.sources.registry import SOURCE_KINDS  # noqa: PLC0415 - see above

    return Registries(SOURCE_KINDS, HELPDESK_KINDS, FIELD_NAMES, rule_faults, template_fault, template_columns)


def rule_faults(rules: Rules) -> Sequence[RuleFault]:
    """What routing has to say about the rules."""
    from gateway.routing.errors import RuleErrors  # noqa: PLC0415 - see `default_registries`
    from gateway.routing.router import compile_routes  # noqa: PLC0415 - see `default_registries`
    from gateway.routing.schedules import Schedule, zone_of  # noqa: PLC0415 - see `default_registries`

    try:
        compile_routes(
            rules.routes,
            rules.unrouted,
            read_lines=lambda name: frozenset(rules.read_lines(name)),
            sources=rules.sources,
            source_kinds=rules.source_kinds,
            lookups=rules.lookups,
            own=rules.own,
            schedules={name: Schedule(zone_of("UTC")) for name in rules.schedules},  # by name; their times by `lint`
        )
    except RuleErrors as errors:
        return [RuleFault(each.path, each.message, each.hint) for each in errors.errors]
    return ()


def template_fault(output: Literal["text", "html"], name: str, text: str) -> TemplateFault | None:
    """What the rendering sandbox has to say about a template."""
    from gateway.model.plan import Template  # noqa: PLC0415 - see `default_registries`
    from gateway.rendering.compile import check_template  # noqa: PLC0415 - see `default_registries`

    faults = check_template(output, Template(name, text))
    return TemplateFault(faults[0].line, faults[0].message, faults[0].hint) if faults else None


def template_columns(output: Literal["text", "html"], text: str) -> Sequence[tuple[int, str, str]]:
    """The columns of look-ups that a template names."""
    from gateway.rendering.columns import named_columns  # noqa: PLC0415 - see `default_registries`

    return [(one.line, one.table, one.column) for one in named_columns(output, text)]
