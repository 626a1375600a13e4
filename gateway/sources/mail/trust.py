"""Who vouches for the sender of a mail. Pure: what others found out (`Finding`) becomes one word, the label ``mail.auth``.

==============  ==========================================================================================================
``pass``        The domain in From vouches for the mail: DMARC passes, or a DKIM signature or SPF of that domain does.
``fail``        It does not: DMARC fails, or (where the domain has no DMARC policy, or nobody looked) its own DKIM signature
                is wrong or its own SPF record says that the client may not. Also a mail with more than one From, since
                nobody can say who is meant.
``temperror``   It could not be found out now (DNS), and nothing else vouches for it. Never lost and never held back.
``none``        Nothing speaks for or against it.
==============  ==========================================================================================================

A mail of a source that has neither ``auth_results`` nor ``verify`` bears no such label.

Facts: RFC 8601 (results of relays), RFC 6376 (DKIM), RFC 7208 (SPF), RFC 9989 (DMARC, the domains that may vouch).
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import idna
import orjson

from gateway.model.event import Event
from gateway.model.receipt import Parsed, Receipt
from gateway.sources.mail.addresses import parse_addresses
from gateway.sources.mail.auth_results import AuthResults, MethodResult, parse_auth_results
from gateway.sources.mail.headers import Headers, split_headers
from gateway.sources.mail.settings import MailSettings
from gateway.sources.text import line

METHODS: Final = ("dkim", "spf", "dmarc")
RESULTS: Final = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror", "policy"})
_BEST: Final = ("pass", "temperror", "fail", "permerror", "policy", "softfail", "neutral", "none")
_WARNING: Final = "Sender: "
_HEAD: Final = 65_536  # octets of a message in which the door looks for what relays say
_FARTHEST: Final = 3 * 2**20  # octets in which a header block ends or is cut
_BEFORE: Final = re.compile(rb"(?:>?From [^\r\n]*\r?\n)?(?:[ \t]{0,1000}\r?\n){0,50}")
_LONGEST_DOMAIN: Final = 253


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one method.

    ``domain`` is what the method speaks of (of the signature, of MAIL FROM, of From), in lower case and ASCII, or empty;
    ``by`` the relay that says so, or empty for what we checked; ``aligned`` is True where that domain is known to belong to
    the organisation of From, None where only the names tell.
    """

    method: str
    result: str
    domain: str = ""
    by: str = ""
    detail: str = ""
    aligned: bool | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Whom a mail says that it is from: the domain, in lower case and ASCII; ``several`` From fields or domains."""

    domain: str = ""
    several: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``auth`` in one word, the result of each method where it is known, and why, in a sentence."""

    auth: str
    methods: Mapping[str, str]
    why: str


def head_of(message: bytes, most: int = _FARTHEST) -> Headers:
    """The header fields of a message, as its parser sees them, from its first ``most`` octets."""
    data = message[:most]
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    before = _BEFORE.match(data)
    return split_headers(data, before.end() if before else 0, len(data))[0]


# ------------------------------------------------------------------------------------------------------------- domains


def ascii_domain(text: str) -> str:
    """A domain in lower case and ASCII (RFC 5891), without the dot of the root; empty if it is none."""
    text = text.strip().rstrip(".").lower()[: _LONGEST_DOMAIN + 1]
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError, IndexError):
            return ""
    return text if len(text) <= _LONGEST_DOMAIN and "." in text and "[" not in text else ""


def domain_of(address: str) -> str:
    """The domain of ``local@domain``, or of a bare domain."""
    return ascii_domain(address.rpartition("@")[2])


def author_of(headers: Headers) -> Author:
    """Whom the mail is from."""
    values = headers.all("from")
    domains = {domain_of(one.address) for value in values[:20] for one in parse_addresses(value) if "@" in one.address}
    several = len(values) > 1 or len(domains) > 1
    return Author(next(iter(domains)) if len(domains) == 1 else "", several)


def vouches(domain: str, author: str) -> bool:
    """True if a domain may speak for another by their names alone: the same one, or one above it.

    No domain below it, and no sister: without DNS nobody knows where an organisation ends (RFC 9989, section 4.10).
    """
    return "." in domain and (author == domain or author.endswith("." + domain))


