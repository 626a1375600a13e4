"""The checks of a create request, in osTicket's order: reads only, and decides what would be written."""

import re
import secrets

from gateway.helpdesks.osticket import sandbox_answers as answers
from gateway.helpdesks.osticket.sandbox_body import Body, scalar
from gateway.helpdesks.osticket.sandbox_mail import Mail, stored_message_id
from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings
from gateway.helpdesks.osticket.sandbox_text import (
    clean_html,
    clean_subject,
    clean_text,
    person_name,
    replace_inline_images,
    valid_email,
    valid_phone,
)
from gateway.helpdesks.osticket.sandbox_work import Append, Create, Work, sort_files, without_duplicates
from gateway.sandbox.records import NewAttachment, NewEntry, Person, Ticket
from gateway.sandbox.store import Store

_KNOWN = frozenset(
    {"name", "email", "subject", "alert", "autorespond", "topicId", "priority", "source", "ip", "phone", "notes"}
)
_STATUS = {1: "open", 2: "resolved", 3: "closed", 4: "archived", 5: "deleted"}
_LARGEST = 1 << 63  # the largest whole number that PHP and the database know
CLOSED = frozenset({"resolved", "closed"})
_CLIENT = ("user", "Incomplete client information")


def check_body(body: Body, client: str, helpdesk: str, store: Store, settings: OsTicketSettings) -> Create:
    """What a JSON or XML request would write; raises `Answered` if it is refused."""
    fields = body.fields
    topic_id = _identifier(fields.get("topicId"), "topicId")
    if isinstance(fields.get("phone"), dict | list):
        raise answers.field_not_scalar("phone")
    _check_source(fields.get("source"))
    address, person, name = _requester(body, helpdesk, store)
    if address.strip().lower() in settings.banned:
        raise answers.denied(address.strip())
    subject_list = isinstance(fields.get("subject"), list | dict)
    _check_fields(body, person, address, settings)
    _check_open_tickets(person, address, settings, store)
    topic = settings.topics.get(topic_id)
    status = _STATUS.get(_identifier(fields.get("statusId", 1), "statusId"), "open")
    cannot_close = status in CLOSED and topic is None and settings.close_requires_topic
    department = _identifier(fields.get("deptId"), "deptId") or (topic.department if topic else 1)
    custom = (*settings.custom_fields, *settings.required_fields)
    subject = _subject(fields.get("subject"))
    entry, notes = _entry(body, person.name if person else name, subject, settings)
    agent = _identifier(fields.get("staffId"), "staffId")
    return Create(
        person=person,
        name=name,
        address=address,
        subject=subject,
        entry=entry,
        source="API",
        ip=scalar(fields.get("ip")) or client,
        priority=_priority(fields, topic.priority if topic else None, settings),
        topic=topic.name if topic else "",
        department=settings.departments.get(department, settings.departments.get(1, "")),
        status="open" if cannot_close else status,
        agent=agent if agent in settings.agents and status == "open" else None,
        number_format=topic.number_format if topic else None,
        phone=scalar(fields.get("phone")).upper(),
        notes=scalar(fields.get("notes")),
        fields={key: scalar(fields[key]) for key in custom if key in fields},
        alert=_switch(fields.get("alert")),
        autorespond=_switch(fields.get("autorespond")),
        file_notes=notes,
        unexpected=_unexpected(body, custom),
        fatal_subject=subject_list,
        cannot_close=cannot_close,
    )


def _unexpected(body: Body, custom: tuple[str, ...]) -> tuple[str, ...]:
    named = [key for key in body.fields if key not in _KNOWN and key not in custom]
    odd = ("subject",) if isinstance(body.fields.get("subject"), list | dict) else ()
    return (*odd, *named)


def _identifier(value: object, field: str) -> int:
    """A number as PHP reads one: 0 for what is none."""
    if isinstance(value, dict | list):
        raise answers.field_not_scalar(field)
    try:
        number = int(float(scalar(value)))
    except (ValueError, OverflowError):
        return 0
    return number if abs(number) < _LARGEST else 0


def _switch(value: object) -> bool:
    """`alert` and `autorespond`: null is the default, the word false is true."""
    return True if value is None else value not in (False, 0, "", "0", [], {})


