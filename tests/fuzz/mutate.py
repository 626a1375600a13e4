"""Mutations that know what a mail is made of: header fields, encoded words, boundaries, encodings, parts."""

import base64
import quopri
import random
import re
from collections.abc import Callable, Sequence
from typing import Final

MOST: Final = 400_000
TOKENS: Final = (
    b"\r\n", b"\n", b"\r", b"\n\n", b"\r\n ", b"\n\t", b"\x00", b"\xff", b"\xe9", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"~{", b"+AAA-", b"\xe2\x80\xae", b"\xc2\x85", b"\xe2\x80\xa8",
    b"=?", b"?=", b"=?utf-8?b?", b"=?utf-8?q?", b"=?iso-2022-jp?b?GyRC?=", b"=?utf-7?q?+AAA-?=", b"=0A", b"=00", b"=\r\n", b"=",
    b'"', b"'", b"\\", b"(", b")", b"<", b">", b"<>", b";", b":", b",", b"@", b"--", b"-- \n", b"> ", b">>>> ",
    b"Content-Type: ", b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n", b"Content-Disposition: attachment; filename=", b"Content-ID: <a>\r\n",
    b"multipart/mixed; boundary=", b"multipart/alternative; boundary=", b"multipart/related; boundary=",
    b"multipart/digest; boundary=", b"multipart/report; boundary=", b"message/rfc822", b"message/partial",
    b"message/external-body", b"text/html", b"text/calendar", b"text/plain; format=flowed", b"application/ms-tnef",
    b"charset=utf-16", b"charset=utf-7", b"charset=iso-2022-jp", b"charset=hz", b"charset=unicode_escape", b"charset=cp950",
    b"charset=utf-32", b"charset=johab", b"charset=iso-2022-kr", b"name*=utf-8''%00%e2%80%ae", b"name*0*=x'y'%zz", b"name*9999=a",
    b'filename="..\\\\..\\\\CON"', b'filename="a/b"', b"begin 644 ../a\n", b"#0V%T\n", b"`\nend\n", b"=ybegin line=1 name=a\n",
    b"-----BEGIN PGP SIGNED MESSAGE-----\n", b"<script>", b"</script>", b'<a href="java\tscript:x">', b"<img src=//x onerror=y>",
    b"<svg><style><img src=x>", b"<!--", b"-->", b"<![CDATA[", b"&#0;", b"&#x110000;", b"&#xd800;", b"&lt;script&gt;", b"&",
    b"<table><tr><td>", b"<blockquote>", b"<math><mtext><table><mglyph><style>", b'<noscript><p title="</noscript><img>">',
    b"On 3 Mar 2026 10:00, Bob <b@b.example> wrote:\n", b"-----Original Message-----\n",
    b"From: a@b.example\nSent: 3 March\nTo: c\n",
    b"---------- Forwarded message ---------\n", b"________________________________\n", b"Sent from my iPhone\n",
    b"BEGIN:VEVENT\r\n", b"END:VEVENT\r\n", b"RRULE:FREQ=YEARLY;COUNT=99999999\r\n", b"DTSTART:99999999T999999Z\r\n",
    b'SUMMARY;X="":\r\n', b"From ", b">From x\n", b"Date: Fri, 99 Foo 99999 99:99:99 +9999\r\n",
    b"Auto-Submitted: auto-replied\r\n",
    b"\x78\x9f\x3e\x22", b"\x02\x0f\x80\x01\x00", b"9" * 30, b"a" * 1100, b"\xf0\x9f\x92\xa9",
)  # fmt: skip
_BOUNDARY: Final = re.compile(rb"boundary=\"?([^\";\r\n]+)")
_FIELD: Final = re.compile(rb"(?m)^([A-Za-z-]{1,60}):([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)\r?\n?")


