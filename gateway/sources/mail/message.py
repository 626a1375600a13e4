"""A mail as it was understood: `read_message` is total and pure."""

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from gateway.sources.mail.addresses import Address, parse_addresses
from gateway.sources.mail.charsets import decode
from gateway.sources.mail.content import Content, Reader, paragraph
from gateway.sources.mail.files import File
from gateway.sources.mail.headers import Headers, one_line
from gateway.sources.mail.html import to_text
from gateway.sources.mail.limits import MAX_ADDRESSES, MAX_REFERENCES, MAX_TEXT
from gateway.sources.mail.structure import Part, Structure
from gateway.sources.text import clean

_ID = re.compile(r"<\s*([^<>]{1,2000}?)\s*>")
_SPACES = re.compile(r"\s+")
_MOST_NESTED = 30


@dataclass(frozen=True, slots=True)
class Message:
    """A mail.

    * ``sender``: who wrote it: From, else Reply-To, Sender, Return-Path; None where none of them bears an address.
    * ``message_id``, ``in_reply_to``, ``references``: without angle brackets.
    * ``text``: the plain text, made from the HTML where the mail has none; ``html``: as the sender wrote it.
    * ``files``: all leaves that are not the text.
    * ``faults``: what could not be understood; ``lost``: something is missing, so the original should be kept beside.
    * ``sealed``: signed or encrypted as a whole: a signature can be checked, and a mail be decrypted, by its original only.
    * ``marks``: ``signed``, ``encrypted``.
    * ``reports``: the machine-readable parts of delivery reports; ``returned``: headers of the mail that came back.
    """

    headers: Headers = field(repr=False)
    subject: str = ""
    sender: Address | None = None
    from_: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: float | None = None
    text: str = ""
    html: str = ""
    files: tuple[File, ...] = ()
    faults: tuple[str, ...] = ()
    lost: bool = False
    sealed: bool = False
    marks: frozenset[str] = frozenset()
    root_type: str = ""
    root_parameters: dict[str, str] = field(default_factory=dict)
    reports: tuple[str, ...] = ()
    returned: Headers | None = None


def read_message(data: bytes) -> Message:
    """The mail that these octets are. Never raises; what is not understood is named in ``faults``."""
    structure = Structure()
    root = structure.read(data)
    content = Reader().read(root)
    headers = root.headers
    text, html, more_faults, cut = _body(content)
    from_ = tuple(_all_addresses(headers, "from"))
    reply_to = tuple(_all_addresses(headers, "reply-to"))
    to, cc = tuple(_all_addresses(headers, "to")), tuple(_all_addresses(headers, "cc"))
    for name, found in (("To", to), ("Cc", cc)):
        if len(found) >= MAX_ADDRESSES:
            more_faults.append(f"More than {MAX_ADDRESSES:,} addresses in {name}; the others are in the original")
            cut = True
    returned = next((part.headers for part in content.returned), None)
    return Message(
        headers=headers,
        subject=headers.text("subject", 10_000),
        sender=_sender(headers, from_, reply_to),
        from_=from_,
        reply_to=reply_to,
        to=to,
        cc=cc,
        message_id=next(iter(ids(_plain(headers, "message-id"))), ""),
        in_reply_to=tuple(ids(_plain(headers, "in-reply-to"))[:20]),
        references=_references(headers),
        date=_date(headers),
        text=text,
        html=html,
        files=tuple(content.files),
        faults=(*structure.faults, *content.faults, *more_faults),
        lost=structure.lost or content.lost or cut,
        sealed=content.sealed,
        marks=frozenset(content.marks),
        root_type=root.media_type,
        root_parameters=root.type_parameters,
        reports=tuple(content.reports),
        returned=returned,
    )


def _plain(headers: Headers, name: str) -> str:
    values = headers.all(name)
    plain = one_line(headers.plain(name)) if values else ""
    # Some programs encode ids that are longer than a line, which RFC 2047 forbids.
    return headers.text(name) if "=?" in plain else plain


