"""Correlation keys."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Attachment, Event, Kind, Severity
from gateway.model.reasons import Reason
from gateway.routing.fields import Subject
from gateway.routing.keys import correlation_key
from tests.routing.subjects import subject

NAGIOS = ("host", "service")


def test_a_key_is_canonical_json_that_names_source_route_and_fields() -> None:
    key, reasons = correlation_key(["service", "host"], subject(), route="databases", default_key=NAGIOS)
    assert key == '[["source","nagios-hq"],["route","databases"],["host","db-1"],["service","disk"]]'
    assert reasons == ()


def test_the_order_in_which_a_rule_names_the_fields_does_not_matter() -> None:
    one = correlation_key(["service", "host", "host"], subject(), route="r", default_key=NAGIOS)
    assert one == correlation_key(["host", "service"], subject(), route="r", default_key=NAGIOS)


def test_source_and_route_can_be_left_out() -> None:
    key, _ = correlation_key(["host"], subject(), route="r", include_source=False, include_route=False)
    assert key == '[["host","db-1"]]'


def test_without_fields_the_key_is_what_the_kind_of_the_source_proves_stable() -> None:
    assert correlation_key(None, subject(), route="r", default_key=NAGIOS) == correlation_key(
        ["host", "service"], subject(), route="r", default_key=NAGIOS
    )


def test_an_event_about_a_host_has_no_service_and_misses_nothing() -> None:
    for fields in (None, ["host", "service"]):
        key, reasons = correlation_key(fields, subject(service=""), route="r", default_key=NAGIOS)
        assert json.loads(key)[2:] == [["host", "db-1"], ["service", ""]]
        assert reasons == ()


def test_the_service_may_be_empty_under_any_key_that_still_names_something() -> None:
    key, reasons = correlation_key(["host", "service"], subject(service=""), route="r", default_key=["origin_key"])
    assert json.loads(key)[2:] == [["host", "db-1"], ["service", ""]]
    assert reasons == ()


def test_a_field_of_the_sources_own_key_may_be_empty() -> None:
    """Zabbix: an internal event has an item but no trigger."""
    own = ("labels.trigger_id", "labels.item_id")
    key, reasons = correlation_key(None, subject(labels={"item_id": "7"}), route="r", default_key=own)
    assert json.loads(key)[2:] == [["labels.item_id", "7"], ["labels.trigger_id", ""]]
    assert reasons == ()


def test_another_empty_field_falls_back_to_the_sources_own_key_and_says_so() -> None:
    key, reasons = correlation_key(["host", "labels.cluster"], subject(), route="r", default_key=NAGIOS)
    assert json.loads(key)[2:] == [["host", "db-1"], ["service", "disk"]]
    assert reasons == (Reason.KEY_FIELD_MISSING,)


def test_a_key_of_service_alone_is_missing_for_an_event_about_a_host() -> None:
    key, reasons = correlation_key(["service"], subject(service=""), route="r", default_key=NAGIOS)
    assert json.loads(key)[2:] == [["host", "db-1"], ["service", ""]]
    assert reasons == (Reason.KEY_FIELD_MISSING,)


def test_where_the_sources_own_key_is_empty_too_the_origin_key_stands_in() -> None:
    key, reasons = correlation_key(None, subject("", ""), route="r", default_key=NAGIOS)
    assert json.loads(key)[2:] == [["origin_key", "db-1/disk"]]
    assert reasons == (Reason.KEY_FIELD_MISSING,)


def test_two_unreadable_payloads_without_any_key_are_two_things() -> None:
    def key(body: bytes) -> str:
        event = Event(Kind.RAW, title="unreadable", attachments=(Attachment("payload.txt", "text/plain", body),))
        return correlation_key(None, Subject(event, "nagios-hq"), route="r", default_key=NAGIOS)[0]

    assert key(b"one") != key(b"two")
    assert key(b"one") == key(b"one")


def test_a_long_value_keeps_its_start_and_a_digest() -> None:
    long_one, _ = correlation_key(["title"], subject(title="x" * 100_000), route="r")
    other, _ = correlation_key(["title"], subject(title="x" * 99_999 + "y"), route="r")
    assert len(long_one) < 250
    assert long_one != other


VALUES = st.text(max_size=6) | st.sampled_from(['"],["host', "\ud800", "\\", ","])


@given(VALUES, VALUES, VALUES, VALUES)
def test_two_keys_are_equal_only_if_all_their_fields_are(a: str, b: str, c: str, d: str) -> None:
    one, _ = correlation_key(
        ["title", "host"], subject(a, title=b, origin_key="o"), route="r", default_key=["title", "host"]
    )
    two, _ = correlation_key(
        ["title", "host"], subject(c, title=d, origin_key="o"), route="r", default_key=["title", "host"]
    )
    assert (one == two) is ((a, b) == (c, d))
    json.loads(one)


def test_sources_that_see_the_same_things_share_their_keys_and_no_others() -> None:
    both = ["zabbix", "nagios-hq"]

    def key(source: str, host: str = "", service: str = "") -> tuple[str, tuple[Reason, ...]]:
        event = Event(Kind.PROBLEM, Severity.MAJOR, "x", origin_key="o", host=host, service=service)
        return correlation_key(["host"], Subject(event, source), route="r", across=both, default_key=("service",))

    assert key("nagios-hq", host="db-1") == key("zabbix", host="db-1")
    assert key("nagios-hq", host="db-1")[0] == '[["across","nagios-hq, zabbix"],["route","r"],["host","db-1"]]'
    assert "icinga" in key("icinga", host="db-1")[0]
    own = [key(source, service="disk") for source in both]
    assert own[0][0] != own[1][0], "what a source calls by its own name alone is its own"
    assert own[0][1] == (Reason.KEY_FIELD_MISSING,)
