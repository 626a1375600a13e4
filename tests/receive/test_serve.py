import asyncio
import contextlib
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme

from gateway.config.models import HttpServer
from gateway.receive.connection import ConnectionLimits
from gateway.receive.serve import CannotListen, HttpServers
from tests.receive.support import BEARER, House, open_source, source

pytestmark = pytest.mark.anyio

POST = b"POST /in/open HTTP/1.1\r\nHost: gw\r\n"


def house(**http: object) -> House:
    return House({"open": open_source(), "closed": source()}, http)


@contextlib.asynccontextmanager
async def served(
    built: House, limits: ConnectionLimits | None = None, **settings: object
) -> AsyncIterator[HttpServers]:
    wanted = HttpServer.model_validate({"listen": "127.0.0.1:0", **settings})
    servers = HttpServers(
        built.app, wanted, limits or ConnectionLimits(), short_way=built.app.take, certificate_check=0.05
    )
    await servers.start()
    try:
        yield servers
    finally:
        await servers.stop(2.0)


def port_of(servers: HttpServers) -> int:
    return int(servers.addresses[0].rpartition(":")[2])


async def talk(port: int, *pieces: bytes, pause: float = 0.0, seconds: float = 5.0) -> bytes:
    """Send the pieces, then read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(seconds):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def mode(path: str) -> int | None:
    return stat.S_IMODE(Path(path).stat().st_mode) if Path(path).exists() else None


def occupy(path: str) -> None:
    Path(path).write_text("precious")


async def test_several_addresses_serve_one_gateway(tmp_path: Path) -> None:
    built, path = house(), str(tmp_path / "gw.sock")
    async with served(built, listen=["127.0.0.1:0", "[::1]:0", f"unix:{path}"]) as servers:
        first, second, third = servers.addresses
        assert (first[:17], second[:13], third) == ("http://127.0.0.1:", "http://[::1]:", f"unix:{path}")
        assert mode(path) == 0o660
        async with httpx.AsyncClient() as client:
            for address in (first, second):
                assert (await client.post(f"{address}/in/open", content=b"{}")).status_code == 202
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=path)) as client:
            assert (await client.post("http://gw/in/open", content=b"[]")).status_code == 202
    assert [receipt.peer for receipt in built.desk.receipts] == ["127.0.0.1", ""]  # the second was a repeat
    assert mode(path) is None


async def test_a_stale_socket_is_replaced_and_one_that_is_served_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "gw.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    async with served(house(), listen=f"unix:{path}"):
        with pytest.raises(CannotListen, match="another process serves it"):
            await HttpServers(house().app, HttpServer(listen=f"unix:{path}")).start()
    occupy(path)
    with pytest.raises(CannotListen, match="another file"):
        await HttpServers(house().app, HttpServer(listen=f"unix:{path}")).start()


async def test_a_taken_port_is_named() -> None:
    async with served(house()) as servers:
        with pytest.raises(CannotListen, match=str(port_of(servers))):
            await HttpServers(house().app, HttpServer(listen=f"127.0.0.1:{port_of(servers)}")).start()


async def test_a_body_declared_too_large_is_refused_without_reading_it() -> None:
    async with served(house(max_body="1MiB")) as servers:
        answer = await talk(port_of(servers), POST + b"Content-Length: 100000000000000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_endless_chunked_body_is_cut_off() -> None:
    built = house(max_body="100kB")
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    async with served(built) as servers:
        answer = await talk(port_of(servers), POST + b"Transfer-Encoding: chunked\r\n\r\n", *([chunk] * 60))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert built.admission.in_flight == 0


async def test_a_slow_body_meets_the_deadline() -> None:
    async with served(house(body_timeout="300ms")) as servers:
        answer = await talk(port_of(servers), POST + b"Content-Length: 100\r\n\r\n", *([b"x"] * 20), pause=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_slow_headers_meet_the_deadline() -> None:
    limits = ConnectionLimits(header_timeout=0.2)
    async with served(house(), limits) as servers:
        begun = asyncio.get_running_loop().time()
        assert await talk(port_of(servers), b"POST /in/open HT", *([b"x"] * 10), pause=0.05) == b""
        assert await talk(port_of(servers)) == b""
        assert asyncio.get_running_loop().time() - begun < 3
    assert limits.open == 0


async def test_too_many_or_too_large_headers_are_refused() -> None:
    async with served(house()) as servers:
        many = await talk(port_of(servers), POST + b"X-A: 1\r\n" * 200 + b"Content-Length: 0\r\n\r\n")
        large = await talk(port_of(servers), POST, *([b"X-A: " + b"a" * 30_000 + b"\r\n"] * 4))
        endless = await talk(port_of(servers), b"POST /" + b"a" * 100_000)
    for answer in (many, large, endless):
        assert answer.startswith(b"HTTP/1.1 4") or answer == b""
        assert b" 202 " not in answer
    assert many.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\n",
        POST + b"Content-Length: 0\r\nContent-Length: 30\r\n\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
        POST + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
        POST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET @evil.example HTTP/1.1\r\nHost: gw\r\n\r\n",
    ],
)
async def test_ambiguous_requests_get_one_refusal_and_no_second_answer(request_bytes: bytes) -> None:
    built = house()
    async with served(built) as servers:
        answer = await talk(port_of(servers), request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert not built.desk.receipts


async def test_pipelined_requests_are_answered_in_order_and_garbage_after_them_last() -> None:
    built = house()
    built.desk.hold = asyncio.Event()
    async with served(built) as servers:
        one = POST + b"Content-Length: 1\r\n\r\n1"
        conversation = asyncio.create_task(talk(port_of(servers), one, b"GARBAGE\r\n\r\n", pause=0.05))
        await asyncio.sleep(0.2)
        built.desk.hold.set()
        answer = await conversation
        assert answer.startswith(b"HTTP/1.1 202 ")
        last = POST + b"Connection: close\r\nContent-Length: 1\r\n\r\n3"
        two = await talk(port_of(servers), POST + b"Content-Length: 1\r\n\r\n2" + last)
    assert two.count(b"HTTP/1.1 202 ") == 2
    assert [receipt.body for receipt in built.desk.receipts] == [b"1", b"2", b"3"]


async def test_connections_beyond_the_cap_are_told_so_and_places_come_back() -> None:
    async with served(house(), max_connections=2) as servers:
        idle = [await asyncio.open_connection("127.0.0.1", port_of(servers)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await talk(port_of(servers), b"")).startswith(b"HTTP/1.1 503 ")
        for _reader, writer in idle:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        answer = await talk(port_of(servers), POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 202 ")


async def test_many_connections_at_once_are_all_answered() -> None:
    built = house()
    async with served(built) as servers:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=servers.addresses[0], limits=limits, headers=BEARER) as client:
            answers = await asyncio.gather(*(client.post("/in/closed", content=b"%d" % n) for n in range(150)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == len(built.desk.receipts) == 150


async def test_a_refusal_reaches_a_sender_that_is_still_sending() -> None:
    async with served(house()) as servers:
        header = b"POST /in/closed HTTP/1.1\r\nHost: gw\r\nContent-Length: 900000\r\n\r\n"
        answer = await talk(port_of(servers), header, *([b"x" * 90_000] * 10))
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_stopping_finishes_what_is_in_flight_and_then_closes() -> None:
    built = house()
    built.desk.hold = asyncio.Event()
    servers = HttpServers(built.app, HttpServer(listen="127.0.0.1:0"), short_way=built.app.take)
    await servers.start()
    port = port_of(servers)
    running = asyncio.create_task(talk(port, POST + b"Content-Length: 2\r\n\r\n{}"))
    await built.desk.entered.wait()
    stop = asyncio.create_task(servers.stop(5.0))
    await asyncio.sleep(0.3)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    built.desk.hold.set()
    assert (await running).startswith(b"HTTP/1.1 202 ")
    await stop


async def test_a_request_that_outlasts_the_stop_is_answered_with_503() -> None:
    built = house()
    built.desk.hold = asyncio.Event()
    servers = HttpServers(built.app, HttpServer(listen="127.0.0.1:0"), short_way=built.app.take)
    await servers.start()
    running = asyncio.create_task(talk(port_of(servers), POST + b"Content-Length: 2\r\n\r\n{}"))
    await built.desk.entered.wait()
    await servers.stop(0.0)
    assert (await running).startswith(b"HTTP/1.1 503 ")


def write_pair(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return cert, key


async def serial(port: int, authority: trustme.CA) -> str:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    peer = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return str(peer["serialNumber"])


async def test_a_new_certificate_is_served_without_a_restart_and_half_a_pair_is_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    cert, key = write_pair(authority, tmp_path)
    built = house()
    async with served(built, tls={"cert": str(cert), "key": str(key)}) as servers:
        assert servers.addresses[0].startswith("https://127.0.0.1:")
        context = ssl.create_default_context()
        authority.configure_trust(context)
        async with httpx.AsyncClient(verify=context) as client:
            assert (await client.post(f"{servers.addresses[0]}/in/open", content=b"{}")).status_code == 202
        first = await serial(port_of(servers), authority)
        old_key = key.read_bytes()
        write_pair(authority, tmp_path)
        new_key = key.read_bytes()
        key.write_bytes(old_key)
        assert not servers.reload_certificate()
        assert await serial(port_of(servers), authority) == first
        key.write_bytes(new_key)
        async with asyncio.timeout(5):
            seen = {first}
            for pause in (0.05,) * 90:
                await asyncio.sleep(pause)
                seen.add(await serial(port_of(servers), authority))
                if len(seen) == 2:
                    break
            assert len(seen) == 2


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = HttpServer.model_validate({"tls": {"cert": str(tmp_path / "no.pem"), "key": "no"}})
    with pytest.raises(CannotListen, match=r"no\.pem"):
        await HttpServers(house().app, settings).start()
