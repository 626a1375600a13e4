import base64

import pytest

from gateway.sources.mail.addresses import parse_addresses
from gateway.sources.mail.headers import parameters, unstructured
from tests.sources.mail.mails import mail, read


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?iso-8859-1?Q?Stra=DFe?= =?iso-8859-1?Q?nbahn?=", "Straßenbahn"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?=C3?=\r\n =?utf-8?q?=A4rger?=", "Ärger".replace("Ä", "ä")),  # one letter in two words
        (
            b"=?utf-8?b?"
            + base64.b64encode("Ärger".encode())[:5]
            + b"?= =?utf-8?b?"
            + base64.b64encode("Ärger".encode())[5:]
            + b"?=",
            "Ärger",
        ),
        (b"=?utf-8?q?with blanks in it?=", "with blanks in it"),
        (b"=?utf-8?b?SGVsbG8?=", "Hello"),  # padding left out
        (b"=?utf-8?b?SGVs!bG8=?=", "Hello"),
        (b"=?no-such-charset?q?plain?=", "plain"),
        (b"=?utf-8*de?q?Hallo?=", "Hallo"),
        (b"=?zlib?q?still_text?=", "still text"),
        (b"=?utf-8?q?cut off", "cut off"),
        (b"=?broken", "=?broken"),
        ("Größe".encode(), "Größe"),
        ("Größe".encode("cp1252"), "Größe"),
        (b"=?utf-8?q?a=0D=0ABcc:_evil@x?=", "a Bcc: evil@x"),
        ("user\u202egpj.exe".encode(), "usergpj.exe"),
        (b"=?iso-2022-jp?b?GyRCRnxLXDhsGyhC?=", "日本語"),
        (b"=?gb2312?b?1tDOxA==?=", "中文"),
        (b"folded\r\n\tsubject", "folded subject"),
    ],
)
def test_a_header_becomes_one_readable_line(raw: bytes, text: str) -> None:
    assert unstructured(raw) == text


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'"ceo@own.example" <evil@x.example>', [("ceo@own.example", "evil@x.example")]),
        (b"ann@own.example(<b@x.example>)", [("<b@x.example>", "ann@own.example")]),
        (b"ann@a.example, bob@b.example", [("", "ann@a.example"), ("", "bob@b.example")]),
        (b"=?utf-8?q?Doe=2C_Ann?= <ann@a.example>", [("Doe, Ann", "ann@a.example")]),
        (b"Doe, Ann <ann@a.example>", [("Doe, Ann", "ann@a.example")]),
        (b"ann@a.example (Ann (of (here)))", [("Ann (of (here))", "ann@a.example")]),
        (b"Ann ann@a.example", [("Ann", "ann@a.example")]),
        (b'"Never closed <ann@a.example>', [("Never closed", "ann@a.example")]),
        (b"Ann <ann@a.example", [("Ann", "ann@a.example")]),
        (b"undisclosed-recipients:;", []),
        (
            b'Team: ann@a.example, "B, C" <bc@b.example>; z@z.example',
            [("", "ann@a.example"), ("B, C", "bc@b.example"), ("", "z@z.example")],
        ),
        (b"<@relay.example:ann@a.example>", [("", "ann@a.example")]),
        (b'"odd local"@a.example', [("", '"odd local"@a.example')]),
        ("Jürgen <jürgen@bücher.example>".encode(), [("Jürgen", "jürgen@bücher.example")]),
        (b"Zabbix <z@x.example>; y@x.example", [("Zabbix", "z@x.example"), ("", "y@x.example")]),
        (b"=?UTF-8?B?WmFiYml4?=<z@x.example>", [("Zabbix", "z@x.example")]),
        (b"root", [("root", "")]),
        (b"<>", []),
        (b"", []),
    ],
)
def test_addresses_are_read_by_one_stated_rule(raw: bytes, found: list[tuple[str, str]]) -> None:
    assert [(item.name, item.address) for item in parse_addresses(raw)] == found


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"attachment; filename=report.pdf", "report.pdf"),
        (b'attachment; filename="a \\"quoted\\" name.txt"', 'a "quoted" name.txt'),
        (b"attachment; filename=not quoted at all.doc; size=3", "not quoted at all.doc"),
        (b"attachment; filename*=utf-8''%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        (b"attachment; filename=old.pdf; filename*=utf-8''%C3%BC.pdf", "ü.pdf"),
        (b"attachment; filename*1*=%C3%BC.pdf; filename*0*=utf-8''R%C3%A4tsel-f", "Rätsel-fü.pdf"),
        (b'attachment; filename*0="long na"; filename*1="me.txt"', "long name.txt"),
        (b'attachment; filename="=?utf-8?q?=C3=9Cbersicht=2Epdf?="', "Übersicht.pdf"),
        (b"attachment; filename==?utf-8?q?a=3Bb=2Epdf?=", "a;b.pdf"),
        (b'attachment; filename="never closed.txt', "never closed.txt"),
        ('attachment; filename="Größe.txt"'.encode("cp1252"), "Größe.txt"),
        (b'attachment; filename="C:\\TEMP\\x.png"', "C:\\TEMP\\x.png"),
        (b'attachment;;; filename="x.png";', "x.png"),
    ],
)
def test_a_file_name_is_found_however_it_was_written(raw: bytes, name: str) -> None:
    assert parameters(raw)[1]["filename"] == name


def test_of_two_from_headers_the_first_counts() -> None:
    data = b"From: ann@a.example\r\nFrom: bob@b.example\r\nSubject: x\r\n\r\nhi"
    sender = read(data).sender
    assert sender is not None
    assert sender.address == "ann@a.example"


def test_a_mail_without_from_is_from_whom_its_answer_would_go_to() -> None:
    sender = read(mail(headers={"Reply-To": "Bob <bob@b.example>", "Sender": "s@b.example"}, From="")).sender
    assert sender is not None
    assert (sender.name, sender.address) == ("Bob", "bob@b.example")


def test_a_line_that_is_no_header_costs_only_itself() -> None:
    message = read(b"From: ann@a.example\r\nthis is no header\r\nSubject: still here\r\n\r\ntext")
    assert (message.subject, message.text) == ("still here", "text")


def test_an_mbox_line_and_blank_lines_before_the_headers_are_skipped() -> None:
    assert read(b"From ann@a.example Sat Nov 21 10:00:00 2026\n" + mail()).subject == "Printer"
    assert read(b"   \r\n\r\n" + mail()).subject == "Printer"


def test_ids_are_read_without_brackets_and_long_lists_are_shortened_in_the_middle() -> None:
    many = " ".join(f"<{number}@a.example>" for number in range(500))
    message = read(
        mail(headers={"Message-ID": "<one @a.example>", "References": many, "In-Reply-To": "junk <x@y> text"})
    )
    assert message.message_id == "one@a.example"
    assert message.in_reply_to == ("x@y",)
    assert len(message.references) == 100
    assert (message.references[0], message.references[-1]) == ("0@a.example", "499@a.example")


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sat, 21 Nov 2026 23:40:42 +0000", 1795304442.0),
        ("21 Nov 26 23:40 GMT", 1795304400.0),
        ("Sat, 21 Nov 2026 23:40:42", None),
        ("yesterday", None),
        ("Sat, 99 Nov 99999999999 23:40:42 +0000", None),
    ],
)
def test_a_date_counts_only_with_its_zone(date: str, seconds: float | None) -> None:
    assert read(mail(date=date)).date == seconds
