"""Copies of one request in flight together, clients that hang up, and the ends in between."""

import asyncio

import httpx
import pytest

from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.anyio
MAIL = "From: Mon <mon@example.org>\r\nTo: support@helpdesk.example\r\nSubject: s\r\nMessage-ID: <c@gateway.example>\r\n\r\nx\n"
JSON = '{"name":"Mon","email":"mon@example.org","subject":"s","message":"m","mid":"<c@gateway.example>"}'


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(None, environ={})


def _client(sandbox: Sandbox) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(sandbox_app(sandbox)),
        base_url="http://127.0.0.1/sandbox/osticket/api",
        headers={"X-API-Key": SANDBOX_API_KEY},
    )


async def _settled(sandbox: Sandbox, tickets: int) -> None:
    async with asyncio.timeout(5):
        while sandbox.store.count() < tickets:  # noqa: ASYNC110 - what is waited for stands in a database
            await asyncio.sleep(0.005)


async def test_two_copies_at_once_make_two_tickets_and_a_third_finds_the_first(sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"latency": 0.05})
    async with _client(sandbox) as client:
        first, second = await asyncio.gather(*(client.post("/tickets.email", content=MAIL) for _ in range(2)))
        third = await client.post("/tickets.email", content=MAIL)
    assert first.text != second.text
    assert third.text in {first.text, second.text}
    assert sandbox.store.count() == 2


async def test_a_copy_sent_while_the_first_still_mails_finds_its_ticket(sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"mail_time": 0.5})
    async with _client(sandbox) as client:
        first = asyncio.create_task(client.post("/tickets.email", content=MAIL))
        await _settled(sandbox, 1)
        second = await client.post("/tickets.email", content=MAIL)
        assert not first.done()
        assert (await first).text == second.text
    assert sandbox.store.count() == 1


async def test_a_client_that_gives_up_does_not_stop_the_ticket(sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"latency": 0.1})
    async with _client(sandbox) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post("/tickets.json", content=JSON), 0.02)
        assert sandbox.store.count() == 0
        await _settled(sandbox, 1)
        answer = await client.post("/tickets.email", content=MAIL)
    assert answer.text == sandbox.store.tickets()[0].number
    assert sandbox.store.count() == 1


async def test_parallel_first_requests_of_one_address_make_several_users(sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"latency": 0.02})
    async with _client(sandbox) as client:
        await asyncio.gather(*(client.post("/tickets.json", content=JSON) for _ in range(4)))
    assert {ticket.owner for ticket in sandbox.store.tickets()} == {1, 2, 3, 4}
    person = sandbox.store.person("osticket", "mon@example.org")
    assert person is not None
    assert person.id == 4


async def test_no_more_requests_are_worked_on_at_once_than_there_are_workers(sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"latency": 0.05, "workers": 2})
    loop = asyncio.get_running_loop()
    async with _client(sandbox) as client:
        begin = loop.time()
        await asyncio.gather(*(client.post("/tickets.json", content=JSON) for _ in range(6)))
    assert loop.time() - begin >= 0.15


async def test_a_hang_before_the_commit_ends_when_the_switch_is_taken_away(sandbox: Sandbox) -> None:
    sandbox.osticket.faults.replace([Fault(fault=FaultKind.HANG_BEFORE_COMMIT, seconds=600)])
    async with _client(sandbox) as client:
        call = asyncio.create_task(client.post("/tickets.json", content=JSON))
        await asyncio.sleep(0.02)
        assert sandbox.store.count() == 0
        sandbox.clear_faults()
        assert (await call).status_code == 201
    assert sandbox.store.count() == 1


async def test_a_death_half_way_leaves_a_fragment_that_nobody_finds_again(sandbox: Sandbox) -> None:
    sandbox.osticket.faults.replace([Fault(fault=FaultKind.DIE_HALF_WAY, at="attachment", count=1)])
    async with _client(sandbox) as client:
        dead = await client.post("/tickets.json", content=JSON)
        again = await client.post("/tickets.email", content=MAIL)
    assert (dead.status_code, dead.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "mysqli_sql_exception: MySQL server has gone away" in dead.text
    assert again.status_code == 201
    newest, fragment = sandbox.store.tickets()
    assert newest.number == again.text
    entry = sandbox.store.threads([fragment.id])[fragment.id].entries[0]
    assert (entry.body, entry.message_id) == ("m", None)
