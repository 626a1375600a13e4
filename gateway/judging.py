"""From parsed events to decisions: which rules take an event, and which incident it belongs to under each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.incidents.members import tombstone_key
from gateway.incidents.ordering import order_within_receipt
from gateway.journal.protocol import Lookup
from gateway.model.decision import Decision
from gateway.model.event import Event
from gateway.model.reasons import Reason
from gateway.model.receipt import Parsed, Receipt
from gateway.routing.fields import Subject
from gateway.routing.keys import correlation_key
from gateway.ruleset import UNROUTED, Rule, Ruleset


@dataclass(frozen=True, slots=True)
class Target:
    """A rule that takes an event, with the key of the incident that the event belongs to under it.

    ``old_keys`` are those that the event would have had under earlier names of the route (`was`).
    """

    rule: Rule
    key: str
    old_keys: tuple[str, ...]
    vars: dict[str, str]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class RoutedEvent:
    """An event with the decision about it. ``index`` is its place in the receipt."""

    index: int
    event: Event
    subject: Subject
    decision: Decision
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Routed:
    """A receipt whose events are judged, in the order in which they shall be correlated."""

    receipt: Receipt
    warnings: tuple[str, ...]
    events: tuple[RoutedEvent, ...]


def route(receipt: Receipt, parsed: Parsed, rules: Ruleset, *, full: bool = False) -> Routed:
    """Judge every event of a receipt. ``full`` keeps every clause in the trace, also of rules that do not match."""
    kind = rules.kind_of(receipt.source)
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
        )
        decision = rules.router.decide(subject, brief=not full)
        default_key = kind.default_key if kind is not None else ()
        names = [(chosen.route, dict(chosen.vars)) for chosen in decision.chosen]
        if not names and UNROUTED in rules.rules:
            names = [(UNROUTED, {})]
        targets: dict[str, Target] = {}
        for name, variables in names:
            target = _target(rules.rules[name], variables, subject, default_key)
            # Two routes without `include_route` may name one incident; the event counts once in it.
            targets.setdefault(target.key if target.rule.plan is not None else f"route {name}", target)
        routed.append(RoutedEvent(index, event, subject, decision, tuple(targets.values())))
    return Routed(receipt, parsed.warnings, tuple(routed))


def _target(rule: Rule, variables: dict[str, str], subject: Subject, default_key: tuple[str, ...]) -> Target:
    policy, was = rule.route.incident, rule.route.was

    def key_under(name: str) -> tuple[str, tuple[Reason, ...]]:
        return correlation_key(
            policy.key,
            subject,
            route=name,
            include_source=policy.include_source,
            include_route=policy.include_route,
            default_key=default_key,
        )

    key, reasons = key_under(rule.route.name)
    old = [was] if isinstance(was, str) else was
    return Target(
        rule, key, tuple(key_under(name)[0] for name in old) if policy.include_route else (), variables, reasons
    )


def lookup(batch: Sequence[Routed]) -> Lookup:
    """What must be known before these receipts can be correlated."""
    keys: set[str] = set()
    members: set[tuple[str, str]] = set()
    duplicates: set[tuple[str, str]] = set()
    for routed in batch:
        source = routed.receipt.source
        for event in routed.events:
            for target in event.targets:
                keys.update((target.key, *target.old_keys))
            if event.event.origin_key:
                members.add((source, event.event.origin_key))
                keys.add(tombstone_key(source, event.event.origin_key))
            if event.event.duplicate_key:
                duplicates.add((source, event.event.duplicate_key))
    return Lookup(frozenset(keys), frozenset(members), frozenset(duplicates))
