"""The double holds what is known of Zammad: a test for each fact, asked as any client would ask."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
import pytest

from gateway.helpdesks.zammad.sandbox import ZammadSandbox
from gateway.helpdesks.zammad.sandbox_settings import Agent, StateRow, Token, ZammadSandboxSettings
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Drop, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.store import Store
from tests.helpdesks.zammad.desk import Clock

pytestmark = pytest.mark.anyio
NEW: JsonObject = {
    "title": "a title",
    "group": "Users",
    "customer_id": "guess:eve@example.org",
    "article": {"body": "a body"},
}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n0123").decode()


@dataclass
class Client:
    """A client of the double."""

    double: ZammadSandbox
    store: Store
    clock: Clock

    async def ask(
        self, method: str, path: str, body: JsonValue = None, *, token: str = SANDBOX_API_KEY, **headers: str
    ) -> tuple[int, JsonValue]:
        parts = urlsplit(f"/api/v1{path}")
        given = {"authorization": f"Token token={token}", "accept": "application/json", **headers}
        content = b"" if body is None else orjson.dumps(body)
        reply = await self.double.answer(Request(method, parts.path, parts.query, given, content))
        assert not isinstance(reply, Drop)
        try:
            return reply.status, orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return reply.status, reply.body

    async def create(self, **changes: JsonValue) -> JsonObject:
        status, value = await self.ask("POST", "/tickets?expand=true", {**NEW, **changes})
        assert status == 201, value
        assert isinstance(value, dict)
        return value

    async def search(self, body: JsonObject, flags: str = "?expand=true") -> JsonValue:
        status, value = await self.ask("POST", f"/tickets/search{flags}", body)
        assert status == 200, value
        return value

    def switch(self, **changes: object) -> None:
        self.double.change_settings(changes)


def error(answer: tuple[int, JsonValue]) -> tuple[int, str]:
    status, value = answer
    assert isinstance(value, dict)
    return status, str(value["error"])


@pytest.fixture
async def zammad() -> AsyncIterator[Client]:
    store, clock = Store(None), Clock()
    double = ZammadSandbox(store, clock=clock)
    yield Client(double, store, clock)
    await double.close()
    store.close()


# ---- request rules


async def test_errors_are_json_only_where_json_is_asked_for(zammad: Client) -> None:
    status, value = await zammad.ask("GET", "/tickets/999", accept="*/*")
    assert status == 404
    assert str(value).startswith("<!DOCTYPE html>")


async def test_the_id_wins_over_the_name(zammad: Client) -> None:
    assert (await zammad.create(group="Nowhere", group_id=2))["group"] == "Operations"


async def test_a_number_under_a_name_is_looked_up_as_a_name(zammad: Client) -> None:
    answer = await zammad.ask("POST", "/tickets", {**NEW, "priority": 2})
    assert error(answer) == (422, "No lookup value found for 'priority': 2")


async def test_unknown_keys_are_dropped_without_a_word(zammad: Client) -> None:
    assert "gateway_kye" not in await zammad.create(gateway_kye="x")


# ---- authentication


@pytest.mark.parametrize(
    ("authorization", "status", "text"),
    [
        ("", 403, "Authentication required"),
        ("Token token=wrong", 401, "Can't find User for Token"),
        ("Bearer wrong", 401, "The provided token is invalid."),
        ("Basic d3Jvbmc6d3Jvbmc=", 401, "Invalid BasicAuth credentials"),
        ("Token token=old", 401, "Not authorized (token expired)!"),
        ("Token token=weak", 403, "Not authorized (token)!"),
    ],
)
async def test_who_is_refused_hears_why(zammad: Client, authorization: str, status: int, text: str) -> None:
    zammad.switch(tokens={"old": Token(expired=True), "weak": Token(permissions=())})
    assert error(await zammad.ask("GET", "/ticket_states", authorization=authorization)) == (status, text)


async def test_switched_off_ways_in_are_403(zammad: Client) -> None:
    zammad.switch(token_access=False, password_access=False)
    assert error(await zammad.ask("GET", "/users/me")) == (403, "API token access disabled!")
    assert error(await zammad.ask("GET", "/users/me", authorization="Basic eDp5")) == (
        403,
        "API password access disabled!",
    )


async def test_an_inactive_user_is_401(zammad: Client) -> None:
    zammad.switch(agents={3: Agent(login="a@example.org", name="A", active=False)})
    assert error(await zammad.ask("GET", "/users/me"))[0] == 401


async def test_maintenance_is_a_403_that_ends(zammad: Client) -> None:
    zammad.double.faults.replace([Fault(fault=FaultKind.MAINTENANCE, count=2)])
    answers = [await zammad.ask("GET", "/users/me") for _ in range(3)]
    assert [answer[0] for answer in answers] == [403, 403, 200]
    assert error(answers[0])[1] == "Maintenance mode enabled!"


async def test_acting_for_another_user_needs_admin_user_and_makes_the_ticket_theirs(zammad: Client) -> None:
    agents = {3: Agent(login="a@example.org", name="A"), 4: Agent(login="b@example.org", name="B")}
    zammad.switch(agents=agents)
    assert error(await zammad.ask("GET", "/users/me", **{"from": "b@example.org"}))[0] == 403
    zammad.switch(tokens={SANDBOX_API_KEY: Token(permissions=("ticket.agent", "admin.user"))})
    assert error(await zammad.ask("GET", "/users/me", **{"from": "c@example.org"})) == (
        403,
        "No such user 'c@example.org'",
    )
    _, made = await zammad.ask("POST", "/tickets", NEW, **{"from": "4"})
    assert isinstance(made, dict)
    assert made["created_by_id"] == 4


async def test_an_agents_token_cannot_list_groups(zammad: Client) -> None:
    assert (await zammad.ask("GET", "/groups"))[0] == 403
    assert (await zammad.ask("GET", "/ticket_priorities"))[0] == 200


# ---- errors


async def test_a_database_error_is_a_422_that_hides_its_text(zammad: Client) -> None:
    answer = await zammad.ask("POST", "/tickets", {**NEW, "title": "x" * 251})
    status, value = answer
    assert isinstance(value, dict)
    assert status == 422
    assert str(value["error"]).startswith("Error ID ")
    assert "error_human" not in value


async def test_newer_releases_add_keys_to_a_422(zammad: Client) -> None:
    _, value = await zammad.ask("POST", "/tickets", {**NEW, "group": "x"})
    assert isinstance(value, dict)
    assert "unprocessable_entity" in value


async def test_a_ticket_that_the_account_may_not_see_is_403_and_not_404(zammad: Client) -> None:
    ticket = await zammad.create()
    zammad.switch(agents={3: Agent(login="a@example.org", name="A", rights=("create",))})
    assert error(await zammad.ask("GET", f"/tickets/{ticket['id']}")) == (403, "Not authorized")


# ---- create


async def test_id_and_number_are_two_things(zammad: Client) -> None:
    ticket = await zammad.create()
    assert isinstance(ticket["number"], str)
    assert ticket["number"] != str(ticket["id"])


async def test_defaults_apply(zammad: Client) -> None:
    ticket = await zammad.create()
    assert (ticket["state"], ticket["priority"], ticket["owner"]) == ("new", "2 normal", "-")


async def test_an_array_of_tags_ends_as_a_server_error(zammad: Client) -> None:
    status, text = error(await zammad.ask("POST", "/tickets", {**NEW, "tags": ["a"]}))
    assert status == 500
    assert text.startswith("Error ID")


async def test_new_tags_are_dropped_where_they_are_not_allowed(zammad: Client) -> None:
    await zammad.create(tags="known")
    zammad.switch(tag_new=False)
    ticket = await zammad.create(tags="known, fresh")
    _, value = await zammad.ask("GET", f"/tags?object=Ticket&o_id={ticket['id']}")
    assert value == {"tags": ["known"]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"group": None}, "The required value 'group_id' is missing."),
        ({"group": "Nowhere"}, "No lookup value found for 'group': \"Nowhere\""),
        ({"owner_id": 99999}, "Invalid value for param 'owner_id': 99999"),
        ({"customer_id": None, "customer": 5}, "String is needed as ref value 5 for 'customer'"),
        ({"customer_id": "guess:nobody"}, "Invalid email 'nobody' of customer"),
        ({"article": {}}, "Need at least an 'article body' field."),
        ({"article": {"body": ""}}, "Need at least an 'article body' field."),
        ({"article": {"body": "x" * 1_500_001}}, "body of article is too large, 1500001 chars - only 1500000 allowed"),
        (
            {"article": {"body": "x", "attachments": [{"filename": "a", "data": "eA=="}]}},
            "Attachment needs 'mime-type' param for attachment with index '0'",
        ),
        (
            {"article": {"body": "x", "attachments": [{"filename": "a", "data": "%", "mime-type": "text/plain"}]}},
            "Invalid base64 for attachment with index '0'",
        ),
        ({"state": "pending reminder"}, "Missing required value for field 'pending_time'!"),
    ],
)
async def test_a_create_that_is_refused_leaves_nothing(zammad: Client, change: JsonObject, text: str) -> None:
    assert error(await zammad.ask("POST", "/tickets", {**NEW, **change})) == (422, text)
    assert zammad.store.tickets("zammad") == []


async def test_a_mandatory_attribute_is_enforced(zammad: Client) -> None:
    zammad.switch(attributes=("gateway_key", "site"), required=("site",))
    assert error(await zammad.ask("POST", "/tickets", NEW)) == (422, "Missing required value for field 'site'!")
    assert (await zammad.create(site="FRA"))["site"] == "FRA"


async def test_an_older_release_keeps_the_empty_ticket_of_a_refused_article(zammad: Client) -> None:
    zammad.switch(release="older")
    assert (await zammad.ask("POST", "/tickets", {**NEW, "article": {}}))[0] == 422
    (left,) = zammad.store.tickets("zammad")
    assert left.entry_count == 0


async def test_an_older_release_takes_an_empty_body_and_no_create_without_article(zammad: Client) -> None:
    zammad.switch(release="older")
    await zammad.create(article={"body": ""})
    answer = await zammad.ask("POST", "/tickets", {**NEW, "article": None})
    assert error(answer) == (422, "article hash is missing")


async def test_two_creates_in_flight_make_two_tickets(zammad: Client) -> None:
    zammad.switch(latency=0.01)
    await asyncio.gather(zammad.create(gateway_key="k"), zammad.create(gateway_key="k"))
    assert len(zammad.store.tickets("zammad")) == 2


# ---- articles


async def test_a_data_image_is_cut_out_and_the_body_comes_back_rewritten(zammad: Client) -> None:
    body = f'<p>x</p><img src="data:image/png;base64,{PIXEL}">'
    ticket = await zammad.create(article={"body": body, "content_type": "text/html"})
    _, articles = await zammad.ask("GET", f"/ticket_articles/by_ticket/{ticket['id']}")
    assert isinstance(articles, list)
    assert isinstance(articles[0], dict)
    assert articles[0]["body"] != body
    assert "/api/v1/ticket_attachment/" in str(articles[0]["body"])


async def test_from_is_overwritten_and_message_id_kept_on_a_note(zammad: Client) -> None:
    ticket = await zammad.create(article={"body": "x", "from": "me", "message_id": "<a@b>"})
    _, articles = await zammad.ask("GET", f"/ticket_articles/by_ticket/{ticket['id']}")
    assert isinstance(articles, list)
    assert isinstance(articles[0], dict)
    assert (articles[0]["from"], articles[0]["message_id"]) == ("Ticket Gateway", "<a@b>")


@pytest.mark.parametrize(
    ("article", "mails"),
    [
        ({"type": "note"}, 0),
        ({"type": "phone", "sender": "Customer"}, 1),
        ({"type": "email", "sender": "Agent", "internal": True}, 1),
    ],
)
async def test_only_a_note_sends_no_mail(zammad: Client, article: JsonObject, mails: int) -> None:
    ticket = await zammad.create(article={"body": "x", **article})
    thread = zammad.store.threads([int(str(ticket["id"]))])[int(str(ticket["id"]))]
    assert len(thread.mails) == mails


async def test_a_mention_in_foreign_html_fails_the_create(zammad: Client) -> None:
    body = '<a data-mention-user-id="9">x</a>'
    answer = await zammad.ask("POST", "/tickets", {**NEW, "article": {"body": body, "content_type": "text/html"}})
    assert answer[0] == 422


async def test_an_article_can_be_added_by_its_own_address(zammad: Client) -> None:
    ticket = await zammad.create()
    status, value = await zammad.ask("POST", "/ticket_articles", {"ticket_id": ticket["id"], "body": "more"})
    assert status == 201
    assert isinstance(value, dict)
    assert value["body"] == "more"


# ---- update, states


async def test_an_update_with_an_article_is_both_or_none(zammad: Client) -> None:
    ticket = await zammad.create()
    change: JsonObject = {"state": "closed", "article": {"body": ""}}
    assert (await zammad.ask("PUT", f"/tickets/{ticket['id']}", change))[0] == 422
    _, value = await zammad.ask("GET", f"/tickets/{ticket['id']}?expand=true")
    assert isinstance(value, dict)
    assert value["state"] == "new"


async def test_tags_are_not_handled_by_an_update(zammad: Client) -> None:
    ticket = await zammad.create(tags="a")
    await zammad.ask("PUT", f"/tickets/{ticket['id']}", {"tags": "b"})
    _, value = await zammad.ask("GET", f"/tags?object=Ticket&o_id={ticket['id']}")
    assert value == {"tags": ["a"]}


async def test_an_owner_without_full_access_is_taken_away_without_a_word(zammad: Client) -> None:
    agents = {3: Agent(login="a@example.org", name="A"), 4: Agent(login="b@example.org", name="B", rights=("read",))}
    zammad.switch(agents=agents)
    ticket = await zammad.create(owner_id=4)
    assert ticket["owner"] == "b@example.org"
    await zammad.ask("PUT", f"/tickets/{ticket['id']}", {"article": {"body": "x"}})
    _, value = await zammad.ask("GET", f"/tickets/{ticket['id']}?expand=true")
    assert isinstance(value, dict)
    assert value["owner"] == "-"


async def test_an_article_never_opens_a_closed_ticket(zammad: Client) -> None:
    ticket = await zammad.create(state="closed")
    await zammad.ask("PUT", f"/tickets/{ticket['id']}", {"article": {"body": "x"}})
    _, value = await zammad.ask("GET", f"/tickets/{ticket['id']}?expand=true")
    assert isinstance(value, dict)
    assert value["state"] == "closed"


async def test_writing_to_a_merged_ticket_succeeds_and_its_link_leads_to_the_target(zammad: Client) -> None:
    source, target = await zammad.create(), await zammad.create(title="target")
    assert zammad.double.act(int(str(source["id"])), "merge")
    assert (await zammad.ask("PUT", f"/tickets/{source['id']}", {"article": {"body": "unread"}}))[0] == 200
    _, links = await zammad.ask("GET", f"/links?link_object=Ticket&link_object_value={source['id']}")
    assert isinstance(links, dict)
    assert links["links"] == [{"link_type": "parent", "link_object": "Ticket", "link_object_value": target["id"]}]
    _, articles = await zammad.ask("GET", f"/ticket_articles/by_ticket/{target['id']}")
    assert isinstance(articles, list)
    assert len(articles) == 2


async def test_only_an_administrator_deletes_and_the_answer_is_empty(zammad: Client) -> None:
    ticket = await zammad.create()
    refused = await zammad.ask("DELETE", f"/tickets/{ticket['id']}")
    assert error(refused) == (403, "Not authorized (admin permission required)!")
    zammad.switch(tokens={SANDBOX_API_KEY: Token(permissions=("ticket.agent", "admin"))})
    assert await zammad.ask("DELETE", f"/tickets/{ticket['id']}") == (200, "")
    assert (await zammad.ask("GET", f"/tickets/{ticket['id']}"))[0] == 404


# ---- tags


async def test_adding_a_tag_twice_is_no_error(zammad: Client) -> None:
    ticket = await zammad.create()
    body: JsonObject = {"object": "Ticket", "o_id": ticket["id"], "item": "a"}
    assert await zammad.ask("POST", "/tags/add", body) == (201, True)
    assert await zammad.ask("POST", "/tags/add", body) == (201, True)
    assert await zammad.ask("DELETE", "/tags/remove", body) == (200, True)


# ---- search


async def test_only_expand_has_one_shape_in_all_releases(zammad: Client) -> None:
    await zammad.create()
    for release in ("older", "newer"):
        zammad.switch(release=release)
        found = await zammad.search({"query": "title"})
        assert isinstance(found, list)
        assert len(found) == 1
    assert isinstance(await zammad.search({"query": "title"}, ""), list)
    assert isinstance(await zammad.search({"query": "title"}, "?with_total_count=true"), dict)
    zammad.switch(release="older")
    older = await zammad.search({"query": "title"}, "")
    assert isinstance(older, dict)
    assert set(older) == {"tickets", "tickets_count", "assets"}


async def test_a_query_without_an_index_is_a_piece_of_text_and_field_syntax_finds_nothing(zammad: Client) -> None:
    await zammad.create()
    assert len(await zammad.search({"query": "A TIT"})) == 1  # type: ignore[arg-type]  # a list
    assert await zammad.search({"query": "title:title"}) == []


async def test_a_query_over_the_index_lags_behind_and_a_condition_does_not(zammad: Client) -> None:
    zammad.switch(search_index=True, index_delay=2.0)
    await zammad.create(gateway_key="k1")
    condition: JsonObject = {"condition": {"ticket.gateway_key": {"operator": "is", "value": "k1"}}}
    assert await zammad.search({"query": "title"}) == []
    assert len(await zammad.search(condition)) == 1  # type: ignore[arg-type]  # a list
    zammad.clock.now += 3
    assert len(await zammad.search({"query": "title"})) == 1  # type: ignore[arg-type]  # a list


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("ticket.gateway_key", "is", "k1"),
        ("ticket.title", "contains", "TITLE"),
        ("ticket.state_id", "is", ["1", "2"]),
        ("ticket.tags", "contains all", "a, b"),
        ("ticket.tags", "contains one", "z,b"),
        ("article.message_id", "is", "<a@b>"),
        ("article.message_id_md5", "is", hashlib.md5(b"<a@b>").hexdigest()),
    ],
)
async def test_conditions_find_exactly(zammad: Client, name: str, operator: str, value: JsonValue) -> None:
    ticket = await zammad.create(gateway_key="k1", tags="a,b", article={"body": "x", "message_id": "<a@b>"})
    await zammad.create(title="other", state="closed")
    found = await zammad.search({"condition": {name: {"operator": operator, "value": value}}})
    assert isinstance(found, list)
    assert [one["id"] for one in found if isinstance(one, dict)] == [ticket["id"]]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"ticket.no_such_attribute": {"operator": "is", "value": "x"}},
        {"ticket.title": {"operator": "sounds like", "value": "x"}},
    ],
)
async def test_a_condition_that_is_not_understood_brings_the_latest_tickets(
    zammad: Client, condition: JsonObject
) -> None:
    await zammad.create()
    assert len(await zammad.search({"condition": condition})) == 1  # type: ignore[arg-type]  # a list


async def test_newer_releases_take_nested_conditions(zammad: Client) -> None:
    await zammad.create(gateway_key="k1")
    await zammad.create(gateway_key="k2")
    rules: list[JsonValue] = [
        {"name": "ticket.gateway_key", "operator": "is", "value": "k1"},
        {"name": "ticket.gateway_key", "operator": "is", "value": "k9"},
    ]
    found = await zammad.search({"condition": {"operator": "OR", "conditions": rules}})
    assert len(found) == 1  # type: ignore[arg-type]  # a list


async def test_an_unknown_column_to_sort_by_is_a_server_error(zammad: Client) -> None:
    assert (await zammad.ask("POST", "/tickets/search", {"query": "x", "sort_by": "nothing"}))[0] == 500


async def test_without_the_right_to_read_a_search_is_empty_and_not_403(zammad: Client) -> None:
    await zammad.create()
    zammad.switch(agents={3: Agent(login="a@example.org", name="A", rights=("create",))})
    assert await zammad.search({"query": "title"}) == []


# ---- settings, page


async def test_a_wrong_switch_changes_nothing(zammad: Client) -> None:
    with pytest.raises(ValueError, match="release"):
        zammad.switch(release="ancient")
    assert zammad.double.settings == ZammadSandboxSettings()


async def test_states_can_be_renamed_and_keep_their_type(zammad: Client) -> None:
    zammad.switch(states={1: StateRow(name="neu", type=1)})
    _, states = await zammad.ask("GET", "/ticket_states")
    assert isinstance(states, list)
    assert isinstance(states[0], dict)
    assert (states[0]["name"], states[0]["state_type_id"], states[0]["default_create"]) == ("neu", 1, True)
