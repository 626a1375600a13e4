"""Octets to text: by the declared charset if it is one we know and it fits, else by what the octets look like.

A payload never names a codec: names are looked up in the table below, so ``zlib``, ``base64`` or ``unicode_escape`` are
unknown charsets. Aliases are those of the IANA registry and of the WHATWG encoding standard, plus what mail programs
write; where the WHATWG standard reads a charset as its superset (``iso-8859-1`` as Windows-1252), so do we.
"""

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

from gateway.sources.text import decode as decode_unknown

_NAMES: Final[dict[str, str]] = {
    "utf-8": "utf8 utf_8 unicode11utf8 unicode20utf8 xunicode20utf8 utf8mb4 utf08 uft8",
    "utf-7": "utf7 unicode11utf7 xunicode20utf7 csunicode11utf7",
    "utf-16": "utf16 ucs2 unicode iso10646ucs2 csunicode",
    "utf-16-le": "utf16le",
    "utf-16-be": "utf16be unicodefffe",
    "utf-32": "utf32 ucs4 iso10646ucs4",
    "utf-32-le": "utf32le",
    "utf-32-be": "utf32be",
    "ascii": "ascii usascii us ansix341968 ansix341986 iso646us iso646irv1991 646 cp367 ibm367 csascii asciius 7bit",
    "cp1252": "iso88591 iso885911987 latin1 l1 isoir100 cp819 ibm819 cp1252 windows1252 xcp1252 win1252 ansi xansi"
    " 1252 8859 iso8859 westerneuropean xunknown88591",
    "iso8859-2": "iso88592 iso885921987 latin2 l2 isoir101",
    "iso8859-3": "iso88593 latin3 l3",
    "iso8859-4": "iso88594 latin4 l4",
    "iso8859-5": "iso88595 cyrillic isoir144",
    "iso8859-6": "iso88596 iso88596e iso88596i arabic asmo708 ecma114",
    "iso8859-7": "iso88597 greek greek8 elot928 ecma118 suneugreek",
    "iso8859-8": "iso88598 iso88598e iso88598i hebrew visual logical",
    "cp1254": "iso88599 latin5 l5 cp1254 windows1254 xcp1254 win1254 turkish",
    "iso8859-10": "iso885910 latin6 l6",
    "cp874": "iso885911 tis620 tis6200 dos874 cp874 windows874 xwindows874",
    "iso8859-13": "iso885913 latin7",
    "iso8859-14": "iso885914 latin8",
    "iso8859-15": "iso885915 latin9 latin0 l9 xiso885915",
    "iso8859-16": "iso885916 latin10",
    "cp1250": "cp1250 windows1250 xcp1250 win1250",
    "cp1251": "cp1251 windows1251 xcp1251 win1251 win",
    "cp1253": "cp1253 windows1253 xcp1253 win1253",
    "cp1255": "cp1255 windows1255 xcp1255 win1255",
    "cp1256": "cp1256 windows1256 xcp1256 win1256",
    "cp1257": "cp1257 windows1257 xcp1257 win1257 win1257",
    "cp1258": "cp1258 windows1258 xcp1258 win1258",
    "koi8-r": "koi8r koi8 koi cskoi8r koi8e",
    "koi8-u": "koi8u koi8ru",
    "mac-roman": "macintosh macroman xmacroman mac csmacintosh xmac",
    "mac-cyrillic": "xmaccyrillic maccyrillic xmacukrainian",
    "mac-greek": "xmacgreek macgreek",
    "mac-turkish": "xmacturkish macturkish",
    "mac-latin2": "xmaccentraleurroman maclatin2 xmacce",
    "cp437": "cp437 ibm437 437",
    "cp737": "cp737 ibm737",
    "cp775": "cp775 ibm775",
    "cp850": "cp850 ibm850 850",
    "cp852": "cp852 ibm852 852",
    "cp855": "cp855 ibm855",
    "cp857": "cp857 ibm857",
    "cp858": "cp858 ibm858 ibm00858",
    "cp862": "cp862 ibm862 dos862",
    "cp864": "cp864 ibm864",
    "cp866": "cp866 ibm866 866 csibm866",
    "gb18030": "gb18030 gb2312 gb231280 gbk xgbk cp936 ms936 windows936 euccn xeuccn chinese csgb2312 isoir58 936",
    "hz": "hzgb2312 hz",
    "big5hkscs": "big5 big5hkscs cnbig5 xxbig5 csbig5 big5eten cp950 ms950 windows950 xbig5 950",
    "cp932": "shiftjis sjis xsjis mskanji windows31j cswindows31j cp932 ms932 windows932 csshiftjis shiftjisx0213 932",
    "euc_jp": "eucjp xeucjp cseucpkdfmtjapanese ujis",
    "iso2022_jp_ext": "iso2022jp iso2022jp1 iso2022jp2 iso2022jp3 iso2022jpms cp50220 cp50221 cp50222 csiso2022jp jis",
    "cp949": "euckr ksc56011987 ksc56011989 ksc5601 ksc56011992 korean cp949 ms949 windows949 uhc cseuckr isoir149 949",
    "iso2022_kr": "iso2022kr csiso2022kr",
    "johab": "johab ksc5601johab cp1361",
}
_CODECS: Final = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_WESTERN: Final = frozenset({"cp1252", "iso8859-15", "ascii", "cp1250", "cp1254"})
_SHIFTED: Final = frozenset({"utf-7", "hz", "iso2022_jp_ext", "iso2022_kr"})
_WIDE: Final = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@AB]|\(J|\(I|\$\(D)")
_SAMPLE: Final = 4096
_ENOUGH: Final = 32
# What the detector may answer; it knows many single-byte charsets that nobody writes mail in.
_GUESSES: Final = (
    "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp1250", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1252",
)  # fmt: skip


def codec_of(name: str) -> str:
    """The codec of a charset's name in any spelling, or the empty string if it is no charset that we read."""
    return _CODECS.get(_SEPARATORS.sub("", name[:80].split("*", 1)[0].lower()), "") if name else ""


def decode(data: bytes, declared: str) -> tuple[str, bool]:
    """Text of octets, and whether all of them were understood as they were meant. Never fails."""
    codec = codec_of(declared)
    if data.isascii() and codec not in _SHIFTED and b"\x1b" not in data and b"\x00" not in data:
        return data.decode("ascii"), True
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(name, "replace"), True
    if codec in _WIDE:
        if b"\x00" in data or not data.isascii():
            return _wide(data, codec)
        codec = ""
    if codec in {"", "ascii", "utf-8"} or codec in _WESTERN:
        if _JIS_ESCAPE.search(data):
            return data.decode("iso2022_jp_ext", "replace"), True
        try:
            return data.decode("utf-8"), True  # a text in Windows-1252 is UTF-8 by chance next to never
        except UnicodeDecodeError:
            pass
        if data.count(b"\x00") * 4 > len(data):
            return _wide(data, _wide_guess(data))
    if codec and codec not in {"ascii", "utf-8"}:
        try:
            return data.decode(codec), True
        except UnicodeError:
            pass
        if codec in _WESTERN:
            return decode_unknown(data), True
        text = data.decode(codec, "replace")
        if text.count("\ufffd") * 20 <= len(text):
            return text, False
        try:
            return data.decode("utf-8"), True
        except UnicodeDecodeError:
            return text, False
    return _detected(data, mostly_utf8=codec == "utf-8")


def _wide(data: bytes, codec: str) -> tuple[str, bool]:
    """UTF-16 without a mark is big-endian by RFC 2781 and little-endian in practice: the zeros tell."""
    if codec == "utf-16":
        codec = _wide_guess(data)
    text = data.decode(codec, "replace")
    return text, "\ufffd" not in text


def _wide_guess(data: bytes) -> str:
    return "utf-16-be" if data[:4000:2].count(0) > data[1:4000:2].count(0) else "utf-16-le"


def _detected(data: bytes, *, mostly_utf8: bool) -> tuple[str, bool]:
    """Text of octets that are not what was declared, or of which nothing was declared."""
    loose = data.decode("utf-8", "replace")
    broken = loose.count("\ufffd")
    if broken and (mostly_utf8 or len(data) - len(loose) > broken) and broken * 20 <= len(loose):
        whole = sum(1 for character in loose[:_SAMPLE] if character > "\x7f" and character != "\ufffd")
        if whole > broken:
            return loose, False  # UTF-8 that was cut or damaged somewhere
    high = [octet for octet in data[: 4 * _SAMPLE] if octet > 127]
    if len(high) >= 4 and len(data) >= _ENOUGH:
        codec = _guess(data)
        if codec:
            text = data.decode(codec, "replace")
            return text, "\ufffd" not in text
    return decode_unknown(data), not mostly_utf8


def _guess(data: bytes) -> str:
    start = next((index for index, octet in enumerate(data) if octet > 127), 0)
    sample = data[max(0, start - 200) : start + _SAMPLE]
    if sum(octet > 127 for octet in sample) * 6 < len(sample):
        return ""  # few accents among Latin letters: Windows-1252, which the caller knows
    try:
        best = from_bytes(
            sample, steps=2, chunk_size=1024, cp_isolation=list(_GUESSES), preemptive_behaviour=False
        ).best()
    except (ValueError, LookupError, UnicodeError, RuntimeError, TypeError):
        return ""
    return codec_of(best.encoding) if best is not None else ""
