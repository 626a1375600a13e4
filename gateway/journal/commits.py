"""Group commit: whatever waits goes into one transaction and one COMMIT, then all answers leave.

One writer thread owns the connection; one task on the loop hands it batches. There is no artificial delay: while a
commit runs, the next batch gathers.

Rows of ordinary size are written on the loop, where that takes microseconds; the thread does the COMMIT. Every statement
lets go of the interpreter's lock, and to win that back from a busy loop took a thread most of a batch's time.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Generic, TypeVar, cast

from gateway import faultpoints
from gateway.faultpoints import Point
from gateway.journal.intake import Intake, Recent, write_intake
from gateway.journal.pace import Pace
from gateway.journal.protocol import JournalBroken, JournalError, JournalFull

COMMIT_DELAY = "TICKET_GATEWAY_COMMIT_DELAY_MS"
"""Environment variable for benches and tests: so many ms are added to every commit, as a slow disk would."""

_MOST_INTAKE = 512
_MOST_URGENT = 256
_MOST_ON_LOOP = 512 * 1024  # octets of bodies
_MOST_OTHERS = 64
_CHECKPOINT_AFTER = 32 * 2**20  # octets written, roughly
_ROOM_EVERY = 0.25
_FEW = 2  # pieces of work that are no intake; with more, the thread's fsync overlaps with what the loop does for them
_MANY = 4  # receipts at once are a flood: what they mean can wait, and to wake the thread costs more than the fsync

T = TypeVar("T")


class Sort(StrEnum):
    """The sort of a piece of work; it names its fault points."""

    ACCEPT = "accept"
    CLAIM = "claim"
    PROCESSED = "processed"
    INTENT = "intent"
    OUTCOME = "outcome"
    OTHER = "other"


_BEFORE = {
    Sort.ACCEPT: Point.ACCEPT_BEFORE_COMMIT,
    Sort.CLAIM: Point.CLAIM_BEFORE_COMMIT,
    Sort.PROCESSED: Point.PROCESSED_BEFORE_COMMIT,
    Sort.INTENT: Point.INTENT_BEFORE_COMMIT,
    Sort.OUTCOME: Point.OUTCOME_BEFORE_COMMIT,
}
_AFTER = {
    Sort.ACCEPT: Point.ACCEPT_AFTER_COMMIT,
    Sort.CLAIM: Point.CLAIM_AFTER_COMMIT,
    Sort.PROCESSED: Point.PROCESSED_AFTER_COMMIT,
    Sort.INTENT: Point.INTENT_AFTER_COMMIT,
    Sort.OUTCOME: Point.OUTCOME_AFTER_COMMIT,
}
# Another program holds the file (an operator's sqlite3 shell), or handles or memory are short: it passes.
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM})
_URGENT = frozenset({Sort.INTENT, Sort.OUTCOME})
_ON_LOOP = frozenset({Sort.PROCESSED, Sort.INTENT, Sort.OUTCOME})
_PATIENCE = 10_000  # ms that the thread waits for another program's lock; the loop does not wait at all


@dataclass(slots=True)
class Work(Generic[T]):
    """Something to be done inside the next transaction. ``abandoned`` is told if nobody waits for the answer any more."""

    sorts: tuple[Sort, ...]
    run: Callable[[sqlite3.Connection], T]
    future: "asyncio.Future[T]"
    abandoned: Callable[[T], None] | None = None


@dataclass(slots=True)
class _Batch:
    intake: list[Intake]
    works: list[Work[object]]
    answers: list[tuple[bool, object]] = field(default_factory=list)

    @property
    def short(self) -> bool:
        """Whether writing its rows may hold up the loop."""
        return all(sort in _ON_LOOP for work in self.works for sort in work.sorts) and (
            sum(intake.octets for intake in self.intake) < _MOST_ON_LOOP
        )

    @property
    def leaves_nothing_to_do(self) -> bool:
        """Whether the loop has nothing better to do while it is committed. A single receipt is worked on meanwhile."""
        return len(self.works) <= _FEW and (not self.intake or len(self.intake) >= _MANY)


def fault(error: sqlite3.Error) -> JournalError:
    """What an error of SQLite means for the journal."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalFull("there is no room for the journal; nothing was written")
    if code in _PASSING:
        return JournalFull(f"the journal cannot write now ({error}); nothing was written")
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY}:
        name = getattr(error, "sqlite_errorname", "")
        return JournalBroken(f"the journal's disk failed ({name}: {error}); what it holds now is not known")
    return JournalError(f"the journal cannot write: {error}")


