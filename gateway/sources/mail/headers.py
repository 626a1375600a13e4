"""Header fields: split from the octets, unfolded, and decoded each on its own (RFC 5322, 2047, 2231, 6532)."""

import binascii
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.sources.mail import charsets
from gateway.sources.mail.limits import MAX_HEADER, MAX_HEADER_BLOCK, MAX_HEADERS
from gateway.sources.mail.wordlists import words
from gateway.sources.text import clean

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_LINE = re.compile(rb"[^\n]*\n?")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_SPACES = re.compile(r"\s+")
_WORD_HEAD = re.compile(r"=\?([A-Za-z0-9!#$%&+^_`{}~.:*'-]{0,60})\?([bBqQ])\?")
_BETWEEN = re.compile(r"\s*")
_BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


_FARTHEST: Final = 2 * 2**20
_NEEDED: Final = words(
    "from to cc subject date message-id in-reply-to references reply-to sender return-path mime-version content-type"
    " content-transfer-encoding content-disposition auto-submitted precedence"
)


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields of one part in their order, names in lower case, values as they came (folds included)."""

    fields: tuple[tuple[str, bytes], ...] = ()
    cut: bool = False

    def raw(self, name: str) -> bytes:
        """The first value of a field, or empty octets."""
        return next((value for key, value in self.fields if key == name), b"")

    def all(self, name: str) -> list[bytes]:
        """All values of a field, in order."""
        return [value for key, value in self.fields if key == name]

    def text(self, name: str, limit: int = MAX_HEADER) -> str:
        """The first value of a field, decoded, as one clean line."""
        value = self.raw(name)
        return unstructured(value[:limit]) if value else ""

    def plain(self, name: str) -> str:
        """The first value unfolded but without RFC 2047, for fields made of tokens (ids, types, dates)."""
        value = self.raw(name)
        return unfolded(value).strip() if value else ""


def split_headers(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The header fields of ``data[start:end]`` and where the body begins.

    A line that is no field among fields is left out; one that is followed by no field begins the body.
    """
    fields: list[tuple[str, bytes]] = []
    position, cut, size, kept = start, False, 0, 0
    name, pieces = "", [b""]
    while position < end:
        newline = data.find(b"\n", position, end)
        after = end if newline < 0 else newline + 1
        line = data[position:after] if after - position <= MAX_HEADER else data[position : position + MAX_HEADER]
        if line in {b"\r\n", b"\n", b"\r"}:
            position = after
            break
        if line[0] in b" \t":
            if not fields and not name and not line.strip():
                position = after
                break
            if size + len(line) <= MAX_HEADER:
                pieces.append(line)
                size += len(line)
            else:
                cut = True
            position = after
            continue
        field = _FIELD.match(line)
        if field is None:
            if not line.startswith((b"From ", b">From ")) and not _goes_on(data, after, end):
                break
            position = after
            continue
        if name:
            fields.append((name, b"".join(pieces)))
            kept += size
        if len(fields) >= 2 * MAX_HEADERS or kept > 2 * MAX_HEADER_BLOCK or position - start > _FARTHEST:
            cut, name = True, ""
            position = _body_after(data, position, end)
            break
        name, pieces, size = field[1].decode("ascii").lower(), [line[field.end() :]], len(line)
        if (len(fields) >= MAX_HEADERS or kept > MAX_HEADER_BLOCK) and name not in _NEEDED:
            cut, name = True, ""  # beyond the limits only what the event is made of
        cut = cut or after - position > MAX_HEADER
        position = after
    if name:
        fields.append((name, b"".join(pieces)))
    return Headers(tuple(fields), cut), position


def _goes_on(data: bytes, position: int, end: int) -> bool:
    """Whether a header field stands at this position."""
    return position < end and _FIELD.match(data, position, min(end, position + 300)) is not None


_BLANK_LINE = re.compile(rb"\n\r?\n")


def _body_after(data: bytes, position: int, end: int) -> int:
    found = _BLANK_LINE.search(data, max(0, position - 1), end)
    return found.end() if found else end


def unfolded(value: bytes) -> str:
    """A value as text on one line; raw octets that are no UTF-8 by what they look like (RFC 6532 or older habits)."""
    text = value.decode("ascii") if value.isascii() and b"\x1b" not in value else charsets.decode(value, "")[0]
    return text.replace("\r", "").replace("\n", "")


def unstructured(value: bytes | str) -> str:
    """A value decoded as one clean line: encoded words, raw octets, control and direction characters."""
    text = value if isinstance(value, str) else unfolded(value)
    if "=?" in text:
        text = decode_words(text)
    return one_line(text)


