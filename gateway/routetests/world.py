"""The gateway of one test: the same pipeline, timers and deliveries as `serve`, over a journal and helpdesks in memory."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar

from gateway.config.models import HelpdeskSettings, HttpHelpdeskSettings
from gateway.config.route_tests import Send
from gateway.delivery.worker import Delivery, FirstCall
from gateway.firing import SLACK, Timers
from gateway.helpdesks.standing import Watched
from gateway.model.action import NewAction
from gateway.pipeline import Pipeline
from gateway.receive.messages import Unreadable
from gateway.rendering.brake import FOLDER, brake_words
from gateway.routetests.clock import VirtualLoop
from gateway.routetests.desks import Desk, make_desks
from gateway.routetests.journal import TestJournal
from gateway.routetests.record import Happening, What
from gateway.routetests.sends import receipt_of
from gateway.routetests.watching import Recorder
from gateway.ruleset import Ruleset
from gateway.sources.protocol import Malformed
from gateway.watching import Watch

P = ParamSpec("P")
T = TypeVar("T")

PATIENT = 300
"""So often the time moves to the next look of anything while something should go on and does not; then it moves faster."""
STRIDE = 60.0
"""Seconds that it then moves at a time."""


READING = 2.0
"""Seconds that looking at a ticket takes at most: a watch leaves pauses between its questions."""


def poll_of(settings: HelpdeskSettings) -> float | None:
    """How often the tickets of a helpdesk are looked at."""
    return settings.poll if isinstance(settings, HttpHelpdeskSettings) else None


class Here:
    """`gateway.isolation.Apart` in place: what a test sends is its author's own."""

    async def run(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: ARG002 - nothing is stopped here
        """Call it."""
        return function(*args, **kwargs)

    def close(self) -> None:
        """Nothing was started."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand at one moment."""

    tickets: Mapping[str, int]
    open_incidents: int
    dead_letters: int


class World:
    """One test's world. Its time is the loop's; it moves only by `pass_time`."""

    def __init__(self, rules: Ruleset, loop: VirtualLoop) -> None:
        """``rules`` are of a configuration that went through `gateway.routetests.desks.as_tested`."""
        self._loop = loop
        self._began = loop.time()
        self.journal = TestJournal()
        self.desks: Mapping[str, Desk] = make_desks(rules.config, loop.time)
        # Connectors learn of their helpdesk while they work: each test has its own.
        self._rules = replace(rules, connectors={name: desk.connector for name, desk in self.desks.items()})
        self.recorder = Recorder(self._rules, self.journal, self.desks, self._after, self._wake)
        self.pipeline = Pipeline(
            self.journal,
            self._rules,
            self.recorder,
            wake_delivery=self._wake,
            first_call=self._first_call,
            clock=loop.time,
            apart=Here(),
        )
        self._due = 0.0
        self._timers = Timers(
            self.journal, lambda: self._rules, self.recorder, wake_delivery=self._wake, clock=lambda: self._due + SLACK
        )
        self._deliveries = {
            name: Delivery(
                desk.connector,
                desk.settings,
                self.journal,
                desk.http,
                self.recorder,
                words=partial(brake_words, rules.config.templates.get(FOLDER, {})),
                clock=loop.time,
                draw=lambda: 0.5,
                reachable=self.desks.__contains__,
            )
            for name, desk in self.desks.items()
        }
        self._watches = {name: watch for name in self.desks if (watch := self._watch(name)) is not None}
        self._looks = min(
            (one for desk in self.desks.values() if (one := poll_of(desk.settings)) is not None), default=None
        )
        self._restless = self._began
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def happened(self) -> list[Happening]:
        """Everything so far."""
        return self.recorder.happened

    async def start(self) -> None:
        """Begin to work."""
        works = [self.pipeline.run(), *(delivery.run() for delivery in self._deliveries.values())]
        works += [watch.run() for watch in self._watches.values()]
        self._tasks = [self._loop.create_task(work) for work in works]
        await self._loop.quiet()

    async def stop(self) -> None:
        """End everything."""
        for desk in self.desks.values():
            desk.fault([])
        await self.pipeline.stop()
        for watch in self._watches.values():
            watch.stop()
        for task in self._tasks:
            task.cancel()
        for delivery in self._deliveries.values():
            await delivery.stop(0.0)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for desk in self.desks.values():
            await desk.close()

    async def send(self, send: Send) -> None:
        """Something comes in, and all that follows at once from it."""
        settings = self._rules.config.sources[send.source]
        kind = self._rules.kinds[settings.kind]
        try:
            new = receipt_of(send, settings, kind, self._rules.config.folder, self._loop.time())
            if settings.malformed == "reject":
                kind.inspect(new, settings)
        except Unreadable as error:
            self.recorder.say(What.FAULT, str(error))
            return
        except Malformed as error:
            self.recorder.say(What.REFUSED, f"{error.message}{f' ({error.place})' if error.place else ''}")
            return
        accepted = await self.pipeline.accept(new)
        if accepted.duplicate_of is not None:
            self.recorder.repeated(send.source)
        await self._loop.quiet()

    def act(self, name: str, action: str) -> bool:
        """A person does something to the newest ticket of a helpdesk, which tells us if it is to; false if it cannot be done."""
        desk = self.desks[name]
        if not desk.act(action):
            return False
        self.recorder.say(What.AGENT, f"{action} in {name}")
        settings, newest = desk.settings, desk.store.tickets(limit=1)
        if (
            isinstance(settings, HttpHelpdeskSettings)
            and settings.notify is not None
            and newest
            and name in self._watches
        ):
            self._watches[name].hint(newest[0].number)
            self._restless = self._loop.time() + READING
        return True

    async def pass_time(self, after: float, *, due: bool) -> None:
        """Until so long after the beginning. ``due``: what is due at that very instant is done as well."""
        until = self._began + after
        stuck = 0
        while True:
            await self._loop.quiet()
            self._raise()
            now = self._loop.time()
            timer = await self._next_timer(until)
            if timer is not None and not due and timer >= until:
                timer = None
            if timer is not None and timer <= now:
                await self._fire(timer)
                continue
            if now >= until:
                return
            soonest = until if timer is None else timer
            waiting = list(self.journal.due_actions())
            # A breaker, a pause or a rate holds something up: they look for themselves. A helpdesk hangs: nobody knows how long.
            held = any(instant <= now for instant in waiting) or any(desk.busy for desk in self.desks.values())
            restless = self.journal.calling or now < self._restless
            if restless or (held and stuck < PATIENT):
                stuck += not restless
                await self._loop.hop(soonest)
                continue
            if self._looks is not None and (await self.standing()).open_incidents:
                soonest = min(soonest, now + self._looks)
                self._restless = soonest + READING
            later = [instant for instant in waiting if instant > now]
            if held:
                later.append(now + STRIDE)
            self._loop.jump(min([soonest, *later]))
            self._wake(self._deliveries)

    async def standing(self) -> Standing:
        """How things stand now."""
        counts = await self.journal.reader().counts()
        return Standing(
            tickets={name: desk.count() for name, desk in self.desks.items()},
            open_incidents=counts.open_incidents,
            dead_letters=counts.dead_receipts + counts.dead_actions,
        )

    # ---------------------------------------------------------------------------------------------------------- inside

    def _watch(self, name: str) -> Watch | None:
        """What looks at the tickets of a helpdesk between actions, if it is to be watched."""
        desk = self.desks[name]
        settings, connector = desk.settings, desk.connector
        if not isinstance(settings, HttpHelpdeskSettings) or not isinstance(connector, Watched):
            return None
        if settings.notify is None and settings.poll is None:
            return None
        queue, clock = self._deliveries[name], self._loop.time
        return Watch(name, connector, settings, self.journal, desk.http, queue, self.recorder.noticed, clock=clock)

    def _after(self) -> float:
        return self._loop.time() - self._began

    def _raise(self) -> None:
        """What ends the gateway ends the test."""
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError("the gateway of the test has stopped")

    async def _next_timer(self, until: float) -> float | None:
        due = await self.journal.due_timers(now=until, limit=1)
        return due[0].due_at if due else None

    async def _fire(self, instant: float) -> None:
        self._due = instant
        if not await self._timers.fire_due():
            raise RuntimeError("a timer of the test is due and cannot be fired")

    def _wake(self, helpdesks: Iterable[str]) -> None:
        for name in helpdesks:
            if name in self._deliveries:
                self._deliveries[name].wake()

    def _first_call(self, action: NewAction, receipt: str, contents: Sequence[bytes]) -> FirstCall | None:
        delivery = self._deliveries.get(action.helpdesk)
        return delivery.first_call(action, receipt, contents) if delivery is not None else None
