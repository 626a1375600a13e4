"""A name server of the tests, and mails signed with keys that it knows."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import cast

import dkim
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

RECEIVED_AT = 1_795_000_000.0


@dataclass
class Names(asyncio.DatagramProtocol):
    """Answers what is in ``records``, by (name, type); ``broken`` names get SERVFAIL, a ``silent`` server says nothing."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""
    _transport: asyncio.DatagramTransport | None = None

    def text(self, name: str, *texts: str) -> None:
        """TXT records; long ones in several strings, as DNS wants it."""
        cut = [[text[at : at + 200] for at in range(0, len(text), 200)] or [""] for text in texts]
        self.records[name, "TXT"] = [" ".join(f'"{piece}"' for piece in pieces) for pieces in cut]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # the loop's own class is no subclass

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        found = self.records.get((name, kind))
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found is not None:
            answer.answer.append(dns.rrset.from_text_list(question.name, 300, "IN", kind, found))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self._transport is not None
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[Names]:
    """A name server on a free port of this machine."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")[:2]
    names.address = f"{host}:{port}"
    try:
        yield names
    finally:
        transport.close()


@cache
def private_key(bits: int = 1024) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def key_record(bits: int = 1024, more: str = "") -> str:
    """The record at the selector of a key."""
    public = private_key(bits).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; {more}p={base64.b64encode(der).decode()}"


class _Signer(dkim.DKIM):  # type: ignore[misc]  # the library ships no types
    more: tuple[tuple[bytes, bytes], ...] = ()

    def gen_header(self, fields: list[tuple[bytes, bytes]], *rest: object, **named: object) -> object:
        return super().gen_header([*fields[:-2], *self.more, *fields[-2:]], *rest, **named)


def signed(
    message: bytes,
    domain: str,
    *,
    selector: str = "s1",
    bits: int = 1024,
    length: bool = False,
    headers: tuple[str, ...] = ("from", "to", "subject"),
    more: tuple[tuple[str, str], ...] = (),
    at: float = RECEIVED_AT,
) -> bytes:
    """The message under a signature of that domain. ``more`` are further tags (``x``)."""
    pem = private_key(bits).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    signer = _Signer(message)
    signer.more = tuple((name.encode(), value.encode()) for name, value in more)
    before, dkim.time = dkim.time, type("Clock", (), {"time": staticmethod(lambda: at)})
    try:
        header = signer.sign(
            selector.encode(),
            domain.encode(),
            pem,
            include_headers=[name.encode() for name in headers],
            length=length,
        )
    finally:
        dkim.time = before
    return bytes(header) + message


def mail(sender: str = "Ann Adams <ann@example.org>", body: str = "The fan is loud.", *head: str) -> bytes:
    """A plain mail."""
    lines = [*head, f"From: {sender}", "To: support@tickets.example", "Subject: fan", "Message-ID: <1@example.org>"]
    return "\r\n".join([*lines, "", *body.split("\n"), ""]).encode()
