"""One connection without its commands: bytes in and out, their bounds, time limits, the change to TLS, the end."""

import asyncio
import ssl
from collections.abc import Coroutine
from enum import Enum
from typing import cast

from gateway.receive.problems import Refusal
from gateway.receive.smtp.house import STOPPING, House
from gateway.receive.smtp.peers import peer_key
from gateway.receive.smtp.proxy import BadProxyHeader, parse_proxy

_MOST_WAITING = 64 * 1024  # octets of pipelined input held while a message is being stored
_MOST_LINE = 2048  # octets of a command; RFC 5321 wants 512, extensions add to it
_MOST_AUTH_LINE = 12 * 1024  # RFC 4954, section 4
_MOST_SKIPPED = 2**20  # octets of one endless line that are read past before the connection ends
_LINGER = 2.0  # seconds that a last word gets to arrive while the client still sends
_NEVER = float("inf")


class Phase(Enum):
    """What the next bytes are."""

    PROXY = "proxy"
    COMMAND = "command"
    AUTH = "auth"
    TEXT = "text"
    BUSY = "busy"  # nothing is read until a task has its result
    HANDSHAKE = "handshake"
    CLOSING = "closing"  # the last word is said; what comes is thrown away
    GONE = "gone"


_OPEN = (Phase.COMMAND, Phase.AUTH, Phase.TEXT)  # tuples: compared by identity, without hashing
_OVER = (Phase.CLOSING, Phase.GONE)


