"""What people ask of an osTicket (`gateway.helpdesks.operations.Operator`): over its API it only makes tickets."""

# ruff: noqa: ARG002 - signatures of the protocol, of which osTicket can do only one
import time
from collections.abc import Mapping, Sequence

from gateway.helpdesks import operations as ops
from gateway.helpdesks.operations import Operation, Unsupported
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.helpdesks.protocol import Http, Order
from gateway.model.action import ActionKind, OutcomeKind, TicketDraft

_NOT_READ = "osTicket reads nothing over its API"
_WHY: Mapping[Operation, tuple[str, str]] = {
    Operation.GET: (_NOT_READ, "open the ticket in osTicket; `ticket-gateway events` shows what the gateway did to it"),
    Operation.SEARCH: (_NOT_READ, "search in osTicket, or `ticket-gateway events ls`"),
    Operation.UPDATE: (
        "osTicket changes no ticket over its API",
        "answer the ticket by mail, or change it in osTicket",
    ),
    Operation.CLOSE: ("osTicket closes nothing over its API", "close it in osTicket"),
    Operation.DELETE: ("osTicket deletes nothing over its API", "delete it in osTicket"),
    Operation.HISTORY: (_NOT_READ, "see the ticket's thread in osTicket, or `ticket-gateway events show`"),
}


class OsTicketOperator:
    """One osTicket, as people use it."""

    def __init__(self, name: str, settings: OsTicketSettings) -> None:
        """``name`` is its name in the configuration."""
        self._connector = OsTicketConnector(name, settings)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._connector.name

    @property
    def operations(self) -> Mapping[Operation, Unsupported | None]:
        """Only `create`."""
        return {operation: self._cannot(operation) if operation in _WHY else None for operation in Operation}

    async def get(self, ticket: str, http: Http, *, timeout: float) -> ops.Ticket | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.GET)

    async def search(
        self,
        query: ops.Query,
        http: Http,
        *,
        timeout: float,
    ) -> Sequence[ops.Ticket] | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.SEARCH)

    async def create(self, draft: TicketDraft, marker: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """A new ticket; a doubtful call is settled by the mail with the same Message-ID."""
        order = Order(marker, ActionKind.CREATE, marker, draft, None, time.time())
        try:
            request = self._connector.prepare(order)
        except ValueError as error:
            return ops.Failed(self.name, OutcomeKind.REJECTED, str(error))
        outcome = await self._connector.call(order, request, http, timeout=timeout)
        if outcome.kind is OutcomeKind.UNKNOWN:
            settled = await self._connector.resolve(order, request, http, timeout=timeout)
            outcome = settled if settled.kind is OutcomeKind.DELIVERED else outcome
        if outcome.kind is OutcomeKind.DELIVERED and outcome.ticket is not None:
            return ops.Done(outcome.ticket, tuple(flag.explain() for flag in outcome.flags))
        return ops.Failed(self.name, outcome.kind, outcome.detail)

    async def update(
        self,
        ticket: str,
        change: ops.Change,
        marker: str,
        http: Http,
        *,
        timeout: float,
    ) -> ops.Done | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.UPDATE)

    async def close(
        self,
        ticket: str,
        note: str,
        marker: str,
        http: Http,
        *,
        timeout: float,
    ) -> ops.Done | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.CLOSE)

    async def history(
        self,
        ticket: str,
        http: Http,
        *,
        timeout: float,
    ) -> Sequence[ops.HistoryEntry] | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.HISTORY)

    async def delete(self, ticket: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """Not over its API."""
        return self._cannot(Operation.DELETE)

    def _cannot(self, operation: Operation) -> Unsupported:
        why, instead = _WHY[operation]
        return Unsupported(self.name, operation, why, instead)
