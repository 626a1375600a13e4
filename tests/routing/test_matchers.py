"""What each test of a match means, and how a wrong one is refused."""

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Kind, Severity
from gateway.model.json import JsonValue
from gateway.routing.clauses import SEEN, shown
from gateway.routing.fields import Subject
from gateway.routing.predicates import glob_to_regex
from tests.routing.subjects import compiled, matches, subject


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({}, True),
        ({"host": "db-1"}, True),
        ({"host": "DB-1"}, False),
        ({"host": ["web-1", "db-1"]}, True),
        ({"host": {"eq": "db-1"}}, True),
        ({"host": {"in": ["a", "db-1"]}}, True),
        ({"host": "db-1", "service": "load"}, False),
        ({"host": {"glob": "db-*"}}, True),
        ({"host": {"glob": "*-1"}}, True),
        ({"host": {"glob": "*b-*"}}, True),
        ({"host": {"glob": "b-*"}}, False),
        ({"host": {"glob": "DB-*"}}, False),
        ({"host": {"glob": "d?-[0-9]"}}, True),
        ({"host": {"glob": "d?-[!0-9]"}}, False),
        ({"host": {"glob": ["web-*", "db-?"]}}, True),
        ({"host": {"re": "b-[0-9]$"}}, True),
        ({"host": {"re": "^b"}}, False),
        ({"severity": {"gte": "major"}}, True),
        ({"severity": {"gt": "major"}}, False),
        ({"severity": {"gt": "minor", "lt": "critical"}}, True),
        ({"severity": {"lte": "warning"}}, False),
        ({"peer": {"cidr": "192.0.2.0/24"}}, True),
        ({"peer": {"cidr": ["10.0.0.0/8", "192.0.2.7"]}}, True),
        ({"peer": {"cidr": "2001:db8::/32"}}, False),
        ({"host": {"cidr": "0.0.0.0/0"}}, False),
        ({"host": {"exists": True}}, True),
        ({"labels.env": {"exists": False}}, True),
        ({"title": {"exists": False}}, True),
        ({"host": {"contains": "B-"}}, True),
        ({"host": {"contains": ["x", "DB"]}}, True),
        ({"host": {"in_file": "hosts.txt"}}, True),
        ({"service": {"in_file": "hosts.txt"}}, False),
        ({"host": {"not": "db-1"}}, False),
        ({"host": {"not": ["a", "b"]}}, True),
        ({"host": {"not": {"glob": "web-*"}}}, True),
        ({"labels.env": {"not": "dev"}}, True),
        ({"not": {"labels.env": ["dev", "test"]}}, True),
        ({"any": [{"host": "x"}, {"service": "disk"}]}, True),
        ({"any": [{"host": "x"}, {"service": "y"}]}, False),
        ({"all": [{"host": "db-1"}, {"service": "disk"}]}, True),
        ({"all": [{"host": "db-1"}, {"not": {"service": "disk"}}]}, False),
        ({"attachments.count": 0}, True),
        ({"attachments.count": {"gte": 1}}, False),
    ],
)
def test_a_match_holds_or_does_not(match: JsonValue, holds: bool) -> None:
    assert matches(match) is holds


@pytest.mark.parametrize("operator", ["gte", "gt", "lte", "lt"])
def test_an_unknown_severity_compares_with_nothing(operator: str) -> None:
    for bound in ("info", "critical"):
        assert not matches({"severity": {operator: bound}}, subject(severity=Severity.UNKNOWN))


def test_numbers_in_labels_compare_as_numbers_and_words_with_nothing() -> None:
    given_one = subject(labels={"load": "12.5", "word": "many", "nan": "nan"})
    assert matches({"labels.load": {"gt": 9}}, given_one)
    assert matches({"labels.load": {"lt": "100"}}, given_one)
    assert matches({"labels.load": 12.50}, given_one)
    assert not matches({"labels.word": {"gt": 0}}, given_one)
    assert not matches({"labels.nan": {"gte": 0}}, given_one)


def test_truth_values_equal_the_words() -> None:
    assert matches({"labels.up": True}, subject(labels={"up": "true"}))
    assert not matches({"still_in_problem": False})
    assert matches({"still_in_problem": {"exists": False}})


def test_a_field_with_several_values_matches_if_one_does() -> None:
    given_one = subject(recipients=("a@example.org", "ops@example.org"))
    assert matches({"recipients": "ops@example.org"}, given_one)
    assert matches({"recipients": {"glob": "ops@*"}}, given_one)
    assert not matches({"recipients": {"not": "ops@example.org"}}, given_one)