class Connection(asyncio.Protocol):
    """See the module. `Session` adds the commands."""

    def __init__(self, house: House, *, loop: asyncio.AbstractEventLoop) -> None:
        """One protocol object per connection."""
        self.house = house
        self.loop = loop
        self.phase = Phase.COMMAND
        self.peer = ""
        self.tls = ""
        self.proxied = False
        self.deadline = _NEVER
        self._session_end = _NEVER
        self._input = bytearray()
        self._output: list[bytes] = []
        self._skipped = 0
        self._choked = False
        self._deaf = False
        self._eof = False
        self._entered = False
        self._key: str | None = None

    # -------------------------------------------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or say that there is none."""
        self._transport = cast("asyncio.Transport", transport)  # what every loop hands to a stream protocol
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else ""
        self._note_tls()
        self._entered = self.house.peers.enter()
        if not self._entered:
            self.house.refused(Refusal.OVERLOAD, self.peer, "too many connections")
            self.close(b"421 4.7.0 Too many connections, try again later")
        elif not self.tls and self.house.is_proxy(self.peer):
            self.phase = Phase.PROXY
            self.deadline = self.loop.time() + self.house.limits.handshake
        else:
            self._meet()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Work on what can be worked on; the rest waits, and no more is read than may wait."""
        if self.phase in _OVER:
            return
        self._input += data
        self._pump()

    def eof_received(self) -> bool:
        """The client sends nothing more; whoever waits for an answer still gets it."""
        self._eof = True
        return self.phase is Phase.BUSY and not self.tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back. A message that is being stored is stored; half a message is nothing."""
        del exc
        busy = self.phase is Phase.BUSY
        self.phase = Phase.GONE
        self.deadline = _NEVER
        if self._entered:
            self._entered = False
            self.house.peers.leave()
        if self._key is not None:
            self.house.peers.part(self._key)
            self._key = None
        self._input.clear()
        if not busy:
            self.forget()

    def pause_writing(self) -> None:
        """The client does not read our answers: then it gets no more of them."""
        self._choked = True
        self._throttle()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False
        self._pump()

    # ---------------------------------------------------------------------------------------------- what a session adds

    def greet(self) -> None:
        """Say who we are."""
        raise NotImplementedError

    def step(self) -> bool:
        """Work on the input once; False if there must be more of it first."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop the message under way."""
        raise NotImplementedError

    def secured(self) -> None:
        """TLS holds now: whatever was said before counts for nothing (RFC 3207, section 4.2)."""
        raise NotImplementedError

    # --------------------------------------------------------------------------------------------------- input, output

    def say(self, reply: bytes) -> None:
        """Queue an answer; those to pipelined commands leave together."""
        self._output.append(reply + b"\r\n")

    def line(self) -> bytes | None:
        """The next line without its end, None if it is not whole yet; ill-formed ones are refused here."""
        most = _MOST_AUTH_LINE if self.phase is Phase.AUTH else _MOST_LINE
        while True:
            end = self._input.find(b"\n")
            if end < 0:
                if len(self._input) > most:
                    self._skipped += len(self._input)
                    self._input.clear()
                    if self._skipped > _MOST_SKIPPED:
                        self.close(b"421 4.7.0 The line has no end")
                return None
            whole = bytes(self._input[: end + 1])
            del self._input[: end + 1]
            too_long, self._skipped = self._skipped or len(whole) > most, 0
            if too_long:
                self.refuse(b"500 5.5.2 The line is too long")
            elif not whole.endswith(b"\r\n") or b"\r" in whole[:-2] or b"\0" in whole:
                self.refuse(b"500 5.5.2 A line ends with CRLF and holds no other CR, LF or NUL")
            else:
                return whole[:-2]
            if self.phase is not Phase.COMMAND and self.phase is not Phase.AUTH:
                return None

    def refuse(self, reply: bytes) -> None:
        """Answer with 5xx or 4xx; too many of them end the connection."""
        raise NotImplementedError

    def take_input(self) -> bytearray:
        """All input there is."""
        taken, self._input = self._input, bytearray()
        return taken

    def give_back(self, rest: bytes) -> None:
        """Input that was taken and not used."""
        self._input = bytearray(rest)

    def _pump(self) -> None:
        try:
            while self._input and not self._choked:
                if self.phase is Phase.PROXY:
                    if not self._proxy():
                        break
                elif self.phase not in _OPEN or not self.step():
                    break
        except Exception:  # noqa: BLE001 - a bug of ours must cost this session only, and must not show itself
            self.close(self.house.fault(self.peer).replace(b"451", b"421", 1))
        self._flush()
        self._throttle()

    def _flush(self) -> None:
        if self._output and self.phase is not Phase.GONE and not self._transport.is_closing():
            self._transport.write(b"".join(self._output))
        self._output.clear()

    def _throttle(self) -> None:
        deaf = self._choked or (len(self._input) > _MOST_WAITING and self.phase is Phase.BUSY)
        if deaf is not self._deaf and self.phase is not Phase.HANDSHAKE and self.phase is not Phase.GONE:
            self._deaf = deaf
            if not self._transport.is_closing():
                (self._transport.pause_reading if deaf else self._transport.resume_reading)()

    # ---------------------------------------------------------------------------------------------------------- client

    def _proxy(self) -> bool:
        try:
            found = parse_proxy(bytes(self._input))
        except BadProxyHeader:
            self.house.refused(Refusal.BAD_REQUEST, self.peer, "no PROXY header")
            self.abort()
            return False
        if found is None:
            return False
        length, client = found
        del self._input[:length]
        if client is not None:
            self.peer, self.proxied = client, True
        self.phase = Phase.COMMAND
        self._meet()
        return True

    def _meet(self) -> None:
        """The client's address is known: may it come in?"""
        if self.house.stopping:
            self.close(STOPPING)
            return
        if not self.house.lets_in(self.peer):
            self.house.refused(Refusal.WRONG_NETWORK, self.peer, "")
            self.close(b"554 5.7.1 Your address may not send mail here")
            return
        key = peer_key(self.peer)
        if not self.house.peers.meet(key):
            self.house.refused(Refusal.OVERLOAD, self.peer, "too many connections of one client")
            self.close(b"421 4.7.0 Too many connections from your address, try again later")
            return
        self._key = key
        self.delivered()
        self.greet()

    @property
    def key(self) -> str:
        """Under what the client is counted."""
        return self._key or ""

    # ------------------------------------------------------------------------------------------------------------ time

    def heard(self) -> None:
        """The client has said something whole: it may be silent again for a while."""
        self.deadline = min(self.loop.time() + self.house.limits.idle, self._session_end)

    def delivered(self) -> None:
        """The client has done what it is here for: the session's time begins anew."""
        self._session_end = self.loop.time() + self.house.limits.session
        self.heard()

    def expire(self) -> None:
        """The deadline is over."""
        if self.phase in {Phase.CLOSING, Phase.PROXY}:
            self.abort()
            return
        self.house.refused(Refusal.TOO_SLOW, self.peer, self.phase.value)
        self.close(b"421 4.4.2 You took too long")
        self._flush()

    def dismiss(self) -> None:
        """The door closes: who is not in the middle of a message goes now."""
        if self.phase in {Phase.COMMAND, Phase.AUTH, Phase.PROXY, Phase.HANDSHAKE}:
            self.close(STOPPING)
            self._flush()

    # ------------------------------------------------------------------------------------------------------------ work

    def busy(self, work: Coroutine[object, object, None]) -> None:
        """Do something that takes time; no input is looked at until `ready`."""
        self.phase = Phase.BUSY
        self.deadline = _NEVER
        task = self.loop.create_task(self._guarded(work))
        self.house.tasks.add(task)
        task.add_done_callback(self.house.tasks.discard)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - as in `_pump`
            self.close(self.house.fault(self.peer).replace(b"451", b"421", 1))
            self._flush()

    def ready(self, phase: Phase = Phase.COMMAND) -> None:
        """The work is done: go on with the input that waits."""
        if self.phase is not Phase.BUSY:
            return
        self.phase = phase
        self.heard()
        if self.house.stopping:
            self.close(STOPPING)
        self._pump()
        if self._eof and self.phase in _OPEN:
            self._transport.close()

    # ------------------------------------------------------------------------------------------------------------- TLS

    def upgrade(self, context: ssl.SSLContext) -> None:
        """Answer 220 and begin TLS. What came in clear behind STARTTLS is thrown away unread (CVE-2021-38371's kind)."""
        self._transport.pause_reading()
        self._input.clear()
        self.say(b"220 2.0.0 Begin TLS")
        self._flush()
        self.phase = Phase.HANDSHAKE
        self.deadline = _NEVER
        task = self.loop.create_task(self._handshake(context))
        self.house.tasks.add(task)
        task.add_done_callback(self.house.tasks.discard)

    async def _handshake(self, context: ssl.SSLContext) -> None:
        try:
            transport = await self.loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=self.house.limits.handshake
            )
        except (OSError, ssl.SSLError, EOFError) as error:
            self.abort()
            self.connection_lost(error)  # the loop tells a protocol whose handshake failed nothing more
            return
        if transport is None or self.phase is not Phase.HANDSHAKE:
            self.abort()
            return
        self._transport = transport
        self._deaf = False
        self._note_tls()
        self.phase = Phase.COMMAND
        self.secured()
        self.heard()
        self._pump()

    def _note_tls(self) -> None:
        found = self._transport.get_extra_info("ssl_object")
        if found is not None:
            cipher = found.cipher()
            self.tls = " ".join(filter(None, (found.version(), cipher[0] if cipher else "")))

    # ------------------------------------------------------------------------------------------------------------- end

    def close(self, reply: bytes) -> None:
        """Say the last word, and give it time to arrive: closing on unread input would destroy it by a reset."""
        if self.phase in _OVER:
            return
        handshake = self.phase is Phase.HANDSHAKE
        self.forget()
        self.phase = Phase.CLOSING
        self._input.clear()
        if handshake:
            self.abort()
            return
        self.say(reply)
        self._flush()
        self.deadline = self.loop.time() + _LINGER
        if self._choked or self._eof or self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client is gone already
            self._transport.close()

    def quit(self, reply: bytes) -> None:
        """Say goodbye to a client that waits for it; to one that has sent more, as `close` does."""
        if self._input:
            self.close(reply)
            return
        self.say(reply)
        self._flush()
        self.phase = Phase.CLOSING
        self.deadline = self.loop.time() + _LINGER
        self.forget()
        self._transport.close()

    def abort(self) -> None:
        """End without a word."""
        if self.phase is not Phase.GONE:
            self.forget()
            self.phase = Phase.CLOSING
            self.deadline = _NEVER
            self._transport.abort()
