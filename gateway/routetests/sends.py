"""What a step sends, as a receipt: the fields of an event, a mail made of fields, or a message of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid
from pathlib import Path
from urllib.parse import urlencode

import orjson

from gateway.config.models import SourceSettings
from gateway.config.route_tests import Send
from gateway.model.event import Event, Kind, Severity
from gateway.model.ids import new_id
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.receive.delivery_keys import duplicate_key, kept_headers
from gateway.receive.messages import message_of, read_file
from gateway.receive.smtp.envelope import Envelope, Recipient
from gateway.receive.smtp.mailroom import MEDIA_TYPE, recipients_of
from gateway.receive.smtp.mailroom import duplicate_key as mail_key
from gateway.receive.smtp.recipients import Recipients
from gateway.sources.protocol import Malformed, SourceKind
from gateway.sources.text import names_key

DOOR = "test"
"""The door of an event that a test gives by its fields."""
_GRAVE = frozenset({Kind.PROBLEM, Kind.FLAPPING_START})
_ADDRESS = re.compile(r"[^\s@*]+@[^\s@*]+")


def receipt_of(send: Send, settings: SourceSettings, kind: SourceKind, folder: Path, now: float) -> NewReceipt:
    """What a step sends, as the source's door would hand it on.

    Raises:
        gateway.receive.messages.Unreadable: its file cannot be read.
        Malformed: the door would not take it.
    """
    if kind.threads and not (send.json_ is not None or send.form is not None):
        return _mail(send, settings, folder, now)
    if not send.is_recorded:
        return NewReceipt(
            id=new_id(),
            source=send.source,
            received_at=now,
            body=send.model_dump_json(by_alias=True, exclude_unset=True).encode(),
            content_type="application/json",
            headers=tuple((name.lower(), value) for name, value in send.headers.items()),
            envelope={"door": DOOR},
        )
    new = _recorded(send, folder, now)
    lines = {name.lower().encode(): value.encode("latin-1", "replace") for name, value in new.headers}
    lines[b"content-type"] = new.content_type.encode("latin-1", "replace")
    query = new.envelope.get("query", "").encode()
    return replace(
        new,
        headers=kept_headers(lines),
        duplicate_key=duplicate_key(lines, query, new.body, settings.retry_horizon, None),
    )


def with_fields(kind: SourceKind) -> SourceKind:
    """The kind, whose parser takes the events too that tests give by their fields."""

    def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
        if receipt.envelope.get("door") != DOOR:
            return kind.parse(receipt, settings)
        return Parsed((event_of(Send.model_validate(orjson.loads(receipt.body))),))

    def inspect(receipt: NewReceipt, settings: SourceSettings) -> None:
        if receipt.envelope.get("door") != DOOR:
            kind.inspect(receipt, settings)

    return replace(kind, parse=parse, inspect=inspect)


def event_of(send: Send) -> Event:
    """The event that the fields of a step describe."""
    kind = Kind(send.kind or "problem")
    severity = Severity(send.severity) if send.severity else Severity.CRITICAL if kind in _GRAVE else Severity.INFO
    what = f"{send.service} on {send.host}" if send.service and send.host else send.host or send.service
    title = send.title or " ".join(part for part in (what or kind.value, send.state) if part)
    names = [name for name in (send.host, send.service) if name]
    return Event(
        kind=kind,
        severity=severity,
        title=title,
        text=send.text,
        state=send.state,
        still_in_problem=send.still_in_problem,
        host=send.host,
        service=send.service,
        labels=send.labels,
        origin_key=send.origin_key or names_key(*(names or [title])),
        problem_id=send.problem_id,
        group=send.group,
    )


def _recorded(send: Send, folder: Path, now: float) -> NewReceipt:
    given = tuple((name.lower(), value) for name, value in send.headers.items())
    if send.file is not None:
        return message_of(read_file(str(folder / send.file)), send.content_type, given, source=send.source, now=now)
    if send.form is not None:
        body, media_type = urlencode(send.form).encode(), "application/x-www-form-urlencoded"
    elif send.body is not None:
        body, media_type = send.body.encode(), "text/plain"
    else:
        body, media_type = orjson.dumps(send.json_), "application/json"
    return NewReceipt(
        id=new_id(),
        source=send.source,
        received_at=now,
        body=body,
        content_type=send.content_type or media_type,
        headers=given,
        envelope={"door": "http", "method": "POST", "path": f"/in/{send.source}", "query": ""},
    )


def _mail(send: Send, settings: SourceSettings, folder: Path, now: float) -> NewReceipt:
    content = _recorded(send, folder, now).body if send.is_recorded else _written(send, settings, now)
    head = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("utf-8", "replace")
    mail_from = "".join(_addresses(head, "from")[:1])
    ours = Recipients({send.source: recipients_of(settings)})
    named = _addresses(head, "to", "cc")
    taken = [Recipient(each, send.source, owner.subaddress) for each in named if (owner := ours.find(each)) is not None]
    if not taken and send.to and recipients_of(settings):
        raise Malformed(f"550 5.1.1 {', '.join(named)} is not an address of {send.source}")
    envelope = Envelope("smtp", mail_from, tuple(taken or [Recipient(each, send.source) for each in _ours(settings)]))
    return NewReceipt(
        id=new_id(),
        source=send.source,
        received_at=now,
        body=content,
        content_type=MEDIA_TYPE,
        envelope=envelope.fields(send.source),
        duplicate_key=mail_key(mail_from, content, settings.retry_horizon),
    )


def _written(send: Send, settings: SourceSettings, now: float) -> bytes:
    """A mail of the fields of a step."""
    mail = EmailMessage()
    mail["From"] = send.from_ or "Jane Doe <jane.doe@example.org>"
    mail["To"] = ", ".join([send.to] if isinstance(send.to, str) else send.to) or ", ".join(_ours(settings))
    if send.cc:
        mail["Cc"] = ", ".join([send.cc] if isinstance(send.cc, str) else send.cc)
    mail["Subject"] = send.title or "No subject"
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Message-ID"] = _in_brackets(send.message_id) or make_msgid(domain="sender.example.org")
    if send.in_reply_to:
        mail["In-Reply-To"] = mail["References"] = _in_brackets(send.in_reply_to)
    for name, value in send.headers.items():
        del mail[name]
        mail[name] = value
    mail.set_content(send.text or "\n")
    return mail.as_bytes()


def _in_brackets(message_id: str) -> str:
    return f"<{message_id.strip('<>')}>" if message_id else ""


def _ours(settings: SourceSettings) -> Sequence[str]:
    """An address of a mail source."""
    exact = [address for address in recipients_of(settings) if _ADDRESS.fullmatch(address)]
    return exact[:1] or ["support@gateway.example.org"]


def _addresses(head: str, *names: str) -> list[str]:
    unfolded = re.sub(r"\n[ \t]+", " ", head).splitlines()
    lines: Mapping[str, list[str]] = {name: [] for name in names}
    for each in unfolded:
        name, _, value = each.partition(":")
        if name.strip().lower() in lines:
            lines[name.strip().lower()].append(value)
    return [address for values in lines.values() for _, address in getaddresses(values) if "@" in address]
