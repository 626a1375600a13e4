"""Silences made ready to be tried on events. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.model.json import JsonValue
from gateway.model.silence import Silence
from gateway.routing.clauses import Every
from gateway.routing.errors import RuleError, path_text
from gateway.routing.fields import Subject
from gateway.routing.lookups import Lookups, check_column
from gateway.routing.matchers import Compiler

LONGEST = 366 * 86400.0
"""Seconds that a silence may last: what shall never make a ticket belongs into a rule."""
MOST = 1000
"""Silences in force or to come: every event is tried on each of them."""
_LONGEST_TEXT = 2000
_LONGEST_AUTHOR = 200
_MOST_VALUES = 200


class UnfitSilence(ValueError):
    """A silence that cannot be.

    ``place`` is the field at fault (`match.host`, `ends_at`), ``hint`` the way out, or empty.
    """

    def __init__(self, place: str, message: str, hint: str = "", told: str = "") -> None:
        """``told``: the whole of it as one text, where that is more than ``message`` and ``hint``."""
        super().__init__(told or (f"{message}; {hint}" if hint else message))
        self.place = place
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Silencer:
    """A silence, compiled."""

    silence: Silence
    test: Every

    def covers(self, subject: Subject) -> bool:
        """Whether an event is silenced: what ends a problem never is."""
        one = self.silence
        return one.starts_at <= subject.at < one.ends_at and not subject.event.ends_problem and self.test.holds(subject)


def compile_silence(silence: Silence, lookups: Lookups | None = None) -> Silencer:
    """Make it ready. With ``lookups`` a column that is not there is refused; it can never match.

    Raises:
        UnfitSilence: its match is wrong or matches everything, it lasts no time or too long, or nobody says why.
    """
    if not silence.match:
        raise UnfitSilence("match", "a silence without a match would silence everything", "name a field")
    for place, text, longest in (
        ("comment", silence.comment, _LONGEST_TEXT),
        ("author", silence.author, _LONGEST_AUTHOR),
    ):
        if not text.strip():
            told = "a silence needs a comment and an author: who reads it later must know why"
            raise UnfitSilence(place, told)
        if len(text) > longest:
            raise UnfitSilence(place, f"it has {len(text)} characters, and {longest} is the most", "shorten it")
    if silence.ends_at <= silence.starts_at:
        raise UnfitSilence("ends_at", "a silence must end after it begins")
    if silence.ends_at - silence.starts_at > LONGEST:
        hint = "what shall never make a ticket is a route with `drop`"
        raise UnfitSilence("ends_at", "a silence lasts a year at most", hint)
    errors: list[RuleError] = []
    test = Compiler(_no_files, {}, errors, check=_named(lookups)).match(dict(silence.match), ("match",))
    if errors:
        first = errors[0]
        raise UnfitSilence(path_text(first.path), first.message, first.hint, "\n".join(map(str, errors)))
    if _values(dict(silence.match)) > _MOST_VALUES:
        raise UnfitSilence("match", f"it names more than {_MOST_VALUES} values", "make several silences, or a rule")
    return Silencer(silence, test)


def _values(value: JsonValue) -> int:
    """How many values a match compares with: what it costs to try it on an event."""
    if isinstance(value, dict):
        return sum(map(_values, value.values()))
    return sum(map(_values, value)) if isinstance(value, list) else 1


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
            except UnfitSilence:
                continue
    return tuple(ready)


def _named(lookups: Lookups | None) -> Callable[[str], None]:
    """A silence stands outside of all rules, so it has no look-up of its own."""
    if lookups is None:
        return lambda path: check_column(path, "", {}) if path.startswith("lookup.") else None
    return partial(check_column, own="", lookups=lookups)


def _no_files(_path: str) -> frozenset[str]:
    raise ValueError("a silence reads no files")
