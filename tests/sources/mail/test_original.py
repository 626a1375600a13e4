"""When the original is attached to the ticket, and when it is not."""

import base64

import pytest

from gateway.model.reasons import Reason
from gateway.sources.mail.limits import MAX_SHOWN
from tests.sources.mail.mails import mail, multipart, parsed, part

B64 = "Content-Transfer-Encoding: base64\r\n"
TNEF = b"\x78\x9f\x3e\x22\x01\x00"


def nested(levels: int) -> bytes:
    body = part("innermost")
    for level in range(levels):
        body = part(b"--l%d\r\n%s\r\n--l%d--\r\n" % (level, body, level), f"multipart/mixed; boundary=l{level}")
    return mail(body.partition(b"\r\n\r\n")[2], content_type=f"multipart/mixed; boundary=l{levels - 1}")


LOST = {
    "a part that says it is base64 and is not": multipart(part("t"), part("just words, never encoded", "a/b", B64)),
    "base64 with other characters in it": multipart(part("t"), part(b"SGVs!!!!\r\nbG8h", "a/b", B64)),
    "quoted-printable that is broken": mail(b"a =ZZ b", content_transfer_encoding="quoted-printable"),
    "an encoding that nobody knows": mail(b"abc", content_transfer_encoding="quantum"),
    "text with octets that no charset has": mail(
        b"\x81\x8d\x8f\x90\x9d and words", content_type="text/plain; charset=utf-8"
    ),
    "text whose charset had to be guessed": mail("Grüße".encode("cp1252"), content_type="text/plain; charset=utf-8"),
    "parts that nest too deep": nested(30),
    "too many parts": multipart(*[part("x", "a/b; name=x.bin")] * 1100),
    "too many attachments": multipart(part("t"), *[part(f"{i}", "a/b; name=x.bin") for i in range(230)]),
    "headers beyond the limits": mail(b"t", {f"X-{i}": "y" for i in range(1200)}),
    "a damaged winmail.dat": multipart(
        part("t"),
        part(base64.b64encode(TNEF + b"\x02\x0c\x80\x06\x00\xff\xff\xff\x7f" + bytes(20)), "application/ms-tnef", B64),
    ),
    "text beyond what a ticket shows": mail("word " * (MAX_SHOWN // 5 + 1)),
    "HTML that cannot be shown": mail("<div>" * 500 + "deep", content_type="text/html"),
    "more addresses than are read": mail(b"t", {"To": ", ".join(f"a{i}@b.example" for i in range(1500))}),
}
SEALED = {
    "a signed mail": multipart(part("t"), part("s", "application/pgp-signature; name=s.asc"), subtype="signed"),
    "an encrypted mail": multipart(
        part("Version: 1", "application/pgp-encrypted"),
        part("-----BEGIN", "application/octet-stream"),
        subtype="encrypted",
    ),
    "S/MIME that is encrypted": mail(
        base64.b64encode(b"\x30\x03\x02\x01\x00"),
        content_type="application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        content_transfer_encoding="base64",
    ),
}
WHOLE = {
    "a plain mail": mail("hello"),
    "nothing at all": mail(""),
    "HTML with a picture": multipart(
        part('<img src="cid:a@b">', "text/html"),
        part(base64.b64encode(b"\x89PNG\r\n\x1a\n"), "image/png", B64 + "Content-ID: <a@b>\r\n"),
        subtype="related",
    ),
    "an attachment of a megabyte": multipart(part("t"), part(base64.b64encode(bytes(2**20)), "a/b; name=x.bin", B64)),
    "an attached mail": multipart(part("t"), part(mail("inner"), "message/rfc822")),
    "an invitation": multipart(part("t"), part("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "text/calendar")),
    "winmail.dat as it should be": multipart(part("t"), part(base64.b64encode(TNEF), "application/ms-tnef", B64)),
    "a multipart that is not closed": mail(b"--x\r\n\r\nt", content_type="multipart/mixed; boundary=x"),
    "a list's footer behind base64": mail(
        base64.b64encode(b"Hello!!") + b"\r\n\r\n____\r\nlist footer\r\n", content_transfer_encoding="base64"
    ),
    "remote images": mail('<img src="https://x.example/a.png" alt="a">', content_type="text/html"),
    "text that was signed in line": mail("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nt\n"),
}


@pytest.mark.parametrize("case", LOST)
def test_the_original_is_attached_with_a_warning_where_something_was_lost(case: str) -> None:
    found = parsed(LOST[case])
    (event,) = found.events
    assert event.attachments[-1].filename == "original.eml"
    assert event.attachments[-1].content == LOST[case]
    assert found.warnings


@pytest.mark.parametrize("case", SEALED)
def test_the_original_of_a_sealed_mail_is_attached_and_nothing_is_called_unreadable(case: str) -> None:
    found = parsed(SEALED[case])
    (event,) = found.events
    assert event.attachments[-1].content == SEALED[case]
    assert Reason.UNREADABLE.value not in event.reasons


@pytest.mark.parametrize("case", WHOLE)
def test_the_original_is_not_attached_where_nothing_was_lost(case: str) -> None:
    (event,) = parsed(WHOLE[case]).events
    assert "original.eml" not in [file.filename for file in event.attachments]
