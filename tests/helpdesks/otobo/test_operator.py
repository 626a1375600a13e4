"""What people ask of an OTOBO: every operation, and searches that are believed only after they were verified."""

from collections.abc import AsyncIterator

import pytest
import yaml

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
from gateway.helpdesks.otobo.operator import OtoboOperator
from gateway.helpdesks.otobo.setup import OtoboSetup
from gateway.helpdesks.setup import rehearsals
from gateway.model.action import OutcomeKind, TicketDraft
from gateway.model.json import JsonObject
from tests.helpdesks.otobo.desk import MARKER, OTHER, STOCK, Desk, connector, order, settings

pytestmark = pytest.mark.anyio
WAY = OtoboOperator("desk", settings())


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    await one.close()


async def made(desk: Desk, title: str = "Disk full on web01", marker: str = MARKER, **fields: str) -> Done:
    operator = OtoboOperator("desk", settings())
    done = await operator.create(TicketDraft(title, "text", fields=fields), marker, desk, timeout=5)
    assert isinstance(done, Done)
    return done


@pytest.mark.parametrize("layout", [{}, STOCK], ids=["lower", "stock"])
async def test_a_ticket_is_read_by_its_number_and_by_its_id(desk: Desk, layout: dict[str, object]) -> None:
    done = await made(desk, DynamicField_Host="web01")
    operator = OtoboOperator("desk", settings(**layout))
    for name in (done.ticket.number, done.ticket.id):
        ticket = await operator.get(name, desk, timeout=5)
        assert isinstance(ticket, Ticket)
        assert (ticket.title, ticket.state, ticket.queue) == ("Disk full on web01", TicketState.NEW, "Monitoring")
        assert ticket.fields["DynamicField_Host"] == "web01"
        assert [article.internal for article in ticket.articles] == [True]
        assert ticket.ref.number in ticket.ref.url


async def test_a_ticket_that_is_not_there_is_not_found(desk: Desk) -> None:
    assert isinstance(await WAY.get("2026112110000077", desk, timeout=5), NotFound)


async def test_a_merged_ticket_names_the_one_it_went_into(desk: Desk) -> None:
    child = await made(desk)
    main = await made(desk, "the main one", OTHER)
    assert desk.double.act(int(child.ticket.id), "merge")
    ticket = await OtoboOperator("desk", settings()).get(child.ticket.number, desk, timeout=5)
    assert isinstance(ticket, Ticket)
    assert (ticket.state, ticket.merged_into) == (TicketState.MERGED, main.ticket.id)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(title="disk"), 1),
        (Query(title="disk (full)"), 1),
        (Query(title="nothing"), 0),
        (Query(customer="kunde"), 2),
        (Query(only_open=True), 1),
        (Query(text="text"), 2),
        (Query(fields={"queue": "Monitoring"}), 2),
        (Query(fields={"DynamicField_Host": "web01"}), 1),
        (Query(limit=1), 1),
    ],
)
async def test_a_search_finds_what_matches(desk: Desk, query: Query, count: int) -> None:
    await made(desk, "Disk (full) on web01" if "(" in query.title else "Disk full on web01", DynamicField_Host="web01")
    await made(desk, "Load on db01", OTHER)
    assert desk.double.act(desk.tickets[1].id, "close")
    found = await OtoboOperator("desk", settings()).search(query, desk, timeout=5)
    assert isinstance(found, list), found
    assert len(found) == count


async def test_a_search_whose_criterion_was_dropped_is_refused_and_not_believed(desk: Desk) -> None:
    await made(desk)
    for query in (Query(fields={"DynamicField_Nope": "x"}), Query(fields={"DynamicField_Nope": "x"}, title="disk")):
        found = await WAY.search(query, desk, timeout=5)
        assert isinstance(found, Failed)
        assert "dropped the criterion" in found.detail
    assert isinstance(await WAY.search(Query(fields={"owner": "x"}), desk, timeout=5), Failed)
    stock = OtoboOperator("desk", settings(**STOCK))
    assert isinstance(await stock.search(Query(fields={"DynamicField_Host": "x"}), desk, timeout=5), Failed)


async def test_an_update_changes_title_fields_and_adds_a_note(desk: Desk) -> None:
    done = await made(desk)
    change = Change({"priority": "4 high", "DynamicField_Severity": "major"}, "A new title", "because", "why")
    assert isinstance(await WAY.update(done.ticket.number, change, OTHER, desk, timeout=5), Done)
    stored = desk.tickets[0]
    assert (stored.subject, stored.priority) == ("A new title", "4 high")
    assert stored.fields["DynamicField_Severity"] == "major"
    assert desk.entries()[1].title == "why"
    assert isinstance(await WAY.update(done.ticket.number, Change({"owner": "gateway"}), OTHER, desk, timeout=5), Done)
    assert len(desk.entries()) == 2


async def test_a_close_and_its_history(desk: Desk) -> None:
    done = await made(desk)
    assert isinstance(await WAY.close(done.ticket.number, "over", OTHER, desk, timeout=5), Done)
    assert desk.tickets[0].status == "closed successful"
    again = await WAY.close(done.ticket.number, "", "ab" * 16, desk, timeout=5)
    assert isinstance(again, Done)
    assert again.notes == ("It was closed successful already.",)
    entries = await WAY.history(done.ticket.number, desk, timeout=5)
    assert isinstance(entries, tuple)
    changes = [(one.attribute, one.before, one.after) for one in entries if one.what == "StateUpdate"]
    assert changes == [("State", "new", "closed successful")]


