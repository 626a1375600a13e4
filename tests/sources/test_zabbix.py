from collections.abc import Mapping

import orjson
import pytest

from gateway.model.event import Event, Kind, Severity
from tests.sources.support import JSON, only, parsed

BASE = {"event_source": "0", "event_value": "1", "event_update_status": "0", "event_id": "7", "event_nseverity": "4"}
BERLIN = {"timezone": "Europe/Berlin"}


def event(
    changes: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None, **fields: object
) -> Event:
    return only(parsed("zabbix", orjson.dumps({**BASE, **(changes or {}), **fields}), JSON, **(settings or {})))


@pytest.mark.parametrize(
    ("fields", "kind", "still"),
    [
        ({}, "problem", True),
        ({"event_update_status": "1"}, "update", True),
        ({"event_value": "0"}, "recovery", False),
        ({"event_value": "0", "event_update_status": "1"}, "update", False),
        ({"event_source": "1", "event_value": "{EVENT.VALUE}"}, "information", None),
        ({"event_source": "2", "event_value": "{EVENT.VALUE}"}, "information", None),
        ({"event_source": "3"}, "problem", True),
        ({"event_source": "3", "event_value": "0"}, "recovery", False),
        ({"event_source": "4", "service_name": "Shop"}, "problem", True),
        ({"event_source": "4", "service_name": "Shop", "event_value": "0"}, "recovery", False),
        ({"event_source": "4", "service_name": "Shop", "event_update_nseverity": "5"}, "update", True),
    ],
)
def test_the_table_of_messages(fields: dict[str, str], kind: str, still: bool | None) -> None:
    found = event(fields)
    assert (found.kind, found.still_in_problem) == (kind, still)


def test_a_note_on_a_closed_event_does_not_end_anything() -> None:
    assert not event(event_value="0", event_update_status="1").ends_problem


@pytest.mark.parametrize(
    ("number", "severity"),
    [("0", "unknown"), ("1", "info"), ("2", "warning"), ("3", "minor"), ("4", "major"), ("5", "critical")],
)
def test_the_number_of_the_severity_counts_whatever_its_name(number: str, severity: str) -> None:
    assert event(event_nseverity=number, event_severity="Ganz schlimm").severity == severity


def test_the_name_of_the_severity_helps_where_there_is_no_number() -> None:
    assert event(event_nseverity="{EVENT.NSEVERITY}", event_severity="Disaster").severity is Severity.CRITICAL


def test_the_severity_table_can_be_changed() -> None:
    assert event(settings={"severity": {"High": "critical"}}, event_severity="High").severity is Severity.CRITICAL


def test_an_update_of_a_service_has_the_new_severity() -> None:
    assert event(event_source="4", service_name="Shop", event_update_nseverity="5").severity is Severity.CRITICAL


@pytest.mark.parametrize("value", ["{HOST.IP}", "*UNKNOWN*", "{$ZABBIX.URL}", '{EVENT.TAGS."x"}', ""])
def test_macros_without_a_value_are_missing(value: str) -> None:
    assert "address" not in event(host_ip=value).labels


def test_the_source_s_zone_makes_an_instant() -> None:
    fields = {"event_date": "2026.11.22", "event_time": "00:02:25"}
    assert event(fields, BERLIN).occurred_at == 1795302145
    assert event(fields).occurred_at is None
    assert event(fields).reasons == ("time_without_zone",)
    assert event(settings=BERLIN, event_date="2026.13.45", event_time="99:02:25").occurred_at is None


def test_a_recovery_has_its_own_time() -> None:
    fields = {"event_date": "2026.11.22", "event_time": "00:02:25", "event_recovery_date": "2026.11.22"}
    assert event(fields, {"timezone": "UTC"}, event_value="0", event_recovery_time="00:03:25").occurred_at == 1795305805


def test_the_object_is_trigger_service_item_or_event() -> None:
    assert event(trigger_id="16034").labels["object"] == "trigger:16034"
    assert event(event_source="4", service_name="Shop").labels["object"] == "service:Shop"
    assert event(event_source="3", item_id="5").labels["object"] == "item:5"
    assert event().labels["object"] == "event:7"


def test_a_trigger_that_cannot_be_evaluated_is_another_object_than_its_problem() -> None:
    assert event(event_source="3", trigger_id="9").labels["object"] != event(trigger_id="9").labels["object"]


@pytest.mark.parametrize(
    "name", ["EVENT.ID", "{EVENT.ID}", "Event_Id", "event-id", "eventid"],
)  # fmt: skip
def test_users_own_names_are_understood(name: str) -> None:
    body = orjson.dumps({name: "21", "HOST.NAME": "web01", "Severity": "High", "status": "RESOLVED"})
    found = only(parsed("zabbix", body))
    assert (found.origin_key, found.host, found.kind) == ("21", "web01", Kind.RECOVERY)


def test_a_message_that_zabbix_cut_says_so() -> None:
    assert "cut" in parsed("zabbix", orjson.dumps({**BASE, "truncated": "1"})).warnings[0]


def test_a_message_without_event_id_is_kept_raw() -> None:
    result = parsed("zabbix", b'{"event_value":"1","event_id":"{EVENT.ID}"}')
    assert only(result).kind is Kind.RAW
    assert "event_id" in result.warnings[0]


def test_attempts_of_one_message_have_one_key_and_two_updates_have_two() -> None:
    assert event().duplicate_key == event(truncated="1").duplicate_key != ""
    assert event().duplicate_key != event(event_value="0", event_recovery_id="8").duplicate_key
    update = {
        "event_update_status": "1",
        "event_update_action": "acknowledged",
        "date": "2026.11.22",
    }
    assert event(update, time="00:00:01").duplicate_key != event(update, time="00:00:02").duplicate_key


def test_an_update_without_its_time_has_no_key() -> None:
    assert event(event_update_status="1", event_update_action="acknowledged").duplicate_key == ""


def test_tags_come_as_list_as_json_text_or_as_text() -> None:
    for tags in ([{"tag": "env", "value": "prod"}], '[{"tag":"env","value":"prod"}]', "env:prod, x"):
        assert event(event_tags=tags).labels["env"] == "prod"


def test_a_tag_never_replaces_a_label_of_ours() -> None:
    found = event(event_tags=[{"tag": "object", "value": "forged"}], trigger_id="1")
    assert (found.labels["object"], found.labels["tag_object"]) == ("trigger:1", "forged")
