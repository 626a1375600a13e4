"""The clauses of a rule: a tree that can be tried fast, or tried with a trace of every part."""

from dataclasses import dataclass, field
from typing import Protocol

from gateway.model.decision import Clause
from gateway.routing.fields import Reader, Subject, Value, text_of
from gateway.routing.predicates import Regex, Test
from gateway.routing.schedules import Schedule, shown_time

SEEN = 200
"""Characters of a value, or of what was expected of it, that a trace shows."""


class Node(Protocol):
    """A clause or a nesting of clauses. ``cost`` orders them: the cheap ones are tried first where no trace is made."""

    @property
    def cost(self) -> int:
        """How dear it is to try, in no unit."""
        ...

    def holds(self, subject: Subject) -> bool:
        """Try it."""
        ...

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try it with everything below it, and write each clause down."""
        ...

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """Add the named groups of what holds; a name that is there already stays."""
        ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test of one field."""

    path: str
    expected: str
    read: Reader
    test: Test
    cost: int
    regex: Regex | None = None

    def holds(self, subject: Subject) -> bool:
        """Try it."""
        return self.test(self.read(subject))

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try it and write it down."""
        value = self.read(subject)
        result = self.test(value)
        into.append(Clause(self.path, self.expected, shown(value), result))
        return result

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """Add the named groups, if it is a regular expression that holds."""
        if self.regex is not None:
            for name, text in self.regex.captured(self.read(subject)).items():
                if not into.get(name):
                    into[name] = text


@dataclass(frozen=True, slots=True)
class Within:
    """The event came within a schedule, or outside of it."""

    path: str
    name: str
    schedule: Schedule
    inside: bool
    cost: int = 3

    def holds(self, subject: Subject) -> bool:
        """Try it."""
        return self.schedule.covers(subject.at) is self.inside

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try it and write it down."""
        result = self.holds(subject)
        into.append(Clause(self.path, self.name, shown_time(subject.at, self.schedule.zone), result))
        return result

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Every:
    """All of its parts hold. ``path`` is empty where a trace needs no line for it."""

    path: str
    parts: tuple[Node, ...]
    quick: tuple[Node, ...] = field(init=False)
    cost: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quick", tuple(sorted(self.parts, key=lambda part: part.cost)))
        object.__setattr__(self, "cost", sum(part.cost for part in self.parts))

    def holds(self, subject: Subject) -> bool:
        """Try the parts, cheap ones first, up to the first that does not hold."""
        for part in self.quick:  # noqa: SIM110 - the plain loop is the fast one on this path
            if not part.holds(subject):
                return False
        return True

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try all parts in the order of the file."""
        place = len(into)
        held = 0
        for part in self.parts:
            held += part.trace(subject, into)
        result = held == len(self.parts)
        if self.path:
            into.insert(place, Clause(self.path, "each holds", f"{held} of {len(self.parts)} hold", result))
        return result

    def trace_briefly(self, subject: Subject, into: list[Clause]) -> bool:
        """Try the parts; write down all if they hold, else only one that does not, with what is nested in it."""
        for part in self.quick:
            if not part.holds(subject):
                part.trace(subject, into)
                return False
        return self.trace(subject, into)

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """The groups of all parts."""
        for part in self.parts:
            part.capture(subject, into)


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of its parts holds."""

    path: str
    parts: tuple[Node, ...]
    quick: tuple[Node, ...] = field(init=False)
    cost: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quick", tuple(sorted(self.parts, key=lambda part: part.cost)))
        object.__setattr__(self, "cost", sum(part.cost for part in self.parts))

    def holds(self, subject: Subject) -> bool:
        """Try the parts, cheap ones first, up to the first that holds."""
        return any(part.holds(subject) for part in self.quick)

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try all parts in the order of the file."""
        place = len(into)
        held = 0
        for part in self.parts:
            held += part.trace(subject, into)
        into.insert(place, Clause(self.path, "one holds", f"{held} of {len(self.parts)} hold", held > 0))
        return held > 0

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """The groups of the parts that hold."""
        for part in self.parts:
            if part.holds(subject):
                part.capture(subject, into)


@dataclass(frozen=True, slots=True)
class Not:
    """Its part does not hold. Its groups are nobody's."""

    path: str
    part: Node

    @property
    def cost(self) -> int:
        """That of its part."""
        return self.part.cost

    def holds(self, subject: Subject) -> bool:
        """Try the part."""
        return not self.part.holds(subject)

    def trace(self, subject: Subject, into: list[Clause]) -> bool:
        """Try the part and write down the opposite above it."""
        place = len(into)
        inner = self.part.trace(subject, into)
        into.insert(place, Clause(self.path, "does not hold", "holds" if inner else "does not hold", not inner))
        return not inner

    def capture(self, subject: Subject, into: dict[str, str]) -> None:
        """Nothing: what must not be there gives no variables."""


def shown(value: Value) -> str:
    """A value as a trace shows it: cut, and safe to be written as UTF-8."""
    if value is None:
        return "(absent)"
    if isinstance(value, tuple):
        value = ", ".join(item[:SEEN] for item in value[:SEEN])
    text = value if isinstance(value, str) else text_of(value)
    if not text:
        return "(empty)"
    if len(text) > SEEN:
        text = text[: SEEN - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
