"""Where the journal of a configuration lies, and how to read it while its owner writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.config.config import Config
from gateway.journal.bodies import Bodies
from gateway.journal.protocol import Reader
from gateway.journal.reader import Snapshots, SqliteReader

_SCHEME = "sqlite:///"


def journal_path(config: Config) -> Path:
    """The journal's file: the path of ``server.journal.url``, relative to the configuration's folder.

    Raises:
        ValueError: for a URL that is none of SQLite; `check` tells it with its place before.
    """
    url = config.server.journal.url
    if not url.startswith(_SCHEME) or url == _SCHEME:
        raise ValueError(f"server.journal.url: {url!r} is no sqlite:///PATH")
    return config.folder / url.removeprefix(_SCHEME)


@asynccontextmanager
async def reading(path: Path) -> AsyncIterator[Reader]:
    """The read side of the journal at ``path``, whether a gateway owns it or not."""
    snapshots = Snapshots(path, "journal-reader")
    try:
        yield SqliteReader(snapshots, Bodies(path.parent / "bodies"))
    finally:
        await snapshots.close()
