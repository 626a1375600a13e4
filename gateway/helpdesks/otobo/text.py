"""Texts as OTOBO stores them without loss, with the marker that tells our own articles."""

import html as markup
import re

from gateway.helpdesks.text import one_line, whole

MOST_TITLE = 191
"""Characters of a title that are kept; OTOBO cuts longer ones without a word."""
MOST_VALUE = 8000
"""Characters of a dynamic field. OTOBO keeps as many; a much longer value fails after the ticket was made."""
NO_TITLE = "(no title)"

_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def tag(marker: str) -> str:
    """The words by which an article or a title is found to be ours."""
    return f"tg-{marker}"


def title(text: str, marker: str = "") -> str:
    """One line of at most 191 characters; never empty, nor ``0``, which counts as missing. The marker is not cut."""
    line = _shown(text)
    end = f" {tag(marker)}" if marker else ""
    room = MOST_TITLE - len(end)
    return (line if len(line) <= room else line[: room - 1].rstrip() + "…") + end


def subject(text: str) -> str:
    """One line for an article."""
    return _shown(text)[:250]


def _shown(text: str) -> str:
    line = one_line(text)
    return f"({line})" if line == "0" else line or NO_TITLE


def body(text: str, html: str, heading: str, notes: tuple[str, ...], marker: str) -> tuple[str, str]:
    """(body, content type): HTML where it shows something, else text; our notes and the marker at the end."""
    lines = [*(one_line(note) for note in notes), tag(marker)]
    marked = whole(html).strip()
    if marked and (_TAG.sub("", marked).strip() or "<img" in marked.lower()):
        block = "<p>" + "<br>".join(markup.escape(line) for line in lines) + "</p>"
        ends = list(_BODY_END.finditer(marked))
        at = ends[-1].start() if ends else len(marked)
        return marked[:at] + block + marked[at:], "text/html; charset=utf-8"
    plain = whole(text).rstrip()
    plain = plain if plain.strip() else subject(heading)
    return plain + "\n\n" + "\n".join(lines), "text/plain; charset=utf-8"
