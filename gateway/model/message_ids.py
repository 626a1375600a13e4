"""Our own Message-IDs: signed, so that a mail that refers to one proves that its sender was given it.

The left side is ``tg-MARKER-INCIDENT-SIGNATURE``: the action's marker, the incident's id without dashes, and an HMAC-SHA-256
over both, cut to 96 bits; all in hex digits. The right side is the helpdesk's business and is not looked at. All of it is in
lower case, since osTicket tells Message-IDs by case while mail programs on the way do not always keep it. It stays findable
by the marker, and is the same on every attempt of the action, since it is kept with the action's draft.
"""

import hmac
import re
from collections.abc import Sequence

_VERSION = b"ticket-gateway message-id 1"
_SIGNATURE = 24  # hex digits
_SIGNED = re.compile(rf"tg-([0-9a-f]{{8,128}})-([0-9a-f]{{32}})-([0-9a-f]{{{_SIGNATURE}}})@[^@]+")
_PLAIN = re.compile(r"[0-9a-f]{32}")
_UNSIGNED = re.compile(r"tg-([0-9a-f]{32})@[^@]+")
_LONGEST = 400
LEAST_KEY = 16
"""Octets that a key has at least."""


class MessageIds:
    """Makes and recognises our Message-IDs. The first key signs, every key is accepted; without any, nothing is ours."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        """``keys``, newest first.

        Raises:
            ValueError: a key is shorter than `LEAST_KEY`.
        """
        if any(len(key) < LEAST_KEY for key in keys):
            raise ValueError(f"a key of Message-IDs has at least {LEAST_KEY} octets")
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"MessageIds({len(self._keys)} keys)"

    def name(self, marker: str, incident: str) -> str:
        """The left side for an action's mail; empty where there is no key or the incident's id is none that we make."""
        place = incident.replace("-", "")
        if not self._keys or _PLAIN.fullmatch(place) is None:
            return ""
        return f"tg-{marker}-{place}-{_signature(self._keys[0], marker, place)}"

    def incident_of(self, message_id: str) -> str:
        """The id of the incident that a Message-ID (without angle brackets) was made for, if we made it; else empty.

        Any text may be asked about. The comparison takes the same time wherever the first difference is.
        """
        if len(message_id) > _LONGEST or not self._keys:
            return ""
        match = _SIGNED.fullmatch(message_id.lower())
        if match is None:
            return ""
        marker, place, given = match.groups()
        good = [hmac.compare_digest(_signature(key, marker, place), given) for key in self._keys]
        return f"{place[:8]}-{place[8:12]}-{place[12:16]}-{place[16:20]}-{place[20:]}" if any(good) else ""


def unsigned_marker(message_id: str) -> str:
    """The marker in a Message-ID as earlier versions made them, without a signature: anybody can write one."""
    match = _UNSIGNED.fullmatch(message_id.lower()) if len(message_id) <= _LONGEST else None
    return match[1] if match is not None else ""


def _signature(key: bytes, marker: str, place: str) -> str:
    signed = b"\0".join((_VERSION, marker.encode(), place.encode()))
    return hmac.digest(key, signed, "sha256").hex()[:_SIGNATURE]
