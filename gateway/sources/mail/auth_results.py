"""``Authentication-Results`` (RFC 8601) as text: what a mail server says that it found out about a sender. Pure and total.

Whether it may be believed is another matter: :mod:`gateway.sources.mail.trust`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.sources.mail.headers import unfolded

MAX_OCTETS: Final = 16_384
"""Octets of one header that are looked at; a longer one says nothing."""
MAX_RESULTS: Final = 50
"""Results of one header; one with more says nothing."""
MAX_PROPERTIES: Final = 30
"""Properties of one result; the rest is left out."""
_MAX_DEPTH: Final = 20
_VERSION: Final = "1"

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TEXT = re.compile(r'[^"();\\]+')
# What stands between semicolons, its quoted strings replaced by their numbers: \x00 12 \x00.
_VALUE: Final = r"(?:\x00\d+\x00|[^\s\x00]+)"
_METHOD = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)(?:\s*/\s*(\d+))?\s*=\s*([A-Za-z][A-Za-z0-9-]*)(?=\s|\Z)")
_REASON = re.compile(rf"\s*reason\s*=\s*({_VALUE})", re.IGNORECASE)
_PROPERTY = re.compile(
    rf"\s*([A-Za-z][A-Za-z0-9-]*)\s*\.\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*({_VALUE}(?:@(?:[^\s\x00]+))?)", re.IGNORECASE
)
_WORD = re.compile(rf"\s*{_VALUE}")
_ID = re.compile(r"\s*(\x00\d+\x00|[^\s=\x00]+)(?:\s+(\d+))?\s*")
_PLACE = re.compile(r"\x00(\d+)\x00")


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One ``method=result``, both in lower case. ``properties`` are named ``smtp.mailfrom``; the first of two counts."""

    method: str
    result: str
    reason: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthResults:
    """One header: who says it (``authserv_id``, in lower case), and what. No results is the word ``none``."""

    authserv_id: str
    results: tuple[MethodResult, ...] = ()


def parse_auth_results(value: bytes) -> AuthResults | None:
    """Read one header's value. Never raises.

    None for what cannot be read for certain as a whole (comments or quotes without end, an unknown version, a part that is
    no result): half of such a header must not count as the word of anybody.
    """
    if len(value) > MAX_OCTETS:
        return None
    text, quoted = _without_comments(unfolded(value))
    if text is None:
        return None
    head, *parts = text.split(";")
    found = _ID.fullmatch(head)
    if found is None or found[2] not in {None, _VERSION}:
        return None
    name = _resolved(found[1], quoted).strip().lower()
    if parts and not parts[-1].strip():  # a semicolon at the end, which many write
        parts.pop()
    if not name or not parts or len(parts) > MAX_RESULTS:
        return None
    if len(parts) == 1 and parts[0].strip().lower() == "none":
        return AuthResults(name)
    results: list[MethodResult] = []
    for part in parts:
        result = _result(part, quoted)
        if result is None:
            return None
        if result.method:
            results.append(result)
    return AuthResults(name, tuple(results))


def _without_comments(text: str) -> tuple[str | None, list[str]]:
    """The text with comments as blanks and quoted strings as numbers; None where one of them has no end."""
    out: list[str] = []
    quoted: list[str] = []
    position = 0
    text = text.replace("\x00", " ")
    while position < len(text):
        character = text[position]
        if character == '"':
            match = _QUOTED.match(text, position)
            if match is None:
                return None, []
            out.append(f"\x00{len(quoted)}\x00")
            quoted.append(_PAIR.sub(r"\1", match[1]))
            position = match.end()
        elif character == "(":
            position = _after_comment(text, position)
            if position < 0:
                return None, []
            out.append(" ")
        elif character == ")":
            return None, []
        elif character == "\\":
            out.append(character)
            position += 1
        else:
            plain = _TEXT.match(text, position)
            out.append(plain[0] if plain else character)
            position = plain.end() if plain else position + 1
    return "".join(out), quoted


def _after_comment(text: str, position: int) -> int:
    """Where a comment ends, -1 if it does not or is nested beyond reason."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "(":
            depth += 1
            if depth > _MAX_DEPTH:
                return -1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return -1


def _result(part: str, quoted: list[str]) -> MethodResult | None:
    """One ``resinfo``. One of an unknown version of its method says nothing (RFC 8601, section 2.3): no method."""
    head = _METHOD.match(part)
    if head is None:
        return None
    position = head.end()
    reason = _REASON.match(part, position)
    if reason is not None:
        position = reason.end()
    properties: dict[str, str] = {}
    while position < len(part) and len(properties) < MAX_PROPERTIES:
        pair = _PROPERTY.match(part, position)
        word = pair or _WORD.match(part, position)
        if word is None:
            break
        position = word.end()
        if pair is not None:  # other words are common (`dmarc=pass action=none header.from=...`) and say nothing to us
            properties.setdefault(f"{pair[1]}.{pair[2]}".lower(), _resolved(pair[3], quoted)[:1000])
    if head[2] not in {None, _VERSION}:
        return MethodResult("", "")
    return MethodResult(head[1].lower(), head[3].lower(), _resolved(reason[1], quoted) if reason else "", properties)


def _resolved(text: str, quoted: list[str]) -> str:
    return _PLACE.sub(lambda match: quoted[int(match[1])], text)
