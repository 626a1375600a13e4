"""The tree of a mail's parts, found by their boundaries in one buffer: bounded, linear, and without copies.

Why not the parser of the standard library: it recurses, it raises on hostile headers, and it goes line by line, which
alone takes the better part of the two seconds that a mail of 25 MB may cost.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.sources.mail import transfer
from gateway.sources.mail.headers import Headers, parameters, split_headers
from gateway.sources.mail.limits import MAX_DEPTH, MAX_PARTS

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")  # RFC 6838 4.2
_GUESS = re.compile(rb"(?:^|\n)--([^\r\n]{1,200}?)[ \t]*\r?\n(?=[A-Za-z-]{1,60}:)")
_BLANK_LINES = re.compile(rb"(?:[ \t]{0,1000}\r?\n){1,50}")
_MBOX = re.compile(rb">?From [^\r\n]*\r?\n")
MESSAGE_TYPES: Final = frozenset({"message/rfc822", "message/global"})


@dataclass(slots=True)
class Part:
    """One part: its headers and where its body stands in ``buffer``.

    ``media_type`` is empty where it is missing or no type; ``disposition`` is ``inline``, ``attachment``, another word,
    or empty.
    """

    buffer: bytes = field(repr=False)
    start: int
    end: int
    headers: Headers
    media_type: str = ""
    type_parameters: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    disposition_parameters: dict[str, str] = field(default_factory=dict)
    encoding: str = ""
    children: list["Part"] = field(default_factory=list)
    opaque: bool = False

    @property
    def body(self) -> bytes:
        """The body as it stands in the mail, transfer encoding and all."""
        return self.buffer[self.start : self.end]

    @property
    def is_multipart(self) -> bool:
        """Whether the part has parts, or should have."""
        return self.media_type.startswith("multipart/") and not self.opaque

    @property
    def is_message(self) -> bool:
        """Whether the part holds a mail that was read as one."""
        return self.media_type in MESSAGE_TYPES


class Structure:
    """Reads the tree. ``faults`` are sentences about what is broken or beyond the limits."""

    def __init__(self) -> None:
        """A reader for one mail."""
        self.faults: list[str] = []
        self.lost = False
        self._parts = 0

    def read(self, data: bytes) -> Part:
        """The tree of a whole mail."""
        if b"\n" not in data and b"\r" in data:
            data = data.replace(b"\r", b"\n")
        start = 0
        mbox = _MBOX.match(data)
        if mbox is not None:
            start = mbox.end()
        blank = _BLANK_LINES.match(data, start)
        start = blank.end() if blank else start
        return self._part(data, start, len(data), 0, "text/plain")

    def _fault(self, sentence: str, *, lost: bool = False) -> None:
        self.lost = self.lost or lost
        if sentence not in self.faults and len(self.faults) < 50:
            self.faults.append(sentence)

    def _part(self, data: bytes, start: int, end: int, depth: int, default: str) -> Part:
        """One part with its children; recursion is as deep as `MAX_DEPTH`."""
        self._parts += 1
        headers, body = split_headers(data, start, end)
        if headers.cut:
            self._fault("The headers are beyond the limits and were cut", lost=True)
        part = Part(data, body, end, headers)
        self._describe(part, default)
        if depth >= MAX_DEPTH:
            if part.is_multipart or part.is_message:
                part.opaque = True
                self._fault(f"Parts nest more than {MAX_DEPTH} deep; what lies deeper was left as it is", lost=True)
            return part
        if part.is_multipart:
            self._open(part, depth)
        elif part.is_message and part.media_type in MESSAGE_TYPES:
            self._open_message(part, depth)
        return part

    @staticmethod
    def _describe(part: Part, default: str) -> None:
        types = part.headers.all("content-type")
        for value in types:  # of several, the first that is a type
            word, found = parameters(value)
            if word == "text":
                word = "text/plain"
            if _TYPE.fullmatch(word) is not None:
                part.media_type, part.type_parameters = word, found
                break
            part.type_parameters = part.type_parameters or found
        value = part.headers.raw("content-disposition")
        if value:
            part.disposition, part.disposition_parameters = parameters(value)
        is_file = part.disposition == "attachment" or "filename" in part.disposition_parameters
        if not part.media_type and not (types and is_file):
            part.media_type = default
        part.encoding = transfer.encoding_of(part.headers.plain("content-transfer-encoding"))

    def _open(self, part: Part, depth: int) -> None:
        data, start, end = part.buffer, part.start, part.end
        if part.encoding in {"base64", "quoted-printable"}:  # forbidden by RFC 2045, and done
            boundary = part.type_parameters.get("boundary", "").encode("utf-8", "replace")
            if not boundary or data.find(b"--" + boundary, start, end) < 0:
                data, _ = transfer.decode(part.body, part.encoding)
                start, end = 0, len(data)
                self._fault("A multipart bears a transfer encoding")
        ranges = self._ranges(part, data, start, end)
        if ranges is None and not data[start:end].strip():
            return
        if ranges is None:
            # Nothing can be told apart: shown as the text that it is.
            part.opaque = True
            part.media_type = "text/plain"
            part.buffer, part.start, part.end = data, start, end
            self._fault("A multipart has no parts; it is shown as text")
            return
        default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        if ranges and len(part.headers.all("content-type")) > 1:
            self._lost_first_part(part, data, start, ranges[0][0], depth)
        for first, last in ranges:
            if self._parts >= MAX_PARTS:
                self._fault(f"The mail has more than {MAX_PARTS} parts; the others are in the original", lost=True)
                break
            part.children.append(self._part(data, first, last, depth + 1, default))

    def _lost_first_part(self, part: Part, data: bytes, start: int, end: int, depth: int) -> None:
        """A first part without delimiter, whose headers were written right below those of the multipart."""
        end = max(start, data.rfind(b"\n--", start, end))
        own = Headers(
            part.headers.fields[
                1
                + max(
                    i
                    for i, (name, value) in enumerate(part.headers.fields)
                    if name == "content-type" and b"multipart" in value.lower()
                ) :
            ]
        )
        if not data[start:end].strip() or not own.raw("content-type"):
            return
        self._parts += 1
        first = Part(data, start, end, own)
        self._describe(first, "text/plain")
        if not first.is_multipart and depth < MAX_DEPTH:
            part.children.append(first)

    def _ranges(self, part: Part, data: bytes, start: int, end: int) -> list[tuple[int, int]] | None:
        """Where the parts of a multipart stand; None if no boundary can be found."""
        boundary = part.type_parameters.get("boundary", "").encode("utf-8", "surrogateescape")
        candidates = [boundary, boundary.strip().strip(b"\"'")] if boundary.strip() else []
        for candidate in candidates:
            found = self._split(candidate, data, start, end) if candidate else None
            if found is not None:
                return found
        guess = _GUESS.search(data, max(0, start - 1), min(end, start + 100_000))
        if guess is not None:
            self._fault("The boundary of a multipart is wrong; it was found in the text")
            return self._split(guess[1], data, start, end)
        return None

    def _split(self, boundary: bytes, data: bytes, start: int, end: int) -> list[tuple[int, int]] | None:
        # A delimiter is a line of its own (RFC 2046 5.1.1); blanks may follow. `[ -]?` is for a closing with one dash.
        first = rb"(?:\A|\n)--" if start == 0 else rb"\n--"
        line = re.compile(first + re.escape(boundary) + rb"(--)?[ \t]*\r?(?=\n|\Z)")
        found: list[tuple[int, int]] = []
        opened: int | None = None
        seen = False
        # One octet before, so that a boundary right at the start of the body is at the start of a line.
        for match in line.finditer(data, max(0, start - 1) if start else 0, end):
            seen = True
            at = match.start()
            if at + (data[at] == 10) < start:
                continue
            if opened is not None:
                last = at - 1 if at > opened and data[at - 1] == 13 else at
                found.append((opened, max(opened, last)))
            opened = None if match[1] else min(match.end() + 1, end)
            if len(found) >= MAX_PARTS:
                break
        if opened is not None and len(found) < MAX_PARTS:
            if data[opened:end].strip():
                found.append((opened, end))
            self._fault("A multipart is not closed; the mail may have been cut")
        return found if seen else None

    def _open_message(self, part: Part, depth: int) -> None:
        data, start, end = part.buffer, part.start, part.end
        if part.encoding in {"base64", "quoted-printable", "x-uuencode"}:  # forbidden by RFC 2046, and done
            content, fault = transfer.decode(part.body, part.encoding)
            if not fault or part.encoding == "quoted-printable":
                part.buffer, part.start, part.end, part.encoding = content, 0, len(content), ""
                data, start, end = content, 0, len(content)
        while start < end and data[start] in b"\r\n":
            start += 1
        mbox = _MBOX.match(data, start, end)
        if self._parts < MAX_PARTS:
            part.children.append(self._part(data, mbox.end() if mbox else start, end, depth + 1, "text/plain"))
