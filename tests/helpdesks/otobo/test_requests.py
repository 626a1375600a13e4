"""Settings, fields, texts and files: what is refused before anything is sent, and what a request looks like."""

import base64

import orjson
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.helpdesks.otobo import text
from gateway.helpdesks.otobo.fields import check_fields
from gateway.helpdesks.otobo.files import file_name, split
from gateway.helpdesks.otobo.settings import Call
from gateway.model.action import ActionKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason
from tests.helpdesks.otobo.desk import MARKER, STOCK, attachment, connector, order, settings

TICKET = TicketRef("desk", "7", "2026112110000077")


def body(**more: JsonValue) -> JsonObject:
    found = orjson.loads(connector().prepare(order(fields=more)))["body"]
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "https://h/otobo/nph-genericinterface.pl/Webservice/X"}, "webservice"),
        ({"url": "helpdesk.example"}, "https://HOST/otobo"),
        ({**STOCK, "find_by": "dynamic_field"}, "cannot be searched over"),
        ({**STOCK, "auth": {"user": "u", "password": "p", "login": "call"}}, "login: session"),
        ({"routes": {"search": "FETCH /x"}}, "METHOD /path"),
        ({"routes": {"find": "POST /x"}}, "routes"),
        ({"dynamic_field": "Gateway_ID"}, "letters and digits"),
        ({"sandbox": False, "limits": {"settle": "5s"}}, "at least 60s"),
        ({"webservice": "a/b"}, "webservice"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_way_out(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**changes)


def test_a_route_of_its_own_lets_the_stock_layout_search_a_dynamic_field() -> None:
    own = settings(**STOCK, routes={"search": "POST /Search", "delete": "DELETE /Ticket/:TicketID"})
    assert own.finds_by == "dynamic_field"
    assert own.route(Call.SEARCH) == "POST /Search"
    assert own.route(Call.DELETE) == "DELETE /Ticket/:TicketID"
    assert settings().route(Call.DELETE) is None


def test_the_password_is_masked_in_every_text_of_the_settings() -> None:
    assert "5A4DB0C0" not in repr(settings())


# -------------------------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"queue": "A::B", "priority": 5, "DynamicField_Host": "{{ event.host }}"}, []),
        ({"Queue": "A"}, ["Queue"]),
        ({"title": "x"}, ["title"]),
        ({"ArticleSend": 1}, ["ArticleSend"]),
        ({"to": "a@b.test"}, ["to"]),
        ({"Host": "x"}, ["Host"]),
        ({"DynamicField_TicketGatewayID": "x"}, ["DynamicField_TicketGatewayID"]),
        ({"DynamicField_Host": {"a": 1}}, ["DynamicField_Host"]),
        ({"lock": "yes"}, ["lock"]),
        ({"customer": "A <a@b.test>"}, ["customer"]),
        ({"state": "pending reminder"}, ["state"]),
        ({"state": "pending reminder", "pending": "2h"}, []),
        ({"pending": "yesterday"}, ["pending"]),
        ({"pending": "2027-02-30 10:00"}, ["pending"]),
        ({"visible": {"from": "severity", "table": {"critical": "yes", "*": "perhaps"}}}, ["visible"]),
        ({"channel": "Chat"}, ["channel"]),
    ],
)
def test_a_route_with_fields_that_would_be_dropped_or_refused_does_not_pass_the_check(
    fields: JsonObject, wrong: list[str]
) -> None:
    assert [problem.field for problem in check_fields(fields, settings())] == wrong


def test_the_hint_for_the_helpdesks_own_name_is_ours() -> None:
    (problem,) = check_fields({"CustomerUser": "x"}, settings())
    assert problem.hint == "write `customer`"


def test_an_id_replaces_the_name_and_the_default() -> None:
    ticket = body(queue=5, state="7", priority="4 high", pending="2h")["Ticket"]
    assert isinstance(ticket, dict)
    assert (ticket["QueueID"], ticket["StateID"], ticket["Priority"]) == (5, 7, "4 high")
    assert ticket["PendingTime"] == {"Diff": 120}
    assert not {"Queue", "State"} & set(ticket)


def test_an_absolute_time_goes_in_its_parts() -> None:
    ticket = body(state="pending reminder", pending="2027-01-31 08:05")["Ticket"]
    assert isinstance(ticket, dict)
    assert ticket["PendingTime"] == {"Year": 2027, "Month": 1, "Day": 31, "Hour": 8, "Minute": 5}


def test_the_marker_is_the_first_dynamic_field_and_truths_are_numbers() -> None:
    dynamic = body(DynamicField_Flag=True, DynamicField_Tags=["a", "b"])["DynamicField"]
    assert dynamic == [
        {"Name": "TicketGatewayID", "Value": MARKER},
        {"Name": "Flag", "Value": 1},
        {"Name": "Tags", "Value": ["a", "b"]},
    ]