# -------------------------------------------------------------------------------------------------------------- relays


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a mail came to us: the address of the client (empty for a unix socket), and the door."""

    peer: str = ""
    door: str = ""


def origin_of(receipt: Receipt) -> Origin:
    """From where the mail of a receipt came."""
    return Origin(receipt.peer, receipt.envelope.get("door", ""))


def handed_by_relay(origin: Origin, settings: MailSettings) -> bool:
    """Whether a mail may bear results of our relays: it came straight from one.

    By the pipe it did: the mail server of this machine hands it over, and ``peer`` is that server's own client.
    """
    return settings.auth_results is not None and (origin.door == "pipe" or is_relay(origin.peer, settings))


def is_relay(peer: str, settings: MailSettings) -> bool:
    """Whether this address is one of our relays'.

    It must be in ``auth_results.networks``, else in the source's ``networks``, else of this very machine; who reaches a unix
    socket has passed its file mode.
    """
    if settings.auth_results is None:
        return False
    if not peer:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    networks = settings.auth_results.networks or settings.networks
    if not networks:
        return address.is_loopback
    return any(address in ipaddress.ip_network(text.strip(), strict=False) for text in networks)


def by_relays(headers: Headers, origin: Origin, settings: MailSettings) -> tuple[list[Finding], list[str]]:
    """What our own relays say about this mail, and what about that is odd.

    Everybody can write such a header, so these count only: those of a mail that came straight from a relay
    (`handed_by_relay`); with an id that is configured, to the letter; that stand above all others, under no more than ``hops``
    Received headers and with none between them; and no more than ``headers``. All below is the sender's own word.
    """
    trusted = settings.auth_results
    if trusted is None:
        return [], []
    names = {name.strip().lower() for name in trusted.trusted}
    near = handed_by_relay(origin, settings)
    taken: list[AuthResults] = []
    hops, ended, beyond = 0, not near, False
    for name, value in headers.fields:
        if name == "received":
            hops += 1
            ended = ended or bool(taken)
        elif name == "authentication-results":
            found = parse_auth_results(value)
            ours = found is not None and found.authserv_id in names
            if found is None or not ours or ended or hops > trusted.hops or len(taken) == trusted.headers:
                beyond, ended = beyond or ours, True
            else:
                taken.append(found)
    odd = []
    if beyond and not taken:
        where = "further down than our relay writes it" if near else "but the client is none of our relays"
        odd.append(f"it bears Authentication-Results in the name of our relay, {where}; they do not count")
    return [finding for one in taken for finding in _findings(one)], odd


def _findings(said: AuthResults) -> list[Finding]:
    results = [result for result in said.results if result.method in METHODS]
    # One method, several words: of SPF and DMARC there is one result (RFC 8601); a relay that was talked into a second
    # one by what it quotes must not be believed the better one.
    found: list[Finding] = []
    for method in METHODS:
        same = [result for result in results if result.method == method]
        if method != "dkim" and len({one.result for one in same}) > 1:
            same = [one for one in same if one.result != "pass"][:1]
        found += [_finding(one, said.authserv_id) for one in same]
    return found


_DOMAINS: Final = {
    "dkim": ("header.d", "header.i"),
    "spf": ("smtp.mailfrom", "smtp.mail", "smtp.helo"),
    "dmarc": ("header.from",),
}


def _finding(said: MethodResult, relay: str) -> Finding:
    named = next((said.properties[name] for name in _DOMAINS[said.method] if name in said.properties), "")
    result = {"hardfail": "fail", "bestguesspass": "none"}.get(said.result, said.result)
    return Finding(
        method=said.method,
        result=result if result in RESULTS else "none",
        domain=domain_of(named),
        by=relay,
        detail=line(said.reason, 200),
    )


# ------------------------------------------------------------------------------------------------------------- verdict


def verdict(author: Author, findings: Sequence[Finding], *, other_sender: bool = False) -> Verdict:
    """What the findings come to. ``other_sender``: there is no From, and the sender was taken from another header."""
    methods = {
        method: next(result for result in _BEST if result in results)
        for method in METHODS
        if (results := {one.result for one in findings if one.method == method})
    }
    auth, why = _word(author, [_aligned(one, author) for one in findings], other_sender=other_sender)
    return Verdict(auth, methods, why)


_LADDER: Final = (
    ("pass", {"dmarc"}, {"pass"}),
    ("fail", {"dmarc"}, {"fail"}),
    ("pass", {"dkim", "spf"}, {"pass"}),
    ("temperror", {"dkim", "spf", "dmarc"}, {"temperror"}),
    ("fail", {"spf"}, {"fail"}),
    ("fail", {"dkim"}, {"fail", "permerror", "policy"}),
)
"""The first step on which a finding about the domain in From stands decides."""


def _aligned(finding: Finding, author: Author) -> Finding:
    """The finding with its alignment decided; what a relay says of another From than the one we read is no word on it."""
    if finding.aligned is not None:
        return finding
    if finding.method == "dmarc":
        return replace(finding, aligned=finding.domain in {"", author.domain})
    return replace(finding, aligned=bool(author.domain) and vouches(finding.domain, author.domain))


def _word(author: Author, findings: Sequence[Finding], *, other_sender: bool) -> tuple[str, str]:
    if author.several:
        return "fail", "it has more than one From, so nobody can vouch for its sender"
    if not author.domain:
        if other_sender:
            return "fail", "it has no From with a domain; its sender is taken from another header"
        return "none", "its From names no domain"
    own = [one for one in findings if one.aligned]
    for auth, method, results in _LADDER:
        found = next((one for one in own if one.method in method and one.result in results), None)
        if found is not None:
            return auth, _told(found)
    return "none", f"{author.domain} neither vouches for it nor disowns it"


def _told(finding: Finding) -> str:
    who = f"{finding.by} says" if finding.by else "checked here"
    about = f" for {finding.domain}" if finding.domain else ""
    return f"{who}: {finding.method}={finding.result}{about}" + (f" ({finding.detail})" if finding.detail else "")


# ---------------------------------------------------------------------------------------------------------- the event


CHECKED: Final = "sender_checks"
"""Envelope entry of a receipt that is read again: the labels of this module that its event got, as JSON."""


def judged(
    parsed: Parsed, headers: Headers, receipt: Receipt, settings: MailSettings, own: Sequence[Finding] = ()
) -> Parsed:
    """The events of a mail with the labels of this module, and a warning where the sender is not verified.

    ``own`` is what we found out ourselves; while it is empty and the source has ``verify``, those checks are still to come
    and count as ``temperror``, but for a receipt that remembers them (`CHECKED`). May be called again with more findings.
    """
    if settings.auth_results is None and not settings.verify:
        return parsed
    if CHECKED in receipt.envelope and settings.verify and not own:
        labels = orjson.loads(receipt.envelope[CHECKED])
        return replace(
            parsed, events=tuple(replace(event, labels={**event.labels, **labels}) for event in parsed.events)
        )
    relayed, odd = by_relays(headers, origin_of(receipt), settings)
    waiting = [] if own else settings.verify
    later = [Finding(method, "temperror", detail="only a running gateway checks", aligned=True) for method in waiting]
    author = author_of(headers)
    warnings = [one for one in parsed.warnings if not one.startswith(_WARNING)] + [_WARNING + one for one in odd]
    events: list[Event] = []
    for event in parsed.events:
        other = bool(event.sender_address) and not author.domain
        found = verdict(author, [*relayed, *own, *later], other_sender=other)
        if found.auth == "fail":
            warnings.append(f"{_WARNING}not verified: {found.why}")
        labels = {name: value for name, value in event.labels.items() if not name.startswith("mail.auth")}
        labels |= _labels(found, [*relayed, *own])
        events.append(replace(event, labels=labels))
    return Parsed(tuple(events), tuple(warnings))


def _labels(found: Verdict, findings: Sequence[Finding]) -> dict[str, str]:
    signers = dict.fromkeys(
        one.domain for one in findings if (one.method, one.result) == ("dkim", "pass") and one.domain
    )
    labels = {"mail.auth": found.auth, "mail.auth.why": line(found.why, 500)}
    labels |= {f"mail.auth.{method}": result for method, result in found.methods.items()}
    if signers:
        labels["mail.auth.signers"] = ", ".join(list(signers)[:20])
    return labels


# --------------------------------------------------------------------------------------------- what follows from a fail


def held(event: Event, settings: MailSettings) -> str:
    """Why an event of this source is not to go on (`on_auth_fail`), or nothing."""
    if settings.on_auth_fail == "tag" or event.labels.get("mail.auth") != "fail":
        return ""
    return f"the sender is not verified: {event.labels.get('mail.auth.why', '')}"


def refused_at_the_door(content: bytes, origin: Origin, settings: MailSettings) -> str:
    """Why a message is refused before it is acknowledged, or nothing: `on_auth_fail: reject`, and a relay says ``fail``.

    Only what the relays wrote is known by then. A mail that we would check ourselves could still pass, so where a source
    has ``verify`` too, only DMARC's ``fail`` of a relay refuses.
    """
    if settings.on_auth_fail != "reject" or not handed_by_relay(origin, settings):
        return ""
    headers = head_of(content, _HEAD)
    findings, _ = by_relays(headers, origin, settings)
    author = author_of(headers)
    if not findings:
        return ""
    found = verdict(author, findings)
    if found.auth != "fail" or (settings.verify and found.methods.get("dmarc") != "fail"):
        return ""
    return found.why
