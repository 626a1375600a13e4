"""Storms: when more tickets are asked for than anybody can read, one digest ticket stands for the rest. Pure.

What is counted is each new incident of a problem at the instant at which it asks for its ticket. The first ``limit`` within
``within`` have tickets of their own and keep them. The next one begins the storm: it, and every new one after it, joins the
digest, until nothing new has come for ``within``. The digest is an incident too, with a ticket of its own; those that joined it
keep theirs, without tickets.

A digest is told what is new at most every ``storm_every``, by a timer that is set as long as it is open and that compares how
its incidents stand with what was told. It closes when all have recovered. What comes back or joins after that opens it again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.incidents.transition import Purpose, Wish
from gateway.model.action import ActionKind
from gateway.model.event import Severity
from gateway.model.incident import Deadline, Incident, IncidentState, TimerKind
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from gateway.model.storm import MOST_SHOWN, StormGroup, StormRow, StormTable

GATHER = 5.0
"""Seconds that the first word of a digest waits for others to join."""
KEPT = 86400.0
"""Seconds for which a group is remembered after its time."""
MOST_NEWS = 50
"""Lines about single incidents that a digest keeps until it tells them."""


def group_key(route: str, fields: Sequence[tuple[str, str]]) -> str:
    """The key of a group: ``[["storm","alerts"],["source","nagios"]]``. No correlation key begins so."""
    return json.dumps([["storm", route], *([name, value] for name, value in fields)], separators=(",", ":"))


def about(key: str) -> str:
    """The group for people: ``route alerts, source nagios``."""
    (_, route), *fields = json.loads(key)
    return ", ".join([f"route {route}", *(f"{name} {value}" for name, value in fields if name != "digest")])


# ------------------------------------------------------------------------------------------------------------ counting


@dataclass(frozen=True, slots=True)
class Opening:
    """What becomes of an incident that asks for a ticket: ``joins`` the digest of ``group``, or has its own."""

    group: StormGroup
    joins: bool
    begins: bool = False


def opening(group: StormGroup, at: float, policy: Policy, *, digest: str, lost: bool) -> Opening:
    """Count an incident that asks for a ticket at an instant.

    ``digest`` is the id for a new digest; ``lost``: the group's digest has no ticket any more that could be written to.
    """
    within = policy.storm_within
    changed = replace(group, version=group.version + 1, expires_at=max(group.last_at, at) + within + KEPT)
    if group.digest and at - group.last_at <= within:
        joined = replace(changed, digest=digest if lost else group.digest, last_at=max(group.last_at, at))
        return Opening(joined, joins=True, begins=lost)
    recent = tuple(sorted(instant for instant in group.opened if instant > at - within))
    if len(recent) >= policy.storm_limit:
        return Opening(replace(changed, opened=(), digest=digest, last_at=at), joins=True, begins=True)
    counted = tuple(sorted((*recent, at)))[-policy.storm_limit :]
    return Opening(replace(changed, opened=counted, digest="", last_at=at), joins=False)


# -------------------------------------------------------------------------------------------------------------- digest


def gathering(policy: Policy) -> float:
    """Seconds until a digest's first word, or its first after it was closed."""
    return min(GATHER, policy.storm_every)


def begun(group: StormGroup, first: Incident, at: float, policy: Policy) -> Incident:
    """The digest of a storm that an incident begins."""
    key = json.dumps([*json.loads(group.key), ["digest", group.digest]], separators=(",", ":"))
    return Incident(
        id=group.digest,
        key=key,
        state=IncidentState.OPEN,
        version=0,
        route=first.route,
        helpdesk=first.helpdesk,
        plan=first.plan,
        severity=first.severity,
        title=f"Storm: more than {policy.storm_limit} problems ({about(group.key)})",
        host="",
        service="",
        occurrences=1,
        sequence=0,
        opened_at=at,
        last_event_at=at,
        last_appended_at=at,
        reasons=(Reason.STORM_BEGAN.value,),
        timers=(Deadline(TimerKind.DIGEST, at + gathering(policy)),),
        worst=first.severity,
        storm=group.key,
        digest=group.digest,
    )


