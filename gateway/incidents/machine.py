"""The state machine: what one event does to one incident. A pure function of data and the instant of receipt.

| event | incident open | closed, within ``reopen_within`` | else |
|---|---|---|---|
| problem | counted, or appended when ``append_every`` is due | the same ticket again | a new incident |
| what ends a problem | member recovers; all have: closed | orphan, tombstone | orphan, tombstone |
| message | always appended, aloud | the same ticket again | a new incident |
| information, raw | as a repeat | the same ticket again | a new incident |
| any other kind | a quiet note | orphan | orphan |

With ``confirm`` a problem opens an incident that is pending: its ticket is made when the timer fires, and not at all if all
members recover before. With ``recover.hold`` what would close the incident makes it recovering: it closes when the timer
fires, and goes on as if nothing had been if a problem comes before. With ``flap`` an incident that begins and ends more often
than that is told so once; then it is kept open until it has not changed for a while. With ``suppressed_by: host`` the ticket of
a service waits, as with ``confirm``, while its host is down. `gateway.incidents.timers` says what timers do.

Old news (`gateway.incidents.members`) is set aside as `stale` in every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.incidents import members
from gateway.incidents.timers import Outage, closed_for_good, deadlines_of, hidden_until, with_timer, without_timers
from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.incidents.untold import with_ticket
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import Deed, Incident, IncidentState, Member, TimerKind, Tombstone
from gateway.model.plan import Plan
from gateway.model.reasons import Reason

Substitutes = Mapping[ActionKind, tuple[ActionKind, Reason, str]]

_REPORTS = frozenset({Kind.MESSAGE, Kind.INFORMATION, Kind.RAW})
"""Kinds that open a ticket of their own though they are no problem: somebody wrote, or nobody could read it."""

_WITHOUT = {
    ActionKind.CLOSE: Reason.CLOSE_UNSUPPORTED,
    ActionKind.REOPEN: Reason.REOPEN_UNSUPPORTED,
    ActionKind.UPDATE: Reason.UPDATE_UNSUPPORTED,
}
_TICKET_GONE = frozenset(
    {
        Reason.CREATE_DROPPED.value,
        Reason.DETACHED.value,
        Reason.HELPDESK_CHANGED.value,
        Reason.NOT_CONFIRMED.value,
        Reason.RECOVERED_WHILE_HELD.value,
        Reason.FORGOTTEN.value,
    }
)


@dataclass(frozen=True, slots=True)
class Identified:
    """Which incidents an event is about.

    ``follows`` is true if they were found by membership: then each incident's stored route and policy count, and the
    rules that the event matches now are only traced.
    """

    incidents: tuple[Incident, ...]
    follows: bool


def identify(*, event: Event, source: str, by_member: Sequence[Incident], by_key: Incident | None) -> Identified:
    """Which incidents an event is about.

    ``by_member`` are the incidents that are not closed and that (source, origin key) is a member of; ``by_key`` is the
    one of the decision's key: open, or closed last.

    An event that is no problem follows the incidents of its member. There are several only where several routes took
    the problem; if it ends a problem, those where that member has the problem come before those where it has none.
    Everything else goes by its key.
    """
    if event.kind is not Kind.PROBLEM and event.origin_key:
        followed = tuple(
            incident
            for incident in by_member
            if incident.state is not IncidentState.CLOSED
            and members.find(incident.members, source, event.origin_key) is not None
        )
        if event.ends_problem:
            running = tuple(i for i in followed if _has_problem(i, source, event.origin_key))
            followed = running or followed
        if followed:
            return Identified(followed, follows=True)
    return Identified((by_key,) if by_key is not None else (), follows=False)


def step(
    *,
    incident: Incident | None,
    event: Event,
    source: str,
    key: str,
    plan: Plan,
    plan_digest: str,
    capabilities_actions: frozenset[ActionKind],
    substitutes: Substitutes,
    tombstones: Sequence[Tombstone],
    received_at: float,
    incident_id: str,
    reasons: Sequence[Reason] = (),
    outages: Sequence[Outage] = (),
    untold: bool = False,
    storm: str = "",
) -> Transition:
    """What one event does to one incident.

    * ``incident``: the one that `identify` found, open or closed, or None.
    * ``plan``, ``plan_digest``: of the open incident as stored; else of the route that the event takes now.
    * ``tombstones``: those under `members.tombstone_key` of source and origin key.
    * ``incident_id``: for a new incident; not used otherwise.
    * ``reasons``: why the key is not the plain one; a new incident keeps them.
    * ``outages``: of the event's host, where the event is of a service on it.
    * ``untold``: the incident's ticket was only shown, and its helpdesk makes tickets now (`gateway.incidents.untold`).
    * ``storm``: the group in which a new incident of a problem counts; the incident keeps it (`gateway.incidents.storms`).

    ``sequence`` and ``ticket`` of the incident are left alone: the first belongs to who issues the actions, the second
    to delivery. If `Transition.incident` is None, the event changes no incident.
    """
    case = _Case(
        incident,
        event,
        source,
        key,
        plan,
        plan_digest,
        capabilities_actions,
        substitutes,
        tombstones,
        received_at,
        incident_id,
        tuple(reasons),
        tuple(outages),
        untold,
        storm,
    )
    transition = _stepped(case)
    if not untold or case.open is None:
        return transition
    return with_ticket(transition, event, case.wish(ActionKind.CREATE, Purpose.PROBLEM, quiet=False))


def _stepped(case: "_Case") -> Transition:
    if case.event.ends_problem:
        return _recovery(case)
    if case.event.kind is Kind.PROBLEM:
        return _problem(case)
    if case.event.kind in _REPORTS:
        return _report(case)
    return _note(case)


def orphan(*, event: Event, source: str, received_at: float) -> Transition:
    """What becomes of an event that belongs to no incident and opens none, whether a route takes it or not.

    What ends a problem leaves a tombstone; anything else is a note without a ticket.
    """
    if not event.ends_problem:
        return Transition(None, Reason.ORPHAN_NOTE)
    return Transition(None, Reason.ORPHAN_RECOVERY, tombstones=(members.tombstone(event, source, received_at),))


def is_reusable(incident: Incident, plan: Plan, received_at: float) -> bool:
    """Whether the incident is closed and its ticket may be used again."""
    if incident.closed_at is None or incident.state is not IncidentState.CLOSED:
        return False
    within = plan.policy.reopen_within
    if within <= 0 or received_at - incident.closed_at > within:
        return False
    return incident.helpdesk == plan.helpdesk and _TICKET_GONE.isdisjoint(incident.reasons)


def possible(
    kind: ActionKind, purpose: Purpose, actions: frozenset[ActionKind], substitutes: Substitutes, *, quiet: bool
) -> Wish:
    """The action, or what a helpdesk with these capabilities does in its place."""
    if kind in actions:
        return Wish(kind, purpose, quiet, reopen=False)
    instead, why, _ = substitutes.get(kind, (ActionKind.APPEND, _WITHOUT.get(kind), ""))
    return Wish(instead, purpose, quiet, reopen=False, reasons=(why,) if why is not None else (), wanted=kind)


def elsewhere(wish: Wish, plan: Plan, actions: frozenset[ActionKind], substitutes: Substitutes) -> Wish:
    """The wish as it would be at the helpdesk of another plan of its route, which has these capabilities."""
    wanted = wish.wanted or wish.kind
    if wanted is ActionKind.UPDATE and not plan.ticket.escalated:
        wanted = ActionKind.APPEND
    there = possible(wanted, wish.purpose, actions, substitutes, quiet=wish.quiet)
    own = tuple(reason for reason in wish.reasons if reason not in _WITHOUT.values())
    return replace(there, reopen=wish.reopen, until=wish.until, reasons=(*own, *there.reasons))


@dataclass(frozen=True, slots=True)
class _Case:
    """All that one step looks at."""

    incident: Incident | None
    event: Event
    source: str
    key: str
    plan: Plan
    plan_digest: str
    actions: frozenset[ActionKind]
    substitutes: Substitutes
    tombstones: Sequence[Tombstone]
    received_at: float
    incident_id: str
    reasons: tuple[Reason, ...]
    outages: tuple[Outage, ...]
    untold: bool = False
    storm: str = ""

    @property
    def open(self) -> Incident | None:
        """The incident, if it is not closed."""
        incident = self.incident
        return None if incident is None or incident.state is IncidentState.CLOSED else incident

    @property
    def member(self) -> Member | None:
        """The event's member of the incident, open or closed."""
        if self.incident is None:
            return None
        return members.find(self.incident.members, self.source, self.event.origin_key)

    @property
    def reusable(self) -> Incident | None:
        """The closed incident, if its ticket may be used again."""
        closed = None if self.untold else self.incident
        return closed if closed is not None and is_reusable(closed, self.plan, self.received_at) else None

    def wish(
        self, kind: ActionKind, purpose: Purpose, *, quiet: bool, reopen: bool = False, until: TimerKind | None = None
    ) -> Wish:
        """The action, or what this helpdesk does in its place."""
        wanted = replace(
            possible(kind, purpose, self.actions, self.substitutes, quiet=quiet), reopen=reopen, until=until
        )
        raw = (Reason.UNREADABLE,) if self.event.kind is Kind.RAW else ()
        return replace(wanted, reasons=(*raw, *wanted.reasons))


