"""The spool of `ticket-gateway-pipe`: mails that came while no gateway answered, taken up in their order.

``new/ID.mail`` is a whole mail (see `gateway.receive.pipe`); ``tmp/`` holds what is being written. A file leaves the spool
only after its mail is durable in the journal. Its name is the receipt's id, so a kill between the two doubles nothing.

A file that cannot be read as a mail is counted in its name (``ID.mail.1``, ``ID.mail.2``); the third time its octets become a
dead letter. What is not the file's own fault (no such source, no room, not our permission) is not counted: it stays, is
reported, and others go on. Links, folders and other names are never touched.
"""

import asyncio
import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gateway.config.config import Config
from gateway.config.models import SourceSettings
from gateway.journal.locate import journal_path
from gateway.journal.protocol import HistoryLine, Journal, JournalBroken, JournalError, Processed
from gateway.model.ids import new_id
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt
from gateway.receive.intake import IntakeClosed
from gateway.receive.pipe import MOST, NoSource, NotPiped, PipeDoor, unpack

EVERY = 0.5
"""Seconds between looks."""
TRIES = 3
"""A file that cannot be read so many times becomes a dead letter."""
AT_ONCE = 32
"""Files whose mails are made durable together, in order."""
ALONE = 32 * 1024
"""Octets from which a file goes by itself: a large body is written apart, and a smaller one must not overtake it."""
TOLD = 20
"""So many faults are told one by one; the rest is a number."""
UNNAMED = "spool"
"""The source of a dead letter whose file does not say from which it is."""

_NAME = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})\.mail(?:\.([12]))?")
_LITTER = 86400.0
_TIDY_EVERY = 3600.0
_SOURCE = re.compile(rb"^source ([A-Za-z0-9_.-]{1,100})$", re.MULTILINE)


def spool_path(config: Config) -> Path:
    """The spool's folder: ``server.spool``, relative to the configuration's; by default `spool` beside the journal."""
    if config.server.spool:
        return config.folder / config.server.spool
    return journal_path(config).absolute().with_name("spool")


def socket_path(spool: Path) -> Path:
    """Where the script finds the running gateway."""
    return spool / "socket"


