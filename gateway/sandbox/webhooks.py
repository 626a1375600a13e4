"""Webhooks of the doubles: what a helpdesk posts when something happened to a ticket."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping

import httpx
from pydantic import BaseModel, ConfigDict, Field

TIMEOUT = 5.0
"""Seconds that a webhook may take; it is not repeated."""


class Webhook(BaseModel):
    """Where a double posts to, and with what it proves itself. Empty: it posts nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default="", description="as in `http://127.0.0.1:8025/helpdesks/NAME/notify`; empty: none")
    secret: str = ""


class Caller:
    """Posts in the background, one after the other."""

    def __init__(self) -> None:
        self._last: asyncio.Task[None] | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post when the loop has time; nothing where no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._last = loop.create_task(self._post(self._last, url, body, headers))

    async def close(self) -> None:
        """Give up what is not posted yet."""
        if self._last is not None:
            self._last.cancel()
            await asyncio.gather(self._last, return_exceptions=True)

    @staticmethod
    async def _post(before: "asyncio.Task[None] | None", url: str, body: bytes, headers: Mapping[str, str]) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
                await client.post(url, content=body, headers={"Content-Type": "application/json", **headers})
        except httpx.HTTPError:
            return  # the real one writes it to its log; nobody here reads one


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature` (HMAC-SHA1 of the body's octets)."""
    return "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
