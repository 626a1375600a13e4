"""What is sent to osTicket, compared with what its contract says is stored without loss."""

import base64
import email
import email.policy
import json
import re
import unicodedata
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.helpdesks.osticket.connector import Stored
from gateway.helpdesks.osticket.text import body_html, body_text, subject
from gateway.helpdesks.protocol import Order
from gateway.model.action import ActionKind, AttachmentRef, TicketDraft
from gateway.model.reasons import Reason
from tests.helpdesks.osticket.orders import MESSAGE_ID, TICKET, attachment, connector, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
AnyFile = tuple[AttachmentRef, bytes]


def stored(one: Order, **changes: object) -> Stored:
    return Stored.read(connector(**changes).prepare(one))


def body(one: Order, **changes: object) -> dict[str, Any]:
    value = json.loads(stored(one, **changes).json)
    assert isinstance(value, dict)
    return value


def mail(one: Order, **changes: object) -> EmailMessage:
    message = email.message_from_string(stored(one, **changes).mail, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not any(part.defects for part in message.walk())
    return message


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = next(part for part in message.walk() if part.get_content_type() == f"text/{kind}")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def files_of(message: EmailMessage) -> list[tuple[str | None, str, object]]:
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_content_disposition()
    ]


# ------------------------------------------------------------------------------------------------------ JSON creates


def test_a_create_by_json_has_every_field_in_the_form_that_osticket_keeps() -> None:
    assert body(
        order(
            text="Füllstand <b>95 %</b>, data: x",
            fields={
                "name": "Full Fields",
                "email": " Full@example.org ",
                "alert": "no",
                "autorespond": True,
                "ip": "2001:DB8::7",
                "source": "api",
                "topicId": "10",
                "priority": "Emergency",
                "phone": "+49 (30) 123-4567 x45",
                "notes": "internal",
                "host": "web01.example",
                "warranty": "2027-01-31",
                "empty": "",
            },
        ),
    ) == {
        "name": "Full Fields",
        "email": "Full@example.org",
        "subject": "Disk full on web01",
        "message": "data:text/plain;charset=utf-8,Füllstand <b>95 %</b>, data: x",
        "alert": False,
        "autorespond": True,
        "mid": MESSAGE_ID,
        "ip": "2001:db8::7",
        "topicId": 10,
        "priority": 4,
        "phone": "49301234567X45",
        "notes": "internal",
        "host": "web01.example",
        "warranty": "2027-01-31",
    }


def test_html_goes_as_raw_text_with_its_charset() -> None:
    assert body(order(html="<p>Füllstand</p>"))["message"] == "data:text/html;charset=utf-8,<p>Füllstand</p>"


def test_html_that_shows_nothing_gives_way_to_the_text() -> None:
    assert body(order(html="<p> &nbsp; </p>"))["message"] == "data:text/plain;charset=utf-8,hello"


@pytest.mark.parametrize("text", ["", " \n\t ", "🎂", "\x00"])
def test_a_message_is_never_empty(text: str) -> None:
    one = order(text=text)
    assert body(one)["message"] == "data:text/plain;charset=utf-8,Disk full on web01"
    assert text_of(mail(one)).startswith("Disk full on web01\n")


def test_files_are_one_object_each_and_base64_and_nothing_else() -> None:
    files = [
        (attachment("../../etc/passwd", b"root"), b"root"),
        (attachment("screen.png", PNG, "image/png; name=x"), PNG),
        (attachment("", b"?", "no type"), b"?"),
    ]
    assert body(order(files=files))["attachments"] == [
        {"passwd": "data:text/plain;base64," + base64.b64encode(b"root").decode()},
        {"screen.png": "data:image/png;base64," + base64.b64encode(PNG).decode()},
        {"attachment-3": "data:application/octet-stream;base64," + base64.b64encode(b"?").decode()},
    ]


def test_files_that_osticket_would_drop_in_silence_are_named_in_the_ticket() -> None:
    files = [
        (attachment("a.log", b"XX"), b"XX"),
        (attachment("b.log", b"XX"), b"XX"),
        (attachment("none.log", b""), b""),
    ]
    sent = body(order(files=files))
    assert [list(one) for one in sent["attachments"]] == [["a.log"]]
    assert "b.log has the same content as a.log" in sent["message"]
    assert "because it is empty: none.log" in sent["message"]


