"""The filters of ticket templates: a chosen part of Jinja's, made safe, and our own. See ``docs/templates.md``."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import update_wrapper
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, Undefined, pass_context, pass_environment
from jinja2.filters import FILTERS as JINJA
from jinja2.runtime import Context as Names
from markupsafe import Markup, escape

from gateway.rendering.budget import OverBudget, running
from gateway.rendering.sanitise import fold
from gateway.rendering.words import words

Filter = Callable[..., object]

_FROM_JINJA = words(
    """
    abs capitalize count d default dictsort e escape filesizeformat first float groupby int items last length list
    lower map max min reject rejectattr reverse select selectattr slice sort string title trim truncate unique
    upper urlencode wordcount
    """,
)
_KEEP_MARKUP = frozenset({"d", "default", "e", "escape", "string", "first", "last", "list", "map"})
_DIRECTIVE = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?[#0 +-]*(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<type>.?)", re.DOTALL
)
_STRFTIME = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyYzZ%])*")
_LINKABLE = re.compile(r"(?:https?://|mailto:)[^\s<>\"'\x00-\x20\x7f]+", re.IGNORECASE)
MAX_WIDTH = 200


# ------------------------------------------------------------------------------------------------- how a value is shown


def shown(value: object) -> str:
    """A value as a template prints it: text, number or nothing; a list or mapping is refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, Undefined):
        return str(value)  # strict: raises the error that names the variable
    kind = "mapping" if isinstance(value, dict) else "list" if isinstance(value, Iterable) else type(value).__name__
    raise TypeError(f"a {kind} cannot be printed; use `join`, `tojson` or a `for` loop")


def joined(parts: Sequence[object], separator: str = "") -> str:
    """The parts as one text. If one of them is HTML the others are escaped and the whole is HTML."""
    texts = [shown(part) for part in parts]
    if any(isinstance(text, Markup) for text in texts):
        texts = [escape(text) for text in texts]
        separator = escape(separator)
    running().allows(sum(map(len, texts)) + len(separator) * len(texts))
    result = separator.join(texts)
    return Markup(result) if isinstance(separator, Markup) or any(isinstance(t, Markup) for t in texts) else result  # noqa: S704 - every part is escaped above


# ------------------------------------------------------------------------------------ what the rewritten template calls


def _each(value: Iterable[object], text: int) -> Iterator[object]:
    if isinstance(value, Undefined):
        return iter(value)
    if not isinstance(value, Iterable):
        raise TypeError(f"a `for` loop needs a list, not {shown(value)!r}")
    return running().each(value, text)


def _tick(value: object) -> object:
    running().tick()
    return value


def _keep(value: object) -> object:
    return running().keep(value)


def _part(value: object) -> object:
    return running().keep(plain(value))


def _concat(parts: list[object]) -> str:
    running().tick()
    result = joined(parts)
    running().keep(result)
    return result


def plain(value: object) -> object:
    """HTML as the text it is, so that a part of it is escaped like any other text."""
    return str(value) if isinstance(value, Markup) else value


# -------------------------------------------------------------------------------------------- Jinja's, with bounds added


def batch(value: Iterable[object], count: int, fill_with: object = None) -> list[list[object]]:
    """Rows of ``count`` items, the last one filled up with ``fill_with`` if that is given."""
    if not 1 <= count <= MAX_WIDTH:
        raise ValueError(f"batch takes 1 to {MAX_WIDTH}")
    items = list(value)
    rows = [items[start : start + count] for start in range(0, len(items), count)]
    if rows and fill_with is not None:
        rows[-1] += [fill_with] * (count - len(rows[-1]))
    return rows


def join(value: Iterable[object], separator: str = "", attribute: str | None = None) -> str:
    """The items as one text with ``separator`` between; ``attribute`` takes that of each item."""
    items = list(value)
    if attribute is not None:
        items = [item[attribute] for item in cast("list[dict[str, object]]", items)]
    return joined(items, separator)


def replace(value: object, old: str, new: object, count: int | None = None) -> str:
    """The text with ``old`` replaced by ``new``, all times or the first ``count``."""
    text, new = str(plain(shown(value))), str(plain(shown(new)))
    times = text.count(old) if count is None else min(text.count(old), max(count, 0))
    running().allows(len(text) + times * len(new))
    return text.replace(old, new, -1 if count is None else count)


def printf(pattern: object, *args: object, **kwargs: object) -> str:
    """``"%-12s %.1f" | format(a, b)``: the ``%`` formatting of Python; widths and precisions up to 200."""
    text = str(plain(shown(pattern)))
    values = [plain(value) for value in (*args, *kwargs.values())]
    longest = max((len(shown(value)) for value in values), default=0)
    directives = 0
    for match in _DIRECTIVE.finditer(text):
        directives += 1
        if max(len(match["width"]), len(match["precision"] or "")) > 3 or match["type"] == "*":
            raise OverBudget(f"a width in a format is at most {MAX_WIDTH}")
        if max(int(match["width"] or 0), int(match["precision"] or 0)) > MAX_WIDTH:
            raise OverBudget(f"a width in a format is at most {MAX_WIDTH}")
    running().allows(len(text) + directives * (longest * 10 + MAX_WIDTH))
    if kwargs:
        return text % {key: plain(value) for key, value in kwargs.items()}
    return text % tuple(values)


def round_(value: float, precision: int = 0, method: str = "common") -> float:
    """The number rounded; ``method`` is ``common``, ``ceil`` or ``floor``."""
    if not -20 <= precision <= 20:
        raise ValueError("round takes a precision of -20 to 20")
    return cast("Callable[[float, int, str], float]", JINJA["round"])(value, precision, method)


