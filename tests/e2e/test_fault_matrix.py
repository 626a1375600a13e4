"""The fault matrix (`python -m bench.matrix`) tells what is right from what is wrong."""

from pathlib import Path

import pytest

from bench.matrix import DESKS, FAULTS, STEPS, Story, config_of, judge, play, routes_of, stories
from gateway.sandbox.faults import FaultKind
from tests.e2e.house import house

pytestmark = pytest.mark.anyio

NAMES = [desk.name for desk in DESKS]


def test_it_has_every_fault_of_the_sandbox_at_every_action_of_every_helpdesk() -> None:
    assert {fault.fault for fault in FAULTS.values()} == set(FaultKind)
    assert {step.action for step in STEPS} == {"create", "append", "update", "close", "reopen"}
    assert len(stories(range(len(DESKS)), 10, 1)) == len(DESKS) * len(FAULTS) * len(STEPS) + 10


@pytest.mark.parametrize(
    ("desk", "fault", "at", "grade"),
    [
        ("osticket", "commit_then_drop", "create", "ok"),
        ("osticket", "die_half_way, attachment", "append", "flagged"),
        ("zammad, older", "die_half_way, attachment", "create", "ok"),
        ("otobo, stock routes", "die_half_way, article", "create", "ok"),
        ("znuny", "redirect", "close", "ok by hand"),
        ("webhook, nothing to look up", "commit_then_drop", "close", "flagged"),
        ("webhook, look-up", "commit_then_drop", "create", "ok"),
    ],
)
async def test_a_story_ends_as_it_should(tmp_path: Path, desk: str, fault: str, at: str, grade: str) -> None:
    verdict = await play(Story(NAMES.index(desk), (fault,), at), tmp_path)
    assert (verdict.grade, verdict.grade != "flagged" and verdict.why) == (grade, False if grade == "flagged" else "")


async def test_what_was_lost_is_seen(tmp_path: Path) -> None:
    desk = DESKS[NAMES.index("zammad")]
    async with house(tmp_path, routes_of(desk), config=config_of(desk)) as home:
        assert judge(home, desk) == ["0 tickets, and 0 others"]
