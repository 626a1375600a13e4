"""What templates get to see: plain data made from an event, its incident and what surrounds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from markupsafe import Markup

from gateway.model.event import Event
from gateway.model.incident import Incident
from gateway.model.storm import StormRow, StormTable
from gateway.rendering.row import Row
from gateway.rendering.sanitise import MAX_TEXT, clean, is_showable, safe_html
from gateway.rendering.words import words

MAX_ENTRIES = 1000
"""Labels, links, members and attachments that a template gets to see."""

Names = dict[str, object]


@dataclass(frozen=True, slots=True)
class Context:
    """What one rendering is about.

    ``vars`` are the variables that routing found (named groups of a match); the route's own ``vars`` are templates and
    are added by rendering. ``joined`` are the members (source, origin key) that came by this delivery. ``warnings`` are what
    the parser could not understand. ``incident`` is the incident as it stands after the event. ``lookup`` is the
    row of the route's own table, ``lookups`` are those of all others by name. ``storm`` is the table of a storm's digest;
    ``public_url`` is how people reach the gateway, for links to its receipts. Instants are seconds since the epoch.
    """

    event: Event
    source: str
    source_kind: str
    route: str
    receipt_id: str
    received_at: float
    now: float
    incident: Incident | None = None
    status_url: str = ""
    warnings: tuple[str, ...] = ()
    vars: Mapping[str, str] = field(default_factory=dict)
    joined: frozenset[tuple[str, str]] = frozenset()
    lookup: Row = field(default_factory=partial(Row, why="this route has no `lookup`"))
    lookups: Mapping[str, Row] = field(default_factory=dict)
    storm: StormTable | None = None
    public_url: str = ""


FIELDS: dict[str, frozenset[str]] = {
    "event": words(
        """
    kind severity title text html state still_in_problem host service labels origin_key problem_id occurred_at group
    links sender recipients attachments source reasons to cc reply_text quoted auto_generated message_id warnings
    """,
    ),
    "incident": words(
        """
    id key state severity title host service occurrences opened_at since last_event_at closed_at duration members
    """,
    ),
    "source": frozenset({"name", "kind"}),
    "receipt": frozenset({"id", "received_at", "status_url"}),
    "ticket": frozenset({"number", "id", "url", "helpdesk"}),
    "storm": frozenset({"about", "limit", "within", "total", "open", "recovered", "members", "more", "news"}),
}
"""The documented names that have fields, and those fields."""

NAMES = frozenset({*FIELDS, "route", "vars", "now", "purpose", "lookup", "lookups"})
"""All names that a template may use."""


def names_of(context: Context, purpose: str) -> Names:
    """The data of a text template."""
    event, incident = context.event, context.incident
    ticket = incident.ticket if incident else None
    return {
        "purpose": purpose,
        "event": _event(event, context.source, context.warnings),
        "incident": _incident(incident, context),
        "source": {"name": context.source, "kind": context.source_kind},
        "route": context.route,
        "vars": {name: clean(value) for name, value in context.vars.items()},
        "receipt": {
            "id": context.receipt_id,
            "received_at": context.received_at,
            "status_url": context.status_url,
        },
        "ticket": {
            "number": ticket.number if ticket else "",
            "id": ticket.id if ticket else "",
            "url": ticket.url if ticket else "",
            "helpdesk": ticket.helpdesk if ticket else "",
        },
        "now": context.now,
        "lookup": _row(context.lookup),
        "lookups": {name: _row(row) for name, row in context.lookups.items()},
        "storm": _storm(context.storm, context.public_url),
    }


def _storm(table: StormTable | None, public_url: str) -> Names:
    if table is None:
        return {
            "about": "",
            "limit": 0,
            "within": 0.0,
            "total": 0,
            "open": 0,
            "recovered": 0,
            "members": [],
            "more": 0,
            "news": [],
        }
    return {
        "about": clean(table.about),
        "limit": table.limit,
        "within": table.within,
        "total": table.total,
        "open": table.open,
        "recovered": table.total - table.open,
        "members": [_member(row, public_url) for row in table.shown],
        "more": table.more,
        "news": [clean(line) for line in table.news],
    }


def _member(row: StormRow, public_url: str) -> Names:
    return {
        "host": clean(row.host),
        "service": clean(row.service),
        "title": clean(row.title),
        "severity": row.severity.value,
        "state": row.words,
        "over": row.is_over,
        "new": not row.told,
        "since": row.opened_at,
        "until": row.closed_at,
        "receipt": row.receipt,
        "url": f"{public_url.rstrip('/')}/receipts/{row.receipt}" if public_url and row.receipt else "",
    }


def _row(row: Row) -> Row:
    return Row({name: clean(text) for name, text in row.items()}, row.why)


def with_html(names: Names, event: Event) -> Names:
    """The data of an HTML template: the same, but ``event.html`` is the sender's HTML, sanitised, as HTML."""
    if not event.html:
        return names
    data = names["event"]
    assert isinstance(data, dict)
    return {**names, "event": {**data, "html": Markup(data["html"])}}  # noqa: S704 - safe_html went before


