"""The bytes between ``DATA`` and the lone dot (RFC 5321, section 4.5.2).

Only CRLF.CRLF ends a message: a bare CR or LF is text like any other, so nothing can hide behind it. Lines have no limit of
their own. What is over the cap is thrown away while it is read, and memory stays where it is. A large message is worked on
piece by piece as it comes in, so that its end does not hold up everybody else.
"""

_END = b"\r\n.\r\n"
_ASIDE = 256 * 1024
_LEAST_ASIDE = 8


class TextReader:
    """Collects one message."""

    __slots__ = ("_aside", "_bytes", "_most", "_over", "_pieces", "_size", "seen")

    def __init__(self, most: int, *, aside: int = _ASIDE) -> None:
        """``most`` is the largest size in octets, without the dots that were added on the way.

        ``aside`` is how many octets gather before they are worked on, at least 8.
        """
        self._most = most
        self._aside = max(aside, _LEAST_ASIDE)
        self._bytes = bytearray(b"\r\n")  # a lone dot may come first; given back without it
        self._pieces: list[bytes] = []
        self._size = 0
        self._over = False
        self.seen = 0
        """Octets that came in so far, those thrown away included."""

    @property
    def held(self) -> int:
        """Octets in memory."""
        return self._size + len(self._bytes)

    def feed(self, data: bytes | bytearray) -> bytes | None:
        """Take more; what follows the end of the message, or None if the end has not come yet."""
        text = self._bytes
        start = max(0, len(text) - len(_END) + 1)
        text += data
        self.seen += len(data)
        end = text.find(_END, start)
        if end >= 0:
            rest = bytes(text[end + len(_END) :])
            del text[end + 2 :]  # the last line keeps its CRLF
            return rest
        if self._over:
            del text[: -len(_END) + 1]
        elif len(text) > self._aside:
            self._set_aside()
        return None

    def _set_aside(self) -> None:
        """Keep what may still become the end, or the beginning of a line, and be done with what stands before it."""
        text = self._bytes
        cut = text.rfind(b"\r\n")
        if cut <= 0:  # one long line
            cut = len(text) - 1
        self._put(bytes(text[:cut]))
        del text[:cut]

    def _put(self, piece: bytes) -> None:
        if b"\r\n." in piece:
            piece = piece.replace(b"\r\n.", b"\r\n")
        if not self._pieces:
            piece = piece[2:]
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._most:
            self.discard()

    def discard(self) -> None:
        """Keep nothing of this message but what is needed to find its end."""
        self._over = True
        self._pieces = []
        self._size = 0

    def content(self) -> bytes | None:
        """The message byte for byte, without added dots; None if it was too large. Call it once, after the end."""
        if not self._over:
            self._put(bytes(self._bytes))
        self._bytes = bytearray()
        return None if self._over else self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
