"""A figure beside its goal, and how a list of them looks on paper."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    ``good``: whether the goal is met; None for what is printed for information only. ``how`` says what the figure was made
    of, so that nobody has to believe a ratio.
    """

    what: str
    value: str
    goal: str = ""
    good: bool | None = None
    how: str = ""

    @property
    def verdict(self) -> str:
        """``PASS``, ``short`` or nothing."""
        return "" if self.good is None else "PASS" if self.good else "short"


def at_least(what: str, value: float, goal: float, how: str) -> Figure:
    """A ratio that should be large."""
    return Figure(what, f"{value:.2f}", f">= {goal:.2f}", value >= goal, how)


def below(what: str, value: float, goal: float, how: str, *, unit: str = "", digits: int = 2) -> Figure:
    """A figure that should be small."""
    return Figure(what, f"{value:.{digits}f}{unit}", f"< {goal:.{digits}f}{unit}", value < goal, how)


def table(title: str, figures: Iterable[Figure]) -> str:
    """The figures of one part under its title, in columns."""
    rows = [(figure.what, figure.value, figure.goal, figure.verdict, figure.how) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    lines = [f"{title}"]
    for *cells, how in rows:
        shown = "  ".join(
            cell.rjust(width) if column in {1, 2} else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append(f"  {shown}".rstrip())
        lines.extend(f"      {line}" for line in how.splitlines())
    return "\n".join(lines) + "\n"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The rounds, so that one sees how far they lie apart."""
    return ", ".join(f"{value:.{digits}f}" for value in values)
