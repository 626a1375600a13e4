"""How a ticket stands: what a helpdesk that can be read is asked between actions."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.protocol import Http
from gateway.model.action import Outcome
from gateway.model.incident import TicketRef


@dataclass(frozen=True, slots=True)
class Standing:
    """A ticket as it stands now.

    ``ticket`` is the one that counts: itself, the one that it was merged into, or None if there is none (any more) that we can
    see. ``deeds`` are what persons did to it, in words, as far as that was asked; ``detail`` says more for people.
    """

    ticket: TicketRef | None
    state: TicketState
    deeds: tuple[str, ...] = ()
    detail: str = ""


@runtime_checkable
class Watched(Protocol):
    """A connector whose helpdesk can be read."""

    async def standing(self, ticket: TicketRef, http: Http, *, timeout: float) -> Standing | Outcome:
        """How a ticket of ours stands; an `Outcome` says why that cannot be told now. Writes nothing, and never raises."""
        ...
