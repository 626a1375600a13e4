"""A request that came whole, on its short way.

Most deliveries are small: head and body arrive in one piece of data. Such a request needs no task, no events and no
messages between server and application: its application takes it in one call and answers when the journal has it. That
halves what a delivery costs. Whatever is unusual about a request is left to the usual way (ASGI), which decides and
answers; the short way only ever says yes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

ShortWay = Callable[["Whole"], bool]
"""Takes a request, and answers it later through it; False leaves it to the usual way, as if nothing had been."""


@lru_cache(maxsize=128)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...], keep_alive: bool) -> tuple[bytes, bool]:  # noqa: FBT001 - cached by place
    """The head of an answer, and whether it ends the connection."""
    ends = (b"connection", b"close") in headers
    lines = [b"%b: %b\r\n" % header for header in headers]
    if not keep_alive and not ends:
        lines.append(b"connection: close\r\n")
    return b"%b%b\r\n" % (STATUS_LINE[status], b"".join(lines)), ends or not keep_alive


class _Nobody:
    """Stands where uvicorn wakes an application."""

    def set(self) -> None:
        """Nobody waits."""


class Whole:
    """A whole request, and the way back to its sender. In the connection it stands in the place of uvicorn's cycle."""

    __slots__ = (
        "_close", "_head", "_on_response", "_write", "body", "client", "disconnected", "headers", "keep_alive", "more_body",
        "response_complete", "url",
    )  # fmt: skip

    message_event: Final = _Nobody()

    def __init__(
        self,
        *,
        url: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        client: tuple[str, int] | None,
        body: bytes,
        keep_alive: bool,
        write: Callable[[bytes], None],
        close: Callable[[], None],
        on_response: Callable[[], None],
    ) -> None:
        """``url`` is the request's target as it came; names of ``headers`` are in lower case.

        ``write`` and ``close`` are the way back, ``on_response`` is told when the answer is out.
        """
        self.url = url
        self.headers = headers
        self.client = client
        self.body = body
        self.keep_alive = keep_alive  # uvicorn takes it away when it stops
        self.disconnected = False
        self.more_body = False
        self.response_complete = False
        self._write = write
        self._close = close
        self._on_response = on_response
        self._head: Message | None = None

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer. ``headers`` say the body's length, and none of them comes from outside."""
        if self.disconnected or self.response_complete:
            return
        head, ends = _head(status, tuple(headers), self.keep_alive)
        self.keep_alive = not ends
        self.response_complete = True
        self._write(head + body)
        if not self.keep_alive:
            self._close()
        self._on_response()

    async def send(self, message: Message) -> None:
        """The same for whoever speaks ASGI: a start and one body."""
        if self._head is None:
            self._head = message
        else:
            self.answer(self._head["status"], list(self._head["headers"]), message["body"])
