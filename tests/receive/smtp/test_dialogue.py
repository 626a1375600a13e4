"""What clients and the door say to each other when all is well."""

import asyncio
import contextlib
import shutil
import smtplib
import subprocess
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.journal.sqlite import open_sqlite
from gateway.model.receipt import Accepted, NewReceipt
from gateway.receive.serve import CannotListen
from gateway.receive.smtp.mailroom import Mailroom
from tests.receive.smtp.support import MESSAGE, SALES, SENDER, SOURCES, SUPPORT, Box, Client, house, mail

pytestmark = pytest.mark.anyio


async def test_the_door_offers_what_it_can() -> None:
    async with house(max_message="1MiB") as gate, gate.client(greet=False) as client:
        assert await client.answer() == b"220 own.example ESMTP ticket-gateway"
        assert (await client.say(b"EHLO c.example")).splitlines() == [
            b"250-own.example", b"250-PIPELINING", b"250-SIZE 1048576", b"250-8BITMIME", b"250-SMTPUTF8",
            b"250 ENHANCEDSTATUSCODES",
        ]  # fmt: skip


async def test_a_client_that_says_helo_is_served() -> None:
    async with house() as gate, gate.client() as client:
        assert (await client.begin(hello=b"HELO zabbix")).startswith(b"354")
        assert (await client.say(MESSAGE + b".")).startswith(b"250 2.0.0 queued as ")
        assert gate.box.receipts[0].envelope["helo"] == "zabbix"


async def test_a_message_becomes_one_receipt_per_source_in_one_transaction() -> None:
    async with house() as gate, gate.client() as client:
        answer = await client.deliver(MESSAGE, SUPPORT, SALES, b"RCPT TO:<Alerts+DB@own.example>")
        assert gate.box.batches == [2]
        desk, sales = gate.box.receipts
        assert answer == b"250 2.0.0 queued as " + desk.id.encode()
        assert (desk.source, sales.source, desk.body, sales.body) == ("desk", "sales", MESSAGE, MESSAGE)
        assert (desk.content_type, desk.peer) == ("message/rfc822", "127.0.0.1")
        assert desk.envelope == {
            "door": "smtp", "mail_from": "nagios@monitor.example", "helo": "c.example",
            "rcpt_to": "support@own.example\nAlerts+DB@own.example", "subaddress": "DB",
        }  # fmt: skip
        assert sales.envelope["rcpt_to"] == "sales@own.example"
        assert "subaddress" not in sales.envelope


async def test_the_null_sender_is_an_empty_text() -> None:
    async with house() as gate, gate.client() as client:
        await client.begin(sender=b"MAIL FROM:<> SIZE=10 BODY=8BITMIME")
        await client.say(MESSAGE + b".")
        assert gate.box.receipts[0].envelope["mail_from"] == ""
        assert gate.box.receipts[0].envelope["body"] == "8BITMIME"


async def test_a_resent_message_is_answered_with_the_first_ones_id() -> None:
    async with house() as gate, gate.client() as client:
        first = await client.deliver()
        assert await client.deliver() == first
        assert len(gate.box.receipts) == 1


