"""The way of an event, in one file.

::

    receive ──> journal ──> parse ──> route ──> correlate ──> render ──> deliver ──> record
                accept      _parse    route     └───── process ────┘     Delivery

`Pipeline.accept` is called by the doors; `Pipeline.run` takes what they accepted through parse to the journal's
`commit_processed`, from where :mod:`gateway.delivery` takes the actions to the helpdesks. What an incident has to do later
(`confirm`, `hold`, `escalate`, `expire`) is done by `Pipeline.timers`, when all that was received before is processed. What
both tell a ticket is rendered in :mod:`gateway.dressing`.

Parsing is parallel; correlation takes the receipts of one source in the order of receipt. A receipt that cannot be parsed in
time steps aside and comes back; after `TRIES` tries it is processed as `raw`, and if that fails too it is a dead letter.
A receipt that was at hand when the process died several times is parsed where it can be stopped: it may have been the
cause, but most often it was not, so that alone does not make it `raw`.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.config.models import SourceSettings
from gateway.delivery.worker import FirstCall
from gateway.facts import facts_of
from gateway.firing import Timers
from gateway.isolation import Apart, Isolation, Stopped
from gateway.journal.protocol import CommitResult, HistoryLine, Journal, JournalError, JournalFull, Processed, Timer
from gateway.judging import Routed, lookup, route
from gateway.model.action import ActionKind, NewAction
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt, Parsed, Receipt
from gateway.processing import process
from gateway.receive.intake import IntakeClosed, Progress
from gateway.ruleset import Ruleset
from gateway.sources.payload import raw_event
from gateway.tickets import TicketWaiters

HANDED = 256
"""Receipts that are worked on straight from the door; beyond that they wait in the journal only."""
HANDED_OCTETS = 32 * 2**20
"""Octets of bodies that are held at one time on the way; what is beyond waits in the journal only. One is always held."""
BATCH = 16
"""Receipts that are correlated and committed together: few enough that their rows do not hold up the loop."""
TURN = 0.002
"""Seconds after which a batch lets others have their turn: answers, and calls that have ended."""
AT_ONCE = 16 * 1024
"""Octets up to which a body is worked on while the journal still writes it down: these lie in its row, in one queue with
what comes of them. Larger ones may lie in files of their own, which must be there first."""
SMALL = 256 * 1024
"""Octets up to which a body is parsed in place; a larger one goes to a process that can be stopped."""
PARSE_TIME = 15.0
"""Seconds that parsing a large body may take."""
LEASE = 300.0
"""Seconds for which a claimed receipt is ours."""
TRIES = 3
"""After so many failed tries a receipt is processed as `raw`; if that fails too it is a dead letter."""
CONFLICTS = 20
"""How often a receipt is correlated again after a version conflict before it goes back to the queue."""
POLL = 1.0
"""Seconds between looks at the journal when nothing wakes us."""
SWEEP = 15.0
"""Seconds after which we look for receipts that are in no lane, whatever we believe: senders hang up at every moment."""
FIRST_CLAIM = 8
"""Receipts that are taken from the journal at first after a start; twice as many with every batch that is done. So a process
that dies again and again counts tries against few of those that wait."""
SUSPECT = 8
"""A receipt that was at hand so many times when the process died is parsed where it can be stopped."""
CRASHES = 40
"""So many tries, most of which ended with the process, make a receipt `raw`: it is to blame after all."""
FLOOD = 32
"""So many deliveries, and more than were processed, while one batch was worked on are a flood."""
GIVE_WAY = 20.0
"""In a flood processing rests this many times as long as it worked: what is taken can wait, what is refused may be lost."""
LONGEST_REST = 0.5
"""Seconds that it rests at a time."""


class Observer(Protocol):
    """Who wants to know what became of receipts. Must not block and must not raise."""

    def processed(self, receipt: Receipt, processed: Processed) -> None:
        """A receipt is processed, durably."""
        ...

    def failed(self, receipt: Receipt, stage: str, error: BaseException) -> None:
        """A try failed; the receipt comes back or is set aside."""
        ...

    def fired(self, timer: Timer, processed: Processed) -> None:
        """A timer of an incident has fired, durably."""
        ...

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        """Firing failed; it is tried again later."""
        ...


@dataclass(slots=True)
class _Job:
    """A receipt in its source's lane; ``parsed`` is there when it may be correlated."""

    receipt: Receipt
    parsed: Parsed | None = None


