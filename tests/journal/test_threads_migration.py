"""A journal of an earlier version learns from its own events who takes part in what."""

import sqlite3
from pathlib import Path

import pytest

from gateway.journal.migrate import migrate, shipped
from gateway.journal.protocol import Lookup, ThreadLookup
from gateway.journal.rows import dumps
from gateway.journal.sqlite import open_sqlite
from gateway.model.event import Event, Kind, event_to_json
from tests.journal.builders import NOON

pytestmark = pytest.mark.anyio
EVENTS = [
    Event(Kind.MESSAGE, sender_address="Ann@X.example", message_id="one@x", cc=("Bob@X.example",), to=("support@own",)),
    Event(Kind.MESSAGE, sender_address="", message_id="two@x"),
    Event(Kind.BOUNCE, sender_address="MAILER-DAEMON@x.example", message_id="three@x"),
    Event(Kind.PROBLEM, host="web1"),
]


async def test_mails_and_participants_of_earlier_events_are_known_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrate(connection, {number: text for number, text in shipped().items() if number < 3})
    connection.execute(
        "INSERT INTO receipt (sequence, id, source, received_at, status, tries, size, content_type, headers, envelope,"
        " peer, warnings) VALUES (1, 'r', 'mail', ?, 'processed', 1, 1, '', '[]', '{}', '', '[]')",
        (NOON,),
    )
    connection.execute(
        "INSERT INTO incident (id, key, state, version, route, helpdesk, plan, severity, title, host, service,"
        " occurrences, sequence, opened_at, last_event_at, last_appended_at, reasons)"
        " VALUES ('i', 'k', 'open', 0, 'r', 'h', '', 'info', '', '', '', 1, 1, 1, 1, 1, '[]')"
    )
    for index, event in enumerate(EVENTS):
        connection.execute(
            "INSERT INTO event (receipt, event, kind, title, reason, route, incident, content, decision)"
            " VALUES ('r', ?, ?, '', 'opened', '', 'i', ?, '{}')",
            (index, event.kind.value, dumps(event_to_json(event))),
        )
    connection.close()
    journal = await open_sqlite(path, run="after")
    known = await journal.know(
        Lookup(threads=ThreadLookup(mails=frozenset({("mail", "one@x"), ("mail", "two@x")}))), NOON
    )
    await journal.close()
    assert known.threads.mails == {("mail", "one@x"): ("i",), ("mail", "two@x"): ("i",)}
    assert known.threads.participants == {"i": frozenset({"ann@x.example", "bob@x.example"})}
