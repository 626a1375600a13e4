import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.support import CAPTURES, PROBLEM, RECOVERY, configuration, tg

FIELDS = [
    "kind",
    "state",
    "still_in_problem",
    "severity",
    "problem_id",
    "title",
    "text",
    "html",
    "host",
    "service",
    "labels",
    "origin_key",
    "occurred_at",
    "links",
    "sender",
    "recipients",
    "to",
    "cc",
    "message_id",
    "in_reply_to",
    "references",
    "auto_generated",
    "reply_text",
    "attachments",
]


def test_parse_prints_one_line_per_file_with_exactly_the_promised_fields() -> None:
    files = sorted((CAPTURES / "nagios").glob("*.json"))
    done = tg("parse", "--source", "nagios", *files)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(file) for file in files]
    for line in lines:
        assert list(line) == ["file", "events", "warnings"]
        assert line["events"]
        for event in line["events"]:
            assert list(event) == FIELDS
            assert list(event["sender"]) == ["name", "address"]


def test_parse_tells_names_sizes_and_digests_of_attachments(tmp_path: Path) -> None:
    body = {"title": "x", "attachments": [{"filename": "a.txt", "media_type": "text/plain", "content": "aGVsbG8="}]}
    (tmp_path / "one.json").write_text(json.dumps(body))
    (line,) = tg("parse", "--source", "generic", tmp_path / "one.json").stdout.splitlines()
    (file,) = json.loads(line)["events"][0]["attachments"]
    assert file == {
        "filename": "a.txt",
        "media_type": "text/plain",
        "size": 5,
        "inline": False,
        "content_id": "",
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "detected_type": "",
    }


def test_parse_goes_on_after_a_file_that_cannot_be_read_and_says_so_in_the_end(tmp_path: Path) -> None:
    done = tg("parse", "--source", "nagios", tmp_path / "nope", PROBLEM, tmp_path)
    assert done.exit_code == 2
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(PROBLEM)]
    assert f"{tmp_path / 'nope'}: cannot be read: No such file or directory" in done.stderr
    assert f"{tmp_path}: cannot be read: Is a directory" in done.stderr


def test_parse_of_what_nobody_understands_is_a_raw_event_and_exit_code_1() -> None:
    done = tg("parse", "--source", "nagios", stdin=b"\x00\xff\x1b[2Jnothing")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["events"][0]["kind"] == "raw"


def test_parse_takes_the_settings_of_a_named_source(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    config.write_text(config.read_text().replace("    kind: generic\n", "    kind: generic\n    map: {title: words}\n"))
    done = tg("parse", "--source", "shop", "-c", config, stdin=b'{"words": "from the map"}')
    assert json.loads(done.stdout)["events"][0]["title"] == "from the map"


def test_parse_of_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    done = tg("parse", "--source", "bogus", "-c", tmp_path / "none.yaml", stdin=b"")
    assert done.exit_code == 2
    assert "generic, mail, nagios, zabbix" in done.stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), kind=st.sampled_from(["nagios", "zabbix", "generic"]))
def test_parse_of_anything_ends_with_json_and_a_documented_exit_code(data: bytes, kind: str) -> None:
    done = tg("parse", "--source", kind, stdin=data)
    assert done.exit_code in {0, 1}
    assert json.loads(done.stdout)["events"]


@pytest.mark.parametrize(
    "record",
    [
        {"method": 1, "headers": 5, "body": None, "body_encoding": "base64"},
        {"method": "POST", "headers": [], "body": "%%%", "body_encoding": "base64"},
        {"method": "POST", "headers": [["a"]], "body": "x", "body_encoding": "text"},
        {"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": "\ud800", "body_encoding": "text"},
    ],
)
def test_what_only_looks_like_a_recorded_request_is_read_all_the_same(record: dict[str, object]) -> None:
    done = tg("parse", "--source", "generic", stdin=json.dumps(record).encode())
    assert done.exit_code in {0, 1}
    assert json.loads(done.stdout)["events"]


