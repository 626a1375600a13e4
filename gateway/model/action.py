"""Actions and attempts: what we want of a helpdesk, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason


class ActionKind(StrEnum):
    """What we want of a helpdesk."""

    CREATE = "create"
    APPEND = "append"
    CLOSE = "close"
    REOPEN = "reopen"
    UPDATE = "update"


class ActionStatus(StrEnum):
    """Where an action stands."""

    WAITING = "waiting"  # behind an earlier action of the same incident
    QUEUED = "queued"  # may be claimed from `not_before` on
    IN_FLIGHT = "in_flight"  # an intent is on disk and no outcome yet
    UNKNOWN = "unknown"  # may have been written; is looked up from `not_before` on
    BLOCKED = "blocked"  # behind a dead create
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    DEAD = "dead"
    DROPPED = "dropped"


UNFINISHED = frozenset(
    {
        ActionStatus.WAITING,
        ActionStatus.QUEUED,
        ActionStatus.IN_FLIGHT,
        ActionStatus.UNKNOWN,
        ActionStatus.BLOCKED,
    },
)


@dataclass(frozen=True, slots=True)
class AttachmentRef:
    """An attachment of a draft; its content lies in the journal under (receipt, event, index)."""

    receipt: str
    event: int
    index: int
    filename: str
    media_type: str
    size: int
    sha256: str
    inline: bool = False
    content_id: str = ""


ClosedByHand: TypeAlias = Literal["", "stay_quiet", "reopen", "new"]
"""What becomes of a follow-up to a ticket that a person has closed while the problem lasts; empty: it is added all the same."""


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A rendered ticket or follow-up, ready for any helpdesk.

    ``fields`` are the route's ``ticket.fields`` with their templates rendered and their tables looked up. ``quiet``:
    nobody needs to be told (a counted repeat, a recovery note). ``reopen``: the follow-up must make a closed ticket
    open again; when it is false, the follow-up must not.

    ``message_name`` is the signed left side of the Message-ID under which it goes out; empty: the connector makes one of the
    marker. ``references`` are the Message-IDs that a mail referred to, without angle brackets, the oldest first. In a
    follow-up its sender takes part in the ticket; in a new ticket nothing is known of the sender, so there only those may be
    handed on that the helpdesk proves by itself. ``alone``: it is never sent together with others (`coalesce: off`).

    ``only_if_untouched``: a close is not made where a person has worked on the ticket. ``closed_by_hand`` is what becomes of a
    follow-up, that need not open the ticket, if a person has closed it. Both matter only where the helpdesk can be read.
    """

    title: str
    text: str
    html: str = ""
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    attachments: tuple[AttachmentRef, ...] = ()
    quiet: bool = False
    reopen: bool = False
    reasons: tuple[Reason, ...] = ()
    message_name: str = ""
    references: tuple[str, ...] = ()
    alone: bool = False
    only_if_untouched: bool = False
    closed_by_hand: ClosedByHand = ""


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action as processing writes it. ``sequence`` orders the actions of one incident.

    ``receipt`` is the one that it tells of, where that is another than the one at hand: a timer brings it about.
    ``elsewhere`` is what is done in its place if its incident falls back to another helpdesk, the first one first.
    """

    id: str
    incident: str
    helpdesk: str
    kind: ActionKind
    marker: str
    cause: str
    route: str
    ordinal: int
    sequence: int
    draft: TicketDraft
    requester: str
    queued_at: float
    reason: Reason
    receipt: str = ""
    elsewhere: "tuple[Elsewhere, ...]" = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Why it was made, and what is done otherwise than asked: kept with the action whatever becomes of it."""
        return tuple(dict.fromkeys((self.reason.value, *(reason.value for reason in self.draft.reasons))))

    @property
    def falls_back_after(self) -> float | None:
        """Seconds after which it may fall back; None for what never does by itself."""
        return self.elsewhere[0].after if self.elsewhere and self.kind is ActionKind.CREATE else None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is done in an action's place at another helpdesk, where its incident may fall back to.

    ``plan`` is the digest of the plan that the incident has there. A create that has waited for ``after`` seconds may fall
    back. No ``actions``: this was a part of another action, whose ``actions`` do all of it.
    """

    helpdesk: str
    plan: str
    after: float
    actions: tuple[NewAction, ...] = ()


@dataclass(frozen=True, slots=True)
class Follower:
    """A follow-up that waits right behind a claimed one, in its order, and of which no attempt was ever begun."""

    id: str
    receipt: str
    queued_at: float
    draft: TicketDraft


@dataclass(frozen=True, slots=True)
class Action:
    """An action as delivery claims it.

    ``fence`` is the value that `begin_attempt` must carry; ``tries`` counts attempts begun so far; ``resolve`` is true
    when an earlier attempt's outcome is unknown, so that the look-up comes first; ``ticket`` is the incident's ticket.
    ``paused_before`` are the seconds of pauses of the
    helpdesk that lie before the action's life: its age is ``now - queued_at - (paused so far - paused_before)``; a requeue
    sets it so that the age starts anew. ``behind`` are the follow-ups right behind a follow-up that was never tried.
    ``fallbacks`` are the helpdesks that a create may fall back to, the first one after ``falls_back_after`` seconds.
    """

    id: str
    incident: str
    helpdesk: str
    kind: ActionKind
    marker: str
    route: str
    sequence: int
    draft: TicketDraft
    requester: str
    status: ActionStatus
    fence: int
    tries: int
    queued_at: float
    not_before: float
    ticket: TicketRef | None
    degraded: tuple[str, ...] = ()
    receipt: str = ""
    resolve: bool = False
    request: bytes = b""
    paused_before: float = 0.0
    behind: tuple[Follower, ...] = ()
    fallbacks: tuple[str, ...] = ()
    falls_back_after: float | None = None

    @classmethod
    def first(cls, new: NewAction, *, receipt: str, fence: int, paused_before: float) -> "Action":
        """A new action as it is claimed for its first attempt."""
        return cls(
            id=new.id,
            incident=new.incident,
            helpdesk=new.helpdesk,
            kind=new.kind,
            marker=new.marker,
            route=new.route,
            sequence=new.sequence,
            draft=new.draft,
            requester=new.requester,
            status=ActionStatus.QUEUED,
            fence=fence,
            tries=0,
            queued_at=new.queued_at,
            not_before=new.queued_at,
            ticket=None,
            receipt=receipt,
            paused_before=paused_before,
            fallbacks=tuple(other.helpdesk for other in new.elsewhere),
            falls_back_after=new.falls_back_after,
        )


class OutcomeKind(StrEnum):
    """How an attempt ended. All but ``unknown`` are proven."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    HELPDESK_DOWN = "helpdesk_down"
    AUTH_BROKEN = "auth_broken"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    ``detail`` is the helpdesk's own words, cut, for people; ``ticket`` is set when delivered; ``retry_after`` is the
    helpdesk's wish in seconds; ``degrade`` names fields to leave out for one more try after a rejection.
    """

    kind: OutcomeKind
    reason: Reason
    detail: str = ""
    ticket: TicketRef | None = None
    retry_after: float | None = None
    degrade: tuple[str, ...] = ()
    flags: tuple[Reason, ...] = ()
