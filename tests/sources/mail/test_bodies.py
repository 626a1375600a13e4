import base64
import binascii

import pytest

from gateway.sources.mail.charsets import codec_of, decode
from tests.sources.mail.mails import event, mail, multipart, parsed, part, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def b64(data: bytes) -> bytes:
    return base64.encodebytes(data)


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        ("Grüße".encode(), "utf-8", "Grüße"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("Grüße".encode(), "iso-8859-1", "Grüße"),  # declared wrongly
        ("Grüße".encode("cp1252"), "utf-8", "Grüße"),
        ("Grüße €".encode("cp1252"), "iso-8859-1", "Grüße €"),
        ("Grüße".encode("cp1252"), "ANSI_X3.4-1968", "Grüße"),
        ("Grüße".encode("utf-7"), "utf-7", "Grüße"),
        ("Grüße".encode("utf-16"), "", "Grüße"),
        ("Grüße, alle".encode("utf-16-le"), "utf-16", "Grüße, alle"),
        ("Grüße, alle".encode("utf-16-be"), "utf-16", "Grüße, alle"),
        (b"plain", "utf-16", "plain"),
        ("日本語".encode("iso2022_jp"), "", "日本語"),
        ("日本語".encode("cp932"), "x-sjis", "日本語"),
        ("中文字".encode("gb18030"), "GB2312", "中文字"),
        ("한국어".encode("cp949"), "ks_c_5601-1987", "한국어"),
        ("Привет".encode("cp1251"), "windows-1251", "Привет"),
        (b"x\x9cdata", "zlib", "xœdata"),
        (b"\\u0041", "unicode_escape", "\\u0041"),
        (b"\xef\xbb\xbfmark", "ascii", "mark"),
    ],
)
def test_text_is_read_by_what_it_is_when_the_charset_lies(data: bytes, declared: str, text: str) -> None:
    assert decode(data, declared)[0] == text


def test_undeclared_russian_is_recognised() -> None:
    text = "Здравствуйте, принтер на третьем этаже не печатает с понедельника. Помогите, пожалуйста. " * 3
    assert decode(text.encode("cp1251"), "")[0] == text
    assert decode(text.encode("koi8-r"), "unknown-8bit")[0] == text


@pytest.mark.parametrize(
    "name", ["zlib", "base64", "rot13", "unicode_escape", "idna", "punycode", "undefined", "mbcs", "../x", ""]
)
def test_a_codec_that_is_no_charset_is_unknown(name: str) -> None:
    assert codec_of(name) == ""


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("base64", b"SGVsbG8=\r\n", b"Hello"),
        ("base64", b"SGVs\r\n!!\r\nbG8=\r\n", b"Hello"),
        ("base64", b"SGVsbG8", b"Hello"),
        ("BASE64;", b"SGVsbG8=", b"Hello"),
        ("base64", b"SGVsbG8=\r\nSGVsbG8=\r\n", b"HelloHello"),
        ("base64", b"SGVsbG8=\r\n\r\n____\r\nlist footer\r\n", b"Hello"),
        ("base64", b"This was never encoded, and is just text.", b"This was never encoded, and is just text."),
        ("quoted-printable", b"a=3Db=\r\nc=ZZ", b"a=bc=ZZ"),
        ("x-uuencode", b"begin 644 a.txt\r\n" + binascii.b2a_uu(b"Hello") + b"`\r\nend\r\n", b"Hello"),
        ("quantum", b"Hello", b"Hello"),
    ],
)
def test_damage_to_a_transfer_encoding_costs_only_what_is_damaged(encoding: str, body: bytes, content: bytes) -> None:
    data = multipart(
        part("see file"), part(body, 'application/x-thing; name="a.bin"', f"Content-Transfer-Encoding: {encoding}\r\n")
    )
    (file,) = read(data).files
    assert file.content == content


def test_of_alternatives_both_the_text_and_the_html_are_kept() -> None:
    message = read(multipart(part("plain"), part("<p>rich</p>", "text/html"), subtype="alternative"))
    assert (message.text, message.html) == ("plain", "<p>rich</p>")


def test_an_empty_text_beside_html_is_made_from_the_html() -> None:
    message = read(multipart(part("  \r\n"), part("<p>rich &amp; <b>bold</b></p>", "text/html"), subtype="alternative"))
    assert message.text == "rich & bold"


