"""Silences over HTTP: ``POST /silences``, ``GET /silences[/ID]``, ``DELETE /silences/ID``, with a token of the operators.

What may be silenced, for how long and by whom is decided where the command line has it decided too (`gateway.operations`).
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from gateway.config.models import Operator
from gateway.config.values import duration
from gateway.journal.protocol import JournalBroken, JournalFull, Reader
from gateway.model.ids import new_id
from gateway.model.json import JsonObject, JsonValue
from gateway.model.silence import Silence
from gateway.operations import Refused as Unfit
from gateway.receive.admission import Admission, journal_lost, no_room, stopping
from gateway.receive.auth import Claim
from gateway.receive.body import Body, Refused, declared_length
from gateway.receive.operators import Operators
from gateway.receive.problems import Header, Problem, Refusal, send_answer, send_problem
from gateway.receive.status import NO_STORE, iso
from gateway.sources.jsontext import read_json
from gateway.sources.protocol import Malformed

LARGEST = 64 * 1024
"""Octets of a request; a silence is a few lines."""
SAME = 120.0
"""Seconds within which a request that asks for a silence that there is already counts as its repetition."""
SHOWN = 1000
"""Silences that are over are shown up to this number, the last ones."""

_FIELDS = ("match", "for", "starts_at", "ends_at", "comment", "author")
_KEYS = uuid.UUID("5f6a3a52-9d1b-4f4e-8a34-0d5d3a4e3a10")  # the namespace of ids that are made from Idempotency-Keys


class Keeper(Protocol):
    """What makes and ends silences (`gateway.operations.Operations`)."""

    async def silence(self, silence: Silence) -> None:
        """Put a silence in force; raises `gateway.operations.Refused`."""
        ...

    async def end_silences(self, ids: Sequence[str], *, now: float) -> list[str]:
        """End silences; gives back the ids of those that were in force or to come."""
        ...


# ------------------------------------------------------------------------------------------------------ what is asked for


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, by the name of the token, and the key that tells a repeated request from a second wish."""

    name: str
    key: str = ""

    @property
    def silence_id(self) -> str:
        """The id of what is made: the same for the same key, so that nothing else need be remembered."""
        return str(uuid.uuid5(_KEYS, f"{self.name}\n{self.key}")) if self.key else new_id()


def read_silence(body: bytes, asker: Asker, now: float) -> Silence:
    """The silence that a request asks for.

    Raises:
        Refused: with the field at fault.
    """
    try:
        asked = read_json(body)
    except Malformed as fault:
        raise Refused(Problem(400, Refusal.MALFORMED, fault.message, place=fault.place, hint=fault.hint)) from None
    if not isinstance(asked, dict):
        raise _wrong(
            "body", "a silence is a JSON object", 'Send {"match": {"host": "db-1"}, "for": "2h", "comment": "why"}.'
        )
    for name in asked:
        if name not in _FIELDS:
            raise _wrong(name, "a silence has no such field", f"The fields are {', '.join(_FIELDS)}.")
    match = asked.get("match")
    if not isinstance(match, dict):
        raise _wrong(
            "match",
            "a match is a mapping of fields, as in a rule",
            'Send {"host": "db-1"} or {"host": {"glob": "db-*"}}.',
        )
    starts_at = _instant(asked, "starts_at", now)
    return Silence(
        id=asker.silence_id,
        match=match,
        starts_at=starts_at,
        ends_at=_end(asked, starts_at),
        author=_text(asked, "author").strip() or asker.name,
        comment=_text(asked, "comment"),
        made_at=now,
    )


def _end(asked: JsonObject, starts_at: float) -> float:
    if ("for" in asked) == ("ends_at" in asked):
        told = "both `for` and `ends_at` are given" if "for" in asked else "it is not said how long the silence lasts"
        raise _wrong("for", told, 'Send "for": "2h", or "ends_at": "2026-12-05T22:00:00Z".')
    if "ends_at" in asked:
        return _instant(asked, "ends_at", starts_at)
    try:
        return starts_at + duration(_text(asked, "for"))
    except (ValueError, OverflowError) as error:
        raise _wrong("for", str(error)) from None