async def test_pipelined_commands_are_answered_in_order() -> None:
    whole = b"\r\n".join([b"EHLO c.example", SENDER, SUPPORT, b"RCPT TO:<nobody@own.example>", b"DATA"]) + b"\r\n"
    message = MESSAGE + b".\r\n"
    async with house() as gate, gate.client() as client:
        await client.send(whole + message + whole.partition(b"\r\n")[2] + message + b"NOOP\r\nQUIT\r\n")
        codes = [line[:3] for line in (await client.rest()).splitlines() if line[3:4] == b" "]
        assert codes == [
            b"250",
            b"250",
            b"250",
            b"550",
            b"354",
            b"250",
            b"250",
            b"250",
            b"550",
            b"354",
            b"250",
            b"250",
            b"221",
        ]
        assert len(gate.box.receipts) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [(b"VRFY root", 252), (b"EXPN list", 502), (b"ETRN x", 502), (b"TURN", 502), (b"ATRN", 502), (b"HELP", 214),
     (b"NOOP x", 250), (b"RSET", 250), (b"XCLIENT ADDR=127.0.0.1", 500), (b"LHLO x", 500), (b"", 500), (b"  ", 500),
     (b"STARTTLS", 502), (b"AUTH PLAIN AGEAYg==", 502), (b"EHLO", 501), (b"HELO", 501), (b"EHLO \x01", 501),
     (b"MAIL FROM:<a@b.example>", 503), (b"RCPT TO:<support@own.example>", 503), (b"DATA", 503), (b"\xff\xfe", 500)],
)  # fmt: skip
async def test_every_command_has_its_answer(command: bytes, code: int) -> None:
    async with house() as gate, gate.client() as client:
        assert await client.code(command) == code
        assert await client.code(b"noop") == 250


async def test_commands_out_of_turn_are_refused() -> None:
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        assert await client.code(SUPPORT) == 503
        assert await client.code(SENDER) == 250
        assert await client.code(SENDER) == 503
        assert await client.code(b"DATA") == 503
        assert await client.code(SUPPORT) == 250
        assert await client.code(b"DATA now") == 501
        assert await client.code(b"RSET") == 250
        assert await client.code(b"DATA") == 503
        await client.say(SENDER)
        assert await client.code(b"EHLO again.example") == 250
        assert await client.code(SUPPORT) == 503


async def test_only_configured_networks_may_connect() -> None:
    async with house(networks=["192.0.2.0/24"]) as gate, gate.client(greet=False) as client:
        assert (await client.rest()).startswith(b"554 5.7.1")
    async with house(networks=["127.0.0.0/8"]) as gate, gate.client() as client:
        assert (await client.deliver()).startswith(b"250")


async def test_a_configured_proxy_names_the_client() -> None:
    async with house(proxy_protocol=["127.0.0.1"], networks=["192.0.2.0/24"]) as gate:
        async with gate.client(greet=False) as client:
            await client.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 25\r\n")
            assert (await client.answer()).startswith(b"220")
            assert (await client.deliver()).startswith(b"250")
            assert gate.box.receipts[0].peer == "192.0.2.7"
        async with gate.client(greet=False) as client:
            await client.send(b"PROXY TCP4 198.51.100.1 192.0.2.1 5000 25\r\n")
            assert (await client.answer()).startswith(b"554")
        async with gate.client(greet=False) as client:
            await client.send(b"EHLO c.example\r\n")
            assert await client.rest() == b""


async def test_a_proxy_that_says_nothing_is_cut_off() -> None:
    limits = {"handshake": "100ms"}
    async with house(proxy_protocol=["127.0.0.1"], limits=limits) as gate, gate.client(greet=False) as client:
        assert await client.rest() == b""


# --------------------------------------------------------------------------------------------------------------- LMTP


async def test_lmtp_answers_for_every_recipient() -> None:
    box = Box(faults={"sales": OSError("disk")})
    async with house(lmtp=True, box=box) as gate, gate.client() as client:
        assert await client.code(b"EHLO c.example") == 500
        assert await client.code(b"HELO c.example") == 500
        await client.begin(SUPPORT, SALES, b"RCPT TO:<alerts+x@own.example>", hello=b"LHLO c.example")
        await client.send(MESSAGE + b".\r\n")
        answers = [await client.answer() for _ in range(3)]
        assert [answer[:9] for answer in answers] == [b"250 2.0.0", b"451 4.3.0", b"250 2.0.0"]
        (desk,) = box.receipts
        assert desk.envelope["door"] == "lmtp"
        assert desk.envelope["rcpt_to"] == "support@own.example\nalerts+x@own.example"
        box.faults.clear()
        await client.say(SENDER)
        await client.say(SALES)
        await client.say(b"DATA")
        assert (await client.say(MESSAGE + b".")).startswith(b"250")
        assert [receipt.source for receipt in box.receipts] == ["desk", "sales"]


