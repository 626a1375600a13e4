"""Listening for mail: TCP and unix sockets, implicit TLS, time limits of sessions, a graceful stop."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.config.listen import listens
from gateway.config.models import LmtpServer, SmtpServer, Tls
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission
from gateway.receive.networks import parse_networks
from gateway.receive.serve import CannotListen, Certificate, bind, unlink_own
from gateway.receive.smtp.auth import Users
from gateway.receive.smtp.connection import Phase
from gateway.receive.smtp.house import STOPPING, House
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.peers import Peers
from gateway.receive.smtp.session import Session

_SWEEP = 1.0
_LOOK = 0.02


def hostname_of(settings: SmtpServer | LmtpServer) -> str:
    """The name in the greeting. The machine's own name is not looked up in the DNS, which may take long."""
    name = settings.hostname or socket.gethostname()
    return name if name.isascii() and name.isprintable() and " " not in name else "localhost"


class MailServer:
    """One mail door on all its addresses.

    ``addresses`` are those that are bound, as URLs (``smtp://127.0.0.1:2525``, ``smtps://[::1]:465``,
    ``lmtp:unix:/path``), after `start`.
    """

    def __init__(
        self,
        settings: SmtpServer | LmtpServer,
        mailroom: Mailroom,
        *,
        admission: Admission,
        metrics: Metrics,
        on_broken: Callable[[BaseException], None] = lambda _error: None,
        sweep: float = _SWEEP,
    ) -> None:
        """``admission`` is the one of the HTTP door: disk, queue and bytes in flight are bounded over all doors.

        ``on_broken`` is told once the journal is lost. ``sweep`` is how often time limits are looked at, in seconds.
        """
        self._settings = settings
        self._parts = (mailroom, admission, metrics, on_broken)
        self._sweep_every = sweep
        self._sessions: set[Session] = set()
        self._servers: list[asyncio.Server] = []
        self._paths: list[tuple[str, int]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._certificate: Certificate | None = None
        self._house: House | None = None
        self.addresses: list[str] = []

    async def start(self) -> None:
        """Bind everything, then serve.

        Raises:
            CannotListen: if an address or the certificate fails; then nothing is bound.
            ValueError: for an address, network or password hash that cannot be read.
        """
        settings = self._settings
        loop = asyncio.get_running_loop()
        tls = settings.tls if isinstance(settings, SmtpServer) else None
        self._certificate = None if tls is None else Certificate(tls)
        house = self._house = self._build(loop)
        plain = listens(settings.listen)
        secure = listens(settings.listen_tls) if isinstance(settings, SmtpServer) else ()
        _check(settings, tls, secure=bool(secure))
        try:
            for address, wrapped in (*((each, False) for each in plain), *((each, True) for each in secure)):
                for listener in bind(address):
                    await self._serve(loop, house, listener, address.unix, wrapped=wrapped)
        except BaseException:
            await self.stop(0.0)
            raise
        self._tasks.append(loop.create_task(self._sweep(loop), name="mail sessions"))
        if self._certificate is not None:
            self._tasks.append(loop.create_task(self._certificate.watch(), name="mail certificate"))

    def _build(self, loop: asyncio.AbstractEventLoop) -> House:
        settings = self._settings
        mailroom, admission, metrics, on_broken = self._parts
        house = House(
            door="lmtp" if isinstance(settings, LmtpServer) else "smtp",
            hostname=hostname_of(settings).encode(),
            limits=settings.limits,
            max_message=settings.max_message,
            mailroom=mailroom,
            admission=admission,
            metrics=metrics,
            peers=Peers(settings.limits, loop.time),
            networks=parse_networks(settings.networks),
            on_broken=on_broken,
        )
        if isinstance(settings, SmtpServer):
            house.proxies = parse_networks(settings.proxy_protocol)
            house.require_tls = settings.require_tls
            house.tls = self._certificate.context if self._certificate is not None and settings.starttls else None
            if settings.auth is not None:
                house.users = Users(settings.auth.users)
                house.auth_required = settings.auth.required
                house.auth_on_loopback = settings.auth.without_tls_on_loopback
        return house

    async def _serve(
        self, loop: asyncio.AbstractEventLoop, house: House, listener: socket.socket, path: str, *, wrapped: bool
    ) -> None:
        context = self._certificate.context if wrapped and self._certificate is not None else None
        timeout = house.limits.handshake if context is not None else None
        make = partial(self._session, house, loop)
        scheme = f"{house.door}s" if wrapped else house.door
        if path:
            self._paths.append((path, _inode(path)))
            self._servers.append(
                await loop.create_unix_server(make, sock=listener, ssl=context, ssl_handshake_timeout=timeout)
            )
            self.addresses.append(f"{scheme}:unix:{path}")
            return
        host, port = listener.getsockname()[:2]
        self._servers.append(await loop.create_server(make, sock=listener, ssl=context, ssl_handshake_timeout=timeout))
        self.addresses.append(f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}")

    def _session(self, house: House, loop: asyncio.AbstractEventLoop) -> Session:
        session = Session(house, loop=loop)
        self._sessions.add(session)
        return session

    async def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """One look at all deadlines instead of a timer per connection, which every command would have to move."""
        while True:
            await asyncio.sleep(self._sweep_every)
            now = loop.time()
            for session in list(self._sessions):
                if session.phase is Phase.GONE:
                    self._sessions.discard(session)
                elif session.deadline <= now:
                    session.expire()

    def replace(self, mailroom: Mailroom) -> None:
        """After a reload: from now on these recipients are ours. Messages under way go where they were told to go."""
        if self._house is not None:
            self._house.mailroom = mailroom

    def reload_certificate(self) -> bool:
        """Read the certificate again now (SIGHUP); true if there is none to read."""
        return self._certificate is None or self._certificate.reload()

    async def stop(self, patience: float = 10.0) -> None:
        """Stop accepting, tell idle clients 421, let messages under way finish for ``patience`` seconds, end the rest."""
        house = self._house
        if house is None:
            return
        house.stopping = True
        for server in self._servers:
            server.close()
        for path, inode in self._paths:
            unlink_own(path, inode)
        for session in list(self._sessions):
            session.dismiss()
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while any(session.phase in {Phase.TEXT, Phase.BUSY} for session in self._sessions) and loop.time() < end:  # noqa: ASYNC110 - many sessions, each at its own pace
            await asyncio.sleep(_LOOK)
        for session in list(self._sessions):
            session.close(STOPPING)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(_LOOK if self._sessions else 0)  # last words leave
        for session in list(self._sessions):
            session.abort()
        work = list(house.tasks)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        if house.users is not None:
            house.users.close()
        for left in (self._sessions, self._servers, self._paths, self._tasks, self.addresses):
            left.clear()
        self._house = None


def _inode(path: str) -> int:
    return Path(path).stat().st_ino


def _check(settings: SmtpServer | LmtpServer, tls: Tls | None, *, secure: bool) -> None:
    if not isinstance(settings, SmtpServer):
        return
    if tls is None and (secure or settings.require_tls):
        raise CannotListen("server.smtp wants TLS and has no certificate; fill in server.smtp.tls")
    if settings.require_tls and not settings.starttls and listens(settings.listen):
        raise CannotListen(
            "server.smtp.require_tls leaves no way in at `listen` while starttls is off; use `listen_tls`"
        )
