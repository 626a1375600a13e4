"""Mails made to be slow or large when they are read, each by code; what they are stands in their name."""

import base64
import random
from collections.abc import Callable

_HEAD = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: s\r\n"
_HTML = _HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n"
_FORMATS = b"b i u s big small em strong code tt".split()


def _nested() -> bytes:
    levels = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(20_000))
    return _HEAD + b"".join(levels)


def _parts(count: int, subtype: bytes, part: bytes) -> bytes:
    return (
        _HEAD + b"Content-Type: multipart/" + subtype + b"; boundary=b\r\n\r\n" + (b"--b\r\n" + part + b"\r\n") * count
    )


def _attribute(identifier: int, kind: bytes, data: bytes, level: bytes = b"\x02") -> bytes:
    return level + identifier.to_bytes(2, "little") + kind + len(data).to_bytes(4, "little") + data + b"\x00\x00"


def _tnef(attributes: bytes) -> bytes:
    packed = base64.encodebytes(b"\x78\x9f\x3e\x22\x01\x00" + attributes)
    head = b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return _HEAD + head + packed


def _tnef_files() -> bytes:
    one = _attribute(0x9002, b"\x06\x00", b"\x00" * 14) + _attribute(0x800F, b"\x06\x00", b"x" * 50)
    return _tnef(one * 40_000)


def _tnef_rtf() -> bytes:
    # PR_RTF_COMPRESSED that says to unpack to 2 GB, all of it repeats of what stands before.
    stream = b"\xff" + b"\x00\x0f" * 8
    rtf = (len(stream) * 60_000 + 12).to_bytes(4, "little") + (2**31 - 1).to_bytes(4, "little") + b"LZFu" + b"\0\0\0\0"
    rtf += stream * 60_000
    value = b"\x02\x01\x09\x10" + (1).to_bytes(4, "little") + len(rtf).to_bytes(4, "little") + rtf
    return _tnef(_attribute(0x9003, b"\x06\x00", (1).to_bytes(4, "little") + value, b"\x01"))


