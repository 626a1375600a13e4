from urllib.parse import urlencode

import pytest

from gateway.model.event import Kind, Severity
from tests.sources.support import FORM, JSON, only, parsed

BASE = {"NOTIFICATIONTYPE": "PROBLEM", "HOSTNAME": "web01", "SERVICEDESC": "HTTP", "SERVICESTATE": "CRITICAL"}


def form(**fields: str) -> bytes:
    return urlencode({**BASE, **fields}).encode()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("PROBLEM", "problem"), ("RECOVERY", "recovery"), ("ACKNOWLEDGEMENT", "acknowledgement"), ("CUSTOM", "custom"),
        ("FLAPPINGSTART", "flapping_start"), ("FLAPPINGSTOP", "flapping_stop"), ("FLAPPINGDISABLED", "flapping_stop"),
        ("DOWNTIMESTART", "downtime_start"), ("DOWNTIMEEND", "downtime_end"), ("DOWNTIMECANCELLED", "downtime_cancelled"),
    ],
)  # fmt: skip
def test_every_notification_type_has_its_kind(said: str, kind: str) -> None:
    assert only(parsed("nagios", form(NOTIFICATIONTYPE=said), FORM)).kind == kind


@pytest.mark.parametrize(
    ("state", "severity"),
    [("CRITICAL", "critical"), ("WARNING", "warning"), ("UNKNOWN", "minor"), ("OK", "info"), ("PENDING", "unknown")],
)
def test_every_service_state_has_its_severity(state: str, severity: str) -> None:
    assert only(parsed("nagios", form(SERVICESTATE=state), FORM)).severity == severity


def test_unreachable_is_below_down_and_the_table_can_be_changed() -> None:
    body = b"NOTIFICATIONTYPE=PROBLEM&HOSTNAME=a&HOSTSTATE=UNREACHABLE"
    assert only(parsed("nagios", body, FORM)).severity is Severity.MAJOR
    assert only(parsed("nagios", body, FORM, severity={"unreachable": "info"})).severity is Severity.INFO


@pytest.mark.parametrize("said", ["FLAPPINGSTOP", "FLAPPINGDISABLED", "DOWNTIMEEND", "DOWNTIMECANCELLED"])
def test_the_end_of_flapping_or_downtime_ends_the_problem_only_in_a_good_state(said: str) -> None:
    assert only(parsed("nagios", form(NOTIFICATIONTYPE=said, SERVICESTATE="OK"), FORM)).ends_problem
    assert not only(parsed("nagios", form(NOTIFICATIONTYPE=said), FORM)).ends_problem


def test_flapping_that_starts_in_a_good_moment_does_not_end_the_problem() -> None:
    assert not only(parsed("nagios", form(NOTIFICATIONTYPE="FLAPPINGSTART", SERVICESTATE="OK"), FORM)).ends_problem


def test_an_unencoded_form_is_read_leniently() -> None:
    body = b"NOTIFICATIONTYPE=PROBLEM&HOSTNAME=web01&SERVICEDESC=disk&SERVICESTATE=WARNING&SERVICEOUTPUT=50% used of K\xc3\xb6ln"
    event = only(parsed("nagios", body, FORM))
    assert event.text == "50% used of Köln"


def test_each_field_has_its_own_encoding() -> None:
    body = "NOTIFICATIONTYPE=PROBLEM&HOSTNAME=Köln&HOSTSTATE=DOWN&HOSTOUTPUT=".encode() + "Prüfung".encode("latin-1")
    event = only(parsed("nagios", body, FORM))
    assert (event.host, event.text) == ("Köln", "Prüfung")


def test_an_undefined_custom_variable_is_missing() -> None:
    event = only(parsed("nagios", form(_SERVICEQUEUE="$_SERVICEQUEUE$", HOSTADDRESS="$HOSTADDRESS$"), FORM))
    assert not {"_servicequeue", "address"} & set(event.labels)


def test_long_output_gets_its_line_breaks_back() -> None:
    event = only(parsed("nagios", form(SERVICEOUTPUT="first", LONGSERVICEOUTPUT="second\\nthird"), FORM))
    assert event.text == "first\nsecond\nthird"


def test_only_web_addresses_become_links() -> None:
    event = only(
        parsed("nagios", form(SERVICENOTESURL="javascript:alert(1)", HOSTNOTESURL="https://w.example/x"), FORM)
    )
    assert [link.url for link in event.links] == ["https://w.example/x"]


@pytest.mark.parametrize("missing", ["HOSTNAME", "NOTIFICATIONTYPE"])
def test_a_body_without_host_or_type_is_kept_raw_with_a_warning(missing: str) -> None:
    body = form(**{missing: ""})
    result = parsed("nagios", body, FORM)
    assert only(result).kind is Kind.RAW
    assert only(result).attachments[0].content == body
    assert missing in result.warnings[0]


