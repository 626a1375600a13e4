"""The attacks on an SMTP receiver, byte by byte."""

import asyncio
import contextlib
import tracemalloc

import pytest

from gateway.journal.protocol import JournalBroken, JournalError, JournalFull
from gateway.receive.admission import Admission
from gateway.receive.intake import IntakeClosed
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.recipients import Owner
from tests.receive.smtp.support import MESSAGE, SALES, SENDER, SOURCES, SUPPORT, Box, house, mail

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r.\r\n", b"\n\n.\r\n"]
)
async def test_only_crlf_dot_crlf_ends_a_message(end: bytes) -> None:
    inner = b"MAIL FROM:<ceo@own.example>\r\nRCPT TO:<support@own.example>\r\nDATA\r\nsmuggled"
    async with house() as gate, gate.client() as client:
        await client.begin()
        answer = await client.say(MESSAGE + b"first" + end + inner + b"\r\n.")
        assert answer.startswith(b"250")
        assert await client.code(b"NOOP") == 250
        text = MESSAGE + b"first" + end + inner + b"\r\n"
        assert gate.box.bodies == [text.replace(b"\r\n.", b"\r\n")]  # a dot that begins a line was added on the way


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\0\r\n", b"NOOP \r\r\n"])
async def test_a_command_line_with_a_bare_cr_lf_or_nul_is_refused(line: bytes) -> None:
    async with house() as gate, gate.client() as client:
        await client.send(line)
        assert (await client.answer()).startswith(b"500 5.5.2")
        assert await client.code(b"NOOP") == 250


async def test_an_endless_command_line_costs_no_memory_and_ends_the_connection() -> None:
    async with house() as gate, gate.client() as client:
        await client.send(b"x" * 100_000 + b"\r\n")
        assert (await client.answer()).startswith(b"500 5.5.2")
        tracemalloc.start()
        try:
            for _ in range(40):
                await client.send(b"x" * 2**20)
            assert (await client.rest()).startswith(b"421")
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()


async def test_a_message_beyond_the_cap_is_refused_after_it_was_thrown_away_while_reading() -> None:
    async with house(max_message="1MiB") as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        assert (await client.say(SENDER + b" SIZE=1048577")).startswith(b"552 5.3.4")
        await client.begin(sender=SENDER + b" SIZE=10")
        tracemalloc.start()
        try:
            for _ in range(60):
                await client.send(b"x" * 2**20)
            assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
        finally:
            tracemalloc.stop()
        assert (await client.say(b"\r\n.")).startswith(b"552 5.3.4")
        assert gate.admission.in_flight == 0
        assert (await client.deliver()).startswith(b"250")
        assert gate.box.bodies == [MESSAGE]


@pytest.mark.parametrize("length", [1002, 5_000, 600_000])
async def test_a_long_line_is_a_line(length: int) -> None:
    text = b"Subject: log\r\n\r\n" + b"x" * length + b"\r\n"
    async with house() as gate, gate.client() as client:
        assert (await client.deliver(text)).startswith(b"250")
        assert gate.box.bodies == [text]


@pytest.mark.parametrize(
    "command", [b"NOOP", b"RSET", b"VRFY x", b"EHLO c.example", b"MAIL FROM:<a@b.example>", b"HELP"]
)
async def test_useless_commands_come_to_an_end(command: bytes) -> None:
    async with house() as gate, gate.client() as client:
        await client.send((command + b"\r\n") * 3000)
        answers = (await client.rest()).splitlines()
        assert answers[-1].startswith(b"421 4.7.0")
        assert len(answers) < 1000


async def test_a_message_buys_new_commands() -> None:
    async with house(limits={"commands": 20}) as gate, gate.client() as client:
        for number in range(10):
            assert (await client.deliver(MESSAGE + b"%d\r\n" % number)).startswith(b"250")
            assert await client.code(b"RSET") == 250


async def test_errors_come_to_an_end() -> None:
    async with house(limits={"errors": 3}) as gate, gate.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nAccept: z\r\n\r\n")
        assert (await client.rest()).splitlines()[-1] == b"421 4.7.0 Too many errors"


