"""What of a mail's parts is shown as text, and what is a file.

The walk follows what mail programs show (RFC 8621 4.1.4 describes the same): the first text of a multipart is text
even with a name, later ones only without; of alternatives the plain one and the richest are kept side by side; all
other leaves are files. Nothing is left out: what is neither text nor known is a file.
"""

import re
from dataclasses import dataclass, field
from html import escape
from typing import Final

from gateway.sources.mail import charsets, transfer
from gateway.sources.mail.calendar import describe
from gateway.sources.mail.files import File
from gateway.sources.mail.html import to_text
from gateway.sources.mail.images import lift
from gateway.sources.mail.limits import MAX_ATTACHMENTS, MAX_DECODED, MAX_TEXT
from gateway.sources.mail.smime import signed_content
from gateway.sources.mail.structure import MESSAGE_TYPES, Part, Structure
from gateway.sources.mail.tnef import unpack
from gateway.sources.mail.types import extension_of, sniff

_TEXTS: Final = frozenset({"text/plain", "text/html"})
_REPORTS: Final = frozenset({"message/delivery-status", "message/disposition-notification", "message/feedback-report"})
_PARTS_OF_REPORTS: Final = {kind: kind.partition("/")[2] for kind in (*_REPORTS, "text/rfc822-headers")}
_TNEF: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_SIGNATURES: Final = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_SMIME: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_MOST_SEALED: Final = 3
_CLEARSIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_PGP: Final = "-----BEGIN PGP MESSAGE-----"


@dataclass(slots=True)
class Block:
    """A piece of the body: as text, as HTML, or the same in both."""

    text: str | None = None
    html: str | None = None


@dataclass(slots=True)
class Content:
    """Everything below the headers. ``faults`` name what was not understood; ``lost`` says that something is missing.

    ``sealed``: signed or encrypted as a whole, which only the original shows. ``packed`` is the body within winmail.dat,
    for a mail that has no other. ``messages`` are mails within the mail, ``digest`` those of a digest.
    """

    blocks: list[Block] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lost: bool = False
    marks: set[str] = field(default_factory=set)
    reports: list[str] = field(default_factory=list)
    returned: list[Part] = field(default_factory=list)
    invitations: list[str] = field(default_factory=list)
    messages: list[Part] = field(default_factory=list)
    digest: list[Part] = field(default_factory=list)
    packed: list[Block] = field(default_factory=list)
    sealed: bool = False


