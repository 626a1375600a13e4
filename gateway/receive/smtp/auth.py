"""Clients that prove who they are: SASL PLAIN (RFC 4616) and LOGIN, against Argon2 hashes (RFC 9106)."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from gateway.config.values import Secret

_LONGEST = 1024  # octets of a name or a password
_AT_ONCE = 2  # hashes at one time: each takes tens of MiB


class Users:
    """The users of a door. Checking takes the same time whether there is such a user or not."""

    def __init__(self, users: Mapping[str, Secret]) -> None:
        """``users``: Argon2 hash by name.

        Raises:
            ValueError: for what is no Argon2 hash; the message names the user.
        """
        self._users = {name.encode(): secret.reveal() for name, secret in users.items()}
        self._hasher = PasswordHasher()
        for name, text in self._users.items():
            try:
                parameters = extract_parameters(text)
            except InvalidHashError:
                raise ValueError(
                    f"the password of SMTP user {name.decode()!r} is no Argon2 hash ($argon2id$...)"
                ) from None
            self._hasher = PasswordHasher.from_parameters(parameters)
        self._decoy = self._hasher.hash(secrets.token_urlsafe(32))
        self._threads = ThreadPoolExecutor(_AT_ONCE, "smtp-auth")

    async def check(self, name: bytes, password: bytes) -> bool:
        """True if this is a user's password."""
        known = self._users.get(name)
        right = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, known or self._decoy, password
        )
        return right and known is not None

    def _verify(self, text: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(text, password)
        except Argon2Error:
            return False

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def decode(word: bytes) -> bytes | None:
    """One base64 word of the dialogue, ``=`` for an empty one (RFC 4954, section 4); None if it cannot be read."""
    if word == b"=":
        return b""
    try:
        return base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        return None


def plain(message: bytes) -> tuple[bytes, bytes] | None:
    """Name and password of a PLAIN message, None if it is none. To act for somebody else is not possible."""
    parts = message.split(b"\0")
    if len(parts) != 3 or not parts[1] or max(map(len, parts)) > _LONGEST or parts[0] not in {b"", parts[1]}:
        return None
    return parts[1], parts[2]
