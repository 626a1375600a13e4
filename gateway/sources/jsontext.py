"""JSON bodies: read strictly, or repaired where a shell macro broke them.

One rule for each doubtful case of RFC 8259: of two equal names the last one counts; NaN, Infinity, lone surrogates,
integers that no 64-bit integer holds and nesting beyond `MAX_DEPTH` are refused; a byte order mark is skipped; UTF-16
and UTF-32 are recognised.
"""

import re
from typing import NoReturn

import orjson

from gateway.model.json import JsonObject, JsonValue
from gateway.sources.protocol import Malformed
from gateway.sources.text import decode

MAX_DEPTH = 64
REPAIR_LIMIT = 1024 * 1024  # characters; more is no command line (128 KiB at most per argument)
_WARNINGS = 20

_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


def read_json(body: bytes) -> JsonValue:
    """The value of a body that is well-formed JSON.

    Raises:
        Malformed: with line and column of the first fault.
    """
    encoding, body = _encoding(body)
    if encoding != "utf-8":
        try:
            body = body.decode(encoding).encode()
        except UnicodeError as error:
            raise Malformed(f"the body is not valid {encoding}", hint="Send UTF-8.") from error
    if not body.strip():
        raise Malformed("the body is empty", place="line 1, column 1", hint="Send a JSON object.")
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _fault(body, error) from None
    _bound(value)
    return value


def repair_json(body: bytes) -> tuple[JsonValue, tuple[str, ...]]:
    r"""The value of a body that was meant to be JSON, and a warning with the place for each thing repaired.

    Repaired are: escapes that JSON does not know (``C:\\Temp``), raw line breaks and control characters in strings,
    quotes inside a string that cannot be its end, octets that are not UTF-8, missing values, bare words, trailing
    commas, lone surrogates. The work grows with the length of the body only.

    Raises:
        Malformed: if it is beyond repair; with line and column.
    """
    encoding, body = _encoding(body)
    text = decode(body) if encoding == "utf-8" else body.decode(encoding, "replace")
    if len(text) > REPAIR_LIMIT:
        raise Malformed("the body is no JSON and too long to be repaired", place="line 1, column 1")
    reader = _Repair(text)
    value = reader.document()
    if encoding == "utf-8" and not _is_utf8(body):
        reader.warnings.insert(0, "octets that are not UTF-8 were read as Windows-1252")
    if reader.suppressed:
        reader.warnings.append(f"{reader.suppressed} more repairs")
    return value, tuple(reader.warnings)


def _encoding(body: bytes) -> tuple[str, bytes]:
    """The encoding and the body without its byte order mark; without a mark by the zeros of the first characters."""
    if body[:1] in {b"{", b"["} and b"\0" not in body[:4]:
        return "utf-8", body
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return encoding, body[len(mark) :]
    zeros = tuple(octet == 0 for octet in body[:4])
    patterns: dict[tuple[bool, ...], str] = {
        (True, False, True, False): "utf-16-be",
        (False, True, False, True): "utf-16-le",
        (True, True, True, False): "utf-32-be",
        (False, True, True, True): "utf-32-le",
    }
    return patterns.get(zeros, "utf-8"), body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fault(body: bytes, error: orjson.JSONDecodeError) -> Malformed:
    hint = "Build the JSON with a program that escapes it, or send form fields (curl --data-urlencode)."
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        start = body.rfind(b"\n", 0, wrong.start) + 1
        column = len(body[start : wrong.start].decode("utf-8", "replace")) + 1
        lines = body[: wrong.start].count(b"\n") + 1
        return Malformed("the body is not valid UTF-8", place=f"line {lines}, column {column}", hint="Send UTF-8.")
    return Malformed(error.msg, place=f"line {error.lineno}, column {error.colno}", hint=hint)


def _bound(value: JsonValue, depth: int = 0) -> None:
    """Refuse what is nested too deep and numbers that lost digits while they were read."""
    if not isinstance(value, dict | list):
        if isinstance(value, float) and abs(value) >= 2**63:
            raise Malformed(f"the number {value:g} is too large to be kept exactly", hint="Send it as a text.")
        return
    if depth >= MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels", hint="Send a flatter document.")
    for child in value.values() if isinstance(value, dict) else value:
        if type(child) is not str:  # most are texts, and this is asked before every answer
            _bound(child, depth + 1)


# ----------------------------------------------------------------------------------------------------------- repairing

