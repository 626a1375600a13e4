"""A small world for the state machine: events, a plan, and a memory that applies transitions as the pipeline would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.incidents.machine import identify, step
from gateway.incidents.members import tombstone_key
from gateway.incidents.timers import Outage, fire, lapsed
from gateway.incidents.transition import Transition, Wish
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import Incident, IncidentState, TimerKind, Tombstone
from gateway.model.plan import Plan, Policy, Template, TicketSpec
from gateway.model.reasons import Reason

OSTICKET: dict[ActionKind, tuple[ActionKind, Reason, str]] = {
    ActionKind.CLOSE: (ActionKind.APPEND, Reason.CLOSE_UNSUPPORTED, "a quiet follow-up"),
    ActionKind.REOPEN: (ActionKind.APPEND, Reason.REOPEN_UNSUPPORTED, "a follow-up that reopens"),
}
TWO = frozenset({ActionKind.CREATE, ActionKind.APPEND})
ALL = frozenset(ActionKind)
KEY = '[["source","nagios"],["host","db-1"]]'


def plan(policy: Policy | None = None, *, route: str = "databases", helpdesk: str = "osticket") -> Plan:
    nothing = Template("t", "")
    return Plan(route, helpdesk, policy or Policy(), TicketSpec(nothing, nothing, nothing, nothing))


def problem(
    origin: str = "db-1/disk",
    *,
    episode: str = "",
    at: float | None = None,
    severity: Severity = Severity.MAJOR,
    title: str = "disk full",
) -> Event:
    return Event(Kind.PROBLEM, severity, title, origin_key=origin, problem_id=episode, occurred_at=at)


def recovery(origin: str = "db-1/disk", *, episode: str = "", at: float | None = None) -> Event:
    return Event(Kind.RECOVERY, Severity.INFO, "disk ok", origin_key=origin, problem_id=episode, occurred_at=at)


def other(kind: Kind, origin: str = "db-1/disk", *, title: str = "word") -> Event:
    return Event(kind, Severity.INFO, title, origin_key=origin)


@dataclass
class Memory:
    """Applies events as the pipeline would, and keeps what a journal would keep."""

    plan: Plan = field(default_factory=plan)
    actions: frozenset[ActionKind] = TWO
    substitutes: Mapping[ActionKind, tuple[ActionKind, Reason, str]] = field(default_factory=lambda: OSTICKET)
    incidents: dict[str, Incident] = field(default_factory=dict)
    graves: list[Tombstone] = field(default_factory=list)
    wishes: list[tuple[str, Wish]] = field(default_factory=list)
    held: dict[tuple[str, TimerKind], Wish] = field(default_factory=dict)
    fired: list[tuple[float, TimerKind, Reason]] = field(default_factory=list)

    def pass_time(self, now: float, *, up_to: bool = False) -> None:
        """Fire what was due before an instant, as the pipeline would; with ``up_to`` what is due at it too."""
        for name in list(self.incidents):
            while (timer := lapsed(self.incidents[name], now + 1e-6 if up_to else now)) is not None:
                incident = self.incidents[name]
                result = fire(incident, timer, self.plan.policy)
                assert result.incident is not None
                self.fired.append((timer.due_at, timer.kind, result.reason))
                self.apply(incident, result)

    def send(
        self, event: Event, now: float, *, source: str = "nagios", key: str = KEY, outages: Sequence[Outage] = ()
    ) -> Transition:
        self.pass_time(now)
        members = {
            (m.source, m.origin_key): i for i in self.incidents.values() if i.closed_at is None for m in i.members
        }
        follows = members.get((source, event.origin_key))
        found = identify(
            event=event, source=source, by_member=() if follows is None else (follows,), by_key=self.by_key(key)
        ).incidents
        before = found[0] if found else None
        buried = tombstone_key(source, event.origin_key)
        result = step(
            incident=before,
            event=event,
            source=source,
            key=key,
            plan=self.plan,
            plan_digest=self.plan.digest,
            capabilities_actions=self.actions,
            substitutes=self.substitutes,
            tombstones=[grave for grave in self.graves if grave.key == buried],
            received_at=now,
            incident_id=f"i{len(self.incidents) + 1}",
            outages=outages,
        )
        self.apply(before, result)
        return result

    def apply(self, before: Incident | None, result: Transition) -> None:
        after = result.incident
        if after is not None:
            if after.id in self.incidents:
                assert before is not None
                assert after.version == before.version + 1
            else:
                assert after.version == 0
                assert self.open(after.key) is None, "two incidents of one key are open"
            issued: list[Wish] = []
            if result.release is not None:
                issued.append(self.held.pop((after.id, result.release)))
            for wish in result.wishes:
                if wish.until is not None:
                    assert after.due_at(wish.until) is not None, "kept for a timer that is not set"
                    self.held[after.id, wish.until] = wish
                else:
                    issued.append(wish)
            self.incidents[after.id] = replace(after, sequence=after.sequence + len(issued))
            self.wishes += [(after.id, wish) for wish in issued]
            assert len({timer.kind for timer in after.timers}) == len(after.timers)
            assert not (after.state is IncidentState.CLOSED and after.timers), "closed, and something is still to come"
            assert (after.state is IncidentState.PENDING) is (after.due_at(TimerKind.CONFIRM) is not None)
            assert (after.state is IncidentState.RECOVERING) is (after.due_at(TimerKind.HOLD) is not None)
        else:
            assert not result.wishes
        self.graves += result.tombstones

    def open(self, key: str = KEY) -> Incident | None:
        return next((i for i in self.incidents.values() if i.key == key and i.state is not IncidentState.CLOSED), None)

    def by_key(self, key: str = KEY) -> Incident | None:
        closed = [i for i in self.incidents.values() if i.key == key and i.closed_at is not None]
        return self.open(key) or max(closed, key=lambda i: (i.closed_at or 0.0, i.id), default=None)
