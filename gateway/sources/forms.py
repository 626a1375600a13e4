"""Form bodies: urlencoded as senders really write them, and multipart with hard limits."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.model.event import Attachment
from gateway.sources.filenames import safe_filename
from gateway.sources.protocol import Malformed
from gateway.sources.text import decode

MAX_FIELDS = 200
MAX_FILES = 50
MAX_PART_HEADERS = 8
MAX_PART_HEADER_OCTETS = 4096
MAX_PREAMBLE = 1024
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_USUAL = 200  # characters of a header that is worth remembering
_BOUNDARY = re.compile(rb"[\x20-\x7e]{1,70}")  # RFC 2046, section 5.1.1


@dataclass(frozen=True, slots=True)
class Form:
    """The fields (of two equal names the last one counts) and files of a form."""

    fields: dict[str, str]
    files: tuple[Attachment, ...] = ()


def media_type_of(content_type: str) -> str:
    """The media type of a header's value in lower case without its parameters; empty if it is none."""
    return _media_type(content_type) if len(content_type) <= _USUAL else _media_type.__wrapped__(content_type)


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> str:
    value = content_type.partition(";")[0].strip().lower()
    return value if _MEDIA_TYPE.fullmatch(value) else ""


def read_form(body: bytes, content_type: str) -> Form:
    """The form that a body of type urlencoded or multipart holds.

    Raises:
        Malformed: for too many fields or files, or a multipart body that breaks RFC 7578.
    """
    if media_type_of(content_type).startswith("multipart/"):
        return _Multipart(body, content_type).read()
    return Form(_urlencoded(body))


def _urlencoded(body: bytes) -> dict[str, str]:
    """Fields of a body that may have been written by hand: a wrong ``%`` stays, raw octets are taken as they are.

    Each field is decoded by itself, since a plugin's ISO-8859-1 output may stand beside a name in UTF-8.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise Malformed(f"more than {MAX_FIELDS} fields", hint="Send fewer fields, or JSON.")
    fields: dict[str, str] = {}
    for field in body.strip(b"\r\n").split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            fields[_unquoted(name)] = _unquoted(value)
    return fields


def _unquoted(raw: bytes) -> str:
    return decode(unquote_to_bytes(raw.replace(b"+", b" ")))


@dataclass(slots=True)
class _Part:
    headers: dict[str, bytes]
    content: bytearray


class _Multipart:
    """Collects the parts that python-multipart finds, and stops it at our limits."""

    def __init__(self, body: bytes, content_type: str) -> None:
        _, options = parse_options_header(content_type.encode("latin-1", "replace"))
        boundary = options.get(b"boundary", b"")
        if not _BOUNDARY.fullmatch(boundary):
            raise Malformed("no usable boundary", place="header Content-Type", hint="curl -F sets it by itself.")
        if body.find(b"--" + boundary, 0, MAX_PREAMBLE + len(boundary)) < 0:
            raise Malformed("the body does not begin with its boundary", place="line 1, column 1")
        self._body = body[body.find(b"--" + boundary) :]
        self._boundary = boundary
        self._fields: dict[str, str] = {}
        self._count = 0
        self._files: list[Attachment] = []
        self._part = _Part({}, bytearray())
        self._header = [bytearray(), bytearray()]
        self._ended = False

    def read(self) -> Form:
        parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_begin": self._header_begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_end": self._finish,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_OCTETS,
        )
        try:
            parser.write(self._body)
            parser.finalize()
        except FormParserError as error:
            raise Malformed(f"the multipart body is broken: {error}") from error
        if not self._ended:
            raise Malformed("the multipart body ends in the middle", hint="It was cut on its way, or is too short.")
        return Form(self._fields, tuple(self._files))

    def _begin(self) -> None:
        self._part = _Part({}, bytearray())

    def _header_begin(self) -> None:
        self._header = [bytearray(), bytearray()]

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        self._part.headers[self._header[0].decode("latin-1").lower()] = bytes(self._header[1])

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part.content += data[start:end]

    def _finish(self) -> None:
        self._ended = True

    def _end(self) -> None:
        disposition = self._part.headers.get("content-disposition", b"")
        _, options = parse_options_header(disposition)
        name = decode(options.get(b"name", b""))
        if b"filename" in options or b"filename*" in options:
            self._file(name, decode(options.get(b"filename", b"")))
            return
        if not name:
            raise Malformed("a part has no name", place=f"part {self._count + len(self._files) + 1}")
        self._count += 1
        if self._count > MAX_FIELDS:
            raise Malformed(f"more than {MAX_FIELDS} fields", hint="Send fewer fields, or JSON.")
        self._fields[name] = decode(bytes(self._part.content))

    def _file(self, field: str, filename: str) -> None:
        if len(self._files) >= MAX_FILES:
            raise Malformed(f"more than {MAX_FILES} files", hint="Send the rest in another request.")
        if not filename and not self._part.content:
            return  # a file input of a web form that was left empty
        declared = self._part.headers.get("content-type", b"").decode("latin-1")
        self._files.append(
            Attachment(
                filename=unique_filename(safe_filename(filename or field), {file.filename for file in self._files}),
                media_type=media_type_of(declared) or OCTETS,
                content=bytes(self._part.content),
            )
        )


OCTETS: Final = "application/octet-stream"


def unique_filename(name: str, taken: set[str]) -> str:
    """The name, or the name with a number before its extension where it is taken."""
    if name not in taken:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    numbered = (safe_filename(f"{stem[:200]}-{number}{dot}{extension}") for number in range(2, len(taken) + 3))
    return next((candidate for candidate in numbered if candidate not in taken), name)
