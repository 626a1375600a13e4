"""Whatever comes: one event, no exception, bounded time, and text that breaks nothing later."""

import random
import time

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.event import Kind, event_to_json
from gateway.sources.mail.limits import MAX_DEPTH
from tests.sources.mail.mails import event, mail, multipart, parsed, part, read

SECONDS = 2.0
HEAD = b"From: a@b.example\r\nSubject: s\r\n"


def text(*pieces: bytes) -> bytes:
    return HEAD + b"".join(pieces)


BOMBS: dict[str, bytes] = {
    "multiparts within multiparts": HEAD
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000)),
    "messages within messages": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 10_000,
    "parts": text(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--b\r\n\r\nx\r\n" * 100_000),
    "headers": b"X: y\r\n" * 100_000 + text(b"\r\nbody"),
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n" + text(b"\r\nx"),
    "encoded words that do not end": b"Subject: " + b"=?utf-8?q?" * 50_000 + b"\r\n" + text(b"\r\nx"),
    "addresses": b"To: " + b"a@b.c, " * 100_000 + b"\r\n" + text(b"\r\nx"),
    "parentheses": b"To: " + b"(" * 60_000 + b"\r\n" + text(b"\r\nx"),
    "quotes": b"To: " + b'"\\' * 30_000 + b"\r\n" + text(b"\r\nx"),
    "references": b"References: " + b"<a " * 20_000 + b"\r\n" + text(b"\r\nx"),
    "sections of a name": text(
        b"Content-Type: a/b; ", b"".join(b"name*%d*=a; " % n for n in range(8000)), b"\r\n\r\nx"
    ),
    "folds": b"Subject: a" + b"\r\n x" * 500_000 + b"\r\n" + text(b"\r\nx"),
    "padding": text(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"QQ==\n" * 1_000_000),
    "noise in base64": text(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n", b"!@ =A\n" * 1_000_000),
    "equals signs": text(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"=" * 5_000_000),
    "one line": text(b"\r\n", b"a" * 10_000_000),
    "empty lines": text(b"\r\n", b"\n" * 10_000_000),
    "quote marks": text(b"\r\n", b">\n" * 1_000_000),
    "header lines of quotes": text(b"\r\n", b"On 12:30 aaaaaaaaaaaaaaaaaaaaaa\n" * 50_000),
    "rules": text(b"\r\n", (b"_" * 390 + b"\n") * 5000),
    "signatures": text(b"\r\n", b"-- \nx\n" * 50_000),
    "files in the text": text(b"\r\n", b"begin 644 a\nM\n" * 50_000),
    "delimiters that are none": text(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n", b"--ab\n" * 2_000_000),
    "flowed lines": text(b"Content-Type: text/plain; format=flowed\r\n\r\n", b"a \n" * 500_000),
    "elements within elements": text(b"Content-Type: text/html\r\n\r\n", b"<div><b>" * 250_000),
    "angle brackets": text(b"Content-Type: text/html\r\n\r\n", b"<" * 300_000),
    "ampersands": text(b"Content-Type: text/html\r\n\r\n", b"&" * 1_000_000),
    "links": text(b"Content-Type: text/html\r\n\r\n", b'x<a href="http://x.y">a</a>' * 50_000),
    "quoted attributes": text(b"Content-Type: text/html\r\n\r\n", b'<a href="' * 100_000),
    "blockquotes": text(b"Content-Type: text/html\r\n\r\n", b"<blockquote>x" * 100_000),
    "stray closings": text(b"Content-Type: text/html\r\n\r\n", b"<div></p>" * 100_000),
    "calendar": text(b"Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\n", b'A;="b"="c"' * 90_000),
    "noise": text(b"\r\n", random.Random(1).randbytes(2_000_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_neither_the_mail_nor_much_time(name: str) -> None:
    start = time.perf_counter()
    found = event(BOMBS[name])
    assert time.perf_counter() - start < SECONDS
    assert found.kind is Kind.MESSAGE
    assert found.sender_address == "a@b.example"


def test_what_nests_deeper_than_the_limit_stays_one_attachment_with_a_warning() -> None:
    data = mail("the heart")
    for level in range(MAX_DEPTH + 5):
        data = multipart(part("x"), part(data, "message/rfc822"), boundary=f"level{level}")
    result = parsed(data)
    assert any("deep" in warning for warning in result.warnings)
    assert result.events[0].attachments[-1].filename == "original.eml"


def test_25_megabytes_take_less_than_two_seconds() -> None:
    body = part(b"QUJD" * 6_500_000, "application/pdf; name=a.pdf", "Content-Transfer-Encoding: base64\r\n")
    start = time.perf_counter()
    (file,) = event(multipart(part("see file"), body)).attachments
    assert time.perf_counter() - start < SECONDS
    assert file.size == 19_500_000


SEEDS = [
    multipart(part("Grüße"), part("<b>x</b>", "text/html"), subtype="alternative"),
    multipart(
        part("x"),
        part(mail("inner"), "message/rfc822"),
        part("SGVsbG8=", "image/png; name*=utf-8''%C3%BC.png", "Content-Transfer-Encoding: base64\r\n"),
    ),
    mail(
        "a=C3=A4 =\r\nb",
        {"Content-Transfer-Encoding": "quoted-printable", "Subject": "=?utf-8?q?=C3=A4?= =?iso-2022-jp?b?GyRC?="},
        content_type="text/plain; format=flowed; charset=utf-7",
    ),
    mail(
        "On 3 Mar 2026 10:00, Bob <b@x.example> wrote:\n> x\n-- \nAnn",
        {"To": '"A, B" <a@b>, c (d (e)); g: h@i;', "References": "<a@b> <c@d>"},
    ),
    multipart(part("x"), part("Final-Recipient: rfc822; a@b", "message/delivery-status"), subtype="report"),
    mail(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x\nDTSTART:20260101T000000Z\nEND:VEVENT", content_type="text/calendar"
    ),
]
TOKENS = [
    b"\r\n",
    b"\n\n",
    b"--limit",
    b"--",
    b"\x00",
    b"\xff",
    b"=?",
    b"?=",
    b"=?utf-8?b?",
    b'"',
    b";",
    b"<",
    b">",
    b"charset=utf-16",
    b"multipart/mixed; boundary=",
    b"Content-Type: ",
    b"\x1b$B",
    b"&#x110000;",
    b"=\r\n",
    b"begin 644 x\n",
    b"\xed\xa0\x80",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 8))):
        position = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 20))
        data[position : position + length] = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)))
    return bytes(data)


def check(data: bytes) -> None:
    (found,) = parsed(data).events
    assert not any(warning for warning in parsed(data).warnings if "an error of the gateway" in warning)
    for value in (
        found.title,
        found.text,
        found.html,
        found.sender_name,
        found.sender_address,
        found.origin_key,
        *found.labels.values(),
    ):
        value.encode("utf-8")
        assert "\x00" not in value
        assert "\x1b" not in value
    assert "\n" not in found.title + found.sender_name + found.sender_address + found.message_id + found.origin_key
    assert found.origin_key
    for file in found.attachments:
        assert file.filename
        assert "/" not in file.filename
        file.filename.encode("utf-8")
        file.media_type.encode("ascii")
    orjson.dumps(event_to_json(found))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutated())
def test_a_damaged_mail_is_still_one_sound_event(data: bytes) -> None:
    check(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_octets_are_one_sound_event(data: bytes) -> None:
    check(data)
    check(HEAD + data)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_arrives_as_it_was_written(body: str) -> None:
    data = mail(body.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")
    kept = [character for character in read(data).text if character.isalnum()]
    assert kept == [character for character in body.encode("utf-8", "replace").decode() if character.isalnum()]
