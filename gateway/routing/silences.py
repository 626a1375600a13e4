"""Silences made ready to be tried on events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.silence import Silence
from gateway.routing.clauses import Every
from gateway.routing.errors import RuleError, RuleErrors
from gateway.routing.fields import Subject
from gateway.routing.matchers import Compiler

LONGEST = 366 * 86400.0
"""Seconds that a silence may last: what shall never make a ticket belongs into a rule."""


@dataclass(frozen=True, slots=True)
class Silencer:
    """A silence, compiled."""

    silence: Silence
    test: Every

    def covers(self, subject: Subject) -> bool:
        """Whether an event is silenced: what ends a problem never is."""
        one = self.silence
        return one.starts_at <= subject.at < one.ends_at and not subject.event.ends_problem and self.test.holds(subject)


def compile_silence(silence: Silence) -> Silencer:
    """Make it ready.

    Raises:
        RuleErrors: what is wrong with its match.
        ValueError: it lasts no time or too long, matches everything, or nobody says why.
    """
    if not silence.match:
        raise ValueError("a silence without a match would silence everything; name a field")
    if not silence.comment.strip() or not silence.author.strip():
        raise ValueError("a silence needs a comment and an author: who reads it later must know why")
    if silence.ends_at <= silence.starts_at:
        raise ValueError("a silence must end after it begins")
    if silence.ends_at - silence.starts_at > LONGEST:
        raise ValueError("a silence lasts a year at most; what shall never make a ticket is a route with `drop`")
    errors: list[RuleError] = []
    test = Compiler(_no_files, {}, errors).match(dict(silence.match), ("match",))
    if errors:
        raise RuleErrors(errors)
    return Silencer(silence, test)


def compile_silences(silences: Sequence[Silence], now: float) -> tuple[Silencer, ...]:
    """Those that are not over.

    They were checked when they were made; one that an older version took and this one does not is left out: too many tickets
    are better than too few.
    """
    ready: list[Silencer] = []
    for silence in silences:
        if silence.ends_at > now:
            try:
                ready.append(compile_silence(silence))
            except (RuleErrors, ValueError):
                continue
    return tuple(ready)


def _no_files(_path: str) -> frozenset[str]:
    raise ValueError("a silence reads no files")
