"""The sandbox as a program of its own."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings
from gateway.sandbox.app import HOME, sandbox_app
from gateway.sandbox.sandbox import Sandbox


class _Server(uvicorn.Server):
    """Tells when it is ready; the address is known only then if the port was 0."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}{HOME}")


async def serve_sandbox(
    listen: str,
    folder: Path | None,
    *,
    osticket: OsTicketSettings | None = None,
    mail: str = "",
    on_ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve at ``listen`` (`HOST:PORT`, an IPv6 address in brackets) until SIGINT, SIGTERM or cancellation.

    ``mail`` is where mail is taken too, nowhere if it is empty.
    ``on_ready`` is given the page's address. Requests that hang because of a fault end after a second.
    """
    host, _, port = listen.rpartition(":")
    sandbox = Sandbox(folder, osticket=osticket)
    config = uvicorn.Config(
        sandbox_app(sandbox),
        host=host.strip("[]"),
        port=int(port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    try:
        if mail:
            mail_host, _, mail_port = mail.rpartition(":")
            await sandbox.smtp.listen(mail_host.strip("[]"), int(mail_port))
        await _Server(config, on_ready).serve()
    finally:
        await sandbox.close()


def run_sandbox(
    host: str,
    port: int,
    folder: Path | None,
    *,
    on_ready: Callable[[str], None],
    osticket: OsTicketSettings | None = None,
    mail: str = "",
) -> None:
    """Serve with uvicorn until SIGINT or SIGTERM, then return. Port 0 takes a free one; ``on_ready`` is told which.

    ``mail``: as in `serve_sandbox`.
    """
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Uvicorn raises the signal again when it has stopped; by then there is nothing left to do."""

    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)} if in_main else {}
    try:
        loop_factory = uvicorn.Config(lambda: None, loop="auto").get_loop_factory()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve_sandbox(listen, folder, osticket=osticket, mail=mail, on_ready=on_ready))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
