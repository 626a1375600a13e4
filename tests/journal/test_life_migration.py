"""Incidents of an earlier version live on: without timers, and with the severity they had as the worst one."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.journal.migrate import migrate, shipped
from gateway.journal.protocol import IncidentChange, Lookup, NewTimer, Processed
from gateway.journal.sqlite import open_sqlite
from gateway.model.event import Severity
from gateway.model.incident import Deadline, TimerKind
from tests.journal.builders import NOON, a_receipt

pytestmark = pytest.mark.anyio


async def test_an_open_incident_of_an_earlier_version_is_known_and_takes_timers(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrate(connection, {number: text for number, text in shipped().items() if number < 4})
    connection.execute(
        "INSERT INTO incident (id, key, state, version, route, helpdesk, plan, severity, title, host, service,"
        " occurrences, sequence, opened_at, last_event_at, last_appended_at, reasons)"
        " VALUES ('i', 'k', 'open', 4, 'r', 'h', 'p', 'major', 't', 'web1', '', 1, 1, 1, 1, 1, '[]')"
    )
    connection.close()
    journal = await open_sqlite(path, run="after")
    lookup = Lookup(keys=frozenset({"k"}), hosts=frozenset({"web1"}))
    known = await journal.know(lookup, NOON)
    old = known.by_key["k"]
    assert (old.timers, old.worst, old.changes, old.flapping) == ((), Severity.MAJOR, (), False)
    assert known.of_hosts == (old,)
    receipt = a_receipt()
    await journal.accept(receipt)
    later = replace(old, version=5, timers=(Deadline(TimerKind.EXPIRE, NOON + 9),))
    await journal.commit_processed(
        [
            Processed(
                receipt.id,
                incidents=(IncidentChange(later, 4),),
                timers=(NewTimer("i/expire", "i", "expire", NOON + 9),),
            )
        ]
    )
    (due,) = await journal.due_timers(now=NOON + 10, limit=5)
    assert (due.incident, due.held) == (later, None)
    await journal.close()
