"""What a journal promises, for every implementation alike (``tests/journal`` is the contract suite).

A journal owns receipts, bodies, events, incidents, members, mails, participants, tombstones, plans, actions, attempts,
attachments, timers, helpdesk states, history and meta. All methods are coroutines; a method that writes returns only after
its transaction is durable. Instants are passed in, never read from a clock.

**Ownership.** The SQLite journal belongs to one process at a time (an OS lock; opening a second time raises
`JournalOwned`). Leases and fences exist all the same, since the PostgreSQL journal serves several nodes.

**Faults.** `JournalFull`: no room; nothing was written, try later. `JournalBroken`: an I/O error at commit or fsync; the
journal takes nothing more and the process must end. Neither may be swallowed.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.model.action import Action, ActionKind, ActionStatus, AttachmentRef, NewAction, Outcome, TicketDraft
from gateway.model.brake import Allowance, BrakeView, Held
from gateway.model.event import Event
from gateway.model.incident import Incident, TicketRef, Tombstone, Touch
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt, Receipt, ReceiptStatus
from gateway.model.silence import Silence
from gateway.model.storm import StormChange, StormGroup, StormMember, StormRow, StormTold

RELEASED = "released"
"""Envelope entry of a receipt that was held back until an operator let it through: the reason why it was held."""

UNBOUNDED = 2**63 - 1
"""Octets that nothing reaches."""


class JournalError(Exception):
    """A journal cannot do what was asked."""


class JournalFull(JournalError):
    """There is no room; nothing was written. It may be tried again when there is."""


class JournalBroken(JournalError):
    """A commit or fsync failed; what is on disk is not known. The process must end and a new one look."""


class JournalOwned(JournalError):
    """Another process owns this journal. The message names its process id where it is known."""


class AttachmentGone(JournalError):
    """The content of an attachment is gone or is not what was stored. The message names the file."""


class JournalTooNew(JournalError):
    """The schema was written by a newer version of the program."""


# ------------------------------------------------------------------------------------------------------- processing


@dataclass(frozen=True, slots=True)
class Arrival:
    """A receipt that counted against a rate. ``key`` names whose; ``held`` says that it was not let through."""

    key: str
    receipt: str
    at: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class NewArrival:
    """An arrival to be kept until ``expires_at``, as long as it is among the ``keep`` newest of its key."""

    arrival: Arrival
    keep: int
    expires_at: float


INCIDENT_RATE = "incident "
"""Begins the key of arrivals that count against an incident; its id follows."""


@dataclass(frozen=True, slots=True)
class ThreadLookup:
    """By what mails say that they belong to known incidents; only asked for where a mail says so.

    ``incidents`` are ids; ``mails`` are (source, Message-ID); ``markers`` of actions; ``tickets`` are (helpdesk, number).
    """

    incidents: frozenset[str] = frozenset()
    mails: frozenset[tuple[str, str]] = frozenset()
    markers: frozenset[str] = frozenset()
    tickets: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownThreads:
    """The answer to a `ThreadLookup`, open and closed incidents alike.

    * ``incidents``: by their ids all that are named below, and those that were asked for.
    * ``mails``, ``tickets``: the ids of the incidents that took in this mail, or have this ticket; the newest first.
    * ``markers``: the id of the incident that the action with this marker belongs to.
    * ``participants``: per incident the addresses of those who take part in it.
    * ``open_keys``: of the closed ones' keys those under which another incident is open.
    """

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    mails: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    markers: Mapping[str, str] = field(default_factory=dict)
    tickets: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    participants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    open_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MailTaken:
    """A mail that an incident took in: its Message-ID (or empty), and who takes part in the incident by it.

    Kept are the newest `MOST_MAILS` Message-IDs and the first `MOST_PARTICIPANTS` addresses of an incident.
    """

    incident: str
    source: str
    message_id: str
    participants: tuple[str, ...] = ()


MOST_MAILS = 500
"""Message-IDs of mails that are kept per incident."""
MOST_PARTICIPANTS = 100
"""Addresses that are kept per incident; who was there first stays, so that a flood pushes nobody out."""


REMEMBERED = 86400.0
"""Seconds for which the closed incident of a host matters to its services."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What correlation must know before it can decide on a batch of receipts.

    ``members`` are (source, origin key); ``duplicates`` are (source, duplicate key found in the payload);
    ``plans`` are digests of stored plans; ``rates`` are keys of arrivals. ``hosts`` are those whose own incidents matter.
    ``storms`` are keys of groups, ``digests`` ids of incidents that tell of storms.
    """

    keys: frozenset[str] = frozenset()
    members: frozenset[tuple[str, str]] = frozenset()
    duplicates: frozenset[tuple[str, str]] = frozenset()
    rates: frozenset[str] = frozenset()
    threads: ThreadLookup | None = None
    hosts: frozenset[str] = frozenset()
    storms: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Variant:
    """An action as it is at another helpdesk, to which its incident may fall back."""

    helpdesk: str
    kind: ActionKind
    draft: TicketDraft


@dataclass(frozen=True, slots=True)
class HeldAction:
    """An action that waits for a timer, rendered when its event came. ``receipt`` is that event's.

    ``variants`` are the same for other helpdesks; none where the incident has its ticket.
    """

    kind: ActionKind
    draft: TicketDraft
    reason: Reason
    receipt: str = ""
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """The answer to a `Lookup`.

    * ``by_key``: per key the incident that is not closed, else the one closed last; keys without any are absent.
    * ``by_member``: per member the incidents that are **not closed** and that it takes part in.
    * ``tombstones``: per key those that have not expired.
    * ``duplicates``: (source, duplicate key) -> (receipt id, event index) of the first event that bore it.
    * ``plans``: digest -> stored plan, for every incident in this answer.
    * ``arrivals``: per key of ``rates`` what is kept, the newest first; and if any was asked for, of every incident in
      this answer too, under `INCIDENT_RATE` and its id.
    * ``of_hosts``: incidents of these hosts that are of no service: open, or closed less than `REMEMBERED` ago.
    * ``held``: (incident, kind of timer) -> what that timer keeps, for the incidents in this answer.
    * ``storms``: the groups that were asked for, and those of pending incidents in this answer; unknown ones are absent.
    * ``digests``: those that were asked for, and those of these groups and of the incidents in this answer.
    """

    by_key: Mapping[str, Incident] = field(default_factory=dict)
    by_member: Mapping[tuple[str, str], tuple[Incident, ...]] = field(default_factory=dict)
    tombstones: Mapping[str, tuple[Tombstone, ...]] = field(default_factory=dict)
    duplicates: Mapping[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    plans: Mapping[str, bytes] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[Arrival, ...]] = field(default_factory=dict)
    threads: KnownThreads = field(default_factory=KnownThreads)
    held: Mapping[tuple[str, str], HeldAction] = field(default_factory=dict)
    of_hosts: tuple[Incident, ...] = ()
    storms: Mapping[str, StormGroup] = field(default_factory=dict)
    digests: tuple[Incident, ...] = ()


ALSO = "also route "
"""Begins the detail of a line that tells what became of an event under a further route; the route's name follows."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the timeline. ``what`` is the transition (``accepted``, ``parsed``, ``routed``, ``opened``, ...)."""

    at: float
    what: str
    reason: Reason | None = None
    detail: str = ""
    receipt: str = ""
    event: int | None = None
    incident: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event with what became of it. ``decision`` is the serialised `Decision` with its trace (JSON).

    ``duplicate_of`` is (receipt id, event index) of the event that this one repeats. ``keep_attachments`` is false for
    an event whose attachments nobody will send (dropped, duplicate).
    """

    index: int
    event: Event
    reason: Reason
    route: str = ""
    incident: str = ""
    decision: bytes = b"{}"
    duplicate_of: tuple[str, int] | None = None
    keep_attachments: bool = True


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """An incident as it shall stand. ``expected_version`` None inserts it, else the stored version must be that.

    The ticket of ``incident`` is not written: delivery owns it.
    """

    incident: Incident
    expected_version: int | None


@dataclass(frozen=True, slots=True)
class NewTimer:
    """A timer of an incident; ``kind`` tells the state machine what is due, ``held`` is what then is to be issued."""

    id: str
    incident: str
    kind: str
    due_at: float
    held: HeldAction | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that is due, with its incident as it stands."""

    id: str
    kind: str
    due_at: float
    incident: Incident
    held: HeldAction | None = None