async def test_a_create_whose_answer_was_lost_is_looked_up_before_unknown_is_told(desk: Desk) -> None:
    desk.fault(fault="commit_then_drop", count=1)
    assert (await made(desk)).ticket.number == desk.tickets[0].number
    desk.fault(fault="hang_before_commit", commits=False, seconds=0, count=1)
    refused = await WAY.create(TicketDraft("t", "x"), OTHER, desk, timeout=5)
    assert isinstance(refused, Failed)
    assert refused.kind is OutcomeKind.UNKNOWN


async def test_a_field_that_does_not_exist_is_refused_before_anything_is_sent(desk: Desk) -> None:
    refused = await WAY.create(TicketDraft("t", "x", fields={"Quue": "x"}), MARKER, desk, timeout=5)
    assert isinstance(refused, Failed)
    assert desk.asked == []


async def test_nothing_is_deleted_where_there_is_no_such_operation(desk: Desk) -> None:
    refused = await WAY.delete("1", desk, timeout=5)
    assert isinstance(refused, Unsupported)
    assert "routes.delete" in refused.instead
    assert {name for name, why in WAY.operations.items() if why is not None} == {Operation.DELETE}
    assert set(WAY.operations) == set(Operation)


async def test_where_somebody_has_added_an_operation_a_ticket_can_be_deleted(desk: Desk) -> None:
    desk.double.change_settings({"services": {"TicketGateway": {"deletes": True}}})
    done = await made(desk)
    operator = OtoboOperator("desk", settings(routes={"delete": "DELETE /ticket/:TicketID"}))
    assert isinstance(await operator.delete(done.ticket.number, desk, timeout=5), Done)
    assert desk.tickets == []
    assert operator.operations[Operation.DELETE] is None


# --------------------------------------------------------------------------------------------------------------- setup


def test_the_files_to_import_name_routes_and_field_of_the_settings() -> None:
    service, field = OtoboSetup("desk", settings(max_body="20MB", dynamic_field="Marker7")).setup_files()
    whole = yaml.safe_load(service.text)
    config = whole["Provider"]["Transport"]["Config"]
    assert (service.name, config["MaxLength"]) == ("TicketGateway.yml", "20000000")
    assert config["RouteOperationMapping"]["TicketSearch"] == {"RequestMethod": ["POST"], "Route": "/ticket/search"}
    assert whole["Debugger"]["DebugThreshold"] == "error"
    assert all(one["IncludeTicketData"] == "0" for one in whole["Provider"]["Operation"].values())
    made = yaml.safe_load(field.text)["DynamicFields"]["Marker7"]
    assert (made["FieldType"], made["ObjectType"]) == ("Text", "Ticket")
    assert len(OtoboSetup("desk", settings(**STOCK)).setup_files()) == 1


@pytest.mark.parametrize(("kind", "invoker"), [("otobo", "Generic::PassThrough"), ("znuny", "Ticket::Generic")])
def test_a_helpdesk_that_is_to_notify_us_gets_the_stock_invoker_without_the_secret(kind: str, invoker: str) -> None:
    files = OtoboSetup("desk", settings(kind=kind, notify={"secret": "hush hush"})).setup_files()
    service = yaml.safe_load(files[-1].text)
    assert files[-1].name == "TicketGatewayNotify.yml"
    assert "hush" not in "".join(file.text for file in files)
    notify, way = service["Requester"]["Invoker"]["Notify"], service["Requester"]["Transport"]["Config"]
    assert notify["Type"] == invoker
    assert {"Asynchronous": "1", "Event": "TicketStateUpdate"} in notify["Events"]
    assert way["InvokerControllerMapping"]["Notify"]["Controller"] == "/helpdesks/desk/notify"
    assert way["Authentication"]["AuthType"] == "BasicAuth"


async def test_the_proofs_tell_what_is_proven_what_not_yet_and_what_is_missing(desk: Desk) -> None:
    fresh = await OtoboSetup("desk", settings()).prove(desk, timeout=5)
    assert [proof.well for proof in fresh] == [True, True, None, None, True]
    await desk.make(connector(), order())
    assert [proof.well for proof in await OtoboSetup("desk", settings()).prove(desk, timeout=5)] == [True] * 5
    wrong = await OtoboSetup("desk", settings(dynamic_field="Nope")).prove(desk, timeout=5)
    assert [proof.well for proof in wrong] == [False]
    assert "import it" in wrong[0].detail
    shut = await OtoboSetup("desk", settings(auth={"user": "gateway", "password": "x"})).prove(desk, timeout=5)
    assert [proof.well for proof in shut] == [False]
    assert len(desk.tickets) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"queue": "Network", "type": "Incident"}, ""),
        ({"queue": "VIP"}, "Can not create tickets"),
        ({"state": "closed"}, "State parameter is invalid"),
        ({"DynamicField_Nope": "x"}, "DynamicField->Name"),
        ({"sla": "Gold"}, "SLA"),
        ({"customer": "x@example.com"}, "CustomerUser"),
        ({"colour": "red"}, "is not known"),
    ],
)
async def test_a_rehearsal_makes_no_ticket_and_tells_what_would_be_refused(
    desk: Desk, fields: JsonObject, words: str
) -> None:
    refused = await OtoboSetup("desk", settings()).rehearse(fields, desk, timeout=5)
    assert words in refused
    assert bool(refused) is bool(words)
    assert desk.tickets == []


def test_every_constant_of_a_route_is_rehearsed_once() -> None:
    fields: JsonObject = {
        "queue": "Raw",
        "priority": {"from": "severity", "table": {"critical": "5 very high", "minor": "2 low", "*": "2 low"}},
        "DynamicField_Host": "{{ event.host }}",
    }
    assert rehearsals(fields) == [
        {"queue": "Raw", "priority": "5 very high"},
        {"queue": "Raw", "priority": "2 low"},
    ]
