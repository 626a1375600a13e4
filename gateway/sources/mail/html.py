"""HTML of strangers: as plain text that keeps lists, tables, quotes and links, and as harmless HTML.

The text is made in one pass over the tags, without a tree, so depth costs nothing and time is linear. The HTML is
sanitised by nh3 after size, depth and number of tags were bounded, since nh3 is quadratic on deep nesting.
"""

import re
from html import escape, unescape
from typing import Final

import nh3

from gateway.sources.mail.limits import MAX_TEXT
from gateway.sources.mail.wordlists import words
from gateway.sources.text import clean

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})([^<>]*)>")
_NEXT = re.compile(r"<(?=[a-zA-Z/!?])")
_ANY_TAG = re.compile(r"<[^<>]*>")
_OTHER = re.compile(r"<[!?][^<>]*>|</[^<>]*>")
_SPACES = re.compile(r"[ \t\r\n\f\v\xa0\u200b\ufeff\u00ad]+")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,30})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_BLANK_LINES = re.compile(r"\n{3,}")

_BLOCKS: Final = words(
    "address article aside body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6"
    " header html legend main menu nav ol option section summary table tbody tfoot thead tr ul caption"
)
_SPACED: Final = words("p blockquote h1 h2 h3 h4 h5 h6 ul ol table pre dl")
_SKIPPED: Final = frozenset({"script", "style", "title", "template", "noembed", "noframes", "object", "svg", "math"})
_VOID: Final = words("br hr img col input meta link wbr area base embed source track")
_SELF_CLOSING: Final = words("p li td tr th dd dt option")  # closed by what follows, often without a tag
MAX_DEPTH: Final = 200
MAX_TAGS: Final = 50_000
_MAX_QUOTES: Final = 20
_MOST_REFERENCES: Final = 100_000  # nh3 is quadratic on `&` too

_TAGS: Final = words(
    "a abbr b big blockquote br caption center cite code dd del dfn div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins kbd"
    " li ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead tr tt u ul var"
)
_DROPPED: Final = words("script style title iframe object svg math template noscript textarea select noembed noframes")
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign"},
    "ol": {"start", "type"},
    "font": {"color"},
    "blockquote": {"type"},
}


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
        folded = _SPACES.sub(" ", data)
        if folded == " ":
            if self.line and not self._blank:
                self.line.append(" ")
                self._blank = True
            return
        if self._blank or not self.line:
            folded = folded.lstrip(" ")
        self._put(folded)

    def _put(self, data: str) -> None:
        if not data:
            return
        if self._cell and self.line:
            self.line.append(" | ")
        self._cell = False
        self.line.append(data)
        self._blank = data.endswith(" ")

    def end_line(self) -> None:
        text = "".join(self.line).rstrip(" \t")
        self.line = []
        self._blank = True
        self._cell = False
        if self._gap and self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * min(self._gap_quotes, self.quotes, _MAX_QUOTES)).rstrip())
        self._gap = False
        self.lines.append((self._prefix() + text).rstrip() if text or self.quotes else text)

    def break_block(self, *, gap: bool) -> None:
        if "".join(self.line).strip():
            self.end_line()
        self.line = []
        self._blank = True
        self._cell = False
        if gap:
            self._gap_quotes = min(self.quotes, self._gap_quotes) if self._gap else self.quotes
            self._gap = True

    def item(self) -> None:
        self.break_block(gap=False)
        depth = min(len(self.lists), 10)
        indent = "  " * max(depth - 1, 0)
        if self.lists and self.lists[-1]:
            mark = f"{self.lists[-1]}. "
            self.lists[-1] += 1
        else:
            mark = "- "
        self.line = [indent + mark]
        self._blank = True

    def cell(self) -> None:
        if "".join(self.line).strip():
            self._cell = True
        self._blank = True

    def result(self) -> str:
        self.break_block(gap=False)
        return _BLANK_LINES.sub("\n\n", "\n".join(self.lines)).strip("\n")


def to_text(html: str) -> str:
    """Plain text of HTML. Never fails; linear in the input."""
    html = html[:MAX_TEXT]
    writer = _Writer()
    position = 0
    links: list[tuple[str, int, int]] = []
    unclosed: set[str] = set()
    for _ in range(2 * MAX_TAGS):
        following = _NEXT.search(html, position)
        if following is None:
            writer.text(unescape(html[position:]))
            break
        start = following.start()
        if start > position:
            writer.text(unescape(html[position:start]))
        tag = _TAG.match(html, start)
        if tag is None:
            position = _skip_other(html, start, unclosed, writer)
            continue
        position = tag.end()
        name = tag[2].lower()
        if tag[3].count('"') % 2:  # a `>` within an attribute
            quote = html.find('"', position, position + 2000)
            close = html.find(">", quote, quote + 2000) if quote >= 0 else -1
            position = close + 1 if close >= 0 else position
        if tag[1]:
            _close(writer, name, links)
        elif name in _SKIPPED and not tag[3].endswith("/"):
            position = _skip_content(html, position, name, unclosed)
        else:
            _open(writer, name, tag[3], links)
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
        alt = _SPACES.sub(" ", _attributes(rest).get("alt", "")).strip()
        if alt:
            writer.text(f"[{alt[:200]}]")
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
    elif name == "p" or name in _BLOCKS:
        writer.break_block(gap=name in _SPACED)


def _close(writer: _Writer, name: str, links: list[tuple[str, int, int]]) -> None:
    if name == "a":
        href, line, piece = links.pop() if links else ("", 0, 0)
        if href.lower().startswith(("http://", "https://", "ftp://", "mailto:")) and len(href) <= 2000:
            shown = "".join(writer.line[piece if line == len(writer.lines) else 0 :][-50:])
            target = href[7:].split("?")[0] if href.lower().startswith("mailto:") else href
            bare = re.sub(r"^https?://(?:www\.)?|/$", "", target)
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
    elif name in {"p", "li"} or name in _BLOCKS:
        writer.break_block(gap=name in _SPACED)


def sanitise(html: str) -> str:
    """HTML reduced to harmless markup: no scripts, no styles that hide, no remote loads; images only by ``cid:``.

    What is very long or deep is shown as its text instead.
    """
    if len(html) > MAX_TEXT or html.count("&") > _MOST_REFERENCES or not _is_shallow(html):
        return f"<pre>{escape(to_text(html))}</pre>"
    return nh3.clean(
        clean(html),
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "cid", "tel"},
        url_relative="deny",
        link_rel="noopener noreferrer",
        strip_comments=True,
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "img" and name == "src":
        return value if value.strip().lower().startswith("cid:") else None
    if tag == "a" and name == "href":
        return None if value.strip().lower().startswith("cid:") else value
    return value


def _is_shallow(html: str) -> bool:
    """Whether elements nest at most `MAX_DEPTH` deep. Closing tags that close nothing count for nothing."""
    depth = tags = 0
    for match in _TAG.finditer(html):
        tags += 1
        name = match[2].lower()
        if name in _VOID or name in _SELF_CLOSING:
            continue
        if match[1]:
            depth = max(depth - 1, 0)
        else:
            depth += 1
        if depth > MAX_DEPTH or tags > MAX_TAGS:
            return False
    return html.count("<") <= MAX_TAGS * 4
