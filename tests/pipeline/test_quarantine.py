"""Mail that comes too fast or in a circle is held back: kept, visible, and let through by hand."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.journal.protocol import HistoryLine, ReceiptView
from gateway.model.ids import new_id
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt, ReceiptStatus
from gateway.operations import Operations
from tests.pipeline.works import CONFIG, Works, works

pytestmark = pytest.mark.anyio

NIGHT = 1_800_000_000.0
MINUTE, HOUR = 60.0, 3600.0
WITH_MAIL = CONFIG.replace("sources:\n", "sources:\n  post: {kind: mail, recipients: [support@t.example]}\n").replace(
    "routes:\n",
    "routes:\n  - {name: rubbish, match: {title: {contains: rubbish}}, drop: {reason: rubbish}}\n"
    "  - {name: mail, match: {source: post}, ticket: {helpdesk: desk}}\n",
)
ALERT = """\
***** Nagios *****

Notification Type: PROBLEM

Service: HTTP
Host: {host}
Address: 192.0.2.10
State: CRITICAL

Date/Time: Sat Nov 21 23:19:21 UTC 2026

Additional Info:

HTTP CRITICAL
"""


class Post:
    """A mailbox at the pipeline's door, on a clock of its own."""

    def __init__(self, home: Works, at: float = NIGHT) -> None:
        self.home = home
        self.at = at
        self.ids: list[str] = []

    def mail(self, sender: str, subject: str = "help", text: str = "Hello.", **headers: str) -> NewReceipt:
        number = len(self.ids)
        lines = {"From": sender, "To": "support@t.example", "Subject": f"{subject} {number}", "Date": "",
                 "Message-ID": f"<{number}.{self.at:.0f}@x.example>", **headers}  # fmt: skip
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
        envelope = {"door": "smtp", "mail_from": sender}
        body = f"{head}\r\n{text}".encode()
        new = NewReceipt(new_id(), "post", self.at, body, "message/rfc822", (), envelope)
        self.ids.append(new.id)
        return new

    async def send(self, sender: str, subject: str = "help", text: str = "Hello.", **headers: str) -> str:
        return (await self.home.pipeline.accept(self.mail(sender, subject, text, **headers))).id

    async def reasons(self) -> Counter[str]:
        """What became of the mails, by reason."""
        await self.home.idle(60.0)
        return Counter([(await self.home.view(name)).events[0].reason.value for name in self.ids])

    def operator(self) -> Operations:
        return Operations(
            self.home.journal, lambda: self.home.rules, self.home.pipeline.accept, self.home.pipeline.wake
        )


