"""A mail door over a list of receipts, and clients that speak to it byte by byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from gateway.config.models import LmtpServer, SmtpServer, SourceSettings
from gateway.model.receipt import Accepted, NewReceipt
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.server import MailServer

MESSAGE = b"Message-ID: <1@sender.example>\r\nSubject: disk\r\n\r\nfull\r\n"
SENDER = b"MAIL FROM:<nagios@monitor.example>"
SUPPORT = b"RCPT TO:<support@own.example>"
SALES = b"RCPT TO:<sales@own.example>"


class MailSettings(SourceSettings):
    """The settings of a mail source as far as the door reads them."""

    recipients: list[str]


def mail(*recipients: str, **settings: object) -> MailSettings:
    return MailSettings.model_validate({"kind": "mail", "recipients": list(recipients), **settings})


SOURCES = {
    "desk": mail("support@own.example", "alerts+*@own.example", "postmaster@own.example"),
    "sales": mail("sales@own.example"),
}


@dataclass
class Box:
    """The intake behind the door: what it made durable, and what it was told to do instead."""

    receipts: list[NewReceipt] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept_all(self, new: Sequence[NewReceipt]) -> list[Accepted]:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        for one in new:
            if one.source in self.faults:
                raise self.faults[one.source]
        answers: list[Accepted] = []
        for one in new:
            first = next((old for old in self.receipts if self._same(old, one)), None)
            answers.append(Accepted(one.id, duplicate_of=None if first is None else first.id))
            if first is None:
                self.receipts.append(one)
        self.batches.append(len(new))
        return answers

    @staticmethod
    def _same(old: NewReceipt, new: NewReceipt) -> bool:
        return new.duplicate_key is not None and (old.source, old.body, old.duplicate_key) == (
            new.source,
            new.body,
            new.duplicate_key,
        )

    @property
    def bodies(self) -> list[bytes]:
        return [receipt.body for receipt in self.receipts]


@dataclass
class Client:
    """One connection. Answers are read one at a time, several lines as one."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reset: bool = False

    async def answer(self, seconds: float = 5.0) -> bytes:
        """The next answer without its last line end; empty at the end of the connection."""
        lines: list[bytes] = []
        async with asyncio.timeout(seconds):
            while True:
                try:
                    line = await self.reader.readline()
                except ConnectionError:
                    return b""
                lines.append(line.rstrip(b"\r\n"))
                if line[3:4] != b"-":
                    return b"\n".join(lines)

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop: the transport is closed
            self.writer.write(data)
            await self.writer.drain()

    async def say(self, line: bytes) -> bytes:
        await self.send(line + b"\r\n")
        return await self.answer()

    async def code(self, line: bytes) -> int:
        return int((await self.say(line))[:3] or b"0")

    async def begin(self, *recipients: bytes, sender: bytes = SENDER, hello: bytes = b"EHLO c.example") -> bytes:
        """Everything up to DATA's answer."""
        await self.say(hello)
        await self.say(sender)
        for recipient in recipients or (SUPPORT,):
            assert (await self.say(recipient)).startswith(b"250")
        return await self.say(b"DATA")

    async def deliver(self, text: bytes = MESSAGE, *recipients: bytes) -> bytes:
        assert (await self.begin(*recipients)).startswith(b"354")
        return await self.say(text + b".")

    async def rest(self, seconds: float = 5.0) -> bytes:
        """All that still comes until the other side closes; nothing, and ``reset`` is set, where it cuts us off."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read()
            except ConnectionError:
                self.reset = True
                return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS after a 220."""
        await self.writer.start_tls(context, server_hostname="localhost")


@dataclass
class House:
    """A door that is open, and all that is behind it."""

    server: MailServer
    box: Box
    admission: Admission
    metrics: Metrics

    @property
    def port(self) -> int:
        return int(self.server.addresses[0].rpartition(":")[2])

    @contextlib.asynccontextmanager
    async def client(self, context: ssl.SSLContext | None = None, *, greet: bool = True) -> AsyncIterator[Client]:
        name = "localhost" if context is not None else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)
        client = Client(reader, writer)
        try:
            if greet:
                assert (await client.answer()).startswith(b"220")
            yield client
        finally:
            await client.close()


@contextlib.asynccontextmanager
async def house(
    *,
    lmtp: bool = False,
    box: Box | None = None,
    sources: dict[str, MailSettings] | None = None,
    admission: Admission | None = None,
    **settings: object,
) -> AsyncIterator[House]:
    """An open door; ``settings`` are those of the configuration."""
    model = LmtpServer if lmtp else SmtpServer
    wanted = model.model_validate({"listen": "127.0.0.1:0", "hostname": "own.example", **settings})
    found, gates = box or Box(), admission or Admission()
    names = SOURCES if sources is None else sources
    metrics = Metrics(names)
    mailroom = Mailroom(names, found.accept_all, hostname="own.example", clock=lambda: 1_795_303_161.0)
    server = MailServer(wanted, mailroom, admission=gates, metrics=metrics, sweep=0.02)
    await server.start()
    try:
        yield House(server, found, gates, metrics)
    finally:
        await server.stop(1.0)
