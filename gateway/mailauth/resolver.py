"""DNS as the checks need it: bounded, cached, and without exceptions. Part of the extra ``mail-auth``."""

import asyncio
from collections.abc import Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver

from gateway.mailauth.question import NOTHING, Answer, RecordType
from gateway.receive.networks import parse_address

AT_ONCE: Final = 32
"""Queries that are under way at one time."""
CACHED: Final = 1000
"""Answers that are remembered, as long as DNS allows."""
MOST_RECORDS: Final = 100
"""Records of one answer that are looked at."""
MOST_OCTETS: Final = 16_384
"""Octets of one text record; a longer one is as if it were not there."""


class Resolver:
    """Asks the name servers."""

    def __init__(self, servers: Sequence[str] = (), *, timeout: float = 4.0) -> None:
        """``servers`` are ``ADDRESS`` or ``ADDRESS:PORT``; none means those of the system.

        ``timeout`` is for one query with all its repeats, in seconds.
        """
        self._problem = ""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.exception.DNSException as error:  # no name server is configured on this machine
            self._problem = str(error)
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [_server(text) for text in servers]
        self._resolver.cache = dns.resolver.LRUCache(CACHED)
        self._timeout = timeout
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def lookup(self, name: str, kind: RecordType) -> Answer:
        """The records of a name, aliases followed. What is no name has none. Never raises but for a cancellation."""
        if self._problem:
            return Answer(failed=self._problem)
        try:
            absolute = dns.name.from_text(name.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return NOTHING
        try:
            async with self._slots:
                found = await self._resolver.resolve(
                    absolute, kind, raise_on_no_answer=False, lifetime=self._timeout, search=False
                )
        except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
            return NOTHING
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
            return Answer(failed=f"{type(error).__name__} for {kind} of {name[:100]}")
        return _answer(found) if found.rrset is not None else NOTHING


def _server(text: str) -> dns.nameserver.Nameserver:
    address = parse_address(text)
    if address is None:
        raise ValueError(
            f"'{text}' is no address of a name server; write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53"
        )
    host, _, port = text.strip().rpartition(":")
    has_port = (text.strip().startswith("[") and "]:" in text) or text.count(":") == 1
    return dns.nameserver.Do53Nameserver(str(address), int(port) if has_port and host else 53)


def _answer(found: dns.resolver.Answer) -> Answer:
    texts: list[bytes] = []
    names: list[str] = []
    exchanges: list[tuple[int, str]] = []
    for record in list(found)[:MOST_RECORDS]:
        if isinstance(record, dns.rdtypes.ANY.TXT.TXT):
            text = b"".join(record.strings)
            if len(text) <= MOST_OCTETS:
                texts.append(text)
        elif isinstance(record, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA):
            names.append(str(record.address))
        elif isinstance(record, dns.rdtypes.ANY.PTR.PTR):
            names.append(record.target.to_text(omit_final_dot=True))
        elif isinstance(record, dns.rdtypes.ANY.MX.MX):
            exchanges.append((int(record.preference), record.exchange.to_text(omit_final_dot=True)))
    return Answer(texts=tuple(texts), names=tuple(names), exchanges=tuple(exchanges))
