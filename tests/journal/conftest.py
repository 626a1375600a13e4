"""Every contract test runs against every journal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal.memory import MemoryJournal
from gateway.journal.protocol import Journal
from gateway.journal.sqlite import open_sqlite


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Journal]:
    opened: Journal = MemoryJournal() if request.param == "memory" else await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()
