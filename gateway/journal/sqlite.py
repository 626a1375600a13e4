"""The SQLite journal, the default: one process, one file, group commit (design, the journal).

Who does what: the loop makes values ready; the writer's thread binds and commits them (`commits`); claims live in memory,
since this process owns the file; lookups and views read committed snapshots on connections and threads of their own, so
that neither waits for an fsync; body files are written by worker threads before their row commits.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from gateway import faultpoints
from gateway.faultpoints import Point
from gateway.journal import (
    brakes,
    delivering,
    falling_back,
    helpdesks,
    intake,
    persons,
    processing,
    retention,
    silences,
    storms,
)
from gateway.journal.bodies import Bodies, Stored
from gateway.journal.commits import Sort, Writer, fault
from gateway.journal.message_key import copy_keys, key_path
from gateway.journal.migrate import migrate, shipped
from gateway.journal.protocol import (
    FIRST_FENCE,
    UNBOUNDED,
    AttachmentGone,
    CommitResult,
    FinishedAttempt,
    HelpdeskState,
    HistoryLine,
    Intent,
    JournalError,
    JournalOwned,
    Known,
    Lookup,
    Merge,
    Noticed,
    Processed,
    Reader,
    Timer,
)
from gateway.journal.reader import Snapshots, SqliteReader
from gateway.journal.rows import receipt_from_row, write_history
from gateway.model.action import Action, ActionKind, AttachmentRef, Follower
from gateway.model.brake import Allowance, BrakeView, Held
from gateway.model.incident import Incident
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt, Receipt
from gateway.model.silence import Silence
from gateway.model.storm import StormRow

T = TypeVar("T")

_BRIEF = 8  # things asked for in one look-up, up to which it is answered on the loop


@dataclass(slots=True)
class _Claim:
    """An action given out: the fence it bears, until when, and for whom it creates."""

    fence: int
    until: float
    creates_for: str
    helpdesk: str
    begun: bool = False
    creates: bool = False


_Found: TypeAlias = tuple[sqlite3.Row, tuple[Follower, ...]]
"""An action that may be claimed, with the follow-ups behind it."""


class SqliteJournal:
    """Implements `Journal`. Made by `open_sqlite`."""

    def __init__(self, path: Path, writer: Writer, bodies: Bodies, lock: int, *, sequence: int) -> None:
        self._path = path
        self._writer = writer
        self._bodies = bodies
        self._lock = lock
        self._sequence = sequence
        self._receipts: dict[str, float] = {}
        self._coming: dict[int, float] = {}
        self._claims: dict[str, _Claim] = {}
        self._fences: dict[str, int] = {}
        self._let_go: set[str] = set()
        self._claiming = asyncio.Lock()
        self._keeping_files = asyncio.Lock()
        self._lookups = Snapshots(path, "journal-lookups")
        self._views = Snapshots(path, "journal-views")
        self._reader = SqliteReader(self._views, bodies)
        self._files = ThreadPoolExecutor(2, "journal-bodies")

    # ----------------------------------------------------------------------------------------------------- receiving

    async def accept(self, new: NewReceipt, *, claim: bool = False) -> Accepted:
        """Make a receipt durable, or recognise it as a repeat."""
        future = self.accept_soon(new, claim=claim)
        return (await (self._accept([new], claim=claim) if future is None else future))[0]

    def accept_soon(self, new: NewReceipt, *, claim: bool = False) -> "asyncio.Future[list[Accepted]] | None":
        """Queue a receipt: the way of nearly all. None for one whose body must lie in a file first."""
        if self._bodies.is_large(new.body):
            return None
        self._writer.check()
        self._writer.check_room()
        arrival = intake.arrive(new, self._sequence + 1, claim=claim, stored=Stored(new.body, None))
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._writer.take_in(intake.Intake([arrival], future, self._arrived))
        self._sequence += 1
        self._coming[self._sequence] = new.received_at
        if claim:
            self._receipts[new.id] = float("inf")
        return future

    async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
        """Make several receipts durable in one transaction: all or none."""
        return await self._accept(new, claim=False)

    async def _accept(self, new: Sequence[NewReceipt], *, claim: bool) -> list[Accepted]:
        self._writer.check()
        self._writer.check_room()
        sequences: list[int] = []
        for receipt in new:
            self._sequence += 1
            sequences.append(self._sequence)
            self._coming[self._sequence] = receipt.received_at
            if claim:
                self._receipts[receipt.id] = float("inf")
        try:
            arrivals = [
                intake.arrive(receipt, sequence, claim=claim, stored=await self._store(receipt.id, receipt.body))
                for receipt, sequence in zip(new, sequences, strict=True)
            ]
            future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
            self._writer.take_in(intake.Intake(arrivals, future, self._arrived))
        except BaseException:
            for receipt, sequence in zip(new, sequences, strict=True):
                del self._coming[sequence]
                self._receipts.pop(receipt.id, None)
            raise
        return await future

    def _arrived(self, done: intake.Intake) -> None:
        """A batch is durable or came to nothing; forget what was held for it."""
        abandoned = done.future.cancelled()
        for position, arrival in enumerate(done.arrivals):
            self._coming.pop(arrival.sequence, None)
            kept = bool(done.answers) and done.error is None and done.answers[position].duplicate_of is None
            if kept and arrival.recent is not None and arrival.recent_until is not None:
                self._writer.recent.add(arrival.recent, arrival.new.id, arrival.recent_until)
            if not kept or abandoned:
                self._receipts.pop(arrival.new.id, None)
            if not kept and arrival.stored.file is not None:
                self._files.submit(self._bodies.remove, [arrival.stored.file])

    async def _store(self, owner: str, content: bytes) -> Stored:
        if not self._bodies.is_large(content):
            return Stored(content, None)
        return await self._on_files(lambda: self._bodies.store(owner, content))

    async def _on_files(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files, call)

    async def probe(self, now: float) -> None:
        """Do one real durable write."""
        self._writer.check_room()
        await self._writer.do(
            Sort.OTHER,
            lambda connection: (
                connection.execute(
                    "INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', ?)",
                    (str(now),),
                ).rowcount
            ),
        )

    # ---------------------------------------------------------------------------------------------------- processing

    async def claim_receipts(self, *, limit: int, now: float, lease: float, octets: int = UNBOUNDED) -> list[Receipt]:
        """Take unclaimed accepted receipts in sequence order."""

        def taken(name: str) -> bool:
            until = self._receipts.get(name)
            return until is not None and until > now

        def run(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            rows = intake.claim(connection, limit, octets, taken)
            for row in rows:
                self._receipts[row["id"]] = now + lease
                chosen.append(row["id"])
            return rows

        def give_back(rows: list[sqlite3.Row]) -> None:
            for row in rows:
                self._receipts.pop(row["id"], None)

        chosen: list[str] = []
        try:
            rows = await self._writer.do(Sort.CLAIM, run, abandoned=give_back)
        except JournalError:  # the transaction came to nothing, and so did the claims
            for name in chosen:
                self._receipts.pop(name, None)
            raise
        receipts: list[Receipt] = []
        for row in rows:
            try:
                body = await self._load(Stored(row["content"], row["file"]))
            except AttachmentGone as error:
                await self._bury(row["id"], str(error), now)
                continue
            receipts.append(receipt_from_row(row, body))
        return receipts

    async def _bury(self, receipt: str, detail: str, now: float) -> None:
        """A receipt without its body can never be processed: a person must see it, and its neighbours go on."""
        line = HistoryLine(at=now, what="dead", reason=Reason.POISON, detail=detail, receipt=receipt)
        await self.commit_processed([Processed(receipt=receipt, dead=Reason.POISON, detail=detail, history=(line,))])

    async def release_receipt(self, receipt_id: str, *, now: float) -> None:  # noqa: ARG002 - other journals store it
        """Give a claimed receipt back."""
        self._writer.check()
        self._receipts.pop(receipt_id, None)

    async def know(self, lookup: Lookup, now: float) -> Known:
        """Answer what correlation must know."""
        self._writer.check()
        brief = lookup.threads is None and len(lookup.keys) + len(lookup.members) + len(lookup.duplicates) <= _BRIEF
        return await self._lookups.ask(lambda connection: processing.know(connection, lookup, now), brief=brief)

    async def commit_processed(self, batch: Sequence[Processed]) -> list[CommitResult]:
        """Write each `Processed` wholly or not at all.

        An error of one item that is neither conflict nor loss of the disk is raised after the others are durable; asked
        again they answer GONE.
        """
        self._writer.check()
        attachments = await self._store_attachments(batch)
        results, failure = await self._writer.do(
            Sort.PROCESSED,
            lambda connection: processing.commit(connection, batch, attachments),
        )
        for processed, result in zip(batch, results, strict=True):
            if result is not CommitResult.CONFLICT:
                self._receipts.pop(processed.receipt, None)
        if failure is not None:
            raise failure
        return results

    async def _store_attachments(self, batch: Sequence[Processed]) -> dict[tuple[str, int, int], Stored]:
        attachments: dict[tuple[str, int, int], Stored] = {}
        for processed in batch:
            for record in processed.events:
                for position, attachment in enumerate(record.event.attachments if record.keep_attachments else ()):
                    owner = f"{processed.receipt}.{record.index}.{position}"
                    stored = await self._store(owner, attachment.content)
                    attachments[processed.receipt, record.index, position] = stored
        return attachments

    async def commit_and_begin(self, processed: Processed, intent: Intent) -> tuple[CommitResult, bool]:
        """Write a `Processed` and begin the first attempt of one of its creates."""
        self._writer.check()
        attachments = await self._store_attachments([processed])
        [action] = [action for action in processed.actions if action.id == intent.action]
        if self._claiming.locked() or self._bodies.is_large(intent.request):
            # A claim that is under way does not know of ours: it might give out another create of the same requester.
            return (await self.commit_processed([processed]))[0], False
        creating = {claim.creates_for for claim in self._claims.values() if claim.helpdesk == action.helpdesk}
        creates_for = action.requester if action.kind is ActionKind.CREATE else ""
        self._claims[action.id] = _Claim(
            FIRST_FENCE,
            float("inf"),
            creates_for,
            action.helpdesk,
            begun=True,
            creates=action.kind is ActionKind.CREATE,
        )

        def run(connection: sqlite3.Connection) -> tuple[CommitResult, bool, Exception | None]:
            [result], failure = processing.commit(connection, [processed], attachments)
            if result is not CommitResult.COMMITTED:
                return result, False, failure
            return result, delivering.begin_first(connection, action, intent, creating), None

        begun = False
        try:
            result, begun, failure = await self._writer.do(Sort.PROCESSED, run, also=Sort.INTENT)
        finally:
            if begun:
                self._fences[action.id] = FIRST_FENCE
            else:
                self._release(action.id, FIRST_FENCE)
        if result is not CommitResult.CONFLICT:
            self._receipts.pop(processed.receipt, None)
        if failure is not None:
            raise failure
        return result, begun

    async def plans(self, digests: Sequence[str]) -> dict[str, bytes]:
        """The stored plans with these digests."""
        self._writer.check()
        return await self._lookups.ask(lambda connection: processing.plans(connection, digests))

    async def storm_rows(self, digests: Sequence[str]) -> dict[str, tuple[StormRow, ...]]:
        """The incidents that these digests tell of, as they stand now."""
        self._writer.check()
        return await self._lookups.ask(lambda connection: storms.rows(connection, digests))

    async def due_timers(self, *, now: float, limit: int) -> list[Timer]:
        """Timers due for which nothing earlier is unprocessed."""
        self._writer.check()
        coming = min(self._coming.values(), default=None)
        return await self._lookups.ask(lambda connection: processing.due_timers(connection, now, limit, coming))

    # ------------------------------------------------------------------------------------------------------ delivery

    async def claim_actions(
        self,
        helpdesk: str,
        *,
        limit: int,
        now: float,
        lease: float,
        creates: int | None = None,
        free_until: float = 0.0,
    ) -> list[Action]:
        """Take actions that are due: claims are in memory, so this reads only."""

        def look(connection: sqlite3.Connection, live: Mapping[str, _Claim]) -> list[_Found]:
            creating = {claim.creates_for for claim in live.values() if claim.helpdesk == helpdesk}
            found = delivering.due(
                connection,
                helpdesk,
                limit=limit,
                now=now,
                taken=live,
                creating=creating,
                creates=creates,
                free_until=free_until,
            )
            return [(row, delivering.behind(connection, row)) for row in found]

        return await self._claim(helpdesk, look, now, lease)

    async def claim_overdue(
        self, helpdesk: str, *, limit: int, now: float, lease: float, paused_total: float
    ) -> list[Action]:
        """Take creates that have waited for longer than their first fallback's ``after``."""

        def look(connection: sqlite3.Connection, live: Mapping[str, _Claim]) -> list[_Found]:
            found = falling_back.overdue(
                connection, helpdesk, limit=limit, now=now, paused_total=paused_total, taken=live
            )
            return [(row, ()) for row in found]

        return await self._claim(helpdesk, look, now, lease)

    async def _claim(
        self,
        helpdesk: str,
        find: Callable[[sqlite3.Connection, Mapping[str, _Claim]], list[_Found]],
        now: float,
        lease: float,
    ) -> list[Action]:
        """Claim what ``find`` finds beside the claims that live."""
        self._writer.check()
        async with self._claiming:
            self._let_go = set()
            live = {name: claim for name, claim in self._claims.items() if claim.begun or claim.until > now}
            rows = await self._lookups.ask(lambda connection: find(connection, live))
            # What was finished or given back while we looked was seen as it stood before.
            rows = [(row, followers) for row, followers in rows if row["id"] not in self._let_go]
            actions: list[Action] = []
            for row, followers in rows:
                fence = max(row["fence"], self._fences.get(row["id"], 0)) + 1
                request = b""
                if row["content"] is not None or row["file"] is not None:
                    with contextlib.suppress(AttachmentGone):  # it is made anew from the draft
                        request = await self._load(Stored(row["content"], row["file"]))
                actions.append(delivering.action_from_row(row, fence, request, followers))
            for action in actions:
                creates_for = action.requester if action.kind is ActionKind.CREATE else ""
                self._claims[action.id] = _Claim(
                    action.fence, now + lease, creates_for, helpdesk, creates=action.kind is ActionKind.CREATE
                )
                self._fences[action.id] = action.fence
            return actions

    async def brake(self, helpdesk: str, allowance: Allowance, *, now: float, first: int) -> BrakeView:
        """How a helpdesk's brake stands."""
        self._writer.check()
        claimed = self._creates_given_out(helpdesk, now)
        return await self._lookups.ask(
            lambda connection: brakes.view(connection, helpdesk, allowance, now=now, first=first, claimed=claimed)
        )

    async def hold_creates(self, helpdesk: str, *, free_until: float, left: int, now: float, limit: int) -> Held:
        """Mark the creates that wait, and end those whose problem is over."""

        def run(connection: sqlite3.Connection) -> Held:
            claimed = self._creates_given_out(helpdesk, now)
            return brakes.hold(
                connection, helpdesk, free_until=free_until, left=left, now=now, limit=limit, claimed=claimed
            )

        return await self._writer.do(Sort.OTHER, run)

    def _creates_given_out(self, helpdesk: str, now: float) -> list[str]:
        return [
            name
            for name, claim in list(self._claims.items())
            if claim.creates and claim.helpdesk == helpdesk and (claim.begun or claim.until > now)
        ]

    async def _load(self, stored: Stored) -> bytes:
        if stored.content is not None:
            return stored.content
        return await self._on_files(lambda: self._bodies.load(stored))

    def _release(self, action_id: str, fence: int) -> None:
        claim = self._claims.get(action_id)
        if claim is not None and claim.fence == fence:
            del self._claims[action_id]
            self._let_go.add(action_id)

    async def release_action(self, action_id: str, *, fence: int) -> None:
        """Give a claimed action back untouched."""
        self._writer.check()
        claim = self._claims.get(action_id)
        if claim is not None and not claim.begun:
            self._release(action_id, fence)

    async def begin_attempt(
        self,
        action_id: str,
        *,
        fence: int,
        request: bytes,
        started_at: float,
        deadline: float,
        resolve_at: float,
        merge: Merge | None = None,
    ) -> bool:
        """Write the intent."""
        self._writer.check()
        claim = self._claims.get(action_id)
        if claim is None or claim.fence != fence or claim.begun:
            return False
        claim.begun = True  # before the first await: its lease must not end while it is written
        try:
            stored = await self._store(f"{action_id}.{fence}", request)
            begun = await self._writer.do(
                Sort.INTENT,
                lambda connection: delivering.begin(
                    connection,
                    action_id,
                    fence,
                    stored,
                    started_at=started_at,
                    deadline=deadline,
                    resolve_at=resolve_at,
                    merge=merge,
                ),
            )
        except JournalError:
            claim.begun = False
            raise
        if not begun:
            self._release(action_id, fence)
        return begun

    async def finish_attempt(self, finished: FinishedAttempt) -> bool:
        """Write the outcome, fenced.

        A claim that never began an attempt may be finished too (too old, no request can be made of it): nothing was
        sent, and there is no attempt to record it in.
        """
        claim = self._claims.get(finished.action)
        claimed = claim is not None and claim.fence == finished.fence and not claim.begun
        stored = None
        if finished.request is not None:
            stored = await self._store(f"{finished.action}.{finished.fence}", finished.request)
        written = await self._writer.do(
            Sort.OUTCOME,
            lambda connection: delivering.finish(connection, finished, claimed=claimed, stored=stored),
        )
        if written:
            self._release(finished.action, finished.fence)
            self._fences.pop(finished.action, None)
        return written

    async def attachment(self, ref: AttachmentRef) -> bytes:
        """The content of an attachment."""
        self._writer.check()
        row = await self._lookups.ask(
            lambda connection: connection.execute(
                "SELECT sha256, content, file FROM attachment WHERE receipt = ? AND event = ? AND position = ?",
                (ref.receipt, ref.event, ref.index),
            ).fetchone(),
        )
        if row is None:
            raise AttachmentGone(f"attachment {ref.filename!r} of receipt {ref.receipt} is gone")
        if row["sha256"] != ref.sha256:
            raise AttachmentGone(f"attachment {ref.filename!r} of receipt {ref.receipt} is not the one that was meant")
        return await self._load(Stored(row["content"], row["file"]))

    # ----------------------------------------------------------------------------------------------------- operators

    async def requeue(self, ids: Sequence[str], *, now: float) -> list[str]:
        """Send dead letters on their way again."""
        return await self._writer.do(Sort.OTHER, lambda connection: delivering.requeue(connection, ids, now))

    async def drop(self, ids: Sequence[str], *, now: float, who: str) -> list[str]:
        """Drop dead letters for good."""
        return await self._writer.do(Sort.OTHER, lambda connection: delivering.drop(connection, ids, now, who))

    async def helpdesk_state(self, name: str) -> HelpdeskState:
        """What is remembered of a helpdesk."""
        self._writer.check()
        return await self._lookups.ask(lambda connection: helpdesks.one(connection, name))

    async def save_helpdesk_state(self, state: HelpdeskState) -> None:
        """Remember it."""
        await self._writer.do(Sort.OTHER, lambda connection: helpdesks.put(connection, state))

    async def open_tickets(self, helpdesk: str, *, limit: int, looked_before: float) -> list[Incident]:
        """Incidents whose ticket was not looked at for longest."""
        return await self._writer.do(
            Sort.OTHER, lambda connection: persons.open_tickets(connection, helpdesk, limit, looked_before)
        )

    async def incidents_of_ticket(self, helpdesk: str, ticket: str) -> list[Incident]:
        """Open incidents of a ticket."""
        return await self._writer.do(
            Sort.OTHER, lambda connection: persons.incidents_of_ticket(connection, helpdesk, ticket)
        )

    async def notice(self, noticed: Noticed) -> bool:
        """Write what was read of a ticket."""
        return await self._writer.do(Sort.OTHER, lambda connection: persons.notice(connection, noticed))

    async def write_history(self, lines: Sequence[HistoryLine]) -> None:
        """Add lines to the timeline."""
        await self._writer.do(Sort.OTHER, lambda connection: write_history(connection, lines))

    async def put_silence(self, silence: Silence) -> None:
        """Keep a silence."""
        await self._writer.do(Sort.OTHER, lambda connection: silences.put(connection, silence))

    async def prune(self, *, now: float, keep: float, keep_links: float, limit: int) -> int:
        """Delete finished receipts that are past their time; body files go after the commit."""
        async with self._keeping_files:
            count, files = await self._writer.do(
                Sort.OTHER,
                lambda connection: retention.prune(connection, now, keep, keep_links, limit),
            )
            if files:
                await self._on_files(lambda: self._bodies.remove(files))
        return count

    async def backup(self, target: str) -> None:
        """Write a consistent copy into a new folder: the database under its own name, and ``bodies/``.

        Raises:
            JournalError: the folder exists already or cannot be written.
        """
        folder = Path(target)
        self._writer.check()

        def run(connection: sqlite3.Connection) -> list[str]:
            folder.mkdir(mode=0o700, parents=True)
            copy = sqlite3.connect(folder / self._path.name)
            try:
                connection.backup(copy)
                return _files(copy)
            finally:
                copy.close()
                (folder / self._path.name).chmod(0o600)

        async with self._keeping_files:
            try:
                files = await self._views.ask(run)
                await self._on_files(lambda: self._bodies.copy(files, folder / "bodies"))
                await self._on_files(lambda: copy_keys(key_path(self._path), folder))
                await self._on_files(lambda: _sync(folder / self._path.name, folder))
            except (OSError, sqlite3.Error) as error:
                raise JournalError(f"the backup to {target} failed: {error}") from error

    async def open_snapshots(self) -> None:
        """Open the connections for lookups and views."""
        await self._lookups.ask(lambda _connection: None)
        await self._views.ask(lambda _connection: None)

    def reader(self) -> Reader:
        """The read side."""
        return self._reader

    async def close(self) -> None:
        """Finish what is queued, then let go of the file."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        try:
            await self._writer.close()
            await self._lookups.close()
            await self._views.close()
            self._files.shutdown()
        finally:
            os.close(lock)


# -------------------------------------------------------------------------------------------------------------- open


async def open_sqlite(path: Path, *, min_free: int = 0, run: str) -> SqliteJournal:
    """Open (or make) the journal at ``path`` and take up what an earlier process left.

    ``min_free``: octets of free room below which nothing new is accepted. ``run`` names this run of the program in the
    file's ``meta`` table.

    Raises:
        JournalOwned: another process has it open.
        JournalTooNew: a newer version of the program wrote it.
        JournalError: it cannot be opened; the message says why.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True)
        lock = _own(path)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be opened: {error.strerror}") from error
    bodies = Bodies(path.parent / "bodies")
    try:
        connection, sequence = await asyncio.to_thread(_open, path, bodies, run)
    except sqlite3.Error as error:
        os.close(lock)
        raise fault(error) from error
    except BaseException:
        os.close(lock)
        raise
    writer = Writer(connection, str(path.parent), min_free=min_free)
    await asyncio.to_thread(writer.recent.load, connection, sequence)
    journal = SqliteJournal(path, writer, bodies, lock, sequence=sequence)
    await journal.open_snapshots()  # now: later there may be no file handle left
    return journal


