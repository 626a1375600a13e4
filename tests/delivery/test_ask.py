"""Questions that are no actions: asked only where nothing stands in the way of actions."""

import asyncio

import pytest

from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.memory import MemoryJournal
from gateway.model.action import ActionStatus
from tests.delivery.desk import Desk, Wire, desk, until

pytestmark = pytest.mark.anyio


async def word() -> str:
    return "answered"


async def asked(at: Desk) -> str | None:
    return await at.delivery.ask(word)


async def waits(wire: Wire, url: str, content: bytes) -> Answer:
    await asyncio.sleep(0.3)
    return wire.ticket()


async def broken(wire: Wire, url: str, content: bytes) -> Answer:
    raise CallFailed("no route", sent=False)


async def test_a_question_is_asked_while_nothing_else_goes_on_and_not_while_actions_fill_the_limit() -> None:
    async with desk(MemoryJournal(), waits, concurrency=1) as at:
        await until(lambda: at.task.done() or at.delivery.breaker.value == "closed")
        await asyncio.sleep(0.05)
        assert await asked(at) == "answered"
        receipts = await at.incidents(1)
        await until(lambda: bool(at.wire.calls))
        assert await asked(at) is None
        await at.all_are(receipts, ActionStatus.DELIVERED)
        assert await asked(at) == "answered"


async def test_no_question_is_asked_while_paused_or_after_the_stop() -> None:
    async with desk(MemoryJournal()) as at:
        await asyncio.sleep(0.05)
        await at.delivery.pause("anna", "maintenance")
        assert await asked(at) is None
        await at.delivery.resume()
        assert await asked(at) == "answered"
        await at.delivery.stop(0.0)
        assert await asked(at) is None


async def test_no_question_is_asked_while_the_breaker_is_open() -> None:
    async with desk(MemoryJournal(), broken) as at:
        await at.incidents(12)
        await until(lambda: at.delivery.breaker.value == "open")
        assert await asked(at) is None


async def test_a_question_counts_towards_the_rate() -> None:
    async with desk(MemoryJournal(), rate="1/m") as at:
        await asyncio.sleep(0.05)
        assert await asked(at) == "answered"
        assert await asked(at) is None
