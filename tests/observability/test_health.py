import asyncio

import pytest

from gateway.journal.protocol import JournalFull
from gateway.observability.health import Health, journal_check

pytestmark = pytest.mark.anyio


async def test_checks_run_once_within_their_keep_however_often_they_are_asked() -> None:
    runs = 0
    clock = [0.0]

    async def check() -> str | None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return None if runs == 1 else "no room"

    health = Health({"journal": check}, keep=1.0, monotonic=lambda: clock[0])
    answers = await asyncio.gather(*(health.readiness() for _ in range(5)))
    assert runs == 1
    assert all(answer.ready for answer in answers)
    clock[0] = 1.0
    assert (await health.readiness()).checks == {"journal": "no room"}
    assert not (await health.readiness()).ready


class FullThenWell:
    """A journal that had no room until now."""

    def __init__(self) -> None:
        self.probed: list[float] = []

    async def probe(self, now: float) -> None:
        self.probed.append(now)
        if len(self.probed) == 1:
            raise JournalFull("no room on /data")


async def test_the_journal_is_probed_by_a_write_and_its_fault_is_told() -> None:
    journal = FullThenWell()
    check = journal_check(journal, lambda: 7.0)
    assert await check() == "the journal cannot write: no room on /data"
    assert await check() is None
    assert journal.probed == [7.0, 7.0]


async def test_a_check_that_fails_itself_is_not_ready_and_tells_no_details() -> None:
    async def broken() -> str | None:
        raise RuntimeError("/secret/path")

    async def fine() -> str | None:
        return None

    readiness = await Health({"broken": broken, "fine": fine}).readiness()
    assert readiness.checks == {"broken": "the check itself failed; see the log", "fine": None}