def test_an_image_in_the_html_is_shown_in_place() -> None:
    one = order(html='<img src="cid:pic1">', files=[(attachment("p.png", PNG, "image/png", "pic1"), PNG)])
    sent = body(one)
    assert sent["message"].endswith(f'<img src="data:image/png;base64,{base64.b64encode(PNG).decode()}">')
    assert "attachments" not in sent
    part = next(part for part in mail(one).walk() if part["Content-ID"])
    assert (part["Content-ID"], part.get_content_disposition()) == ("<pic1>", "inline")
    assert part.get_payload(decode=True) == PNG


def test_an_image_is_not_taken_for_one_whose_id_begins_alike() -> None:
    files = [(attachment("p.png", PNG, "image/png", "pic1"), PNG)]
    message = body(order(html='<img src="cid:pic10"><img src="cid:pic1">', files=files))["message"]
    assert '[image]<img src="data:image/png;base64,' in message


def test_refused_parts_are_left_out_and_the_ticket_says_so() -> None:
    one = order(
        fields={"phone": "3185558634"},
        files=[(attachment("a.log", b"XX"), b"XX")],
        left_out=("phone", "attachments"),
    )
    sent = body(one)
    assert "phone" not in sent
    assert "attachments" not in sent
    assert "refused by the help desk: phone" in sent["message"]
    digest = one.draft.attachments[0].sha256
    assert f"a.log (2 bytes, sha256 {digest})" in sent["message"]


def test_the_parts_that_may_be_left_out_are_those_that_are_there() -> None:
    assert stored(order()).parts == ()
    one = order(fields={"phone": "3185558634"}, files=[(attachment("a.log", b"XX"), b"XX")])
    assert stored(one).parts == ("attachments", "phone")


# ------------------------------------------------------------------------------------------------------------- mails


def test_the_settling_mail_bears_the_id_of_the_json_and_says_what_it_would_mean() -> None:
    files = [
        (attachment("löß.txt", b"abc"), b"abc"),
        (attachment("in.eml", b"Subject: x\n\n", "message/rfc822"), b"Subject: x\n\n"),
    ]
    message = mail(order(title="Füllstand " * 9, html="<p>ö</p>", files=files), to="support@helpdesk.example")
    assert message["Message-ID"] == MESSAGE_ID
    assert message["From"] == "Mon Itor <mon@example.org>"
    assert message["To"] == "support@helpdesk.example"
    assert message["Subject"] == ("Füllstand " * 9).strip()
    assert message["Date"] == "Wed, 18 Nov 2026 11:06:40 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["In-Reply-To"], message["References"]) == (None, None)
    assert "made by mail" in text_of(message)
    assert text_of(message, "html").startswith("<p>ö</p>")
    assert files_of(message) == [
        ("löß.txt", "text/plain", b"abc"),
        ("in.eml", "application/octet-stream", b"Subject: x\n\n"),
    ]


def test_a_wished_confirmation_is_not_suppressed_in_a_ticket_by_mail() -> None:
    assert mail(order(fields={"autorespond": "yes"}), mode="mail")["Auto-Submitted"] is None


def test_by_mail_alone_there_is_no_json_and_no_word_about_settling() -> None:
    one = stored(order(), mode="mail")
    assert (one.way, one.json) == ("mail", "")
    assert text_of(mail(order(), mode="mail")) == "hello"


@pytest.mark.parametrize(
    ("quiet", "reopen", "reference", "auto"),
    [
        (True, False, TICKET.anchor, "auto-generated"),
        (True, True, TICKET.anchor, None),
        (False, False, None, "auto-generated"),
        (False, True, None, None),
    ],
)
def test_a_follow_up_alerts_and_reopens_as_asked(
    *, quiet: bool, reopen: bool, reference: str | None, auto: str | None
) -> None:
    message = mail(order(ActionKind.APPEND, title="still full #7", quiet=quiet, reopen=reopen))
    assert (message["In-Reply-To"], message["References"]) == (reference, reference)
    assert message["Auto-Submitted"] == auto
    assert message["From"].addresses[0].addr_spec == TICKET.requester
    assert message["Subject"] == ("still full # 7" if quiet else "[#777564] still full # 7")
    assert message["Message-ID"] == MESSAGE_ID


def test_a_close_is_quiet_and_does_not_reopen_and_a_reopening_does() -> None:
    closing = mail(order(ActionKind.CLOSE, reopen=True))
    assert (closing["In-Reply-To"], closing["Auto-Submitted"]) == (TICKET.anchor, "auto-generated")
    assert mail(order(ActionKind.REOPEN))["Auto-Submitted"] is None


