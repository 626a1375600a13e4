"""The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): for whom a proxy speaks. Pure."""

import struct
from ipaddress import IPv4Address, IPv6Address

MOST = 536
"""Octets that a header may have; version 1 has at most 107, version 2 with addresses and a few TLVs stays below."""

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V1_LONGEST = 107
_ADDRESSES = {0x11: 12, 0x21: 36}  # TCP over IPv4 and over IPv6: octets of two addresses and two ports


class BadProxyHeader(Exception):
    """The connection does not begin with a PROXY header."""


def parse_proxy(data: bytes) -> tuple[int, str | None] | None:
    """The header at the beginning of ``data``: its length, and the client's address.

    The address is None where the proxy speaks for itself (LOCAL, UNKNOWN). The result is None if more octets are needed.

    Raises:
        BadProxyHeader: if this is no header, or none of ours (not TCP).
    """
    if data.startswith(_V2[: len(data)]):
        return _version_2(data)
    if data.startswith(_V1[: len(data)]):
        return _version_1(data)
    raise BadProxyHeader


def _version_1(data: bytes) -> tuple[int, str | None] | None:
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST:
            raise BadProxyHeader
        return None
    words = data[:end].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return end + 2, None
    try:
        _, family, source, target, *ports = words
        kind = {"TCP4": IPv4Address, "TCP6": IPv6Address}[family]
        client, _ = kind(source), kind(target)
        if len(ports) != 2 or not all(port.isascii() and port.isdigit() and int(port) < 65536 for port in ports):
            raise BadProxyHeader
    except (ValueError, KeyError):
        raise BadProxyHeader from None
    return end + 2, str(client)


def _version_2(data: bytes) -> tuple[int, str | None] | None:
    if len(data) < 16:
        return None
    version, family, length = struct.unpack_from("!BBH", data, 12)
    if version not in {0x20, 0x21} or 16 + length > MOST:
        raise BadProxyHeader
    if len(data) < 16 + length:
        return None
    if version == 0x20 or family == 0:
        return 16 + length, None
    if length < _ADDRESSES.get(family, MOST):
        raise BadProxyHeader
    if family == 0x11:
        return 16 + length, str(IPv4Address(data[16:20]))
    return 16 + length, str(IPv6Address(data[16:32]))
