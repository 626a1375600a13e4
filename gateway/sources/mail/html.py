"""HTML of strangers: as plain text that keeps lists, tables, quotes and links, and as harmless HTML.

The text is made in one pass over the tags, without a tree, so depth costs nothing and time is linear. The HTML is
sanitised by nh3 after size, depth and number of tags were bounded, since nh3 is quadratic on deep nesting.
"""

import re
from collections.abc import Mapping
from html import escape, unescape
from typing import Final

import nh3

from gateway.sources.mail.images import settled
from gateway.sources.mail.limits import MAX_TEXT
from gateway.sources.mail.nesting import MAX_TAGS, is_shallow, tamed
from gateway.sources.mail.wordlists import words
from gateway.sources.text import clean

# Text up to what looks like a tag, and the tag.
_TOKEN = re.compile(r"([^<]*+(?:<(?![a-zA-Z/!?])[^<]*+)*+)(?:<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})([^<>]*)>)?")
# Tags that change no text, taken away at once, since each step in Python costs.
_INLINE = re.compile(
    r"(?<!<)</?(?:b|i|u|s|span|font|strong|em|small|big|sup|sub|code|tt|o:p|SPAN|FONT|B|I|U)"
    r"(?:\s[^<>\"']*(?:\"[^<>\"]*\"[^<>\"']*|'[^<>']*'[^<>\"']*)*)?>"
)
_PRE = re.compile(r"<pre(?![a-zA-Z0-9])", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|BR) ?/?>")
_ANY_TAG = re.compile(r"<[^<>]*>")
_OTHER = re.compile(r"<[!?][^<>]*>|</[^<>]*>")
_BLANK: Final = r"\t\r\n\f\v\xa0\u200b\ufeff\u00ad"
_SPACES = re.compile(f"[{_BLANK}][ {_BLANK}]*| [ {_BLANK}]+")  # all runs but one blank, which needs no work
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,30})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_BLANK_LINES = re.compile(r"\n{3,}")

_BLOCKS: Final = words(
    "address article aside body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6"
    " header html legend main menu nav ol option section summary table tbody tfoot thead tr ul caption"
)
_SPACED: Final = words("p blockquote h1 h2 h3 h4 h5 h6 ul ol table pre dl")
_SKIPPED: Final = frozenset({"script", "style", "title", "template", "noembed", "noframes", "object", "svg", "math"})
_ACTIVE: Final = _BLOCKS | _SKIPPED | words("br p li td th a img hr ul ol blockquote pre")  # the others change no text
_CLOSING: Final = _ACTIVE - words("br td th img hr")  # whose ends change it too
_MAX_QUOTES: Final = 20
_MOST_REFERENCES: Final = 100_000  # nh3 is quadratic on `&` too

_TAGS: Final = words(
    "a abbr b big blockquote br caption center cite code dd del dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins kbd"
    " li ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul var"
)
_DROPPED: Final = words("script style title iframe object svg math template noscript textarea select noembed noframes")
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height", "style"},
    "p": {"class", "style"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign"},
    "ol": {"start", "type"},
    "blockquote": {"type"},
}
_TIGHT = re.compile(r"\bmso|margin(?:-bottom)?\s*:\s*0(?:\.0+)?\s*(?:px|pt|in|cm|em)?\s*(?:[;\"'\s0]|$)", re.IGNORECASE)
_TINY = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|(?:max-)?(?:width|height)\s*:\s*[01](?:px)?\s*(?:;|!|$))", re.IGNORECASE
)
_PARAGRAPHS = re.compile(r'<p(?P<tight>(?: (?:class|style)="tight")*)>|</p>')
_RULED = re.compile(r"(<div\b[^<>]{0,300}\bborder-top\s*:\s*solid[^<>]{0,300}>)", re.IGNORECASE)
# What newsletters put behind their first words, so that nothing else stands in a list of mails.
_INVISIBLE = re.compile("&(?:zwnj|shy|zwj|#847|#173|#8203|#8204);|[\u034f\u00ad\u200b-\u200f]")
_FILLED: Final = ("&zwnj;", "&shy;", "&zwj;", "&#847;", "&#173;", "&#8203;", "&#8204;")
_FILLED_RAW: Final = tuple("\u034f\u00ad\u200b\u200c\u200d\u200e\u200f")
_FILLING = re.compile(
    "(?:(?:&(?:zwnj|nbsp|shy|zwj|#847|#8199|#173|#8203|#8204|#xfeff|#65279);"
    "|[\u034f\u2007\xa0\u00ad\u200b-\u200f\ufeff])[ \t\r\n]*){8,}"
)


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text[:4000]):
        value = match[2] if match[2] is not None else match[3] if match[3] is not None else match[4]
        found.setdefault(match[1].lower(), unescape(value))
    return found