async def test_a_person_who_writes_fifteen_mails_in_an_hour_is_not_held_back(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(15):
            post.at += 4 * MINUTE
            await post.send("Ann <ann@example.org>")
        assert await post.reasons() == {"opened": 15}


async def test_the_mail_after_the_twentieth_in_an_hour_is_kept_and_makes_nothing(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        forms = ["ann@example.org", "Ann@Example.org", "ann+{}@example.org", "prvs={}ab=ann@example.org"]
        for number in range(21):
            post.at += MINUTE
            await post.send(forms[number % len(forms)].format(number))
        await post.send("bob@example.org")
        assert await post.reasons() == {"opened": 21, "quarantined": 1}
        view = await home.view(post.ids[20])
        assert (view.status, view.reason, view.actions, view.incidents) == (
            ReceiptStatus.DEAD, Reason.QUARANTINED, (), ()
        )  # fmt: skip
        assert view.detail == "20 mails from ann@example.org (`loop.per_sender`) came within 1h before it"
        (letter,) = await home.journal.reader().dead_letters()
        assert (letter.id, letter.reason, letter.title) == (view.id, Reason.QUARANTINED, "help 20")


async def test_mails_that_come_all_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        await asyncio.gather(*(home.pipeline.accept(post.mail("ann@example.org")) for _ in range(60)))
        assert await post.reasons() == {"opened": 20, "quarantined": 40}


async def test_a_storm_that_lasts_all_night_gets_no_second_helping_and_ends_with_its_pace(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(12 * 60):
            post.at += MINUTE
            await post.send("robot@example.org")
        assert await post.reasons() == {"opened": 20, "quarantined": 700}
        post.at += HOUR
        await post.send("robot@example.org")
        assert (await post.reasons())["opened"] == 21


async def test_five_hundred_alert_mails_of_one_sender_in_an_hour_are_an_ordinary_night(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for number in range(500):
            post.at += 7.2
            host = f"web{number % 100:02}"
            subject = f"** PROBLEM Service Alert: {host}/HTTP is CRITICAL **"
            new = post.mail("nagios@monitor.example", text=ALERT.format(host=host))
            body = new.body.replace(b"Subject: help %d" % number, b"Subject: " + subject.encode())
            await home.pipeline.accept(NewReceipt(new.id, "post", post.at, body, "message/rfc822"))
        assert await post.reasons() == {"opened": 100, "repeated": 400}
        await post.send("nagios@monitor.example", "disk is nearly full, says a script of ours")
        assert (await post.reasons())["opened"] == 101


async def test_rates_go_on_counting_after_a_restart(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(19):
            await post.send("ann@example.org")
        assert await post.reasons() == {"opened": 19}
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home, NIGHT + MINUTE)
        for _ in range(3):
            await post.send("ann@example.org")
        assert await post.reasons() == {"opened": 1, "quarantined": 2}


async def test_an_operator_lets_one_through_past_the_rate_and_gives_another_up(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(23):
            await post.send("ann@example.org")
        assert await post.reasons() == {"opened": 20, "quarantined": 3}
        through, given_up, kept = post.ids[20:]
        assert await post.operator().retry([through], now=post.at + MINUTE) == [through]
        assert await post.operator().drop([given_up], now=post.at + MINUTE, who="ann") == [given_up]
        assert (await post.reasons())["opened"] == 21
        view = await home.view(through)
        assert (view.status, [action.kind.value for action in view.actions]) == (ReceiptStatus.PROCESSED, ["create"])
        told = {line.reason for line in view.timeline}
        assert {Reason.QUARANTINED, Reason.RETRIED_BY_OPERATOR, Reason.OPENED} <= told
        assert [letter.id for letter in await home.journal.reader().dead_letters()] == [kept]
        await post.send("ann@example.org")  # one that was let through by hand opens no door for the next
        assert (await post.reasons())["quarantined"] == 3


async def test_what_asks_nothing_of_a_helpdesk_does_not_count(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(30):
            await post.send("ann@example.org", "rubbish")
            await post.send("ann@example.org", Auto_Submitted="auto-replied")
        again = post.mail("ann@example.org")
        for _ in range(30):
            copy = NewReceipt(new_id(), "post", post.at, again.body, "message/rfc822", (), {"door": "http"})
            await home.pipeline.accept(copy)
        post.ids.remove(again.id)
        post.at += 1
        for _ in range(20):
            await post.send("ann@example.org")
        assert await post.reasons() == {"dropped_by_rule": 30, "orphan_note": 30, "opened": 19, "quarantined": 1}


async def test_machines_that_answer_into_one_ticket_are_held_and_the_person_there_is_not(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        first = post.mail("Ann <ann@example.org>", Cc="robot0@r.example, robot1@r.example, robot2@r.example")
        await home.pipeline.accept(first)
        thread = f"<0.{NIGHT:.0f}@x.example>"
        for number in range(60):
            post.at += 10
            await post.send(f"robot{number % 3}@r.example", Auto_Submitted="auto-replied", References=thread)
        await post.send("Ann <ann@example.org>", "Re: help", References=thread)
        assert await post.reasons() == {"opened": 1, "noted": 30, "quarantined": 31}
        assert (await home.view(post.ids[-1])).status is ReceiptStatus.PROCESSED
        (incident,) = (await home.view(first.id)).incidents
        assert incident.sequence == 31
        assert "for its incident" in (await home.view(post.ids[50])).detail


async def test_persons_who_write_as_fast_as_machines_into_one_ticket_are_held_too(tmp_path: Path) -> None:
    loop = "{kind: mail, recipients: [support@t.example], loop: {per_sender: off, per_incident: 10/h}}"
    async with works(tmp_path, config=WITH_MAIL.replace("{kind: mail, recipients: [support@t.example]}", loop)) as home:
        post = Post(home)
        await home.pipeline.accept(post.mail("Ann <ann@example.org>", Cc="robot0@r.example, robot1@r.example"))
        thread = f"<0.{NIGHT:.0f}@x.example>"
        for number in range(20):
            await post.send(f"robot{number % 2}@r.example", References=thread)
        assert await post.reasons() == {"opened": 1, "noted": 9, "quarantined": 11}


async def test_a_mail_with_too_many_hops_waits_for_a_person_and_is_then_an_ordinary_one(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        new = post.mail("ann@example.org")
        body = b"Received: from a by b; c\r\n" * 31 + new.body
        await home.pipeline.accept(NewReceipt(new.id, "post", NIGHT, body, "message/rfc822"))
        assert await post.reasons() == {"quarantined": 1}
        await post.operator().retry(post.ids, now=NIGHT + 1)
        assert await post.reasons() == {"opened": 1}


async def test_the_first_of_a_storm_says_that_it_begins(tmp_path: Path) -> None:
    async with works(tmp_path, config=WITH_MAIL) as home:
        post = Post(home)
        for _ in range(30):
            await post.send("ann@example.org")
        await post.reasons()
        post.at += 2 * HOUR
        for _ in range(30):
            await post.send("ann@example.org")
        await post.reasons()
        whats = Counter([_held(await home.view(name)).what for name in (*post.ids[20:30], *post.ids[50:])])
        assert whats == {"quarantine": 2, "held": 18}


def _held(view: ReceiptView) -> HistoryLine:
    (line,) = [line for line in view.timeline if line.reason is Reason.QUARANTINED]
    return line
