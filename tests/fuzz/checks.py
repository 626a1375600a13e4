"""What must hold of every mail that can be sent to us, however it is made."""

import contextlib
import pickle
import re
import time
import unicodedata
from collections.abc import Iterable
from html.parser import HTMLParser

import orjson

from gateway.model.event import Attachment, Event, event_to_json
from gateway.model.receipt import NewReceipt, Parsed, Receipt
from gateway.sources.mail import KIND
from gateway.sources.mail.limits import MAX_ADDRESSES, MAX_ATTACHMENTS, MAX_REFERENCES, MAX_TEXT
from gateway.sources.mail.structure import Part, Structure
from gateway.sources.mail.transfer import decode
from gateway.sources.mail.wordlists import words
from gateway.sources.protocol import Malformed

SECONDS = 2.0
NOW = 1795303161.0
_SETTINGS = KIND.settings.model_validate({"kind": "mail"})
_SECRET_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ATTRIBUTES = words(
    "href title src alt width height colspan rowspan align valign start type rel border cellpadding cellspacing lang"
)
_TAGS = words(
    "a abbr b big blockquote br caption center cite code col colgroup dd del dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins"
    " kbd li ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul var"
)
_SAFE_LINK = re.compile(r"(?i)(?:https?:|mailto:|tel:|cid:)")
_LETTERS = re.compile(rb"[A-Za-z]{3,}")
_NOT_LETTERS = re.compile(r"[^A-Za-z]+")


