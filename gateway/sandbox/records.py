"""What a sandbox helpdesk holds: tickets, their entries, attachments, events and mails. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """A file to be stored. ``size`` is what the helpdesk believes; it differs from the content only by its own bugs."""

    filename: str
    media_type: str
    data: bytes
    inline: bool = False
    content_id: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An article to be stored. ``kind`` is `message`, `response` or `note`; ``format`` is `text` or `html`.

    ``details`` is what else its helpdesk keeps of it, by that helpdesk's names.
    """

    kind: str
    poster: str
    body: str
    format: str = "text"
    title: str | None = None
    message_id: str | None = None
    attachments: tuple[NewAttachment, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket row to be stored, without its entries."""

    number: str
    subject: str
    owner: int
    requester: str
    address: str
    source: str
    status: str = "open"
    priority: str = ""
    topic: str = ""
    department: str = ""
    assignee: str = ""
    ip: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A stored file; its content is fetched on its own."""

    id: int
    filename: str
    media_type: str
    size: int
    inline: bool
    content_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored article. ``created`` is in seconds since 1970."""

    id: int
    kind: str
    poster: str
    title: str | None
    body: str
    format: str
    message_id: str | None
    created: float
    attachments: tuple[Attachment, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """Something that happened to a ticket: created, closed, reopened, archived, assigned."""

    kind: str
    detail: str
    created: float


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail the helpdesk would have sent."""

    recipient: str
    subject: str
    message_id: str
    created: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket row. ``entry_count`` counts all kinds of entries."""

    id: int
    helpdesk: str
    number: str
    subject: str
    owner: int
    requester: str
    address: str
    status: str
    priority: str
    topic: str
    department: str
    assignee: str
    source: str
    ip: str
    fields: Mapping[str, str]
    created: float
    updated: float
    entry_count: int


@dataclass(frozen=True, slots=True)
class Thread:
    """Everything that belongs to one ticket."""

    entries: tuple[Entry, ...]
    events: tuple[TicketEvent, ...]
    mails: tuple[SentMail, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the helpdesk, as found by an address."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the helpdesk's system log."""

    level: str
    title: str
    detail: str
    created: float
