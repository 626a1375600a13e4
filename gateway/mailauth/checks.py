"""The checks of one mail in their order: DKIM and SPF beside each other, then DMARC, all within one deadline."""

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Final

import structlog

from gateway.config.models import Dns, SourceSettings
from gateway.isolation import Isolation, Stopped
from gateway.mailauth.dkim_check import MOST_SIGNATURES, Signature, check_signatures, key_name
from gateway.mailauth.dmarc import evaluate
from gateway.mailauth.question import Answer, Question
from gateway.mailauth.spf_check import MOST_QUESTIONS, SpfResult, check_spf
from gateway.model.event import Kind
from gateway.model.receipt import Parsed, Receipt
from gateway.receive.networks import parse_address, parse_networks, within
from gateway.sources.mail.headers import Headers
from gateway.sources.mail.settings import MailSettings
from gateway.sources.mail.trust import Finding, author_of, by_relays, domain_of, head_of, is_relay, judged, origin_of

if TYPE_CHECKING:
    from gateway.mailauth.resolver import Resolver

CROWD: Final = 32
"""So many mails that are checked at one time are a crowd: when DNS does not answer, their source must not stand still."""
CROWDED_TIME: Final = 3.0
"""Seconds for each mail of a crowd."""
CHILD_TIME: Final = 10.0
"""Seconds that the child may work on the signatures of one mail, or on one step of SPF."""
MEMORY: Final = 1 << 30
_PRIVATE: Final = parse_networks(
    ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
     "::1/128", "fc00::/7", "fe80::/10")
)  # fmt: skip


