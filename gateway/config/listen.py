"""Addresses to listen on, as they are written in ``listen``."""

import ipaddress
from dataclasses import dataclass

_MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a door listens: a host and port, or a unix socket (then ``unix`` is its path)."""

    host: str = ""
    port: int = 0
    unix: str = ""

    @property
    def loopback(self) -> bool:
        """True if only this machine reaches it."""
        if self.unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Read ``HOST:PORT``, ``[::1]:PORT`` or ``unix:/path/to.sock``; port 0 takes any free one.

    Raises:
        ValueError: with the accepted forms.
    """
    if text.startswith("unix:"):
        if not text.startswith("unix:/"):
            raise ValueError(f"{text!r} is no socket; write unix:/path/to.sock with a full path")
        return Listen(unix=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not (port.isascii() and port.isdigit())
        or int(port[:6]) > _MOST_PORT
        or (":" in host and not bracketed)
    ):
        raise ValueError(f"{text!r} is no address to listen on; write 127.0.0.1:8025, [::1]:8025 or unix:/path/to.sock")
    if bracketed:
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no IPv6 address; write [::1]:8025") from None
    if not host or any(character.isspace() or character == "/" for character in host):
        raise ValueError(f"{text!r} names no host; write 127.0.0.1:{port}, or 0.0.0.0:{port} for all addresses")
    return Listen(host=host, port=int(port))


def listens(value: str | list[str]) -> tuple[Listen, ...]:
    """All addresses of a ``listen`` setting, which is one or a list.

    Raises:
        ValueError: as `parse_listen`.
    """
    return tuple(parse_listen(each) for each in ([value] if isinstance(value, str) else value))
