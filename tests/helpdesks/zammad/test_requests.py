"""What is stored of an order, and what the settings and fields refuse before anything is sent."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.helpdesks.zammad import article
from gateway.helpdesks.zammad.article import MOST_BODY, MOST_TITLE
from gateway.helpdesks.zammad.connector import ZammadConnector
from gateway.helpdesks.zammad.fields import check_fields, checked
from gateway.model.action import ActionKind, AttachmentRef, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason
from tests.helpdesks.zammad.desk import MARKER, order, settings

WAY = ZammadConnector("zammad", settings())
TICKET = TicketRef("zammad", "7", "1000007", requester="eve@example.org")


def stored(**given: object) -> JsonObject:
    value = orjson.loads(WAY.prepare(order(**given)))  # type: ignore[arg-type]  # as `order` takes them
    assert isinstance(value, dict)
    return value


def test_the_same_order_gives_the_same_octets_and_no_secret() -> None:
    one = WAY.prepare(order(fields={"priority": "3 high"}))
    assert one == WAY.prepare(order(fields={"priority": "3 high"}))
    assert b"5A4DB0C0" not in one


def test_the_title_is_the_articles_subject_so_that_mail_replies_find_the_ticket() -> None:
    value = stored(title="a\nb\tc  d")
    assert value["ticket"]["title"] == value["article"]["subject"] == "a b c d"  # type: ignore[index, call-overload]  # JSON


@given(st.text(max_size=400))
def test_any_text_makes_a_title_that_the_column_holds(text: str) -> None:
    line = article.title(text)
    assert line
    assert len(line) <= MOST_TITLE
    assert "\n" not in line


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_makes_an_article_with_a_body(text: str, html: str) -> None:
    value = stored(text=text, html=html)
    assert str(value["article"]["body"]).strip()  # type: ignore[index, call-overload]  # JSON


def test_numbers_go_as_ids_and_names_as_names() -> None:
    ticket = checked({"priority": 3, "state": "2", "group": "Users", "owner": "eve"}, settings(), 0.0).ticket
    assert (ticket["priority_id"], ticket["state_id"], ticket["group"], ticket["owner"]) == (3, 2, "Users", "eve")


def test_tags_are_one_text() -> None:
    assert checked({"tags": ["a b", "c,d", "", "a b"]}, settings(), 0.0).ticket["tags"] == "a b,c d"


def test_an_unknown_customer_is_guessed_or_made_with_its_name() -> None:
    assert checked({}, settings(), 0.0).ticket["customer_id"] == "guess:monitoring@example.org"
    made = checked({"customer": "eve@example.org", "customer_name": "Eve Adams"}, settings(), 0.0)
    assert made.ticket["customer"] == {"firstname": "Eve", "lastname": "Adams", "email": "eve@example.org"}


def test_a_pending_time_may_be_a_duration_or_a_time_with_its_zone() -> None:
    assert checked({"pending_time": "2d"}, settings(), 0.0).ticket["pending_time"] == "1970-01-03T00:00:00Z"
    value = checked({"pending_time": "2026-12-05T22:00:00+01:00"}, settings(), 0.0)
    assert value.ticket["pending_time"] == "2026-12-05T21:00:00Z"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("title", "x", "template"),
        ("article", {}, "template"),
        ("group_id", 3, "write `group`"),
        ("gateway_key", "x", "gateway's own"),
        ("Big", "x", "no attribute's name"),
        ("customer", "not an address", "no plain mail address"),
        ("pending_time", "tomorrow", "neither a time nor a duration"),
        ("pending_time", "2026-12-05T22:00:00", "no zone"),
        ("mentions", ["eve"], "no id of a user"),
        ("article_type", "email", "none of note, phone, web"),
        ("internal", "perhaps", "neither true nor false"),
        ("priority", [1], "neither a name nor an id"),
        ("site", {"a": 1}, "no value of an attribute"),
    ],
)
def test_a_field_that_zammad_would_misunderstand_is_refused(name: str, value: JsonValue, words: str) -> None:
    (problem,) = check_fields({name: value}, settings())
    assert problem.field == name
    assert words in f"{problem.problem}; {problem.hint}"


def test_templates_are_not_judged_and_tables_are_value_by_value() -> None:
    assert check_fields({"priority": "{{ x }}", "tags": ["a", "{{ b }}"]}, settings()) == []
    table: JsonValue = {"from": "severity", "table": {"critical": "3 high", "*": ["no"]}}
    assert [problem.field for problem in check_fields({"priority": table}, settings())] == ["priority"]


def test_group_and_customer_must_come_from_somewhere() -> None:
    bare = settings(group="", customer="")
    assert [problem.field for problem in check_fields({}, bare)] == ["group", "customer"]
    assert check_fields({"group": "Users", "customer": "a@example.org"}, bare) == []
    with pytest.raises(ValueError, match="field group"):
        checked({}, bare, 0.0)


def test_mention_links_of_foreign_html_are_taken_out() -> None:
    value = stored(html='<a data-mention-user-id="3" href="https://example.org">x</a>')
    assert "mention" not in str(value["article"]["body"])  # type: ignore[index, call-overload]  # JSON


def test_a_body_is_cut_below_what_zammad_takes() -> None:
    value = stored(text="x" * (MOST_BODY + 10))
    body = str(value["article"]["body"])  # type: ignore[index, call-overload]  # JSON
    assert MOST_BODY < len(body) < 1_500_000
    assert body.endswith("ends here.]")


def test_images_that_would_make_the_body_too_long_go_as_files() -> None:
    image = b"\x89PNG" + bytes(MOST_BODY)
    value = stored(html='<p>x <img src="cid:a.png"></p>', files=(("a.png", "image/png", image),))
    message = value["article"]
    assert isinstance(message, dict)
    assert len(str(message["body"])) < 1000
    assert len(article.strings(message["attachments"])) == 1


def test_files_over_a_requests_limit_follow_and_a_bigger_one_is_named() -> None:
    way = ZammadConnector("zammad", settings(max_request="1KiB"))
    sizes = (600, 600, 5000)
    files = tuple(AttachmentRef("r", 0, n, f"f{n}", "text/plain", size, f"{n}" * 64) for n, size in enumerate(sizes))
    first, second = way.split(ActionKind.CREATE, TicketDraft("t", "x", attachments=files))
    assert [file.filename for file in first.attachments] == ["f0"]
    assert [file.filename for file in second.attachments] == ["f1"]
    assert "too big: f2 (5000 bytes" in first.text
    assert Reason.ATTACHMENT_TOO_BIG in first.reasons


def test_what_takes_a_deleted_tickets_place_begins_as_a_new_one() -> None:
    value = stored(kind=ActionKind.APPEND, ticket=TICKET, fields={"state": "pending reminder", "pending_time": "1d"})
    ticket = value["ticket"]
    assert isinstance(ticket, dict)
    assert "state" not in ticket
    assert ticket["gateway_key"] == MARKER
    assert value["change"] == {}
    assert value["requester"] == "eve@example.org"


def test_a_close_makes_no_ticket() -> None:
    assert stored(kind=ActionKind.CLOSE, ticket=TICKET)["ticket"] == {}


def test_a_follow_up_without_a_ticket_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs a ticket"):
        WAY.prepare(order(ActionKind.APPEND))


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://x"},
        {"url": "https://x/?a=b"},
        {"auth": {}},
        {"auth": {"token": "a", "bearer": "b"}},
        {"marker_attribute": "No Name"},
        {"sandbox": False},  # settle is 1 s
        {"customer": "x"},
        {"act_as": "a\nb"},
        {"article_type": "email"},
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**change)


@pytest.mark.parametrize("url", ["https://z.example", "https://z.example/", "https://z.example/api/v1/"])
def test_the_address_is_understood_with_and_without_the_api(url: str) -> None:
    one = settings(url=url)
    assert (one.base, one.api, one.message_domain) == ("https://z.example", "https://z.example/api/v1", "z.example")