class Reader:
    """Walks the tree once."""

    def __init__(self) -> None:
        """A reader for one mail."""
        self.content = Content()
        self._decoded = 0
        self._names = 0
        self._sealed = 0

    def read(self, root: Part) -> Content:
        """The content of a mail."""
        self.content.blocks = self._walk(root, "", 0)
        return self.content

    def _fault(self, sentence: str, *, lost: bool = False) -> None:
        self.content.lost = self.content.lost or lost
        if sentence not in self.content.faults and len(self.content.faults) < 50:
            self.content.faults.append(sentence)

    # ------------------------------------------------------------------------------------------------------- walking

    def _walk(self, part: Part, parent: str, index: int) -> list[Block]:
        """The blocks of a part; files are put aside. Recursion is as deep as the tree, which is bounded."""
        kind = part.media_type
        if part.is_multipart:
            if kind == "multipart/alternative" and part.children:
                return self._alternative(part)
            if kind in {"multipart/signed", "multipart/encrypted"}:
                self.content.marks.add(kind.partition("/")[2])
                self.content.sealed = True
            blocks: list[Block] = []
            for position, child in enumerate(part.children):
                blocks += self._walk(child, kind, position)
            return blocks
        if kind in MESSAGE_TYPES:
            return self._message(part, parent)
        if kind in _TEXTS and self._is_shown(part, parent, index):
            if part.disposition and part.disposition_parameters.get("filename"):
                self._leaf(part, parent)  # a file that is shown is both
            return self._text(part)
        return self._leaf(part, parent)

    @staticmethod
    def _is_shown(part: Part, parent: str, index: int) -> bool:
        if part.disposition == "attachment":
            return False
        if part.disposition not in {"", "inline"} and parent:
            return False  # a word that is not known counts as attachment (RFC 2183 2.8)
        return index == 0 or not _name_of(part) or not parent

    def _alternative(self, part: Part) -> list[Block]:
        """One block of the plainest and the richest child. Files of all children are kept."""
        plain: str | None = None
        rich: list[Block] | None = None
        rest: list[Block] = []
        for child in part.children:
            blocks = self._walk(child, part.media_type, 0)
            if any(block.html is not None for block in blocks):
                if rich is not None and not any((block.html or "").strip() for block in blocks):
                    continue
                if rich is not None and _letters(rich) != _letters(blocks):
                    self._fault("Of several HTML alternatives only the last is shown", lost=True)
                rich = blocks
            elif blocks:
                text = "\n".join(block.text or "" for block in blocks)
                if plain is None or not plain.strip():
                    plain = text
                elif text.strip() and text not in plain:
                    rest.append(Block(text=text))
        if rich is None:
            return ([Block(text=plain)] if plain is not None else []) + rest
        if plain is None or not plain.strip():
            return rich + rest
        rest += [  # an alternative within the richest has words of its own
            Block(text=block.text)
            for block in rich
            if block.html is not None and block.text and block.text.strip() and block.text not in plain
        ]
        html = "".join(block.html if block.html is not None else paragraph(block.text or "") for block in rich)
        return [Block(text=plain, html=html), *rest]

    # -------------------------------------------------------------------------------------------------------- leaves

    def _payload(self, part: Part, what: str) -> bytes:
        room = MAX_DECODED - self._decoded
        if room <= 0:
            self._fault("The decoded parts are beyond the limit; the others are in the original", lost=True)
            return b""
        content, fault = transfer.decode(part.body, part.encoding)
        if fault:
            self._fault(f"{what} {fault}", lost=not fault.startswith("has something else"))
        self._decoded += len(content)
        return content

    def _text(self, part: Part) -> list[Block]:
        data = self._payload(part, "The text")
        files = transfer.find_uuencoded(data) if part.media_type == "text/plain" else []
        if files:
            pieces, position = [], 0
            for start, end, name, content in files:
                pieces.append(data[position:start])
                position = end
                self._add(File(name, sniff(content, name) or "application/octet-stream", content))
            data = b"".join((*pieces, data[position:]))
        if part.media_type == "text/plain" and b"=ybegin " in data[:2000]:
            self._fault("The text holds yEnc data, which is left as it is")
        declared = part.type_parameters.get("charset", "")
        if part.media_type == "text/html" and not charsets.codec_of(declared):
            declared = _meta_charset(data) or declared
        if part.media_type == "text/html" and b"data:image/" in data:
            data, images = lift(data, max(0, MAX_DECODED - self._decoded))
            for image in images:
                self._add(image)
        text, certain = charsets.decode(data[: MAX_TEXT * 4], declared)
        if len(data) > MAX_TEXT * 4 or len(text) > MAX_TEXT:
            text = text[:MAX_TEXT]
            self._fault(f"The text is longer than {MAX_TEXT:,} characters and was cut", lost=True)
        if not certain:
            named = f" declared as {declared[:40]}" if declared else ""
            self._fault(f"The text{named} has octets that are no text", lost=True)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if part.media_type == "text/html":
            return [Block(html=text)]
        if part.type_parameters.get("format", "").lower() == "flowed":
            text = unflow(text, delete_space=part.type_parameters.get("delsp", "").lower() == "yes")
        if _CLEARSIGNED in text:
            self.content.marks.add("signed")
        if _PGP in text:
            self.content.marks.add("encrypted")
        return [Block(text=text)]

    def _message(self, part: Part, parent: str) -> list[Block]:
        """A mail within the mail: kept as a file, and read if there is nothing else to read."""
        content = self._payload(part, "An attached message")
        name = _name_of(part)
        if not name and part.children:
            subject = part.children[0].headers.text("subject", 1000)
            name = f"{subject[:100] or 'message'}.eml"
        self._add(
            File(name, part.media_type, content, part.disposition == "inline", _content_id(part), "message/rfc822")
        )
        if parent == "multipart/report":
            self.content.returned += part.children
        (self.content.digest if parent == "multipart/digest" else self.content.messages).extend(part.children)
        return []

    def _leaf(self, part: Part, parent: str) -> list[Block]:
        kind, name = part.media_type, _name_of(part)
        blocks: list[Block] = []
        if part.is_multipart or kind.startswith("multipart/"):
            kind = kind if part.opaque else "application/octet-stream"
        content = self._payload(part, f"The attachment {name[:80]!r}" if name else "An attachment")
        if kind in _REPORTS or kind in {"text/rfc822-headers", "message/global-delivery-status"}:
            self.content.reports.append(charsets.decode(content[:65_536], "")[0])
        if kind == "text/calendar" and len(content) <= 1_000_000:
            self.content.invitations.append(
                describe(charsets.decode(content, part.type_parameters.get("charset", ""))[0])
            )
        if kind in _SIGNATURES:
            self.content.marks.add("signed")
        if kind in _SMIME:
            blocks = self._smime(part, content)
        detected = sniff(content, name)
        inline = part.disposition == "inline" or (
            not part.disposition and parent == "multipart/related" and bool(_content_id(part))
        )
        file = File(name, kind or detected or "application/octet-stream", content, inline, _content_id(part), detected)
        if kind in _TNEF or (name.lower() == "winmail.dat" and content[:4] == b"\x78\x9f\x3e\x22"):
            self._tnef(file)
        else:
            self._add(file)
        return blocks

    def _tnef(self, file: File) -> None:
        """The files within winmail.dat beside it, and its body."""
        opened = unpack(file.content)
        self._add(file)
        if opened is None or not opened.whole:
            what = (
                "could not be unpacked"
                if opened is None
                else "is damaged or beyond the limits; what could be was unpacked"
            )
            self._fault(f"winmail.dat {what}; it is attached as it is", lost=True)
        if opened is None:
            return
        self._decoded += sum(len(inner.content) for inner in opened.files)
        for inner in opened.files:
            detected = sniff(inner.content, inner.name)
            kind = inner.media_type or detected or "application/octet-stream"
            self._add(File(inner.name, kind, inner.content, False, inner.content_id, detected))
        if opened.html.strip() or opened.text.strip():
            self.content.packed.append(
                Block(text=opened.text if opened.text.strip() else None, html=opened.html or None)
            )

    def _smime(self, part: Part, content: bytes) -> list[Block]:
        """A mail that is sealed in one piece: one that is only signed is read, one that is encrypted is kept."""
        self.content.sealed = True
        said = signed_content(content) if self._sealed < _MOST_SEALED else None
        if said is None:
            signed = part.type_parameters.get("smime-type", "").lower().startswith("signed")
            self.content.marks.add("signed" if signed else "encrypted")
            return []
        self.content.marks.add("signed")
        self._sealed += 1
        structure = Structure()
        blocks = self._walk(structure.read(said), "", 0)
        for fault in structure.faults:
            self._fault(fault, lost=structure.lost)
        return blocks

    def _add(self, file: File) -> None:
        if len(self.content.files) >= MAX_ATTACHMENTS:
            self._fault(f"More than {MAX_ATTACHMENTS} attachments; the others are in the original", lost=True)
            return
        if not file.name:
            self._names += 1
            number = f"-{self._names}" if self._names > 1 else ""
            extension = extension_of(file.media_type) or extension_of(file.detected_type) or ".bin"
            stem = (
                "message" if file.media_type in MESSAGE_TYPES else _PARTS_OF_REPORTS.get(file.media_type, "attachment")
            )
            named = File(
                f"{stem}{number}{extension}",
                file.media_type,
                file.content,
                file.inline,
                file.content_id,
                file.detected_type,
            )
            file = named
        self.content.files.append(file)


