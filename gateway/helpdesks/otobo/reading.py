"""Tickets as the helpdesk tells them: read, found by their marker, followed where they were merged.

Types of values vary (`"109"` and `109` for one key, also between two calls), so everything is taken as text first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.helpdesks.operations import Article, FileInfo, HistoryEntry, Ticket, TicketState
from gateway.helpdesks.otobo.fields import DYNAMIC
from gateway.helpdesks.otobo.service import Service
from gateway.helpdesks.otobo.settings import Call
from gateway.helpdesks.otobo.text import tag
from gateway.helpdesks.protocol import Http
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

NEWEST = 50
"""Articles among which one of ours is looked for after a doubtful call."""

MOST_MERGES = 5
"""How often a merged ticket is followed to the one it went into."""

_STATES = {
    "new": TicketState.NEW,
    "open": TicketState.OPEN,
    "pending reminder": TicketState.PENDING,
    "pending auto": TicketState.PENDING,
    "closed": TicketState.CLOSED,
    "merged": TicketState.MERGED,
    "removed": TicketState.REMOVED,
}
_MERGED = re.compile(r"%%(?P<child>\d+)%%(?P<child_id>\d+)%%(?P<main>\d+)%%(?P<main_id>\d+)")
_SHOWN_FIELDS = {"Type": "type", "Service": "service", "SLA": "sla", "Lock": "lock", "Responsible": "responsible"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A ticket as it was read. ``dynamic`` holds the dynamic fields that have a value."""

    ticket: Ticket
    dynamic: Mapping[str, JsonValue] = field(default_factory=dict)

    def own_articles(self, marker: str) -> tuple[Article, ...]:
        """The articles that bear a marker."""
        return tuple(article for article in self.ticket.articles if tag(marker) in article.body)

    def merged(self, main: str) -> "Seen":
        """The same, with the id of the ticket that took its place."""
        return replace(self, ticket=replace(self.ticket, merged_into=main))

    @property
    def looks(self) -> str:
        """Changes whenever somebody is still writing to the ticket."""
        parts = [f"{article.id}:{len(article.files)}" for article in self.ticket.articles]
        return " ".join([*parts, *(f"{name}={value}" for name, value in sorted(self.dynamic.items()))])


async def look(
    service: Service, ticket: str, http: Http, deadline: float, *, articles: int | None = None
) -> Seen | Outcome:
    """Read one ticket with its newest ``articles`` (None: all) and the names of their files.

    An answer has its bounds, and a ticket may hold more text than fits, so ask for no more than is needed.
    """
    asked: JsonObject = {"TicketID": ticket, "DynamicFields": 1}
    if articles != 0:
        asked |= {"AllArticles": 1, "Attachments": 1, "GetAttachmentContents": 0}
    if articles:
        asked |= {"ArticleOrder": "DESC", "ArticleLimit": articles}
    heard = await service.ask(Call.GET, asked, http, deadline)
    if isinstance(heard, Outcome):
        return heard
    listed = heard.get("Ticket")
    first = listed[0] if isinstance(listed, list) and listed else listed
    if not isinstance(first, dict) or not _text(first, "TicketNumber"):
        return Outcome(
            OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, f"ticket {ticket} was answered without its data"
        )
    return read_ticket(first)


async def follow(
    service: Service, seen: Seen, http: Http, deadline: float, *, articles: int | None = None
) -> Seen | Outcome:
    """The ticket itself, or the one that it was merged into, read with as many articles."""
    for _ in range(MOST_MERGES):
        if seen.ticket.state is not TicketState.MERGED:
            return seen
        entries = await history(service, seen.ticket.ref.id, http, deadline)
        if isinstance(entries, Outcome):
            return entries
        main = merged_into(entries, seen.ticket.ref.id)
        if not main:
            return seen
        found = await look(service, main, http, deadline, articles=articles)
        if isinstance(found, Outcome):
            return found
        seen = found
    return seen


async def search(
    service: Service, criteria: Mapping[str, JsonValue], http: Http, deadline: float
) -> tuple[str, ...] | Outcome:
    """Ids of tickets. Criteria that the helpdesk does not honour are dropped by it: verify what is found."""
    heard = await service.ask(Call.SEARCH, criteria, http, deadline)
    if isinstance(heard, Outcome):
        return heard
    found = heard.get("TicketID", [])
    return tuple(str(one) for one in found) if isinstance(found, list) else (str(found),)