def _own(path: Path) -> int:
    """Take the OS lock, which the kernel gives back when this process dies, however it dies."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(handle, 32).decode("ascii", "replace").strip()
        os.close(handle)
        raise JournalOwned(
            f"{path} is in use by process {owner or 'unknown'}; stop it, or speak to it instead of the file",
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _open(path: Path, bodies: Bodies, run: str) -> tuple[sqlite3.Connection, int]:
    started = time.time()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives -wal and -shm the same permissions
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=10,
    )
    try:
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",  # an automatic checkpoint hides a failed fsync
            "cache_size = -16384",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        migrate(connection, shipped())
        _recover(connection, run)
        _remove_orphans(connection, bodies, started)
        sequence = connection.execute("SELECT coalesce(max(sequence), 0) FROM receipt").fetchone()[0]
    except BaseException:
        connection.close()
        raise
    return connection, sequence


def _recover(connection: sqlite3.Connection, run: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    delivering.recover(connection)
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('run', ?)", (run,))
    faultpoints.hit(Point.CLAIM_BEFORE_COMMIT)
    connection.execute("COMMIT")
    faultpoints.hit(Point.CLAIM_AFTER_COMMIT)


_TABLES_WITH_FILES = ("body", "attachment", "request")


def _remove_orphans(connection: sqlite3.Connection, bodies: Bodies, started: float) -> None:
    """Files whose row never committed, or whose deletion was cut short."""
    for name in bodies.names():
        known = any(
            connection.execute(f"SELECT 1 FROM {table} WHERE file = ?", (name,)).fetchone()  # noqa: S608 - constant
            for table in _TABLES_WITH_FILES
        )
        if not known and bodies.older(name, started):
            bodies.remove([name])


def _files(connection: sqlite3.Connection) -> list[str]:
    return [
        row[0]
        for table in _TABLES_WITH_FILES
        for row in connection.execute(f"SELECT file FROM {table} WHERE file IS NOT NULL")  # noqa: S608 - constant
    ]


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
