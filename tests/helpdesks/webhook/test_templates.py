"""Requests as they are rendered: types, what is left out, what an event can and cannot change."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.helpdesks.text import one_line, whole
from gateway.helpdesks.webhook.connector import WebhookConnector
from gateway.helpdesks.webhook.fields import check_fields
from gateway.model.action import ActionKind
from tests.helpdesks.smtp.support import MARKER, order
from tests.helpdesks.webhook.support import TICKET, settings

HOSTILE = st.text(max_size=100) | st.sampled_from(
    [
        "{{ 7 * 7 }}",
        "{% for x in range(9) %}",
        '"}',
        "a/../../admin",
        "?x=1&y=#",
        "\r\nX-Admin: 1",
        "\ud800",
        "%2f..%2f",
        "..",
    ]
)


def body(one: object = None, fields: dict[str, object] | None = None, **more: object) -> object:
    connector = WebhookConnector("desk", settings(create={"url": "/t", "body": one}))
    return orjson.loads(orjson.loads(connector.prepare(order(fields=fields, **more)))["json"])  # type: ignore[arg-type]  # as `order` takes them


def test_one_expression_keeps_its_type_and_everything_else_is_text() -> None:
    tree = {
        "number": "{{ fields.n }}",
        "list": ["{{ fields.l }}", "x{{ fields.n }}"],
        "deep": {"int": "{{ fields.s | int }}", "yes": "{{ fields.n == 5 }}", "made": "{{ {'a': [1, fields.s]} }}"},
        "plain": 7,
        "nothing": None,
        "constant": "text",
    }
    assert body(tree, {"n": 5, "l": ["a", "b"], "s": "12"}) == {
        "number": 5,
        "list": [["a", "b"], "x5"],
        "deep": {"int": 12, "yes": True, "made": {"a": [1, "12"]}},
        "plain": 7,
        "nothing": None,
        "constant": "text",
    }


def test_what_is_not_defined_is_left_out_and_never_an_empty_word() -> None:
    assert body(
        {"a": "{{ fields.missing }}", "b": ["{{ fields.missing }}", 1], "c": {"d": "{{ fields.missing }}"}}
    ) == {
        "b": [1],
        "c": {},
    }
    with pytest.raises(ValueError, match=r"body\.a.*missing"):
        body({"a": "x {{ fields.missing }}"})


def test_files_stand_where_the_tree_has_a_place_for_them() -> None:
    tree = {"files": {"$each": "files", "name": "{{ file.name }}", "bytes": "{{ file.size }}", "data": "$base64"}}
    files = (("a.txt", "text/plain", b"abc"), ("b.bin", "", b"\0" * 2_000_000))
    made = body(tree, files=files)
    assert isinstance(made, dict)
    assert made["files"][0] == {"name": "a.txt", "bytes": 3, "data": "YWJj"}
    assert [len(one["data"]) for one in made["files"]] == [4, 2_666_668]


@given(title=HOSTILE, text=HOSTILE, value=HOSTILE)
def test_what_an_event_says_is_never_a_template_nor_another_key(title: str, text: str, value: str) -> None:
    made = body(
        {"title": "{{ title }}", "text": "{{ text }} end", "f": "{{ fields.f }}"}, {"f": value}, title=title, text=text
    )
    assert isinstance(made, dict)
    shown = one_line(title) or "(no subject)"
    assert made == {"title": shown, "text": f"{whole(text).strip() or shown} end", "f": whole(value)}


@given(value=HOSTILE)
def test_what_an_event_says_stays_in_its_place_of_an_address_and_of_a_header(value: str) -> None:
    create = {"url": "/q/{{ fields.f }}/t?x={{ fields.f }}", "headers": {"X-Team": "{{ fields.f }}"}, "body": {}}
    connector = WebhookConnector("desk", settings(create=create))
    try:
        stored = orjson.loads(connector.prepare(order(fields={"f": value})))
    except ValueError:
        assert whole(value) in {"", ".", ".."}
        return
    path, _, query = stored["url"].removeprefix("https://api.example.org/v1").partition("?")
    assert path.count("/") == 3
    assert "&" not in query
    assert "#" not in stored["url"]
    assert stored["headers"]["X-Team"].isprintable()
    assert stored["headers"]["X-Team"].isascii()
    assert set(stored["headers"]) == {"X-Team", "Idempotency-Key", "Content-Type"}


def test_a_follow_up_names_its_ticket() -> None:
    stored = orjson.loads(WebhookConnector("desk", settings()).prepare(order(ActionKind.APPEND, ticket=TICKET)))
    assert stored["url"] == "https://api.example.org/v1/tickets/T-7/notes"
    assert orjson.loads(stored["json"]) == {"text": "It is down."}
    assert stored["headers"]["Idempotency-Key"] == MARKER


def test_fields_are_checked_against_the_requests_before_any_event() -> None:
    create = {"url": "/{{ fields.place }}", "body": {"a": "{{ fields.queue }}", "b": "prio {{ fields.priority }}"}}
    told = check_fields({"queu": "x", "place": "y"}, settings(create=create))
    assert [(one.field, one.hint) for one in told] == [
        ("queu", "did you mean 'queue'?"),
        ("priority", "write `priority: ...` here"),
    ]
    assert check_fields({"place": "y", "priority": 1}, settings(create=create)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"create": {"url": "tickets"}}, "begins with one"),
        ({"create": {"url": "https://elsewhere.example/x"}}, "begins with one"),
        ({"create": {"url": "//elsewhere.example"}}, "begins with one"),
        ({"create": {"url": "/a/../b"}}, "cannot stand here"),
        ({"create": {"url": "/a{% if x %}"}}, "can stand here"),
        ({"create": {"url": "/{{ ticket.id }}"}}, "no ticket yet"),
        ({"create": {"url": "/t", "body": {"a": {"b": "{{ titel }}"}}}}, "nothing is called 'titel'"),
        ({"create": {"url": "/t", "body": ["{{ title | nothing }}"]}}, "no filter"),
        ({"create": {"url": "/t", "body": {"a": "$base64"}}}, "stands only below"),
        ({"create": {"url": "/t", "body": {"$each": "tickets"}}}, "only `\\$each: files`"),
        ({"create": {"url": "/t", "headers": {"Host": "x"}}}, "makes the header Host itself"),
        ({"create": {"url": "/t", "look_up": {"url": "/all", "marker": "m"}}}, "must name"),
        ({"auth": {"bearer": "a", "basic": {"user": "a", "password": "b"}}}, "give one"),
        ({"auth": {"login": {"url": "http://plain.example/token", "token": "t"}}}, "whole https address"),
        ({"limits": {"settle": "5s"}, "sandbox": False}, "at least 60s"),
    ],
)
def test_settings_that_could_not_work_are_refused_with_words(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**changes)
