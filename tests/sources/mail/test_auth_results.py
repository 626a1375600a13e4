"""``Authentication-Results``: every form that RFC 8601 and real servers write, and none that only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.mail.auth_results import MethodResult, parse_auth_results


def results(value: str) -> list[tuple[str, str]]:
    found = parse_auth_results(value.encode())
    assert found is not None
    assert found.authserv_id == "mx.example.org"
    return [(one.method, one.result) for one in found.results]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx.example.org 1; none", []),
        ("mx.example.org; none;", []),
        ("MX.Example.ORG; spf=pass smtp.mailfrom=example.net", [("spf", "pass")]),
        (
            "mx.example.org;\r\n\tspf=pass smtp.mailfrom=a@example.net;\r\n\tdkim=fail",
            [("spf", "pass"), ("dkim", "fail")],
        ),
        ('"mx.example.org" 1 ; DKIM = Pass header.d = example.net', [("dkim", "pass")]),
        ("(a (nested) comment) mx.example.org (x) 1 (y); (z) spf (q) = (r) pass (s)", [("spf", "pass")]),
        ("mx.example.org; dkim/1=pass; dkim/2=pass; spf=pass", [("dkim", "pass"), ("spf", "pass")]),
        ('mx.example.org; dkim=fail reason="a;b \\" (c"; spf=pass', [("dkim", "fail"), ("spf", "pass")]),
        ("mx.example.org; spf=pass (domain of x; dkim=pass) smtp.mailfrom=x@y.example", [("spf", "pass")]),
        ("mx.example.org; dmarc=pass action=none header.from=example.net", [("dmarc", "pass")]),
        (
            "mx.example.org; iprev=pass policy.iprev=2001:db8::7; auth=pass smtp.auth=ann",
            [("iprev", "pass"), ("auth", "pass")],
        ),
    ],
)
def test_what_is_well_formed_is_read(value: str, expected: list[tuple[str, str]]) -> None:
    assert results(value) == expected


def test_the_properties_are_read() -> None:
    found = parse_auth_results(
        b'mx.example.org; dkim=pass reason="good" header.d=Example.net header.i=@example.net header.b="abc=;"'
        b" header.s=s1 header.d=evil.example"
    )
    assert found is not None
    properties = {
        "header.d": "Example.net",
        "header.i": "@example.net",
        "header.b": "abc=;",
        "header.s": "s1",
    }
    assert found.results == (MethodResult("dkim", "pass", "good", properties),)


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (  # Gmail
            (
                "mx.example.org; dkim=pass header.i=@a.example header.s=s1 header.b=ab/c+d=; spf=pass (google.com: domain of"
                " x@a.example designates 192.0.2.1 as permitted sender) smtp.mailfrom=x@a.example; dmarc=pass (p=REJECT"
                " sp=REJECT dis=NONE) header.from=a.example"
            ),
            {"dkim": "@a.example", "spf": "x@a.example", "dmarc": "a.example"},
        ),
        (  # Exim
            (
                "mx.example.org;\r\n\tiprev=pass (mail.a.example) smtp.remote-ip=192.0.2.1;\r\n\tspf=pass"
                " smtp.mailfrom=a.example;\r\n\tdkim=pass header.d=a.example header.s=s1 header.a=rsa-sha256;\r\n\tdmarc=pass"
                " header.from=a.example"
            ),
            {"dkim": "a.example", "spf": "a.example", "dmarc": "a.example"},
        ),
        (  # OpenDKIM, policyd-spf, OpenDMARC as one
            (
                'mx.example.org; dkim=pass (2048-bit key; unprotected) header.d=a.example header.i=@a.example header.b="x=y";'
                " dkim-atps=neutral; spf=pass (sender SPF authorized) smtp.mailfrom=a.example (client-ip=192.0.2.1;"
                " helo=b; envelope-from=x@a.example); dmarc=pass (p=none dis=none) header.from=a.example"
            ),
            {"dkim": "a.example", "spf": "a.example", "dmarc": "a.example"},
        ),
        (  # Microsoft's words before the property, Yahoo's comment without a blank
            "mx.example.org; dmarc=pass(p=REJECT) action=none header.from=a.example;compauth=pass reason=100",
            {"dmarc": "a.example"},
        ),
    ],
)
def test_what_real_servers_write_is_read(value: str, domains: dict[str, str]) -> None:
    found = parse_auth_results(value.encode())
    assert found is not None
    names = {"dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom",), "dmarc": ("header.from",)}
    passed = {one.method: one.properties for one in found.results if one.result == "pass" and one.method in names}
    seen = {method: next(given[name] for name in names[method] if name in given) for method, given in passed.items()}
    assert seen == domains


def test_a_header_without_a_name_is_nobodys_word() -> None:
    assert (
        parse_auth_results(b"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=pass header.d=a.example")
        is None
    )


def test_a_quoted_local_part_keeps_what_is_in_it() -> None:
    found = parse_auth_results(b'mx.example.org; spf=fail smtp.mailfrom="a; dmarc=pass "@example.net; dkim=none')
    assert found is not None
    assert [(one.method, one.result) for one in found.results] == [("spf", "fail"), ("dkim", "none")]
    assert found.results[0].properties == {"smtp.mailfrom": "a; dmarc=pass @example.net"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"mx.example.org",
        b"; spf=pass",
        b"mx.example.org 2; spf=pass",
        b"mx.example.org other.example; spf=pass",
        b"mx.example.org; spf",
        b"mx.example.org; spf=pass; what is this",
        b"mx.example.org; spf=pass (never closed",
        b'mx.example.org; spf=pass reason="never closed',
        b"mx.example.org; spf=pass) x",
        b"mx.example.org;; spf=pass",
        b"mx.example.org; " + b"spf=pass; " * 60,
        b"mx.example.org; spf=pass " + b"x" * 20_000,
        b"mx.example.org; spf=pass " + b"(" * 500 + b")" * 500,
    ],
)
def test_what_cannot_be_read_as_a_whole_is_nobodys_word(value: bytes) -> None:
    assert parse_auth_results(value) is None


@given(st.binary(max_size=600))
def test_no_octets_raise(value: bytes) -> None:
    parse_auth_results(value)


_PIECES = st.sampled_from(
    ["mx.example.org", ";", "=", " ", "(", ")", '"', "\\", "spf", "dkim", "pass", "fail", "smtp.mailfrom", ".", "/", "1", "@",
     "reason", "none", "\r\n ", "\x00", "\x000\x00", "ü"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_no_arrangement_of_its_own_words_raises(value: str) -> None:
    parse_auth_results(value.encode())


_SAFE = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), max_size=40)


@given(_SAFE, _SAFE)
def test_what_is_quoted_or_a_comment_never_becomes_a_result(quoted: str, comment: str) -> None:
    comment = comment.replace("(", "").replace(")", "")
    found = parse_auth_results(f'mx.example.org; spf=fail ({comment}) smtp.mailfrom="{quoted}"@example.net'.encode())
    assert found is not None
    assert [(one.method, one.result) for one in found.results] == [("spf", "fail")]
