"""Incidents: our memory of one correlation key."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.event import Severity


class IncidentState(StrEnum):
    """Where an incident stands."""

    PENDING = "pending"
    OPEN = "open"
    RECOVERING = "recovering"
    CLOSED = "closed"


class TimerKind(StrEnum):
    """What is due when a timer of an incident fires."""

    CONFIRM = "confirm"  # the problem has lasted: its ticket is made
    HOLD = "hold"  # the recovery has lasted: the incident closes
    ESCALATE = "escalate"  # nobody has acknowledged it
    EXPIRE = "expire"  # nothing was heard of it
    CALM = "calm"  # it has not changed for a while: it flaps no more
    DIGEST = "digest"  # a storm's ticket is told what is new


@dataclass(frozen=True, slots=True)
class Deadline:
    """A timer of an incident. There is at most one of each kind."""

    kind: TimerKind
    due_at: float


@dataclass(frozen=True, slots=True)
class Member:
    """One (source, source key) that takes part in an incident.

    ``problem_id`` is the episode that is running or ended last; ``last_problem_at`` and ``recovered_at`` are instants
    of the sender's clock where it bears a zone (``clock`` true), else of receipt. ``title``, ``host``, ``service`` and
    ``severity`` are what its last problem said, for people; ``group`` is the sender's group in which it came.
    """

    source: str
    origin_key: str
    in_problem: bool
    problem_id: str = ""
    last_problem_at: float = 0.0
    recovered_at: float = 0.0
    clock: bool = False
    title: str = ""
    host: str = ""
    service: str = ""
    severity: Severity = Severity.UNKNOWN
    group: str = ""


@dataclass(frozen=True, slots=True)
class TicketRef:
    """A ticket in a helpdesk.

    ``fingerprint`` names the instance (URL and what the helpdesk says of itself); ``id`` is what calls need, ``number``
    what people see; ``anchor`` is what the connector needs to find the ticket's thread again (osTicket: the Message-ID
    of the create); ``requester`` is the address that owns the ticket.
    """

    helpdesk: str
    id: str
    number: str
    url: str = ""
    anchor: str = ""
    requester: str = ""
    fingerprint: str = ""


class Deed(StrEnum):
    """What a person did to a ticket."""

    WORKED = "worked"  # answered, took or changed it
    CLOSED = "closed"  # closed it while the problem lasts
    REMOVED = "removed"  # deleted it, or put it where we cannot see it


@dataclass(frozen=True, slots=True)
class Touch:
    """What a person did to the ticket of an incident last, as far as it matters, and when we learned of it."""

    deed: Deed
    at: float


@dataclass(frozen=True, slots=True)
class Incident:
    """Our memory of one correlation key.

    ``plan`` is the digest of the route, policy and templates that were in force when it was opened: followers use
    those. ``version`` rises with every change by correlation; ``ticket`` is written by delivery and does not touch it.
    ``sequence`` is the number of actions issued so far. ``timers`` are what is due later, in no order; the journal's timers are
    those of its incidents. ``worst`` is the worst severity that its ticket was told, or would have been. ``changes`` are the last
    instants at which it began or ended, as far as that is watched; while ``flapping`` its ticket is left in peace. ``touch`` is
    what a person did to the ticket; it is written as ``ticket`` is, and by who watches the helpdesk.

    ``storm`` is the key of the group in which its ticket counts towards a storm; ``digest`` is the incident whose ticket tells of
    it, which a digest is to itself; ``news`` are lines that a digest has to tell.
    """

    id: str
    key: str
    state: IncidentState
    version: int
    route: str
    helpdesk: str
    plan: str
    severity: Severity
    title: str
    host: str
    service: str
    occurrences: int
    sequence: int
    opened_at: float
    last_event_at: float
    last_appended_at: float
    closed_at: float | None = None
    members: tuple[Member, ...] = ()
    ticket: TicketRef | None = None
    reasons: tuple[str, ...] = field(default=())
    timers: tuple[Deadline, ...] = ()
    worst: Severity = Severity.UNKNOWN
    changes: tuple[float, ...] = ()
    flapping: bool = False
    touch: Touch | None = None
    storm: str = ""
    digest: str = ""
    news: tuple[str, ...] = ()

    @property
    def is_digest(self) -> bool:
        """Whether it tells of a storm."""
        return bool(self.digest) and self.digest == self.id

    @property
    def is_told_by_digest(self) -> bool:
        """Whether it has no ticket of its own because a storm's digest tells of it."""
        return bool(self.digest) and self.digest != self.id

    def due_at(self, kind: TimerKind) -> float | None:
        """When the timer of this kind is due; None if there is none."""
        return next((timer.due_at for timer in self.timers if timer.kind is kind), None)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A recovery that found no incident, or ended an episode that has an id: (key, time, episode), kept for a day.

    ``source`` is empty where it is not known; then the key alone says whose it is.
    """

    key: str
    origin_key: str
    problem_id: str
    at: float
    clock: bool
    expires_at: float
    source: str = ""
