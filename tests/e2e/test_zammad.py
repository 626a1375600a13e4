"""A whole gateway before a Zammad: the life of an incident, with each fault at each step."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.model.json import JsonObject
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, start
from tests.e2e.matrix import DOUBTFUL, HEAD, STORY, faults, flagged, story, switch, told

pytestmark = pytest.mark.anyio

CONFIG = (
    HEAD
    + """\
  zammad:
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    group: Users
    customer: monitoring@example.org
    sandbox: true
    limits: {{timeout: 300ms, settle: 150ms, retry_first: 50ms, retry_most: 200ms}}
{rest}
"""
)

ROUTES = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket:
      helpdesk: zammad
      template: alert
      fields:
        priority: {from: severity, table: {critical: "3 high", "*": "2 normal"}}
        tags: [monitoring, "{{ event.source }}"]
    incident: {repeat: {append_every: 1ms}, reopen_within: 1h}
"""

FAULTS = faults(0.3)


def zammad(folder: Path, rest: str = ROUTES) -> AbstractAsyncContextManager[House]:
    return house(folder, rest, config=CONFIG)


async def test_problem_repeat_recovery_and_relapse_are_one_ticket(tmp_path: Path) -> None:
    async with zammad(tmp_path) as home:
        await told(home, "PROBLEM", "CRITICAL", "one")
        (ticket,) = home.tickets()
        assert (ticket["status"], ticket["priority"], ticket["fields"]["tags"]) == (  # type: ignore[index, call-overload]  # JSON
            "new",
            "3 high",
            "monitoring, nagios",
        )
        await told(home, "PROBLEM", "CRITICAL", "two")
        await told(home, "RECOVERY", "OK", "three")
        assert home.tickets()[0]["status"] == "closed"
        await told(home, "PROBLEM", "CRITICAL", "four")
        assert [ticket["status"] for ticket in home.tickets()] == ["open"]
        assert [
            word for entry in home.entries() for word in ("one", "two", "three", "four") if word in str(entry["body"])
        ] == [
            "one",
            "two",
            "three",
            "four",
        ]


@pytest.mark.parametrize(
    ("name", "attributes"),
    [*((name, ["gateway_key"]) for name in FAULTS), *((name, []) for name in DOUBTFUL)],
    ids=lambda value: value if isinstance(value, str) else "by attribute" if value else "by message id",
)
async def test_a_fault_at_every_step_still_makes_one_ticket(tmp_path: Path, name: str, attributes: list[str]) -> None:
    async with zammad(tmp_path) as home:
        home.sandbox.change_settings({"zammad": {"attributes": attributes}})
        await story(home, "zammad", FAULTS[name])
        ours = [place for place, ticket in enumerate(home.tickets()) if "web1" in str(ticket["subject"])]
        assert [home.tickets()[place]["status"] for place in ours] == ["open"]
        ids = [entry["message_id"] for entry in home.entries(ours[0])]
        assert len(ids) == len(set(map(str, ids))) == len(STORY)
        assert len(home.tickets()) == 1 + 3 * len(STORY)
        counts = await home.gateway.reader.counts()
        assert counts.dead_actions == 0


@pytest.mark.parametrize("at", ["thread_entry", "attachment"])
async def test_half_a_ticket_of_an_older_release_is_completed_and_not_doubled(tmp_path: Path, at: str) -> None:
    async with zammad(tmp_path) as home:
        home.sandbox.change_settings({"zammad": {"release": "older"}})
        switch(home, "zammad", Fault(fault=FaultKind.DIE_HALF_WAY, at=at, count=1))
        await told(home, "PROBLEM", "CRITICAL", "one")
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 1


async def test_where_conditions_are_ignored_there_is_one_ticket_or_a_flagged_second(tmp_path: Path) -> None:
    async with zammad(tmp_path) as home:
        home.sandbox.change_settings({"zammad": {"conditions": "ignored"}})
        await home.nagios("PROBLEM", "CRITICAL", host="other")
        await home.settled()
        switch(home, "zammad", Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1))
        await told(home, "PROBLEM", "CRITICAL", "one")
        assert len(home.tickets()) == 2 or await flagged(home)


async def test_a_ticket_that_a_person_merged_takes_its_incident_with_it(tmp_path: Path) -> None:
    async with zammad(tmp_path) as home:
        await told(home, "PROBLEM", "CRITICAL", "one")
        source = ticket_id(home.tickets()[0])
        await home.nagios("PROBLEM", "CRITICAL", host="other")
        await home.settled()
        assert home.sandbox.zammad.act(source, "merge")
        await told(home, "RECOVERY", "OK", "over")
        merged, target = home.tickets()
        assert (merged["status"], target["status"]) == ("merged", "closed")
        await told(home, "PROBLEM", "CRITICAL", "again")
        assert home.tickets()[1]["status"] == "open"


async def test_a_ticket_that_a_person_deleted_is_replaced_at_the_next_word_of_the_problem(tmp_path: Path) -> None:
    async with zammad(tmp_path) as home:
        await told(home, "PROBLEM", "CRITICAL", "one")
        assert home.sandbox.zammad.act(ticket_id(home.tickets()[0]), "delete")
        await told(home, "PROBLEM", "CRITICAL", "two")
        (ticket,) = home.tickets()
        assert ticket["status"] == "new"
        await told(home, "RECOVERY", "OK", "over")
        assert home.tickets()[0]["status"] == "closed"


async def test_a_stop_in_the_middle_of_a_call_is_looked_up_by_the_next_start(tmp_path: Path) -> None:
    async with zammad(tmp_path) as home:
        switch(home, "zammad", Fault(fault=FaultKind.COMMIT_THEN_HANG, seconds=30, count=1))
        await home.nagios("PROBLEM", "CRITICAL")
        await home.gateway.stop(0.0)
        switch(home, "zammad")
        home.gateway = await start(home.folder, home.sandbox_url, ROUTES, config=CONFIG)
        await home.settled()
        assert len(home.tickets()) == 1


def ticket_id(ticket: JsonObject) -> int:
    number = ticket["id"]
    assert isinstance(number, int)
    return number


async def test_files_that_a_broken_call_left_out_are_added_and_the_words_are_not_said_twice(tmp_path: Path) -> None:
    rest = ROUTES.replace("source: nagios", "source: app").replace("{repeat", "{key: [host], repeat")
    async with zammad(tmp_path, rest) as home:
        home.sandbox.change_settings({"zammad": {"release": "older"}})
        switch(home, "zammad", Fault(fault=FaultKind.DIE_HALF_WAY, at="attachment", count=1))
        answer = await home.app(host="db1", text="the words", attachments=[{"filename": "a.txt", "content": "aGk="}])
        await home.settled()
        assert answer.status_code == 202
        first, second = home.entries()
        assert "the words" in str(first["body"])
        assert "Files that were missing after an interrupted call." in str(second["body"])
        assert [file["filename"] for file in second["attachments"]] == ["a.txt"]  # type: ignore[union-attr, call-overload, index]  # JSON
