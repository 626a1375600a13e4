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
MAX_SHOWN: Final = 200_000
"""Characters of the text that a ticket shows; of a longer one the original is attached."""
MAX_DECODED: Final = 80 * 2**20
"""Octets of all decoded parts together."""
MAX_RECEIVED: Final = 30
"""``Received`` headers beyond which a mail is held as going round in circles, unless the source says another number.

Sendmail gives up after 25, Exim after 30 and Postfix after 50, so hardly anything that is on a straight way has more.
RFC 5321 6.3 asks for 100 before a mail is *refused*; a held one is kept, and one word of an operator lets it through."""
