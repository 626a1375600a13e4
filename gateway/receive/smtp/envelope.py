"""What is known about a message beside its bytes."""

from dataclasses import dataclass
from typing import Literal

SEPARATOR = "\n"
"""Between the entries of ``rcpt_to`` and of ``subaddress``, where there are several: no address holds a line break."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient as the client wrote it, whose it is, and its sub-address."""

    address: str
    source: str
    subaddress: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one message.

    ``mail_from`` is empty for the null sender. ``peer`` is the client's address, never a name; empty for a unix socket.
    ``tls`` is ``TLSv1.3 TLS_AES_256_GCM_SHA384`` or empty; ``auth_user`` is empty where nobody logged in; ``helo`` is the
    client's own word, and worth no more than that.
    """

    door: Literal["smtp", "lmtp"]
    mail_from: str
    recipients: tuple[Recipient, ...]
    peer: str = ""
    helo: str = ""
    tls: str = ""
    auth_user: str = ""
    utf8: bool = False
    eight_bit: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that get the message, in the order of their first recipients."""
        return tuple(dict.fromkeys(recipient.source for recipient in self.recipients))

    def fields(self, source: str) -> dict[str, str]:
        """The envelope of one source's receipt: only its own recipients. Values that are not there have no field.

        ``mail_from`` is always there: it is empty for the null sender.
        """
        mine = [recipient for recipient in self.recipients if recipient.source == source]
        found = {
            "door": self.door,
            "mail_from": self.mail_from,
            "rcpt_to": SEPARATOR.join(recipient.address for recipient in mine),
        }
        if tags := dict.fromkeys(recipient.subaddress for recipient in mine if recipient.subaddress):
            found["subaddress"] = SEPARATOR.join(tags)
        optional = {"helo": self.helo, "tls": self.tls, "auth_user": self.auth_user}
        found |= {name: value for name, value in optional.items() if value}
        if self.utf8:
            found["smtputf8"] = "yes"
        if self.eight_bit:
            found["body"] = "8BITMIME"
        return found
