"""Mail addresses as configuration and routes may give them: plain ones, which no header and no command can misread."""

import re

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9.-]+)")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def plain_address(value: object) -> str:
    """A mail address without display name, quotes or blanks, in ASCII, trimmed.

    Raises:
        ValueError: with what is wrong.
    """
    text = value.strip() if isinstance(value, str) else ""
    match = _ADDRESS.fullmatch(text)
    if match is None or len(text) > 254 or not is_host(match[2]):
        raise ValueError(f"{value!r} is no plain mail address; write one like monitoring@example.org")
    return text


def is_host(text: str) -> bool:
    """Whether it can be the name of a host or domain."""
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def display_name(value: str) -> str:
    """The name of a person or program, trimmed.

    Raises:
        ValueError: it is empty, too long or cannot be shown.
    """
    name = value.strip()
    if not name or len(name) > 128 or not name.isprintable():
        raise ValueError("a name is 1 to 128 printable characters")
    return name


def domain(value: str) -> str:
    """A domain in lower case, or nothing.

    Raises:
        ValueError: it is none.
    """
    if value and not is_host(value):
        raise ValueError(f"{value!r} is no domain; write one like gateway.example.org")
    return value.lower()
