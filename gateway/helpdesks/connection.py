"""The pool of connections to one helpdesk: httpcore's, with connections that cost no turns of the loop.

Each of httpcore's own connections has two locks, and each taking of one gives the turn away: twice before a request
leaves and once after its answer, while other work holds the loop. In HTTP/1.1 nothing can contend for them: the pool
gives a connection to one request at a time. Connections through a proxy stay httpcore's own.
"""

import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator
from enum import Enum, auto

import h11
import httpcore

_PIECE = 64 * 1024
_MOST_HEAD = 100 * 1024
"""Octets of an answer's head that are read before it counts as broken."""


class Pool(httpcore.AsyncConnectionPool):
    """`httpcore.AsyncConnectionPool` whose connections without a proxy are `Connection`s."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        proxy: httpcore.Proxy | None,
        connections: int,
        idle_connections: int,
        idle: float,
        backend: httpcore.AsyncNetworkBackend,
    ) -> None:
        """``idle`` is the time in seconds after which an unused connection is given up."""
        super().__init__(
            ssl_context=tls,
            proxy=proxy,
            max_connections=connections,
            max_keepalive_connections=idle_connections,
            keepalive_expiry=idle,
            network_backend=backend,
        )
        tls.set_alpn_protocols(["http/1.1"])
        self._direct = None if proxy else (tls, idle, backend)

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """A connection, not yet made, to ``origin``."""
        return Connection(origin, *self._direct) if self._direct else super().create_connection(origin)


class _State(Enum):
    NEW = auto()
    BUSY = auto()
    IDLE = auto()
    CLOSED = auto()


class Connection(httpcore.AsyncConnectionInterface):
    """One HTTP/1.1 connection, for one request at a time; h11 speaks and reads the protocol."""

    def __init__(
        self, origin: httpcore.Origin, tls: ssl.SSLContext, idle: float, backend: httpcore.AsyncNetworkBackend
    ) -> None:
        """``tls`` is used where the origin is https; ``idle`` is the life of the unused connection in seconds."""
        self._origin = origin
        self._tls = tls
        self._idle = idle
        self._backend = backend
        self._state = _State.NEW
        self._until = 0.0
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send the request and read the answer's head; the body is read with the answer's stream.

        Raises:
            httpcore.ConnectError, httpcore.ConnectTimeout: there is no connection, and nothing was sent.
            httpcore.ConnectionNotAvailable: it has another request, or is closed.
        """
        if self._state not in {_State.NEW, _State.IDLE}:
            raise httpcore.ConnectionNotAvailable
        self._state = _State.BUSY
        try:
            if self._stream is None:
                self._stream = await self._connect(request)
            await self._send(self._stream, request)
            head = await self._event(self._stream)
            while not isinstance(head, h11.Response):  # 100 Continue, 103 Early Hints
                head = await self._event(self._stream)
        except BaseException:
            await self.aclose()
            raise
        return httpcore.Response(head.status_code, headers=list(head.headers), content=_Body(self, self._stream))

    async def aclose(self) -> None:
        """Close at once."""
        self._state = _State.CLOSED
        if self._stream is not None:
            await self._stream.aclose()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it leads there."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it may have a request now."""
        return self._state is _State.IDLE

    def is_idle(self) -> bool:
        """Whether it has no request, but had one."""
        return self._state is _State.IDLE

    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._state is _State.CLOSED

    def has_expired(self) -> bool:
        """Whether it is too old to be used again, or the other side has closed it or speaks unasked."""
        if self._state is not _State.IDLE or self._stream is None:
            return False
        return time.monotonic() > self._until or bool(self._stream.get_extra_info("is_readable"))

    def info(self) -> str:
        """Where it leads and how it stands, for debugging."""
        return f"{self._origin}, HTTP/1.1, {self._state.name}"

    async def finished(self) -> None:
        """The answer's reader is done: the connection may be used again if all of the answer was read."""
        if self._state is not _State.BUSY:
            return
        http = self._http
        # What came after the whole answer belongs to no request of ours; the next one must not get it for its answer.
        if http.our_state is h11.DONE and http.their_state is h11.DONE and http.trailing_data == (b"", False):
            http.start_next_cycle()
            self._state = _State.IDLE
            self._until = time.monotonic() + self._idle
        else:
            await self.aclose()

    async def body(self, stream: httpcore.AsyncNetworkStream) -> AsyncIterator[bytes]:
        """The rest of the answer."""
        while isinstance(event := await self._event(stream), h11.Data):
            yield bytes(event.data)

    async def _connect(self, request: httpcore.Request) -> httpcore.AsyncNetworkStream:
        host = self._origin.host.decode("ascii")
        timeout = request.extensions.get("timeout", {}).get("connect")
        stream = await self._backend.connect_tcp(host, self._origin.port, timeout=timeout)
        if self._origin.scheme == b"https":
            return await stream.start_tls(self._tls, host, timeout)
        return stream

    async def _send(self, stream: httpcore.AsyncNetworkStream, request: httpcore.Request) -> None:
        assert isinstance(request.stream, AsyncIterable)
        try:
            head = h11.Request(method=request.method, target=request.url.target, headers=request.headers)
            parts = [self._http.send(head)]
            parts += [self._http.send(h11.Data(data=part)) async for part in request.stream]
            parts.append(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        await stream.write(b"".join(part for part in parts if part))

    async def _event(self, stream: httpcore.AsyncNetworkStream) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await stream.read(_PIECE)
                if not data and self._http.their_state is h11.SEND_RESPONSE:
                    raise httpcore.RemoteProtocolError("the connection was closed without an answer")
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from error
        return event


class _Body:
    """What httpcore's pool reads an answer by."""

    def __init__(self, connection: Connection, stream: httpcore.AsyncNetworkStream) -> None:
        self._connection = connection
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.body(self._stream)

    async def aclose(self) -> None:
        await self._connection.finished()
