"""The checks of one mail against a real name server: what is found out, when it cannot be, and how long it may take."""

import asyncio
import time

import pytest

from gateway.config.models import Dns
from gateway.mailauth import SenderChecks
from gateway.mailauth.resolver import Resolver
from gateway.model.event import Event
from gateway.model.receipt import Receipt
from gateway.sources.mail.settings import MailSettings
from gateway.sources.mail.source import parse
from tests.mailauth.names import RECEIVED_AT, Names, key_record, mail, name_server, signed

pytestmark = pytest.mark.anyio

CLIENT = "192.0.2.7"
ALL = ["dkim", "spf", "dmarc"]


def publish(names: Names, *, policy: str = "v=DMARC1; p=reject", spf: str = "v=spf1 ip4:192.0.2.7 -all") -> None:
    names.text("s1._domainkey.example.org", key_record())
    names.text("example.org", spf)
    if policy:
        names.text("_dmarc.example.org", policy)


def receipt(body: bytes, peer: str = CLIENT, **envelope: str) -> Receipt:
    fields = {"door": "smtp", "mail_from": "ann@example.org", "helo": "mx.example.org", **envelope}
    return Receipt("r", 1, "mail", RECEIVED_AT, body, "message/rfc822", (), fields, peer, 1)


async def examine(
    names: Names,
    got: Receipt,
    *,
    dns: Dns | None = None,
    **settings: object,
) -> Event:
    asked = MailSettings.model_validate({"kind": "mail", "recipients": ["a@b.example"], "verify": ALL, **settings})
    checks = SenderChecks(dns or Dns(servers=[names.address]))
    try:
        (event,) = (await checks.verify(got, asked, parse(got, asked))).events
    finally:
        checks.close()
    return event


def words(event: Event) -> tuple[str, ...]:
    return tuple(event.labels.get(name, "-") for name in ("mail.auth", *(f"mail.auth.{method}" for method in ALL)))


async def test_a_signed_mail_from_an_allowed_client_passes() -> None:
    async with name_server() as names:
        publish(names)
        event = await examine(names, receipt(signed(mail(), "example.org")))
    assert words(event) == ("pass", "pass", "pass", "pass")
    assert event.labels["mail.auth.signers"] == "example.org"
    assert event.labels["mail.auth.why"] == "checked here: dmarc=pass for example.org (policy reject of example.org)"


async def test_one_of_the_two_is_enough() -> None:
    async with name_server() as names:
        publish(names)
        assert words(await examine(names, receipt(mail()))) == ("pass", "none", "pass", "pass")
        forwarded = receipt(signed(mail(), "example.org"), peer="198.51.100.1")
        assert words(await examine(names, forwarded)) == ("pass", "pass", "fail", "pass")


async def test_a_forged_mail_fails() -> None:
    async with name_server() as names:
        publish(names)
        forged = receipt(mail(), peer="198.51.100.66", mail_from="eve@attacker.example")
        event = await examine(names, forged)
        assert words(event) == ("fail", "none", "none", "fail")
        names.text("attacker.example", "v=spf1 +all")
        names.text("s1._domainkey.attacker.example", key_record())
        own = receipt(signed(mail(), "attacker.example"), peer="198.51.100.66", mail_from="eve@attacker.example")
        assert words(await examine(names, own)) == ("fail", "pass", "pass", "fail")


async def test_a_forged_mail_for_a_domain_without_policy_is_a_fail_only_if_the_domain_says_so() -> None:
    async with name_server() as names:
        publish(names, policy="", spf="v=spf1 ip4:192.0.2.7 ~all")
        assert words(await examine(names, receipt(mail(), peer="198.51.100.6"))) == ("none", "none", "softfail", "none")
        publish(names, policy="")
        assert words(await examine(names, receipt(mail(), peer="198.51.100.6"))) == ("fail", "none", "fail", "none")


async def test_a_body_that_was_changed_on_the_way_fails() -> None:
    async with name_server() as names:
        publish(names, spf="v=spf1 -all")
        event = await examine(names, receipt(signed(mail(), "example.org").replace(b"loud", b"dead")))
    assert words(event) == ("fail", "fail", "fail", "fail")


async def test_a_key_that_is_missing_is_a_permanent_error() -> None:
    async with name_server() as names:
        event = await examine(names, receipt(signed(mail(), "example.org")), verify=["dkim"])
    assert words(event) == ("fail", "permerror", "-", "-")


async def test_behind_our_relay_its_spf_and_our_dkim_come_together() -> None:
    async with name_server() as names:
        publish(names)
        said = "Authentication-Results: mx.example.com; spf={} smtp.mailfrom=bounce.example.org"
        relayed = {"trusted": ["mx.example.com"]}
        passed = receipt(mail("ann@example.org", "x", said.format("pass")), peer="127.0.0.1")
        assert words(await examine(names, passed, auth_results=relayed)) == ("pass", "none", "pass", "pass")
        failed = receipt(mail("ann@example.org", "x", said.format("fail")), peer="127.0.0.1")
        assert words(await examine(names, failed, auth_results=relayed)) == ("fail", "none", "fail", "fail")
        silent = receipt(mail(), peer="127.0.0.1")
        assert words(await examine(names, silent, auth_results=relayed)) == ("none", "none", "none", "none")
        assert ("example.org", "TXT") not in names.asked  # SPF of the relay's own address would mean nothing


