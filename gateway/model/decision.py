"""Decisions: the result of routing, with its whole trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of one rule as it was tried: ``path`` names the place in the rule (``match.host.glob``)."""

    path: str
    expected: str
    seen: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule as it was tried. Clauses after the first false one are listed too: explain shows them all."""

    route: str
    matched: bool
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A look-up as it was made: the value of the field ``by``, and the row that was found.

    ``place`` is where the row stands (``hosts.csv:12``), ``default`` for the default row, empty if there is none. ``columns``
    are those that are not empty. ``absent``: there is no row, and templates that name a column fail.
    """

    lookup: str
    by: str
    value: str
    place: str
    columns: Mapping[str, str] = field(default_factory=dict)
    absent: bool = False

    def __str__(self) -> str:
        asked = f'{self.by} "{self.value}"'
        if not self.place:
            return f"lookup {self.lookup}: no row for {asked}"
        found = ", ".join(f"{name}={text}" for name, text in self.columns.items())
        place = "the default row" if self.place == "default" else self.place
        return f"lookup {self.lookup}: {asked} is {place}: {found}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A route that took the event, with the variables its match and its ``vars`` gave."""

    route: str
    vars: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Which routes took the event, in order, and why.

    ``chosen`` has more than one entry only through ``then: continue``; it is empty if no route matched, and then the
    configuration's ``unrouted`` section decides. The name of that section as a route is ``unrouted``. ``lookups`` are those that
    the rules needed.
    """

    chosen: tuple[Chosen, ...]
    trace: tuple[RuleTrace, ...]
    lookups: tuple[LookedUp, ...] = ()
