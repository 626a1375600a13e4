"""The calls: what is asked of osTicket, and what becomes of its answers."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from gateway.config.models import HttpHelpdeskSettings
from gateway.helpdesks.osticket.connector import OsTicketConnector, Stored
from gateway.helpdesks.osticket.fields import DOCUMENTED, check_fields, checked
from gateway.helpdesks.protocol import CallFailed, Connector
from gateway.helpdesks.registry import HELPDESK_KINDS, connect
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from tests.helpdesks.osticket.orders import MESSAGE_ID, TICKET, Recorded, answer, attachment, connector, order, settings

pytestmark = pytest.mark.anyio
FATAL = "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception: MySQL server has gone away"


async def called(desk: Recorded, kind: ActionKind = ActionKind.CREATE, **changes: object) -> Outcome:
    one, way = order(kind, quiet=True), connector(**changes)
    return await way.call(one, way.prepare(one), desk, timeout=30)


async def resolved(desk: Recorded, kind: ActionKind = ActionKind.CREATE) -> Outcome:
    one, way = order(kind, quiet=True), connector()
    return await way.resolve(one, way.prepare(one), desk, timeout=30)


async def test_a_create_is_posted_as_json_with_the_key_and_gives_the_ticket() -> None:
    desk = Recorded(answer(201, "INC/60"))
    outcome = await called(desk)
    [(method, url, headers, content)] = desk.asked
    assert (method, url) == ("POST", "https://helpdesk.example/api/tickets.json")
    assert headers == {"X-API-Key": "C0FFEE00C0FFEE00C0FFEE00C0FFEE00", "Content-Type": "application/json"}
    assert content.startswith(b'{"alert":true')
    assert outcome.kind is OutcomeKind.DELIVERED
    ticket = outcome.ticket
    assert ticket
    assert (ticket.number, ticket.anchor, ticket.requester) == ("INC/60", MESSAGE_ID, "mon@example.org")
    assert ticket.url == "https://helpdesk.example/scp/tickets.php?number=INC%2F60"
    assert ticket.fingerprint == connector().fingerprint


async def test_an_address_without_rewriting_is_used_as_it_is() -> None:
    desk = Recorded(answer(201, "1"), answer(201, "1"))
    await called(desk, url="https://helpdesk.example/api/http.php/")
    await called(desk, ActionKind.APPEND, url="https://helpdesk.example/api/http.php/")
    assert [one[1].rpartition("/api")[2] for one in desk.asked] == ["/http.php/tickets.json", "/http.php/tickets.email"]


async def test_an_unknown_create_is_settled_by_mail_and_the_json_is_not_repeated() -> None:
    desk = Recorded(answer(201, "703938"))
    outcome = await resolved(desk)
    [(_, url, headers, content)] = desk.asked
    assert url == "https://helpdesk.example/api/tickets.email"
    assert headers["Content-Type"] == "message/rfc822"
    assert f"Message-ID: {MESSAGE_ID}\r\n".encode() in content
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DELIVERED, Reason.FOUND)
    assert outcome.ticket
    assert outcome.ticket.number == "703938"


async def test_an_unknown_follow_up_is_settled_by_the_very_same_mail() -> None:
    desk = Recorded(answer(200, FATAL), answer(201, TICKET.number))
    assert (await called(desk, ActionKind.APPEND)).kind is OutcomeKind.UNKNOWN
    outcome = await resolved(desk, ActionKind.APPEND)
    assert desk.asked[0] == desk.asked[1]
    assert (outcome.ticket, outcome.flags) == (TICKET, ())


@pytest.mark.parametrize(
    "met",
    [
        CallFailed("refused", sent=False),
        CallFailed("timeout", sent=True),
        answer(503),
        answer(429, retry_after="9"),
        answer(200, FATAL),
    ],
)
async def test_a_look_up_that_does_not_get_through_proves_nothing(met: CallFailed) -> None:
    assert (await resolved(Recorded(met))).kind is OutcomeKind.UNKNOWN


async def test_a_failed_call_is_judged_by_whether_it_was_sent() -> None:
    assert (await called(Recorded(CallFailed("refused", sent=False)))).kind is OutcomeKind.NOT_SENT
    assert (await called(Recorded(CallFailed("timeout", sent=True)))).kind is OutcomeKind.UNKNOWN


async def test_a_follow_up_that_lands_in_another_ticket_takes_the_incident_there() -> None:
    outcome = await called(Recorded(answer(201, "999999")), ActionKind.APPEND)
    assert outcome.flags == (Reason.TICKET_MOVED,)
    assert outcome.ticket
    assert (outcome.ticket.number, outcome.ticket.anchor) == ("999999", MESSAGE_ID)


async def test_a_refused_request_with_files_may_be_tried_without_them() -> None:
    one = order(files=[(attachment("a.log", b"XX"), b"XX")])
    way = connector()
    outcome = await way.call(one, way.prepare(one), Recorded(answer(413)), timeout=30)
    assert (outcome.kind, outcome.degrade) == (OutcomeKind.REJECTED, ("attachments",))


@pytest.mark.parametrize(
    ("met", "kind"),
    [
        (answer(400, "No errors"), OutcomeKind.DELIVERED),
        (answer(401, "Valid API key required"), OutcomeKind.AUTH_BROKEN),
        (answer(403, "<html>"), OutcomeKind.AUTH_BROKEN),
        (answer(302), OutcomeKind.AUTH_BROKEN),
        (answer(201, "1"), OutcomeKind.UNKNOWN),
        (answer(200, "hello"), OutcomeKind.UNKNOWN),
        (CallFailed("refused", sent=False), OutcomeKind.NOT_SENT),
    ],
)
async def test_the_probe_knows_a_good_key_by_the_words_no_errors(met: CallFailed, kind: OutcomeKind) -> None:
    desk = Recorded(met)
    assert (await connector().probe(desk, timeout=5)).kind is kind
    assert desk.asked[0][3] == b"{}"


# ------------------------------------------------------------------------------------------------------------ fields


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"statusId": 3}, "not documented"),
        ({"STAFFID": 3}, "not documented"),
        ({"deptId": 1}, "not documented"),
        ({"uid": 1}, "not documented"),
        ({"priorityId": 1}, "not documented"),
        ({"mid": "<x@y>"}, "mail thread"),
        ({"in-reply-to": "<x@y>"}, "mail thread"),
        ({"subject": ["x"]}, "template"),
        ({"attachments": []}, "template"),
        ({"duedate": "2026-12-01"}, "no effect"),
        ({"topicid": 3}, "write `topicId`"),
        ({"topicId": 0}, "no id"),
        ({"topicId": True}, "no id"),
        ({"topicId": [1]}, "no id"),
        ({"priority": "urgent"}, "low (1), normal (2)"),
        ({"priority": 99}, "no priority"),
        ({"priority": True}, "no priority"),
        ({"source": "Phone"}, "refused"),
        ({"phone": "call me"}, "no phone number"),
        ({"phone": ["1"]}, "no phone number"),
        ({"ip": "not-an-ip"}, "IP"),
        ({"alert": "maybe"}, "neither"),
        ({"host name": "x"}, "variable name"),
        ({"host": ["x"]}, "no single value"),
        ({"host": float("nan")}, "no single value"),
    ],
)
def test_a_field_that_osticket_would_misunderstand_is_refused_early_and_late(
    fields: dict[str, JsonValue],
    word: str,
) -> None:
    [problem] = check_fields(fields, settings())
    assert word in problem.problem + problem.hint
    with pytest.raises(ValueError, match=problem.field):
        connector().prepare(order(fields=fields))


@pytest.mark.parametrize("address", ["root@localhost", "a@b, c@d", "müller@example.org", "root", "x@[192.0.2.1]"])
def test_an_owners_address_that_osticket_does_not_take_is_refused_early_and_costs_no_ticket_late(address: str) -> None:
    assert [problem.field for problem in check_fields({"email": address}, settings())] == ["email"]
    request = Stored.read(connector().prepare(order(fields={"email": address, "name": "Root"})))
    assert request.requester == "mon@example.org"
    body = json.loads(request.json)
    assert (body["email"], body["name"]) == ("mon@example.org", checked({}, settings()).name)
    assert f"Written by {address.split('@', maxsplit=1)[0]}" in body["message"]


def test_templates_and_tables_are_checked_as_far_as_they_are_constant() -> None:
    assert check_fields({"priority": "{{ event.severity }}", "host": "{{ event.host }}"}, settings()) == []
    assert check_fields({"statusId": "{{ 3 }}"}, settings())
    table: JsonValue = {"from": "severity", "table": {"critical": "emergency", "*": "mild"}}
    assert [one.field for one in check_fields({"priority": table}, settings())] == ["priority"]
    assert check_fields({"priority": table}, settings(priorities={"emergency": 4, "mild": 7})) == []


def test_a_mail_cannot_carry_a_topic() -> None:
    assert "by mail" in check_fields({"topicId": 2}, settings(mode="mail"))[0].problem
    assert not connector(mode="mail").capabilities.open_fields
    assert connector().capabilities.fields == DOCUMENTED


def test_the_requester_is_the_fields_address_in_lower_case_or_the_configured_one() -> None:
    assert connector().requester(TicketDraft("t", "x", fields={"email": " A@Example.org "})) == "a@example.org"
    assert connector().requester(TicketDraft("t", "x")) == "mon@example.org"
    assert connector().requester(TicketDraft("t", "x", fields={"email": "broken"})) == "mon@example.org"
    assert checked({"email": "ops@example.org"}, settings()).name == "ops"


# ---------------------------------------------------------------------------------------------- settings and registry


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"requester": {"email": "nagios@localhost"}}, "localhost"),
        ({"requester": {"email": "Mon <mon@example.org>"}}, "no plain mail address"),
        ({"requester": {"email": "m@example.org", "name": "a\nb"}}, "printable"),
        ({"url": "helpdesk.example/api"}, "https://HOST/api"),
        ({"url": "https://helpdesk.example/api/tickets.json"}, "leave out the last part"),
        ({"url": "https://helpdesk.example/api?x=1"}, "without query"),
        ({"limits": {"settle": "5s"}}, "at least 60s"),
        ({"domain": "no domain"}, "no domain"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        settings(**changes)


def test_the_sandbox_may_settle_quickly_and_message_ids_are_lower_case() -> None:
    assert settings(limits={"settle": "300ms"}, sandbox=True).limits.settle == 0.3
    assert settings(requester={"email": "m@Example.ORG"}).message_domain == "example.org"
    assert "C0FFEE" not in repr(settings())


def test_the_registry_makes_a_connector_of_its_settings() -> None:
    desk: Connector = connect("desk", settings())
    assert isinstance(desk, OsTicketConnector)
    assert (desk.name, HELPDESK_KINDS["osticket"].settings) == ("desk", type(settings()))
    check = HELPDESK_KINDS["osticket"].check_fields
    assert check
    assert check({"uid": 1}, settings())


def test_a_setting_of_another_kind_is_a_fault_of_ours() -> None:
    class Other(BaseModel):
        pass

    with pytest.raises(TypeError):
        HELPDESK_KINDS["osticket"].connect("desk", Other())
    with pytest.raises(KeyError):
        connect("desk", HttpHelpdeskSettings(kind="none", url="x"))


def test_every_action_is_done_or_has_a_substitute_with_its_reason() -> None:
    able = connector().capabilities
    assert able.actions | set(able.substitutes) == set(ActionKind)
    assert {one[0] for one in able.substitutes.values()} <= able.actions


def test_a_stored_request_of_another_version_is_not_guessed_at() -> None:
    request = connector().prepare(order()).replace(b'"v":1', b'"v":2')
    with pytest.raises(ValueError, match="version 2"):
        Stored.read(request)
