"""What a mail looks like as a ticket."""

import asyncio
import base64
from pathlib import Path

import pytest

from tests.e2e.house import House, house
from tests.e2e.test_mail import WITH_MAIL, send

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: mail
    ticket: {helpdesk: osticket, template: mail}
"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
WITH_IMAGE = f"""\
From: Ann Adams <ann@example.org>
To: support@tickets.example.org
Cc: Ben <ben@example.org>
Subject: Screenshot
Message-ID: <{{id}}@example.org>
Date: Sun, 22 Nov 2026 09:12:00 +0100
MIME-Version: 1.0
Content-Type: multipart/related; boundary=x
{{more}}
--x
Content-Type: text/html

<p>This is what I see: <img src="cid:shot@1" alt="the fault"> <img src="https://track.example/o.gif"></p>
--x
Content-Type: image/png; name=shot.png
Content-ID: <shot@1>
Content-Transfer-Encoding: base64

{base64.b64encode(PNG).decode()}
--x--
"""
REPLY = """\
From: Ann Adams <ann@example.org>
To: support@tickets.example.org
Subject: Re: Screenshot
Message-ID: <three@example.org>
In-Reply-To: <one@example.org>
References: <one@example.org>

It works again.

On Fri, 20 Nov 2026 at 16:02, Support <support@tickets.example.org> wrote:
> Did you restart it?
"""


def files(entry: object) -> list[tuple[str, bool]]:
    assert isinstance(entry, dict)
    return [(str(file["filename"]), bool(file["inline"])) for file in entry["attachments"]]


async def deliver(home: House, mail: str) -> None:
    await asyncio.to_thread(send, home, mail)
    await home.settled()


async def test_a_picture_stands_where_the_writer_put_it_in_the_ticket_and_in_a_follow_up(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await deliver(home, WITH_IMAGE.format(id="one", more=""))
        await deliver(home, WITH_IMAGE.format(id="two", more="In-Reply-To: <one@example.org>\n"))
        entries = home.entries()
        assert len(entries) == 2
        for entry in entries:
            ((_name, inline),) = files(entry)
            assert inline
            html = str(entry["body"])
            assert "This is what I see: <img" in html
            assert 'src="cid:' in html
            assert 'src="http' not in html
            assert "Ann Adams &lt;ann@example.org&gt;" in html
        page = await home.client.get(
            f"{home.sandbox_url}/tickets/number/osticket/{home.tickets()[0]['number']}", follow_redirects=True
        )
        assert page.text.count('alt="the fault"') == 2


async def test_an_answer_shows_its_new_words_first_and_what_it_quotes_below(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=WITH_MAIL) as home:
        await deliver(home, WITH_IMAGE.format(id="one", more=""))
        await deliver(home, REPLY)
        shown = str(home.entries()[1]["body"])
        assert shown.index("It works again.") < shown.index("ann@example.org") or "Quoted text:" in shown
        assert shown.index("It works again.") < shown.index("Did you restart it?")


async def test_an_original_that_no_call_takes_is_named_with_the_receipt_that_has_it(tmp_path: Path) -> None:
    config = WITH_MAIL.replace("sandbox: true", "sandbox: true\n    max_mail: 200KiB")
    text = "A line of the log.\n" * 15_000
    async with house(tmp_path, ROUTES, config=config) as home:
        await deliver(
            home,
            f"From: ann@example.org\nTo: support@tickets.example.org\nSubject: log\nMessage-ID: <l@example.org>\n\n{text}",
        )
        (entry,) = home.entries()
        (receipt,) = [line.id for line in await home.gateway.reader.receipts(limit=5)]
        told = str(entry["body"])
        assert files(entry) == []
        assert "original.eml" in told
        assert f"ticket-gateway events show {receipt} --raw" in told
        assert "longer than the 200,000 characters" in told
