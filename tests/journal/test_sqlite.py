"""What only the SQLite journal promises: one owner, files, faults of the disk, crashes, migrations, backup."""

import asyncio
import hashlib
import os
import resource
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.faultpoints import ENVIRONMENT, Point
from gateway.journal.commits import COMMIT_DELAY
from gateway.journal.intake import FEW_RECENT, Recent
from gateway.journal.migrate import migrate, shipped, statements
from gateway.journal.protocol import JournalBroken, JournalError, JournalFull, JournalOwned, JournalTooNew, Processed
from gateway.journal.sqlite import SqliteJournal, open_sqlite
from gateway.model.action import ActionStatus, AttachmentRef
from gateway.model.event import Attachment
from gateway.model.ids import new_id
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus
from tests.journal.builders import (
    DAY,
    NOON,
    a_receipt,
    a_record,
    an_action,
    an_event,
    an_incident,
    begun,
    claimed,
    processed,
)

pytestmark = pytest.mark.anyio
BIG = b"b" * 200_000
SHIPPED = {
    1: "9ae8b47e0cb65fe7", 2: "2f4da788a064a3fb", 3: "3502583a159d1e00", 4: "1392c1037eaf6f6d", 5: "72edeb4202f320dc",
    6: "f861995e4aada8ab", 7: "bb0da8b69ab7c3ec", 8: "4f75579b742f3b6e", 9: "7d98014b78bff21e", 10: "069e1871158d4ab9",
    11: "03328ab85103f089", 12: "67a765b0b9424923", 13: "fb86f5c94df5c561",
    14: "2b59448118ca866d",
}  # fmt: skip
ROOT = Path(__file__).parents[2]


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "bodies").rglob("*") if path.is_file()]


async def opened(folder: Path, *, min_free: int = 0) -> SqliteJournal:
    return await open_sqlite(folder / "data" / "j.db", min_free=min_free, run="test")


