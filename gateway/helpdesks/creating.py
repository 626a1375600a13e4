"""What people ask of a helpdesk that only makes tickets (`gateway.helpdesks.operations.Operator`)."""

# ruff: noqa: ARG002 - signatures of the protocol, of which such a helpdesk can do only one
import time
from collections.abc import Mapping, Sequence

from gateway.helpdesks import operations as ops
from gateway.helpdesks.operations import Operation, Unsupported
from gateway.helpdesks.protocol import Certainty, Connector, Http, Order
from gateway.model.action import ActionKind, OutcomeKind, TicketDraft


class CreatesOnly:
    """A helpdesk that makes tickets and can do nothing else for people."""

    def __init__(self, connector: Connector, why: Mapping[Operation, tuple[str, str]]) -> None:
        """``why`` tells for every operation but `create` why not, and what to do instead."""
        self._connector = connector
        self._why = why

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._connector.name

    @property
    def operations(self) -> Mapping[Operation, Unsupported | None]:
        """Only `create`."""
        return {operation: self._cannot(operation) if operation in self._why else None for operation in Operation}

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
        """A new ticket; a doubtful call is settled where a mail with the same Message-ID can."""
        order = Order(marker, ActionKind.CREATE, marker, draft, None, time.time())
        try:
            request = self._connector.prepare(order)
        except ValueError as error:
            return ops.Failed(self.name, OutcomeKind.REJECTED, str(error))
        outcome = await self._connector.call(order, request, http, timeout=timeout)
        mail_settles = self._connector.capabilities.certainty is Certainty.IDEMPOTENT_MAIL
        if (
            outcome.kind is OutcomeKind.UNKNOWN and mail_settles
        ):  # what else could be sent again might make a second one
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
        why, instead = self._why[operation]
        return Unsupported(self.name, operation, why, instead)
