"""Text from strangers: decoded without ever failing, and without the characters that break what comes later."""

import hashlib
import re

import orjson

# Octets that are not UTF-8 are read as Windows-1252, which also covers ISO-8859-1 text. The five octets that
# Windows-1252 leaves open are read as ISO-8859-1 controls and fall to `clean`.
_CP1252 = {
    0xDC00 + octet: bytes([octet]).decode("cp1252", "replace").replace("\ufffd", chr(octet))
    for octet in range(128, 256)
}
_LINE_ENDS = re.compile(r"\r\n?")
# C0 but for tab and line feed, DEL, C1, lone surrogates and the two non-characters at the end of the plane.
_BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SPACES = re.compile(r"\s+")
# Overrides that make text read in another order than it is stored (CVE-2021-42574).
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LONGEST_LINE = 1000
_LONGEST_KEY = 500


def decode(data: bytes) -> str:
    """Text of octets: UTF-8 where it is UTF-8, every other octet as Windows-1252. Never fails."""
    return data.decode("utf-8", "surrogateescape").translate(_CP1252)


def clean(text: str) -> str:
    """The text with line feeds as line ends and without control characters; lone surrogates become U+FFFD."""
    text = _LINE_ENDS.sub("\n", text)
    return _BAD.sub(lambda match: "\ufffd" if match[0] >= "\ud800" else "", text)


def line(text: str, limit: int = _LONGEST_LINE) -> str:
    """The text as one clean line of at most ``limit`` characters; a cut shows as ``…``."""
    # A field of megabytes is cut before it is worked on; white space could hide text behind the cut only in an attack.
    text = _SPACES.sub(" ", _BIDI.sub("", clean(text[: limit * 4]))).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def key(text: str) -> str:
    """The text as an identifier: one clean line; one that is too long ends with a digest instead of being ambiguous."""
    if len(text) <= _LONGEST_KEY:
        return line(text)
    return line(text, 200) + "#" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def names_key(*names: str) -> str:
    """Names as one identifier that cannot be mistaken for another list of names: a JSON list."""
    return key(orjson.dumps([clean(name) for name in names]).decode())


def digest_key(*parts: str) -> str:
    """An identifier of fixed length for what the parts say together: 32 hex digits."""
    return hashlib.sha256(orjson.dumps([clean(part) for part in parts])).hexdigest()[:32]


def web_address(text: str) -> str:
    """The text if it is an http or https address that is safe to show as a link, else the empty string."""
    text = text.strip()
    return text if len(text) <= 2000 and _WEB.fullmatch(text) else ""


_WEB = re.compile(
    r"(?i)https?://[^\s<>\"'`\\\x00-\x20\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069/][^\s<>\"`\\\x00-\x20\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]*"
)
