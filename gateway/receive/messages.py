"""Messages that lie in files: raw bodies, mails, and recorded requests."""

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path

from gateway.model.ids import new_id
from gateway.model.receipt import NewReceipt

MOST = 64 * 2**20
"""Octets of a message; senders get less than that through every door."""
_SECRET = frozenset({"authorization", "cookie"})


class Unreadable(Exception):
    """A file cannot be read. The message names it and the fault."""


def read_file(file: str) -> bytes:
    """The content of a file.

    Raises:
        Unreadable: no such file, no permission, too big.
    """
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MOST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return bounded(file, data)


def bounded(file: str, data: bytes) -> bytes:
    """The same data, if it is not too big.

    Raises:
        Unreadable: it is; ``file`` names it.
    """
    if len(data) > MOST:
        raise Unreadable(f"{file}: is larger than {MOST >> 20} MiB; no door takes that")
    return data


def message_of(
    data: bytes, content_type: str, headers: Sequence[tuple[str, str]], *, source: str, now: float
) -> NewReceipt:
    """A raw body, or a recorded request (JSON with method, path, headers, body_encoding, body), as a receipt.

    ``headers`` have names in lower case; a recorded request's own content type and headers count unless others are given.
    """
    given = list(headers)
    envelope = {"door": "cli", "method": "POST", "path": "", "query": ""}
    recorded = _recorded(data)
    if recorded is not None:
        data, recorded_headers, envelope = recorded
        given = [*given, *(pair for pair in recorded_headers if pair[0] not in {name for name, _ in given})]
    declared = content_type or next((value for name, value in given if name == "content-type"), "") or _guess(data)
    return NewReceipt(
        id=new_id(),
        source=source,
        received_at=now,
        body=data,
        content_type=declared,
        headers=tuple(pair for pair in given if pair[0] not in _SECRET),
        envelope=envelope,
        peer="",
    )


def _recorded(data: bytes) -> tuple[bytes, list[tuple[str, str]], dict[str, str]] | None:
    """Body, headers and envelope of a recorded request; None for everything that is not quite one."""
    if data.lstrip()[:1] != b"{" or b'"body_encoding"' not in data:
        return None
    try:
        record = json.loads(data)
        if not isinstance(record, dict) or not {"method", "headers", "body", "body_encoding"} <= record.keys():
            return None
        text, headers = str(record["body"]), record["headers"]
        encoded = record["body_encoding"] == "base64"
        body = base64.b64decode(text, validate=True) if encoded else text.encode("utf-8", "surrogatepass")
        pairs = headers.items() if isinstance(headers, dict) else [(name, value) for name, value in headers]
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return None
    envelope = {
        "door": "cli",
        "method": str(record["method"]),
        "path": str(record.get("path", "")),
        "query": str(record.get("query", "")),
    }
    return body, [(str(name).lower(), str(value)) for name, value in pairs], envelope


def _guess(data: bytes) -> str:
    head = data.lstrip()[:1]
    if head in {b"{", b"["}:
        return "application/json"
    first = data.split(b"\n", 1)[0]
    return "application/x-www-form-urlencoded" if b"=" in first and b" " not in first.split(b"=")[0] else "text/plain"
