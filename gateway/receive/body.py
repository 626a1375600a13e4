"""Reading a request's body: never more than the cap, never longer than the deadline, never beyond the shared budget."""

import asyncio

from starlette.types import Receive

from gateway.receive.admission import Admission
from gateway.receive.problems import Problem, Refusal


class Gone(Exception):
    """The sender hung up before its request was whole; there is nobody to answer."""


class Refused(Exception):
    """The request is not taken."""

    def __init__(self, problem: Problem) -> None:
        """``problem`` is the answer."""
        super().__init__(problem.detail)
        self.problem = problem


def too_large(cap: int) -> Problem:
    """The answer to a body over the cap. The rest is not read, so the connection ends."""
    return Problem(
        413,
        Refusal.TOO_LARGE,
        f"The body is larger than {cap} bytes.",
        hint="Send less, or raise `max_body` of the server and of the source.",
        close=True,
    )


def _overload() -> Problem:
    return Problem(
        503, Refusal.OVERLOAD, "Too many bytes are being received.", hint="Try again.", retry_after=5, close=True
    )


def declared_length(headers: dict[bytes, bytes]) -> int | None:
    """The value of Content-Length, or None where the sender gives none.

    Raises:
        Refused: for a value that is no number (the HTTP parser refuses it too).
    """
    value = headers.get(b"content-length")
    if value is None:
        return None
    if not value.isdigit() or not value.isascii():
        raise Refused(
            Problem(400, Refusal.BAD_REQUEST, "Content-Length is no number.", place="Content-Length", close=True)
        )
    return int(value) if len(value) < 19 else 10**18


class Body:
    """A body being read. Its bytes count towards the budget from arrival until `release`."""

    def __init__(self, admission: Admission, cap: int) -> None:
        self._admission = admission
        self._cap = cap
        self._held = 0

    def check_declared(self, length: int | None) -> None:
        """Refuse by the declared length, before a byte is read.

        Raises:
            Refused: over the cap (413) or over the budget (503).
        """
        if length is None:
            return
        if length > self._cap:
            raise Refused(too_large(self._cap))
        if not self._admission.fits(length):
            raise Refused(_overload())

    async def read(self, receive: Receive, timeout: float, *, arrived: bool = False) -> bytes:
        """The whole body. ``arrived`` says that it is in memory already, so that no deadline is needed.

        Raises:
            Refused: over the cap (413), over the budget (503), or not whole after ``timeout`` seconds (408).
            Gone: the sender hung up.
        """
        if arrived:
            return self._take(await receive())
        try:
            async with asyncio.timeout(timeout):
                message = await receive()
                if not message.get("more_body", False):
                    return self._take(message)  # the usual case: one piece
                pieces = [self._take(message)]
                while message.get("more_body", False):
                    message = await receive()
                    pieces.append(self._take(message))
        except TimeoutError:
            raise Refused(
                Problem(
                    408,
                    Refusal.TOO_SLOW,
                    f"The body did not arrive within {timeout:g} s.",
                    hint="Send it faster, or raise `server.http.body_timeout`.",
                    close=True,
                )
            ) from None
        return b"".join(pieces)

    def _take(self, message: object) -> bytes:
        assert isinstance(message, dict)
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        assert isinstance(piece, bytes)
        if self._held + len(piece) > self._cap:
            raise Refused(too_large(self._cap))
        if not self._admission.fits(len(piece)) and self._admission.in_flight > self._held:
            raise Refused(_overload())
        self._held += len(piece)
        self._admission.in_flight += len(piece)
        return piece

    def release(self) -> None:
        """Give the budget back."""
        self._admission.in_flight -= self._held
        self._held = 0
