"""Watching the tickets of open incidents: on a helpdesk's hint, and by and by.

A hint (`gateway.receive.notices`) names a ticket and proves nothing: the ticket is read before anything is concluded, so that
a hint that is late, repeated or wrong does no harm. Hints are kept in memory only; what a restart loses, the next follow-up or
the next look finds out. Nothing is read while the helpdesk is paused, its breaker open, or its rate used up, and one question at
a time: actions come first.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
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
"""Tickets that wait to be read because of a hint; what is beyond is found out later."""
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

    def hint(self, ticket: str) -> bool:
        """Something may have happened to the ticket with this id or number. False: too many wait already."""
        if ticket not in self._hints and len(self._hints) >= MOST_HINTS:
            return False
        self._hints[ticket] = None
        self._wake.set()
        return True

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Watch until `stop`; raises what the journal raises when it is broken."""
        while not self._stopping:
            self._wake.clear()
            if self._hints:
                ticket = next(iter(self._hints))
                del self._hints[ticket]
                await self._undisturbed(self._hinted(ticket))
            elif self._poll is not None:
                await self._undisturbed(self._round(self._poll))
            if not self._hints and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE)

    @staticmethod
    async def _undisturbed(work: Awaitable[None]) -> None:
        """What finds no room in the journal is found out later."""
        with contextlib.suppress(JournalFull):
            await work

    async def _hinted(self, ticket: str) -> None:
        """Read a ticket because of a hint; what belongs to no open incident is nobody's business."""
        for _ in range(TRIES):
            incidents = await self._journal.incidents_of_ticket(self._name, ticket)
            settled = True
            for incident in incidents:
                settled = await self._look(incident) and settled
            if settled or self._stopping:
                return
            await asyncio.sleep(REST)

    async def _round(self, every: float) -> None:
        """Once in each interval: read what was not read for longest. A hint comes first."""
        now = self._clock()
        if 0 < self._next_round - now <= every:  # a clock that was put back must not stop it
            return
        self._next_round = now + every
        for incident in await self._journal.open_tickets(self._name, limit=MOST_AT_ONCE, looked_before=now):
            while self._hints and not self._stopping:
                ticket = next(iter(self._hints))
                del self._hints[ticket]
                await self._hinted(ticket)
            if self._stopping:
                return
            await self._look(incident)
            await asyncio.sleep(REST)

    async def _look(self, incident: Incident) -> bool:
        """Read one ticket and write what follows. False if the incident went on meanwhile, so that nothing was concluded."""
        assert incident.ticket is not None
        found = await self._asked(incident.ticket)
        if found is None:
            return True
        # What could not be read counts as looked at, so that it does not hold up the others.
        read = noticed(incident, found, self._clock()) if isinstance(found, Standing) else None
        read = read if read is not None else Noticed(incident, self._clock(), incident.touch)
        concluded = await self._journal.notice(read)
        if concluded and read.history:
            self._tell(read)
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