_SPACE = re.compile(r"[ \t\r\n\x00]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]+')
_WORD = re.compile(r"[^,}\]\r\n\"]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,19})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None}
# A quote ends a string only if what follows can follow one; the look-ahead is bounded.
_GAP = r"[ \t\r\n]{0,200}"
_AFTER_NAME = re.compile(_GAP + ":")
_AFTER_VALUE = re.compile(
    rf'{_GAP}(?:,{_GAP}(?:"(?:[^"\\\r\n]|\\.){{0,200}}"{_GAP}:|\}})'
    rf"|\}}{_GAP}(?:[,}}\]]|[ \t\r\n]*\Z)|\Z)"
)
# After a back-slash only what cannot stand inside a rightly escaped string: `"C:\\","next":` and `"C:\\"}` at the end.
_AFTER_BACKSLASH = re.compile(rf'{_GAP}(?:,{_GAP}"[^"\\\r\n]{{1,200}}"{_GAP}:|\}}[ \t\r\n]*\Z)')
_AFTER_ITEM = re.compile(_GAP + r"(?:,|\]|\Z)")


class _Repair:
    """A reader of broken JSON: one pass from left to right over the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.warnings: list[str] = []
        self.suppressed = 0
        self._line = 1
        self._line_start = 0
        self._counted = 0

    def document(self) -> JsonValue:
        value = self._value(0)
        self._skip()
        if self.at < len(self.text):
            self._fail("text after the end of the document")
        return value

    def _place(self, at: int) -> str:
        """Line and column; asked for with rising positions, so that the whole text is counted once."""
        found = self.text.find("\n", self._counted, at)
        while found >= 0:
            self._line, self._line_start, self._counted = self._line + 1, found + 1, found + 1
            found = self.text.find("\n", self._counted, at)
        return f"line {self._line}, column {at - self._line_start + 1}"

    def _warn(self, at: int, what: str) -> None:
        if len(self.warnings) < _WARNINGS:
            self.warnings.append(f"{self._place(at)}: {what}")
        else:
            self.suppressed += 1

    def _fail(self, what: str) -> NoReturn:
        raise Malformed(what, place=self._place(self.at))

    def _skip(self) -> str:
        """Past white space; the next character, or the empty string at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> JsonValue:
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels")
        start = self._skip()
        if start == "{":
            return self._object(depth)
        if start == "[":
            return self._array(depth)
        if start == '"':
            return self._string(_AFTER_VALUE if depth else _AFTER_ITEM)
        return self._word()

    def _object(self, depth: int) -> JsonObject:
        found: JsonObject = {}
        self.at += 1
        while True:
            mark = self._skip()
            if mark == "}":
                self.at += 1
                return found
            if mark == ",":
                self._warn(self.at, "a comma too many was left out")
                self.at += 1
                continue
            if mark != '"':
                self._fail("a name in quotes or } was expected")
            name = self._string(_AFTER_NAME)
            if self._skip() != ":":
                self._fail("a colon was expected")
            self.at += 1
            found[name] = self._value(depth + 1)
            mark = self._skip()
            if mark == ",":
                self.at += 1
                if self._skip() == "}":
                    self._warn(self.at, "a comma before } was left out")
            elif mark != "}":
                self._fail("a comma or } was expected")

    def _array(self, depth: int) -> list[JsonValue]:
        found: list[JsonValue] = []
        self.at += 1
        while True:
            mark = self._skip()
            if mark == "]":
                self.at += 1
                return found
            found.append(self._string(_AFTER_ITEM) if mark == '"' else self._value(depth + 1))
            mark = self._skip()
            if mark == ",":
                self.at += 1
                if self._skip() == "]":
                    self._warn(self.at, "a comma before ] was left out")
            elif mark != "]":
                self._fail("a comma or ] was expected")

    def _word(self) -> JsonValue:
        match = _WORD.match(self.text, self.at)
        word = match[0].strip() if match else ""
        start = self.at
        self.at += len(match[0]) if match else 0
        if word in _WORDS:
            return _WORDS[word]
        if len(word) <= 60 and _NUMBER.fullmatch(word):
            if word.lstrip("-").isdigit():
                if -(2**63) <= int(word) < 2**64:  # what is read of JSON that is not broken
                    return int(word)
            elif abs(number := float(word)) < 2**63:
                return number
        elif not word:
            if self.at >= len(self.text):
                self._fail("the document ends in the middle")
            if self.text[self.at] == '"':
                self._fail("a value was expected")
            self._warn(start, "a missing value was read as null")
            return None
        self._warn(start, "a value without quotes was read as text")
        return word

    def _string(self, end: re.Pattern[str]) -> str:
        """A string whose first quote is the next character; ``end`` is what must follow its last quote."""
        parts: list[str] = []
        self.at += 1
        text = self.text
        while True:
            plain = _PLAIN.match(text, self.at)
            if plain:
                parts.append(plain[0])
                self.at = plain.end()
                continue
            if self.at >= len(text):
                self._fail("a string does not end")
            character = text[self.at]
            if character == '"':
                if end.match(text, self.at + 1):
                    self.at += 1
                    return "".join(parts)
                self._warn(self.at, "a quote inside a string was kept as text")
            elif character == "\\":
                parts.append(self._escape())
                continue
            elif character >= "\ud800":
                character = "\ufffd"
            else:
                self._warn(self.at, f"a raw control character ({character!r}) inside a string was kept")
            parts.append(character)
            self.at += 1

    def _escape(self) -> str:
        start = self.at
        character = self.text[start + 1 : start + 2]
        if character == '"' and _AFTER_BACKSLASH.match(self.text, start + 2):
            self._warn(start, "a back-slash before the closing quote was kept as text")
            self.at += 1
            return "\\"
        if character in _SIMPLE:
            self.at += 2
            return _SIMPLE[character]
        if character == "u" and _HEX.match(self.text, start + 2):
            return self._unicode(start)
        self._warn(start, f"\\{character or ''} is no escape of JSON and was kept as text")
        self.at += 1
        return "\\"

    def _unicode(self, start: int) -> str:
        first = int(self.text[start + 2 : start + 6], 16)
        self.at = start + 6
        if not 0xD800 <= first <= 0xDFFF:
            return chr(first)
        if first < 0xDC00 and self.text.startswith("\\u", self.at) and _HEX.match(self.text, self.at + 2):
            second = int(self.text[self.at + 2 : self.at + 6], 16)
            if 0xDC00 <= second <= 0xDFFF:
                self.at += 6
                return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        self._warn(start, "half a surrogate pair was replaced")
        return "\ufffd"