async def history(service: Service, ticket: str, http: Http, deadline: float) -> tuple[HistoryEntry, ...] | Outcome:
    """What was done to a ticket, the oldest first."""
    heard = await service.ask(Call.HISTORY, {"TicketID": ticket}, http, deadline)
    if isinstance(heard, Outcome):
        return heard
    listed = heard.get("TicketHistory")
    first = listed[0] if isinstance(listed, list) and listed else {}
    lines = first.get("History") if isinstance(first, dict) else []
    return tuple(_entry(line) for line in (lines if isinstance(lines, list) else []) if isinstance(line, dict))


def merged_into(entries: Sequence[HistoryEntry], ticket: str) -> str:
    """The id of the main ticket, from the history of a merged one; empty if the history does not tell."""
    for entry in reversed(entries):
        match = _MERGED.match(entry.attribute) if entry.what == "Merged" else None
        if match is not None and match["child_id"] == ticket and match["main_id"] != ticket:
            return match["main_id"]
    return ""


def read_ticket(data: Mapping[str, JsonValue]) -> Seen:
    """A ticket of TicketGet."""
    dynamic: dict[str, JsonValue] = {}
    listed = data.get("DynamicField")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("Value") not in (None, "", []):
            dynamic[str(one.get("Name", ""))] = one.get("Value")
    shown: dict[str, JsonValue] = {ours: data[name] for name, ours in _SHOWN_FIELDS.items() if data.get(name)}
    articles = data.get("Article")
    ticket = Ticket(
        ref=TicketRef(
            helpdesk="",
            id=_text(data, "TicketID"),
            number=_text(data, "TicketNumber"),
            requester=_text(data, "CustomerUserID"),
        ),
        title=_text(data, "Title"),
        state=_STATES.get(_text(data, "StateType").lower(), TicketState.UNKNOWN),
        state_name=_text(data, "State"),
        priority=_text(data, "Priority"),
        queue=_text(data, "Queue"),
        owner=_text(data, "Owner"),
        customer=_text(data, "CustomerUserID"),
        created_at=_text(data, "Created"),
        updated_at=_text(data, "Changed"),
        fields=shown | {f"{DYNAMIC}{name}": value for name, value in dynamic.items()},
        # A ticket without article is listed with one that has nothing but its time units.
        articles=tuple(
            _article(one)
            for one in (articles if isinstance(articles, list) else [])
            if isinstance(one, dict) and _text(one, "ArticleID")
        ),
    )
    return Seen(ticket, dynamic)


def placed(ticket: Ticket, name: str, fingerprint: str, page: str, *, articles: bool = True) -> Ticket:
    """The ticket with the names of the configured helpdesk; lists go without articles."""
    url = page.replace("{number}", ticket.ref.number).replace("{id}", ticket.ref.id)
    ref = replace(ticket.ref, helpdesk=name, fingerprint=fingerprint, url=url)
    return replace(ticket, ref=ref, articles=ticket.articles if articles else ())


def _article(data: Mapping[str, JsonValue]) -> Article:
    files = data.get("Attachment")
    return Article(
        id=_text(data, "ArticleID"),
        created_at=_text(data, "CreateTime"),
        sender=_text(data, "From"),
        subject=_text(data, "Subject"),
        body=_text(data, "Body"),
        format="html" if _text(data, "MimeType") == "text/html" else "text",
        kind=_text(data, "SenderType"),
        internal=_text(data, "IsVisibleForCustomer") in {"", "0"},
        message_id=_text(data, "MessageID"),
        files=tuple(
            FileInfo(_text(one, "FileID"), _text(one, "Filename"), _text(one, "ContentType"), _size(one))
            for one in (files if isinstance(files, list) else [])
            if isinstance(one, dict)
        ),
    )


def _entry(data: Mapping[str, JsonValue]) -> HistoryEntry:
    """Names are lists of values between `%%`; which is which depends on the type of the entry."""
    name = _text(data, "Name")
    parts = name.split("%%")[1:] if name.startswith("%%") else []
    kind = _text(data, "HistoryType")
    if kind == "TicketDynamicFieldUpdate" and len(parts) >= 6:
        return HistoryEntry(_text(data, "CreateTime"), _text(data, "CreateBy"), kind, parts[1], parts[5], parts[3])
    if kind in {"StateUpdate", "PriorityUpdate"} and len(parts) >= 2:
        numbered = kind == "PriorityUpdate" and len(parts) >= 4
        after = parts[2] if numbered else parts[1]
        return HistoryEntry(
            _text(data, "CreateTime"), _text(data, "CreateBy"), kind, kind.removesuffix("Update"), parts[0], after
        )
    return HistoryEntry(_text(data, "CreateTime"), _text(data, "CreateBy"), kind, name)


def _size(data: Mapping[str, JsonValue]) -> int:
    text = _text(data, "FilesizeRaw")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _text(data: Mapping[str, JsonValue], name: str) -> str:
    value = data.get(name)
    return "" if value is None else str(value)