def test_a_ticket_that_can_be_reached_in_one_way_only_is_reached_in_that_way() -> None:
    assert mail(order(ActionKind.APPEND, quiet=True, ticket=replace(TICKET, anchor="")))["Subject"].startswith(
        "[#777564]"
    )
    assert mail(order(ActionKind.APPEND, ticket=replace(TICKET, requester="")))["In-Reply-To"] == TICKET.anchor
    with pytest.raises(ValueError, match="neither"):
        stored(order(ActionKind.APPEND, ticket=replace(TICKET, anchor="", requester="")))


def test_no_name_can_put_a_header_into_a_mail() -> None:
    message = mail(order(title="a\r\nBcc: x@example.org\n\nbody", fields={"name": 'J "x"\r\nBcc: y@example.org'}))
    assert message["Bcc"] is None
    assert message["Subject"] == "a Bcc: x@example.org body"
    assert text_of(message).startswith("hello")


HOSTILE = st.text(
    st.sampled_from(list('#123 ab-=?\r\n\0\u200b\u2028🔥✅é\ud800\uffff\x85\t"<>&;:')) | st.characters(),
    max_size=120,
)
WORDS = st.lists(
    st.sampled_from(
        ["-- ", "reply above this line", " --", "Ref-Mid: ", "ref-mid:", "🔥", "\n", "x", "#7", "<b>", "&#45;", " "]
    )
    | HOSTILE,
    max_size=9,
).map("".join)


