"""Switches that make a sandbox helpdesk fail on purpose.

A fault is consulted at one of two places: at the door, before the request is looked at, or at the commit, when a request
is about to write. So a `commit_then_drop` with ``count: 1`` waits for the next request that really writes, and a `slow`
helpdesk can lose its connection as well.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from gateway.model.json import JsonValue


class FaultKind(StrEnum):
    """What can be made to go wrong."""

    REFUSE = "refuse"
    SLOW = "slow"
    RATE_LIMIT = "rate_limit"
    AUTH_BROKEN = "auth_broken"
    DATABASE_DOWN = "database_down"
    HTML_ERROR = "html_error"
    REDIRECT = "redirect"
    MAINTENANCE = "maintenance"
    HANG_BEFORE_COMMIT = "hang_before_commit"
    COMMIT_THEN_HANG = "commit_then_hang"
    COMMIT_THEN_DROP = "commit_then_drop"
    DIE_HALF_WAY = "die_half_way"


AT_COMMIT = frozenset(
    {FaultKind.HANG_BEFORE_COMMIT, FaultKind.COMMIT_THEN_HANG, FaultKind.COMMIT_THEN_DROP, FaultKind.DIE_HALF_WAY}
)

EXPLAINED: Mapping[FaultKind, str] = {
    FaultKind.REFUSE: "the connection is reset without an answer; nothing is written",
    FaultKind.SLOW: "every request waits `seconds` first",
    FaultKind.RATE_LIMIT: "429 with Retry-After: `seconds`",
    FaultKind.AUTH_BROKEN: "every key is refused",
    FaultKind.DATABASE_DOWN: "the helpdesk's answer when its database is away; nothing is written",
    FaultKind.HTML_ERROR: "the web server's page with `status` (502 or 504)",
    FaultKind.REDIRECT: "302 to a log-in page",
    FaultKind.MAINTENANCE: "503, as the web server in front says it",
    FaultKind.HANG_BEFORE_COMMIT: "waits `seconds`, then writes (or not: `commits: false`), then answers",
    FaultKind.COMMIT_THEN_HANG: "writes, then waits `seconds` before it answers, as with slow outgoing mail",
    FaultKind.COMMIT_THEN_DROP: "writes, then the connection is closed without an answer",
    FaultKind.DIE_HALF_WAY: "the database goes away in the middle; a fragment may stay (`at`)",
}

_SECONDS: Mapping[FaultKind, float] = {FaultKind.SLOW: 2.0, FaultKind.RATE_LIMIT: 5.0, FaultKind.MAINTENANCE: 30.0}


class Fault(BaseModel):
    """One switch. It applies to the next ``count`` requests (None: until it is taken away).

    ``probability`` thins it out, reproducibly with ``seed``. ``match`` is a piece of the ticket's subject.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: FaultKind
    count: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    seed: int | None = None
    match: str | None = None
    seconds: float | None = Field(default=None, ge=0.0, le=86400.0, description="slow, rate_limit, maintenance, hang_*")
    status: int = Field(default=502, description="html_error: 502 or 504")
    commits: bool = Field(default=True, description="hang_before_commit: whether it is written in the end")
    at: str = Field(
        default="thread_entry",
        pattern="^(ticket|thread_entry|attachment)$",
        description="die_half_way: the table that could not be written any more",
    )

    @field_validator("status")
    @classmethod
    def _is_a_server_error(cls, value: int) -> int:
        if not 500 <= value <= 599:
            raise ValueError("must be a status from 500 to 599")
        return value

    @property
    def wait(self) -> float:
        """How long it lasts, in seconds."""
        return _SECONDS.get(self.fault, 60.0) if self.seconds is None else self.seconds


FaultSet = dict[str, list[Fault]]
_SET: TypeAdapter[FaultSet] = TypeAdapter(FaultSet)


def parse_faults(text: str | bytes) -> FaultSet:
    """`{"osticket": [{"fault": "slow", "seconds": 2}]}` as values; raises pydantic's `ValidationError`."""
    return _SET.validate_json(text)


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
