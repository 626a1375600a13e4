"""What the timers of an incident do. Pure, like the state machine; `now` is the instant at which a timer is due.

| timer | set | fires |
|---|---|---|
| ``confirm`` | by the first problem | the ticket is made, unless the host is down; the incident is open |
| ``hold`` | when all members have recovered | the incident closes, its ticket is told |
| ``escalate`` | with the ticket; an acknowledgement takes it away | the ticket is told that nobody has acknowledged it |
| ``expire`` | with the ticket | if nothing was heard for so long: a note, a close, or no word; else it is set again |
| ``digest`` | while a storm's digest is open | its ticket is told what is new (`gateway.incidents.storms`); it is set again |
| ``calm`` | when it begins to flap | if it has neither come nor gone for so long, it flaps no more; else it is set again |

Timers are a part of the incident, so an event that was received after a timer was due meets the incident as if the timer had
fired in time, however late both are processed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.model.action import ActionKind
from gateway.model.incident import Deadline, Deed, Incident, IncidentState, TimerKind
from gateway.model.plan import Policy
from gateway.model.reasons import Reason


def with_timer(incident: Incident, kind: TimerKind, due_at: float) -> Incident:
    """The incident with this timer set, in place of one of its kind."""
    kept = tuple(timer for timer in incident.timers if timer.kind is not kind)
    return replace(incident, timers=(*kept, Deadline(kind, due_at)))


def without_timers(incident: Incident, *kinds: TimerKind) -> Incident:
    """The incident without timers of these kinds."""
    if all(timer.kind not in kinds for timer in incident.timers):
        return incident
    return replace(incident, timers=tuple(timer for timer in incident.timers if timer.kind not in kinds))


def closed_for_good(incident: Incident, at: float) -> Incident:
    """The incident closed, with nothing more to come."""
    return replace(incident, state=IncidentState.CLOSED, closed_at=at, timers=(), flapping=False)


def deadlines_of(policy: Policy, at: float) -> tuple[Deadline, ...]:
    """The timers of an incident whose ticket is asked for at ``at``."""
    timers: list[Deadline] = []
    if policy.escalate_after is not None:
        timers.append(Deadline(TimerKind.ESCALATE, at + policy.escalate_after))
    if policy.expire_after is not None:
        timers.append(Deadline(TimerKind.EXPIRE, at + policy.expire_after))
    return tuple(timers)


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a host was down; ``ended`` is None while it is."""

    began: float
    ended: float | None


LOOK_AGAIN = 60.0
"""Seconds after which a ticket that waits for its host asks again whether it is still down."""
SETTLE = 90.0
"""Seconds that the services of a host have to recover after it has."""


def hidden_until(outages: Sequence[Outage], at: float) -> float | None:
    """How long the ticket of a service waits at least, because its host is down or was just now; None: it need not."""
    waits = [at + LOOK_AGAIN for one in outages if one.began <= at and one.ended is None]
    waits += [at + LOOK_AGAIN for one in outages if one.ended is not None and one.began <= at < one.ended]
    waits += [one.ended + SETTLE for one in outages if one.ended is not None and one.ended <= at < one.ended + SETTLE]
    return max(waits, default=None)


def outage_of(incident: Incident, source: str) -> Outage | None:
    """The outage that an incident of a host is, for the services that the same source watches; None if it is none."""
    if incident.service or not incident.host or not any(member.source == source for member in incident.members):
        return None
    if incident.state is IncidentState.OPEN and not any(member.in_problem for member in incident.members):
        return None  # somebody wrote about it; that is no outage
    return Outage(incident.opened_at, incident.closed_at)


def lapsed(incident: Incident, before: float) -> Deadline | None:
    """The first timer that was due before an instant; at the instant itself what was received comes first."""
    if incident.state is IncidentState.CLOSED:
        return None
    due = [timer for timer in incident.timers if timer.due_at < before and timer.kind is not TimerKind.DIGEST]
    return min(due, key=lambda timer: (timer.due_at, timer.kind), default=None)


