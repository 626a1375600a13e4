"""The spool by itself, on a real journal, when things go wrong that no process can be made to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config.models import Server, SourceSettings
from gateway.journal.protocol import Journal, JournalBroken, JournalFull
from gateway.journal.sqlite import open_sqlite
from gateway.model.ids import new_id
from gateway.model.receipt import Accepted, NewReceipt
from gateway.receive.pipe import PipeDoor
from gateway.receive.spool import AT_ONCE, Spool, entries, prepare
from gateway.sources.mail.settings import MailSettings
from tests.pipe.house import mail, names

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class Place:
    folder: Path
    journal: Journal
    spool: Spool
    sources: dict[str, SourceSettings]
    looks: list[tuple[int, int]]
    fault: list[Exception] = field(default_factory=list)

    def put(self, *subjects: str, identity: str = "") -> list[str]:
        ids = []
        for subject in subjects:
            name, body = identity or new_id(), mail(subject)
            head = f"ticket-gateway-pipe 1\nid {name}\nsource support\nlength {len(body)}\n\n"
            (self.folder / "new" / f"{name}.mail").write_bytes(head.encode() + body)
            ids.append(name)
        return ids

    async def taken(self) -> list[str]:
        found = await self.journal.reader().receipts(limit=1000)
        return [line.id for line in reversed(found)]

    def trouble(self) -> dict[str, object]:
        told = self.spool.status()["trouble"]
        assert isinstance(told, dict)
        return dict(told)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    journal = await open_sqlite(folder / "journal.db", min_free=0, run=new_id())
    sources: dict[str, SourceSettings] = {"support": MailSettings(kind="mail")}
    spool_folder = folder / "spool"
    prepare(spool_folder)
    looks: list[tuple[int, int]] = []

    async def accept(new: NewReceipt) -> Accepted:
        if here.fault:
            raise here.fault[0]
        return await journal.accept(new)

    door = PipeDoor(accept, lambda: sources, Server(), clock=lambda: 1_000_000.0)
    spool = Spool(
        spool_folder,
        door,
        journal,
        open_=lambda: True,
        looked=lambda *told: looks.append(told),
        clock=lambda: 1_000_000.0,
    )
    here = Place(spool_folder, journal, spool, sources, looks)
    try:
        yield here
    finally:
        await journal.close()


async def test_more_files_than_go_at_once_keep_their_order(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ids = here.put(*(str(number) for number in range(3 * AT_ONCE + 1)))
        await here.spool.work_off()
        assert await here.taken() == ids
        assert names(here.folder) == []
        assert here.looks == [(0, 0)]


async def test_a_journal_without_room_counts_no_try_and_loses_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ids = here.put("one", "two")
        here.fault.append(JournalFull("no room"))
        for _ in range(5):
            await here.spool.work_off()
        assert names(here.folder) == [f"{name}.mail" for name in ids]
        assert here.looks[-1] == (2, 0)
        here.fault.clear()
        await here.spool.work_off()
        assert await here.taken() == ids


async def test_a_lost_journal_ends_the_run_and_keeps_the_files(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.put("one")
        here.fault.append(JournalBroken("gone"))
        with pytest.raises(JournalBroken):
            await here.spool.run()
        assert len(names(here.folder)) == 1


async def test_what_the_journal_cannot_store_is_a_dead_letter_after_three_looks(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        (identity,) = here.put("one")
        here.fault.append(ValueError("the receipt cannot be stored"))
        for tries in (1, 2):
            await here.spool.work_off()
            assert names(here.folder) == [f"{identity}.mail.{tries}"]
            assert await here.taken() == []
        await here.spool.work_off()
        assert names(here.folder) == []
        (dead,) = await here.journal.reader().dead_letters()
        assert (dead.receipt, dead.source, dead.reason.value) == (identity, "support", "spool_broken")
        kept = await here.journal.reader().body(identity)
        assert kept is not None
        assert kept.body.endswith(mail("one"))


async def test_a_kill_after_the_dead_letter_is_written_makes_no_second_one(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        path = here.folder / "new" / f"{new_id()}.mail.2"
        path.write_bytes(b"half")
        await here.spool.work_off()
        assert len(await here.journal.reader().dead_letters()) == 1
        path.write_bytes(b"half")
        await here.spool.work_off()
        assert len(await here.journal.reader().dead_letters()) == 1
        assert names(here.folder) == []


async def test_mail_that_is_in_the_journal_already_only_leaves_the_spool(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        (identity,) = here.put("one")
        await here.spool.work_off()
        here.put("one", identity=identity)
        here.fault.append(ValueError("must not be asked"))
        await here.spool.work_off()
        assert await here.taken() == [identity]
        assert names(here.folder) == []


async def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.put("one")
        (here.folder / "new").rename(tmp_path / "elsewhere")
        (here.folder / "new").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(NotADirectoryError):
            entries(here.folder)
        with pytest.raises(OSError, match="directory"):
            await here.spool.work_off()
        assert await here.taken() == []


async def test_troubles_are_told_up_to_a_bound_and_counted(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.put(*(str(number) for number in range(30)))
        here.sources.clear()
        await here.spool.work_off()
        await here.spool.work_off()
        assert len(here.trouble()) == 20
        assert here.spool.status()["troubled"] == 30
        assert here.looks[-1] == (0, 30)


def test_folders_inherit_how_the_spool_is_open(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o2770)
    prepare(spool)
    assert [(spool / name).stat().st_mode & 0o7777 for name in ("new", "tmp")] == [0o2770, 0o2770]
    closed = tmp_path / "closed"
    prepare(closed)
    assert [path.stat().st_mode & 0o777 for path in (closed, closed / "new", closed / "tmp")] == [0o700] * 3
