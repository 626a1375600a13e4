"""One HTTP connection: uvicorn's httptools protocol with the bounds it lacks.

Added: a deadline for the headers (uvicorn waits for ever), caps on their number and size, a cap on connections over all
listening addresses, a lingering close so that an early refusal arrives (RFC 9112, section 9.6), and no answer out of turn
after a request that is no HTTP; and the short way for requests that come whole (`gateway.receive.whole`).
"""

import asyncio
from dataclasses import dataclass
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.receive.admission import stopping
from gateway.receive.problems import Problem, Refusal, send_problem
from gateway.receive.whole import ShortWay, Whole

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s"
)
_BUSY_BODY = b'{"title":"Service Unavailable","status":503,"detail":"Too many connections.","hint":"Try again."}'
_REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s"
)
ARRIVING = "ticket_gateway.arriving"
"""Key under ``scope["extensions"]`` for ``{"request": R}``; ``R.more_body`` is false once the whole body is in memory."""

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1024 * 1024


@dataclass(slots=True)
class ConnectionLimits:
    """Bounds that all connections share, and how many there are. Seconds and octets."""

    most: int = 2000
    header_timeout: float = 10.0
    header_bytes: int = 64 * 1024
    header_count: int = 100
    open: int = 0


class _Transport(asyncio.Transport):
    """The socket as uvicorn sees it; `close` lingers while the request is still coming in."""

    def __init__(self, inner: asyncio.Transport, connection: "BoundedConnection") -> None:
        super().__init__()
        self._inner = inner
        self._connection = connection
        self.lingering = False
        self._held = b""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._inner.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold the head of an answer until its body comes, within the same turn of the loop: one packet, not two."""
        if self.lingering:
            return
        if self._held:
            held, self._held = self._held, b""
            self._inner.write(held + data)
        else:
            self._held = bytes(data)
            self._connection.loop.call_soon(self._flush)

    def write_whole(self, data: bytes) -> None:
        """A whole answer: nothing comes after it that it should wait for."""
        if self._held:
            self._flush()
        if not self.lingering:
            self._inner.write(data)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._inner.write(held)

    def is_closing(self) -> bool:
        return self.lingering or self._inner.is_closing()

    def pause_reading(self) -> None:
        if not self._inner.is_closing():
            self._inner.pause_reading()

    def resume_reading(self) -> None:
        if not self._inner.is_closing():
            self._inner.resume_reading()

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        if self.is_closing():
            return
        self._flush()
        if self._connection.mid_request() and self._inner.can_write_eof():
            self.lingering = True
            self._inner.write_eof()
            self._connection.linger()
        else:
            self._inner.close()

    def finish(self) -> None:
        self._inner.close()


def connection_class(limits: ConnectionLimits, short_way: ShortWay | None = None) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn, bound to the limits that it shares with all others, and to the short way."""

    class Connection(BoundedConnection):
        shared = limits
        short = staticmethod(short_way) if short_way is not None else None

    return Connection


