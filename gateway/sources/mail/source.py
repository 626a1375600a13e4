"""Mail to events: one event per mail, whatever the mail is like."""

import hashlib
import re
from dataclasses import replace
from typing import Final

from gateway.config.models import SourceSettings
from gateway.model.event import Attachment, Event, Kind, Severity
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.filenames import safe_filename
from gateway.sources.mail.addresses import Address
from gateway.sources.mail.alerts import Alert, alert_of
from gateway.sources.mail.classify import Classification, Nature, classify
from gateway.sources.mail.content import File
from gateway.sources.mail.headers import split_headers
from gateway.sources.mail.html import sanitise
from gateway.sources.mail.message import Message, ids, read_message
from gateway.sources.mail.patterns import matched
from gateway.sources.mail.reply import reply_text
from gateway.sources.mail.settings import MailSettings
from gateway.sources.payload import raw
from gateway.sources.protocol import Malformed, SourceKind
from gateway.sources.text import digest_key, key, line

MEDIA_TYPE: Final = "message/rfc822"
_TITLE: Final = 250
_KNOWN: Final = frozenset(
    {"from", "to", "subject", "date", "received", "message-id", "content-type", "return-path", "cc"}
)
_FUTURE: Final = 86_400.0
_PRIORITY = re.compile(r"[1-5]")
_PRIORITIES: Final = {"high": "high", "urgent": "high", "low": "low", "non-urgent": "low", "1": "high", "2": "high",
                      "4": "low", "5": "low"}  # fmt: skip


def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
    """The one event of a mail. Never raises: what is no mail, or what our own fault keeps us from reading, is `raw`."""
    try:
        return _parsed(receipt, settings)
    except Exception as fault:  # noqa: BLE001 - the last rung: a fault of ours costs the reading, never the mail
        return raw(receipt.source, receipt.body, MEDIA_TYPE, f"an error of the gateway ({type(fault).__name__})")


def inspect(new: NewReceipt, _settings: SourceSettings) -> None:
    """Refuse what is no mail at all.

    Raises:
        Malformed: if there is not one header field that a mail has.
    """
    headers, _ = split_headers(new.body.lstrip(b" \t\r\n"), 0, len(new.body))
    if not _KNOWN & {name for name, _ in headers.fields}:
        raise Malformed(
            "this is no mail: it has none of the usual headers", place="line 1", hint="Send it as message/rfc822."
        )


def _parsed(receipt: Receipt, settings: SourceSettings) -> Parsed:
    message = read_message(receipt.body)
    if not _KNOWN & {name for name, _ in message.headers.fields}:
        return raw(receipt.source, receipt.body, MEDIA_TYPE, "it has none of the headers of a mail")
    envelope = receipt.envelope
    null_sender = "mail_from" in envelope and not envelope["mail_from"].strip("<> ")
    own = settings.own_domains if isinstance(settings, MailSettings) else ()
    found = classify(message, null_sender=null_sender, own_domains=own)
    alert, captured = _alert(message, settings, found)
    event = _event(message, receipt, found, alert, captured)
    return Parsed((event,), message.faults)


def _alert(message: Message, settings: SourceSettings, found: Classification) -> tuple[Alert | None, str]:
    if not isinstance(settings, MailSettings) or found.answers or found.loop:
        return None, ""
    by_pattern = matched(message, settings.patterns)
    if by_pattern is not None:
        return by_pattern
    if settings.alerts == "off":
        return None, ""
    alert = alert_of(message)
    changed = {word.upper(): name for word, name in settings.severity.items()}
    if alert is not None and alert.state.upper() in changed:
        severity = Severity(changed[alert.state.upper()])
        alert = replace(alert, severity=severity)
    return alert, ""


def _event(message: Message, receipt: Receipt, found: Classification, alert: Alert | None, captured: str) -> Event:
    thread = _thread(message, found, receipt.body)
    attachments = tuple(_attachment(file) for file in message.files)
    if message.lost:
        attachments += (Attachment("original.eml", MEDIA_TYPE, receipt.body),)
    text = captured or message.text or _instead(message)
    date = message.date
    if date is not None and date > receipt.received_at + _FUTURE:
        date = None  # no clock is that wrong by chance
    rcpt = tuple(part for part in re.split(r"[\s,]+", receipt.envelope.get("rcpt_to", "")) if part)
    to, cc = _listed(message.to), _listed(message.cc)
    labels = _labels(message, receipt, found)
    if alert is not None:
        title, kind, severity = alert.title or line(message.subject, _TITLE), alert.kind, alert.severity
        origin = f"alert:{alert.tool}:{alert.key}"
        labels |= {**alert.labels, "mail.alert": alert.tool, "mail.thread": origin}
    else:
        title = line(message.subject, _TITLE) or line(text.strip().partition("\n")[0], 100) or "(no subject)"
        kind, severity, origin = _kind(found), Severity.UNKNOWN, thread
        labels["mail.thread"] = thread
    return Event(
        kind=kind,
        severity=severity,
        title=title,
        text=text,
        html=sanitise(message.html) if message.html else "",
        state=alert.state if alert else "",
        still_in_problem=alert.still_in_problem if alert else None,
        host=alert.host if alert else "",
        service=alert.service if alert else "",
        labels=labels,
        origin_key=origin,
        problem_id=alert.problem_id if alert else "",
        occurred_at=date,
        sender_name=line(message.sender.name, 500) if message.sender else "",
        sender_address=key(message.sender.address) if message.sender else "",
        recipients=rcpt or to,
        duplicate_key=_duplicate_key(message, receipt.body),
        attachments=attachments,
        reasons=(Reason.UNREADABLE.value,) if message.lost else (),
        to=to,
        cc=cc,
        message_id=key(message.message_id),
        in_reply_to=tuple(key(item) for item in message.in_reply_to),
        references=tuple(key(item) for item in message.references),
        auto_generated=found.automatic,
        reply_text=reply_text(text) if alert is None and not found.answers else "",
    )