class SenderChecks:
    """Finds out who vouches for the senders of mails. One per gateway; `close` it at the end.

    DNS is asked in the event loop; signatures and SPF records are read in a child process of its own, so that a mail that is
    hard to check holds up neither the loop nor the parsing of others.
    """

    def __init__(self, dns: Dns) -> None:
        """Nothing is imported, started or asked before the first mail that is to be checked."""
        self._dns = dns
        self._resolver: Resolver | None = None
        self._isolation = Isolation(memory=MEMORY)
        self._under_way = 0

    async def verify(self, receipt: Receipt, settings: SourceSettings, parsed: Parsed) -> Parsed:
        """The events of a mail with the labels of what was found out, where its source asks for it.

        Ends within ``server.dns.deadline`` and never raises but for a cancellation: what could not be found out is a
        ``temperror``, and the mail goes on.
        """
        if not isinstance(settings, MailSettings) or not settings.verify or _is_raw(parsed):
            return parsed
        self._under_way += 1
        seconds = self._dns.deadline if self._under_way <= CROWD else min(CROWDED_TIME, self._dns.deadline)
        found: dict[str, list[Finding]] = {}
        why = ""
        try:
            headers = head_of(receipt.body)
            try:
                async with asyncio.timeout(seconds):
                    await self._find(receipt, settings, headers, found)
            except TimeoutError:
                why = f"nothing was found out within {seconds:g} s"
            for method in settings.verify:
                found.setdefault(method, [Finding(method, "temperror", detail=why, aligned=True)])
            findings = [one for each in found.values() for one in each]
            return judged(parsed, headers, receipt, settings, findings)
        except Exception:  # noqa: BLE001 - a fault of ours or of a library costs the check, never the mail
            structlog.get_logger().exception("the check of a sender failed", receipt=receipt.id, source=receipt.source)
            return parsed  # whose label says `temperror`, unless a relay vouches for it
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """End the child."""
        self._isolation.close()

    # ---------------------------------------------------------------------------------------------------------- inside

    async def _find(
        self, receipt: Receipt, settings: MailSettings, headers: Headers, found: dict[str, list[Finding]]
    ) -> None:
        """Fill ``found``, by method; what is in it when the time is over counts."""

        async def dkim() -> None:
            found["dkim"] = await self._dkim(receipt, headers)

        async def spf() -> None:
            found["spf"] = [await self._spf(receipt, settings)]

        async with asyncio.TaskGroup() as group:
            for method, check in (("dkim", dkim), ("spf", spf)):
                if method in settings.verify:
                    group.create_task(check())
        if "dmarc" in settings.verify:
            await self._dmarc(receipt, settings, headers, found)

    async def _dmarc(
        self, receipt: Receipt, settings: MailSettings, headers: Headers, found: dict[str, list[Finding]]
    ) -> None:
        author = author_of(headers)
        if not author.domain or author.several:
            found["dmarc"] = [Finding("dmarc", "permerror", detail="From names no domain, or more than one")]
            return
        relayed, _ = by_relays(headers, origin_of(receipt), settings)
        own = [one for each in found.values() for one in each]
        known = [*own, *(one for one in relayed if one.method != "dmarc")]
        aligned, dmarc = await evaluate(
            author.domain,
            known,
            self._ask().lookup,
            knows_dkim=any(one.method == "dkim" for one in known),
            knows_spf=any(one.method == "spf" and (one.by or one.domain) for one in known),
        )
        for method in found:
            found[method] = [one for one in aligned if one.method == method and not one.by]
        found["dmarc"] = [dmarc]

    def _ask(self) -> "Resolver":
        if self._resolver is None:
            from gateway.mailauth.resolver import Resolver  # noqa: PLC0415 - an extra; only who uses it needs it

            self._resolver = Resolver(self._dns.servers, timeout=self._dns.timeout)
        return self._resolver

    async def _dkim(self, receipt: Receipt, headers: Headers) -> list[Finding]:
        names = [key_name(value) for value in headers.all("dkim-signature")[:MOST_SIGNATURES]]
        wanted = list(dict.fromkeys(name for name in names if name))
        answers = await asyncio.gather(*(self._ask().lookup(name, "TXT") for name in wanted))
        keys = dict(zip(wanted, answers, strict=True))
        if not names:
            return [Finding("dkim", "none", detail="it bears no signature")]
        try:
            found = await self._isolation.run(CHILD_TIME, check_signatures, receipt.body, receipt.received_at, keys)
        except Stopped as stopped:
            found = [Signature("temperror", detail=str(stopped))]
        return [Finding("dkim", one.result, one.domain, detail=one.detail) for one in found]

    async def _spf(self, receipt: Receipt, settings: MailSettings) -> Finding:
        why = _not_for_spf(receipt, settings)
        mail_from, helo = receipt.envelope.get("mail_from", ""), receipt.envelope.get("helo", "")
        domain = domain_of(mail_from or helo)
        if why or not domain:
            return Finding("spf", "none", detail=why or "neither MAIL FROM nor HELO names a domain")
        known: dict[Question, Answer] = {}
        for _ in range(MOST_QUESTIONS):
            try:
                step = await self._isolation.run(CHILD_TIME, check_spf, receipt.peer, mail_from, helo, known)
            except Stopped as stopped:
                return Finding("spf", "temperror", domain, detail=str(stopped))
            if isinstance(step, SpfResult):
                return Finding("spf", step.result, domain, detail=step.detail)
            known[step.question] = await self._ask().lookup(*step.question)
        return Finding("spf", "permerror", domain, detail=f"its record asks for more than {MOST_QUESTIONS} answers")


def _is_raw(parsed: Parsed) -> bool:
    return any(event.kind is Kind.RAW for event in parsed.events)


def _not_for_spf(receipt: Receipt, settings: MailSettings) -> str:
    """Why SPF says nothing about the client that we see, or nothing (RFC 7208, section 11.3 and appendix D)."""
    if receipt.envelope.get("door") not in {"smtp", "pipe"}:  # the pipe knows the client of its mail server
        return "it did not come by SMTP"
    if receipt.envelope.get("auth_user"):
        return "the client logged in"
    address = parse_address(receipt.peer) if receipt.peer else None
    if address is None or not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return "the address of the client is not known"
    if is_relay(receipt.peer, settings):
        return "it came from our own relay"
    if within(address, _PRIVATE):
        return "the client has a private address"
    return ""
