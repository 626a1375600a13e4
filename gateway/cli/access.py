"""How verbs reach the journal: through the running gateway's control socket, or by opening the file themselves."""

import base64
import getpass
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import orjson

from gateway.cli.common import fail
from gateway.config.config import Config
from gateway.journal.locate import journal_path
from gateway.journal.locate import reading as read_side
from gateway.journal.protocol import Journal, JournalError, Reader
from gateway.journal.sqlite import open_sqlite
from gateway.model.ids import new_id
from gateway.model.receipt import Accepted, NewReceipt
from gateway.model.silence import Silence
from gateway.operations import Operations, Refused, Replayed
from gateway.receive.control import control_path, is_socket
from gateway.ruleset import build_ruleset

PATIENCE = 5.0
"""Seconds that a running gateway has to say that it is there."""


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[Reader]:
    """The read side of the configured journal, whether a gateway runs or not."""
    path = journal_path(config)
    if not _there(path):
        fail(f"there is no journal at {path} yet; `ticket-gateway serve` or `send` makes it", 1)
    try:
        async with read_side(path) as reader:
            yield reader
    except sqlite3.Error as error:
        fail(f"the journal {path} cannot be read: {error}{_whose(path)}", 1)
    except (JournalError, OSError) as error:
        fail(f"the journal {path} cannot be read: {error}", 1)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        fail(f"the journal {path} cannot be read: {error.strerror}{_whose(path.parent)}", 1)


def _whose(path: Path) -> str:
    """A hint where the file is another user's."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    return "" if owner == os.geteuid() else f"; it belongs to user {owner}: run this as the gateway's user"


@dataclass(frozen=True, slots=True)
class Remote:
    """A running gateway, asked through its control socket."""

    socket: Path

    async def ask(self, method: str, path: str, body: object = None) -> object:
        """One question; ends the program if the gateway cannot answer."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60.0) as client:
            try:
                answer = await client.request(method, path, json=body)
            except httpx.HTTPError as error:
                fail(f"the running gateway did not answer on {self.socket}: {str(error) or type(error).__name__}", 1)
            try:
                value: object = orjson.loads(answer.content)
            except ValueError:
                fail(f"the running gateway answered {answer.status_code} on {self.socket}; its log says why", 1)
            if answer.is_error:
                told = value.get("detail", "") if isinstance(value, dict) else ""
                fail(f"the running gateway refused: {told or answer.status_code}", 1)
            return value


async def running(config: Config) -> Remote | None:
    """The running gateway of this configuration, or None."""
    socket = control_path(journal_path(config))
    try:
        if not is_socket(socket):
            return None
    except OSError:
        return None  # the folder is another user's; opening the journal says so
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=PATIENCE) as client:
        try:
            await client.get("/status")
        except httpx.TimeoutException:
            fail(f"the running gateway did not answer on {socket} within {PATIENCE:g} s; is it busy, or stopped?", 1)
        except httpx.HTTPError:
            return None  # left behind by one that was killed
    return Remote(socket)


class Operating:
    """Retry, drop, replay and accept, through a running gateway or on the journal itself."""

    def __init__(self, remote: Remote | None, local: Operations | None) -> None:
        """Exactly one of both is given."""
        self._remote = remote
        self._local = local

    @property
    def by_gateway(self) -> bool:
        """True if a running gateway does it."""
        return self._remote is not None

    async def retry(self, ids: Sequence[str]) -> list[str]:
        """See `Operations.retry`."""
        if self._local is not None:
            return await self._local.retry(ids, now=time.time())
        return _ids(await self._ask("/dead/retry", {"ids": list(ids)}))

    async def drop(self, ids: Sequence[str]) -> list[str]:
        """See `Operations.drop`."""
        if self._local is not None:
            return await self._local.drop(ids, now=time.time(), who=operator())
        return _ids(await self._ask("/dead/drop", {"ids": list(ids), "who": operator()}))

    async def replay(self, ids: Sequence[str], *, anew: bool) -> list[Replayed]:
        """See `Operations.replay`."""
        if self._local is not None:
            return await self._local.replay(ids, now=time.time(), anew=anew)
        answer = await self._ask("/replay", {"ids": list(ids), "anew": anew})
        assert isinstance(answer, list)
        return [Replayed(**one) for one in answer]

    async def silence(self, silence: Silence) -> None:
        """See `Operations.silence`; ends the program if it is refused."""
        if self._local is None:
            await self._ask("/silence/add", {**asdict(silence), "match": dict(silence.match)})
            return
        try:
            await self._local.silence(silence)
        except Refused as error:
            fail(str(error))

    async def end_silences(self, ids: Sequence[str]) -> list[str]:
        """See `Operations.end_silences`."""
        if self._local is not None:
            return await self._local.end_silences(ids, now=time.time())
        return _ids(await self._ask("/silence/rm", {"ids": list(ids)}))

    async def pause(self, helpdesk: str, why: str) -> None:
        """See `Operations.pause`."""
        if self._local is not None:
            await self._local.pause(helpdesk, now=time.time(), who=operator(), why=why)
        else:
            await self._ask("/helpdesk/pause", {"helpdesk": helpdesk, "who": operator(), "why": why})

    async def release(self, helpdesk: str, longer: float) -> None:
        """See `Operations.release`: what is queued until so many seconds from now."""
        if self._local is not None:
            await self._local.release(helpdesk, until=time.time() + longer)
        else:
            await self._ask("/helpdesk/release", {"helpdesk": helpdesk, "longer": longer})

    async def resume(self, helpdesk: str) -> bool:
        """See `Operations.resume`."""
        if self._local is not None:
            return await self._local.resume(helpdesk, now=time.time())
        answer = await self._ask("/helpdesk/resume", {"helpdesk": helpdesk})
        return isinstance(answer, dict) and answer["resumed"] is True

    async def accept(self, new: NewReceipt) -> Accepted:
        """See `Operations.accept`."""
        if self._local is not None:
            return await self._local.accept(new)
        answer = await self._ask(
            "/accept",
            {
                "id": new_id(),
                "source": new.source,
                "body": base64.b64encode(new.body).decode(),
                "content_type": new.content_type,
                "headers": [list(pair) for pair in new.headers],
                "envelope": dict(new.envelope),
            },
        )
        assert isinstance(answer, dict)
        return Accepted(id=answer["id"], duplicate_of=answer["duplicate_of"])

    async def _ask(self, path: str, body: object) -> object:
        assert self._remote is not None
        return await self._remote.ask("POST", path, body)


@asynccontextmanager
async def operating(config: Config) -> AsyncIterator[Operating]:
    """What changes the journal goes through the gateway that owns it; without one, we own it for a moment."""
    remote = await running(config)
    if remote is not None:
        yield Operating(remote, None)
        return
    rules = build_ruleset(config)
    try:
        journal: Journal = await open_sqlite(journal_path(config), run=f"cli-{new_id()}")
    except JournalError as error:
        fail(str(error), 1)
    except (OSError, sqlite3.Error) as error:
        fail(f"the journal {journal_path(config)} cannot be opened: {error}{_whose(journal_path(config))}", 1)
    try:
        yield Operating(None, Operations(journal, lambda: rules, journal.accept, lambda: None))
    except (JournalError, sqlite3.Error) as error:
        fail(f"the journal {journal_path(config)}: {error}", 1)
    finally:
        await journal.close()


def operator() -> str:
    """Who is working here, for the history; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _ids(answer: object) -> list[str]:
    assert isinstance(answer, dict)
    return [str(one) for one in answer["done"]]