def _event(event: Event, source: str, warnings: tuple[str, ...]) -> Names:
    reply, quoted = _split(event)
    return {
        "kind": event.kind.value,
        "severity": event.severity.value,
        "title": clean(event.title),
        "text": clean(event.text, MAX_TEXT),
        "html": safe_html(event.html) if event.html and (is_showable(event.html) or not event.text.strip()) else "",
        "state": clean(event.state),
        "still_in_problem": event.still_in_problem,
        "host": clean(event.host),
        "service": clean(event.service),
        "labels": {clean(name): clean(event.labels[name]) for name in list(event.labels)[:MAX_ENTRIES]},
        "origin_key": clean(event.origin_key),
        "problem_id": clean(event.problem_id),
        "group": clean(event.group),
        "occurred_at": event.occurred_at,
        "links": [{"title": clean(link.title), "url": clean(link.url)} for link in event.links[:MAX_ENTRIES]],
        "sender": {"name": clean(event.sender_name), "address": clean(event.sender_address)},
        "recipients": [clean(address) for address in event.recipients[:MAX_ENTRIES]],
        "attachments": [
            {"filename": clean(file.filename), "media_type": clean(file.media_type), "size": file.size}
            for file in event.attachments[:MAX_ENTRIES]
        ],
        "source": source,
        "reasons": list(event.reasons),
        "to": [clean(address) for address in event.to[:MAX_ENTRIES]],
        "cc": [clean(address) for address in event.cc[:MAX_ENTRIES]],
        "reply_text": clean(reply, MAX_TEXT),
        "quoted": clean(quoted, MAX_TEXT),
        "auto_generated": event.auto_generated,
        "message_id": clean(event.message_id),
        "warnings": [clean(warning) for warning in warnings[:MAX_ENTRIES]],
    }


def _split(event: Event) -> tuple[str, str]:
    """What the writer of a mail wrote, and the rest of its text: what it quotes, and a signature.

    Where the two are mixed (answers between quotes), and where nothing is quoted, all of it is the writer's.
    """
    text, reply = event.text.strip(), event.reply_text.strip()
    at = text.find(reply) if reply else -1
    if at < 0 or len(reply) == len(text):
        return text, ""
    return reply, "\n\n".join(part for part in (text[:at].strip("\n"), text[at + len(reply) :].strip("\n")) if part)


def _incident(incident: Incident | None, context: Context) -> Names:
    if incident is None:
        event = context.event
        since = context.received_at if event.occurred_at is None else event.occurred_at
        return {
            "id": "",
            "key": "",
            "state": "",
            "severity": event.severity.value,
            "title": clean(event.title),
            "host": clean(event.host),
            "service": clean(event.service),
            "occurrences": 1,
            "opened_at": since,
            "since": since,
            "last_event_at": since,
            "closed_at": None,
            "duration": max(context.now - since, 0.0),
            "members": [],
        }
    end = context.now if incident.closed_at is None else incident.closed_at
    return {
        "id": incident.id,
        "key": clean(incident.key),
        "state": incident.state.value,
        "severity": incident.severity.value,
        "title": clean(incident.title),
        "host": clean(incident.host),
        "service": clean(incident.service),
        "occurrences": incident.occurrences,
        "opened_at": incident.opened_at,
        "since": incident.opened_at,
        "last_event_at": incident.last_event_at,
        "closed_at": incident.closed_at,
        "duration": max(end - incident.opened_at, 0.0),
        "members": [
            {
                "source": member.source,
                "origin_key": clean(member.origin_key),
                "in_problem": member.in_problem,
                "title": clean(member.title),
                "host": clean(member.host),
                "service": clean(member.service),
                "severity": member.severity.value,
                "group": clean(member.group),
                "since": member.last_problem_at,
                "ended": None if member.in_problem else member.recovered_at,
                "joined": (member.source, member.origin_key) in context.joined,
            }
            for member in incident.members[:MAX_ENTRIES]
        ],
    }
