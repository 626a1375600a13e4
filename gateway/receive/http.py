"""The HTTP door: ``POST /in/{source}``, the state of receipts, health and metrics.

A plain ASGI application. Everything is decided on ``scope["path"]``; what the sender says about host or scheme is never
looked at. Deliveries take the short way: authenticate, bound, make durable, answer; nothing is parsed that need not be.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import orjson
import structlog
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.models import Server, SourceSettings
from gateway.journal.protocol import JournalBroken, JournalError, JournalFull, Reader
from gateway.model.ids import new_id
from gateway.model.receipt import Accepted, NewReceipt
from gateway.observability.health import Health
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission, journal_lost, no_room, stopping
from gateway.receive.auth import Claim, Signed, without_fields
from gateway.receive.body import Body, Gone, Refused, declared_length
from gateway.receive.connection import ARRIVING
from gateway.receive.delivery_keys import duplicate_key, kept_headers
from gateway.receive.doors import Door, Doors
from gateway.receive.intake import Intake, IntakeClosed, Progress
from gateway.receive.notices import Notices
from gateway.receive.problems import Header, Problem, Refusal, send_answer, send_problem
from gateway.receive.silences import Keeper, Silences
from gateway.receive.status import Pages, ticket_json
from gateway.receive.whole import Whole
from gateway.sources.protocol import Malformed, SourceKind

LONGEST_WAIT = 8.0
"""Seconds for which an answer is held back at most (``Prefer: wait=N``, ``wait:`` of the source)."""

_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_INSPECT_IN_PLACE = 64 * 1024  # a larger body is inspected in a thread, so that the loop goes on
_ID_LENGTH = 36
_AT_ONCE = 16 * 1024  # a larger body goes the usual way
_UNUSUAL = frozenset({b"prefer", b"content-encoding"})  # headers that ask for more than the usual answer
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
    keeper: Keeper | None = None,
    notices: Notices | None = None,
) -> "Front":
    """The whole HTTP side of a gateway.

    ``mounts`` are further applications by path prefix (``/sandbox``). ``on_broken`` is told once the journal is lost:
    the process must then end. Without a ``keeper`` there is no ``/silences``, without ``notices`` no
    ``/helpdesks``. Counters in ``admission`` are kept fresh by
    its `watch`, which the caller runs as a task.
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
    silences = (
        Silences(
            keeper, reader, server.operator, admission,
            timeout=server.http.body_timeout, on_broken=on_broken, now=now,
        )
        if keeper is not None
        else None
    )  # fmt: skip
    return Front(server.http.base_path, inbox, pages, silences, notices, mounted, tuple(mounts or ()))


def _public_prefix(server: Server) -> str:
    url, base = server.http.public_url.rstrip("/"), server.http.base_path
    return url if base and url.endswith(base) else url + base


