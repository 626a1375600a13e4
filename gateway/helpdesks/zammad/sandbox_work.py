"""What the Zammad double writes: new tickets, updates, articles, tags, merges. Checked first, then written in one go."""

from dataclasses import dataclass, replace

import orjson

from gateway.helpdesks.zammad import sandbox_check as check
from gateway.helpdesks.zammad.sandbox_answers import Refused, missing, unprocessable
from gateway.helpdesks.zammad.sandbox_check import Values, Who
from gateway.helpdesks.zammad.sandbox_records import CUSTOMERS, NAME, NOBODY, Records, Row, attributes_of, row_of
from gateway.helpdesks.zammad.sandbox_settings import ANNA, ANNA_ID
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import NewEntry, NewTicket, Ticket


@dataclass(frozen=True, slots=True)
class NewWork:
    """A ticket that is about to be written; ``refused`` is what older releases find out only after its row."""

    title: str
    row: Row
    attributes: dict[str, str]
    entry: NewEntry | None
    who: Who
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An update that is about to be written: the row as it will be, and its article."""

    ticket: Ticket
    title: str
    row: Row
    attributes: dict[str, str]
    entry: NewEntry | None
    who: Who


def new_work(raw: JsonObject, who: Who, records: Records) -> NewWork:
    """The checks of `POST /tickets`."""
    settings = records.settings
    if not who.may("create"):
        raise Refused(403, "Not authorized")
    values = Values(raw, settings, records.store)
    group = values.one("group", settings.groups)
    if group is None:
        newer = settings.release == "newer"
        raise unprocessable("The required value 'group_id' is missing." if newer else "Group can't be blank")
    title = check.title(raw.get("title"))
    customer = values.customer()
    if customer is None:
        raise unprocessable("The required value 'customer_id' is missing.")
    state = (
        values.one("state", {number: row.name for number, row in settings.states.items()}) or settings.default_create
    )
    tags = check.tags(raw.get("tags"))
    row = Row(
        state_id=state,
        group_id=group,
        priority_id=values.one("priority", settings.priorities) or settings.default_priority,
        customer_id=customer,
        owner_id=values.owner() or NOBODY,
        tags=tags if settings.tag_new else tuple(tag for tag in tags if tag in _known_tags(records)),
        note=str(raw.get("note") or "")[:250],
        pending_time=check.pending(settings.states[state].type, raw, ""),
        preferences=_preferences(raw.get("preferences"), "{}"),
        mentions=_mentions(raw.get("mentions")),
        created_by_id=who.user,
        updated_by_id=who.user,
    )
    own = _attributes(raw, records, {})
    given = raw.get("article")
    if not isinstance(given, dict):
        if settings.release == "older":
            raise unprocessable("article hash is missing")
        return NewWork(title, row, own, None, who)
    try:
        entry = check.article(given, who, title, settings)
    except Refused as refused:
        if settings.release == "newer":
            raise
        return NewWork(title, row, own, None, who, refused)
    return NewWork(title, row, own, entry, who)


def change(ticket: Ticket, raw: JsonObject, who: Who, records: Records) -> Change:
    """The checks of `PUT /tickets/{id}`. There is no version to compare: the last writer wins."""
    settings, before = records.settings, row_of(ticket)
    if not who.may("change"):
        raise Refused(403, "Not authorized")
    values = Values(raw, settings, records.store)
    names = {number: row.name for number, row in settings.states.items()}
    state = values.one("state", names) or before.state_id
    owner = values.owner() if values.has("owner") else before.owner_id
    agent = settings.agents.get(owner or NOBODY)
    if agent is not None and "full" not in agent.rights:
        owner = NOBODY  # without a word
    row = replace(
        before,
        state_id=state,
        group_id=values.one("group", settings.groups) or before.group_id,
        priority_id=values.one("priority", settings.priorities) or before.priority_id,
        customer_id=values.customer() or before.customer_id,
        owner_id=owner or NOBODY,
        note=str(raw.get("note") or before.note)[:250],
        pending_time=check.pending(settings.states[state].type, raw, before.pending_time),
        preferences=_preferences(raw.get("preferences"), before.preferences),
        updated_by_id=who.user,
    )
    given = raw.get("article")
    entry = check.article(given, who, ticket.subject, settings) if isinstance(given, dict) else None
    title = check.title(raw["title"]) if raw.get("title") else ticket.subject
    return Change(ticket, title, row, _attributes(raw, records, attributes_of(ticket)), entry, who)


def write_new(work: NewWork, records: Records, now: float, *, article: bool = True, files: bool = True) -> int:
    """Store a new ticket; ``article`` and ``files`` are false where the database goes away in the middle."""
    store, settings, row = records.store, records.settings, work.row
    address = records.login(row.customer_id)
    known = store.person_by_id(NAME, row.customer_id - CUSTOMERS)
    ticket = store.add_ticket(
        NAME,
        NewTicket(
            number="-",
            subject=work.title,
            owner=row.customer_id - CUSTOMERS if known is not None else row.customer_id,
            requester=(known[0].name if known is not None else "") or address,
            address=address,
            source="API",
            status=settings.states[row.state_id].name,
            priority=settings.priorities[row.priority_id],
            department=settings.groups[row.group_id],
            assignee=records.login(row.owner_id) if row.owner_id != NOBODY else "",
            fields=row.fields(work.attributes),
        ),
        now,
    )
    store.set_number(ticket, f"{settings.system_id}{ticket:05d}")
    store.add_event(ticket, "created", f"by {work.who.agent.login}", now)
    if work.entry is not None and article:
        records.add(ticket, work.entry if files else replace(work.entry, attachments=()), now)
        if check.acknowledged(work.entry):
            store.add_mail(ticket, address, f"Thanks for your inquiry ({work.title})", "", now)
        if work.entry.details["type"] == "email" and work.entry.details["sender"] == "Agent":
            store.add_mail(ticket, address, work.title, work.entry.message_id or "", now)
    return ticket


def write_change(work: Change, records: Records, now: float) -> None:
    """Store an update: the row and the article, both or none."""
    store, settings, row, number = records.store, records.settings, work.row, work.ticket.id
    before = row_of(work.ticket)
    if work.entry is not None:
        records.add(number, work.entry, now)
    for what, old, new in (
        ("state", settings.states[before.state_id].name, settings.states[row.state_id].name),
        ("group", settings.groups.get(before.group_id, "-"), settings.groups.get(row.group_id, "-")),
        ("priority", settings.priorities.get(before.priority_id, "-"), settings.priorities.get(row.priority_id, "-")),
        ("owner", records.login(before.owner_id), records.login(row.owner_id)),
        ("title", work.ticket.subject, work.title),
    ):
        if old != new:
            store.add_event(number, f"{what} changed", f"{old} -> {new}, by {work.who.agent.login}", now)
    store.set_fields(number, row.fields(work.attributes), now)
    store.change_ticket(
        number,
        now,
        subject=work.title,
        status=settings.states[row.state_id].name,
        priority=settings.priorities.get(row.priority_id, "-"),
        department=settings.groups.get(row.group_id, "-"),
        address=records.login(row.customer_id),
        assignee=records.login(row.owner_id) if row.owner_id != NOBODY else "",
    )


def merge(source: Ticket, target: Ticket, records: Records, now: float) -> None:
    """What an agent's merge does: articles move, the source becomes `merged` and the target its parent."""
    store, settings = records.store, records.settings
    merged = next((number for number, row in settings.states.items() if row.type == 6), row_of(source).state_id)
    store.move_entries(source.id, target.id)
    row = replace(row_of(source), state_id=merged, merged_into=target.id)
    store.set_fields(source.id, row.fields(attributes_of(source)), now)
    store.set_status(source.id, settings.states[merged].name, now)
    store.add_event(source.id, "merged_into", f"{target.number}, by {ANNA.login}", now)
    store.add_event(target.id, "received_merge", f"{source.number}, by {ANNA.login}", now)


