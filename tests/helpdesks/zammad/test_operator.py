"""What people ask of a Zammad, and what an osTicket answers to the same."""

import pytest

from gateway.helpdesks.creating import CreatesOnly
from gateway.helpdesks.operations import (
    Change,
    Done,
    Failed,
    NotFound,
    Operation,
    Query,
    Ticket,
    TicketState,
    Unsupported,
)
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.osticket.operator import WHY
from gateway.helpdesks.registry import HELPDESK_KINDS
from gateway.helpdesks.zammad.operator import ZammadOperator
from gateway.model.action import OutcomeKind, TicketDraft
from gateway.sandbox.faults import FaultKind
from tests.helpdesks.osticket.orders import settings as osticket_settings
from tests.helpdesks.zammad.desk import MARKER, Desk, desk, settings

pytestmark = pytest.mark.anyio
WAY = ZammadOperator("zammad", settings())


async def made(one: Desk, marker: str = MARKER, **fields: object) -> Done:
    draft = TicketDraft("By hand", "hello", fields=fields)  # type: ignore[arg-type]  # JSON values of the tests
    done = await ZammadOperator("zammad", settings()).create(draft, marker, one, timeout=5.0)
    assert isinstance(done, Done), done
    return done


async def test_a_ticket_is_read_with_its_articles_by_number_and_by_id() -> None:
    one = desk()
    done = await made(one, priority="3 high", tags=["a"])
    for name in (done.ticket.number, done.ticket.id):
        ticket = await WAY.get(name, one, timeout=5.0)
        assert isinstance(ticket, Ticket)
        assert (ticket.title, ticket.state, ticket.priority, ticket.tags) == (
            "By hand",
            TicketState.NEW,
            "3 high",
            ("a",),
        )
        assert [(article.kind, article.body) for article in ticket.articles] == [("note", "hello")]


async def test_a_merged_ticket_names_its_target() -> None:
    one = desk()
    first = await made(one)
    second = await made(one, "11" * 16)
    assert one.double.act(int(first.ticket.id), "merge")
    ticket = await WAY.get(first.ticket.id, one, timeout=5.0)
    assert isinstance(ticket, Ticket)
    assert (ticket.state, ticket.merged_into) == (TicketState.MERGED, second.ticket.id)


async def test_what_is_not_there_is_said_to_be_not_there() -> None:
    assert isinstance(await WAY.get("77", desk(), timeout=5.0), NotFound)
    assert isinstance(await WAY.get("no number", desk(), timeout=5.0), NotFound)
    assert isinstance(await WAY.close("77", "", MARKER, desk(), timeout=5.0), NotFound)


async def test_tickets_are_searched_by_fields_state_and_words() -> None:
    one = desk()
    done = await made(one)
    await made(one, "11" * 16, state="closed", customer="eve@example.org")

    async def numbers(query: Query) -> list[str]:
        found = await WAY.search(query, one, timeout=5.0)
        assert isinstance(found, list)
        return [ticket.ref.number for ticket in found]

    assert await numbers(Query(only_open=True)) == [done.ticket.number]
    assert await numbers(Query(fields={"gateway_key": MARKER})) == [done.ticket.number]
    assert len(await numbers(Query(title="hand"))) == 2
    assert len(await numbers(Query(text="hello"))) == 2
    assert len(await numbers(Query())) == 2
    assert len(await numbers(Query(customer="eve@example.org"))) == 1
    assert await numbers(Query(fields={"nothing": "x"})) == []  # dropped by Zammad, checked by us


async def test_fields_a_note_and_tags_are_changed() -> None:
    one = desk()
    done = await made(one, tags=["a"])
    change = Change({"priority": "1 low", "tags": ["b"]}, title="Renamed", note="less urgent")
    assert isinstance(await WAY.update(done.ticket.number, change, "22" * 16, one, timeout=5.0), Done)
    ticket = await WAY.get(done.ticket.id, one, timeout=5.0)
    assert isinstance(ticket, Ticket)
    assert (ticket.title, ticket.priority, ticket.tags) == ("Renamed", "1 low", ("a", "b"))
    assert [article.body for article in ticket.articles] == ["hello", "less urgent"]


