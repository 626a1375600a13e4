"""Facts about OTOBO and Znuny that the recorded exchanges do not show, each told by the test's name.

Those of OTOBO were observed on a running 11.0.6. Those of Znuny were read in its source: it was never tried live.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from gateway.helpdesks.otobo.sandbox_settings import Agent, DynamicField, OtoboSandboxSettings, WebService
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Drop, Reply, Request
from gateway.sandbox.faults import Fault
from tests.helpdesks.otobo.desk import Desk

pytestmark = pytest.mark.anyio
LOGIN: JsonObject = {"UserLogin": "gateway", "Password": SANDBOX_API_KEY}
TEXT = "text/plain; charset=utf-8"


class Raw(Desk):
    """The double with calls as a client of any kind would make them."""

    async def ask(
        self,
        route: str,
        body: Mapping[str, JsonValue] | None = None,
        *,
        method: str = "POST",
        query: str = "",
        service: str = "TicketGateway",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        login: bool = True,
    ) -> Reply:
        whole = {**(LOGIN if login else {}), **(body or {})}
        content = raw if raw is not None else json.dumps(whole).encode()
        path = f"/nph-genericinterface.pl/Webservice/{service}{route}"
        reply = await self.double.answer(Request(method, path, query, headers or {}, content, self.client))
        assert not isinstance(reply, Drop)
        return reply

    async def told(
        self,
        route: str,
        body: Mapping[str, JsonValue] | None = None,
        *,
        method: str = "POST",
        service: str = "TicketGateway",
    ) -> JsonObject:
        reply = await self.ask(route, body, method=method, service=service)
        assert reply.status == 200, reply.body
        found = json.loads(reply.body)
        assert isinstance(found, dict)
        return found

    async def create(
        self, ticket: JsonObject | None = None, article: JsonObject | None = None, **more: JsonValue
    ) -> JsonObject:
        return await self.told(
            "/ticket",
            {
                "Ticket": {
                    "Title": "Disk full",
                    "Queue": "Monitoring",
                    "State": "new",
                    "Priority": "3 normal",
                    "CustomerUser": "kunde",
                    **(ticket or {}),
                },
                "Article": {"Subject": "s", "Body": "b", "ContentType": TEXT, **(article or {})},
                **more,
            },
        )

    async def update(self, number: JsonValue, **more: JsonValue) -> JsonObject:
        return await self.told("/ticket", {"TicketID": number, **more}, method="PATCH")

    async def found(self, **criteria: JsonValue) -> list[str]:
        told = await self.told("/ticket/search", criteria)
        ids = told.get("TicketID", [])
        assert isinstance(ids, list)
        return [str(one) for one in ids]


def said(answer: JsonObject) -> str:
    error = answer["Error"]
    assert isinstance(error, dict)
    return f"{error['ErrorCode']}: {error['ErrorMessage']}"


@pytest.fixture
async def desk() -> AsyncIterator[Raw]:
    one = Raw()
    yield one
    await one.close()


@pytest.fixture
async def znuny() -> AsyncIterator[Raw]:
    one = Raw(name="znuny")
    yield one
    await one.close()


# ----------------------------------------------------------------------------------------------------------- transport


async def test_the_path_outranks_the_query_and_the_query_the_body(desk: Raw) -> None:
    await desk.create()
    reply = await desk.ask(
        "/Ticket/1", {}, method="GET", query=f"TicketID=99&UserLogin=gateway&Password={SANDBOX_API_KEY}",
        service="GenericTicketConnectorREST",
    )  # fmt: skip
    assert json.loads(reply.body)["Ticket"][0]["Title"] == "Disk full"


@pytest.mark.parametrize("raw", [b"a=1&b=2", b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b"{"])
async def test_what_is_no_json_is_answered_with_one_sentence(desk: Raw, raw: bytes) -> None:
    reply = await desk.ask("/session", raw=raw)
    assert (reply.status, reply.body) == (500, "Error while decoding request content.")


@pytest.mark.parametrize("raw", [b"{}", b'""', b"7"])
async def test_an_empty_object_and_a_single_value_are_unsupported_content(desk: Raw, raw: bytes) -> None:
    reply = await desk.ask("/session", raw=raw)
    assert (reply.status, reply.body) == (500, "Unsupported request content structure.")


async def test_compressed_bodies_are_not_understood(desk: Raw) -> None:
    assert (await desk.ask("/session", headers={"content-encoding": "gzip"})).status == 500


async def test_the_limit_counts_bytes_and_is_inclusive(desk: Raw) -> None:
    desk.double.change_settings({"services": {"TicketGateway": {"max_length": 100}}})
    exact = json.dumps({"x": ""}).encode()
    for size, status in ((100, 200), (101, 413)):
        body = exact.replace(b'""', b'"' + b"x" * (size - len(exact)) + b'"')
        assert len(body) == size
        assert (await desk.ask("/session", raw=body)).status == status


async def test_routes_have_their_case_and_no_slash_at_the_end(desk: Raw) -> None:
    for route in ("/Ticket", "/ticket/"):
        assert "determine Operation" in (await desk.ask(route)).body
    assert (await desk.ask("/session", service="ticketgateway")).body == ""


async def test_keys_come_in_an_order_of_chance(desk: Raw) -> None:
    orders = {tuple(await desk.create()) for _ in range(30)}
    assert len(orders) > 1


async def test_numbers_come_as_numbers_or_texts(desk: Raw) -> None:
    number = (await desk.create())["TicketID"]
    kinds = set()
    for _ in range(30):
        told = await desk.told("/ticket/get", {"TicketID": number})
        tickets = told["Ticket"]
        assert isinstance(tickets, list)
        assert isinstance(tickets[0], dict)
        kinds.add(type(tickets[0]["TicketID"]))
    assert kinds == {int, str}


# ------------------------------------------------------------------------------------------------------------ creating


async def test_a_title_is_cut_at_191_characters_without_a_word(desk: Raw) -> None:
    await desk.create({"Title": "x" * 300})
    assert len(desk.tickets[0].subject) == 191


@pytest.mark.parametrize("name", ["DynamicField", "Attachment"])
async def test_fields_and_files_inside_of_the_ticket_are_ignored_without_a_word(desk: Raw, name: str) -> None:
    inside: JsonValue = {"Name": "Host", "Value": "x", "Content": "eA==", "ContentType": "text/plain", "Filename": "a"}
    assert "TicketID" in await desk.create({name: inside}, {name: inside, "Nonsense": 1})
    assert "DynamicField_Host" not in desk.tickets[0].fields
    assert desk.entries()[0].attachments == ()


@pytest.mark.parametrize(
    ("ticket", "words"),
    [
        ({"Title": "0"}, "Title parameter is missing"),
        ({"Priority": "normal"}, "Priority parameter is invalid"),
        ({"State": "closed"}, "State parameter is invalid"),
        ({"CustomerUser": "nagios@localhost"}, "CustomerUser parameter is invalid"),
        ({"CustomerUser": "a@b"}, "CustomerUser parameter is invalid"),
        ({"CustomerUser": "x@example.com"}, "CustomerUser parameter is invalid"),
        ({"SLA": "Gold"}, "SLA parameter is invalid"),
        ({"Service": "Network", "CustomerUser": "x@y.test"}, "Service parameter is invalid"),
        ({"PendingTime": {"Month": 13}}, "PendingTime parameter is invalid"),
        ({"Lock": "locked"}, "Lock parameter is invalid"),
        ({"Owner": "nobody"}, "Owner parameter is invalid"),
    ],
)
async def test_what_a_ticket_is_refused_for(desk: Raw, ticket: JsonObject, words: str) -> None:
    assert words in said(await desk.create(ticket))
    assert desk.tickets == []


@pytest.mark.parametrize(
    ("customer", "stored"),
    [
        ("KUNDE", "kunde"),
        ("karl@customer.test", "kunde"),
        ('"N" <a@b.test>', '"N" <a@b.test>'),
        ("a@x.test, b@x.test",) * 2,
    ],
)
async def test_how_a_customer_is_stored(desk: Raw, customer: str, stored: str) -> None:
    await desk.create({"CustomerUser": customer})
    assert desk.tickets[0].address == stored


async def test_a_pending_state_without_a_time_is_taken_on_create_and_refused_on_update(desk: Raw) -> None:
    number = (await desk.create({"State": "pending reminder"}))["TicketID"]
    assert "pending" not in desk.tickets[0].fields
    assert "pendig time" in said(await desk.update(number, Ticket={"State": "pending auto close+"}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Name": "Severity", "Value": "Critical"}, "Value parameter is invalid"),
        ({"Name": "DynamicField_Host", "Value": "x"}, "Name parameter is invalid"),
        ({"Name": "host", "Value": "x"}, "Name parameter is invalid"),
        ({"Name": "Host", "Value": True}, "Value  parameter is missing"),
        ([], "parameter is missing or not valid"),
    ],
)
async def test_what_a_dynamic_field_is_refused_for(desk: Raw, value: JsonValue, words: str) -> None:
    assert words in said(await desk.create(DynamicField=value))
    assert desk.tickets == []


async def test_a_value_that_the_column_does_not_take_fails_after_the_ticket_was_made(desk: Raw) -> None:
    body: JsonObject = {
        "Ticket": {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"},
        "Article": {"Subject": "s", "Body": "b", "ContentType": TEXT},
        "DynamicField": {"Name": "Host", "Value": "x" * 70_000},
    }
    reply = await desk.ask("/ticket", body)
    assert (reply.status, len(desk.tickets), desk.entries()) == (500, 1, ())


async def test_any_text_makes_an_article_visible_even_no(desk: Raw) -> None:
    await desk.create(article={"IsVisibleForCustomer": "no"})
    await desk.create(article={"IsVisibleForCustomer": None})
    await desk.create(article={"IsVisibleForCustomer": 0})
    seen = [desk.entries(index)[0].details["IsVisibleForCustomer"] for index in range(3)]
    assert seen == ["1", "1", "0"]


async def test_the_second_of_two_equal_file_names_gets_a_number(desk: Raw) -> None:
    file: JsonObject = {"Content": "eA==", "ContentType": "Text/Plain", "Filename": "a.txt"}
    await desk.create(Attachment=[file, file])
    assert [one.filename for one in desk.entries()[0].attachments] == ["a.txt", "a-1.txt"]
    assert desk.entries()[0].attachments[0].media_type == "text/plain"


async def test_an_html_article_is_kept_as_text_with_a_file_that_is_not_listed(desk: Raw) -> None:
    number = (await desk.create(article={"Body": "<p>a<br>b</p>", "ContentType": "text/html; charset=utf-8"}))[
        "TicketID"
    ]
    told = await desk.told("/ticket/get", {"TicketID": number, "AllArticles": 1, "Attachments": 1})
    assert '"a\\nb"' in json.dumps(told)
    assert "file-2" not in json.dumps(told)


async def test_an_automatic_answer_goes_out_for_hidden_articles_too_unless_another_type_is_asked_for(desk: Raw) -> None:
    desk.double.change_settings({"auto_replies": {"Monitoring": ["auto reply"]}})
    await desk.create(article={"IsVisibleForCustomer": 0, "SenderType": "system"})
    await desk.create(article={"AutoResponseType": "auto reject"})
    mails = [len(desk.store.threads([one.id])[one.id].mails) for one in desk.tickets]
    assert mails == [1, 0]


async def test_four_equal_creates_at_once_make_four_tickets(desk: Raw) -> None:
    await asyncio.gather(*(desk.create(DynamicField={"Name": "TicketGatewayID", "Value": "same"}) for _ in range(4)))
    assert len(await desk.found(DynamicField_TicketGatewayID={"Equals": "same"})) == 4


async def test_a_ticket_can_be_found_while_it_is_still_being_made(desk: Raw) -> None:
    desk.double.change_settings({"latency": 0.05})
    making = asyncio.create_task(desk.create(DynamicField={"Name": "Host", "Value": "web1"}))
    await asyncio.sleep(0.02)
    assert len(await desk.found(DynamicField_Host={"Equals": "web1"})) == 1
    assert desk.entries() == ()
    assert not making.done()
    assert "TicketID" in await making


async def test_a_request_whose_client_hung_up_is_carried_out_in_full(desk: Raw) -> None:
    desk.double.change_settings({"latency": 0.02})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(desk.create(), 0.01)
    await asyncio.sleep(0.1)
    assert len(desk.entries()) == 1


# ------------------------------------------------------------------------------------------------------------ updating


async def test_unlocking_takes_the_ticket_from_its_owner_and_so_does_closing(desk: Raw) -> None:
    number = (await desk.create({"Owner": "gateway"}))["TicketID"]
    assert desk.tickets[0].fields["lock"] == "lock"
    await desk.update(number, Ticket={"State": "closed successful"})
    assert (desk.tickets[0].assignee, desk.tickets[0].fields["lock"]) == ("root@localhost", "unlock")
    await desk.update(number, Ticket={"State": "open"})
    assert desk.tickets[0].assignee == "root@localhost"


async def test_an_empty_ticket_is_refused_and_an_update_without_anything_is_not(desk: Raw) -> None:
    number = (await desk.create())["TicketID"]
    assert "Ticket parameter is not valid" in said(await desk.update(number, Ticket={}))
    assert "Error" not in await desk.update(number)
    assert "an article is needed" in said(await desk.update(number, Attachment={"Content": "eA=="}))


async def test_the_number_in_the_body_outranks_the_id_in_the_path(desk: Raw) -> None:
    await desk.create()
    second = await desk.create()
    body: JsonObject = {"TicketNumber": second["TicketNumber"], "Ticket": {"Title": "second"}}
    await desk.told("/Ticket/1", body, method="PATCH", service="GenericTicketConnectorREST")
    assert [one.subject for one in desk.tickets] == ["Disk full", "second"]


async def test_an_article_on_a_merged_ticket_stays_there(desk: Raw) -> None:
    first = await desk.create()
    await desk.create()
    assert desk.double.act(desk.tickets[0].id, "merge")
    await desk.update(first["TicketID"], Article={"Subject": "s", "Body": "lost", "ContentType": TEXT})
    assert [len(desk.entries(index)) for index in (0, 1)] == [2, 1]


# ----------------------------------------------------------------------------------------------------------- searching


async def test_criteria_in_the_singular_or_unknown_find_everything(desk: Raw) -> None:
    await desk.create()
    for criteria in (
        {"Queue": "Raw"},
        {"State": "open"},
        {"CustomerUser": "nobody"},
        {"Subject": "zzz"},
        {"MIMEBase_MessageID": "x"},
        {"DynamicField_Host": {"Equals": ""}},
        {"DynamicField_Nope": {"Equals": "x"}},
    ):
        assert len(await desk.found(**criteria)) == 1, criteria


async def test_an_unknown_name_a_bad_limit_and_a_bad_sort_find_nothing(desk: Raw) -> None:
    await desk.create()
    for criteria in ({"Queues": "Nope"}, {"Limit": "many"}, {"SortBy": "Nope"}, {"TicketCreateTimeNewerDate": "soon"}):
        assert await desk.found(**criteria) == [], criteria


async def test_the_state_type_open_is_not_everything_that_is_open(desk: Raw) -> None:
    await desk.create()
    assert await desk.found(StateType="Open") == []
    assert len(await desk.found(StateType=["new", "open", "pending reminder", "pending auto"])) == 1


async def test_equals_knows_no_case_no_blanks_at_the_end_and_finds_no_asterisk(desk: Raw) -> None:
    await desk.create(DynamicField={"Name": "Host", "Value": "web_1"})
    await desk.create(DynamicField={"Name": "Host", "Value": "a*b"})
    assert len(await desk.found(DynamicField_Host={"Equals": "WEB_1 "})) == 1
    assert len(await desk.found(DynamicField_Host={"Equals": ["x", "web_1"]})) == 1
    assert await desk.found(DynamicField_Host={"Equals": "webX1"}) == []
    assert await desk.found(DynamicField_Host={"Equals": "a*b"}) == []
    assert len(await desk.found(DynamicField_Host={"Like": "web*"})) == 1


async def test_the_list_form_of_a_field_silences_the_other_one(desk: Raw) -> None:
    await desk.create(DynamicField={"Name": "Host", "Value": "web1"})
    both: JsonObject = {"DynamicField": [{"Name": "Host", "Equals": "web1"}], "DynamicField_Host": {"Equals": "other"}}
    assert len(await desk.found(**both)) == 1


async def test_a_uuid_is_in_no_index_of_words_and_a_short_word_is(desk: Raw) -> None:
    await desk.create(article={"Body": "Event 123e4567-e89b-12d3-a456-426614174000 and evt-17"})
    assert await desk.found(MIMEBase_Body="123e4567-e89b-12d3-a456-426614174000") == []
    assert len(await desk.found(MIMEBase_Body="EVT-17")) == 1


async def test_one_ticket_that_is_missing_spoils_the_whole_reading(desk: Raw) -> None:
    number = (await desk.create())["TicketID"]
    assert "AccessDenied" in said(await desk.told("/ticket/get", {"TicketID": [number, "77"]}))


async def test_a_ticket_without_article_is_shown_with_one_that_is_empty(desk: Raw) -> None:
    desk.double.faults.replace([Fault.model_validate({"fault": "die_half_way"})])
    body: JsonObject = {
        "Ticket": {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"},
        "Article": {"Subject": "s", "Body": "b", "ContentType": TEXT},
    }
    assert "Article could not be created" in (await desk.ask("/ticket", body)).body
    told = await desk.told("/ticket/get", {"TicketID": 1, "AllArticles": 1})
    assert '"Article": [{"TimeUnit": null}]' in json.dumps(told)


# ------------------------------------------------------------------------------------------------------------ sessions


async def test_a_session_dies_two_hours_after_it_was_made_whatever_its_use(desk: Raw) -> None:
    session = (await desk.told("/session"))["SessionID"]
    for seconds, well in ((3600, True), (3599, True), (1, False)):
        desk.clock.now += seconds
        told = json.loads((await desk.ask("/ticket/search", {"SessionID": session}, login=False)).body)
        assert ("Error" not in told) is well


async def test_a_session_from_another_address_is_refused_and_deleted(desk: Raw) -> None:
    session = (await desk.told("/session"))["SessionID"]
    for client in ("127.0.0.2", "127.0.0.1"):
        desk.client = client
        told = json.loads((await desk.ask("/ticket/search", {"SessionID": session}, login=False)).body)
        assert "AuthFail" in said(told)


async def test_a_customer_sees_only_its_own_tickets(desk: Raw) -> None:
    customers = {"kunde": {"name": "K", "email": "k@c.test", "company": "A", "password": "pw"}}
    desk.double.change_settings({"customers": customers})
    await desk.create()
    await desk.create({"CustomerUser": "other@c.test"})
    body: JsonObject = {"CustomerUserLogin": "kunde", "Password": "pw"}
    assert json.loads((await desk.ask("/ticket/search", body, login=False)).body) == {"TicketID": ["1"]}


# --------------------------------------------------------------------------------------------------------------- Znuny


async def test_znuny_sorts_the_keys_of_its_answers(znuny: Raw) -> None:
    assert list(await znuny.create()) == ["ArticleID", "TicketID", "TicketNumber"]


async def test_znuny_takes_credentials_from_headers_over_those_in_the_body(znuny: Raw) -> None:
    headers = {"x-otrs-header-userlogin": "gateway", "x-otrs-header-password": SANDBOX_API_KEY}
    body: JsonObject = {"UserLogin": "gateway", "Password": "wrong"}
    assert "SessionID" in (await znuny.ask("/session", body, headers=headers)).body
    bad = {**headers, "x-otrs-header-password": "wrong"}
    assert "AuthFail" in (await znuny.ask("/session", headers=bad)).body


async def test_otobo_ignores_credentials_in_headers(desk: Raw) -> None:
    headers = {"x-otrs-header-userlogin": "gateway", "x-otrs-header-password": SANDBOX_API_KEY}
    assert "AuthFail" in (await desk.ask("/ticket/search", {"x": 1}, headers=headers, login=False)).body


async def test_znuny_removes_a_byte_order_mark(znuny: Raw) -> None:
    assert (await znuny.ask("/session", raw=b"\xef\xbb\xbf" + json.dumps(LOGIN).encode())).status == 200


async def test_znuny_takes_several_articles_and_answers_with_a_list(znuny: Raw) -> None:
    article: JsonObject = {"Subject": "s", "Body": "b", "ContentType": TEXT}
    ticket: JsonObject = {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"}
    told = await znuny.told("/ticket", {"Ticket": ticket, "Article": [article, article]})
    assert isinstance(told["ArticleID"], list)
    more = await znuny.update(told["TicketID"], Article=[article, article])
    assert isinstance(more["ArticleIDs"], list)
    assert len(znuny.entries()) == 4


async def test_znuny_files_beside_the_articles_go_to_every_one_on_create_and_to_the_first_on_update(znuny: Raw) -> None:
    article: JsonObject = {"Subject": "s", "Body": "b", "ContentType": TEXT}
    ticket: JsonObject = {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"}
    file: JsonObject = {"Content": base64.b64encode(b"x").decode(), "ContentType": "text/plain", "Filename": "a"}
    told = await znuny.told("/ticket", {"Ticket": ticket, "Article": [article, article], "Attachment": file})
    await znuny.update(told["TicketID"], Article=[article, article], Attachment=file)
    assert [len(entry.attachments) for entry in znuny.entries()] == [1, 1, 1, 0]


async def test_znuny_mails_an_article_for_article_send_which_otobo_ignores(znuny: Raw, desk: Raw) -> None:
    for one, mails in ((znuny, 1), (desk, 0)):
        await one.create(article={"ArticleSend": 1, "To": "a@b.test"})
        assert len(one.store.threads([1])[1].mails) == mails


async def test_znuny_answers_a_create_with_ticket_data_with_a_list_of_articles(znuny: Raw) -> None:
    services = {"TicketGateway": WebService(include_ticket_data=True)}
    znuny.double.change_settings({"services": services})
    ticket = (await znuny.create())["Ticket"]
    assert isinstance(ticket, dict)
    assert isinstance(ticket["Article"], list)


def test_the_shipped_names_are_those_of_a_fresh_installation() -> None:
    shipped = OtoboSandboxSettings()
    assert list(shipped.states)[:4] == ["new", "closed successful", "closed unsuccessful", "open"]
    assert "closed" not in shipped.states
    assert shipped.priorities[2] == "3 normal"
    assert shipped.title_length == 191
    assert shipped.session_life == 7200
    assert isinstance(shipped.agents["gateway"], Agent)
    assert isinstance(shipped.dynamic_fields["TicketGatewayID"], DynamicField)