def _text(asked: JsonObject, name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise _wrong(name, "it is no text", "Put it in quotes.")
    return value


def _instant(asked: JsonObject, name: str, default: float) -> float:
    if name not in asked:
        return default
    try:
        instant = datetime.fromisoformat(_text(asked, name))
        if instant.tzinfo is not None:
            return instant.timestamp()
    except (ValueError, OverflowError):
        pass
    raise _wrong(name, "it is no instant with a zone", "Write 2026-12-05T22:00:00Z or 2026-12-05T22:00+01:00.")


def _wrong(place: str, message: str, hint: str = "") -> Refused:
    return Refused(Problem(422, Refusal.SILENCE, message[:1].upper() + message[1:] + ".", place=place, hint=hint))


def repeats(new: Silence, known: Sequence[Silence]) -> Silence | None:
    """The silence that a request asks for a second time, or None: of its very id, or made just now for the same."""
    for one in known:
        if one.id == new.id:
            return one
        same = (one.match, one.author, one.comment) == (new.match, new.author, new.comment)
        near = (
            max(new.made_at - one.made_at, abs(new.starts_at - one.starts_at), abs(new.ends_at - one.ends_at)) <= SAME
        )
        if same and near and one.ends_at > new.made_at:
            return one
    return None


def silence_json(one: Silence, now: float) -> dict[str, JsonValue]:
    """A silence as answers show it."""
    return {
        "id": one.id,
        "state": "over" if one.ends_at <= now else "active" if one.starts_at <= now else "pending",
        "match": dict(one.match),
        "starts_at": iso(one.starts_at),
        "ends_at": iso(one.ends_at),
        "author": one.author,
        "comment": one.comment,
        "made_at": iso(one.made_at),
    }


# ------------------------------------------------------------------------------------------------------------- the address


class Silences:
    """Everything under ``/silences``."""

    def __init__(
        self,
        keeper: Keeper,
        reader: Reader,
        operator: Operator | None,
        admission: Admission,
        *,
        timeout: float,
        on_broken: Callable[[BaseException], None],
        now: Callable[[], float],
    ) -> None:
        """``timeout``: seconds that a body may take. ``on_broken`` is told once the journal is lost."""
        self._keeper = keeper
        self._reader = reader
        self._operators = Operators(operator)
        self._admission = admission
        self._timeout = timeout
        self._on_broken = on_broken
        self._now = now
        self._one_at_a_time = asyncio.Lock()  # two equal requests at once are one wish

    async def serve(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer one request. ``path`` begins with ``/silences``."""
        try:
            status, answer = await self._answer(scope, receive, path.removeprefix("/silences").lstrip("/"))
        except Refused as refused:
            await send_problem(send, refused.problem)
        except JournalFull:
            await send_problem(send, no_room())
        except JournalBroken as error:
            self._on_broken(error)
            await send_problem(send, journal_lost())
        else:
            headers = [NO_STORE]
            if status == 201:
                headers.append((b"location", f"{scope['path'].rstrip('/')}/{answer['id']}".encode()))
            await send_answer(send, status, orjson.dumps(answer), headers=headers)

    async def _answer(self, scope: Scope, receive: Receive, name: str) -> tuple[int, dict[str, JsonValue]]:
        """The status and what is told. ``name`` is what follows the address, an id or nothing."""
        method, headers = scope["method"], dict(scope["headers"])
        unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        who = self._operators.who(Claim(headers, scope["query_string"]))
        if not who:
            raise Refused(_stranger(configured=self._operators.configured, close=unread))
        allowed = ("GET", "HEAD", "DELETE") if name else ("GET", "HEAD", "POST")
        if method not in allowed:
            raise Refused(_method(", ".join(allowed), close=unread))
        if method == "POST":
            return await self._make(receive, headers, who)
        if method == "DELETE":
            return 200, await self._end(name, who)
        if name:
            return 200, silence_json(await self._known(name), self._now())
        return 200, await self._list(scope["query_string"])

    async def _make(
        self, receive: Receive, headers: Mapping[bytes, bytes], who: str
    ) -> tuple[int, dict[str, JsonValue]]:
        """Make a silence, or find the one that the same request made before."""
        body = Body(self._admission, LARGEST)
        try:
            body.check_declared(declared_length(dict(headers)))
            content = await body.read(receive, self._timeout)
        finally:
            body.release()
        if self._admission.stopping:
            raise Refused(stopping())
        key = headers.get(b"idempotency-key", b"").decode("latin-1").strip()
        now = self._now()
        new = read_silence(content, Asker(who, key), now)
        async with self._one_at_a_time:
            found = repeats(new, await self._reader.silences())
            if found is not None:
                if (found.match, found.comment, found.author) != (new.match, new.comment, new.author):
                    hint = "Use a fresh Idempotency-Key for another silence."
                    raise Refused(
                        Problem(
                            409, Refusal.SILENCE, "This key made another silence.", place="Idempotency-Key", hint=hint
                        )
                    )
                return 200, silence_json(found, now)
            try:
                await self._keeper.silence(new)
            except Unfit as fault:
                raise _wrong(fault.place or "body", str(fault)) from None
        structlog.get_logger().info("silence made", id=new.id, by=who, author=new.author, comment=new.comment)
        return 201, silence_json(new, now)

    async def _end(self, name: str, who: str) -> dict[str, JsonValue]:
        """End one now; one that is over already stays as it is, so that a repeated request does no harm."""
        known = await self._known(name)
        if await self._keeper.end_silences([known.id], now=self._now()):
            structlog.get_logger().info("silence ended", id=known.id, by=who)
            known = await self._known(name)
        return silence_json(known, self._now())

    async def _known(self, name: str) -> Silence:
        for one in await self._reader.silences():
            if one.id == name:
                return one
        hint = "GET /silences lists them; an id is written whole here."
        raise Refused(Problem(404, Refusal.NOT_FOUND, "There is no such silence.", place="path", hint=hint))

    async def _list(self, query: bytes) -> dict[str, JsonValue]:
        """Those in force and to come; with ``?all=true`` also the last of those that are over."""
        now = self._now()
        if query not in {b"", b"all=true", b"all=false"}:
            hint = "Write ?all=true, or nothing."
            raise Refused(Problem(400, Refusal.BAD_REQUEST, "The query is not understood.", place="query", hint=hint))
        known = await self._reader.silences()
        over = [one for one in known if one.ends_at <= now][-SHOWN:] if query == b"all=true" else []
        return {"silences": [silence_json(one, now) for one in (*over, *(one for one in known if one.ends_at > now))]}


def _stranger(*, configured: bool, close: bool) -> Problem:
    way = "Send `Authorization: Bearer TOKEN` with a token of `server.operator`."
    return Problem(
        401,
        Refusal.WRONG_CREDENTIALS,
        "Silences are made and read by operators.",
        hint=way if configured else "Set `server.operator` in routes.yaml, and send its token.",
        headers=((b"www-authenticate", b'Bearer realm="ticket-gateway"'),),
        close=close,
    )


def _method(allowed: str, *, close: bool) -> Problem:
    header: Header = (b"allow", allowed.encode())
    return Problem(
        405, Refusal.METHOD, "This address takes other methods.", hint=f"Use {allowed}.", headers=(header,), close=close
    )