class Pipeline:
    """Takes accepted receipts to actions in the journal."""

    def __init__(
        self,
        journal: Journal,
        rules: Ruleset,
        observer: Observer,
        *,
        wake_delivery: Callable[[Iterable[str]], None],
        first_call: Callable[[NewAction, str, Sequence[bytes]], FirstCall | None] = lambda *_: None,
        examine: Callable[[Receipt, SourceSettings, Parsed], Awaitable[Parsed]] | None = None,
        clock: Callable[[], float] = time.time,
        apart: Apart | None = None,
    ) -> None:
        """``wake_delivery`` is told the names of helpdesks that have something to do.

        ``first_call`` prepares the call of an action (with its receipt's id and its attachments' contents) whose helpdesk
        could take it at once; its intent is then written in the transaction that makes the action.

        ``examine`` adds to the events of a kind that is parsed apart what can only be asked outside (DNS). It never raises
        and ends within seconds; only receipts of the same source wait for it.

        ``apart`` is where large payloads are parsed; default: a process that can be stopped.
        """
        self.rules = rules
        self.tickets = TicketWaiters(journal.reader(), self._is_in_hand, self._shows_only)
        self.timers = Timers(journal, lambda: self.rules, observer, wake_delivery=wake_delivery, clock=clock)
        self._journal = journal
        self._observer = observer
        self._wake_delivery = wake_delivery
        self._first_call = first_call
        self._examine = examine
        self._clock = clock
        self._isolation: Apart = apart or Isolation()
        self._lanes: dict[str, deque[_Job]] = {}
        self._at_hand: set[str] = set()  # ids of the receipts in lanes or in the batch that is worked on
        self._octets = 0  # what the bodies of those weigh
        self._held = 0  # receipts in lanes, or claimed by an accept that is under way
        self._behind = True  # there may be receipts in the journal that are in no lane
        self._unclaimed = 0  # accepts under way that do not claim
        self._coming: deque[asyncio.Future[list[Accepted]]] = deque()  # the same, where a future brings the answer
        self._waited = 0  # accepts so far that did not claim
        self._arrived = 0  # accepts so far
        self._failures: dict[str, int] = {}  # how often a receipt stepped aside, by its id
        self._claim_most = FIRST_CLAIM
        self._swept = time.monotonic()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._stopping = False

    # ---------------------------------------------------------------------------------------------------------- receive

    async def accept(self, new: NewReceipt) -> Accepted:
        """Make a receipt durable and have it processed (see `gateway.receive.intake.Intake`).

        While there is room the receipt goes on from memory, claimed by the same transaction that makes it durable; else
        it is read back from the journal when its turn comes. Order is kept: once one had to wait, all later ones do.

        What goes on from memory goes on while the disk is still writing the receipt down: whatever comes of it is
        written after it, and comes to nothing (GONE) if the receipt did. Should it end the process meanwhile, its try is
        counted if the system had it for the disk by then; if not, nobody was promised anything and the sender repeats it.
        """
        if (future := self.accept_soon(new)) is not None:
            return (await future)[0]
        self._arrived += 1
        if self._has_room:
            return await self._accept_at_hand(new)
        self._wait_in_journal()
        try:
            return await self._journal.accept(new)
        finally:
            self._waits_in_journal()

    def accept_soon(self, new: NewReceipt) -> "asyncio.Future[list[Accepted]] | None":
        """`accept` of a small receipt without a coroutine; None for a larger one."""
        if self._closed:
            raise IntakeClosed
        if len(new.body) > AT_ONCE:
            return None
        claim = self._has_room
        future = self._journal.accept_soon(new, claim=claim)
        if future is None:
            return None
        self._arrived += 1
        if claim:
            self._hold(new.body)
            self._hand(new.as_receipt())
        else:
            self._behind = True
            self._waited += 1
            self._coming.append(future)
            if len(self._coming) == 1:
                future.add_done_callback(self._came)
        return future

    def _came(self, _: object) -> None:
        """Receipts that go on only from the journal are there: one call for all that share a commit."""
        while self._coming and self._coming[0].done():
            self._coming.popleft()
        if self._coming:
            self._coming[-1].add_done_callback(self._came)
        self._wake.set()

    def _wait_in_journal(self) -> None:
        """A receipt is on its way that goes on only from the journal."""
        self._behind = True
        self._unclaimed += 1
        self._waited += 1

    def _waits_in_journal(self) -> None:
        """It is there, or came to nothing."""
        self._unclaimed -= 1
        self._wake.set()

    @property
    def _has_room(self) -> bool:
        """Whether a receipt may go on from memory."""
        return not self._behind and self._held < HANDED and self._octets < HANDED_OCTETS

    async def _accept_at_hand(self, new: NewReceipt) -> Accepted:
        """One whose body takes time to be written down: it goes on when it is there."""
        self._hold(new.body)
        handed = False
        try:
            accepted = await self._journal.accept(new, claim=True)
            if accepted.duplicate_of is None:
                self._hand(new.as_receipt())
                handed = True
        except asyncio.CancelledError:
            # It may have become durable under our claim: whoever reads it back must be able to.
            self._background(self._give_back(new.id))
            raise
        finally:
            if not handed:
                self._let_go(new.body)
        return accepted

    async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
        """Make several receipts durable in one transaction, all or none, and have them processed."""
        if len(new) == 1:
            return [await self.accept(new[0])]
        if self._closed:
            raise IntakeClosed
        self._arrived += len(new)
        self._wait_in_journal()
        try:
            return await self._journal.accept_all(new)
        finally:
            self._waits_in_journal()

    async def wait_ticket(self, receipt_id: str, timeout: float) -> Progress:
        """Wait until the receipt's ticket is known or nothing more will come, at most ``timeout`` seconds."""
        return await self.tickets.wait(receipt_id, timeout)

    def close(self) -> None:
        """Take nothing more."""
        self._closed = True

    # --------------------------------------------------------------------------------------------------------------- run

    async def run(self) -> None:
        """Process until `stop`; raises what the journal raises when it is broken."""
        while not self._stopping:
            self._wake.clear()
            began, arrived = time.monotonic(), self._arrived
            if began - self._swept > SWEEP:
                self._swept, self._behind = began, True
            batch: list[_Job] = []
            try:
                await self._refill()
                batch = self._ready()
                if batch:
                    await self._correlate(batch)
                    self._claim_most = min(HANDED, self._claim_most * 2)
                    if self._arrived - arrived > max(len(batch), FLOOD):
                        await asyncio.sleep(min(LONGEST_REST, GIVE_WAY * (time.monotonic() - began)))
                    continue
            except JournalFull:
                self._put_back(batch)
                await asyncio.sleep(POLL)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL)

    def wake(self) -> None:
        """There may be something in the journal that we did not put there (a requeued dead letter)."""
        self._behind = True
        self._wake.set()

    async def stop(self) -> None:
        """Finish the batch at hand; the rest stays in the journal for the next start."""
        self.close()
        self._stopping = True
        self.timers.stop()
        self._wake.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        self._isolation.close()

    async def _refill(self) -> None:
        """Take waiting receipts from the journal into the lanes, in their order."""
        if not self._behind or self._held >= HANDED // 2 or self._octets >= HANDED_OCTETS // 2:
            return
        quiet, waited = not self._unclaimed and not self._coming, self._waited
        claimed = await self._journal.claim_receipts(
            limit=min(HANDED - self._held, self._claim_most),
            now=self._clock(),
            lease=LEASE,
            octets=HANDED_OCTETS - self._octets,
        )
        for receipt in claimed:
            self._hold(receipt.body)
            self._hand(receipt)
        if not claimed and quiet and waited == self._waited:
            self._behind = False

    def _hold(self, body: bytes) -> None:
        self._held += 1
        self._octets += len(body)

    def _let_go(self, body: bytes) -> None:
        self._held -= 1
        self._octets -= len(body)

    # ------------------------------------------------------------------------------------------------------------- parse

    def _shows_only(self, helpdesk: str) -> bool:
        return self.rules.shows_only(helpdesk)

    def _is_in_hand(self, receipt_id: str) -> bool:
        return receipt_id in self._at_hand

    def _hand(self, receipt: Receipt) -> None:
        job = _Job(receipt)
        self._at_hand.add(receipt.id)
        self._lanes.setdefault(receipt.source, deque()).append(job)
        self._wake.set()
        if self._is_apart(receipt):
            self._background(self._parse_apart(job))

    def _is_apart(self, receipt: Receipt) -> bool:
        """Whether it is parsed where it can be stopped: large ones, and those that may have ended a process before."""
        kind = self.rules.kind_of(receipt.source)
        asked = len(receipt.body) > SMALL or receipt.tries > SUSPECT or (kind is not None and kind.apart)
        return asked and not self._is_hopeless(receipt)

    def _is_hopeless(self, receipt: Receipt) -> bool:
        return self._failures.get(receipt.id, 0) >= TRIES or receipt.tries > CRASHES

    def _parse(self, receipt: Receipt) -> Parsed:
        """The events of a receipt; one of kind `raw` where its source is gone or it failed too often."""
        settings, kind = self.rules.source(receipt.source), self.rules.kind_of(receipt.source)
        if settings is None or kind is None:
            return raw_event(receipt, f"the source {receipt.source!r} is not configured any more")
        if self._is_hopeless(receipt):
            return raw_event(receipt, f"processing failed {TRIES} times")
        try:
            return kind.parse(receipt, settings)
        except Exception as error:  # noqa: BLE001 - a parser promises not to raise; its bug must not cost the event
            self._observer.failed(receipt, "parse", error)
            return raw_event(receipt, f"the parser failed: {type(error).__name__}: {error}")

    async def _parse_apart(self, job: _Job) -> None:
        settings, kind = self.rules.source(job.receipt.source), self.rules.kind_of(job.receipt.source)
        try:
            if settings is None or kind is None:
                job.parsed = self._parse(job.receipt)
            else:
                parsed = await self._isolation.run(PARSE_TIME, kind.parse, job.receipt, settings)
                if kind.apart and self._examine is not None:
                    parsed = await self._examine(job.receipt, settings, parsed)
                job.parsed = parsed
        except Stopped as error:
            self._lanes[job.receipt.source].remove(job)
            await self._step_aside(job.receipt, "parse", error)
        except Exception as error:  # noqa: BLE001 - as in _parse
            self._observer.failed(job.receipt, "parse", error)
            job.parsed = raw_event(job.receipt, f"the parser failed: {type(error).__name__}: {error}")
        self._wake.set()

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_back(self, receipt_id: str) -> None:
        await self._journal.release_receipt(receipt_id, now=self._clock())
        self.wake()

    def _ready(self) -> list[_Job]:
        """The next receipts that may be correlated: heads of lanes whose events are known."""
        batch: list[_Job] = []
        for name in list(self._lanes):
            lane = self._lanes[name]
            while lane and len(batch) < BATCH:
                job = lane[0]
                if job.parsed is None:
                    if self._is_apart(job.receipt):
                        break
                    job.parsed = self._parse(job.receipt)
                batch.append(lane.popleft())
            del self._lanes[name]
            if lane:
                self._lanes[name] = lane  # behind the others: a source that floods must not hold them up
            if len(batch) == BATCH:
                break
        return batch

    def _put_back(self, batch: Sequence[_Job]) -> None:
        """What of a batch came to no end takes its old place again."""
        for job in reversed(batch):
            if job.receipt.id in self._at_hand:
                self._lanes.setdefault(job.receipt.source, deque()).appendleft(job)

    # --------------------------------------------------------------------------------------------------------- correlate

    async def _correlate(self, batch: Sequence[_Job]) -> None:
        """Route, correlate, render and commit a batch; what conflicts is done again by itself, in order."""
        conflicting = await self._commit(batch)
        for job in conflicting:
            for _ in range(CONFLICTS):
                if not await self._commit([job]):
                    break
            else:
                await self._step_aside(job.receipt, "correlate", RuntimeError("version conflicts without end"))

    async def _commit(self, batch: Sequence[_Job]) -> list[_Job]:
        now = self._clock()
        rules = self.rules  # those of now: a reload may come while others have their turn
        turns = _Turns()
        routed: list[tuple[_Job, Routed]] = []
        for job in batch:
            await turns.give()
            assert job.parsed is not None
            try:
                routed.append((job, route(job.receipt, job.parsed, rules)))
            except Exception as error:  # noqa: BLE001 - our own bug must not stop the neighbours; it is told and counted
                await self._step_aside(job.receipt, "route", error)
        try:
            facts = facts_of(await self._journal.know(lookup([one for _, one in routed]), now))
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            if len(routed) > 1:  # each by itself, to find out whose fault it is
                return [job for job, _ in routed]
            for job, _ in routed:
                await self._step_aside(job.receipt, "correlate", error)
            return []
        work: list[tuple[_Job, Processed]] = []
        untold: list[_Job] = []
        for position, (job, one) in enumerate(routed):
            await turns.give()
            try:
                work.append((job, process(one, facts, rules)))
            except Exception as error:  # noqa: BLE001 - as above
                await self._step_aside(job.receipt, "correlate", error)
                # What it had done to the facts by then will not be written: those behind it must not believe it.
                untold = [later for later, _ in routed[position + 1 :]]
                break
        call = self._call_at_once(work[0][1]) if len(batch) == len(work) == 1 else None
        results = await self._write([(job.receipt, processed) for job, processed in work], call)
        if call is None or not call.gone:
            self._wake_delivery({action.helpdesk for _, processed in work for action in processed.actions})
        again: list[_Job] = []
        for (job, processed), result in zip(work, results, strict=True):
            if result is None:
                continue  # it stepped aside
            if result is CommitResult.CONFLICT:
                again.append(job)
                continue
            self._let_go(job.receipt.body)
            self._at_hand.discard(job.receipt.id)
            self._failures.pop(job.receipt.id, None)
            if result is CommitResult.COMMITTED:
                self._observer.processed(job.receipt, processed)
                self.tickets.processed(processed, facts.incidents)
        return again + untold

    def _call_at_once(self, processed: Processed) -> FirstCall | None:
        """The call of a receipt's one action, a create, if its helpdesk could take it the moment it is written."""
        if len(processed.actions) != 1 or processed.actions[0].kind is not ActionKind.CREATE:
            return None
        [action] = processed.actions
        if action.receipt:  # a timer has issued it; it tells of an earlier receipt
            return None
        files = {record.index: record.event.attachments for record in processed.events}
        contents = [files[one.event][one.index].content for one in action.draft.attachments]
        if sum(map(len, contents)) > SMALL:
            return None  # making its request takes time: not here
        return self._first_call(action, processed.receipt, contents)

    async def _write(
        self, work: Sequence[tuple[Receipt, Processed]], call: FirstCall | None
    ) -> list[CommitResult | None]:
        """Commit a batch; if one of it cannot be written at all, each by itself, so that its neighbours go on."""
        try:
            return list(await self._commit_when_there_is_room([processed for _, processed in work], call))
        except JournalError:
            raise
        except Exception:  # noqa: BLE001 - found out below whose fault it is
            results: list[CommitResult | None] = []
        for receipt, processed in work:
            try:
                (result,) = await self._commit_when_there_is_room([processed])
                results.append(CommitResult.COMMITTED if result is CommitResult.GONE else result)
            except JournalError:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be written must not stop the neighbours
                await self._step_aside(receipt, "commit", error)
                results.append(None)
        return results

    async def _commit_when_there_is_room(
        self, work: Sequence[Processed], call: FirstCall | None = None
    ) -> list[CommitResult]:
        while work:
            try:
                if call is None:
                    return await self._journal.commit_processed(work)
                [processed] = work
                result, begun = await self._journal.commit_and_begin(processed, call.intent)
            except JournalFull:
                call = None  # its deadline would not hold any more
                await asyncio.sleep(POLL)
                continue
            if begun:
                call.go()
                await asyncio.sleep(0)  # the call goes out before anything else is told of it
            return [result]
        return []

    async def _step_aside(self, receipt: Receipt, stage: str, error: BaseException) -> None:
        """A try failed: the receipt comes back later, at last as `raw`; when even that failed it is a dead letter."""
        self._let_go(receipt.body)
        self._at_hand.discard(receipt.id)
        self._observer.failed(receipt, stage, error)
        now = self._clock()
        failures = self._failures.get(receipt.id, 0) + 1
        if failures <= TRIES and receipt.tries <= CRASHES:
            self._failures[receipt.id] = failures
            await self._journal.release_receipt(receipt.id, now=now)
            self.wake()
            return
        detail = f"{stage}: {type(error).__name__}: {error}"
        line = HistoryLine(at=now, what="dead", reason=Reason.POISON, detail=detail, receipt=receipt.id)
        self._failures.pop(receipt.id, None)
        dead = Processed(receipt=receipt.id, dead=Reason.POISON, detail=detail, history=(line,))
        await self._commit_when_there_is_room([dead])
        self._observer.processed(receipt, dead)


class _Turns:
    """Lets others have their turn when one has been long."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def give(self) -> None:
        if time.monotonic() - self._since > TURN:
            await asyncio.sleep(0)
            self._since = time.monotonic()