def answer(ticket: Ticket, records: Records, now: float) -> None:
    """An agent writes a public note."""
    details = {"type": "note", "sender": "Agent", "internal": "false", "created_by": ANNA.login}
    records.add(ticket.id, NewEntry("response", ANNA.name, "I am looking into it.", details=details), now)


def take(ticket: Ticket, records: Records, now: float) -> None:
    """An agent becomes the owner."""
    row = replace(row_of(ticket), owner_id=ANNA_ID, updated_by_id=ANNA_ID)
    records.store.set_fields(ticket.id, row.fields(attributes_of(ticket)), now)
    records.store.set_assignee(ticket.id, ANNA.login)
    records.store.add_event(ticket.id, "owner changed", f"- -> {ANNA.login}, by {ANNA.login}", now)


def set_tags(ticket: Ticket, tags: tuple[str, ...], records: Records, now: float) -> None:
    """Replace a ticket's tags."""
    row = replace(row_of(ticket), tags=tags)
    records.store.set_fields(ticket.id, row.fields(attributes_of(ticket)), now)


def set_state(ticket: Ticket, kind: int, records: Records, now: float) -> None:
    """What an agent's click does."""
    number, state = next((n, s) for n, s in records.settings.states.items() if s.type == kind and s.active)
    before = records.settings.states[row_of(ticket).state_id].name
    if before == state.name:
        return
    row = replace(row_of(ticket), state_id=number, pending_time="", updated_by_id=ANNA_ID)
    records.store.set_fields(ticket.id, row.fields(attributes_of(ticket)), now)
    records.store.set_status(ticket.id, state.name, now)
    records.store.add_event(ticket.id, "state changed", f"{before} -> {state.name}, by {ANNA.login}", now)


def existing(records: Records, number: str) -> Ticket:
    """The ticket of a request."""
    found = records.ticket(int(number)) if number.isdigit() and len(number) < 12 else None
    if found is None:
        raise missing("Ticket", number)
    return found


def _attributes(raw: JsonObject, records: Records, before: dict[str, str]) -> dict[str, str]:
    """Custom attributes; a name that there is not is lost without a word."""
    own = {**before, **{name: str(raw[name]) for name in records.settings.attributes if raw.get(name) is not None}}
    for name in records.settings.required:
        if not own.get(name) and not raw.get(name):
            raise unprocessable(f"Missing required value for field '{name}'!")
    return own


def _known_tags(records: Records) -> set[str]:
    return {tag for ticket in records.store.tickets(NAME) for tag in row_of(ticket).tags}


def _preferences(value: JsonValue, before: str) -> str:
    """Merged key by key."""
    if not isinstance(value, dict):
        return before
    return orjson.dumps({**orjson.loads(before), **value}).decode()


def _mentions(value: JsonValue) -> tuple[int, ...]:
    return tuple(one for one in value if isinstance(one, int)) if isinstance(value, list) else ()