def test_a_value_that_is_too_long_is_cut_and_the_article_says_so() -> None:
    whole = body(DynamicField_Host="x" * 9000)
    article, dynamic = whole["Article"], whole["DynamicField"]
    assert isinstance(article, dict)
    assert isinstance(dynamic, list)
    assert isinstance(dynamic[1], dict)
    assert len(str(dynamic[1]["Value"])) == 8000
    assert "was cut at 8000 of 9000" in str(article["Body"])


def test_a_quiet_follow_up_tells_nobody_unless_told_to() -> None:
    quiet = orjson.loads(connector().prepare(order(ActionKind.APPEND, ticket=TICKET, quiet=True)))
    loud = orjson.loads(connector().prepare(order(ActionKind.APPEND, ticket=TICKET)))
    told = orjson.loads(
        connector().prepare(order(ActionKind.APPEND, ticket=TICKET, quiet=True, fields={"notify": True}))
    )
    assert [one["body"]["Article"].get("NoAgentNotify") for one in (quiet, loud, told)] == [1, None, None]


def test_fields_of_the_ticket_do_not_change_it_with_every_follow_up() -> None:
    fields: JsonObject = {"queue": "Raw", "priority": "1 very low", "DynamicField_Host": "x", "channel": "Phone"}
    stored = orjson.loads(connector().prepare(order(ActionKind.APPEND, ticket=TICKET, fields=fields)))
    assert set(stored["body"]) == {"Article"}
    assert stored["body"]["Article"]["CommunicationChannel"] == "Phone"


def test_the_same_order_gives_the_same_octets_without_secrets() -> None:
    first, second = (connector().prepare(order(files=[("a", b"x")])) for _ in range(2))
    assert first == second
    assert b"Password" not in first


def test_a_marker_in_capitals_is_refused() -> None:
    with pytest.raises(ValueError, match="without case"):
        connector().prepare(order(marker="ABCDEF0123456789"))


# --------------------------------------------------------------------------------------------------------------- texts


@given(st.text(max_size=400))
def test_a_title_is_one_line_of_at_most_191_characters_that_is_not_missing(given_title: str) -> None:
    for marker in ("", MARKER):
        line = text.title(given_title, marker)
        assert 0 < len(line) <= 191
        assert line.strip() not in {"", "0"}
        assert "\n" not in line
        assert line.endswith(f"tg-{marker}") if marker else True
        line.encode()


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_body_is_never_missing_and_ends_with_the_marker(plain: str, html: str) -> None:
    words, kind = text.body(plain, html, "a title", (), MARKER)
    assert words.strip() not in {"", "0"}
    assert f"tg-{MARKER}" in words
    assert kind in {"text/plain; charset=utf-8", "text/html; charset=utf-8"}
    words.encode()


def test_html_that_shows_nothing_gives_way_to_the_text() -> None:
    assert text.body("plain", "<p> </p>", "t", (), MARKER)[1].startswith("text/plain")


# --------------------------------------------------------------------------------------------------------------- files


@given(st.text(max_size=300))
def test_a_file_name_is_safe_and_short(name: str) -> None:
    made = file_name(name, 3)
    assert made
    assert len(made.encode()) <= 220
    assert not set(made) & set("/\\\n\0")


def test_an_empty_file_is_named_because_it_would_be_refused_with_all_the_rest() -> None:
    whole = orjson.loads(connector().prepare(order(files=[("a.txt", b""), ("b.txt", b"b")])))["body"]
    assert [file["Filename"] for file in whole["Attachment"]] == ["b.txt"]
    assert "Not attached, because it is empty: a.txt" in whole["Article"]["Body"]
    assert base64.b64decode(whole["Attachment"][0]["Content"]) == b"b"


def test_files_that_do_not_fit_into_one_request_follow_and_what_fits_nowhere_is_named() -> None:
    refs = tuple(attachment(f"{number}.bin", bytes(5000)) for number in range(4))
    huge = attachment("huge.bin", bytes(20_000))
    draft = TicketDraft("t", "text", attachments=(*refs, huge))
    head, *rest = split(draft, per_file=25_000, per_body=16_000)
    assert [ref.filename for part in (head, *rest) for ref in part.attachments] == [ref.filename for ref in refs]
    assert all(sum(ref.size for ref in part.attachments) * 4 // 3 < 16_000 for part in (head, *rest))
    assert rest
    assert all(part.quiet for part in rest)
    assert "huge.bin" in head.text
    assert Reason.ATTACHMENT_TOO_BIG in head.reasons


def test_a_draft_that_fits_is_not_split() -> None:
    draft = TicketDraft("t", "text", attachments=(attachment("a", b"a"),))
    assert connector().split(ActionKind.CREATE, draft) == (draft,)


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Re: [Ticket#2026112210000004] disk full", "2026112210000004"),
        ("AW: [ticket# 2026112210000004]", "2026112210000004"),
        ("my ticket is old, 2026", ""),
    ],
)
@pytest.mark.parametrize("kind", ["otobo", "znuny"])
def test_the_number_of_a_ticket_is_known_in_a_subject(kind: str, subject: str, number: str) -> None:
    found = re2.search(settings(kind=kind).subject_number, subject)
    assert (found[1] if found else "") == number
