"""Two programs answer each other all night, and we are in the middle: how many tickets, how many entries."""

import asyncio
import smtplib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.model.reasons import Reason
from tests.e2e.house import CONFIG, House, house
from tests.e2e.test_time import Clock

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: mail
    match: {source: mail}
    ticket:
      helpdesk: osticket
      template: generic
      fields: {email: "{{ event.sender.address }}", name: "{{ event.sender.name or 'Somebody' }}", autorespond: true}
"""
WITH_MAIL = CONFIG.replace(
    "server:\n", 'server:\n  smtp: {{listen: "127.0.0.1:0", hostname: tickets.example.org}}\n'
).replace("sources:\n", "sources:\n  mail: {{kind: mail, recipients: [support@tickets.example.org]}}\n")
OPERATOR = {"Authorization": "Bearer the-operators-token"}
ONE, OTHER = "info@one.example", "office@other.example"
NIGHT_HOURS = 8


@dataclass
class Responder:
    """A program that answers every mail at once. ``marked``: it says that it does; ``threaded``: it says what it answers."""

    address: str
    marked: bool = False
    threaded: bool = False
    sent: list[str] = field(default_factory=list)

    def answer(self, to: str, subject: str, message_id: str, thread: str = "") -> bytes:
        identity = f"<{len(self.sent)}.answer@{self.address.partition('@')[2]}>"
        self.sent.append(identity)
        lines = [
            f"From: {self.address}",
            "To: support@tickets.example.org",
            f"Cc: {to}",
            f"Subject: {subject}",
            f"Message-ID: {identity}",
        ]
        lines += ["Auto-Submitted: auto-replied"] if self.marked else []
        lines += [f"In-Reply-To: {message_id}", f"References: {thread or message_id}"] if self.threaded else []
        return "\r\n".join(
            [*lines, "", "Thank you for your mail. We answer soon.", f"Your number: {len(self.sent)}"]
        ).encode()


@dataclass
class Line:
    """A mail client before the gateway's door."""

    home: House

    def send(self, sender: str, message: bytes) -> None:
        port = int(next(one for one in self.home.gateway.addresses if one.startswith("smtp://")).rpartition(":")[2])
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail(sender, ["support@tickets.example.org"], message)


async def reasons(home: House) -> Counter[str]:
    return Counter(line.reason for line in await home.gateway.reader.receipts(limit=10_000))


async def a_night(home: House, clock: Clock, first: Responder, second: Responder) -> int:
    """Each answers the other every minute, and both put us into the copy. Gives the number of mails."""
    line, thread, last = Line(home), "<begin@one.example>", "<begin@one.example>"
    for _ in range(NIGHT_HOURS * 30):
        for responder, peer in ((first, second), (second, first)):
            mail = responder.answer(peer.address, f"Your mail {len(responder.sent)}", last, thread)
            await asyncio.to_thread(line.send, responder.address, mail)
            last = responder.sent[-1]
            clock.offset += 60
    await home.settled()
    return len(first.sent) + len(second.sent)


@pytest.mark.parametrize(
    ("marked", "threaded", "tickets", "entries"),
    [(True, True, 0, 0), (True, False, 0, 0), (False, True, 2, 40), (False, False, 40, 40)],
    ids=["both say what they are", "both say what they are, without threads", "a thread", "no sign at all"],
)
async def test_two_automatic_programs_answer_each_other_for_a_night(
    tmp_path: Path, *, marked: bool, threaded: bool, tickets: int, entries: int
) -> None:
    clock = Clock()
    async with house(tmp_path, ROUTES, config=WITH_MAIL, clock=clock) as home:
        with capture_logs() as logs:
            sent = await a_night(home, clock, Responder(ONE, marked, threaded), Responder(OTHER, marked, threaded))
        found = home.tickets()
        assert sent == 480
        assert len(found) <= tickets
        written = sum(len(home.entries(number)) for number in range(len(found)))
        assert written <= entries
        became = await reasons(home)
        assert became["orphan_note"] == (480 if marked else 0)
        assert became["opened"] + became["noted"] == written
        assert became["quarantined"] == (0 if marked else 480 - written)
        letters = await home.gateway.reader.dead_letters()
        assert [letter.reason for letter in letters] == [Reason.QUARANTINED] * became["quarantined"]
        assert _begun(logs) == (0 if marked else 2)