# ---------------------------------------------------------------------------------------------------------- problems


def _problem(case: _Case) -> Transition:
    stale = members.why_problem_is_stale(case.event, case.source, case.member, case.tombstones, case.received_at)
    if stale:
        return Transition(None, Reason.STALE, detail=stale)
    if case.open is not None:
        return _repeat(case, case.open)
    if case.reusable is not None:
        return _relapse(case, case.reusable)
    return _opened(case)


def _opened(case: _Case) -> Transition:
    event, at = case.event, case.received_at
    reasons = (*case.reasons, Reason.UNREADABLE) if event.kind is Kind.RAW else case.reasons
    incident = Incident(
        id=case.incident_id,
        key=case.key,
        state=IncidentState.OPEN,
        version=0,
        route=case.plan.route,
        helpdesk=case.plan.helpdesk,
        plan=case.plan_digest,
        severity=event.severity,
        title=event.title,
        host=event.host,
        service=event.service,
        occurrences=1,
        sequence=0,
        opened_at=at,
        last_event_at=at,
        last_appended_at=at,
        members=_joined(case, _remembered(case)),
        reasons=tuple(reason.value for reason in reasons),
        worst=event.severity,
        storm=case.storm if event.kind is Kind.PROBLEM else "",
    )
    create = case.wish(ActionKind.CREATE, Purpose.PROBLEM, quiet=False)
    if event.kind is not Kind.PROBLEM:  # nobody will say that it is over
        return Transition(incident, Reason.OPENED, (create,))
    before = case.incident.changes if case.incident is not None else ()
    incident = _changed(case, replace(incident, changes=before))
    held_until = hidden_until(case.outages, at) if case.plan.policy.suppressed_by == "host" else None
    if held_until is not None:
        due_at = max(held_until, at + case.plan.policy.confirm)
        hidden = with_timer(
            replace(incident, state=IncidentState.PENDING, flapping=False, timers=()), TimerKind.CONFIRM, due_at
        )
        return Transition(hidden, Reason.SUPPRESSED, (_ticket_later(case),))
    if case.plan.policy.confirm <= 0 or incident.flapping:
        incident = replace(incident, timers=(*incident.timers, *deadlines_of(case.plan.policy, at)))
        return Transition(incident, Reason.FLAPPING if incident.flapping else Reason.OPENED, (create,))
    pending = replace(incident, state=IncidentState.PENDING)
    pending = with_timer(pending, TimerKind.CONFIRM, at + case.plan.policy.confirm)
    return Transition(pending, Reason.UNCONFIRMED, (_ticket_later(case),))


