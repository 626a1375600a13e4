"""The switches of a sandbox helpdesk: which of its faults hits a request."""

import asyncio
import random
from collections.abc import Callable, Sequence

from gateway.model.json import JsonValue
from gateway.sandbox.faults import AT_COMMIT, Fault, FaultKind


class _Armed:
    """A fault that is switched on, with what is left of it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.count
        self.hits = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - thins out faults, nothing secret

    def hit(self, subject: Callable[[], str]) -> bool:
        if self.left == 0 or (self.fault.match is not None and self.fault.match not in subject()):
            return False
        if self.fault.probability < 1.0 and self._random.random() >= self.fault.probability:
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True


class Faults:
    """The switches of one helpdesk."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._released = asyncio.Event()

    def replace(self, faults: Sequence[Fault]) -> None:
        """Switch these on and all others off. Requests that hang because of an earlier one go on."""
        self._armed = [_Armed(fault) for fault in faults]
        self._released.set()
        self._released = asyncio.Event()

    def at_the_door(self, subject: Callable[[], str]) -> list[Fault]:
        """The faults that hit a request as it arrives: any `slow` ones, and the first other one."""
        hit: list[Fault] = []
        for armed in self._armed:
            if armed.fault.fault not in AT_COMMIT and armed.hit(subject):
                hit.append(armed.fault)
                if armed.fault.fault is not FaultKind.SLOW:
                    break
        return hit

    def at_the_commit(self, subject: Callable[[], str]) -> Fault | None:
        """The fault that hits a request which is about to write."""
        return next((a.fault for a in self._armed if a.fault.fault in AT_COMMIT and a.hit(subject)), None)

    async def wait(self, seconds: float) -> None:
        """Wait that long, or until the switches change."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._released.wait()
        except TimeoutError:
            return

    @property
    def active(self) -> list[tuple[Fault, int | None, int]]:
        """The faults that can still hit: (fault, hits left or None, hits so far)."""
        return [(armed.fault, armed.left, armed.hits) for armed in self._armed if armed.left != 0]

    def described(self) -> list[JsonValue]:
        """The switches as JSON, with ``left`` and ``hits``."""
        return [
            {**armed.fault.model_dump(mode="json", exclude_unset=True), "left": armed.left, "hits": armed.hits}
            for armed in self._armed
        ]
