"""Bad tests are errors with places; --update mends expectations and nothing else; JUnit's XML can be read."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from gateway.config.document import plain, read_document
from gateway.model.json import JsonValue
from gateway.routetests.rewrite import CannotRewrite, Change, flow, rewritten
from tests.routetests.files import HEAD, passed, run, written

LINES = HEAD.count("\n") + 1  # before the first line of the tests


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            "[{at: 5m, expect: {create: 1}}, {at: 4m, expect: {create: 1}}]",
            ":2:47: tests[0].steps[1].at: 4m is before the end of the step",
        ),
        ("[{at: 0s, send: {source: nagois}, expect: {}}]", "unknown source 'nagois'; did you mean 'nagios'?"),
        ("[{at: 0s, send: {source: nagios, hots: web1}, expect: {}}]", "unknown key 'hots'; did you mean 'host'?"),
        ("[{at: 0s, expect: {crate: 1}}]", "unknown key 'crate'; did you mean 'create'?"),
        ("[{at: 0s, expect: {create: {gruop: x}}}]", "no action has a 'gruop'; did you mean 'group'?"),
        ("[{at: 0s, expect: {create: {helpdesk: zamad}}}]", "unknown helpdesk 'zamad'; did you mean 'zammad'?"),
        ("[{at: 0s, expect: {create: {title: {re: '('}}}}]", "steps[0].expect.create.title: missing"),
        (
            "[{at: 0s, expect: {create: {title: {contians: x}}}}]",
            "there is no test 'contians'; did you mean 'contains'?",
        ),
        ("[{at: 0s, expect: {tickets: {zamad: 1}}}]", "unknown helpdesk 'zamad'"),
        ("[{at: 0s, expect: {reason: opend}}]", "unknown reason 'opend'; did you mean 'opened'?"),
        ("[{at: 0s, expect: {route: alert}}]", "unknown route 'alert'; did you mean 'alerts'?"),
        ("[{at: 0s, fault: {zamad: down}, expect: {}}]", "unknown helpdesk 'zamad'"),
        ("[{at: 0s, fault: {zammad: donw}, expect: {}}]", "fault.zammad"),
        ("[{at: 0s, fault: {zammad: {fault: slow, seconds: 5}}, expect: {}}]", "seconds"),
        ("[{at: 0s}]", "the step does nothing; give it `send`, `fault`, `agent` or `expect`"),
        ("[{at: 0s, send: {source: nagios, host: a, content_type: text/plain}}]", "belongs to a `file` or `body`"),
        ("[{at: 0s, times: 3, expect: {}}]", "`times` and `every` say how often something is sent"),
        (
            "[{at: 0s, times: 3, every: 10s, send: {source: nagios}}, {at: 5s, expect: {}}]",
            "5s is before the end of the step above, at 20s",
        ),
        ("[{at: 0s, agent: {zammad: clsoe}, expect: {}}]", "an agent there cannot 'clsoe'; did you mean 'close'?"),
        ("[{at: 5, expect: {}}]", "steps[0].at"),
        ("[{at: 0s, send: {source: nagios, file: none.json}, expect: {}}]", "none.json is not there"),
        (
            "[{at: 0s, send: {source: nagios, json: {}, host: web1}, expect: {}}]",
            "the message of `json` says this itself",
        ),
        ("[{at: 0s, send: {source: support, host: web1}, expect: {}}]", "'support' is a mailbox"),
        ("[{at: 0s, send: {source: nagios, from: a@b.c}, expect: {}}]", "'nagios' gets no mail"),
        ("[]", "steps"),
    ],
)
def test_a_bad_test_is_an_error_with_its_place_and_the_way_out(tmp_path: Path, steps: str, told: str) -> None:
    path = written(tmp_path, f"- name: bad\n  steps: {steps}\n")
    result = run(path)
    assert result.exit_code == 2, result.output
    place = f"{path}:{LINES + 2}:"
    assert place in result.output
    assert told.replace(":2:47:", f":{LINES + 2}:47:") in result.output


def test_two_tests_of_one_name_and_a_start_without_zone_are_errors(tmp_path: Path) -> None:
    one = "- name: twice\n  steps: [{at: 0s, expect: {tickets: 0}}]\n"
    result = run(
        written(tmp_path, one + one + "- {name: when, start: 2026-01-01T00:00, steps: [{at: 0s, expect: {}}]}\n")
    )
    assert result.exit_code == 2
    assert "has no zone; write 2026-01-01T00:00+01:00" in result.output
    result = run(written(tmp_path, one + one))
    assert f"{LINES + 3}:9: tests[1].name: test 1 has this name too" in result.output


WRONG = """\
# Überschrift: this comment stays
- name: an alarm  # so does this
  steps:
    - {at: 0s, send: {source: zabbix, host: a, title: "die Platte ist voll: 99 %"}}   # übrigens
    - {at: 0s,   expect: {create: {helpdesk: zammad,   topicId: 3, title: leer}, tickets: 5}}   # and this
    - at: 1m
      expect:
        create:       # in block style
          topicId: 3
          title: leer
        # between
        append: 7     # behind
        dropped: [never]
    - {at: 2m, expect: {}}
    - at: 3m
      send: {source: zabbix, kind: recovery, host: a}
      expect:
        reason:
          - recovered
          - delivered
          - expired
        route: shop
        tickets: {osticket: 1, zammad: 2}
