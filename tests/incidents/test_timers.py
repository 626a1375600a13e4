"""What happens later: confirmation, hold, escalation, expiry; and that it does not matter how late it is done."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.incidents.timers import LOOK_AGAIN, SETTLE, Outage, fire, lapsed
from gateway.incidents.transition import Purpose
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import Deadline, Incident, IncidentState, TimerKind
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from tests.incidents.test_any_order import ANY_EVENT, POLICIES
from tests.incidents.world import ALL, Memory, other, plan, problem, recovery


def incident_of(memory: Memory) -> Incident:
    found = memory.by_key()
    assert found is not None
    return found


def asked(memory: Memory) -> list[tuple[ActionKind, Purpose]]:
    return [(wish.kind, wish.purpose) for _, wish in memory.wishes]


# ------------------------------------------------------------------------------------------------------------- confirm


def test_a_problem_that_does_not_last_makes_no_ticket() -> None:
    memory = Memory(plan(Policy(confirm=90.0)))
    assert memory.send(problem(), 0.0).reason is Reason.UNCONFIRMED
    assert incident_of(memory).state is IncidentState.PENDING
    assert memory.send(recovery(), 89.0).reason is Reason.NOT_CONFIRMED
    memory.pass_time(1000.0)
    assert (memory.wishes, incident_of(memory).state) == ([], IncidentState.CLOSED)


def test_a_problem_that_lasts_makes_its_ticket_when_it_has_lasted() -> None:
    memory = Memory(plan(Policy(confirm=90.0)))
    memory.send(problem(), 0.0)
    memory.pass_time(90.0)
    assert memory.wishes == [], "at the instant itself a recovery would still come first"
    memory.pass_time(90.0, up_to=True)
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]
    assert memory.fired == [(90.0, TimerKind.CONFIRM, Reason.CONFIRMED)]
    assert (incident_of(memory).state, incident_of(memory).last_appended_at) == (IncidentState.OPEN, 90.0)


def test_repeats_do_not_put_the_confirmation_off_and_the_ticket_says_the_latest() -> None:
    memory = Memory(plan(Policy(confirm=90.0, append_every=0.0)))
    memory.send(problem(), 0.0)
    assert memory.send(problem(severity=Severity.CRITICAL), 80.0).reason is Reason.UNCONFIRMED
    memory.pass_time(91.0)
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]
    assert (incident_of(memory).occurrences, incident_of(memory).worst) == (2, Severity.CRITICAL)


def test_a_recovery_that_was_received_late_does_not_unmake_a_confirmed_ticket() -> None:
    memory = Memory(plan(Policy(confirm=90.0)), actions=ALL)
    memory.send(problem(), 0.0)
    assert memory.send(recovery(), 600.0).reason is Reason.RECOVERED
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM), (ActionKind.CLOSE, Purpose.RECOVERY)]


def test_an_unconfirmed_problem_that_is_over_leaves_no_ticket_to_be_used_again() -> None:
    memory = Memory(plan(Policy(confirm=90.0, reopen_within=1e6)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    memory.send(problem(), 20.0)
    memory.pass_time(200.0)
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]
    assert len(memory.incidents) == 2


@pytest.mark.parametrize("kind", [Kind.ACKNOWLEDGEMENT, Kind.UPDATE, Kind.DOWNTIME_START])
def test_a_note_about_what_is_not_confirmed_has_no_ticket_to_go_to(kind: Kind) -> None:
    memory = Memory(plan(Policy(confirm=90.0)))
    memory.send(problem(), 0.0)
    assert memory.send(other(kind), 10.0).reason is Reason.UNCONFIRMED
    assert memory.wishes == []


def test_who_writes_about_an_unconfirmed_problem_confirms_it() -> None:
    memory = Memory(plan(Policy(confirm=90.0)))
    memory.send(problem(), 0.0)
    assert memory.send(other(Kind.MESSAGE), 10.0).reason is Reason.CONFIRMED
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM), (ActionKind.APPEND, Purpose.NOTE)]
    memory.pass_time(1000.0)
    assert len(memory.wishes) == 2


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.INFORMATION, Kind.RAW])
def test_what_is_no_problem_need_not_last(kind: Kind) -> None:
    memory = Memory(plan(Policy(confirm=90.0, expire_after=100.0)))
    assert memory.send(other(kind), 0.0).reason is Reason.OPENED
    assert incident_of(memory).timers == ()


# ------------------------------------------------------------------------------------------------- a host that is down

SERVICE = Event(Kind.PROBLEM, Severity.MAJOR, "no HTTP", origin_key="db-1/http", host="db-1", service="http")


def test_the_ticket_of_a_service_waits_while_its_host_is_down_and_a_little_longer() -> None:
    policy = Policy(suppressed_by="host")
    memory = Memory(plan(policy))
    down = Outage(90.0, None)
    assert memory.send(SERVICE, 100.0, outages=[down]).reason is Reason.SUPPRESSED
    timer = incident_of(memory).timers[0]
    later = fire(incident_of(memory), timer, policy, [down])
    assert (later.reason, later.wishes, later.release) == (Reason.SUPPRESSED, (), None)
    assert later.incident is not None
    assert later.incident.due_at(TimerKind.CONFIRM) == 100.0 + 2 * LOOK_AGAIN
    up = fire(incident_of(memory), timer, policy, [Outage(90.0, 150.0)])
    assert up.incident is not None
    assert up.incident.due_at(TimerKind.CONFIRM) == 150.0 + SETTLE
    memory.apply(incident_of(memory), up)
    memory.pass_time(150.0 + SETTLE, up_to=True)
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]


def test_a_service_that_recovers_with_its_host_makes_no_ticket() -> None:
    memory = Memory(plan(Policy(suppressed_by="host")))
    memory.send(SERVICE, 100.0, outages=[Outage(90.0, None)])
    assert memory.send(recovery("db-1/http"), 130.0).reason is Reason.NOT_CONFIRMED
    assert memory.wishes == []


@pytest.mark.parametrize("outages", [[], [Outage(101.0, None)], [Outage(0.0, 100.0 - SETTLE)]])
def test_a_host_that_was_up_holds_nothing_back(outages: list[Outage]) -> None:
    memory = Memory(plan(Policy(suppressed_by="host")))
    assert memory.send(SERVICE, 100.0, outages=outages).reason is Reason.OPENED


def test_without_the_rule_a_host_that_is_down_holds_nothing_back() -> None:
    memory = Memory(plan(Policy()))
    assert memory.send(SERVICE, 100.0, outages=[Outage(0.0, None)]).reason is Reason.OPENED


# ---------------------------------------------------------------------------------------------------------------- hold


def test_a_recovery_that_lasts_closes_when_it_has_lasted() -> None:
    memory = Memory(plan(Policy(hold=300.0)), actions=ALL)
    memory.send(problem(), 0.0)
    assert memory.send(recovery(), 100.0).reason is Reason.RECOVERY_HELD
    assert (incident_of(memory).state, len(memory.wishes)) == (IncidentState.RECOVERING, 1)
    memory.pass_time(401.0)
    assert (incident_of(memory).state, incident_of(memory).closed_at) == (IncidentState.CLOSED, 400.0)
    assert asked(memory)[1:] == [(ActionKind.CLOSE, Purpose.RECOVERY)]


def test_a_problem_within_the_hold_goes_on_as_if_nothing_had_been() -> None:
    memory = Memory(plan(Policy(hold=300.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.send(recovery(), 100.0)
    assert memory.send(problem(), 399.0).reason is Reason.BACK_WITHIN_HOLD
    memory.pass_time(10_000.0)
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]
    assert incident_of(memory).state is IncidentState.OPEN
    memory.send(recovery(), 20_000.0)
    memory.pass_time(20_301.0)
    assert incident_of(memory).closed_at == 20_300.0


def test_a_problem_after_the_hold_relapses_though_nobody_looked_in_between() -> None:
    memory = Memory(plan(Policy(hold=300.0, reopen_within=1000.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.send(recovery(), 100.0)
    assert memory.send(problem(), 500.0).reason is Reason.RELAPSED
    assert [kind for kind, _ in asked(memory)] == [ActionKind.CREATE, ActionKind.CLOSE, ActionKind.REOPEN]


def test_a_repeated_recovery_does_not_put_the_close_off() -> None:
    memory = Memory(plan(Policy(hold=300.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.send(recovery(), 100.0)
    memory.send(recovery(), 399.0)
    memory.pass_time(401.0)
    assert incident_of(memory).closed_at == 400.0
    assert len(memory.wishes) == 2


def test_an_older_recovery_that_comes_within_the_hold_does_not_make_old_problems_new() -> None:
    memory = Memory(plan(Policy(hold=300.0)))
    memory.send(problem(at=3.0), 100.0)
    memory.send(recovery(at=8.0), 101.0)
    memory.send(recovery(at=4.0), 102.0)
    assert memory.send(problem(at=7.0), 103.0).reason is Reason.STALE
    assert incident_of(memory).state is IncidentState.RECOVERING


def test_with_recover_none_the_incident_closes_after_the_hold_without_a_word() -> None:
    memory = Memory(plan(Policy(hold=300.0, recover_action="none")))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 100.0)
    memory.pass_time(500.0)
    assert (incident_of(memory).closed_at, len(memory.wishes)) == (400.0, 1)
    assert memory.fired[-1] == (400.0, TimerKind.HOLD, Reason.RECOVERY_IGNORED)


# ------------------------------------------------------------------------------------------------- worse, and escalation


def test_a_worse_severity_is_told_at_once_and_each_level_once() -> None:
    memory = Memory(plan(Policy(rise="append", append_every=3600.0)))
    memory.send(problem(severity=Severity.WARNING), 0.0)
    reasons = [
        memory.send(problem(severity=severity), at).reason
        for at, severity in enumerate(
            [Severity.CRITICAL, Severity.WARNING, Severity.CRITICAL, Severity.UNKNOWN, Severity.CRITICAL], start=1
        )
    ]
    assert reasons == [Reason.SEVERITY_RAISED, *[Reason.REPEATED] * 4]
    assert asked(memory)[1:] == [(ActionKind.APPEND, Purpose.WORSE)]
    assert not memory.wishes[1][1].quiet


def test_an_update_that_raises_the_severity_is_told_as_that_and_not_as_a_note() -> None:
    memory = Memory(plan(Policy(rise="update", notes="ignore")), actions=ALL)
    memory.send(problem(severity=Severity.WARNING), 0.0)
    worse = Event(Kind.UPDATE, Severity.CRITICAL, "worse", origin_key="db-1/disk", still_in_problem=True)
    assert memory.send(worse, 1.0).reason is Reason.SEVERITY_RAISED
    assert asked(memory)[1:] == [(ActionKind.UPDATE, Purpose.WORSE)]


def test_a_helpdesk_that_changes_no_fields_is_told_by_a_follow_up() -> None:
    memory = Memory(plan(Policy(rise="update")))
    memory.send(problem(severity=Severity.WARNING), 0.0)
    memory.send(problem(severity=Severity.CRITICAL), 1.0)
    wish = memory.wishes[1][1]
    assert (wish.kind, wish.reasons) == (ActionKind.APPEND, (Reason.UPDATE_UNSUPPORTED,))


def test_a_relapse_begins_with_its_own_severity() -> None:
    memory = Memory(plan(Policy(rise="append", reopen_within=1000.0)))
    memory.send(problem(severity=Severity.CRITICAL), 0.0)
    memory.send(recovery(), 1.0)
    memory.send(problem(severity=Severity.WARNING), 2.0)
    assert memory.send(problem(severity=Severity.CRITICAL), 3.0).reason is Reason.SEVERITY_RAISED


def test_what_nobody_acknowledges_is_told_once() -> None:
    memory = Memory(plan(Policy(escalate_after=1800.0)))
    memory.send(problem(), 0.0)
    memory.pass_time(1e6)
    assert memory.fired == [(1800.0, TimerKind.ESCALATE, Reason.ESCALATED)]
    assert asked(memory)[1:] == [(ActionKind.APPEND, Purpose.ESCALATION)]


def test_an_acknowledgement_in_time_ends_the_escalation() -> None:
    memory = Memory(plan(Policy(escalate_after=1800.0)))
    memory.send(problem(), 0.0)
    memory.send(other(Kind.ACKNOWLEDGEMENT), 1700.0)
    memory.pass_time(1e6)
    assert memory.fired == []


def test_the_time_for_an_acknowledgement_begins_with_the_ticket() -> None:
    memory = Memory(plan(Policy(escalate_after=1800.0, confirm=90.0)))
    memory.send(problem(), 0.0)
    memory.pass_time(1e6)
    assert [at for at, _, _ in memory.fired] == [90.0, 1890.0]


# -------------------------------------------------------------------------------------------------------------- expiry


def test_silence_makes_one_quiet_note_and_a_late_recovery_still_closes() -> None:
    memory = Memory(plan(Policy(expire_after=100.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.send(problem(), 60.0)
    memory.pass_time(1e6)
    assert memory.fired == [(100.0, TimerKind.EXPIRE, Reason.REPEATED), (160.0, TimerKind.EXPIRE, Reason.EXPIRED)]
    assert asked(memory)[1:] == [(ActionKind.APPEND, Purpose.EXPIRY)]
    assert memory.wishes[1][1].quiet
    assert memory.send(recovery(), 2e6).reason is Reason.RECOVERED


def test_after_a_note_a_new_problem_is_watched_again() -> None:
    memory = Memory(plan(Policy(expire_after=100.0)))
    memory.send(problem(), 0.0)
    memory.send(problem(), 1000.0)
    memory.pass_time(1e6)
    assert [at for at, _, reason in memory.fired if reason is Reason.EXPIRED] == [100.0, 1100.0]


def test_expire_close_closes_and_a_problem_soon_after_uses_the_ticket_again() -> None:
    memory = Memory(plan(Policy(expire_after=100.0, expire="close", reopen_within=1000.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.pass_time(500.0)
    assert asked(memory)[1:] == [(ActionKind.CLOSE, Purpose.EXPIRY)]
    assert memory.send(problem(), 600.0).reason is Reason.RELAPSED


def test_expire_forget_leaves_the_ticket_alone_and_the_next_problem_makes_a_new_one() -> None:
    memory = Memory(plan(Policy(expire_after=100.0, expire="forget", reopen_within=1000.0)))
    memory.send(problem(), 0.0)
    memory.pass_time(500.0)
    assert len(memory.wishes) == 1
    assert memory.send(problem(), 600.0).reason is Reason.OPENED


# ------------------------------------------------------------------------------------------------------------- flapping

FLAP = Policy(flap_changes=6, flap_within=1800.0, reopen_within=3600.0)


def flaps(memory: Memory, times: int, *, since: float = 0.0, every: float = 60.0) -> list[Reason]:
    return [memory.send(recovery() if n % 2 else problem(), since + n * every).reason for n in range(times)]


def test_what_comes_and_goes_is_told_once_and_then_left_in_peace() -> None:
    memory = Memory(plan(FLAP), actions=ALL)
    reasons = flaps(memory, 20)
    assert reasons[:5] == [Reason.OPENED, Reason.RECOVERED, Reason.RELAPSED, Reason.RECOVERED, Reason.RELAPSED]
    assert set(reasons[5:]) == {Reason.FLAPPING}
    assert [purpose for _, purpose in asked(memory)[5:]] == [Purpose.FLAPPING]
    assert incident_of(memory).state is IncidentState.RECOVERING


def test_what_has_stayed_away_closes_and_counts_anew() -> None:
    memory = Memory(plan(FLAP), actions=ALL)
    flaps(memory, 8)
    memory.pass_time(1e5)
    assert (incident_of(memory).closed_at, incident_of(memory).flapping) == (7 * 60.0 + 1800.0, False)
    assert asked(memory)[-1] == (ActionKind.CLOSE, Purpose.RECOVERY)
    assert flaps(memory, 2, since=1e6) == [Reason.OPENED, Reason.RECOVERED]


def test_what_has_stayed_is_a_plain_problem_again() -> None:
    memory = Memory(plan(FLAP), actions=ALL)
    flaps(memory, 7)
    before = len(memory.wishes)
    memory.pass_time(1e5)
    assert (incident_of(memory).state, incident_of(memory).flapping) == (IncidentState.OPEN, False)
    assert memory.fired[-1] == (6 * 60.0 + 1800.0, TimerKind.CALM, Reason.CALM)
    assert len(memory.wishes) == before
    assert memory.send(recovery(), 2e5).reason is Reason.RECOVERED


def test_slow_changes_are_no_flapping() -> None:
    memory = Memory(plan(FLAP), actions=ALL)
    assert Reason.FLAPPING not in flaps(memory, 20, every=400.0)


def test_what_flaps_below_the_time_of_confirmation_gets_its_ticket_in_the_end() -> None:
    memory = Memory(plan(Policy(confirm=90.0, flap_changes=4, flap_within=1800.0, reopen_within=1800.0)))
    reasons = flaps(memory, 6)
    assert reasons == [*[Reason.UNCONFIRMED, Reason.NOT_CONFIRMED] * 2, Reason.FLAPPING, Reason.FLAPPING]
    assert asked(memory) == [(ActionKind.CREATE, Purpose.PROBLEM)]


def test_repeats_of_a_problem_or_a_recovery_are_no_changes() -> None:
    memory = Memory(plan(Policy(flap_changes=3, flap_within=1800.0, hold=600.0)))
    for at in range(10):
        memory.send(problem(), float(at))
    for at in range(10, 20):
        assert memory.send(recovery(), float(at)).reason is Reason.RECOVERY_HELD


# --------------------------------------------------------------------------------------------------------- whatever comes


def end_of(events: Sequence[tuple[float, Event]], policy: Policy, *, in_time: bool) -> Memory:
    """The end of it all, with a look at every second, or only when something comes and long after."""
    memory = Memory(plan(policy), ALL)
    clock = 1000.0
    for at, event in events:
        while in_time and clock < at:
            memory.pass_time(clock)
            clock += 0.5
        memory.send(event, at)
    memory.pass_time(1e9)
    return memory


@st.composite
def at_times(draw: st.DrawFn) -> list[tuple[float, Event]]:
    events = draw(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.0]), ANY_EVENT), max_size=12))
    at, timed = 1000.0, []
    for pause, event in events:
        at += pause
        timed.append((at, event))
    return timed


@given(at_times(), POLICIES)
@settings(max_examples=300, deadline=None)
def test_however_late_timers_are_looked_at_the_end_is_that_of_the_true_sequence(
    events: list[tuple[float, Event]], policy: Policy
) -> None:
    early, late = end_of(events, policy, in_time=True), end_of(events, policy, in_time=False)
    assert (early.incidents, early.wishes, early.fired) == (late.incidents, late.wishes, late.fired)


@given(at_times(), POLICIES)
@settings(max_examples=300, deadline=None)
def test_in_the_end_nothing_waits_but_what_has_a_problem(events: list[tuple[float, Event]], policy: Policy) -> None:
    memory = end_of(events, policy, in_time=False)
    for incident in memory.incidents.values():
        assert incident.state in {IncidentState.OPEN, IncidentState.CLOSED}
        assert lapsed(incident, 1e9) is None
    assert memory.held == {} or all(
        memory.incidents[name].state is not IncidentState.PENDING for name, _ in memory.held
    )


def test_a_timer_that_its_incident_does_not_have_any_more_does_nothing() -> None:
    memory = Memory(plan(Policy(hold=300.0)))
    memory.send(problem(), 0.0)
    assert fire(incident_of(memory), Deadline(TimerKind.HOLD, 300.0), Policy()).incident is None
