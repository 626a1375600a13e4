"""The state machine: what one event does to one incident. A pure function of data and the instant of receipt.

| event | incident open | closed, within ``reopen_within`` | else |
|---|---|---|---|
| problem | counted, or appended when ``append_every`` is due | the same ticket again | a new incident |
| what ends a problem | member recovers; all have: closed | orphan, tombstone | orphan, tombstone |
| message | always appended, aloud | the same ticket again | a new incident |
| information, raw | as a repeat | the same ticket again | a new incident |
| any other kind | a quiet note | orphan | orphan |

Old news (`gateway.incidents.members`) is set aside as `stale` in every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.incidents import members
from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import Incident, IncidentState, Member, Tombstone
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
_TICKET_GONE = frozenset({Reason.CREATE_DROPPED.value, Reason.DETACHED.value, Reason.HELPDESK_CHANGED.value})


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
) -> Transition:
    """What one event does to one incident.

    * ``incident``: the one that `identify` found, open or closed, or None.
    * ``plan``, ``plan_digest``: of the open incident as stored; else of the route that the event takes now.
    * ``tombstones``: those under `members.tombstone_key` of source and origin key.
    * ``incident_id``: for a new incident; not used otherwise.
    * ``reasons``: why the key is not the plain one; a new incident keeps them.

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
    )
    if event.ends_problem:
        return _recovery(case)
    if event.kind is Kind.PROBLEM:
        return _problem(case)
    if event.kind in _REPORTS:
        return _report(case)
    return _note(case)


def orphan(*, event: Event, source: str, received_at: float) -> Transition:
    """What becomes of an event that belongs to no incident and opens none, whether a route takes it or not.

    What ends a problem leaves a tombstone; anything else is a note without a ticket.
    """
    if not event.ends_problem:
        return Transition(None, Reason.ORPHAN_NOTE)
    return Transition(None, Reason.ORPHAN_RECOVERY, tombstones=(members.tombstone(event, source, received_at),))


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
        closed = self.incident
        if closed is None or closed.closed_at is None or closed.state is not IncidentState.CLOSED:
            return None
        within = self.plan.policy.reopen_within
        if within <= 0 or self.received_at - closed.closed_at > within:
            return None
        if closed.helpdesk != self.plan.helpdesk or not _TICKET_GONE.isdisjoint(closed.reasons):
            return None
        return closed

    def wish(self, kind: ActionKind, purpose: Purpose, *, quiet: bool, reopen: bool = False) -> Wish:
        """The action, or what this helpdesk does in its place."""
        reasons = (Reason.UNREADABLE,) if self.event.kind is Kind.RAW else ()
        if kind not in self.actions:
            kind, why, _ = self.substitutes.get(kind, (ActionKind.APPEND, _WITHOUT.get(kind), ""))
            reasons = (*reasons, why) if why is not None else reasons
        return Wish(kind, purpose, quiet, reopen, reasons)


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
    )
    return Transition(incident, Reason.OPENED, (case.wish(ActionKind.CREATE, Purpose.PROBLEM, quiet=False),))


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
    )
    wish = case.wish(ActionKind.REOPEN, Purpose.RELAPSE, quiet=False, reopen=True)
    return Transition(incident, Reason.RELAPSED, (wish,))


def _repeat(case: _Case, incident: Incident) -> Transition:
    """Count it; append it where that is due. Reports change neither severity nor members of a running incident."""
    problem = case.event.kind is Kind.PROBLEM
    old = case.member is not None and members.is_older_problem(case.member, case.event)
    counted = replace(
        _refreshed(case, incident) if problem and not old else _touched(case, incident),
        occurrences=incident.occurrences + 1,
        members=_joined(case, incident.members) if problem else incident.members,
    )
    every = case.plan.policy.append_every
    if every is None or case.received_at - incident.last_appended_at < every:
        return Transition(counted, Reason.REPEATED)
    wish = case.wish(ActionKind.APPEND, Purpose.REPEAT, quiet=True)
    return Transition(replace(counted, last_appended_at=case.received_at), Reason.REPEAT_APPENDED, (wish,))


def _report(case: _Case) -> Transition:
    """A human message, an information, an unreadable payload."""
    incident = case.open
    if incident is None:
        return _relapse(case, case.reusable) if case.reusable is not None else _opened(case)
    if case.event.kind is not Kind.MESSAGE:
        return _repeat(case, incident)
    counted = replace(_touched(case, incident), occurrences=incident.occurrences + 1)
    wish = case.wish(ActionKind.APPEND, Purpose.NOTE, quiet=False, reopen=True)
    return Transition(counted, Reason.NOTED, (wish,))


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
    closed = replace(_touched(case, incident), state=IncidentState.CLOSED, closed_at=case.received_at)
    action = case.plan.policy.recover_action
    if action == "none":
        return Transition(closed, Reason.RECOVERY_IGNORED)
    wanted = ActionKind.CLOSE if action == "close" else ActionKind.APPEND
    wish = case.wish(wanted, Purpose.RECOVERY, quiet=True)
    return Transition(closed, Reason.RECOVERED, (wish,))


# -------------------------------------------------------------------------------------------------------------- notes


def _note(case: _Case) -> Transition:
    incident, event = case.open, case.event
    if incident is None:
        return orphan(event=event, source=case.source, received_at=case.received_at)
    noted = _touched(case, incident)
    if event.kind is Kind.UPDATE and event.still_in_problem is not False and event.severity is not Severity.UNKNOWN:
        noted = replace(noted, severity=event.severity)
    if case.plan.policy.notes == "ignore":
        return Transition(noted, Reason.NOTE_IGNORED)
    return Transition(noted, Reason.NOTED, (case.wish(ActionKind.APPEND, Purpose.NOTE, quiet=True),))


# -------------------------------------------------------------------------------------------------------------- parts


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
