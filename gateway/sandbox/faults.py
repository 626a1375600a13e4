"""What can be made to go wrong with a sandbox helpdesk on purpose; `gateway.sandbox.switches` does it.

A fault is consulted at one of two places: at the door, before the request is looked at, or at the commit, when a request
is about to write. So a `commit_then_drop` with ``count: 1`` waits for the next request that really writes, and a `slow`
helpdesk can lose its connection as well.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator


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