async def test_lmtp_refuses_a_message_once_for_each_recipient() -> None:
    async with house(lmtp=True, max_message="64KiB") as gate, gate.client() as client:
        await client.begin(SUPPORT, SALES, hello=b"LHLO c.example")
        await client.send(b"x" * 200_000 + b"\r\n.\r\n")
        assert [(await client.answer())[:3] for _ in range(2)] == [b"552", b"552"]
        assert await client.code(b"NOOP") == 250


async def test_lmtp_is_served_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    async with house(lmtp=True, listen=f"unix:{path}", networks=["192.0.2.0/24"]) as gate:
        assert gate.server.addresses == [f"lmtp:unix:{path}"]
        client = Client(*await asyncio.open_unix_connection(str(path)))
        assert (await client.answer()) == b"220 own.example LMTP ticket-gateway"
        await client.begin(hello=b"LHLO c.example")
        assert (await client.say(MESSAGE + b".")).startswith(b"250")
        assert gate.box.receipts[0].peer == ""
        await client.close()
    assert not path.exists()


async def test_pythons_lmtp_client_is_served(tmp_path: Path) -> None:
    path = str(tmp_path / "lmtp.sock")

    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.LMTP(path) as client:
            return client.sendmail("a@b.example", ["support@own.example", "nobody@own.example"], MESSAGE)

    async with house(lmtp=True, listen=f"unix:{path}") as gate:
        refused = await asyncio.to_thread(send)
        assert refused["nobody@own.example"][0] == 550
        assert gate.box.bodies == [MESSAGE]


# ------------------------------------------------------------------------------------------------------- real clients


async def test_pythons_smtp_client_is_served() -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "größer", "ann@b.example", "support@own.example"
    message.set_content(".\n..dots\n" + "x" * 900)

    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            assert client.send_message(message) == {}
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("a@b.example", "root@elsewhere.example", MESSAGE)

    async with house() as gate:
        await asyncio.to_thread(send, gate.port)
        assert gate.box.bodies == [bytes(message).replace(b"\n", b"\r\n")]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs the Debian package swaks")
async def test_swaks_is_served() -> None:
    async with house() as gate:
        command = ["swaks", "--server", f"127.0.0.1:{gate.port}", "--to", "support@own.example", "--from", "<>"]
        done = await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True, timeout=20)
        assert done.returncode == 0, done.stdout
        assert b"This is a test mailing" in gate.box.bodies[0]


# ------------------------------------------------------------------------------------------------- start, stop, reload


async def test_a_stop_says_421_to_who_is_idle_and_lets_a_message_finish() -> None:
    async with house() as gate, gate.client() as idle, gate.client() as writing:
        await writing.begin()
        await writing.send(b"half")
        stopping = asyncio.create_task(gate.server.stop(5.0))
        assert (await idle.answer()).startswith(b"421 4.3.2")
        assert await idle.rest() == b""
        assert (await writing.say(b" and half\r\n.")).startswith(b"250")
        assert (await writing.rest()).startswith(b"421 4.3.2")
        await stopping


async def test_a_stop_does_not_wait_for_ever() -> None:
    async with house() as gate, gate.client() as writing:
        await writing.begin()
        await asyncio.wait_for(gate.server.stop(0.1), 2.0)
        assert (await writing.rest()).startswith(b"421 4.3.2")


async def test_a_reload_changes_the_recipients_of_open_connections_from_their_next_message_on() -> None:
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.say(SENDER)
        gate.server.replace(Mailroom({"new": mail("new@own.example")}, gate.box.accept_all))
        assert await client.code(b"RCPT TO:<new@own.example>") == 550
        await client.say(b"RSET")
        await client.say(SENDER)
        assert await client.code(b"RCPT TO:<new@own.example>") == 250
        assert await client.code(SUPPORT) == 550


