"""Tests of one value: equality, order, patterns, networks. Each is a function from a field's value to true or false.

A test of a field with several values holds if it holds for one of them. A field that is not there passes no test but
``exists: false``.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import re2

from gateway.model.event import Severity
from gateway.routing.fields import Value, number_text

Scalar: TypeAlias = "str | int | float | bool"
Test: TypeAlias = "Callable[[Value], bool]"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

REGEX_INPUT = 10 * 1024
"""Octets of a value that a regular expression looks at."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_RANKS = {severity.value: severity.rank for severity in Severity if severity.rank is not None}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "gte": lambda seen, bound: seen >= bound,
    "gt": lambda seen, bound: seen > bound,
    "lte": lambda seen, bound: seen <= bound,
    "lt": lambda seen, bound: seen < bound,
}
ORDER = frozenset(_ORDER)
"""The names of the comparisons."""


def number_of(text: str) -> float | None:
    """The number that a text writes in decimal, or None. No blanks, underscores, ``nan`` or ``inf``."""
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    return float(text)


def each(test: Callable[[str], bool]) -> Test:
    """A test of a text, for any value: numbers and truth values are tested as they are written."""

    def of_any(value: Value) -> bool:
        if isinstance(value, str):
            return test(value)
        if value is None:
            return False
        if isinstance(value, tuple):
            return any(map(test, value))
        return test(("true" if value else "false") if isinstance(value, bool) else number_text(float(value)))

    return of_any


def equal_to(expected: Iterable[Scalar]) -> Test:
    """Equal to one of these. ``1`` equals the text ``1.0``, and ``true`` the text ``true``; texts compare exactly."""
    texts: set[str] = set()
    numbers: set[float] = set()
    for item in expected:
        if isinstance(item, bool):
            texts.add("true" if item else "false")
        elif isinstance(item, str):
            texts.add(item)
        else:
            numbers.add(float(item))
    return each(_in_texts(frozenset(texts)) if not numbers else _in_either(frozenset(texts), frozenset(numbers)))


def _in_texts(texts: frozenset[str]) -> Callable[[str], bool]:
    if len(texts) == 1:
        (only,) = texts
        return lambda text: text == only
    return lambda text: text in texts


def _in_either(texts: frozenset[str], numbers: frozenset[float]) -> Callable[[str], bool]:
    return lambda text: text in texts or number_of(text) in numbers


def compare(operator: str, bound: str | float) -> Test:
    """Compare with a severity (a text) or a number; what is neither compares with nothing, so the test is false.

    Raises:
        ValueError: if ``bound`` is a text that is no severity with a rank.
    """
    ordered = _ORDER[operator]
    if isinstance(bound, str):
        rank = _RANKS.get(bound)
        if rank is None:
            raise ValueError(f"{bound!r} is neither a number nor one of {', '.join(_RANKS)}")
        return each(lambda text: (seen := _RANKS.get(text)) is not None and ordered(seen, rank))
    return each(lambda text: (seen := number_of(text)) is not None and ordered(seen, bound))


def contains(needles: Iterable[str]) -> Test:
    """The text holds one of these, without case."""
    folded = tuple(needle.casefold() for needle in needles)
    if len(folded) == 1:
        return each(lambda text: folded[0] in text.casefold())

    def holds(text: str) -> bool:
        whole = text.casefold()
        return any(needle in whole for needle in folded)

    return each(holds)


def exists(wanted: bool) -> Test:  # noqa: FBT001 - it is the configured value, not a switch of this function
    """The field is there and not empty, or is not."""
    return lambda value: (value is not None and value not in ("", ())) is wanted


def in_networks(networks: Iterable[Network]) -> Test:
    """An IP address (with or without port and brackets) in one of these networks. Names are not looked up."""
    known = tuple(networks)

    def holds(text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in known)

    return each(holds)


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address in ``10.0.0.1``, ``10.0.0.1:80``, ``::1``, ``[::1]:80``; IPv4 inside IPv6 is IPv4."""
    text = text.strip() if len(text) <= 64 else ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


# ---------------------------------------------------------------------------------------------------------- patterns


def glob(patterns: Iterable[str]) -> Test:
    """Shell patterns over the whole value, with case: ``*`` any text, ``?`` one character, ``[a-c]``, ``[!a-c]``.

    Raises:
        ValueError: if a pattern makes no sense (a range that runs backwards).
    """
    tests = tuple(_glob(pattern) for pattern in patterns)
    if len(tests) == 1:
        return each(tests[0])
    return each(lambda text: any(test(text) for test in tests))


def _glob(pattern: str) -> Callable[[str], bool]:
    inner = pattern.strip("*")
    if not any(character in inner for character in "*?["):
        # The plain ones, which are nearly all, need no regular expression.
        head, tail = pattern.startswith("*"), pattern.endswith("*")
        if head and tail:
            return lambda text: inner in text
        if tail:
            return lambda text: text.startswith(inner)
        if head:
            return lambda text: text.endswith(inner)
        return lambda text: text == inner
    compiled = compile_regex("(?s)" + glob_to_regex(pattern))
    return lambda text: compiled.fullmatch(text.encode("utf-8", "replace")) is not None


def glob_to_regex(pattern: str) -> str:
    """The RE2 expression of a shell pattern. A ``[`` that nothing closes stands for itself."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif character == "[":
            start = position + 1 if pattern[position : position + 1] == "!" else position
            end = pattern.find("]", start + 1)  # a bracket that comes first is a member of the set
            if end < 0:
                parts.append(r"\[")
                continue
            members = "".join(c if c.isalnum() or c in "-_" else re2.escape(c) for c in pattern[start:end])
            parts.append(f"[{'^' if start > position else ''}{members}]")
            position = end + 1
        else:
            parts.append(re2.escape(character))
    return "".join(parts)


class Regex:
    """A compiled RE2 expression that looks at the first `REGEX_INPUT` octets of a text.

    ``groups`` are the names of its groups. The time it takes is linear in the text, whatever the expression.
    """

    __slots__ = ("_compiled", "groups")

    def __init__(self, pattern: str) -> None:
        """Raises `ValueError` with RE2's words."""
        self._compiled = compile_regex(pattern)
        self.groups: tuple[str, ...] = tuple(sorted(self._compiled.groupindex))

    def found(self, text: str) -> bool:
        """True if it is found anywhere in the text."""
        return self._compiled.search(_cut(text)) is not None

    def captured(self, value: Value) -> dict[str, str]:
        """Its named groups in the (first) value where it is found; a group that took no part is empty."""
        for text in value if isinstance(value, tuple) else (_plain(value),):
            match = None if text is None else self._compiled.search(_cut(text))
            if match is not None:
                return {name: (match.group(name) or b"").decode("utf-8", "replace") for name in self.groups}
        return {}


def _plain(value: "str | float | None") -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else number_text(float(value))


def _cut(text: str) -> bytes:
    return text[:REGEX_INPUT].encode("utf-8", "replace")[:REGEX_INPUT]


def compile_regex(pattern: str) -> "re2._Regexp":
    """RE2, quiet on standard error.

    Raises:
        ValueError: with RE2's words.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        words = error.args[0] if error.args else b""
        raise ValueError(words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)) from None
    except UnicodeEncodeError:
        raise ValueError("it holds a lone surrogate") from None
