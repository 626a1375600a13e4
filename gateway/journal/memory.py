"""A journal on dictionaries for unit tests: the same promises, nothing durable.

Written on its own, not over shared SQL or helpers of the SQLite journal, so that the contract suite compares two
opinions.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from gateway.journal.brakes import AHEAD
from gateway.journal.persons import touch_after
from gateway.journal.protocol import (
    FIRST_FENCE,
    INCIDENT_RATE,
    MOST_BEHIND,
    MOST_MAILS,
    MOST_PARTICIPANTS,
    RELEASED,
    REMEMBERED,
    UNBOUNDED,
    ActionView,
    Arrival,
    AttachmentGone,
    AttemptView,
    CommitResult,
    Counts,
    DeadLetter,
    EventRecord,
    EventView,
    FinishedAttempt,
    HelpdeskState,
    HistoryLine,
    Intent,
    JournalError,
    Known,
    KnownThreads,
    Lookup,
    MailTaken,
    Merge,
    NewArrival,
    NewTimer,
    Noticed,
    Processed,
    Reader,
    ReceiptLine,
    ReceiptView,
    ThreadLookup,
    Timer,
)
from gateway.model.action import (
    UNFINISHED,
    Action,
    ActionKind,
    ActionStatus,
    AttachmentRef,
    Follower,
    NewAction,
    OutcomeKind,
)
from gateway.model.brake import CAUSE, Allowance, BrakeView, Held, WaitingCreate
from gateway.model.event import event_to_json
from gateway.model.ids import marker_of, new_id
from gateway.model.incident import Incident, IncidentState, TicketRef, Tombstone, Touch
from gateway.model.reasons import HELD, Reason
from gateway.model.receipt import Accepted, NewReceipt, Receipt, ReceiptStatus
from gateway.model.silence import Silence
from gateway.model.storm import StormGroup, StormMember, StormRow

_ACTIVE = frozenset({ActionStatus.QUEUED, ActionStatus.IN_FLIGHT, ActionStatus.UNKNOWN})
_BUSY = frozenset({ActionStatus.IN_FLIGHT, ActionStatus.UNKNOWN})
_WEEK = 7 * 86400.0


@dataclass(slots=True)
class _Receipt:
    new: NewReceipt
    sequence: int
    tries: int
    claimed_until: float | None = None
    status: ReceiptStatus = ReceiptStatus.ACCEPTED
    reason: Reason | None = None
    detail: str = ""
    warnings: list[str] = field(default_factory=list)
    events: dict[int, EventRecord] = field(default_factory=dict)


@dataclass(slots=True)
class _Action:
    new: NewAction
    receipt: str
    status: ActionStatus
    not_before: float
    paused_before: float
    reason: Reason
    detail: str = ""
    fence: int = 0
    given: int = 0  # the fence of the newest claim
    claimed_until: float | None = None
    tries: int = 0
    unresolved: bool = False
    request: bytes = b""
    flags: list[str] = field(default_factory=list)
    degraded: tuple[str, ...] = ()
    dead_at: float = 0.0
    begun_at: float | None = None
    attempts: list[AttemptView] = field(default_factory=list)
    into: str = ""

    @property
    def counts(self) -> bool:
        """Whether it counts against the brake of its helpdesk."""
        return self.new.kind is ActionKind.CREATE and not self.new.cause.startswith(CAUSE)

    def is_given_out(self, now: float) -> bool:
        """Whether somebody has it."""
        return self.claimed_until is not None and self.claimed_until > now

    @property
    def line(self) -> tuple[str, str]:
        """Actions of one line are delivered in order."""
        return (self.new.incident, self.new.helpdesk)


_HOLDING = frozenset({IncidentState.PENDING, IncidentState.RECOVERING})


class MemoryJournal:
    """Implements `Journal` and `Reader`."""

    def __init__(self) -> None:
        self._sequence = 0
        self._receipts: dict[str, _Receipt] = {}
        self._keys: dict[tuple[str, bool, str, bytes], tuple[str, float]] = {}
        self._event_keys: dict[tuple[str, str], tuple[str, int, float]] = {}
        self._incidents: dict[str, Incident] = {}
        self._tickets: dict[str, TicketRef] = {}
        self._touches: dict[str, Touch] = {}
        self._looked: dict[str, float] = {}
        self._plans: dict[str, bytes] = {}
        self._tombstones: dict[tuple[str, str, str], Tombstone] = {}
        self._arrivals: dict[str, dict[str, NewArrival]] = {}
        self._mails: list[MailTaken] = []
        self._participants: dict[str, list[str]] = {}
        self._actions: dict[str, _Action] = {}
        self._timers: dict[str, NewTimer] = {}
        self._attachments: dict[tuple[str, int, int], bytes] = {}
        self._helpdesks: dict[str, HelpdeskState] = {}
        self._requesters: set[tuple[str, str]] = set()
        self._silences: dict[str, Silence] = {}
        self._storms: dict[str, StormGroup] = {}
        self._joined: dict[tuple[str, str], tuple[StormMember, str]] = {}  # by digest and incident, with what was told
        self._history: list[HistoryLine] = []
        self._closed = False

    def _check(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    # ----------------------------------------------------------------------------------------------------- receiving

    async def accept(self, new: NewReceipt, *, claim: bool = False) -> Accepted:
        """Keep a receipt, or recognise it."""
        self._check()
        return self._accept(new, claim=claim)

    def accept_soon(self, new: NewReceipt, *, claim: bool = False) -> "asyncio.Future[list[Accepted]] | None":  # noqa: ARG002 - never at once
        """Always left to `accept`."""
        return None

    async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
        """Keep several receipts: all or none."""
        self._check()
        ids = [receipt.id for receipt in new]
        if len(set(ids)) < len(ids) or any(name in self._receipts for name in ids):
            raise ValueError("a receipt of this id is stored already")
        return [self._accept(receipt, claim=False) for receipt in new]

    def _accept(self, new: NewReceipt, *, claim: bool) -> Accepted:
        if new.id in self._receipts:
            raise ValueError("a receipt of this id is stored already")
        warning = None
        key = new.duplicate_key
        if key is not None:
            alive = {
                digest: first
                for (source, given, value, digest), (first, until) in self._keys.items()
                if (source, given, value) == (new.source, key.given, key.value) and until > new.received_at
            }
            digest = hashlib.sha256(new.body).digest()
            if digest in alive:
                return Accepted(new.id, duplicate_of=alive[digest])
            if alive and key.given:
                warning = Reason.DUPLICATE_KEY_REUSED
            self._keys[new.source, key.given, key.value, digest] = (new.id, new.received_at + key.horizon)
        self._sequence += 1
        self._receipts[new.id] = _Receipt(
            new,
            self._sequence,
            1 if claim else 0,
            float("inf") if claim else None,
            warnings=[warning.explain()] if warning else [],
        )
        return Accepted(new.id, warning=warning)

    async def probe(self, now: float) -> None:  # noqa: ARG002 - nothing to write to
        """There is no disk that could fail."""
        self._check()

    # ---------------------------------------------------------------------------------------------------- processing

    async def claim_receipts(self, *, limit: int, now: float, lease: float, octets: int = UNBOUNDED) -> list[Receipt]:
        """Take unclaimed accepted receipts in sequence order."""
        self._check()
        claimed: list[Receipt] = []
        for held in self._receipts.values():
            free = held.claimed_until is None or held.claimed_until <= now
            room = len(claimed) < limit and sum(len(receipt.body) for receipt in claimed) < octets
            if held.status is ReceiptStatus.ACCEPTED and free and room:
                held.claimed_until = now + lease
                held.tries += 1
                claimed.append(_as_receipt(held))
        return claimed

    async def release_receipt(self, receipt_id: str, *, now: float) -> None:  # noqa: ARG002 - claims are in memory
        """Give a claimed receipt back."""
        if receipt_id in self._receipts:
            self._receipts[receipt_id].claimed_until = None

    async def know(self, lookup: Lookup, now: float) -> Known:
        """Answer what correlation must know."""
        self._check()
        by_key = {key: found for key in lookup.keys if (found := self._newest(key)) is not None}
        by_member: dict[tuple[str, str], tuple[Incident, ...]] = {}
        for wanted in lookup.members:
            group = tuple(
                self._with_ticket(incident)
                for incident in sorted(self._incidents.values(), key=lambda incident: incident.id)
                if incident.state is not IncidentState.CLOSED
                and any((member.source, member.origin_key) == wanted for member in incident.members)
            )
            if group:
                by_member[wanted] = group
        tombstones: dict[str, tuple[Tombstone, ...]] = {}
        for stone in sorted(
            self._tombstones.values(), key=lambda stone: (stone.at, stone.origin_key, stone.problem_id)
        ):
            if stone.key in lookup.keys and stone.expires_at > now:
                tombstones[stone.key] = (*tombstones.get(stone.key, ()), stone)
        threads = self._threads(lookup.threads) if lookup.threads is not None else KnownThreads()
        of_hosts = tuple(
            self._with_ticket(one)
            for one in sorted(self._incidents.values(), key=lambda one: one.id)
            if one.host
            and one.host in lookup.hosts
            and not one.service
            and (one.closed_at is None or one.closed_at > now - REMEMBERED)
        )
        seen = [
            *by_key.values(),
            *(incident for group in by_member.values() for incident in group),
            *threads.incidents.values(),
        ]
        pending = {one.storm for one in (*seen, *of_hosts) if one.state is IncidentState.PENDING}
        storms = {key: self._storms[key] for key in {*lookup.storms, *pending} if key in self._storms}
        of_storms = {*(one.digest for one in (*seen, *of_hosts)), *(group.digest for group in storms.values())}
        digests = tuple(
            self._with_ticket(self._incidents[name])
            for name in sorted(of_storms | lookup.digests)
            if name in self._incidents
        )
        return Known(
            storms=storms,
            digests=digests,
            by_key=by_key,
            by_member=by_member,
            tombstones=tombstones,
            duplicates={key: self._event_keys[key][:2] for key in lookup.duplicates if key in self._event_keys},
            plans={one.plan: self._plans[one.plan] for one in (*seen, *of_hosts, *digests) if one.plan in self._plans},
            arrivals=self._counted([*lookup.rates, *(INCIDENT_RATE + one.id for one in seen)]) if lookup.rates else {},
            threads=threads,
            of_hosts=of_hosts,
            held={
                (timer.incident, timer.kind): timer.held
                for timer in self._timers.values()
                if timer.held is not None
                and any(timer.incident == one.id and one.state in _HOLDING for one in (*seen, *of_hosts))
            },
        )

    def _threads(self, lookup: ThreadLookup) -> KnownThreads:
        mails: dict[tuple[str, str], tuple[str, ...]] = {}
        for taken in reversed(self._mails):
            place = (taken.source, taken.message_id)
            if place in lookup.mails:
                mails[place] = (*mails.get(place, ()), taken.incident)
        markers = {a.new.marker: a.new.incident for a in self._actions.values() if a.new.marker in lookup.markers}
        tickets: dict[tuple[str, str], tuple[str, ...]] = {}
        order = sorted(self._incidents.values(), key=lambda one: (one.opened_at, one.id), reverse=True)
        for incident in sorted(order, key=lambda one: one.state is IncidentState.CLOSED):
            ticket = self._tickets.get(incident.id)
            place = (incident.helpdesk, ticket.number if ticket is not None else "")
            if ticket is not None and place in lookup.tickets:
                tickets[place] = (*tickets.get(place, ()), incident.id)
        named = {*lookup.incidents, *markers.values()}
        named |= {name for group in (*mails.values(), *tickets.values()) for name in group}
        incidents = {name: self._with_ticket(self._incidents[name]) for name in named if name in self._incidents}
        running = {one.key for one in self._incidents.values() if one.state is not IncidentState.CLOSED}
        return KnownThreads(
            incidents=incidents,
            mails=mails,
            markers=markers,
            tickets=tickets,
            participants={n: frozenset(self._participants[n]) for n in incidents if self._participants.get(n)},
            open_keys=frozenset(
                one.key for one in incidents.values() if one.state is IncidentState.CLOSED and one.key in running
            ),
        )

    def _take_mail(self, taken: MailTaken) -> None:
        place = (taken.incident, taken.source, taken.message_id)
        known = [one for one in self._mails if one.incident == taken.incident]
        if taken.message_id and place not in {(one.incident, one.source, one.message_id) for one in known}:
            self._mails.append(taken)
            for old in known[: max(0, len(known) + 1 - MOST_MAILS)]:
                self._mails.remove(old)
        addresses = self._participants.setdefault(taken.incident, [])
        for address in taken.participants:
            if address not in addresses and len(addresses) < MOST_PARTICIPANTS:
                addresses.append(address)

    def _counted(self, keys: Sequence[str]) -> dict[str, tuple[Arrival, ...]]:
        return {key: tuple(new.arrival for new in self._newest_arrivals(key)) for key in keys if key in self._arrivals}

    def _newest_arrivals(self, key: str) -> list[NewArrival]:
        kept = self._arrivals[key].values()
        return sorted(kept, key=lambda new: (new.arrival.at, new.arrival.receipt), reverse=True)

    def _newest(self, key: str) -> Incident | None:
        closed: Incident | None = None
        for incident in self._incidents.values():
            if incident.key != key:
                continue
            if incident.state is not IncidentState.CLOSED:
                return self._with_ticket(incident)
            if closed is None or (incident.closed_at or 0.0) >= (closed.closed_at or 0.0):
                closed = incident
        return self._with_ticket(closed) if closed else None

    def _ticket_of(self, name: str) -> TicketRef | None:
        """The ticket that tells of an incident: its own, or that of its digest."""
        incident = self._incidents.get(name)
        return self._tickets.get(name) or (self._tickets.get(incident.digest) if incident is not None else None)

    def _with_ticket(self, incident: Incident) -> Incident:
        return replace(incident, ticket=self._tickets.get(incident.id), touch=self._touches.get(incident.id))

    async def commit_processed(self, batch: Sequence[Processed]) -> list[CommitResult]:
        """Write each `Processed` wholly or not at all."""
        self._check()
        return [self._commit(processed) for processed in batch]

    def _commit(self, processed: Processed) -> CommitResult:
        held = self._receipts.get(processed.receipt)
        if processed.receipt and (held is None or held.status is not ReceiptStatus.ACCEPTED):
            return CommitResult.GONE
        if processed.timer and processed.timer not in self._timers:
            if held is not None:
                held.claimed_until = None
            return CommitResult.GONE
        if self._conflicts(processed, held):
            return CommitResult.CONFLICT
        self._plans = {**processed.plans, **self._plans}
        for change in processed.incidents:
            self._incidents[change.incident.id] = replace(change.incident, ticket=None, touch=None)
        for action in sorted(processed.actions, key=lambda action: action.sequence):
            self._add_action(action, action.receipt or processed.receipt)
        for timer_id in (*processed.cancelled_timers, processed.timer):
            self._timers.pop(timer_id, None)
        self._timers.update({timer.id: timer for timer in processed.timers})
        for stone in processed.tombstones:
            self._tombstones[stone.key, stone.origin_key, stone.problem_id] = stone
        for new in processed.arrivals:
            key = new.arrival.key
            self._arrivals.setdefault(key, {})[new.arrival.receipt] = new
            self._arrivals[key] = {one.arrival.receipt: one for one in self._newest_arrivals(key)[: new.keep]}
        for taken in processed.mails:
            self._take_mail(taken)
        self._storms.update({change.group.key: change.group for change in processed.storms})
        for member in processed.joined:
            self._joined[member.digest, member.incident] = (member, "")
        for told in processed.told:
            if (told.digest, told.incident) in self._joined:
                member, _ = self._joined[told.digest, told.incident]
                self._joined[told.digest, told.incident] = (member, told.stands)
        self._history += processed.history
        if held is not None:
            self._finish_receipt(held, processed)
        return CommitResult.COMMITTED

    def _conflicts(self, processed: Processed, held: _Receipt | None) -> bool:
        after = dict(self._incidents)
        for change in processed.incidents:
            stored = after.get(change.incident.id)
            if change.expected_version is None:
                if stored is not None:
                    return True
            elif stored is None or stored.version != change.expected_version:
                return True
            after[change.incident.id] = change.incident
            twins = [i for i in after.values() if i.key == change.incident.key and i.state is not IncidentState.CLOSED]
            if len(twins) > 1:
                return True
        for storm in processed.storms:
            known = self._storms.get(storm.group.key)
            if (known.version if known is not None else None) != storm.expected_version:
                return True
        if any((member.digest, member.incident) in self._joined for member in processed.joined):
            return True
        if held is None:
            return False
        indexes = [record.index for record in processed.events]
        if len(set(indexes)) < len(indexes):
            return True
        keys = [(held.new.source, r.event.duplicate_key) for r in processed.events if r.duplicate_of is None]
        return any(key[1] and self._event_keys.get(key, (processed.receipt,))[0] != processed.receipt for key in keys)

    def _finish_receipt(self, held: _Receipt, processed: Processed) -> None:
        held.status = ReceiptStatus.DEAD if processed.dead else ReceiptStatus.PROCESSED
        held.reason, held.detail = processed.dead, processed.detail
        held.warnings += processed.warnings
        held.claimed_until = None
        for record in processed.events:
            held.events[record.index] = record
            if record.event.duplicate_key and record.duplicate_of is None:
                key = (held.new.source, record.event.duplicate_key)
                self._event_keys.setdefault(key, (processed.receipt, record.index, held.new.received_at))
            if record.keep_attachments:
                for position, attachment in enumerate(record.event.attachments):
                    self._attachments[processed.receipt, record.index, position] = attachment.content

    def _add_action(self, new: NewAction, receipt: str) -> None:
        if any(action.new.marker == new.marker for action in self._actions.values()):
            return
        self._actions[new.id] = _Action(
            new,
            receipt,
            self._place((new.incident, new.helpdesk)),
            new.queued_at,
            self._paused(new.helpdesk, new.queued_at),
            new.reason,
            flags=list(new.flags),
        )

    def _place(self, line: tuple[str, str]) -> ActionStatus:
        others = list(self._line(line))
        if any(action.status is ActionStatus.DEAD and action.new.kind is ActionKind.CREATE for action in others):
            return ActionStatus.BLOCKED
        busy = any(action.status in UNFINISHED - {ActionStatus.BLOCKED} for action in others)
        return ActionStatus.WAITING if busy else ActionStatus.QUEUED

    def _line(self, line: tuple[str, str]) -> Iterator[_Action]:
        found = (action for action in self._actions.values() if action.line == line)
        return iter(sorted(found, key=lambda action: action.new.sequence))

    def _paused(self, helpdesk: str, now: float) -> float:
        state = self._helpdesks.get(helpdesk, HelpdeskState(helpdesk))
        running = max(0.0, now - state.paused_since) if state.paused_since is not None else 0.0
        return state.paused_total + running

    async def commit_and_begin(self, processed: Processed, intent: Intent) -> tuple[CommitResult, bool]:
        """Write a `Processed` and begin the first attempt of one of its creates."""
        [result] = await self.commit_processed([processed])
        action = self._actions.get(intent.action)
        if result is not CommitResult.COMMITTED or action is None or action.status is not ActionStatus.QUEUED:
            return result, False
        if self._requester_busy(action, intent.started_at):
            return result, False
        action.given, action.claimed_until = FIRST_FENCE, float("inf")
        begun = await self.begin_attempt(
            intent.action,
            fence=FIRST_FENCE,
            request=intent.request,
            started_at=intent.started_at,
            deadline=intent.deadline,
            resolve_at=intent.resolve_at,
        )
        return result, begun

    async def plans(self, digests: Sequence[str]) -> dict[str, bytes]:
        """The stored plans with these digests."""
        self._check()
        return {digest: self._plans[digest] for digest in digests if digest in self._plans}

    async def storm_rows(self, digests: Sequence[str]) -> dict[str, tuple[StormRow, ...]]:
        """The incidents that these digests tell of."""
        self._check()
        found: dict[str, tuple[StormRow, ...]] = {}
        for (digest, name), (member, told) in sorted(self._joined.items()):
            one = self._incidents.get(name)
            if digest not in digests or one is None:
                continue
            escalated = Reason.ESCALATED.value in one.reasons
            row = StormRow(
                name, member.receipt, told, one.state, one.severity, one.host, one.service, one.title, one.opened_at,
                one.closed_at, one.flapping, escalated,
            )  # fmt: skip
            found[digest] = (*found.get(digest, ()), row)
        return found

    async def due_timers(self, *, now: float, limit: int) -> list[Timer]:
        """Timers due for which nothing earlier is unprocessed."""
        self._check()
        waiting = [h.new.received_at for h in self._receipts.values() if h.status is ReceiptStatus.ACCEPTED]
        due = [
            timer
            for timer in self._timers.values()
            if timer.due_at <= now and timer.due_at < min(waiting, default=float("inf"))
        ]
        due.sort(key=lambda timer: (timer.due_at, timer.id))
        return [
            Timer(timer.id, timer.kind, timer.due_at, self._with_ticket(self._incidents[timer.incident]), timer.held)
            for timer in due[:limit]
            if timer.incident in self._incidents
        ]

    # ------------------------------------------------------------------------------------------------------ delivery

    async def claim_actions(
        self,
        helpdesk: str,
        *,
        limit: int,
        now: float,
        lease: float,
        creates: int | None = None,
        free_until: float = 0.0,
    ) -> list[Action]:
        """Take actions that are due, those that are due longest first."""
        self._check()
        due = [
            action
            for action in self._actions.values()
            if action.new.helpdesk == helpdesk
            and action.status in {ActionStatus.QUEUED, ActionStatus.UNKNOWN}
            and action.not_before <= now
            and not (action.claimed_until is not None and action.claimed_until > now)
        ]
        due.sort(key=lambda action: action.not_before)
        claimed: list[Action] = []
        left = limit if creates is None else creates
        for action in due:
            if len(claimed) == limit:
                break
            counts = action.status is ActionStatus.QUEUED and action.counts and action.new.queued_at > free_until
            if counts and left <= 0:
                continue
            if action.status is ActionStatus.QUEUED and self._requester_busy(action, now):
                continue
            left -= int(counts)
            action.given = max(action.given, action.fence) + 1
            action.claimed_until = now + lease
            claimed.append(self._as_action(action))
        return claimed

    async def claim_overdue(
        self, helpdesk: str, *, limit: int, now: float, lease: float, paused_total: float
    ) -> list[Action]:
        """Take creates that have waited for longer than their first fallback's ``after``."""
        self._check()
        overdue = [
            action
            for action in self._actions.values()
            if action.new.helpdesk == helpdesk
            and action.status is ActionStatus.QUEUED
            and not action.unresolved
            and not (action.claimed_until is not None and action.claimed_until > now)
            and action.new.falls_back_after is not None
            and action.reason is not Reason.HELD_BY_BRAKE
            and now - action.new.queued_at - max(0.0, paused_total - action.paused_before)
            >= action.new.falls_back_after
        ]
        overdue.sort(key=lambda action: action.new.queued_at)
        for action in overdue[:limit]:
            action.given = max(action.given, action.fence) + 1
            action.claimed_until = now + lease
        return [self._as_action(action) for action in overdue[:limit]]

    async def brake(self, helpdesk: str, allowance: Allowance, *, now: float, first: int) -> BrakeView:
        """How a helpdesk's brake stands."""
        self._check()
        mine = [action for action in self._actions.values() if action.new.helpdesk == helpdesk and action.counts]
        begun = [
            action
            for action in mine
            if action.is_given_out(now)
            or (
                action.begun_at is not None
                and now - allowance.per < action.begun_at <= now + AHEAD
                and action.new.queued_at > allowance.free_until
            )
        ]
        waiting = self._waits_for_brake(helpdesk, allowance.free_until, now)
        return BrakeView(
            begun=len(begun),
            waiting=len(waiting),
            first=tuple(WaitingCreate(one.new.incident, one.new.draft.title, one.new.draft) for one in waiting[:first]),
        )

    def _waits_for_brake(self, helpdesk: str, free_until: float, now: float) -> list[_Action]:
        waiting = [
            action
            for action in self._actions.values()
            if action.new.helpdesk == helpdesk
            and action.counts
            and action.status is ActionStatus.QUEUED
            and action.not_before <= now
            and action.new.queued_at > free_until
            and not action.is_given_out(now)
        ]
        return sorted(waiting, key=lambda action: action.not_before)

    async def hold_creates(self, helpdesk: str, *, free_until: float, left: int, now: float, limit: int) -> Held:
        """Mark the creates that wait, and end those whose problem is over."""
        self._check()
        waiting = [
            action
            for action in self._waits_for_brake(helpdesk, free_until, now)
            if action.reason is not Reason.HELD_BY_BRAKE
        ]
        marked = waiting[left : left + limit]
        for action in marked:
            self._set_reason(action, "held", Reason.HELD_BY_BRAKE, now)
        over = [
            action
            for action in self._actions.values()
            if action.new.helpdesk == helpdesk and self._is_over(action, now)
        ]
        for create in over[:limit]:
            for action in [create, *(one for one in self._line(create.line) if one.status is ActionStatus.WAITING)]:
                action.status = ActionStatus.SKIPPED
                self._set_reason(action, "skipped", Reason.RECOVERED_WHILE_HELD, now)
            self._give_reason(create.new.incident, Reason.RECOVERED_WHILE_HELD)
        return Held(len(marked), len(over[:limit]))

    def _set_reason(self, action: _Action, what: str, reason: Reason, now: float) -> None:
        action.reason = reason
        line = HistoryLine(now, what, reason, receipt=action.receipt)
        self._history.append(replace(line, incident=action.new.incident, action=action.new.id))

    def _is_over(self, action: _Action, now: float) -> bool:
        incident = self._incidents.get(action.new.incident)
        held = action.status is ActionStatus.QUEUED and action.reason is Reason.HELD_BY_BRAKE and action.counts
        if not held or action.tries or action.unresolved or action.is_given_out(now) or incident is None:
            return False
        if incident.state is not IncidentState.CLOSED or incident.id in self._tickets:
            return False
        behind = [other for other in self._line(action.line) if other.status is ActionStatus.WAITING]
        return all(
            other.new.kind in {ActionKind.APPEND, ActionKind.CLOSE} and Reason.NOTED.value not in other.flags
            for other in behind
        )

    def _requester_busy(self, action: _Action, now: float) -> bool:
        who = (action.new.helpdesk, action.new.requester)
        if action.new.kind is not ActionKind.CREATE or not who[1] or who in self._requesters:
            return False
        return any(
            other is not action
            and other.new.kind is ActionKind.CREATE
            and (other.new.helpdesk, other.new.requester) == who
            and (other.status in _BUSY or (other.claimed_until is not None and other.claimed_until > now))
            for other in self._actions.values()
        )

    def _as_action(self, action: _Action) -> Action:
        new = action.new
        first = Action.first(new, receipt=action.receipt, fence=action.given, paused_before=action.paused_before)
        return replace(
            first,
            status=action.status,
            tries=action.tries,
            not_before=action.not_before,
            ticket=self._tickets.get(new.incident),
            degraded=action.degraded,
            resolve=action.unresolved,
            request=action.request,
            behind=self._behind(action) if _is_fresh(action) else (),
        )

    def _behind(self, action: _Action) -> tuple[Follower, ...]:
        found: list[Follower] = []
        for other in self._line(action.line):
            if other.new.sequence <= action.new.sequence or other.status not in UNFINISHED - {ActionStatus.BLOCKED}:
                continue
            if other.status is not ActionStatus.WAITING or not _is_fresh(other) or len(found) == MOST_BEHIND:
                break
            found.append(Follower(other.new.id, other.receipt, other.new.queued_at, other.new.draft))
        return tuple(found)

    async def release_action(self, action_id: str, *, fence: int) -> None:
        """Give a claimed action back untouched."""
        action = self._actions.get(action_id)
        if action is not None and action.given == fence and action.status is not ActionStatus.IN_FLIGHT:
            action.claimed_until = None

    async def begin_attempt(
        self,
        action_id: str,
        *,
        fence: int,
        request: bytes,
        started_at: float,
        deadline: float,
        resolve_at: float,  # noqa: ARG002 - only matters after a crash, which ends this journal
        merge: Merge | None = None,
    ) -> bool:
        """Write the intent."""
        self._check()
        action = self._actions.get(action_id)
        if action is None or action.claimed_until is None or action.given != fence or action.fence >= fence:
            return False
        if merge is not None and not self._merge(action, merge, started_at):
            action.claimed_until = None
            return False
        action.status, action.fence, action.tries = ActionStatus.IN_FLIGHT, fence, action.tries + 1
        action.claimed_until, action.request = float("inf"), request
        if action.counts and action.begun_at is None:
            action.begun_at = started_at
        action.attempts.append(AttemptView(fence, started_at, deadline, None, "", "", ""))
        return True

    def _merge(self, action: _Action, merge: Merge, at: float) -> bool:
        taken = [self._actions[name] for name in merge.actions if name in self._actions]
        free = all(other.status is ActionStatus.WAITING and _is_fresh(other) for other in taken)
        if not free or len(taken) < len(merge.actions):
            return False
        for other in taken:
            other.status, other.reason, other.into = ActionStatus.SKIPPED, Reason.COALESCED_INTO, action.new.id
            line = HistoryLine(at, "skipped", Reason.COALESCED_INTO, f"action {action.new.id}", other.receipt)
            self._history.append(replace(line, incident=other.new.incident, action=other.new.id))
        action.new = replace(action.new, draft=merge.draft)
        return True

    async def finish_attempt(self, finished: FinishedAttempt) -> bool:
        """Write the outcome, fenced."""
        self._check()
        action = self._actions.get(finished.action)
        if action is None:
            return False
        begun = action.status is ActionStatus.IN_FLIGHT and action.fence == finished.fence
        ready = action.status in {ActionStatus.QUEUED, ActionStatus.UNKNOWN} and action.claimed_until is not None
        if not begun and not (ready and action.given == finished.fence):
            return False
        outcome = finished.outcome
        if begun:
            action.attempts[-1] = replace(
                action.attempts[-1],
                finished_at=finished.finished_at,
                outcome=outcome.kind.value,
                reason=outcome.reason.value,
                detail=outcome.detail,
            )
            action.tries -= 0 if finished.burnt else 1
        action.unresolved = (
            outcome.kind is OutcomeKind.UNKNOWN
            or finished.status is ActionStatus.UNKNOWN
            or (finished.status is ActionStatus.DEAD and action.unresolved)
        )
        action.status, action.fence, action.claimed_until = finished.status, finished.fence, None
        action.not_before, action.reason, action.detail = finished.not_before, finished.reason, finished.detail
        action.flags = list(dict.fromkeys([*action.flags, *(flag.value for flag in outcome.flags)]))
        action.degraded = action.degraded if finished.degraded is None else finished.degraded
        action.dead_at = finished.finished_at
        if finished.status not in {ActionStatus.DELIVERED, ActionStatus.UNKNOWN} and not action.unresolved:
            action.begun_at = None
        if finished.status is ActionStatus.DELIVERED:
            if outcome.ticket is not None:
                self._tickets[action.new.incident] = outcome.ticket
            if action.new.kind is ActionKind.CREATE and action.new.requester:
                self._requesters.add((action.new.helpdesk, action.new.requester))
        if finished.status in {ActionStatus.DELIVERED, ActionStatus.SKIPPED}:
            touch = self._touches.get(action.new.incident)
            touch = touch_after(action.new.kind, outcome, touch, finished.finished_at)
            self._put_touch(action.new.incident, touch)
        if finished.request is not None:
            action.request = finished.request
        shown = finished.status is ActionStatus.SKIPPED and outcome.reason is Reason.SHADOW
        if shown and action.new.kind is ActionKind.CREATE:
            self._give_reason(action.new.incident, Reason.SHADOW)
        if finished.falls_back_to:
            self._fall_back(action, finished.falls_back_to, finished.finished_at)
        else:
            self._follow(action)
        self._history += finished.history
        return True

    def _fall_back(self, create: _Action, name: str, now: float) -> None:
        places = {one.helpdesk: one for one in create.new.elsewhere}
        incident = self._incidents[create.new.incident]
        self._incidents[incident.id] = replace(
            incident, helpdesk=name, plan=places[name].plan, version=incident.version + 1
        )
        waiting = {ActionStatus.WAITING, ActionStatus.BLOCKED}
        moving = [create, *(other for other in self._line(create.line) if other.status in waiting)]
        for action in moving:
            action.status, action.reason = ActionStatus.SKIPPED, Reason.FELL_BACK
            if action is not create:
                action.detail = f"from {action.new.helpdesk} to {name}, with its ticket"
                line = HistoryLine(now, "fell_back", Reason.FELL_BACK, action.detail, action.receipt)
                self._history.append(replace(line, incident=incident.id, action=action.new.id))
        for action in moving:
            names = [one.helpdesk for one in action.new.elsewhere]
            if name not in names:
                self._add_action(_told_elsewhere(action.new, name, now), action.receipt)
                continue
            place = names.index(name)
            left = action.new.elsewhere[place + 1 :]
            for new in action.new.elsewhere[place].actions:
                moved = replace(new, sequence=action.new.sequence, queued_at=now, elsewhere=left)
                self._add_action(moved, action.receipt)
                left = tuple(replace(one, actions=()) for one in left)

    def _remark(self, receipt: str, incident: Incident | None) -> str:
        held = (action for action in self._actions.values() if action.receipt == receipt)
        if any(one.status is ActionStatus.QUEUED and one.reason is Reason.HELD_BY_BRAKE for one in held):
            return "held"
        return "shadow" if incident is not None and Reason.SHADOW.value in incident.reasons else ""

    def _give_reason(self, name: str, reason: Reason) -> None:
        incident = self._incidents.get(name)
        if incident is not None:
            reasons = tuple(dict.fromkeys((*incident.reasons, reason.value)))
            self._incidents[name] = replace(incident, reasons=reasons, version=incident.version + 1)

    def _follow(self, action: _Action) -> None:
        behind = [other for other in self._line(action.line) if other.status is ActionStatus.WAITING]
        if action.status is ActionStatus.DEAD and action.new.kind is ActionKind.CREATE:
            for other in behind:
                other.status = ActionStatus.BLOCKED
        elif behind and not any(other.status in _ACTIVE for other in self._line(action.line)):
            behind[0].status = ActionStatus.UNKNOWN if behind[0].unresolved else ActionStatus.QUEUED

    async def attachment(self, ref: AttachmentRef) -> bytes:
        """The content of an attachment."""
        content = self._attachments.get((ref.receipt, ref.event, ref.index))
        if content is None:
            raise AttachmentGone(f"attachment {ref.filename!r} of receipt {ref.receipt} is gone")
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise AttachmentGone(f"attachment {ref.filename!r} of receipt {ref.receipt} is not the one that was meant")
        return content

    # ----------------------------------------------------------------------------------------------------- operators

    async def requeue(self, ids: Sequence[str], *, now: float) -> list[str]:
        """Send dead letters on their way again."""
        self._check()
        return [name for name in ids if self._requeue_action(name, now) or self._requeue_receipt(name, now)]

    def _requeue_action(self, name: str, now: float) -> bool:
        action = self._actions.get(name)
        if action is None or action.status is not ActionStatus.DEAD:
            return False
        paused = self._paused(action.new.helpdesk, now)
        action.status = ActionStatus.DROPPED  # out of its own way while its place is looked for
        action.status = self._place(action.line)
        if not action.unresolved:
            action.request = b""
        elif action.status is ActionStatus.QUEUED:
            action.status = ActionStatus.UNKNOWN
        action.not_before, action.tries, action.reason = now, 0, Reason.RETRIED_BY_OPERATOR
        action.paused_before = paused - (now - action.new.queued_at)
        if action.new.kind is ActionKind.CREATE:
            for other in self._line(action.line):
                if other.status is ActionStatus.BLOCKED:
                    other.status = ActionStatus.WAITING
                    other.paused_before = paused - (now - other.new.queued_at)
            if action.status is ActionStatus.WAITING and not any(o.status in _ACTIVE for o in self._line(action.line)):
                action.status = ActionStatus.QUEUED
        where = HistoryLine(now, "requeued", Reason.RETRIED_BY_OPERATOR, receipt=action.receipt)
        self._history.append(replace(where, incident=action.new.incident, action=name))
        return True

    def _requeue_receipt(self, name: str, now: float) -> bool:
        held = self._receipts.get(name)
        if held is None or held.status is not ReceiptStatus.DEAD:
            return False
        if held.reason in HELD:
            held.new = replace(held.new, envelope={**held.new.envelope, RELEASED: held.reason.value})
        held.status, held.tries, held.reason, held.detail, held.events = ReceiptStatus.ACCEPTED, 0, None, "", {}
        self._event_keys = {key: first for key, first in self._event_keys.items() if first[0] != name}
        self._history.append(HistoryLine(now, "requeued", Reason.RETRIED_BY_OPERATOR, receipt=name))
        return True

    async def drop(self, ids: Sequence[str], *, now: float, who: str) -> list[str]:
        """Drop dead letters for good."""
        self._check()
        return [name for name in ids if self._drop_action(name, now, who) or self._drop_receipt(name, now, who)]

    def _drop_action(self, name: str, now: float, who: str) -> bool:
        action = self._actions.get(name)
        if action is None or action.status is not ActionStatus.DEAD:
            return False
        ended = [(action, Reason.DROPPED_BY_OPERATOR, who)]
        if action.new.kind is ActionKind.CREATE:
            blocked = [other for other in self._line(action.line) if other.status is ActionStatus.BLOCKED]
            ended += [(other, Reason.CREATE_DROPPED, "") for other in blocked]
            self._close(action.new.incident, now)
        for other, reason, detail in ended:
            other.status, other.reason = ActionStatus.DROPPED, reason
            line = HistoryLine(now, "dropped", reason, detail, other.receipt)
            self._history.append(replace(line, incident=other.new.incident, action=other.new.id))
        return True

    def _close(self, name: str, now: float) -> None:
        incident = self._incidents.get(name)
        if incident is None:
            return
        reasons = tuple(dict.fromkeys((*incident.reasons, Reason.CREATE_DROPPED.value)))
        self._incidents[name] = incident = replace(incident, reasons=reasons, version=incident.version + 1)
        if incident.state is IncidentState.CLOSED:
            return
        self._incidents[name] = replace(incident, state=IncidentState.CLOSED, closed_at=now)
        self._timers = {timer.id: timer for timer in self._timers.values() if timer.incident != name}
        self._history.append(HistoryLine(now, "closed", Reason.CREATE_DROPPED, incident=name))

    def _drop_receipt(self, name: str, now: float, who: str) -> bool:
        held = self._receipts.get(name)
        if held is None or held.status is not ReceiptStatus.DEAD:
            return False
        held.status, held.reason = ReceiptStatus.PROCESSED, Reason.DROPPED_BY_OPERATOR
        self._history.append(HistoryLine(now, "dropped", Reason.DROPPED_BY_OPERATOR, who, name))
        return True

    async def helpdesk_state(self, name: str) -> HelpdeskState:
        """What is remembered of a helpdesk."""
        return self._helpdesks.get(name, HelpdeskState(name))

    async def save_helpdesk_state(self, state: HelpdeskState) -> None:
        """Remember it."""
        self._helpdesks[state.name] = state

    async def open_tickets(self, helpdesk: str, *, limit: int, looked_before: float) -> list[Incident]:
        """Incidents whose ticket was not looked at for longest."""
        self._check()
        found = [
            one
            for one in self._incidents.values()
            if one.helpdesk == helpdesk
            and one.state is not IncidentState.CLOSED
            and one.id in self._tickets
            and self._looked.get(one.id, 0.0) < looked_before
        ]
        found.sort(key=lambda one: self._looked.get(one.id, 0.0))
        return [self._with_ticket(one) for one in found[:limit]]

    async def incidents_of_ticket(self, helpdesk: str, ticket: str) -> list[Incident]:
        """Open incidents of a ticket."""
        self._check()
        return [
            self._with_ticket(one)
            for name, one in sorted(self._incidents.items())
            if one.helpdesk == helpdesk
            and one.state is not IncidentState.CLOSED
            and (ref := self._tickets.get(name)) is not None
            and ticket in {ref.id, ref.number}
            and ref.helpdesk in {"", helpdesk}
        ]

    async def notice(self, noticed: Noticed) -> bool:
        """Write what was read of a ticket."""
        self._check()
        before = noticed.incident
        self._looked[before.id] = noticed.at
        now = self._incidents.get(before.id)
        if now is None or now.version != before.version or now.state is IncidentState.CLOSED:
            return False
        ticket = self._tickets.get(before.id)
        if ticket is None or before.ticket is None or ticket.id != before.ticket.id:
            return False
        actions = [one for one in self._actions.values() if one.new.incident == before.id]
        reopens = [one for one in actions if one.new.kind is ActionKind.REOPEN and one.status is ActionStatus.DEAD]
        ended = [end for one in actions for attempt in one.attempts if (end := attempt.finished_at) is not None]
        if reopens or any(one.status in UNFINISHED for one in actions) or max(ended, default=0.0) >= noticed.began:
            return False
        self._put_touch(before.id, noticed.touch)
        if noticed.becomes is not None:
            self._tickets[before.id] = noticed.becomes
        self._history += noticed.history
        return True

    def _put_touch(self, incident: str, touch: Touch | None) -> None:
        if touch is None:
            self._touches.pop(incident, None)
        else:
            self._touches[incident] = touch

    async def write_history(self, lines: Sequence[HistoryLine]) -> None:
        """Add lines to the timeline."""
        self._history += lines

    async def put_silence(self, silence: Silence) -> None:
        """Keep a silence."""
        self._check()
        self._silences[silence.id] = silence

    async def prune(self, *, now: float, keep: float, keep_links: float, limit: int) -> int:
        """Delete finished receipts that are past their time."""
        self._check()
        held_back = {
            a.receipt
            for a in self._actions.values()
            if (whole := self._actions.get(a.into, a)).status in UNFINISHED or whole.status is ActionStatus.DEAD
        }
        old = [
            name
            for name, held in self._receipts.items()
            if held.status is ReceiptStatus.PROCESSED and held.new.received_at < now - keep and name not in held_back
        ][:limit]
        for name in old:
            del self._receipts[name]
        gone = set(old)
        self._attachments = {key: value for key, value in self._attachments.items() if key[0] not in gone}
        self._forget({a.new.id for a in self._actions.values() if a.receipt in gone})
        self._history = [line for line in self._history if line.receipt not in gone]
        for incident in list(self._incidents.values()):
            if self._is_past(incident, now, keep, keep_links):
                del self._incidents[incident.id]
                self._tickets.pop(incident.id, None)
                self._touches.pop(incident.id, None)
                self._looked.pop(incident.id, None)
                self._participants.pop(incident.id, None)
                self._joined = {key: one for key, one in self._joined.items() if incident.id not in key}
                self._mails = [taken for taken in self._mails if taken.incident != incident.id]
                self._forget({a.new.id for a in self._actions.values() if a.new.incident == incident.id})
                self._history = [line for line in self._history if line.incident != incident.id]
        self._keys = {key: first for key, first in self._keys.items() if first[1] >= now}
        self._event_keys = {k: first for k, first in self._event_keys.items() if first[2] >= now - max(keep, _WEEK)}
        self._tombstones = {key: stone for key, stone in self._tombstones.items() if stone.expires_at >= now}
        self._storms = {key: storm for key, storm in self._storms.items() if storm.expires_at >= now}
        for key, group in list(self._arrivals.items()):
            self._arrivals[key] = {name: new for name, new in group.items() if new.expires_at >= now}
        return len(old)

    def _forget(self, actions: set[str]) -> None:
        for name in actions:
            del self._actions[name]
        self._history = [line for line in self._history if line.action not in actions]

    def _is_past(self, incident: Incident, now: float, keep: float, keep_links: float) -> bool:
        if incident.state is not IncidentState.CLOSED or incident.closed_at is None:
            return False
        if any(
            a.new.incident == incident.id and (a.status in UNFINISHED or a.status is ActionStatus.DEAD)
            for a in self._actions.values()
        ):
            return False
        plan = orjson.loads(self._plans.get(incident.plan, b"{}") or b"{}")
        reopen = plan.get("policy", {}).get("reopen_within", 0.0)
        least = max(keep, reopen, keep_links if incident.id in self._tickets else 0.0)
        return bool(incident.closed_at < now - least)

    async def backup(self, target: str) -> None:
        """There is nothing on disk to copy."""
        raise JournalError(f"a journal in memory cannot be copied to {target}")

    def reader(self) -> Reader:
        """The read side."""
        return _MemoryReader(self)

    async def close(self) -> None:
        """Take nothing more."""
        self._closed = True


