"""What people ask of a helpdesk: get, search, create, update, close, history, delete; and what became of it, as values.

The same reading serves connectors, which look at a ticket before they write to it. A helpdesk that cannot do something
over its API says so with `Unsupported`: that is an answer, not a failure. Nothing here raises for what a network or a
helpdesk does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from gateway.helpdesks.protocol import Http
from gateway.model.action import OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue


class Operation(StrEnum):
    """What can be asked."""

    GET = "get"
    SEARCH = "search"
    CREATE = "create"
    UPDATE = "update"
    CLOSE = "close"
    HISTORY = "history"
    DELETE = "delete"


class TicketState(StrEnum):
    """Where a ticket stands, whatever its helpdesk's administrator has named the state."""

    NEW = "new"
    OPEN = "open"
    PENDING = "pending"
    CLOSED = "closed"
    MERGED = "merged"
    REMOVED = "removed"
    UNKNOWN = "unknown"

    @property
    def is_open(self) -> bool:
        """True while somebody is to work on it."""
        return self in {TicketState.NEW, TicketState.OPEN, TicketState.PENDING}


@dataclass(frozen=True, slots=True)
class FileInfo:
    """An attachment as a helpdesk lists it; ``size`` in octets, 0 where it does not say."""

    id: str
    filename: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Article:
    """One message of a ticket. ``body`` is of ``format``; times are the helpdesk's own text (ISO 8601 where it is)."""

    id: str
    created_at: str
    sender: str
    subject: str
    body: str
    format: str = "text"
    kind: str = ""
    internal: bool = False
    message_id: str = ""
    files: tuple[FileInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as a helpdesk shows it.

    ``state`` is what it means, ``state_name`` how it is called there; ``queue`` is a queue, group or department;
    ``fields`` are custom attributes and everything else that has no place of its own. ``articles`` is empty in lists;
    ``merged_into`` names the id of the ticket that took its place, if it was merged.
    """

    ref: TicketRef
    title: str
    state: TicketState
    state_name: str = ""
    priority: str = ""
    queue: str = ""
    owner: str = ""
    customer: str = ""
    created_at: str = ""
    updated_at: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    articles: tuple[Article, ...] = ()
    merged_into: str = ""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of a ticket: when, by whom, what (``attribute``), from what to what."""

    at: str
    who: str
    what: str
    attribute: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched. All that is given must hold; ``fields`` are exact values by the helpdesk's own names."""

    text: str = ""
    title: str = ""
    number: str = ""
    customer: str = ""
    only_open: bool = False
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What is changed: ``fields`` as in a route's ``ticket.fields``, and a note that says why (it may be empty).

    ``title`` is the new title of the ticket, empty to leave it; ``note_title`` the note's own.
    """

    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    title: str = ""
    note: str = ""
    note_title: str = ""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """This helpdesk cannot do that over its API. ``why`` is a sentence for people; ``instead`` the way out, if any."""

    helpdesk: str
    operation: Operation
    why: str
    instead: str = ""


@dataclass(frozen=True, slots=True)
class NotFound:
    """No such ticket, as far as our account may see."""

    helpdesk: str
    ticket: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not done, or it is not known whether it was (``kind`` is `unknown`)."""

    helpdesk: str
    kind: OutcomeKind
    detail: str


Refusal: TypeAlias = Unsupported | NotFound | Failed
"""Everything that is not what was asked for."""


@dataclass(frozen=True, slots=True)
class Done:
    """A ticket was created, changed or closed. ``notes`` say what was done otherwise than asked, in sentences."""

    ticket: TicketRef
    notes: tuple[str, ...] = ()


class Operator(Protocol):
    """One configured helpdesk, as people use it.

    ``ticket`` is an id or a number, as people see it. ``marker`` (lower-case hex) names one operation: where the outcome
    of a call is not known, the helpdesk is asked for it before `unknown` is told, and the same marker never makes two
    tickets.
    """

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def operations(self) -> Mapping[Operation, Unsupported | None]:
        """For each operation: None if it can, else why not. Known without asking; the capability matrix is made of it."""
        ...

    async def get(self, ticket: str, http: Http, *, timeout: float) -> Ticket | Refusal:
        """The ticket with its articles."""
        ...

    async def search(self, query: Query, http: Http, *, timeout: float) -> Sequence[Ticket] | Refusal:
        """Tickets without articles, the newest first where the helpdesk can sort."""
        ...

    async def create(self, draft: TicketDraft, marker: str, http: Http, *, timeout: float) -> Done | Refusal:
        """A new ticket; ``draft.attachments`` must be empty."""
        ...

    async def update(self, ticket: str, change: Change, marker: str, http: Http, *, timeout: float) -> Done | Refusal:
        """Change fields, add a note, or both in one call."""
        ...

    async def close(self, ticket: str, note: str, marker: str, http: Http, *, timeout: float) -> Done | Refusal:
        """Close it, with a note if one is given."""
        ...

    async def history(self, ticket: str, http: Http, *, timeout: float) -> Sequence[HistoryEntry] | Refusal:
        """What was done to it, the oldest first."""
        ...

    async def delete(self, ticket: str, http: Http, *, timeout: float) -> Done | Refusal:
        """Delete it for good, with its articles. What was `Done` is the ticket as it was."""
        ...