def sum_(value: Iterable[float], attribute: str | None = None, start: float = 0) -> float:
    """The sum of numbers; ``attribute`` takes that of each item."""
    items = list(value)
    if attribute is not None:
        items = [item[attribute] for item in cast("list[dict[str, float]]", items)]
    if not all(isinstance(item, int | float) for item in (*items, start)):
        raise TypeError("sum takes numbers")
    return sum(items, start)


def tojson(value: object) -> str:
    """The value as JSON on one line; in HTML it is escaped like any text."""
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------------------------ ours


def indent(value: object, width: int = 4, first: bool = False) -> str:  # noqa: FBT001, FBT002 - Jinja's own signature
    """Every line but the first (``first=true``: that one too) moved ``width`` blanks to the right."""
    if not 0 <= width <= MAX_WIDTH:
        raise ValueError(f"indent takes 0 to {MAX_WIDTH}")
    text = str(plain(shown(value)))
    running().allows(len(text) + (text.count("\n") + 1) * width)
    pad = " " * width
    lines = text.split("\n")
    return "\n".join(pad + line if line and (first or number) else line for number, line in enumerate(lines))


def one_line(value: object) -> str:
    """The text on one line: line breaks, tabs, control and direction characters become one blank."""
    return fold(str(plain(shown(value))))


def cut(value: object, length: int) -> str:
    """At most ``length`` characters; what is longer ends in an ellipsis."""
    text = str(plain(shown(value)))
    return text if len(text) <= length else text[: max(length - 1, 0)].rstrip() + "…"


def time(value: float | None, tz: str = "UTC", format: str = "%Y-%m-%d %H:%M %Z") -> str:  # noqa: A002 - the name template authors expect
    """An instant (seconds since the epoch) as ``2026-11-22 01:05 UTC``; nothing for none."""
    if not isinstance(value, int | float):
        return ""
    if len(format) > MAX_WIDTH or not _STRFTIME.fullmatch(format):
        raise ValueError("a time format knows %a %A %b %B %d %H %I %j %m %M %p %S %y %Y %z %Z %%")
    try:
        zone = UTC if tz == "UTC" else ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {cut(tz, 60)!r}; write it like Europe/Berlin") from None
    return datetime.fromtimestamp(value, zone).strftime(format)


def duration(value: float | None) -> str:
    """Seconds in words: ``45 s``, ``5 min``, ``2 h 5 min``, ``3 d 4 h``; nothing for none."""
    if not isinstance(value, int | float):
        return ""
    seconds = int(max(value, 0))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"
    return f"{seconds} s"


@pass_context
def ago(names: Names, value: float | None) -> str:
    """How long an instant lies back, seen from ``now``: ``2 h 5 min ago``; nothing for none."""
    if not isinstance(value, int | float):
        return ""
    return f"{duration(names.resolve('now') - value)} ago"


@pass_environment
def nl2br(environment: Environment, value: object) -> str:
    """In HTML: the text escaped, with a ``<br>`` at each line break. In text: the text."""
    if not environment.autoescape:
        return shown(value)
    text = shown(value)
    running().allows(len(text) + 5 * text.count("\n"))
    return escape(text).replace("\n", Markup("<br>\n"))


@pass_environment
def code(environment: Environment, value: object) -> str:
    """In HTML: the text in a ``<pre>`` that keeps its lines. In text: moved four blanks to the right."""
    text = shown(value).strip("\n")
    if not environment.autoescape:
        return indent(text, 4, first=True)
    return Markup('<pre style="margin:0; padding:8px; background-color:#f4f4f4; white-space:pre-wrap">{}</pre>').format(
        text
    )


@pass_environment
def link(environment: Environment, value: object, text: str = "") -> str:
    """In HTML: a link to an ``http``, ``https`` or ``mailto`` address; any other address stays text."""
    url = str(plain(shown(value))).strip()
    title = fold(str(plain(shown(text))))
    if not environment.autoescape:
        return f"{title}: {url}" if title and title != url else url
    if not _LINKABLE.fullmatch(url):
        return f"{title}: {url}" if title and title != url else url
    return Markup('<a href="{}">{}</a>').format(url, title or url)


# ------------------------------------------------------------------------------------------------------------- the table


def _bounded(name: str, function: Filter) -> Filter:
    """The filter, charging the budget for its call and its result."""
    place = 1 if hasattr(function, "jinja_pass_arg") else 0
    keeps_markup = name in _KEEP_MARKUP

    def wrapper(*args: object, **kwargs: object) -> object:
        budget = running()
        budget.tick()
        if not keeps_markup and len(args) > place and isinstance(args[place], Markup):
            args = (*args[:place], str(args[place]), *args[place + 1 :])
        return budget.keep(function(*args, **kwargs))

    return update_wrapper(wrapper, function)


_OURS: dict[str, Filter] = {
    "ago": ago,
    "batch": batch,
    "code": code,
    "cut": cut,
    "duration": duration,
    "format": printf,
    "indent": indent,
    "link": link,
    "nl2br": nl2br,
    "one_line": one_line,
    "replace": replace,
    "round": round_,
    "sum": sum_,
    "time": time,
    "tojson": tojson,
}
FILTERS: dict[str, Filter] = {
    **{name: _bounded(name, JINJA[name]) for name in _FROM_JINJA},
    **{name: _bounded(name, function) for name, function in _OURS.items()},
    "join": lambda *args, **kwargs: running().keep(join(*args, **kwargs)),
    "_each": _each,
    "_tick": _tick,
    "_keep": _keep,
    "_part": _part,
    "_concat": _concat,
}
"""By name; names that begin with an underscore are for the rewritten template only."""

METHODS: dict[str, Filter] = {"replace": replace, "join": lambda separator, items: join(items, separator)}
"""Methods of texts that are ours in place of Python's."""