def _base64_file(octets: int) -> bytes:
    line = b"QUFB" * 19 + b"\r\n"
    head = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return _HEAD + head + line * (octets // len(line))


def _data_images() -> bytes:
    image = b'<img src="data:image/png;base64,' + b"QUFB" * 100 + b'">'
    return _HTML + image * 20_000


def _calendar() -> bytes:
    entry = b"BEGIN:VEVENT\r\nSUMMARY:x\r\nRRULE:FREQ=SECONDLY;COUNT=999999999\r\nDTSTART:20260303T100000Z\r\n"
    people = b"ATTENDEE;CN=x:mailto:a@b.example\r\n" * 20
    return (
        _HEAD
        + b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"
        + (entry + people + b"END:VEVENT\r\n") * 10_000
    )


def _formatting() -> bytes:
    opened = b"".join(b"<%s id=%d>" % (name, number) for name in _FORMATS for number in range(19))
    return _HTML + b"<p>" + opened + b"<p>x" * 40_000


def _mixed_charsets() -> bytes:
    words = (
        b"=?%s?b?/v8A/w==?= " % name for name in (b"utf-7", b"iso-2022-jp", b"utf-16", b"hz", b"johab", b"x", b"big5")
    )
    return b"Subject: " + b"".join(words) * 3000 + b"\r\n" + _HEAD + b"\r\nx"


def _charset(name: bytes, body: bytes) -> bytes:
    return _HEAD + b"Content-Type: text/plain; charset=" + name + b"\r\n\r\n" + body


HOSTILE: dict[str, Callable[[], bytes]] = {
    "multiparts within multiparts, 20,000 deep": _nested,
    "messages within messages": lambda: _HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 50_000,
    "100,000 parts": lambda: _parts(100_000, b"mixed", b"\r\nx"),
    "100,000 alternatives": lambda: _parts(100_000, b"alternative", b"Content-Type: text/html\r\n\r\n<p>x"),
    "900 texts of HTML": lambda: _parts(900, b"mixed", b"Content-Type: text/html\r\n\r\n" + b"<p><b>x" * 300),
    "100,000 messages of a digest": lambda: _parts(100_000, b"digest", b"\r\nSubject: x\r\n\r\nx"),
    "delimiters that are none": lambda: _parts(1, b"mixed", b"--ba\n" * 2_000_000),
    "a boundary of 60 KB": lambda: (
        _HEAD
        + b"Content-Type: multipart/mixed; boundary="
        + b"a" * 60_000
        + b"\r\n\r\n"
        + (b"--" + b"a" * 59_999 + b"b\n") * 300
    ),
    "200,000 headers": lambda: b"X: y\r\n" * 200_000 + _HEAD + b"\r\nx",
    "a header line of 20 MB": lambda: b"X-A: " + b"a" * 20_000_000 + b"\r\n" + _HEAD + b"\r\nx",
    "a header of a million folds": lambda: b"Subject: a" + b"\r\n x" * 1_000_000 + b"\r\n" + _HEAD + b"\r\nx",
    "50,000 encoded words": lambda: b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n" + _HEAD + b"\r\nx",
    "encoded words in many charsets": _mixed_charsets,
    "100,000 addresses": lambda: b"To: " + b"a@b.example, " * 100_000 + b"\r\n" + _HEAD + b"\r\nx",
    "100,000 parentheses": lambda: b"To: " + b"(" * 100_000 + b"\r\n" + _HEAD + b"\r\nx",
    "20,000 references": lambda: b"References: " + b"<a@b> " * 20_000 + b"\r\n" + _HEAD + b"\r\nx",
    "8,000 sections of a name": lambda: (
        _HEAD + b"Content-Type: a/b; " + b"".join(b"name*%d=a; " % n for n in range(8000)) + b"\r\n\r\nx"
    ),
    "25 MB of base64": lambda: _base64_file(25_000_000),
    "35 MB of base64": lambda: _base64_file(35_000_000),
    "base64 in a million pieces": lambda: (
        _HEAD + b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QQ==\n" * 1_000_000
    ),
    "base64 full of noise": lambda: (
        _HEAD + b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"!@ =A\n" * 1_000_000
    ),
    "soft line breaks": lambda: _HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 5_000_000,
    "equals signs": lambda: _HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 10_000_000,
    "a line of 25 MB": lambda: _HEAD + b"\r\n" + b"a" * 25_000_000,
    "25 MB of empty lines": lambda: _HEAD + b"\r\n" + b"\n" * 25_000_000,
    "flowed lines": lambda: _HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"> a \n" * 400_000,
    "flowed quotes of many depths": lambda: (
        _HEAD
        + b"Content-Type: text/plain; format=flowed\r\n\r\n"
        + b"".join(b">" * (n % 900) + b" a \n" for n in range(4000))
    ),
    "uuencoded files without end": lambda: _HEAD + b"\r\n" + b"begin 644 a\nM\n" * 500_000,
    "uuencoded files": lambda: _HEAD + b"\r\n" + b"begin 644 a\n#0V%T\n`\nend\n" * 100_000,
    "quotes": lambda: _HEAD + b"\r\n" + b">" * 100 + (b"> " * 40 + b"\n") * 30_000,
    "blanks": lambda: _HEAD + b"\r\n" + b" \n" * 900_000,
    "lines that begin a quote": lambda: (
        _HEAD + b"\r\n" + b"On 3.3.2026 12:30 a <a@b.example> " * 10 + b"On 12:30 2026 aaaa\n" * 100_000
    ),
    "headers of quotes": lambda: _HEAD + b"\r\n" + b"From: a@b\nSent: \n" * 100_000,
    "rules": lambda: _HEAD + b"\r\n" + (b"-" * 390 + b"\n") * 5000,
    "elements within elements": lambda: _HTML + b"<div>" * 400_000,
    "elements whose ends are hidden": lambda: _HTML + b'<div title="</div>">' * 100_000,
    "formatting that every paragraph repeats": _formatting,
    "a table of 200,000 cells": lambda: _HTML + b"<table>" + b"<tr><td>a<td>b" * 100_000,
    "tables within tables": lambda: _HTML + b"<table><tr><td>" * 100_000,
    "blockquotes within blockquotes": lambda: _HTML + b"<blockquote>x" * 150_000,
    "two million angle brackets": lambda: _HTML + b"<" * 2_000_000,
    "two million ampersands": lambda: _HTML + b"&" * 2_000_000,
    "entities": lambda: _HTML + b"&lt;" * 500_000,
    "an attribute that never ends": lambda: _HTML + b'<a href="' * 200_000,
    "comments that never end": lambda: _HTML + b"<!--" * 400_000,
    "styles": lambda: _HTML + b"<style>" * 250_000,
    "blanks in a newsletter": lambda: _HTML + b"&zwnj;&nbsp;" * 150_000,
    "links": lambda: _HTML + b'x<a href="http://x.example/">a</a>' * 60_000,
    "40,000 images within the HTML": _data_images,
    "an invitation of 10,000 entries": _calendar,
    "an invitation of one long line": lambda: (
        _HEAD + b"Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\n" + b'A;="b"="c"' * 90_000
    ),
    "winmail.dat with 40,000 files": _tnef_files,
    "winmail.dat whose text unpacks to 2 GB": _tnef_rtf,
    "UTF-7": lambda: _charset(b"utf-7", b"+AGE-" * 1_000_000),
    "UTF-16 that is none": lambda: _charset(b"utf-16", b"a" * 4_000_001),
    "shifts of ISO-2022": lambda: _charset(b"iso-2022-jp", b"\x1b$B\x1b(B" * 800_000),
    "a charset that is none": lambda: _charset(b"zlib", random.Random(1).randbytes(4_000_000)),
    "octets without a charset": lambda: _HEAD + b"\r\n" + random.Random(2).randbytes(8_000_000),
    "Thai without a charset": lambda: _HEAD + b"\r\n" + "ภาษาไทยยากนัก ".encode("cp874") * 300_000,
}
