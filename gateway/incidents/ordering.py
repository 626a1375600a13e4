"""The order in which the events of one receipt are taken."""

from collections.abc import Sequence

from gateway.model.event import Event


def order_within_receipt(events: Sequence[Event]) -> tuple[int, ...]:
    """Indices of the events in the order to take them: recoveries first, else as they came.

    A group that says "this is over, that has begun" under one key must not be appended to and then closed. But a
    recovery that ends a problem standing before it in the same receipt stays behind that problem: same origin key, same
    episode where both have an id, else not earlier by their clocks.
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
    return (*first, *rest)


def _ends(recovery: Event, problem: Event) -> bool:
    if problem.problem_id and recovery.problem_id:
        return problem.problem_id == recovery.problem_id
    if problem.occurred_at is not None and recovery.occurred_at is not None:
        return problem.occurred_at <= recovery.occurred_at
    return True
