"""Decisions: the first match wins, the trace is complete, and faults are told all at once."""

import statistics
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import IncidentPolicy
from gateway.model.decision import Chosen
from gateway.model.event import Severity
from gateway.model.json import JsonValue
from gateway.model.plan import Policy
from gateway.routing.errors import RuleErrors
from gateway.routing.fields import Subject
from gateway.routing.plans import policy_of
from gateway.routing.router import decision_json
from tests.routing.subjects import router, subject
from tests.routing.test_matchers import MATCHES, SUBJECTS


def test_the_first_match_wins() -> None:
    decision = router({"match": {"host": "x"}}, {"match": {"host": "db-1"}}, {"match": {}}).decide(subject())
    assert decision.chosen == (Chosen("r1"),)
    assert [(rule.route, rule.matched) for rule in decision.trace] == [("r0", False), ("r1", True)]


def test_then_continue_goes_on_to_later_routes() -> None:
    rules = router({"then": "continue"}, {"match": {"host": "x"}}, {"match": {"service": "disk"}}, {"match": {}})
    assert [chosen.route for chosen in rules.decide(subject()).chosen] == ["r0", "r2"]


def test_nothing_is_chosen_where_no_route_matches() -> None:
    decision = router({"match": {"host": "x"}}).decide(subject())
    assert decision.chosen == ()
    assert len(decision.trace) == 1


def test_a_trace_lists_every_clause_with_what_was_expected_and_what_was_seen() -> None:
    match: dict[str, JsonValue] = {
        "host": {"glob": "web-*"},
        "severity": {"gte": "warning"},
        "any": [{"service": ["a", "b"]}, {"service": "disk"}],
        "not": {"labels.env": "dev"},
        "source": {"not": "zabbix"},
    }
    (rule,) = router({"match": match}).decide(subject()).trace
    assert not rule.matched
    assert [(c.path, c.expected, c.seen, c.holds) for c in rule.clauses] == [
        ("match.host.glob", "web-*", "db-1", False),
        ("match.severity.gte", "warning", "major", True),
        ("match.any", "one holds", "1 of 2 hold", True),
        ("match.any[0].service", "a, b", "disk", False),
        ("match.any[1].service", "disk", "disk", True),
        ("match.not", "does not hold", "does not hold", True),
        ("match.not.labels.env", "dev", "(absent)", False),
        ("match.source.not", "does not hold", "does not hold", True),
        ("match.source.not", "zabbix", "nagios-hq", False),
    ]


def test_named_groups_become_variables_and_one_that_took_no_part_is_empty() -> None:
    match: dict[str, JsonValue] = {
        "host": {"re": "^(?P<role>[a-z]+)-(?P<number>[0-9]+)$"},
        "any": [{"service": {"re": "^(?P<check>load|disk)"}}, {"title": {"re": "(?P<word>[a-z]+)"}}],
        "not": {"service": {"re": "(?P<never>x)"}},
    }
    rules = router({"match": match})
    assert rules.decide(subject()).chosen[0].vars == {"role": "db", "number": "1", "check": "disk", "word": ""}
    assert rules.groups("r0") == ("check", "number", "role", "word")


def test_a_decision_is_stored_as_json_whatever_the_event_holds() -> None:
    rules = router({"match": {"title": {"re": "(?P<all>.*)"}}})
    data = orjson.loads(decision_json(rules.decide(subject(title="a\ud800\x00é"))))
    assert data["chosen"] == [{"route": "r0", "vars": {"all": "a?\x00é"}}]
    assert data["trace"][0]["clauses"][0]["seen"] == "a\\ud800\x00é"


@given(st.lists(MATCHES, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4), SUBJECTS)
def test_a_decision_is_the_same_with_and_without_its_trace(
    tried: list[JsonValue], go_on: list[bool], given_one: Subject
) -> None:
    rules = router(
        *({"match": match, "then": "continue" if on else "stop"} for match, on in zip(tried, go_on, strict=False))
    )
    decision = rules.decide(given_one)
    assert rules.decide(given_one, trace=False).chosen == decision.chosen
    assert [rule.route for rule in decision.trace if rule.matched] == [chosen.route for chosen in decision.chosen]
    for rule, match in zip(decision.trace, tried, strict=False):
        assert len(rule.clauses) == _clauses(match)
    orjson.loads(decision_json(decision))


def _clauses(match: JsonValue) -> int:
    """How many lines the trace of a match must have: one per test, and one per nesting."""
    assert isinstance(match, dict)
    total = 0
    for key, value in match.items():
        if key in {"all", "any"}:
            assert isinstance(value, list)
            total += 1 + sum(map(_clauses, value))
        elif key == "not":
            total += 1 + _clauses(value)
        else:
            total += len(value) if isinstance(value, dict) else 1
    return total


