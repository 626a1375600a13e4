"""Silences and schedules: what makes no ticket for a while."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.model.reasons import Reason
from tests.cli.support import tg
from tests.e2e.house import ROUTES, House, house
from tests.e2e.test_time import HOUR, Clock

pytestmark = pytest.mark.anyio


async def said(home: House, *words: str, code: int = 0) -> str:
    """What the command line says, through the control socket of the running gateway."""
    result = await asyncio.to_thread(tg, *words, "--config", home.gateway.config.path)
    assert result.exit_code == code, result.output
    return result.output


async def listed(home: House, *words: str) -> list[dict[str, Any]]:
    found = json.loads(await said(home, "silence", "ls", "--json", *words))
    assert isinstance(found, list)
    return found


async def reasons(home: House, *answers: Any) -> list[Reason]:
    await home.settled()
    return [(await home.view(answer)).events[0].reason for answer in answers]


async def test_a_silence_keeps_tickets_away_until_it_is_over(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        told = await said(
            home, "silence", "add", "host=web*", "--for", "2h", "--comment", "new switch", "--author", "Ada"
        )
        assert "silent until" in told
        quiet = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        other = await home.nagios("PROBLEM", "CRITICAL", "db1", SERVICENOTIFICATIONID="2")
        assert await reasons(home, quiet, other) == [Reason.SILENCED, Reason.OPENED]
        assert len(home.tickets()) == 1
        (line,) = [line for line in (await home.view(quiet)).timeline if line.reason is Reason.SILENCED]
        assert "Ada: new switch" in line.detail
        clock.offset += 2.1 * HOUR
        again = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="3")
        assert await reasons(home, again) == [Reason.OPENED]


async def test_what_is_open_recovers_through_a_silence_and_a_silence_outlives_a_restart_and_a_reload(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.settled()
        await said(home, "silence", "add", "host=web1", "--for", "2h", "--comment", "maintenance")
        await home.restart()
        assert await home.gateway.reload(home.gateway.config) == []
        over = await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        back = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="3")
        assert await reasons(home, over, back) == [Reason.RECOVERED, Reason.SILENCED]
        assert len(home.entries()) == 2


async def test_a_silence_that_is_removed_ends_at_once_and_leaves_its_record(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await said(home, "silence", "add", "host=web1", "service=HTTP", "--for", "1d", "--comment", "noise")
        (one,) = await listed(home)
        assert (one["match"], one["comment"]) == ({"host": "web1", "service": "HTTP"}, "noise")
        assert "host=web1, service=HTTP" in await said(home, "silence", "ls")
        assert "ended" in await said(home, "silence", "rm", one["id"][-8:])
        assert "No silences." in await said(home, "silence", "ls")
        assert [each["id"] for each in await listed(home, "--all")] == [one["id"]]
        assert "no silence in force" in await said(home, "silence", "rm", one["id"], code=1)
        assert await reasons(home, await home.nagios("PROBLEM", "CRITICAL")) == [Reason.OPENED]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hots=web1", "--for", "2h", "--comment", "x"], "hots"),
        (["--for", "2h", "--comment", "x"], "would silence everything"),
        (["host=web1", "--for", "2h", "--comment", " "], "needs a comment"),
        (["host=web1", "--for", "0s", "--comment", "x"], "must end after it begins"),
        (["host=web1", "--for", "2y", "--comment", "x"], "no duration"),
        (["host=web1", "--for", "800d", "--comment", "x"], "a year at most"),
        (["host", "--for", "2h", "--comment", "x"], "not FIELD=VALUE"),
        (["--match", "{", "--for", "2h", "--comment", "x"], "no JSON"),
        (["--match", '{"host": {"in_file": "/etc/passwd"}}', "--for", "2h", "--comment", "x"], "reads no files"),
    ],
)
async def test_a_silence_that_cannot_be_is_refused_with_the_reason(tmp_path: Path, words: list[str], told: str) -> None:
    async with house(tmp_path) as home:
        result = await asyncio.to_thread(tg, "silence", "add", *words, "--config", home.gateway.config.path)
        assert result.exit_code != 0
        assert told in result.output
        assert await listed(home) == []


async def test_a_silence_can_be_made_while_no_gateway_runs_and_explain_knows_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.gateway.stop(1.0)
        path = home.gateway.config.path
        words = ["--match", '{"severity": {"gte": "minor"}}', "--for", "2h", "--comment", "x"]
        assert (await asyncio.to_thread(tg, "silence", "add", *words, "--config", path)).exit_code == 0
        event = json.dumps({"kind": "problem", "severity": "critical", "title": "broken", "host": "a"}).encode()
        told = await asyncio.to_thread(tg, "explain", "--source", "app", "-", "--config", path, stdin=event)
        assert "Becomes: silenced" in told.output
        assert "Request: none" in told.output
        await home.restart()
        assert await reasons(home, await home.app(host="a")) == [Reason.SILENCED]


async def test_a_drop_rule_with_a_schedule_drops_only_within_it_and_lets_recoveries_through(tmp_path: Path) -> None:
    rest = """\
schedules:
  maintenance: {tz: Europe/Berlin, windows: ["2031-01-10T22:00/2031-01-11T04:00"]}
routes:
  - name: maintenance
    match: {kind: [problem, recovery]}
    when: {during: maintenance}
    drop: {reason: maintenance}
  - name: alerts
    ticket: {helpdesk: osticket, template: alert}
"""
    begins = 1925845200.0  # 2031-01-10T22:00+01:00
    clock = Clock()
    clock.offset = begins - 600 - clock()
    async with house(tmp_path, rest, clock=clock) as home:
        first = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.settled()
        clock.offset += 1200
        dropped = await home.nagios("PROBLEM", "CRITICAL", "db1", SERVICENOTIFICATIONID="2")
        over = await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="3")
        assert await reasons(home, first, dropped, over) == [
            Reason.OPENED,
            Reason.DROPPED_BY_RULE,
            Reason.RECOVERED,
        ]
        clock.offset += 7 * HOUR
        after = await home.nagios("PROBLEM", "CRITICAL", "db1", SERVICENOTIFICATIONID="4")
        assert await reasons(home, after) == [Reason.OPENED]


async def test_a_silence_may_name_the_site_that_a_table_knows_of_a_host(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("Host,Site\nweb1,FRA\ndb1,MUC\n")
    rules = ROUTES + "lookups: {hosts: {file: hosts.csv, by: host}}\n"
    async with house(tmp_path, rules) as home:
        wrong = await said(home, "silence", "add", "lookups.hosts.sit=FRA", "--for", "2h", "--comment", "x", code=1)
        assert "there is no field 'lookups.hosts.sit'" in wrong
        await said(home, "silence", "add", "lookups.hosts.site=FRA", "--for", "2h", "--comment", "power cut")
        quiet = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        other = await home.nagios("PROBLEM", "CRITICAL", "db1", SERVICENOTIFICATIONID="2")
        assert await reasons(home, quiet, other) == [Reason.SILENCED, Reason.OPENED]
