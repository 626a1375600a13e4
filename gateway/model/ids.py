"""Identifiers: receipt ids that sort by time, and markers that stay the same over every replay."""

import hashlib
import os
import threading
import time

_lock = threading.Lock()
_last = 0
_randomness = bytearray()
os.register_at_fork(after_in_child=_randomness.clear)  # parent and child must not draw the same
_MASK = (1 << 48) - 1
_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62


def new_id(now: float | None = None) -> str:
    """A fresh UUIDv7 (RFC 9562, section 5.7) in its canonical text form.

    Ids made by one process sort in the order they were made, also within one millisecond: the 12 bits after the
    version continue the millisecond as a fraction (method 3 of section 6.2) and never run backwards.
    """
    global _last  # noqa: PLW0603 - the one piece of state that makes ids ascend
    stamp = int((time.time() if now is None else now) * 4_096_000)
    with _lock:
        if now is None:
            stamp = _last = max(stamp, _last + 1)
        if len(_randomness) < 8:
            _randomness.extend(os.urandom(4096))  # the system's call costs more than the rest
        random = int.from_bytes(_randomness[-8:], "big") >> 2
        del _randomness[-8:]
    milliseconds, fraction = divmod(stamp, 4096)
    text = f"{(milliseconds & _MASK) << 80 | _VERSION_7 | fraction << 64 | _VARIANT | random:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def marker_of(*, cause: str, route: str, helpdesk: str, kind: str, ordinal: int) -> str:
    """The marker of an action: 32 lower-case hex digits, a hash of the tuple that makes the action unique.

    ``cause`` is ``<receipt id>/<event index>`` or ``timer/<id>``. A replay of the same receipt meets the same marker,
    so what was delivered once is not sent again.
    """
    text = "\x1f".join((cause, route, helpdesk, kind, str(ordinal)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
