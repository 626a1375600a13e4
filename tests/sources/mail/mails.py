"""Mails for the tests: put together from headers and a body, and read by the source."""

from collections.abc import Mapping

from gateway.model.event import Event
from gateway.model.receipt import Parsed, Receipt
from gateway.sources.mail import KIND
from gateway.sources.mail.message import Message, read_message

NOW = 1795303161.0
USUAL = {"From": "Ann <ann@customer.example>", "To": "support@tickets.example.org", "Subject": "Printer"}


def mail(body: bytes | str = b"Hello.\r\n", headers: Mapping[str, str] | None = None, **fields: str) -> bytes:
    """A mail of the usual headers, changed by ``fields`` (underscores for hyphens; empty: left out)."""
    lines = dict(USUAL) | dict(headers or {})
    for name, value in fields.items():
        lines[name.replace("_", "-").title() if name.replace("_", "-").title() not in lines else name.title()] = value
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return head.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)


def multipart(*parts: bytes, subtype: str = "mixed", more: str = "", boundary: str = "limit") -> bytes:
    """A multipart mail of parts that bear their own headers."""
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    kind = f'multipart/{subtype}; boundary="{boundary}"{more}'
    return mail(body + b"--" + boundary.encode() + b"--\r\n", content_type=kind)


def part(content: bytes | str, content_type: str = "text/plain; charset=utf-8", more: str = "") -> bytes:
    """One part with its headers; ``more`` are further header lines, each with its line end."""
    data = content.encode() if isinstance(content, str) else content
    return f"Content-Type: {content_type}\r\n{more}\r\n".encode() + data


def read(data: bytes) -> Message:
    return read_message(data)


def parsed(
    data: bytes, envelope: Mapping[str, str] | None = None, settings: Mapping[str, object] | None = None
) -> Parsed:
    receipt = Receipt("r", 1, "post", NOW, data, "message/rfc822", (), dict(envelope or {}), "", 1)
    return KIND.parse(receipt, KIND.settings.model_validate({"kind": "mail", **(settings or {})}))


def event(data: bytes, envelope: Mapping[str, str] | None = None, **settings: object) -> Event:
    """The one event; ``settings`` are those of the source."""
    (only,) = parsed(data, envelope, settings).events
    return only
