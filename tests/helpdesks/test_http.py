"""The one way out, on real sockets."""

import asyncio
import gzip
import random
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trustme

from gateway.config.models import HttpHelpdeskSettings
from gateway.helpdesks.http import MOST_ANSWER, HelpdeskHttp, failure_outcome
from gateway.helpdesks.protocol import CallFailed
from gateway.model.action import OutcomeKind

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def served(
    serve: Serve,
    tls: ssl.SSLContext | None = None,
    **changes: object,
) -> AsyncIterator[tuple[HelpdeskHttp, str]]:
    """A server that does with each connection what ``serve`` does, and a way to it."""
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
                await writer.drain()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        except asyncio.CancelledError:
            writer.transport.abort()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
    url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    way = HelpdeskHttp(HttpHelpdeskSettings.model_validate({"kind": "osticket", "url": url, **changes}))
    try:
        yield way, url
    finally:
        await way.aclose()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close


async def head(reader: asyncio.StreamReader) -> bytes:
    """A request without its last blank line; its body, by Content-Length, is read too."""
    lines = await reader.readuntil(b"\r\n\r\n")
    for line in lines.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return lines


def reply(body: bytes, *lines: str, status: str = "201 Created") -> bytes:
    extra = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


async def failure(serve: Serve, *, timeout: float = 5.0) -> CallFailed:
    async with served(serve) as (way, url):
        with pytest.raises(CallFailed) as caught:
            await way.request("POST", url, headers={}, content=b"{}", timeout=timeout)
    return caught.value


async def test_an_answer_comes_whole_and_the_connection_is_used_again() -> None:
    connections = 0
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):
            seen.append(await head(reader))
            writer.write(reply(b"777564", "Set-Cookie: OSTSESSID=0; path=/", "X-Name: Value"))

    async with served(serve) as (way, url):
        for _ in range(3):
            answer = await way.request("POST", url, headers={"X-API-Key": "k"}, content=b"{}", timeout=5)
            assert (answer.status, answer.body, answer.headers["x-name"]) == (201, b"777564", "Value")
    assert connections == 1
    assert all(b"Accept-Encoding: identity\r\n" in one and b"X-API-Key: k\r\n" in one for one in seen)
    assert not any(b"cookie" in one.lower() for one in seen)


async def test_what_follows_an_answer_unasked_is_never_the_next_answer() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        while await head(reader):
            writer.write(reply(b"%d" % number) + reply(b"999"))

    async with served(serve) as (way, url):
        answers = [await way.request("POST", url, headers={}, content=b"{}", timeout=5) for _ in range(3)]
    assert [one.body for one in answers] == [b"1", b"2", b"3"]


