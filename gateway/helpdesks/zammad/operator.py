"""What people ask of a Zammad (`gateway.helpdesks.operations.Operator`); writing goes through the connector."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.helpdesks import operations as ops
from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.operations import Operation, TicketState, Unsupported
from gateway.helpdesks.protocol import CallFailed, Http, Order
from gateway.helpdesks.zammad import answers
from gateway.helpdesks.zammad.article import strings
from gateway.helpdesks.zammad.article import title as whole_title
from gateway.helpdesks.zammad.connector import ZammadConnector
from gateway.helpdesks.zammad.desk import Desk, Found, Gone, State, Stopped, as_found, is_condition
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue

MOST_LISTED = 200
"""Tickets of one search: Zammad caps it there without a word."""

_SHOWN = frozenset(
    {
        "id",
        "number",
        "title",
        "state",
        "state_id",
        "priority",
        "priority_id",
        "group",
        "group_id",
        "owner",
        "owner_id",
        "customer",
        "customer_id",
        "created_at",
        "updated_at",
        "article_ids",
        "ticket_time_accounting_ids",
        "created_by",
        "created_by_id",
        "updated_by",
        "updated_by_id",
        "create_article_type",
        "create_article_type_id",
        "create_article_sender",
        "create_article_sender_id",
        "preferences",
    }
)


class ZammadOperator:
    """One Zammad, as people use it."""

    def __init__(self, name: str, settings: ZammadSettings) -> None:
        """``name`` is its name in the configuration."""
        self._settings = settings
        self._connector = ZammadConnector(name, settings)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._connector.name

    @property
    def operations(self) -> Mapping[Operation, Unsupported | None]:
        """All of them."""
        return dict.fromkeys(Operation)

    async def get(self, ticket: str, http: Http, *, timeout: float) -> ops.Ticket | ops.Refusal:
        """The ticket with its articles and tags."""
        desk = Desk(self._settings, http, timeout)
        try:
            states = await desk.states()
            found = await self._found(desk, ticket, states)
            if isinstance(found, Gone):
                return ops.NotFound(self.name, ticket, found.detail)
            articles = await desk.articles(found.id)
            tags = await desk.tags(found.id)
            merged = await desk.parent(found.id) if found.state.kind is TicketState.MERGED else None
        except Stopped as stop:
            return self._failed(stop.outcome)
        return replace(
            self._ticket(found),
            articles=tuple(_article(raw) for raw in articles),
            tags=tuple(tags),
            merged_into=str(merged or ""),
        )

    async def search(self, query: ops.Query, http: Http, *, timeout: float) -> Sequence[ops.Ticket] | ops.Refusal:
        """By condition where the query has no free text: then it is the database that answers, not a search index."""
        desk = Desk(self._settings, http, timeout)
        try:
            states = await desk.states()
            hits = await desk.search(_asked(query, states))
        except Stopped as stop:
            return self._failed(stop.outcome)
        if hits is None:
            return ops.Failed(
                self.name, OutcomeKind.REJECTED, "Zammad refuses such a search; are the fields' names right?"
            )
        found = [one for one in (as_found(hit, states) for hit in hits) if one is not None]
        return [self._ticket(one) for one in found if _fits(one, query)][: query.limit]

    async def create(self, draft: TicketDraft, marker: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """A new ticket, by the connector's way."""
        return await self._do(_order(ActionKind.CREATE, draft, marker, None), http, timeout)

    async def update(
        self, ticket: str, change: ops.Change, marker: str, http: Http, *, timeout: float
    ) -> ops.Done | ops.Refusal:
        """Change fields with a note."""
        if change.title:
            renamed = await self._rename(ticket, change.title, http, timeout)
            if not isinstance(renamed, ops.Done) or not (change.fields or change.note):
                return renamed
        title = change.note_title or "Changed"
        draft = TicketDraft(title=title, text=change.note or "Changed by an operator.", fields=change.fields)
        return await self._to(ticket, ActionKind.UPDATE, draft, marker, http, timeout)

    async def _rename(self, ticket: str, title: str, http: Http, timeout: float) -> ops.Done | ops.Refusal:
        desk = Desk(self._settings, http, timeout)
        try:
            found = await self._found(desk, ticket, await desk.states())
            if isinstance(found, Gone):
                return ops.NotFound(self.name, ticket, found.detail)
            one = await desk.ask("PUT", f"/tickets/{found.id}", {"title": whole_title(title)})
        except Stopped as stop:
            return self._failed(stop.outcome)
        except CallFailed as failure:
            return self._failed(failure_outcome(failure))
        if answers.ticket_id(one) != found.id:
            return self._failed(answers.after_write(one, {}, files=False))
        return ops.Done(self._reference(found))

    async def close(self, ticket: str, note: str, marker: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """Close it; the note and the change of state are one call."""
        draft = TicketDraft(title="Closed", text=note or "Closed by an operator.")
        return await self._to(ticket, ActionKind.CLOSE, draft, marker, http, timeout)

    async def history(self, ticket: str, http: Http, *, timeout: float) -> Sequence[ops.HistoryEntry] | ops.Refusal:
        """Zammad's own history of the ticket and its articles."""
        desk = Desk(self._settings, http, timeout)
        try:
            found = await self._found(desk, ticket, await desk.states())
            if isinstance(found, Gone):
                return ops.NotFound(self.name, ticket, found.detail)
            one = await desk.look("GET", f"/ticket_history/{found.id}")
        except Stopped as stop:
            return self._failed(stop.outcome)
        people = _people(one.object)
        return [_entry(raw, people) for raw in strings(one.object.get("history")) if isinstance(raw, dict)]

    async def delete(self, ticket: str, http: Http, *, timeout: float) -> ops.Done | ops.Refusal:
        """Delete it; Zammad lets only administrators do that."""
        desk = Desk(self._settings, http, timeout)
        try:
            found = await self._found(desk, ticket, await desk.states())
            if isinstance(found, Gone):
                return ops.NotFound(self.name, ticket, found.detail)
            one = await desk.ask("DELETE", f"/tickets/{found.id}")
        except Stopped as stop:
            return self._failed(stop.outcome)
        except CallFailed as failure:
            return self._failed(failure_outcome(failure))
        if one.good:
            return ops.Done(self._reference(found))
        refused = self._failed(answers.after_write(one, {}, files=False))
        if one.status == 403:  # of this call it says what our account may, not that our credentials are wrong
            hint = f"{refused.detail}; the token's user needs the permission `admin`"
            return ops.Failed(self.name, OutcomeKind.REJECTED, hint)
        return refused

    # -------------------------------------------------------------------------------------------------------- helpers

    async def _found(self, desk: Desk, ticket: str, states: Mapping[int, State]) -> Found | Gone:
        """By number, as people see it, else by id. Numbers are long and ids short, and a number wins."""
        hits = await desk.search({**is_condition("ticket.number", ticket), "limit": 2}) or []
        for hit in hits:
            one = as_found(hit, states)
            if one is not None and one.number == ticket:
                return one
        if not (ticket.isascii() and ticket.isdigit()):
            return Gone(f"no ticket has the number {ticket}")
        return await desk.ticket(ticket, states)

    async def _to(
        self, ticket: str, kind: ActionKind, draft: TicketDraft, marker: str, http: Http, timeout: float
    ) -> ops.Done | ops.Refusal:
        desk = Desk(self._settings, http, timeout)
        try:
            found = await self._found(desk, ticket, await desk.states())
        except Stopped as stop:
            return self._failed(stop.outcome)
        if isinstance(found, Gone):
            return ops.NotFound(self.name, ticket, found.detail)
        return await self._do(_order(kind, draft, marker, self._reference(found)), http, timeout)

    async def _do(self, order: Order, http: Http, timeout: float) -> ops.Done | ops.Refusal:
        """Call; where it is not known what became of it, look once."""
        try:
            request = self._connector.prepare(order)
        except ValueError as error:
            return ops.Failed(self.name, OutcomeKind.REJECTED, str(error))
        outcome = await self._connector.call(order, request, http, timeout=timeout)
        if outcome.kind is OutcomeKind.UNKNOWN:
            looked = await self._connector.resolve(order, request, http, timeout=timeout)
            outcome = looked if looked.kind is OutcomeKind.DELIVERED else outcome
        if outcome.kind is OutcomeKind.DELIVERED and outcome.ticket is not None:
            return ops.Done(outcome.ticket, tuple(flag.explain() for flag in outcome.flags))
        return self._failed(outcome)

    def _failed(self, outcome: Outcome) -> ops.Failed:
        return ops.Failed(self.name, outcome.kind, outcome.detail)

    def _reference(self, found: Found) -> TicketRef:
        return TicketRef(
            helpdesk=self.name,
            id=str(found.id),
            number=found.number,
            url=self._connector.page_of(found.id, found.number),
            requester=found.customer,
            fingerprint=self._connector.fingerprint,
        )

    def _ticket(self, found: Found) -> ops.Ticket:
        raw = found.raw
        extra = {name: value for name, value in raw.items() if name not in _SHOWN and value not in (None, "", [], {})}
        return ops.Ticket(
            ref=self._reference(found),
            title=_text(raw, "title"),
            state=found.state.kind,
            state_name=found.state.name or _text(raw, "state"),
            priority=_text(raw, "priority"),
            queue=_text(raw, "group"),
            owner=_text(raw, "owner"),
            customer=found.customer,
            created_at=_text(raw, "created_at"),
            updated_at=_text(raw, "updated_at"),
            fields=extra,
        )


def _order(kind: ActionKind, draft: TicketDraft, marker: str, ticket: TicketRef | None) -> Order:
    return Order(
        action=marker, kind=kind, marker=marker, draft=draft, ticket=ticket, queued_at=time.time(), in_place=False
    )


def _asked(query: ops.Query, states: Mapping[int, State]) -> JsonObject:
    """The body of the search. Fields are conditions of the ticket by Zammad's names."""
    conditions: JsonObject = {}
    if query.title:
        conditions["ticket.title"] = {"operator": "contains", "value": query.title}
    if query.number:
        conditions["ticket.number"] = {"operator": "is", "value": query.number}
    if query.customer:
        conditions["customer.email"] = {"operator": "is", "value": query.customer.lower()}
    for name, value in query.fields.items():
        conditions[f"ticket.{name}"] = {"operator": "is", "value": value}
    open_ids: list[JsonValue] = [str(state.id) for state in states.values() if state.kind.is_open]
    if query.only_open:
        conditions["ticket.state_id"] = {"operator": "is", "value": open_ids}
    if not conditions and not query.text:  # with no criterion at all, releases differ in what they bring
        everything: list[JsonValue] = [str(number) for number in states]
        conditions["ticket.state_id"] = {"operator": "is", "value": everything}
    body: JsonObject = {"limit": min(query.limit, MOST_LISTED), "sort_by": "created_at", "order_by": "desc"}
    if conditions:
        body["condition"] = conditions
    if query.text:
        body["query"] = query.text
    return body


def _fits(one: Found, query: ops.Query) -> bool:
    """A condition that Zammad does not understand is dropped without a word, so what can be seen is checked here."""
    raw = one.raw
    return (
        (not query.only_open or one.state.kind.is_open)
        and (not query.number or one.number == query.number)
        and (not query.title or query.title.lower() in _text(raw, "title").lower())
        and all(str(raw.get(name)) == str(value) for name, value in query.fields.items())
    )


def _article(raw: JsonObject) -> ops.Article:
    files = [file for file in strings(raw.get("attachments")) if isinstance(file, dict)]
    return ops.Article(
        id=_text(raw, "id"),
        created_at=_text(raw, "created_at"),
        sender=_text(raw, "from") or _text(raw, "created_by"),
        subject=_text(raw, "subject"),
        body=_text(raw, "body"),
        format="html" if raw.get("content_type") == "text/html" else "text",
        kind=_text(raw, "type"),
        internal=raw.get("internal") is True,
        message_id=_text(raw, "message_id"),
        files=tuple(_file(file) for file in files),
    )


def _file(raw: JsonObject) -> ops.FileInfo:
    size = _text(raw, "size")  # Zammad gives it as text
    preferences = raw.get("preferences")
    kind = preferences.get("Content-Type") or preferences.get("Mime-Type") if isinstance(preferences, dict) else ""
    return ops.FileInfo(
        _text(raw, "id"),
        _text(raw, "filename"),
        str(kind or ""),
        int(size[:15]) if size.isascii() and size.isdigit() else 0,
    )


def _people(raw: JsonObject) -> dict[str, str]:
    """Logins by id, from the answer's assets."""
    assets = raw.get("assets")
    users = assets.get("User") if isinstance(assets, dict) else None
    if not isinstance(users, dict):
        return {}
    return {number: _text(user, "login") for number, user in users.items() if isinstance(user, dict)}


def _entry(raw: JsonObject, people: Mapping[str, str]) -> ops.HistoryEntry:
    who = _text(raw, "created_by_id")
    kind, what = _text(raw, "type"), _text(raw, "object")
    return ops.HistoryEntry(
        at=_text(raw, "created_at"),
        who=people.get(who, "") or who,
        what=f"{what} {kind}".strip(),
        attribute=_text(raw, "attribute"),
        before=_text(raw, "value_from"),
        after=_text(raw, "value_to"),
    )


def _text(raw: JsonObject, name: str) -> str:
    value = raw.get(name)
    return "" if value is None or isinstance(value, dict | list) else str(value)
