"""Mail to events: one event per mail, whatever the mail is like."""

import hashlib
import re
from dataclasses import replace
from typing import Final

from gateway.config.models import SourceSettings
from gateway.incidents.threads import SUBJECT
from gateway.model.event import Attachment, Event, Kind, Severity
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.filenames import safe_filename
from gateway.sources.mail.addresses import Address
from gateway.sources.mail.alerts import Alert, alert_of
from gateway.sources.mail.classify import Classification, Nature, classify
from gateway.sources.mail.files import File
from gateway.sources.mail.guard import HOPS, guard
from gateway.sources.mail.headers import split_headers
from gateway.sources.mail.html import is_showable, sanitise
from gateway.sources.mail.images import bind
from gateway.sources.mail.limits import MAX_RECEIVED, MAX_REFERENCES, MAX_SHOWN
from gateway.sources.mail.message import Message, ids, read_message
from gateway.sources.mail.patterns import matched
from gateway.sources.mail.reply import reply_text
from gateway.sources.mail.settings import MailSettings
from gateway.sources.mail.trust import judged
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
    body = new.body.lstrip(b" \t\r\n")
    headers, _ = split_headers(body, 0, len(body))
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
    hops = settings.loop.hops if isinstance(settings, MailSettings) else MAX_RECEIVED
    found = classify(message, null_sender=null_sender, own_domains=own, most_hops=hops)
    alert, captured = _alert(message, settings, found)
    showable = not message.html or is_showable(message.html)
    unshown = _unshown(message, showable=showable)
    event = _event(message, receipt, found, alert, captured, unshown=bool(unshown), showable=showable)
    faults = (*message.faults, *unshown)
    parsed = Parsed((event,), tuple(line(fault, 500) for fault in faults))
    return judged(parsed, message.headers, receipt, settings) if isinstance(settings, MailSettings) else parsed


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


def _event(
    message: Message,
    receipt: Receipt,
    found: Classification,
    alert: Alert | None,
    captured: str,
    *,
    unshown: bool,
    showable: bool,
) -> Event:
    duplicate_key = _duplicate_key(message, receipt.body)
    thread = _name(message, receipt.body, duplicate_key)
    bound = bind(message.html, message.files)
    attachments = tuple(_attachment(file) for file in bound.files)
    if message.lost or message.sealed or unshown:
        attachments += (Attachment("original.eml", MEDIA_TYPE, receipt.body),)
    text = captured or message.text or _instead(message)
    date = message.date
    if date is not None and date > receipt.received_at + _FUTURE:
        date = None  # no clock is that wrong by chance
    rcpt = tuple(part for part in re.split(r"[\s,]+", receipt.envelope.get("rcpt_to", "")) if part)
    to, cc = _listed(message.to), _listed(message.cc)
    labels = _labels(message, receipt, found)
    if alert is not None:
        kind, severity, origin = alert.kind, alert.severity, f"alert:{alert.tool}:{alert.key}"
        labels |= {name: line(value, 1000) for name, value in alert.labels.items()}
        labels |= {"mail.alert": alert.tool, "mail.thread": origin}
    else:
        kind, severity, origin = _kind(found), Severity.UNKNOWN, thread
        labels["mail.thread"] = thread
    title = line(alert.title, _TITLE) if alert is not None else ""
    return Event(
        kind=kind,
        severity=severity,
        title=title or line(message.subject, _TITLE) or line(text.strip().partition("\n")[0], 100) or "(no subject)",
        text=text,
        html=sanitise(message.html, bound.images, showable=showable) if message.html else "",
        state=line(alert.state, 100) if alert else "",
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
        duplicate_key=duplicate_key,
        attachments=attachments,
        reasons=(Reason.UNREADABLE.value,) if message.lost else (),
        to=to,
        cc=cc,
        message_id=key(message.message_id),
        in_reply_to=tuple(key(item) for item in message.in_reply_to),
        references=tuple(key(item) for item in message.references),
        returned_ids=_returned_ids(message) if found.nature is Nature.BOUNCE else (),
        auto_generated=found.automatic,
        reply_text=reply_text(text) if alert is None and not found.answers else "",
    )


def _unshown(message: Message, *, showable: bool) -> tuple[str, ...]:
    """What was understood and still does not stand in the ticket as the writer meant it."""
    found: list[str] = []
    if len(message.text) > MAX_SHOWN:
        found.append(f"The text is longer than the {MAX_SHOWN:,} characters that a ticket shows")
    if not showable:
        found.append("The HTML is too long or nests too deep to be shown; its text stands in its place")
    return tuple(found)


def _kind(found: Classification) -> Kind:
    """Answers of machines and mail in a circle are notes: they join their incident and never open one."""
    if found.nature is Nature.BOUNCE:
        return Kind.BOUNCE
    if found.nature is Nature.REPLIED or found.loop:
        return Kind.UPDATE
    return Kind.MESSAGE


def _name(message: Message, body: bytes, duplicate_key: str) -> str:
    """The mail's own name. Its Message-ID alone would not do: anybody can write that of somebody else's mail into his own.

    What a mail belongs to is found later, by what it refers to and by who wrote it (`gateway.incidents.threads`).
    """
    if message.message_id:
        return f"{key(message.message_id)}#{duplicate_key[:16]}"
    return "mail:" + (_content_digest(message) if message.date is not None else hashlib.sha256(body).hexdigest()[:32])


_REPORT_ID = re.compile(r"(?im)^(references|in-reply-to|(?:original-)?message-id):\s*(<[^<>\s]{1,500}>)")


def _returned_ids(message: Message) -> tuple[str, ...]:
    """The mail that a report is about and what that one referred to, nearest first: from its headers and the report."""
    found: list[str] = []
    if message.returned is not None:
        for name in ("message-id", "in-reply-to", "references"):
            if message.returned.raw(name):
                found += reversed(ids(message.returned.plain(name)))
    if not found:
        for text in (*message.reports, message.text[:50_000]):
            found += (match[2].strip("<>") for match in _REPORT_ID.finditer(text))
    return tuple(dict.fromkeys(key(item) for item in found[:MAX_REFERENCES]))


def _duplicate_key(message: Message, body: bytes) -> str:
    """The same for two copies of one mail that came on different ways, never for two mails."""
    return (
        digest_key("mail", message.message_id, _content_digest(message))
        if message.headers.fields
        else digest_key("mail", hashlib.sha256(body).hexdigest())
    )


def _content_digest(message: Message) -> str:
    sender = message.sender.address if message.sender else ""
    long = (message.text.encode("utf-8", "replace"), message.html.encode("utf-8", "replace"))
    parts = [hashlib.sha256(content).hexdigest() for content in (*long, *(file.content for file in message.files))]
    return digest_key(sender, str(message.date), message.subject, *parts)


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
        SUBJECT: line(message.subject),
        "mail.auto": found.nature.value,
        "mail.auto_sign": found.sign,
        "mail.loop": found.loop,
        HOPS: str(found.hops) if found.hops else "",
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
    guard=guard,
    threads=True,
)
