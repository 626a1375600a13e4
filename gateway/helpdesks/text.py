"""Texts as they may go into any request: what can be encoded, and what stays on one line."""

import re
import unicodedata

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def one_line(text: str) -> str:
    """Without line breaks, control and invisible characters; blanks joined."""
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in whole(text))
    return " ".join("".join(c for c in visible if unicodedata.category(c) != "Cf").split())


def whole(text: str) -> str:
    """Text that can be encoded, without control characters but tabs and line breaks."""
    known = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become question marks
    return _CONTROL.sub("", known.replace("\r\n", "\n").replace("\r", "\n"))