async def test_a_ticket_is_closed_though_the_settings_name_neither_group_nor_customer() -> None:
    one = desk()
    done = await made(one)
    bare = ZammadOperator("zammad", settings(group="", customer=""))
    assert isinstance(await bare.close(done.ticket.id, "", "22" * 16, one, timeout=5.0), Done)


async def test_a_close_with_a_lost_answer_is_looked_up_once() -> None:
    one = desk()
    done = await made(one)
    one.faults(FaultKind.COMMIT_THEN_DROP)
    assert isinstance(await WAY.close(done.ticket.id, "over", "22" * 16, one, timeout=5.0), Done)
    ticket = await WAY.get(done.ticket.id, one, timeout=5.0)
    assert isinstance(ticket, Ticket)
    assert ticket.state is TicketState.CLOSED
    assert len(ticket.articles) == 2


async def test_the_history_tells_who_changed_what() -> None:
    one = desk()
    done = await made(one)
    await WAY.close(done.ticket.id, "", "22" * 16, one, timeout=5.0)
    history = await WAY.history(done.ticket.id, one, timeout=5.0)
    assert isinstance(history, list)
    assert (history[-1].attribute, history[-1].before, history[-1].after) == ("state", "new", "closed")
    assert history[-1].who == "gateway@helpdesk.example"


async def test_a_refusal_is_a_value() -> None:
    one = desk()
    refused = await WAY.create(TicketDraft("t", "x", fields={"group": "Nowhere"}), MARKER, one, timeout=5.0)
    assert isinstance(refused, Failed)
    assert refused.kind is OutcomeKind.REJECTED
    wrong = await WAY.create(TicketDraft("t", "x", fields={"article_type": "email"}), MARKER, one, timeout=5.0)
    assert isinstance(wrong, Failed)


async def test_osticket_says_what_it_cannot_do_over_its_api() -> None:
    way = CreatesOnly(OsTicketConnector("desk", osticket_settings()), WHY)
    can = {operation for operation, why in way.operations.items() if why is None}
    assert can == {Operation.CREATE}
    assert HELPDESK_KINDS["osticket"].operations == can
    assert HELPDESK_KINDS["zammad"].operations == {name for name, why in WAY.operations.items() if why is None}
    one = desk()
    answers = [
        await way.get("1", one, timeout=1.0),
        await way.search(Query(), one, timeout=1.0),
        await way.update("1", Change(note="x"), MARKER, one, timeout=1.0),
        await way.close("1", "", MARKER, one, timeout=1.0),
        await way.history("1", one, timeout=1.0),
        await way.delete("1", one, timeout=1.0),
    ]
    assert all(isinstance(answer, Unsupported) and answer.why and answer.instead for answer in answers)
    assert one.asked == []


async def test_a_ticket_is_deleted_by_an_administrator_and_by_nobody_else() -> None:
    one = desk()
    done = await made(one)
    refused = await WAY.delete(done.ticket.number, one, timeout=5.0)
    assert isinstance(refused, Failed)
    assert (refused.kind, "permission `admin`" in refused.detail) == (OutcomeKind.REJECTED, True)
    assert isinstance(await WAY.get(done.ticket.number, one, timeout=5.0), Ticket)
    one.double.change_settings({"tokens": {settings().auth.token.reveal(): {"permissions": ["ticket.agent", "admin"]}}})  # type: ignore[union-attr]  # the tests' own settings have one
    gone = await WAY.delete(done.ticket.number, one, timeout=5.0)
    assert isinstance(gone, Done)
    assert gone.ticket.number == done.ticket.number
    assert isinstance(await WAY.get(done.ticket.number, one, timeout=5.0), NotFound)
    assert isinstance(await WAY.delete(done.ticket.number, one, timeout=5.0), NotFound)
