"""A conversation with one Zammad within one deadline: what is asked, and what its answers hold."""

import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.protocol import CallFailed, Http
from gateway.helpdesks.zammad import answers
from gateway.helpdesks.zammad.answers import Read
from gateway.helpdesks.zammad.article import strings
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

MOST_MERGES = 8
"""Merges that are followed from one ticket to the next."""

_KINDS = {
    1: TicketState.NEW,
    2: TicketState.OPEN,
    3: TicketState.PENDING,
    4: TicketState.PENDING,
    5: TicketState.CLOSED,
    6: TicketState.MERGED,
    7: TicketState.REMOVED,
}
PENDING_ACTION = 4
"""The type of states that end in another state by themselves."""


class Stopped(Exception):
    """A question that brought no answer; ``outcome`` says why. Nothing was written by it."""

    def __init__(self, outcome: Outcome) -> None:
        """``outcome`` is never DELIVERED."""
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class State:
    """A state of this Zammad; ``type`` is the number that does not change when states are renamed."""

    id: int
    name: str
    type: int
    active: bool
    default_follow_up: bool

    @property
    def kind(self) -> TicketState:
        """What it means."""
        return _KINDS.get(self.type, TicketState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket as it was read, with names (`expand`)."""

    id: int
    number: str
    state: State
    raw: JsonObject

    @property
    def customer(self) -> str:
        """The customer's login, which is mostly the address."""
        value = self.raw.get("customer")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such ticket (any more)."""

    detail: str


class Desk:
    """Questions and orders to one Zammad, all within ``timeout`` seconds from now on."""

    def __init__(self, settings: ZammadSettings, http: Http, timeout: float) -> None:
        """Opens nothing."""
        self._settings = settings
        self._http = http
        self._deadline = time.monotonic() + timeout

    async def ask(self, method: str, path: str, body: JsonObject | None = None) -> Read:
        """One call; ``path`` begins behind `/api/v1`.

        Raises:
            CallFailed: no whole answer came.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise CallFailed(f"{method} {self._settings.api}{path}: no time left for it", sent=False)
        content = b"" if body is None else orjson.dumps(body)
        answer = await self._http.request(
            method,
            f"{self._settings.api}{path}",
            headers=self._headers(with_body=body is not None),
            content=content,
            timeout=left,
        )
        return answers.read(answer)

    def _headers(self, *, with_body: bool) -> dict[str, str]:
        auth = self._settings.auth
        if auth.token is not None:
            credentials = f"Token token={auth.token.reveal()}"
        elif auth.bearer is not None:
            credentials = f"Bearer {auth.bearer.reveal()}"
        else:
            assert auth.basic is not None
            pair = f"{auth.basic.user}:{auth.basic.password.reveal()}"
            credentials = f"Basic {b64encode(pair.encode()).decode('ascii')}"
        headers = {"Authorization": credentials, "Accept": "application/json"}  # else errors are HTML
        if with_body:
            headers["Content-Type"] = "application/json"
        if self._settings.act_as:
            headers["From"] = self._settings.act_as
        return headers

    async def look(self, method: str, path: str, body: JsonObject | None = None) -> Read:
        """One call that writes nothing.

        Raises:
            Stopped: no answer, or one that is not 200.
        """
        try:
            one = await self.ask(method, path, body)
        except CallFailed as failure:
            stopped = failure_outcome(CallFailed(str(failure), sent=False))
            raise Stopped(stopped) from failure
        if one.status != 200:
            raise Stopped(answers.after_read(one))
        return one

    async def listed(self, path: str) -> list[JsonObject]:
        """A list of objects.

        Raises:
            Stopped: as above, or the answer is no list.
        """
        one = await self.look("GET", path)
        return _objects(one)

    async def states(self) -> Mapping[int, State]:
        """The states by id. Raises `Stopped`."""
        found: dict[int, State] = {}
        for raw in await self.listed("/ticket_states?expand=true"):
            number, kind = raw.get("id"), raw.get("state_type_id")
            if isinstance(number, int) and isinstance(kind, int):
                found[number] = State(
                    number,
                    str(raw.get("name") or ""),
                    kind,
                    raw.get("active") is not False,
                    raw.get("default_follow_up") is True,
                )
        if not found:
            told = "this Zammad lists no states of tickets"
            raise Stopped(Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, told))
        return found

    async def ticket(self, ticket: str | int, states: Mapping[int, State]) -> Found | Gone:
        """The ticket with this id. Raises `Stopped`."""
        try:
            one = await self.ask("GET", f"/tickets/{quote(str(ticket), safe='')}?expand=true")
        except CallFailed as failure:
            raise Stopped(failure_outcome(CallFailed(str(failure), sent=False))) from failure
        if one.status == 404 and one.error:
            return Gone(answers.detail(one))
        found = as_found(one.object, states) if one.status == 200 else None
        if found is None:
            raise Stopped(answers.after_read(one))
        return Gone(f"ticket {ticket} is removed") if found.state.kind is TicketState.REMOVED else found

    async def located(self, ticket: str | int, states: Mapping[int, State]) -> Found | Gone:
        """The ticket, or the one that took its place when it was merged. Raises `Stopped`."""
        found = await self.ticket(ticket, states)
        seen = set[int]()
        while isinstance(found, Found) and found.state.kind is TicketState.MERGED and len(seen) < MOST_MERGES:
            seen.add(found.id)
            parent = await self.parent(found.id)
            if parent is None or parent in seen:  # nobody reads what is written to it
                return Gone(f"ticket {found.number} was merged into one that we cannot see")
            found = await self.ticket(parent, states)
        return found

    async def parent(self, ticket: int) -> int | None:
        """The ticket into which a merged one went. Raises `Stopped`."""
        one = await self.look("GET", f"/links?link_object=Ticket&link_object_value={ticket}")
        for link in strings(one.object.get("links")):
            if isinstance(link, dict) and link.get("link_type") == "parent":
                value = link.get("link_object_value")
                if isinstance(value, int) and value != ticket:
                    return value
        return None

    async def articles(self, ticket: int) -> list[JsonObject]:
        """The articles of a ticket, the oldest first. Raises `Stopped`."""
        return await self.listed(f"/ticket_articles/by_ticket/{ticket}")

    async def tags(self, ticket: int) -> list[str]:
        """The tags of a ticket. Raises `Stopped`."""
        one = await self.look("GET", f"/tags?object=Ticket&o_id={ticket}")
        return [str(tag) for tag in strings(one.object.get("tags"))]

    async def search(self, body: JsonObject) -> list[JsonObject] | None:
        """Tickets that fit, as Zammad says; None where it refuses such a search. Each is to be checked.

        Raises:
            Stopped: no answer, or Zammad is not well.
        """
        try:
            one = await self.ask("POST", "/tickets/search?expand=true", body)
        except CallFailed as failure:
            raise Stopped(failure_outcome(CallFailed(str(failure), sent=False))) from failure
        if one.status in {422, 500} and one.object:  # a condition that this release does not know
            return None
        if one.status != 200:
            raise Stopped(answers.after_read(one))
        return _objects(one)


