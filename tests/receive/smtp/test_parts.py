"""The small pure parts: paths, PROXY headers, SASL, duplicate keys, counts of clients."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import MailLimits
from gateway.receive.smtp import auth
from gateway.receive.smtp.mailroom import duplicate_key
from gateway.receive.smtp.paths import BadPath, Sender, parse_recipient, parse_sender
from gateway.receive.smtp.peers import Peers, peer_key
from gateway.receive.smtp.proxy import BadProxyHeader, parse_proxy

V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@pytest.mark.parametrize(
    ("argument", "sender"),
    [
        (b"FROM:<>", Sender("")),
        (b"from:<a@b>", Sender("a@b")),
        (b"FROM: <a@b>", Sender("a@b")),
        (b"FROM:a@b", Sender("a@b")),
        (b"FROM:<a@b> SIZE=791 BODY=8BITMIME SMTPUTF8", Sender("a@b", 791, eight_bit=True, utf8=True)),
        ("FROM:<jösé@b> SMTPUTF8".encode(), Sender("jösé@b", utf8=True)),
        (b'FROM:<"a > b"@c>', Sender('"a > b"@c')),
        (b"FROM:<a@b> AUTH=<>", Sender("a@b")),
    ],
)
def test_a_sender_is_read_as_real_clients_write_it(argument: bytes, sender: Sender) -> None:
    assert parse_sender(argument, 1000) == sender


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        (b"", b"501"), (b"<a@b>", b"501"), (b"FROM:", b"501"), (b"FROM:<a@b", b"501"), (b"FROM:<a@b>x", b"501"),
        (b"FROM:<a@b> SIZE=1001", b"552"), (b"FROM:<a@b> SIZE=-1", b"501"), (b"FROM:<a@b> SIZE=" + b"9" * 99, b"501"),
        (b"FROM:<a@b> SIZE=1 SIZE=2", b"501"), (b"FROM:<a@b> BODY=BINARYMIME", b"555"), (b"FROM:<a@b> RET=FULL", b"555"),
        ("FROM:<jösé@b>".encode(), b"553"), (b"FROM:<\xff@b> SMTPUTF8", b"553"), (b"FROM:<\xff@b>", b"553"),
        (b"FROM:<a\x01@b>", b"501"), ("FROM:<a\u2028@b> SMTPUTF8".encode(), b"501"), (b"FROM:<@x:a@b>", b"501"),
        (b"FROM:<a>", b"501"), (b"FROM:<" + b"a" * 600 + b"@b>", b"501"),
    ],
)  # fmt: skip
def test_a_wrong_sender_is_refused_with_the_right_code(argument: bytes, code: bytes) -> None:
    with pytest.raises(BadPath) as caught:
        parse_sender(argument, 1000)
    assert caught.value.reply.startswith(code)


@given(st.binary(max_size=200))
def test_any_argument_is_an_address_or_a_refusal(argument: bytes) -> None:
    for read in (lambda: parse_sender(b"FROM:" + argument, 10), lambda: parse_recipient(b"TO:" + argument, utf8=True)):
        reply = b"250"
        try:
            read()
        except BadPath as error:
            reply = error.reply
        assert reply[:1] in b"245"
        assert b"\n" not in reply


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 25\r\nEHLO", (40, "192.0.2.7")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 25\r\n", (44, "2001:db8::7")),
        (b"PROXY UNKNOWN\r\n", (15, None)),
        (b"PROXY UNKNOWN ff x y\r\n", (22, None)),
        (V2 + b"\x21\x11" + struct.pack("!H", 12) + bytes([192, 0, 2, 7, 192, 0, 2, 1, 1, 2, 3, 4]), (28, "192.0.2.7")),
        (V2 + b"\x21\x21" + struct.pack("!H", 39) + b"\x20\x01\x0d\xb8" + b"\0" * 35, (55, "2001:db8::")),
        (V2 + b"\x20\x00\x00\x00", (16, None)),
        (b"PROXY TC", None), (V2[:3], None), (V2 + b"\x21\x11\x00\x0c", None),
    ],
)  # fmt: skip
def test_a_proxy_names_its_client(data: bytes, found: tuple[int, str | None] | None) -> None:
    assert parse_proxy(data) == found


@pytest.mark.parametrize(
    "data",
    [b"EHLO x\r\n", b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
     b"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999\r\n", b"PROXY " + b"x" * 200, V2 + b"\x31\x11\x00\x0c", V2 + b"\x21\x11\xff\xff",
     V2 + b"\x21\x12\x00\x0c" + b"\0" * 12, V2 + b"\x21\x11\x00\x04" + b"\0" * 4],
)  # fmt: skip
def test_what_is_no_proxy_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        parse_proxy(data)


def test_plain_takes_nobody_elses_part() -> None:
    assert auth.plain(b"\0ann\0secret") == (b"ann", b"secret")
    assert auth.plain(b"ann\0ann\0secret") == (b"ann", b"secret")
    for wrong in (b"", b"ann\0secret", b"bob\0ann\0secret", b"\0\0secret", b"\0a\0b\0c", b"\0ann\0" + b"x" * 2000):
        assert auth.plain(wrong) is None


def test_a_resent_message_has_the_same_key_and_another_one_has_not() -> None:
    first = b"Message-ID: <1@x>\r\n\r\nbody\r\n"
    assert duplicate_key("a@b", first, 60.0) == duplicate_key("other@b", first, 60.0)
    assert duplicate_key("a@b", first, 60.0) != duplicate_key("a@b", first + b"x", 60.0)


@pytest.mark.parametrize(
    ("head", "days"),
    [(b"Message-ID: <1@x>", True), (b"Subject: x\r\nmessage-id:\r\n <1@x>", True), (b"Date: Mon, 1 Jan", True),
     (b"Received: by x", True), (b"Subject: x", False), (b"X-Message-ID: <1@x>", False), (b"Message-ID: ", False)],
)  # fmt: skip
def test_a_message_without_any_mark_of_its_own_is_a_repeat_for_a_short_time_only(head: bytes, days: bool) -> None:
    key = duplicate_key("a@b", head + b"\r\n\r\nDate: in the body\r\n", 60.0)
    assert key is not None
    assert key.horizon == (7 * 86400.0 if days else 60.0)
    if not days:
        assert key != duplicate_key("other@b", head + b"\r\n\r\nDate: in the body\r\n", 60.0)


def test_wrong_passwords_cost_ever_more_over_all_connections_of_a_client() -> None:
    now = [100.0]
    peers = Peers(MailLimits(), lambda: now[0])
    delays = [peers.wrong_password("192.0.2.1") for _ in range(12)]
    assert delays[:3] == [0.25, 0.5, 1.0]
    assert delays[-1] == 10.0
    assert peers.wrong_password("192.0.2.2") == 0.25
    now[0] += 1000.0
    assert peers.wrong_password("192.0.2.1") == 0.25


def test_a_network_of_ipv6_is_one_client() -> None:
    assert peer_key("2001:db8::1") == peer_key("2001:db8::ffff") != peer_key("2001:db8:0:1::1")
    assert peer_key("192.0.2.1") != peer_key("192.0.2.2")
