"""From parsed events to decisions: which rules take an event, and which incident it belongs to under each. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.config.lookups import own_name
from gateway.incidents.members import tombstone_key
from gateway.incidents.ordering import order_within_receipt
from gateway.incidents.storms import group_key
from gateway.incidents.threads import Refs
from gateway.journal.protocol import Lookup, ThreadLookup
from gateway.model.decision import Decision
from gateway.model.event import Event
from gateway.model.reasons import Reason
from gateway.model.receipt import Parsed, Receipt
from gateway.model.silence import Silence
from gateway.quarantine import sender_key
from gateway.routing.fields import Subject, text_of, value_of
from gateway.routing.keys import correlation_key
from gateway.ruleset import UNROUTED, Rule, Ruleset
from gateway.sources.protocol import Guard


@dataclass(frozen=True, slots=True)
class Target:
    """A rule that takes an event, with the key of the incident that the event belongs to under it.

    ``old_keys`` are those that the event would have had under earlier names of the route (`was`). ``missing`` tells of the look-ups
    that the rule needs and that have no row. ``storm`` is the group in which a new incident counts towards a storm; empty where
    that is not watched.
    """

    rule: Rule
    key: str
    old_keys: tuple[str, ...]
    vars: dict[str, str]
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...] = ()
    storm: str = ""


@dataclass(frozen=True, slots=True)
class RoutedEvent:
    """An event with the decision about it. ``index`` is its place in the receipt; ``guard`` is what may hold it back.

    ``refs`` is what a mail refers to; None for what is no mail. ``silence`` is the first one that covers it.
    """

    index: int
    event: Event
    subject: Subject
    decision: Decision
    targets: tuple[Target, ...]
    guard: Guard | None = None
    refs: Refs | None = None
    silence: Silence | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """A receipt whose events are judged, in the order in which they shall be correlated.

    ``watches_hosts``: it may matter whether the hosts of its services are down.
    """

    receipt: Receipt
    warnings: tuple[str, ...]
    events: tuple[RoutedEvent, ...]
    watches_hosts: bool = False


def route(receipt: Receipt, parsed: Parsed, rules: Ruleset, *, full: bool = False) -> Routed:
    """Judge every event of a receipt. ``full`` keeps every clause in the trace, also of rules that do not match."""
    settings, kind = rules.source(receipt.source), rules.kind_of(receipt.source)
    routed: list[RoutedEvent] = []
    for index in order_within_receipt(parsed.events):
        event = parsed.events[index]
        subject = Subject(
            event=event,
            source=receipt.source,
            source_kind=kind.name if kind is not None else "",
            peer=receipt.peer,
            headers=receipt.headers,
            envelope=receipt.envelope,
            at=receipt.received_at,
            lookups=rules.lookups,
        )
        decision = rules.router.decide(subject, brief=not full)
        default_key = kind.default_key if kind is not None else ()
        names = [(chosen.route, dict(chosen.vars)) for chosen in decision.chosen]
        if not names and UNROUTED in rules.rules:
            names = [(UNROUTED, {})]
        targets: dict[str, Target] = {}
        for name, variables in names:
            target = _target(rules.rules[name], variables, subject, default_key, rules)
            # Two routes without `include_route` may name one incident; the event counts once in it.
            targets.setdefault(target.key if target.rule.plan is not None else f"route {name}", target)
        decision = _looked_up(decision, subject, targets.values(), rules)
        guard = kind.guard(event, receipt, settings) if kind and settings and kind.guard else None
        refs = rules.threads.refs(event) if kind is not None and kind.threads else None
        silence = next((one.silence for one in rules.silencers if one.covers(subject)), None)
        routed.append(RoutedEvent(index, event, subject, decision, tuple(targets.values()), guard, refs, silence))
    return Routed(receipt, parsed.warnings, tuple(routed), rules.watches_hosts)


def _looked_up(decision: Decision, subject: Subject, targets: Iterable[Target], rules: Ruleset) -> Decision:
    """The decision with the rows that it needed: those of the rules that were tried, and of the tickets that come of it."""
    if not rules.needed:
        return decision
    names = dict.fromkeys(name for tried in decision.trace for name in rules.router.reads(tried.route))
    names |= dict.fromkeys(name for target in targets for name in rules.needed.get(target.rule.route.name, ()))
    found = tuple(rules.lookups[name].trace(subject) for name in names if name in rules.lookups)
    return replace(decision, lookups=found)


def _target(
    rule: Rule, variables: dict[str, str], subject: Subject, default_key: tuple[str, ...], rules: Ruleset
) -> Target:
    policy, was = rule.route.incident, rule.route.was
    subject = replace(subject, lookup=own_name(rule.route.lookup)) if rules.lookups else subject
    needed = (rules.lookups[name].trace(subject) for name in rules.needed.get(rule.route.name, ()))
    missing = tuple(str(found) for found in needed if found.absent)

    def key_under(name: str) -> tuple[str, tuple[Reason, ...]]:
        return correlation_key(
            policy.key,
            subject,
            route=name,
            include_source=policy.include_source,
            include_route=policy.include_route,
            across=policy.across,
            default_key=default_key,
        )

    key, reasons = key_under(rule.route.name)
    old = [was] if isinstance(was, str) else was
    old_keys = tuple(key_under(name)[0] for name in old) if policy.include_route else ()
    return Target(rule, key, old_keys, variables, reasons, missing, _group(rule, subject))


def _group(rule: Rule, subject: Subject) -> str:
    storm = rule.route.incident.storm
    if storm is None or rule.plan is None:
        return ""
    return group_key(rule.route.name, [(name, text_of(value_of(subject, name))) for name in storm.per])


def lookup(batch: Sequence[Routed]) -> Lookup:
    """What must be known before these receipts can be correlated."""
    keys: set[str] = set()
    members: set[tuple[str, str]] = set()
    duplicates: set[tuple[str, str]] = set()
    rates: set[str] = set()
    hosts: set[str] = set()
    storms: set[str] = set()
    for routed in batch:
        source = routed.receipt.source
        for event in routed.events:
            if event.guard is not None:
                rates.add(sender_key(source, event.guard))
            for target in event.targets:
                keys.update((target.key, *target.old_keys))
                if target.storm:
                    storms.add(target.storm)
            if event.event.origin_key:
                members.add((source, event.event.origin_key))
                keys.add(tombstone_key(source, event.event.origin_key))
            if routed.watches_hosts and event.event.service and event.event.host:
                hosts.add(event.event.host)
            if event.event.duplicate_key:
                duplicates.add((source, event.event.duplicate_key))
    return Lookup(
        frozenset(keys),
        frozenset(members),
        frozenset(duplicates),
        frozenset(rates),
        _thread_lookup(batch),
        frozenset(hosts),
        frozenset(storms),
    )


def _thread_lookup(batch: Sequence[Routed]) -> ThreadLookup | None:
    """What the mails of a batch refer to; None where nothing does, so that nothing is asked."""
    refs = [(routed.receipt.source, event.refs) for routed in batch for event in routed.events if event.refs]
    if not refs:
        return None
    return ThreadLookup(
        incidents=frozenset(name for _, one in refs for name in one.signed),
        mails=frozenset((source, name) for source, one in refs for name in one.mails),
        markers=frozenset(marker for _, one in refs for marker in one.markers),
        tickets=frozenset(number for _, one in refs for number in one.numbers),
    )