def _name_of(part: Part) -> str:
    """A file's name as the sender wrote it."""
    name = part.disposition_parameters.get("filename") or part.type_parameters.get("name")
    name = name or part.disposition_parameters.get("name") or part.type_parameters.get("filename") or ""
    return name.replace("\r", "").replace("\n", "").strip()[:10_000]


def _content_id(part: Part) -> str:
    value = part.headers.plain("content-id")
    return value.strip().strip("<>").strip()[:500] if value else ""


_META = re.compile(rb"<meta[^<>]{0,300}charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)


def _meta_charset(data: bytes) -> str:
    match = _META.search(data[:4000])
    return match[1].decode("ascii") if match else ""


def _letters(blocks: list[Block]) -> str:
    """What blocks say, without their layout."""
    said = (to_text(block.html) if block.html is not None else block.text or "" for block in blocks)
    return "".join(letter for text in said for letter in text if letter.isalnum())


def paragraph(text: str) -> str:
    """Plain text as a piece of HTML."""
    return "<div>" + escape(text, quote=False).replace("\n", "<br>\n") + "</div>"


_QUOTE_MARKS = re.compile(r">*")


def unflow(text: str, *, delete_space: bool) -> str:
    """Text of ``format=flowed`` with its soft line ends joined (RFC 3676 4.1 to 4.3)."""
    out: list[str] = []
    open_depth = -1
    for raw in text.split("\n"):
        match = _QUOTE_MARKS.match(raw)
        depth = match.end() if match else 0
        line = raw[depth:].removeprefix(" ")
        flows = line.endswith(" ") and line != "-- "
        if flows and delete_space:
            line = line[:-1]
        if open_depth != depth or line == "-- ":
            out.append("\n" if out else "")
            out.append(">" * min(depth, 50) + " " if depth else "")
        out.append(line)
        open_depth = depth if flows else -1
    return "".join(out)
