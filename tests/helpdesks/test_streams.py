"""The streams under the way out, on real sockets and on both event loops."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import httpcore
import pytest
import trustme

from gateway.helpdesks.streams import AsyncioBackend

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def served(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def whole(stream: httpcore.AsyncNetworkStream, most: int = 65536) -> list[bytes]:
    """All that comes, piece by piece."""
    pieces = []
    while piece := await stream.read(most, timeout=5):
        pieces.append(piece)
    return pieces


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that answers no attempt to connect: its queue is full, and what more comes is dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield listener.getsockname()[1]


async def test_what_is_written_leaves_with_the_next_read_and_in_one() -> None:
    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.set_result(await reader.read(65536))
        writer.write(b"answer")
        await writer.drain()

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        await stream.write(b"head")
        await asyncio.sleep(0.02)
        assert not first.done()
        await stream.write(b"")
        await stream.write(b"body")
        assert await stream.read(65536) == b"answer"
        assert await first == b"headbody"
        await stream.aclose()


async def test_a_write_is_on_the_wire_before_the_turn_of_the_loop_ends() -> None:
    """Others have work of their own in the same turn; the request does not wait for it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", listener.getsockname()[1], timeout=5)
        other, _ = listener.accept()
        with other:
            other.settimeout(2)
            await stream.write(b"request")
            seen: list[bytes] = []
            reading = asyncio.ensure_future(stream.read(100, timeout=0.2))
            asyncio.get_running_loop().call_soon(
                lambda: seen.append(other.recv(100))
            )  # holds the loop in the same turn
            with pytest.raises(httpcore.ReadTimeout):
                await reading
            assert seen == [b"request"]
            await stream.aclose()


async def test_reads_are_bounded_and_end_empty() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"0123456789")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        pieces = await whole(stream, 4)
        assert (b"".join(pieces), max(map(len, pieces))) == (b"0123456789", 4)
        assert await stream.read(4) == b""
        await stream.aclose()


async def test_who_sends_more_than_is_read_has_to_wait_and_nothing_is_lost() -> None:
    sent = 0
    size = 32 * 1024 * 1024

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < size:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536
        writer.write_eof()
        await reader.read()

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        first = await stream.read(1, timeout=5)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < size
        assert len(first) + sum(map(len, await whole(stream))) == size
        await stream.aclose()


async def test_a_broken_connection_is_a_failed_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        await stream.write(b"request")
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, timeout=5)
        await stream.write(b"more")
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, timeout=5)
        await stream.aclose()


async def test_an_idle_stream_tells_that_it_was_closed_or_spoken_to() -> None:
    for last in (b"", b"unasked"):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", listener.getsockname()[1], timeout=5)
            assert not stream.get_extra_info("is_readable")
            other, _ = listener.accept()
            with other:
                other.sendall(last)
                other.shutdown(socket.SHUT_WR)
                assert stream.get_extra_info("is_readable")  # at once, before the loop has had a look
                await asyncio.sleep(0.02)
                assert stream.get_extra_info("is_readable")
            await stream.aclose()


async def test_what_was_not_sent_is_not_sent_after_the_end() -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.read())

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        await stream.write(b"request")
        await stream.aclose()
        await stream.aclose()
        assert await asyncio.wait_for(got, 5) == b""


async def test_a_timeout_of_a_read_is_kept() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, timeout=0.05)
        await stream.aclose()


async def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    with deaf() as port, pytest.raises(httpcore.ConnectTimeout):
        await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=0.2)


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 70 + ".example", "127.0.0.1"])
async def test_no_address_or_no_listener_is_a_failed_connect(host: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(httpcore.ConnectError):
            await AsyncioBackend().connect_tcp(host, closed.getsockname()[1], timeout=5)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_next_address_is_tried_beside_a_deaf_one_and_after_a_refusing_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        await writer.drain()
        await reader.read()

    with deaf() as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with served(serve) as port:
            ports = [closed.getsockname()[1], silent, port]

            async def found(*_: object, **__: object) -> list[object]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in ports]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
            stream = await AsyncioBackend().connect_tcp("helpdesk.example", 80, timeout=3)
            assert await stream.read(10, timeout=3) == b"here"
            await stream.aclose()
            ports.remove(port)
            with pytest.raises(httpcore.ConnectTimeout):
                await AsyncioBackend().connect_tcp("helpdesk.example", 80, timeout=0.5)
            ports.remove(silent)
            ports.append(ports[0])
            with pytest.raises(httpcore.ConnectError):
                await AsyncioBackend().connect_tcp("helpdesk.example", 80, timeout=3)


async def test_tls_carries_much_both_ways_and_believes_only_its_authority() -> None:
    authority, another = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    size = 3_000_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(await reader.readexactly(size))
            await writer.drain()

    async def secured(port: int, believed: trustme.CA) -> httpcore.AsyncNetworkStream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        believed.configure_trust(context)
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        return await stream.start_tls(context, "127.0.0.1", timeout=5)

    async with served(serve, server) as port:
        stream = await secured(port, authority)
        assert isinstance(stream.get_extra_info("ssl_object"), ssl.SSLObject)
        for octet in (b"a", b"b"):
            await stream.write(octet * size)
            got = 0
            while got < size:
                piece = await stream.read(65536, timeout=5)
                assert piece == octet * len(piece) != b""
                got += len(piece)
        await stream.aclose()
        with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await secured(port, another)


async def test_a_handshake_that_does_not_come_or_makes_no_sense_is_a_failed_connect() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.sleep(30)

    async def foreign(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    for serve, fault in (
        (silent, httpcore.ConnectTimeout),
        (foreign, httpcore.ConnectError),
        (gone, httpcore.ConnectError),
    ):
        async with served(serve) as port:
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
            with pytest.raises(fault):
                await stream.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "127.0.0.1", timeout=0.2)