class Mutator:
    """Makes new mails of old ones; the same seed number makes the same mails."""

    def __init__(self, seeds: Sequence[bytes], number: int) -> None:
        self._seeds = list(seeds)
        self._random = random.Random(number)
        self._moves: tuple[Callable[[bytes], bytes], ...] = (
            self._octets, self._octets, self._token, self._token, self._token, self._cut, self._double, self._field_twice,
            self._field_moves, self._field_value, self._field_value, self._boundary, self._wrapped, self._body_encoded,
            self._spliced, self._line_ends, self._truncated, self._part_of_other, self._lines_shuffled, self._repeated,
        )  # fmt: skip

    def next(self) -> bytes:
        """Another mail."""
        pick = self._random
        data = pick.choice(self._seeds)
        for _ in range(pick.choice((1, 1, 2, 2, 3, 4, 6, 10))):
            data = pick.choice(self._moves)(data)[:MOST]
        return data

    def _place(self, data: bytes) -> int:
        """Any place; half of the time one at the start of a line, where most meanings begin."""
        if self._random.random() < 0.5:
            start = data.find(b"\n", self._random.randrange(len(data) + 1))
            if start >= 0:
                return start + 1
        return self._random.randrange(len(data) + 1)

    def _octets(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.randrange(1, 6)):
            if changed:
                changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)

    def _token(self, data: bytes) -> bytes:
        at = self._place(data)
        over = self._random.choice((0, 0, 0, 1, 2, 8))
        return data[:at] + self._random.choice(TOKENS) * self._random.choice((1, 1, 1, 2, 30)) + data[at + over :]

    def _cut(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + data[at + self._random.choice((1, 2, 5, 20, 200)) :]

    def _double(self, data: bytes) -> bytes:
        at = self._place(data)
        length = self._random.choice((3, 20, 100, 1000))
        return data[: at + length] + data[at : at + length] * self._random.choice((1, 2, 5)) + data[at + length :]

    def _field(self, data: bytes) -> "re.Match[bytes] | None":
        found = list(_FIELD.finditer(data[:20_000]))
        return self._random.choice(found) if found else None

    def _field_twice(self, data: bytes) -> bytes:
        field = self._field(data)
        return data if field is None else data[: field.end()] + field[0] + data[field.end() :]

    def _field_moves(self, data: bytes) -> bytes:
        field = self._field(data)
        if field is None:
            return data
        rest = data[: field.start()] + data[field.end() :]
        at = self._place(rest)
        return rest if self._random.random() < 0.5 else rest[:at] + field[0] + rest[at:]

    def _field_value(self, data: bytes) -> bytes:
        field, other = self._field(data), self._field(self._random.choice(self._seeds))
        if field is None or other is None:
            return data
        return data[: field.start(2)] + other[2] + data[field.end(2) :]

    def _boundary(self, data: bytes) -> bytes:
        found = _BOUNDARY.search(data)
        if found is None:
            return data
        old = found[1]
        new = self._random.choice(
            (b"", b"-", b"=_x", old + b"x", old[:-1], b'"', b"(" * 5, b"a b", b"\xff", b".*+?[", b" ")
        )
        everywhere = self._random.random() < 0.5
        return data.replace(old, new) if everywhere else data[: found.start(1)] + new + data[found.end(1) :]

    def _wrapped(self, data: bytes) -> bytes:
        kind = self._random.choice((b"mixed", b"alternative", b"related", b"digest", b"signed", b"report", b"x"))
        head = b"From: a@b.example\r\nSubject: s\r\n"
        if self._random.random() < 0.3:
            return head + b"Content-Type: message/rfc822\r\n\r\n" + data
        parts = [self._random.choice(self._seeds) for _ in range(self._random.randrange(3))]
        parts.insert(self._random.randrange(len(parts) + 1), data)
        return (head + b"Content-Type: multipart/" + kind + b"; boundary=w\r\n\r\n"
                + b"".join(b"--w\r\n" + one + b"\r\n" for one in parts) + b"--w--\r\n")  # fmt: skip

    def _body_encoded(self, data: bytes) -> bytes:
        head, gap, body = data.partition(b"\r\n\r\n")
        if self._random.random() < 0.5:
            return head + b"\r\nContent-Transfer-Encoding: base64" + gap + base64.encodebytes(body)
        return head + b"\r\nContent-Transfer-Encoding: quoted-printable" + gap + quopri.encodestring(body)

    def _spliced(self, data: bytes) -> bytes:
        other = self._random.choice(self._seeds)
        return data[: self._place(data)] + other[self._place(other) :]

    def _line_ends(self, data: bytes) -> bytes:
        end = self._random.choice((b"\n", b"\r", b"\r\r\n", b"\r\n", b"\x0b", b"\xc2\x85"))
        return data.replace(b"\r\n", b"\n").replace(b"\n", end)

    def _truncated(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _part_of_other(self, data: bytes) -> bytes:
        other = self._random.choice(self._seeds)
        start = self._place(other)
        at = self._place(data)
        return data[:at] + other[start : start + self._random.choice((20, 200, 2000))] + data[at:]

    def _lines_shuffled(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        start = self._random.randrange(len(lines))
        few = lines[start : start + 8]
        self._random.shuffle(few)
        return b"\n".join(lines[:start] + few + lines[start + 8 :])

    def _repeated(self, data: bytes) -> bytes:
        at = self._place(data)
        length = self._random.choice((1, 2, 8, 60))
        piece = data[at : at + length] or b"x"
        return data[:at] + piece * min(self._random.choice((50, 500, 5000)), 100_000 // len(piece)) + data[at:]


def smaller(data: bytes, fails: Callable[[bytes], bool], tries: int = 2000) -> bytes:
    """The smallest mail found that still fails: lines left out first, then octets."""
    for keep_ends in (True, False):
        pieces = data.splitlines(keepends=True) if keep_ends else [data[i : i + 1] for i in range(len(data))]
        size = max(1, len(pieces) // 2)
        while size and tries > 0:
            start = 0
            while start < len(pieces) and tries > 0:
                tries -= 1
                shorter = pieces[:start] + pieces[start + size :]
                if fails(b"".join(shorter)):
                    pieces = shorter
                else:
                    start += size
            size //= 2
        data = b"".join(pieces)
    return data