def one_line(text: str) -> str:
    """Text with every run of white space and control characters as one blank, without direction overrides."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = text.replace("\x00", " ").replace("\x1b", " ")
    return _SPACES.sub(" ", _BIDI.sub("", clean(_SPACES.sub(" ", text)))).strip()


def decode_words(text: str) -> str:
    """RFC 2047 in any place.

    Neighbours of one charset are joined before they are decoded, since many senders split a character, or even a base64
    group, between two words.
    """
    out: list[str] = []
    pending: list[tuple[str, str, str]] = []
    position = 0
    while True:
        start = text.find("=?", position)
        head = _WORD_HEAD.match(text, start) if start >= 0 else None
        stop = text.find("?=", head.end()) if head else -1
        if start >= 0 and (head is None or stop < 0):
            if head is not None and stop < 0:  # the last word was cut: take what is there
                stop = len(text)
            else:
                _flush(pending, out)
                out.append(text[position : start + 2])
                position = start + 2
                continue
        if head is None:
            _flush(pending, out)
            out.append(text[position:])
            return "".join(out)
        between = text[position:start]
        if between and not (pending and between.isspace()):
            _flush(pending, out)
            out.append(between)
        pending.append((head[1], head[2].lower(), text[head.end() : stop]))
        position = stop + 2
        if position >= len(text):
            _flush(pending, out)
            return "".join(out)


def _flush(pending: list[tuple[str, str, str]], out: list[str]) -> None:
    """Decode the words that were collected, those of one charset together."""
    index = 0
    while index < len(pending):
        charset = pending[index][0].lower()
        data = b""
        parts: list[bytes] = []
        carry = ""
        while index < len(pending) and pending[index][0].lower() == charset:
            _, encoding, payload = pending[index]
            index += 1
            if encoding == "b":
                carry += "".join(payload.split())
                follows = index < len(pending) and pending[index][1] == "b" and pending[index][0].lower() == charset
                if follows and "=" not in payload and len(carry) % 4:
                    continue
                parts.append(_b_word(carry))
                carry = ""
            else:
                parts.append(_q_word(payload))
        data = b"".join(parts)
        out.append(_word_text(data, charset))
    pending.clear()


def _word_text(data: bytes, charset: str) -> str:
    return charsets.decode(data, charset)[0]


def _b_word(payload: str) -> bytes:
    packed = re.sub(r"[^A-Za-z0-9+/]", "", payload)
    if len(packed) % 4 == 1:
        packed = packed[:-1]
    return binascii.a2b_base64(packed + "=" * (-len(packed) % 4))


def _q_word(payload: str) -> bytes:
    return binascii.a2b_qp(payload.encode("utf-8", "replace").replace(b"_", b" "), header=False)


# --------------------------------------------------------------------------------------------------------- parameters

_TOKEN_END = re.compile(r"[;]")
_PARAMETER = re.compile(r"[\s;]*([^\s=;\"]{1,100})\s*=\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,4})(\*)?)?")
_COMMENT = re.compile(r"\([^()]*\)")
_MAX_PARAMETERS: Final = 300


def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """The word of a Content-Type or Content-Disposition in lower case, and its parameters, decoded by RFC 2231 and 2047.

    Values without quotes may hold blanks, quotes may be missing at the end; the first of two equal names counts.
    """
    text = unfolded(value[:MAX_HEADER])
    end = text.find(";")
    word = (text if end < 0 else text[:end]).strip()
    if "(" in word:
        word = _COMMENT.sub("", word).strip()
    plain: dict[str, str] = {}
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    position = len(text) if end < 0 else end
    if end < 0 and "=" in text:  # `text/plain charset=utf-8`, `name="x"`
        word, _, _ = text.partition(" ")
        position = len(word) if "=" not in word else 0
        word = word if "=" not in word else ""
    for _ in range(_MAX_PARAMETERS):
        match = _PARAMETER.match(text, position)
        if match is None:
            following = text.find(";", position + 1)
            if following < 0:
                break
            position = following
            continue
        name = match[1].lower()
        content, position = _value(text, match.end())
        section = _SECTION.fullmatch(name) if "*" in name else None
        if section is None:
            plain.setdefault(name, content)
        else:
            number = int(section[2]) if section[2] else 0
            coded = section[3] is not None or section[2] is None
            sections.setdefault(section[1], []).append((number, coded, content))
    result = {name: unstructured(content) if "=?" in content else content for name, content in plain.items()}
    for name, pieces in sections.items():
        joined = _rfc2231(pieces)
        if joined or name not in result:
            result[name] = joined
    return word.lower(), result


def _value(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] == '"':
        quoted = _QUOTED.match(text, position)
        if quoted is not None:
            content = quoted[1]
            if "\\" in content and not re.match(r"[A-Za-z]:\\|\\\\", content):
                content = re.sub(r"\\(.)", r"\1", content)
            end = text.find(";", quoted.end())
            return content, len(text) if end < 0 else end
        end = text.find(";", position)
        end = len(text) if end < 0 else end
        return text[position + 1 : end].strip(), end
    end = text.find(";", position)
    end = len(text) if end < 0 else end
    if text.startswith("=?", position):  # an encoded word outside quotes may hold a semicolon
        stop = text.rfind("?=", position)
        if stop > end:
            end = text.find(";", stop)
            end = len(text) if end < 0 else end
    return text[position:end].strip(), end


def _rfc2231(pieces: list[tuple[int, bool, str]]) -> str:
    pieces.sort(key=lambda piece: piece[0])
    charset, data = "", []
    for index, (_, coded, content) in enumerate(pieces):
        if coded and index == 0 and content.count("'") >= 2:
            charset, _, first = content.split("'", 2)
            data.append(unquote_to_bytes(first))
        elif coded:
            data.append(unquote_to_bytes(content))
        else:
            data.append(content.encode("utf-8", "replace"))
    text = charsets.decode(b"".join(data), charset)[0]
    return unstructured(text) if "=?" in text else text
