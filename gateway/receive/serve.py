"""Listening: TCP over IPv4 and IPv6, unix sockets, TLS with certificates that are read again when they change."""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.config.listen import Listen, listens
from gateway.config.models import HttpServer, Tls
from gateway.receive.connection import BoundedConnection, ConnectionLimits, connection_class
from gateway.receive.whole import ShortWay

_BACKLOG = 2048
_KEEP_ALIVE = 30
_MOST_HANDLES = 65536
_CERTIFICATE_CHECK = 2.0


_RESERVED = 40
"""File handles that are kept for journal, bodies, helpdesks and the parsing process."""


def connections_possible() -> int:
    """How many connections leave the rest of the gateway the file handles that it needs.

    The soft limit of this process is raised towards the hard one first, as servers do.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_HANDLES if hard == resource.RLIM_INFINITY else min(hard, _MOST_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return _MOST_HANDLES if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVED)


class CannotListen(Exception):
    """An address cannot be listened on, or a certificate cannot be read. The message names it and the fault."""


def _bind_tcp(address: Listen) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise CannotListen(f"cannot listen on {address.host}:{address.port}: {error}") from error
    bound: list[socket.socket] = []
    port = address.port
    for family, kind, protocol, _name, target in dict.fromkeys(found):
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((target[0], port, *target[2:]))
            listener.listen(_BACKLOG)
        except OSError as error:
            for other in (listener, *bound):
                other.close()
            raise CannotListen(f"cannot listen on {target[0]} port {port}: {error.strerror}") from error
        listener.setblocking(False)
        port = listener.getsockname()[1]  # port 0: the same for both families
        bound.append(listener)
    return bound


def _bind_unix(path: str) -> socket.socket:
    """A unix socket for owner and group. A stale one is removed; one that answers, or another kind of file, is not."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mask = os.umask(0o117)  # never open wider, not even for a moment
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on unix:{path}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _remove_stale(path: str) -> None:
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"cannot listen on unix:{path}: there is another file of this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)
            return
        except OSError as error:
            raise CannotListen(f"cannot listen on unix:{path}: {error.strerror or error}") from error
    raise CannotListen(f"cannot listen on unix:{path}: another process serves it")


def bind(address: Listen) -> list[socket.socket]:
    """Sockets that listen on an address: one of a unix socket, one per family of a host and port.

    Raises:
        CannotListen: with the address and the fault; then nothing is bound.
    """
    return [_bind_unix(address.unix)] if address.unix else _bind_tcp(address)


def unlink_own(path: str, inode: int) -> None:
    """Remove our unix socket's file, but not one that a successor has put in its place."""
    with contextlib.suppress(OSError):
        if Path(path).stat().st_ino == inode:
            Path(path).unlink()


class Certificate:
    """A TLS context whose certificate is replaced in place: new handshakes get the new one, connections stay."""

    def __init__(self, settings: Tls) -> None:
        self._settings = settings
        self.context = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._seen = self._state()

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        try:
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._settings.cert, self._settings.key, password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise CannotListen(
                f"cannot use the certificate {self._settings.cert} with the key {self._settings.key}: {error}"
            ) from error
        return context

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        states = []
        for path in (self._settings.cert, self._settings.key):
            try:
                status = Path(path).stat()
                states.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                states.append((0, 0, 0))
        return tuple(states)

    def reload(self) -> bool:
        """Read the files again. False, with a log line, if they do not make a pair; then the old one stays."""
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # half a renewal must not touch the live context
            self._load(self.context)
        except CannotListen as error:
            structlog.get_logger().error("the certificate was not replaced", detail=str(error))
            return False
        structlog.get_logger().info("the certificate was replaced", cert=self._settings.cert)
        return True

    async def watch(self, every: float = _CERTIFICATE_CHECK) -> None:
        """Reload for ever whenever a file changes; a failed one is tried again at the next look."""
        while True:
            await asyncio.sleep(every)
            state = self._state()
            if state != self._seen and self.reload():
                self._seen = state


def _no_password() -> str:
    raise ValueError("the key has a passphrase; keys must be readable without one")


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals belong to the whole gateway."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:
            self.listening.set()  # also when it could not start: then the task says why

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class _Running:
    server: _Server
    task: "asyncio.Task[None]"
    path: str = ""
    inode: int = 0


@dataclass(slots=True)
class HttpServers:
    """Serves one application on all configured addresses; ``short_way`` is its way for requests that come whole.

    ``addresses`` are those that are bound, as URLs (``http://127.0.0.1:8025``, ``unix:/path``), after `start`.
    """

    app: ASGIApp
    settings: HttpServer
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    short_way: ShortWay | None = None
    certificate_check: float = _CERTIFICATE_CHECK
    addresses: list[str] = field(default_factory=list)
    _running: list[_Running] = field(default_factory=list)
    _watch: "asyncio.Task[None] | None" = None
    certificate: Certificate | None = None

    async def start(self) -> None:
        """Bind everything, then serve.

        Raises:
            CannotListen: if an address or the certificate fails; then nothing is bound.
            ValueError: for an address that cannot be read.
        """
        self.limits.most = min(self.settings.max_connections, connections_possible())
        if self.settings.tls is not None:
            self.certificate = Certificate(self.settings.tls)
        bound = self._bind()
        for path, listeners in bound:
            self._serve(path, listeners)
        await asyncio.gather(*(running.server.listening.wait() for running in self._running))
        for running in self._running:
            if running.task.done():
                await self.stop(0.0)
                running.task.result()
        if self.certificate is not None:
            self._watch = asyncio.create_task(self.certificate.watch(self.certificate_check))

    def _bind(self) -> list[tuple[str, list[socket.socket]]]:
        wanted = listens(self.settings.listen)
        bound: list[tuple[str, list[socket.socket]]] = []
        try:
            for address in wanted:
                sockets = bind(address)
                bound.append((address.unix, sockets))
        except CannotListen:
            for path, sockets in bound:
                for listener in sockets:
                    listener.close()
                if path:
                    Path(path).unlink(missing_ok=True)
            raise
        return bound

    def _serve(self, path: str, listeners: Sequence[socket.socket]) -> None:
        secure = self.certificate if not path else None  # who reaches the socket's file needs no TLS
        scheme = "https" if secure else "http"
        config = uvicorn.Config(
            self.app,
            http=connection_class(self.limits, self.short_way),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_context_factory=(lambda _config, _default: secure.context) if secure else None,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=list(listeners)))
        inode = Path(path).stat().st_ino if path else 0
        self._running.append(_Running(server, task, path, inode))
        if path:
            self.addresses.append(f"unix:{path}")
        for listener in listeners if not path else ():
            host, port = listener.getsockname()[:2]
            self.addresses.append(f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}")

    def reload_certificate(self) -> bool:
        """Read the certificate again now (SIGHUP); true if there is none to read."""
        return self.certificate is None or self.certificate.reload()

    async def stop(self, patience: float = 10.0) -> None:
        """Stop accepting, let requests finish for ``patience`` seconds, then end what is left."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        for running in self._running:
            running.server.config.timeout_graceful_shutdown = max(0, int(patience))
            running.server.should_exit = True
        await asyncio.gather(*(running.task for running in self._running), return_exceptions=True)
        connections = [one for running in self._running for one in running.server.server_state.connections]
        for connection in connections:
            if isinstance(connection, BoundedConnection):
                await connection.leave()
        await asyncio.sleep(0)  # what was written last goes out
        for connection in connections:
            connection.transport.abort()
        for running in self._running:
            if running.path:
                unlink_own(running.path, running.inode)
        self._running.clear()
        self.addresses.clear()
