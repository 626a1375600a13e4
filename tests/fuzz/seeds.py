"""Mails to begin with: each shows another shape, so that a mutation has something to break."""

import base64
import quopri
from pathlib import Path

from tests.sources.mail.mails import mail, multipart, part

_PNG = base64.encodebytes(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
_TNEF = b"\x78\x9f\x3e\x22\x01\x00" + b"\x02\x10\x80\x01\x00\x06\x00\x00\x00\x05\x00\x00\x00a.txt\x00\x00"
_HTML = (
    '<html><head><style>p{color:red}</style></head><body onload="x()"><p>Dear <b>you</b>,</p><ul><li>one<li>two</ul>'
    '<table><tr><td>a</td><td>b</td></tr></table><img src="cid:logo@a"><a href="https://a.example/?x=1&amp;y=2">here</a>'
    '<a href="javascript:alert(1)">no</a><blockquote>old</blockquote><script>alert(1)</script><pre>x\n y</pre></body></html>'
)
_CALENDAR = (
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Talk\\, long\r\nDTSTART;TZID=Europe/Berlin:20260301T100000\r\n"
    'DTEND;TZID=Europe/Berlin:20260301T110000\r\nORGANIZER;CN="Ann, B":mailto:ann@a.example\r\nRRULE:FREQ=WEEKLY\r\n'
    "DESCRIPTION:a\r\n  b\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
_REPORT = "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ann@a.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"


def own() -> list[bytes]:
    """The seeds of this project."""
    quoted = quopri.encodestring(
        "Grüße über Größen, sehr lang, damit die Zeile weich umbricht und weiter geht = ja".encode()
    )
    return [
        mail(),
        mail(quoted, {"Content-Transfer-Encoding": "quoted-printable"}, content_type="text/plain; charset=utf-8"),
        mail(
            base64.encodebytes("日本語の文章です。よろしく。".encode("iso-2022-jp")),
            {"Content-Transfer-Encoding": "base64"},
            content_type="text/plain; charset=iso-2022-jp",
        ),
        mail(b"caf\xe9 \x80 5", content_type="text/plain"),
        mail("Hi Mom +Jjo--!", content_type="text/plain; charset=utf-7"),
        mail("x \ny \n> q \n> r\n-- \nAnn", content_type="text/plain; format=flowed; delsp=yes"),
        mail("see file\nbegin 644 a.txt\n#0V%T\n`\nend\nafter it\n"),
        mail(_HTML, content_type="text/html; charset=utf-8"),
        multipart(part("plain words"), part(_HTML, "text/html"), subtype="alternative"),
        multipart(part("plain words"), part("other words"), part(_HTML, "text/html"), subtype="alternative"),
        multipart(
            part('<img src="cid:logo@a">', "text/html"),
            part(_PNG, "image/png", "Content-Transfer-Encoding: base64\r\nContent-ID: <logo@a>\r\n"),
            subtype="related",
        ),
        multipart(
            part("see file"),
            part(
                _PNG,
                "image/png; name*0*=utf-8''%C3%BC; name*1=ber.png",
                'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="../a\u202egnp.exe"\r\n',
            ),
        ),
        multipart(part("x"), part(mail("inner words", message_id="<in@a>"), "message/rfc822")),
        multipart(part(mail("first digest")[0:], ""), part(mail("second digest"), ""), subtype="digest"),
        multipart(
            part("sorry"),
            part(_REPORT, "message/delivery-status"),
            part("Message-ID: <two@t.example>\r\nSubject: x\r\n", "text/rfc822-headers"),
            subtype="report",
            more="; report-type=delivery-status",
        ),
        multipart(part("signed"), part("sig", "application/pgp-signature"), subtype="signed"),
        multipart(
            part("Version: 1", "application/pgp-encrypted"),
            part("-----BEGIN PGP MESSAGE-----", "application/octet-stream"),
            subtype="encrypted",
        ),
        multipart(part("come"), part(_CALENDAR, "text/calendar; method=REQUEST"), subtype="alternative"),
        mail(_CALENDAR, content_type="text/calendar"),
        multipart(
            part("x"),
            part(
                base64.encodebytes(_TNEF),
                "application/ms-tnef; name=winmail.dat",
                "Content-Transfer-Encoding: base64\r\n",
            ),
        ),
        mail("Yes.\r\n\r\nOn Tue, 3 Mar 2026 at 10:00, Bob <bob@b.example> wrote:\r\n> no?\r\n-- \r\nAnn\r\n"),
        mail(
            "Ja.\n\n________________________________\nVon: Bob <b@b.example>\nGesendet: 3. März 2026\nAn: Ann\nBetreff: x\n\nalt\n"
        ),
        mail(
            "x",
            {
                "From": '"Doe, Ann" <ann@a.example> (note), =?utf-8?b?w4Q=?= <b@b>, g: h@i, j@k;',
                "To": "undisclosed-recipients:;",
                "References": "<a@b> <c@d>",
                "In-Reply-To": "<a@b>",
            },
        ),
        mail("x", subject="=?utf-8?q?=C3=A4?= =?utf-8?q?b?= =?iso-2022-jp?b?GyRCRnxLXBsoQg==?= =?x?q?y?="),
        mail("x", subject="Automatic reply: Printer", auto_submitted="auto-replied"),
        mail(
            "***** Nagios *****\n\nNotification Type: PROBLEM\n\nService: disk\nHost: db1\nState: CRITICAL\n\nInfo:\n\nfull\n",
            subject="** PROBLEM Service Alert: db1/disk is CRITICAL **",
        ),
    ]


def from_folder(folder: Path, largest: int = 200_000) -> list[bytes]:
    """All files of a folder as seeds, but for those that are too long to be fast."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.read_bytes() for path in files if path.stat().st_size <= largest]
