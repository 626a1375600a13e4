"""How many connections a client may open, how fast, and what wrong passwords cost it."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from gateway.config.models import MailLimits
from gateway.receive.admission import Bucket
from gateway.receive.networks import parse_address

_REMEMBERED = 20_000
_FORGIVEN_AFTER = 900.0
_LONGEST_DELAY = 10.0


def peer_key(peer: str) -> str:
    """Under what a client is counted: its IPv4 address, or the /64 of its IPv6 address, which one host owns whole."""
    address = parse_address(peer)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False).network_address)
    return peer


@dataclass(slots=True)
class _Peer:
    open: int = 0
    bucket: Bucket | None = None
    wrong: int = 0
    wrong_at: float = 0.0


class Peers:
    """All clients of all mail doors. ``monotonic`` gives seconds."""

    def __init__(self, limits: MailLimits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._peers: dict[str, _Peer] = {}
        self.open = 0
        """Connections at this moment."""

    def enter(self) -> bool:
        """Count a connection whose client is not known yet; False if there are too many in all."""
        if self.open >= self._limits.connections:
            return False
        self.open += 1
        return True

    def leave(self) -> None:
        """A connection is gone."""
        self.open -= 1

    def meet(self, key: str) -> bool:
        """Count a connection of this client; False if it has too many, or opens them too fast."""
        peer = self._peer(key)
        if peer.open >= self._limits.connections_per_peer:
            return False
        if self._limits.connection_rate is not None:
            peer.bucket = peer.bucket or Bucket(self._limits.connection_rate, self._monotonic)
            if peer.bucket.take() is not None:
                return False
        peer.open += 1
        return True

    def part(self, key: str) -> None:
        """A connection that `meet` counted is gone."""
        peer = self._peers.get(key)
        if peer is not None:
            peer.open -= 1
            if peer.open <= 0 and not peer.wrong and peer.bucket is None:
                del self._peers[key]

    def wrong_password(self, key: str) -> float:
        """Count a wrong password of this client, over all its connections; seconds that the answer must wait."""
        peer, now = self._peer(key), self._monotonic()
        if now - peer.wrong_at > _FORGIVEN_AFTER:
            peer.wrong = 0
        peer.wrong += 1
        peer.wrong_at = now
        return min(_LONGEST_DELAY, 0.25 * 2.0 ** min(peer.wrong - 1, 10))

    def _peer(self, key: str) -> _Peer:
        peer = self._peers.get(key)
        if peer is None:
            if len(self._peers) >= _REMEMBERED:
                self._forget()
            peer = self._peers[key] = _Peer()
        return peer

    def _forget(self) -> None:
        """Drop who has nothing open, those first who came first."""
        gone = [key for key, peer in self._peers.items() if peer.open <= 0]
        for key in gone[: len(gone) // 2 + 1]:
            del self._peers[key]
