"""The commands of SMTP and LMTP: one strict state machine per connection."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from gateway.receive.networks import parse_address
from gateway.receive.problems import Refusal
from gateway.receive.smtp import auth
from gateway.receive.smtp.connection import Connection, Phase
from gateway.receive.smtp.envelope import Envelope, Recipient
from gateway.receive.smtp.house import STOPPING, TOO_LARGE, House
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.paths import BadPath, Sender, parse_recipient, parse_sender
from gateway.receive.smtp.text import TextReader

_LONGEST_NAME = 255
_TOO_MUCH = b"452 4.3.1 Too much mail is coming in at once, try again later"
_SHOWN = 200
_BEFORE_TLS = frozenset({b"HELO", b"EHLO", b"LHLO", b"NOOP", b"RSET", b"QUIT", b"STARTTLS", b"BDAT", b"HELP"})


class Session(Connection):
    """A client and the message it is about to hand over."""

    def __init__(self, house: House, *, loop: asyncio.AbstractEventLoop) -> None:
        """See `Connection`."""
        super().__init__(house, loop=loop)
        self._name = ""  # what the client calls itself; empty before EHLO
        self._user = ""
        self._login: Callable[[bytes], None] | None = None
        self._tries = 0
        self._commands = 0
        self._errors = 0
        self._room = house.mailroom  # the one that was in force at MAIL
        self._sender: Sender | None = None
        self._recipients: list[Recipient] = []
        self._text: TextReader | None = None
        self._crowded = False
        self._held = 0

    # -------------------------------------------------------------------------------------------------- the connection

    def greet(self) -> None:
        """Say who we are."""
        kind = b"LMTP" if self.house.door == "lmtp" else b"ESMTP"
        self.say(b"220 %b %b ticket-gateway" % (self.house.hostname, kind))

    def step(self) -> bool:
        """Read a line and do what it says, or read on in the text."""
        if self.phase is Phase.TEXT:
            return self._read_text()
        line = self.line()
        if line is None:
            return False
        self.heard()
        if self.phase is Phase.AUTH:
            self._answered(line)
        else:
            self._command(line)
        return True

    def forget(self) -> None:
        """Drop the message under way."""
        self._sender = None
        self._recipients = []
        self._text = None
        self._hold(0)

    def secured(self) -> None:
        """Begin anew: the client must greet again, and nobody is logged in."""
        self.forget()
        self._name = ""
        self._user = ""

    def refuse(self, reply: bytes) -> None:
        """Answer with a refusal; too many of them end the session."""
        self.say(reply)
        self._errors += 1
        if self._errors > self.house.limits.errors:
            self.close(b"421 4.7.0 Too many errors")

    def _refuse_for(self, reason: Refusal, reply: bytes, detail: str = "", source: str = "other") -> None:
        self.house.refused(reason, self.peer, detail[:_SHOWN], source)
        self.refuse(reply)

    # --------------------------------------------------------------------------------------------------------- commands

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        self._commands += 1
        if self._commands > self.house.limits.commands:
            self._flood()
            return
        command = self._BY_NAME.get(verb)
        if command is None:
            self.refuse(b"500 5.5.1 No such command")
        elif self.house.require_tls and not self.tls and verb not in _BEFORE_TLS:
            self.refuse(b"530 5.7.0 Say STARTTLS first")
        else:
            command(self, argument.strip(b" \t"))

    def _flood(self) -> None:
        self.house.refused(Refusal.OVERLOAD, self.peer, "too many commands")
        self.close(b"421 4.7.0 Too many commands without a message")

    def _helo(self, argument: bytes) -> None:
        if self._named(argument, "smtp"):
            self.say(b"250 " + self.house.hostname)

    def _ehlo(self, argument: bytes) -> None:
        if self._named(argument, "smtp"):
            self._offer()

    def _lhlo(self, argument: bytes) -> None:
        if self._named(argument, "lmtp"):
            self._offer()

    def _named(self, argument: bytes, door: str) -> bool:
        if self.house.door != door:
            self.refuse(b"500 5.5.1 This door speaks %b" % self.house.door.upper().encode())
            return False
        name = argument.decode("utf-8", "replace")
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            self.refuse(b"501 5.5.4 Say your name")
            return False
        self.forget()
        self._name = name
        return True

    def _offer(self) -> None:
        words = [self.house.hostname, b"PIPELINING", b"SIZE %d" % self.house.max_message, b"8BITMIME", b"SMTPUTF8"]
        if self.house.tls is not None and not self.tls:
            words.append(b"STARTTLS")
        if self._may_log_in():
            words.append(b"AUTH PLAIN LOGIN")
        self.say(b"\r\n".join(b"250-" + word for word in words) + b"\r\n250 ENHANCEDSTATUSCODES")

    def _mail(self, argument: bytes) -> None:
        if not self._name:
            self.refuse(b"503 5.5.1 Say EHLO first" if self.house.door == "smtp" else b"503 5.5.1 Say LHLO first")
        elif self._sender is not None:
            self.refuse(b"503 5.5.1 There is a sender already")
        elif self.house.auth_required and not self._user:
            self._refuse_for(Refusal.WRONG_CREDENTIALS, b"530 5.7.0 Say AUTH first")
        elif (full := self.house.full()) is not None:
            self.house.refused(Refusal.STOPPING if full == STOPPING else Refusal.NO_ROOM, self.peer, "")
            self.say(full)
        else:
            try:
                self._sender = parse_sender(argument, self.house.max_message)
            except BadPath as error:
                self.refuse(error.reply)
            else:
                self._room = self.house.mailroom
                self.say(b"250 2.1.0 OK")

    def _rcpt(self, argument: bytes) -> None:
        sender = self._sender
        if sender is None:
            self.refuse(b"503 5.5.1 Say MAIL first")
            return
        if len(self._recipients) >= self.house.limits.recipients:
            self.say(b"452 4.5.3 Too many recipients in one message")
            return
        try:
            address = parse_recipient(argument, utf8=sender.utf8)
        except BadPath as error:
            self.refuse(error.reply)
            return
        owner = self._room.find(address)
        if owner is None:
            self._refuse_for(Refusal.UNKNOWN_SOURCE, b"550 5.1.1 No such recipient here", address)
            return
        source = self._room.source(owner.source)
        first = all(recipient.source != owner.source for recipient in self._recipients)
        if not source.lets_in(self.peer):
            reply = b"550 5.7.1 Your address may not send to this recipient"
            self._refuse_for(Refusal.WRONG_NETWORK, reply, address, owner.source)
        elif source.most is not None and sender.size > source.most:
            self._refuse_for(Refusal.TOO_LARGE, TOO_LARGE, "", owner.source)
        elif first and source.bucket is not None and source.bucket.take() is not None:
            self._refuse_for(Refusal.RATE, b"451 4.7.1 Too many messages, try again later", "", owner.source)
        else:
            self._recipients.append(Recipient(address, owner.source, owner.subaddress))
            self._commands -= 1  # bounded by the number of recipients
            self.say(b"250 2.1.5 OK")

    def _data(self, argument: bytes) -> None:
        if argument:
            self.refuse(b"501 5.5.4 Syntax: DATA")
        elif self._sender is None or not self._recipients:
            self.refuse(b"503 5.5.1 There is no recipient")
        elif not self.house.admission.fits(self._sender.size):
            self.house.refused(Refusal.OVERLOAD, self.peer, "bytes in flight")
            self.say(_TOO_MUCH)
        else:
            self._text = TextReader(self.house.max_message)
            self._crowded = False
            self.phase = Phase.TEXT
            self.deadline = self.loop.time() + self.house.limits.data
            self.say(b"354 End with a dot on a line of its own")

    def _rset(self, _argument: bytes) -> None:
        self.forget()
        self.say(b"250 2.0.0 OK")

    def _noop(self, _argument: bytes) -> None:
        self.say(b"250 2.0.0 OK")

    def _quit(self, _argument: bytes) -> None:
        self.quit(b"221 2.0.0 Bye")

    def _vrfy(self, _argument: bytes) -> None:
        self.say(b"252 2.5.0 Send some mail, and see")

    def _help(self, _argument: bytes) -> None:
        self.say(b"214 2.0.0 This is ticket-gateway: mail for its configured recipients becomes tickets")

    def _not_here(self, _argument: bytes) -> None:
        self.refuse(b"502 5.5.1 Not here")

    def _bdat(self, _argument: bytes) -> None:
        """Chunks were not offered; what follows is one and must not run as commands."""
        self.say(b"502 5.5.1 CHUNKING is not offered")
        self.close(b"421 4.7.0 Closing, since a chunk would be read as commands")

    # ----------------------------------------------------------------------------------------------------- TLS and AUTH

    def _starttls(self, argument: bytes) -> None:
        if self.house.tls is None or self.tls:
            self.refuse(b"502 5.5.1 Not here" if not self.tls else b"503 5.5.1 TLS holds already")
        elif argument:
            self.refuse(b"501 5.5.4 Syntax: STARTTLS")
        else:
            self.forget()
            self.upgrade(self.house.tls)

    def _may_log_in(self) -> bool:
        if self.house.users is None:
            return False
        return bool(self.tls) or (self.house.auth_on_loopback and not self.proxied and _is_local(self.peer))

    def _auth(self, argument: bytes) -> None:
        mechanism, _, initial = argument.partition(b" ")
        initial = initial.strip()
        if self.house.users is None:
            self.refuse(b"502 5.5.1 Not here")
        elif not self._may_log_in():
            self.refuse(b"538 5.7.11 Say STARTTLS first")
        elif self._user or self._sender is not None or not self._name:
            self.refuse(b"503 5.5.1 Not now")
        elif mechanism.upper() == b"PLAIN":
            self._ask(self._plain, b"", initial)
        elif mechanism.upper() == b"LOGIN":
            self._ask(self._login_name, b"VXNlcm5hbWU6", initial)
        else:
            self.refuse(b"504 5.5.4 Say AUTH PLAIN or AUTH LOGIN")

    def _ask(self, then: Callable[[bytes], None], challenge: bytes, initial: bytes = b"") -> None:
        self._login = then
        if initial:
            self._answered(initial)
        else:
            self.phase = Phase.AUTH
            self.say(b"334 " + challenge)

    def _answered(self, word: bytes) -> None:
        then, self._login = self._login, None
        self.phase = Phase.COMMAND
        decoded = auth.decode(word)
        if word == b"*":
            self.refuse(b"501 5.7.0 As you like")
        elif decoded is None or then is None:
            self.refuse(b"501 5.5.2 That is no base64")
        else:
            then(decoded)

    def _plain(self, message: bytes) -> None:
        pair = auth.plain(message)
        if pair is None:
            self.refuse(b"501 5.5.2 That is no PLAIN message")
        else:
            self.busy(self._check(*pair))

    def _login_name(self, name: bytes) -> None:
        self._ask(lambda password: self.busy(self._check(name, password)), b"UGFzc3dvcmQ6")

    async def _check(self, name: bytes, password: bytes) -> None:
        users = self.house.users
        assert users is not None
        self.house.metrics.credentials_checked()
        if await users.check(name, password):
            self._user = name.decode("utf-8", "replace")
            self.say(b"235 2.7.0 Welcome")
        else:
            await asyncio.sleep(self.house.peers.wrong_password(self.key))
            self._tries += 1
            self._refuse_for(Refusal.WRONG_CREDENTIALS, b"535 5.7.8 Wrong user name or password")
            if self._tries >= self.house.limits.auth_tries:
                self.close(b"421 4.7.0 Too many wrong passwords")
        self.ready()

    # --------------------------------------------------------------------------------------------------------- the text

    def _hold(self, octets: int) -> None:
        """How much of the bytes that all doors may hold together is ours."""
        self.house.admission.in_flight += octets - self._held
        self._held = octets

    def _read_text(self) -> bool:
        text = self._text
        assert text is not None
        rest = text.feed(self.take_input())
        more = text.held - self._held
        if more > 0 and not self._crowded:
            admission = self.house.admission
            if admission.in_flight == self._held or admission.fits(more):
                self._hold(text.held)
            else:
                self._crowded = True
        if self._crowded:
            text.discard()
            self._hold(0)
        if rest is None:
            return False
        self.give_back(rest)
        self._hand_over(text)
        return True

    def _hand_over(self, text: TextReader) -> None:
        content = text.content()
        assert self._sender is not None
        envelope = Envelope(
            door=self.house.door,
            mail_from=self._sender.address,
            recipients=tuple(self._recipients),
            peer=self.peer,
            helo=self._name,
            tls=self.tls,
            auth_user=self._user,
            utf8=self._sender.utf8,
            eight_bit=self._sender.eight_bit,
        )
        if self._crowded:
            self._answer_all(Refusal.OVERLOAD, _TOO_MUCH)
        elif content is None:
            self._answer_all(Refusal.TOO_LARGE, TOO_LARGE)
        else:
            self._sender, self._recipients, self._text = None, [], None
            self.busy(self._store(self._room, envelope, content))

    def _answer_all(self, reason: Refusal, reply: bytes) -> None:
        """Refuse the whole message: once, or once for each recipient (RFC 2033, section 4.2)."""
        count = len(self._recipients) if self.house.door == "lmtp" else 1
        self.house.refused(reason, self.peer, "", self._recipients[0].source)
        self.forget()
        self.phase = Phase.COMMAND
        self.heard()
        for _ in range(count):
            self.say(reply)

    async def _store(self, room: Mailroom, envelope: Envelope, content: bytes) -> None:
        try:
            replies = await self.house.take(room, envelope, content)
        finally:
            self._hold(0)
        for reply in replies:
            self.say(reply)
        if any(reply.startswith(b"250") for reply in replies):
            self._commands = self._errors = 0
            self.delivered()
        self.ready()

    _BY_NAME: ClassVar[dict[bytes, Callable[["Session", bytes], None]]] = {
        b"HELO": _helo,
        b"EHLO": _ehlo,
        b"LHLO": _lhlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
        b"VRFY": _vrfy,
        b"HELP": _help,
        b"EXPN": _not_here,
        b"ETRN": _not_here,
        b"TURN": _not_here,
        b"ATRN": _not_here,
        b"BURL": _not_here,
        b"BDAT": _bdat,
        b"STARTTLS": _starttls,
        b"AUTH": _auth,
    }


def _is_local(peer: str) -> bool:
    address = parse_address(peer) if peer else None
    return not peer or (address is not None and address.is_loopback)
