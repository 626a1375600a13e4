import pytest

from gateway.model.event import Kind
from gateway.model.receipt import NewReceipt
from gateway.sources.mail import KIND
from gateway.sources.protocol import Malformed
from tests.sources.mail.mails import event, mail, multipart, parsed, part


def test_a_persons_mail_becomes_a_message_with_all_its_fields() -> None:
    headers = {
        "To": "Support <support@tickets.example.org>, bob@b.example",
        "Cc": "Carol <carol@c.example>",
        "Message-ID": "<three@a.example>",
        "In-Reply-To": "<two@a.example>",
        "References": "<one@a.example> <two@a.example>",
        "Date": "Sat, 21 Nov 2026 23:00:00 +0000",
        "Importance": "High",
        "Reply-To": "helper@a.example",
    }
    found = event(mail("It prints.\n\nOn 3 Mar 2026 10:00, Bob wrote:\n> Does it?\n", headers, subject="Re: Printer"))
    assert found.kind is Kind.MESSAGE
    assert (found.title, found.sender_name, found.sender_address) == ("Re: Printer", "Ann", "ann@customer.example")
    assert (found.to, found.cc) == (("support@tickets.example.org", "bob@b.example"), ("carol@c.example",))
    assert (found.message_id, found.in_reply_to, found.references) == (
        "three@a.example",
        ("two@a.example",),
        ("one@a.example", "two@a.example"),
    )
    assert found.origin_key == found.labels["mail.thread"]
    assert found.origin_key.startswith("three@a.example#")
    assert found.labels["mail.subject"] == "Re: Printer"
    assert found.reply_text == "It prints."
    assert "> Does it?" in found.text
    assert found.occurred_at == 1795302000.0
    assert (found.labels["mail.priority"], found.labels["mail.reply_to"]) == ("high", "helper@a.example")
    assert not found.auto_generated


def test_the_envelope_names_the_recipients_where_it_is_known() -> None:
    known = event(
        mail(),
        {"mail_from": "x@y", "rcpt_to": "alerts+db@tickets.example.org\nb@tickets.example.org", "subaddress": "db"},
    )
    assert known.recipients == ("alerts+db@tickets.example.org", "b@tickets.example.org")
    assert known.labels["mail.subaddress"] == "db"
    assert event(mail()).recipients == ("support@tickets.example.org",)


def test_two_copies_of_one_mail_are_one_delivery_and_two_mails_are_not() -> None:
    one = mail("a", headers={"Message-ID": "<x@y>"})
    again = b"Received: from other by mx; Sat, 21 Nov 2026 23:00:00 +0000\r\n" + one
    assert event(one).duplicate_key == event(again).duplicate_key
    assert event(one).duplicate_key != event(mail("b", headers={"Message-ID": "<x@y>"})).duplicate_key
    assert event(mail("a")).duplicate_key != event(mail("b")).duplicate_key


def test_a_mail_without_subject_is_titled_by_its_text() -> None:
    assert event(mail("\r\nPrinter is broken.\r\nBye", subject="")).title == "Printer is broken."
    assert event(mail("", subject="")).title == "(no subject)"


def test_a_subject_of_thousands_of_characters_is_cut_in_the_title() -> None:
    assert len(event(mail(subject="x" * 30_000)).title) == 250


def test_octets_that_are_no_mail_are_raw_with_the_original_attached() -> None:
    found = event(b"\x00\x01\x02 nothing of a mail")
    assert found.kind is Kind.RAW
    assert found.attachments[0].content == b"\x00\x01\x02 nothing of a mail"


@pytest.mark.parametrize("body", [b"", b"{}", b"no header here\r\n\r\nx"])
def test_what_is_no_mail_can_be_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="no mail"):
        KIND.inspect(NewReceipt("r", "post", 0.0, body), KIND.settings.model_validate({"kind": "mail"}))


def test_a_mail_is_not_refused() -> None:
    KIND.inspect(NewReceipt("r", "post", 0.0, mail()), KIND.settings.model_validate({"kind": "mail"}))


def test_a_date_of_the_far_future_is_not_believed() -> None:
    assert event(mail(date="Sat, 21 Nov 2099 23:00:00 +0000")).occurred_at is None


def test_warnings_name_the_part_that_is_broken() -> None:
    data = multipart(
        part("x"), part("QQ=", "image/png; name=scan.png", "Content-Transfer-Encoding: base64\r\n") + b"??"
    )
    assert any("scan.png" in warning for warning in parsed(data).warnings)
