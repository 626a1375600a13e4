"""winmail.dat of Outlook and Exchange (MS-OXTNEF): the files in it and its plain text, in one bounded pass.

Own code, since the known library runs for ever on damaged containers.
"""

from dataclasses import dataclass
from typing import Final

from gateway.sources.mail import charsets

MAX_TNEF: Final = 30 * 2**20
_SIGNATURE: Final = b"\x78\x9f\x3e\x22"
_MOST_ATTRIBUTES: Final = 5000
_MOST_FILES: Final = 100
_BODY, _BEGINS, _TITLE, _DATA, _PROPERTIES = 0x800C, 0x9002, 0x8010, 0x800F, 0x9005
# PR_ATTACH_LONG_FILENAME, as Unicode and as octets; then the number of values (1) and the length.
_LONG_NAMES: Final = ((b"\x1f\x00\x07\x37\x01\x00\x00\x00", "utf-16-le"), (b"\x1e\x00\x07\x37\x01\x00\x00\x00", ""))


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was inside: named files, and the body where it has one."""

    files: tuple[tuple[str, bytes], ...]
    text: str = ""
    html: str = ""


def unpack(content: bytes) -> Unpacked | None:
    """The files and the text of a TNEF container; None if it is none or is broken."""
    if len(content) > MAX_TNEF or not content.startswith(_SIGNATURE):
        return None
    files: list[list[object]] = []
    text, position = "", 6
    for _ in range(_MOST_ATTRIBUTES):
        if position + 9 > len(content):
            break
        attribute = int.from_bytes(content[position + 1 : position + 3], "little")
        length = int.from_bytes(content[position + 5 : position + 9], "little")
        data = content[position + 9 : position + 9 + length]
        if len(data) != length:
            return None  # a length that leads out of the container
        position += 9 + length + 2  # a checksum follows
        if attribute == _BEGINS and len(files) < _MOST_FILES:
            files.append(["", b""])
        elif attribute == _BODY:
            text = charsets.decode(data.rstrip(b"\x00"), "")[0]
        elif files and attribute == _TITLE and not files[-1][0]:
            files[-1][0] = charsets.decode(data.rstrip(b"\x00"), "")[0]
        elif files and attribute == _DATA:
            files[-1][1] = data
        elif files and attribute == _PROPERTIES:
            files[-1][0] = _long_name(data) or files[-1][0]
    found = tuple((name, data) for name, data in files if isinstance(name, str) and isinstance(data, bytes) and data)
    return Unpacked(found, text)


def _long_name(data: bytes) -> str:
    for mark, charset in _LONG_NAMES:
        at = data.find(mark)
        if at >= 0:
            start = at + len(mark) + 4
            length = int.from_bytes(data[start - 4 : start], "little")
            if 0 < length <= 2000:
                return charsets.decode(data[start : start + length], charset)[0].replace("\x00", "")
    return ""
