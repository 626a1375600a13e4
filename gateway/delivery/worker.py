"""The delivery of one helpdesk: claim, intent, call, outcome, record.

The order of steps is the promise: the intent is durable before the call, the outcome is recorded under the fence of the
intent, and what is in between when the process dies is looked up before anything is sent again.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from gateway.config.models import HelpdeskSettings
from gateway.config.values import RateLimit, duration_text
from gateway.delivery.brake import Brake
from gateway.delivery.breaker import Breaker, BreakerState
from gateway.delivery.coalescing import merge_of
from gateway.delivery.fallback import fallback_of, falls_back, has_waited
from gateway.delivery.memory import Memory
from gateway.delivery.pauses import Pauses
from gateway.delivery.schedule import Next, after_call, after_look_up, too_old
from gateway.delivery.shadow import imagined, left_open, shown, without_ticket
from gateway.faultpoints import Point, hit
from gateway.helpdesks.protocol import Connector, Http, Order
from gateway.journal.protocol import (
    FIRST_FENCE,
    AttachmentGone,
    FinishedAttempt,
    HistoryLine,
    Intent,
    Journal,
    JournalError,
    JournalFull,
    Merge,
)
from gateway.model.action import Action, ActionKind, ActionStatus, NewAction, Outcome, OutcomeKind
from gateway.model.brake import Words
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason
from gateway.rendering.brake import brake_words

T = TypeVar("T")

PLAIN_WORDS = partial(brake_words, {})
"""Tells of the brake without a template."""
LONGEST_INTENT = 4.0
"""Seconds: an intent that waited longer for its turn is not called any more (the design allows 5)."""
SHORT_CALL = 1.0
"""Seconds: while calls take less on average, the next intents are written before their turn comes."""
POLL = 1.0
"""Seconds between looks at the queue when nothing wakes us: schedules, leases."""
SHADOW_PAUSE = 600.0
"""Seconds after which what may have been written before shadow mode is looked at again."""
MOST_OVERDUE = 50
"""Tickets that go to a fallback at one time."""
LEASE_OVERDUE = 60.0
"""Seconds that each may take for it."""
FAILURES = frozenset({OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN, OutcomeKind.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of one action, for the log, the metrics and those who wait for a ticket. ``called``: a call was made."""

    helpdesk: str
    action: Action
    status: ActionStatus
    reason: Reason
    outcome: Outcome
    seconds: float
    called: bool = True
    fell_back_to: str = ""


class Watcher(Protocol):
    """Who wants to know of transitions. Must not block and must not raise."""

    def step(self, step: Step) -> None:
        """An attempt ended."""
        ...

    def ticket(self, action: Action, ticket: TicketRef) -> None:
        """The helpdesk has an action's ticket; its outcome is not recorded yet."""
        ...

    def coalesced(self, action: Action, number: int) -> None:
        """So many follow-ups became a part of another one, whose attempt has begun."""
        ...

    def helpdesk(self, name: str, what: str, detail: str) -> None:
        """A helpdesk was paused or resumed, its breaker opened or closed, or the journal has no room for it (``what``)."""
        ...


class FirstCall:
    """A create that may be called as soon as its intent is durable, without being claimed from the queue first.

    ``intent`` is written together with the action (`Journal.commit_and_begin`); if it was, `go` must follow. ``gone`` is
    true from then on.
    """

    def __init__(self, delivery: "Delivery", action: Action, order: Order, intent: Intent) -> None:
        self.intent = intent
        self.gone = False
        self._delivery = delivery
        self._action = action
        self._order = order

    def go(self) -> None:
        """The intent is durable: call."""
        self.gone = True
        self._delivery.go(self._action, self._order, self.intent)