async def test_a_second_owner_is_refused_by_the_process_id_of_the_first(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(JournalOwned, match=str(os.getpid())):
        await opened(tmp_path)
    await journal.close()
    await (await opened(tmp_path)).close()


async def test_folder_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.accept(a_receipt(BIG))
    folder = tmp_path / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert len(modes) >= 4
    assert set(modes.values()) == {0o600}
    await journal.close()


async def test_the_file_is_synced_in_full_and_written_ahead(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    connection = journal._writer._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    await journal.close()


async def test_big_bodies_are_files_until_they_are_pruned(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    receipt = a_receipt(BIG)
    await journal.accept(receipt)
    event = an_event(attachments=[Attachment("a", "text/plain", BIG)])
    [got] = await journal.claim_receipts(limit=1, now=NOON, lease=60)
    assert got.body == BIG
    await journal.commit_processed([Processed(receipt.id, events=(a_record(event),))])
    assert sorted(path.name.split(".")[0] for path in files(tmp_path / "data")) == [receipt.id] * 2
    assert await journal.prune(now=NOON + 9 * DAY, keep=DAY, keep_links=DAY, limit=9) == 1
    assert files(tmp_path / "data") == []
    await journal.close()


async def test_a_repeat_with_a_big_body_leaves_no_file(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.accept(a_receipt(BIG, key="k"))
    await journal.accept(a_receipt(BIG, key="k"))
    await journal.close()
    assert len(files(tmp_path / "data")) == 1


async def test_a_damaged_attachment_is_not_given_out(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    receipt = a_receipt()
    await journal.accept(receipt)
    attachment = Attachment("a", "text/plain", BIG)
    await journal.commit_processed([Processed(receipt.id, events=(a_record(an_event(attachments=[attachment])),))])
    [path] = files(tmp_path / "data")
    path.write_bytes(BIG[:-1])
    with pytest.raises(JournalError, match="damaged"):
        await journal.attachment(AttachmentRef(receipt.id, 0, 0, "a", "text/plain", len(BIG), attachment.sha256))
    await journal.close()


async def test_files_without_a_row_are_removed_at_open_and_others_are_kept(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    receipt = a_receipt(BIG)
    await journal.accept(receipt)
    await journal.close()
    orphan = tmp_path / "data" / "bodies" / "00" / "orphan.00"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (1, 1))
    journal = await opened(tmp_path)
    assert not orphan.exists()
    stored = await journal.reader().body(receipt.id)
    assert stored is not None
    assert stored.body == BIG
    await journal.close()


async def test_a_full_disk_refuses_loses_nothing_and_recovers_by_itself(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    first = a_receipt()
    await journal.accept(first)
    connection = journal._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    stored = [first.id]
    refused = 0
    for _ in range(20):
        new = a_receipt(b"x" * 5000)
        try:
            await journal.accept(new)
            stored.append(new.id)
        except JournalFull:
            refused += 1
    assert refused > 10
    connection.execute("PRAGMA max_page_count = 1000000").fetchall()
    late = a_receipt()
    await journal.accept(late)
    receipts = await journal.claim_receipts(limit=99, now=NOON, lease=60)
    assert [receipt.id for receipt in receipts] == [*stored, late.id]
    await journal.close()


async def test_too_little_free_room_refuses_intake_but_not_the_rest(tmp_path: Path) -> None:
    journal = await opened(tmp_path, min_free=2**62)
    with pytest.raises(JournalFull, match="free"):
        await journal.accept(a_receipt())
    with pytest.raises(JournalFull, match="free"):
        await journal.probe(NOON)
    await journal.write_history([])
    await journal.close()


_CHILD_WITHOUT_ROOM = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway.journal.protocol import JournalBroken
from gateway.journal.sqlite import open_sqlite
from tests.journal.builders import a_receipt

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = await open_sqlite(Path(sys.argv[1]), run="child")
    first = a_receipt()
    await journal.accept(first)
    print(first.id, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    failures = 0
    for _ in range(50):
        try:
            await journal.accept(a_receipt(b"x" * 9000))
        except JournalBroken:
            failures += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(failures, flush=True)
    for call in (journal.write_history([]), journal.claim_receipts(limit=1, now=0, lease=1)):
        try:
            await call
        except JournalBroken:
            print("broken", flush=True)
    await journal.close()

asyncio.run(main())
"""


def child(*arguments: str, fault: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **({ENVIRONMENT: fault} if fault else {}), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


async def test_after_an_io_error_the_journal_is_broken_for_good(tmp_path: Path) -> None:
    assert resource.RLIM_INFINITY is not None
    path = tmp_path / "j.db"
    done = await asyncio.to_thread(child, "-c", _CHILD_WITHOUT_ROOM, str(path))
    first, failures, *rest = done.stdout.split()
    assert int(failures) > 10, done.stderr
    assert rest == ["broken", "broken"]
    journal = await open_sqlite(path, run="after")
    assert await journal.reader().receipt(first) is not None
    await journal.close()


CRASHES = [point for point in Point if not point.value.startswith("call.")]


@pytest.mark.parametrize("point", CRASHES)
async def test_what_was_answered_outlives_a_kill(point: Point, tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    count = 3 if point.value.startswith("claim") else 2  # the first claim commit is that of opening
    script = str(Path(__file__).with_name("crash_child.py"))
    done = await asyncio.to_thread(child, script, str(path), fault=f"{point.value}={count}")
    assert done.returncode == -9, done.stderr
    answered = [line.split() for line in done.stdout.splitlines()]
    journal = await open_sqlite(path, run="after")
    reader = journal.reader()
    for what, name in answered:
        if what == "accepted":
            assert await reader.receipt(name) is not None
        if what == "processed":
            view = await reader.receipt(name)
            assert view is not None
            assert view.status is ReceiptStatus.PROCESSED
    lines = await reader.receipts(limit=9)
    accepted = [name for what, name in answered if what == "accepted"]
    assert len(lines) == len(accepted) + (point is Point.ACCEPT_AFTER_COMMIT)
    for receipt in await journal.claim_receipts(limit=9, now=NOON, lease=9):
        assert receipt.tries == 1 + (point.value.startswith("processed") or point is Point.CLAIM_AFTER_COMMIT)
    for action in await claimed(journal, now=NOON + DAY):
        in_flight = point in {Point.INTENT_AFTER_COMMIT, Point.OUTCOME_BEFORE_COMMIT}
        assert action.status is (ActionStatus.UNKNOWN if in_flight else ActionStatus.QUEUED)
        assert action.request == (b"request" if in_flight else b"")
    await journal.close()


async def test_what_was_in_flight_is_unknown_after_a_restart_and_due_when_it_is_settled(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    receipt = await processed(journal, an_action(an_incident().id))
    [action] = await claimed(journal)
    assert await begun(journal, action)
    await journal.close()
    journal = await opened(tmp_path)
    assert await claimed(journal, now=NOON + 119) == []
    [again] = await claimed(journal, now=NOON + 120)
    assert (again.resolve, again.tries, again.request, again.fence) == (True, 1, b"request", action.fence + 1)
    view = await journal.reader().receipt(receipt)
    assert view is not None
    assert view.actions[0].attempts[0].reason == Reason.INTERRUPTED
    assert view.timeline[-1].reason is Reason.INTERRUPTED
    await journal.close()


async def test_receipts_of_an_earlier_run_are_given_out_again_with_their_tries(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.accept(a_receipt(), claim=True)
    await journal.close()
    journal = await opened(tmp_path)
    [receipt] = await journal.claim_receipts(limit=9, now=NOON, lease=60)
    assert receipt.tries == 2
    await journal.accept(a_receipt())
    [later] = await journal.claim_receipts(limit=9, now=NOON, lease=60)
    assert later.sequence > receipt.sequence
    await journal.close()


async def test_a_claimed_receipt_whose_caller_went_away_is_not_lost(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    task = asyncio.create_task(journal.accept(a_receipt(), claim=True))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.probe(NOON)
    assert len(await journal.claim_receipts(limit=9, now=NOON, lease=60)) == 1
    await journal.close()


async def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    tasks = [asyncio.create_task(journal.accept(a_receipt())) for _ in range(100)]
    await asyncio.sleep(0)
    await journal.close()
    assert len(await asyncio.gather(*tasks)) == 100


async def test_whatever_waits_shares_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMIT_DELAY, "20")
    journal = await opened(tmp_path)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await asyncio.gather(*(journal.accept(a_receipt()) for _ in range(200)))
    assert 0.02 <= loop.time() - begin < 1.0  # one by one it would be four seconds
    await journal.close()


async def test_a_journal_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with sqlite3.connect(tmp_path / "data" / "j.db") as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema_version'")
    connection.close()
    with pytest.raises(JournalTooNew, match="999"):
        await opened(tmp_path)


def test_migrations_are_applied_once_and_in_order() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first = {1: "CREATE TABLE a (x TEXT);\nINSERT INTO a VALUES ('one; two');"}
    assert migrate(connection, first) == 1
    second = {**first, 2: "ALTER TABLE a ADD COLUMN y TEXT DEFAULT 'new';"}
    assert migrate(connection, second) == 2
    assert migrate(connection, second) == 2
    assert connection.execute("SELECT x, y FROM a").fetchall() == [("one; two", "new")]
    connection.close()


def test_a_migration_that_fails_leaves_the_version_before_it() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    broken = {1: "CREATE TABLE a (x TEXT);", 2: "CREATE TABLE b (x TEXT);\nINSERT INTO nowhere VALUES (1);"}
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, broken)
    assert migrate(connection, {**broken, 2: "CREATE TABLE b (x TEXT);"}) == 2
    connection.close()


@pytest.mark.parametrize(
    "had", [False, True], ids=["as first shipped", "with the columns that stood in 0001 for a while"]
)
async def test_a_journal_of_the_first_schema_opens_and_goes_on(tmp_path: Path, had: bool) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    connection = sqlite3.connect(tmp_path / "data" / "j.db", isolation_level=None)
    migrate(connection, {1: shipped()[1]})
    if had:
        connection.execute("ALTER TABLE receipt ADD COLUMN recent BLOB")
        connection.execute("ALTER TABLE receipt ADD COLUMN recent_until REAL")
    connection.close()
    journal = await opened(tmp_path)
    first = a_receipt(key="the same", given=False)
    assert (await journal.accept(first)).duplicate_of is None
    again = replace(first, id=new_id())
    assert (await journal.accept(again)).duplicate_of == first.id
    await journal.close()


def test_a_migration_that_was_shipped_is_never_changed() -> None:
    """Somebody has a journal that it made: what comes later is a migration of its own."""
    digests = {number: hashlib.sha256(text.encode()).hexdigest()[:16] for number, text in shipped().items()}
    assert digests == SHIPPED


def test_the_shipped_migrations_are_numbered_without_a_gap() -> None:
    assert list(shipped()) == list(range(1, len(shipped()) + 1))
    assert all(statements(text) for text in shipped().values())


def test_working_queries_go_by_partial_indexes() -> None:
    from gateway.journal import (  # noqa: PLC0415 - their private statements
        delivering,
        falling_back,
        intake,
        persons,
        processing,
    )

    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, shipped())
    values = {
        "helpdesk": "h",
        "now": 1,
        "busy": "[]",
        "taken": "[]",
        "limit": 5,
        "horizon": 9,
        "paused_total": 0,
        "free": 0,
        "braked": 1,
    }
    cases: list[tuple[str, dict[str, object] | tuple[object, ...], str]] = [
        (delivering._DUE, values, "action_due"),
        (delivering._BUSY, ("h",), "action_running"),
        (falling_back._OVERDUE, values, "action_falls_back"),
        (intake._UNCLAIMED, (0, 5), "receipt_waiting"),
        (processing._OLDEST_WAITING, (), "receipt_waiting"),
        (processing._DUE, values, "timer_due"),
        (processing._BY_MEMBER, ("[]",), "member_open"),
        (processing._BY_KEY, ("[]",), "incident_open"),
        (persons.OPEN_TICKETS, ("h", 1.0, 5), "incident_looked"),
        (persons.OF_TICKET, {"helpdesk": "h", "ticket": "1"}, "incident_ticket_id"),
    ]
    for statement, bound, index in cases:
        plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", bound))
        assert index in plan, (statement, plan)
        assert "TEMP B-TREE FOR ORDER" not in plan or index == "member_open", (statement, plan)
    connection.close()


async def test_a_backup_opens_as_a_journal_with_all_its_bodies(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    small, big = a_receipt(), a_receipt(BIG)
    await journal.accept_all([small, big])
    target = tmp_path / "backup"
    await journal.backup(str(target))
    with pytest.raises(JournalError, match="backup"):
        await journal.backup(str(target))
    await journal.close()
    copy = await open_sqlite(target / "j.db", run="copy")
    receipts = await copy.claim_receipts(limit=9, now=NOON, lease=60)
    assert [(receipt.id, receipt.body) for receipt in receipts] == [(small.id, small.body), (big.id, BIG)]
    await copy.close()


async def test_a_broken_journal_says_so_at_every_call(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    journal._writer._broken = "the disk failed"
    with pytest.raises(JournalBroken, match="the disk failed"):
        await journal.accept(a_receipt())
    with pytest.raises(JournalBroken, match="the disk failed"):
        await journal.claim_actions("osticket", limit=1, now=NOON, lease=1)
    await journal.close()


async def test_a_byte_equal_repeat_is_known_after_a_restart_and_forgotten_after_its_time(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    first = await journal.accept(a_receipt(b"one", key="r", given=False, horizon=120.0))
    await journal.close()
    journal = await opened(tmp_path)
    repeat = a_receipt(b"one", key="r", given=False, horizon=120.0, at=NOON + 119)
    later = a_receipt(b"one", key="r", given=False, horizon=120.0, at=NOON + 121)
    assert (await journal.accept(repeat)).duplicate_of == first.id
    assert (await journal.accept(later)).duplicate_of is None
    await journal.close()


def test_the_memory_of_recent_deliveries_is_bounded_and_forgets_the_oldest() -> None:
    recent = Recent()
    for number in range(FEW_RECENT + 10):
        recent.add(b"%d" % number, f"r{number}", NOON + number)
    assert recent.first(b"0", NOON - 1) is None
    assert recent.first(b"%d" % (FEW_RECENT + 9), NOON) == f"r{FEW_RECENT + 9}"
