"""The door of `ticket-gateway-pipe`: mails that an MTA hands over, one process for each, through a unix socket of its own.

The socket takes mail and nothing else, so that the mail server's user may use it; operators' verbs have another one
(`gateway.receive.control`). The script carries the envelope as it found it (options, and the environment variables that
Postfix and Exim set); what it means is found out here. The same octets stand in the spool (`gateway.receive.spool`)::

    ticket-gateway-pipe 1
    id 01a20169-10c6-7e25-be48-3e9dbb4ceaed
    source support
    sender alice@example.org          (options by their names, values with %XX)
    $ORIGINAL_RECIPIENT help@...      (the environment)
    length 1834
                                      (an empty line, then the mail as it was read)
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from gateway.config.models import MailDoor, Server, SourceSettings
from gateway.journal.protocol import JournalBroken, JournalError
from gateway.model.receipt import Accepted, NewReceipt
from gateway.receive.admission import Admission, stopping
from gateway.receive.body import Body, Gone, Refused, declared_length, too_large
from gateway.receive.intake import IntakeClosed
from gateway.receive.networks import parse_address
from gateway.receive.problems import Problem, Refusal, send_problem
from gateway.receive.smtp.envelope import SEPARATOR
from gateway.receive.smtp.mailroom import MEDIA_TYPE, duplicate_key
from gateway.receive.smtp.recipients import split_address

MOST = 130 * 2**20
"""Octets of a mail with its envelope; the script itself takes no mail over 128 MiB."""

_FIRST = b"ticket-gateway-pipe 1\n"
_LONGEST_HEAD = 2**20
_LONGEST_VALUE = 1000
_BODY_TIME = 60.0
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MBOX = re.compile(rb"From ([^ \r\n]*) [^\r\n]*\r?\n")
_RETURN_PATH = re.compile(rb"^Return-Path:[ \t]*<([^>\s]*)>", re.IGNORECASE | re.MULTILINE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_NULL_SENDERS = frozenset({"", "mailer-daemon"})


class NotPiped(ValueError):
    """These octets are not what the script writes, or not all of it. The message says what is wrong."""


class NoSource(Exception):
    """There is no source of this name that takes mail."""


@dataclass(frozen=True, slots=True)
class Piped:
    """What the script handed over. ``given`` are options by name and environment variables by ``$NAME``."""

    id: str
    source: str
    given: Mapping[str, tuple[str, ...]]
    body: bytes


def unpack(content: bytes, expected: str = "") -> Piped:
    """Read what the script wrote. ``expected`` is the id that it must have, where one is known.

    Raises:
        NotPiped: it did not write this, or not the whole of it.
    """
    if not content.startswith(_FIRST):
        raise NotPiped("the file is empty" if not content else "it does not begin as the script begins")
    end = content.find(b"\n\n", 0, _LONGEST_HEAD)
    if end < 0:
        raise NotPiped("its head has no end")
    given: dict[str, list[str]] = {}
    for line in content[len(_FIRST) : end].decode("ascii", "replace").split("\n"):
        name, _, value = line.partition(" ")
        given.setdefault(name, []).append(_clean(value))
    identity, source, length = ("".join(given.pop(name, ())) for name in ("id", "source", "length"))
    if not _ID.match(identity) or not source or not (length.isascii() and length.isdigit() and len(length) < 12):
        raise NotPiped("its head lacks id, source or length")
    if expected and identity != expected:
        raise NotPiped("its name is not its id")
    body = content[end + 2 :]
    if len(body) != int(length):
        raise NotPiped(f"it says that the mail has {length} octets, and there are {len(body)}")
    if not body:
        raise NotPiped("there is no mail in it")
    return Piped(identity, source, {name: tuple(values) for name, values in given.items()}, body)


def _clean(value: str) -> str:
    text = unquote_to_bytes(value).decode("utf-8", "replace")
    return "".join(character for character in text[:_LONGEST_VALUE] if character.isprintable()).strip()


def message_of(piped: Piped) -> tuple[str | None, bytes]:
    """Envelope sender (empty: the null sender; None: not known) and the message without the mbox line before it.

    Postfix' aliases and Exim's pipes put a line ``From alice@example.org Sat Nov 21 ...`` in front, which is no part of
    the message. Who the sender is, is believed in this order: option, environment, this line, Return-Path.
    """
    body = piped.body
    mbox = _MBOX.match(body)
    if mbox is not None and mbox.end() < len(body):
        body = body[mbox.end() :]
    told = piped.given.get("sender") or piped.given.get("$SENDER")
    if told:
        sender = told[0]
    elif mbox is not None:
        sender = mbox[1].decode("utf-8", "replace")
    else:
        head = body[: 64 * 1024]
        end = _END_OF_HEADERS.search(head)
        path = _RETURN_PATH.search(head[: end.start()] if end else head)
        if path is None:
            return None, body
        sender = path[1].decode("utf-8", "replace")
    sender = sender.strip("<> ")
    return "" if sender.lower() in _NULL_SENDERS else sender, body


def envelope_of(piped: Piped, sender: str | None) -> dict[str, str]:
    """The receipt's envelope, with the names that the SMTP door uses. What is not known has no field."""
    given = piped.given
    asked = given.get("recipient") or given.get("$ORIGINAL_RECIPIENT") or given.get("$RECIPIENT") or ()
    recipients = [one for one in dict.fromkeys(address.strip("<> ") for address in asked) if one and one[0] != "@"]
    tags = list(given.get("extension") or given.get("$EXTENSION") or given.get("$LOCAL_PART_SUFFIX") or ())
    if not any(tags):
        tags = [split_address(address)[0].partition("+")[2] for address in recipients]
    found = {
        "rcpt_to": SEPARATOR.join(recipients),
        "subaddress": SEPARATOR.join(dict.fromkeys(tag for tag in (one.lstrip("+-") for one in tags) if tag)),
        "helo": _first(given, "helo", "$CLIENT_HELO"),
        "queue_id": _first(given, "queue-id"),
    }
    fields = {"door": "pipe"} | {name: value for name, value in found.items() if value}
    if sender is not None:
        fields["mail_from"] = sender
    return fields


