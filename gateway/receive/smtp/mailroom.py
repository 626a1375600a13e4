"""A message becomes receipts: one per source, all of one SMTP message in one transaction."""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.config.models import SourceSettings
from gateway.model.ids import new_id
from gateway.model.receipt import Accepted, DuplicateKey, NewReceipt
from gateway.receive.admission import Bucket
from gateway.receive.delivery_keys import GIVEN_HORIZON
from gateway.receive.networks import Network, parse_address, parse_networks, within
from gateway.receive.smtp.envelope import Envelope
from gateway.receive.smtp.recipients import Owner, Recipients
from gateway.sources.mail.settings import MailSettings
from gateway.sources.mail.trust import Origin, refused_at_the_door

AcceptAll = Callable[[Sequence[NewReceipt]], Awaitable[Sequence[Accepted]]]
"""Makes receipts durable, all or none, and has them processed; raises as `gateway.receive.intake.Intake.accept`."""

MEDIA_TYPE = "message/rfc822"

_HEAD = 64 * 1024
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_NAMED = re.compile(rb"(?:\A|\n)(message-id|date|received)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?[^\s]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MailSource:
    """A source as the mail door sees it.

    ``most`` is its largest message in octets, None for the door's. ``unverified(content, origin)`` says why a message is to be
    refused for its sender, or nothing.
    """

    networks: tuple[Network, ...]
    most: int | None
    bucket: Bucket | None
    retry_horizon: float
    unverified: Callable[[bytes, Origin], str] = lambda _content, _origin: ""

    def lets_in(self, peer: str) -> bool:
        """True if a client of this address may send; who reaches a unix socket has passed its file mode."""
        if not self.networks or not peer:
            return True
        address = parse_address(peer)
        return address is not None and within(address, self.networks)


def recipients_of(settings: SourceSettings) -> list[str]:
    """The ``recipients`` of a source; empty for a source that gets no mail."""
    found: object = getattr(settings, "recipients", None)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list | tuple) else []


class Mailroom:
    """What the doors ask: whose is this address, and take this message. A reload puts another one in its place."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        accept_all: AcceptAll,
        *,
        hostname: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Only sources with ``recipients`` count. ``hostname`` is the domain of a bare ``postmaster``.

        Raises:
            ValueError: for a recipient that cannot be read or that two sources claim.
        """
        mail = {name: settings for name, settings in sources.items() if recipients_of(settings)}
        self._recipients = Recipients({name: recipients_of(settings) for name, settings in mail.items()}, hostname)
        self._sources = {name: _mail_source(settings) for name, settings in mail.items()}
        self._accept_all = accept_all
        self._clock = clock

    def find(self, address: str) -> Owner | None:
        """Whose this address is, None if it is not ours."""
        return self._recipients.find(address)

    def source(self, name: str) -> MailSource:
        """A source that `find` named."""
        return self._sources[name]

    async def accept(self, envelope: Envelope, content: bytes, sources: Sequence[str] = ()) -> Sequence[Accepted]:
        """Make a message durable for all its sources, or only for ``sources``: all or none, one answer per source.

        Raises:
            JournalFull, JournalBroken, IntakeClosed: as `gateway.receive.intake.Intake.accept`.
        """
        now = self._clock()
        return await self._accept_all(
            [
                NewReceipt(
                    id=new_id(),
                    source=name,
                    received_at=now,
                    body=content,
                    content_type=MEDIA_TYPE,
                    envelope=envelope.fields(name),
                    peer=envelope.peer,
                    duplicate_key=duplicate_key(envelope.mail_from, content, self._sources[name].retry_horizon),
                )
                for name in sources or envelope.sources
            ]
        )


def _mail_source(settings: SourceSettings) -> MailSource:
    return MailSource(
        networks=parse_networks(settings.networks),
        most=settings.max_body,
        bucket=None if settings.rate is None else Bucket(settings.rate),
        retry_horizon=settings.retry_horizon,
        unverified=lambda content, origin: _unverified(content, origin, settings),
    )


def _unverified(content: bytes, origin: Origin, settings: SourceSettings) -> str:
    return refused_at_the_door(content, origin, settings) if isinstance(settings, MailSettings) else ""


def duplicate_key(mail_from: str, content: bytes, retry_horizon: float) -> DuplicateKey | None:
    """By what a repeated delivery of this message is recognised (RFC 1047: lost answers make repeats).

    The journal compares the whole body; the key is a digest of its first 64 KiB, which hold the Message-ID, and of its
    length. Where there is no Message-ID, the sender's address is part of it. A message without Message-ID, Date and
    Received comes straight from a simple device whose next alarm may be the same to the byte: such a one is a repeat only
    within ``retry_horizon`` seconds.
    """
    head = content[:_HEAD]
    end = _END_OF_HEADERS.search(head)
    named = {name.lower() for name in _NAMED.findall(head[: end.start()] if end else head)}
    digest = hashlib.sha256(head)
    digest.update(b"\0%d" % len(content))
    if b"message-id" not in named:
        digest.update(mail_from.encode())
    horizon = GIVEN_HORIZON if named else retry_horizon
    return DuplicateKey("mail:" + digest.hexdigest(), horizon, given=False) if horizon > 0 else None
