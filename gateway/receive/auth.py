"""Does the sender prove who it is? Any configured way is enough; comparing takes the same time whatever was sent."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from gateway.config.models import Auth, Basic, Hmac
from gateway.config.values import Secret

Headers = Mapping[bytes, bytes]

_MOST_QUERY_FIELDS = 100
_MOST_SIGNATURES = 8
_TIMESTAMP = re.compile(rb"\d{1,12}", re.ASCII)
_PREFIX = re.compile(rb"(?:sha1|sha256|sha512|v1)[=,]")
_PLACE = re.compile(r"\{(timestamp|id|body)\}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its sender, without its body. ``path_token`` is what follows the source's name."""

    headers: Headers
    query: bytes = b""
    path_token: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds. ``key`` names this very delivery, where the signature covers something that is unique."""

    key: str = ""


def _digest(value: bytes) -> bytes:
    # Equal length for compare_digest, whatever was sent.
    return hashlib.sha256(value).digest()


def _revealed(secret: Secret) -> bytes:
    return secret.reveal().encode()


class _Token:
    """One place where a token may stand, and the digests that are right there."""

    def __init__(self, read: Callable[[Claim], bytes], *expected: bytes) -> None:
        self._read = read
        self._expected = tuple(map(_digest, expected))

    def holds(self, claim: Claim) -> bool:
        given = _digest(self._read(claim))
        result = False
        for expected in self._expected:  # all of them, so that time says nothing about which
            result |= hmac.compare_digest(given, expected)
        return result


def bearer_token(headers: Headers) -> bytes:
    """The token of ``Authorization: Bearer`` (RFC 6750), or nothing."""
    value = headers.get(b"authorization", b"")
    return value[7:].strip() if value[:7].lower() == b"bearer " else b""


def _basic_pair(headers: Headers) -> bytes:
    value = headers.get(b"authorization", b"")
    if value[:6].lower() != b"basic ":
        return b""
    try:
        return base64.b64decode(value[6:].strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _query_value(query: bytes, name: str) -> bytes:
    for pair in query.split(b"&", _MOST_QUERY_FIELDS)[:_MOST_QUERY_FIELDS]:
        key, _, value = pair.partition(b"=")
        if unquote_plus(key.decode("latin-1")) == name:
            return unquote_plus(value.decode("latin-1")).encode("utf-8", "surrogateescape")
    return b""


def without_fields(query: bytes, names: frozenset[str]) -> str:
    """The query as it is kept: without the fields that bear a token."""
    if not names:
        return query.decode("latin-1")
    pairs = (pair for pair in query.split(b"&") if unquote_plus(pair.partition(b"=")[0].decode("latin-1")) not in names)
    return b"&".join(pairs).decode("latin-1")


def _tokens(auth: Auth) -> list[_Token]:
    tokens: list[_Token] = []
    if auth.bearer is not None:
        expected = auth.bearer if isinstance(auth.bearer, list) else [auth.bearer]
        tokens.append(_Token(lambda claim: bearer_token(claim.headers), *map(_revealed, expected)))
    if auth.basic is not None:
        tokens.append(_Token(lambda claim: _basic_pair(claim.headers), _pair(auth.basic)))
    if auth.path is not None:
        tokens.append(_Token(lambda claim: claim.path_token.encode("utf-8", "surrogateescape"), _revealed(auth.path)))
    for name, secret in (auth.query or {}).items():
        tokens.append(_Token(_in_query(name), _revealed(secret)))
    for name, secret in (auth.header or {}).items():
        tokens.append(_Token(_in_header(name), _revealed(secret)))
    return tokens


def _in_query(name: str) -> Callable[[Claim], bytes]:
    return lambda claim: _query_value(claim.query, name)


def _in_header(name: str) -> Callable[[Claim], bytes]:
    key = name.lower().encode()
    return lambda claim: claim.headers.get(key, b"")


def _pair(basic: Basic) -> bytes:
    return basic.user.encode() + b":" + _revealed(basic.password)


class Signature:
    """An HMAC over the raw body, as configured."""

    def __init__(self, settings: Hmac) -> None:
        self._header = settings.header.lower().encode()
        self._timestamp = settings.timestamp_header.lower().encode()
        self._id = settings.id_header.lower().encode()
        self._secrets = tuple(map(_revealed, settings.secrets))
        self._algorithm = settings.algorithm
        self._size = hashlib.new(settings.algorithm).digest_size
        self._tolerance = settings.tolerance
        template = settings.signed or ("{timestamp}.{body}" if settings.timestamp_header else "{body}")
        self._parts = tuple(_PLACE.split(template))  # text, place, text, place, ... text
        self._signs_id = "{id}" in template
        self._signs_time = bool(settings.timestamp_header) and "{timestamp}" in template

    def present(self, headers: Headers) -> bool:
        """True if there is anything to check, so that the body is worth reading."""
        return self._header in headers

    def check(self, headers: Headers, body: bytes, now: float) -> Signed | None:
        """Whether one of the secrets made the signature within the window of time; None if not."""
        stamp = headers.get(self._timestamp, b"") if self._timestamp else b""
        delivery = headers.get(self._id, b"") if self._id else b""
        fresh = not self._timestamp or (
            _TIMESTAMP.fullmatch(stamp) is not None and abs(now - int(stamp)) <= self._tolerance
        )
        given = self._given(headers.get(self._header, b""))
        right = b""
        for secret in self._secrets:
            expected = self._sign(secret, stamp, delivery, body)
            for signature in given:
                if hmac.compare_digest(expected, signature):
                    right = expected
        if not right or not fresh or (self._signs_id and not delivery):
            return None
        return Signed(self._key(delivery, right))

    def _sign(self, secret: bytes, stamp: bytes, delivery: bytes, body: bytes) -> bytes:
        values = {"timestamp": stamp, "id": delivery, "body": body}
        code = hmac.new(secret, digestmod=self._algorithm)
        for index, part in enumerate(self._parts):
            code.update(values[part] if index % 2 else part.encode())
        return code.digest()

    def _given(self, value: bytes) -> list[bytes]:
        """The digests in the header, all of the right length; always at least one, so that the work is the same."""
        found = [self._decode(_PREFIX.sub(b"", word, count=1)) for word in value.split(None, _MOST_SIGNATURES)]
        right = [digest for digest in found[:_MOST_SIGNATURES] if len(digest) == self._size]
        return right or [secrets.token_bytes(self._size)]

    def _decode(self, text: bytes) -> bytes:
        try:
            if len(text) == 2 * self._size:
                return binascii.unhexlify(text)
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return b""

    def _key(self, delivery: bytes, signature: bytes) -> str:
        """A delivery id counts if it is signed; else a signature over an instant is unique by itself."""
        if delivery and (self._signs_id or not self._signs_time):
            return "signed-id:" + delivery.decode("latin-1")
        return "signature:" + signature.hex() if self._signs_time else ""


class Checker:
    """The ways of one source, compiled.

    ``anybody`` is true for ``auth: none``. A source without any configured way lets nobody in.
    """

    def __init__(self, auth: Auth | Literal["none"] | None) -> None:
        self.anybody = auth == "none"
        ways = auth if isinstance(auth, Auth) else None
        self._tokens = tuple(_tokens(ways)) if ways else ()
        self.signature = Signature(ways.hmac) if ways and ways.hmac else None
        self.query_fields = frozenset(ways.query or ()) if ways else frozenset()
        self.takes_path_token = bool(ways and ways.path is not None)
        self.challenge = _challenge(ways)

    def proven(self, claim: Claim) -> bool:
        """True if a token proves the sender; every configured place is looked at, whatever the first says."""
        result = self.anybody
        for token in self._tokens:
            result |= token.holds(claim)
        return result


def _challenge(auth: Auth | None) -> bytes:
    if auth is not None and auth.bearer is None and auth.basic is not None:
        return b'Basic realm="ticket-gateway", charset="UTF-8"'
    return b'Bearer realm="ticket-gateway"'  # RFC 9110 wants a challenge with every 401


def decoy() -> Checker:
    """What unknown sources are checked against: the same work as for a known one, and never right."""
    return Checker(Auth(bearer=Secret(secrets.token_urlsafe(32))))
