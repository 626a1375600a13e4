"""What one rendering may cost: characters, loop steps, memory and time, counted inside the running template.

Jinja's sandbox is no resource limit. So every place of a template that can repeat, grow or produce a value is rewritten
(`gateway.rendering.language`) to charge the `Budget` of the running rendering, which raises `OverBudget` in time. No
signals, no threads, no processes: a rendering ends by itself.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

MAX_NUMBER_BITS = 4096
_ELEMENT = 10
"""What an element of a list or mapping weighs, in characters."""
_MAX_DEPTH = 12


class OverBudget(Exception):
    """A rendering costs more than it may. The message is for the template's author."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rendering may cost.

    * ``output``: characters printed, in blocks that are kept in a variable too.
    * ``steps``: loop iterations, calls, filters, comparisons.
    * ``value``: characters of one text, or of a list or mapping with all that it holds, written out.
    * ``produced``: characters of all intermediate values together; it bounds the memory.
    * ``seconds``: wall time.
    """

    output: int = 1_000_000
    steps: int = 100_000
    value: int = 1_000_000
    produced: int = 8_000_000
    seconds: float = 1.0


DEFAULT_LIMITS = Limits()


class Budget:
    """The account of one rendering. ``clock`` is monotonic, in seconds."""

    __slots__ = ("_clock", "_deadline", "_limits", "_output", "_produced", "_steps")

    def __init__(self, clock: Callable[[], float], limits: Limits = DEFAULT_LIMITS) -> None:
        self._clock = clock
        self._limits = limits
        self._deadline = clock() + limits.seconds
        self._output = 0
        self._produced = 0
        self._steps = 0

    def tick(self) -> None:
        """One step more; also looks at the clock."""
        self._steps += 1
        if self._steps > self._limits.steps:
            raise OverBudget(f"the template takes more than {self._limits.steps:,} steps")
        if self._clock() > self._deadline:
            raise OverBudget(f"the template takes longer than {self._limits.seconds:g} s")

    def prints(self, length: int) -> None:
        """``length`` characters more are printed."""
        self._output += length
        if self._output > self._limits.output:
            raise OverBudget(f"the template prints more than {self._limits.output:,} characters")
        if not length:
            return
        if self._clock() > self._deadline:
            raise OverBudget(f"the template takes longer than {self._limits.seconds:g} s")

    def allows(self, length: int) -> None:
        """Asked before a value of at most ``length`` characters is made."""
        if length > self._limits.value:
            raise OverBudget(f"the template makes a value of more than {self._limits.value:,} characters")

    def each(self, items: Iterable[object], text: int) -> Iterator[object]:
        """The items, each charged with a step and with the ``text`` characters that the loop's body prints anyway."""
        for item in items:
            self.tick()
            if text:
                self.prints(text)
            yield item

    def keep(self, value: object) -> object:
        """Charge a value that an expression has produced, and give it back (a lazy sequence: charged as it goes)."""
        if isinstance(value, str):
            self._charge(len(value))
        elif isinstance(value, int):
            number_is_small(value)
        elif isinstance(value, list | tuple | dict):
            self._charge(self.weight(value))
        elif isinstance(value, Iterator):
            return self.each(value, 0)
        return value

    def weight(self, value: object, depth: int = 0) -> int:
        """Characters that a value would take written out; what it holds many times counts many times."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, list | tuple | dict):
            return _ELEMENT
        if depth > _MAX_DEPTH:
            raise OverBudget(f"the template nests lists more than {_MAX_DEPTH} deep")
        total = _ELEMENT * len(value)
        self.allows(total)
        parts: Iterable[object] = (*value.keys(), *value.values()) if isinstance(value, dict) else value
        for part in parts:
            total += len(part) if isinstance(part, str) else self.weight(part, depth + 1)
            if total > self._limits.value:
                self.allows(total)
        return total

    def _charge(self, length: int) -> None:
        self.allows(length)
        self._produced += length
        if self._produced > self._limits.produced:
            raise OverBudget(
                f"the template makes more than {self._limits.produced:,} characters of intermediate values"
            )


_running: ContextVar[Budget] = ContextVar("budget of the running rendering")


def running() -> Budget:
    """The budget of the rendering that is under way in this context."""
    return _running.get()


class spending:  # noqa: N801 - used like a function: `with spending(budget):`
    """While the block runs, everything that a template does is charged to ``budget``."""

    __slots__ = ("_budget", "_token")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        self._token = _running.set(self._budget)

    def __exit__(self, *_: object) -> None:
        _running.reset(self._token)


def number_is_small(value: int) -> None:
    """Refuse integers so large that reckoning with them takes time."""
    if value.bit_length() > MAX_NUMBER_BITS:
        raise OverBudget("the template makes a number of more than 1,200 digits")
