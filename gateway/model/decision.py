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
class Chosen:
    """A route that took the event, with the variables its match and its ``vars`` gave."""

    route: str
    vars: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Which routes took the event, in order, and why.

    ``chosen`` has more than one entry only through ``then: continue``; it is empty if no route matched, and then the
    configuration's ``unrouted`` section decides. The name of that section as a route is ``unrouted``.
    """

    chosen: tuple[Chosen, ...]
    trace: tuple[RuleTrace, ...]
