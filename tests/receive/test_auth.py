import base64
import hashlib
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import Auth, Basic, Hmac
from gateway.config.values import Secret
from gateway.receive.auth import Checker, Claim, Signature, decoy

NOW = 1_795_303_161.0


def claim(query: bytes = b"", token: str = "", **headers: str) -> Claim:
    return Claim({key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}, query, token)


def test_each_way_proves_the_sender_alone_and_any_of_several_is_enough() -> None:
    auth = Auth(
        bearer=[Secret("new"), Secret("old")],
        basic=Basic(user="zabbix", password=Secret("pass:wörd")),
        query={"token": Secret("q")},
        path=Secret("p"),
        header={"X-Token": Secret("h")},
    )
    checker = Checker(auth)
    pair = base64.b64encode("zabbix:pass:wörd".encode()).decode()
    right = [
        claim(authorization="Bearer new"),
        claim(authorization="bearer old"),
        claim(authorization=f"Basic {pair}"),
        claim(query=b"a=1&token=q"),
        claim(query=b"t%6fken=%71"),
        claim(token="p"),
        claim(x_token="h"),
        claim(authorization="Bearer wrong", x_token="h"),
    ]
    assert all(checker.proven(one) for one in right)
    wrong = [
        claim(),
        claim(authorization="Bearer q"),
        claim(authorization="Basic !!!"),
        claim(authorization="Bearer"),
        claim(query=b"token="),
        claim(token="q"),
        claim(x_token="hh"),
    ]
    assert not any(checker.proven(one) for one in wrong)


def test_no_configured_way_lets_nobody_in_and_none_lets_everybody_in() -> None:
    assert not Checker(None).proven(claim(authorization="Bearer "))
    assert not Checker(Auth()).proven(claim())
    assert Checker("none").proven(claim())
    assert not decoy().proven(claim(authorization="Bearer x"))


@given(st.binary(max_size=60), st.binary(max_size=60), st.text(max_size=20))
def test_whatever_is_sent_as_a_token_is_only_wrong(header: bytes, query: bytes, token: str) -> None:
    auth = Auth(
        bearer=Secret("tökén-long-enough"),
        basic=Basic(user="u", password=Secret("tökén-long-enough")),
        query={"t": Secret("tökén-long-enough")},
        path=Secret("tökén-long-enough"),
        hmac=Hmac(header="X-Sig", secrets=[Secret("s")], timestamp_header="X-Time"),
    )
    checker = Checker(auth)
    for prefix in (b"", b"Bearer ", b"Basic "):
        headers = {b"authorization": prefix + header, b"x-sig": header, b"x-time": query}
        assert not checker.proven(Claim(headers, query, token))
        assert checker.signature is not None
        assert checker.signature.check(headers, query, NOW) is None


def sign(secret: str, text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), text, algorithm).digest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1"])
@pytest.mark.parametrize("form", ["{hex}", "{algorithm}={hex}", "{base64}", "v1,{base64}", "sha256=00 v1={hex}"])
def test_signatures_are_read_in_every_common_form(algorithm: str, form: str) -> None:
    check = Signature(Hmac.model_validate({"header": "X-Sig", "secrets": ["old", "s"], "algorithm": algorithm}))
    digest = sign("s", b"body\xff", algorithm)
    text = form.format(hex=digest.hex(), base64=base64.b64encode(digest).decode(), algorithm=algorithm)
    assert check.check({b"x-sig": text.encode()}, b"body\xff", NOW) is not None
    assert check.check({b"x-sig": text.upper().encode()[:-1]}, b"body\xff", NOW) is None
    assert check.check({b"x-sig": text.encode()}, b"body\xff ", NOW) is None
    assert check.check({}, b"body\xff", NOW) is None


@pytest.mark.parametrize(
    ("stamp", "holds"),
    [
        (str(int(NOW)), True),
        (str(int(NOW) - 300), True),
        (str(int(NOW) - 301), False),
        (str(int(NOW) + 300), True),
        (str(int(NOW) + 301), False),
        ("", False),
        ("1e9", False),
        ("-5", False),
        ("9" * 5000, False),
        ("١٧٩٥٣٠٣١٦١", False),
    ],
)
def test_a_signed_instant_must_lie_within_the_window_either_way(stamp: str, holds: bool) -> None:
    check = Signature(Hmac(header="X-Sig", secrets=[Secret("s")], timestamp_header="X-Time", tolerance=300.0))
    signature = sign("s", stamp.encode() + b".body").hex().encode()
    assert (check.check({b"x-sig": signature, b"x-time": stamp.encode()}, b"body", NOW) is not None) is holds


def test_the_instant_is_part_of_what_is_signed() -> None:
    check = Signature(Hmac(header="X-Sig", secrets=[Secret("s")], timestamp_header="X-Time"))
    old = sign("s", b"1000.body").hex().encode()
    assert check.check({b"x-sig": old, b"x-time": str(int(NOW)).encode()}, b"body", NOW) is None


def test_a_signed_id_names_the_delivery_else_a_timed_signature_does() -> None:
    standard = Hmac(
        header="webhook-signature", secrets=[Secret("s")], timestamp_header="webhook-timestamp",
        id_header="webhook-id", signed="{id}.{timestamp}.{body}",
    )  # fmt: skip
    stamp = str(int(NOW)).encode()
    headers = {b"webhook-id": b"msg_1", b"webhook-timestamp": stamp}
    headers[b"webhook-signature"] = b"v1," + base64.b64encode(sign("s", b"msg_1." + stamp + b".b"))
    signed = Signature(standard).check(headers, b"b", NOW)
    assert signed is not None
    assert signed.key == "signed-id:msg_1"

    timed = Signature(Hmac(header="X-Sig", secrets=[Secret("s")], timestamp_header="X-Time", id_header="X-Id"))
    digest = sign("s", stamp + b".b").hex()
    keys = set()
    for name in (b"1", b"2"):  # an attacker is free to change an unsigned id
        seen = timed.check({b"x-sig": digest.encode(), b"x-time": stamp, b"x-id": name}, b"b", NOW)
        assert seen is not None
        keys.add(seen.key)
    assert keys == {"signature:" + digest}

    plain = Signature(Hmac(header="X-Sig", secrets=[Secret("s")]))
    bare = plain.check({b"x-sig": sign("s", b"b").hex().encode()}, b"b", NOW)
    assert bare is not None
    assert bare.key == ""


@given(st.text(string.printable, max_size=300))
def test_no_signature_header_raises(text: str) -> None:
    check = Signature(Hmac(header="X-Sig", secrets=[Secret("s")]))
    assert check.check({b"x-sig": text.encode()}, b"body", NOW) is None


def test_the_digest_of_an_equal_length_body_is_not_enough() -> None:
    check = Signature(Hmac(header="X-Sig", secrets=[Secret("s")]))
    assert check.check({b"x-sig": hashlib.sha256(b"body").hexdigest().encode()}, b"body", NOW) is None
