"""DKIM signatures: which vouch, and what becomes of those that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailauth.dkim_check import MOST_SIGNATURES, Signature, check_signatures, key_name, tags_of
from gateway.mailauth.question import Answer
from tests.mailauth.names import RECEIVED_AT, key_record, mail, signed

NAME = "s1._domainkey.example.org"
KEYS = {NAME: Answer(texts=(key_record().encode(),))}


def check(message: bytes, keys: dict[str, Answer] | None = None) -> Signature:
    (found,) = check_signatures(message, RECEIVED_AT, KEYS if keys is None else keys)
    return found


def record(text: str) -> dict[str, Answer]:
    return {NAME: Answer(texts=(text.encode(),))}


def test_a_right_signature_passes_and_names_its_domain() -> None:
    assert check(signed(mail(), "example.org")) == Signature("pass", "example.org")


def test_the_name_of_the_key_is_read_from_the_header() -> None:
    header = signed(mail(), "Example.org").partition(b":")[2].partition(b"\r\nFrom")[0]
    assert key_name(header) == NAME


def test_a_mail_without_a_signature_is_none() -> None:
    assert check(mail()).result == "none"


def test_an_altered_body_fails() -> None:
    found = check(signed(mail(), "example.org").replace(b"loud", b"dead"))
    assert (found.result, found.domain) == ("fail", "example.org")


@pytest.mark.parametrize(("old", "new"), [(b"Subject: fan", b"Subject: fun"), (b"Ann Adams", b"Eve Adams")])
def test_an_altered_header_fails(old: bytes, new: bytes) -> None:
    assert check(signed(mail(), "example.org").replace(old, new)).result == "fail"


def test_a_second_from_fails() -> None:
    assert check(b"From: boss@example.org\r\n" + signed(mail(), "example.org")).result == "fail"


def test_a_signature_that_does_not_cover_from_is_no_proof() -> None:
    message = signed(mail(), "example.org").replace(b"h=from : to", b"h=to : to")
    found = check(message)
    assert (found.result, found.detail) == ("permerror", "it does not cover From")


def test_a_signature_that_had_expired_fails() -> None:
    late = (("t", f"{RECEIVED_AT - 8000:.0f}"), ("x", f"{RECEIVED_AT - 3600:.0f}"))
    found = check(signed(mail(), "example.org", more=late[1:], at=RECEIVED_AT - 8000))
    assert (found.result, found.detail) == ("fail", "it had expired when the mail came")


def test_a_signature_that_expired_while_the_mail_lay_in_the_journal_passes() -> None:
    soon = (("x", f"{RECEIVED_AT + 60:.0f}"),)
    assert check(signed(mail(), "example.org", more=soon)).result == "pass"


def test_text_behind_the_signed_length_is_no_pass() -> None:
    message = signed(mail(), "example.org", length=True)
    assert check(message).result == "pass"
    found = check(message + b"Pay to this account instead.\r\n")
    assert (found.result, found.detail) == ("policy", "l= leaves a part of the body unsigned")


@pytest.mark.parametrize(
    ("keys", "result", "word"),
    [
        ({NAME: Answer()}, "permerror", "no key"),
        ({NAME: Answer(texts=(b"hello",))}, "permerror", "no key"),
        ({NAME: Answer(failed="Timeout")}, "temperror", "no answer"),
        (record("v=DKIM1; k=rsa; p="), "permerror", "revoked"),
        (record("v=DKIM1; k=rsa; p=AAAA"), "permerror", "cannot be read"),
        (record("v=DKIM2; p=AAAA"), "permerror", "version"),
        (record("v=DKIM1; k=ed25519; p=AAAA"), "permerror", "another kind"),
        (record(key_record(more="t=y; ")), "neutral", "test mode"),
        (record(key_record(more="s=tlsrpt; ")), "permerror", "not for mail"),
        (record(key_record(more="h=sha1; ")), "permerror", "SHA-256"),
    ],
)
def test_a_key_that_does_not_count(keys: dict[str, Answer], result: str, word: str) -> None:
    found = check(signed(mail(), "example.org"), keys)
    assert found.result == result
    assert word in found.detail


def test_a_key_that_can_be_broken_does_not_count() -> None:
    message = signed(mail(), "example.org", bits=1024)
    small = record("v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK4mBgqB2ZyJ0dFUH7rS0gL3c1qXkC0XhZ0c4kq4dH8m"
                   "1c9l9b5w2o0p3n7v1m5x9z3q7t1u5y9w3e7r1t5y9u8CAwEAAQ==")  # fmt: skip
    found = check(message, small)
    assert found.result in {"policy", "permerror"}
    assert "key" in found.detail


def test_sha1_does_not_count() -> None:
    message = signed(mail(), "example.org").replace(b"a=rsa-sha256", b"a=rsa-sha1")
    assert check(message).result == "permerror"


def test_only_so_many_signatures_are_checked() -> None:
    message = mail()
    header = signed(message, "example.org")[: -len(message)]
    found = check_signatures(header * 40 + message, RECEIVED_AT, KEYS)
    assert [one.result for one in found] == ["pass"] * MOST_SIGNATURES


def test_headers_that_are_none_are_a_permanent_error() -> None:
    assert check(b"what is this\r\n" + signed(mail(), "example.org")).result == "permerror"


@given(st.binary(max_size=400))
def test_nothing_in_a_signature_header_raises(value: bytes) -> None:
    tags_of(value)
    key_name(value)
    folded = value.replace(b"\r", b" ").replace(b"\n", b" ")
    found = check_signatures(b"DKIM-Signature: " + folded + b"\r\n" + mail(), RECEIVED_AT, KEYS)
    assert found[0].result != "pass"


@given(st.binary(max_size=300))
def test_nothing_in_a_key_record_raises(text: bytes) -> None:
    found = check(signed(mail(), "example.org"), {NAME: Answer(texts=(text,))})
    assert found.result != "pass"


@given(st.integers(0, 2000), st.integers(1, 255))
def test_a_changed_octet_never_turns_into_the_word_of_another(place: int, change: int) -> None:
    message = bytearray(signed(mail(), "example.org"))
    place %= len(message)
    message[place] ^= change
    for found in check_signatures(bytes(message), RECEIVED_AT, KEYS):
        assert found.result != "pass" or (found.domain == "example.org" and b"loud" in message)