def _check_source(value: object) -> None:
    if value is None or (isinstance(value, str) and value.lower() == "api"):
        return
    if isinstance(value, str) and value.lower() == "email":
        missing = ("err", "Missing or invalid data — Correct any errors below and try again")
        raise answers.unable([("emailId", "Unknown system email"), missing])
    raise answers.unable([("origin", "Invalid ticket origin given"), ("err", "No fields set up")])


def _requester(body: Body, helpdesk: str, store: Store) -> tuple[str, Person | None, str]:
    """(address, user if known, name): `uid` names a user directly, and the address is then not looked at."""
    uid = body.fields.get("uid")
    if uid is not None:
        found = store.person_by_id(helpdesk, _identifier(uid, "uid"))
        if found is not None:
            return found[1], found[0], found[0].name
    address = body.fields.get("email")
    address = address if isinstance(address, str) else ""
    return address, store.person(helpdesk, address.lower()), person_name(scalar(body.fields.get("name")))


def _check_fields(body: Body, person: Person | None, address: str, settings: OsTicketSettings) -> None:
    fields = body.fields
    errors: list[tuple[str, str]] = []
    if person is None and not _complete(body, address, settings):
        errors.append(_CLIENT)
    if not scalar(fields.get("subject")).strip():
        errors.append(("20", "Issue Summary is a required field"))
    if body.message is None:
        errors.append(("21", "Issue Details is a required field"))
    for name, field in settings.required_fields.items():
        if not scalar(fields.get(name)).strip():
            errors.append((str(field.id), f"{field.label} is a required field"))
    if errors:
        raise answers.unable(errors)


def _complete(body: Body, address: str, settings: OsTicketSettings) -> bool:
    """Whether a new user can be made: name, address and phone are looked at only now."""
    phone = scalar(body.fields.get("phone"))
    if not scalar(body.fields.get("name")).strip() or not valid_email(address) or (phone and not valid_phone(phone)):
        return False
    domain = address.strip().lower().rpartition("@")[2]
    return not settings.dns_check or not any(
        domain == name or domain.endswith(f".{name}") for name in settings.unresolvable
    )


def _check_open_tickets(person: Person | None, address: str, settings: OsTicketSettings, store: Store) -> None:
    if person and settings.max_open_tickets and store.open_tickets(person.id) >= settings.max_open_tickets:
        refusal = answers.unable([("err", "You've reached the maximum open tickets allowed.")])
        refusal.log = (f"Ticket denied - {address}", *refusal.log)
        raise refusal


def _priority(fields: object, of_topic: int | None, settings: OsTicketSettings) -> str:
    known = settings.priorities
    default = known.get(of_topic or settings.default_priority, "")
    assert isinstance(fields, dict)
    if "priorityId" in fields:
        return known.get(_identifier(fields["priorityId"], "priorityId"), "")
    asked = fields.get("priority")
    return default if isinstance(asked, dict | list) else known.get(_identifier(asked, "priority"), default)


def _subject(value: object) -> str:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return ", ".join(scalar(item) for item in items)
    return clean_subject(scalar(value))


def _entry(body: Body, poster: str, subject: str, settings: OsTicketSettings) -> tuple[NewEntry, tuple[str, ...]]:
    files, notes = sort_files(body.attachments, settings)
    text = body.message or ""
    message_id = scalar(body.fields.get("mid"))
    stored_id = stored_message_id(message_id) if message_id else None
    if body.message_type != "text/html":
        text = clean_text(text)
        return NewEntry("message", poster, text if text.strip() else "-", "text", subject, stored_id, files), notes
    images: list[NewAttachment] = []

    def store_image(media_type: str, data: bytes) -> str:
        key = secrets.token_urlsafe(24)
        name = f"image{secrets.token_urlsafe(3)}.{media_type.partition('/')[2]}"
        images.append(NewAttachment(name, media_type, data, inline=True, content_id=key))
        return key

    text = replace_inline_images(clean_html(text), store_image)
    return NewEntry(
        "message", poster, text if text.strip() else "-", "html", subject, stored_id, (*files, *images)
    ), notes


