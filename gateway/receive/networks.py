"""Who is at the other end: the address of the socket, or what a trusted proxy says."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MOST_HOPS = 50


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as they are configured; host bits may be set (``10.1.2.3/8``).

    Raises:
        ValueError: for a text that is neither.
    """
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """The address in ``1.2.3.4``, ``1.2.3.4:80``, ``::1``, ``[::1]:80`` or ``fe80::1%eth0``; IPv4 in IPv6 is unwrapped."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def within(address: Address, networks: Sequence[Network]) -> bool:
    """True if the address lies in one of the networks."""
    return any(address in network for network in networks)


def client_address(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """The client's address: of the socket, or of the nearest hop that is no trusted proxy.

    ``peer`` is the socket's address, empty for a unix socket; whoever reaches that one passed its file mode and is
    trusted like a proxy as soon as any proxy is configured. ``forwarded`` are the values of ``X-Forwarded-For`` in order:
    they are read from the right, and what an untrusted hop wrote is never looked at.
    """
    if not trusted or not forwarded:
        return peer
    nearest = parse_address(peer) if peer else None
    if peer and (nearest is None or not within(nearest, trusted)):
        return peer
    client = peer
    hops = b",".join(forwarded).split(b",")
    for hop in reversed(hops[-_MOST_HOPS:]):
        address = parse_address(hop.decode("latin-1"))
        if address is None:
            return client  # the last trusted word ends here
        client = str(address)
        if not within(address, trusted):
            return client
    return client
