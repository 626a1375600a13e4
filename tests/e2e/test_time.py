"""What depends on time, on a clock that the test moves."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.model.reasons import Reason
from tests.e2e.house import house

pytestmark = pytest.mark.anyio

HOUR = 3600.0


@dataclass
class Clock:
    """Stands where it was put, but for the seconds that really pass."""

    offset: float = 0.0
    began: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return time.time() + self.offset


async def test_a_repeat_is_appended_once_an_hour_and_counted_in_between(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        reasons = []
        for number in range(6):
            answer = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID=str(number))
            await home.settled()
            reasons.append((await home.view(answer)).events[0].reason)
            clock.offset += 0.4 * HOUR
        assert reasons == [
            Reason.OPENED,
            Reason.REPEATED,
            Reason.REPEATED,
            Reason.REPEAT_APPENDED,
            Reason.REPEATED,
            Reason.REPEATED,
        ]
        assert len(home.entries()) == 2
        assert "4" in str(home.entries()[1]["body"])


async def test_a_relapse_after_its_time_makes_a_new_ticket(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        await home.settled()
        clock.offset += 0.9 * HOUR
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="3")
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="4")
        await home.settled()
        assert len(home.tickets()) == 1
        clock.offset += 1.1 * HOUR
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="5")
        await home.settled()
        assert len(home.tickets()) == 2


async def test_a_byte_equal_request_is_one_delivery_for_two_minutes_and_another_one_afterwards(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        first = await home.app(host="db1")
        again = await home.app(host="db1")
        clock.offset += 150.0
        later = await home.app(host="db1")
        assert again.json()["id"] == first.json()["id"]
        assert later.json()["id"] != first.json()["id"]
        await home.settled()
        assert [event.reason for event in (await home.view(later)).events] == [Reason.REPEATED]


async def test_a_clock_that_jumps_back_loses_and_doubles_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        await home.app(host="db1")
        await home.settled()
        clock.offset -= 2 * HOUR
        await home.app(host="db2")
        repeat = await home.app(host="db1", text="still")
        clock.offset += 2 * HOUR
        await home.settled()
        assert len(home.tickets()) == 2
        assert [event.reason for event in (await home.view(repeat)).events] == [Reason.REPEATED]
