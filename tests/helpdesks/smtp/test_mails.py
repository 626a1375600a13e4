"""The mails themselves, read again by the standard library: threads, headers, texts and files; and nothing injected."""

import email
import email.policy
from email.message import EmailMessage

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.helpdesks.protocol import Order
from gateway.helpdesks.smtp.connector import SmtpConnector
from gateway.helpdesks.smtp.fields import check_fields
from gateway.model.action import ActionKind
from gateway.model.incident import TicketRef
from tests.helpdesks.smtp.support import MARKER, order, settings

FIRST = f"<tg-{MARKER}@example.org>"
TICKET = TicketRef(
    "desk", "abababababab/desk2@example.org", "abababababab", anchor=FIRST, requester="monitoring@example.org"
)
HOSTILE = st.text(max_size=300) | st.sampled_from(
    [
        "x\r\nBcc: <v@evil.example>",
        "x\n\n<script>",
        "=?utf-8?q?a=0D=0ABcc:_v?=",
        "\x00",
        "\ud800",
        "\u2028Bcc: x",
        "." * 100,
    ]
)
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}


def mail(one: Order, **changes: object) -> EmailMessage:
    prepared = orjson.loads(SmtpConnector("desk", settings(**changes)).prepare(one))
    assert prepared["mail"].isascii()
    assert max(map(len, prepared["mail"].split("\r\n"))) < 998
    read = email.message_from_string(prepared["mail"], policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def body(read: EmailMessage, kind: str = "plain") -> str:
    part = read.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


def test_a_create_bears_its_marker_and_a_token_and_refers_to_nothing() -> None:
    read = mail(order(title="Störung auf dénse ✅", text="Grüße\n"))
    assert read["Message-ID"] == FIRST
    assert read["Subject"] == "[tg:abababababab] Störung auf dénse ✅"
    assert read["In-Reply-To"] is None
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["From"] == "Monitoring <monitoring@example.org>"
    assert body(read) == "Grüße\n"


def test_a_follow_up_refers_to_the_first_mail_and_goes_where_that_went() -> None:
    read = mail(order(ActionKind.APPEND, marker="cd" * 16, ticket=TICKET, references=("a@b", "<bad", "c@d")))
    assert read["To"] == "desk2@example.org"
    assert read["In-Reply-To"] == FIRST
    assert read["References"] == f"{FIRST} <a@b> <c@d>"
    assert str(read["Subject"]).startswith("[tg:abababababab] ")
    assert read["Message-ID"] == f"<tg-{'cd' * 16}@example.org>"


def test_only_what_must_open_the_ticket_is_sent_as_if_a_person_had_written_it() -> None:
    assert mail(order(ActionKind.REOPEN, ticket=TICKET))["Auto-Submitted"] is None
    assert mail(order(ActionKind.APPEND, ticket=TICKET, reopen=True))["Auto-Submitted"] is None
    assert mail(order(ActionKind.CLOSE, ticket=TICKET, reopen=True))["Auto-Submitted"] == "auto-generated"
    assert mail(order(), auto_submitted=False)["Auto-Submitted"] is None


def test_headers_come_from_the_settings_the_action_and_the_route() -> None:
    changes = {
        "headers": {"Precedence": "bulk", "X-Priority": "3"},
        "close": {"X-OTRS-FollowUp-State": "closed successful"},
    }
    made = mail(order(fields={"X-Priority": 1, "X-Team": "Bürö"}), **changes)
    assert (made["Precedence"], made["X-Priority"], made["X-Team"]) == ("bulk", "1", "Bürö")
    assert made["X-OTRS-FollowUp-State"] is None
    closed = mail(order(ActionKind.CLOSE, ticket=TICKET), **changes)
    assert closed["X-OTRS-FollowUp-State"] == "closed successful"


def test_files_and_both_forms_of_the_text_arrive() -> None:
    one = order(
        html='<p>seen: <img src="cid:shot.png"></p>',
        files=(("größe.bin", "application/x-thing", b"\0\xff" * 5000), ("shot.png", "image/png", b"\x89PNG")),
    )
    read = mail(one)
    assert body(read) == "It is down.\n"
    assert "cid:shot.png" in body(read, "html")
    files = {part.get_filename(): part.get_payload(decode=True) for part in read.walk() if part.get_filename()}
    assert files == {"größe.bin": b"\0\xff" * 5000, "shot.png": b"\x89PNG"}


def test_the_same_order_is_the_same_octets() -> None:
    one = order(files=(("a.txt", "text/plain", b"a"),), html="<p>x</p>")
    assert SmtpConnector("desk", settings()).prepare(one) == SmtpConnector("desk", settings()).prepare(one)


@given(title=HOSTILE, text=HOSTILE, html=HOSTILE, value=HOSTILE, name=HOSTILE, reference=HOSTILE)
def test_whatever_an_event_says_no_header_and_no_recipient_is_added(
    title: str, text: str, html: str, value: str, name: str, reference: str
) -> None:
    files = ((name, value, b"content"),)
    one = order(
        ActionKind.APPEND,
        title=title,
        text=text,
        html=html,
        fields={"X-Team": value},
        files=files,
        ticket=TICKET,
        references=(reference,),
    )
    read = mail(one)
    assert set(read.keys()) <= HEADERS | {"X-Team", "In-Reply-To", "References", "Content-Transfer-Encoding"}
    assert len(read.keys()) == len(set(read.keys()))
    assert read["To"] == "desk2@example.org"
    assert [part.get_payload(decode=True) for part in read.walk() if part.get_filename()] == [b"content"]


@pytest.mark.parametrize(
    "value", ["v@evil.example", "a@example.org\r\nRCPT TO:<v@x>", "a@example.org, b@evil.example", "x"]
)
def test_what_an_event_says_chooses_no_mailbox_of_the_world(value: str) -> None:
    connector = SmtpConnector("desk", settings())
    for name in ("to", "cc"):
        with pytest.raises(ValueError, match=r"to_domains|no plain mail address"):
            connector.prepare(order(fields={name: value}))
    assert (
        mail(order(fields={"to": "ops@partner.example"}), to_domains=["partner.example"])["To"] == "ops@partner.example"
    )


def test_wrong_fields_are_told_before_any_event() -> None:
    told = check_fields(
        {"to": "a@evil.example", "X-A B": "1", "Bcc": "x", "priority": "1", "cc": "{{ event.host }}@example.org"},
        settings(),
    )
    assert [(one.field, one.hint != "") for one in told] == [
        ("to", True),
        ("X-A B", True),
        ("Bcc", True),
        ("priority", True),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"Subject": "x"}},
        {"headers": {"X-A": "a\nBcc: x"}},
        {"close": {"X A": "b"}},
        {"host": "mail.example.org:25"},
        {"from": "Monitoring <m@example.org>"},
        {"host": "mail.example.org", "tls": "none", "auth": {"user": "a", "password": "b"}},
    ],
)
def test_settings_that_could_not_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)
