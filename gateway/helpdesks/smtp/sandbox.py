"""A stand-in for a mail server with a helpdesk that makes tickets of its mail.

The mail server is strict where servers are (order of commands, line ends, dots), and has faults at every step. The
helpdesk threads by References and by the gateway's token, opens a closed ticket for mail that is not automatic, and sets
a state by a header; whether it drops a second mail with the same Message-ID is a switch.
"""

import asyncio
import base64
import binascii
import contextlib
import random
import re
import time
from collections.abc import Callable, Mapping

from gateway.helpdesks.smtp.sandbox_mail import Mail, read_mail
from gateway.helpdesks.smtp.sandbox_settings import SmtpSandboxSettings
from gateway.sandbox.double import Drop, Reply, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import NewTicket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults

_LONGEST_LINE = 10_000
_PATH = re.compile(rb"(MAIL FROM|RCPT TO):<([^<>\s]*)>(?:\s+.*)?", re.IGNORECASE)


class _Hangup(Exception):
    """The connection is to end without a further word."""


class SmtpSandbox:
    """One mail server and its helpdesk. Tickets are in the store; only switches are in memory."""

    name = "smtp"
    title = "Mail (SMTP)"
    entrance = ""
    actions: Mapping[str, str] = {"close": "Close", "reopen": "Open", "delete": "Delete"}

    def __init__(
        self, store: Store, settings: SmtpSandboxSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970."""
        self.settings = settings or SmtpSandboxSettings()
        self.faults = Faults()
        self._store = store
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - ticket numbers
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens (`127.0.0.1:2526`); empty while it does not."""
        if self._server is None:
            return ""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def listen(self, host: str, port: int) -> None:
        """Take mail at this address; port 0 takes a free one. Raises `OSError` where it cannot."""
        self._server = await asyncio.start_server(self._talk, host, port, limit=_LONGEST_LINE)

    async def close(self) -> None:
        """Take no more, and give up whatever still hangs."""
        if self._server is not None:
            self._server.close()
        for task in list(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some switches; raises pydantic's `ValidationError` and changes nothing if one of them is wrong."""
        self.settings = SmtpSandboxSettings.model_validate({**self.settings.model_dump(), **changes})

    async def answer(self, request: Request) -> Reply | Drop:  # noqa: ARG002 - nothing is here over HTTP
        """A word for those who look here with HTTP."""
        where = f"at {self.address}" if self.address else "nowhere now (start the sandbox with --mail HOST:PORT)"
        return Reply(404, f"This double speaks SMTP, {where}.\n", (("Content-Type", "text/plain; charset=utf-8"),))

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do on the ticket's page."""
        found = self._store.ticket(ticket)
        if found is None or found.helpdesk != self.name or action not in self.actions:
            return False
        with self._store.transaction():
            if action == "delete":
                self._store.delete(ticket)
            else:
                self._set_state(ticket, found.status, "closed" if action == "close" else "open", "by an agent")
        return True

    # -------------------------------------------------------------------------------------------------------- the door

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            with contextlib.suppress(_Hangup, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
                await _Talk(self, reader, writer).run()
        finally:
            self._talks.discard(task)
            writer.transport.abort()

    # -------------------------------------------------------------------------------------------------------- the desk

    def take(self, raw: bytes) -> str:
        """Make a ticket or a follow-up of a mail; gives back the ticket's number."""
        mail = read_mail(raw)
        with self._store.transaction():
            now = self._clock()
            if mail is None:
                self._store.log(self.name, "Error", "a mail could not be read", f"{len(raw)} octets", now)
                return "none"
            if self.settings.deduplicates and mail.message_id:
                known = self._store.entries_with_message_id(self.name, mail.message_id)
                if known:
                    self._store.log(self.name, "Info", "this mail was here before", mail.message_id, now)
                    return self._number(known[0][0])
            ticket = self._ticket_of(mail)
            if ticket is None:
                ticket = self._new_ticket(mail, now)
            else:
                self._follow_up(ticket, mail)
            self._store.add_entry(ticket, mail.entry, now)
            return self._number(ticket)

    def _ticket_of(self, mail: Mail) -> int | None:
        for reference in mail.references:
            known = self._store.entries_with_message_id(self.name, reference)
            if known:
                return known[0][0]
        if mail.token and self.settings.by_subject:
            for ticket in self._store.tickets(self.name):
                if f"[tg:{mail.token}]" in ticket.subject:
                    return ticket.id
        return None

    def _new_ticket(self, mail: Mail, now: float) -> int:
        person = self._store.person(self.name, mail.address.lower()) or self._store.add_person(
            self.name, mail.address.lower(), mail.name
        )
        fields = {name: value for name, value in mail.headers.items() if name.startswith("x-")}
        number = f"{self._random.randrange(100_000, 1_000_000)}"
        row = NewTicket(number, mail.subject, person.id, person.name, mail.address, "Email", fields=fields)
        ticket = self._store.add_ticket(self.name, row, now)
        self._store.add_event(ticket, "created", "by mail", now)
        return ticket

    def _follow_up(self, ticket: int, mail: Mail) -> None:
        found = self._store.ticket(ticket)
        assert found is not None
        state = mail.headers.get(self.settings.state_header.lower(), "")
        if state:
            self._set_state(ticket, found.status, state, f"by {self.settings.state_header}")
        elif found.status == "closed" and not mail.automatic:
            self._set_state(ticket, found.status, "open", "by a mail")

    def _set_state(self, ticket: int, before: str, state: str, how: str) -> None:
        if state != before:
            self._store.set_status(ticket, state, self._clock())
            self._store.add_event(ticket, "closed" if state == "closed" else "reopened", how, self._clock())

    def _number(self, ticket: int) -> str:
        found = self._store.ticket(ticket)
        return found.number if found is not None else ""


class _Talk:
    """One connection."""

    def __init__(self, desk: SmtpSandbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desk = desk
        self._reader = reader
        self._writer = writer
        self._logged_in = False
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._fault: Fault | None = None

    async def run(self) -> None:
        for fault in self._desk.faults.at_the_door(lambda: ""):
            if fault.fault is FaultKind.SLOW:
                await self._desk.faults.wait(fault.wait)
            else:
                self._fault = fault
        await self._greet()
        while True:
            line = (await self._reader.readuntil(b"\r\n"))[:-2]
            verb = line.split(b" ")[0].upper()
            if verb == b"QUIT":
                await self._say("221 2.0.0 bye")
                return
            await self._command(verb, line)

    async def _greet(self) -> None:
        match self._fault.fault if self._fault else None:
            case FaultKind.REFUSE:
                raise _Hangup
            case FaultKind.HTML_ERROR:
                self._writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                await self._writer.drain()
                raise _Hangup
            case FaultKind.MAINTENANCE:
                await self._say("421 4.3.2 sandbox.example under maintenance")
                raise _Hangup
            case _:
                await self._say("220 sandbox.example ESMTP")

    async def _command(self, verb: bytes, line: bytes) -> None:
        settings = self._desk.settings
        match verb:
            case b"EHLO":
                lines = ["sandbox.example", f"SIZE {settings.max_message}", "8BITMIME", "AUTH PLAIN LOGIN"]
                await self._say(*(f"250-{one}" for one in lines), "250 ENHANCEDSTATUSCODES")
            case b"AUTH":
                await self._log_in(line)
            case b"MAIL":
                await self._mail(line)
            case b"RCPT":
                await self._recipient(line)
            case b"DATA":
                await self._data()
            case b"RSET":
                self._sender, self._recipients = None, []
                await self._say("250 2.0.0 forgotten")
            case b"NOOP":
                await self._say("250 2.0.0 well")
            case _:
                await self._say("502 5.5.1 not known here")

    async def _log_in(self, line: bytes) -> None:
        words = line.split()
        mechanism = words[1].upper() if len(words) > 1 else b""
        try:
            if mechanism == b"PLAIN" and len(words) == 3:
                _, user, password = base64.b64decode(words[2], validate=True).split(b"\0")
            elif mechanism == b"LOGIN":
                user, password = [await self._asked(word) for word in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6")]
            else:
                await self._say("504 5.5.4 not this one")
                return
        except (binascii.Error, ValueError):
            await self._say("501 5.5.2 this is no base64")
            return
        known = self._desk.settings.accounts.get(user.decode("utf-8", "replace"))
        broken = self._fault is not None and self._fault.fault is FaultKind.AUTH_BROKEN
        if known is None or known != password.decode("utf-8", "replace") or broken:
            await self._say("535 5.7.8 wrong user or password")
            return
        self._logged_in = True
        await self._say("235 2.7.0 welcome")

    async def _asked(self, word: str) -> bytes:
        await self._say(f"334 {word}")
        return base64.b64decode((await self._reader.readuntil(b"\r\n")).strip(), validate=True)

    async def _mail(self, line: bytes) -> None:
        broken = self._fault is not None and self._fault.fault is FaultKind.AUTH_BROKEN
        path = _PATH.fullmatch(line)
        size = re.search(rb" SIZE=([0-9]{1,12})", line)
        if (self._desk.settings.log_in and not self._logged_in) or broken:
            await self._say("530 5.7.0 log in first")
        elif path is None:
            await self._say("501 5.5.4 no address")
        elif size is not None and int(size[1]) > self._desk.settings.max_message:
            await self._say("552 5.3.4 too big")
        else:
            self._sender, self._recipients = path[2].decode("ascii", "replace"), []
            await self._say("250 2.1.0 ok")

    async def _recipient(self, line: bytes) -> None:
        path, settings = _PATH.fullmatch(line), self._desk.settings
        address = path[2].decode("ascii", "replace") if path else ""
        fault = self._fault.fault if self._fault else None
        if self._sender is None or path is None:
            await self._say("503 5.5.1 MAIL first")
        elif fault is FaultKind.RATE_LIMIT or address in settings.busy:
            await self._say("450 4.7.1 too many mails, come again later")
        elif fault is FaultKind.REDIRECT:
            await self._say("551 5.1.6 not here any more; try <desk@elsewhere.example>")
        elif address in settings.refused:
            await self._say("550 5.1.1 no such mailbox")
        else:
            self._recipients.append(address)
            await self._say("250 2.1.5 ok")

    async def _data(self) -> None:
        if not self._recipients:
            await self._say("503 5.5.1 RCPT first")
            return
        await self._say("354 go on")
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self._sender, self._recipients = None, []
        await self._commit(b"".join(lines))

    async def _commit(self, raw: bytes) -> None:
        desk, mail = self._desk, read_mail(raw)
        if self._fault is not None and self._fault.fault is FaultKind.DATABASE_DOWN:
            await self._say("451 4.3.0 the queue cannot be written")
            return
        files = mail.entry.attachments if mail is not None else ()
        if any(file.filename.endswith(ending) for file in files for ending in desk.settings.refused_files):
            await self._say("554 5.7.1 this kind of file is not taken")
            return
        fault = desk.faults.at_the_commit(lambda: mail.subject if mail is not None else "")
        match fault.fault if fault is not None else None:
            case FaultKind.DIE_HALF_WAY:
                raise _Hangup
            case FaultKind.HANG_BEFORE_COMMIT:
                assert fault is not None
                await desk.faults.wait(fault.wait)
                if not fault.commits:
                    raise _Hangup
        number = desk.take(raw)
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_DROP:
            raise _Hangup
        if fault is not None and fault.fault is FaultKind.COMMIT_THEN_HANG:
            await desk.faults.wait(fault.wait)
        await self._say(f"250 2.0.0 queued as {number}")

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()
