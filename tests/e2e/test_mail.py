"""Mail by SMTP, on its way to a ticket."""

import asyncio
import smtplib
from pathlib import Path

import pytest

from gateway.model.reasons import Reason
from tests.e2e.house import CONFIG, House, house

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: mail
    ticket: {helpdesk: osticket, template: generic}
"""
PERSON = """\
From: Ann Adams <ann@example.org>
To: support@tickets.example.org
Subject: =?utf-8?q?K=C3=BChlung_laut?=
Message-ID: <one@example.org>
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Der Lüfter in Raum 3 ist laut.
"""
ALERT = """\
From: nagios@monitor.example.org
To: support@tickets.example.org
Subject: ** {kind} Service Alert: web01/HTTP is {state} **
Message-ID: <{kind}@monitor.example.org>

***** Nagios *****

Notification Type: {kind}

Service: HTTP
Host: web01
Address: 192.0.2.10
State: {state}

Date/Time: Sat Nov 21 23:19:21 UTC 2026

Additional Info:

HTTP {state}
"""


WITH_MAIL = CONFIG.replace(
    "server:\n", 'server:\n  smtp: {{listen: "127.0.0.1:0", hostname: tickets.example.org}}\n'
).replace("sources:\n", "sources:\n  mail: {{kind: mail, recipients: [support@tickets.example.org]}}\n")


def send(home: House, message: str, recipient: str = "support@tickets.example.org") -> None:
    port = int(next(one for one in home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("ann@example.org", [recipient], message.encode().replace(b"\n", b"\r\n"))


async def receipts(home: House) -> list[str]:
    return [line.id for line in await home.gateway.reader.receipts(limit=50)]


async def test_a_persons_mail_makes_a_ticket_with_its_words(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await asyncio.to_thread(send, home, PERSON)
        await home.settled()
        (ticket,) = home.tickets()
        assert ticket["subject"] == "Kühlung laut"
        assert "Der Lüfter in Raum 3 ist laut." in str(home.entries()[0]["body"])


async def test_the_same_mail_twice_is_one_delivery(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await asyncio.to_thread(send, home, PERSON)
        await asyncio.to_thread(send, home, PERSON)
        await home.settled()
        assert len(await receipts(home)) == 1
        assert len(home.entries()) == 1


async def test_an_alert_mail_and_its_recovery_are_one_incident(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await asyncio.to_thread(send, home, ALERT.format(kind="PROBLEM", state="CRITICAL"))
        await home.settled()
        await asyncio.to_thread(send, home, ALERT.format(kind="RECOVERY", state="OK"))
        await home.settled()
        assert len(home.tickets()) == 1
        newest = await home.gateway.reader.receipt((await receipts(home))[0])
        assert newest is not None
        assert [event.reason for event in newest.events] == [Reason.RECOVERED]


async def test_mail_for_somebody_else_is_refused_at_once(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await asyncio.to_thread(send, home, PERSON, "victim@elsewhere.example")
        assert await receipts(home) == []


async def test_an_address_for_mail_opens_no_door_to_http_without_credentials(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        url, headers = f"{home.url}/in/mail", {"Content-Type": "message/rfc822"}
        answer = await home.client.post(url, content=PERSON.encode(), headers=headers)
        assert answer.status_code == 401
        assert await receipts(home) == []