class Delivery:
    """Delivers the actions of one helpdesk until it is stopped."""

    def __init__(
        self,
        connector: Connector,
        settings: HelpdeskSettings,
        journal: Journal,
        http: Http,
        watcher: Watcher,
        *,
        words: Words = PLAIN_WORDS,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        reachable: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """``words`` finds those of the ticket that tells of the brake.

        ``clock`` gives the instant, ``draw`` the jitter: a number from [0, 1).
        ``reachable`` is true for the names of helpdesks that a ticket may fall back to.
        """
        self._connector = connector
        self._settings = settings
        self._limits = settings.limits
        self._journal = journal
        self._http = http
        self._watcher = watcher
        self._clock = clock
        self._draw = draw
        self._reachable = reachable
        self._swept = -POLL
        self._breaker = Breaker(most=settings.limits.concurrency)
        self._calls = asyncio.Semaphore(settings.limits.concurrency)
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._ready = False
        self._no_room = False
        self._stopping = False
        self._average = 0.0
        self._due: list[float] = []
        self._proven_absent: set[str] = set()
        self._memory = Memory(connector.name, journal)
        self._brake = Brake(
            connector,
            None if settings.shadow else settings.limits.creates,
            journal,
            self._memory,
            words,
            self._tell,
            clock=clock,
        )
        self._pauses = Pauses(
            self._memory,
            self._tell,
            clock=clock,
            ask_every=settings.limits.retry_most,
        )
        self._failure: BaseException | None = None
        self._bucket = _Bucket(settings.limits.rate) if settings.limits.rate else None

    @property
    def pauses(self) -> Pauses:
        """Whether the queue stands still, and why."""
        return self._pauses

    @property
    def breaker(self) -> BreakerState:
        """Where the breaker stands."""
        return self._breaker.state

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def pause(self, by: str, why: str) -> None:
        """Send nothing more, by an operator's word, until `resume`; calls that are under way end. Durable when this returns."""
        await self._pauses.pause(by, why)

    @property
    def brake(self) -> Brake:
        """What holds creates back."""
        return self._brake

    async def release(self, until: float) -> None:
        """Let all creates go that are queued up to an instant; durable when this returns."""
        await self._brake.release(until)
        self.wake()

    async def resume(self) -> bool:
        """Go on; False if the queue did not stand still."""
        stood = await self._pauses.resume()
        self.wake()
        return stood

    def first_call(self, new: NewAction, receipt: str, contents: Sequence[bytes]) -> FirstCall | None:
        """Prepare the call of an action that is about to be written, if it could be claimed the moment it is.

        None while anything stands in its way: a pause, an open breaker, a rate, calls that wait for their turn, age,
        or a draft that no request can be made of (the usual way then says so). ``receipt`` is what it comes from,
        ``contents`` are its attachments'.
        """
        now = self._clock()
        if (
            not self._ready
            or self._stopping
            or self._settings.shadow
            or self._brake.holds
            or self._brake.left == 0
            or self._pauses.stands()
            or self._bucket is not None
            or self._breaker.state is not BreakerState.CLOSED
            or len(self._running) >= self._limits.concurrency
            or now - new.queued_at > LONGEST_INTENT
        ):
            return None
        action = Action.first(new, receipt=receipt, fence=FIRST_FENCE, paused_before=self._pauses.total)
        order = _order(action, contents)
        try:
            request = self._connector.prepare(order)
        except Exception:  # noqa: BLE001 - the usual way prepares it again and sets it aside with the reason
            return None
        deadline = now + LONGEST_INTENT + self._limits.timeout
        self._brake.took(1)
        return FirstCall(self, action, order, Intent(new.id, request, now, deadline, deadline + self._limits.settle))

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """Ask something that is no action, if the helpdesk's limits leave room for it and nothing is wrong; else None."""
        if (
            not self._ready
            or self._stopping
            or self._pauses.stands()
            or self._breaker.state is not BreakerState.CLOSED
            or len(self._running) >= self._limits.concurrency
            or self._calls.locked()
            or (self._bucket is not None and not self._bucket.ready())
        ):
            return None
        if self._bucket is not None:
            self._bucket.take()
        async with self._calls:
            return await question()

    def go(self, action: Action, order: Order, intent: Intent) -> None:
        """Call an action whose intent is durable (`FirstCall`)."""
        self._start(self._first(action, order, intent))

    async def run(self) -> None:
        """Deliver until `stop`; raises what the journal raises when it is broken."""
        await self._pauses.load()
        self._ready = True
        while not self._stopping:
            self._wake.clear()
            try:
                busy = await self._round()
            except JournalFull as error:  # the state of the helpdesk could not be written; that waits for room too
                await self._wait_for_room(error)
                continue
            if self._failure is not None:
                raise self._failure
            if not busy and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._idle_time())

    async def stop(self, grace: float) -> None:
        """Claim nothing more and finish what is in flight, for at most ``grace`` seconds.

        What is cut off then has its intent on disk: the next start looks it up.
        """
        self._stopping = True
        self._wake.set()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------ one round

    async def _round(self) -> bool:
        """Start what may be started; True if there may be more at once."""
        now = self._clock()
        await self._memory.save()
        await self._fall_back_overdue(now)
        if self._pauses.stands():
            if self._pauses.probe_due(now):
                await self._probe_paused()
            return False
        if self._breaker.probe_due(now):
            await self._probe_breaker()
        allowed = self._breaker.calls_allowed()
        ahead = allowed if self._ahead and self._breaker.state is BreakerState.CLOSED else 0
        room = allowed + ahead - len(self._running)
        if self._bucket is not None:  # nothing is claimed, let alone begun, before the rate lets it be called
            room = min(room, self._bucket.ready())
        if room <= 0:
            return False
        await self._brake.look()
        actions = await self._journal.claim_actions(
            self._connector.name,
            limit=room,
            now=now,
            lease=self._limits.timeout + 30.0,
            creates=self._brake.left,
            free_until=self._brake.free_until,
        )
        self._brake.took(sum(action.kind is ActionKind.CREATE for action in actions))
        if self._pauses.stands():  # an operator was faster
            await self._give_back(actions)
            return False
        for action in actions:
            self._start(self._guarded(action))
            if self._bucket is not None:
                self._bucket.take()
        return len(actions) == room and not self._running

    def _tell(self, what: str, detail: str) -> None:
        self._watcher.helpdesk(self._connector.name, what, detail)

    async def _give_back(self, actions: Sequence[Action]) -> None:
        for action in actions:
            await self._journal.release_action(action.id, fence=action.fence)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error  # told by run(), which ends the process
        self._wake.set()

    def _idle_time(self) -> float:
        now = self._clock()
        self._due = [due for due in self._due if due > now - POLL]
        soonest = min((due for due in self._due if due > now), default=now + POLL)
        if self._bucket is not None and (pause := self._bucket.pause()) > 0:
            soonest = min(soonest, now + pause)
        if self._breaker.state is BreakerState.OPEN:
            soonest = min(soonest, max(self._breaker.probe_at, now + 0.05))
        return min(POLL, max(0.01, soonest - now))

    async def _guarded(self, action: Action) -> None:
        try:
            await self._deliver(action)
        except JournalFull as error:
            # Nothing was written and nothing called: the action goes back and waits for room like everything else.
            await self._wait_for_room(error)
            await self._journal.release_action(action.id, fence=action.fence)

    # ----------------------------------------------------------------------------------------------------- one action

    async def _deliver(self, action: Action) -> None:
        paused = self._pauses.total - action.paused_before
        if too_old(action, self._limits, now=self._clock(), paused=paused):
            await self._give_up(action, Reason.TOO_OLD, "it waited longer than limits.max_age")
            return
        if action.ticket is not None and action.ticket.fingerprint not in {"", self._connector.fingerprint}:
            await self._give_up(action, Reason.HELPDESK_CHANGED, f"its ticket is in {action.ticket.fingerprint}")
            return
        if action.kind is not ActionKind.CREATE and action.ticket is None and not action.resolve:
            if not self._settings.shadow:
                await self._set_aside(action, without_ticket())
                return
            action = replace(action, ticket=imagined(action, self._connector.fingerprint))
        try:
            merge, order, request = await self._prepared(action)
        except (ValueError, AttachmentGone) as error:
            await self._give_up(action, Reason.REJECTED, str(error))
            return
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 - a connector's bug is one dead letter that says so, not the end of all
            await self._give_up(action, Reason.REJECTED, f"no request could be made: {type(error).__name__}: {error}")
            return
        if self._settings.shadow:
            await self._show(action, request)
        else:
            await self._attempt(action, order, request, merge)

    async def _show(self, action: Action, request: bytes) -> None:
        """In shadow mode nothing is written, looked up or repaired; what may have been written before that waits."""
        if action.resolve:
            await self._set_aside(action, left_open(), until=self._clock() + SHADOW_PAUSE)
        else:
            await self._set_aside(action, shown(action, self._connector.name), request)

    async def _set_aside(
        self, action: Action, outcome: Outcome, request: bytes | None = None, *, until: float | None = None
    ) -> None:
        """End an action, or put it off, without a call."""
        status = ActionStatus.SKIPPED if until is None else ActionStatus.UNKNOWN
        following = Next(status, outcome.reason, until or 0.0)
        await self._record(action, outcome, following, 0.0, burnt=False, request=request, called=False)

    async def _prepared(self, action: Action) -> tuple[Merge | None, Order, bytes]:
        """The request of an action, with what it takes up of those behind it."""
        if action.request and not action.degraded:
            return None, await self._order(action), action.request
        merge = (
            merge_of(action, self._connector) if not self._settings.shadow else None
        )  # there each is shown by itself
        if merge is not None:
            with contextlib.suppress(ValueError, AttachmentGone):  # perhaps another's fault: then it goes by itself
                order = await self._order(replace(action, draft=merge.draft))
                return merge, order, self._connector.prepare(order)
        order = await self._order(action)
        return None, order, self._connector.prepare(order)

    async def _order(self, action: Action) -> Order:
        contents = [await self._journal.attachment(reference) for reference in action.draft.attachments]
        return _order(action, contents)

    async def _first(self, action: Action, order: Order, intent: Intent) -> None:
        """The rest of an attempt whose intent was written with its action."""
        if self._stopping:
            await self._cut_off(action, OutcomeKind.NOT_SENT, "stopped before the call")
            return
        await self._take_turn(action)
        await self._perform(action, order, intent.request, intent.deadline, intent.started_at, looks_up=False)

    async def _take_turn(self, action: Action) -> None:
        """Wait until a begun attempt may call."""
        try:
            await self._calls.acquire()
        except asyncio.CancelledError:
            await self._cut_off(action, OutcomeKind.NOT_SENT, "stopped before the call")
            raise

    async def _attempt(self, action: Action, order: Order, request: bytes, merge: Merge | None = None) -> None:
        looks_up = action.resolve and action.id not in self._proven_absent
        if self._ahead:
            begun = await self._begin(action, request, merge)
            if begun is None:
                return
            await self._take_turn(action)
        else:
            await self._calls.acquire()
            if self._pauses.stands():  # while it waited for its turn
                self._calls.release()
                await self._give_back([action])
                return
            try:
                begun = await self._begin(action, request, merge)
            except BaseException:
                self._calls.release()
                raise
        if begun is None:
            self._calls.release()
            return
        await self._perform(action, order, request, *begun, looks_up=looks_up)

    async def _perform(
        self, action: Action, order: Order, request: bytes, deadline: float, started: float, *, looks_up: bool
    ) -> None:
        """Call, its turn having come, and record the outcome."""
        if self._clock() - started > LONGEST_INTENT:
            self._calls.release()
            waited = Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "its turn came too late; not called")
            status = ActionStatus.UNKNOWN if action.resolve else ActionStatus.QUEUED
            await self._record(action, waited, Next(status, Reason.NOT_SENT, self._clock()), 0.0, burnt=False)
            return
        hit(Point.CALL_BEFORE)
        try:
            outcome, seconds = await self._call(order, request, looks_up=looks_up, deadline=deadline)
        except asyncio.CancelledError:
            await self._cut_off(action, OutcomeKind.UNKNOWN, "stopped in the middle of the call")
            raise
        except Exception as error:  # noqa: BLE001 - the connector's bug; what it had sent by then nobody knows
            detail = f"the connector failed: {type(error).__name__}: {error}"
            failed = Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)
            await self._record(action, failed, Next(ActionStatus.DEAD, Reason.UNKNOWN_OUTCOME), 0.0)
            return
        hit(Point.CALL_AFTER)
        await self._conclude(action, outcome, seconds, looks_up=looks_up)

    async def _cut_off(self, action: Action, kind: OutcomeKind, detail: str) -> None:
        """Write down what a stop left open: the process may live on (a reload). If that fails, the next start does it."""
        open_question = kind is OutcomeKind.UNKNOWN
        status = ActionStatus.UNKNOWN if open_question or action.resolve else ActionStatus.QUEUED
        outcome = Outcome(kind, Reason.INTERRUPTED if open_question else Reason.NOT_SENT, detail)
        due = self._clock() + (self._limits.settle if open_question else 0.0)
        with contextlib.suppress(JournalError):
            await self._record(action, outcome, Next(status, outcome.reason, due), 0.0, burnt=open_question)

    @property
    def _ahead(self) -> bool:
        """Whether intents are written before their turn comes: while calls are short and no rate holds them up."""
        return self._bucket is None and 0.0 < self._average < SHORT_CALL

    async def _begin(self, action: Action, request: bytes, merge: Merge | None = None) -> tuple[float, float] | None:
        now = self._clock()
        deadline = now + LONGEST_INTENT + self._limits.timeout
        begun = await self._journal.begin_attempt(
            action.id,
            fence=action.fence,
            request=request,
            started_at=now,
            deadline=deadline,
            resolve_at=deadline + self._limits.settle,
            merge=merge,
        )
        if begun and merge is not None:
            self._watcher.coalesced(action, len(merge.actions))
        return (deadline, now) if begun else None

    async def _call(self, order: Order, request: bytes, *, looks_up: bool, deadline: float) -> tuple[Outcome, float]:
        how = self._connector.resolve if looks_up else self._connector.call
        timeout = min(self._limits.timeout, deadline - self._clock())
        began = time.perf_counter()
        try:
            outcome = await how(order, request, self._http, timeout=timeout)
        finally:
            self._calls.release()
        seconds = time.perf_counter() - began
        await asyncio.sleep(0)  # the call whose turn this is goes out before this one is written down
        self._average = seconds if self._average == 0.0 else 0.8 * self._average + 0.2 * seconds
        return outcome, seconds

    async def _conclude(
        self,
        action: Action,
        outcome: Outcome,
        seconds: float,
        *,
        looks_up: bool,
    ) -> None:
        now = self._clock()
        certainty = self._connector.capabilities.certainty
        if outcome.kind is OutcomeKind.AUTH_BROKEN:
            outcome = await self._confirm(outcome)
        # The call has ended on our side; from here, by the clock of now (which may have jumped since the intent), it settles.
        settled = now + self._limits.settle
        if looks_up:
            following = after_look_up(
                action, outcome, self._limits, certainty=certainty, now=now, resolve_at=settled, draw=self._draw()
            )
        else:
            following = after_call(
                action,
                outcome,
                self._limits,
                certainty=certainty,
                on_unknown=self._settings.on_unknown,
                now=now,
                resolve_at=settled,
                draw=self._draw(),
            )
        if following.call_again:
            self._proven_absent.add(action.id)
        else:
            self._proven_absent.discard(action.id)
        paused = outcome.kind is OutcomeKind.AUTH_BROKEN
        if paused:
            status = ActionStatus.UNKNOWN if action.resolve else ActionStatus.QUEUED
            following = Next(status, Reason.AUTH_BROKEN, now)
            self._pauses.refused(outcome.detail)
        waited = not self._pauses.by and has_waited(action, now=now, paused_total=self._pauses.total)
        to = ""
        if falls_back(outcome, following, looked_up=looks_up, waited=waited):
            to = fallback_of(action, self._reachable)
        if to:
            self._proven_absent.discard(action.id)
            if following.status is not ActionStatus.DEAD:
                late = f"not taken within {duration_text(action.falls_back_after or 0.0)}"
                outcome = replace(outcome, detail=f"{late}: {outcome.detail}")
            following = Next(ActionStatus.SKIPPED, Reason.FELL_BACK)
        if outcome.ticket is not None:
            self._watcher.ticket(
                action, self._named(outcome.ticket)
            )  # it exists; who waits for it need not wait for us
        await self._record(action, outcome, following, seconds, burnt=not paused, to=to)
        await self._memory.save()
        # A limit that concerns one requester says nothing of the helpdesk's health.
        failed = outcome.kind in FAILURES and outcome.reason is not Reason.RATE_LIMITED
        before = self._breaker.state
        if self._breaker.record(action.id, failed=failed, now=now):
            self._watcher.helpdesk(self._connector.name, "breaker_open", outcome.detail)
        elif before is not self._breaker.state:
            self._watcher.helpdesk(self._connector.name, "breaker_closed", "")

    async def _confirm(self, outcome: Outcome) -> Outcome:
        """Refused credentials count for the whole helpdesk only if the harmless call is refused as well."""
        probe = await self._connector.probe(self._http, timeout=self._limits.timeout)
        if probe.kind is OutcomeKind.DELIVERED:
            return replace(outcome, kind=OutcomeKind.REJECTED, reason=Reason.REJECTED)
        if probe.kind is OutcomeKind.AUTH_BROKEN:
            return outcome
        return replace(outcome, kind=OutcomeKind.HELPDESK_DOWN, reason=Reason.HELPDESK_DOWN)

    async def _record(
        self,
        action: Action,
        outcome: Outcome,
        following: Next,
        seconds: float,
        *,
        burnt: bool = True,
        request: bytes | None = None,
        called: bool = True,
        to: str = "",
    ) -> None:
        """Write down an outcome; ``to`` is the helpdesk that the action falls back to."""
        now = self._clock()
        if outcome.ticket is not None:
            outcome = replace(outcome, ticket=self._named(outcome.ticket))
        line = HistoryLine(
            at=now,
            what="fell_back" if to else following.status.value,
            reason=following.reason,
            detail=f"from {self._connector.name} to {to}: {_told(outcome)}" if to else _told(outcome),
            receipt=action.receipt,
            incident=action.incident,
            action=action.id,
        )
        finished = FinishedAttempt(
            action=action.id,
            fence=action.fence,
            finished_at=now,
            outcome=outcome,
            status=following.status,
            not_before=following.not_before,
            burnt=burnt,
            degraded=following.degraded,
            history=(line,),
            request=request,
            falls_back_to=to,
        )
        done = await self._until_there_is_room(finished)
        if following.status in {ActionStatus.QUEUED, ActionStatus.UNKNOWN}:
            self._due.append(following.not_before)
        if done:
            step = Step(self._connector.name, action, following.status, following.reason, outcome, seconds, called, to)
            self._watcher.step(step)

    def _named(self, ticket: TicketRef) -> TicketRef:
        """The ticket with the names of its helpdesk."""
        return replace(ticket, helpdesk=self._connector.name, fingerprint=self._connector.fingerprint)

    async def _until_there_is_room(self, finished: FinishedAttempt) -> bool:
        """An outcome is known only here until it is on disk: with a full disk it waits, it is never thrown away."""
        while True:
            try:
                done = await self._journal.finish_attempt(finished)
            except JournalFull as error:
                if self._stopping:
                    raise
                await self._wait_for_room(error)
                continue
            self._there_is_room()
            return done

    async def _wait_for_room(self, error: JournalFull) -> None:
        """What cannot be written is tried again after a while; that it waits is told once."""
        if not self._no_room:
            self._no_room = True
            self._watcher.helpdesk(self._connector.name, "no_room", str(error))
        await asyncio.sleep(POLL)

    def _there_is_room(self) -> None:
        if self._no_room:
            self._no_room = False
            self._watcher.helpdesk(self._connector.name, "room_again", "")

    async def _give_up(self, action: Action, reason: Reason, detail: str) -> None:
        """Set an action aside without calling: an attempt is written all the same, so that its end is fenced."""
        to = "" if action.resolve else fallback_of(action, self._reachable)
        if await self._begin(action, action.request) is not None:
            outcome = Outcome(OutcomeKind.REJECTED, reason, detail)
            following = Next(ActionStatus.SKIPPED, Reason.FELL_BACK) if to else Next(ActionStatus.DEAD, reason)
            await self._record(action, outcome, following, 0.0, burnt=False, to=to)

    # ------------------------------------------------------------------------------------------------------- fallbacks

    async def _fall_back_overdue(self, now: float) -> None:
        """Let go of what has waited for too long, also while nothing is called: the breaker is open, or credentials refused.

        While an operator has paused the helpdesk, everything waits for him.
        """
        if self._pauses.by or self._settings.shadow or 0 <= now - self._swept < POLL:
            return
        self._swept = now
        overdue = await self._journal.claim_overdue(
            self._connector.name, limit=MOST_OVERDUE, now=now, lease=LEASE_OVERDUE, paused_total=self._pauses.total
        )
        goes = [(action, to) for action in overdue if (to := fallback_of(action, self._reachable))]
        for action, to in goes:
            self._start(self._fall_back(action, to))
        await self._give_back([action for action in overdue if not fallback_of(action, self._reachable)])
        if len(goes) == MOST_OVERDUE:  # there may be more
            self._swept = now - POLL

    async def _fall_back(self, action: Action, to: str) -> None:
        why = self._pauses.told or ("its calls fail" if self._breaker.state is BreakerState.OPEN else "")
        detail = f"not taken within {duration_text(action.falls_back_after or 0.0)}{f' ({why})' if why else ''}"
        outcome = Outcome(OutcomeKind.SKIPPED, Reason.FELL_BACK, detail)
        following = Next(ActionStatus.SKIPPED, Reason.FELL_BACK)
        await self._record(action, outcome, following, 0.0, burnt=False, called=False, to=to)

    # ------------------------------------------------------------------------------------------- pauses and the breaker

    async def _probe_paused(self) -> None:
        probe = await self._connector.probe(self._http, timeout=self._limits.timeout)
        await self._pauses.probed(worked=probe.kind is OutcomeKind.DELIVERED)
        if not self._pauses.stands():
            self._wake.set()

    async def _probe_breaker(self) -> None:
        probe = await self._connector.probe(self._http, timeout=self._limits.timeout)
        worked = probe.kind is OutcomeKind.DELIVERED
        self._breaker.probed(worked=worked, now=self._clock())
        if worked:
            self._watcher.helpdesk(self._connector.name, "breaker_ramping", "")


class _Bucket:
    """At most so many calls per time, spread evenly."""

    def __init__(self, limit: RateLimit) -> None:
        self._gap = limit.per / limit.count
        self._next = 0.0

    def pause(self) -> float:
        """Seconds until the next call may be made; 0 if one may be made now."""
        return max(0.0, self._next - asyncio.get_running_loop().time())

    def ready(self) -> int:
        """How many calls may be made now: one or none."""
        return int(self.pause() <= 0)

    def take(self) -> None:
        """A call is made."""
        self._next = max(self._next, asyncio.get_running_loop().time()) + self._gap


def _order(action: Action, contents: Sequence[bytes]) -> Order:
    return Order(
        action=action.id,
        kind=action.kind,
        marker=action.marker,
        draft=action.draft,
        ticket=action.ticket,
        queued_at=action.queued_at,
        receipt=action.receipt,
        attachments=contents,
        left_out=action.degraded,
        doubtful=action.resolve,
    )


def _told(outcome: Outcome) -> str:
    ticket = f"ticket {outcome.ticket.number}" if outcome.ticket is not None else ""
    flags = ", ".join(flag.value for flag in outcome.flags)
    return "; ".join(part for part in (ticket, flags, outcome.detail) if part)
