"""Texts as osTicket stores them without loss, and without a word that steers its mail threading.

What is avoided, all seen on a running osTicket 1.18: emoji vanish; ``#123456`` in the subject of a mail puts it into
the ticket of that number; a `Ref-Mid:` line may put it into another ticket; what follows the reply separator is cut
off; an empty message becomes ``-``.
"""

import html as markup
import re
import unicodedata

MOST_SUBJECT = 255
"""Characters of a subject that are kept."""

NO_SUBJECT = "(no subject)"

# The signs that monitoring texts are made of, in words; osTicket deletes the signs.
_WORDS = {
    **dict.fromkeys("✅✓✔🆗👍", "[OK]"),
    **dict.fromkeys("❌❎✖✗✘👎", "[X]"),
    **dict.fromkeys("❗❕🚨🔔", "[!]"),
    **dict.fromkeys("❓❔", "[?]"),
    **dict.fromkeys("➔➜➡", "->"),
    "🔥": "[fire]",
    "🔴": "[red]",
    "🟠": "[orange]",
    "🟡": "[yellow]",
    "🟢": "[green]",
    "🔵": "[blue]",
    "💀": "[dead]",
    "🚀": "[start]",
}
_EMOJI = re.compile("[\u2702-\u27b0\U0001f000-\U0001faff\U000e0000-\U000e007f][\ufe0f\u200d\u20e3]*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_HASH = re.compile(r"#(?=\S)")
_REFERENCE = re.compile(r"ref-mid(?=:)", re.IGNORECASE)
_MARKED = re.compile(r"""(class\s*=\s*["']?)(?=mid-)""", re.IGNORECASE)
_SEPARATOR = re.compile(r"-+(?:\s|&nbsp;)*(reply\s+above\s+this\s+line)(?:\s|&nbsp;)*-+", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


def subject(title: str) -> str:
    """One line, never empty, in which no ``#number`` can name a ticket.

    Also for JSON, where osTicket does not look: an answer to its mail bears the subject too.
    """
    line = one_line(title) or NO_SUBJECT
    line = _HASH.sub("# ", line)
    return line if len(line) <= MOST_SUBJECT else line[: MOST_SUBJECT - 1].rstrip() + "…"


def one_line(text: str) -> str:
    """Without line breaks, control and invisible characters; blanks joined."""
    if text.isascii() and text.isprintable():  # most titles; nothing below would change them
        return " ".join(text.split())
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in _printable(text))
    return " ".join("".join(c for c in visible if unicodedata.category(c) != "Cf").split())


def body_text(text: str, title: str) -> str:
    """A plain message, never empty: the title stands in."""
    clean = _harmless(_printable(text)).rstrip()
    return clean if clean.strip() else subject(title)


def body_html(html: str) -> str:
    """An HTML message, or nothing where the plain text has to do.

    That is so for HTML that shows nothing, and for HTML that hides the separator behind entities or tags.
    """
    clean = _MARKED.sub(r"\1x-", _harmless(_printable(html))).strip()
    shown = markup.unescape(_TAG.sub("", clean))
    if _SEPARATOR.search(shown) or _REFERENCE.search(shown):
        return ""
    return clean if shown.strip() or "<img" in clean.lower() else ""


def with_notes(text: str, html: str, notes: tuple[str, ...]) -> tuple[str, str]:
    """Both forms of a message with lines of ours at the end."""
    if not notes:
        return text, html
    lines = [_harmless(one_line(note)) for note in notes]
    if html:
        block = "<hr><p>" + "<br>".join(markup.escape(line) for line in lines) + "</p>"
        ends = list(_BODY_END.finditer(html))
        at = ends[-1].start() if ends else len(html)
        html = html[:at] + block + html[at:]
    return text.rstrip() + "\n\n" + "\n".join(lines), html


def _printable(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become question marks
    whole = _CONTROL.sub("", whole.replace("\r\n", "\n").replace("\r", "\n"))
    return whole if whole.isascii() else _EMOJI.sub(lambda sign: _WORDS.get(sign[0][0], ""), whole)


def _harmless(text: str) -> str:
    return _SEPARATOR.sub(r"[\1]", _REFERENCE.sub(lambda words: words[0] + " ", text))
