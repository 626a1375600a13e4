"""The order in which the events of one receipt are taken."""

from collections.abc import Sequence

from gateway.model.event import Event


def order_within_receipt(events: Sequence[Event]) -> tuple[int, ...]:
    """Indices of the events in the order to take them: recoveries first, else as they came.

    A group that says "this is over, that has begun" under one key must not be appended to and then closed. But a
    recovery that ends a problem standing before it in the same receipt stays behind that problem: same origin key, same
    episode where both have an id, else not earlier by their clocks.

    In a group of alerts each is a member of its own, and what counts is how the whole group stands: there problems come first,
    so that a group of which one alert ends and another begins is never over in between.
    """
    first: list[int] = []
    rest: list[int] = []
    problems: dict[str, list[Event]] = {}
    for index, event in enumerate(events):
        before = problems.get(event.origin_key, ()) if event.origin_key else ()
        alone = event.ends_problem and not any(_ends(event, problem) for problem in before)
        (first if alone else rest).append(index)
        if not event.ends_problem:
            problems.setdefault(event.origin_key, []).append(event)
    last = _left_in_groups(events)
    return (*(index for index in (*first, *rest) if index not in last), *sorted(last))


def _left_in_groups(events: Sequence[Event]) -> set[int]:
    """Those that end a problem in a group, where no problem of the same alert comes behind them."""
    left: set[int] = set()
    begun: set[str] = set()
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if not event.ends_problem:
            begun.add(event.origin_key)
        elif event.group and event.origin_key not in begun:
            left.add(index)
    return left


def _ends(recovery: Event, problem: Event) -> bool:
    if problem.problem_id and recovery.problem_id:
        return problem.problem_id == recovery.problem_id
    if problem.occurred_at is not None and recovery.occurred_at is not None:
        return problem.occurred_at <= recovery.occurred_at
    return True
