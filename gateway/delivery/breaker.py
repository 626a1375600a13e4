"""One breaker per helpdesk: it stops calling what fails, probes with the harmless call, and ramps up again."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

WINDOW = 20
"""Outcomes that are looked at."""
SPAN = 120.0
"""Seconds after which an outcome is forgotten."""
LEAST = 5
"""Outcomes needed before the breaker may open."""
LEAST_ACTIONS = 3
"""Different actions that must have failed: one bad ticket never opens a breaker."""
RATIO = 0.5
"""Share of failures that opens it."""
FIRST_PROBE = 2.0
"""Seconds until the first probe; the pause doubles up to `LAST_PROBE`."""
LAST_PROBE = 60.0


class BreakerState(StrEnum):
    """``ramping``: the helpdesk answers again; calls at one time grow with each success."""

    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "ramping"


@dataclass(slots=True)
class Breaker:
    """Counts the outcomes of one helpdesk. ``most`` is its configured number of calls at one time."""

    most: int
    state: BreakerState = BreakerState.CLOSED
    allowed: int = 0
    probe_at: float = 0.0
    pause: float = FIRST_PROBE
    _seen: deque[tuple[float, str, bool]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def calls_allowed(self) -> int:
        """How many calls may run at one time now."""
        if self.state is BreakerState.CLOSED:
            return self.most
        return 0 if self.state is BreakerState.OPEN else min(self.allowed, self.most)

    def record(self, action: str, *, failed: bool, now: float) -> bool:
        """Take note of an outcome; True if this opened the breaker."""
        if self.state is BreakerState.RAMPING:
            if failed:
                self._open(now)
                return True
            self.allowed *= 2
            if self.allowed >= self.most:
                self.state = BreakerState.CLOSED
                self._seen.clear()
            return False
        self._seen.append((now, action, failed))
        recent = [entry for entry in self._seen if now - entry[0] <= SPAN]
        failures = [entry for entry in recent if entry[2]]
        if (
            self.state is BreakerState.CLOSED
            and len(recent) >= LEAST
            and len({entry[1] for entry in failures}) >= LEAST_ACTIONS
            and len(failures) >= RATIO * len(recent)
        ):
            self.pause = FIRST_PROBE
            self._open(now)
            return True
        return False

    def probe_due(self, now: float) -> bool:
        """True if the harmless call should be made now."""
        # A clock that was put back must not keep it open: no probe is ever planned further ahead than the longest pause.
        return self.state is BreakerState.OPEN and not 0 < self.probe_at - now <= LAST_PROBE

    def probed(self, *, worked: bool, now: float) -> None:
        """Take note of a probe."""
        if worked:
            self.state = BreakerState.RAMPING
            self.allowed = 1
        else:
            self.pause = min(self.pause * 2, LAST_PROBE)
            self.probe_at = now + self.pause

    def _open(self, now: float) -> None:
        self.state = BreakerState.OPEN
        self.probe_at = now + self.pause
        self._seen.clear()
