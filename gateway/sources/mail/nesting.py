"""Whether HTML is simple enough for a tree to be made of it.

Two things make the tree of nh3 (and of every HTML5 parser) much larger or slower than the text: elements within elements,
which cost by the square, and formatting that is never closed, which each following block repeats as a whole ("reconstruct
the active formatting elements": ten kilobytes become three megabytes). Both are counted here in one linear pass that
reads tags as HTML5 does, so that a closing tag within an attribute or a comment counts for nothing.
"""

import re
from typing import Final

from gateway.sources.mail.wordlists import words

MAX_DEPTH: Final = 200
MAX_TAGS: Final = 50_000
_FEW: Final = 8000  # so many openings are no danger however they nest, and a rough count will do
_MOST_COPIES: Final = 300_000
_OPENING = re.compile(r"<[a-zA-Z]")
_FORMATTING: Final = words("a b big code em font i nobr s small strike strong tt u")
_NAMES: Final = "|".join(sorted(_FORMATTING, key=len, reverse=True))
# Formatting with attributes, in lower case: much faster than to ignore case. An `a` ends the one before it.
_ATTRIBUTED = re.compile(rf"<(?!a[\s/])(?:{_NAMES})[\s/]")
_SPECIAL = re.compile(rf"<((?!a\b)(?:{_NAMES}))[\s/][^<>]*>", re.IGNORECASE)
_VOID: Final = words("br hr img col input meta link wbr area base embed source track")
_CLOSED_BY_NEXT: Final = words("p li td tr th dd dt option")  # by what follows, often without a tag
_NESTING = re.compile(rf"<(/?)(?!(?:{'|'.join(sorted(_VOID | _CLOSED_BY_NEXT))})(?![a-z0-9]))[a-z]")
_RAW: Final = words("script style title textarea iframe noembed noframes noscript xmp")
_FOREIGN = re.compile(r"<(?:svg|math|plaintext|select|template|!\[CDATA)", re.IGNORECASE)
# A tag as the tokeniser of HTML5 reads it: a quote counts only behind an equals sign. Possessive, so linear.
_TAG = re.compile(
    r"<(?:(/?)([a-zA-Z][^\s/>]*+)((?:[^>=]|=(?!\s*+[\"'])|=\s*+\"[^\"]*+\"|=\s*+'[^']*+')*+)>|(!--)|[!?/][^>]*+>)"
)


def is_shallow(html: str) -> bool:
    """Whether elements nest at most `MAX_DEPTH` deep, and formatting that stays open is not repeated too often."""
    openings = html.count("<")
    if openings > MAX_DEPTH:
        openings = len(_OPENING.findall(html))
    if openings <= MAX_DEPTH:
        return True
    if openings > MAX_TAGS:
        return False
    if openings <= _FEW:
        return _roughly_shallow(html)
    # Where other rules hold, nobody counts what a person did not write.
    return _FOREIGN.search(html) is None and _counted(html, openings)


def tamed(html: str) -> str | None:
    """The HTML with formatting that says nothing beside its name, if there is so much that it could be repeated too often.

    Of equal formatting elements at most three are repeated ("Noah's Ark clause"), so attributes make the danger. None if
    they cannot be taken away.
    """
    openings = html.count("<")
    if openings * openings > 4 * _MOST_COPIES:
        openings = len(_OPENING.findall(html))
    if openings * openings <= 4 * _MOST_COPIES:  # half of them of each kind would not be too many
        return html
    if len(_ATTRIBUTED.findall(html.lower())) * openings <= _MOST_COPIES:
        return html
    html = _SPECIAL.sub(r"<\1>", html)
    return html if len(_ATTRIBUTED.findall(html.lower())) * openings <= _MOST_COPIES else None


def _roughly_shallow(html: str) -> bool:
    depth = 0
    for closing in _NESTING.findall(html.lower()):
        if not closing:
            depth += 1
            if depth > MAX_DEPTH:
                return False
        elif depth:
            depth -= 1
    return True


def _counted(html: str, openings: int) -> bool:
    depth = formats = most = position = 0
    while True:
        start = html.find("<", position)
        if start < 0:
            return True
        tag = _TAG.match(html, start)
        if tag is None:
            if html[start + 1 : start + 2].isalpha():
                return True  # a tag that never ends: all the rest is part of it
            position = start + 1
            continue
        position = tag.end()
        if tag[4]:
            end = html.find("-->", start + 2)
            if end < 0:
                return True
            position = end + 3
            continue
        name = tag[2]
        if name is None:
            continue
        name = name.lower()
        step = -1 if tag[1] else 1
        if name in _FORMATTING:
            formats = max(formats + step, 0)
            most = max(most, formats)
            if most > 3 and most * (openings - most) > _MOST_COPIES:
                return False
        if name not in _VOID and name not in _CLOSED_BY_NEXT:
            depth = max(depth + step, 0)
            if depth > MAX_DEPTH:
                return False
        if step > 0 and name in _RAW:
            close = re.compile(f"</{name}", re.IGNORECASE).search(html, position)
            if close is None:
                return True
            position = close.start()
