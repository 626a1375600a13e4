"""What the osTicket double has decided to write, once the checks of a request are done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings
from gateway.sandbox.records import NewAttachment, NewEntry, Person, Ticket


@dataclass(frozen=True, slots=True)
class Create:
    """A new ticket. ``person`` is who owned the address when the request was checked; None makes a new user.

    ``fatal_subject``: PHP will die after the ticket row. ``cannot_close``: the row stays open and the answer is an error.
    """

    person: Person | None
    name: str
    address: str
    subject: str
    entry: NewEntry
    source: str
    ip: str
    priority: str
    topic: str = ""
    department: str = ""
    status: str = "open"
    agent: int | None = None
    number_format: str | None = None
    phone: str = ""
    notes: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    alert: bool = True
    autorespond: bool = False
    file_notes: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    fatal_subject: bool = False
    cannot_close: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """A reply to a ticket. ``loud``: the assigned agent is mailed."""

    ticket: Ticket
    entry: NewEntry
    reopens: bool
    loud: bool
    file_notes: tuple[str, ...] = ()


Work = Create | Append


def file_note(sentence: str) -> NewEntry:
    """The note osTicket leaves about a file it dropped; the client is never told."""
    return NewEntry("note", "SYSTEM", sentence, title="File Import Error")


def sort_files(
    files: Sequence[NewAttachment], settings: OsTicketSettings
) -> tuple[tuple[NewAttachment, ...], tuple[str, ...]]:
    """The files that are kept, and the notes about the others."""
    if not settings.attachments:
        return (), ()
    kept, notes = [], []
    for file in files:
        size = len(file.data) if file.size is None else file.size
        if size > settings.max_file_size:
            notes.append(f"{file.filename}: File size is too large")
        elif not _type_allowed(file, settings):
            notes.append(f"{file.filename}: File type is not allowed")
        elif not file.data:
            notes.append(f"{file.filename}: Unable to save file")
        else:
            kept.append(file)
    return without_duplicates(kept), tuple(notes)


def _type_allowed(file: NewAttachment, settings: OsTicketSettings) -> bool:
    if not settings.extensions and not settings.media_types:
        return True
    _, dot, extension = file.filename.rpartition(".")
    by_name = bool(dot) and extension.lower() in {name.lower() for name in settings.extensions}
    return by_name or file.media_type in settings.media_types


def without_duplicates(files: Sequence[NewAttachment]) -> tuple[NewAttachment, ...]:
    """The same content twice is one attachment, under the last of its names."""
    by_content: dict[bytes, NewAttachment] = {}
    for file in files:
        known = by_content.get(file.data)
        by_content[file.data] = file if known is None else replace(known, filename=file.filename)
    return tuple(by_content.values())
