"""What was answered with 250 is on disk, whenever the process dies."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.receive.smtp.support import Client

pytestmark = [pytest.mark.anyio, pytest.mark.processes]
CLIENTS = 8


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.receive.smtp.child", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"up\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def send(folder: Path, name: str, unanswered: list[bytes], answered: dict[str, bytes]) -> None:
    """Deliver until the other side dies; first of all what had no answer the last time, as an MTA would."""
    client = Client(*await asyncio.open_unix_connection(f"{folder}/smtp.sock"))
    try:
        await client.answer()
        number = 0
        while True:
            number += 1
            if not unanswered:
                unanswered.append(b"Message-ID: <%b-%d@x>\r\n\r\nbody\r\n" % (name.encode(), number))
            if not (await client.begin()).startswith(b"354"):
                break
            answer = await client.say(unanswered[0] + b".")
            if not answer.startswith(b"250"):
                break
            answered[answer.rpartition(b" ")[2].decode()] = unanswered.pop(0)
    finally:
        await client.close()


async def test_what_was_answered_with_250_survives_a_kill_and_nothing_is_doubled(tmp_path: Path) -> None:
    answered: dict[str, bytes] = {}
    unanswered: list[list[bytes]] = [[] for _ in range(CLIENTS)]
    for run in range(4):
        async with running(tmp_path) as process:
            clients = [
                asyncio.create_task(send(tmp_path, f"{run}-{one}", unanswered[one], answered)) for one in range(CLIENTS)
            ]
            await asyncio.sleep(0.15 + 0.07 * run)
            process.kill()
            await asyncio.gather(*clients, return_exceptions=True)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        rows = journal.execute("SELECT receipt.id, body.content FROM receipt JOIN body USING (sequence)").fetchall()
    kept = dict(rows)
    assert len(answered) > 20
    assert {name: kept[name] for name in answered} == answered
    assert len(set(kept.values())) == len(kept)
