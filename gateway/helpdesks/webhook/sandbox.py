"""Stand-ins for HTTP APIs that take JSON: a plain one, and those of the ready examples, below one address each.

`/sandbox/webhook/plain`, `.../glpi/apirest.php`, `.../rt/REST/2.0` and `.../jira/rest/servicedeskapi` write into one desk,
whose page shows each request's text; what else a request said is among the ticket's fields.
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping

import orjson

from gateway.helpdesks.webhook import sandbox_dialects as dialects
from gateway.helpdesks.webhook.sandbox_dialects import Call, Unreadable
from gateway.helpdesks.webhook.sandbox_settings import WebhookSandboxSettings
from gateway.model.json import JsonValue
from gateway.sandbox.double import Answering, Drop, Reply, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import NewEntry, NewTicket, Ticket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults

_BASES = {"plain": "/plain", "glpi": "/glpi/apirest.php", "rt": "/rt/REST/2.0", "jira": "/jira/rest/servicedeskapi"}
_JSON = (("Content-Type", "application/json"),)
_MARKER, _DIALECT = ".marker", ".dialect"  # names of fields that the page does not show


class WebhookSandbox(Answering):
    """The APIs. Tickets are in the store; switches, sessions and keys that were seen are in memory."""

    name = "webhook"
    title = "HTTP APIs (webhook)"
    entrance = "plain"
    actions: Mapping[str, str] = {"close": "Close", "reopen": "Open", "delete": "Delete"}

    def __init__(
        self, store: Store, settings: WebhookSandboxSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970."""
        super().__init__()
        self.settings = settings or WebhookSandboxSettings()
        self.faults = Faults()
        self._store = store
        self._clock = clock
        self._sessions: dict[str, int] = {}
        self._answered: dict[str, Reply] = {}

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some switches; raises pydantic's `ValidationError` and changes nothing if one of them is wrong."""
        self.settings = WebhookSandboxSettings.model_validate({**self.settings.model_dump(), **changes})

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do on the ticket's page."""
        found = self._store.ticket(ticket)
        if found is None or found.helpdesk != self.name or action not in self.actions:
            return False
        with self._store.transaction():
            if action == "delete":
                self._store.delete(ticket)
            else:
                self._set_state(found, "closed" if action == "close" else "open", "by an agent")
        return True

    async def _answer(self, request: Request) -> Reply | Drop:
        for fault in self.faults.at_the_door(lambda: _title(request)):
            if fault.fault is FaultKind.SLOW:
                await self.faults.wait(fault.wait)
            else:
                return _at_the_door(fault)
        dialect = next((name for name, base in _BASES.items() if request.path.startswith(f"{base}/")), "")
        if not dialect:
            return _reply(404, {"error": "no such API here", "known": list(_BASES.values())})
        return await self._called(dialect, request)

    async def _called(self, dialect: str, request: Request) -> Reply | Drop:
        try:
            body: JsonValue = orjson.loads(request.body) if request.body else None
        except orjson.JSONDecodeError:
            return _reply(400, {"error": "this is no JSON"})
        try:
            call = dialects.read(dialect, request.path.removeprefix(_BASES[dialect]), request, body)
        except Unreadable as error:
            return _reply(400, {"error": str(error)})
        if not self._knows(dialect, call, request):
            return _reply(401, {"error": "who are you?"})
        if any(piece in call.title for piece in self.settings.refused_titles):
            return _reply(400, {"error": "this title is not taken"})
        match call.what:
            case "":
                return _reply(404, {"error": f"no such call: {request.method} {request.path}"})
            case "login":
                token = secrets.token_hex(8)
                self._sessions[token] = self.settings.session_calls
                return _reply(200, {"session_token": token})
            case "well":
                return _reply(200, {"well": True})
            case "search":
                return _reply(200, dialects.found(dialect, self._search(dialect, call.marker)))
            case _:
                return await self._write(dialect, call, request)

    def _knows(self, dialect: str, call: Call, request: Request) -> bool:
        key, given = self.settings.key, request.headers.get("authorization", "")
        match dialect:
            case "glpi" if call.what == "login":
                return given == f"user_token {key}" and request.headers.get("app-token") == key
            case "glpi":
                return self._in_session(request.headers.get("session-token", ""))
            case "rt":
                return given == f"token {key}"
            case "jira":
                return given == f"Basic {base64.b64encode(f'gateway@example.org:{key}'.encode()).decode()}"
            case _:
                return given == f"Bearer {key}"

    def _in_session(self, token: str) -> bool:
        if token not in self._sessions:
            return False
        if self._sessions[token] == 1:
            del self._sessions[token]
        elif self._sessions[token]:
            self._sessions[token] -= 1
        return True

    # -------------------------------------------------------------------------------------------------------- writing

    async def _write(self, dialect: str, call: Call, request: Request) -> Reply | Drop:
        ticket = self._ticket(dialect, call.ticket)
        if call.what != "create" and ticket is None:
            return _reply(404, {"error": "no such ticket"})
        if call.what == "notes":
            assert ticket is not None
            entries = self._store.threads([ticket.id])[ticket.id].entries
            listed: list[JsonValue] = [{"id": one.id, "text": one.body, "marker": one.message_id} for one in entries]
            return _reply(200, {"data": listed})
        key = request.headers.get("idempotency-key", "")
        if self.settings.idempotent and key in self._answered:
            return self._answered[key]
        fault = self.faults.at_the_commit(lambda: call.title or _title(request))
        match fault.fault if fault is not None else None:
            case FaultKind.DIE_HALF_WAY:
                return _reply(500, {"error": "the database has gone away"})
            case FaultKind.HANG_BEFORE_COMMIT:
                assert fault is not None
                await self.faults.wait(fault.wait)
                if not fault.commits:
                    return _reply(504, {"error": "too late"})
        reply = self._commit(dialect, call, ticket)
        self._answered[key] = reply
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_DROP:
            return Drop.CLOSE
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_HANG:
            await self.faults.wait(fault.wait)
        return reply

    def _commit(self, dialect: str, call: Call, ticket: Ticket | None) -> Reply:
        with self._store.transaction():
            now = self._clock()
            if ticket is None:
                return _reply(*self._create(dialect, call, now))
            entry = self._add(ticket.id, call, now) if call.text else 0
            if call.what == "note":
                return _reply(*dialects.noted(dialect, entry))
            if call.state:
                self._set_state(ticket, call.state, "over the API")
            return _reply(*dialects.changed(dialect, call.ticket, entry))

    def _create(self, dialect: str, call: Call, now: float) -> tuple[int, JsonValue]:
        person = self._store.person(self.name, "api") or self._store.add_person(self.name, "api", "API")
        fields = {**call.fields, _MARKER: call.marker, _DIALECT: dialect}
        row = NewTicket("", call.title, person.id, "API", "", dialect, fields=fields)
        ticket = self._store.add_ticket(self.name, row, now)
        number = f"HELP-{ticket}" if dialect == "jira" else str(ticket)
        self._store.set_number(ticket, number)
        self._store.add_event(ticket, "created", f"over the API ({dialect})", now)
        self._add(ticket, call, now)
        return dialects.made(dialect, number, ticket, _BASES[dialect])

    def _add(self, ticket: int, call: Call, now: float) -> int:
        rich = call.text.lstrip().startswith("<")
        entry = NewEntry(
            "message",
            "API",
            call.text,
            "html" if rich else "text",
            call.title or None,
            call.marker or None,
            call.files,
        )
        return self._store.add_entry(ticket, entry, now)

    def _set_state(self, ticket: Ticket, state: str, how: str) -> None:
        if state != ticket.status:
            self._store.set_status(ticket.id, state, self._clock())
            kind = "reopened" if state == "open" else "closed"
            self._store.add_event(ticket.id, kind, how, self._clock())

    # -------------------------------------------------------------------------------------------------------- reading

    def _ticket(self, dialect: str, given: str) -> Ticket | None:
        digits = given.removeprefix("HELP-") if dialect == "jira" else given
        found = self._store.ticket(int(digits)) if digits.isascii() and digits.isdigit() else None
        return found if found is not None and found.helpdesk == self.name else None

    def _search(self, dialect: str, marker: str) -> list[tuple[str, str, str]]:
        if self.settings.searches == "empty":
            return []
        return [
            (str(ticket.id), ticket.number, ticket.fields.get(_MARKER, ""))
            for ticket in self._store.tickets(self.name)
            if ticket.fields.get(_DIALECT) == dialect
            and (self.settings.searches == "ignored" or ticket.fields.get(_MARKER) == marker)
        ]


def _reply(status: int, value: JsonValue) -> Reply:
    return Reply(status, "" if status == 204 else orjson.dumps(value).decode(), _JSON)


def _title(request: Request) -> str:
    """What stands in a request, for switches that look for a piece of it."""
    return request.body[:2000].decode("utf-8", "replace")


def _at_the_door(fault: Fault) -> Reply | Drop:
    seconds = str(round(fault.wait))
    match fault.fault:
        case FaultKind.REFUSE:
            return Drop.RESET
        case FaultKind.RATE_LIMIT:
            return Reply(429, '{"error":"slow down"}', (*_JSON, ("Retry-After", seconds)))
        case FaultKind.AUTH_BROKEN:
            return _reply(401, {"error": "this key is not valid any more"})
        case FaultKind.DATABASE_DOWN:
            return _reply(500, {"error": "no database"})
        case FaultKind.REDIRECT:
            return Reply(302, "", (("Location", "https://login.example/"),))
        case FaultKind.MAINTENANCE:
            return Reply(503, "<html><body>Maintenance</body></html>", (("Retry-After", seconds),))
        case _:
            return Reply(fault.status, f"<html><body>{fault.status}</body></html>", (("Content-Type", "text/html"),))
