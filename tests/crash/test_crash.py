"""The promise under SIGKILL: one incident, one ticket; nothing accepted is lost, nothing is doubled."""

import os
import secrets
from pathlib import Path

import pytest

from gateway.faultpoints import Point
from tests.crash.harness import run_crashes


@pytest.mark.processes
def test_a_gateway_killed_at_every_fault_point_loses_nothing_and_doubles_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CRASH_SEED", "0")) or secrets.randbelow(10**6) + 1
    tally = run_crashes(tmp_path, kills=40, seed=seed)
    with capsys.disabled():
        print(f"\n{tally}")  # noqa: T201 - the count is what this test is run for
    assert tally.faults == []
    assert tally.accepted > 100
    assert {point.value: tally.kills[point.value] for point in Point if tally.kills[point.value] < 3} == {}