def prepare(spool: Path) -> None:
    """Make the folders where they are missing; ``new`` and ``tmp`` are open to whom the spool is open to.

    Raises:
        OSError: they cannot be made.
    """
    if not spool.exists():
        spool.mkdir(mode=0o700, parents=True)
    mode = stat.S_IMODE(spool.stat().st_mode) & 0o777
    mask = os.umask(0)  # no chmod: it would need the right to set what the group is inherited by (RestrictSUIDSGID)
    try:
        for folder in (spool / "new", spool / "tmp"):
            if not folder.exists():
                folder.mkdir(mode)
    finally:
        os.umask(mask)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the spool. ``fault`` says why it cannot be taken up as it is; ``written`` is when it was."""

    name: str
    size: int = 0
    written: float = 0.0
    fault: str = ""

    @property
    def id(self) -> str:
        """The id in the name."""
        return self.name[:36]

    @property
    def tries(self) -> int:
        """How often the file could not be read."""
        return int(self.name.rpartition(".mail")[2].lstrip(".") or 0)


def entries(spool: Path) -> list[Entry]:
    """The files that are, or claim to be, mails, the oldest first; nothing is opened.

    Raises:
        OSError: the folder cannot be read.
    """
    with _opened(spool) as folder, os.scandir(folder) as found:
        return sorted((_entry(each) for each in found if _NAME.fullmatch(each.name)), key=lambda entry: entry.name)


def _entry(found: "os.DirEntry[str]") -> Entry:
    try:
        status = found.stat(follow_symlinks=False)
    except FileNotFoundError:
        return Entry(found.name)
    fault = ""
    if not stat.S_ISREG(status.st_mode):
        fault = "it is no regular file; links are not followed"
    elif status.st_nlink != 1:
        fault = "it has a second name (a hard link), so it may be somebody else's file"
    elif status.st_size > MOST:
        fault = "it is larger than any mail that the script writes"
    return Entry(found.name, status.st_size, status.st_mtime, fault)


@contextlib.contextmanager
def _opened(spool: Path) -> Iterator[int]:
    """The folder ``new``, and never what a link in its place points to."""
    handle = os.open(spool / "new", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def _read(spool: Path, entry: Entry) -> bytes:
    """The octets of a file that is still the one that was looked at."""
    with _opened(spool) as folder:
        handle = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > MOST:
            raise PermissionError(f"{entry.name} is another file now")
        return file.read()


def _remove(spool: Path, names: Iterable[str]) -> dict[str, str]:
    """Take files out of the spool; those that stay, and why."""
    left: dict[str, str] = {}
    with _opened(spool) as folder:
        for name in names:
            try:
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                left[name] = f"its mail is taken, but it cannot be removed: {error.strerror}"
    return left


def _rename(spool: Path, name: str, to: str) -> None:
    with _opened(spool) as folder:
        os.rename(name, to, src_dir_fd=folder, dst_dir_fd=folder)


def _tidy(spool: Path, now: float) -> None:
    """Remove half-written files of processes that were killed long ago."""
    for path in (spool / "tmp").iterdir():
        with contextlib.suppress(OSError):
            if now - path.lstat().st_mtime > _LITTER:
                path.unlink()


class Spool:
    """Takes up what the script left. ``ready`` is true once everything from before the start was looked at."""

    def __init__(
        self,
        folder: Path,
        door: PipeDoor,
        journal: Journal,
        *,
        open_: Callable[[], bool],
        looked: Callable[[int, int], None] = lambda _waiting, _stuck: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``open_`` is false while nothing may be taken (no room, or the queue is full).

        ``looked`` is told after each look how many mails wait, and how many cannot be taken now.
        """
        self.ready = False
        self._folder = folder
        self._door = door
        self._journal = journal
        self._reader = journal.reader()
        self._open = open_
        self._looked = looked
        self._clock = clock
        self._waiting = 0
        self._trouble: dict[str, str] = {}
        self._held: dict[str, str] = {}  # files that wait for another configuration, and why
        self._sources: Mapping[str, SourceSettings] = {}
        self._taken: dict[str, None] = {}  # files that could not be removed after their mail was taken
        self._tries: dict[str, int] = {}  # of files that could not be renamed
        self._tidied = 0.0

    async def run(self) -> None:
        """Look for ever.

        Raises:
            JournalBroken: the journal is lost.
        """
        while True:
            try:
                await self.work_off()
            except FileNotFoundError:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(prepare, self._folder)
            except OSError as error:
                self._report({"": f"the spool cannot be read: {error.strerror}"})
            self.ready = True
            await asyncio.sleep(EVERY)

    def status(self) -> dict[str, JsonValue]:
        """What waits, and why."""
        told: dict[str, JsonValue] = dict(list(self._trouble.items())[:TOLD])
        return {"folder": str(self._folder), "waiting": self._waiting, "trouble": told, "troubled": len(self._trouble)}

    async def work_off(self) -> None:
        """Take up what lies there now.

        Raises:
            OSError: the folder cannot be read.
            JournalBroken: the journal is lost.
        """
        now = self._clock()
        if now - self._tidied > _TIDY_EVERY:
            self._tidied = now
            await asyncio.to_thread(_tidy, self._folder, now)
        sources = self._door.sources()
        if sources is not self._sources:
            self._sources, self._held = sources, {}
        found = await asyncio.to_thread(entries, self._folder)
        self._waiting = len(found)
        trouble: dict[str, str] = {}
        work: list[Entry] = []
        for entry in found:
            fault = entry.fault or self._held.get(entry.name, "")
            if fault:
                trouble[entry.name] = fault
            else:
                work.append(entry)
        self._held = {name: why for name, why in self._held.items() if name in trouble}
        for chunk in _chunks(work):
            if not self._open() or not await self._take(chunk, trouble):
                break
        self._report(trouble)
        self._looked(self._waiting - len(trouble), len(trouble))

    async def _take(self, chunk: Sequence[Entry], trouble: dict[str, str]) -> bool:
        """Take up a few files; false if nothing can be taken now."""
        coming: list[tuple[Entry, NewReceipt]] = []
        done: list[str] = []
        for entry in chunk:
            if entry.name in self._taken:
                done.append(entry.name)
                continue
            new = await self._ready_receipt(entry, trouble)
            if new is None:
                continue
            if (settled := await self._settled(new)) is None:
                done.append(entry.name)
            else:
                coming.append((entry, settled))
        # Begun one after the other, so they get their places in this order, and one fsync is for all of them.
        results = await asyncio.gather(*(self._door.accept(new) for _, new in coming), return_exceptions=True)
        go_on = True
        for (entry, new), result in zip(coming, results, strict=True):
            if isinstance(result, Accepted):
                done.append(entry.name)
                structlog.get_logger().info(
                    "taken up from the spool", receipt=result.id, source=new.source, duplicate_of=result.duplicate_of
                )
            elif isinstance(result, JournalBroken) or not isinstance(result, Exception):
                raise result
            elif isinstance(result, JournalError | IntakeClosed):
                go_on = False
            elif await self._settled(new) is None:  # its hand-over, whose answer was lost, was on its way meanwhile
                done.append(entry.name)
            else:
                await self._broken(entry, b"", f"it cannot be stored: {result}", trouble)
        await self._forget(done, trouble)
        return go_on

    async def _ready_receipt(self, entry: Entry, trouble: dict[str, str]) -> NewReceipt | None:
        """The receipt of a file, if there is one to be made of it now."""
        content = b""
        try:
            content = await asyncio.to_thread(_read, self._folder, entry)
            piped = unpack(content, entry.id)
            return self._door.receipt(piped)
        except FileNotFoundError:
            return None
        except PermissionError:
            trouble[entry.name] = "it cannot be read by the gateway's user"
        except NoSource as error:
            trouble[entry.name] = self._held[entry.name] = str(error)
        except (NotPiped, OSError) as error:
            await self._broken(entry, content, str(error), trouble)
        return None

    async def _settled(self, new: NewReceipt) -> NewReceipt | None:
        """None if this very mail is in the journal; with another id if that one belongs to another mail."""
        try:
            there = await self._reader.body(new.id)
        except JournalBroken:
            raise
        except JournalError:  # it is known, and its body is lost: this one is as good as the first
            return replace(new, id=new_id())
        if there is None:
            return new
        return None if (there.source, there.body) == (new.source, new.body) else replace(new, id=new_id())

    async def _broken(self, entry: Entry, content: bytes, why: str, trouble: dict[str, str]) -> None:
        """Count that a file cannot be taken up; the third time it becomes a dead letter."""
        tries = max(entry.tries, self._tries.get(entry.name, 0)) + 1
        trouble[entry.name] = f"{why} ({tries} of {TRIES} tries)"
        if tries < TRIES:
            try:
                await asyncio.to_thread(_rename, self._folder, entry.name, f"{entry.id}.mail.{tries}")
            except OSError:
                self._tries[entry.name] = tries
            return
        if not content:
            try:
                content = await asyncio.to_thread(_read, self._folder, entry)
            except OSError as error:
                trouble[entry.name] = f"it cannot be read: {error.strerror}"
                return
        try:
            await self._bury(entry, content, why)
        except JournalBroken:
            raise
        except JournalError:
            return  # no room; it is tried again
        await self._forget([entry.name], trouble)

    async def _bury(self, entry: Entry, content: bytes, why: str) -> None:
        """Keep the octets of a file as a dead letter."""
        now = self._clock()
        named = _SOURCE.search(content[:4096])
        new = NewReceipt(
            id=entry.id,
            source=named[1].decode() if named else UNNAMED,
            received_at=now,
            body=content,
            content_type="application/octet-stream",
            envelope={"door": "pipe", "file": entry.name},
        )
        settled = await self._settled(new)
        if settled is None:
            return
        await self._journal.accept(settled, claim=True)
        detail = f"A file of the pipe's spool could not be taken up: {why}."
        line = HistoryLine(at=now, what="accepted", reason=Reason.SPOOL_BROKEN, detail=detail, receipt=settled.id)
        await self._journal.commit_processed(
            [Processed(receipt=settled.id, dead=Reason.SPOOL_BROKEN, detail=detail, history=(line,))]
        )
        structlog.get_logger().error(
            "dead letter",
            reason=Reason.SPOOL_BROKEN.value,
            receipt=settled.id,
            source=settled.source,
            file=entry.name,
            detail=why,
        )

    async def _forget(self, names: Sequence[str], trouble: dict[str, str]) -> None:
        """Take files whose mails are in the journal out of the spool."""
        if not names:
            return
        left = await asyncio.to_thread(_remove, self._folder, names)
        for name in names:
            self._waiting -= name not in left
            self._taken.pop(name, None)
            trouble.pop(name, None)
        self._taken |= dict.fromkeys(left)
        trouble |= left

    def _report(self, trouble: dict[str, str]) -> None:
        """Say what is new, but not for ever."""
        fresh = [(name, why) for name, why in trouble.items() if self._trouble.get(name) != why]
        log = structlog.get_logger()
        for name, why in fresh[:TOLD]:
            log.warning("left in the spool", file=name, detail=why)
        if len(fresh) > TOLD:
            log.warning("left in the spool", detail=f"and {len(fresh) - TOLD} other files")
        self._trouble = trouble


def _chunks(found: Sequence[Entry]) -> Iterator[list[Entry]]:
    """A few small files at a time, large ones each by itself."""
    chunk: list[Entry] = []
    for entry in found:
        if chunk and (len(chunk) == AT_ONCE or entry.size > ALONE):
            yield chunk
            chunk = []
        chunk.append(entry)
        if entry.size > ALONE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
