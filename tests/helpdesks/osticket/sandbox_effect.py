"""Says what a request did to a sandbox, in the words of the recorded exchanges, so that the two can be compared."""

import email.header
import html
import re
from dataclasses import dataclass
from typing import TypeVar

from gateway.sandbox.records import Entry, LogLine, Ticket
from gateway.sandbox.sandbox import Sandbox

_T = TypeVar("_T")
_STATUS = {"open": 1, "resolved": 2, "closed": 3, "archived": 4}
NOTHING = "nothing written: no ticket, no thread entry"


@dataclass(frozen=True)
class Snapshot:
    tickets: dict[int, Ticket]
    entries: dict[int, tuple[int, Entry]]
    events: list[str]
    mails: list[tuple[str, str]]
    people: list[tuple[str, str]]
    log: list[LogLine]


def snapshot(sandbox: Sandbox) -> Snapshot:
    tickets = {ticket.id: ticket for ticket in reversed(sandbox.store.tickets())}
    threads = sandbox.store.threads(tickets)
    return Snapshot(
        tickets,
        {entry.id: (ticket, entry) for ticket, thread in threads.items() for entry in thread.entries},
        [event.kind for thread in threads.values() for event in thread.events if event.kind != "created"],
        [(mail.recipient, mail.subject) for thread in threads.values() for mail in thread.mails],
        sandbox.store._db.execute(
            "SELECT name, address FROM address JOIN person ON person.id = person ORDER BY person.id"
        ).fetchall(),
        list(reversed(sandbox.store.system_log(limit=10_000))),
    )


def effect(sandbox: Sandbox, before: Snapshot) -> str:
    after = snapshot(sandbox)
    settings = sandbox.osticket.settings
    topics = {topic.name: number for number, topic in settings.topics.items()} | {"": 0}
    departments = {name: number for number, name in settings.departments.items()}
    told = []
    for number, t in after.tickets.items():
        if number not in before.tickets:
            told.append(
                f"ticket row created: number {t.number}, source {t.source}, help topic id {topics[t.topic]}, department id"
                f" {departments[t.department]}, priority {t.priority}, status id {_STATUS[t.status]}, owner {t.address}"
                f" ({t.requester}), ip '{t.ip}', subject '{t.subject}'"
            )
    new = [entry for number, (_, entry) in after.entries.items() if number not in before.entries]
    for entry in new:
        kind = "internal note" if entry.kind == "note" else entry.kind
        title = None if entry.title is None else f"'{entry.title}'"
        body = entry.body if entry.format == "html" else html.escape(entry.body)
        body = body.replace("\n", "\\n")
        told.append(f"thread entry ({kind}, format {entry.format}, poster '{entry.poster}', title {title}) : '{body}'")
    for entry in new:
        for file in entry.attachments:
            inline = ", inline" if file.inline else ""
            told.append(
                f"attachment linked: '{file.filename}' type {file.media_type}, {file.size} bytes stored{inline}"
            )
    for entry in new:
        lost = re.search(r"(\S+): Unable to save file|Unable to save attachment - (.+)", entry.body)
        if entry.kind == "note" and lost:
            told.append(f"file row without attachment: '{lost.group(1) or lost.group(2)}', 0 bytes")
    told += [f"user created: '{name}' <{address}>" for name, address in after.people[len(before.people) :]]
    told += [f"Message-ID stored: {entry.message_id}" for entry in new if entry.message_id]
    told += [f"event: {kind}" for kind in _added(before.events, after.events)]
    told += [f"system log {line.level}: {line.title}" for line in after.log[len(before.log) :]]
    told += [f"mail sent: {recipient} | {subject}" for recipient, subject in _added(before.mails, after.mails)]
    return normal("; ".join(told) or NOTHING)


def _added(before: list[_T], after: list[_T]) -> list[_T]:
    left = list(before)
    added = []
    for item in after:
        if item in left:
            left.remove(item)
        else:
            added.append(item)
    return added


def _mail(match: re.Match[str]) -> str:
    recipient = re.sub(r".*<(.*)>", r"\1", match.group(1))
    subject = "".join(
        part if isinstance(part, str) else part.decode(charset or "ascii")
        for part, charset in email.header.decode_header(match.group(2).replace("?Q?", "?q?"))
    )
    return f"mail sent: {recipient} | {subject}"


def normal(text: str) -> str:
    """Take away what differs from one run to the next: row numbers, random ids and names, the mails' own ids."""
    text = text.replace("\n", "\\n")
    text = re.sub(r" in ticket row \d+", " ", text)
    text = re.sub(r"mail sent: To: (.*?) \| Subject: (.*?) \| Message-ID: [^;]*", _mail, text)
    text = re.sub(r"cid:[\w-]+", "cid:ID", text)
    text = re.sub(r"'image-?[\w-]{4}\.png'", "'imageRANDOM.png'", text)
    return re.sub(r"(?<=Message-ID stored: )(<l{100})\w+", r"\1", text)
