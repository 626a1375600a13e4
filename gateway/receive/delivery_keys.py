"""What of a request is kept beside its body, and by which key its repetition is recognised."""

import hashlib
from collections.abc import Mapping

from gateway.model.receipt import DuplicateKey
from gateway.receive.auth import Signed

GIVEN_HORIZON = 7 * 86400.0
"""Seconds for which a key that the sender chose is remembered."""

KEPT_HEADERS: tuple[str, ...] = (
    "content-type",
    "content-language",
    "date",
    "idempotency-key",
    "traceparent",
    "user-agent",
    "webhook-id",
    "x-event-key",
    "x-github-delivery",
    "x-github-event",
    "x-gitlab-event",
    "x-request-id",
)
"""Headers that are stored with a receipt. Never one that proves anything: credentials, cookies, signatures."""

_KEPT = {name.encode(): name for name in KEPT_HEADERS}
_LONGEST_VALUE = 1024
_LONGEST_KEY = 255


def kept_headers(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """The allow-listed headers, as text, each cut at 1024 characters."""
    return tuple(
        [(_KEPT[key], value[:_LONGEST_VALUE].decode("latin-1")) for key, value in headers.items() if key in _KEPT]
    )


def duplicate_key(
    headers: Mapping[bytes, bytes], query: bytes, body: bytes, horizon: float, signed: Signed | None
) -> DuplicateKey | None:
    """The key of this delivery.

    What a signature covers comes first: an attacker who repeats a signed request is free to change all else. Then what
    the sender chose, then the request's own bytes for ``horizon`` seconds (0: no key).
    """
    if signed is not None and signed.key:
        return DuplicateKey(_short(signed.key), GIVEN_HORIZON)
    for name, prefix in ((b"idempotency-key", "idempotency-key:"), (b"webhook-id", "webhook-id:")):
        if value := headers.get(name, b"").strip():
            return DuplicateKey(_short(prefix + value.decode("latin-1")), GIVEN_HORIZON)
    if horizon <= 0:
        return None
    digest = hashlib.sha256(b"%b\0%b\0%b" % (headers.get(b"content-type", b""), query, body))
    return DuplicateKey("request:" + digest.hexdigest(), horizon, given=False)


def _short(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    prefix, _, value = key.partition(":")
    return f"{prefix}:sha256:{hashlib.sha256(value.encode()).hexdigest()}"