def _begun(logs: Sequence[Mapping[str, object]]) -> int:
    return sum(line["event"] == "quarantine begins" and line["log_level"] == "warning" for line in logs)


def confirmations(home: House) -> set[str]:
    """The Message-IDs of the mails that the helpdesk would have sent."""
    found: set[str] = set()
    for ticket in home.tickets():
        mails = ticket["mails"]
        assert isinstance(mails, list)
        found |= {str(mail["message_id"]) for mail in mails if isinstance(mail, dict)}
    return found


async def test_the_helpdesks_own_confirmations_and_a_program_that_answers_them_stop_by_themselves(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with house(tmp_path, ROUTES, config=WITH_MAIL, clock=clock) as home:
        line, responder, answered = Line(home), Responder(ONE), set[str]()
        await asyncio.to_thread(line.send, ONE, responder.answer("", "My first mail", ""))
        with capture_logs() as logs:
            for _ in range(NIGHT_HOURS * 120):  # every 30 s
                await home.settled()
                new = confirmations(home) - answered
                if not new:
                    break
                for mail in sorted(new):
                    answered.add(mail)
                    await asyncio.to_thread(line.send, ONE, responder.answer("", f"Away: {len(answered)}", mail))
                clock.offset += 30
        assert len(responder.sent) == 21
        assert len(home.tickets()) == 20
        assert await reasons(home) == {"opened": 20, "quarantined": 1}
        assert _begun(logs) == 1
        scraped = (await home.client.get(f"{home.url}/metrics", headers=OPERATOR)).text
        assert 'ticket_gateway_decisions_total{reason="quarantined"} 1.0' in scraped


RECEIVED = "Received: from a.example by b.example; Sat, 21 Nov 2026 23:19:21 +0000\r\n"
SIGNS = {
    "a person": ("", ONE, "opened", ""),
    "a vacation program": ("Auto-Submitted: auto-replied\r\n", ONE, "orphan_note", "auto-replied"),
    "a machine": ("Auto-Submitted: auto-generated\r\n", ONE, "opened", "auto-generated"),
    "an old vacation program": ("Precedence: auto_reply\r\n", ONE, "orphan_note", "auto-replied"),
    "bulk": ("Precedence: bulk\r\n", ONE, "opened", "bulk"),
    "a newsletter": ("List-Unsubscribe: <https://a.example/u>\r\n", ONE, "opened", "bulk"),
    "a mailing list": ("List-Id: <l.a.example>\r\nList-Post: <mailto:l@a.example>\r\n", ONE, "opened", "list"),
    "a filter of somebody": ("X-Loop: somebody@a.example\r\n", ONE, "opened", "auto-generated"),
    "no sender": ("", "", "opened", "auto-generated"),
    "a report without sender": ("X-Failed-Recipients: a@a.example\r\n", "", "orphan_note", "bounce"),
    "our own header": ("X-Ticket-Gateway: hq\r\n", ONE, "orphan_note", ""),
    "our own Message-ID": ("Message-ID: <1@own.example>\r\n", ONE, "orphan_note", ""),
    "thirty hops": (RECEIVED * 30, ONE, "opened", ""),
    "more hops": (RECEIVED * 31, ONE, "quarantined", ""),
}


async def test_every_sign_of_a_loop_counts_on_the_whole_way(tmp_path: Path) -> None:
    config = WITH_MAIL.replace("kind: mail,", "kind: mail, own_domains: [own.example],")
    async with house(tmp_path, ROUTES, config=config) as home:
        for name, (headers, sender, _, _) in SIGNS.items():
            head = (
                f"{headers}From: info{len(name)}@one.example\r\nTo: support@tickets.example.org\r\nSubject: {name}\r\n"
            )
            await asyncio.to_thread(Line(home).send, sender, f"{head}\r\nHello, says {name}.\r\n".encode())
        await home.settled()
        found: dict[str, tuple[str, str]] = {}
        for line in await home.gateway.reader.receipts(limit=50):
            view = await home.gateway.reader.receipt(line.id)
            assert view is not None
            labels = view.events[0].event["labels"]
            assert isinstance(labels, dict)
            found[line.title] = view.events[0].reason.value, labels.get("mail.auto", "")
        assert found == {name: (reason, auto) for name, (_, _, reason, auto) in SIGNS.items()}
        assert {str(ticket["subject"]) for ticket in home.tickets()} == {
            name for name, (_, _, reason, _) in SIGNS.items() if reason == "opened"
        }