async def test_a_message_whose_source_went_away_in_a_reload_is_still_taken() -> None:
    async with house() as gate, gate.client() as client:
        await client.begin()
        gate.server.replace(Mailroom({"new": mail("new@own.example")}, gate.box.accept_all))
        assert (await client.say(MESSAGE + b".")).startswith(b"250")
        assert gate.box.receipts[0].source == "desk"


async def test_a_door_that_wants_tls_without_a_certificate_does_not_open() -> None:
    with pytest.raises(CannotListen, match="no certificate"):
        async with house(require_tls=True):
            pass


async def test_an_address_in_use_is_told_and_nothing_stays_open() -> None:
    async with house() as gate:
        with pytest.raises(CannotListen, match=str(gate.port)):
            async with house(listen=["127.0.0.1:0", f"127.0.0.1:{gate.port}"]):
                pass


async def test_the_real_journal_keeps_one_receipt_of_a_message_sent_twice(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "journal.db", run="test")

    class Real(Box):
        async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
            return await journal.accept_all(new)

    try:
        async with house(box=Real()) as gate, gate.client() as client:
            first = await client.deliver(MESSAGE, SUPPORT, SALES)
            assert first.startswith(b"250")
            assert await client.deliver(MESSAGE, SUPPORT, SALES) == first
            receipts = await journal.claim_receipts(limit=10, now=2e9, lease=60.0)
            assert sorted(receipt.source for receipt in receipts) == ["desk", "sales"]
            assert {receipt.body for receipt in receipts} == {MESSAGE}
    finally:
        await journal.close()


# ----------------------------------------------------------------------------------------------------- any conversation

WORDS = st.sampled_from(
    [b"EHLO c", b"HELO c", b"LHLO c", SENDER, b"MAIL FROM:<>", SUPPORT, SALES, b"RCPT TO:<no@own.example>", b"DATA", b"RSET",
     b"NOOP", b"VRFY x", b"AUTH PLAIN", b"STARTTLS", b"", b".", b"..", b"text", b"\0", b"\xff\xff", b"x" * 3000, b"BDAT 1",
     b"QUIT", b"HELP", b"MAIL FROM:<\xff>", b"RCPT TO:<>", b"EHLO \r", b"a\nb", b"\r\n.\n.\r"],
)  # fmt: skip


@pytest.mark.parametrize("lmtp", [False, True])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS | st.binary(max_size=30), max_size=40), st.lists(st.integers(1, 400), max_size=6))
def test_whatever_a_client_says_nothing_is_taken_without_a_commit(
    lmtp: bool, words: list[bytes], cuts: list[int]
) -> None:
    asyncio.run(_converse(words, cuts, lmtp=lmtp))


async def _converse(words: list[bytes], cuts: list[int], *, lmtp: bool) -> None:
    data = b"".join(word + b"\r\n" for word in words)
    async with house(lmtp=lmtp) as gate:
        async with gate.client() as client:
            start = 0
            for cut in [*cuts, len(data)]:
                await client.send(data[start : start + cut])
                await asyncio.sleep(0)
                start += cut
            with contextlib.suppress(OSError, RuntimeError):  # the door has closed meanwhile
                client.writer.write_eof()
            said = await client.rest()
        for line in said.splitlines():
            assert line[:3].isdigit()
            assert b"4.3.0" not in line, line  # no fault of ours
        taken = [line for line in said.splitlines() if b"queued as" in line]
        assert {line.rpartition(b" ")[2].decode() for line in taken} <= {receipt.id for receipt in gate.box.receipts}
        assert client.reset or len(taken) >= len(gate.box.batches)  # who sends after QUIT may lose answers
        assert gate.admission.in_flight == 0
        async with gate.client() as other:
            assert await other.code(b"NOOP") == 250


def test_the_sources_of_the_tests_have_recipients() -> None:
    assert set(SOURCES) == {"desk", "sales"}
