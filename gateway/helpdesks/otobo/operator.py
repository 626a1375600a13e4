"""What people ask of an OTOBO or Znuny (`gateway.helpdesks.operations.Operator`)."""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence

from gateway.helpdesks import operations as ops
from gateway.helpdesks.operations import Operation, Unsupported
from gateway.helpdesks.otobo.answers import no_access
from gateway.helpdesks.otobo.connector import OtoboConnector
from gateway.helpdesks.otobo.fields import DYNAMIC
from gateway.helpdesks.otobo.reading import Seen, follow, history, look, placed, search
from gateway.helpdesks.otobo.settings import Call, WebService
from gateway.helpdesks.otobo.text import title as whole_title
from gateway.helpdesks.protocol import Http, Order
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue

_NEEDS: Mapping[Operation, Call] = {
    Operation.GET: Call.GET,
    Operation.SEARCH: Call.SEARCH,
    Operation.CREATE: Call.CREATE,
    Operation.UPDATE: Call.UPDATE,
    Operation.CLOSE: Call.UPDATE,
    Operation.HISTORY: Call.HISTORY,
    Operation.DELETE: Call.DELETE,
}
_OPEN = ["new", "open", "pending reminder", "pending auto"]
_BY_PLURAL = {"queue": "Queues", "state": "States", "priority": "Priorities", "type": "Types", "service": "Services"}
_CONDITIONS = str.maketrans(dict.fromkeys("\\()|&*%!", "%"))


