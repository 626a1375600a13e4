"""Watching the tickets of open incidents: on a helpdesk's hint, and by and by.

A hint (`gateway.receive.notices`) names a ticket and proves nothing: the ticket is read before anything is concluded, so that
a hint that is late, repeated or wrong does no harm. Hints are kept in memory only; what a restart loses, the next follow-up or
the next look finds out. Nothing is read while the helpdesk is paused, its breaker open, or its rate used up, and one question at
a time: actions come first.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from gateway.config.models import HttpHelpdeskSettings
from gateway.helpdesks.protocol import Http
from gateway.helpdesks.standing import Standing, Watched
from gateway.journal.protocol import Journal, JournalFull, Noticed
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.incident import Incident, TicketRef
from gateway.model.reasons import Reason
from gateway.noticing import noticed

T = TypeVar("T")

MOST_HINTS = 1000
"""Tickets that wait to be read because of a hint; when there are more, all open ones are read, the oldest look first."""
MOST_AT_ONCE = 100
"""Tickets that are read in one interval."""
LONGEST = 15.0
"""Seconds that reading one ticket may take, where the helpdesk's own `timeout` is not shorter."""
REST = 0.2
"""Seconds between two questions; also how long one waits before it asks again whether there is room."""
IDLE = 1.0
"""Seconds between looks at what is to be done when nothing wakes us."""
TRIES = 3
"""How often a hinted ticket is read, if its incident goes on in the meantime."""


class Queue(Protocol):
    """The delivery of the helpdesk, whose limits hold for questions too."""

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """Ask, if there is room for a question now; None if there is none."""
        ...


class Watch:
    """Watches the tickets of one helpdesk until it is stopped."""

    def __init__(
        self,
        name: str,
        connector: Watched,
        settings: HttpHelpdeskSettings,
        journal: Journal,
        http: Http,
        queue: Queue,
        tell: Callable[[Noticed], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``tell`` is given what was concluded, when it is durable."""
        self._name = name
        self._connector = connector
        self._poll = settings.poll
        self._timeout = min(LONGEST, settings.limits.timeout)
        self._journal = journal
        self._http = http
        self._queue = queue
        self._tell = tell
        self._clock = clock
        self._hints: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_round = 0.0
        self._swamped_at: float | None = None

    def hint(self, ticket: str) -> None:
        """Something may have happened to the ticket with this id or number."""
        if ticket in self._hints or len(self._hints) < MOST_HINTS:
            self._hints[ticket] = None
        else:
            self._swamped_at = self._clock()
        self._wake.set()

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Watch until `stop`; raises what the journal raises when it is broken."""
        while not self._stopping:
            self._wake.clear()
            await self._undisturbed(self._hinted())
            if self._swamped_at is not None:
                await self._undisturbed(self._catch_up(self._swamped_at))
            elif self._poll is not None:
                await self._undisturbed(self._round(self._poll))
            if not (self._hints or self._swamped_at is not None or self._stopping):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE)

    @staticmethod
    async def _undisturbed(work: Awaitable[None]) -> None:
        """What finds no room in the journal is found out later."""
        try:
            await work
        except JournalFull:
            await asyncio.sleep(IDLE)

    async def _hinted(self) -> None:
        """Read the tickets of which we were told; what belongs to no open incident is nobody's business."""
        while self._hints and not self._stopping:
            ticket = next(iter(self._hints))
            del self._hints[ticket]
            for _ in range(TRIES):
                looked = [await self._look(one) for one in await self._journal.incidents_of_ticket(self._name, ticket)]
                if all(looked) or self._stopping:
                    break

    async def _catch_up(self, since: float) -> None:
        """Too many hints came: read all tickets of open incidents once, a hundred at a time."""
        if not await self._some(since, looked_before=since) and self._swamped_at == since:
            self._swamped_at = None

    async def _round(self, every: float) -> None:
        """Once in each interval: read what was not read for longest."""
        now = self._clock()
        if 0 < self._next_round - now <= every:  # a clock that was put back must not stop it
            return
        self._next_round = now + every
        await self._some(now, looked_before=math.inf)

    async def _some(self, now: float, *, looked_before: float) -> int:
        """Read some tickets, those first that were not read for longest; gives back how many. Hints come first."""
        found = await self._journal.open_tickets(self._name, limit=MOST_AT_ONCE, looked_before=looked_before)
        for incident in found:
            await self._hinted()
            if self._stopping:
                break
            await self._look(incident, now)
        return len(found)

    async def _look(self, incident: Incident, since: float = 0.0) -> bool:
        """Read one ticket and write what follows. False if the incident went on meanwhile, so that nothing was concluded.

        It counts as read at ``since`` at the earliest, wherever the clock goes: else it would be read again and again.
        """
        assert incident.ticket is not None
        began = self._clock()
        found = await self._asked(incident.ticket)
        if found is None:
            return True
        now = max(self._clock(), since)
        # What could not be read counts as read too, so that it does not hold up the others.
        nothing = Noticed(incident, now, incident.touch)
        read = noticed(incident, found, now) if isinstance(found, Standing) else nothing
        read = replace(read, began=began)
        concluded = await self._journal.notice(read)
        if concluded and read.history:
            self._tell(read)
        await asyncio.sleep(REST)  # the helpdesk has others to serve
        return concluded

    async def _asked(self, ticket: TicketRef) -> Standing | Outcome | None:
        """How a ticket stands, when there is room for the question; None if we stop before."""
        while not self._stopping:
            answer = await self._queue.ask(lambda: self._read(ticket))
            if answer is not None:
                return answer
            await asyncio.sleep(REST)
        return None

    async def _read(self, ticket: TicketRef) -> Standing | Outcome:
        try:
            return await self._connector.standing(ticket, self._http, timeout=self._timeout)
        except Exception as error:  # noqa: BLE001 - a connector's bug must not end all; the log has it, and nothing is concluded
            structlog.get_logger().error(
                "a ticket could not be read", helpdesk=self._name, ticket=ticket.number, exc_info=error
            )
            return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, f"{type(error).__name__}: {error}")