async def test_hints_before_an_answer_are_passed_over() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await head(reader):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(b"777564"))

    async with served(serve) as (way, url):
        for _ in range(2):
            answer = await way.request("POST", url, headers={}, content=b"{}", timeout=5)
            assert (answer.status, answer.body) == (201, b"777564")


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b""], ids=["said", "unsaid"])
async def test_a_connection_that_the_helpdesk_closed_is_not_used_again(last: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 1\r\n" + last + b"\r\n1")

    async with served(serve) as (way, url):
        for _ in range(3):
            assert (await way.request("POST", url, headers={}, content=b"{}", timeout=5)).body == b"1"
            await asyncio.sleep(0.02)


async def test_a_long_body_goes_out_whole_and_lines_of_an_answer_are_joined() -> None:
    body = bytes(range(256)) * 8192

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        whole = await reader.readexactly(len(body))
        writer.write(reply(b"same" if whole == body else b"other", "X-Name: a", "x-name: \xe9"))

    async with served(serve) as (way, url):
        answer = await way.request("POST", url, headers={}, content=body, timeout=5)
    assert (answer.body, answer.headers["x-name"]) == (b"same", "a, \xe9")


@pytest.mark.parametrize("secured", [False, True], ids=["plain proxy", "proxy over TLS"])
async def test_https_goes_through_a_tunnel(secured: bool, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    tunnels: list[bytes] = []

    async def helpdesk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await head(reader):
            writer.write(reply(b"777564"))

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        tunnels.append(line)
        host, _, port = line.decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            far_writer.close()

    async with served(helpdesk, tls) as (_, url), served(tunnel, tls if secured else None) as (_, proxy):
        settings = {"kind": "osticket", "url": url, "proxy": proxy.removesuffix("/api"), "ca": str(tmp_path / "ca.pem")}
        way = HelpdeskHttp(HttpHelpdeskSettings.model_validate(settings))
        failed = None
        try:
            for _ in range(2):
                assert (await way.request("POST", url, headers={}, content=b"{}", timeout=5)).body == b"777564"
        except CallFailed as error:
            failed = error
        await way.aclose()
    assert failed is None
    assert len(tunnels) == 1


async def test_a_tunnel_that_is_refused_sent_nothing() -> None:
    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with served(tunnel) as (_, proxy):
        way = HelpdeskHttp(
            HttpHelpdeskSettings(kind="osticket", url="https://helpdesk.example", proxy=proxy.removesuffix("/api"))
        )
        with pytest.raises(CallFailed) as caught:
            await way.request("POST", "https://helpdesk.example/api", headers={}, timeout=5)
        await way.aclose()
    assert not caught.value.sent


async def test_a_request_on_an_open_connection_is_on_the_wire_within_its_first_turn() -> None:
    """Turns given away before it are filled with other work, while a place at the helpdesk stays empty."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        way = HelpdeskHttp(HttpHelpdeskSettings(kind="osticket", url=url))
        first = asyncio.ensure_future(way.request("POST", url, headers={}, content=b"{1}", timeout=5))
        other, _ = await loop.sock_accept(listener)
        with other:
            assert (await loop.sock_recv(other, 65536)).endswith(b"{1}")
            await loop.sock_sendall(other, reply(b"1"))
            assert (await first).body == b"1"
            second = asyncio.ensure_future(way.request("POST", url, headers={}, content=b"{2}", timeout=5))
            await asyncio.sleep(0)
            assert other.recv(65536).endswith(b"{2}")
            await loop.sock_sendall(other, reply(b"2"))
            assert (await second).body == b"2"
            await way.aclose()


async def test_an_idle_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.helpdesks.http._IDLE", 0.05)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await head(reader):
            writer.write(reply(b"1"))

    async with served(serve) as (way, url):
        for _ in range(2):
            await way.request("POST", url, headers={}, timeout=5)
            await way.request("POST", url, headers={}, timeout=5)
            await asyncio.sleep(0.1)
    assert connections == 2


async def test_whatever_is_answered_is_an_answer_or_an_unknown_outcome() -> None:
    draw = random.Random(7)
    start = b"HTTP/1.1 201 Created\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n777564"
    sent: list[bytes] = []
    failures: list[CallFailed] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(sent[-1])

    async with served(serve) as (way, url):
        for _ in range(200):
            lines = start.splitlines(keepends=True)
            for _ in range(draw.randrange(4)):
                del lines[draw.randrange(len(lines))]
            octets = bytearray(b"".join(lines))
            for _ in range(draw.randrange(4)):
                octets[draw.randrange(len(octets))] = draw.randrange(256)
            sent.append(bytes(octets))
            try:
                await way.request("POST", url, headers={}, content=b"{}", timeout=5)
            except CallFailed as failed:
                failures.append(failed)
    assert failures
    assert [failed for failed in failures if not failed.sent] == []


async def test_a_redirect_is_an_answer_and_the_key_goes_nowhere_else() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await head(reader):
            asked += 1
            writer.write(reply(b"", "Location: /elsewhere", status="307 Temporary Redirect"))

    async with served(serve) as (way, url):
        answer = await way.request("POST", url, headers={"X-API-Key": "k"}, content=b"{}", timeout=5)
    assert (answer.status, answer.headers["location"], asked) == (307, "/elsewhere", 1)


async def test_a_dripping_answer_ends_at_the_deadline_and_its_outcome_is_unknown() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"1")
            await writer.drain()
            await asyncio.sleep(0.02)

    started = asyncio.get_running_loop().time()
    caught = await failure(serve, timeout=0.3)
    assert caught.sent
    assert asyncio.get_running_loop().time() - started < 1.5


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
async def test_a_compression_bomb_is_cut(encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(bytes(50_000_000))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(reply(bomb, f"Content-Encoding: {'gzip' if encode is gzip.compress else 'deflate'}"))

    async with served(serve) as (way, url):
        answer = await way.request("POST", url, headers={}, timeout=5)
    assert answer.truncated
    assert len(answer.body) == MOST_ANSWER


async def test_an_unasked_compression_is_undone() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(reply(gzip.compress(b"777564"), "Content-Encoding: gzip"))

    async with served(serve) as (way, url):
        answer = await way.request("POST", url, headers={}, timeout=5)
    assert (answer.body, answer.truncated) == (b"777564", False)


async def test_an_endless_answer_is_cut() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with served(serve) as (way, url):
        answer = await way.request("POST", url, headers={}, timeout=5)
    assert (answer.truncated, len(answer.body)) == (True, MOST_ANSWER)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 201",
        b"HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\n777",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n777",
        b"this is not http\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nContent-Encoding: br\r\n\r\nabc",
    ],
)
async def test_a_broken_answer_leaves_the_outcome_unknown(start: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(start)
        await writer.drain()

    assert (await failure(serve)).sent


async def test_a_refused_connection_sent_nothing() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    way = HelpdeskHttp(HttpHelpdeskSettings(kind="osticket", url=f"http://127.0.0.1:{port}"))
    with pytest.raises(CallFailed) as caught:
        await way.request("POST", f"http://127.0.0.1:{port}/", headers={}, timeout=5)
    await way.aclose()
    assert not caught.value.sent


async def test_a_failed_tls_handshake_sent_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 The plain HTTP request\r\n\r\n")
        await writer.drain()

    async with served(serve) as (way, url):
        with pytest.raises(CallFailed) as caught:
            await way.request("POST", url.replace("http:", "https:"), headers={}, timeout=5)
    assert not caught.value.sent


async def test_only_the_configured_authority_is_believed(tmp_path: Path) -> None:
    ours, another = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(reply(b"777564"))

    async def status(**changes: object) -> int:
        async with served(serve, tls, **changes) as (way, url):
            return (await way.request("POST", url, headers={}, timeout=5)).status

    for name, authority in (("ours.pem", ours), ("another.pem", another)):
        authority.cert_pem.write_to_path(tmp_path / name)
    assert await status(ca=str(tmp_path / "ours.pem")) == 201
    assert await status(verify=False) == 201
    for changes in ({"ca": str(tmp_path / "another.pem")}, {}):
        with pytest.raises(CallFailed) as caught:
            await status(**changes)
        assert not caught.value.sent


async def test_waiting_for_a_free_connection_sent_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await asyncio.sleep(30)

    async with served(serve, limits={"concurrency": 1}) as (way, url):
        calls = (way.request("POST", url, headers={}, timeout=0.4) for _ in range(4))
        failed = [one for one in await asyncio.gather(*calls, return_exceptions=True) if isinstance(one, CallFailed)]
    assert sorted(one.sent for one in failed) == [False, True, True, True]


@pytest.mark.parametrize("url", ["ftp://helpdesk.example/", "http://[::1", "http://help desk/", "http:///x", "x"])
async def test_an_impossible_address_sent_nothing(url: str) -> None:
    way = HelpdeskHttp(HttpHelpdeskSettings(kind="osticket", url="http://127.0.0.1:1"))
    with pytest.raises(CallFailed) as caught:
        await way.request("POST", url, headers={}, timeout=5)
    await way.aclose()
    assert not caught.value.sent


NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
FAILURES = sorted(
    (
        one
        for one in vars(httpx).values()
        if isinstance(one, type) and issubclass(one, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError)
    ),
    key=lambda one: one.__name__,
)


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.__name__)
async def test_every_failure_of_httpx_is_judged(kind: type[Exception]) -> None:
    error: Exception
    if issubclass(kind, httpx.StreamConsumed | httpx.StreamClosed | httpx.ResponseNotRead | httpx.RequestNotRead):
        error = kind()
    elif kind is httpx.HTTPStatusError:
        request = httpx.Request("POST", "http://helpdesk.example")
        error = httpx.HTTPStatusError("x", request=request, response=httpx.Response(500))
    else:
        error = kind("the fault")

    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    settings = HttpHelpdeskSettings(kind="osticket", url="http://127.0.0.1:1")
    way = HelpdeskHttp(settings, httpx.MockTransport(fail))
    with pytest.raises(CallFailed) as caught:
        await way.request("POST", "http://127.0.0.1:1/", headers={}, timeout=5)
    sent = kind.__name__ not in NOT_SENT
    assert caught.value.sent is sent
    assert failure_outcome(caught.value).kind is (OutcomeKind.UNKNOWN if sent else OutcomeKind.NOT_SENT)


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(reply(b"1"))

    async with served(serve) as (way, url):
        assert (await way.request("POST", url, headers={}, timeout=5)).status == 201


async def test_a_configured_proxy_is_used() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await head(reader))
        writer.write(reply(b"1"))

    async with served(serve) as (_, proxy):
        way = HelpdeskHttp(
            HttpHelpdeskSettings(kind="osticket", url="http://helpdesk.example", proxy=proxy.removesuffix("/api")),
        )
        await way.request("POST", "http://helpdesk.example/api", headers={}, timeout=5)
        await way.aclose()
    assert seen[0].startswith(b"POST http://helpdesk.example/api ")


@pytest.mark.parametrize("changes", [{"proxy": "socks5://127.0.0.1:1"}, {"ca": "/nonexistent.pem"}])
async def test_a_proxy_or_authority_that_cannot_be_used_says_so(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        HelpdeskHttp(
            HttpHelpdeskSettings.model_validate({"kind": "osticket", "url": "https://helpdesk.example", **changes})
        )