def is_condition(name: str, value: JsonValue, operator: str = "is") -> JsonObject:
    """A condition for `search`, without a query: so it is the database that answers, and not a search index."""
    return {"condition": {name: {"operator": operator, "value": value}}}


def as_found(raw: JsonObject, states: Mapping[int, State]) -> Found | None:
    """A ticket from an answer; None if it is none."""
    number, state = raw.get("id"), raw.get("state_id")
    if not isinstance(number, int) or not isinstance(state, int):
        return None
    unknown = State(state, str(raw.get("state") or ""), 0, active=True, default_follow_up=False)
    return Found(number, str(raw.get("number") or number), states.get(state, unknown), raw)


def state_for(states: Mapping[int, State], wanted: str, kind: TicketState) -> State | None:
    """The state of a kind: the one of this name, else the usual one. None if a name is wanted that is not there."""
    ordered = sorted((state for state in states.values() if state.active), key=lambda state: state.id)
    if wanted:
        return next((state for state in ordered if state.name.lower() == wanted.lower()), None)
    fitting: Sequence[State] = [state for state in ordered if state.kind is kind]
    return next((state for state in fitting if state.default_follow_up), fitting[0] if fitting else None)


def _objects(one: Read) -> list[JsonObject]:
    """The objects of a list. Older releases answer a search without `expand` as an object of ids: that is none."""
    if not isinstance(one.value, list):
        raise Stopped(answers.after_read(one))
    return [each for each in one.value if isinstance(each, dict)]
