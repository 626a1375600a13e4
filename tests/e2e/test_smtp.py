"""A whole gateway before a helpdesk that reads mail: the life of an incident, with each fault at each step."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, until
from tests.e2e.matrix import DOUBTFUL, HEAD, STORY, faults, flagged, story, switch, tickets_of, told

pytestmark = pytest.mark.anyio

CONFIG = (
    HEAD
    + """\
  desk:
    kind: smtp
    host: 127.0.0.1
    port: MAIL-PORT
    tls: none
    from: monitoring@example.org
    to: support@example.org
    sandbox: true
    limits: {{timeout: 300ms, settle: 150ms, retry_first: 50ms, retry_most: 200ms}}
{rest}
"""
)
DROPS_COPIES = CONFIG.replace("    sandbox: true", "    deduplicates: true\n    sandbox: true")
ASKS = CONFIG.replace("    sandbox: true", "    on_unknown: dead_letter\n    sandbox: true")
CLOSES = CONFIG.replace(
    "    sandbox: true",
    "    close: {{X-Ticket-State: closed}}\n    reopen: {{X-Ticket-State: open}}\n    sandbox: true",
)
ROUTES = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket: {helpdesk: desk, template: alert}
    incident: {repeat: {append_every: 1ms}, reopen_within: 1h}
  - name: app
    match: {source: app}
    ticket: {helpdesk: desk, template: generic}
    incident: {key: [host]}
"""
FAULTS = faults(0.3)


def mailing(folder: Path, config: str = CONFIG) -> AbstractAsyncContextManager[House]:
    return house(folder, ROUTES, config=config)


def words(home: House, place: int) -> list[str]:
    return [str(entry["body"]).partition("step ")[2][:1] for entry in home.entries(place)]


async def test_one_incident_is_one_thread_of_mails(tmp_path: Path) -> None:
    async with mailing(tmp_path) as home:
        await story(home, "smtp")
        (ticket,) = tickets_of(home)
        assert str(ticket["subject"]).startswith("[tg:")
        place = home.tickets().index(ticket)
        assert words(home, place) == ["0", "1", "2", "3"]
        ids = [str(entry["message_id"]) for entry in home.entries(place)]
        assert len(set(ids)) == len(ids)


async def test_where_headers_close_and_open_a_ticket_they_are_sent(tmp_path: Path) -> None:
    async with mailing(tmp_path, CLOSES) as home:
        await told(home, "PROBLEM", "CRITICAL", "one")
        await told(home, "RECOVERY", "OK", "two")
        assert home.tickets()[0]["status"] == "closed"
        await told(home, "PROBLEM", "CRITICAL", "three")
        assert [ticket["status"] for ticket in home.tickets()] == ["open"]


async def test_a_ticket_closed_by_hand_is_opened_by_a_relapse_and_not_by_a_recovery(tmp_path: Path) -> None:
    async with mailing(tmp_path) as home:
        await told(home, "PROBLEM", "CRITICAL", "one")
        ticket = home.sandbox.store.tickets("smtp")[0].id
        assert home.sandbox.smtp.act(ticket, "close")
        await told(home, "RECOVERY", "OK", "two")
        assert home.tickets()[0]["status"] == "closed"
        await told(home, "PROBLEM", "CRITICAL", "three")
        assert home.tickets()[0]["status"] == "open"


@pytest.mark.parametrize("name", FAULTS)
async def test_where_copies_are_dropped_a_fault_at_every_step_still_makes_one_ticket(tmp_path: Path, name: str) -> None:
    async with mailing(tmp_path, DROPS_COPIES) as home:
        home.sandbox.change_settings({"smtp": {"deduplicates": True}})
        await story(home, "smtp", FAULTS[name])
        (ticket,) = tickets_of(home)
        assert words(home, home.tickets().index(ticket)) == ["0", "1", "2", "3"]
        assert await home.gateway.reader.dead_letters() == []
        assert not await flagged(home)


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_where_copies_are_not_dropped_a_second_ticket_is_flagged_and_none_is_missing(
    tmp_path: Path, name: str
) -> None:
    async with mailing(tmp_path) as home:
        home.sandbox.change_settings({"smtp": {"by_subject": False}})
        await story(home, "smtp", FAULTS[name])
        seen = [word for ticket in tickets_of(home) for word in words(home, home.tickets().index(ticket))]
        assert sorted(set(seen)) == ["0", "1", "2", "3"]
        assert await flagged(home)
        assert await home.gateway.reader.dead_letters() == []


async def test_a_person_may_decide_about_a_mail_whose_fate_is_not_known(tmp_path: Path) -> None:
    async with mailing(tmp_path, ASKS) as home:
        switch(home, "smtp", Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1))
        await home.nagios(*STORY[0])

        async def asked() -> bool:
            return len(await home.gateway.reader.dead_letters()) == 1

        await until(asked)
        assert len(home.tickets()) == 1
        (letter,) = await home.gateway.reader.dead_letters()
        await home.gateway.journal.requeue([letter.id], now=home.gateway.now())
        await home.settled()
        assert await flagged(home)
        assert await home.gateway.reader.dead_letters() == []


async def test_a_refused_sender_stops_the_queue_and_a_refused_mailbox_of_a_route_does_not(tmp_path: Path) -> None:
    async with mailing(tmp_path) as home:
        rest = ROUTES.replace("template: generic}", 'template: generic, fields: {to: "{{ event.host }}@example.org"}}')
        await home.restart(rest)
        home.sandbox.change_settings({"smtp": {"refused": ["nobody@example.org"]}})
        await home.app(host="nobody")
        await home.app(host="somebody")

        async def dead() -> bool:
            return len(await home.gateway.reader.dead_letters()) == 1

        await until(dead)
        await home.settled()
        assert len(home.tickets()) == 1
        home.sandbox.change_settings({"smtp": {"refused": ["support@example.org"]}})
        await home.nagios(*STORY[0])

        async def paused() -> bool:
            return bool((await home.gateway.journal.helpdesk_state("desk")).paused_since)

        await until(paused)
        home.sandbox.change_settings({"smtp": {"refused": []}})
        await home.settled()
        assert len(home.tickets()) == 2


async def test_files_travel_and_one_that_the_server_refuses_is_named_instead(tmp_path: Path) -> None:
    async with mailing(tmp_path) as home:
        home.sandbox.change_settings({"smtp": {"refused_files": [".exe"]}})
        for host, name in (("db1", "größe.log"), ("db2", "bad.exe")):
            files = {"dump": (name, b"\0\1" * 50_000, "application/octet-stream")}
            await home.post("app", data={"kind": "problem", "title": "core dump", "host": host}, files=files)
            await home.settled()
        (whole,), (named,) = home.entries(0), home.entries(1)
        assert [(file["filename"], file["size"]) for file in whole["attachments"]] == [("größe.log", 100_000)]  # type: ignore[index, union-attr, call-overload]  # JSON
        assert named["attachments"] == []
        assert "bad.exe" in str(named["body"])
        assert "refused by the help desk" in str(named["body"])


async def test_a_crash_in_the_middle_of_a_mail_is_settled_by_the_next_start(tmp_path: Path) -> None:
    async with mailing(tmp_path, DROPS_COPIES) as home:
        home.sandbox.change_settings({"smtp": {"deduplicates": True}})
        switch(home, "smtp", Fault(fault=FaultKind.COMMIT_THEN_HANG, seconds=30, count=1))
        await home.nagios(*STORY[0])
        await home.gateway.stop(0.0)
        switch(home, "smtp")
        await home.restart()
        await home.settled()
        assert len(home.tickets()) == 1