@given(HOSTILE)
def test_no_subject_can_name_a_ticket_or_break_the_line(title: str) -> None:
    line = subject(title)
    assert line.strip()
    assert not re.search(r"#\S", line)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in line)
    assert len(line) <= 255
    message = mail(order(title=title))
    assert message["Subject"] == line
    assert body(order(title=title))["subject"] == line
    assert set(message.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip


@given(WORDS, WORDS)
def test_no_body_can_cut_itself_off_or_refer_to_another_ticket(text: str, html: str) -> None:
    one = order(text=text, html=html)
    message = mail(one)
    shown = [text_of(message), body(one)["message"], body_text(text, "t"), body_html(html)]
    if body_html(html):
        shown.append(text_of(message, "html"))
    for form in shown:
        assert "-- reply above this line --" not in form.lower()
        assert "ref-mid: " not in form.lower()
        assert "\0" not in form


@given(
    WORDS, st.lists(st.tuples(HOSTILE, st.binary(min_size=1, max_size=300)), max_size=4, unique_by=lambda one: one[1])
)
def test_a_mail_reads_back_as_what_it_was_made_of(text: str, files: list[tuple[str, bytes]]) -> None:
    given_files = [(attachment(name, content), content) for name, content in files]
    raw = stored(order(text=text, files=given_files)).mail
    assert raw.isascii()
    assert max(map(len, raw.split("\r\n"))) < 998
    assert "\n" not in raw.replace("\r\n", "")
    message = mail(order(text=text, files=given_files))
    assert text_of(message).startswith(body_text(text, "Disk full on web01"))
    assert [one[2] for one in files_of(message)] == [content for _, content in files]
    for name, _, _ in files_of(message):
        assert name
        assert not re.search(r"[/\\\r\n\0]", name)


@given(WORDS, HOSTILE)
def test_the_same_order_gives_the_same_octets(text: str, title: str) -> None:
    one = order(text=text, title=title, fields={"host": title or "x", "priority": "low"})
    request = connector().prepare(one)
    assert connector().prepare(one) == request
    assert b"C0FFEE" not in request
    assert orjson.dumps(orjson.loads(request), option=orjson.OPT_SORT_KEYS) == request


def test_a_marker_in_capitals_is_refused() -> None:
    with pytest.raises(ValueError, match="lower-case"):
        connector().prepare(replace(order(), marker="ABCDEF0123456789"))


def test_common_signs_become_words_and_others_do_not_leave_an_empty_subject() -> None:
    assert subject("🔥 db ✅") == "[fire] db [OK]"
    assert subject("🎂") == "(no subject)"
    assert subject("⚠ db") == "⚠ db"


# ------------------------------------------------------------------------------------------------------------- split


def draft(*sizes: int) -> TicketDraft:
    refs = tuple(AttachmentRef("r", 0, n, f"{n}.bin", "x/y", size, f"{n:064x}") for n, size in enumerate(sizes))
    return TicketDraft("t", "text", "<p>x</p>", attachments=refs)


def names(one: TicketDraft) -> list[str]:
    return [ref.filename for ref in one.attachments]


def test_what_fits_is_not_split() -> None:
    one = draft(1_048_576, 5)
    assert connector().split(ActionKind.CREATE, one) == (one,)


def test_a_file_over_the_json_limit_follows_by_quiet_mail() -> None:
    head, tail = connector().split(ActionKind.CREATE, draft(10, 1_048_577))
    assert (names(head), names(tail)) == (["0.bin"], ["1.bin"])
    assert head.reasons == tail.reasons == (Reason.ATTACHMENT_BY_MAIL,)
    assert tail.quiet
    assert not tail.reopen
    assert "1.bin (1048577 bytes)" in head.text
    assert "1.bin (1048577 bytes)" in head.html
    assert connector().split(ActionKind.APPEND, tail) == (tail,)
    assert len(connector(mode="mail").split(ActionKind.CREATE, draft(10, 1_048_577))) == 1


def test_a_file_over_every_limit_is_named_with_size_and_digest() -> None:
    (head,) = connector().split(ActionKind.CREATE, draft(20 * 2**20))
    assert head.attachments == ()
    assert head.reasons == (Reason.ATTACHMENT_TOO_BIG,)
    assert f"0.bin (20971520 bytes, sha256 {0:064x})" in head.text


@given(st.lists(st.integers(0, 60), max_size=12))
def test_every_file_is_sent_once_or_named(sizes: list[int]) -> None:
    one = draft(*sizes)
    desk = connector(max_attachment="10B", max_mail="50B")
    parts = desk.split(ActionKind.CREATE, one)
    assert sorted(name for part in parts for name in names(part)) == sorted(
        f"{n}.bin" for n, size in enumerate(sizes) if size <= 50
    )
    assert all(sum(ref.size for ref in part.attachments) <= 50 for part in parts)
    assert all(ref.size <= 10 for ref in parts[0].attachments)
    assert all(f"{n}.bin (" in parts[0].text for n, size in enumerate(sizes) if size > 50)
    assert all(part.attachments for part in parts[1:])


def test_an_image_shown_twice_is_sent_once() -> None:
    files = [(attachment("p.png", PNG, "image/png", "pic1"), PNG)]
    one = order(html='<img src="cid:pic1"> and <img src="cid:pic1" width="9">', files=files)
    message = str(body(one)["message"])
    assert message.count("data:image/png;base64,") == 1
    assert message.endswith("> and [p.png, see above]")
    assert "attachments" not in body(one)
    (part,) = [part for part in mail(one).walk() if part.get_content_type() == "image/png"]
    assert part["Content-ID"] == "<pic1>"


def test_the_reference_to_an_image_that_is_not_sent_becomes_its_name() -> None:
    big = attachment("photo.png", bytes(3000), "image/png", "big")
    draft = replace(order(html='<p>see <img src="cid:big" alt="x"></p>', files=[(big, b"")]).draft)
    head, follow = connector(max_attachment=1000).split(ActionKind.CREATE, draft)
    first = body(replace(order(), draft=head, attachments=()))["message"]
    assert "<p>see [x]</p>" in str(first)
    assert [ref.filename for ref in follow.attachments] == ["photo.png"]
    refused = body(order(html='<p><img src="cid:big"></p>', files=[(big, bytes(3000))], left_out=("attachments",)))
    assert "<p>[photo.png]</p>" in str(refused["message"])


def test_two_images_of_one_content_are_one_image_shown_twice() -> None:
    files = [
        (attachment("a.png", PNG, "image/png", "a"), PNG),
        (attachment("b.png", PNG, "image/png", "b"), PNG),
    ]
    one = order(html='<img src="cid:a"><img src="cid:b">', files=files)
    html = next(part for part in mail(one).walk() if part.get_content_type() == "text/html")
    assert bytes(html.get_payload(decode=True)).startswith(b'<img src="cid:a"><img src="cid:a">')


def test_an_image_that_the_html_does_not_show_is_an_ordinary_attachment() -> None:
    files = [(attachment("a.png", PNG, "image/png", "a"), PNG)]
    one = order(html="<p>no picture</p>", files=files)
    (part,) = [part for part in mail(one).walk() if part.get_content_type() == "image/png"]
    assert (part.get_content_disposition(), part["Content-ID"]) == ("attachment", None)


def test_a_file_that_nobody_takes_is_named_with_the_way_to_get_it() -> None:
    big = attachment("original.eml", bytes(5000), "message/rfc822")
    (only,) = connector(max_mail=1000, max_attachment=1000).split(ActionKind.CREATE, order(files=[(big, b"")]).draft)
    assert only.attachments == ()
    assert "too big: original.eml (5000 bytes, sha256 " in only.text
    assert "ticket-gateway events show r --raw" in only.text
