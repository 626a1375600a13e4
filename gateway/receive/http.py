"""The HTTP door: ``POST /in/{source}``, the state of receipts, health and metrics.

A plain ASGI application. Everything is decided on ``scope["path"]``; what the sender says about host or scheme is never
looked at. Deliveries take the short way: authenticate, bound, make durable, answer; nothing is parsed that need not be.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson
import structlog
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.models import Server, SourceSettings
from gateway.journal.protocol import JournalBroken, JournalFull, Reader
from gateway.model.ids import new_id
from gateway.model.incident import TicketRef
from gateway.model.receipt import Accepted, NewReceipt
from gateway.observability.health import Health
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission, stopping
from gateway.receive.auth import Claim, Signed, without_fields
from gateway.receive.body import Body, Gone, Refused, declared_length
from gateway.receive.connection import ARRIVING
from gateway.receive.delivery_keys import duplicate_key, kept_headers
from gateway.receive.doors import Door, Doors
from gateway.receive.intake import Intake, IntakeClosed
from gateway.receive.problems import Header, Problem, Refusal, send_answer, send_problem
from gateway.receive.status import Pages, ticket_json
from gateway.sources.protocol import Malformed, SourceKind

LONGEST_WAIT = 8.0
"""Seconds for which an answer is held back at most (``Prefer: wait=N``, ``wait:`` of the source)."""

_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_INSPECT_IN_PLACE = 64 * 1024  # a larger body is inspected in a thread, so that the loop goes on
_ID_LENGTH = 36
_SMALL = 64 * 1024  # an unread body up to this is read past; beyond it a refusal ends the connection


def build_app(
    *,
    sources: Mapping[str, SourceSettings],
    kinds: Mapping[str, SourceKind],
    server: Server,
    intake: Intake,
    reader: Reader,
    admission: Admission,
    metrics: Metrics,
    health: Health,
    mounts: Mapping[str, ASGIApp] | None = None,
    now: Callable[[], float] = time.time,
    on_broken: Callable[[BaseException], None] = lambda _error: None,
) -> ASGIApp:
    """The whole HTTP side of a gateway.

    ``mounts`` are further applications by path prefix (``/sandbox``). ``on_broken`` is told once the journal is lost:
    the process must then end. Counters in ``admission`` are kept fresh by its `watch`, which the caller runs as a task.
    """
    doors = Doors(sources, kinds, server)
    public = _public_prefix(server)
    pages = Pages(
        doors=doors, reader=reader, server=server, health=health, metrics=metrics, admission=admission, now=now,
        status_prefix=public + "/receipts/",
    )  # fmt: skip
    inbox = Inbox(
        doors=doors, server=server, intake=intake, reader=reader, admission=admission, metrics=metrics, now=now,
        on_broken=on_broken, status_prefix=public + "/receipts/",
    )  # fmt: skip
    mounted = Router(routes=[Mount(prefix, app) for prefix, app in (mounts or {}).items()], default=pages.not_found)
    return _Front(server.http.base_path, inbox, pages, mounted, tuple(mounts or ()))


def _public_prefix(server: Server) -> str:
    url, base = server.http.public_url.rstrip("/"), server.http.base_path
    return url if base and url.endswith(base) else url + base


class _Front:
    """The dispatcher, and the guard that turns a fault of ours into 503 with an id."""

    def __init__(self, base: str, inbox: "Inbox", pages: Pages, mounted: ASGIApp, prefixes: tuple[str, ...]) -> None:
        self._base = base
        self._inbox = inbox
        self._pages = pages
        self._mounted = mounted
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _not_http(scope, receive, send)
            return
        path: str = scope["path"]
        base = self._base
        if base and (path == base or path.startswith(base + "/")):
            path = path[len(base) :] or "/"  # a proxy may pass the prefix on or take it off
        if any(path == prefix or path.startswith(prefix + "/") for prefix in self._prefixes):
            await self._mounted({**scope, "root_path": base, "path": base + path}, receive, send)
            return
        try:
            if path.startswith("/in/"):
                await self._inbox.deliver(scope, receive, send, path[4:])
            else:
                await self._pages.serve(scope, send, path)
        except Gone:
            return
        except asyncio.CancelledError:
            await _last_word(send, stopping())  # the stop ran out of patience; an unanswered sender tries again
            raise
        except Exception as error:
            fault = new_id()
            structlog.get_logger().exception("a request failed", id=fault, method=scope["method"])
            problem = Problem(
                503,
                Refusal.FAULT,
                "The gateway failed; the fault is in its log under this id.",
                hint="Try again later.",
                retry_after=30,
                close=True,
                id=fault,
            )
            if not await _last_word(send, problem):
                raise error from None


async def _last_word(send: Send, problem: Problem) -> bool:
    """Answer if nothing was answered yet; False if the answer was under way already."""
    try:
        await send_problem(send, problem)
    except (RuntimeError, AssertionError, OSError):
        return False
    return True


async def _not_http(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":  # start and stop are the gateway's own; a server may ask all the same
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})


class Inbox:
    """``POST /in/{source}[/{token}]``."""

    def __init__(
        self,
        *,
        doors: Doors,
        server: Server,
        intake: Intake,
        reader: Reader,
        admission: Admission,
        metrics: Metrics,
        now: Callable[[], float],
        on_broken: Callable[[BaseException], None],
        status_prefix: str,
    ) -> None:
        self._doors = doors
        self._timeout = server.http.body_timeout
        self._intake = intake
        self._reader = reader
        self._admission = admission
        self._metrics = metrics
        self._now = now
        self._on_broken = on_broken
        self._prefix = status_prefix
        # The usual answer is made of three constants and the id; its length never changes.
        self._middle = b'","status_url":' + orjson.dumps(status_prefix)[:-1]
        length = len(self._plain("0" * _ID_LENGTH))
        self._plain_headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]

    def _plain(self, receipt_id: str) -> bytes:
        key = receipt_id.encode()
        return b'{"id":"' + key + self._middle + key + b'","ticket":null}'

    async def deliver(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Take one delivery. ``rest`` is the path after ``/in/``."""
        name, _, token = rest.partition("/")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        door = self._doors.at(name, path_token=bool(token))
        body = Body(self._admission, door.max_body)
        try:
            new = await self._receive(scope, receive, headers, door, token, body)
            warnings = await self._inspect(door, new) if door.rejects_malformed else None
            accepted = await self._accept(door, new)
            if warnings is None:
                warnings = await self._inspect(door, new)
        except Refused as refused:
            problem = refused.problem
            self._metrics.refused(door.name, problem.reason.value)
            because = {"detail": str(refused.__cause__)} if refused.__cause__ is not None else {}
            structlog.get_logger().info(
                "refused", source=door.name, reason=problem.reason.value, status=problem.status, **because
            )
            await send_problem(send, problem)
            return
        finally:
            body.release()
        await self._answer(send, headers, door, accepted, warnings)

    async def _receive(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], door: Door, token: str, body: Body
    ) -> NewReceipt:
        """Everything up to a whole, proven request."""
        if scope["method"] != "POST":
            raise Refused(_method_not_allowed(b"POST"))
        length = declared_length(headers)
        unread = length is None or length > _SMALL
        if headers.get(b"content-encoding", b"identity").strip().lower() not in {b"identity", b""}:
            raise Refused(_encoded(close=unread))
        query: bytes = scope["query_string"]
        address = self._doors.address(scope.get("client"), scope["headers"])
        self._metrics.credentials_checked()
        proven = door.checker.proven(Claim(headers, query, token))
        signature = door.checker.signature
        if not proven and not (signature and signature.present(headers)):
            raise Refused(_stranger(door, close=unread))
        if not door.lets_in(address):
            raise Refused(_wrong_network(close=unread))
        body.check_declared(length)
        if (refusal := self._admission.refusal()) is not None:
            raise Refused(replace(refusal, close=refusal.close or unread))
        content = await body.read(receive, self._timeout, arrived=_arrived(scope))
        now = self._now()
        signed: Signed | None = None
        if not proven and signature:
            signed = signature.check(headers, content, now)
            if signed is None:
                raise Refused(_stranger(door, close=False))
        if door.bucket is not None and (after := door.bucket.take()) is not None:
            raise Refused(_too_often(after))
        return NewReceipt(
            id=new_id(),
            source=door.name,
            received_at=now,
            body=content,
            content_type=headers.get(b"content-type", b"").decode("latin-1")[:1024],
            headers=kept_headers(headers),
            envelope={
                "door": "http",
                "method": "POST",
                "path": f"/in/{door.name}/***" if token else f"/in/{door.name}",
                "query": without_fields(query, door.checker.query_fields),
            },
            peer=address,
            duplicate_key=duplicate_key(headers, query, content, door.retry_horizon, signed),
        )

    async def _accept(self, door: Door, new: NewReceipt) -> Accepted:
        begun = time.monotonic()
        try:
            accepted = await self._intake.accept(new)
        except JournalFull as error:
            raise Refused(
                Problem(503, Refusal.NO_ROOM, "The journal has no room.", hint="Try again later.", retry_after=30)
            ) from error
        except IntakeClosed:
            raise Refused(stopping()) from None
        except JournalBroken as error:
            self._on_broken(error)
            raise Refused(
                Problem(
                    503,
                    Refusal.JOURNAL_BROKEN,
                    "The journal failed; the gateway starts anew.",
                    retry_after=30,
                    close=True,
                )
            ) from error
        if accepted.duplicate_of is None:
            self._admission.taken()
            self._metrics.accepted(door.name, time.monotonic() - begun)
        else:
            self._metrics.duplicate(door.name)
        return accepted

    async def _inspect(self, door: Door, new: NewReceipt) -> str:
        """A warning about the payload, or nothing. Refused if the source rejects what cannot be read."""
        if door.kind is None or door.settings is None:
            return ""
        try:
            if len(new.body) <= _INSPECT_IN_PLACE:
                door.kind.inspect(new, door.settings)
            else:
                await asyncio.to_thread(door.kind.inspect, new, door.settings)
        except Malformed as error:
            if door.rejects_malformed:
                raise Refused(_malformed(error)) from None
            place = f" ({error.place})" if error.place else ""
            return f"The payload cannot be read: {error.message}{place}. It was accepted as it is."
        except Exception:  # noqa: BLE001 - our fault must not cost an event: parsing decides again
            structlog.get_logger().exception("inspecting a payload failed", source=door.name, receipt=new.id)
        return ""

    async def _answer(
        self, send: Send, headers: Mapping[bytes, bytes], door: Door, accepted: Accepted, warnings: str
    ) -> None:
        wish = headers.get(b"prefer")
        asked = _WAIT.search(wish) if wish else None
        wait = min(LONGEST_WAIT, float(asked[1]) if asked else door.wait)
        duplicate = accepted.duplicate_of is not None
        if wait <= 0 and not duplicate and not warnings and accepted.warning is None:
            await send({"type": "http.response.start", "status": 202, "headers": self._plain_headers})
            await send({"type": "http.response.body", "body": self._plain(accepted.id)})
            return
        receipt = accepted.duplicate_of or accepted.id
        ticket, created = await self._ticket(receipt, wait, duplicate=duplicate)
        answer: dict[str, object] = {
            "id": receipt,
            "status_url": self._prefix + receipt,
            "ticket": ticket_json(ticket),
        }
        if duplicate:
            answer["duplicate"] = True
        sentences = [warnings] if warnings else []
        if accepted.warning is not None:
            sentences.append(accepted.warning.explain())
        if sentences:
            answer["warning"] = " ".join(sentences).encode("utf-8", "replace").decode()
        applied: list[Header] = [(b"preference-applied", b"wait=%d" % int(wait))] if asked else []
        status = 201 if created and not duplicate else 202
        await send_answer(send, status, orjson.dumps(answer), headers=applied)

    async def _ticket(self, receipt: str, wait: float, *, duplicate: bool) -> tuple[TicketRef | None, bool]:
        """The ticket as far as known. The receipt is durable: no fault here may turn the answer into a refusal."""
        try:
            if wait > 0:
                progress = await self._intake.wait_ticket(receipt, wait)
                return progress.ticket, progress.created and progress.ticket is not None
            if duplicate:
                view = await self._reader.receipt(receipt)
                return (view.ticket if view else None), False
        except Exception:  # noqa: BLE001 - the event is durable, and that is the answer
            structlog.get_logger().exception("looking for the ticket failed", receipt=receipt)
        return None, False


