"""Addresses as people and programs misuse them.

The rule: an entry's address is what stands in its last pair of angle brackets, else its last word with an ``@`` in it.
What stands in quotes, comments or encoded words is a name and never an address (CVE-2023-27043).
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.sources.mail.headers import one_line, unfolded, unstructured
from gateway.sources.mail.limits import MAX_ADDRESSES, MAX_HEADER

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ANGLE = re.compile(r"<([^<>]*)>")
_PLAIN = re.compile(r'[^"(),;:<>\\]+')
_BARE = re.compile(r"[^\s@<>()\[\],;:\"\\]+@(?:[^\s@<>()\[\],;:\"\\]+|\[[^\s\[\]]+\])")
_ROUTE = re.compile(r"^@[^:]*:")
_SPACES = re.compile(r"\s+")
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: the name that is shown, and ``local@domain`` as it was written; either may be empty."""

    name: str
    address: str


def parse_addresses(value: bytes, most: int = MAX_ADDRESSES) -> list[Address]:
    """The mailboxes of an address header, those of groups included, in order. Never fails."""
    reader = _Reader(unfolded(value[:MAX_HEADER]), most)
    return reader.read()


class _Reader:
    """One pass over the header, entry by entry."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._quotes = self._closed = True  # while no quote and no comment was found that is never closed
        self._found: list[Address] = []
        self._clear()

    def _clear(self) -> None:
        self._words: list[str] = []  # of the name, quotes resolved
        self._bare: list[str] = []  # outside quotes, where an address may stand without brackets
        self._comments: list[str] = []
        self._angle: str | None = None

    def read(self) -> list[Address]:
        """All mailboxes of the header."""
        text, position = self._text, 0
        while position < len(text) and len(self._found) < self._most:
            character = text[position]
            if character == '"':
                position = self._quoted(position)
            elif character == "(":
                position = self._comment(position)
            elif character == "<":
                position = self._brackets(position)
            elif character in ",;":
                self._finish()
                position += 1
            elif character == ":" and text.find(";", position) > 0 and "@" not in "".join(self._bare):
                self._clear()  # the name of a group
                position += 1
            else:
                position = self._plain(position)
        self._finish()
        return self._found[: self._most]

    def _quoted(self, position: int) -> int:
        text = self._text
        quoted = _QUOTED.match(text, position) if self._quotes else None
        if quoted is None:
            self._quotes = False  # never closed: from here on an ordinary character
            return position + 1
        position = quoted.end()
        if text[position : position + 1] != "@":
            self._words.append(re.sub(r"\\(.)", r"\1", quoted[1]))
            return position
        rest = _PLAIN.match(text, position)  # a quoted local part
        self._angle = self._angle or quoted[0] + (rest[0].strip() if rest else "")
        return rest.end() if rest else position

    def _comment(self, position: int) -> int:
        comment = _comment(self._text, position) if self._closed else None
        if comment is None:
            self._closed = False
            return position + 1
        self._comments.append(comment)
        return position + len(comment) + 2

    def _brackets(self, position: int) -> int:
        angle = _ANGLE.match(self._text, position)
        if angle is not None:
            content = angle[1].strip()
            if content and ("@" in content or not self._angle):
                self._angle = content
            return angle.end()
        rest = _PLAIN.match(self._text, position + 1)  # never closed
        content = rest[0].strip() if rest else ""
        if "@" in content:
            self._angle = content
        return rest.end() if rest else position + 1

    def _plain(self, position: int) -> int:
        plain = _PLAIN.match(self._text, position)
        if plain is None:
            if self._text[position] == ":":
                self._words.append(":")
            return position + 1
        self._words.append(plain[0])
        self._bare.append(plain[0])
        return plain.end()

    def _finish(self) -> None:
        name = unstructured(" ".join(word for word in (part.strip() for part in self._words) if word))
        address = self._angle
        quoted = not self._bare or not "".join(self._bare).strip()
        if not address:
            bare = " ".join(self._bare)
            matches = _BARE.findall(bare[:_LONGEST])
            address = matches[-1] if matches else ""
            if not address and "=?" in bare:  # the whole entry as one encoded word
                decoded = unstructured(bare)
                inner = _ANGLE.search(decoded)
                if inner and "@" in inner[1]:
                    address, name = inner[1], decoded[: inner.start()].strip()
                else:
                    matches = _BARE.findall(decoded[:_LONGEST])
                    address = matches[-1] if matches else ""
                    name = name.replace(address, "").strip() if address else name
            elif address:
                name = unstructured(" ".join(self._words).replace(address, " "))
            elif not name and len(self._bare) == 1:
                address = ""
        if not name:
            name = unstructured(" ".join(self._comments))
        address = _clean(address or "")
        name = one_line(name.strip().strip('"').strip())
        if name.startswith("'") and name.endswith("'") and len(name) > 2:
            name = name[1:-1]
        if address and self._found and not self._found[-1].address and self._angle and not quoted:
            name = f"{self._found.pop().name}, {name}"  # `Doe, Ann <ann@example.org>` without quotes
        if name or address:
            self._found.append(Address(name[:_LONGEST], address[:_LONGEST]))
        self._clear()


def _comment(text: str, position: int) -> str | None:
    """The comment that begins here, without its parentheses; None if it is never closed."""
    depth, start = 0, position
    limit = min(len(text), position + 5000)
    while position < limit:
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return text[start + 1 : position]
        position += 1
    return None


def _clean(address: str) -> str:
    address = _ROUTE.sub("", one_line(address).strip())
    if address.lower().startswith("mailto:"):
        address = address[7:]
    if address.startswith("=?"):
        address = unstructured(address)
    if not address.startswith('"'):
        address = _SPACES.sub("", address)
    return address.strip("<>'., ")