async def test_a_session_without_a_message_ends_however_lively_it_is() -> None:
    async with house(limits={"session": "300ms", "idle": "200ms"}) as gate, gate.client() as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                await client.send(b"NOOP\r\n")
                await asyncio.sleep(0.06)
        assert (await client.rest()).splitlines()[-1].startswith(b"421 4.4.2")


async def test_a_silent_client_is_sent_away() -> None:
    async with house(limits={"idle": "100ms"}) as gate, gate.client() as client:
        assert (await client.rest()).startswith(b"421 4.4.2")


async def test_a_text_that_drips_has_a_deadline() -> None:
    async with house(limits={"data": "200ms", "idle": "10s"}) as gate, gate.client() as client:
        await client.begin()
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                await client.send(b"x")
                await asyncio.sleep(0.04)
        assert (await client.rest()).startswith(b"421 4.4.2")
        assert gate.box.receipts == []
        assert gate.admission.in_flight == 0


async def test_connections_of_one_client_and_of_all_are_capped() -> None:
    async with (
        house(limits={"connections": 4, "connections_per_peer": 3}) as gate,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(3):
            await stack.enter_async_context(gate.client())
        async with gate.client(greet=False) as fourth:
            assert (await fourth.answer()).startswith(b"421 4.7.0 Too many connections from")
    async with house(limits={"connections": 2}) as gate, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(gate.client())
        async with gate.client(greet=False) as third:
            assert (await third.rest()).startswith(b"421 4.7.0 Too many connections,")


async def test_a_connection_that_ends_gives_its_place_back() -> None:
    async with house(limits={"connections_per_peer": 1, "connections": 1}) as gate:
        for _ in range(5):
            async with gate.client() as client:
                assert await client.code(b"QUIT") == 221
                assert await client.rest() == b""


async def test_a_rate_of_connections_holds() -> None:
    async with house(limits={"connection_rate": "2/h"}) as gate:
        for _ in range(2):
            async with gate.client() as client:
                await client.say(b"QUIT")
        async with gate.client(greet=False) as third:
            assert (await third.answer()).startswith(b"421")


async def test_recipients_are_capped_at_no_less_than_a_hundred() -> None:
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.say(SENDER)
        await client.send(b"".join(b"RCPT TO:<alerts+%d@own.example>\r\n" % number for number in range(5000)))
        codes = [(await client.answer())[:9] for _ in range(190)]
        assert codes[:100] == [b"250 2.1.5"] * 100
        assert set(codes[100:]) <= {b"452 4.5.3", b"421 4.7.0"}


@pytest.mark.parametrize(
    "recipient",
    [b"<v@elsewhere.example>", b"<v%elsewhere.example@own.example>", b"<@own.example:v@elsewhere.example>",
     b'<"v@elsewhere.example"@own.example>', b"<support@own.example.attacker.example>", b"<>", b"<alerts@own.example>",
     b"<support+x@own.example>"],
)  # fmt: skip
async def test_nothing_is_relayed(recipient: bytes) -> None:
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.say(SENDER)
        assert (await client.say(b"RCPT TO:" + recipient)).startswith(b"550 5.1.1")
        assert await client.code(b"DATA") == 503
        assert await client.code(SUPPORT) == 250


async def test_nul_and_8_bit_are_kept_byte_for_byte() -> None:
    text = b"Subject: \0 \xff\xe4\r\n\r\n\0\x80\x1b[31m\r\nlone \r and \n\r\n"
    async with house() as gate, gate.client() as client:
        assert (await client.deliver(text)).startswith(b"250")
        assert gate.box.bodies == [text]


async def test_an_address_beyond_ascii_needs_smtputf8_and_must_be_utf8() -> None:
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        assert await client.code("MAIL FROM:<jösé@b.example>".encode()) == 553
        assert await client.code(b"MAIL FROM:<\xff@b.example> SMTPUTF8") == 553
        assert await client.code("MAIL FROM:<jösé@b.example> SMTPUTF8".encode()) == 250
        assert await client.code("RCPT TO:<jösé@own.example>".encode()) == 550
        assert await client.code(b"RCPT TO:<\xff@own.example>") == 553
        assert await client.code(SUPPORT) == 250
        assert await client.code(b"DATA") == 354
        assert (await client.say(MESSAGE + b".")).startswith(b"250")
        assert gate.box.receipts[0].envelope["mail_from"] == "jösé@b.example"


async def test_chunks_that_were_not_offered_never_run_as_commands() -> None:
    chunk = SENDER + b"\r\n" + SUPPORT + b"\r\nDATA\r\nx\r\n.\r\n"
    async with house() as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.send(b"BDAT %d LAST\r\n" % len(chunk) + chunk)
        answers = (await client.rest()).splitlines()
        assert [answer[:3] for answer in answers] == [b"502", b"421"]
        assert gate.box.receipts == []


async def test_a_client_that_vanishes_in_the_text_leaves_nothing() -> None:
    async with house() as gate:
        async with gate.client() as client:
            await client.begin()
            await client.send(MESSAGE)
        async with gate.client() as client:
            await client.begin()
            await client.send(MESSAGE + b".\r")
            client.writer.write_eof()
            assert await client.rest() == b""
        assert gate.box.receipts == []
        assert gate.admission.in_flight == 0


async def test_a_client_that_vanishes_before_the_answer_has_delivered_once() -> None:
    box = Box(hold=asyncio.Event())
    assert box.hold is not None
    async with house(box=box) as gate:
        async with gate.client() as client:
            await client.begin()
            await client.send(MESSAGE + b".\r\n")
            await box.entered.wait()
        box.hold.set()
        async with gate.client() as client:
            answer = await client.deliver()
        assert [answer.rpartition(b" ")[2].decode()] == [receipt.id for receipt in box.receipts]
        assert gate.admission.in_flight == 0


async def test_a_client_that_ends_its_side_still_gets_its_answer() -> None:
    box = Box(hold=asyncio.Event())
    assert box.hold is not None
    async with house(box=box) as gate, gate.client() as client:
        await client.begin()
        await client.send(MESSAGE + b".\r\nQUIT\r\n")
        client.writer.write_eof()
        await box.entered.wait()
        box.hold.set()
        assert [line[:3] for line in (await client.rest()).splitlines()] == [b"250", b"221"]


async def test_250_comes_after_the_commit_and_not_before() -> None:
    box = Box(hold=asyncio.Event())
    assert box.hold is not None
    async with house(box=box) as gate, gate.client() as client:
        await client.begin()
        await client.send(MESSAGE + b".\r\n")
        await box.entered.wait()
        with pytest.raises(TimeoutError):
            await client.answer(0.1)
        box.hold.set()
        assert (await client.answer()).startswith(b"250 2.0.0 queued as ")


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (JournalFull("/var/lib/secret is full"), b"452 4.3.1"),
        (JournalBroken("/var/lib/secret broke"), b"451 4.3.0"),
        (JournalError("/var/lib/secret"), b"451 4.3.0"),
        (IntakeClosed(), b"421 4.3.2"),
        (ValueError("/var/lib/secret"), b"451 4.3.0"),
        (OSError(28, "no space", "/var/lib/secret"), b"451 4.3.0"),
    ],
)
async def test_our_faults_are_temporary_and_show_nothing(fault: Exception, answer: bytes) -> None:
    box = Box(faults={"desk": fault})
    async with house(box=box) as gate, gate.client() as client:
        said = await client.deliver()
        assert said.startswith(answer)
        assert b"/" not in said
        assert b"Error" not in said
        box.faults.clear()
        assert (await client.deliver()).startswith(b"250")


