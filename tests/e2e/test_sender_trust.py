"""Whether the sender of a mail is verified: from the door to the ticket, with a real name server."""

import asyncio
import smtplib
import socket
import time
from pathlib import Path

import pytest

from gateway.cli.explaining import explained
from gateway.facts import Facts
from gateway.mailauth import remembering
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus
from gateway.operations import Operations
from tests.e2e.house import CONFIG, House, house
from tests.mailauth.names import Names, key_record, mail, name_server, signed

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: known
    match: {mail.auth: pass, mail.from_domain: example.org, mail.class: person}
    ticket: {helpdesk: osticket, template: generic, title: "verified: {{ event.title }}"}
  - name: others
    match: {source: [mail, open]}
    ticket: {helpdesk: osticket, template: generic}
  - name: app
    ticket: {helpdesk: osticket, template: generic}
"""


def config(names: Names, source: str, *, deadline: str = "3s") -> str:
    dns = f'  dns: {{{{servers: ["{names.address}"], timeout: 2s, deadline: {deadline}}}}}\n'
    door = '  smtp: {{listen: "127.0.0.1:0", hostname: tickets.example.org, proxy_protocol: [127.0.0.1]}}\n'
    sources = (
        f"sources:\n  mail: {{{{kind: mail, recipients: [support@tickets.example.org], {source}}}}}\n"
        "  open: {{kind: mail, recipients: [open@tickets.example.org]}}\n"
    )
    return CONFIG.replace("server:\n", "server:\n" + dns + door).replace("sources:\n", sources)


def send(home: House, message: bytes, *, client: str = "192.0.2.7", to: tuple[str, ...] = ("support",)) -> bytes:
    """The last answer of the door to a message that comes from that client, by way of a proxy."""
    port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as plug, plug.makefile("rb") as answers:
        plug.sendall(f"PROXY TCP4 {client} 127.0.0.1 4000 25\r\n".encode())
        answers.readline()
        said = b""
        recipients = [f"RCPT TO:<{one}@tickets.example.org>" for one in to]
        for line in ("HELO mx.example.org", "MAIL FROM:<ann@example.org>", *recipients, "DATA"):
            plug.sendall(line.encode() + b"\r\n")
            said = answers.readline()
            assert said[:1] in b"23", said
        plug.sendall(message + b".\r\n")
        return answers.readline()


async def sent(home: House, message: bytes, **how: str) -> bytes:
    client, to = how.get("client", "192.0.2.7"), tuple(how.get("to", "support").split())
    return await asyncio.to_thread(send, home, message, client=client, to=to)


def publish(names: Names) -> None:
    names.text("s1._domainkey.example.org", key_record())
    names.text("example.org", "v=spf1 ip4:192.0.2.7 -all")
    names.text("_dmarc.example.org", "v=DMARC1; p=reject")


def now_signed(body: str = "The fan is loud.") -> bytes:
    return signed(mail(body=body), "example.org", at=time.time())


def titles(home: House) -> list[str]:
    return [str(ticket["subject"]) for ticket in home.tickets()]


async def statuses(home: House) -> list[ReceiptStatus]:
    return [line.status for line in reversed(await home.gateway.reader.receipts(limit=50))]


VERIFY = "verify: [dkim, spf, dmarc]"


async def test_rules_know_whether_a_sender_is_verified(tmp_path: Path) -> None:
    async with name_server() as names:
        publish(names)
        async with house(tmp_path, ROUTES, config=config(names, VERIFY)) as home:
            assert (await sent(home, now_signed())).startswith(b"250")
            await home.settled()
            forged = mail(body="Pay me.").replace(b"fan", b"bill").replace(b"<1@", b"<2@")
            assert (await sent(home, forged, client="198.51.100.66")).startswith(b"250")
            await home.settled()
            assert titles(home) == ["verified: fan", "bill"]
            [newest, _] = await home.gateway.reader.receipts(limit=5)
            view = await home.gateway.reader.receipt(newest.id)
            assert view is not None
            assert any(warning.startswith("Sender: not verified") for warning in view.warnings)


async def test_a_sender_that_is_not_verified_waits_for_a_person_who_lets_it_through(tmp_path: Path) -> None:
    async with name_server() as names:
        publish(names)
        source = f"{VERIFY}, on_auth_fail: dead_letter"
        async with house(tmp_path, ROUTES, config=config(names, source)) as home:
            assert (await sent(home, mail(), client="198.51.100.66")).startswith(b"250")
            await home.settled()
            assert titles(home) == []
            [dead] = await home.gateway.reader.dead_letters()
            assert dead.reason is Reason.SENDER_NOT_VERIFIED
            assert "dmarc=fail" in dead.detail
            await home.gateway.journal.requeue([dead.id], now=time.time())
            home.gateway.pipeline.wake()
            await home.settled()
            assert titles(home) == ["fan"]
            assert await home.gateway.reader.dead_letters() == []


async def test_dns_that_is_down_loses_and_holds_nothing(tmp_path: Path) -> None:
    async with name_server() as names:
        names.silent = True
        source = f"{VERIFY}, on_auth_fail: reject"
        async with house(tmp_path, ROUTES, config=config(names, source, deadline="1s")) as home:
            assert (await sent(home, now_signed())).startswith(b"250")
            await home.settled()
            assert titles(home) == ["fan"]
            [line] = await home.gateway.reader.receipts(limit=5)
            view = await home.gateway.reader.receipt(line.id)
            assert view is not None
            labels = view.events[0].event["labels"]
            assert isinstance(labels, dict)
            assert labels["mail.auth"] == "temperror"


async def test_other_sources_do_not_wait_for_dns(tmp_path: Path) -> None:
    async with name_server() as names:
        names.silent = True
        async with house(tmp_path, ROUTES, config=config(names, VERIFY, deadline="6s")) as home:
            for number in range(5):
                await sent(home, now_signed(f"{number}").replace(b"<1@", f"<slow{number}@".encode()))
            began = time.monotonic()
            await sent(home, mail().replace(b"Subject: fan", b"Subject: open"), to="open")
            await home.app(host="db")
            while len(titles(home)) < 2:
                await asyncio.sleep(0.02)
                assert time.monotonic() - began < 4.0
            assert set(titles(home)) == {"open", "it broke"}


FAIL = "Authentication-Results: mx.example.com; dmarc=fail header.from=example.org"
PASS = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.org"
RELAY = "auth_results: {{trusted: [mx.example.com], networks: [192.0.2.7]}}"


async def test_what_our_relay_says_is_refused_at_the_door(tmp_path: Path) -> None:
    async with name_server() as names:
        source = f"{RELAY}, on_auth_fail: reject"
        async with house(tmp_path, ROUTES, config=config(names, source)) as home:
            refused = await sent(home, mail("ann@example.org", "x", FAIL))
            assert refused == b"550 5.7.1 The sender of this message is not verified\r\n"
            assert (await sent(home, mail("ann@example.org", "x", PASS))).startswith(b"250")
            # A stranger's word on itself counts neither way.
            stranger = mail("ann@example.org", "y", PASS).replace(b"<1@", b"<2@")
            assert (await sent(home, stranger, client="198.51.100.66")).startswith(b"250")
            await home.settled()
            assert titles(home) == ["verified: fan", "fan"]
            assert names.asked == []


async def test_where_another_source_takes_the_message_nothing_is_refused(tmp_path: Path) -> None:
    async with name_server() as names:
        source = f"{RELAY}, on_auth_fail: reject"
        async with house(tmp_path, ROUTES, config=config(names, source)) as home:
            answer = await sent(home, mail("ann@example.org", "x", FAIL), to="support open")
            assert answer.startswith(b"250")
            await home.settled()
            assert titles(home) == ["fan"]
            assert sorted(await statuses(home)) == [ReceiptStatus.DEAD, ReceiptStatus.PROCESSED]


async def test_lmtp_answers_for_each_source(tmp_path: Path) -> None:
    async with name_server() as names:
        source = f"{RELAY.replace('192.0.2.7', '127.0.0.1')}, on_auth_fail: reject"
        with_lmtp = config(names, source).replace("server:\n", 'server:\n  lmtp: {{listen: "127.0.0.1:0"}}\n')
        async with house(tmp_path, ROUTES, config=with_lmtp) as home:
            port = int(next(one for one in home.gateway.addresses if one.startswith("lmtp://")).rpartition(":")[2])

            def hand_over() -> list[bytes]:
                with smtplib.LMTP("127.0.0.1", port) as client:
                    client.ehlo_or_helo_if_needed()
                    client.mail("ann@example.org")
                    for name in ("support", "open"):
                        client.rcpt(f"{name}@tickets.example.org")
                    client.docmd("DATA")
                    client.send(mail("ann@example.org", "x", FAIL) + b".\r\n")
                    return [str(client.getreply()[0]).encode() for _ in range(2)]

            assert await asyncio.to_thread(hand_over) == [b"550", b"250"]
            await home.settled()
            assert titles(home) == ["fan"]


async def test_mail_by_http_is_held_where_smtp_would_refuse(tmp_path: Path) -> None:
    async with name_server() as names:
        relay = RELAY.replace("192.0.2.7", "127.0.0.1")
        source = f"{relay}, on_auth_fail: reject, auth: {{{{bearer: {{token}}}}}}"
        async with house(tmp_path, ROUTES, config=config(names, source)) as home:
            headers = {"Content-Type": "message/rfc822"}
            answer = await home.post("mail", headers=headers, content=mail("ann@example.org", "x", FAIL))
            assert answer.status_code == 202
            await home.settled()
            assert await statuses(home) == [ReceiptStatus.DEAD]


async def test_what_was_found_out_is_remembered_when_a_receipt_is_read_again(tmp_path: Path) -> None:
    async with name_server() as names:
        publish(names)
        async with house(tmp_path, ROUTES, config=config(names, VERIFY)) as home:
            await sent(home, now_signed())
            await home.settled()
            asked = len(names.asked)
            names.records.clear()
            [line] = await home.gateway.reader.receipts(limit=5)
            gateway = home.gateway
            operations = Operations(gateway.journal, lambda: gateway.rules, gateway.pipeline.accept, lambda: None)
            [replayed] = await operations.replay([line.id], now=time.time(), anew=False)
            assert (replayed.what, len(names.asked)) == ("unchanged", asked)
            view, got = await gateway.reader.receipt(line.id), await gateway.reader.body(line.id)
            assert view is not None
            assert got is not None
            one = explained("x", remembering(got, view), Facts(), {}, gateway.rules)
            assert [target.rule.route.name for target in one.routed.events[0].targets] == ["known"]


async def test_smtplib_hands_over_as_ever(tmp_path: Path) -> None:
    async with name_server() as names:
        publish(names)
        plain = config(names, VERIFY).replace(", proxy_protocol: [127.0.0.1]", "")
        async with house(tmp_path, ROUTES, config=plain) as home:
            port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])

            def hand_over() -> None:
                with smtplib.SMTP("127.0.0.1", port) as client:
                    client.sendmail("ann@example.org", ["support@tickets.example.org"], now_signed())

            await asyncio.to_thread(hand_over)
            await home.settled()
            assert titles(home) == ["verified: fan"]