def _arrived(scope: Scope) -> bool:
    """True if the server says that the whole body is in memory: a deadline costs a tenth of a delivery."""
    extensions = scope.get("extensions")
    arriving = extensions.get(ARRIVING) if extensions else None
    return arriving is not None and not arriving["request"].more_body


def _method_not_allowed(allow: bytes) -> Problem:
    return Problem(
        405,
        Refusal.METHOD,
        "This address takes other methods.",
        hint=f"Use {allow.decode()}.",
        headers=((b"allow", allow),),
    )


def _encoded(*, close: bool) -> Problem:
    return Problem(
        415,
        Refusal.ENCODING,
        "Compressed bodies are not taken.",
        place="Content-Encoding",
        hint="Send the body as it is, without Content-Encoding.",
        headers=((b"accept-encoding", b"identity"),),
        close=close,
    )


def _stranger(door: Door, *, close: bool) -> Problem:
    if not door.known:
        return Problem(
            404,
            Refusal.UNKNOWN_SOURCE,
            "There is no such source.",
            place="path",
            hint="Sources are served at /in/NAME under the names in `routes.yaml`.",
            close=close,
        )
    return Problem(
        401,
        Refusal.WRONG_CREDENTIALS,
        "The credentials of this source are missing or wrong.",
        hint="Send what the source's `auth` section says.",
        headers=((b"www-authenticate", door.checker.challenge),),
        close=close,
    )


def _wrong_network(*, close: bool) -> Problem:
    return Problem(
        403,
        Refusal.WRONG_NETWORK,
        "This address may not send for this source.",
        hint="Add it to the source's `networks`; behind a proxy, name that in `server.http.trusted_proxies`.",
        close=close,
    )


def _too_often(after: int) -> Problem:
    return Problem(
        429, Refusal.RATE, "This source sends faster than its `rate`.", hint="Try again later.", retry_after=after
    )


def _malformed(error: Malformed) -> Problem:
    return Problem(400, Refusal.MALFORMED, error.message, place=error.place, hint=error.hint)