def test_texts_of_a_mixed_mail_are_all_shown() -> None:
    message = read(multipart(part("one"), part(PNG, "image/png; name=a.png"), part("<i>two</i>", "text/html")))
    assert "one" in message.text
    assert "two" in message.text
    assert message.html == "<div>one</div>\n<i>two</i>"
    assert [file.name for file in message.files] == ["a.png"]


def test_an_image_within_related_within_alternative_is_found_and_bound_to_the_html() -> None:
    image = part(b64(PNG), "image/png", "Content-ID: <logo@a>\r\nContent-Transfer-Encoding: base64\r\n")
    related = (
        b"--inner\r\n"
        + part('<img src="cid:logo@a"><p>hi</p>', "text/html")
        + b"\r\n--inner\r\n"
        + image
        + b"\r\n--inner--\r\n"
    )
    found = event(multipart(part("hi"), part(related, "multipart/related; boundary=inner"), subtype="alternative"))
    (file,) = found.attachments
    assert (file.inline, file.content_id, file.content, file.filename) == (True, "logo@a", PNG, "attachment.png")
    assert 'src="cid:logo@a"' in found.html


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("multipart/mixed; boundary=right", b"--wrong\r\nContent-Type: text/plain\r\n\r\nshown\r\n--wrong--\r\n"),
        ("multipart/mixed", b"--any\r\nContent-Type: text/plain\r\n\r\nshown\r\n--any--\r\n"),
        ("multipart/mixed; boundary=never", b"only this text, shown\r\n"),
        ("multipart/mixed; boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\nshown"),
        (
            "multipart/mixed; boundary=x",
            b"--x\r\n\r\nshown\r\n--x--\r\n--x\r\nContent-Type: text/plain\r\n\r\nmore\r\n--x--",
        ),
        ("multipart/mixed; boundary=x", b64(b"--x\r\nContent-Type: text/plain\r\n\r\nshown\r\n--x--")),
        ("TEXT", b"shown"),
        ("nonsense", b"shown"),
    ],
)
def test_what_a_mail_program_would_show_is_shown_though_the_structure_is_broken(head: str, body: bytes) -> None:
    encoding = {"Content-Transfer-Encoding": "base64"} if body[:2] not in {b"--", b"on", b"sh"} else {}
    assert "shown" in read(mail(body, encoding, content_type=head)).text


def test_a_first_part_whose_headers_stand_among_those_of_the_multipart_is_found() -> None:
    inner = (
        b"--out\r\nContent-Type: multipart/alternative; boundary=in\r\nContent-Type: text/plain\r\n\r\nthe text\r\n"
        b"--in\r\nContent-Type: text/html\r\n\r\n<b>rich</b>\r\n--in--\r\n--out--\r\n"
    )
    assert read(mail(inner, content_type="multipart/related; boundary=out")).text == "the text"


def test_a_mail_that_is_one_file_is_one_file() -> None:
    found = event(mail(b64(b"%PDF-1.4 x"), {"Content-Transfer-Encoding": "base64"}, content_type="application/pdf"))
    assert [(file.filename, file.media_type, file.content) for file in found.attachments] == [
        ("attachment.pdf", "application/pdf", b"%PDF-1.4 x")
    ]
    assert found.text == "This mail has no text, only attachments."


def test_an_attached_mail_is_a_file_with_its_exact_octets() -> None:
    inner = mail("inner text", subject="Inner", content_type="text/plain")
    message = read(multipart(part("look"), part(inner, "message/rfc822")))
    assert [(file.name, file.media_type, file.content) for file in message.files] == [
        ("Inner.eml", "message/rfc822", inner)
    ]
    assert message.text == "look"


def test_a_digest_that_holds_nothing_but_mails_shows_them() -> None:
    inner = [b"\r\n" + mail(f"text {number}", subject=f"No {number}") for number in (1, 2)]
    message = read(multipart(*inner, subtype="digest"))
    assert "Subject: No 1" in message.text
    assert "text 2" in message.text
    assert len(message.files) == 2


def test_signed_and_encrypted_mails_are_kept_and_marked() -> None:
    signed = event(
        multipart(part("signed text"), part("sig", "application/pgp-signature; name=signature.asc"), subtype="signed")
    )
    assert (signed.text, signed.labels["mail.marks"]) == ("signed text", "signed")
    assert [file.filename for file in signed.attachments] == ["signature.asc", "original.eml"]
    sealed = event(
        multipart(
            part("Version: 1", "application/pgp-encrypted"),
            part("-----BEGIN", "application/octet-stream; name=encrypted.asc"),
            subtype="encrypted",
        )
    )
    assert (sealed.text, sealed.labels["mail.marks"]) == (
        "This mail is encrypted. Its content is in the attachments.",
        "encrypted",
    )
    assert [file.filename for file in sealed.attachments][1:] == ["encrypted.asc", "original.eml"]