class Writer:
    """The writer thread and the task that feeds it."""

    def __init__(self, connection: sqlite3.Connection, folder: str, *, min_free: int) -> None:
        self.recent = Recent()
        self._connection = connection
        connection.execute("PRAGMA busy_timeout = 0")
        self._folder = folder
        self._min_free = min_free
        self._room_asked = 0.0
        self._room = True
        self._thread = ThreadPoolExecutor(1, "journal-writer")
        self._intake: deque[Intake] = deque()
        self._urgent: deque[Work[object]] = deque()
        self._others: deque[Work[object]] = deque()
        self._wake = asyncio.Event()
        self._broken: str | None = None
        self._closed = False
        self._delay = float(os.environ.get(COMMIT_DELAY) or 0) / 1000
        self._unsynced = 0
        self._changes = 0
        self._pace = Pace()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="journal-flusher")

    def check(self) -> None:
        """Raise if the journal can take no work at all."""
        if self._broken is not None:
            raise JournalBroken(self._broken)
        if self._closed:
            raise JournalError("the journal is closed")

    def check_room(self) -> None:
        """Raise `JournalFull` if less than ``min_free`` is free; the disk is asked at most four times a second."""
        if not self._min_free:
            return
        now = time.monotonic()
        if now - self._room_asked >= _ROOM_EVERY:
            self._room_asked = now
            status = os.statvfs(self._folder)
            self._room = status.f_bavail * status.f_frsize >= self._min_free
        if not self._room:
            raise JournalFull(f"less than {self._min_free} octets are free under {self._folder}")

    def take_in(self, intake: Intake) -> None:
        """Queue receipts."""
        self.check()
        self._intake.append(intake)
        self._wake.set()

    async def do(
        self,
        sort: Sort,
        run: Callable[[sqlite3.Connection], T],
        *,
        also: Sort | None = None,
        abandoned: Callable[[T], None] | None = None,
    ) -> T:
        """Run a function inside the next transaction; its result, once that transaction is durable.

        ``also`` names a second sort, for work that does two steps at once.
        An exception of ``run`` undoes only what that function wrote, and is raised here.
        """
        self.check()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = Work((sort,) if also is None else (sort, also), run, future, abandoned)
        (self._urgent if sort in _URGENT else self._others).append(cast("Work[object]", work))
        self._wake.set()
        return await future

    async def close(self) -> None:
        """Finish what is queued, then end the thread."""
        self._closed = True
        self._wake.set()
        await self._task
        if self._broken is None:
            with contextlib.suppress(sqlite3.Error):  # the next open does it again
                await self._on_thread(self._checkpoint)
        await self._on_thread(self._connection.close)
        self._thread.shutdown()

    def _on_thread(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _run(self) -> None:
        while True:
            if not (self._intake or self._urgent or self._others):
                if self._closed:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._next()
            try:
                await self._store(batch)
            except JournalBroken as error:
                self._break(str(error), batch)
                continue
            except JournalError as error:
                _fail(batch, error)
                continue
            _answer(batch)
            if self._unsynced > _CHECKPOINT_AFTER:
                try:
                    await self._on_thread(self._checkpoint)
                except sqlite3.Error as error:
                    failure = fault(error)
                    if isinstance(failure, JournalBroken):
                        self._break(str(failure), _Batch([], []))

    def _next(self) -> _Batch:
        intake = [self._intake.popleft() for _ in range(min(len(self._intake), _MOST_INTAKE))]
        works = [self._urgent.popleft() for _ in range(min(len(self._urgent), _MOST_URGENT))]
        works += [self._others.popleft() for _ in range(min(len(self._others), _MOST_OTHERS))]
        return _Batch(intake, works)

    def _break(self, message: str, batch: _Batch) -> None:
        """After a failed commit nothing is tried again: what is in the cache and what is on disk may differ for good."""
        self._broken = message
        _fail(batch, JournalBroken(message))
        _fail(_Batch(list(self._intake), [*self._urgent, *self._others]), JournalBroken(message))
        self._intake.clear()
        self._urgent.clear()
        self._others.clear()

    async def _store(self, batch: _Batch) -> None:
        if batch.short and self._begun():
            self._write(batch)
            if batch.leaves_nothing_to_do and self._pace.fast:
                self._pace.took(self._commit(batch))
                await asyncio.sleep(0)
            else:
                self._pace.took_elsewhere(await self._on_thread(partial(self._commit, batch)))
        else:
            await self._on_thread(partial(self._wait_and_commit, batch))

    def _begun(self) -> bool:
        """Open a transaction; False if another program has the lock."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise fault(error) from error
        return True

    def _write(self, batch: _Batch) -> None:
        """Write the rows within the open transaction."""
        with self._undone_on_error():
            if batch.intake:
                write_intake(self._connection, batch.intake, self.recent)
            batch.answers = [_guarded(self._connection, work) for work in batch.works]

    @contextlib.contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """An error ends the transaction and is raised to everybody in the batch; the flusher must outlive it."""
        try:
            yield
        except Exception as error:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself, or is broken anyway
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise fault(error) from error
            raise JournalError(f"the journal cannot write: {type(error).__name__}: {error}") from error

    # ---------------------------------------------------------------------------------------- on the writer's thread

    def _wait_and_commit(self, batch: _Batch) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")
        try:
            with self._undone_on_error():
                self._connection.execute("BEGIN IMMEDIATE")
            self._write(batch)
            self._commit(batch)
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _commit(self, batch: _Batch) -> float:
        """Write the open transaction to disk; gives back the seconds that took."""
        connection = self._connection
        sorts = ({Sort.ACCEPT} if batch.intake else set()) | {sort for work in batch.works for sort in work.sorts}
        sorts.discard(Sort.OTHER)
        with self._undone_on_error():
            if self._delay:
                time.sleep(self._delay)
            for sort in sorts:
                faultpoints.hit(_BEFORE[sort])
            began = time.monotonic()
            connection.execute("COMMIT")
            took = time.monotonic() - began + self._delay
            for sort in sorts:
                faultpoints.hit(_AFTER[sort])
        changes = connection.total_changes
        self._unsynced += (changes - self._changes) * 512 + sum(intake.octets for intake in batch.intake)
        self._changes = changes
        return took

    def _checkpoint(self) -> None:
        """Move the log into the database here, where an fsync that fails is seen (an automatic one hides it)."""
        self._unsynced = 0
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def is_fatal(error: sqlite3.Error) -> bool:
    """Whether an error concerns the whole transaction, not one row."""
    return isinstance(fault(error), JournalFull | JournalBroken)


def _guarded(connection: sqlite3.Connection, work: Work[object]) -> tuple[bool, object]:
    connection.execute("SAVEPOINT work")
    try:
        answer = work.run(connection)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and is_fatal(error):
            raise
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return False, error
    connection.execute("RELEASE work")
    return True, answer


def _answer(batch: _Batch) -> None:
    for intake in batch.intake:
        intake.answer()
    for work, (good, answer) in zip(batch.works, batch.answers, strict=True):
        if work.future.done():
            if good and work.abandoned is not None:
                work.abandoned(answer)
        elif good:
            work.future.set_result(answer)
        else:
            work.future.set_exception(cast("BaseException", answer))


def _fail(batch: _Batch, error: JournalError) -> None:
    for intake in batch.intake:
        intake.fail(type(error)(str(error)))
    for work in batch.works:
        if not work.future.done():
            work.future.set_exception(type(error)(str(error)))