class Broken(AssertionError):
    """An invariant does not hold; ``name`` says which, without anything of the mail."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}"[:600])
        self.name = name


def _must(holds: object, name: str, detail: object = "") -> None:
    if not holds:
        raise Broken(name, str(detail))


def parsed(data: bytes) -> Parsed:
    """The mail as the gateway reads it."""
    receipt = Receipt("r", 1, "post", NOW, data, "message/rfc822", (), {}, "", 1)
    return KIND.parse(receipt, _SETTINGS)


def check(data: bytes, *, seconds: float = SECONDS) -> float:
    """Read the mail twice and look at all of it. Gives back how long one reading took, in seconds.

    Raises:
        Broken: naming the invariant.
    """
    began = time.process_time()  # the neighbours on the machine do not count
    result = parsed(data)
    taken = time.process_time() - began
    _must(taken < seconds, "slow", f"{taken:.2f} s")
    fault = next((warning for warning in result.warnings if "an error of the gateway" in warning), "")
    _must(not fault, "raised", fault)
    _must(parsed(data) == result, "not deterministic")
    _must(len(result.events) == 1, "not one event")
    (event,) = result.events
    _texts(event, result.warnings)
    _sizes(event)
    _files(event.attachments)
    _html(event.html)
    _reply(event)
    _stored(event)
    if event.kind.value != "raw":
        _complete(data, event)
    _inspected(data)
    return taken


def _inspected(data: bytes) -> None:
    assert KIND.inspect is not None
    with contextlib.suppress(Malformed):
        KIND.inspect(NewReceipt("r", "post", NOW, data), _SETTINGS)


def _words(event: Event) -> Iterable[tuple[str, str]]:
    yield from (("title", event.title), ("text", event.text), ("html", event.html), ("reply_text", event.reply_text))
    yield from (("sender_name", event.sender_name), ("sender_address", event.sender_address))
    yield from (("message_id", event.message_id), ("origin_key", event.origin_key), ("host", event.host))
    yield from (("service", event.service), ("state", event.state), ("duplicate_key", event.duplicate_key))
    for name in ("recipients", "to", "cc", "in_reply_to", "references"):
        yield from ((name, value) for value in getattr(event, name))
    yield from ((f"label {name}", value) for name, value in event.labels.items())


_SEVERAL_LINES = frozenset({"text", "html", "reply_text"})


def _texts(event: Event, warnings: Iterable[str]) -> None:
    for name, value in (*_words(event), *(("warning", warning) for warning in warnings)):
        found = _SECRET_CHARACTERS.search(value)
        _must(found is None, f"control character in {name.split()[0]}", repr(found and found[0]))
        if name not in _SEVERAL_LINES and name != "warning":
            _must("\n" not in value and "\t" not in value, f"line break in {name.split()[0]}", repr(value[:100]))
            _must(not _TURNS.search(value), f"direction override in {name.split()[0]}", repr(value[:100]))
    _must(event.origin_key, "no origin key")
    _must(event.title, "no title")


def _sizes(event: Event) -> None:
    _must(len(event.title) <= 250, "long title")
    _must(len(event.text) <= MAX_TEXT + 100, "long text", len(event.text))
    _must(len(event.html) <= 8 * MAX_TEXT, "long html", len(event.html))
    _must(len(event.attachments) <= MAX_ATTACHMENTS + 1, "many attachments")
    _must(len(event.references) <= MAX_REFERENCES, "many references")
    _must(max(len(event.to), len(event.cc)) <= 20 * MAX_ADDRESSES, "many addresses")
    for name, value in _words(event):
        if name not in _SEVERAL_LINES:
            _must(len(value) <= 1000, f"long {name.split()[0]}", len(value))


def _files(files: Iterable[Attachment]) -> None:
    for file in files:
        name = file.filename
        _must(name and name == name.strip(), "filename with blanks", repr(name))
        _must(len(name.encode()) <= 255, "long filename")
        _must(not set(name) & set('/\\:*?"<>|'), "path in a filename", repr(name))
        bad = [letter for letter in name if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
        _must(not bad, "control character in a filename", repr(name))
        _must(name.strip(". ") not in {"", "con", "nul", "aux", "prn"}, "reserved filename", repr(name))
        _must(re.fullmatch(r"[!-~]{1,300}", file.media_type), "media type", repr(file.media_type[:100]))
        _must(re.fullmatch(r"[!-~]{0,300}", file.detected_type), "detected type", repr(file.detected_type[:100]))
        _must(not _SECRET_CHARACTERS.search(file.content_id), "control character in a content id")


class _Looker(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        _must(tag in _TAGS, "html tag", tag)
        for name, value in attrs:
            _must(name in _ATTRIBUTES, "html attribute", f"{tag} {name}={value!r}"[:200])
            if name in {"href", "src"}:
                plain = re.sub(r"[\x00-\x20]", "", value or "")
                _must(_SAFE_LINK.match(plain) or not plain, "html link", repr(value)[:200])
            if name == "src":
                _must((value or "").strip().lower().startswith("cid:"), "html load", repr(value)[:200])

    def handle_comment(self, data: str) -> None:
        raise Broken("html comment", data[:100])

    def handle_decl(self, decl: str) -> None:
        raise Broken("html declaration", decl[:100])

    def unknown_decl(self, data: str) -> None:
        raise Broken("html declaration", data[:100])

    def handle_pi(self, data: str) -> None:
        raise Broken("html instruction", data[:100])


def _html(html: str) -> None:
    if not html or len(html) > 200_000:  # the judge is slow; what is long is of the same kind
        return
    looker = _Looker(convert_charrefs=False)
    looker.feed(html)
    looker.close()


def _reply(event: Event) -> None:
    text, reply = event.text, event.reply_text
    if not reply:
        answers = event.labels.get("mail.auto") in {"bounce", "auto-replied"} or "mail.alert" in event.labels
        _must(not text.strip() or answers or event.kind.value == "raw", "reply text is empty", repr(text[:100]))
        return
    position = 0
    for line in reply.split("\n"):
        found = text.find(line.rstrip(), position)
        _must(found >= 0, "reply text is not in the text", repr(line[:100]))
        position = found


def _stored(event: Event) -> None:
    plain = event_to_json(event)
    _must(orjson.loads(orjson.dumps(plain)) == plain, "not equal after JSON")
    _must(pickle.loads(pickle.dumps(event)) == event, "not equal after pickling")


def _complete(data: bytes, event: Event) -> None:
    """Every leaf with octets is an attachment, or its words are in the text or the HTML; or the original is attached."""
    if any(file.filename == "original.eml" and file.content == data for file in event.attachments):
        return
    held = {file.content for file in event.attachments}
    shown = _NOT_LETTERS.sub("", event.text) + "\n" + _NOT_LETTERS.sub("", event.html)
    for part in _leaves(Structure().read(data)):
        if not part.body.strip():
            continue
        content, _ = decode(part.body, part.encoding)
        if content in held or not content.strip():
            continue
        kind = part.media_type
        _must(kind in {"text/plain", "text/html"} or part.opaque, "attachment lost", f"{kind} {content[:80]!r}")
        if kind != "text/plain" or not content.isascii() or b"\x1b" in content or b"\nbegin" in b"\n" + content:
            continue
        if part.type_parameters.get("charset", "").lower() not in {"", "utf-8", "us-ascii", "iso-8859-1"}:
            continue
        for word in _LETTERS.findall(content[:200_000]):
            _must(word.decode() in shown, "text lost", repr(word[:60]))


def _leaves(part: Part) -> Iterable[Part]:
    if part.is_message or not (part.children or part.is_multipart):
        yield part
        return
    for child in part.children:
        yield from _leaves(child)
