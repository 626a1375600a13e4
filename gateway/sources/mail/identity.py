"""Who writes, for counting: one name for all the addresses that one writer's program makes up.

The name is only counted and shown to operators; nothing is ever sent to it. Facts: sub-addresses (RFC 5233), VERP
(``bounces+ann=example.org@lists.example``), SRS (``SRS0=hash=stamp=example.org=ann@relay.example``), BATV
(``prvs=tag=ann@example.org``).
"""

import re

from gateway.sources.text import key

_SRS = re.compile(r"srs0[=+-][^=]{1,40}=[^=]{1,10}=([^=]+)=(.+)")
_SRS_AGAIN = re.compile(r"srs1[=+-][^=]{1,40}=[^=]+==[^=]{1,40}=[^=]{1,10}=([^=]+)=(.+)")
_BATV = re.compile(r"prvs=[0-9a-z]{1,20}=(.+)")
_BATV_AFTER = re.compile(r"(.+)=prvs=[0-9a-z]{1,20}")
_TAG = re.compile(r"[0-9]{4,}|(?=[0-9a-f]*[0-9])[0-9a-f]{8,}")
_LONGEST = 320


def identity(address: str) -> str:
    """The name under which an address is counted; empty for no address.

    Letter case, a sub-address, the tags of VERP, SRS and BATV, and running numbers beside a name (``ticket-48213@``) make
    no difference. A local part that is a number alone stays as it is: whole providers give out such addresses.
    """
    local, _, domain = key(address).strip("<> ").lower().rpartition("@")
    for form in (_SRS, _SRS_AGAIN):
        found = form.fullmatch(local)
        if found is not None:
            return identity(f"{found[2]}@{found[1]}")
    for form in (_BATV, _BATV_AFTER):
        found = form.fullmatch(local)
        if found is not None:
            local = found[1]
    base = local.partition("+")[0] or local
    return f"{_without_numbers(base)}@{domain.rstrip('.')}"[:_LONGEST] if domain else base[:_LONGEST]


def _without_numbers(local: str) -> str:
    """The local part with ``#`` for what looks like a running number or a tag, as long as a name is left."""
    head, verp, _ = local.partition("=")
    words = re.split(r"([-_.])", head.rpartition("-")[0] if verp and "-" in head else head)
    kept = ["#" if _TAG.fullmatch(word) else word for word in words]
    named = any(word.strip("-_.#") for word in kept)
    return "".join(kept) if named else local
