"""What the sandbox server asks of a helpdesk's double."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel

from gateway.sandbox.switches import Faults


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. ``path`` begins below the helpdesk's own address; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: str = "127.0.0.1"
    https: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. ``chunked``: no Content-Length is given."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False


class Drop(StrEnum):
    """The connection ends without an answer."""

    CLOSE = "close"
    RESET = "reset"


class Double(Protocol):
    """A stand-in for one helpdesk. It writes through the `Store` it was made with."""

    @property
    def name(self) -> str:
        """Its first path segment below `/sandbox`, and the key of its faults and settings."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def settings(self) -> BaseModel:
        """Its own switches."""
        ...

    @property
    def faults(self) -> Faults:
        """Its fault switches."""
        ...

    @property
    def actions(self) -> Mapping[str, str]:
        """What an agent can do to a ticket here: action and its label."""
        ...

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some of its switches; raises pydantic's `ValidationError` and changes nothing if one is wrong."""
        ...

    async def answer(self, request: Request) -> Reply | Drop:
        """What the helpdesk does with a request. It goes on when the client has gone."""
        ...

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do; false if the ticket or the action does not exist."""
        ...


class Answering(ABC):
    """A double whose answers go on to their end. A client that hangs up does not stop them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Reply | Drop]] = set()

    async def answer(self, request: Request) -> Reply | Drop:
        """What the helpdesk does with a whole request. It goes on when the client has gone."""
        task = asyncio.create_task(self._answer(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    @property
    def busy(self) -> bool:
        """Whether a request is still worked on; its client may have gone."""
        return bool(self._running)

    async def close(self) -> None:
        """Give up whatever still hangs."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @abstractmethod
    async def _answer(self, request: Request) -> Reply | Drop:
        """What the helpdesk does with a whole request."""
