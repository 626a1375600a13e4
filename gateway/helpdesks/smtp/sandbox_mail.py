"""Mails as the sandbox's helpdesk reads them, with the standard library: somebody else's idea of what our mails say.

Not a mail parser for the world: only the gateway's own mails, and what people send by hand, come here.
"""

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import getaddresses

from gateway.sandbox.records import NewAttachment, NewEntry

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError)
_TOKEN = re.compile(r"\[tg:([0-9a-f]+)\]")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as a helpdesk cares."""

    name: str
    address: str
    subject: str
    message_id: str
    references: tuple[str, ...]
    automatic: bool
    headers: dict[str, str]
    entry: NewEntry

    @property
    def token(self) -> str:
        """The gateway's token in the subject; empty where there is none."""
        found = _TOKEN.search(self.subject)
        return found[1] if found else ""


def read_mail(raw: bytes) -> Mail | None:
    """The mail; None for one that the standard library cannot read."""
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return _mail(message)
    except _UNREADABLE:
        return None


def _mail(message: EmailMessage) -> Mail:
    name, address = next(iter(getaddresses([str(message.get("From", ""))])), ("", ""))
    subject = " ".join(str(message.get("Subject", "")).split())
    message_id = str(message.get("Message-ID", "")).strip()
    anchors = f"{message.get('In-Reply-To', '')} {message.get('References', '')}"
    html, plain = message.get_body(("html",)), message.get_body(("plain",))
    body = html if isinstance(html, EmailMessage) else plain
    files = tuple(_file(part) for part in message.walk() if part is not html and part is not plain and _is_file(part))
    automatic = str(message.get("Auto-Submitted", "no")).lower() != "no"
    entry = NewEntry(
        kind="message",
        poster=name or address,
        body=str(body.get_content()) if isinstance(body, EmailMessage) else "",
        format="html" if isinstance(html, EmailMessage) else "text",
        title=subject,
        message_id=message_id,
        attachments=files,
        details={"automatic": "yes" if automatic else "no"},
    )
    return Mail(
        name=name or address,
        address=address,
        subject=subject or "(no subject)",
        message_id=message_id,
        references=tuple(re.findall(r"<[^<>\s]+>", anchors)),
        automatic=automatic,
        headers={key.lower(): " ".join(str(value).split()) for key, value in message.items()},
        entry=entry,
    )


def _is_file(part: object) -> bool:
    return isinstance(part, EmailMessage) and not part.is_multipart()


def _file(part: object) -> NewAttachment:
    assert isinstance(part, EmailMessage)
    payload = part.get_payload(decode=True)
    return NewAttachment(
        filename=part.get_filename() or "file",
        media_type=part.get_content_type(),
        data=payload if isinstance(payload, bytes) else b"",
        inline=part.get_content_disposition() == "inline",
        content_id=str(part.get("Content-ID", "")).strip("<> "),
    )