def fire(incident: Incident, timer: Deadline, policy: Policy, outages: Sequence[Outage] = ()) -> Transition:
    """What a timer does to its incident. Wishes name what the policy wants; the caller asks what the helpdesk can do.

    ``outages`` are those of the incident's host, if it is an incident of a service.

    If `Transition.incident` is None, the incident has no such timer any more.
    """
    if timer not in incident.timers or incident.state is IncidentState.CLOSED:
        return Transition(None, Reason.STALE)
    fired = replace(without_timers(incident, timer.kind), version=incident.version + 1)
    match timer.kind:
        case TimerKind.CONFIRM:
            again = hidden_until(outages, timer.due_at) if policy.suppressed_by == "host" else None
            if again is not None:
                return Transition(with_timer(fired, TimerKind.CONFIRM, again), Reason.SUPPRESSED)
            return _confirmed(fired, timer.due_at, policy)
        case TimerKind.HOLD:
            return _recovered(fired, timer.due_at, policy)
        case TimerKind.ESCALATE:
            return _escalated(fired, timer.due_at, policy)
        case TimerKind.EXPIRE:
            return _expired(fired, timer.due_at, policy)
        case TimerKind.CALM:
            return _calm(fired, timer.due_at, policy)
        case TimerKind.DIGEST:  # it looks at other incidents too (`gateway.firing`)
            return Transition(None, Reason.STALE)


def _confirmed(incident: Incident, now: float, policy: Policy) -> Transition:
    confirmed = replace(
        incident,
        state=IncidentState.OPEN,
        last_appended_at=now,
        timers=(*incident.timers, *deadlines_of(policy, now)),
    )
    return Transition(confirmed, Reason.CONFIRMED, release=TimerKind.CONFIRM)


def _recovered(incident: Incident, now: float, policy: Policy) -> Transition:
    closed = closed_for_good(incident, now)
    if policy.recover_action == "none":
        return Transition(closed, Reason.RECOVERY_IGNORED)
    return Transition(closed, Reason.RECOVERED, release=TimerKind.HOLD)


def _escalated(incident: Incident, now: float, policy: Policy) -> Transition:
    if policy.escalate_after is None:
        return Transition(incident, Reason.STALE)
    if incident.state is IncidentState.RECOVERING:  # if it comes back, it is asked again
        return Transition(with_timer(incident, TimerKind.ESCALATE, now + policy.escalate_after), Reason.RECOVERY_HELD)
    if incident.touch is not None and incident.touch.deed is not Deed.REMOVED:
        return Transition(incident, Reason.TOUCHED)  # somebody looks after it, or has decided not to
    kind = ActionKind.UPDATE if policy.escalate_by == "update" else ActionKind.APPEND
    told = replace(incident, last_appended_at=now)
    return Transition(told, Reason.ESCALATED, (Wish(kind, Purpose.ESCALATION, quiet=False, reopen=False),))


def _calm(incident: Incident, now: float, policy: Policy) -> Transition:
    due_at = max(incident.changes, default=0.0) + policy.flap_within
    if due_at > now:
        return Transition(with_timer(incident, TimerKind.CALM, due_at), Reason.FLAPPING)
    return Transition(replace(incident, flapping=False), Reason.CALM)


def _expired(incident: Incident, now: float, policy: Policy) -> Transition:
    if policy.expire_after is None:
        return Transition(incident, Reason.STALE)
    if incident.last_event_at + policy.expire_after > now:
        due_at = incident.last_event_at + policy.expire_after
        return Transition(with_timer(incident, TimerKind.EXPIRE, due_at), Reason.REPEATED)
    if policy.expire == "note":
        return Transition(
            incident, Reason.EXPIRED, (Wish(ActionKind.APPEND, Purpose.EXPIRY, quiet=True, reopen=False),)
        )
    closed = closed_for_good(incident, now)
    if policy.expire == "close":
        return Transition(closed, Reason.EXPIRED, (Wish(ActionKind.CLOSE, Purpose.EXPIRY, quiet=True, reopen=False),))
    forgotten = replace(closed, reasons=tuple(dict.fromkeys((*closed.reasons, Reason.FORGOTTEN.value))))
    return Transition(forgotten, Reason.FORGOTTEN)