class BoundedConnection(HttpToolsProtocol):
    """See the module."""

    shared = ConnectionLimits()
    short: ShortWay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or say that there is none."""
        self._counted = False
        self._whole: object = None  # the scope of the last request whose headers are complete
        self._header_bytes = 0  # of a header section that is not complete yet
        self._arriving = 0  # the same, with the piece that is being parsed
        self._timer: asyncio.TimerHandle | None = None
        self._drained = 0
        self._deaf = False
        self._started = False  # there was a request, so there is a cycle
        self._parts: list[bytes] | None = None  # the body so far of a request that may come whole
        stream = cast("asyncio.Transport", transport)  # what every loop hands to a stream protocol
        self._wrapped = _Transport(stream, self)
        super().connection_made(self._wrapped)
        if self.shared.open >= self.shared.most:
            self._deaf = True
            stream.write(_BUSY % (len(_BUSY_BODY), _BUSY_BODY))
            stream.close()
            return
        self.shared.open += 1
        self._counted = True
        self._timer = self.loop.call_later(self.shared.header_timeout, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the connection's place back."""
        if self._counted:
            self.shared.open -= 1
            self._counted = False
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bound the headers, whether they come slowly or in a flood."""
        if self._wrapped.lingering:
            self._drained += len(data)
            if self._drained > _LINGER_BYTES:
                self._wrapped.finish()
            return
        if self._deaf:
            return
        self._arriving = self._header_bytes + len(data)
        super().data_received(data)
        if self._parts is not None:  # not whole: there is more to come
            self._go_the_usual_way()
        if self.scope is self._whole:  # no header section is under way
            if self._timer is not None:
                self._stop_timer()
            self._header_bytes = 0
            return
        self._header_bytes = self._arriving
        if self._header_bytes > self.shared.header_bytes:
            self.send_400_response("The header section is too large.")
        elif self._timer is None and not self._deaf:
            self._timer = self.loop.call_later(self.shared.header_timeout, self._give_up)

    def on_headers_complete(self) -> None:
        """The request can start, if its headers are within bounds; a fault here becomes 400."""
        headers = self.headers
        if len(headers) > self.shared.header_count:
            raise ValueError("too many headers")
        # Only where so much came in at all is it worth counting what of it were headers.
        if self._arriving > self.shared.header_bytes and self._size_of_headers() > self.shared.header_bytes:
            raise ValueError("too large headers")
        self._whole = self.scope
        if (
            self.short is not None
            and self.url.startswith(b"/in/")
            and not self._busy
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and not self.parser.should_upgrade()
        ):
            self._parts = []
            return
        self._start()

    @property
    def _busy(self) -> bool:
        """True while an answer is owed."""
        return self._started and not self.cycle.response_complete

    def _start(self) -> None:
        self._started = True
        super().on_headers_complete()
        self.scope["extensions"] = {ARRIVING: {"request": self.cycle}}

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._parts is not None:
            self._parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: if it came in one piece it may take the short way."""
        if self._parts is not None:
            whole = Whole(
                url=self.url,
                headers=self.headers,
                client=self.client,
                body=self._parts[0] if len(self._parts) == 1 else b"".join(self._parts),
                keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
                write=self._wrapped.write_whole,
                close=self._wrapped.close,
                on_response=self.on_response_complete,
            )
            if self.short is not None and self.short(whole):
                self._parts = None
                self._started = True
                self.cycle = cast("RequestResponseCycle", whole)
                return
            self._go_the_usual_way()
        super().on_message_complete()

    def _go_the_usual_way(self) -> None:
        parts, self._parts = self._parts or [], None
        self._start()
        for part in parts:
            super().on_body(part)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, but never before the answers that earlier requests still wait for."""
        self._deaf = True
        self._parts = None
        self._stop_timer()
        if self._busy and not self.cycle.more_body:
            self.pipeline.clear()
            self.cycle.keep_alive = False
            return
        body = Problem(400, Refusal.BAD_REQUEST, msg, hint="Speak plain HTTP, version 1.1.", close=True).body()
        self.transport.write(_REFUSED % (len(body), body))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that we do not offer is passed over (RFC 9110, 7.8); a stranger must not fill the log with it."""

    def _size_of_headers(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def mid_request(self) -> bool:
        """True while a request's body is still expected."""
        return self._started and self.cycle.more_body and not self._deaf

    def linger(self) -> None:
        """Read past what still comes, for a moment, so that our answer is not lost to a reset."""
        self.flow.resume_reading()
        self._stop_timer()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self._wrapped.finish)

    async def leave(self) -> None:
        """The stop ran out of patience: whoever waits for the answer to a whole request is told so."""
        cycle: object = self.cycle
        if self._busy and isinstance(cycle, Whole):
            await send_problem(cycle.send, stopping())

    def _give_up(self) -> None:
        self._timer = None
        self._deaf = True
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
