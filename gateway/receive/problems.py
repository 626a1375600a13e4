"""Refusals and how they are told: problem details (RFC 9457) that name the fault, the place, and the way out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import orjson
from starlette.types import Send

Header = tuple[bytes, bytes]

PROBLEM_JSON = b"application/problem+json"
_TYPE = "https://ticket-gateway.invalid/problems/"  # names, not addresses (RFC 2606: never resolves)


class Refusal(StrEnum):
    """Why a request was not taken: metric label, log field and last part of the problem's ``type``."""

    UNKNOWN_SOURCE = "unknown_source"
    WRONG_CREDENTIALS = "wrong_credentials"
    WRONG_NETWORK = "wrong_network"
    NOT_FOUND = "not_found"
    METHOD = "method_not_allowed"
    ENCODING = "content_encoding"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    BAD_REQUEST = "bad_request"
    MALFORMED = "malformed"
    SILENCE = "silence"
    RATE = "rate"
    OVERLOAD = "overload"
    NO_ROOM = "no_room"
    QUEUE_FULL = "queue_full"
    STOPPING = "stopping"
    JOURNAL_BROKEN = "journal_broken"
    FAULT = "fault"
    SENDER_NOT_VERIFIED = "sender_not_verified"


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal.

    ``place`` is the field or position at fault, ``hint`` the way out, ``retry_after`` whole seconds. ``close`` ends the
    connection, because the rest of the request is not read.
    """

    status: int
    reason: Refusal
    detail: str
    place: str = ""
    hint: str = ""
    retry_after: int | None = None
    headers: Sequence[Header] = ()
    close: bool = False
    id: str = ""

    def body(self) -> bytes:
        """The problem as JSON (RFC 9457, section 3)."""
        members: dict[str, object] = {
            "type": _TYPE + self.reason.value,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        for name in ("place", "hint", "id"):
            if value := getattr(self, name):
                members[name] = value
        try:
            return orjson.dumps(members)
        except TypeError:  # a lone surrogate in a place or detail that came from a payload
            return orjson.dumps({key: _utf8(value) for key, value in members.items()})


def _utf8(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer with a problem."""
    headers: list[Header] = [*problem.headers]
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if problem.close:
        headers.append((b"connection", b"close"))
    await send_answer(send, problem.status, problem.body(), PROBLEM_JSON, headers)


async def send_answer(
    send: Send, status: int, body: bytes, content_type: bytes = b"application/json", headers: Sequence[Header] = ()
) -> None:
    """Answer with a body."""
    start: list[Header] = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
