"""An event loop whose time stands still until it is moved: hours pass in milliseconds, and always in the same way.

Everything that waits (time-outs of calls, pauses between tries, faults of the sandbox) asks the loop for the time, so nothing
of it needs to know.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LATER = 1e-6
"""Seconds that are no time: instants of this century, as floats, are a quarter of that apart."""
BLOCK = 0.05
"""Real seconds between looks for what another thread brings, when nothing else can happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time is in seconds since 1970. Make it with `virtual`, so that its first instant is known."""

    def __init__(self, start: float) -> None:
        """``start`` is the first instant."""
        self._instant = start
        self._quiet: asyncio.Future[None] | None = None
        self._hop: asyncio.Future[None] | None = None
        self._limit = start
        super().__init__(_Selector(self.nothing_is_ready))
        self._clock_resolution = LATER  # asyncio's own name: how near a timer must be to be due

    def time(self) -> float:
        """The instant."""
        return self._instant

    def jump(self, to: float) -> None:
        """Move the time at once. What was due before is done late, at the new instant."""
        self._instant = max(self._instant, to)

    async def quiet(self) -> None:
        """Until nothing more happens at this instant."""
        self._quiet = self.create_future()
        await self._quiet

    async def hop(self, limit: float) -> None:
        """Move the time to when something that waits goes on, at most to ``limit``, when nothing happens any more."""
        self._limit = limit
        self._hop = self.create_future()
        await self._hop

    def nothing_is_ready(self, timeout: float | None) -> bool:
        """Called when there is nothing to do for ``timeout`` seconds; false if nobody here can change that."""
        if self._quiet is not None:
            waiting, self._quiet = self._quiet, None
        elif self._hop is not None:
            waiting, self._hop = self._hop, None
            self.jump(min(self._limit, self._instant + timeout if timeout is not None else self._limit))
        elif timeout is not None:  # nobody steers: a stop, for example
            self.jump(self._instant + timeout)
            return True
        else:
            return False
        if not waiting.done():
            waiting.set_result(None)
        return True


class _Selector(selectors.SelectSelector):
    """Never waits for real time to pass."""

    def __init__(self, nothing_is_ready: Callable[[float | None], bool]) -> None:
        super().__init__()
        self._nothing_is_ready = nothing_is_ready

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        idle = timeout is None or timeout > 0
        steered = not idle or self._nothing_is_ready(timeout)
        return super().select(0 if steered else BLOCK)
