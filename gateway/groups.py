"""Alert groups: what one delivery says of a whole group, and what it does to one ticket, told once. Pure.

A sender that groups (`Event.group`) names many alerts in one delivery. Each of them is a member of its incident, and where a rule
makes the group the key, of one and the same. What such a delivery does to a ticket is gathered and told when all of its events are
joined: one ticket with the table of its members, or one follow-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.incidents import members
from gateway.incidents.transition import Purpose, Wish
from gateway.judging import RoutedEvent
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import Incident, IncidentState
from gateway.model.plan import Plan

_WEIGHT = {
    Purpose.REPEAT: 0,
    Purpose.JOINED: 1,
    Purpose.WORSE: 2,
    Purpose.FLAPPING: 3,
    Purpose.RELAPSE: 4,
    Purpose.PROBLEM: 5,
}
"""Of what a delivery does to one ticket the weightiest is told; the table of members says the rest."""

MemberName = tuple[str, str]
"""(source, origin key)."""


@dataclass(slots=True)
class Telling:
    """What a ticket shall be told of a delivery, while it grows. ``events`` are all that have a part in it."""

    routed: RoutedEvent
    plan: Plan
    variables: dict[str, str]
    wish: Wish
    events: list[RoutedEvent]

    @property
    def beside(self) -> list[RoutedEvent]:
        """The events of which it tells beside the one that speaks."""
        return [one for one in self.events if one is not self.routed]


@dataclass(slots=True)
class Gathered:
    """What tickets shall be told of one delivery, by incident, and which members came or came back by it."""

    tellings: dict[str, Telling] = field(default_factory=dict)
    joined: dict[str, set[MemberName]] = field(default_factory=dict)

    def takes(self, event: Event, wish: Wish) -> bool:
        """Whether a wish is told with the others of its delivery."""
        return bool(event.group) and wish.purpose in _WEIGHT

    def add(self, incident: str, routed: RoutedEvent, plan: Plan, wish: Wish, variables: dict[str, str]) -> None:
        """Take a wish in. Of equal ones the worst event speaks, and of equally bad ones the first."""
        known = self.tellings.get(incident)
        if known is None:
            self.tellings[incident] = Telling(routed, plan, variables, wish, [routed])
            return
        known.events.append(routed)
        mine, theirs = _WEIGHT[wish.purpose], _WEIGHT[known.wish.purpose]
        equal = mine == theirs or known.wish.purpose is Purpose.PROBLEM  # a new ticket shows the worst of its members
        if mine > theirs or (equal and _is_worse(routed.event, known.routed.event)):
            known.routed, known.variables = routed, variables
        if mine > theirs:
            known.wish = wish

    def note(self, before: Incident | None, after: Incident) -> None:
        """Take note of members that have the problem now and had it not before."""
        had = {(m.source, m.origin_key) for m in before.members if m.in_problem} if before is not None else set()
        new = {(m.source, m.origin_key) for m in after.members if m.in_problem} - had
        if new:
            self.joined.setdefault(after.id, set()).update(new)


def _is_worse(event: Event, than: Event) -> bool:
    return (event.severity.rank or 0) > (than.severity.rank or 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a delivery says of a whole group: the alerts that are a problem now, and whether it is over altogether."""

    named: frozenset[str]
    over: bool


def listings(events: Sequence[RoutedEvent]) -> dict[str, Listing]:
    """The groups of which a delivery says everything, by name."""
    names = {one.event.group for one in events if one.event.group and (one.event.group_whole or one.event.group_over)}
    return {
        name: Listing(
            named=frozenset(
                one.event.origin_key for one in events if one.event.group == name and one.event.kind is Kind.PROBLEM
            ),
            over=any(one.event.group_over for one in events if one.event.group == name),
        )
        for name in names
    }


def vanished(incident: Incident, source: str, name: str, listing: Listing) -> tuple[Incident, list[Event]]:
    """The members of a group that are a problem by our memory but not by the group, as recoveries that the sender never sent.

    The incident is given back without the ids of their episodes: should one be named again, its problem is no old news.
    """
    if incident.state is IncidentState.CLOSED:
        return incident, []
    gone = [one for one in members.of_group(incident.members, source, name) if one.origin_key not in listing.named]
    kept = incident.members
    for member in gone:
        kept = members.put(kept, replace(member, problem_id=""))
    words = "The sender says that its whole group is over." if listing.over else "Its group does not name it any more."
    return replace(incident, members=kept), [
        Event(
            kind=Kind.RECOVERY,
            severity=Severity.INFO,
            title=member.title,
            text=words,
            host=member.host,
            service=member.service,
            origin_key=member.origin_key,
            group=name,
            still_in_problem=False,
        )
        for member in gone
    ]
