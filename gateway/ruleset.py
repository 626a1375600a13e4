"""A configuration made ready to work: router, plans, connectors. Built once; a reload builds another one."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.config import Config
from gateway.config.models import IncidentPolicy, Route, SourceSettings
from gateway.helpdesks.protocol import Connector
from gateway.helpdesks.registry import HELPDESK_KINDS
from gateway.model.plan import Plan
from gateway.rendering.compile import compile_plan
from gateway.routing.plans import policy_of
from gateway.routing.router import Router, compile_routes
from gateway.sources.protocol import SourceKind
from gateway.sources.registry import SOURCE_KINDS

UNROUTED = "unrouted"
"""The name of the section for what no route takes, where a route's name is needed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A route as processing needs it. ``plan`` is None for a route that drops or only records."""

    route: Route
    plan: Plan | None
    plan_bytes: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that parsing, routing, correlation and rendering need to know."""

    config: Config
    kinds: Mapping[str, SourceKind]
    router: Router
    rules: Mapping[str, Rule]
    connectors: Mapping[str, Connector]

    def source(self, name: str) -> SourceSettings | None:
        """The settings of a source."""
        return self.config.sources.get(name)

    def kind_of(self, source: str) -> SourceKind | None:
        """The kind of a source."""
        settings = self.config.sources.get(source)
        return self.kinds[settings.kind] if settings is not None else None


def build_ruleset(config: Config) -> Ruleset:
    """Compile a configuration.

    Raises:
        gateway.routing.router.RuleErrors: rules that cannot be compiled; `gateway.config.lint.check` tells them with
            their places before.
        gateway.rendering.compile.TemplateErrors: templates that cannot be compiled.
    """
    router = compile_routes(
        config.routes,
        config.unrouted,
        read_lines=lambda path: frozenset(config.read_lines(path)),
        sources=config.sources.keys(),
        source_kinds=SOURCE_KINDS.keys(),
    )
    routes = [*config.routes]
    if config.unrouted.ticket is not None:
        routes.append(
            Route(name=UNROUTED, ticket=config.unrouted.ticket, incident=config.unrouted.incident),
        )
    connectors = {
        name: HELPDESK_KINDS[settings.kind].connect(name, settings) for name, settings in config.helpdesks.items()
    }
    rules: dict[str, Rule] = {}
    for route in routes:
        plan = _plan(route, route.incident, config) if route.ticket is not None else None
        rules[route.name] = Rule(
            route=route,
            plan=plan,
            plan_bytes=plan.to_bytes() if plan is not None else b"",
            digest=plan.digest if plan is not None else "",
        )
        for old in [route.was] if isinstance(route.was, str) else route.was:
            rules.setdefault(old, rules[route.name])
    return Ruleset(config=config, kinds=SOURCE_KINDS, router=router, rules=rules, connectors=connectors)


def _plan(route: Route, incident: IncidentPolicy, config: Config) -> Plan:
    return compile_plan(route, templates=config.templates, policy=policy_of(incident))