class OtoboOperator:
    """One OTOBO or Znuny, as people use it."""

    def __init__(self, name: str, settings: WebService) -> None:
        """``name`` is its name in the configuration."""
        self._settings = settings
        self._connector = OtoboConnector(name, settings)
        self._service = self._connector.service

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._connector.name

    @property
    def operations(self) -> Mapping[Operation, Unsupported | None]:
        """All that the web service has a route for."""
        return {operation: self._unrouted(operation) for operation in Operation}

    async def get(self, ticket: str, http: Http, *, timeout: float) -> ops.Ticket | ops.Refusal:
        """The ticket with its articles."""
        seen = await self._find(ticket, http, _deadline(timeout))
        return self._placed(seen.ticket) if isinstance(seen, Seen) else seen

    async def search(self, query: ops.Query, http: Http, *, timeout: float) -> Sequence[ops.Ticket] | ops.Refusal:
        """Tickets that were read and do match: a criterion that the helpdesk drops would find all of them."""
        deadline = _deadline(timeout)
        criteria = self._criteria(query)
        if isinstance(criteria, ops.Failed):
            return criteria
        for probe in _probes(query):  # what cannot be verified on a hit must find nothing for a random value
            found = await search(self._service, {**probe, "Limit": 1}, http, deadline)
            if isinstance(found, Outcome):
                return self._failed(found)
            if found:
                return self._ignored(", ".join(probe))
        ids = await search(self._service, {**criteria, "Limit": query.limit}, http, deadline)
        if isinstance(ids, Outcome):
            return self._failed(ids)
        tickets: list[ops.Ticket] = []
        for one in ids:
            seen = await look(self._service, one, http, deadline, articles=0)
            if isinstance(seen, Outcome):
                return self._failed(seen)
            wrong = _mismatch(seen, query)
            if wrong:
                return self._ignored(wrong)
            tickets.append(self._placed(seen.ticket, articles=False))
        return tickets

    async def create(self, draft: TicketDraft, marker: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """A new ticket; a doubtful call is looked up."""
        return await self._act(ActionKind.CREATE, draft, None, marker, http, timeout)

    async def update(
        self, ticket: str, change: ops.Change, marker: str, http: Http, *, timeout: float
    ) -> ops.Done | ops.Refusal:
        """Fields, title and note in one call."""
        deadline = _deadline(timeout)
        seen = await self._find(ticket, http, deadline)
        if not isinstance(seen, Seen):
            return seen
        notes: tuple[str, ...] = ()
        if change.title:
            changed: JsonObject = {"TicketID": seen.ticket.ref.id, "Ticket": {"Title": whole_title(change.title)}}
            heard = await self._service.ask(Call.UPDATE, changed, http, deadline)
            if isinstance(heard, Outcome):
                return self._failed(heard)
            notes = (
                ("The title was cut at 191 characters.",) if whole_title(change.title) != change.title.strip() else ()
            )
            if not change.fields and not change.note:
                return ops.Done(self._placed(seen.ticket).ref, notes)
        draft = TicketDraft(change.note_title or seen.ticket.title, change.note, fields=change.fields)
        left = deadline - asyncio.get_running_loop().time()
        done = await self._act(ActionKind.UPDATE, draft, seen.ticket.ref, marker, http, left)
        return ops.Done(done.ticket, (*notes, *done.notes)) if isinstance(done, ops.Done) else done

    async def close(self, ticket: str, note: str, marker: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """Close it with `closed_state`; what is closed keeps its state."""
        deadline = _deadline(timeout)
        seen = await self._find(ticket, http, deadline)
        if not isinstance(seen, Seen):
            return seen
        draft = TicketDraft(seen.ticket.title, note or "Closed.", quiet=True)
        left = deadline - asyncio.get_running_loop().time()
        done = await self._act(ActionKind.CLOSE, draft, seen.ticket.ref, marker, http, left)
        if isinstance(done, ops.Done) and not seen.ticket.state.is_open:
            return ops.Done(done.ticket, (*done.notes, f"It was {seen.ticket.state_name} already."))
        return done

    async def history(self, ticket: str, http: Http, *, timeout: float) -> Sequence[ops.HistoryEntry] | ops.Refusal:
        """What was done to it, the oldest first."""
        deadline = _deadline(timeout)
        seen = await self._find(ticket, http, deadline)
        if not isinstance(seen, Seen):
            return seen
        entries = await history(self._service, seen.ticket.ref.id, http, deadline)
        return self._failed(entries) if isinstance(entries, Outcome) else entries

    async def delete(self, ticket: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """Delete it, where somebody has added such an operation and ``routes.delete`` names it."""
        cannot = self._unrouted(Operation.DELETE)
        if cannot is not None:
            return cannot
        deadline = _deadline(timeout)
        seen = await self._find(ticket, http, deadline)
        if not isinstance(seen, Seen):
            return seen
        heard = await self._service.ask(Call.DELETE, {"TicketID": seen.ticket.ref.id}, http, deadline)
        return self._failed(heard) if isinstance(heard, Outcome) else ops.Done(self._placed(seen.ticket).ref)

    # ----------------------------------------------------------------------------------------------------------- parts

    async def _act(
        self, kind: ActionKind, draft: TicketDraft, ticket: TicketRef | None, marker: str, http: Http, timeout: float
    ) -> ops.Done | ops.Refusal:
        order = Order(marker, kind, marker, draft, ticket, time.time(), in_place=False)
        try:
            request = self._connector.prepare(order)
        except ValueError as error:
            return ops.Failed(self.name, OutcomeKind.REJECTED, str(error))
        outcome = await self._connector.call(order, request, http, timeout=timeout)
        if outcome.kind is OutcomeKind.UNKNOWN:
            settled = await self._connector.resolve(order, request, http, timeout=self._settings.limits.timeout)
            outcome = settled if settled.kind is OutcomeKind.DELIVERED else outcome
        if outcome.kind is OutcomeKind.DELIVERED and outcome.ticket is not None:
            return ops.Done(outcome.ticket, tuple(flag.explain() for flag in outcome.flags))
        return self._failed(outcome)

    async def _find(self, ticket: str, http: Http, deadline: float) -> Seen | ops.Refusal:
        """By number, which people see, then by id; a hit of the search counts only if it is that ticket."""
        ids = await search(self._service, {"TicketNumber": ticket, "Limit": 2}, http, deadline)
        if isinstance(ids, Outcome):
            return self._failed(ids)
        for one in (*ids[:2], ticket):
            seen = await look(self._service, one, http, deadline)
            if isinstance(seen, Outcome):
                if no_access(seen):
                    continue
                return self._failed(seen)
            if ticket in {seen.ticket.ref.number, seen.ticket.ref.id}:
                return await self._with_main(seen, http, deadline)
        return ops.NotFound(self.name, ticket, "there is no such ticket, or the agent may not read it")

    async def _with_main(self, seen: Seen, http: Http, deadline: float) -> Seen | ops.Refusal:
        """A merged ticket names the one that took its place."""
        main = await follow(self._service, seen, http, deadline, articles=0)
        if isinstance(main, Outcome):
            return self._failed(main)
        if main is seen:
            return seen
        return seen.merged(main.ticket.ref.id)

    def _criteria(self, query: ops.Query) -> JsonObject | ops.Failed:
        criteria: JsonObject = {"SearchInArchive": "AllTickets"}
        if query.text:
            criteria["Fulltext"] = query.text
        if query.title:
            criteria["Title"] = f"%{query.title.translate(_CONDITIONS)}%"
        if query.number:
            criteria["TicketNumber"] = query.number
        if query.customer:
            criteria["CustomerUserLogin"] = query.customer
        if query.only_open:
            criteria["StateType"] = list(_OPEN)
        for name, value in query.fields.items():
            if name.startswith(DYNAMIC):
                if not self._settings.searches_by_body:
                    why = "a dynamic field cannot be searched over a GET route; set `routes: {search: POST ...}`"
                    return ops.Failed(self.name, OutcomeKind.REJECTED, why)
                criteria[name] = {"Equals": value}
            elif name in _BY_PLURAL:
                criteria[_BY_PLURAL[name]] = value
            else:
                known = ", ".join([*_BY_PLURAL, f"{DYNAMIC}NAME"])
                return ops.Failed(self.name, OutcomeKind.REJECTED, f"{name!r} cannot be searched; {known} can")
        return criteria

    def _placed(self, ticket: ops.Ticket, *, articles: bool = True) -> ops.Ticket:
        return placed(ticket, self.name, self._connector.fingerprint, self._settings.ticket_url, articles=articles)

    def _ignored(self, what: str) -> ops.Failed:
        why = f"the helpdesk dropped the criterion {what}, so its answer means nothing"
        return ops.Failed(self.name, OutcomeKind.REJECTED, why)

    def _failed(self, outcome: Outcome) -> ops.Refusal:
        return ops.Failed(self.name, outcome.kind, outcome.detail)

    def _unrouted(self, operation: Operation) -> Unsupported | None:
        if self._service.can(_NEEDS[operation]):
            return None
        if operation is Operation.DELETE:
            why = "OTOBO and Znuny delete nothing over the Generic Interface as it is shipped"
            return Unsupported(self.name, operation, why, "with an operation of your own, set `routes.delete`")
        way = f"add a route: `routes: {{{_NEEDS[operation].value}: ...}}`"
        return Unsupported(self.name, operation, "the web service has no route for it", way)


def _deadline(timeout: float) -> float:
    return asyncio.get_running_loop().time() + timeout


def _probes(query: ops.Query) -> list[JsonObject]:
    return [{"Fulltext": f"tgprobe{secrets.token_hex(8)}"}] if query.text else []


def _mismatch(seen: Seen, query: ops.Query) -> str:
    """The criterion that a hit does not meet; the helpdesk compares without case."""
    ticket = seen.ticket
    if query.title and not _in_order(query.title.translate(_CONDITIONS), ticket.title):
        return "title"
    if query.number and query.number != ticket.ref.number:
        return "number"
    if query.customer and query.customer.lower() != ticket.customer.lower():
        return "customer"
    if query.only_open and not ticket.state.is_open:
        return "StateType"
    shown = {"queue": ticket.queue, "state": ticket.state_name, "priority": ticket.priority, **ticket.fields}
    for name, value in query.fields.items():
        if not _meets(shown.get(name), value):
            return name
    return ""


def _meets(there: JsonValue, wanted: JsonValue) -> bool:
    texts = [str(one).lower().rstrip() for one in (there if isinstance(there, list) else [there])]
    return any(str(one).lower().rstrip() in texts for one in (wanted if isinstance(wanted, list) else [wanted]))


def _in_order(pieces: str, text: str) -> bool:
    at, lower = 0, text.lower()
    for piece in pieces.lower().split("%"):
        at = lower.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True
