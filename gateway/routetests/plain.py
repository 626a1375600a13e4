"""The stand-in for a helpdesk of a kind that has none of its own: it takes whatever its connector would send, and keeps it.

The connector prepares the requests of new tickets as always, so that what cannot be sent is found; but nobody looks at them, and
its calls are never made: for all that is known they would reach a real server.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gateway.helpdesks.protocol import Capabilities, Connector, Http, Order
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import NewEntry, NewTicket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults

NAME = "plain"
"""Whose tickets these are, in the store."""

_AT_THE_DOOR: Mapping[FaultKind, tuple[OutcomeKind, Reason]] = {
    FaultKind.REFUSE: (OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME),
    FaultKind.RATE_LIMIT: (OutcomeKind.HELPDESK_DOWN, Reason.RATE_LIMITED),
    FaultKind.AUTH_BROKEN: (OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN),
    FaultKind.DATABASE_DOWN: (OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME),
    FaultKind.HTML_ERROR: (OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME),
    FaultKind.REDIRECT: (OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN),
    FaultKind.MAINTENANCE: (OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN),
}
_STATUS: Mapping[ActionKind, str] = {ActionKind.CLOSE: "closed", ActionKind.REOPEN: "open"}


class PlainDesk:
    """A helpdesk that takes everything. ``actions`` are what an agent can do there."""

    actions: Mapping[str, str] = {"close": "Close", "reopen": "Reopen", "delete": "Delete"}

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self.faults = Faults()
        self._store = store
        self._clock = clock
        self._running: set[asyncio.Task[Outcome]] = set()
        self._markers: dict[str, TicketRef] = {}

    name = NAME

    @property
    def busy(self) -> bool:
        """Whether a request is still worked on, even if nobody waits for it any more."""
        return bool(self._running)

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do; false if the ticket or the action does not exist."""
        if self._store.ticket(ticket) is None or action not in self.actions:
            return False
        if action == "delete":
            self._store.delete(ticket)
        else:
            self._store.set_status(ticket, "closed" if action == "close" else "open", self._clock())
        return True

    async def close(self) -> None:
        """Give up whatever still hangs."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def take(self, order: Order, timeout: float) -> Outcome:
        """What becomes of an order. It is carried out to its end, whoever has hung up by then."""
        task = asyncio.create_task(self._take(order))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(task)
        except TimeoutError:
            return _unknown(f"no answer within {timeout:g} s")

    def find(self, order: Order) -> Outcome:
        """The ticket that bears the marker of an order, or the proof that there is none."""
        found = self._markers.get(order.marker)
        if found is None:
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "it is not there")
        return Outcome(OutcomeKind.DELIVERED, Reason.FOUND, ticket=found)

    async def at_the_door(self, subject: str) -> Outcome | None:
        """What a fault makes of any request; None if it is let in."""
        for fault in self.faults.at_the_door(lambda: subject):
            if fault.fault is FaultKind.SLOW:
                await self.faults.wait(fault.wait)
            else:
                kind, reason = _AT_THE_DOOR[fault.fault]
                wish = fault.wait if fault.fault in {FaultKind.RATE_LIMIT, FaultKind.MAINTENANCE} else None
                return Outcome(kind, reason, f"the fault {fault.fault.value} of the test", retry_after=wish)
        return None

    async def _take(self, order: Order) -> Outcome:
        refused = await self.at_the_door(order.draft.title)
        if refused is not None:
            return refused
        fault = self.faults.at_the_commit(lambda: order.draft.title)
        if fault is None:
            return self._commit(order)
        return await self._badly(order, fault)

    async def _badly(self, order: Order, fault: Fault) -> Outcome:
        if fault.fault is FaultKind.DIE_HALF_WAY:
            return _unknown("the helpdesk died half way")
        if fault.fault is FaultKind.HANG_BEFORE_COMMIT:
            await self.faults.wait(fault.wait)
            return self._commit(order) if fault.commits else _unknown("504")
        done = self._commit(order)
        if fault.fault is FaultKind.COMMIT_THEN_DROP:
            return _unknown("the connection was closed without an answer")
        await self.faults.wait(fault.wait)
        return done

    def _commit(self, order: Order) -> Outcome:
        now, draft = self._clock(), order.draft
        if order.ticket is None:
            new = NewTicket(
                "", draft.title, 0, "", str(draft.fields.get("requester", "")), "API", fields=_fields(draft)
            )
            number = self._store.add_ticket(NAME, new, now)
            self._store.set_number(number, str(number))
            ref = TicketRef("", str(number), str(number))
        else:
            ref = order.ticket
            number = int(ref.id)
            known = self._store.ticket(number)
            if known is None:
                return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, f"there is no ticket {ref.number}")
            self._store.set_fields(number, {**known.fields, **_fields(draft)}, now)
        self._store.add_entry(number, NewEntry("response", "Ticket Gateway", draft.text or draft.html), now)
        status = "open" if draft.reopen else _STATUS.get(order.kind, "")
        if status:
            self._store.set_status(number, status, now)
        self._markers[order.marker] = ref
        return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, ticket=ref)


class PlainConnector:
    """A connector whose calls go to a `PlainDesk`; all else is the real one's."""

    def __init__(self, real: Connector, desk: PlainDesk, down: Callable[[], bool]) -> None:
        """``down``: nobody answers at the helpdesk's address."""
        self._real = real
        self._desk = desk
        self._down = down

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._real.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._real.capabilities

    @property
    def fingerprint(self) -> str:
        """Names the instance."""
        return self._real.fingerprint

    def requester(self, draft: TicketDraft) -> str:
        """The address that will own the ticket."""
        return self._real.requester(draft)

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:
        """The draft as this helpdesk can take it."""
        return self._real.split(kind, draft)

    def prepare(self, order: Order) -> bytes:
        """The request as it would be sent. A follow-up may need what only a real answer tells of its ticket; then it has none."""
        try:
            return self._real.prepare(order)
        except ValueError:
            if order.ticket is None:
                raise
            return b"{}"

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:  # noqa: ARG002 - never sent
        """Hand the order to the stand-in."""
        if self._down():
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "connection refused (the test says that it is down)")
        return self._named(await self._desk.take(order, timeout))

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:  # noqa: ARG002 - as above
        """Look for what an order was to make."""
        if self._down():
            return _unknown("connection refused (the test says that it is down)")
        refused = await self._desk.at_the_door(order.draft.title)
        if refused is not None:
            return _unknown(refused.detail)
        return self._named(self._desk.find(order))

    async def probe(self, http: Http, *, timeout: float) -> Outcome:  # noqa: ARG002 - as above
        """Whether it is well."""
        if self._down():
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "connection refused (the test says that it is down)")
        return await self._desk.at_the_door("") or Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED)

    def _named(self, outcome: Outcome) -> Outcome:
        if outcome.ticket is None:
            return outcome
        return replace(outcome, ticket=replace(outcome.ticket, helpdesk=self.name, fingerprint=self.fingerprint))


def _unknown(detail: str) -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)


def _fields(draft: TicketDraft) -> dict[str, str]:
    def text(value: object) -> str:
        return ", ".join(map(text, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)

    return {name: text(value) for name, value in draft.fields.items()}