async def test_a_lost_journal_is_told_to_the_gateway() -> None:
    told: list[BaseException] = []
    box = Box(faults={"desk": JournalBroken("gone")})
    async with house(box=box) as gate:
        assert gate.server._house is not None
        gate.server._house.on_broken = told.append
        async with gate.client() as client:
            await client.deliver()
    assert [str(error) for error in told] == ["gone"]


async def test_without_room_mail_is_put_off_before_it_is_sent() -> None:
    admission = Admission(max_waiting=1)
    async with house(admission=admission) as gate, gate.client() as client:
        assert (await client.deliver()).startswith(b"250")
        assert (await client.say(SENDER)).startswith(b"452 4.3.1")


async def test_bytes_in_flight_are_bounded_over_all_connections() -> None:
    async with house(admission=Admission(max_in_flight=300_000)) as gate:
        async with gate.client() as first, gate.client() as second:
            await first.begin()
            await first.send(b"x" * 200_000)
            await second.begin()
            await asyncio.sleep(0.05)
            assert (await second.say(b"y" * 200_000 + b"\r\n.")).startswith(b"452 4.3.1")
            assert (await first.say(b"\r\n.")).startswith(b"250")
            await second.begin()
            assert (await second.say(b"y" * 200_000 + b"\r\n.")).startswith(b"250")
        assert gate.admission.in_flight == 0


