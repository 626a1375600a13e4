"""The SQL of what is remembered of helpdesks."""

import sqlite3

from gateway.journal.protocol import HelpdeskState
from gateway.journal.rows import clean

_COLUMNS = "name, fingerprint, paused_since, paused_reason, paused_total, paused_by, braking_since, free_until"
_ALL = f"SELECT {_COLUMNS} FROM helpdesk ORDER BY name"  # noqa: S608 - constant
_ONE = f"SELECT {_COLUMNS} FROM helpdesk WHERE name = ?"  # noqa: S608 - constant
_PUT = f"INSERT OR REPLACE INTO helpdesk ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constant


def put(connection: sqlite3.Connection, state: HelpdeskState) -> int:
    """Write it, new or changed."""
    values = (
        state.name,
        state.fingerprint,
        state.paused_since,
        clean(state.paused_reason),
        state.paused_total,
        clean(state.paused_by),
        state.braking_since,
        state.free_until,
    )
    return connection.execute(_PUT, values).rowcount


def one(connection: sqlite3.Connection, name: str) -> HelpdeskState:
    """That of one helpdesk; a fresh one for an unknown name."""
    row = connection.execute(_ONE, (name,)).fetchone()
    return HelpdeskState(*row) if row is not None else HelpdeskState(name)


def every(connection: sqlite3.Connection) -> list[HelpdeskState]:
    """All of them, by name."""
    return [HelpdeskState(*row) for row in connection.execute(_ALL)]
