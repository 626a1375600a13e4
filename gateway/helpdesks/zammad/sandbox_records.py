"""Tickets and articles of the Zammad double: how they lie in the sandbox's store, and how Zammad shows them.

What Zammad keeps and the store has no column for stands as one JSON text under `.zammad` in a ticket's fields, and in an
entry's details.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from gateway.helpdesks.zammad.sandbox_settings import ZammadSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import Entry, NewEntry, Ticket
from gateway.sandbox.store import Store

NAME = "zammad"
NOBODY = 1
CUSTOMERS = 100
"""Ids of customers begin above this one, so that they are no agent's."""
_OWN = ".zammad"
"""Fields whose names begin with a dot are not shown on the sandbox's pages."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a ticket is, beside the store's own columns. ``attributes`` are the custom ones."""

    state_id: int
    group_id: int
    priority_id: int
    customer_id: int
    owner_id: int = NOBODY
    tags: tuple[str, ...] = ()
    note: str = ""
    pending_time: str = ""
    organization: str = ""
    merged_into: int = 0
    preferences: str = "{}"
    mentions: tuple[int, ...] = ()
    created_by_id: int = 3
    updated_by_id: int = 3

    def fields(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """As it lies in the store."""
        shown = {"tags": ", ".join(self.tags)} if self.tags else {}
        return {**attributes, **shown, _OWN: orjson.dumps(self).decode()}


def row_of(ticket: Ticket) -> Row:
    """What a stored ticket is."""
    raw = orjson.loads(ticket.fields[_OWN])
    return replace(Row(**raw), tags=tuple(raw["tags"]), mentions=tuple(raw["mentions"]))


def attributes_of(ticket: Ticket) -> dict[str, str]:
    """Its custom attributes."""
    return {name: value for name, value in ticket.fields.items() if name not in {_OWN, "tags"}}


def iso(instant: float) -> str:
    """A time as Zammad writes it."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Records:
    """The double's own tickets, read from the store."""

    def __init__(self, store: Store, settings: ZammadSandboxSettings) -> None:
        self.store = store
        self.settings = settings

    def ticket(self, number: int) -> Ticket | None:
        """One ticket of this helpdesk."""
        found = self.store.ticket(number)
        return found if found is not None and found.helpdesk == NAME else None

    def login(self, user: int) -> str:
        """Whose id it is."""
        if user == NOBODY:
            return "-"
        agent = self.settings.agents.get(user)
        if agent is not None:
            return agent.login
        known = self.store.person_by_id(NAME, user - CUSTOMERS)
        return known[1] if known is not None else f"user{user}"

    def shown(self, ticket: Ticket, *, expand: bool, written: bool = False) -> JsonObject:
        """A ticket as the API shows it; ``expand`` adds names and ids of articles, ``written`` only the latter."""
        row, settings = row_of(ticket), self.settings
        value: JsonObject = {
            "id": ticket.id,
            "group_id": row.group_id,
            "priority_id": row.priority_id,
            "state_id": row.state_id,
            "organization_id": None,
            "number": ticket.number,
            "title": ticket.subject,
            "owner_id": row.owner_id,
            "customer_id": row.customer_id,
            "note": row.note or None,
            "article_count": ticket.entry_count,
            "pending_time": row.pending_time or None,
            "type": None,
            "preferences": orjson.loads(row.preferences),
            "created_by_id": row.created_by_id,
            "updated_by_id": row.updated_by_id,
            "created_at": iso(ticket.created),
            "updated_at": iso(ticket.updated),
        }
        own = attributes_of(ticket)
        value.update({name: own.get(name) for name in settings.attributes})
        if expand:
            value.update(
                {
                    "group": settings.groups.get(row.group_id, "-"),
                    "state": settings.states[row.state_id].name,
                    "priority": settings.priorities.get(row.priority_id, "-"),
                    "owner": self.login(row.owner_id),
                    "customer": self.login(row.customer_id),
                    "organization": row.organization or None,
                    "created_by": self.login(row.created_by_id),
                    "updated_by": self.login(row.updated_by_id),
                }
            )
        if expand or written:
            value["article_ids"] = [entry.id for entry in self.entries(ticket.id)]
            value["ticket_time_accounting_ids"] = []
        return value

    def entries(self, ticket: int) -> tuple[Entry, ...]:
        """The articles, the oldest first."""
        return self.store.threads([ticket])[ticket].entries

    def article(self, ticket: int, entry: Entry) -> JsonObject:
        """An article as the API shows it. Inline images are links to attachments by now: bodies are not what was sent."""
        details, body = entry.details, entry.body
        for file in entry.attachments:
            if file.content_id:
                body = body.replace(
                    f"cid:{file.content_id}", f"/api/v1/ticket_attachment/{ticket}/{entry.id}/{file.id}"
                )
        files: list[JsonValue] = [
            {
                "id": file.id,
                "store_file_id": file.id,
                "filename": file.filename,
                "size": str(file.size),
                "preferences": {"Mime-Type": file.media_type},
            }
            for file in entry.attachments
            if not file.inline
        ]
        return {
            "id": entry.id,
            "ticket_id": ticket,
            "type": details.get("type", "note"),
            "sender": details.get("sender", "Agent"),
            "from": entry.poster,
            "to": details.get("to"),
            "cc": None,
            "subject": entry.title,
            "message_id": entry.message_id,
            "message_id_md5": None,
            "in_reply_to": details.get("in_reply_to"),
            "content_type": "text/html" if entry.format == "html" else "text/plain",
            "body": body,
            "internal": details.get("internal") == "true",
            "preferences": orjson.loads(details.get("preferences", "{}")),
            "attachments": files,
            "created_by": details.get("created_by", ""),
            "created_at": iso(entry.created),
            "updated_at": iso(entry.created),
        }

    def add(self, ticket: int, entry: NewEntry, now: float) -> int:
        """Store an article."""
        return self.store.add_entry(ticket, entry, now)
