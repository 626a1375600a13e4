"""Mails to helpdesks, octet for octet the same for the same action.

Built by hand: the standard library chooses boundaries at random, and what goes out must be repeatable (the same
Message-ID, the same octets). RFC 5322 (lines and headers), 2045 to 2047 (MIME), 2231 (file names), 3834 (Auto-Submitted).
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from gateway.helpdesks.files import File

_PLAIN = re.compile(r"[\x20-\x7e]{1,70}")
_SAFE_NAME = re.compile(r"[A-Za-z0-9 !#$%&'*+/^_`{|}~-]{1,60}")
_SAFE_FILE = re.compile(r"[A-Za-z0-9 ._+@()-]{1,60}")
_WORD = 45  # octets of an encoded word: 60 of base64, 72 with its frame, of the 75 allowed


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says. ``subject`` and the names are single lines.

    ``token`` is put before the subject in plain ASCII (``[#123456]``). ``references`` are Message-IDs with their angle
    brackets; the first is also what the mail answers. ``auto_submitted``: no confirmation is sent for it, and it does not
    reopen a closed ticket. ``headers`` are further ones, by names that are checked where they are configured.
    """

    message_id: str
    marker: str
    at: float
    sender: str
    sender_name: str
    to: str
    subject: str
    text: str
    html: str = ""
    files: tuple[File, ...] = ()
    token: str = ""
    references: tuple[str, ...] = ()
    auto_submitted: bool = True
    copies: tuple[str, ...] = ()
    reply_to: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def as_text(mail: Mail) -> str:
    """The mail as pure ASCII text with CRLF line ends."""
    headers = [
        f"From: {_mailbox(mail.sender_name, mail.sender)}",
        f"To: <{mail.to}>",
        *([f"Cc: {_list(mail.copies)}"] if mail.copies else []),
        *([f"Reply-To: <{mail.reply_to}>"] if mail.reply_to else []),
        f"Subject: {_subject(mail)}",
        f"Date: {format_datetime(datetime.fromtimestamp(int(mail.at), UTC))}",
        f"Message-ID: {mail.message_id}",
    ]
    if mail.references:
        folded = "\r\n ".join(mail.references)
        headers += [f"In-Reply-To: {mail.references[0]}", f"References: {folded}"]
    if mail.auto_submitted:
        headers.append("Auto-Submitted: auto-generated")
    headers += [f"{name}: {_words(value)}" for name, value in mail.headers]
    headers.append("MIME-Version: 1.0")
    return "\r\n".join(headers) + "\r\n" + _body(mail)


def _list(addresses: tuple[str, ...]) -> str:
    return ",\r\n ".join(f"<{address}>" for address in addresses)


def _body(mail: Mail) -> str:
    content = _text("plain", mail.text)
    if mail.html:
        shown = [_file(file) for file in mail.files if file.content_id]
        page = _text("html", mail.html)
        page = _multipart("related", [page, *shown], f"tg-{mail.marker}-r") if shown else page
        content = _multipart("alternative", [content, page], f"tg-{mail.marker}-a")
        others = [_file(file) for file in mail.files if not file.content_id]
    else:
        others = [_file(file) for file in mail.files]
    return _multipart("mixed", [content, *others], f"tg-{mail.marker}-m") if others else content


def _multipart(kind: str, parts: list[str], boundary: str) -> str:
    # Every part is base64, so no line of any can begin with the boundary's two dashes.
    inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{inner}--{boundary}--\r\n'


def _text(kind: str, text: str) -> str:
    # Line ends stay LF inside the base64: osTicket takes it octet for octet, and JSON tickets have LF too.
    return (
        f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{_base64(text.encode())}"
    )


def _file(file: File) -> str:
    """A leaf. Mails inside mails are made opaque: base64 is not allowed for them, and a parser may unpack them."""
    opaque = file.media_type.startswith(("message/", "multipart/"))
    kind = "application/octet-stream" if opaque else file.media_type
    inline = f"Content-ID: <{file.content_id}>\r\n" if file.content_id else ""
    return (
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n{inline}"
        f"Content-Disposition: {'inline' if inline else 'attachment'};{_file_name(file.name)}\r\n\r\n"
        f"{_base64(file.content)}"
    )


def _file_name(name: str) -> str:
    if _SAFE_FILE.fullmatch(name):
        return f'\r\n filename="{name}"'
    return f"\r\n filename*=utf-8''{quote(name, safe='')}"


def _base64(content: bytes) -> str:
    text = base64.b64encode(content).decode("ascii")
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\r\n"


def _subject(mail: Mail) -> str:
    return " ".join(part for part in (mail.token, _words(mail.subject)) if part)


def _mailbox(name: str, address: str) -> str:
    if not name:
        return f"<{address}>"
    return f'"{name}" <{address}>' if _SAFE_NAME.fullmatch(name) else f"{_words(name, always=True)}\r\n <{address}>"


def _words(text: str, *, always: bool = False) -> str:
    """Encoded words (RFC 2047), folded; plain text stays as it is unless ``always``."""
    if not always and _PLAIN.fullmatch(text) and "=?" not in text:
        return text
    words: list[bytes] = [b""]
    for character in text:
        octets = character.encode()
        if len(words[-1]) + len(octets) > _WORD:
            words.append(b"")
        words[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode('ascii')}?=" for word in words)
