"""Who vouches for a sender: whose results count, and what they come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Event, Kind
from gateway.model.receipt import Parsed, Receipt
from gateway.sources.mail.guard import guard
from gateway.sources.mail.settings import MailSettings
from gateway.sources.mail.source import parse
from gateway.sources.mail.trust import (
    Author,
    Finding,
    Origin,
    ascii_domain,
    author_of,
    by_relays,
    head_of,
    held,
    refused_at_the_door,
    verdict,
    vouches,
)

RECEIVED = "Received: from mail.example.net by mx.example.org; Mon, 1 Jan 2026 00:00:00 +0000"
PASS = "Authentication-Results: mx.example.org; dkim=pass header.d=example.net; dmarc=pass header.from=example.net"
FAIL = "Authentication-Results: mx.example.org; spf=fail smtp.mailfrom=example.net; dmarc=fail header.from=example.net"
FORGED = "Authentication-Results: mx.example.org; dmarc=pass header.from=example.net"
FROM = "From: Ann <ann@example.net>"


def settings(**more: object) -> MailSettings:
    trusted = {"trusted": ["mx.example.org"]}
    return MailSettings.model_validate({"kind": "mail", "recipients": ["a@b.example"], "auth_results": trusted, **more})


def mail(*head: str, body: str = "Hello") -> bytes:
    return "\r\n".join([*head, "To: support@b.example", "Subject: x", "", body, ""]).encode()


def receipt(body: bytes, peer: str = "127.0.0.1", **envelope: str) -> Receipt:
    fields = {"door": "smtp", "mail_from": "ann@example.net", **envelope}
    return Receipt("r", 1, "mail", 1.8e9, body, "message/rfc822", (), fields, peer, 1)


def read(*head: str, peer: str = "127.0.0.1", **more: object) -> tuple[Event, tuple[str, ...]]:
    parsed: Parsed = parse(receipt(mail(*head), peer), settings(**more))
    (event,) = parsed.events
    return event, parsed.warnings


def word(*head: str, peer: str = "127.0.0.1", **more: object) -> str:
    return read(*head, peer=peer, **more)[0].labels["mail.auth"]


# ----------------------------------------------------------------------------------------------------- whose word counts


def test_the_word_of_our_relay_counts_above_and_below_its_received() -> None:
    assert word(PASS, RECEIVED, FROM) == "pass"
    assert word(RECEIVED, PASS, FROM) == "pass"
    assert word(RECEIVED, FAIL, FROM) == "fail"


@pytest.mark.parametrize(
    "head",
    [
        (RECEIVED, FAIL, RECEIVED, FORGED, FROM),
        (RECEIVED, FAIL, FORGED, FROM),
        (FAIL, RECEIVED, FORGED, FROM),
        (RECEIVED, FAIL, "X-Other: 1", FORGED, FROM),
    ],
)
def test_a_forged_one_below_the_real_one_does_not_count(head: tuple[str, ...]) -> None:
    assert word(*head) == "fail"


def test_a_forged_one_far_down_does_not_count_where_the_relay_wrote_none() -> None:
    event, warnings = read(RECEIVED, RECEIVED, FORGED, FROM)
    assert event.labels["mail.auth"] == "none"
    assert any("further down" in one for one in warnings)


@pytest.mark.parametrize(
    "name", ["mx.example.org.attacker.example", "xmx.example.org", "example.org", "mx.example.org:25", "mx"]
)
def test_a_name_that_only_looks_like_ours_does_not_count(name: str) -> None:
    assert word(RECEIVED, f"Authentication-Results: {name}; dmarc=pass", FROM) == "none"


def test_one_of_a_stranger_on_top_ends_the_list() -> None:
    assert word(RECEIVED, "Authentication-Results: other.example; dmarc=fail", FORGED, FROM) == "none"


def test_one_that_cannot_be_read_ends_the_list() -> None:
    assert word(RECEIVED, "Authentication-Results: mx.example.org; dmarc=pass (", FORGED, FROM) == "none"


def test_what_a_client_brings_that_is_no_relay_does_not_count() -> None:
    event, warnings = read(PASS, FROM, peer="192.0.2.66")
    assert event.labels["mail.auth"] == "none"
    assert any("none of our relays" in one for one in warnings)


@pytest.mark.parametrize(
    ("more", "peer", "expected"),
    [
        ({}, "", "pass"),
        ({}, "::1", "pass"),
        ({}, "::ffff:127.0.0.1", "pass"),
        ({"networks": ["192.0.2.0/24"]}, "192.0.2.5", "pass"),
        ({"networks": ["192.0.2.0/24"]}, "127.0.0.1", "none"),
        (
            {"auth_results": {"trusted": ["mx.example.org"], "networks": ["192.0.2.5"]}, "networks": ["192.0.2.0/24"]},
            "192.0.2.6",
            "none",
        ),
        ({"auth_results": {"trusted": ["MX.example.org"], "networks": ["192.0.2.5"]}}, "192.0.2.5", "pass"),
        ({}, "no address", "none"),
    ],
)
def test_relays_are_known_by_their_addresses(more: dict[str, object], peer: str, expected: str) -> None:
    assert word(PASS, FROM, peer=peer, **more) == expected


def test_the_mail_server_behind_the_pipe_is_a_relay_whoever_its_client_is() -> None:
    asked, body = settings(), mail(PASS, FROM)
    (event,) = parse(receipt(body, "192.0.2.66", door="pipe"), asked).events
    assert event.labels["mail.auth"] == "pass"


def test_a_relay_that_writes_one_header_for_each_method_is_told_so() -> None:
    spf = "Authentication-Results: mx.example.org; spf=softfail smtp.mailfrom=other.example"
    assert word(spf, PASS, FROM) == "none"
    assert word(spf, PASS, FROM, auth_results={"trusted": ["mx.example.org"], "headers": 2}) == "pass"


def test_more_servers_of_ours_behind_the_relay_are_told() -> None:
    head = (RECEIVED, RECEIVED, RECEIVED, PASS, FROM)
    assert word(*head) == "none"
    assert word(*head, auth_results={"trusted": ["mx.example.org"], "hops": 3}) == "pass"


def test_a_relay_that_was_talked_into_two_results_is_believed_the_worse() -> None:
    assert word("Authentication-Results: mx.example.org; dmarc=fail; dmarc=pass", FROM) == "fail"
    assert word("Authentication-Results: mx.example.org; dmarc=pass; dmarc=fail", FROM) == "fail"


def test_what_a_relay_says_of_another_from_is_no_word_on_this_one() -> None:
    assert word("Authentication-Results: mx.example.org; dmarc=pass header.from=attacker.example", FROM) == "none"


# ---------------------------------------------------------------------------------------------------------- the verdict

AUTHOR = Author("example.net")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], "none"),
        ([Finding("dkim", "pass", "example.net")], "pass"),
        ([Finding("spf", "pass", "example.net")], "pass"),
        ([Finding("dkim", "pass", "attacker.example")], "none"),
        ([Finding("dkim", "pass", "evil.example.net")], "none"),
        ([Finding("dkim", "pass", "evil.example.net", aligned=True)], "pass"),
        ([Finding("dkim", "pass", "net")], "none"),
        ([Finding("dmarc", "fail"), Finding("dkim", "pass", "example.net")], "fail"),
        ([Finding("dmarc", "fail"), Finding("dmarc", "pass")], "pass"),
        ([Finding("dkim", "fail", "example.net")], "fail"),
        ([Finding("dkim", "policy", "example.net")], "fail"),
        ([Finding("dkim", "fail", "list.example")], "none"),
        ([Finding("dkim", "fail", "example.net"), Finding("spf", "pass", "example.net")], "pass"),
        ([Finding("spf", "fail", "example.net")], "fail"),
        ([Finding("spf", "softfail", "example.net")], "none"),
        ([Finding("dkim", "temperror", "example.net"), Finding("spf", "fail", "example.net")], "temperror"),
        ([Finding("dkim", "temperror", "attacker.example"), Finding("spf", "fail", "example.net")], "fail"),
        ([Finding("dmarc", "temperror"), Finding("dkim", "pass", "example.net")], "pass"),
        ([Finding("dmarc", "none"), Finding("dkim", "neutral", "example.net")], "none"),
    ],
)
def test_the_findings_come_to_one_word(findings: list[Finding], expected: str) -> None:
    assert verdict(AUTHOR, findings).auth == expected


@pytest.mark.parametrize(
    "head",
    [
        (PASS, FROM, "From: boss@example.org"),
        (PASS, "From: ann@example.net, boss@example.org"),
        (PASS, "From : Ann <ann@example.net>", "FROM: boss@example.org"),
    ],
)
def test_a_mail_that_is_from_two_is_from_nobody(head: tuple[str, ...]) -> None:
    assert word(*head) == "fail"


def test_a_sender_that_is_not_in_from_is_not_verified() -> None:
    assert word(PASS, "From: Ann", "Reply-To: boss@example.net") == "fail"


def test_a_mail_that_names_no_sender_is_neither() -> None:
    assert word("From: MAILER-DAEMON") == "none"


def test_authors_are_read_as_the_parser_reads_them() -> None:
    assert author_of(head_of(mail('From: "a@evil.example" <ann@Example.NET.>'))) == Author("example.net")
    assert author_of(head_of(mail("From: =?utf-8?q?boss=40example=2Eorg?= <ann@example.net>"))) == Author("example.net")
    assert author_of(head_of(mail("From: ann@bücher.example"))) == Author("xn--bcher-kva.example")
    assert author_of(head_of(b"\r\n\r\n" + mail(FROM))) == Author("example.net")


@pytest.mark.parametrize("text", ["", "localhost", "[192.0.2.1]", "a." * 130 + "example", "ü\u0338\u200b..example"])
def test_what_is_no_domain_vouches_for_nobody(text: str) -> None:
    assert not vouches(ascii_domain(text), "example.net")


# ---------------------------------------------------------------------------------------------------- what is made of it


def test_the_labels_say_what_was_found_and_why() -> None:
    event, warnings = read(RECEIVED, PASS, FROM)
    assert {name: value for name, value in event.labels.items() if name.startswith("mail.auth")} == {
        "mail.auth": "pass",
        "mail.auth.dkim": "pass",
        "mail.auth.dmarc": "pass",
        "mail.auth.signers": "example.net",
        "mail.auth.why": "mx.example.org says: dmarc=pass for example.net",
    }
    assert warnings == ()


def test_a_sender_that_fails_is_a_warning() -> None:
    _, warnings = read(FAIL, FROM)
    assert warnings == ("Sender: not verified: mx.example.org says: dmarc=fail for example.net",)


def test_a_source_that_asks_for_nothing_gets_no_label() -> None:
    event, warnings = read(FAIL, FROM, auth_results=None)
    assert not [name for name in event.labels if name.startswith("mail.auth")]
    assert warnings == ()


def test_what_is_still_to_be_checked_is_a_temporary_error() -> None:
    event, _ = read(FROM, auth_results=None, verify=["dkim"])
    assert (event.labels["mail.auth"], event.labels["mail.auth.dkim"]) == ("temperror", "temperror")


@pytest.mark.parametrize(
    ("policy", "auth", "is_held"),
    [
        ("tag", "fail", False),
        ("dead_letter", "fail", True),
        ("reject", "fail", True),
        ("dead_letter", "temperror", False),
        ("dead_letter", "none", False),
        ("dead_letter", "pass", False),
    ],
)
def test_only_a_fail_is_held_and_only_where_the_source_says_so(policy: str, auth: str, is_held: bool) -> None:
    event = Event(Kind.PROBLEM, labels={"mail.auth": auth, "mail.alert": "nagios"})
    asked = settings(on_auth_fail=policy)
    assert bool(held(event, asked)) is is_held
    found = guard(event, receipt(b""), asked)
    assert (found is not None and found.hold is not None) is is_held


@pytest.mark.parametrize(
    ("head", "peer", "more", "is_refused"),
    [
        ((FAIL, FROM), "127.0.0.1", {}, True),
        ((PASS, FROM), "127.0.0.1", {}, False),
        ((FROM,), "127.0.0.1", {}, False),
        ((FROM, "From: x@y.example"), "127.0.0.1", {}, False),
        ((FAIL, FROM), "192.0.2.6", {}, False),
        ((FAIL, FROM), "127.0.0.1", {"on_auth_fail": "dead_letter"}, False),
        ((FAIL, FROM), "127.0.0.1", {"verify": ["dkim"]}, True),
        (("Authentication-Results: mx.example.org; spf=fail smtp.mailfrom=example.net", FROM), "", {}, True),
        (
            ("Authentication-Results: mx.example.org; spf=fail smtp.mailfrom=example.net", FROM),
            "",
            {"verify": ["dkim"]},
            False,
        ),
    ],
)
def test_the_door_refuses_only_what_a_relay_calls_a_fail(
    head: tuple[str, ...], peer: str, more: dict[str, object], is_refused: bool
) -> None:
    asked = settings(**{"on_auth_fail": "reject", **more})
    assert bool(refused_at_the_door(mail(*head), Origin(peer, "smtp"), asked)) is is_refused


# ------------------------------------------------------------------------------------------------------- hostile octets


@given(st.binary(max_size=600))
def test_no_octets_raise(data: bytes) -> None:
    asked = settings(on_auth_fail="reject")
    for message in (data, data + b"\r\n" + mail(FROM), b"Authentication-Results: " + data + b"\r\n" + mail(FROM)):
        refused_at_the_door(message, Origin("127.0.0.1", "smtp"), asked)
        author_of(head_of(message))


@given(
    st.lists(
        st.sampled_from([RECEIVED, FORGED, "X-A: b", "Authentication-Results: other.example; none", "DKIM-Filter: z"])
    ),
    st.integers(0, 3),
)
def test_nothing_below_the_real_result_changes_what_counts(below: list[str], hops: int) -> None:
    asked = settings(auth_results={"trusted": ["mx.example.org"], "headers": 1, "hops": hops})
    head = head_of(mail(*[RECEIVED] * min(hops, 1), FAIL, *below, FROM))
    findings, _ = by_relays(head, Origin("127.0.0.1", "smtp"), asked)
    assert [one.result for one in findings if one.method == "dmarc"] == ["fail"]


@given(st.text(max_size=80))
def test_no_text_makes_a_domain_that_is_none(text: str) -> None:
    domain = ascii_domain(text)
    assert domain == "" or (domain.isascii() and "." in domain and len(domain) <= 253)
