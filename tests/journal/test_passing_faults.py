"""Faults that pass by themselves, and losses that concern one receipt only: none of them may end the process."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.isolation import Isolation, Stopped
from gateway.journal.bodies import Bodies, Stored
from gateway.journal.commits import fault
from gateway.journal.memory import MemoryJournal
from gateway.journal.protocol import AttachmentGone, Journal, JournalBroken, JournalFull
from gateway.journal.sqlite import open_sqlite
from gateway.model.receipt import ReceiptStatus
from tests.journal.builders import NOON, a_receipt

pytestmark = pytest.mark.anyio

BIG = b"x" * 100_000


def test_a_lock_of_another_program_passes_and_a_failed_disk_does_not(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    ours = sqlite3.connect(path, isolation_level=None, timeout=0)
    ours.execute("CREATE TABLE t (a)")
    theirs = sqlite3.connect(path, isolation_level=None, timeout=0)
    theirs.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as busy:
        ours.execute("INSERT INTO t VALUES (1)")
    assert isinstance(fault(busy.value), JournalFull)
    path.write_bytes(b"this is no database at all" * 100)
    theirs.close()
    ours.close()
    broken = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError) as corrupt:
        broken.execute("SELECT * FROM t")
    broken.close()
    assert isinstance(fault(corrupt.value), JournalBroken)


def test_a_body_that_finds_no_file_handle_may_come_again_and_one_that_is_stored_is_waited_for(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path / "bodies")
    stored = bodies.store("first", BIG)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 20, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises(JournalFull, match="ulimit"):
            bodies.store("second", BIG)
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert bodies.load(stored) == BIG


def test_a_body_that_is_gone_or_damaged_is_told_apart_from_a_disk_that_fails(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path / "bodies")
    stored = bodies.store("owner", BIG)
    assert stored.file is not None
    (bodies.folder / stored.file).write_bytes(b"other")
    with pytest.raises(AttachmentGone, match="damaged"):
        bodies.load(stored)
    with pytest.raises(AttachmentGone, match="gone"):
        bodies.load(Stored(None, "no/such.file"))


async def test_a_receipt_without_its_body_is_a_dead_letter_and_its_neighbours_are_given_out(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "j.db", run="first")
    lost, kept = a_receipt(BIG), a_receipt(b"small")
    await journal.accept(lost)
    await journal.accept(kept)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "bodies")
    receipts = await journal.claim_receipts(limit=10, now=NOON, lease=60)
    assert [receipt.id for receipt in receipts] == [kept.id]
    view = await journal.reader().receipt(lost.id)
    assert view is not None
    assert view.status is ReceiptStatus.DEAD
    assert "is gone" in view.detail
    assert len(await journal.reader().dead_letters()) == 1
    await journal.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_no_more_bodies_are_given_out_at_once_than_memory_is_meant_for(kind: str, tmp_path: Path) -> None:
    journal: Journal = MemoryJournal() if kind == "memory" else await open_sqlite(tmp_path / "j.db", run="first")
    ids = [a_receipt(BIG + bytes([number])) for number in range(7)]
    for new in ids:
        await journal.accept(new)
    given = [
        [receipt.id for receipt in await journal.claim_receipts(limit=10, now=NOON, lease=60, octets=octets)]
        for octets in (1, 250_000, 10**9)
    ]
    assert [len(part) for part in given] == [1, 3, 3]
    assert [name for part in given for name in part] == [new.id for new in ids]
    await journal.close()


async def test_a_child_that_cannot_be_started_is_no_fault_of_the_job() -> None:
    isolation = Isolation()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        job = asyncio.create_task(isolation.run(0.3, len, b"abc"))
        with pytest.raises(Stopped, match="could not be started"):
            await job
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert await isolation.run(30.0, len, b"abc") == 3
    isolation.close()