def ids(value: str) -> list[str]:
    """The message ids of a header; where there are no angle brackets, its words."""
    found = [_SPACES.sub("", item) for item in _ID.findall(value)]
    if not found:
        parts = value.split()
        found = [word.strip("<>,;") for word in parts if "@" in word or len(parts) == 1]
    unique = dict.fromkeys(item for item in found if item)
    return list(unique)


def _references(headers: Headers) -> tuple[str, ...]:
    found = ids(_plain(headers, "references"))
    if len(found) > MAX_REFERENCES:
        found = [found[0], *found[-(MAX_REFERENCES - 1) :]]
    return tuple(found)


def _all_addresses(headers: Headers, name: str) -> list[Address]:
    found: list[Address] = []
    for value in headers.all(name)[:20]:
        found += parse_addresses(value)
        if name == "from" and found:
            break
    return found


def _sender(headers: Headers, from_: tuple[Address, ...], reply_to: tuple[Address, ...]) -> Address | None:
    """Of several From addresses the first valid one, since only one can be answered."""
    others = [*parse_addresses(headers.raw("sender"), 5), *parse_addresses(headers.raw("return-path"), 1)]
    for address in (*from_, *reply_to, *others):
        if "@" in address.address:
            return address
    return from_[0] if from_ else None


def _date(headers: Headers) -> float | None:
    """The Date header, if it bears a zone; else None."""
    text = headers.plain("date")[:100]
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError, TypeError, IndexError, OSError):
        return None


def _body(content: Content) -> tuple[str, str, list[str], bool]:
    """Text and HTML of all blocks. A mail that only holds other mails shows those."""
    blocks = content.blocks
    if not any((block.text or "").strip() or (block.html or "").strip() for block in blocks):
        blocks = content.packed or blocks
    faults: list[str] = []
    texts = [
        block.text if block.text is not None and (block.text.strip() or not block.html) else to_text(block.html or "")
        for block in blocks
    ]
    htmls = [block.html for block in blocks]
    html = ""
    if any(item is not None for item in htmls):
        html = "\n".join(item if item is not None else paragraph(text) for item, text in zip(htmls, texts, strict=True))
    texts = [clean(text) for text in texts]
    invitations = [clean(text) for text in content.invitations if text and not _said(text, texts)]
    if not any(text.strip() for text in texts):
        shown = next((file for file in content.files if file.media_type == "text/plain" and file.content.strip()), None)
        if shown is not None and not content.messages:
            texts.append(clean(decode(shown.content[:MAX_TEXT], "")[0]))
        texts += [_nested(part) for part in content.messages[:_MOST_NESTED]]
    digest = [_nested(part) for part in content.digest[:_MOST_NESTED]]
    if digest:
        texts.append("\n\n------------------------------\n\n".join(digest))
        html += "".join(f"<hr>{paragraph(text)}" for text in digest) if html else ""
    texts += invitations
    if html and invitations:
        html += "".join(f"<hr>{paragraph(text)}" for text in invitations)
    text = "\n".join(item.rstrip("\n") + "\n" for item in texts if item.strip()).strip("\n")
    cut = len(text) > MAX_TEXT or len(html) > MAX_TEXT
    if cut:
        faults.append("The text is longer than the limit and was cut")
    return text[:MAX_TEXT], clean(html[:MAX_TEXT]), faults, cut


def _said(invitation: str, texts: list[str]) -> bool:
    """Whether the text says already what the invitation says."""
    when = next((line for line in invitation.splitlines() if line.startswith("When: ")), "")
    return bool(when) and any(when in text for text in texts)


def _nested(part: Part) -> str:
    """A mail within the mail, for one that holds nothing else: who, what, and its text."""
    inner = Reader()
    blocks = inner.read(part).blocks
    head = [
        f"{name.title()}: {part.headers.text(name, 500)}"
        for name in ("from", "date", "subject")
        if part.headers.raw(name)
    ]
    body = [block.text if block.text is not None else to_text(block.html or "") for block in blocks]
    return clean("\n".join(head) + "\n\n" + "\n".join(body)).strip()