# Mail


def check_mail(mail: Mail, client: str, helpdesk: str, store: Store, settings: OsTicketSettings) -> Work | str:
    """What a mail would write, or the number of the ticket that already holds it; raises `Answered` if it is refused.

    The order is osTicket's: its own Message-ID, a Message-ID of the helpdesk, any stored one, `#number`, a new ticket.
    """
    known = store.entries_with_message_id(helpdesk, mail.message_id)
    for ticket_id, stored in known:
        ticket = store.ticket(ticket_id)
        if stored == mail.message_id and ticket is not None:
            return ticket.number
    person = store.person(helpdesk, mail.address.lower())
    found = _anchored(mail, [ticket_id for ticket_id, _ in known], person, helpdesk, store)
    if found is not None:
        ticket, loud = found
        if ticket.status not in CLOSED or settings.reopen:
            return _reply(mail, ticket, person, loud=loud)
    return _mail_ticket(mail, client, person, settings, store)


def _anchored(
    mail: Mail, same: list[int], person: Person | None, helpdesk: str, store: Store
) -> tuple[Ticket, bool] | None:
    """The ticket a mail belongs to, and whether its agents will be told."""
    reference = re.search(r"^Ref-Mid: (<[^<>\s]+>)", mail.body, re.MULTILINE)
    generated = [*mail.references, *([reference.group(1)] if reference else [])]
    for message_id in generated:
        ticket = _ticket(store, store.ticket_of_mail(helpdesk, message_id))
        if ticket is not None:
            return ticket, True
    stored = [
        ticket_id for ref in mail.references for ticket_id, _ in store.entries_with_message_id(helpdesk, ref)
    ]  # differs only in case: found, but not taken for the same
    for ticket_id in (*same, *stored):
        ticket = _ticket(store, ticket_id)
        if ticket is not None:
            return ticket, False
    word = re.search(r"#([\w-]+)", mail.subject)
    ticket = store.by_number(helpdesk, word.group(1)) if word else None
    return (ticket, True) if ticket is not None and person is not None and person.id == ticket.owner else None


def _ticket(store: Store, ticket: int | None) -> Ticket | None:
    return None if ticket is None else store.ticket(ticket)


def _reply(mail: Mail, ticket: Ticket, person: Person | None, *, loud: bool) -> Append:
    owner = person is not None and person.id == ticket.owner
    poster = person.name if person else person_name(mail.name)
    body = mail.body
    if not owner:  # the address loses its domain in the HTML cleaner, as recorded
        local = mail.address.partition("@")[0]
        opening, closing = (f"<{local}>", f"</{local}>") if mail.format == "text" else (f"&lt;{local}&gt;", "")
        body = f"Received From: {poster} {opening}\n\n{body}{closing}"
    message_id = stored_message_id(mail.message_id)
    files = without_duplicates(mail.attachments)
    entry = NewEntry("message", poster, body, mail.format, None, message_id, files)
    reopens = ticket.status in CLOSED and not mail.automatic
    return Append(ticket, entry, reopens, loud, _mail_notes(mail))


def _mail_notes(mail: Mail) -> tuple[str, ...]:
    return tuple(f"Unable to save attachment - {name}" for name in mail.refused_files)


def _mail_ticket(mail: Mail, client: str, person: Person | None, settings: OsTicketSettings, store: Store) -> Create:
    if mail.address.lower() in settings.banned or (person is None and not settings.accept_unregistered):
        raise answers.denied(mail.address)
    _check_open_tickets(person, mail.address, settings, store)
    name = person_name(mail.name)
    poster = person.name if person else name
    message_id = stored_message_id(mail.message_id)
    files = without_duplicates(mail.attachments)
    return Create(
        person=person,
        name=name,
        address=mail.address,
        subject=mail.subject,
        entry=NewEntry("message", poster, mail.body, mail.format, mail.subject, message_id, files),
        source="Email",
        ip=client,
        priority=settings.priorities.get(settings.default_priority, ""),
        department=settings.departments.get(1, ""),
        alert=True,
        autorespond=not mail.automatic,
        file_notes=_mail_notes(mail),
    )