def test_what_steers_a_terminal_is_never_printed(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    evil = "title \u202e reversed \u009b31m \x7f \u2028 end"
    body = json.dumps({"title": evil, "text": "a\x1b]0;owned\x07b", "labels": {"l\x1b[2J": "\u0090"}}).encode()
    for done in (
        tg("parse", "--source", "generic", stdin=body),
        tg("explain", "--source", "shop", "-c", config, "-", stdin=body),
        tg("explain", "--source", "shop", "-c", config, "--json", "-", stdin=body),
        tg("parse", "--source", "\x1b[31m\u202e", "-c", config, stdin=body),
    ):
        for character in done.output.replace("\n", ""):
            assert character.isprintable(), repr(character)


def test_explain_goes_rule_by_rule_and_clause_by_clause_and_shows_the_request(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    config.write_text(
        config.read_text().replace(
            "routes:\n",
            "routes:\n  - name: lab\n    match: {host: {glob: 'lab-*'}, severity: {gte: warning}}\n"
            "    drop: {reason: laboratory}\n",
            1,
        )
    )
    told = tg("explain", "--source", "nagios", "-c", config, PROBLEM).stdout
    for words in (
        "Event 0: problem: CRITICAL: HTTP on web01",
        "  lab: does not match\n    no   match.host.glob wants lab-*; saw web01\n",
        "    yes  match.severity.gte wants warning; saw critical",
        "  alerts: takes it\n    yes  match.source wants nagios, zabbix; saw nagios\n",
        "Becomes: opened:",
        "key       source nagios, route alerts, host web01, service HTTP",
        "Request: create, to osticket",
        '"subject": "CRITICAL: HTTP on web01"',
        "HTTP CRITICAL - connection refused",
        "Nothing was sent.",
    ):
        assert words in told, told
    assert "Content-Transfer-Encoding" not in told  # the settling mail is cut


def test_explain_takes_a_recovery_after_its_problem(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    told = tg("explain", "--source", "nagios", "-c", config, PROBLEM, RECOVERY).stdout
    _, _, after = told.partition(RECOVERY.name)
    assert "Becomes: recovered:" in after
    assert "incident  closed, 1 occurrence" in after
    assert "In-Reply-To: <tg-" in after
    assert "| The problem is over." in after
    alone = tg("explain", "--source", "nagios", "-c", config, RECOVERY).stdout
    assert "orphan_recovery" in alone
    assert "Request: none" in alone


def test_explain_sends_nothing_and_stores_nothing(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    assert tg("explain", "--source", "nagios", "-c", config, PROBLEM).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["routes.yaml"]


def test_explain_as_json_has_every_rule_and_the_whole_request(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    problem, recovery = json.loads(
        tg("explain", "--json", "--source", "nagios", "-c", config, PROBLEM, RECOVERY).stdout
    )
    (event,) = problem["events"]
    assert list(event["event"]) == FIELDS
    assert event["rules"][0]["clauses"][0]["seen"] == "nagios"
    (create,) = problem["actions"]
    assert create["request"]["json"]["subject"] == "CRITICAL: HTTP on web01"
    assert "Message-ID" in create["request"]["mail"]
    (append,) = recovery["actions"]
    assert append["incident"] == create["incident"]


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("explain", "--source", "nope", PROBLEM), "has no source 'nope'; it has: nagios, shop, support, zabbix", 2),
        (("explain", PROBLEM), "say with --source which source", 2),
        (("explain", "0123456789"), "neither a file nor the id of a receipt", 1),
        (("explain", "--source", "nagios", "--header", "nocolon", PROBLEM), "is not of the form 'Name: value'", 2),
        (("send", "--source", "nope", PROBLEM), "has no source 'nope'", 2),
        (("send", "--source", "shop", "nofile"), "nofile: cannot be read: No such file or directory", 2),
    ],
)
def test_wrong_input_names_what_is_wrong_and_the_way_out(
    tmp_path: Path, arguments: tuple[object, ...], words: str, code: int
) -> None:
    done = tg(*arguments, "-c", configuration(tmp_path))
    assert done.exit_code == code
    assert words in done.stderr
