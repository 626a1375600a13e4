"""Brings a database file to the schema of this program, one numbered file after the other."""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gateway.journal.protocol import JournalTooNew

FOLDER = Path(__file__).parent / "sql"

_ADDED = re.compile(r"^ALTER TABLE (?P<table>\w+) ADD COLUMN (?P<column>\w+)", re.MULTILINE)
_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_VERSION = "SELECT value FROM meta WHERE name = 'schema_version'"
_SET_VERSION = "INSERT OR REPLACE INTO meta (name, value) VALUES ('schema_version', ?)"


def shipped() -> dict[int, str]:
    """The migrations of this program: number -> SQL text, from the files ``NNNN_name.sql``."""
    return {int(file.name[:4]): file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("[0-9]*_*.sql"))}


def migrate(connection: sqlite3.Connection, migrations: Mapping[int, str]) -> int:
    """Apply what is missing, each migration in a transaction of its own; gives back the version reached.

    Raises:
        JournalTooNew: if the file's version is above the highest migration known.
    """
    connection.execute(_META)
    row = connection.execute(_VERSION).fetchone()
    version = int(row[0]) if row else 0
    newest = max(migrations, default=0)
    if version > newest:
        raise JournalTooNew(
            f"the journal has schema {version}, this program knows {newest}; "
            "start the version that wrote it, or a newer one",
        )
    for number in sorted(migrations):
        if number > version:
            _apply(connection, number, migrations[number])
    return newest


def _apply(connection: sqlite3.Connection, number: int, text: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements(text):
            if not _is_there(connection, statement):
                connection.execute(statement)
        connection.execute(_SET_VERSION, (str(number),))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_there(connection: sqlite3.Connection, statement: str) -> bool:
    """Whether a statement adds a column that the table has: SQLite knows no ``ADD COLUMN IF NOT EXISTS``.

    Some columns stood in an earlier migration for a while, so that there are journals of one number with and without.
    """
    added = _ADDED.search(statement)
    if added is None:
        return False
    return any(row[1] == added["column"] for row in connection.execute(f"PRAGMA table_info({added['table']})"))


def statements(text: str) -> list[str]:
    """The single statements of a script. ``executescript`` would commit on its own before each script."""
    found: list[str] = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found
