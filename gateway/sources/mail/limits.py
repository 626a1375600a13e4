"""How much of a mail is looked at. What lies beyond is not lost: the original is attached, with a warning."""

from typing import Final

MAX_DEPTH: Final = 20
"""Multiparts and messages within one another; what lies deeper stays one opaque attachment."""
MAX_PARTS: Final = 1000
"""Parts of one mail; the rest stays one opaque attachment."""
MAX_ATTACHMENTS: Final = 200
"""Attachments of one event."""
MAX_HEADERS: Final = 1000
"""Header fields of one part."""
MAX_HEADER: Final = 65_536
"""Octets of one header field."""
MAX_HEADER_BLOCK: Final = 262_144
"""Octets of the header block of one part."""
MAX_ADDRESSES: Final = 1000
"""Addresses of one header."""
MAX_REFERENCES: Final = 100
"""Message ids of References; of longer lists the first and the newest are kept."""
MAX_TEXT: Final = 2_000_000
"""Characters of the text, and of the HTML, of one mail."""
MAX_DECODED: Final = 80 * 2**20
"""Octets of all decoded parts together."""
MAX_RECEIVED: Final = 100
"""``Received`` headers from which on a mail counts as going round in circles (RFC 5321 6.3)."""