def _told_elsewhere(new: NewAction, helpdesk: str, now: float) -> NewAction:
    """A follow-up that does not know this helpdesk: its text, as an append."""
    kind = ActionKind.APPEND
    return replace(
        new,
        id=new_id(),
        helpdesk=helpdesk,
        kind=kind,
        marker=marker_of(cause=new.cause, route=new.route, helpdesk=helpdesk, kind=kind.value, ordinal=new.ordinal),
        draft=replace(new.draft, fields={}, message_name="", reasons=(*new.draft.reasons, Reason.FELL_BACK)),
        queued_at=now,
        elsewhere=(),
    )


def _is_fresh(action: _Action) -> bool:
    """Whether it is an append of which no attempt was ever begun."""
    return action.new.kind is ActionKind.APPEND and not (action.tries or action.fence or action.unresolved)


def _as_receipt(held: _Receipt) -> Receipt:
    new = held.new
    return Receipt(
        id=new.id,
        sequence=held.sequence,
        source=new.source,
        received_at=new.received_at,
        body=new.body,
        content_type=new.content_type,
        headers=new.headers,
        envelope=new.envelope,
        peer=new.peer,
        tries=held.tries,
    )


class _MemoryReader:
    """Implements `Reader` over a `MemoryJournal`."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    def _find(self, prefix: str) -> _Receipt | None:
        held = self._journal._receipts  # noqa: SLF001 - the read side of the same module
        if prefix in held or len(prefix) < 8:
            return held.get(prefix)
        found = [receipt for name, receipt in held.items() if name.startswith(prefix)]
        return found[0] if len(found) == 1 else None

    async def receipt(self, receipt_id: str) -> ReceiptView | None:
        """Everything about one receipt."""
        journal, held = self._journal, self._find(receipt_id)
        if held is None:
            return None
        new = held.new
        events = tuple(_event_view(record) for _, record in sorted(held.events.items()))
        of_events = dict.fromkeys(record.incident for _, record in sorted(held.events.items()) if record.incident)
        further = [
            line.incident
            for line in journal._history  # noqa: SLF001
            if line.receipt == new.id and line.what == "correlated" and line.incident
        ]
        own = {*of_events, *further}
        actions = tuple(
            _action_view(a)
            for a in journal._actions.values()  # noqa: SLF001
            if a.receipt == new.id or (not a.receipt and a.new.incident in own)
        )
        names = {action.id for action in actions}
        lines = [
            line
            for line in journal._history  # noqa: SLF001
            if line.receipt == new.id
            or line.action in names
            or (line.what in {"timer", "ticket"} and not line.receipt and line.incident in own)
        ]
        ids = dict.fromkeys([*of_events, *further, *(action.incident for action in actions)])
        found = [await self.incident(name) for name in ids]
        digests = dict.fromkeys(one.digest for one in found if one is not None and one.is_told_by_digest)
        found += [await self.incident(name) for name in digests if name not in ids]
        incidents = tuple(incident for incident in found if incident is not None)
        speaking = {*of_events, *(one.digest for one in incidents if one.id in of_events)}
        return ReceiptView(
            id=new.id,
            source=new.source,
            received_at=new.received_at,
            peer=new.peer,
            content_type=new.content_type,
            size=len(new.body),
            status=held.status,
            reason=held.reason,
            detail=held.detail,
            tries=held.tries,
            warnings=tuple(held.warnings),
            envelope=dict(new.envelope),
            events=events,
            actions=actions,
            incidents=incidents,
            ticket=next((one.ticket for one in incidents if one.ticket and one.id in speaking), None),
            timeline=(
                HistoryLine(new.received_at, "accepted", receipt=new.id),
                *sorted(lines, key=lambda line: line.at),
            ),
        )

    async def body(self, receipt_id: str) -> Receipt | None:
        """The receipt with its bytes."""
        held = self._find(receipt_id)
        return _as_receipt(held) if held else None

    async def receipts(self, *, limit: int, source: str = "", status: str = "", before: str = "") -> list[ReceiptLine]:
        """The newest receipts first."""
        journal = self._journal
        end = self._find(before) if before else None
        if before and end is None:
            return []
        lines: list[ReceiptLine] = []
        for held in sorted(journal._receipts.values(), key=lambda held: -held.sequence):  # noqa: SLF001
            if (end is not None and held.sequence >= end.sequence) or (source and held.new.source != source):
                continue
            if status and held.status.value != status:
                continue
            first = held.events[min(held.events)] if held.events else None
            ticket = journal._ticket_of(first.incident) if first else None  # noqa: SLF001
            incident = journal._incidents.get(first.incident) if first else None  # noqa: SLF001
            lines.append(
                ReceiptLine(
                    id=held.new.id,
                    source=held.new.source,
                    received_at=held.new.received_at,
                    status=held.status,
                    kind=first.event.kind.value if first else "",
                    title=first.event.title if first else "",
                    reason=(held.reason.value if held.reason else "") or (first.reason.value if first else ""),
                    ticket=ticket.number if ticket else "",
                    remark=journal._remark(held.new.id, incident) if ticket is None else "",  # noqa: SLF001
                ),
            )
        return lines[:limit]

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident by its id."""
        incident = self._journal._incidents.get(incident_id)  # noqa: SLF001
        return self._journal._with_ticket(incident) if incident else None  # noqa: SLF001

    async def request(self, action_id: str) -> bytes | None:
        """The stored request of an action."""
        action = self._journal._actions.get(action_id)  # noqa: SLF001
        return action.request or None if action is not None else None

    async def helpdesks(self) -> list[HelpdeskState]:
        """What is remembered of each helpdesk."""
        return list(self._journal._helpdesks.values())  # noqa: SLF001

    async def silences(self) -> list[Silence]:
        """All silences that are kept."""
        kept = self._journal._silences.values()  # noqa: SLF001
        return sorted(kept, key=lambda silence: (silence.ends_at, silence.id))

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """All that waits for a person, oldest first."""
        journal = self._journal
        letters: list[DeadLetter] = []
        for held in journal._receipts.values():  # noqa: SLF001
            if held.status is ReceiptStatus.DEAD and held.reason is not None:
                title = held.events[min(held.events)].event.title if held.events else ""
                name, since = held.new.id, held.new.received_at
                letters.append(
                    DeadLetter("receipt", name, name, held.new.source, "", title, held.reason, held.detail, since),
                )
        for action in journal._actions.values():  # noqa: SLF001
            if action.status is ActionStatus.DEAD:
                new = action.new
                origin = journal._receipts.get(action.receipt)  # noqa: SLF001
                blocked = sum(a.status is ActionStatus.BLOCKED for a in journal._line(action.line))  # noqa: SLF001
                letters.append(
                    DeadLetter(
                        "action", new.id, action.receipt, origin.new.source if origin else "", new.helpdesk,
                        new.draft.title, action.reason, action.detail, action.dead_at,
                        blocked if new.kind is ActionKind.CREATE else 0,
                    ),
                )  # fmt: skip
        return sorted(letters, key=lambda letter: letter.since)[:limit]

    async def counts(self) -> Counts:
        """Figures of now."""
        journal = self._journal
        receipts = list(journal._receipts.values())  # noqa: SLF001
        actions = list(journal._actions.values())  # noqa: SLF001
        waiting = [held.new.received_at for held in receipts if held.status is ReceiptStatus.ACCEPTED]
        moving: dict[str, list[float]] = {}
        for action in actions:
            if action.status in UNFINISHED - {ActionStatus.BLOCKED}:
                moving.setdefault(action.new.helpdesk, []).append(action.new.queued_at)
        return Counts(
            receipts_waiting=len(waiting),
            oldest_receipt=min(waiting, default=None),
            actions_waiting={name: len(ages) for name, ages in moving.items()},
            oldest_action={name: min(ages) for name, ages in moving.items()},
            held=dict(
                Counter(
                    action.new.helpdesk
                    for action in actions
                    if action.status is ActionStatus.QUEUED and action.reason is Reason.HELD_BY_BRAKE
                )
            ),
            dead_receipts=sum(held.status is ReceiptStatus.DEAD for held in receipts),
            dead_actions=sum(action.status is ActionStatus.DEAD for action in actions),
            blocked_actions=sum(action.status is ActionStatus.BLOCKED for action in actions),
            open_incidents=sum(i.state is not IncidentState.CLOSED for i in journal._incidents.values()),  # noqa: SLF001
        )


def _event_view(record: EventRecord) -> EventView:
    decision: Mapping[str, object] = orjson.loads(record.decision)
    return EventView(
        index=record.index,
        event=event_to_json(record.event),
        reason=record.reason,
        route=record.route,
        incident=record.incident,
        decision=decision,
        duplicate_of=record.duplicate_of,
    )


def _action_view(action: _Action) -> ActionView:
    new = action.new
    return ActionView(
        id=new.id,
        incident=new.incident,
        helpdesk=new.helpdesk,
        kind=new.kind,
        status=action.status,
        reason=action.reason,
        flags=tuple(action.flags),
        marker=new.marker,
        route=new.route,
        sequence=new.sequence,
        receipt=action.receipt,
        queued_at=new.queued_at,
        not_before=action.not_before,
        tries=action.tries,
        title=new.draft.title,
        detail=action.detail,
        attempts=tuple(action.attempts),
        coalesced_into=action.into,
    )
