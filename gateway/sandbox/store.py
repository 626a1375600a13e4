"""The sandbox's tickets in one SQLite file.

Nothing is kept in memory beside it, so a restart restores everything and 50,000 tickets cost no memory. The file is in
WAL mode with ``synchronous=OFF``: what was committed survives a kill of the process, not a loss of power, which is
enough for a stand-in and keeps a create well under a millisecond.
"""

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from gateway.sandbox.records import (
    Attachment,
    Entry,
    LogLine,
    NewAttachment,
    NewEntry,
    NewTicket,
    Person,
    SentMail,
    Thread,
    Ticket,
    TicketEvent,
)

_TICKET = (
    "SELECT id, helpdesk, number, subject, owner, requester, address, status, priority, topic, department, assignee,"
    " source, ip, fields, created, updated, (SELECT count(*) FROM entry WHERE entry.ticket = ticket.id) FROM ticket"
)
_CHANGEABLE = frozenset(["subject", "requester", "address", "status", "priority", "topic", "department", "assignee"])
_BATCH = 500  # ids in one IN (…)


class Store:
    """Tickets of all sandbox helpdesks. Used from one thread at a time; errors are sqlite3's own."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` is made if it is missing; None keeps everything in memory and forgets it at the end."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        name = ":memory:" if folder is None else str(folder / "sandbox.db")
        self._db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=10.0)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
        )
        self._db.executescript(files("gateway.sandbox").joinpath("schema.sql").read_text("utf-8"))
        if "details" not in {
            row[1] for row in self._db.execute("PRAGMA table_info(entry)")
        }:  # a file of an older version
            self._db.execute("ALTER TABLE entry ADD COLUMN details TEXT NOT NULL DEFAULT '{}'")

    def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is committed together, or not at all when an exception leaves the block."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # What is written

    def add_person(self, helpdesk: str, address: str, name: str, *, phone: str = "", notes: str = "") -> Person:
        """Store a user and give it ``address``, taking that from whoever had it."""
        cursor = self._db.execute(
            "INSERT INTO person (helpdesk, name, phone, notes) VALUES (?, ?, ?, ?)", (helpdesk, name, phone, notes)
        )
        person = Person(cursor.lastrowid or 0, name)
        self._db.execute(
            "INSERT INTO address (helpdesk, address, person) VALUES (?, ?, ?)"
            " ON CONFLICT (helpdesk, address) DO UPDATE SET person = excluded.person",
            (helpdesk, address, person.id),
        )
        return person

    def add_ticket(self, helpdesk: str, new: NewTicket, now: float) -> int:
        """Store a ticket row; answers its id."""
        cursor = self._db.execute(
            "INSERT INTO ticket (helpdesk, number, subject, owner, requester, address, status, priority, topic,"
            " department, assignee, source, ip, fields, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                helpdesk,
                new.number,
                new.subject,
                new.owner,
                new.requester,
                new.address,
                new.status,
                new.priority,
                new.topic,
                new.department,
                new.assignee,
                new.source,
                new.ip,
                json.dumps(dict(new.fields)),
                now,
                now,
            ),
        )
        return cursor.lastrowid or 0

    def add_entry(self, ticket: int, new: NewEntry, now: float) -> int:
        """Store an entry with its attachments; answers its id."""
        cursor = self._db.execute(
            "INSERT INTO entry (ticket, kind, poster, title, body, format, message_id, created, details)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                ticket,
                new.kind,
                new.poster,
                new.title,
                new.body,
                new.format,
                new.message_id,
                now,
                json.dumps(dict(new.details)),
            ),
        )
        entry = cursor.lastrowid or 0
        self.add_files(entry, new.attachments)
        self._db.execute("UPDATE ticket SET updated = ? WHERE id = ?", (now, ticket))
        return entry

    def add_files(self, entry: int, new: Iterable[NewAttachment]) -> None:
        """Store files of an entry that is there."""
        for file in new:
            digest = hashlib.sha256(file.data).hexdigest()
            self._db.execute("INSERT OR IGNORE INTO content (sha256, data) VALUES (?, ?)", (digest, file.data))
            self._db.execute(
                "INSERT INTO attachment (entry, filename, media_type, size, inline, content_id, sha256)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    entry,
                    file.filename,
                    file.media_type,
                    len(file.data) if file.size is None else file.size,
                    file.inline,
                    file.content_id,
                    digest,
                ),
            )

    def add_event(self, ticket: int, kind: str, detail: str, now: float) -> None:
        """Write down what happened to a ticket."""
        self._db.execute(
            "INSERT INTO event (ticket, kind, detail, created) VALUES (?, ?, ?, ?)", (ticket, kind, detail, now)
        )

    def add_mail(self, ticket: int, recipient: str, subject: str, message_id: str, now: float) -> None:
        """Write down a mail that would have been sent."""
        self._db.execute(
            "INSERT INTO mail (ticket, recipient, subject, message_id, created) VALUES (?, ?, ?, ?, ?)",
            (ticket, recipient, subject, message_id, now),
        )

    def log(self, helpdesk: str, level: str, title: str, detail: str, now: float) -> None:
        """Write a line into the helpdesk's system log."""
        self._db.execute(
            "INSERT INTO system_log (helpdesk, level, title, detail, created) VALUES (?, ?, ?, ?, ?)",
            (helpdesk, level, title, detail, now),
        )

    def set_status(self, ticket: int, status: str, now: float) -> None:
        """Change a ticket's state."""
        self._db.execute("UPDATE ticket SET status = ?, updated = ? WHERE id = ?", (status, now, ticket))

    def set_assignee(self, ticket: int, agent: str) -> None:
        """Give a ticket to an agent."""
        self._db.execute("UPDATE ticket SET assignee = ? WHERE id = ?", (agent, ticket))

    def change_ticket(self, ticket: int, now: float, **columns: str) -> None:
        """Change columns of a ticket row: subject, address, requester, status, priority, topic, department, assignee."""
        unknown = columns.keys() - _CHANGEABLE
        if unknown:
            raise ValueError(f"a ticket has no such columns to change: {', '.join(sorted(unknown))}")
        for name, value in columns.items():
            self._db.execute(f"UPDATE ticket SET {name} = ? WHERE id = ?", (value, ticket))  # noqa: S608 - checked above
        self._db.execute("UPDATE ticket SET updated = ? WHERE id = ?", (now, ticket))

    def set_fields(self, ticket: int, fields: Mapping[str, str], now: float) -> None:
        """Replace a ticket's fields."""
        self._db.execute(
            "UPDATE ticket SET fields = ?, updated = ? WHERE id = ?", (json.dumps(dict(fields)), now, ticket)
        )

    def set_number(self, ticket: int, number: str) -> None:
        """Give a ticket its number, where that is made of its id."""
        self._db.execute("UPDATE ticket SET number = ? WHERE id = ?", (number, ticket))

    def move_entries(self, source: int, target: int) -> None:
        """Move all entries of a ticket to another one, as a merge does."""
        self._db.execute("UPDATE entry SET ticket = ? WHERE ticket = ?", (target, source))

    def delete(self, ticket: int) -> None:
        """Remove a ticket with everything that belongs to it."""
        self._db.execute("DELETE FROM ticket WHERE id = ?", (ticket,))

    # What is looked up

    def person(self, helpdesk: str, address: str) -> Person | None:
        """Who an address belongs to."""
        row = self._db.execute(
            "SELECT person.id, person.name FROM address JOIN person ON person.id = address.person"
            " WHERE address.helpdesk = ? AND address.address = ?",
            (helpdesk, address),
        ).fetchone()
        return None if row is None else Person(*row)

    def person_by_id(self, helpdesk: str, person: int) -> tuple[Person, str] | None:
        """A user by its id, with its address."""
        row = self._db.execute(
            "SELECT person.id, person.name, coalesce(address.address, '') FROM person"
            " LEFT JOIN address ON address.person = person.id WHERE person.helpdesk = ? AND person.id = ?",
            (helpdesk, person),
        ).fetchone()
        return None if row is None else (Person(row[0], row[1]), row[2])

    def open_tickets(self, owner: int) -> int:
        """How many open tickets a user has."""
        row = self._db.execute("SELECT count(*) FROM ticket WHERE owner = ? AND status = 'open'", (owner,)).fetchone()
        return int(row[0])

    def entries_with_message_id(self, helpdesk: str, message_id: str) -> list[tuple[int, str]]:
        """(ticket, Message-ID as stored) of all entries whose Message-ID is this one but for case, oldest first."""
        return self._db.execute(
            "SELECT ticket.id, entry.message_id FROM entry JOIN ticket ON ticket.id = entry.ticket"
            " WHERE entry.message_id = ? COLLATE NOCASE AND ticket.helpdesk = ? ORDER BY entry.id",
            (message_id, helpdesk),
        ).fetchall()

    def message_ids(self, helpdesk: str) -> list[tuple[int, str]]:
        """(ticket, Message-ID) of all entries that have one."""
        return self._db.execute(
            "SELECT entry.ticket, entry.message_id FROM entry JOIN ticket ON ticket.id = entry.ticket"
            " WHERE ticket.helpdesk = ? AND entry.message_id IS NOT NULL",
            (helpdesk,),
        ).fetchall()

    def ticket_of_mail(self, helpdesk: str, message_id: str) -> int | None:
        """The ticket that a mail of the helpdesk itself was about."""
        row = self._db.execute(
            "SELECT ticket.id FROM mail JOIN ticket ON ticket.id = mail.ticket"
            " WHERE mail.message_id = ? AND ticket.helpdesk = ?",
            (message_id, helpdesk),
        ).fetchone()
        return None if row is None else int(row[0])

    def number_taken(self, helpdesk: str, number: str) -> bool:
        """Whether a ticket has this number."""
        query = "SELECT 1 FROM ticket WHERE number = ? AND helpdesk = ?"
        return self._db.execute(query, (number, helpdesk)).fetchone() is not None

    def by_number(self, helpdesk: str, number: str) -> Ticket | None:
        """The ticket with this number."""
        row = self._db.execute(_TICKET + " WHERE number = ? AND helpdesk = ?", (number, helpdesk)).fetchone()
        return None if row is None else _ticket(row)

    def ticket(self, ticket: int) -> Ticket | None:
        """The ticket with this id."""
        row = self._db.execute(_TICKET + " WHERE id = ?", (ticket,)).fetchone()
        return None if row is None else _ticket(row)

    def tickets(self, helpdesk: str = "", limit: int = -1) -> list[Ticket]:
        """The newest tickets first; all helpdesks' if none is named."""
        rows = self._db.execute(
            _TICKET + " WHERE ? IN ('', helpdesk) ORDER BY id DESC LIMIT ?", (helpdesk, limit)
        ).fetchall()
        return [_ticket(row) for row in rows]

    def count(self) -> int:
        """How many tickets there are."""
        return int(self._db.execute("SELECT count(*) FROM ticket").fetchone()[0])

    def highest_id(self) -> int:
        """The id of the newest ticket there ever was; 0 if there was none."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'ticket'").fetchone()
        return 0 if row is None else int(row[0])

    def version(self) -> int:
        """A number that changes whenever this process has written something."""
        return self._db.total_changes

    def content(self, attachment: int) -> tuple[Attachment, bytes] | None:
        """A stored file with its content."""
        row = self._db.execute(
            "SELECT id, filename, media_type, size, inline, content_id, attachment.sha256, data FROM attachment"
            " JOIN content ON content.sha256 = attachment.sha256 WHERE id = ?",
            (attachment,),
        ).fetchone()
        if row is None:
            return None
        return Attachment(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6]), bytes(row[7])

    def system_log(self, helpdesk: str = "", limit: int = 100) -> list[LogLine]:
        """The newest lines of the system log first."""
        rows = self._db.execute(
            "SELECT level, title, detail, created FROM system_log WHERE ? IN ('', helpdesk) ORDER BY id DESC LIMIT ?",
            (helpdesk, limit),
        )
        return [LogLine(*row) for row in rows]

    def threads(self, tickets: Iterable[int]) -> dict[int, Thread]:
        """Everything that belongs to these tickets, in the order it came."""
        wanted = list(tickets)
        found: dict[int, Thread] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            found.update(self._threads(batch))
        return found

    def _threads(self, tickets: list[int]) -> dict[int, Thread]:
        marks = ",".join("?" * len(tickets))  # only question marks reach the statement
        files_of: dict[int, list[Attachment]] = defaultdict(list)
        for row in self._db.execute(
            "SELECT entry, attachment.id, filename, media_type, size, inline, content_id, sha256 FROM attachment"  # noqa: S608 - marks
            f" JOIN entry ON entry.id = entry WHERE ticket IN ({marks}) ORDER BY attachment.id",
            tickets,
        ):
            files_of[row[0]].append(Attachment(row[1], row[2], row[3], row[4], bool(row[5]), row[6], row[7]))
        entries: dict[int, list[Entry]] = defaultdict(list)
        for row in self._db.execute(
            "SELECT ticket, id, kind, poster, title, body, format, message_id, created, details FROM entry"  # noqa: S608 - marks
            f" WHERE ticket IN ({marks}) ORDER BY id",
            tickets,
        ):
            values = [*row[1:9], tuple(files_of.get(row[1], ())), json.loads(row[9])]
            entries[row[0]].append(Entry(*values))
        events: dict[int, list[TicketEvent]] = defaultdict(list)
        for row in self._db.execute(
            f"SELECT ticket, kind, detail, created FROM event WHERE ticket IN ({marks}) ORDER BY id",  # noqa: S608 - marks
            tickets,
        ):
            events[row[0]].append(TicketEvent(*row[1:]))
        mails: dict[int, list[SentMail]] = defaultdict(list)
        for row in self._db.execute(
            "SELECT ticket, recipient, subject, message_id, created FROM mail"  # noqa: S608 - marks
            f" WHERE ticket IN ({marks}) ORDER BY id",
            tickets,
        ):
            mails[row[0]].append(SentMail(*row[1:]))
        return {
            ticket: Thread(tuple(entries.get(ticket, ())), tuple(events.get(ticket, ())), tuple(mails.get(ticket, ())))
            for ticket in tickets
        }


def _ticket(row: Sequence[Any]) -> Ticket:
    values = [*row[:14], json.loads(row[14]), *row[15:]]
    return Ticket(*values)