def test_flowed_text_is_joined_and_quotes_and_signatures_are_not() -> None:
    body = "This is one \r\nlong line.\r\n> quoted \r\n> text\r\n stuffed\r\n-- \r\nAnn\r\n"
    message = read(mail(body, content_type="text/plain; format=flowed"))
    assert message.text == "This is one long line.\n> quoted text\nstuffed\n-- \nAnn"


def test_a_file_uuencoded_within_the_text_becomes_an_attachment() -> None:
    body = b"see below\r\nbegin 644 notes.txt\r\n" + binascii.b2a_uu(b"the notes") + b"`\r\nend\r\nbye\r\n"
    message = read(mail(body))
    assert [(file.name, file.content) for file in message.files] == [("notes.txt", b"the notes")]
    assert message.text.split() == ["see", "below", "bye"]


def test_a_sentence_that_begins_with_begin_is_no_file() -> None:
    assert read(mail("begin 644 days before the end\r\nand so on\r\n")).files == ()


def test_an_invitation_is_readable() -> None:
    ics = (
        "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Review\\, part 2\r\n"
        "DTSTART;TZID=Europe/Berlin:20261201T100000\r\n"
        "LOCATION:Room 1\r\nORGANIZER;CN=Ann:mailto:ann@a.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    found = event(multipart(part(ics, "text/calendar; method=REQUEST")))
    assert (
        "Invitation: Review, part 2\nWhen: Tue 2026-12-01 10:00 (Europe/Berlin)\n"
        "Where: Room 1\nOrganiser: Ann <ann@a.example>" in found.text
    )
    assert [file.filename for file in found.attachments] == ["attachment.ics"]


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Windows\\\\x.exe", "x.exe"),
        ("CON.txt", "_CON.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("...", "attachment"),
        ("a\x00b\x07.txt", "ab.txt"),
        ("x" * 5000 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_the_name_of_a_file_leads_nowhere(written: str, clean: str) -> None:
    data = multipart(part("x"), part(PNG, "image/png", f'Content-Disposition: attachment; filename="{written}"\r\n'))
    assert event(data).attachments[0].filename == clean


def test_a_file_says_what_its_sender_says_and_what_it_looks_like() -> None:
    data = multipart(
        part("x"),
        part(b"MZ" + bytes(60), 'image/jpeg; name="holiday.jpg"'),
        part(b64(PNG), "", 'Content-Disposition: attachment; filename="logo"\r\nContent-Transfer-Encoding: base64\r\n'),
    )
    liar, unnamed = event(data).attachments
    assert (liar.media_type, liar.detected_type) == ("image/jpeg", "application/x-msdownload")
    assert (unnamed.media_type, unnamed.detected_type) == ("image/png", "image/png")


def test_where_something_was_lost_the_original_is_attached_and_the_warning_says_what() -> None:
    data = multipart(
        part("ok"),
        part(b"SGVs#$%bG8=SGVsbG8SGVsbG8=", "application/x-thing; name=a.bin", "Content-Transfer-Encoding: base64\r\n"),
    )
    result = parsed(data)
    assert result.events[0].attachments[-1].filename == "original.eml"
    assert result.events[0].attachments[-1].content == data
    assert "'a.bin' has" in result.warnings[0]


def test_a_whole_mail_brings_no_original_and_no_warning() -> None:
    result = parsed(mail())
    assert result.events[0].attachments == ()
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("message/delivery-status", "delivery-status.txt"), ("text/rfc822-headers", "rfc822-headers.txt")],
)
def test_a_part_of_a_report_without_a_name_is_called_what_it_is(kind: str, name: str) -> None:
    body = f"--b\n\nNot delivered.\n--b\nContent-Type: {kind}\n\nReporting-MTA: dns; mx.example.org\n--b--\n"
    raw = "From: mailer-daemon@mx.example.org\nMIME-Version: 1.0\n"
    raw += f"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n{body}"
    assert [file.filename for file in event(raw.replace("\n", "\r\n").encode()).attachments] == [name]