def _kind(found: Classification) -> Kind:
    """Answers of machines and mail in a circle are notes: they join their incident and never open one."""
    if found.nature is Nature.BOUNCE:
        return Kind.BOUNCE
    if found.nature is Nature.REPLIED or found.loop:
        return Kind.UPDATE
    return Kind.MESSAGE


def _thread(message: Message, found: Classification, body: bytes) -> str:
    """The mail that the thread began with: the first of References, else what is answered, else the mail itself.

    A bounce belongs to the thread of the mail that came back.
    """
    if found.nature is Nature.BOUNCE:
        back = _returned_ids(message)
        if back:
            return key(back)
    for found_ids in (message.references, message.in_reply_to):
        if found_ids:
            return key(found_ids[0])
    if message.message_id:
        return key(message.message_id)
    return "mail:" + (_content_digest(message) if message.date is not None else hashlib.sha256(body).hexdigest()[:32])


_REPORT_ID = re.compile(r"(?im)^(references|in-reply-to|(?:original-)?message-id):\s*(<[^<>\s]{1,500}>)")


def _returned_ids(message: Message) -> str:
    """The thread of the mail that a report is about: from its headers, or from the report's text."""
    if message.returned is not None:
        for name in ("references", "in-reply-to", "message-id"):
            found = ids(message.returned.plain(name)) if message.returned.raw(name) else []
            if found:
                return found[0]
    named: dict[str, str] = {}
    for text in (*message.reports, message.text[:50_000]):
        for match in _REPORT_ID.finditer(text):
            named.setdefault(match[1].lower(), match[2].strip("<>"))
    return next(
        (named[name] for name in ("references", "in-reply-to", "original-message-id", "message-id") if name in named),
        "",
    )


def _duplicate_key(message: Message, body: bytes) -> str:
    """The same for two copies of one mail that came on different ways, never for two mails."""
    return (
        digest_key("mail", message.message_id, _content_digest(message))
        if message.headers.fields
        else digest_key("mail", hashlib.sha256(body).hexdigest())
    )


def _content_digest(message: Message) -> str:
    sender = message.sender.address if message.sender else ""
    files = [hashlib.sha256(file.content).hexdigest() for file in message.files]
    return digest_key(sender, str(message.date), message.subject, message.text, message.html, *files)


def _instead(message: Message) -> str:
    """A text for a mail that has none."""
    if "encrypted" in message.marks:
        return "This mail is encrypted. Its content is in the attachments."
    if message.files:
        return "This mail has no text, only attachments."
    return ""


def _listed(addresses: tuple[Address, ...]) -> tuple[str, ...]:
    return tuple(key(item.address) for item in addresses if item.address)


def _attachment(file: File) -> Attachment:
    return Attachment(
        filename=safe_filename(file.name),
        media_type=file.media_type,
        content=file.content,
        inline=file.inline,
        content_id=line(file.content_id, 500),
        detected_type=file.detected_type,
    )


def _labels(message: Message, receipt: Receipt, found: Classification) -> dict[str, str]:
    """What rules may ask about a mail, beside the fields of the event."""
    headers = message.headers
    labels = {
        "mail.auto": found.nature.value,
        "mail.auto_sign": found.sign,
        "mail.loop": found.loop,
        "mail.subaddress": line(receipt.envelope.get("subaddress", ""), 500),
        "mail.marks": ", ".join(sorted(message.marks)),
        "mail.reply_to": message.reply_to[0].address if message.reply_to else "",
        "mail.list_id": headers.text("list-id", 1000)[:500],
        "mail.priority": _priority(message),
    }
    return {name: line(value, 1000) for name, value in labels.items() if value}


def _priority(message: Message) -> str:
    """``high`` or ``low`` by Importance, X-Priority or Priority; empty if it is neither."""
    for name in ("importance", "x-priority", "priority", "x-msmail-priority"):
        word = message.headers.plain(name).strip().lower()[:40]
        number = _PRIORITY.match(word) if name == "x-priority" else None
        found = _PRIORITIES.get(number[0] if number else word, "")
        if found:
            return found
    return ""


KIND = SourceKind(
    name="mail",
    title="Mail",
    settings=MailSettings,
    parse=parse,
    inspect=inspect,
    default_key=("labels.mail.thread",),
    apart=True,
)
