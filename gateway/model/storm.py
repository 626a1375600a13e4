"""Storms: what is counted before one, and what its digest tells while it lasts."""

from dataclasses import dataclass

from gateway.model.event import Severity
from gateway.model.incident import IncidentState


@dataclass(frozen=True, slots=True)
class StormGroup:
    """The incidents that are counted together.

    ``opened`` are the last instants at which one of them asked for a ticket, ``digest`` is the incident that tells of the
    newest storm (empty: there was none), ``last_at`` the instant at which the last one joined that. ``version`` rises with every
    change; after ``expires_at`` it tells nothing any more.
    """

    key: str
    version: int = 0
    opened: tuple[float, ...] = ()
    digest: str = ""
    last_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class StormChange:
    """A group as it shall stand. ``expected_version`` None inserts it, else the stored version must be that."""

    group: StormGroup
    expected_version: int | None


@dataclass(frozen=True, slots=True)
class StormMember:
    """An incident that a digest tells of, since which receipt."""

    digest: str
    incident: str
    receipt: str
    joined_at: float


@dataclass(frozen=True, slots=True)
class StormTold:
    """What the digest has told of an incident by now (`StormRow.stands`)."""

    digest: str
    incident: str
    stands: str


@dataclass(frozen=True, slots=True)
class StormRow:
    """An incident that a digest tells of, as it stands now. ``told`` is what was told of it; empty: nothing yet."""

    incident: str
    receipt: str
    told: str
    state: IncidentState
    severity: Severity
    host: str
    service: str
    title: str
    opened_at: float
    closed_at: float | None
    flapping: bool = False
    escalated: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has recovered, and stays so."""
        return self.state is IncidentState.CLOSED

    @property
    def is_ending(self) -> bool:
        """Whether it has recovered, at least for now."""
        return self.state in {IncidentState.CLOSED, IncidentState.RECOVERING}

    @property
    def words(self) -> str:
        """How it stands, for people."""
        if self.is_over:
            return "recovered"
        marks = [word for word, said in (("flapping", self.flapping), ("not acknowledged", self.escalated)) if said]
        return ", ".join([self.state.value, *marks])

    @property
    def stands(self) -> str:
        """How it stands, in the form in which it is compared with what was told."""
        return f"{self.words}; {self.severity.value}"


MOST_SHOWN = 500
"""Rows of one table; of the others only their number is told."""


@dataclass(frozen=True, slots=True)
class StormTable:
    """What a digest tells at one time.

    ``about`` names the group. More than ``limit`` within ``within`` seconds began the
    storm. ``shown`` are the rows of the table, those that matter most first; ``more`` is the number of rows left out. ``total``
    and ``open`` count all its incidents, and those that have not recovered. ``news`` are lines of text about single ones.
    """

    about: str
    limit: int
    within: float
    shown: tuple[StormRow, ...]
    more: int
    total: int
    open: int
    news: tuple[str, ...] = ()