"""
RIGHT = """\
# Überschrift: this comment stays
- name: an alarm  # so does this
  steps:
    - {at: 0s, send: {source: zabbix, host: a, title: "die Platte ist voll: 99 %"}}   # übrigens
    - {at: 0s,   expect: {create: {helpdesk: osticket,   topicId: 77, title: "die Platte ist voll: 99 %"}, tickets: 1}}   # and this
    - at: 1m
      expect:
        create:       # in block style
          0
        # between
        append: 0     # behind
        dropped: []
    - {at: 2m, expect: {tickets: 1}}
    - at: 3m
      send: {source: zabbix, kind: recovery, host: a}
      expect:
        reason:
          [recovered, delivered]
        route: zabbix
        tickets: {osticket: 1, zammad: 0}
"""


def test_update_writes_what_happened_keeps_comments_and_layout_and_shows_the_change(tmp_path: Path) -> None:
    path = written(tmp_path, WRONG)
    before = path.read_text()
    result = run(path, "--update")
    assert result.exit_code == 0, result.output
    assert path.read_text() == before.replace(WRONG, RIGHT)
    assert "\n+        append: 0     # behind\n" in result.output
    assert "expectations changed. Read the change" in result.output
    assert run(path).exit_code == 0


def test_update_changes_nothing_where_all_is_well_or_where_the_value_is_shared(tmp_path: Path) -> None:
    good = "- name: good\n  steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 1}}]\n"
    path = written(tmp_path, good)
    before = path.read_bytes()
    assert run(path, "--update").exit_code == 0
    assert path.read_bytes() == before
    shared = """\
- name: one
  steps: [{at: 0s, send: {source: zabbix, host: a}, expect: &twice {create: 2}}, {at: 1s, expect: *twice}]
"""
    path = written(tmp_path, shared)
    before = path.read_bytes()
    result = run(path, "--update")
    assert result.exit_code == 1
    assert "it stands behind an alias of line" in result.output
    assert path.read_bytes() == before


def test_a_file_with_carriage_returns_and_a_byte_order_mark_keeps_them(tmp_path: Path) -> None:
    path = written(tmp_path, "- name: one\n  steps: [{at: 0s, expect: {tickets: 3}}]  # ü\n")
    raw = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(raw)
    assert run(path, "--update").exit_code == 0
    assert path.read_bytes() == raw.replace(b"tickets: 3", b"tickets: 0")


def test_a_value_that_is_written_is_read_back(tmp_path: Path) -> None:
    values: tuple[JsonValue, ...] = (
        "plain",
        "two words",
        "yes",
        "12",
        "a: b",
        'say "hi"\\',
        "ü\n\t\x07\u2028",
        "",
        7,
        True,
        None,
        ["a", 1],
        {"a b": {"c": "#"}},
    )
    for value in values:
        text = rewritten("tests: [{expect: 1}]  # c\n", [Change(("tests", 0, "expect"), value)])
        assert text.endswith("}]  # c\n")
        read = plain(read_document(text.encode()).root)
        assert read == {"tests": [{"expect": value}]}, flow(value)
        assert yaml.safe_load(text) is not None
    with pytest.raises(CannotRewrite):
        rewritten("tests: []\n", [Change(("tests", 0), 1)])


def test_junit_has_a_case_per_test_with_message_and_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
- name: good <&> "quoted"
  steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 1}}]
- name: bad
  steps: [{at: 0s, send: {source: zabbix, host: a, title: "bell \\a and \\ud800"}, expect: {create: {title: other}}}]
""".replace("\\ud800", "\\ufffe"),
    )
    report = tmp_path / "report.xml"
    assert run(path, "--junit", report).exit_code == 1
    root = ET.parse(report).getroot()
    assert root.tag == "testsuites"
    (suite,) = root
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "2", "failures": "1", "errors": "0", "skipped": "0",
    }  # fmt: skip
    assert [case.attrib["name"] for case in suite] == ['good <&> "quoted"', "bad"]
    good, bad = suite
    assert len(good) == 0
    assert float(good.attrib["time"]) >= 0
    assert good.attrib["classname"] == "routes"
    (failure,) = bad
    assert failure.attrib["message"].startswith(f"{path}:{LINES + 4}:")
    assert failure.text is not None
    assert "happened" in failure.text


def test_a_file_without_tests_says_so_and_check_reads_the_tests_too(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(HEAD)
    result = run(path)
    assert result.exit_code == 0
    assert "there are no tests; docs/testing.md" in result.output
    assert run(path, "--strict").exit_code == 1


def test_tests_may_stand_in_an_included_file_and_are_mended_there(tmp_path: Path) -> None:
    part = tmp_path / "routes.d" / "web.yaml"
    part.parent.mkdir()
    part.write_text(
        "tests:\n  - name: one\n    steps: [{at: 0s, send: {source: zabbix, host: a}, expect: {create: 4}}]\n"
    )
    first = "- name: zero\n  steps: [{at: 0s, expect: {tickets: 0}}]\n"
    path = written(tmp_path, first, HEAD.replace("version: 1\n", "version: 1\ninclude: routes.d/*.yaml\n"))
    before = path.read_bytes()
    result = run(path, "--update")
    assert result.exit_code == 0, result.output
    assert f"{part}:3:" in result.output
    assert "expect: {create: 1}" in part.read_text()
    assert path.read_bytes() == before
    passed(tmp_path, first, HEAD)