@given(st.lists(MATCHES, max_size=4), SUBJECTS)
def test_a_brief_trace_says_for_each_rule_what_held_or_one_thing_that_did_not(
    tried: list[JsonValue], given_one: Subject
) -> None:
    rules = router(*({"match": match} for match in tried))
    full, brief = rules.decide(given_one), rules.decide(given_one, brief=True)
    assert brief.chosen == full.chosen
    assert [rule.route for rule in brief.trace] == [rule.route for rule in full.trace]
    for whole, short in zip(full.trace, brief.trace, strict=True):
        if whole.matched:
            assert short == whole
        else:
            assert not short.matched
            assert any(not clause.holds for clause in short.clauses)
            assert set(short.clauses) <= set(whole.clauses)


# ------------------------------------------------------------------------------------------------------------- faults


def test_all_faults_of_all_routes_are_told_at_once() -> None:
    with pytest.raises(RuleErrors) as caught:
        router(
            {"match": {"hots": "a"}},
            {"name": "r0", "match": {"host": {"re": "("}}},
            {"name": "unrouted", "incident": {"key": ["host", "servce"]}},
            {"drop": {"reason": "x"}, "ticket": {"helpdesk": "o"}},
            {"drop": {"reason": "x"}, "then": "continue"},
            {"incident": {"key": []}},
            unrouted={"dead_letter": False, "incident": {"key": ["nothing"]}},
        )
    assert [error.path for error in caught.value.errors] == [
        ("routes", 0, "match", "hots"),
        ("routes", 1, "match", "host", "re"),
        ("routes", 1, "name"),
        ("routes", 2, "incident", "key", 1),
        ("routes", 2, "name"),
        ("routes", 3, "drop"),
        ("routes", 4, "then"),
        ("routes", 5, "incident", "key"),
        ("unrouted", "incident", "key", 0),
        ("unrouted", "dead_letter"),
    ]
    assert "routes[0].match.hots: there is no field 'hots' (did you mean 'host'?)" in str(caught.value)


def test_routes_behind_one_that_takes_everything_are_told_as_never_reached() -> None:
    warnings = router({}, {"match": {"host": "a"}}, {"match": {"host": "b"}}).warnings
    assert [warning.path for warning in warnings] == [("routes", 1), ("routes", 2)]
    assert router({"then": "continue"}, {"match": {"host": "a"}}).warnings == ()


def test_a_policy_is_what_the_route_says() -> None:
    incident = IncidentPolicy.model_validate(
        {
            "repeat": {"append_every": "1h"},
            "recover": {"action": "append", "when": "any", "hold": "5m"},
            "notes": "ignore",
            "reopen_within": "3d",
            "confirm": "90s",
            "escalate": {"severity": "update", "after": "30m", "action": "append", "fields": {"priority": "high"}},
            "expire": {"after": "7d", "then": "close"},
        }
    )
    assert policy_of(incident) == Policy(
        append_every=3600.0,
        recover_action="append",
        recover_when="any",
        notes="ignore",
        reopen_within=259200.0,
        confirm=90.0,
        hold=300.0,
        rise="update",
        escalate_after=1800.0,
        escalate_by="append",
        expire_after=604800.0,
        expire="close",
        closed_by_hand="stay_quiet",
    )
    assert policy_of(IncidentPolicy(escalate="ignore", expire="never")) == Policy(closed_by_hand="stay_quiet")


def test_without_a_word_a_raised_severity_is_told_and_two_weeks_of_silence_make_a_note() -> None:
    assert policy_of(IncidentPolicy()) == Policy(
        rise="append", expire_after=14 * 86400.0, expire="note", closed_by_hand="stay_quiet"
    )


# -------------------------------------------------------------------------------------------------------------- speed


def test_fifty_rules_decide_in_far_less_than_a_millisecond() -> None:
    """The aim is well under 100 µs without a trace; the bound leaves room for a busy machine."""
    routes: list[dict[str, JsonValue]] = [
        {
            "match": {
                "source": ["nagios-hq", "zabbix"],
                "host": {"glob": f"web{number}-*"},
                "title": {"re": "a+b"},
                "severity": {"gte": "warning"},
                "not": {"labels.env": ["dev", "test"]},
            }
        }
        for number in range(50)
    ]
    rules, given_one = router(*routes), subject(severity=Severity.CRITICAL, title="x" * 200)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        rules.decide(given_one, trace=False)
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.001
