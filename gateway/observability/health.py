"""Is the gateway fit to take work? A few named checks, each true or a sentence that says what is wrong."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.journal.protocol import JournalError

Check = Callable[[], Awaitable[str | None]]
"""None if all is well, else one sentence for the person who must act. No secrets, no paths of requests."""

_CHECK_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result of all checks: name -> None or what is wrong.

    ``notes`` are what people should know and no reason to send work elsewhere: name -> one sentence.
    """

    checks: Mapping[str, str | None]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """True if nothing is wrong."""
        return not any(self.checks.values())


class Health:
    """Runs the checks, at most once in ``keep`` seconds however often it is asked (a check writes to the disk)."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        keep: float = 1.0,
        notes: Callable[[], Mapping[str, str]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = dict(checks)
        self._keep = keep
        self._notes = notes
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._last: Readiness | None = None
        self._until = 0.0

    async def readiness(self) -> Readiness:
        """The checks' results, at most ``keep`` seconds old. Never raises for a failing check."""
        async with self._lock:
            if self._last is None or self._monotonic() >= self._until:
                results = await asyncio.gather(*(self._run(name) for name in self._checks))
                self._last = Readiness(dict(zip(self._checks, results, strict=True)), self._notes())
                self._until = self._monotonic() + self._keep
            return self._last

    async def _run(self, name: str) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT):
                return await self._checks[name]()
        except TimeoutError:
            return f"no answer within {_CHECK_TIMEOUT:g} s"
        except Exception:  # noqa: BLE001 - a check must say what is wrong, also about itself; it is logged whole
            structlog.get_logger().exception("health check failed", check=name)
            return "the check itself failed; see the log"


class Probed(Protocol):
    """A journal, as far as readiness is concerned."""

    async def probe(self, now: float) -> None:
        """Do one real durable write."""
        ...


def journal_check(journal: Probed, now: Callable[[], float]) -> Check:
    """A check that does one real durable write."""

    async def check() -> str | None:
        try:
            await journal.probe(now())
        except JournalError as error:
            return f"the journal cannot write: {str(error) or type(error).__name__}"
        return None

    return check