async def test_a_stranger_cannot_speak_for_others() -> None:
    async with house(proxy_protocol=["192.0.2.1"]) as gate, gate.client() as client:
        assert (await client.say(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25")).startswith(b"500")


async def test_what_the_client_says_of_itself_is_not_its_address() -> None:
    async with house() as gate, gate.client() as client:
        await client.begin(hello=b"EHLO [192.0.2.99]")
        await client.say(b"Received: from 192.0.2.99\r\nX-Zammad-Ignore: true\r\n\r\n.")
        (receipt,) = gate.box.receipts
        assert (receipt.peer, receipt.envelope["helo"]) == ("127.0.0.1", "[192.0.2.99]")


async def test_dots_are_unstuffed() -> None:
    async with house() as gate, gate.client() as client:
        await client.begin()
        await client.say(b"..\r\n..x\r\nx..\r\n...\r\n.")
        assert gate.box.bodies == [b".\r\n.x\r\nx..\r\n..\r\n"]


async def test_a_client_that_reads_no_answers_gets_no_more_of_them() -> None:
    async with house(limits={"commands": 10_000_000, "idle": "5s"}) as gate, gate.client() as client:
        client.writer.transport.set_write_buffer_limits(2**20)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            client.writer.write(b"EHLO c.example\r\n" * 1000)
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        (session,) = gate.server._sessions
        assert session._transport.get_write_buffer_size() < 2**21
        client.writer.transport.abort()


async def test_a_source_may_have_its_own_networks_size_and_rate() -> None:
    sources = {
        "far": mail("far@own.example", networks=["192.0.2.0/24"]),
        "small": mail("small@own.example", max_body="100B"),
        "seldom": mail("seldom@own.example", rate="1/h"),
    }
    async with house(sources=sources) as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.say(SENDER + b" SIZE=200")
        assert (await client.say(b"RCPT TO:<far@own.example>")).startswith(b"550 5.7.1")
        assert (await client.say(b"RCPT TO:<small@own.example>")).startswith(b"552 5.3.4")
        await client.say(b"RSET")
        assert (await client.deliver(b"x" * 200 + b"\r\n", b"RCPT TO:<small@own.example>")).startswith(b"552 5.3.4")
        assert (await client.deliver(MESSAGE, b"RCPT TO:<seldom@own.example>")).startswith(b"250")
        await client.say(SENDER)
        assert (await client.say(b"RCPT TO:<seldom@own.example>")).startswith(b"451 4.7.1")


class Broken(Mailroom):
    """A mailroom with a bug."""

    def find(self, address: str) -> Owner | None:
        raise RuntimeError("/var/lib/secret")


async def test_a_bug_of_ours_ends_one_session_with_an_id_and_nothing_else() -> None:
    async with house() as gate, gate.client() as client, gate.client() as other:
        gate.server.replace(Broken(SOURCES, gate.box.accept_all))
        await client.say(b"EHLO c.example")
        await client.say(SENDER)
        said = await client.say(SUPPORT)
        assert said.startswith(b"421 4.3.0 Local fault, try again later; its id is ")
        assert b"/" not in said
        assert await client.rest() == b""
        gate.server.replace(Mailroom(SOURCES, gate.box.accept_all))
        assert (await other.deliver(MESSAGE, SALES)).startswith(b"250")
