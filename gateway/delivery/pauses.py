"""Whether the queue of one helpdesk stands still: because it refuses our credentials, or by an operator's word.

It is remembered in the journal, so that it outlives a restart. What was refused is asked again by the harmless call; what an
operator has paused stands still until an operator says otherwise.
"""

from collections.abc import Callable
from dataclasses import replace

from gateway.delivery.memory import Memory
from gateway.journal.protocol import HelpdeskState
from gateway.model.reasons import Reason

PAUSED_PROBE = 60.0
"""Seconds between probes while a helpdesk refuses our credentials."""


def paused(state: HelpdeskState, *, now: float, why: str, by: str = "") -> HelpdeskState:
    """The state with the queue standing still. An operator's word (``by``) outlasts refused credentials."""
    if state.paused_since is not None and not by:
        return state
    since = now if state.paused_since is None else state.paused_since
    return replace(state, paused_since=since, paused_reason=why, paused_by=by)


def resumed(state: HelpdeskState, *, now: float) -> HelpdeskState:
    """The state with the queue going on; the time that it stood still is added to that of earlier pauses."""
    if state.paused_since is None:
        return state
    lasted = max(0.0, now - state.paused_since)
    return replace(state, paused_since=None, paused_reason="", paused_by="", paused_total=state.paused_total + lasted)


def told(state: HelpdeskState) -> str:
    """By whom and why a queue stands still; empty if it does not."""
    if state.paused_since is None:
        return ""
    if not state.paused_by:
        return state.paused_reason or Reason.AUTH_BROKEN.value
    return f"by {state.paused_by}" + (f": {state.paused_reason}" if state.paused_reason else "")


class Pauses:
    """The pauses of one helpdesk while its delivery runs."""

    def __init__(
        self,
        memory: Memory,
        tell: Callable[[str, str], None],
        *,
        clock: Callable[[], float],
        ask_every: float,
    ) -> None:
        """``tell`` is given ``paused`` or ``resumed`` and why; ``ask_every`` are seconds between probes at most."""
        self._memory = memory
        self._tell = tell
        self._clock = clock
        self._ask_every = min(PAUSED_PROBE, ask_every)
        self._next_probe = 0.0

    def stands(self) -> bool:
        """True while nothing is to be sent."""
        return self._memory.state.paused_since is not None

    @property
    def told(self) -> str:
        """By whom and why the queue stands still; empty if it does not."""
        return told(self._memory.state)

    @property
    def by(self) -> str:
        """The operator by whose word it stands still; empty if there is none."""
        return self._memory.state.paused_by

    @property
    def total(self) -> float:
        """Seconds of all earlier pauses."""
        return self._memory.state.paused_total

    async def load(self) -> None:
        """Read what was remembered, once."""
        if await self._memory.load() and self.stands():
            self._tell("paused", self.told)

    async def pause(self, by: str, why: str) -> None:
        """Stand still by an operator's word; durable when this returns."""
        await self.load()
        await self._memory.become(paused(self._memory.state, now=self._clock(), why=why, by=by))
        self._tell("paused", self.told)

    async def resume(self) -> bool:
        """Go on by an operator's word, whatever the reason of the pause; durable when this returns. False if it did not stand."""
        await self.load()
        if not self.stands():
            return False
        await self._memory.become(resumed(self._memory.state, now=self._clock()))
        self._tell("resumed", "")
        return True

    def refused(self, detail: str) -> None:
        """Our credentials are refused: stand still until they are not."""
        if self.stands():
            return
        now = self._clock()
        self._memory.soon(paused(self._memory.state, now=now, why=detail or Reason.AUTH_BROKEN.value))
        self._next_probe = now + self._ask_every
        self._tell("paused", detail)

    def probe_due(self, now: float) -> bool:
        """Whether the harmless call should be made now, to see if our credentials are taken again."""
        # A clock that was put back must not keep it paused: no probe is ever planned further ahead than this.
        return self.stands() and not self.by and not 0 < self._next_probe - now <= PAUSED_PROBE

    async def probed(self, *, worked: bool) -> None:
        """Take note of a probe."""
        now = self._clock()
        self._next_probe = now + self._ask_every
        if not worked or self.by or not self.stands():
            return
        self._memory.soon(resumed(self._memory.state, now=now))
        await self._memory.save()
        self._tell("resumed", "")
