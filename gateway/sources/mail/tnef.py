"""winmail.dat of Outlook and Exchange (MS-OXTNEF): the files in it and its text, in one bounded pass.

Own code, since the known library runs for ever on damaged containers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.sources.mail import charsets
from gateway.sources.mail.rtf import decompress, read_rtf

MAX_TNEF: Final = 30 * 2**20
_SIGNATURE: Final = b"\x78\x9f\x3e\x22"
_MOST_ATTRIBUTES: Final = 5000
_MOST_PROPERTIES: Final = 2000
_MOST_VALUES: Final = 2000
_MOST_FILES: Final = 100
_MOST_TEXT: Final = 8 * 2**20
_DEPTH: Final = 3
# Attributes of the container (MS-OXTNEF 2.1.3.3).
_BODY, _BEGINS, _TITLE, _DATA, _FILE_PROPERTIES = 0x800C, 0x9002, 0x8010, 0x800F, 0x9005
_PROPERTIES, _CODEPAGE = 0x9003, 0x9007
# Properties (MS-OXPROPS): PidTagBody, BodyHtml, RtfCompressed, InternetCodepage; of files: AttachLongFilename,
# AttachMimeTag, AttachContentId, AttachDataObject.
_P_BODY, _P_HTML, _P_RTF, _P_CODEPAGE = 0x1000, 0x1013, 0x1009, 0x3FDE
_P_NAME, _P_TYPE, _P_CID, _P_OBJECT = 0x3707, 0x370E, 0x3712, 0x3701
_STRING, _UNICODE, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0x0D
_SIZES: Final = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_PAGES: Final = {65_001: "utf-8", 20_127: "us-ascii", 20_866: "koi8-r", 21_866: "koi8-u", 50_220: "iso-2022-jp",
                 51_932: "euc-jp", 51_949: "euc-kr", 54_936: "gb18030", 20_936: "gb2312"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that was inside."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was inside: files, and the body where it has one, as text, as HTML, or both.

    ``whole`` is false where something was damaged or beyond the limits, so that something may be missing.
    """

    files: tuple[Packed, ...]
    text: str = ""
    html: str = ""
    whole: bool = True


@dataclass(slots=True)
class _File:
    name: str = ""
    content: bytes = b""
    media_type: str = ""
    content_id: str = ""
    inner: Unpacked | None = None


@dataclass(slots=True)
class _Body:
    text: str = ""
    page: bytes = b""
    page_kind: int = 0
    page_charset: str = ""
    rich: bytes = b""
    codepage: str = ""
    whole: bool = True


