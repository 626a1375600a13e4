"""Durable intake: how much of a bare endpoint's rate is left when every event is on disk before its answer."""

from pathlib import Path

from bench.figures import Figure, at_least, median, spread
from bench.load import Result, Spec, load
from bench.processes import DROPPED, TO_TICKETS, TOKEN, Running, address, baseline, gateway, sandbox

GOAL = 0.6


class Runs:
    """Hands out numbers, so that no two rounds of a bench send the same event."""

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> int:
        self._number += 1
        return self._number


RUNS = Runs()


def one_round(running: Running, seconds: float) -> Result:
    """64 connections against ``/in/app`` of a process."""
    return load(Spec(running.port, "/in/app", TOKEN, RUNS.next(), seconds=seconds))


def measure(folder: Path, *, quick: bool, delay: float = 0.0) -> list[Figure]:
    """Both ways: events that a rule drops, and events that all become tickets."""
    rounds, seconds = (3, 1.0) if quick else (5, 2.0)
    figures: list[Figure] = []
    with baseline(folder) as bare:
        with gateway(folder / "dropped", action=DROPPED, delay=delay) as ours:
            ratio, how = _compare(bare, ours, rounds, seconds)
            if delay:
                figures.append(Figure("intake, events dropped by a rule", f"{ratio:.2f}", how=how))
            else:
                figures.append(at_least("intake, events dropped by a rule", ratio, GOAL, how))
        if delay:
            return figures
        with sandbox(folder) as desk, gateway(folder / "tickets", action=TO_TICKETS, sandbox=address(desk)) as ours:
            ratio, how = _compare(bare, ours, max(2, rounds // 2), seconds)
            what = "intake while every event becomes a ticket on the same cores"
            figures.append(Figure(what, f"{ratio:.2f}", how=how))
    return figures


def _compare(bare: Running, ours: Running, rounds: int, seconds: float) -> tuple[float, str]:
    """Rounds of the one and the other by turns; who is not measured stands still."""
    one_round(ours, 0.5)
    ratios: list[float] = []
    pairs: list[tuple[Result, Result]] = []
    for _ in range(rounds):
        with ours.frozen():
            first = one_round(bare, seconds)
        with bare.frozen():
            second = one_round(ours, seconds)
        pairs.append((first, second))
        ratios.append(second.rate / first.rate)
    plain = median([first.rate for first, _ in pairs])
    durable = median([second.rate for _, second in pairs])
    p50 = median([second.p50 for _, second in pairs]) * 1000
    p99 = median([second.p99 for _, second in pairs]) * 1000
    how = (
        f"{durable:.0f}/s of {plain:.0f}/s; p50 {p50:.1f} ms, p99 {p99:.1f} ms at 64 connections\n"
        f"ratios of the rounds: {spread(ratios)}"
    )
    return median(ratios), how
