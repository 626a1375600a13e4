"""How osTicket 1.18 treats text: data URLs, emoji, control characters, names, addresses, HTML."""

import base64
import binascii
import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import nh3

# Emoticons, symbols and pictographs, and the dingbats among which is the check mark; the warning sign U+26A0 stays.
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2702-\u27b0]")
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TAG = re.compile(r"<[^>]*>")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*")
_NAME_LENGTH = 128


@dataclass(frozen=True, slots=True)
class DataUrl:
    """What osTicket makes of a value that may be a data URL."""

    media_type: str
    data: bytes


def parse_data_url(value: str, *, always_convert: bool) -> DataUrl:
    """Read a value as osTicket does, its faults included.

    `base64` is understood only as the single parameter, so `;charset=utf-8;base64` is left undecoded. Percent-encoding is
    never decoded. ``always_convert`` (messages, not files): without a charset the bytes are taken for ISO-8859-1.
    """
    if not value.startswith("data:"):
        return DataUrl("text/plain", value.encode())
    meta, _, text = value[5:].partition(",")
    media_type, _, parameters = meta.partition(";")
    data = text.encode()
    charset = "iso-8859-1" if always_convert else ""
    if parameters == "base64":
        data = decode_base64(text)
    elif parameters.lower().startswith("charset="):
        charset = parameters[8:].strip('"').lower()
    if charset in {"iso-8859-1", "latin1"}:
        data = data.decode("latin-1").encode()
    return DataUrl(media_type or "text/plain", data)


def decode_base64(text: str) -> bytes:
    """Standard base64 with blanks; empty if anything else is in it (the URL-safe alphabet too)."""
    try:
        return base64.b64decode(re.sub(r"\s+", "", text), validate=True)
    except (binascii.Error, ValueError):
        return b""


def decode_base64_loosely(data: bytes) -> bytes:
    """As PHP does when it is not strict: whatever is outside the alphabet is skipped, padding too."""
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return base64.b64decode(kept + b"=" * (-len(kept) % 4))


def clean_text(text: str) -> str:
    """Emoji and control characters go away, NUL becomes a blank."""
    return _EMOJI.sub("", _CONTROL.sub("", text.replace("\0", " ")))


def clean_subject(text: str) -> str:
    """A subject: no tags, one line."""
    return re.sub(r"[\r\n]+", " ", _TAG.sub("", clean_text(text)))


def person_name(name: str) -> str:
    """A name as it is stored: no tags, 128 characters, `Itor, Mon` turned, an address made into a word."""
    name = _TAG.sub("", name).strip()[:_NAME_LENGTH]
    if "@" in name:
        return name.split("@")[0].capitalize()
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and first.strip() else name


def valid_email(address: str) -> bool:
    """Whether osTicket takes it. Blanks around it are tolerated, `nagios@monitor` too, `@localhost` is not."""
    address = address.strip()
    return _EMAIL.fullmatch(address) is not None and not address.lower().endswith("@localhost")


def valid_phone(phone: str) -> bool:
    """Seven to sixteen digits, loosely written, with an extension after X."""
    number = phone.upper().partition("X")[0]
    return re.fullmatch(r"\d{7,16}", re.sub(r"[()\-.+\s]", "", number)) is not None


_TAGS = frozenset(
    {
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "center",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
    }
    | {
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "small",
        "span",
    }
    | {"strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul"}
)
_ATTRIBUTES = {
    "*": {"style", "title", "align", "dir", "lang", "class"},
    "a": {"href", "name"},
    "img": {"src", "alt", "width", "height"},
    "table": {"border", "cellpadding", "cellspacing", "width"},
    "td": {"colspan", "rowspan", "width", "valign"},
    "th": {"colspan", "rowspan", "width", "valign"},
    "font": {"color", "face", "size"},
}
_DEEP = 400  # the sanitiser's work grows with the square of the depth


def _denied(_tag: str, attribute: str, value: str) -> str | None:
    harmful = attribute in {"href", "src"} and re.match(r"\s*(javascript|vbscript):", value, re.IGNORECASE)
    return f"denied:{value.strip()}" if harmful else value


def _image(match: re.Match[str]) -> str:
    attributes = match.group(1).rstrip()
    return f"<img{attributes} />" if " alt=" in attributes else f'<img{attributes} alt="image" />'


def clean_html(text: str) -> str:
    """HTML as osTicket stores it: scripts, styles and handlers gone, `javascript:` links disarmed, images with an alt."""
    if text.count("<") - text.count("</") > _DEEP and _depth(text) > _DEEP:
        return html.escape(_TAG.sub("", text))
    cleaned = nh3.clean(
        clean_text(text),
        tags=set(_TAGS),
        clean_content_tags={"script", "style"},
        attributes=_ATTRIBUTES,
        attribute_filter=_denied,
        url_schemes={"http", "https", "mailto", "ftp", "tel", "cid", "data", "javascript", "vbscript"},
        link_rel=None,
    )
    if "<tbody" not in text:
        cleaned = re.sub(r"</?tbody>", "", cleaned)  # the parser adds it, osTicket does not
    cleaned = re.sub(r"<(br|hr)([^>]*)>", r"<\1\2 />", cleaned)
    return re.sub(r"<img([^>]*)>", _image, cleaned)


def _depth(text: str) -> int:
    depth = deepest = 0
    for closing in re.findall(r"<(/?)[a-zA-Z]", text):
        depth = max(0, depth - 1) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def replace_inline_images(text: str, store: Callable[[str, bytes], str]) -> str:
    """Turn `img src="data:image/…;base64,…"` into references; ``store`` is given type and content, and answers the id."""

    def replaced(match: re.Match[str]) -> str:
        data = decode_base64(match.group(2))
        return f'src="cid:{store(match.group(1), data)}"' if data else match.group(0)

    return re.sub(r'src="data:(image/[\w.+-]+);base64,([^"]*)"', replaced, text)
