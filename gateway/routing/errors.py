"""What is wrong with a rule, told so that the loader can point at line and column."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleError:
    """One fault in the rules.

    ``path`` leads to it through the file: ``("routes", 0, "match", "host", "re")``; ``hint`` is the way out, or empty.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = path_text(self.path)
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class RuleErrors(Exception):
    """All faults of the rules at once."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        """``errors`` is never empty."""
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it: ``match.any[0].host.glob``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'host'?`` for the nearest known word, or the empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
