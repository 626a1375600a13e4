"""What real senders really sent, and what must be understood of it. The table was checked by hand against the senders' pages."""

from pathlib import Path

import pytest

from gateway.model.event import Event
from gateway.model.receipt import NewReceipt
from gateway.sources.registry import SOURCE_KINDS
from tests.sources.support import CAPTURES, only, receipt_of

ROWS = [
    [cell.strip() for cell in row.split("|")]
    for row in (CAPTURES / "expected.txt").read_text("utf-8").splitlines()
    if not row.startswith("#")
]
KINDS = {"nagios": "nagios", "icinga2": "nagios", "zabbix": "zabbix"}


def event_of(folder: str, name: str) -> Event:
    kind = SOURCE_KINDS[KINDS[folder]]
    parsed = kind.parse(receipt_of(CAPTURES / folder / f"{name}.json"), kind.settings(kind=kind.name))
    assert parsed.warnings == ()
    return only(parsed)


def test_every_capture_has_its_row() -> None:
    assert {(row[0], row[1]) for row in ROWS} == {(path.parent.name, path.stem) for path in CAPTURES.glob("*/*.json")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}/{row[1]}")
def test_a_capture_means_what_the_table_says(row: list[str]) -> None:
    event = event_of(row[0], row[1])
    still = {True: "yes", False: "no", None: "-"}[event.still_in_problem]
    seen = [event.kind, event.severity, event.host or "-", event.service or "-", still, event.origin_key]
    assert [*seen, event.labels.get("object", "-"), event.state or "-"] == row[2:]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_capture_is_refused_where_the_source_rejects_what_is_malformed(path: Path) -> None:
    kind = SOURCE_KINDS[KINDS[path.parent.name]]
    got = receipt_of(path)
    new = NewReceipt("r", "s", got.received_at, got.body, got.content_type)
    kind.inspect(new, kind.settings(kind=kind.name))


def test_all_ways_to_send_one_nagios_notification_make_one_key() -> None:
    ways = ["01-form-svc-problem", "14-json-svc-problem", "24-env-svc-problem", "34-plaind-svc-problem"]
    events = [event_of("nagios", way) for way in ways]
    assert {(event.host, event.service, event.origin_key, event.title) for event in events} == {
        ("web01", "HTTP", '["web01","HTTP"]', "CRITICAL: HTTP on web01")
    }
    # The form and the environment came from two contacts of one notification: one delivery.
    assert events[0].duplicate_key == events[2].duplicate_key != ""


def test_different_nagios_notifications_have_different_delivery_keys() -> None:
    keys = [event_of("nagios", path.stem).duplicate_key for path in CAPTURES.glob("nagios/*-form-*.json")]
    assert len(set(keys)) == len(keys) == 13


def test_a_nagios_event_has_its_labels_links_and_time() -> None:
    event = event_of("nagios", "24-env-svc-problem")
    labels = {"address": "192.0.2.10", "hostgroups": "linux", "_hostcustomer": "ACME-0042", "_servicequeue": "Web Ops"}
    assert labels.items() <= dict(event.labels).items()
    assert event.occurred_at == 1795303161.000001  # TIMET, and the number of the state change: 1
    assert [link.url for link in event.links] == [
        "https://wiki.example.org/svc/HTTP",
        "https://graphs.example.org/s?host=web01&srv=HTTP",
        "https://wiki.example.org/hosts/web01",
        "https://graphs.example.org/h?host=web01",
    ]


def test_an_acknowledgement_says_who_and_what() -> None:
    event = event_of("nagios", "08-form-host-ack")
    assert event.sender_name == "Jane Doe"
    assert event.text.startswith("Jane Doe: power cut in rack 4\n\nPING CRITICAL")


def test_a_downtime_that_ends_on_a_good_host_ends_the_problem() -> None:
    assert event_of("nagios", "13-form-host-downtimeend").ends_problem
    assert not event_of("nagios", "10-form-svc-downtimestart").ends_problem


def test_icinga_s_own_names_give_the_same_labels() -> None:
    event = event_of("icinga2", "02-env-service-problem")
    assert event.labels["_hostcustomer"] == "ACME-0042"
    assert event.labels["alias"] == "Web front-end 01"
    assert event.occurred_at == 1795305476


def test_a_zabbix_event_has_its_tags_links_and_episode() -> None:
    event = event_of("zabbix", "10-recommended-problem")
    assert event.problem_id == "101"
    assert event.labels["customer"] == "ACME-0042"
    assert event.labels["address"] == "192.0.2.10"
    assert event.links[0].url == "https://zabbix.example.org/tr_events.php?triggerid=23133&eventid=101"
    assert event.reasons == ("time_without_zone",)


def test_a_tag_that_zabbix_holds_several_times_shows_all_its_values() -> None:
    event = event_of("zabbix", "06-full-recovery")
    assert event.labels["ticket"] == "T1001, T1002, T1003, T1004, T1005"
    assert not any("{" in value or "*UNKNOWN*" in value for value in event.labels.values())


def test_each_zabbix_message_has_its_own_delivery_key_or_none() -> None:
    keys = [event_of("zabbix", path.stem).duplicate_key for path in CAPTURES.glob("zabbix/*.json")]
    given = [key for key in keys if key]
    assert len(set(given)) == len(given) == 17