def unpack(content: bytes, *, depth: int = _DEPTH) -> Unpacked | None:
    """The files and the text of a TNEF container; None if it is none or is broken.

    Mails within it are opened ``depth`` deep, their files put beside the others.
    """
    if len(content) > MAX_TNEF or not content.startswith(_SIGNATURE):
        return None
    body, files = _Body(), list[_File]()
    for attribute, data in _attributes(content):
        if attribute == -1:
            return None
        if attribute == _BEGINS:
            if len(files) >= _MOST_FILES:
                body.whole = False
                break
            files.append(_File())
        elif attribute == _CODEPAGE and len(data) >= 4:
            body.codepage = _charset(data)
        elif attribute == _BODY:
            body.text = charsets.decode(data[:_MOST_TEXT].rstrip(b"\x00"), body.codepage)[0]
        elif attribute == _PROPERTIES:
            _of_message(body, data)
        elif files:
            _of_file(files[-1], attribute, data, body, depth)
    text, html = body.text, _text(body.page, body.page_kind, body.page_charset or body.codepage)
    if body.rich and not (text.strip() and html):
        unpacked = decompress(body.rich)
        rich = read_rtf(unpacked) if unpacked is not None else None
        body.whole = body.whole and rich is not None and rich.whole
        text, html = (text if text.strip() else rich.text, html or rich.html) if rich is not None else (text, html)
    found: list[Packed] = []
    for file in files:
        if file.inner is not None:
            found += file.inner.files
            body.whole = body.whole and file.inner.whole
            if file.inner.text or file.inner.html:
                said = file.inner.html or file.inner.text
                extension, kind = (".html", "text/html") if file.inner.html else (".txt", "text/plain")
                found.append(Packed((file.name or "message") + extension, said.encode("utf-8", "replace"), kind))
        elif file.content:
            found.append(Packed(file.name, file.content, file.media_type, file.content_id))
    return Unpacked(tuple(found[:_MOST_FILES]), text, html, body.whole and len(found) <= _MOST_FILES)


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in their order; -1 for a length that leads out of the container."""
    position = 6
    for _ in range(_MOST_ATTRIBUTES):
        if position + 9 > len(content):
            return
        attribute = int.from_bytes(content[position + 1 : position + 3], "little")
        length = int.from_bytes(content[position + 5 : position + 9], "little")
        if position + 9 + length > len(content):
            yield -1, b""
            return
        yield attribute, content[position + 9 : position + 9 + length]
        position += 9 + length + 2  # a checksum follows


def _of_message(body: _Body, data: bytes) -> None:
    for name, kind, value in _properties(data):
        if name == -1:
            body.whole = False
        elif name == _P_RTF:
            body.rich = value
        elif name == _P_HTML:
            body.page, body.page_kind = value[:_MOST_TEXT], kind
        elif name == _P_CODEPAGE:
            body.page_charset = _charset(value)
        elif name == _P_BODY:
            body.text = _text(value[:_MOST_TEXT], kind, body.codepage) or body.text


def _of_file(file: _File, attribute: int, data: bytes, body: _Body, depth: int) -> None:
    if attribute == _TITLE and not file.name:
        file.name = charsets.decode(data[:2000].rstrip(b"\x00"), body.codepage)[0]
    elif attribute == _DATA:
        file.content = data
    elif attribute == _FILE_PROPERTIES:
        for name, kind, value in _properties(data):
            if name == -1:
                body.whole = False
            elif name == _P_NAME:
                file.name = _text(value[:2000], kind, body.codepage) or file.name
            elif name == _P_TYPE:
                file.media_type = _text(value[:200], kind, "").lower()
            elif name == _P_CID:
                file.content_id = _text(value[:1000], kind, "").strip("<> ")
            elif name == _P_OBJECT and kind == _OBJECT and value[16:20] == _SIGNATURE:
                file.inner = unpack(value[16:], depth=depth - 1) if depth else None
                if file.inner is None:
                    file.content, body.whole = value[16:], False


def _charset(value: bytes) -> str:
    """The charset of a code page's number, as Windows counts them."""
    number = int.from_bytes(value[:4], "little")
    if 28_591 <= number <= 28_606:
        return f"iso-8859-{number - 28_590}"
    return _PAGES.get(number, f"cp{number}")


def _text(value: bytes, kind: int, codepage: str) -> str:
    if kind == _UNICODE:
        return value.decode("utf-16-le", "replace").rstrip("\x00")
    return charsets.decode(value.rstrip(b"\x00"), codepage)[0]


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Name, type and value of each property (MS-OXTNEF 2.1.3.4); name -1 where the list is damaged."""
    count, position = int.from_bytes(data[:4], "little"), 4
    for _ in range(min(count, _MOST_PROPERTIES)):
        if position + 4 > len(data):
            yield -1, 0, b""
            return
        kind, name = int.from_bytes(data[position : position + 2], "little"), 0
        name = int.from_bytes(data[position + 2 : position + 4], "little")
        position += 4
        if name >= 0x8000:  # a named one: its set, and its number or its name
            named = int.from_bytes(data[position + 16 : position + 20], "little")
            length = int.from_bytes(data[position + 20 : position + 24], "little")
            position += 24 + (_padded(length) if named else 0)
        several, kind = bool(kind & 0x1000), kind & 0x0FFF
        values = 1
        if several or kind in {_STRING, _UNICODE, _BINARY, _OBJECT}:
            values = int.from_bytes(data[position : position + 4], "little")
            position += 4
        if values > _MOST_VALUES or (kind not in _SIZES and kind not in {_STRING, _UNICODE, _BINARY, _OBJECT}):
            yield -1, 0, b""
            return
        for index in range(values):
            length = _SIZES.get(kind, 0)
            if not length:
                length = int.from_bytes(data[position : position + 4], "little")
                position += 4
            if position + length > len(data):
                yield -1, 0, b""
                return
            if index == 0:
                yield name, kind, data[position : position + length]
            position += _padded(length)


def _padded(length: int) -> int:
    return (length + 3) & ~3
