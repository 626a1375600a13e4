"""May one more delivery come in? Disk, queue, bytes in flight; a rate only where a source configures one."""

import asyncio
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.config.models import Server
from gateway.config.values import RateLimit
from gateway.journal.protocol import Counts, JournalError, Reader
from gateway.receive.problems import Problem, Refusal

_REFRESH = 1.0


def free_bytes(folder: Path) -> Callable[[], int]:
    """How much room the file system of ``folder`` has for us, asked anew at each call."""

    def ask() -> int:
        return shutil.disk_usage(folder).free

    return ask


class Admission:
    """The state of the gates that all sources share. `watch` keeps it fresh; a refusal is always 503, never a loss.

    * ``min_free``: bytes of free room below which nothing is taken; ``free`` asks for them.
    * ``max_waiting``: receipts and actions waiting beyond which nothing is taken.
    * ``max_in_flight``: bytes of bodies held at one time over all requests.
    """

    def __init__(
        self,
        *,
        min_free: int = 0,
        max_waiting: int = 1_000_000,
        max_in_flight: int = 64 * 2**20,
        free: Callable[[], int] | None = None,
    ) -> None:
        self._min_free = min_free
        self._max_waiting = max_waiting
        self._max_in_flight = max_in_flight
        self._free = free
        self._room = True
        self._waiting = 0
        self.in_flight = 0
        self.stopping = False
        self.counts: Counts | None = None

    @classmethod
    def of(cls, server: Server, free: Callable[[], int] | None = None) -> "Admission":
        """The gates as they are configured."""
        return cls(
            min_free=server.journal.min_free,
            max_waiting=server.journal.max_waiting,
            max_in_flight=server.http.max_in_flight,
            free=free,
        )

    def refusal(self) -> Problem | None:
        """Why nothing can be taken now, or None."""
        if self.stopping:
            return stopping()
        if not self._room:
            return Problem(
                503,
                Refusal.NO_ROOM,
                "There is too little free room for the journal.",
                hint="Try again later; the operators must make room or lower `journal.min_free`.",
                retry_after=30,
            )
        if self._waiting >= self._max_waiting:
            return Problem(
                503, Refusal.QUEUE_FULL, "Too much is waiting already.", hint="Try again later.", retry_after=30
            )
        return None

    def fits(self, size: int) -> bool:
        """True if ``size`` more bytes may be held. One body alone always fits; its own cap bounds it."""
        return self.in_flight == 0 or self.in_flight + size <= self._max_in_flight

    def taken(self) -> None:
        """One more receipt waits; exact again with the next refresh."""
        self._waiting += 1

    def refresh(self, counts: Counts, free: int | None = None) -> None:
        """Take over the journal's figures and the free room in bytes (None: not known, so not judged)."""
        self.counts = counts
        self._waiting = counts.receipts_waiting + sum(counts.actions_waiting.values())
        self._room = free is None or free >= self._min_free

    async def watch(self, reader: Reader, *, every: float = _REFRESH) -> None:
        """Refresh for ever; the app runs it as a task. A failing look keeps the last figures."""
        while True:
            try:
                counts = await reader.counts()
                free = None if self._free is None else await asyncio.to_thread(self._free)
                self.refresh(counts, free)
            except (JournalError, OSError):
                structlog.get_logger().exception("cannot read the figures for admission; the last ones stay")
            await asyncio.sleep(every)


def stopping() -> Problem:
    """The answer while the gateway stops."""
    return Problem(
        503, Refusal.STOPPING, "The gateway is stopping.", hint="Try again in a moment.", retry_after=5, close=True
    )


def no_room() -> Problem:
    """The answer while the journal's disk is full."""
    return Problem(503, Refusal.NO_ROOM, "The journal has no room.", hint="Try again later.", retry_after=30)


def journal_lost() -> Problem:
    """The answer when the journal is broken, and the process about to end."""
    return Problem(
        503, Refusal.JOURNAL_BROKEN, "The journal failed; the gateway starts anew.", retry_after=30, close=True
    )


class Bucket:
    """A token bucket: ``count`` requests at once, refilled evenly over ``per`` seconds."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._size = max(1.0, limit.count)
        self._per_second = limit.count / limit.per
        self._monotonic = monotonic
        self._tokens = self._size
        self._at = monotonic()

    def take(self) -> int | None:
        """None if the request may pass, else the whole seconds after which one may."""
        now = self._monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return None
        if self._per_second <= 0:
            return 3600
        return max(1, math.ceil((1.0 - self._tokens) / self._per_second))