@pytest.mark.parametrize(
    ("peer", "envelope"),
    [
        ("", {}),
        ("10.0.0.7", {}),
        ("fd00::7", {}),
        (CLIENT, {"door": "lmtp"}),
        (CLIENT, {"door": "http"}),
        (CLIENT, {"auth_user": "ann"}),
        (CLIENT, {"mail_from": "", "helo": "[192.0.2.7]"}),
    ],
)
async def test_spf_is_checked_only_where_it_means_something(peer: str, envelope: dict[str, str]) -> None:
    async with name_server() as names:
        publish(names, spf="v=spf1 -all")
        event = await examine(names, receipt(mail(), peer, **envelope), verify=["spf"])
    assert words(event) == ("none", "-", "none", "-")
    assert names.asked == []


async def test_the_pipe_tells_the_client_of_its_mail_server() -> None:
    async with name_server() as names:
        publish(names)
        event = await examine(names, receipt(mail(), door="pipe"), auth_results={"trusted": ["mx.example.com"]})
    assert words(event) == ("pass", "none", "pass", "pass")


async def test_dns_that_is_broken_is_a_temporary_error() -> None:
    async with name_server() as names:
        names.broken = {"s1._domainkey.example.org", "example.org", "_dmarc.example.org"}
        event = await examine(names, receipt(signed(mail(), "example.org")))
    assert words(event) == ("temperror", "temperror", "temperror", "temperror")


async def test_dns_that_says_nothing_ends_with_the_deadline() -> None:
    async with name_server() as names:
        names.silent = True
        began = time.monotonic()
        dns = Dns(servers=[names.address], timeout=5.0, deadline=0.5)
        event = await examine(names, receipt(signed(mail(), "example.org")), dns=dns)
        assert time.monotonic() - began < 2.0
    assert words(event) == ("temperror", "temperror", "temperror", "temperror")
    assert "within 0.5 s" in event.labels["mail.auth.why"]


async def test_what_was_found_before_the_deadline_counts() -> None:
    async with name_server() as names:
        names.text("s1._domainkey.example.org", key_record())
        checks = SenderChecks(Dns(servers=[names.address], timeout=5.0, deadline=2.0))
        asked = MailSettings.model_validate({"kind": "mail", "verify": ["dkim", "dmarc"]})
        got = receipt(signed(mail(), "example.org"))
        lookup = checks._ask().lookup
        assert (await lookup("s1._domainkey.example.org", "TXT")).texts  # in the cache from here on
        names.silent = True
        (event,) = (await checks.verify(got, asked, parse(got, asked))).events
        checks.close()
    assert words(event) == ("pass", "pass", "-", "temperror")


async def test_a_crowd_does_not_wait_long_for_dns_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.mailauth.checks.CROWD", 2)
    monkeypatch.setattr("gateway.mailauth.checks.CROWDED_TIME", 0.2)
    async with name_server() as names:
        names.silent = True
        checks = SenderChecks(Dns(servers=[names.address], timeout=1.0, deadline=1.5))
        asked = MailSettings.model_validate({"kind": "mail", "verify": ["spf"]})
        got = receipt(mail())
        parsed = parse(got, asked)
        done: list[float] = []

        async def one() -> None:
            began = time.monotonic()
            await checks.verify(got, asked, parsed)
            done.append(time.monotonic() - began)

        await asyncio.gather(*(one() for _ in range(20)))
        checks.close()
    assert sum(seconds < 0.9 for seconds in done) == 18


async def test_a_mail_that_is_hard_to_check_is_stopped_and_the_next_one_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.mailauth.checks.CHILD_TIME", 2.0)
    async with name_server() as names:
        publish(names)
        checks = SenderChecks(Dns(servers=[names.address]))
        asked = MailSettings.model_validate({"kind": "mail", "verify": ["dkim"]})
        header = signed(mail(), "example.org")
        slow = header.replace(b"relaxed/simple", b"relaxed/relaxed").replace(b"The fan", b" " * 400_000 + b"x")
        assert b"relaxed/relaxed" in slow  # which takes dkimpy quadratic time
        (event,) = (await checks.verify(receipt(slow), asked, parse(receipt(slow), asked))).events
        assert event.labels["mail.auth.dkim"] == "temperror"
        good = receipt(header)
        (event,) = (await checks.verify(good, asked, parse(good, asked))).events
        checks.close()
    assert event.labels["mail.auth"] == "pass"


async def test_answers_are_remembered() -> None:
    async with name_server() as names:
        names.text("example.org", "one")
        names.records["example.org", "MX"] = ["10 mx.example.org."]
        names.records["mx.example.org", "AAAA"] = ["2001:db8::1"]
        names.records["7.2.0.192.in-addr.arpa", "PTR"] = ["mx.example.org."]
        resolver = Resolver([names.address])
        assert (await resolver.lookup("example.org", "TXT")).texts == (b"one",)
        assert (await resolver.lookup("Example.org.", "TXT")).texts == (b"one",)
        assert (await resolver.lookup("example.org", "MX")).exchanges == ((10, "mx.example.org"),)
        assert (await resolver.lookup("mx.example.org", "AAAA")).names == ("2001:db8::1",)
        assert (await resolver.lookup("7.2.0.192.in-addr.arpa", "PTR")).names == ("mx.example.org",)
        assert (await resolver.lookup("nowhere.example", "TXT")).texts == ()
        assert (await resolver.lookup("mx.example.org", "TXT")).failed == ""
        assert len(names.asked) == 6


@pytest.mark.parametrize(
    "name", ["", ".", "a" * 64 + ".example", "..example", "a." * 200 + "b", "ü" * 300, "\x00.example"]
)
async def test_what_is_no_name_has_no_records(name: str) -> None:
    async with name_server() as names:
        assert not (await Resolver([names.address], timeout=1.0).lookup(name, "TXT")).texts


async def test_no_name_server_at_all_is_told() -> None:
    found = await Resolver(["127.0.0.1:1"], timeout=0.3).lookup("example.org", "TXT")
    assert found.failed