def reopened(digest: Incident, at: float, policy: Policy) -> Incident:
    """A closed digest, open again: what it tells of is back, or something joined it."""
    return replace(
        digest,
        state=IncidentState.OPEN,
        closed_at=None,
        version=digest.version + 1,
        last_event_at=at,
        timers=(Deadline(TimerKind.DIGEST, at + gathering(policy)),),
    )


def with_news(digest: Incident, line: str) -> Incident:
    """The digest with one more line to tell; beyond `MOST_NEWS` the oldest are left out."""
    return replace(digest, version=digest.version + 1, news=(*digest.news, line)[-MOST_NEWS:])


@dataclass(frozen=True, slots=True)
class Word:
    """What a digest says when its timer fires: the digest afterwards, what is to be done, the table, what was told by then.

    ``wish`` None: nothing is new.
    """

    digest: Incident
    reason: Reason
    wish: Wish | None = None
    table: StormTable | None = None
    told: tuple[StormRow, ...] = ()


def word(
    digest: Incident, rows: Sequence[StormRow], due_at: float, policy: Policy, last: ActionKind, *, now: float = 0.0
) -> Word:
    """What a digest says. ``last`` is what the next word is: a create, or a reopening after it was closed, else an append.

    ``now`` is later than ``due_at`` where nobody was there to fire the timer: what would have been silent since is left out.
    """
    changed = tuple(row for row in rows if row.told != row.stands)
    is_over = all(row.is_over for row in rows)
    told = replace(digest, version=digest.version + 1, news=(), severity=_worst(rows, digest.severity))
    missed = max(0, int((now - due_at) // policy.storm_every) - 1) if policy.storm_every > 0 else 0
    again = replace(told, timers=(Deadline(TimerKind.DIGEST, due_at + policy.storm_every * (missed + 1)),))
    over = replace(told, state=IncidentState.CLOSED, closed_at=due_at, timers=())
    if last is ActionKind.CREATE:
        wish = Wish(last, Purpose.PROBLEM, quiet=False, reopen=False)
        return Word(again, Reason.STORM_BEGAN, wish, _table(digest, rows, rows, policy), changed)
    if is_over and last is ActionKind.REOPEN and not changed and not digest.news:
        return Word(over, Reason.STORM_OVER)  # its ticket was told so before, and nothing has opened it since
    if is_over:
        closing = ActionKind.CLOSE if policy.recover_action == "close" else ActionKind.APPEND
        wish = Wish(closing, Purpose.RECOVERY, quiet=True, reopen=False)
        return Word(over, Reason.STORM_OVER, wish, _table(digest, rows, rows, policy), changed)
    if not changed and not digest.news:
        return Word(replace(again, severity=digest.severity), Reason.STORM_TOLD)
    is_back = last is ActionKind.REOPEN
    is_new = any(not row.told and not row.is_over for row in changed)
    wish = Wish(
        last,
        Purpose.RELAPSE if is_back else Purpose.JOINED if is_new else Purpose.REPEAT,
        quiet=not is_back and all(row.is_ending for row in changed),
        reopen=is_back,
    )
    return Word(again, Reason.STORM_TOLD, wish, _table(digest, rows, changed, policy), changed)


def _table(digest: Incident, rows: Sequence[StormRow], shown: Sequence[StormRow], policy: Policy) -> StormTable:
    ordered = sorted(shown, key=lambda row: (row.is_over, -(row.severity.rank or 0), row.opened_at, row.incident))
    return StormTable(
        about=about(digest.storm),
        limit=policy.storm_limit,
        within=policy.storm_within,
        shown=tuple(ordered[:MOST_SHOWN]),
        more=max(0, len(ordered) - MOST_SHOWN),
        total=len(rows),
        open=sum(not row.is_over for row in rows),
        news=digest.news,
    )


def _worst(rows: Sequence[StormRow], default: Severity) -> Severity:
    known = [row.severity for row in rows if not row.is_over and row.severity.rank is not None]
    return max(known, key=lambda severity: severity.rank or 0, default=default)
