"""Storms at work: who asks for a ticket is counted, who joins a digest is written down, and the digest says its word.

Pure. `gateway.incidents.storms` decides; here stands what has to be written, for events (`gateway.processing`) and timers
(`gateway.firing`) alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.changes import Changes
from gateway.facts import Facts
from gateway.incidents.storms import begun, opening, reopened, with_news
from gateway.journal.protocol import HeldAction, HistoryLine
from gateway.model.action import ActionKind, TicketDraft
from gateway.model.ids import new_id
from gateway.model.incident import Deadline, Incident, IncidentState, TimerKind
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from gateway.model.storm import StormChange, StormGroup, StormMember
from gateway.rendering.filters import cut, time
from gateway.rendering.sanitise import fold
from gateway.ruleset import Ruleset

_LOST = frozenset({Reason.CREATE_DROPPED.value, Reason.HELPDESK_CHANGED.value, Reason.DETACHED.value})
_LONGEST_NEWS = 500


def moved_away(incident: Incident, rules: Ruleset) -> bool:
    """True if the incident's ticket is in another helpdesk than the one that bears its name now."""
    connector = rules.connectors.get(incident.helpdesk)
    if connector is None or incident.ticket is None:
        return False
    return incident.ticket.fingerprint not in {"", connector.fingerprint}


@dataclass(slots=True)
class Storms:
    """What storms do with one receipt or timer. ``facts`` is carried forward, ``changes`` and ``history`` grow."""

    facts: Facts
    rules: Ruleset
    changes: Changes
    history: list[HistoryLine]

    def is_lost(self, incident: Incident) -> bool:
        """Whether the ticket that tells of an incident, as a digest, is none that could be written to."""
        digest = self.facts.incidents.get(incident.digest)
        return digest is None or not _LOST.isdisjoint(digest.reasons) or moved_away(digest, self.rules)

    def ask(
        self, incident: Incident, policy: Policy, at: float, receipt: str, render: Callable[[], HeldAction]
    ) -> Incident:
        """An incident asks for its ticket; if it joins a digest instead, it says so afterwards.

        ``render`` gives the action that would have made it, from which a new digest has its fields.
        """
        group = self.facts.storms.get(incident.storm) or StormGroup(incident.storm)
        lost = self.is_lost(replace(incident, digest=group.digest))
        found = opening(group, at, policy, digest=new_id(), lost=lost)
        self.facts.storms[group.key] = found.group
        self.changes.groups.setdefault(group.key, group.version or None)
        if not found.joins:
            return incident
        digest = self.facts.incidents.get(found.group.digest)
        if found.begins or digest is None:
            digest = begun(found.group, incident, at, policy)
            held = _fields(digest, render(), ActionKind.CREATE)
            self._set(None, digest, replace(held, reason=Reason.STORM_BEGAN, receipt=receipt))
            self.history.append(HistoryLine(at, "storm", Reason.STORM_BEGAN, digest.title, receipt, incident=digest.id))
        elif digest.state is IncidentState.CLOSED:
            self._reopen(digest, policy, at, render())
        self.changes.joined.append(StormMember(digest.id, incident.id, receipt, at))
        return replace(incident, digest=digest.id)

    def tell(
        self, incident: Incident, policy: Policy, at: float, render: Callable[[], HeldAction], news: str = ""
    ) -> None:
        """Something has happened to an incident that a digest tells of. ``news`` is what its table does not show."""
        digest = self.facts.incidents.get(incident.digest)
        if digest is None or self.is_lost(incident):
            return
        if digest.state is IncidentState.CLOSED:
            if incident.state is IncidentState.CLOSED:
                return
            self._reopen(digest, policy, at, render())
            digest = self.facts.incidents[digest.id]
        if news:
            place = " / ".join(part for part in (incident.host, incident.service) if part) or incident.title
            line = cut(fold(f"{time(at)} {place}: {news}"), _LONGEST_NEWS)
            self._set(digest, with_news(digest, line))

    def watched(self, digest: Incident, at: float, policy: Policy, said: HeldAction) -> Incident:
        """A digest that a person has opened again by writing to it, with the timer that it needs to close."""
        if digest.state is IncidentState.CLOSED or digest.due_at(TimerKind.DIGEST) is not None:
            return digest
        self.facts.held[digest.id, TimerKind.DIGEST.value] = _fields(digest, said, ActionKind.REOPEN)
        return replace(digest, timers=(*digest.timers, Deadline(TimerKind.DIGEST, at + policy.storm_every)))

    def groups(self) -> tuple[StormChange, ...]:
        """The groups as they shall stand."""
        return tuple(StormChange(self.facts.storms[key], version) for key, version in self.changes.groups.items())

    def _reopen(self, digest: Incident, policy: Policy, at: float, wanted: HeldAction) -> None:
        self._set(digest, reopened(digest, at, policy), _fields(digest, wanted, ActionKind.REOPEN))

    def _set(self, before: Incident | None, after: Incident, held: HeldAction | None = None) -> None:
        if held is not None:
            self.facts.held[after.id, TimerKind.DIGEST.value] = held
        self.changes.note(before, after)
        self.changes.set_timers(before, after, self.facts.held)
        self.facts.incidents[after.id] = after


def _fields(digest: Incident, wanted: HeldAction, kind: ActionKind) -> HeldAction:
    """What a digest keeps of what would have been done for one of its incidents: its fields, at each helpdesk."""

    def only(draft: TicketDraft) -> TicketDraft:
        return TicketDraft(digest.title, "", fields=draft.fields)

    others = tuple(replace(one, draft=only(one.draft)) for one in wanted.variants)
    return HeldAction(kind, only(wanted.draft), Reason.STORM_TOLD, variants=others)


def without(reasons: Sequence[str], reason: Reason) -> tuple[str, ...]:
    """The reasons but this one."""
    return tuple(one for one in reasons if one != reason.value)
