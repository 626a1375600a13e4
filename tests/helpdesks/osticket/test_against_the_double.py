"""The connector and the sandbox's osTicket understand each other: what is sent is stored, found and threaded."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gateway.helpdesks.osticket.sandbox import OsTicketSandbox
from gateway.helpdesks.protocol import Answer, CallFailed, Order
from gateway.model.action import ActionKind, Outcome, OutcomeKind
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Drop, Request
from gateway.sandbox.faults import Fault
from gateway.sandbox.store import Store
from tests.helpdesks.osticket.orders import attachment, connector, order

pytestmark = pytest.mark.anyio
WAY = connector(auth={"api_key": SANDBOX_API_KEY}, to="support@helpdesk.example")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


class Desk:
    """The double, reached without a socket."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.double = OsTicketSandbox(self.store)
        self.asked: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float,
    ) -> Answer:
        self.asked.append(url.rpartition("/")[2])
        lower = {name.lower(): value for name, value in headers.items()}
        reply = await self.double.answer(Request(method, urlsplit(url).path, "", lower, content))
        if isinstance(reply, Drop):
            raise CallFailed("the connection was lost", sent=True)
        return Answer(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body.encode())

    async def create(self, one: Order) -> TicketRef:
        outcome = await WAY.call(one, WAY.prepare(one), self, timeout=30)
        assert outcome.kind is OutcomeKind.DELIVERED, outcome
        assert outcome.ticket
        return outcome.ticket

    async def follow(
        self, ticket: TicketRef, *, marker: str = "ab" * 16, quiet: bool = True, reopen: bool = False
    ) -> Outcome:
        one = replace(order(ActionKind.APPEND, text="more", quiet=quiet, reopen=reopen, ticket=ticket), marker=marker)
        return await WAY.call(one, WAY.prepare(one), self, timeout=30)

    def close_ticket(self) -> None:
        assert self.double.act(self.store.tickets()[0].id, "close")

    @property
    def status(self) -> str:
        return self.store.tickets()[0].status


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    await one.double.close()
    one.store.close()


async def test_a_ticket_is_stored_with_its_fields_and_files(desk: Desk) -> None:
    ticket = await desk.create(
        order(
            title="Füllstand #5",
            text="Füllstand <b>95 %</b>",
            fields={"priority": "high", "topicId": 10},
            files=[(attachment("löß.png", PNG, "image/png"), PNG)],
        ),
    )
    [stored] = desk.store.tickets()
    assert (stored.number, stored.subject, stored.priority, stored.source) == (
        ticket.number,
        "Füllstand # 5",
        "high",
        "API",
    )
    assert stored.topic
    [entry] = desk.store.threads([stored.id])[stored.id].entries
    assert (entry.body, entry.format, entry.message_id) == ("Füllstand <b>95 %</b>", "text", ticket.anchor)
    [file] = entry.attachments
    assert (file.filename, file.size) == ("löß.png", len(PNG))


async def test_a_create_whose_answer_was_lost_is_found_by_the_settling_mail(desk: Desk) -> None:
    desk.double.faults.replace([Fault.model_validate({"fault": "commit_then_drop", "count": 1})])
    one = order(fields={"priority": "high"})
    request = WAY.prepare(one)
    assert (await WAY.call(one, request, desk, timeout=30)).kind is OutcomeKind.UNKNOWN
    outcome = await WAY.resolve(one, request, desk, timeout=30)
    [stored] = desk.store.tickets()
    assert outcome.ticket
    assert (outcome.reason, outcome.ticket.number, stored.priority) == (Reason.FOUND, stored.number, "high")
    assert desk.asked == ["tickets.json", "tickets.email"]


async def test_a_create_that_never_arrived_is_made_by_the_settling_mail_once(desk: Desk) -> None:
    one = order()
    request = WAY.prepare(one)
    numbers = {(await WAY.resolve(one, request, desk, timeout=30)).detail for _ in range(3)}
    [stored] = desk.store.tickets()
    assert len(numbers) == 1
    [entry] = desk.store.threads([stored.id])[stored.id].entries
    assert "made by mail" in entry.body


async def test_a_database_that_is_down_has_written_nothing(desk: Desk) -> None:
    desk.double.faults.replace([Fault.model_validate({"fault": "database_down"})])
    one = order()
    assert (await WAY.call(one, WAY.prepare(one), desk, timeout=30)).kind is OutcomeKind.HELPDESK_DOWN


@pytest.mark.parametrize("quiet", [True, False])
async def test_a_follow_up_is_added_once_and_does_not_reopen_unless_asked(desk: Desk, *, quiet: bool) -> None:
    ticket = await desk.create(order())
    desk.close_ticket()
    for _ in range(2):
        outcome = await desk.follow(ticket, quiet=quiet)
        assert (outcome.ticket, outcome.flags) == (ticket, ())
    assert desk.status == "closed"
    [stored] = desk.store.tickets()
    assert len(desk.store.threads([stored.id])[stored.id].entries) == 2
    await desk.follow(ticket, marker="cd" * 16, quiet=quiet, reopen=True)
    assert desk.status == "open"


async def test_the_probe_finds_a_good_key_and_a_bad_one(desk: Desk) -> None:
    assert (await WAY.probe(desk, timeout=5)).kind is OutcomeKind.DELIVERED
    assert (await connector().probe(desk, timeout=5)).kind is OutcomeKind.AUTH_BROKEN
    assert desk.store.tickets() == []
