"""What is proven when a mail server says no, says nonsense, or says nothing."""

import asyncio

import pytest

from gateway.helpdesks.smtp.connector import SmtpConnector
from gateway.model.action import ActionKind, OutcomeKind
from gateway.model.reasons import Reason
from tests.helpdesks.smtp.support import CLOSE, HANG, NO_HTTP, called, order, server, settings

pytestmark = pytest.mark.anyio

NOT_SENT, DOWN, REJECTED = OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN, OutcomeKind.REJECTED
UNKNOWN, AUTH = OutcomeKind.UNKNOWN, OutcomeKind.AUTH_BROKEN
AUTHENTICATED = {"auth": {"user": "gateway", "password": "secret-word"}}


@pytest.mark.parametrize(
    ("verb", "words", "kind"),
    [
        ("greeting", "554 5.3.2 not now", DOWN),
        ("greeting", "421 4.3.2 later", DOWN),
        ("greeting", "HTTP/1.1 400 Bad Request", NOT_SENT),
        ("greeting", CLOSE, NOT_SENT),
        ("greeting", HANG, NOT_SENT),
        ("EHLO", "421 4.3.2 later", DOWN),
        ("EHLO", CLOSE, NOT_SENT),
        ("AUTH", "535 5.7.8 no, secret-word is wrong", AUTH),
        ("AUTH", "454 4.7.0 later", DOWN),
        ("AUTH", CLOSE, NOT_SENT),
        ("MAIL", "530 5.7.0 log in first", AUTH),
        ("MAIL", "550 5.7.1 not from you", AUTH),
        ("MAIL", "552 5.3.4 too big", REJECTED),
        ("MAIL", "452 4.3.1 no room", DOWN),
        ("RCPT", "550 5.1.1 nobody", AUTH),
        ("RCPT", "552 5.2.2 mailbox full", DOWN),
        ("RCPT", "450 4.7.1 greylisted", DOWN),
        ("RCPT", HANG, NOT_SENT),
        ("DATA", "451 4.3.0 later", DOWN),
        ("DATA", "554 5.5.1 no", REJECTED),
        ("DATA", "250 what is a 354?", DOWN),
        ("DATA", CLOSE, NOT_SENT),
        ("dot", "451 4.3.0 the disk is full", DOWN),
        ("dot", "554 5.7.1 this is spam", REJECTED),
        ("dot", "552 5.3.4 too big", REJECTED),
        ("dot", CLOSE, UNKNOWN),
        ("dot", HANG, UNKNOWN),
        ("dot", "\x16\x03\x01 this is no reply", UNKNOWN),
        ("QUIT", CLOSE, OutcomeKind.DELIVERED),
        ("QUIT", "500 no", OutcomeKind.DELIVERED),
    ],
)
async def test_each_step_and_answer_proves_what_it_proves(verb: str, words: str, kind: OutcomeKind) -> None:
    async with server(**{verb: words}) as (port, _):
        outcome = await called(SmtpConnector("desk", settings(port, **AUTHENTICATED)), order(), timeout=0.3)
    assert outcome.kind is kind
    assert "secret-word" not in outcome.detail


async def test_nobody_listens_and_no_such_host_prove_that_nothing_was_sent() -> None:
    listening = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    outcomes = [
        await called(SmtpConnector("desk", settings(port)), order(), timeout=1.0),
        await called(SmtpConnector("desk", settings(port, host="no-such-host.invalid")), order(), timeout=1.0),
    ]
    assert [outcome.kind for outcome in outcomes] == [NOT_SENT, NOT_SENT]


async def test_a_reply_without_end_is_no_reply() -> None:
    async with server(EHLO="\r\n".join(["250-x"] * 1000)) as (port, _):
        assert (await called(SmtpConnector("desk", settings(port)), order(), timeout=1.0)).kind is NOT_SENT
    async with server(EHLO="250 " + "x" * 100_000) as (port, _):
        assert (await called(SmtpConnector("desk", settings(port)), order(), timeout=1.0)).kind is NOT_SENT


