"""One door per source: its configuration made ready, so that a delivery costs as little as possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.config.models import Server, SourceSettings
from gateway.receive.admission import Bucket
from gateway.receive.auth import Checker, decoy
from gateway.receive.networks import Network, client_address, parse_address, parse_networks, within
from gateway.sources.protocol import SourceKind


@dataclass(frozen=True, slots=True)
class Door:
    """A source as the HTTP door sees it. ``known`` is false for the one that stands for all unknown names."""

    name: str
    known: bool
    checker: Checker
    networks: tuple[Network, ...]
    max_body: int
    wait: float
    retry_horizon: float
    rejects_malformed: bool
    kind: SourceKind | None
    settings: SourceSettings | None
    bucket: Bucket | None

    def lets_in(self, address: str) -> bool:
        """True if this address may send."""
        return not self.networks or _inside(address, self.networks)


@lru_cache(maxsize=4096)
def _inside(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and within(parsed, networks)


class Doors:
    """All doors, and who is at them."""

    def __init__(self, sources: Mapping[str, SourceSettings], kinds: Mapping[str, SourceKind], server: Server) -> None:
        http = server.http
        self._doors = {name: _door(name, settings, kinds[settings.kind], server) for name, settings in sources.items()}
        self._trusted = parse_networks(http.trusted_proxies)
        self.nobody = Door(
            name="",
            known=False,
            checker=decoy(),
            networks=(),
            max_body=http.max_body,
            wait=0.0,
            retry_horizon=0.0,
            rejects_malformed=False,
            kind=None,
            settings=None,
            bucket=None,
        )

    def at(self, name: str, *, path_token: bool = False) -> Door:
        """The door of a name, or the one of nobody; a token in the path leads only to a source that takes one there."""
        door = self._doors.get(name, self.nobody)
        return self.nobody if path_token and not door.checker.takes_path_token else door

    def address(self, client: Sequence[object] | None, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Who is at the other end; empty for a unix socket without a proxy's word."""
        peer = str(client[0]) if client else ""
        if not self._trusted:
            return peer
        forwarded = [value for key, value in headers if key == b"x-forwarded-for"]
        return client_address(peer, forwarded, self._trusted)


def _door(name: str, settings: SourceSettings, kind: SourceKind, server: Server) -> Door:
    cap = server.http.max_body
    return Door(
        name=name,
        known=True,
        checker=Checker(settings.auth),
        networks=parse_networks(settings.networks),
        max_body=cap if settings.max_body is None else min(cap, settings.max_body),
        wait=settings.wait,
        retry_horizon=settings.retry_horizon,
        rejects_malformed=settings.malformed == "reject",
        kind=kind,
        settings=settings,
        bucket=None if settings.rate is None else Bucket(settings.rate),
    )
