"""What the HTTP door asks of the rest of the gateway."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from gateway.model.incident import TicketRef
from gateway.model.receipt import Accepted, NewReceipt


class IntakeClosed(Exception):
    """Nothing more is taken: the gateway is stopping. The sender may try again soon."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a receipt has come.

    ``created``: an event of this very receipt made the ticket. ``done``: nothing more will happen to it by itself.
    ``shadow``: there is no ticket, for its helpdesk is in shadow mode.
    """

    ticket: TicketRef | None
    created: bool = False
    done: bool = False
    shadow: bool = False


class Intake(Protocol):
    """The way in behind the door."""

    async def accept(self, new: NewReceipt) -> Accepted:
        """Make a receipt durable and have it processed.

        Raises:
            JournalFull: no room.
            JournalBroken: the journal is lost; the process must end.
            IntakeClosed: the gateway is stopping.
        """
        ...

    def accept_soon(self, new: NewReceipt) -> "asyncio.Future[list[Accepted]] | None":
        """`accept` without a coroutine: the future brings its answer, alone in a list. None where only `accept` can.

        Raises:
            JournalFull, JournalBroken, IntakeClosed: as `accept`.
        """
        ...

    async def wait_ticket(self, receipt_id: str, timeout: float) -> Progress:
        """Wait until the receipt's ticket is known or nothing more will come, at most ``timeout`` seconds."""
        ...