def _ticket_later(case: _Case) -> Wish:
    return case.wish(ActionKind.CREATE, Purpose.PROBLEM, quiet=False, until=TimerKind.CONFIRM)


def _relapse(case: _Case, closed: Incident) -> Transition:
    problem = case.event.kind is Kind.PROBLEM
    incident = replace(
        _refreshed(case, closed) if problem else _touched(case, closed),
        state=IncidentState.OPEN,
        route=case.plan.route,
        plan=case.plan_digest,
        occurrences=closed.occurrences + 1,
        last_appended_at=case.received_at,
        closed_at=None,
        members=_joined(case, closed.members),
        timers=deadlines_of(case.plan.policy, case.received_at) if problem else (),
        worst=case.event.severity if problem else closed.worst,
    )
    incident = _changed(case, incident) if problem else incident
    purpose = Purpose.FLAPPING if incident.flapping else Purpose.RELAPSE
    wish = case.wish(ActionKind.REOPEN, purpose, quiet=False, reopen=True)
    return Transition(incident, Reason.FLAPPING if incident.flapping else Reason.RELAPSED, (wish,))


def _repeat(case: _Case, incident: Incident) -> Transition:
    """Count it; append it where that is due. Reports change neither severity nor members of a running incident."""
    problem = case.event.kind is Kind.PROBLEM
    old = case.member is not None and members.is_older_problem(case.member, case.event)
    counted = replace(
        _refreshed(case, incident) if problem and not old else _touched(case, incident),
        occurrences=incident.occurrences + 1,
        members=_joined(case, incident.members) if problem else incident.members,
    )
    worse = problem and not old and _is_worse(case, incident)
    if worse or incident.worst is Severity.UNKNOWN:
        counted = replace(counted, worst=case.event.severity)
    if counted.state is IncidentState.PENDING:
        return Transition(counted, Reason.UNCONFIRMED, (_ticket_later(case),) if problem and not old else ())
    plain = Reason.REPEATED
    if problem and counted.state is IncidentState.RECOVERING:
        counted = _changed(case, replace(without_timers(counted, TimerKind.HOLD), state=IncidentState.OPEN))
        plain = Reason.FLAPPING if counted.flapping else Reason.BACK_WITHIN_HOLD
        if counted.flapping and not incident.flapping:
            return Transition(_watched(case, counted), plain, (_flaps(case),))
    if problem:
        counted = _watched(case, counted)
    if worse and case.plan.policy.rise != "ignore":
        return _raised(case, incident, counted)
    if problem and not old and _joins(case):
        wish = case.wish(ActionKind.APPEND, Purpose.JOINED, quiet=False)
        return Transition(replace(counted, last_appended_at=case.received_at), Reason.MEMBER_JOINED, (wish,))
    if problem and _waits_for_news(case, incident):
        wish = case.wish(ActionKind.APPEND, Purpose.REPEAT, quiet=True)
        told = replace(counted, last_appended_at=case.received_at)
        return Transition(told, Reason.REPEAT_APPENDED, (wish,), detail="a person has closed or removed its ticket")
    every = case.plan.policy.append_every
    if every is None or case.received_at - incident.last_appended_at < every:
        return Transition(counted, plain)
    wish = case.wish(ActionKind.APPEND, Purpose.REPEAT, quiet=True)
    return Transition(replace(counted, last_appended_at=case.received_at), Reason.REPEAT_APPENDED, (wish,))


