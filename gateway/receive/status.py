"""What can be read: the state of a receipt, health, metrics, and a page that says what this is."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import orjson
from starlette.types import Receive, Scope, Send

from gateway.config.models import Server
from gateway.journal.protocol import Reader, ReceiptView
from gateway.model.incident import TicketRef
from gateway.observability.health import Health
from gateway.observability.metrics import CONTENT_TYPE, Metrics
from gateway.receive.admission import Admission
from gateway.receive.auth import Claim
from gateway.receive.doors import Doors
from gateway.receive.operators import Operators
from gateway.receive.problems import Header, Problem, Refusal, send_answer, send_problem

NO_STORE: Header = (b"cache-control", b"no-store")
_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ticket-gateway</title>
<h1>ticket-gateway</h1>
<p>Alarms come in here and become helpdesk tickets, one for each incident.</p>
<ul>
<li><code>POST in/SOURCE</code> &ndash; deliver an event</li>
<li><code>GET receipts/ID</code> &ndash; what became of it</li>
<li><a href="healthz">healthz</a>, <a href="readyz">readyz</a>, <a href="metrics">metrics</a></li>
</ul>
</html>
"""
_PAGE_HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)


def ticket_json(ticket: TicketRef | None) -> dict[str, str] | None:
    """A ticket as answers show it."""
    if ticket is None:
        return None
    return {"helpdesk": ticket.helpdesk, "id": ticket.id, "number": ticket.number, "url": ticket.url}


def iso(at: float) -> str:
    """An instant as answers show it."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(at)


def receipt_json(view: ReceiptView, status_url: str) -> dict[str, object]:
    """A receipt with all that became of it, as ``GET /receipts/{id}`` shows it. No body, no headers, no drafts."""
    return {
        "id": view.id,
        "status_url": status_url,
        "source": view.source,
        "received_at": iso(view.received_at),
        "status": view.status.value,
        "reason": view.reason.value if view.reason else None,
        "detail": view.detail,
        "size": view.size,
        "ticket": ticket_json(view.ticket),
        "tickets": [ticket_json(incident.ticket) for incident in view.incidents if incident.ticket is not None],
        "warnings": list(view.warnings),
        "events": [
            {
                "index": event.index,
                "kind": event.event.get("kind"),
                "title": event.event.get("title"),
                "reason": event.reason.value,
                "explanation": event.reason.explain(),
                "route": event.route,
                "incident": event.incident,
                "duplicate_of": event.duplicate_of[0] if event.duplicate_of else None,
            }
            for event in view.events
        ],
        "actions": [
            {
                "id": action.id,
                "kind": action.kind.value,
                "helpdesk": action.helpdesk,
                "status": action.status.value,
                "reason": action.reason.value,
                "flags": list(action.flags),
                "tries": action.tries,
                "detail": action.detail,
            }
            for action in view.actions
        ],
        "timeline": [
            {
                "at": iso(line.at),
                "what": line.what,
                "reason": line.reason.value if line.reason else None,
                "detail": line.detail,
            }
            for line in view.timeline
        ],
    }


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate from a payload, or a number that JSON does not have
        return orjson.dumps(_clean(value))


def _clean(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(_clean(str(key))): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return str(value).encode("utf-8", "replace").decode()


class Pages:
    """Everything under ``GET``."""

    def __init__(
        self,
        *,
        doors: Doors,
        reader: Reader,
        server: Server,
        health: Health,
        metrics: Metrics,
        admission: Admission,
        now: Callable[[], float],
        status_prefix: str,
    ) -> None:
        self._doors = doors
        self._reader = reader
        self._operators = Operators(server.operator)
        self._health = health
        self._metrics = metrics
        self._admission = admission
        self._now = now
        self._prefix = status_prefix
        self._fixed: dict[str, Callable[[Send], Awaitable[None]]] = {
            "/": self._home,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._scrape,
        }

    async def serve(self, scope: Scope, send: Send, path: str) -> None:
        """Answer everything that is no delivery."""
        fixed = self._fixed.get(path)
        first, _, rest = path.lstrip("/").partition("/")
        receipt = first in {"receipts", "events"} and bool(rest)
        if fixed is None and not receipt:
            await self.not_found(scope, None, send)
        elif scope["method"] not in {"GET", "HEAD"}:
            await send_problem(
                send,
                Problem(
                    405,
                    Refusal.METHOD,
                    "This address is only read.",
                    hint="Use GET.",
                    headers=((b"allow", b"GET, HEAD"),),
                ),
            )
        elif fixed is not None:
            await fixed(send)
        else:
            await self._receipt(scope, send, rest)

    async def not_found(self, _scope: Scope, _receive: Receive | None, send: Send) -> None:
        """Answer that there is nothing here."""
        await send_problem(
            send, Problem(404, Refusal.NOT_FOUND, "There is nothing at this address.", hint="Events go to /in/SOURCE.")
        )

    async def _receipt(self, scope: Scope, send: Send, rest: str) -> None:
        """A receipt, for its source's own credentials or the operators'; for all others it does not exist."""
        receipt_id, _, token = rest.partition("/")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        claim = Claim(headers, scope["query_string"], token)
        view = await self._reader.receipt(receipt_id) if len(receipt_id) == 36 else None
        if view is not None and view.id != receipt_id:
            view = None  # a prefix is good enough for the command line, not here
        address = self._doors.address(scope.get("client"), scope["headers"])
        own = self._owns(view.source if view else "", claim, address)
        operator = bool(self._operators.who(claim))
        if view is None or not (own or operator):
            await send_problem(send, _unseen() if operator or b"authorization" in headers else _unproven())
            return
        await send_answer(send, 200, _dumps(receipt_json(view, self._prefix + view.id)), headers=(NO_STORE,))

    def _owns(self, source: str, claim: Claim, address: str) -> bool:
        door = self._doors.at(source)
        self._metrics.credentials_checked()
        proven = door.checker.proven(claim)
        signature = door.checker.signature
        if not proven and signature is not None and signature.present(claim.headers):
            proven = signature.check(claim.headers, b"", self._now()) is not None
        return proven and door.lets_in(address)

    async def _home(self, send: Send) -> None:
        await send_answer(send, 200, _PAGE, b"text/html; charset=utf-8", _PAGE_HEADERS)

    async def _healthz(self, send: Send) -> None:
        await send_answer(send, 200, b'{"alive":true}', headers=(NO_STORE,))

    async def _readyz(self, send: Send) -> None:
        readiness = await self._health.readiness()
        refusal = self._admission.refusal()
        checks = {**readiness.checks, "intake": refusal.detail if refusal else None}
        ready = not any(checks.values())
        answer: dict[str, object] = {"ready": ready, "checks": {name: wrong or "ok" for name, wrong in checks.items()}}
        if readiness.notes:
            answer["notes"] = dict(readiness.notes)
        await send_answer(send, 200 if ready else 503, _dumps(answer), headers=(NO_STORE,))

    async def _scrape(self, send: Send) -> None:
        if self._admission.counts is not None:
            self._metrics.counts(self._admission.counts, self._now())
        await send_answer(send, 200, self._metrics.render(), CONTENT_TYPE.encode(), (NO_STORE,))


def _unseen() -> Problem:
    return Problem(404, Refusal.NOT_FOUND, "There is no such receipt, or it is another source's.")


def _unproven() -> Problem:
    return Problem(
        401,
        Refusal.WRONG_CREDENTIALS,
        "A receipt is shown to the source that sent it and to operators.",
        hint="Send the source's own credentials, or the token of `server.operator`.",
        headers=((b"www-authenticate", b'Bearer realm="ticket-gateway"'),),
    )
