"""Who waits for the ticket of a receipt, and when it is there."""

import asyncio
from collections.abc import Callable, Mapping

from gateway.delivery.worker import Step
from gateway.journal.protocol import Processed, Reader
from gateway.model.action import UNFINISHED, Action, ActionKind, ActionStatus
from gateway.model.incident import Incident, TicketRef
from gateway.model.receipt import ReceiptStatus
from gateway.receive.intake import Progress


class TicketWaiters:
    """Answers `wait` as soon as a receipt's ticket is known, or nothing more will come by itself."""

    def __init__(
        self,
        reader: Reader,
        in_hand: Callable[[str], bool] = lambda _receipt: False,
        shows_only: Callable[[str], bool] = lambda _helpdesk: False,
    ) -> None:
        """``reader`` answers for receipts that were done before anybody waited.

        ``in_hand`` is true for a receipt that is being processed, so that `processed` will come: nothing need be read.
        ``shows_only`` is true for a helpdesk in shadow mode: no ticket of it will come.
        """
        self._shows_only = shows_only
        self._reader = reader
        self._in_hand = in_hand
        self._by_receipt: dict[str, set[asyncio.Future[Progress | None]]] = {}
        self._by_incident: dict[str, set[str]] = {}

    async def wait(self, receipt_id: str, timeout: float) -> Progress:
        """How far the receipt has come when its ticket is known, at the latest after ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Progress | None] = loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._by_receipt.setdefault(receipt_id, set()).add(future)
                    known = (None if self._in_hand(receipt_id) else await self._look(receipt_id)) or await future
                    if known is not None:
                        return known
                    self._by_receipt[receipt_id].discard(future)
                    future = loop.create_future()
        except TimeoutError:
            return Progress(ticket=None)
        finally:
            waiters = self._by_receipt.get(receipt_id, set())
            waiters.discard(future)
            if not waiters:  # the same delivery may be waited for twice
                self._by_receipt.pop(receipt_id, None)
                for waiting in self._by_incident.values():
                    waiting.discard(receipt_id)

    async def _look(self, receipt_id: str) -> Progress | None:
        """What the journal knows already; None if there is something to wait for."""
        view = await self._reader.receipt(receipt_id)
        if view is not None and view.ticket is None and view.events and view.events[0].duplicate_of is not None:
            view = await self._reader.receipt(view.events[0].duplicate_of[0])
        if view is None or view.status is ReceiptStatus.ACCEPTED:
            return None
        if view.ticket is not None:
            created = any(
                action.kind is ActionKind.CREATE
                and action.status is ActionStatus.DELIVERED
                and action.receipt == receipt_id
                for action in view.actions
            )
            return Progress(view.ticket, created=created, done=True)
        new = False
        first = dict.fromkeys(event.incident for event in view.events if event.incident)  # not those of further routes
        if first and all(self._shows_only(one.helpdesk) for one in view.incidents if one.id in first):
            return Progress(None, done=True, shadow=True)
        told = [one.digest for one in view.incidents if one.id in first and one.is_told_by_digest]
        for incident in (*first, *told):
            waiting = self._by_incident.setdefault(incident, set())
            new |= receipt_id not in waiting
            waiting.add(receipt_id)
        if new:  # what was delivered between the look and this was told to nobody
            return await self._look(receipt_id)
        return None if first else Progress(None, done=True)

    def processed(self, processed: Processed, incidents: Mapping[str, Incident]) -> None:
        """A receipt was processed: its incidents are known now."""
        if processed.receipt not in self._by_receipt:
            return
        names = {record.incident for record in processed.events if record.incident}
        names |= {one.digest for name in names if (one := incidents.get(name)) is not None and one.is_told_by_digest}
        ticket = next((incidents[name].ticket for name in names if name in incidents), None)
        if ticket is not None:
            self._tell(processed.receipt, Progress(ticket, done=True))
        elif names and all(name in incidents and self._shows_only(incidents[name].helpdesk) for name in names):
            self._tell(processed.receipt, Progress(None, done=True, shadow=True))
            return
        elif not names:
            repeats = any(record.duplicate_of for record in processed.events)
            self._tell(processed.receipt, None if repeats else Progress(None, done=True))  # None: look at the first one
        for name in names:
            self._by_incident.setdefault(name, set()).add(processed.receipt)

    def step(self, step: Step) -> None:
        """An action came further: perhaps this is the ticket somebody waits for."""
        waiting = self._by_incident.get(step.action.incident)
        if not waiting:
            self._by_incident.pop(step.action.incident, None)
            return
        if step.status not in UNFINISHED and not step.fell_back_to:  # the ticket is made elsewhere
            self._told(step.action, step.outcome.ticket or step.action.ticket)

    def known(self, action: Action, ticket: TicketRef) -> None:
        """The ticket exists: whoever waits for it is told before our record of it is on disk.

        If we die in between, the next start finds the same ticket by the action's marker.
        """
        self._told(action, ticket)

    def _told(self, action: Action, ticket: TicketRef | None) -> None:
        for receipt in list(self._by_incident.pop(action.incident, ())):
            created = action.kind is ActionKind.CREATE and action.receipt == receipt
            self._tell(receipt, Progress(ticket, created=created and ticket is not None, done=True))

    def _tell(self, receipt: str, progress: Progress | None) -> None:
        for future in self._by_receipt.get(receipt, ()):
            if not future.done():
                future.set_result(progress)
