import base64
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from gateway import sources
from gateway.model.event import Kind, Severity
from gateway.model.receipt import NewReceipt
from gateway.sources.generic.settings import GenericSettings
from gateway.sources.protocol import Malformed
from gateway.sources.registry import SOURCE_KINDS
from tests.sources.support import FORM, JSON, only, parsed, receipt_of

KIND = SOURCE_KINDS["generic"]


def inspect(body: bytes, content_type: str = JSON, **settings: object) -> None:
    KIND.inspect(
        NewReceipt("r", "s", 0.0, body, content_type),
        GenericSettings.model_validate({"kind": "generic", **settings}),
    )


def test_without_a_map_fields_have_the_event_s_own_names() -> None:
    body = {
        "title": "Disk full", "text": "95 %", "html": "<b>95</b>", "severity": "error", "kind": "firing", "host": "web01",
        "service": "disk", "origin_key": "k", "problem_id": 17, "occurred_at": "2026-11-22T00:02:25+01:00", "state": "bad",
        "still_in_problem": True, "sender": {"name": "Jo", "address": "jo@example.org"}, "labels": {"env": "prod", "n": 3},
        "links": [{"title": "Runbook", "url": "https://w.example/x"}, "ftp://no"],
        "attachments": [{"filename": "../a.txt", "media_type": "text/plain", "content": base64.b64encode(b"hi").decode()}],
    }  # fmt: skip
    result = parsed("generic", orjson.dumps(body))
    event = only(result)
    assert result.warnings == ()
    assert (event.title, event.text, event.html) == ("Disk full", "95 %", "<b>95</b>")
    assert (event.kind, event.severity, event.state) == (Kind.PROBLEM, Severity.MAJOR, "bad")
    assert (event.host, event.service, event.origin_key, event.problem_id) == ("web01", "disk", "k", "17")
    assert event.occurred_at == 1795302145
    assert (event.sender_name, event.sender_address) == ("Jo", "jo@example.org")
    assert event.labels == {"env": "prod", "n": "3"}
    assert [(link.title, link.url) for link in event.links] == [("Runbook", "https://w.example/x")]
    (attachment,) = event.attachments
    assert (attachment.filename, attachment.media_type, attachment.content) == ("a.txt", "text/plain", b"hi")


SHOP = {
    "title": "order.title",
    "text": {"path": "order.message", "default": "no message"},
    "severity": {"path": "order.prio", "table": {"P1": "critical", "*": "minor"}},
    "kind": {"path": "order.state", "table": {"resolved": "recovery", "*": "problem"}},
    "origin_key": "order.id",
    "host": {"const": "shop"},
    "labels": {"tags": "order.tags", "first": "order.tags[0]", "dotted": 'meta["app.name"]'},
    "links": [{"title": "Order", "url": "order.url"}],
}


def test_a_map_finds_the_fields() -> None:
    order = {"title": "T", "prio": "P1", "state": "resolved", "id": 5, "tags": ["a", "b"], "url": "https://s.example/5"}
    event = only(
        parsed("generic", orjson.dumps({"order": order, "meta": {"app.name": "x"}, "text": "unused"}), map=SHOP)
    )
    assert (event.title, event.text, event.host, event.origin_key) == ("T", "no message", "shop", "5")
    assert (event.kind, event.severity) == (Kind.RECOVERY, Severity.CRITICAL)
    assert event.labels == {"tags": "a, b", "first": "a", "dotted": "x"}
    assert event.links[0].url == "https://s.example/5"


def test_other_values_go_through_the_star_of_the_table() -> None:
    event = only(parsed("generic", b'{"order":{"title":"T","prio":"P7","state":"x"}}', map=SHOP))
    assert (event.kind, event.severity) == (Kind.PROBLEM, Severity.MINOR)


