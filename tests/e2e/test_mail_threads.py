"""Answers by mail: which ticket they go to, and which they must not get into."""

import asyncio
import re
import smtplib
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.cli.story import story
from gateway.journal.message_key import read_keys
from gateway.model.message_ids import MessageIds
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, start, until
from tests.e2e.test_mail import WITH_MAIL

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: mail
    match: {source: mail}
    ticket:
      helpdesk: osticket
      template: generic
      fields: {email: "{{ event.sender.address }}"}
"""
BY_MAIL = WITH_MAIL.replace("    sandbox: true\n", "    sandbox: true\n    mode: mail\n")
ANN, BOB, EVE = "ann@customer.example", "bob@customer.example", "eve@elsewhere.example"


def mail(sender: str, text: str, *, subject: str = "Fan is loud", number: str = "one", **headers: str) -> str:
    lines = {
        "From": sender,
        "To": "support@tickets.example.org",
        "Subject": subject,
        "Message-ID": f"<{number}@{sender.rpartition('@')[2].rstrip('>')}>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items()) + f"\n{text}\n"


async def send(home: House, *messages: str) -> None:
    """By SMTP, one after the other, each worked on to its end."""
    port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])

    def deliver(message: str) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("x@example.org", ["support@tickets.example.org"], message.encode().replace(b"\n", b"\r\n"))

    for message in messages:
        await asyncio.to_thread(deliver, message)
        await home.settled()


async def reasons(home: House) -> list[Reason | None]:
    """Why what was done with the newest receipt, all of it."""
    (line, *_) = await home.gateway.reader.receipts(limit=1)
    view = await home.gateway.reader.receipt(line.id)
    assert view is not None
    return [entry.reason for entry in view.timeline if entry.what == "correlated"]


def message_ids(home: House) -> Sequence[str]:
    """The Message-IDs under which we wrote into the helpdesk."""
    # There is no other way to see what an answer would refer to.
    rows = home.sandbox.store._db.execute("SELECT message_id FROM entry WHERE message_id IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


def number(home: House, ticket: int = 0) -> str:
    return str(home.tickets()[ticket]["number"])


async def test_the_answer_of_one_who_takes_part_goes_into_the_ticket(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(
            home,
            mail(f"Ann <{ANN}>", "first words", Cc=f"Bob <{BOB.upper()}>"),
            mail(BOB, "words of Bob", number="two", In_Reply_To="<one@customer.example>"),
            mail(ANN, "second words", number="three", References="<one@customer.example> <two@customer.example>"),
            mail(ANN, "third words", number="four", References="<unknown@customer.example>\n <three@customer.example>"),
        )
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 4
        assert await reasons(home) == [Reason.NOTED]


@pytest.mark.parametrize("config", [WITH_MAIL, BY_MAIL])
async def test_a_stranger_with_copied_references_makes_a_ticket_of_his_own(tmp_path: Path, config: str) -> None:
    async with house(tmp_path, ROUTES, config=config) as home:
        await send(home, mail(ANN, "first words"))
        copied = "<one@customer.example>"
        await send(home, mail(EVE, "words of Eve", number="two", In_Reply_To=copied, References=copied))
        assert len(home.tickets()) == 2
        assert [len(home.entries(at)) for at in (0, 1)] == [1, 1]
        assert await reasons(home) == [Reason.OPENED, Reason.NOT_A_PARTICIPANT]


async def test_a_stranger_who_takes_the_message_id_of_a_known_mail_makes_a_ticket_of_his_own(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        await send(home, mail(EVE, "words of Eve", Message_ID="<one@customer.example>"))
        assert len(home.tickets()) == 2
        assert await reasons(home) == [Reason.OPENED, Reason.NOT_A_PARTICIPANT]


async def test_an_answer_to_our_signed_message_id_joins_whoever_writes_it(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        (ours,) = message_ids(home)
        assert re.fullmatch(r"<tg-[0-9a-f]{32}-[0-9a-f]{32}-[0-9a-f]{24}@example\.org>", ours)
        await send(home, mail(EVE, "a friend passed it on", number="two", References=ours))
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 2
        forged = f"{ours[:4]}{'1' if ours[4] == '0' else '0'}{ours[5:]}"
        await send(home, mail(EVE, "forged", number="three", References=forged))
        # Eve takes part since her first mail, but a forged id names nothing.
        assert len(home.tickets()) == 2


@pytest.mark.parametrize("subject", ["Re: [#{}] Fan", "#{} again", "AW: #1 of 2 [#{}]"])
async def test_a_number_in_the_subject_counts_for_who_takes_part_and_for_nobody_else(
    tmp_path: Path, subject: str
) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        told = subject.format(number(home))
        await send(home, mail(ANN.upper(), "second words", subject=told, number="two"))
        assert (len(home.tickets()), len(home.entries())) == (1, 2)
        await send(home, mail(EVE, "words of Eve", subject=told, number="three"))
        assert (len(home.tickets()), len(home.entries())) == (2, 2)
        assert await reasons(home) == [Reason.OPENED, Reason.NOT_A_PARTICIPANT]


async def test_a_number_in_the_text_or_of_no_ticket_of_ours_never_counts(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        await send(home, mail(ANN, f"[#{number(home)}]", subject="", number="two"))
        await send(home, mail(ANN, "other words", subject="[#999999999]", number="three"))
        assert len(home.tickets()) == 3
        assert await reasons(home) == [Reason.OPENED]


async def test_a_restart_keeps_who_takes_part_and_the_key(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        (ours,) = message_ids(home)
        key = (tmp_path / "message-id.key").read_bytes()
        assert (tmp_path / "message-id.key").stat().st_mode & 0o777 == 0o600
        await home.gateway.stop(1.0)
        home.gateway = await start(tmp_path, home.sandbox_url, ROUTES, config=WITH_MAIL)
        assert (tmp_path / "message-id.key").read_bytes() == key
        await send(
            home,
            mail(ANN, "second words", number="two", In_Reply_To="<one@customer.example>"),
            mail(BOB, "words of Bob", number="three", In_Reply_To=ours),
            mail(EVE, "words of Eve", number="four", In_Reply_To="<one@customer.example>"),
        )
        assert [len(home.entries(at)) for at in range(len(home.tickets()))] == [3, 1]


async def test_an_answer_to_an_alert_goes_into_the_alerts_ticket(tmp_path: Path) -> None:
    rest = ROUTES + "  - name: alerts\n    ticket: {helpdesk: osticket, template: alert}\n"
    async with house(tmp_path, rest, config=WITH_MAIL) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        (ours,) = message_ids(home)
        await send(home, mail(BOB, "I look after it", subject="Re: HTTP", In_Reply_To=ours))
        assert (len(home.tickets()), len(home.entries())) == (1, 2)


async def test_an_answer_to_the_helpdesks_own_mail_is_threaded_by_the_helpdesk(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        other = home.sandbox.store.by_number("osticket", number(home))
        assert other is not None
        of_osticket = "<Bsandbox-a1b2c3-0123456789abcdef01234567-support@help.example.org>"
        home.sandbox.store.add_mail(other.id, ANN, "your ticket", of_osticket, 0.0)
        await send(home, mail(BOB, "an answer of Bob", number="two", In_Reply_To=of_osticket))
        assert (len(home.tickets()), len(home.entries())) == (1, 2)
        (line, *_) = await home.gateway.reader.receipts(limit=1)
        assert line.ticket == number(home)


async def test_a_stranger_cannot_bring_the_helpdesks_ids_past_us(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=BY_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        other = home.sandbox.store.by_number("osticket", number(home))
        assert other is not None
        of_osticket = "<Bsandbox-a1b2c3-0123456789abcdef01234567-support@help.example.org>"
        home.sandbox.store.add_mail(other.id, ANN, "your ticket", of_osticket, 0.0)
        copied = f"<one@customer.example> {of_osticket}"
        await send(home, mail(EVE, "words of Eve", number="two", References=copied))
        assert (len(home.tickets()), len(home.entries())) == (2, 1)


async def test_a_forged_delivery_report_gets_into_no_ticket(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await send(home, mail(ANN, "first words"))
        report = (
            "From: MAILER-DAEMON@elsewhere.example\nTo: support@tickets.example.org\n"
            "Subject: Undelivered Mail Returned to Sender\nMessage-ID: <dsn@elsewhere.example>\n"
            "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
            "--b\nContent-Type: text/plain\n\nIt came back.\n--b\nContent-Type: text/rfc822-headers\n\n"
            "Message-ID: {}\nSubject: Fan is loud\n\n--b--\n"
        )
        await send(home, report.format("<one@customer.example>"))
        assert (len(home.tickets()), len(home.entries())) == (1, 1)
        assert await reasons(home) == [Reason.ORPHAN_NOTE]
        (ours,) = message_ids(home)
        await send(home, report.replace("<dsn@", "<dsn2@").format(ours))
        assert (len(home.tickets()), len(home.entries())) == (1, 2)


RELAYED = WITH_MAIL.replace(
    "recipients: [support@tickets.example.org]",
    "recipients: [support@tickets.example.org], auth_results: {{trusted: [mx.example.org]}}",
)


async def test_who_takes_part_but_whose_mail_fails_its_check_does_not_get_in(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=RELAYED) as home:
        await send(home, mail(ANN, "first words"))
        forged = mail(
            ANN,
            "forged words",
            subject=f"[#{number(home)}]",
            number="two",
            References="<one@customer.example>",
            Authentication_Results="mx.example.org; dmarc=fail header.from=customer.example",
        )
        await send(home, forged)
        assert [len(home.entries(at)) for at in range(len(home.tickets()))] == [1, 1]
        assert await reasons(home) == [Reason.OPENED, Reason.THREAD_UNVERIFIED]


async def test_an_answer_that_comes_right_behind_the_mail_it_answers_joins_it(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        messages = [
            mail(ANN, "first words"),
            mail(EVE, "strange words", number="x", References="<one@customer.example>"),
        ]
        messages += [mail(ANN, f"more {n}", number=f"n{n}", References="<one@customer.example>") for n in range(8)]
        port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])

        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", port) as client:
                for message in messages:
                    data = message.encode().replace(b"\n", b"\r\n")
                    client.sendmail("x@example.org", ["support@tickets.example.org"], data)

        await asyncio.to_thread(deliver)
        await home.settled()
        assert [len(home.entries(at)) for at in range(len(home.tickets()))] == [9, 1]


@pytest.mark.parametrize(
    "fault",
    [Fault(fault=FaultKind.COMMIT_THEN_HANG, count=1, seconds=1.5), Fault(fault=FaultKind.REFUSE)],
)
async def test_a_ticket_that_is_being_made_keeps_its_message_id_while_the_key_changes(
    tmp_path: Path, fault: Fault
) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        home.faults(fault)
        port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])

        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", port) as client:
                client.sendmail("x@example.org", ["support@tickets.example.org"], mail(ANN, "first words"))

        async def asked() -> bool:
            return sum((await home.gateway.reader.counts()).actions_waiting.values()) > 0

        await asyncio.to_thread(deliver)
        await until(asked)
        await home.gateway.stop(0.0)
        key = tmp_path / "message-id.key"
        old = key.read_bytes()
        key.write_bytes(b"a new key, which the tests have made up\n" + old)
        home.faults()
        home.gateway = await start(tmp_path, home.sandbox_url, ROUTES, config=WITH_MAIL)
        await home.settled()
        (ours,) = message_ids(home)
        assert len(home.tickets()) == 1
        assert MessageIds([old.strip()]).incident_of(ours.strip("<>"))
        await send(home, mail(BOB, "words of Bob", number="two", References=ours))
        assert (len(home.tickets()), len(home.entries())) == (1, 2)
        newest = message_ids(home)[-1].strip("<>")
        assert not MessageIds([old.strip()]).incident_of(newest)
        assert MessageIds(read_keys(key)).incident_of(newest)


async def test_a_key_of_the_configuration_is_used_and_none_is_made(tmp_path: Path) -> None:
    configured = WITH_MAIL.replace(
        "server:\n", "server:\n  message_id_key: [the-newest-key-of-all, one-of-last-year]\n"
    )
    async with house(tmp_path, ROUTES, config=configured) as home:
        assert not (tmp_path / "message-id.key").exists()
        await send(home, mail(ANN, "first words"))
        (ours,) = message_ids(home)
        assert MessageIds([b"the-newest-key-of-all"]).incident_of(ours.strip("<>"))


@pytest.mark.parametrize(("window", "tickets"), [("1h", 1), ("0s", 2)])
async def test_an_answer_about_what_is_over_uses_the_ticket_again_where_the_route_says_so(
    tmp_path: Path, window: str, tickets: int
) -> None:
    rest = ROUTES + (
        "  - name: alerts\n    ticket: {helpdesk: osticket, template: alert}\n"
        f"    incident: {{reopen_within: {window}}}\n"
    )
    async with house(tmp_path, rest, config=WITH_MAIL) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        ours = message_ids(home)[0]
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        await send(home, mail(BOB, "it was me", subject="Re: HTTP", References=ours))
        assert len(home.tickets()) == tickets
        assert (Reason.THREAD_CLOSED in await reasons(home)) == (tickets == 2)


async def test_an_answer_about_what_is_over_waits_for_nothing_while_the_same_thing_is_broken_anew(
    tmp_path: Path,
) -> None:
    rest = ROUTES + (
        "  - name: alerts\n    ticket: {helpdesk: osticket, template: alert}\n    incident: {reopen_within: 2s}\n"
    )
    now = [1_800_000_000.0]
    async with house(tmp_path, rest, config=WITH_MAIL, clock=lambda: now[0]) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        ours = message_ids(home)[0]
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        now[0] += 3600
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        assert len(home.tickets()) == 2
        await send(home, mail(BOB, "it was me", subject="Re: HTTP", References=ours))
        assert len(home.tickets()) == 3
        assert await reasons(home) == [Reason.OPENED, Reason.THREAD_CLOSED]


async def test_the_story_of_a_mail_names_who_wrote_to_whom_and_why_it_did_not_join(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        first = mail(f"Ann Adams <{ANN}>", "It is loud.", Cc=f"Bob <{BOB}>").replace(
            "\n\nIt", "\nContent-Type: text/plain; name=fan.txt\nContent-Disposition: attachment\n\nIt"
        )
        await send(home, first)
        (line,) = await home.gateway.reader.receipts(limit=1)
        view = await home.gateway.reader.receipt(line.id)
        assert view is not None
        told = story(view)
        for words in (
            "Event 0: message: Fan is loud\n",
            f"\n  mail from Ann Adams <{ANN}> to support@tickets.example.org, Cc {BOB}\n",
            "\n  attachment fan.txt (text/plain, 13 octets)\n",
        ):
            assert words in told, told
        await send(home, mail(EVE, "Tell me all.", number="two", References=f"<one@{ANN.partition('@')[2]}>"))
        (line, _) = await home.gateway.reader.receipts(limit=2)
        view = await home.gateway.reader.receipt(line.id)
        assert view is not None
        assert f"\n  {Reason.NOT_A_PARTICIPANT.value}: {Reason.NOT_A_PARTICIPANT.explain()}\n" in story(view)