@pytest.mark.parametrize("peer", ["192.0.2.7", "192.0.2.7:4711", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:80"])
def test_addresses_are_read_with_ports_brackets_and_inside_ipv6(peer: str) -> None:
    assert matches({"peer": {"cidr": "192.0.2.0/24"}}, subject(peer=peer))


def test_a_regular_expression_sees_only_the_beginning_of_a_long_text() -> None:
    assert matches({"title": {"re": "end"}}, subject(title="x" * 10_000 + "end"))
    assert not matches({"title": {"re": "end"}}, subject(title="x" * 10_240 + "end"))


def test_lone_surrogates_do_no_harm() -> None:
    odd = subject(host="db-\ud800", title="\udfff")
    assert matches({"host": {"re": "^db-."}}, odd)
    assert matches({"host": {"glob": "d[b]-?"}}, odd)
    test, _ = compiled({"title": "\udfff"})
    assert test.trace(odd, [])


@pytest.mark.parametrize(
    ("match", "path", "message", "hint"),
    [
        ({"hots": "x"}, ("hots",), "there is no field 'hots'", "did you mean 'host'?"),
        ({"host": {"globb": "x"}}, ("host", "globb"), "there is no test 'globb'", "did you mean 'glob'?"),
        ({"host": {"re": "(a"}}, ("host", "re"), "missing ): (a", ""),
        ({"host": {"re": r"(a)\1"}}, ("host", "re"), "back references do not exist in RE2", ""),
        ({"host": {"re": "(?=a)"}}, ("host", "re"), "look-around", ""),
        ({"host": {"glob": "[z-a]"}}, ("host", "glob"), "invalid character class range", ""),
        ({"host": {"re": 7}}, ("host", "re"), "`re` takes a text", "put it in quotes"),
        ({"host": []}, ("host",), "an empty list never matches", "name at least one value"),
        ({"host": None}, ("host",), "there is no value", "to test that a field is not there, write {exists: false}"),
        ({"host": {}}, ("host",), "no test is given", 'glob: "db-*"'),
        ({"host": [["a"]]}, ("host",), "this must be a text", ""),
        ({"kind": "problm"}, ("kind",), "no kind is called 'problm'", "did you mean 'problem'?"),
        ({"kind": ["problem", "x"]}, ("kind", 1), "no kind is called 'x'", ""),
        ({"severity": "high"}, ("severity",), "no severity is called 'high'", ""),
        (
            {"severity": {"gte": "majr"}},
            ("severity", "gte"),
            "neither a severity nor a number",
            "did you mean 'major'?",
        ),
        ({"severity": {"gte": 3}}, ("severity", "gte"), "a severity compares with a severity", ""),
        ({"severity": {"gte": "unknown"}}, ("severity", "gte"), "`unknown` compares with nothing", ""),
        ({"severity": {"gte": True}}, ("severity", "gte"), "`gte` takes a severity or a number", ""),
        ({"source": "zabix"}, ("source",), "no source is called 'zabix'", "did you mean 'zabbix'?"),
        ({"peer": {"cidr": "10.0.0.0/99"}}, ("peer", "cidr"), "is no network", ""),
        ({"host": {"exists": "yes"}}, ("host", "exists"), "`exists` is true or false", ""),
        ({"host": {"in_file": "no.txt"}}, ("host", "in_file"), "cannot read no.txt: No such file or directory", ""),
        ({"not": ["a"]}, ("not",), "`not` takes one match", ""),
        ({"any": {"host": "a"}}, ("any",), "`any` takes a list of matches", ""),
        ({"all": []}, ("all",), "`all` takes a list of matches", ""),
        ({"any": [{"host": "a"}, {"hots": "b"}]}, ("any", 1, "hots"), "there is no field 'hots'", ""),
        ({"any": ["a"]}, ("any", 0), "a match is a mapping of fields", ""),
        ({"host": {"not": {"re": "("}}}, ("host", "not", "re"), "missing )", ""),
    ],
)
def test_a_wrong_match_is_refused_at_its_place(
    match: JsonValue, path: tuple[str | int, ...], message: str, hint: str
) -> None:
    _, errors = compiled(match)
    (error,) = errors
    assert error.path == ("match", *path)
    assert message in error.message
    assert hint in error.hint


def test_all_faults_of_a_match_are_told_at_once() -> None:
    _, errors = compiled({"hots": "a", "kind": "b", "host": {"re": "(", "glob": 1}})
    assert [error.path[1:] for error in errors] == [("hots",), ("kind",), ("host", "re"), ("host", "glob")]


def test_matches_nested_without_end_are_refused() -> None:
    match: JsonValue = {"host": "a"}
    for _ in range(2000):
        match = {"not": match}
    _, errors = compiled(match)
    assert "nested deeper" in errors[0].message
    inner: JsonValue = "a"
    for _ in range(2000):
        inner = {"not": inner}
    assert "nested deeper" in compiled({"host": inner})[1][0].message


def test_a_value_is_shown_cut() -> None:
    assert len(shown("x" * 1000)) == SEEN
    assert [shown(None), shown(""), shown(()), shown(("a", "b")), shown(2.0)] == [
        "(absent)",
        "(empty)",
        "(empty)",
        "a, b",
        "2",
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a+)+$", "a" * 5000 + "b"), ("(a|aa)+$", "a" * 5000 + "b"), ("(.*)*x", "y" * 9000), ("(x+x+)+y", "x" * 9000)],
)
def test_no_regular_expression_is_slow(pattern: str, text: str) -> None:
    test, errors = compiled({"title": {"re": pattern}})
    assert errors == []
    began = time.perf_counter()
    assert test.holds(subject(title=text)) is False
    assert time.perf_counter() - began < 0.5


# --------------------------------------------------------------------------------------------------------- properties

WORDS = st.sampled_from(["", "a", "ab", "AB", "a*b", "a-1", "1", "1.0", "true", "[", "é", "\ud800"]) | st.text(
    max_size=5
)
FIELDS = st.sampled_from(["host", "service", "title", "labels.x", "labels.none", "recipients"])
SUBJECTS = st.builds(
    lambda host, service, title, label, recipients, severity, kind: subject(
        host, service, severity, kind=kind, title=title, labels={"x": label}, recipients=tuple(recipients)
    ),
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.lists(WORDS, max_size=3),
    st.sampled_from(Severity),
    st.sampled_from(Kind),
)
SCALARS: st.SearchStrategy[JsonValue] = st.one_of(WORDS, st.integers(-3, 3), st.floats(-2, 2), st.booleans())
TEXTS = WORDS.filter(bool)
TESTS: st.SearchStrategy[JsonValue] = st.one_of(
    SCALARS,
    st.lists(SCALARS, min_size=1, max_size=3),
    st.builds(lambda text: {"glob": text}, TEXTS.filter(lambda t: "\ud800" not in t and "[" not in t)),
    st.builds(lambda text: {"contains": text}, TEXTS),
    st.builds(lambda number: {"gte": number}, st.integers(-3, 3)),
    st.builds(lambda word: {"lt": word}, st.sampled_from(["warning", "critical"])),
    st.builds(lambda flag: {"exists": flag}, st.booleans()),
)
MATCHES: st.SearchStrategy[JsonValue] = st.recursive(
    st.dictionaries(FIELDS, TESTS, max_size=3),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner.filter(bool)),
    ),
    max_leaves=6,
)


