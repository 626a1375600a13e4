"""The client's side of SMTP, for one mail: what was sent, what was said, and where it broke off.

The only thing that matters beyond handing the mail over is what is proven when it fails. A mail without its final dot
cannot have been taken (RFC 5321, 4.1.1.4), so everything that goes wrong before the dot proves that nothing was; what is
lost after it proves nothing (RFC 1047).
"""

import asyncio
import base64
import contextlib
import re
import socket
import ssl
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.helpdesks.dial import dial

LONGEST_LINE = 4096
"""Octets of a line of a reply; 512 are allowed."""
MOST_LINES = 100
"""Lines of one reply."""
_FAREWELL = 1.0
"""Seconds for the server's word of goodbye, which nothing depends on."""
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\r?\n", re.DOTALL)


class Step(StrEnum):
    """How far a conversation has come; the words are for people."""

    CONNECT = "connecting"
    GREETING = "greeting"
    HELLO = "EHLO"
    TLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    TEXT = "end of the mail"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: the code, and its text on one line."""

    code: int
    text: str

    @property
    def is_good(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class Refused(Exception):
    """The server said no to a step."""

    def __init__(self, step: Step, reply: Reply, about: str = "") -> None:
        """``about``: the address it is about, if any."""
        super().__init__(f"{step.value}{f' {about}' if about else ''}: {reply}")
        self.step = step
        self.reply = reply


class Lost(Exception):
    """The conversation broke off, or what was heard is no SMTP. ``dotted``: the final dot had been written by then."""

    def __init__(self, step: Step, words: str, *, dotted: bool) -> None:
        super().__init__(f"{step.value}: {words}")
        self.step = step
        self.dotted = dotted


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails are handed over. ``tls`` is the context, None for none; ``implicit``: from the start."""

    host: str
    port: int
    hello: str
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A mail on its way: ASCII with CRLF line ends. The first recipient must be taken; later ones may be refused."""

    sender: str
    recipients: tuple[str, ...]
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Handed:
    """The server has the mail. ``refused`` are the further recipients that it does not know, each with its words."""

    reply: Reply
    refused: tuple[str, ...] = ()


async def hand_over(server: Server, envelope: Envelope, *, timeout: float) -> Handed:
    """Hand a mail over within ``timeout`` seconds in total.

    Raises:
        Refused: the server said no; it has not taken the mail.
        Lost: see there.
    """
    return await _converse(server, envelope, timeout, rehearsal=False)


async def rehearse(server: Server, envelope: Envelope, *, timeout: float) -> Reply:
    """Everything but the mail itself: connection, TLS, log-in, sender and recipients. Raises as `hand_over`."""
    return (await _converse(server, envelope, timeout, rehearsal=True)).reply


async def _converse(server: Server, envelope: Envelope, timeout: float, *, rehearsal: bool) -> Handed:
    talk = _Conversation(server)
    try:
        async with asyncio.timeout(timeout):
            await talk.begin()
            refused = await talk.addresses(envelope)
            reply = await talk.ask(b"RSET") if rehearsal else await talk.text(envelope.text)
        await talk.farewell()
    except TimeoutError:
        raise talk.lost(f"not done within {timeout:g} s") from None
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise talk.lost("the connection was lost") from error
    except (OSError, UnicodeError, asyncio.LimitOverrunError, ValueError) as error:
        raise talk.lost(str(error) or type(error).__name__) from error
    finally:
        talk.hang_up()
    return Handed(reply, refused)


class _Conversation:
    """One connection; ``step`` and ``dotted`` say how far it has come."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._step = Step.CONNECT
        self._dotted = False
        self._offers: dict[str, str] = {}
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._before_tls: asyncio.StreamWriter | None = None

    async def begin(self) -> None:
        """Connect, greet, go over to TLS, log in."""
        server = self._server
        sock = await dial(server.host, server.port)
        try:
            await self._open(sock)
        except BaseException:
            sock.close()
            raise
        self._step = Step.GREETING
        self._good(await self._reply())
        await self._hello()
        if server.tls is not None and not server.implicit:
            await self._start_tls(server.tls)
        if server.user:
            await self._log_in()

    async def addresses(self, envelope: Envelope) -> tuple[str, ...]:
        """Name sender and recipients; gives back the further recipients that were refused for good."""
        self._step = Step.MAIL
        size = f" SIZE={len(envelope.text)}" if "SIZE" in self._offers and envelope.text else ""
        self._good(await self.ask(f"MAIL FROM:<{envelope.sender}>{size}".encode("ascii")), envelope.sender)
        self._step = Step.RCPT
        refused: list[str] = []
        for place, recipient in enumerate(envelope.recipients):
            reply = await self.ask(f"RCPT TO:<{recipient}>".encode("ascii"))
            if place and reply.code >= 500:
                refused.append(f"{recipient}: {reply}")
            else:
                self._good(reply, recipient)
        return tuple(refused)

    async def text(self, text: bytes) -> Reply:
        """The mail, and then its final dot."""
        self._step = Step.DATA
        reply = await self.ask(b"DATA")
        if reply.code != 354:
            raise Refused(self._step, reply)
        await self._send(_stuffed(text))
        self._step, self._dotted = Step.TEXT, True
        await self._send(b".\r\n")
        reply = await self._reply()
        self._good(reply)
        return reply

    async def ask(self, command: bytes) -> Reply:
        """Send a command and read its reply."""
        await self._send(command + b"\r\n")
        return await self._reply()

    async def farewell(self) -> None:
        """Say goodbye; what becomes of it changes nothing."""
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):  # a timeout is an OSError
            async with asyncio.timeout(_FAREWELL):
                await self._send(b"QUIT\r\n")
                await self._reply()

    def lost(self, words: str) -> Lost:
        """The error for now."""
        return Lost(self._step, words, dotted=self._dotted)

    def hang_up(self) -> None:
        """Close at once, whatever is still to be sent."""
        for writer in (self._writer, self._before_tls):
            if writer is not None:
                writer.transport.abort()

    # ------------------------------------------------------------------------------------------------------- the steps

    async def _open(self, sock: socket.socket) -> None:
        server = self._server
        self._reader, self._writer = await asyncio.open_connection(
            sock=sock,
            ssl=server.tls if server.implicit else None,
            server_hostname=server.host if server.implicit else None,
            limit=LONGEST_LINE,
        )

    async def _hello(self) -> None:
        self._step = Step.HELLO
        reply = await self.ask(b"EHLO " + self._server.hello.encode("ascii"))
        self._offers = {}
        if reply.code in {500, 502}:  # a server of before 1995
            reply = await self.ask(b"HELO " + self._server.hello.encode("ascii"))
        self._good(reply)
        for line in self._lines[1:]:
            name, _, rest = line.partition(" ")
            self._offers[name.upper()] = rest.upper()

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        """Go over to TLS. What the server said before is forgotten: anybody on the way may have said it (RFC 3207, 4.2)."""
        self._step = Step.TLS
        if "STARTTLS" not in self._offers:
            raise Refused(self._step, Reply(502, "the server does not offer it"))
        reply = await self.ask(b"STARTTLS")
        if reply.code != 220:
            raise Refused(self._step, reply)
        assert self._writer is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(
            limit=LONGEST_LINE, loop=loop
        )  # a new one: the old may hold more of the clear text
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        plain = self._before_tls = self._writer  # kept: a writer that nobody has closes its transport
        secured = await loop.start_tls(plain.transport, protocol, tls, server_hostname=self._server.host)
        if secured is None:
            raise ConnectionResetError
        protocol.connection_made(secured)
        self._reader, self._writer = reader, asyncio.StreamWriter(secured, protocol, reader, loop)
        await self._hello()

    async def _log_in(self) -> None:
        self._step = Step.AUTH
        user, password = self._server.user, self._server.password
        offered = self._offers.get("AUTH", "").split()
        if "PLAIN" in offered:
            reply = await self.ask(b"AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        elif "LOGIN" in offered:
            reply = await self.ask(b"AUTH LOGIN")
            for word in (user, password):
                if reply.code != 334:
                    break
                reply = await self.ask(_base64(word))
        else:
            words = f"the server takes neither PLAIN nor LOGIN; it offers {' '.join(offered) or 'nothing'}"
            raise Refused(self._step, Reply(504, words))
        if reply.code != 235:
            raise Refused(self._step, reply)

    # ------------------------------------------------------------------------------------------------------- the octets

    async def _send(self, octets: bytes) -> None:
        assert self._writer is not None
        self._writer.write(octets)
        await self._writer.drain()

    async def _reply(self) -> Reply:
        """The whole reply; its lines without codes stay in ``_lines``."""
        self._lines: list[str] = []
        while True:
            line = await self._reader.readuntil(b"\n")
            match = _REPLY.fullmatch(line)
            if match is None or len(self._lines) >= MOST_LINES:
                raise ValueError(f"this is no reply of a mail server: {line[:80]!r}")
            self._lines.append(_words(match[3] or b""))
            if match[2] != b"-":
                return Reply(int(match[1]), " ".join(self._lines))

    def _good(self, reply: Reply, about: str = "") -> None:
        if not reply.is_good:
            raise Refused(self._step, reply, about)


def _stuffed(text: bytes) -> bytes:
    """The text with its leading dots doubled (RFC 5321, 4.5.2) and a line end at its end."""
    whole = re.sub(rb"(?m)^\.", b"..", text)
    return whole if whole.endswith(b"\r\n") else whole + b"\r\n"


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())


def _words(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
