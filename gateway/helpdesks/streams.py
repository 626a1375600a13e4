"""The sockets under httpcore: asyncio's transports as they are, in place of the streams of anyio.

A call is one write, one wait and one read. httpcore hands over head and body one by one and then reads, so what it
writes is kept until it reads, and head and body leave as one.
"""

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import cast

import httpcore

from gateway.helpdesks.dial import dial

_MOST_UNREAD = 256 * 1024
"""Octets that may wait to be read before the other side is made to wait."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """`httpcore.AsyncNetworkBackend` for the running event loop, asyncio's own or uvloop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - never set by a helpdesk; httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of ``host`` that answers.

        Raises:
            httpcore.ConnectError: no address, or none that answers.
            httpcore.ConnectTimeout: none did within ``timeout`` seconds.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                connected = await dial(host, port)
                try:
                    for option in socket_options or ():
                        connected.setsockopt(*option)
                    _, protocol = await loop.create_connection(_Protocol, sock=connected)
                except BaseException:
                    connected.close()
                    raise
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(protocol)


class _Protocol(asyncio.Protocol):
    """What has come in, and who waits for it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.unread = bytearray()
        self.ended = False
        self.fault: Exception | None = None
        self._paused = False
        self._reader: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is not derived from it

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.fault = exc
        self._wake()

    async def take(self, most: int) -> bytes:
        """What is there, at most ``most`` octets of it; waits for something. Empty at the end."""
        while not self.unread and not self.ended:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if not self.unread and self.fault is not None:
            raise httpcore.ReadError(str(self.fault)) from self.fault
        taken = bytes(self.unread[:most])
        del self.unread[:most]
        if self._paused and len(self.unread) <= _MOST_UNREAD // 2 and not self.ended:
            self._paused = False
            self.transport.resume_reading()
        return taken

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol
        self._unsent: list[bytes] = []
        self._poll = select.poll()
        self._poll.register(protocol.transport.get_extra_info("socket"), select.POLLIN)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            self._send()
        if timeout is None:
            return await self._protocol.take(max_bytes)
        try:
            async with asyncio.timeout(timeout):
                return await self._protocol.take(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - never waits
        # Nor does it wait for room: the whole request is in memory anyway, and `read` waits for it to have gone.
        if buffer:
            self._unsent.append(buffer)

    async def aclose(self) -> None:
        # Not `close`, which would go on sending what is left of a request whose deadline has passed.
        self._unsent.clear()
        self._protocol.transport.abort()
        await asyncio.sleep(0)  # the socket is closed with the loop's next turn

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop, protocol = asyncio.get_running_loop(), self._protocol
        if self._unsent:
            self._send()
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(
                    protocol.transport, protocol, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(str(error)) from error
            if isinstance(error, (OSError, ValueError)):
                raise httpcore.ConnectError(str(error)) from error
            raise
        if secured is None:
            raise httpcore.ConnectError("the connection was lost in the TLS handshake")
        protocol.transport = secured
        return _Stream(protocol)

    def get_extra_info(self, info: str) -> object:
        """``is_readable`` and ``ssl_object`` are what httpcore asks for."""
        if info == "is_readable":  # asked of an idle connection, where it means: closed, or out of step
            return self._protocol.ended or bool(self._protocol.unread) or bool(self._poll.poll(0))
        return self._protocol.transport.get_extra_info(info)

    def _send(self) -> None:
        whole = b"".join(self._unsent)
        self._unsent.clear()
        if not self._protocol.ended:
            self._protocol.transport.write(whole)