def _joins(case: _Case) -> bool:
    """Whether it is an alert of a group that was no problem before, and people want to know."""
    known = case.member is not None and case.member.in_problem
    return bool(case.event.group) and not known and case.plan.policy.joined == "append"


def _waits_for_news(case: _Case, incident: Incident) -> bool:
    """Whether a person has taken the ticket away since its last follow-up, so that the next problem needs another one."""
    touch = incident.touch
    if touch is None or touch.deed is Deed.WORKED or incident.last_appended_at >= touch.at:
        return False
    return touch.deed is Deed.REMOVED or case.plan.policy.closed_by_hand in {"reopen", "new"}


def _is_worse(case: _Case, incident: Incident) -> bool:
    """Whether the event is worse than anything the ticket was told. `unknown` compares with nothing."""
    rank, before = case.event.severity.rank, incident.worst.rank
    return rank is not None and before is not None and rank > before


def _raised(case: _Case, before: Incident, incident: Incident) -> Transition:
    """The ticket is told that it is worse than ever before."""
    kind = ActionKind.UPDATE if case.plan.policy.rise == "update" else ActionKind.APPEND
    told = f"{before.worst.value} before, {case.event.severity.value} now"
    wish = case.wish(kind, Purpose.WORSE, quiet=False)
    raised = replace(incident, last_appended_at=case.received_at)
    return Transition(raised, Reason.SEVERITY_RAISED, (wish,), detail=told)


