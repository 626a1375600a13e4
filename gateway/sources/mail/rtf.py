"""Rich text of Outlook, as it stands in winmail.dat: unpacked (MS-OXRTFCP), and the HTML or text in it (MS-OXRTFEX).

Own code, and bounded: of the libraries at hand one has no bound and gives up on a wrong checksum, one brings a grammar
engine and macro tools along, one raises on code pages and numbers that are none.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Final

MAX_RTF: Final = 2 * 2**20
"""Octets of rich text that are read."""
MAX_TOKENS: Final = 400_000
_MOST_OUT: Final = 2_000_000
_MOST_GROUPS: Final = 500
_WINDOW: Final = 4096
# What the window holds before the first octet (MS-OXRTFCP 2.1.2.1).
_FIRST: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)


def decompress(data: bytes) -> bytes | None:
    """The rich text of a compressed stream, as far as it can be unpacked; None if it is none.

    At most `MAX_RTF` octets. The checksum is not looked at: damage costs the damaged octets.
    """
    kind = data[8:12]
    if len(data) < 16:
        return None
    if kind == b"MELA":
        return data[16 : 16 + min(int.from_bytes(data[4:8], "little"), MAX_RTF)]
    if kind != b"LZFu":
        return None
    # The ring of 4096 octets is the end of one long buffer; its place 0 is wherever 4096 divides.
    out = bytearray(b" " * _WINDOW + _FIRST)
    begin, position, end = len(out), 16, len(data)
    most = begin + MAX_RTF
    while position < end and len(out) < most:
        control = data[position]
        position += 1
        for bit in range(8):
            if position >= end:
                break
            if not control >> bit & 1:
                out.append(data[position])
                position += 1
                continue
            token = int.from_bytes(data[position : position + 2], "big")
            position += 2
            back = (len(out) - (token >> 4)) % _WINDOW
            if back == 0:
                return bytes(out[begin:])
            length = (token & 15) + 2
            start = len(out) - back
            piece = bytes(out[start : start + length])
            out += (piece * (length // len(piece) + 1))[:length]  # it may reach into what it writes
    return bytes(out[begin:most])


@dataclass(frozen=True, slots=True)
class RichText:
    """What a rich text says: HTML if it was made from HTML, else plain text. ``whole`` is false where a limit cut it."""

    text: str = ""
    html: str = ""
    whole: bool = True


_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\", re.DOTALL
)
_CODEPAGES: Final = frozenset({437, 850, 852, 866, 874, 932, 936, 949, 950, *range(1250, 1259)})
# \fcharset of a font -> code page (the numbers of Windows' LOGFONT).
_CHARSETS: Final = {128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255, 178: 1256,
                    186: 1257, 204: 1251, 222: 874, 238: 1250}  # fmt: skip
_SKIPPED: Final = frozenset(
    b"fonttbl colortbl stylesheet info pict object header footer headerl headerr footerl footerr listtable xe tc"
    b" listoverridetable rsidtbl generator themedata datastore latentstyles fldinst mhtmltag bkmkstart bkmkend".split()
)
_WORDS: Final = {b"par": "\n", b"line": "\n", b"row": "\n", b"sect": "\n", b"page": "\n", b"tab": "\t", b"cell": "\t",
                 b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d",
                 b"bullet": "\u2022", b"endash": "\u2013", b"emdash": "\u2014", b"emspace": " ", b"enspace": " "}  # fmt: skip
_SIGNS: Final = {b"~": "\u00a0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}


@dataclass(slots=True)
class _Group:
    """What holds within a pair of braces. ``tag``: it is a piece of the HTML; ``hidden``: it is there for RTF only."""

    skip: bool = False
    tag: bool = False
    hidden: bool = False
    unicode_skip: int = 1
    codepage: int = 0
    star: bool = False


class _Walk:
    """One pass over the tokens."""

    def __init__(self) -> None:
        self.codepage = 1252
        self.from_html = False
        self.whole = True
        self._groups = [_Group()]
        self._too_deep = 0
        self._out: list[str] = []
        self._length = 0
        self._octets = bytearray()
        self._octets_page = 1252
        self._fonts: dict[int, int] = {}
        self._font = -1
        self._in_fonts = 0  # the depth at which the table of fonts began; 0: not in it
        self._to_skip = 0  # characters that repeat a Unicode one

    def read(self, rtf: bytes) -> RichText:
        for number, match in enumerate(_TOKEN.finditer(rtf)):
            if number >= MAX_TOKENS or self._length > _MOST_OUT:
                self.whole = False
                break
            word, digits, hexadecimal, sign, brace, text = match.groups()
            if text is not None:
                self._text(text)
            elif word is not None:
                self._word(word, int(digits) if digits is not None else None)
            elif hexadecimal is not None:
                if not self._is_repeated():
                    self._octet(bytes([int(hexadecimal, 16)]))
            elif brace is not None:
                self._brace(brace)
            elif sign is not None:
                self._sign(sign)
        self._flush()
        made = "".join(self._out)
        return RichText(html=made, whole=self.whole) if self.from_html else RichText(text=made, whole=self.whole)

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._to_skip = 0
        if brace == b"{":
            if len(self._groups) >= _MOST_GROUPS:
                self._too_deep += 1
                return
            now = self._groups[-1]
            self._groups.append(_Group(now.skip, now.tag, now.hidden, now.unicode_skip, now.codepage))
        elif self._too_deep:
            self._too_deep -= 1
        elif len(self._groups) > 1:
            self._groups.pop()
            if len(self._groups) < self._in_fonts:
                self._in_fonts = 0

    def _word(self, word: bytes, number: int | None) -> None:
        now = self._groups[-1]
        if now.star:
            now.star = False
            now.tag = word == b"htmltag"
            now.skip = now.skip or not now.tag
        if word == b"u" and number is not None:
            if not self._hides(now):
                self._flush()
                self._put(chr(number % 65_536))
            self._to_skip = now.unicode_skip
        elif word in _WORDS:
            if not self._hides(now):
                self._flush()
                self._put(_WORDS[word])
        elif word == b"htmlrtf":
            self._flush()
            now.hidden = number != 0
        elif word in _SKIPPED:
            now.skip = True
            if word == b"fonttbl":
                self._in_fonts = len(self._groups)
        elif word == b"bin" and number:
            now.skip = True
        else:
            self._set(now, word, number)

    def _set(self, now: _Group, word: bytes, number: int | None) -> None:
        if word == b"fromhtml":
            self.from_html = number != 0
        elif word == b"ansicpg" and number is not None and number in _CODEPAGES:
            self.codepage = number
        elif word == b"uc" and number is not None:
            now.unicode_skip = min(max(number, 0), 10)
        elif word == b"f" and number is not None:
            self._flush()
            self._font = number
            now.codepage = 0 if self._in_fonts else self._fonts.get(number, 0)
        elif word == b"fcharset" and self._in_fonts and len(self._fonts) < 1000:
            self._fonts[self._font] = _CHARSETS.get(number or 0, 0)
        elif word in {b"plain", b"pard"}:
            self._flush()
            now.codepage = 0 if word == b"plain" else now.codepage

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._groups[-1].star = True
        elif sign in _SIGNS and not self._is_repeated() and not self._hides(self._groups[-1]):
            self._flush()
            self._put(_SIGNS[sign])

    def _is_repeated(self) -> bool:
        if self._to_skip:
            self._to_skip -= 1
            return True
        return False

    def _hides(self, now: _Group) -> bool:
        return now.skip or (now.hidden and not now.tag)

    def _text(self, text: bytes) -> None:
        if self._to_skip:
            cut = min(self._to_skip, len(text))
            self._to_skip -= cut
            text = text[cut:]
        self._octet(text)

    def _octet(self, data: bytes) -> None:
        now = self._groups[-1]
        if self._hides(now):
            return
        self._octets_page = now.codepage or self.codepage
        self._octets += data

    def _flush(self) -> None:
        if self._octets:
            data, self._octets = bytes(self._octets), bytearray()
            self._put(data.decode(f"cp{self._octets_page}", "replace"))

    def _put(self, text: str) -> None:
        if self.from_html and not self._groups[-1].tag:
            text = escape(text, quote=False)
        self._out.append(text)
        self._length += len(text)


def read_rtf(rtf: bytes) -> RichText:
    """What a rich text says. Never fails; bounded by `MAX_RTF` and `MAX_TOKENS`."""
    if rtf.lstrip()[:5] != b"{\\rtf":
        return RichText()
    found = _Walk().read(rtf[:MAX_RTF])
    return RichText(_joined(found.text), _joined(found.html), found.whole and len(rtf) < MAX_RTF)


def _joined(text: str) -> str:
    """Two halves of one character beyond the first plane, which rich text writes apart, made one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip("\n\x00 ")