@pytest.mark.parametrize("path", ["", "a..b", "a[", "a[x]", ".a"])
def test_a_path_that_is_none_is_an_error_of_the_configuration(path: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        GenericSettings.model_validate({"kind": "generic", "map": {"title": path}})


def test_a_rule_needs_one_origin() -> None:
    with pytest.raises(ValidationError, match="either"):
        GenericSettings.model_validate({"kind": "generic", "map": {"title": {"table": {"a": "b"}}}})


@pytest.mark.parametrize(
    ("value", "instant"),
    [(1795303161, 1795303161.0), (1795303161000, 1795303161.0),
     ("1795303161", 1795303161.0), ("2026-11-21T23:19:21Z", 1795303161.0)],
)  # fmt: skip
def test_times_in_seconds_milliseconds_and_iso(value: object, instant: float) -> None:
    assert only(parsed("generic", orjson.dumps({"title": "x", "occurred_at": value}))).occurred_at == instant


def test_a_time_without_zone_needs_the_source_s_zone() -> None:
    body = b'{"title":"x","occurred_at":"2026-11-22T00:19:21"}'
    assert only(parsed("generic", body)).reasons == ("time_without_zone",)
    assert only(parsed("generic", body, timezone="Europe/Berlin")).occurred_at == 1795303161


def test_a_list_is_a_batch_and_so_is_the_configured_path() -> None:
    assert [event.title for event in parsed("generic", b'[{"title":"a"},{"title":"b"}]').events] == ["a", "b"]
    body = b'{"data":{"alerts":[{"title":"a"},{"title":"b"}]}}'
    assert len(parsed("generic", body, events="data.alerts").events) == 2
    assert only(parsed("generic", orjson.dumps([{"title": "x"}] * 1001))).kind is Kind.RAW


def test_unknown_words_are_warned_about() -> None:
    result = parsed("generic", b'{"title":"x","kind":"odd","severity":"odd"}')
    assert (only(result).kind, only(result).severity) == (Kind.PROBLEM, Severity.UNKNOWN)
    assert len(result.warnings) == 2


def test_two_different_problems_without_any_key_have_two_origin_keys() -> None:
    assert only(parsed("generic", b'{"title":"a"}')).origin_key != only(parsed("generic", b'{"title":"b"}')).origin_key


def test_a_form_works_and_its_files_become_attachments() -> None:
    assert only(parsed("generic", b"title=Hello+there&labels.env=x", FORM)).title == "Hello there"
    body = (
        '--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nWith files\r\n'
        '--B\r\nContent-Disposition: form-data; name="f"; filename="../../etc/pässwd"\r\nContent-Type: text/plain\r\n\r\none\r\n'
        '--B\r\nContent-Disposition: form-data; name="f"; filename="C:\\x\\con.txt"\r\n\r\ntwo\r\n--B--\r\n'
    ).encode()
    event = only(parsed("generic", body, "multipart/form-data; boundary=B"))
    assert event.title == "With files"
    assert [(file.filename, file.media_type, file.content) for file in event.attachments] == [
        ("pässwd", "text/plain", b"one"),
        ("_con.txt", "application/octet-stream", b"two"),
    ]


def test_broken_json_is_refused_with_line_and_column() -> None:
    with pytest.raises(Malformed) as fault:
        inspect(b'{"title":\n  tru}')
    assert fault.value.place == "line 2, column 3"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b'"x"', b"null", b"[1]", b"{", b'{"a":NaN}', b'{"a":1e400}', b"\xff\xfe"]
)
def test_a_wrong_top_level_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        inspect(body)


def test_a_generic_source_rejects_what_is_malformed_unless_told_otherwise() -> None:
    assert GenericSettings(kind="generic").malformed == "reject"


def test_content_that_is_no_base64_is_kept_with_a_warning() -> None:
    result = parsed("generic", b'{"title":"x","attachments":[{"filename":"a","content":"not base64!"}]}')
    assert only(result).attachments[0].content == b"not base64!"
    assert "base64" in result.warnings[0]


def test_a_form_whose_only_field_is_json_is_that_json() -> None:
    assert only(parsed("generic", b"data=%7B%22title%22%3A%22x%22%7D", FORM)).title == "x"
    body = b'--B\r\nContent-Disposition: form-data; name="data"\r\n\r\n{"title":"y"}\r\n--B--\r\n'
    assert only(parsed("generic", body, "multipart/form-data; boundary=B")).title == "y"


def test_all_kinds_of_the_registry_have_a_name_a_readme_and_samples() -> None:
    for name, kind in SOURCE_KINDS.items():
        folder = Path(sources.__file__).parent / name
        assert kind.name == name
        assert (folder / "README.md").read_text("utf-8").startswith("# ")
        samples = sorted((folder / "samples").glob("*.json"))
        assert samples
        for sample in samples:
            result = kind.parse(receipt_of(sample), kind.settings(kind=name))
            assert result.warnings == ()
            assert all(event.kind is not Kind.RAW for event in result.events)


def test_paths_in_a_list_of_events_reach_the_top_of_the_body() -> None:
    body = {"team": {"name": "DBA"}, "alerts": [{"t": "one"}, {"t": "two", "team": {"name": "own"}}]}
    result = parsed(
        "generic",
        orjson.dumps(body),
        events="alerts",
        map={"title": "t", "host": "$.team.name", "labels": {"n": "$.alerts[1].t"}},
    )
    assert [(event.title, event.host, event.labels["n"]) for event in result.events] == [
        ("one", "DBA", "two"),
        ("two", "DBA", "two"),
    ]


def test_of_several_paths_the_first_that_finds_something_counts() -> None:
    titles = ["a", {"path": "b", "table": {"none": ""}}, {"const": "untitled"}]
    bodies: list[dict[str, object]] = [{"a": "A", "b": "B"}, {"b": "B"}, {"a": "", "b": "none"}, {"b": ["x", "y"]}]
    found = [only(parsed("generic", orjson.dumps(body), map={"title": titles})).title for body in bodies]
    assert found == ["A", "B", "untitled", "x, y"]


@pytest.mark.parametrize("path", ["$.", "$.a[", "$..a"])
def test_a_path_from_the_top_is_checked_like_any_other(path: str) -> None:
    with pytest.raises(ValidationError):
        GenericSettings.model_validate({"kind": "generic", "map": {"title": path}})


def test_a_group_is_read_from_the_body_of_its_alerts() -> None:
    rule = {"key": "g", "state": "s", "whole": True, "left_out": "cut"}
    found = []
    for group in (
        {"g": "x", "s": "firing"},
        {"g": "x", "s": "resolved", "cut": 0},
        {"g": "x", "cut": 3},
        {"s": "resolved"},
    ):
        event = only(parsed("generic", orjson.dumps({**group, "list": [{"title": "t"}]}), events="list", group=rule))
        found.append((event.group, event.group_over, event.group_whole))
    assert found == [("x", False, True), ("x", True, True), ("x", False, False), ("", False, False)]
