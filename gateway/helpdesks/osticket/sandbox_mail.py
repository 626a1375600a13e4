"""Mails as the osTicket double reads them from `tickets.email`.

Not a mail parser for the world: the gateway's own mails and the recorded ones go in here. Whatever the standard library
cannot read counts as a mail without a sender, which osTicket refuses.
"""

import email
import email.header
import email.message
import email.policy
import email.utils
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.helpdesks.osticket.sandbox_text import clean_html, clean_subject, clean_text, valid_email
from gateway.sandbox.records import NewAttachment

_MESSAGE_ID_LENGTH = 255
# What the standard library's parser is known to raise over hostile headers.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as osTicket cares. ``refused_files`` are the names of empty attachments."""

    name: str
    address: str
    subject: str
    message_id: str
    references: tuple[str, ...]
    recipients: tuple[str, ...]
    body: str
    format: str
    automatic: bool
    attachments: tuple[NewAttachment, ...] = ()
    refused_files: tuple[str, ...] = ()


def subject_of_mail(raw: bytes) -> str:
    """The decoded Subject; empty if it cannot be read."""
    try:
        return _header(email.message_from_bytes(raw, policy=email.policy.compat32), "Subject")
    except _UNREADABLE:
        return ""


def parse_mail(raw: bytes, separator: str) -> Mail | None:
    """Read a mail; None for one without a usable sender, with no body at all, or that cannot be read."""
    try:
        return _parse_mail(raw, separator)
    except _UNREADABLE:
        return None


def _parse_mail(raw: bytes, separator: str) -> Mail | None:
    border = re.search(rb"\r?\n\r?\n", raw)
    if border is None or border.end() == len(raw):
        return None
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    sender = _sender(message)
    if sender is None:
        return None
    text, form, files, empty = _content(message)
    message_id = _header(message, "Message-ID").strip()
    if not message_id:
        message_id = f"<{hashlib.md5(raw[: border.start()], usedforsecurity=False).hexdigest()}@local>"
    anchors = f"{_header(message, 'In-Reply-To')} {_header(message, 'References')}"
    at = text.find(separator) if separator else -1
    text = text if at < 0 else text[:at]
    return Mail(
        name=sender[0],
        address=sender[1],
        subject=clean_subject(_header(message, "Subject")).strip() or "[No Subject]",
        message_id=message_id,
        references=tuple(re.findall(r"<[^<>\s]+>", anchors)),
        recipients=_recipients(message),
        body=_stored(text, form),
        format=form,
        automatic=_automatic(message),
        attachments=files,
        refused_files=empty,
    )


def stored_message_id(message_id: str) -> str:
    """A Message-ID as it fits the column."""
    return message_id[:_MESSAGE_ID_LENGTH]


def _stored(text: str, form: str) -> str:
    if form == "html":
        return re.sub(r"\s+$", " ", clean_html(text))
    return clean_text(text).strip() or "-"


def _header(message: email.message.Message, name: str) -> str:
    value = message.get(name)
    if value is None:
        return ""
    pieces = []
    try:
        for part, charset in email.header.decode_header(str(value)):
            pieces.append(part if isinstance(part, str) else part.decode(charset or "utf-8", "replace"))
    except (LookupError, ValueError):  # an unknown charset, or an encoded word that is none
        return _sound(str(value))
    return _sound(re.sub(r"\r?\n[ \t]*", " ", "".join(pieces)))


def _sound(text: str) -> str:
    """Without the lone surrogates by which the parser hands on bytes it cannot decode."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _sender(message: email.message.Message) -> tuple[str, str] | None:
    for name, address in email.utils.getaddresses([str(value) for value in message.get_all("From", [])]):
        if valid_email(address):
            return _decoded(name) or address, address
    return None


def _decoded(text: str) -> str:
    holder = email.message.Message()
    holder["X"] = text
    return _header(holder, "X").strip()


def _recipients(message: email.message.Message) -> tuple[str, ...]:
    headers = [str(v) for name in ("To", "Cc", "Delivered-To") for v in message.get_all(name, [])]
    return tuple(address.lower() for _, address in email.utils.getaddresses(headers) if address)


def _automatic(message: email.message.Message) -> bool:
    submitted = _header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if _header(message, "Precedence").lower() in {"bulk", "list", "junk", "auto_reply", "auto-reply"}:
        return True
    suppressed = _header(message, "X-Auto-Response-Suppress").lower()
    return any(word in suppressed for word in ("all", "autoreply", "oof")) or any(
        name in message for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply-From")
    )


def _leaves(message: email.message.Message) -> Iterator[email.message.Message]:
    for part in message.walk():
        if not part.is_multipart():
            yield part


def _bytes(part: email.message.Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: email.message.Message) -> str:
    try:
        return _bytes(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return _bytes(part).decode("utf-8", "replace")


def _file_of(part: email.message.Message) -> NewAttachment | None:
    """The part as a file, or None if it is text to be read."""
    name = part.get_filename()
    disposition = part.get_content_disposition()
    media_type = part.get_content_type()
    content_id = _header(part, "Content-ID").strip("<> \t\r\n")
    if disposition != "attachment" and not name and media_type in {"text/plain", "text/html"}:
        return None
    data = _bytes(part)
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if media_type.startswith("text/") and encoding in {"7bit", "8bit"} and data:
        data += b"\n"  # recorded: text that is not encoded gains a newline
    if not name:
        name = f"{media_type.partition('/')[0]}-{secrets.token_urlsafe(3)}.{media_type.partition('/')[2]}"
    inline = bool(content_id) and disposition != "attachment"
    return NewAttachment(_decoded(name), _sound(media_type), data, inline=inline, content_id=content_id)


def _content(message: email.message.Message) -> tuple[str, str, tuple[NewAttachment, ...], tuple[str, ...]]:
    plain: str | None = None
    rich: str | None = None
    files: list[NewAttachment] = []
    empty: list[str] = []
    for part in _leaves(message):
        file = _file_of(part)
        if file is not None and file.data:
            files.append(file)
        elif file is not None:
            empty.append(file.filename)
        elif part.get_content_type() == "text/html" and rich is None:
            rich = _text(part)
        elif part.get_content_type() == "text/plain" and plain is None:
            plain = _text(part)
    if rich is None:
        return plain or "", "text", tuple(files), tuple(empty)
    bound, rich = _bind(files, rich)
    return rich, "html", bound, tuple(empty)


def _bind(files: list[NewAttachment], text: str) -> tuple[tuple[NewAttachment, ...], str]:
    """Give inline images the helpdesk's own ids, in the text and in the files."""
    bound = []
    for file in files:
        if file.inline and f"cid:{file.content_id}" in text:
            own = secrets.token_urlsafe(24)
            text = text.replace(f"cid:{file.content_id}", f"cid:{own}")
            bound.append(NewAttachment(file.filename, file.media_type, file.data, inline=True, content_id=own))
        else:
            bound.append(NewAttachment(file.filename, file.media_type, file.data))
    return tuple(bound), text