async def test_where_the_main_recipient_is_taken_a_refused_copy_is_told_and_no_reason_to_wait() -> None:
    fields = {"cc": "noc@example.org"}
    async with server() as (port, heard):
        outcome = await called(SmtpConnector("desk", settings(port)), order(fields=fields))
        assert outcome.flags == ()
        assert [line for line in heard if line.startswith("RCPT")] == [
            "RCPT TO:<support@example.org>",
            "RCPT TO:<noc@example.org>",
        ]


async def test_a_copy_that_is_refused_for_good_is_left_out_and_one_refused_for_now_holds_the_mail_back() -> None:
    async with server(RCPT="250 ok|550 5.1.1 nobody|250 ok|450 4.2.1 later") as (port, _):
        connector = SmtpConnector("desk", settings(port))
        outcomes = [await called(connector, order(fields={"cc": ["noc@example.org"]})) for _ in range(2)]
    assert outcomes[0].kind is OutcomeKind.DELIVERED
    assert outcomes[0].flags == (Reason.FIELD_REFUSED,)
    assert "noc@example.org: 550 5.1.1 nobody" in outcomes[0].detail
    assert (outcomes[1].kind, outcomes[1].reason) == (DOWN, Reason.RATE_LIMITED)


async def test_the_probe_names_sender_and_mailbox_and_sends_nothing() -> None:
    async with server() as (port, heard):
        outcome = await SmtpConnector("desk", settings(port)).probe(NO_HTTP, timeout=2.0)
        assert outcome.kind is OutcomeKind.DELIVERED
        assert [line.split()[0] for line in heard] == ["EHLO", "MAIL", "RCPT", "RSET", "QUIT"]
    async with server(RCPT="550 5.1.1 nobody") as (port, _):
        assert (await SmtpConnector("desk", settings(port)).probe(NO_HTTP, timeout=2.0)).kind is AUTH


async def test_starttls_that_is_not_offered_or_refused_never_falls_back_to_the_clear() -> None:
    for script in ({}, {"EHLO": "250-x\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 not now"}):
        async with server(**script) as (port, heard):
            outcome = await called(SmtpConnector("desk", settings(port, tls="starttls", **AUTHENTICATED)), order())
            assert outcome.kind in {AUTH, DOWN}
            assert not any(line.startswith(("AUTH", "MAIL")) for line in heard)


async def test_a_mail_with_files_that_is_refused_is_tried_without_them() -> None:
    one = order(files=(("tool.exe", "application/octet-stream", b"MZ"),))
    async with server(dot="554 5.7.1 no programs") as (port, _):
        connector = SmtpConnector("desk", settings(port))
        assert (await called(connector, one)).degrade == ("attachments",)
        assert (await called(connector, order())).degrade == ()


async def test_a_doubtful_mail_is_asked_about_once_and_sent_when_a_person_says_so() -> None:
    asking = settings(0, on_unknown="dead_letter")
    connector = SmtpConnector("desk", asking)
    one = order()
    request = connector.prepare(one)
    first = await connector.resolve(one, request, NO_HTTP, timeout=0.5)  # after a crash
    assert (first.kind, first.reason) == (REJECTED, Reason.UNKNOWN_OUTCOME)
    async with server() as (port, _):
        connector = SmtpConnector("desk", settings(port, on_unknown="dead_letter"))
        await connector.resolve(one, request, NO_HTTP, timeout=0.5)
        again = await connector.resolve(one, request, NO_HTTP, timeout=2.0)
    assert again.kind is OutcomeKind.DELIVERED
    assert again.flags == (Reason.POSSIBLE_DUPLICATE,)


async def test_leading_dots_arrive_as_they_were() -> None:
    follow_up = order(ActionKind.CREATE, text="x")
    connector = SmtpConnector("desk", settings())
    request = connector.prepare(follow_up).replace(b"MIME-Version: 1.0", b"MIME-Version: 1.0\\r\\n.dot: 1")
    async with server() as (port, heard):
        outcome = await SmtpConnector("desk", settings(port)).call(follow_up, request, NO_HTTP, timeout=2.0)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "\r\n..dot: 1\r\n" in "".join(heard)
