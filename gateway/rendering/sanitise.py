"""Foreign text made fit to be shown: control characters, length, and HTML from a sender."""

import re
from html import escape

import nh3

from gateway.rendering.words import words

MAX_TEXT = 200_000
"""Characters of a text that a template gets to see; the original stays in the journal."""
MAX_FIELD = 10_000
"""Characters of any other field."""
MAX_HTML = 500_000
"""Characters of a sender's HTML that is shown as HTML."""
_MOST_MADE = 700_000  # what it may grow to: one angle bracket becomes four characters
_MOST_REFERENCES = 100_000  # nh3 is quadratic on `&` too
_MAX_DEPTH = 200
_MAX_TAGS = 20_000

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_FOLD = re.compile(
    "[\\s\x00-\x20\x7f-\xa0\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+"
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ANY_TAG = re.compile(r"<[^<>]*>")
_VOID = frozenset(
    {"br", "hr", "img", "col", "input", "meta", "link", "wbr", "area", "base", "embed", "source", "track"}
)

_TAGS = words(
    """
    a abbr b blockquote br caption center code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre q s
    samp small span strong sub sup table tbody td tfoot th thead tr tt u ul
    """,
)
_DROPPED_WITH_CONTENT = {
    "script",
    "style",
    "title",
    "iframe",
    "object",
    "svg",
    "math",
    "template",
    "noscript",
    "textarea",
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign"},
    "table": {"border", "cellpadding", "cellspacing"},
    "ol": {"start"},
    "img": {"src", "alt", "width", "height"},
    "*": {"style"},
}
_IMAGE = re.compile(r'<img(?: [^<>"]*(?:"[^"]*"[^<>"]*)*)?>')
_ALT = re.compile(r' alt="([^"]*)"')
_STYLES = {"color", "background-color", "font-weight", "font-style", "text-align", "text-decoration", "white-space"}


def clean(text: str, limit: int = MAX_FIELD) -> str:
    """The text with blanks for control characters (lines and tabs stay), cut at ``limit`` with a note of what is missing."""
    rest = len(text) - limit
    if rest > 0:
        text = f"{text[:limit]}\n[{rest:,} more characters are in the original event]"
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(" ", text)


def fold(text: str) -> str:
    """The text on one line: every run of blanks, line breaks, control and direction characters becomes one blank."""
    return _FOLD.sub(" ", text).strip(" ")


def is_showable(html: str) -> bool:
    """Whether `safe_html` keeps the markup."""
    return len(html) <= MAX_HTML and html.count("&") <= _MOST_REFERENCES and not _too_deep(html)


def safe_html(html: str) -> str:
    """HTML of a sender reduced to harmless markup: no scripts, no remote loads, links to http, https and mailto only.

    Images stay where they are attached (``cid:``); another image is its description. nh3 is quadratic on deep nesting, so
    what is very long or deep is shown as its text instead.
    """
    if not is_showable(html):
        return _as_text(html)
    made = nh3.clean(
        clean(html, MAX_HTML),
        tags=set(_TAGS),
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "cid"},
        url_relative="deny",
        link_rel=None,
    )
    if len(made) > _MOST_MADE:
        return _as_text(html)
    return _IMAGE.sub(_image, made) if "<img" in made else made


def _as_text(html: str) -> str:
    text = clean(_ANY_TAG.sub(" ", html[: MAX_TEXT + 1]), MAX_TEXT)
    return f"<pre>{escape(text)}</pre>"


def _attribute(_tag: str, name: str, value: str) -> str | None:
    bound = value.strip().lower().startswith("cid:")
    if name == "src":
        return value if bound else None
    return None if name == "href" and bound else value


def _image(tag: re.Match[str]) -> str:
    if ' src="cid:' in tag[0]:
        return tag[0]
    alt = _ALT.search(tag[0])
    return f"[{alt[1]}]" if alt is not None and alt[1].strip() else ""


def _too_deep(html: str) -> bool:
    """Whether elements may nest more than `_MAX_DEPTH` deep. Closing tags that close nothing count for nothing."""
    depth = 0
    for tags, match in enumerate(_TAG.finditer(html)):
        if match[1]:
            depth = max(depth - 1, 0)
        elif match[2].lower() not in _VOID:
            depth += 1
        if depth > _MAX_DEPTH or tags > _MAX_TAGS:
            return True
    return False