def _first(given: Mapping[str, tuple[str, ...]], *names: str) -> str:
    return next((value for name in names for value in given.get(name, ()) if value), "")


class PipeDoor:
    """Makes a receipt of what the script handed over. ``server`` and ``sources`` give what is in force."""

    def __init__(
        self,
        accept: Callable[[NewReceipt], Awaitable[Accepted]],
        sources: Callable[[], Mapping[str, SourceSettings]],
        server: Server,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accept = accept
        self.sources = sources
        self._most = (server.smtp or server.lmtp or MailDoor()).max_message
        self._clock = clock

    def most(self, source: str) -> int:
        """The largest mail of a source in octets; the spool takes larger ones too."""
        settings = self.sources().get(source)
        return self._most if settings is None or settings.max_body is None else settings.max_body

    def receipt(self, piped: Piped) -> NewReceipt:
        """The receipt of a mail.

        Its id is the one that the script made, so that the answer that was lost and the file in the spool meet again.

        Raises:
            NoSource: there is no such source, or it takes no mail.
        """
        settings = self.sources().get(piped.source)
        if settings is None:
            raise NoSource(f"there is no source {piped.source!r}")
        if settings.kind != "mail":
            raise NoSource(f"source {piped.source!r} is of kind {settings.kind}, which takes no mail from the pipe")
        sender, body = message_of(piped)
        client = _first(piped.given, "client", "$CLIENT_ADDRESS")
        return NewReceipt(
            id=piped.id,
            source=piped.source,
            received_at=self._clock(),
            body=body,
            content_type=MEDIA_TYPE,
            envelope=envelope_of(piped, sender),
            peer=client if parse_address(client) is not None else "",
            duplicate_key=duplicate_key(sender or "", body, settings.retry_horizon),
        )


class PipeApp:
    """The application behind the socket: ``POST /mail`` with the octets above; 200 once the mail is durable.

    413: larger than the source takes. 404: no such source. Anything else: the script writes its spool, from which the
    mail is taken with the same id.
    """

    def __init__(
        self,
        door: PipeDoor,
        admission: Admission,
        *,
        ready: Callable[[], bool],
        on_broken: Callable[[BaseException], None],
    ) -> None:
        """``ready`` is false as long as older mails wait in the spool from before the start: they come first."""
        self._door = door
        self._admission = admission
        self._ready = ready
        self._on_broken = on_broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = Body(self._admission, MOST)
        try:
            accepted = await self._take(scope, receive, body)
        except Refused as refused:
            structlog.get_logger().warning("not taken from the pipe", detail=refused.problem.detail)
            await send_problem(send, refused.problem)
        except Gone:
            return
        else:
            content = orjson.dumps({"id": accepted.id, "duplicate_of": accepted.duplicate_of})
            length = str(len(content)).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})
        finally:
            body.release()

    async def _take(self, scope: Scope, receive: Receive, body: Body) -> Accepted:
        if (scope["method"], scope["path"]) != ("POST", "/mail"):
            raise Refused(Problem(405, Refusal.METHOD, "This socket knows only POST /mail.", close=True))
        if not self._ready():
            raise Refused(
                Problem(503, Refusal.OVERLOAD, "Older mails in the spool come first.", retry_after=1, close=True)
            )
        if (problem := self._admission.refusal()) is not None:
            raise Refused(problem)
        body.check_declared(declared_length(dict(scope["headers"])))
        content = await body.read(receive, _BODY_TIME)
        try:
            piped = unpack(content)
            del content  # a large mail is held once
            if len(piped.body) > (most := self._door.most(piped.source)):
                raise Refused(too_large(most))
            new = self._door.receipt(piped)
        except NotPiped as error:
            raise Refused(Problem(400, Refusal.BAD_REQUEST, f"It cannot be read: {error}.")) from None
        except NoSource as error:
            raise Refused(Problem(404, Refusal.UNKNOWN_SOURCE, f"{error}.")) from None
        try:
            accepted = await self._door.accept(new)
        except IntakeClosed:
            raise Refused(stopping()) from None
        except JournalError as error:
            broken = isinstance(error, JournalBroken)
            if broken:
                self._on_broken(error)
            reason = Refusal.JOURNAL_BROKEN if broken else Refusal.NO_ROOM
            raise Refused(Problem(503, reason, str(error), retry_after=5, close=True)) from error
        self._admission.taken()
        return accepted
