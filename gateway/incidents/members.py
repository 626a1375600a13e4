"""Members of an incident: who has the problem, since when, in which episode, and which news is too old to count.

Two things tell old news from new: the sender's id of the episode, where both sides have one, and else the sender's clock,
where both instants bear a zone. Equal instants are not old. Where neither can be compared, the order of receipt decides.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from gateway.model.event import Event
from gateway.model.incident import Member, Tombstone

MOST = 200
"""Members kept; beyond it the ones that recovered longest ago are forgotten. Members in problem are always kept."""

_LONGEST = 200
"""Characters of what is kept of a member for people."""

TOMBSTONE_LIFE = 86400.0
"""Seconds for which a recovery is remembered, so that its problem does not come after it."""


def find(members: Sequence[Member], source: str, origin_key: str) -> Member | None:
    """The member, if it takes part. The empty origin key is nobody's."""
    if not origin_key:
        return None
    return next((m for m in members if m.origin_key == origin_key and m.source == source), None)


def put(members: Sequence[Member], member: Member) -> tuple[Member, ...]:
    """The members with this one added or replaced, in their order, within `MOST`."""
    same = (member.source, member.origin_key)
    if any((m.source, m.origin_key) == same for m in members):
        return tuple(member if (m.source, m.origin_key) == same else m for m in members)
    kept = [*members, member]
    surplus = len(kept) - MOST
    if surplus > 0:
        recovered = sorted((m for m in members if not m.in_problem), key=lambda m: m.recovered_at)
        forgotten = {(m.source, m.origin_key) for m in recovered[:surplus]}
        kept = [m for m in kept if (m.source, m.origin_key) not in forgotten]
    return tuple(kept)


def started(member: Member | None, event: Event, source: str, received_at: float) -> Member:
    """The member with a problem. News older than its last problem leaves a running episode as it is."""
    clock, at = _instant(event, received_at)
    if member is not None and is_older_problem(member, event):
        return member
    before = member or Member(source, event.origin_key, in_problem=False)
    return replace(
        before,
        in_problem=True,
        problem_id=event.problem_id or (before.problem_id if before.in_problem else ""),
        last_problem_at=at,
        clock=clock,
        title=event.title[:_LONGEST],
        host=event.host[:_LONGEST],
        service=event.service[:_LONGEST],
        severity=event.severity,
        group=event.group,
    )


def of_group(members: Sequence[Member], source: str, group: str) -> tuple[Member, ...]:
    """Those that have the problem and came in this group."""
    return tuple(m for m in members if m.in_problem and m.source == source and m.group == group) if group else ()


def ended(member: Member, event: Event, received_at: float) -> Member:
    """The member, recovered. Of two recoveries the later one counts, in whatever order they come."""
    clock, at = _instant(event, received_at)
    if not member.in_problem and member.clock is clock:
        at = max(at, member.recovered_at)
    return replace(
        member,
        in_problem=False,
        problem_id=event.problem_id or member.problem_id,
        last_problem_at=member.last_problem_at if member.clock is clock else 0.0,  # of another clock: never compared
        recovered_at=at,
        clock=clock,
    )


def tombstone_key(source: str, origin_key: str) -> str:
    """The key under which recoveries of a member are remembered: ``["member","nagios-hq","db-1/disk"]``.

    It is not the correlation key, which names the route: a recovery has severity `info` and may well take another route
    than the problem that it ends.
    """
    return json.dumps(["member", source, origin_key], separators=(",", ":"))


def tombstone(event: Event, source: str, received_at: float) -> Tombstone:
    """The memory of a recovery, for a problem that comes after it though it happened before."""
    clock, at = _instant(event, received_at)
    key = tombstone_key(source, event.origin_key)
    return Tombstone(key, event.origin_key, event.problem_id, at, clock, received_at + TOMBSTONE_LIFE, source)


def is_older_problem(member: Member, event: Event) -> bool:
    """True if the member is in problem and the event tells of an earlier moment of its trouble."""
    return member.in_problem and _before(event, member.last_problem_at, clock=member.clock)


def why_problem_is_stale(
    event: Event,
    source: str,
    member: Member | None,
    tombstones: Sequence[Tombstone],
    received_at: float,
) -> str:
    """Why a problem is old news, in words, or the empty string. ``tombstones`` are those of its member."""
    for grave in tombstones:
        theirs = grave.origin_key == event.origin_key and grave.source in {"", source}
        if not theirs or received_at >= grave.expires_at:
            continue
        if grave.problem_id and event.problem_id:
            if grave.problem_id == event.problem_id:
                return f"episode {event.problem_id} recovered before"
        elif _before(event, grave.at, clock=grave.clock):
            return "it happened before a recovery that came first"
    if member is None or member.in_problem or not member.recovered_at:
        return ""
    if member.problem_id and event.problem_id:
        return f"episode {event.problem_id} recovered before" if member.problem_id == event.problem_id else ""
    if _before(event, member.recovered_at, clock=member.clock):
        return "it happened before the recovery that is known already"
    return ""


def why_recovery_is_stale(event: Event, member: Member) -> str:
    """Why a recovery is old news, in words, or the empty string: it must not end a later episode."""
    if member.problem_id and event.problem_id:
        if member.problem_id == event.problem_id:
            return ""
        if member.clock and event.occurred_at is not None and event.occurred_at > member.last_problem_at:
            return ""  # a later episode is over, so this one is too: its own recovery was lost
        return f"it ends episode {event.problem_id}, but {member.problem_id} is running"
    if _before(event, member.last_problem_at, clock=member.clock):
        return "it happened before the last problem"
    return ""


def _before(event: Event, at: float, *, clock: bool) -> bool:
    return clock and event.occurred_at is not None and event.occurred_at < at


def _instant(event: Event, received_at: float) -> tuple[bool, float]:
    if event.occurred_at is None:
        return False, received_at
    return True, event.occurred_at
