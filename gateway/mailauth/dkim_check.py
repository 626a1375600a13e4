"""DKIM signatures (RFC 6376, 8301, 8463), checked with dkimpy where it can be stopped. Asks no DNS: keys are given.

What dkimpy leaves open is decided here: a signature must cover From, and the whole body (an ``l=`` that leaves octets out
lets anybody append to the mail); SHA-1, keys below 1024 bits, revoked keys and keys in test mode vouch for nothing.
"""

import base64
import binascii
import contextlib
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.mailauth.question import NOTHING, Answer
from gateway.sources.mail.trust import ascii_domain

MOST_SIGNATURES: Final = 10
"""Signatures that are checked, the topmost ones."""
MOST_OCTETS: Final = 36 * 2**20
"""Octets of a message whose signatures are checked."""
KEY_BITS: Final = range(1024, 8193)
"""Sizes of RSA keys that count: smaller ones can be broken (RFC 8301), larger ones only cost time."""
MOST_EXPONENT: Final = 2**32
CLOCKS: Final = 300.0
"""Seconds by which the sender's clock and ours may differ."""
_LONGEST_HEADER: Final = 16_384
_SPACES = re.compile(rb"\s+")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?")
_NUMBER = re.compile(rb"\d{1,12}")


@dataclass(frozen=True, slots=True)
class Signature:
    """What became of one signature; ``domain`` is its ``d=``."""

    result: str
    domain: str = ""
    detail: str = ""


def tags_of(value: bytes) -> dict[str, bytes]:
    """A tag list (RFC 6376, section 3.2) without white space in its values; empty if it is none or a tag stands twice."""
    tags: dict[str, bytes] = {}
    if len(value) > _LONGEST_HEADER:
        return {}
    for part in value.split(b";"):
        if not part.strip():
            continue
        name, equals, content = part.partition(b"=")
        word = name.strip().decode("latin-1")
        if not equals or not word or word in tags:
            return {}
        tags[word] = _SPACES.sub(b"", content)
    return tags


def key_name(value: bytes) -> str:
    """The name at which the key of a DKIM-Signature header is to be found, or nothing if it names none."""
    tags = tags_of(value)
    domain = ascii_domain(tags.get("d", b"").decode("utf-8", "replace"))
    selector = tags.get("s", b"").decode("utf-8", "replace")
    return f"{selector}._domainkey.{domain}".lower() if domain and _SELECTOR.fullmatch(selector) else ""


def check_signatures(message: bytes, received_at: float, keys: Mapping[str, Answer]) -> list[Signature]:
    """Check the signatures of a message as of the instant at which it came. Runs in a child process.

    ``keys`` holds an entry for each `key_name`.
    """
    import dkim  # noqa: PLC0415 - an extra, and only the child that checks needs it
    from dkim.util import get_default_logger  # noqa: PLC0415 - as above

    if len(message) > MOST_OCTETS:
        return [Signature("permerror", detail="the message is too large to be checked")]
    get_default_logger().disabled = True
    found: list[Signature] = []
    with _at(received_at):
        try:
            signed = dkim.DKIM(message, minkey=KEY_BITS.start)
        except (dkim.DKIMException, ValueError, IndexError, TypeError) as error:
            return [Signature("permerror", detail=f"the message cannot be read: {_told(error)}")]
        values = [bytes(value) for name, value in signed.headers if name.lower() == b"dkim-signature"]
        for index, value in enumerate(values[:MOST_SIGNATURES]):
            found.append(_check(signed, index, value, received_at, keys))
    return found or [Signature("none", detail="it bears no signature")]


def _check(signed: "object", index: int, value: bytes, received_at: float, keys: Mapping[str, Answer]) -> Signature:
    tags, name = tags_of(value), key_name(value)
    domain = ascii_domain(tags.get("d", b"").decode("utf-8", "replace"))
    if not name:
        return Signature("permerror", domain, "it names no key")
    wrong = _wrong_tags(tags, received_at)
    if wrong:
        return Signature("fail" if "expired" in wrong else "permerror", domain, wrong)
    key = keys.get(name, NOTHING)
    if key.failed:
        return Signature("temperror", domain, f"no answer from DNS for {name}")
    record = next((text for text in key.texts if "p" in tags_of(text)), None)
    if record is None:
        return Signature("permerror", domain, f"there is no key at {name}")
    flaw = _wrong_key(tags_of(record), tags)
    if flaw is not None:
        return Signature(flaw[0], domain, flaw[1])
    return _verified(signed, index, tags, domain, record)


