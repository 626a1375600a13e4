"""The brake of a helpdesk: how many tickets may be made in a time, and what waits."""

from dataclasses import dataclass
from typing import Protocol

from gateway.model.action import TicketDraft

CAUSE = "brake/"
"""Begins the cause of what a brake itself tells people; that is never braked and counts for nothing."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most ``most`` creates in ``per`` seconds. Those that were queued at or before ``free_until`` are free and do not count."""

    most: int
    per: float
    free_until: float = 0.0


@dataclass(frozen=True, slots=True)
class WaitingCreate:
    """A create that waits."""

    incident: str
    title: str
    draft: TicketDraft


@dataclass(frozen=True, slots=True)
class BrakeView:
    """How a brake stands.

    ``begun`` are the creates that count: called within the time and not proven to have written nothing, or about to be.
    ``waiting`` is the number of those that are due and not free, ``first`` some of them, the oldest first.
    """

    begun: int
    waiting: int
    first: tuple[WaitingCreate, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What holding back did: ``marked`` creates are held from now on, ``ended`` will never be made."""

    marked: int
    ended: int


@dataclass(frozen=True, slots=True)
class BrakeNews:
    """What an episode's ticket tells. ``limit`` is written as in the file; ``over``: nothing waits any more."""

    helpdesk: str
    limit: str
    since: float
    waiting: int
    titles: tuple[str, ...]
    over: bool = False


class Words(Protocol):
    """Who finds the words."""

    def __call__(self, news: BrakeNews) -> tuple[str, str]:
        """Title and text."""
        ...
