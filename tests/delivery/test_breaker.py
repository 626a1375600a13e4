"""The breaker of a helpdesk."""

from gateway.delivery.breaker import LAST_PROBE, Breaker, BreakerState


def failing(breaker: Breaker, actions: int, *, each: int = 1, now: float = 0.0) -> bool:
    opened = [breaker.record(f"a{number}", failed=True, now=now) for number in range(actions) for _ in range(each)]
    return any(opened)


def test_failures_of_several_actions_open_it_and_no_calls_are_allowed() -> None:
    breaker = Breaker(most=4)
    assert failing(breaker, 5)
    assert breaker.state is BreakerState.OPEN
    assert breaker.calls_allowed() == 0


def test_one_bad_ticket_never_opens_it() -> None:
    breaker = Breaker(most=4)
    assert not failing(breaker, 1, each=100)
    assert breaker.calls_allowed() == 4


def test_failures_among_many_successes_do_not_open_it() -> None:
    breaker = Breaker(most=4)
    for number in range(100):
        breaker.record(f"a{number}", failed=number % 3 == 0, now=0.0)
    assert breaker.state is BreakerState.CLOSED


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker(most=4)
    failing(breaker, 4, now=0.0)
    assert not failing(breaker, 4, now=1000.0)


def test_probes_come_later_and_later_while_the_helpdesk_stays_down() -> None:
    breaker = Breaker(most=4)
    failing(breaker, 5)
    pauses, now = [], 0.0
    for _ in range(10):
        pauses.append(breaker.probe_at - now)
        now = breaker.probe_at
        assert breaker.probe_due(now)
        breaker.probed(worked=False, now=now)
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_PROBE


def test_recovery_ramps_up_from_one_call_to_all() -> None:
    breaker = Breaker(most=4)
    failing(breaker, 5)
    breaker.probed(worked=True, now=10.0)
    allowed = [breaker.calls_allowed()]
    for number in range(3):
        breaker.record(f"b{number}", failed=False, now=10.0)
        allowed.append(breaker.calls_allowed())
    assert allowed == [1, 2, 4, 4]
    assert breaker.state is BreakerState.CLOSED


def test_a_failure_while_ramping_opens_it_again() -> None:
    breaker = Breaker(most=4)
    failing(breaker, 5)
    breaker.probed(worked=True, now=10.0)
    assert breaker.record("b", failed=True, now=10.0)
    assert breaker.state is BreakerState.OPEN