class Front:
    """The dispatcher, and the guard that turns a fault of ours into 503 with an id."""

    def __init__(
        self,
        base: str,
        inbox: "Inbox",
        pages: Pages,
        silences: Silences | None,
        notices: Notices | None,
        mounted: ASGIApp,
        prefixes: tuple[str, ...],
    ) -> None:
        self._base = base
        self._inbox = inbox
        self._pages = pages
        self._silences = silences
        self._notices = notices
        self._mounted = mounted
        self._prefixes = prefixes

    def take(self, request: Whole) -> bool:
        """Take a delivery on its short way (`gateway.receive.whole`)."""
        try:
            return not self._base and b"%" not in request.url and self._inbox.take(request)
        except Exception:  # noqa: BLE001 - the usual way meets it again and tells it
            return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, for the server."""
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
            elif self._silences is not None and (path == "/silences" or path.startswith("/silences/")):
                await self._silences.serve(scope, receive, send, path)
            elif self._notices is not None and path.startswith("/helpdesks/"):
                await self._notices.serve(scope, receive, send, path)
            else:
                await self._pages.serve(scope, send, path)
        except Gone:
            return
        except asyncio.CancelledError:
            await _last_word(send, stopping())  # the stop ran out of patience; an unanswered sender tries again
            raise
        except Exception as error:
            if not await _last_word(send, _fault(scope["method"])):
                raise error from None


def _fault(method: str) -> Problem:
    """Our own fault, told to the log and, by its id, to the sender."""
    fault = new_id()
    structlog.get_logger().exception("a request failed", id=fault, method=method)
    return Problem(
        503,
        Refusal.FAULT,
        "The gateway failed; the fault is in its log under this id.",
        hint="Try again later.",
        retry_after=30,
        close=True,
        id=fault,
    )


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
    """``POST /in/{source}[/{token}]``.

    `deliver` is the usual way. `take` is the short one for a request that came whole and is all that it should be: it
    does the same checks, and leaves every refusal to the usual way.
    """

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
        self._finishing: set[asyncio.Task[None]] = set()
        # The usual answer is made of three constants and the id; its length never changes.
        self._middle = b'","status_url":' + orjson.dumps(status_prefix)[:-1]
        length = len(self._plain("0" * _ID_LENGTH))
        self._plain_headers = ((b"content-type", b"application/json"), (b"content-length", str(length).encode()))

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
            accepted = await self._durable(door, time.monotonic(), self._intake.accept(new))
            if warnings is None:
                warnings = await self._inspect(door, new)
        except Refused as refused:
            await self._refuse(send, door, refused)
            return
        finally:
            body.release()
        await self._answer(send, headers, door, accepted, warnings)

    def take(self, request: Whole) -> bool:
        """Take a delivery on its short way; False leaves it to `deliver`."""
        path, _, query = request.url[4:].partition(b"?")
        door = self._doors.at(path.decode("latin-1"))
        headers = dict(request.headers)
        if not door.checker.proven(Claim(headers, query)) or not door.known:
            return False  # and the usual way does the same work again, whoever this is
        self._metrics.credentials_checked()
        address = self._doors.address(request.client, request.headers)
        if (
            door.wait > 0
            or door.bucket is not None
            or len(request.body) > _AT_ONCE
            or len(request.body) > door.max_body
            or not headers.keys().isdisjoint(_UNUSUAL)
            or not door.lets_in(address)
            or self._admission.refusal() is not None
            or not self._admission.fits(len(request.body))
        ):
            return False
        new = self._new(door, headers, query, address, request.body, None)
        if door.kind is not None and door.settings is not None:
            try:
                door.kind.inspect(new, door.settings)
            except Exception:  # noqa: BLE001 - the usual way meets it again and says what it means
                return False
        begun = time.monotonic()
        try:
            future = self._intake.accept_soon(new)
        except (JournalError, IntakeClosed):
            return False
        if future is None:
            return False
        future.add_done_callback(lambda done: self._taken(request, headers, door, begun, done))
        return True

    def _taken(
        self,
        request: Whole,
        headers: Mapping[bytes, bytes],
        door: Door,
        begun: float,
        done: "asyncio.Future[list[Accepted]]",
    ) -> None:
        """The journal has answered."""
        if done.cancelled():
            return
        error = done.exception()
        accepted = None if error is not None else done.result()[0]
        if accepted is not None and accepted.duplicate_of is None and accepted.warning is None:
            self._count(door, accepted, begun)
            request.answer(202, self._plain_headers, self._plain(accepted.id))
            return
        task = asyncio.get_running_loop().create_task(self._finish(request, headers, door, begun, done))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _finish(
        self,
        request: Whole,
        headers: Mapping[bytes, bytes],
        door: Door,
        begun: float,
        done: "asyncio.Future[list[Accepted]]",
    ) -> None:
        """An answer that takes more than a word."""
        try:
            accepted = await self._durable(door, begun, _first(done))
            await self._answer(request.send, headers, door, accepted, "")
        except Refused as refused:
            await self._refuse(request.send, door, refused)
        except Exception:  # noqa: BLE001 - told to log and sender, as on the usual way
            await send_problem(request.send, _fault("POST"))

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
        return self._new(door, headers, query, address, content, signed, token=bool(token), now=now)

    def _new(
        self,
        door: Door,
        headers: Mapping[bytes, bytes],
        query: bytes,
        address: str,
        content: bytes,
        signed: Signed | None,
        *,
        token: bool = False,
        now: float | None = None,
    ) -> NewReceipt:
        """The receipt of a whole, proven request."""
        return NewReceipt(
            id=new_id(),
            source=door.name,
            received_at=self._now() if now is None else now,
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

    async def _refuse(self, send: Send, door: Door, refused: Refused) -> None:
        problem = refused.problem
        self._metrics.refused(door.name, problem.reason.value)
        because = {"detail": str(refused.__cause__)} if refused.__cause__ is not None else {}
        structlog.get_logger().info(
            "refused", source=door.name, reason=problem.reason.value, status=problem.status, **because
        )
        await send_problem(send, problem)

    async def _durable(self, door: Door, begun: float, accepting: Awaitable[Accepted]) -> Accepted:
        """The journal's answer to a delivery; its faults are refusals, which the sender answers by trying again."""
        try:
            accepted = await accepting
        except JournalFull as error:
            raise Refused(no_room()) from error
        except IntakeClosed:
            raise Refused(stopping()) from None
        except JournalBroken as error:
            self._on_broken(error)
            raise Refused(journal_lost()) from error
        self._count(door, accepted, begun)
        return accepted

    def _count(self, door: Door, accepted: Accepted, begun: float) -> None:
        if accepted.duplicate_of is None:
            self._admission.taken()
            self._metrics.accepted(door.name, time.monotonic() - begun)
        else:
            self._metrics.duplicate(door.name)

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
        progress = await self._ticket(receipt, wait, duplicate=duplicate)
        answer: dict[str, object] = {
            "id": receipt,
            "status_url": self._prefix + receipt,
            "ticket": ticket_json(progress.ticket),
        }
        if progress.shadow:
            answer["shadow"] = True
        if duplicate:
            answer["duplicate"] = True
        sentences = [warnings] if warnings else []
        if accepted.warning is not None:
            sentences.append(accepted.warning.explain())
        if sentences:
            answer["warning"] = " ".join(sentences).encode("utf-8", "replace").decode()
        applied: list[Header] = [(b"preference-applied", b"wait=%d" % int(wait))] if asked else []
        created = progress.created and progress.ticket is not None
        status = 201 if created and not duplicate else 202
        await send_answer(send, status, orjson.dumps(answer), headers=applied)

    async def _ticket(self, receipt: str, wait: float, *, duplicate: bool) -> Progress:
        """The ticket as far as known. The receipt is durable: no fault here may turn the answer into a refusal."""
        try:
            if wait > 0:
                return await self._intake.wait_ticket(receipt, wait)
            if duplicate:
                view = await self._reader.receipt(receipt)
                return Progress(view.ticket if view else None)
        except Exception:  # noqa: BLE001 - the event is durable, and that is the answer
            structlog.get_logger().exception("looking for the ticket failed", receipt=receipt)
        return Progress(None)


async def _first(done: "asyncio.Future[list[Accepted]]") -> Accepted:
    return (await done)[0]


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