class _Writer:
    """Lines of text, with what stands before each of them (quotes, indents)."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []
        self._gap = False
        self._gap_quotes = 0
        self.quotes = 0
        self.lists: list[int] = []  # 0: bullets, else the next number
        self.pre = 0
        self._blank = True  # whether the line ends with white space
        self._cell = False
        self._marked = False  # whether the line holds nothing but the mark of a list's item
        self._tight = -1  # how many lines there were when a paragraph began that keeps no distance; -1: in none

    def _prefix(self) -> str:
        return "> " * min(self.quotes, _MAX_QUOTES)

    def text(self, data: str) -> None:
        if self.pre:
            first, *rest = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self._put(first)
            for line in rest:
                self.end_line()
                self._put(line)
            return
        self.folded(_SPACES.sub(" ", data))

    def folded(self, data: str) -> None:
        """Text outside of ``pre`` whose runs of white space are one blank each."""
        if data == " ":
            if self.line and not self._blank:
                self.line.append(" ")
                self._blank = True
            return
        if self._blank or not self.line:
            data = data.lstrip(" ")
        self._put(data)

    def broken(self, data: str) -> None:
        """Text as in `folded` with line breaks in it."""
        first, *whole, last = data.split("\n")
        if "&" in data:
            first, last = (_SPACES.sub(" ", unescape(part)) for part in (first, last))
            whole = [_SPACES.sub(" ", unescape(part)) for part in whole]
        if first:
            self.folded(first)
        self.end_line()
        if whole:
            prefix = self._prefix()
            texts = [part.strip(" ") for part in whole]
            self.lines += [(prefix + text).rstrip() for text in texts] if prefix else texts
        if last:
            self.folded(last)

    def _put(self, data: str) -> None:
        if not data:
            return
        if self._cell and self.line:
            self.line.append(" | ")
        self._cell = self._marked = False
        self.line.append(data)
        self._blank = data.endswith(" ")

    def end_line(self) -> None:
        text = "".join(self.line).rstrip(" \t")
        self.line = []
        self._blank = True
        self._cell = self._marked = False
        if self._gap and self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * min(self._gap_quotes, self.quotes, _MAX_QUOTES)).rstrip())
        self._gap = False
        self.lines.append((self._prefix() + text).rstrip() if text or self.quotes else text)

    def break_block(self, *, gap: bool) -> None:
        if self._marked:
            return
        if self.line:
            if "".join(self.line).strip():
                self.end_line()
            self.line = []
        self._blank = True
        self._cell = False
        if gap:
            self._gap_quotes = min(self.quotes, self._gap_quotes) if self._gap else self.quotes
            self._gap = True

    def paragraph(self, rest: str) -> None:
        """A paragraph begins; those of Word keep no distance from each other, and an empty one is an empty line."""
        tight = bool(rest) and _TIGHT.search(rest) is not None
        if tight and self._tight >= 0:
            self.end_paragraph()
        self.break_block(gap=not tight)
        self._tight = len(self.lines) if tight else -1

    def end_paragraph(self) -> None:
        """A paragraph ends."""
        if self._tight < 0:
            self.break_block(gap=True)
            return
        empty = self._tight == len(self.lines) and not "".join(self.line).strip()
        self.break_block(gap=empty)
        self._tight = -1

    def item(self) -> None:
        self._marked = False
        self.break_block(gap=False)
        depth = min(len(self.lists), 10)
        indent = "  " * max(depth - 1, 0)
        if self.lists and self.lists[-1]:
            mark = f"{self.lists[-1]}. "
            self.lists[-1] += 1
        else:
            mark = "- "
        self.line = [indent + mark]
        self._blank = self._marked = True

    def cell(self) -> None:
        if self.line and not self._cell and "".join(self.line).strip():
            self._cell = True
        self._blank = True

    def result(self) -> str:
        if self._marked:
            self.line, self._marked = [], False
        self.break_block(gap=False)
        return _BLANK_LINES.sub("\n\n", "\n".join(self.lines)).strip("\n")


def to_text(html: str) -> str:
    """Plain text of HTML. Never fails; linear in the input."""
    html = _without_filling(html[:MAX_TEXT])
    html = _INLINE.sub("", html)
    folded = _PRE.search(html) is None
    if folded:
        html = _BREAK.sub("\n", _SPACES.sub(" ", html))  # once for all, since each call costs
    writer = _Writer()
    position = 0
    links: list[tuple[str, int, int]] = []
    unclosed: set[str] = set()
    for _ in range(2 * MAX_TAGS):
        token = _TOKEN.match(html, position)
        assert token is not None  # it matches nothing, too
        text, closing, name, rest = token.groups()
        if text:
            if folded and "\n" in text:
                writer.broken(text)
            elif "&" in text:
                writer.text(unescape(text))
            elif folded:
                writer.folded(text)
            else:
                writer.text(text)
        position = token.end()
        if name is None:
            if position >= len(html):
                break
            position = _skip_other(html, position, unclosed, writer)
            continue
        if '"' in rest and rest.count('"') % 2:  # a `>` within an attribute
            stop = html.find("<", position, position + 2000)
            quote = html.find('"', position, stop if stop >= 0 else position + 2000)
            close = html.find(">", quote, quote + 2000) if quote >= 0 else -1
            position = close + 1 if close >= 0 else position
        if name not in _ACTIVE:
            name = name.lower()
            if name not in _ACTIVE:
                continue
        if closing:
            if name in _CLOSING:
                _close(writer, name, links)
        elif name in _SKIPPED and not rest.endswith("/"):
            position = _skip_content(html, position, name, unclosed)
        else:
            _open(writer, name, rest, links)
    else:
        writer.text(unescape(_ANY_TAG.sub(" ", html[position:])))
    return clean(writer.result())


def _skip_other(html: str, start: int, unclosed: set[str], writer: _Writer) -> int:
    """Comments, declarations and stray angle brackets."""
    if html.startswith("<!--", start) and "<!--" not in unclosed:
        end = html.find("-->", start + 4)
        if end >= 0:
            return end + 3
        unclosed.add("<!--")
        return start + 4
    other = _OTHER.match(html, start)
    if other is not None:
        return other.end()
    writer.text("<")
    return start + 1


def _skip_content(html: str, position: int, name: str, unclosed: set[str]) -> int:
    if name in unclosed:
        return position
    lower_end = re.compile(f"</{name}[^<>]*>", re.IGNORECASE).search(html, position)
    if lower_end is None:
        unclosed.add(name)
        return position
    return lower_end.end()


def _open(writer: _Writer, name: str, rest: str, links: list[tuple[str, int, int]]) -> None:
    if name == "br":
        writer.end_line()
    elif name == "li":
        writer.item()
    elif name in {"td", "th"}:
        writer.cell()
    elif name == "a":
        href = _attributes(rest).get("href", "").strip() if "href" in rest.lower() else ""
        links.append((href, len(writer.lines), len(writer.line)))
        if len(links) > 100:
            links.clear()
    elif name == "img":
        found = _attributes(rest)
        alt = _SPACES.sub(" ", found.get("alt", "")).strip()
        if alt or found.get("src", "")[:4].lower() == "cid:":
            writer.text(f"[{alt[:200] or 'image'}]")
    elif name == "hr":
        writer.break_block(gap=False)
        writer.text("-" * 20)
        writer.break_block(gap=False)
    elif name in {"ul", "ol"}:
        writer.break_block(gap=not writer.lists)
        writer.lists.append(1 if name == "ol" else 0)
        del writer.lists[:-50]
    elif name == "blockquote":
        writer.break_block(gap=True)
        writer.quotes += 1
    elif name == "pre":
        writer.break_block(gap=True)
        writer.pre += 1
    elif name == "p":
        writer.paragraph(rest)
    elif name in _BLOCKS:
        writer.break_block(gap=name in _SPACED)


def _close(writer: _Writer, name: str, links: list[tuple[str, int, int]]) -> None:
    if name == "a":
        href, line, piece = links.pop() if links else ("", 0, 0)
        if href.lower().startswith(("http://", "https://", "ftp://", "mailto:")) and len(href) <= 2000:
            shown = "".join(writer.line[piece if line == len(writer.lines) else 0 :][-50:])
            target = href[7:].split("?")[0] if href.lower().startswith("mailto:") else href
            bare = target.removeprefix("https://").removeprefix("http://").removeprefix("www.").removesuffix("/")
            if bare and bare not in shown and target not in shown:
                writer.text(f" <{target}>" if shown.strip() else f"<{target}>")
    elif name in {"ul", "ol"}:
        if writer.lists:
            writer.lists.pop()
        writer.break_block(gap=not writer.lists)
    elif name == "blockquote":
        writer.break_block(gap=True)
        writer.quotes = max(0, writer.quotes - 1)
    elif name == "pre":
        writer.break_block(gap=True)
        writer.pre = max(0, writer.pre - 1)
    elif name == "p":
        writer.end_paragraph()
    elif name == "li" or name in _BLOCKS:
        writer.break_block(gap=name in _SPACED)


def is_showable(html: str) -> bool:
    """Whether `sanitise` keeps the markup of this HTML; what is very long, deep or dense is shown as its text."""
    return len(html) <= MAX_TEXT and html.count("&") <= _MOST_REFERENCES and is_shallow(html)


def sanitise(html: str, images: Mapping[str, str] | None = None, *, showable: bool | None = None) -> str:
    """HTML reduced to harmless markup: no scripts, no styles, no remote loads; images only by ``cid:``.

    Colours go too, since text and background may come from different places, and one alone hides the text. ``images``
    says which references have an image and under which content id it is sent (see `images.bind`); without it every
    reference stays. Other images become text, remote ones with a link. What is not showable is shown as its text instead;
    ``showable`` is for who has asked already.
    """
    if not (is_showable(html) if showable is None else showable):
        return f"<pre>{escape(to_text(html))}</pre>"
    fit = tamed(clean(_without_filling(html)))
    if fit is None:
        return f"<pre>{escape(to_text(html))}</pre>"
    if "border-top" in fit:
        fit = _RULED.sub(r"<hr>\1", fit)  # where Outlook's quote begins
    made = nh3.clean(
        fit,
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "cid", "tel"},
        url_relative="deny",
        link_rel="noopener noreferrer",
        strip_comments=True,
    )
    made = clean(made)  # what stood in it as a character reference
    if "<img" in made:
        made = settled(made, images)
    return _loosened(made) if '="tight"' in made else made


def _without_filling(html: str) -> str:
    named = "&" in html and any(word in html for word in _FILLED)
    if not named and (html.isascii() or not any(sign in html for sign in _FILLED_RAW)):
        return html
    return _FILLING.sub(lambda filling: " " if _INVISIBLE.search(filling[0]) else filling[0], html)


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name in {"style", "class"}:  # only what they say of the size; `settled` and `_loosened` take them out again
        if tag == "img":
            return "tiny" if _TINY.search(value) else None
        return "tight" if _TIGHT.search(value) else None
    if tag == "a" and name == "href":
        return None if value.strip().lower().startswith("cid:") else value
    return value


def _loosened(html: str) -> str:
    """Word's paragraphs are lines without a gap between them, and an empty one is the gap: `div` shows them so."""
    opened: list[str] = []

    def changed(match: re.Match[str]) -> str:
        if match[0] == "</p>":
            return opened.pop() if opened else match[0]
        opened.append("</div>" if match["tight"] else "</p>")
        return "<div>" if match["tight"] else match[0]

    return _PARAGRAPHS.sub(changed, html)
