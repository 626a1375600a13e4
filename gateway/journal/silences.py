"""The SQL of silences."""

import sqlite3

import orjson

from gateway.journal.rows import clean, dumps
from gateway.model.silence import Silence

_FORGET = "DELETE FROM silence WHERE ends_at < ?"
_PUT = (
    "INSERT OR REPLACE INTO silence (id, content, starts_at, ends_at, author, comment, made_at) VALUES (?,?,?,?,?,?,?)"
)
_ALL = "SELECT id, content, starts_at, ends_at, author, comment, made_at FROM silence ORDER BY ends_at, id"
KEPT = 400 * 86400.0
"""Seconds for which a silence that is over is still shown."""


def put(connection: sqlite3.Connection, silence: Silence) -> int:
    """Write it, new or changed, and forget what was over long ago."""
    connection.execute(_FORGET, (silence.made_at - KEPT,))
    values = (silence.starts_at, silence.ends_at, clean(silence.author), clean(silence.comment), silence.made_at)
    return connection.execute(_PUT, (silence.id, dumps(dict(silence.match)).decode(), *values)).rowcount


def every(connection: sqlite3.Connection) -> list[Silence]:
    """All that are kept, those that end first before the others."""
    return [
        Silence(name, orjson.loads(content), starts_at, ends_at, author, comment, made_at)
        for name, content, starts_at, ends_at, author, comment, made_at in connection.execute(_ALL)
    ]
