"""Which addresses are ours: the ``recipients`` of the mail sources. Pure.

A pattern is an exact address (``support@example.org``), an address with any sub-address (``alerts+*@example.org``, which
takes ``alerts+db@`` and not ``alerts@``), or a whole domain (``*@example.org``). Domains are compared without case, as
A-labels; local parts without case too, since no MTA of today tells ``Support`` and ``support`` apart (RFC 5321, section 2.4,
leaves that to the receiver). The most exact pattern wins: address, then sub-address, then domain.

Nothing is ever relayed: a local part that names another host (``a@b``, ``a%b``, ``b!a``) belongs to no pattern, and neither
does a source route.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import idna

SEPARATOR = "+"
"""What stands between a local part and its sub-address (RFC 5233 leaves the character to the site)."""

_LONGEST = 320  # octets: 64 of local part (lenient, with a sub-address), 1, 255 of domain
_RELAY = frozenset("@%!")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an address is. ``subaddress`` is what stands behind the first ``+`` of the local part, as it was written."""

    source: str
    subaddress: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, read. ``local`` is empty for a whole domain; ``tagged`` says that a sub-address is wanted."""

    domain: str
    local: str = ""
    tagged: bool = False


def normal_domain(domain: str) -> str:
    """A domain as it is compared: lower case, A-labels, no dot at its end. Empty if it cannot be one."""
    domain = domain.removesuffix(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    return domain.lower()


def split_address(address: str) -> tuple[str, str]:
    """Local part, unquoted, and domain, as they were written; the domain is empty where there is none."""
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    if len(local) >= 2 and local[0] == local[-1] == '"':
        local = _unquoted(local[1:-1])
    return local, domain


def _unquoted(text: str) -> str:
    parts: list[str] = []
    escaped = False
    for character in text:
        if character == "\\" and not escaped:
            escaped = True
            continue
        parts.append(character)
        escaped = False
    return "".join(parts)


def parse_pattern(text: str) -> Pattern:
    """Read one pattern.

    Raises:
        ValueError: with the accepted forms.
    """
    wrong = ValueError(
        f"{text!r} is no recipient; write support@example.org, alerts+*@example.org (with any sub-address) or *@example.org"
    )
    local, domain = split_address(text.strip())
    domain = normal_domain(domain)
    if not local or not domain or "*" in domain or any(ord(each) <= 32 or each == "," for each in local + domain):
        raise wrong
    if local == "*":
        return Pattern(domain)
    tagged = local.endswith(f"{SEPARATOR}*")
    name = local.removesuffix(f"{SEPARATOR}*") if tagged else local
    if not name or "*" in name or _RELAY.intersection(name):
        raise wrong
    return Pattern(domain, name.casefold(), tagged)


class Recipients:
    """All patterns of all mail sources, ready to be asked."""

    def __init__(self, patterns: Mapping[str, Iterable[str]], hostname: str = "") -> None:
        """``patterns``: source name -> its recipients. ``hostname`` is the domain of a bare ``postmaster``.

        Raises:
            ValueError: for a pattern that cannot be read or that two sources claim.
        """
        self._hostname = hostname
        self._owners: dict[Pattern, str] = {}
        for source, texts in patterns.items():
            for text in texts:
                pattern = parse_pattern(text)
                other = self._owners.setdefault(pattern, source)
                if other != source:
                    raise ValueError(f"the recipient {text!r} belongs to two sources, {other!r} and {source!r}")

    def find(self, address: str) -> Owner | None:
        """Whose this address is, None if it is not ours. Any text may be asked for."""
        if not address or len(address) > _LONGEST:
            return None
        local, domain = split_address(address)
        if not domain and local.casefold() == "postmaster":
            domain = self._hostname  # RFC 5321, section 4.5.1
        domain = normal_domain(domain)
        if not local or not domain or _RELAY.intersection(local):
            return None
        name, separator, tag = local.partition(SEPARATOR)
        patterns = [Pattern(domain, local.casefold())]
        if separator and name:
            patterns.append(Pattern(domain, name.casefold(), tagged=True))
        patterns.append(Pattern(domain))
        for pattern in patterns:
            source = self._owners.get(pattern)
            if source is not None:
                return Owner(source, tag)
        return None
