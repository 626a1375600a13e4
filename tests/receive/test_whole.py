"""The short way of requests that come whole says and does what the usual way does."""

import asyncio
import re
from dataclasses import dataclass

import pytest

from gateway.config.models import Auth, HttpServer
from gateway.config.values import Secret
from gateway.journal.protocol import JournalBroken, JournalFull
from gateway.receive.intake import IntakeClosed
from gateway.receive.serve import HttpServers
from gateway.receive.whole import Whole
from tests.receive.support import House, open_source, source
from tests.receive.test_serve import port_of, talk

pytestmark = pytest.mark.anyio

_IDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
KEY = b"Authorization: Bearer right-token\r\n"


def post(
    path: bytes, body: bytes = b'{"title": "x"}', *lines: bytes, last: bool = True, version: bytes = b"1.1"
) -> bytes:
    close = b"Connection: close\r\n" if last else b""
    length = b"Content-Length: %d\r\n" % len(body) if not any(b"chunked" in line for line in lines) else b""
    return b"POST %b HTTP/%b\r\nHost: gw\r\n%b%b%b\r\n%b" % (path, version, b"".join(lines), length, close, body)


REQUESTS = {
    "open": post(b"/in/open"),
    "with its token": post(b"/in/closed", b'{"title": "x"}', KEY),
    "wrong token": post(b"/in/closed", b'{"title": "x"}', b"Authorization: Bearer wrong\r\n"),
    "no token": post(b"/in/closed"),
    "unknown source": post(b"/in/nobody"),
    "no source": post(b"/in/"),
    "token in the path": post(b"/in/path/the-path-token"),
    "token in the query": post(b"/in/query?token=the-query-token&a=b"),
    "escaped path": post(b"/in/op%65n"),
    "absolute target": post(b"http://gw/in/open"),
    "fragment": post(b"/in/open#part"),
    "not JSON": post(b"/in/open", b'{"title": '),
    "too large": post(b"/in/small", b"x" * 101),
    "empty": post(b"/in/open", b""),
    "compressed": post(b"/in/open", b"{}", b"Content-Encoding: gzip\r\n"),
    "wants to wait": post(b"/in/open", b'{"title": "x"}', b"Prefer: wait=1\r\n"),
    "source that waits": post(b"/in/waits"),
    "source with a rate": post(b"/in/rated"),
    "wrong network": post(b"/in/far"),
    "chunked": post(b"/in/open", b'e\r\n{"title": "x"}\r\n0\r\n\r\n', b"Transfer-Encoding: chunked\r\n"),
    "HTTP/1.0": post(b"/in/open", version=b"1.0"),
    "upgrade": post(b"/in/open", b"{}", b"Connection: upgrade, close\r\nUpgrade: h2c\r\n", last=False),
    "expects": post(b"/in/open", b"{}", b"Expect: 100-continue\r\n"),
    "three in a row": post(b"/in/open", b"1", last=False)
    + post(b"/in/open", b"2", last=False)
    + post(b"/in/open", b"3"),
    "the same again": post(b"/in/open", last=False) + post(b"/in/open"),
    "with its own key": post(b"/in/open", b"1", b"Idempotency-Key: a\r\n", last=False)
    + post(b"/in/open", b"1", b"Idempotency-Key: a\r\n"),
    "garbage behind": post(b"/in/open", last=False) + b"GARBAGE\r\n\r\n",
    "get": b"GET /in/open HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n",
    "two lengths": b"POST /in/open HTTP/1.1\r\nHost: gw\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n11",
    "large": post(b"/in/open", b'{"title": "%b"}' % (b"x" * 50_000)),
}


def a_house() -> House:
    return House(
        {
            "open": open_source(),
            "closed": source(),
            "path": source(Auth(path=Secret("the-path-token"))),
            "query": source(Auth(query={"token": Secret("the-query-token")})),
            "small": open_source(max_body=100),
            "waits": open_source(wait="1s"),
            "rated": open_source(rate="1000/s"),
            "far": open_source(networks=["192.0.2.0/24"]),
        }
    )


@dataclass
class Seen:
    """What a sender saw, with every id replaced, and what the journal got."""

    answer: bytes
    bodies: list[bytes]
    refusals: float
    peers: list[str]


async def said(pieces: list[bytes], *, short: bool, fault: Exception | None = None) -> Seen:
    built = a_house()
    built.desk.fault = fault
    servers = HttpServers(built.app, HttpServer(listen="127.0.0.1:0"), short_way=built.app.take if short else None)
    await servers.start()
    try:
        answer = await talk(port_of(servers), *pieces, pause=0.01 if len(pieces) > 1 else 0.0)
    finally:
        await servers.stop(2.0)
    receipts = built.desk.receipts
    assert all(receipt.envelope["path"].startswith("/in/") for receipt in receipts)
    return Seen(
        _IDS.sub(b"ID", answer),
        [receipt.body for receipt in receipts],
        built.count("ticket_gateway_refused_total"),
        [receipt.peer for receipt in receipts],
    )


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_gets_the_same_answer_on_both_ways_and_in_pieces(name: str) -> None:
    request = REQUESTS[name]
    usual = await said([request], short=False)
    assert await said([request], short=True) == usual
    for cut in (len(request) // 3, len(request) - 1):
        assert await said([request[:cut], request[cut:]], short=True) == usual
    assert usual.answer.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("fault", [JournalFull("no room"), IntakeClosed(), JournalBroken("lost"), ValueError("a bug")])
async def test_what_the_journal_refuses_is_answered_alike(fault: Exception) -> None:
    request = REQUESTS["open"]
    usual, short = await said([request], short=False, fault=fault), await said([request], short=True, fault=fault)
    assert short == usual
    assert b" 503 " in usual.answer.partition(b"\r\n")[0]


async def test_the_usual_delivery_does_take_the_short_way() -> None:
    built = a_house()
    taken: list[bool] = []

    def take(request: Whole) -> bool:
        taken.append(built.app.take(request))
        return taken[-1]

    servers = HttpServers(built.app, HttpServer(listen="127.0.0.1:0"), short_way=take)
    await servers.start()
    await talk(port_of(servers), REQUESTS["with its token"])
    await talk(port_of(servers), REQUESTS["wrong token"])
    await servers.stop(2.0)
    assert taken == [True, False]


async def test_a_sender_that_hangs_up_meanwhile_does_no_harm() -> None:
    built = a_house()
    built.desk.hold = asyncio.Event()
    servers = HttpServers(built.app, HttpServer(listen="127.0.0.1:0"), short_way=built.app.take)
    await servers.start()
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(servers))
    writer.write(post(b"/in/open", last=False))
    await built.desk.entered.wait()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    built.desk.hold.set()
    again = await talk(port_of(servers), post(b"/in/open", b"2"))
    await servers.stop(2.0)
    assert b" 202 " in again
    assert [receipt.body for receipt in built.desk.receipts] == [b'{"title": "x"}', b"2"]
