"""What an opaquely signed mail says (RFC 5652, `SignedData` with its content inside): taken out, not verified.

Outlook can send so; without this the whole text of the mail would be an attachment that few programs open. The reader of
BER is bounded by the octets at hand and by a depth.
"""

from typing import Final

_SEQUENCE, _OID, _OCTETS, _OCTETS_IN_PIECES, _CONTENT = 0x30, 0x06, 0x04, 0x24, 0xA0
_SIGNED: Final = bytes.fromhex("2a864886f70d010702")
_DATA: Final = bytes.fromhex("2a864886f70d010701")
_MOST_ITEMS: Final = 100_000
_DEPTH: Final = 8


def signed_content(data: bytes) -> bytes | None:
    """The content that was signed; None where this is no signed data, holds none, or is damaged."""
    try:
        outer = _items(data, 0, len(data), 1)[0]
        kind, wrapped = _items(data, *_inner(outer, _SEQUENCE), 2)
        if data[kind[1] : kind[2]] != _SIGNED:
            return None
        (signed,) = _items(data, *_inner(wrapped, _CONTENT), 1)
        _version, _digests, info = _items(data, *_inner(signed, _SEQUENCE), 3)
        said = _items(data, *_inner(info, _SEQUENCE), 2)
        if data[said[0][1] : said[0][2]] != _DATA or len(said) < 2:
            return None
        (octets,) = _items(data, *_inner(said[1], _CONTENT), 1)
        pieces: list[bytes] = []
        _gather(data, octets, pieces, 0)
        return b"".join(pieces)
    except (IndexError, ValueError):
        return None


_Item = tuple[int, int, int, int]
"""Tag, where its content begins and ends, and where the next item begins."""


def _inner(item: _Item, tag: int) -> tuple[int, int]:
    if item[0] != tag:
        raise ValueError("another tag was expected")
    return item[1], item[2]


def _items(data: bytes, start: int, end: int, most: int) -> list[_Item]:
    """The first ``most`` items between ``start`` and ``end``."""
    found: list[_Item] = []
    while start < end and len(found) < most:
        found.append(_item(data, start, end, 0))
        start = found[-1][3]
    return found


def _item(data: bytes, start: int, end: int, depth: int) -> _Item:
    tag, first = data[start], data[start + 1]
    at = start + 2
    if tag & 31 == 31 or depth > _DEPTH:
        raise ValueError("no tag that signed data has")
    if first == 0x80:  # an end that stands behind it
        following, count = at, 0
        while data[following : following + 2] != b"\x00\x00":
            following = _item(data, following, end, depth + 1)[3]
            count += 1
            if count > _MOST_ITEMS:
                raise ValueError("too many pieces")
        return tag, at, following, following + 2
    length = first
    if first & 0x80:
        size = first & 0x7F
        if size > 4:
            raise ValueError("longer than any mail")
        length = int.from_bytes(data[at : at + size], "big")
        at += size
    if at + length > end:
        raise ValueError("cut")
    return tag, at, at + length, at + length


def _gather(data: bytes, item: _Item, pieces: list[bytes], depth: int) -> None:
    if item[0] == _OCTETS:
        pieces.append(data[item[1] : item[2]])
    elif item[0] == _OCTETS_IN_PIECES and depth < _DEPTH:
        start = item[1]
        while start < item[2]:
            piece = _item(data, start, item[2], 0)
            _gather(data, piece, pieces, depth + 1)
            start = piece[3]
    else:
        raise ValueError("no octets")
