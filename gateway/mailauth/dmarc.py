"""DMARC (RFC 9989): whether a result of DKIM or SPF speaks for the domain in From.

The domains of one organisation are found by the DNS tree walk of section 4.10, so no list of public suffixes is needed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.mailauth.question import Answer, RecordType
from gateway.sources.mail.trust import Finding

Lookup = Callable[[str, RecordType], Awaitable[Answer]]

MOST_LABELS: Final = 8
"""A longer name is walked from its seven rightmost labels on, so that nobody makes us ask without end."""
_LONGEST: Final = 4096


class Unanswered(Exception):
    """DNS gave no answer. The message says to what."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A DMARC record. ``policy`` is ``none``, ``quarantine``, ``reject`` or empty; ``psd`` is ``y``, ``n`` or empty."""

    domain: str
    policy: str = ""
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = ""


def parse_policy(domain: str, texts: Sequence[bytes]) -> Policy | None:
    """The record among the TXT records of ``_dmarc.DOMAIN``; several are as good as none (section 4.7)."""
    records = [found for text in texts if len(text) <= _LONGEST and (found := _tags(text)) is not None]
    if len(records) != 1:
        return None
    (tags,) = records
    return Policy(
        domain=domain,
        policy=tags.get("p", "") if tags.get("p") in {"none", "quarantine", "reject"} else "",
        strict_dkim=tags.get("adkim") == "s",
        strict_spf=tags.get("aspf") == "s",
        psd=tags.get("psd", "") if tags.get("psd") in {"y", "n"} else "",
    )


def _tags(text: bytes) -> dict[str, str] | None:
    parts = text.decode("ascii", "replace").split(";")
    name, _, version = parts[0].partition("=")
    if name.strip() != "v" or version.strip() != "DMARC1":
        return None
    tags: dict[str, str] = {}
    for part in parts[1:]:
        name, equals, content = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), content.strip().lower())
    return tags


def walked(domain: str) -> list[str]:
    """The names at which the walk looks, in order (section 4.10): at most eight."""
    labels = domain.split(".")
    names = [domain]
    rest = labels[-(MOST_LABELS - 1) :] if len(labels) >= MOST_LABELS else labels[1:]
    while rest:
        names.append(".".join(rest))
        rest = rest[1:]
    return names


async def walk(domain: str, lookup: Lookup) -> list[Policy]:
    """The records on the way up from a domain, up to one that ends the walk.

    Raises:
        Unanswered: DNS gave no answer.
    """
    found: list[Policy] = []
    for name in walked(domain):
        answer = await lookup(f"_dmarc.{name}", "TXT")
        if answer.failed:
            raise Unanswered(answer.failed)
        policy = parse_policy(name, answer.texts)
        if policy is not None:
            found.append(policy)
            if policy.psd:
                break
    return found


def organisation(domain: str, found: Sequence[Policy]) -> str:
    """The domain of the organisation that a domain belongs to, by the records of its walk (section 4.10.2)."""
    for policy in found:
        if policy.psd == "n":
            return policy.domain
        if policy.psd == "y" and policy.domain != domain:
            return ".".join(domain.split(".")[-(policy.domain.count(".") + 2) :])
    return found[-1].domain if found else domain


def governing(domain: str, found: Sequence[Policy]) -> Policy | None:
    """The record that applies to a domain: its own, else its organisation's, else the public suffix's (section 4.10.1)."""
    by_domain = {policy.domain: policy for policy in found}
    own = by_domain.get(domain) or by_domain.get(organisation(domain, found))
    return own or next((policy for policy in found if policy.psd == "y"), None)


async def evaluate(
    author: str, findings: Sequence[Finding], lookup: Lookup, *, knows_dkim: bool, knows_spf: bool
) -> tuple[list[Finding], Finding]:
    """DMARC's own finding, and the others with their alignment known where DNS could tell it.

    ``author`` is the domain in From. ``knows_dkim`` and ``knows_spf``: that method was looked at, by us or by a relay. While
    one was not, the lack of a pass proves nothing, and the result is ``none``.
    """
    try:
        records = await walk(author, lookup)
        policy = governing(author, records)
        home = organisation(author, records)
        aligned = [await _aligned(one, author, home, policy, lookup) for one in findings]
    except Unanswered as error:
        return list(findings), Finding("dmarc", "temperror", author, detail=str(error), aligned=True)
    if policy is None:
        return aligned, Finding("dmarc", "none", author, detail="it publishes no policy", aligned=True)
    own = [one for one in aligned if one.aligned and one.method in {"dkim", "spf"}]
    told = f"policy {policy.policy or 'none'} of {policy.domain}"
    if any(one.result == "pass" for one in own):
        return aligned, Finding("dmarc", "pass", author, detail=told, aligned=True)
    if any(one.result == "temperror" for one in own):
        return aligned, Finding("dmarc", "temperror", author, detail=told, aligned=True)
    missing = [name for name, known in (("DKIM", knows_dkim), ("SPF", knows_spf)) if not known]
    if missing:
        unknown = f"{told}, but nobody looked at {' and '.join(missing)}"
        return aligned, Finding("dmarc", "none", author, detail=unknown, aligned=True)
    return aligned, Finding("dmarc", "fail", author, detail=told, aligned=True)


async def _aligned(finding: Finding, author: str, home: str, policy: Policy | None, lookup: Lookup) -> Finding:
    if finding.method not in {"dkim", "spf"} or not finding.domain:
        return finding
    strict = policy is not None and (policy.strict_dkim if finding.method == "dkim" else policy.strict_spf)
    if finding.domain == author or strict:
        return replace(finding, aligned=finding.domain == author)
    # Only what shares the organisation's domain can belong to it; so strangers' names cost no question.
    if finding.domain != home and not finding.domain.endswith("." + home):
        return replace(finding, aligned=False)
    return replace(finding, aligned=organisation(finding.domain, await walk(finding.domain, lookup)) == home)
