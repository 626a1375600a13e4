"""Transfer encodings, read as leniently as mail is written: damage costs the damaged octets, not the part."""

import binascii
import re
from typing import Final

_NOT_BASE64: Final = bytes(octet for octet in range(256) if not re.match(rb"[A-Za-z0-9+/]", bytes([octet])))
_NOT_BASE64_OR_PAD: Final = _NOT_BASE64.replace(b"=", b"")
_MOST_PIECES: Final = 20_000
_MOST_BEGINNINGS: Final = 1000
_MOST_REPAIRED: Final = 40 * 2**20
_BLANKS: Final = b" \t\r\n\x0b\x0c"
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{1,}={0,2}")
_UU_BEGIN = re.compile(rb"(?m)^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,300}?)[ \t]*\r?$")
_BAD_QP = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?(?:\n|\Z))")


def encoding_of(value: str) -> str:
    """The transfer encoding by its usual name; the empty string for none.

    ``base64``, ``quoted-printable``, ``x-uuencode``, or a word that is not known.
    """
    text = re.sub(r"\([^()]*\)", " ", value[:200]).strip().strip("\"'").lower()
    word = re.split(r"[\s;,]", text, maxsplit=1)[0]
    if word in {"", "7bit", "8bit", "binary", "7-bit", "8-bit", "7", "8", "utf-8", "none", "unknown", "us-ascii"}:
        return ""
    if word.startswith(("base64", "base-64", "b64")) or text.startswith("base 64"):
        return "base64"
    if word in {"quoted-printable", "quotedprintable", "qp", "quoted", "quote-printable", "quotedprint"}:
        return "quoted-printable"
    if word in {"x-uuencode", "uuencode", "x-uue", "uue", "x-uu"}:
        return "x-uuencode"
    return word


def decode(data: bytes, encoding: str) -> tuple[bytes, str]:
    """The octets, and what was wrong with their encoding (a sentence without a subject; empty if nothing)."""
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        decoded = binascii.a2b_qp(data)
        damaged = b"=" in data and _BAD_QP.search(data) is not None
        return decoded, "has broken quoted-printable" if damaged else ""
    if encoding == "x-uuencode":
        begin = _UU_BEGIN.search(data)
        if begin is None:
            return data, "says that it is uuencoded and is not"
        content, _, whole = uudecode(data, begin.end())
        return content, "" if whole else "has broken uuencoding"
    return data, f"has an unknown transfer encoding ({encoding[:40]})" if encoding else ""


def _base64(data: bytes) -> tuple[bytes, str]:
    packed = data.translate(None, _BLANKS)
    if not packed:
        return b"", ""
    junk = len(packed) - len(packed.translate(None, _NOT_BASE64_OR_PAD))
    if junk * 5 > len(packed) or (junk and _is_prose(data)):
        return data, "says that it is base64 and is not"
    padding = packed.find(b"=")
    if not junk and len(packed) % 4 == 0 and (padding < 0 or (padding >= len(packed) - 2 and packed.endswith(b"="))):
        return binascii.a2b_base64(packed), ""
    if data.count(b"=") > _MOST_PIECES or len(data) > _MOST_REPAIRED:
        packed = packed.translate(None, _NOT_BASE64)
        packed = packed[: len(packed) - len(packed) % 4]
        return binascii.a2b_base64(packed), "has broken base64"
    return _base64_pieces(data)


def _is_prose(data: bytes) -> bool:
    """Words with blanks between them; base64 has none within a line."""
    sample = data[:2000]
    return sample.count(b" ") * 20 > len(sample)


def _base64_pieces(data: bytes) -> tuple[bytes, str]:
    """Base64 with padding in the middle (texts that were encoded in pieces), junk in it, or something behind it."""
    fault = ""
    pieces: list[bytes] = []
    run: list[bytes] = []
    ended = False
    for raw in data.split(b"\n"):
        line = raw.strip(_BLANKS)
        if not line:
            continue
        if ended and (_BASE64_LINE.fullmatch(line) is None or len(line) % 4):
            fault = "has something else behind its base64"  # footers of mailing lists and virus scanners
            continue
        run.append(line)
        ended = line.endswith(b"=")
        if ended:
            pieces.append(b"".join(run))
            run = []
    if run:
        pieces.append(b"".join(run))
    out: list[bytes] = []
    for piece in pieces:
        for chunk in re.split(rb"=+", piece) if b"=" in piece else [piece]:
            clean = chunk.translate(None, _NOT_BASE64)
            if len(clean) != len(chunk):
                fault = fault or "has characters in its base64 that do not belong there"
            if len(clean) % 4 == 1:
                clean = clean[:-1]
                fault = fault or "has base64 that ends in the middle"
            out.append(binascii.a2b_base64(clean + b"=" * (-len(clean) % 4)))
    return b"".join(out), fault


def uudecode(data: bytes, start: int) -> tuple[bytes, int, bool]:
    """The content of uuencoded lines from ``start`` on, where they end, and whether they end as they should."""
    out: list[bytes] = []
    position = start
    if data[position : position + 1] == b"\r":
        position += 1
    if data[position : position + 1] == b"\n":
        position += 1
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end < 0 else end
        line = data[position:end].rstrip(b"\r")
        stripped = line.rstrip()
        if stripped == b"end":
            return b"".join(out), min(end + 1, len(data)), True
        if stripped not in {b"", b"`"}:
            if len(line) > 90 or not 32 <= line[0] <= 96:
                return b"".join(out), position, False
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:
                count = ((line[0] - 32) & 63) * 4 // 3 + 5  # trailing junk of some encoders
                try:
                    out.append(binascii.a2b_uu(line[:count]))
                except binascii.Error:
                    return b"".join(out), position, False
        position = end + 1
    return b"".join(out), len(data), False


def find_uuencoded(data: bytes) -> list[tuple[int, int, str, bytes]]:
    """Files that stand uuencoded inside a text: start and end within it, name, content. Only whole ones, at most 50."""
    found: list[tuple[int, int, str, bytes]] = []
    position = 0
    for _ in range(_MOST_BEGINNINGS if b"begin" in data else 0):
        if len(found) >= 50:
            break
        begin = _UU_BEGIN.search(data, position)
        if begin is None:
            break
        content, end, whole = uudecode(data, begin.end())
        if whole and content:
            found.append((begin.start(), end, begin[1].decode("utf-8", "replace"), content))
            position = end
        else:
            position = max(begin.end(), end)
    return found
