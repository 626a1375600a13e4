"""A configuration made ready to work: router, plans, connectors. Built once; a reload builds another one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.config.config import Config
from gateway.config.fallbacks import fallbacks_of, incident_at, ticket_at
from gateway.config.lookups import own_name
from gateway.config.models import Fallback, Route, SourceSettings, Ticket
from gateway.helpdesks.protocol import Connector
from gateway.helpdesks.registry import HELPDESK_KINDS
from gateway.incidents.machine import Substitutes
from gateway.incidents.threads import Reader, mailbox
from gateway.model.action import ActionKind
from gateway.model.message_ids import MessageIds
from gateway.model.plan import FallbackPlan, Plan
from gateway.receive.smtp.mailroom import recipients_of
from gateway.receive.smtp.recipients import Recipients, parse_pattern
from gateway.rendering.columns import lookups_of
from gateway.rendering.compile import compile_plan
from gateway.routing.lookups import Lookups, references
from gateway.routing.plans import policy_of
from gateway.routing.predicates import compile_regex
from gateway.routing.router import Router, compile_routes
from gateway.routing.schedules import schedule_of
from gateway.routing.silences import Silencer
from gateway.sources.protocol import SourceKind
from gateway.sources.registry import SOURCE_KINDS

UNROUTED = "unrouted"
"""The name of the section for what no route takes, where a route's name is needed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A route as processing needs it. ``plan`` is None for a route that drops or only records.

    ``fallbacks`` are the plans that it may become, by their digests.
    """

    route: Route
    plan: Plan | None
    plan_bytes: bytes
    digest: str
    fallbacks: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that parsing, routing, correlation and rendering need to know.

    ``silencers`` are no part of the configuration: operators make them, and the journal keeps them. ``watches_hosts``: for some
    rule it matters whether the host of a service is down. ``needed``: the look-ups that each route needs for its match, key
    and tickets.
    """

    config: Config
    kinds: Mapping[str, SourceKind]
    router: Router
    rules: Mapping[str, Rule]
    connectors: Mapping[str, Connector]
    threads: Reader = field(default_factory=Reader)
    silencers: tuple[Silencer, ...] = ()
    watches_hosts: bool = False
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def lookups(self) -> Lookups:
        """All look-up tables, by name."""
        return self.config.lookups

    def source(self, name: str) -> SourceSettings | None:
        """The settings of a source."""
        return self.config.sources.get(name)

    def kind_of(self, source: str) -> SourceKind | None:
        """The kind of a source."""
        settings = self.config.sources.get(source)
        return self.kinds[settings.kind] if settings is not None else None

    def shows_only(self, helpdesk: str) -> bool:
        """Whether a helpdesk is in shadow mode."""
        settings = self.config.helpdesks.get(helpdesk)
        return settings is not None and settings.shadow

    def abilities(self, helpdesk: str) -> tuple[frozenset[ActionKind], Substitutes]:
        """What a helpdesk can do, and what it does instead of the rest. One that is not configured may come back: it can do all."""
        connector = self.connectors.get(helpdesk)
        if connector is None:
            return frozenset(ActionKind), {}
        return connector.capabilities.actions, connector.capabilities.substitutes


def build_ruleset(config: Config, keys: Sequence[bytes] = ()) -> Ruleset:
    """Compile a configuration. ``keys`` sign our Message-IDs where the configuration names none, newest first.

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
        lookups=config.lookups,
        own=[*(own_name(route.lookup) for route in config.routes), config.lookup],
        schedules={name: schedule_of(one.tz, one.windows, one.weekly) for name, one in config.schedules.items()},
    )
    routes = [*config.routes]
    if config.unrouted.ticket is not None:
        routes.append(
            Route(
                name=UNROUTED,
                ticket=config.unrouted.ticket,
                incident=config.unrouted.incident,
                lookup=config.lookup or None,
            ),
        )
    connectors = {
        name: HELPDESK_KINDS[settings.kind].connect(name, settings) for name, settings in config.helpdesks.items()
    }
    rules: dict[str, Rule] = {}
    needed: dict[str, tuple[str, ...]] = {}
    for route in routes:
        plan = _plan(route, config) if route.ticket is not None else None
        rules[route.name] = Rule(
            route=route,
            plan=plan,
            plan_bytes=plan.to_bytes() if plan is not None else b"",
            digest=plan.digest if plan is not None else "",
            fallbacks={other.digest: other.plan.to_bytes() for other in plan.fallbacks} if plan is not None else {},
        )
        if names := _needed(route, plan, router):
            needed[route.name] = tuple(name for name in names if name in config.lookups)
        for old in [route.was] if isinstance(route.was, str) else route.was:
            rules.setdefault(old, rules[route.name])
    return Ruleset(
        config=config,
        kinds=SOURCE_KINDS,
        router=router,
        rules=rules,
        connectors=connectors,
        threads=_threads(config, keys),
        needed=needed,
        watches_hosts=any(rule.plan is not None and rule.plan.policy.suppressed_by for rule in rules.values()),
    )


def _needed(route: Route, plan: Plan | None, router: Router) -> dict[str, None]:
    own = own_name(route.lookup)
    names = dict.fromkeys(router.reads(route.name))
    if plan is not None:
        names |= dict.fromkeys(name for path in route.incident.key or () for name in references(path, own))
        for one in (plan, *(other.plan for other in plan.fallbacks)):
            names |= dict.fromkeys(lookups_of(one))
    return names


def _threads(config: Config, keys: Sequence[bytes]) -> Reader:
    return Reader(
        message_ids=MessageIds(configured_keys(config) or keys),
        numbers={
            name: compile_regex(settings.subject_number)
            for name, settings in config.helpdesks.items()
            if settings.subject_number
        },
        is_ours=_ours(config),
    )


def configured_keys(config: Config) -> tuple[bytes, ...]:
    """The keys of Message-IDs that the configuration names, newest first; none where the journal's own are used."""
    named = config.server.message_id_key
    return tuple(key.reveal().encode() for key in (named if isinstance(named, list) else [named]) if key is not None)


def _ours(config: Config) -> Callable[[str], bool]:
    """Tells the addresses of our mailboxes. Of a whole domain (``*@``) nobody can say who in it is a person."""
    texts = [text for settings in config.sources.values() for text in recipients_of(settings)]
    exact = Recipients({"ours": [text for text in texts if parse_pattern(text).local]})
    return lambda address: bool(address) and exact.find(mailbox(address)) is not None


def _plan(route: Route, config: Config) -> Plan:
    """The plan of a route that makes tickets, with what it becomes at its fallbacks."""
    assert route.ticket is not None
    plan = compile_plan(
        route, templates=config.templates, policy=policy_of(route.incident), lookup=own_name(route.lookup)
    )
    return replace(plan, fallbacks=_fallbacks(route, route.ticket, fallbacks_of(route.ticket), config))


def _fallbacks(route: Route, ticket: Ticket, others: Sequence[Fallback], config: Config) -> tuple[FallbackPlan, ...]:
    """Each with those that come after it, to which it may fall back in its turn."""
    found: list[FallbackPlan] = []
    for position, one in enumerate(others):
        changed = {"ticket": ticket_at(ticket, one), "incident": incident_at(route.incident, one)}
        there = route.model_copy(update=changed)
        plan = compile_plan(
            there, templates=config.templates, policy=policy_of(there.incident), lookup=own_name(route.lookup)
        )
        further = _fallbacks(route, ticket, others[position + 1 :], config)
        plan = replace(plan, fallbacks=further)
        found.append(FallbackPlan(one.after, plan.digest, plan))
    return tuple(found)