@dataclass(frozen=True, slots=True)
class Processed:
    """All that processing one receipt (or firing one timer: ``timer`` set, ``receipt`` empty) wants written, at once.

    A dead receipt has ``dead`` set, with ``detail`` for people, and stays replayable. ``arrivals`` are what the receipt
    counted against. ``storms`` are groups that change, ``joined`` incidents that a digest tells of from now on, ``told`` what it
    has told of them.
    """

    receipt: str
    events: tuple[EventRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    incidents: tuple[IncidentChange, ...] = ()
    actions: tuple[NewAction, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    plans: Mapping[str, bytes] = field(default_factory=dict)
    timers: tuple[NewTimer, ...] = ()
    cancelled_timers: tuple[str, ...] = ()
    history: tuple[HistoryLine, ...] = ()
    dead: Reason | None = None
    detail: str = ""
    timer: str = ""
    arrivals: tuple[NewArrival, ...] = ()
    mails: tuple[MailTaken, ...] = ()
    storms: tuple[StormChange, ...] = ()
    joined: tuple[StormMember, ...] = ()
    told: tuple[StormTold, ...] = ()


class CommitResult(StrEnum):
    """What became of one `Processed` of a batch."""

    COMMITTED = "committed"
    CONFLICT = "conflict"  # a version or uniqueness conflict; nothing of it was written; correlate it again
    GONE = "gone"  # the receipt was processed (or the timer fired or cancelled) by somebody else


# --------------------------------------------------------------------------------------------------------- delivery


@dataclass(frozen=True, slots=True)
class Intent:
    """The intent of an action's first attempt, written in the transaction that makes the action.

    ``action`` is its id; the rest is as in `Journal.begin_attempt`. The attempt bears the fence `FIRST_FENCE`.
    """

    action: str
    request: bytes
    started_at: float
    deadline: float
    resolve_at: float


FIRST_FENCE = 1
"""The fence of an action's first attempt."""


MOST_BEHIND = 50
"""Follow-ups that a claimed one is told to have right behind it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Follow-ups that become a part of the one whose attempt begins.

    ``draft`` is its own from now on; ``actions`` are the ids of those that it takes, in their order.
    """

    draft: TicketDraft
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FinishedAttempt:
    """The outcome of an attempt and what follows from it.

    ``status`` is what the action is now; with QUEUED or UNKNOWN it may be claimed again from ``not_before`` on. A
    delivered ``ticket`` becomes the incident's ticket. ``burnt`` is false for an attempt that does not count (the
    helpdesk is paused). ``degraded`` replaces the action's list of left-out fields; ``flags`` are added to the action.
    ``request`` is what would have been sent, for a claim that ends without an attempt: it is kept like a sent one. A create that
    is skipped with the reason `shadow` puts that reason on its incident, whose version rises.

    ``falls_back_to`` names one of the action's fallbacks: ``status`` is SKIPPED then, and in the same transaction the incident
    moves to that helpdesk and plan, with what is done there in place of the action and of all that waits behind it, in order.
    """

    action: str
    fence: int
    finished_at: float
    outcome: Outcome
    status: ActionStatus
    not_before: float = 0.0
    burnt: bool = True
    degraded: tuple[str, ...] | None = None
    history: tuple[HistoryLine, ...] = ()
    request: bytes | None = None
    falls_back_to: str = ""

    @property
    def reason(self) -> Reason:
        """Why the action is what it is now."""
        return Reason.FELL_BACK if self.falls_back_to else self.outcome.reason

    @property
    def detail(self) -> str:
        """That in words."""
        return f"to {self.falls_back_to}: {self.outcome.detail}" if self.falls_back_to else self.outcome.detail


@dataclass(frozen=True, slots=True)
class Noticed:
    """What was read of the ticket of an open incident at ``at``; the reading ``began`` before.

    ``incident`` is as it was before the ticket was read. Only if it still stands so, no action of it is under way, and none has
    ended since the reading began, is anything concluded: ``touch`` (None: nobody did anything) and ``becomes`` (the ticket is
    another one now) are what holds from now on, and ``history`` tells of it. Else only the reading itself counts.
    """

    incident: Incident
    at: float
    touch: Touch | None = None
    becomes: TicketRef | None = None
    history: tuple[HistoryLine, ...] = ()
    began: float = math.inf


@dataclass(frozen=True, slots=True)
class HelpdeskState:
    """What is remembered of a helpdesk over restarts.

    ``paused_since`` is set while its queue stands still: credentials refused, or the word of the operator ``paused_by``;
    ``paused_reason`` says why. ``paused_total`` are the seconds of all earlier pauses, so that ages can stand still meanwhile.
    ``braking_since`` is set while creates are held back; those that were queued at or before ``free_until`` never are.
    """

    name: str
    fingerprint: str = ""
    paused_since: float | None = None
    paused_reason: str = ""
    paused_total: float = 0.0
    paused_by: str = ""
    braking_since: float | None = None
    free_until: float = 0.0


# -------------------------------------------------------------------------------------------------------- read side


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as it is shown. ``event`` is its JSON form without attachment contents."""

    index: int
    event: Mapping[str, object]
    reason: Reason
    route: str
    incident: str
    decision: Mapping[str, object]
    duplicate_of: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt as it is shown."""

    number: int
    started_at: float
    deadline: float
    finished_at: float | None
    outcome: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ActionView:
    """An action as it is shown.

    ``reason`` is that of the last thing that happened to it; ``flags`` begin with why it was made, then name what was
    done otherwise than asked, and what delivery found. ``coalesced_into`` is the id of the action that it became a part of.
    """

    id: str
    incident: str
    helpdesk: str
    kind: ActionKind
    status: ActionStatus
    reason: Reason
    flags: tuple[str, ...]
    marker: str
    route: str
    sequence: int
    receipt: str
    queued_at: float
    not_before: float
    tries: int
    title: str
    detail: str
    attempts: tuple[AttemptView, ...]
    coalesced_into: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """A receipt with all that became of it.

    ``incidents`` are those of its events, then those that its events went to under further routes. ``ticket`` is that of the
    first of the events' own incidents that has one.
    """

    id: str
    source: str
    received_at: float
    peer: str
    content_type: str
    size: int
    status: ReceiptStatus
    reason: Reason | None
    detail: str
    tries: int
    warnings: tuple[str, ...]
    envelope: Mapping[str, str]
    events: tuple[EventView, ...]
    actions: tuple[ActionView, ...]
    incidents: tuple[Incident, ...]
    ticket: TicketRef | None
    timeline: tuple[HistoryLine, ...]


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """A receipt in a list. ``remark`` is why there is no ticket: `shadow`, or `held` by a brake."""

    id: str
    source: str
    received_at: float
    status: ReceiptStatus
    kind: str
    title: str
    reason: str
    ticket: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What waits for a person: a receipt (``what`` = ``receipt``) or an action (``action``).

    ``blocked`` counts the followers that wait behind a dead create.
    """

    what: str
    id: str
    receipt: str
    source: str
    helpdesk: str
    title: str
    reason: Reason
    detail: str
    since: float
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Figures for metrics, health and admission. Ages are instants of the oldest entry, None if there is none."""

    receipts_waiting: int
    oldest_receipt: float | None
    actions_waiting: Mapping[str, int]  # per helpdesk: queued, waiting, unknown and in flight
    oldest_action: Mapping[str, float]
    dead_receipts: int
    dead_actions: int
    blocked_actions: int
    open_incidents: int
    held: Mapping[str, int] = field(default_factory=dict)  # creates that the brakes hold, per helpdesk


class Reader(Protocol):
    """The read side, on its own connection: it never delays a writer and is never delayed by one."""

    async def receipt(self, receipt_id: str) -> ReceiptView | None:
        """Everything about one receipt, or None. A unique prefix of at least 8 characters is enough."""
        ...

    async def body(self, receipt_id: str) -> Receipt | None:
        """The receipt with its bytes, for explain and replay."""
        ...

    async def receipts(self, *, limit: int, source: str = "", status: str = "", before: str = "") -> list[ReceiptLine]:
        """The newest receipts first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident by its id."""
        ...

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        """All that waits for a person, oldest first."""
        ...

    async def counts(self) -> Counts:
        """Figures of now."""
        ...

    async def request(self, action_id: str) -> bytes | None:
        """The stored request of an action, as it was sent or would have been; None if there is none."""
        ...

    async def helpdesks(self) -> list[HelpdeskState]:
        """What is remembered of each helpdesk that anything is remembered of."""
        ...

    async def silences(self) -> list[Silence]:
        """All silences that are kept, also those that are over; those that end first come first."""
        ...


class Journal(Protocol):
    """The write side. See the module's docstring for what holds for all of it."""

    async def accept(self, new: NewReceipt, *, claim: bool = False) -> Accepted:
        """Make a receipt durable, or recognise it as a repeat of an earlier one (then nothing is written).

        With ``claim`` the caller takes it on at once: it is stored with its first try counted and
        `claim_receipts` of this process does not give it out. Receipts get ascending sequence numbers in the order of
        the calls.
        """
        ...

    def accept_soon(self, new: NewReceipt, *, claim: bool = False) -> "asyncio.Future[list[Accepted]] | None":
        """`accept` for a caller that runs no coroutine: the future brings its answer, alone in a list.

        None where only `accept` can take it (a large body). Raises what `accept` raises before it waits.
        """
        ...

    async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
        """Make several receipts durable in one transaction: all or none."""
        ...

    async def probe(self, now: float) -> None:
        """Do one real durable write (readiness)."""
        ...

    async def claim_receipts(self, *, limit: int, now: float, lease: float, octets: int = UNBOUNDED) -> list[Receipt]:
        """Take unclaimed accepted receipts in sequence order; their try is counted before this returns.

        At most ``limit``, and no more once their bodies together reach ``octets``; one that waits is always taken.
        """
        ...

    async def release_receipt(self, receipt_id: str, *, now: float) -> None:
        """Give a claimed receipt back (its parse ran out of time, or we stop); its counted try stays."""
        ...

    async def know(self, lookup: Lookup, now: float) -> Known:
        """Answer what correlation must know. Sees everything committed so far."""
        ...

    async def commit_processed(self, batch: Sequence[Processed]) -> list[CommitResult]:
        """Write each `Processed` wholly or not at all; one that fails does not touch its neighbours.

        Actions whose marker exists are left as they are. An action of an incident that has unfinished earlier ones
        (same helpdesk) is stored WAITING (BLOCKED behind a dead create), else QUEUED.
        """
        ...

    async def commit_and_begin(self, processed: Processed, intent: Intent) -> tuple[CommitResult, bool]:
        """Write a `Processed` and begin the first attempt of one of its creates, in one transaction.

        True if the attempt is begun and the caller's to finish. False if something stands before it (another action of
        its incident, a create of a requester that is not known yet): then this is `commit_processed` and no more.
        """
        ...

    async def plans(self, digests: Sequence[str]) -> dict[str, bytes]:
        """The stored plans with these digests, for `due_timers`; unknown ones are absent."""
        ...

    async def storm_rows(self, digests: Sequence[str]) -> dict[str, tuple[StormRow, ...]]:
        """The incidents that these digests tell of, as they stand now, in the order of their ids; those without any are absent."""
        ...

    async def due_timers(self, *, now: float, limit: int) -> list[Timer]:
        """Timers due at ``now`` for which no receipt received up to their due time is still unprocessed."""
        ...

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
        """Take QUEUED and UNKNOWN actions that are due, oldest first; at most one per incident is ever given out.

        A create is not given out while another create of the same (helpdesk, requester) is in flight or unknown,
        until one for that requester was delivered. At most ``creates`` QUEUED creates are given out that are not free: what
        was queued at or before ``free_until``, or is the brake's own word (`gateway.model.brake.CAUSE`). A claim that is
        neither begun nor released ends with its lease.
        An append without any attempt is told the appends right behind it that have none either (`Action.behind`), at most
        `MOST_BEHIND`, up to the first action of another kind.
        """
        ...

    async def claim_overdue(
        self, helpdesk: str, *, limit: int, now: float, lease: float, paused_total: float
    ) -> list[Action]:
        """Take QUEUED creates, due or not, that have waited for longer than their first fallback's ``after``.

        None of which an attempt's outcome is unknown, and none that a brake holds back. ``paused_total`` are the seconds of the
        helpdesk's pauses that are over: those in the action's life do not count. The claim is like one of `claim_actions`.
        """
        ...

    async def brake(self, helpdesk: str, allowance: Allowance, *, now: float, first: int) -> BrakeView:
        """How a helpdesk's brake stands, with the ``first`` creates that wait. What is claimed counts as begun."""
        ...

    async def hold_creates(self, helpdesk: str, *, free_until: float, left: int, now: float, limit: int) -> Held:
        """Give up to ``limit`` creates that are due, not free, and not among the ``left`` oldest the reason `held_by_brake`, once.

        A held create whose incident is closed, that was never tried, and behind which nothing waits but repeats and what tells
        that the problem is over, ends with its followers as SKIPPED, `recovered_while_held`; its incident gets that reason.
        """
        ...

    async def release_action(self, action_id: str, *, fence: int) -> None:
        """Give a claimed action back untouched."""
        ...

    async def begin_attempt(
        self,
        action_id: str,
        *,
        fence: int,
        request: bytes,
        started_at: float,
        deadline: float,
        resolve_at: float,
        merge: Merge | None = None,
    ) -> bool:
        """Write the intent. False if the fence is not the action's next one (somebody else has it): do not call.

        ``request`` is what will be sent, as the connector serialised it; it is given back as `Action.request` on every
        later claim. After a crash the action is UNKNOWN and due at ``resolve_at``. Those of ``merge`` become SKIPPED
        (`coalesced_into`) in the same transaction; if one of them does not wait untouched any more, nothing is written
        and the answer is False.
        """
        ...

    async def finish_attempt(self, finished: FinishedAttempt) -> bool:
        """Write the outcome, fenced. Delivered: the incident's ticket is set and its next action is QUEUED.

        A dead CREATE turns the incident's WAITING actions to BLOCKED; any other finished or dead action releases the
        next one. False if the fence is stale; then nothing is written.
        """
        ...

    async def attachment(self, ref: AttachmentRef) -> bytes:
        """The content of an attachment; raises `AttachmentGone` if it is gone or its digest is not the stored one."""
        ...

    async def requeue(self, ids: Sequence[str], *, now: float) -> list[str]:
        """Send dead letters (actions or receipts) on their way again; gives back the ids it knew as dead.

        A requeued create takes its BLOCKED followers back to WAITING. A requeued receipt starts with no tries; if it
        was held back (`gateway.model.reasons.HELD`), its envelope says so from now on under `RELEASED`.
        """
        ...

    async def drop(self, ids: Sequence[str], *, now: float, who: str) -> list[str]:
        """Drop dead letters for good, with history; gives back the ids it knew as dead.

        Dropping a create ends its followers with `create_dropped` and closes its incident.
        """
        ...

    async def helpdesk_state(self, name: str) -> HelpdeskState:
        """What is remembered of a helpdesk; a fresh state for an unknown name."""
        ...

    async def save_helpdesk_state(self, state: HelpdeskState) -> None:
        """Remember it."""
        ...

    async def open_tickets(self, helpdesk: str, *, limit: int, looked_before: float) -> list[Incident]:
        """Incidents that are not closed, with a ticket in this helpdesk that was not looked at since; the oldest look first."""
        ...

    async def incidents_of_ticket(self, helpdesk: str, ticket: str) -> list[Incident]:
        """Incidents that are not closed whose ticket in this helpdesk has this id or number."""
        ...

    async def notice(self, noticed: Noticed) -> bool:
        """Write what was read of a ticket. False if nothing was concluded, because the incident stands otherwise now."""
        ...

    async def write_history(self, lines: Sequence[HistoryLine]) -> None:
        """Add lines to the timeline outside of any other transition."""
        ...

    async def put_silence(self, silence: Silence) -> None:
        """Keep a silence, new or changed."""
        ...

    async def prune(self, *, now: float, keep: float, keep_links: float, limit: int) -> int:
        """Delete up to ``limit`` finished receipts older than ``keep`` seconds, with what belongs to them.

        Never unfinished work, dead letters, or incidents that are not closed or were closed less than
        max(keep, their reopen window) ago. Duplicate keys live at least 7 days. Gives back the number deleted.
        """
        ...

    async def backup(self, target: str) -> None:
        """Write a consistent copy, body files included, into the new folder ``target``."""
        ...

    def reader(self) -> Reader:
        """The read side."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then let go of the file."""
        ...
