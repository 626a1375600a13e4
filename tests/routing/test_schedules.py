"""When a rule takes anything."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import Route, Unrouted
from gateway.model.event import Event, Kind, Severity
from gateway.routing.errors import RuleErrors
from gateway.routing.fields import Subject
from gateway.routing.router import compile_routes
from gateway.routing.schedules import DAYS, schedule_of, weekly_of, window_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def test_a_window_holds_from_its_first_instant_to_before_its_last() -> None:
    schedule = schedule_of("Europe/Berlin", ["2026-12-05T22:00/2026-12-06T04:00"], [])
    held = [schedule.covers(at(f"2026-12-{when}")) for when in ("05T21:59", "05T22:00", "06T03:59", "06T04:00")]
    assert held == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("mon-fri 08:00-18:00", ["2026-11-23T08:00", "2026-11-27T17:59"], ["2026-11-23T07:59", "2026-11-28T12:00"]),
        ("sat 22:00-06:00", ["2026-11-28T23:00", "2026-11-29T05:59"], ["2026-11-29T23:00", "2026-11-28T05:00"]),
        ("Fri-Mon 00:00-24:00", ["2026-11-27T00:00", "2026-11-23T23:59"], ["2026-11-24T00:00", "2026-11-26T23:59"]),
        ("02:00-03:00", ["2026-11-25T02:30"], ["2026-11-25T03:00"]),
        ("sun 23:00-01:00", ["2026-11-23T00:59"], ["2026-11-22T00:30"]),
    ],
)
def test_weekly_times_are_wall_clock_times_and_may_go_over_midnight(
    text: str, inside: list[str], outside: list[str]
) -> None:
    schedule = schedule_of("Europe/Berlin", [], [text])
    assert all(schedule.covers(at(when)) for when in inside)
    assert not any(schedule.covers(at(when)) for when in outside)


@given(st.floats(0, 4e9), st.sampled_from(DAYS))
def test_a_day_and_the_rest_of_the_week_share_out_all_instants(instant: float, day: str) -> None:
    after = DAYS[(DAYS.index(day) + 1) % 7]
    before = DAYS[(DAYS.index(day) - 1) % 7]
    one = schedule_of("Europe/Berlin", [], [f"{day} 00:00-24:00"])
    others = schedule_of("Europe/Berlin", [], [f"{after}-{before} 00:00-24:00"])
    assert one.covers(instant) is not others.covers(instant)


@pytest.mark.parametrize(
    "text", ["", "mon", "8-9", "mon 08:00", "mon-xyz 08:00-09:00", "25:00-26:00", "mon 08:00-08:00", "x 08:00-09:00"]
)
def test_what_is_no_weekly_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"weekly time|begins when it ends"):
        weekly_of(text)


@given(st.text(max_size=40))
def test_reading_times_raises_nothing_but_value_errors(text: str) -> None:
    for read in (weekly_of, zone_of, lambda value: window_of(value, BERLIN)):
        try:
            read(text)
        except ValueError:
            continue


def test_a_route_takes_events_during_its_schedule_and_the_trace_says_when() -> None:
    nights = schedule_of("Europe/Berlin", [], ["22:00-06:00"])
    routes = [
        Route.model_validate({"name": "nights", "match": {"kind": "problem"}, "when": {"during": "nights"}}),
        Route.model_validate({"name": "days", "when": {"outside": "nights"}}),
        Route.model_validate({"name": "rest"}),
    ]
    router = compile_routes(routes, Unrouted(), read_lines=lambda _: frozenset(), schedules={"nights": nights})
    assert router.warnings == ()

    def chosen(when: str, kind: Kind = Kind.PROBLEM) -> list[str]:
        decision = router.decide(Subject(Event(kind, Severity.MAJOR, "x"), "nagios", at=at(when)))
        assert [(c.expected, c.holds) for c in decision.trace[0].clauses][-1][0] == "nights"
        return [route.route for route in decision.chosen]

    assert chosen("2026-11-23T23:00") == ["nights"]
    assert chosen("2026-11-23T12:00") == ["days"]
    assert chosen("2026-11-23T23:00", Kind.RECOVERY) == ["rest"]


def test_a_schedule_that_is_not_there_is_a_fault_of_the_rule() -> None:
    route = Route.model_validate({"name": "a", "when": {"during": "nihgts"}})
    with pytest.raises(RuleErrors, match="no schedule 'nihgts'"):
        compile_routes([route], Unrouted(), read_lines=lambda _: frozenset())