def _verified(signed: "object", index: int, tags: Mapping[str, bytes], domain: str, record: bytes) -> Signature:
    import dkim  # noqa: PLC0415 - as in `check_signatures`

    assert isinstance(signed, dkim.DKIM)
    try:
        right = signed.verify(index, dnsfunc=lambda _name, timeout=0: record)  # noqa: ARG005 - dkimpy gives both
    except (dkim.DKIMException, binascii.Error, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        told = _told(error)
        return Signature("fail" if "mismatch" in told else "permerror", domain, told)
    if not right:
        return Signature("fail", domain, "the signature is wrong")
    if "l" in tags and int(tags["l"]) < _body_octets(signed, tags):
        return Signature("policy", domain, "l= leaves a part of the body unsigned")
    return Signature("pass", domain)


def _wrong_tags(tags: Mapping[str, bytes], received_at: float) -> str:
    if tags.get("v") != b"1":
        return "it is of an unknown version"
    if tags.get("a", b"").lower() not in {b"rsa-sha256", b"ed25519-sha256"}:
        return "its algorithm does not count: " + tags.get("a", b"").decode("latin-1")[:40]
    signed = {name.strip().lower() for name in tags.get("h", b"").split(b":")}
    if b"from" not in signed:
        return "it does not cover From"
    for name in ("l", "t", "x"):
        if name in tags and not _NUMBER.fullmatch(tags[name]):
            return f"{name}= is no number"
    if "x" in tags and int(tags["x"]) + CLOCKS < received_at:
        return "it had expired when the mail came"
    return ""


def _wrong_key(key: Mapping[str, bytes], tags: Mapping[str, bytes]) -> tuple[str, str] | None:
    """What is wrong with a key record, as result and words, or None (RFC 6376, section 3.6.1)."""
    algorithm = tags["a"].lower().partition(b"-")[0]
    flags = key.get("t", b"").lower().split(b":")
    wrong: tuple[str, str] | None = None
    if key.get("v", b"DKIM1") != b"DKIM1":
        wrong = "permerror", "its key is of an unknown version"
    elif not key["p"]:
        wrong = "permerror", "its key is revoked"
    elif key.get("k", b"rsa").lower() != algorithm:
        wrong = "permerror", "its key is of another kind than the signature"
    elif not {b"*", b"email"} & set(key.get("s", b"*").lower().split(b":")):
        wrong = "permerror", "its key is not for mail"
    elif "h" in key and b"sha256" not in key["h"].lower().split(b":"):
        wrong = "permerror", "its key does not allow SHA-256"
    elif b"y" in flags:
        wrong = "neutral", "its key is in test mode"
    elif b"s" in flags and "i" in tags and tags["i"].lower().rpartition(b"@")[2] != tags["d"].lower():
        wrong = "permerror", "its key does not speak for subdomains"
    elif algorithm == b"rsa":
        wrong = _wrong_rsa(key["p"])
    else:
        wrong = _no_ed25519()
    return wrong


def _wrong_rsa(packed: bytes) -> tuple[str, str] | None:
    from dkim.crypto import UnparsableKeyError, parse_public_key  # noqa: PLC0415 - as in `check_signatures`

    try:
        key = parse_public_key(base64.b64decode(packed))
        bits, exponent = int(key["modulus"]).bit_length(), int(key["publicExponent"])
    except (UnparsableKeyError, binascii.Error, ValueError, TypeError, KeyError, IndexError):
        return "permerror", "its key cannot be read"
    if bits not in KEY_BITS or not 2 < exponent < MOST_EXPONENT:
        return "policy", f"its key of {bits} bits does not count"
    return None


def _no_ed25519() -> tuple[str, str] | None:
    try:
        import nacl.signing  # noqa: F401, PLC0415 - only to know whether it is there
    except ImportError:
        return "neutral", "Ed25519 needs the library PyNaCl"
    return None


def _body_octets(signed: "object", tags: Mapping[str, bytes]) -> int:
    import dkim  # noqa: PLC0415 - as in `check_signatures`
    from dkim.canonicalization import CanonicalizationPolicy  # noqa: PLC0415 - as above

    assert isinstance(signed, dkim.DKIM)
    policy = CanonicalizationPolicy.from_c_value(tags.get("c", b"simple/simple"))
    return len(policy.canonicalize_body(signed.body))


@contextlib.contextmanager
def _at(received_at: float) -> Iterator[None]:
    """What dkimpy takes for now: it asks the clock on the wall; a mail is judged by the instant at which it came."""
    import dkim  # noqa: PLC0415 - as in `check_signatures`

    before = dkim.time
    dkim.time = types.SimpleNamespace(time=lambda: received_at)
    try:
        yield
    finally:
        dkim.time = before


def _told(error: BaseException) -> str:
    return f"{error}".partition(" (")[0][:200] or type(error).__name__
