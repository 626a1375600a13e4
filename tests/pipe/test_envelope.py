"""What the gateway makes of the script's octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.models import Server, SmtpServer, SourceSettings
from gateway.model.receipt import Accepted, NewReceipt
from gateway.receive.pipe import NoSource, NotPiped, Piped, PipeDoor, envelope_of, message_of, unpack
from gateway.sources.mail.settings import MailSettings

ID = "01a20169-10c6-7e25-be48-3e9dbb4ceaed"
MAIL = b"Subject: x\n\nbody\n"


def packed(body: bytes = MAIL, *lines: str, identity: str = ID, length: int | None = None) -> bytes:
    head = ["ticket-gateway-pipe 1", f"id {identity}", "source support", *lines]
    return "\n".join([*head, f"length {len(body) if length is None else length}", "", ""]).encode() + body


def piped(body: bytes = MAIL, **told: str) -> Piped:
    names = {name.replace("_", "-") if name.islower() else f"${name}": (value,) for name, value in told.items()}
    return Piped(ID, "support", names, body)


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: b"ticket-gateway-pipe 1\n" + data))
def test_any_octets_are_a_mail_or_are_refused(content: bytes) -> None:
    try:
        found = unpack(content)
    except NotPiped:
        return
    assert found.body
    assert content.endswith(found.body)


@given(st.binary(min_size=1, max_size=500))
def test_any_body_comes_back_as_it_was(body: bytes) -> None:
    assert unpack(packed(body)).body == body


@pytest.mark.parametrize("cut", [1, 5, len(MAIL), len(MAIL) + 1, len(MAIL) + 20])
def test_what_is_cut_short_is_no_mail(cut: int) -> None:
    with pytest.raises(NotPiped):
        unpack(packed()[:-cut])


@pytest.mark.parametrize(
    "content",
    [
        packed(b""),
        packed(identity="../../etc/passwd"),
        packed(identity=ID.upper()),
        packed(length=-1),
        packed(length=10**15),
        packed().replace(b"source support\n", b""),
        packed().replace(b"pipe 1", b"pipe 2"),
        packed(MAIL, f"id {ID}"),
    ],
)
def test_a_head_that_is_not_right_is_no_mail(content: bytes) -> None:
    with pytest.raises(NotPiped):
        unpack(content)


def test_a_name_that_is_not_the_id_is_no_mail() -> None:
    with pytest.raises(NotPiped, match="name"):
        unpack(packed(), "01a20169-10c6-7e25-be48-000000000000")


def test_values_cannot_smuggle_lines_or_control_characters() -> None:
    found = unpack(packed(MAIL, "sender a%0Aid%20x@b%00%E2%80%AE", "recipient %ff"))
    assert found.given["sender"] == ("aid x@b",)
    assert found.given["recipient"] == ("\N{REPLACEMENT CHARACTER}",)


@pytest.mark.parametrize(
    ("told", "body", "sender"),
    [
        ({"sender": "a@b"}, MAIL, "a@b"),
        ({"sender": "<a@b>", "SENDER": "c@d"}, MAIL, "a@b"),
        ({"SENDER": "c@d"}, b"From x@y Sat Nov 21 10:00:00 2026\n" + MAIL, "c@d"),
        ({"SENDER": ""}, MAIL, ""),
        ({"sender": ""}, MAIL, ""),
        ({"sender": "<>"}, MAIL, ""),
        ({"sender": "MAILER-DAEMON"}, MAIL, ""),
        ({}, b"From MAILER-DAEMON Sat Nov 21 10:00:00 2026\r\n" + MAIL, ""),
        ({}, b"From x@y Sat Nov 21 10:00:00 2026\n" + MAIL, "x@y"),
        ({}, b"Return-Path: <r@p>\n" + MAIL, "r@p"),
        ({}, b"Received: x\nReturn-Path: <>\n" + MAIL, ""),
        ({}, b"Subject: x\n\nReturn-Path: <in@the.text>\n", None),
        ({}, MAIL, None),
    ],
)
def test_the_sender_is_who_the_mail_server_says(told: dict[str, str], body: bytes, sender: str | None) -> None:
    assert message_of(piped(body, **told))[0] == sender


def test_the_mbox_line_is_no_part_of_the_mail() -> None:
    line = b"From x@y Sat Nov 21 10:00:00 2026\n"
    assert message_of(piped(line + MAIL))[1] == MAIL
    assert message_of(piped(MAIL + line))[1] == MAIL + line
    assert message_of(piped(line))[1] == line
    assert message_of(piped(b"From: x@y\n\nhi\n"))[1] == b"From: x@y\n\nhi\n"


def test_options_are_worth_more_than_the_environment() -> None:
    found = envelope_of(
        piped(recipient="a+x@b", ORIGINAL_RECIPIENT="c@d", RECIPIENT="e@f", helo="h", CLIENT_HELO="i", queue_id="Q"),
        None,
    )
    assert found == {"door": "pipe", "rcpt_to": "a+x@b", "subaddress": "x", "helo": "h", "queue_id": "Q"}


def test_the_sub_address_is_what_the_mail_server_cut_off() -> None:
    assert envelope_of(piped(RECIPIENT="a@b", EXTENSION="db"), "s@t")["subaddress"] == "db"
    assert envelope_of(piped(RECIPIENT="a@b", LOCAL_PART_SUFFIX="+db"), "s@t")["subaddress"] == "db"
    assert "subaddress" not in envelope_of(piped(RECIPIENT="a@b", EXTENSION=""), "s@t")


def test_exims_batches_have_no_recipient_of_their_own() -> None:
    assert envelope_of(piped(RECIPIENT="@example.org"), "") == {"door": "pipe", "mail_from": ""}


def door(**sources: SourceSettings) -> PipeDoor:
    async def accept(new: NewReceipt) -> Accepted:
        return Accepted(new.id)

    return PipeDoor(accept, lambda: sources, Server(smtp=SmtpServer(max_message=2**20)), clock=lambda: 7.0)


def test_a_receipt_bears_the_scripts_id_and_the_client_only_if_it_is_an_address() -> None:
    here = door(support=MailSettings(kind="mail"))
    new = here.receipt(piped(CLIENT_ADDRESS="192.0.2.1"))
    assert (new.id, new.source, new.received_at, new.peer) == (ID, "support", 7.0, "192.0.2.1")
    assert here.receipt(piped(CLIENT_ADDRESS="evil.example.org")).peer == ""


def test_only_a_source_of_mail_gets_mail() -> None:
    with pytest.raises(NoSource, match="no source"):
        door().receipt(piped())
    with pytest.raises(NoSource, match="kind generic"):
        door(support=SourceSettings(kind="generic", auth="none")).receipt(piped())


def test_the_limit_is_the_sources_else_the_mail_doors() -> None:
    here = door(support=MailSettings(kind="mail"), big=MailSettings(kind="mail", max_body=5 * 2**20))
    assert (here.most("support"), here.most("big")) == (2**20, 5 * 2**20)
