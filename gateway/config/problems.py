"""What is wrong with a configuration, with its place and the way out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Where in the document: keys and list indexes from its root."""


class Level(StrEnum):
    """How bad a finding is: an error keeps the gateway from starting; the others are only told."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. ``line`` and ``column`` count from 1; 0 means the file as a whole. Never holds a secret."""

    file: str
    line: int
    column: int
    path: Path
    message: str
    hint: str = ""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        level = "" if self.level is Level.ERROR else f"{self.level.value}: "
        where = f"{dotted(self.path)}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}: {level}{where}{self.message}{hint}"


class ConfigErrors(Exception):
    """A configuration that cannot be used, with everything that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """At least one problem."""
        self.problems = in_order(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By place, without repetitions."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (problem.file, problem.line, problem.column, str(problem))))


def dotted(path: Path) -> str:
    """A path as people write it: ``routes[0].ticket.helpdesk``, ``match["labels.env"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and all(character.isalnum() or character in "_-" for character in step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the nearest known word, or all the known ones, or nothing if there are none."""
    words = sorted(known)
    folded = {name.casefold(): name for name in words}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    if not words:
        return ""
    shown = ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")
    return f"known: {shown}"


def without_secrets(problems: Sequence[Problem], secrets: Iterable[str]) -> list[Problem]:
    """The same problems with every secret of at least 4 characters masked: the second wall, should a message quote one."""
    known = tuple(secrets)
    return [
        replace(problem, message=mask(problem.message, known), hint=mask(problem.hint, known)) for problem in problems
    ]


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret of at least 4 characters masked."""
    for secret in sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1]):
            text = text.replace(form, "<secret>")
    return text
