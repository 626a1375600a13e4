"""What all connections of one mail door share."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Literal

import structlog

from gateway.config.models import MailLimits
from gateway.journal.protocol import JournalBroken, JournalFull
from gateway.model.ids import new_id
from gateway.observability.metrics import OTHER, Metrics
from gateway.receive.admission import Admission
from gateway.receive.intake import IntakeClosed
from gateway.receive.networks import Network, parse_address, within
from gateway.receive.problems import Refusal
from gateway.receive.smtp.auth import Users
from gateway.receive.smtp.envelope import Envelope
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.peers import Peers
from gateway.sources.mail.trust import Origin

STOPPING = b"421 4.3.2 The gateway is stopping, try again in a moment"
"""The last word of a door that closes."""
TOO_LARGE = b"552 5.3.4 The message is too large"
"""The answer to a message beyond a cap."""
_NO_ROOM = b"452 4.3.1 There is no room now, try again later"
_UNVERIFIED = b"550 5.7.1 The sender of this message is not verified"
_BROKEN = b"451 4.3.0 The gateway cannot store mail now, try again later"


@dataclass(slots=True)
class House:
    """The settings of a door made ready, and what its connections count together.

    ``tls`` is the context for STARTTLS, None where it is not offered; ``users`` None where nobody logs in. ``mailroom``
    may be replaced while connections are open. ``on_broken`` is told once the journal is lost.
    """

    door: Literal["smtp", "lmtp"]
    hostname: bytes
    limits: MailLimits
    max_message: int
    mailroom: Mailroom
    admission: Admission
    metrics: Metrics
    peers: Peers
    networks: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()
    tls: SSLContext | None = None
    require_tls: bool = False
    users: Users | None = None
    auth_required: bool = False
    auth_on_loopback: bool = False
    on_broken: Callable[[BaseException], None] = lambda _error: None
    stopping: bool = False
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    def lets_in(self, peer: str) -> bool:
        """True if a client of this address may connect; who reaches a unix socket has passed its file mode."""
        return not self.networks or not peer or _inside(peer, self.networks)

    def is_proxy(self, peer: str) -> bool:
        """True if connections of this address must begin with a PROXY header."""
        return bool(self.proxies) and bool(peer) and _inside(peer, self.proxies)

    def refused(self, reason: Refusal, peer: str, detail: str, source: str = OTHER) -> None:
        """Count and log a refusal."""
        self.metrics.refused(source, reason.value)
        structlog.get_logger().info(
            "mail refused", door=self.door, reason=reason.value, source=source, peer=peer, detail=detail
        )

    def full(self) -> bytes | None:
        """The answer while nothing can be taken, None if something can. What is under way at a stop still can."""
        refusal = self.admission.refusal()
        if refusal is None:
            return None
        return STOPPING if refusal.reason is Refusal.STOPPING else _NO_ROOM

    async def take(self, room: Mailroom, envelope: Envelope, content: bytes) -> list[bytes]:
        """Make a message durable; the answers, which are 250 only then.

        SMTP has one answer, so all sources take the message or none. LMTP has one for each recipient (RFC 2033,
        section 4.2), so each source is a transaction of its own.
        """
        if self.door == "smtp":
            return [await self._take(room, envelope, content, envelope.sources)]
        answers = await asyncio.gather(*(self._take(room, envelope, content, (one,)) for one in envelope.sources))
        by_source = dict(zip(envelope.sources, answers, strict=True))
        return [by_source[recipient.source] for recipient in envelope.recipients]

    async def _take(self, room: Mailroom, envelope: Envelope, content: bytes, sources: Sequence[str]) -> bytes:
        """Whatever goes wrong here is ours, so it is told as 4xx, never with more than an id: the client keeps the mail."""
        for name in sources:
            most = room.source(name).most
            if most is not None and len(content) > most:
                self.refused(Refusal.TOO_LARGE, envelope.peer, "", name)
                return TOO_LARGE
        origin = Origin(envelope.peer, envelope.door)
        unverified = {name: why for name in sources if (why := room.source(name).unverified(content, origin))}
        if len(unverified) == len(sources):  # else the others take it, and these keep it as a dead letter
            for name, why in unverified.items():
                self.refused(Refusal.SENDER_NOT_VERIFIED, envelope.peer, why, name)
            return _UNVERIFIED
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = self.full()
        if answer is not None:
            self.refused(Refusal.STOPPING if answer == STOPPING else Refusal.NO_ROOM, envelope.peer, "", sources[0])
            return answer
        try:
            accepted = await room.accept(envelope, content, sources)
        except IntakeClosed:
            return STOPPING
        except JournalFull:
            self.refused(Refusal.NO_ROOM, envelope.peer, "the journal is full", sources[0])
            return _NO_ROOM
        except JournalBroken as error:
            self.refused(Refusal.JOURNAL_BROKEN, envelope.peer, "", sources[0])
            self.on_broken(error)
            return _BROKEN
        except Exception:  # noqa: BLE001 - a fault of ours, told to the log with an id and to the client as 451
            return self.fault(envelope.peer)
        for name, one in zip(sources, accepted, strict=True):
            if one.duplicate_of is None:
                self.admission.taken()
                self.metrics.accepted(name, loop.time() - began)
            else:
                self.metrics.duplicate(name)
        return b"250 2.0.0 queued as " + (accepted[0].duplicate_of or accepted[0].id).encode()

    def fault(self, peer: str) -> bytes:
        """The answer to an exception that is being handled; its id is in the log with the rest."""
        name = new_id()
        structlog.get_logger().exception("a mail session failed", id=name, door=self.door, peer=peer)
        self.metrics.refused(OTHER, Refusal.FAULT.value)
        return b"451 4.3.0 Local fault, try again later; its id is " + name.encode()


def _inside(peer: str, networks: tuple[Network, ...]) -> bool:
    address = parse_address(peer)
    return address is not None and within(address, networks)
