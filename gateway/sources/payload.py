"""What all sources that take requests have in common: a body is read, repaired, or kept whole as a `raw` event."""

import hashlib
from dataclasses import dataclass

from gateway.model.event import Attachment, Event, Kind, Severity
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason
from gateway.model.receipt import Parsed, Receipt
from gateway.sources.filenames import safe_filename
from gateway.sources.forms import OCTETS, media_type_of, read_form
from gateway.sources.jsontext import read_json, repair_json
from gateway.sources.protocol import Malformed
from gateway.sources.text import clean, decode, line

__all__ = [
    "Body",
    "fields_of",
    "missing",
    "place_of",
    "raw",
    "raw_event",
    "read",
    "read_form",
    "read_json",
    "repair_json",
    "text_of",
]

_PREVIEW = 4000
_EXTENSIONS = {
    "application/json": ".json",
    "application/x-www-form-urlencoded": ".txt",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/xml": ".xml",
    "application/xml": ".xml",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read: its value, the files that came with it, and what had to be repaired."""

    value: JsonValue
    files: tuple[Attachment, ...] = ()
    warnings: tuple[str, ...] = ()


def read(body: bytes, content_type: str, *, repair: bool) -> Body:
    """Read a body by its content type, or by its first character where the type is missing or wrong.

    ``curl -d '{...}'`` declares JSON to be a form, so a form that begins with a brace is tried as JSON first.

    Raises:
        Malformed: if it can be neither read nor, where ``repair`` is true, repaired.
    """
    declared = media_type_of(content_type)
    if declared.startswith("multipart/"):
        return _form(body, content_type, repair=repair)
    looks_json = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}
    is_form = declared == "application/x-www-form-urlencoded"
    looks_form = not looks_json and b"=" in body[:2000] and "json" not in declared
    if (is_form and not looks_json) or looks_form:
        return _form(body, "application/x-www-form-urlencoded", repair=repair)
    return _json(body, repair=repair)


def _form(body: bytes, content_type: str, *, repair: bool) -> Body:
    """A form; one whose only field holds JSON (`data={...}`, as Uptime Kuma and Slack's webhooks write) is that JSON."""
    form = read_form(body, content_type)
    if len(form.fields) == 1:
        (text,) = form.fields.values()
        if text.lstrip()[:1] in {"{", "["}:
            inner = _json(text.encode("utf-8", "replace"), repair=repair)
            return Body(inner.value, form.files, inner.warnings)
    return Body(dict(form.fields), form.files)


def _json(body: bytes, *, repair: bool) -> Body:
    try:
        return Body(read_json(body))
    except Malformed as fault:
        if not repair or not body.strip():
            raise
        try:
            value, warnings = repair_json(body)
        except Malformed:
            raise fault from None  # the first fault is the one that its writer can look for
        return Body(value, (), (f"The JSON was broken and was repaired: {place_of(fault)}", *warnings))


def place_of(fault: Malformed) -> str:
    """The fault as one sentence with its place."""
    return f"{fault.place}: {fault.message}" if fault.place else fault.message


def missing(field: str, what: str, hint: str, body: Body) -> Malformed:
    """The fault of a body without a needed field; it tells what was repaired before, as that may be the cause."""
    return Malformed("; ".join((what, *body.warnings[:1])), place=f"field {field}", hint=hint)


def text_of(value: JsonValue) -> str:
    """A JSON value as text: texts as they are, numbers and booleans as JSON writes them, lists joined by commas.

    Null and objects are the empty text.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(text for text in (text_of(item) for item in value if not isinstance(item, list)) if text)
    return ""


def fields_of(value: JsonValue) -> JsonObject:
    """The value if it is an object.

    Raises:
        Malformed: if it is anything else.
    """
    if isinstance(value, dict):
        return value
    raise Malformed(
        f"an object was expected, not {_WHAT.get(type(value), 'something else')}",
        place="line 1, column 1",
        hint="Send one JSON object with the event's fields.",
    )


_WHAT = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}


def raw(source: str, body: bytes, content_type: str, fault: str, warnings: tuple[str, ...] = ()) -> Parsed:
    """The event for a body that could not be understood: nothing is lost, the original is attached.

    Equal bodies have the same origin key, so that a broken command that fires all night makes one ticket.
    """
    media_type = media_type_of(content_type) or OCTETS
    digest = hashlib.sha256(body).hexdigest()
    preview = clean(decode(body[:_PREVIEW]))
    sentence = f"The message could not be read: {fault}"
    event = Event(
        kind=Kind.RAW,
        title=line(f"Unreadable message from {source}"),
        text=f"{clean(sentence)}.\nThe original is attached.\n\n{preview}" + ("…" if len(body) > _PREVIEW else ""),
        origin_key=f"raw:{digest[:32]}",
        attachments=(Attachment(safe_filename("original" + _EXTENSIONS.get(media_type, ".bin")), media_type, body),),
        reasons=(Reason.UNREADABLE.value,),
    )
    return Parsed((event,), (clean(sentence), *warnings))


def raw_event(receipt: Receipt, why: str) -> Parsed:
    """A receipt that could not be parsed, as an event: the original is attached, so that nothing is lost."""
    media_type = receipt.content_type.partition(";")[0].strip() or "application/octet-stream"
    return Parsed(
        events=(
            Event(
                kind=Kind.RAW,
                severity=Severity.UNKNOWN,
                title=f"Unreadable message from {receipt.source}",
                text=f"{why}\nThe original is attached.",
                origin_key=f"raw:{receipt.id}",
                attachments=(Attachment("original.bin", media_type, receipt.body),),
                reasons=(Reason.UNREADABLE.value,),
            ),
        ),
        warnings=(why,),
    )