@given(MATCHES.filter(bool), SUBJECTS)
def test_not_not_is_nothing_and_a_trace_changes_nothing(match: JsonValue, given_one: Subject) -> None:
    assert matches({"not": {"not": match}}, given_one) is matches(match, given_one)


@given(FIELDS, TESTS, SUBJECTS)
def test_not_not_of_a_field_is_nothing(name: str, test: JsonValue, given_one: Subject) -> None:
    assert matches({name: {"not": {"not": test}}}, given_one) is matches({name: test}, given_one)


@given(FIELDS, st.lists(SCALARS, min_size=1, max_size=4), SUBJECTS)
def test_a_list_is_any_of_its_values(name: str, values: list[JsonValue], given_one: Subject) -> None:
    each: list[JsonValue] = [{name: {"eq": value}} for value in values]
    assert matches({name: list(values)}, given_one) is matches({"any": each}, given_one)
    assert matches({name: {"in": list(values)}}, given_one) is matches({name: list(values)}, given_one)


@given(st.text(alphabet="ab*?[]!-x\n.", max_size=8), st.text(alphabet="abx[]!-\n.", max_size=8))
def test_globs_mean_what_the_shell_means(pattern: str, text: str) -> None:
    if not pattern or re.search(r"\[[^\]]*-", pattern):
        return  # ranges are tested by name: the standard library repairs those that run backwards, we refuse them
    assert matches({"title": {"glob": pattern}}, subject(title=text)) is fnmatch.fnmatchcase(text, pattern)


@given(st.text(max_size=20))
def test_a_glob_becomes_an_expression_without_raising(pattern: str) -> None:
    assert isinstance(glob_to_regex(pattern.encode("utf-8", "replace").decode()), str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["host", "any", "not", "re", "glob", "gte", "cidr", "in", "x"]), x)
        ),
        max_leaves=12,
    )
)
def test_no_data_makes_the_compiler_raise(raw: JsonValue) -> None:
    test, errors = compiled(raw)
    for error in errors:
        assert error.message
        assert error.path[0] == "match"
    if not errors:
        test.holds(subject())