def _report(case: _Case) -> Transition:
    """A human message, an information, an unreadable payload."""
    incident = case.open
    if incident is None:
        return _relapse(case, case.reusable) if case.reusable is not None else _opened(case)
    if case.event.kind is not Kind.MESSAGE:
        return _repeat(case, incident)
    of_problem = any(member.in_problem for member in incident.members)
    seen = 0 if of_problem else 1  # what somebody writes about a problem is none of its occurrences
    counted = replace(_touched(case, incident), occurrences=incident.occurrences + seen)
    wish = case.wish(ActionKind.APPEND, Purpose.NOTE, quiet=False, reopen=True)
    if counted.state is not IncidentState.PENDING:
        return Transition(counted, Reason.NOTED, (wish,))
    confirmed = replace(
        counted,
        state=IncidentState.OPEN,
        last_appended_at=case.received_at,
        timers=deadlines_of(case.plan.policy, case.received_at),
    )
    return Transition(confirmed, Reason.CONFIRMED, (wish,), release=TimerKind.CONFIRM)


# --------------------------------------------------------------------------------------------------------- recoveries


def _recovery(case: _Case) -> Transition:
    incident, member = case.open, case.member
    if incident is None:
        return orphan(event=case.event, source=case.source, received_at=case.received_at)
    grave = members.tombstone(case.event, case.source, case.received_at)
    troubled = any(m.in_problem for m in incident.members)
    if member is None and (troubled or case.event.origin_key):
        told = f"{case.event.origin_key or 'it'} takes no part in the open incident"
        return Transition(None, Reason.ORPHAN_RECOVERY, tombstones=(grave,), detail=told)
    if member is not None and not member.in_problem and troubled:
        told = f"{case.event.origin_key} has no problem in the open incident; others have"
        return Transition(None, Reason.ORPHAN_RECOVERY, tombstones=(grave,), detail=told)
    # What an id names is remembered in any case: the same episode must never begin again.
    graves = (grave,) if case.event.problem_id else ()
    stale = "" if member is None else members.why_recovery_is_stale(case.event, member)
    if stale:
        return Transition(None, Reason.STALE, tombstones=graves, detail=stale)
    if member is not None:
        ended = members.ended(member, case.event, case.received_at)
        incident = replace(incident, members=members.put(incident.members, ended))
    left = sum(m.in_problem for m in incident.members)
    if left and case.plan.policy.recover_when == "all":
        told = f"{left} more in problem"
        return Transition(_touched(case, incident), Reason.MEMBER_RECOVERED, tombstones=graves, detail=told)
    return replace(_closed(case, incident), tombstones=graves)


def _closed(case: _Case, incident: Incident) -> Transition:
    """Nothing is wrong any more: the incident closes, or waits whether that lasts."""
    touched, policy = _touched(case, incident), case.plan.policy
    if touched.state is not IncidentState.RECOVERING:
        touched = _changed(case, touched)
    if touched.state is IncidentState.PENDING:
        told = (*touched.reasons, Reason.NOT_CONFIRMED.value)
        return Transition(
            replace(closed_for_good(touched, case.received_at), reasons=tuple(dict.fromkeys(told))),
            Reason.NOT_CONFIRMED,
        )
    if touched.state is IncidentState.RECOVERING:
        return Transition(touched, Reason.RECOVERY_HELD)
    hold = max(policy.hold, policy.flap_within) if touched.flapping else policy.hold
    later = TimerKind.HOLD if hold > 0 else None
    wanted = ActionKind.CLOSE if policy.recover_action == "close" else ActionKind.APPEND
    wishes = () if policy.recover_action == "none" else (case.wish(wanted, Purpose.RECOVERY, quiet=True, until=later),)
    if later is None:
        closed = closed_for_good(touched, case.received_at)
        return Transition(closed, Reason.RECOVERED if wishes else Reason.RECOVERY_IGNORED, wishes)
    held = replace(with_timer(touched, later, case.received_at + hold), state=IncidentState.RECOVERING)
    if not held.flapping:
        return Transition(held, Reason.RECOVERY_HELD, wishes)
    return Transition(held, Reason.FLAPPING, wishes if incident.flapping else (_flaps(case), *wishes))