def test_an_unknown_type_is_a_note_with_a_warning() -> None:
    result = parsed("nagios", form(NOTIFICATIONTYPE="SOMETHING"), FORM)
    assert only(result).kind is Kind.CUSTOM
    assert "SOMETHING" in result.warnings[0]


def test_json_in_a_form_is_json() -> None:
    event = only(parsed("nagios", b'{"notificationtype":"RECOVERY","hostname":"a","hoststate":"UP"}', FORM))
    assert (event.kind, event.host) == (Kind.RECOVERY, "a")


@pytest.mark.parametrize(
    "output",
    [r"C:\Temp is full", "two\nlines", 'said "no" to it', "tab\there", r"ends with C:\ ".strip(), '100% "', 'a "b", c'],
)
def test_json_broken_by_a_macro_is_repaired_with_a_warning(output: str) -> None:
    body = f'{{"notificationtype":"PROBLEM","hostname":"web01","hostoutput":"{output}","hoststate":"DOWN"}}'.encode()
    result = parsed("nagios", body, JSON)
    event = only(result)
    assert (event.kind, event.host, event.state) == (Kind.PROBLEM, "web01", "DOWN")
    assert event.text == output.replace("\\t", "\t")
    assert result.warnings or output == "tab\there"


def test_json_beyond_repair_is_kept_raw_and_the_warning_names_the_place() -> None:
    body = b'{"notificationtype":"PROBLEM",\n "hostname" "web01"}'
    result = parsed("nagios", body, JSON)
    event = only(result)
    assert event.kind is Kind.RAW
    assert event.attachments[0].content == body
    assert "line 2, column 13" in result.warnings[0]


def test_a_file_that_curl_uploaded_by_mistake_is_not_passed_on() -> None:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in BASE.items()]
    upload = (
        '--b\r\nContent-Disposition: form-data; name="SERVICEOUTPUT"; filename="hostname"\r\n\r\nsecret\r\n--b--\r\n'
    )
    result = parsed("nagios", ("".join(parts) + upload).encode(), "multipart/form-data; boundary=b")
    assert only(result).attachments == ()
    assert "uploaded" in result.warnings[0]


def test_ids_that_begin_again_after_a_restart_are_no_duplicates() -> None:
    ids = {"SERVICENOTIFICATIONID": "1", "SERVICEEVENTID": "1", "NOTIFICATIONNUMBER": "1"}
    keys = {
        only(parsed("nagios", form(**ids, TIMET=time), FORM)).duplicate_key for time in ("1795303161", "1795303999")
    }
    assert len(keys) == 2


def test_long_output_comes_back_as_the_plugin_wrote_it() -> None:
    """Nagios 4.4.6 doubles back-slashes in long output, and only there."""
    first, long = "C:\\new is full", r"D:\\new\\tmp \\\\srv\\share\nsecond \\n line"
    event = only(parsed("nagios", form(SERVICEOUTPUT=first, LONGSERVICEOUTPUT=long), FORM))
    assert event.text == "C:\\new is full\nD:\\new\\tmp \\\\srv\\share\nsecond \\n line"


def test_long_output_that_doubles_nothing_keeps_its_back_slashes() -> None:
    event = only(parsed("nagios", form(SERVICEOUTPUT="a", LONGSERVICEOUTPUT=r"C:\Temp\nb"), FORM))
    assert event.text == "a\nC:\\Temp\nb"


def test_two_state_changes_within_one_second_are_told_apart_by_their_numbers() -> None:
    down = only(parsed("nagios", form(TIMET="1795312388", SERVICEEVENTID="41"), FORM))
    up = only(parsed("nagios", form(TIMET="1795312388", SERVICEEVENTID="42", SERVICESTATE="OK"), FORM))
    later = only(parsed("nagios", form(TIMET="1795312389", SERVICEEVENTID="1"), FORM))
    assert down.occurred_at is not None
    assert up.occurred_at is not None
    assert later.occurred_at is not None
    assert 1795312388 <= down.occurred_at < up.occurred_at < later.occurred_at


@pytest.mark.parametrize("number", ["1000000", "9" * 19, "9" * 4000, "-1", "1e9", "nan", "²"])
def test_an_event_number_never_moves_an_event_into_another_second(number: str) -> None:
    event = only(parsed("nagios", form(TIMET="1795312388", SERVICEEVENTID=number), FORM))
    assert event.occurred_at is not None
    assert int(event.occurred_at) == 1795312388