# -------------------------------------------------------------------------------------------------------------- notes


def _note(case: _Case) -> Transition:
    incident, event = case.open, case.event
    if incident is None:
        return orphan(event=event, source=case.source, received_at=case.received_at)
    noted = _touched(case, incident)
    if event.kind is Kind.ACKNOWLEDGEMENT:
        noted = without_timers(noted, TimerKind.ESCALATE)
    if event.kind is Kind.UPDATE and event.still_in_problem is not False and event.severity is not Severity.UNKNOWN:
        worse = _is_worse(case, incident)
        noted = replace(noted, severity=event.severity, worst=event.severity if worse else noted.worst)
        if worse and case.plan.policy.rise != "ignore" and noted.state is not IncidentState.PENDING:
            return _raised(case, incident, noted)
    if noted.state is IncidentState.PENDING:
        return Transition(noted, Reason.UNCONFIRMED)
    if case.plan.policy.notes == "ignore":
        return Transition(noted, Reason.NOTE_IGNORED)
    return Transition(noted, Reason.NOTED, (case.wish(ActionKind.APPEND, Purpose.NOTE, quiet=True),))


# -------------------------------------------------------------------------------------------------------------- parts


def _changed(case: _Case, incident: Incident) -> Incident:
    """The incident has begun or ended just now; perhaps that is once too often."""
    policy, now = case.plan.policy, case.received_at
    if not policy.flap_changes:
        return incident
    recent = tuple(at for at in (*incident.changes, now) if at > now - policy.flap_within)[-policy.flap_changes :]
    changed = replace(incident, changes=recent)
    if len(recent) < policy.flap_changes or incident.flapping:
        return changed
    return with_timer(replace(changed, flapping=True), TimerKind.CALM, now + policy.flap_within)


def _flaps(case: _Case) -> Wish:
    return case.wish(ActionKind.APPEND, Purpose.FLAPPING, quiet=False)


def _watched(case: _Case, incident: Incident) -> Incident:
    """With the timer that notices when nothing more is heard: it had fired, or a report had opened the incident."""
    after = case.plan.policy.expire_after
    if after is None or incident.due_at(TimerKind.EXPIRE) is not None:
        return incident
    return with_timer(incident, TimerKind.EXPIRE, case.received_at + after)


def _touched(case: _Case, incident: Incident) -> Incident:
    return replace(incident, version=incident.version + 1, last_event_at=case.received_at)


def _refreshed(case: _Case, incident: Incident) -> Incident:
    event = case.event
    return replace(_touched(case, incident), severity=event.severity, title=event.title or incident.title)


def _joined(case: _Case, known: tuple[Member, ...]) -> tuple[Member, ...]:
    """The members with the event's own. A report joins without a problem: nobody will say that it is over."""
    event = case.event
    if not event.origin_key:
        return known
    member = members.find(known, case.source, event.origin_key)
    joined = members.started(member, event, case.source, case.received_at)
    if event.kind is not Kind.PROBLEM:
        joined = member or replace(joined, in_problem=False)
    return members.put(known, joined)


def _remembered(case: _Case) -> tuple[Member, ...]:
    """Members that recovered in the incident before this one, for a day: their old news must stay old."""
    before = case.incident
    if before is None or before.closed_at is None or case.received_at - before.closed_at > members.TOMBSTONE_LIFE:
        return ()
    return tuple(m for m in before.members if not m.in_problem)


def _has_problem(incident: Incident, source: str, origin_key: str) -> bool:
    member = members.find(incident.members, source, origin_key)
    return member is not None and member.in_problem
