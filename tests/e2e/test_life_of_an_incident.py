"""From alert to ticket and back, against the sandbox helpdesk."""

import asyncio
from pathlib import Path

import pytest

from gateway.model.reasons import Reason
from tests.e2e.house import House, house

pytestmark = pytest.mark.anyio


async def test_a_problem_makes_a_ticket_and_its_recovery_a_quiet_note_in_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        recovered = await home.nagios("RECOVERY", "OK")
        await home.settled()
        (ticket,) = home.tickets()
        assert "web1" in str(ticket["subject"])
        assert len(home.entries()) == 2
        view = await home.view(recovered)
        assert [event.reason for event in view.events] == [Reason.RECOVERED]
        assert [action.flags for action in view.actions] == [("recovered", "close_unsupported")]
        assert [incident.state.value for incident in view.incidents] == ["closed"]


async def test_a_recovery_note_does_not_reopen_a_ticket_that_an_agent_closed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        home.act(0, "close")
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert len(home.entries()) == 2
        assert home.tickets()[0]["status"] == "closed"


async def test_a_relapse_within_its_time_opens_the_same_ticket_again(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.settled()
        home.act(0, "close")
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        await home.settled()
        again = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="3")
        await home.settled()
        assert [event.reason for event in (await home.view(again)).events] == [Reason.RELAPSED]
        assert len(home.tickets()) == 1
        assert home.tickets()[0]["status"] == "open"


async def test_repeats_are_counted_and_leave_the_ticket_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        answers = [await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID=str(number)) for number in range(5)]
        await home.settled()
        assert len(home.entries()) == 1
        (incident,) = (await home.view(answers[-1])).incidents
        assert incident.occurrences == 5


async def test_many_clients_at_once_with_one_problem_make_one_ticket(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        answers = await asyncio.gather(*(home.app(host="db1", text=f"report {number}") for number in range(200)))
        assert {answer.status_code for answer in answers} == {202}
        await home.settled()
        assert len(home.tickets()) == 1
        (incident,) = (await home.view(answers[0])).incidents
        assert incident.occurrences == 200


async def test_two_hundred_problems_of_a_new_requester_make_two_hundred_tickets_of_one_user(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await asyncio.gather(*(home.app(host=f"host-{number}") for number in range(200)))
        await home.settled()
        assert len({str(ticket["number"]) for ticket in home.tickets()}) == 200
        assert len({str(ticket["requester"]) for ticket in home.tickets()}) == 1


async def test_a_sender_that_waits_is_told_the_ticket_and_its_repeat_the_same_one(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        headers = {"Prefer": "wait=5", "Idempotency-Key": "one"}
        event = {"kind": "problem", "title": "disk full", "host": "db1"}
        first = await home.post("app", headers=headers, json=event)
        repeat = await home.post("app", headers=headers, json=event)
        assert first.status_code == 201
        number = home.tickets()[0]["number"]
        told = {"helpdesk": "osticket", "number": number, "url": f"https://help.example.org/tickets/{number}"}
        assert told.items() <= first.json()["ticket"].items()
        assert repeat.json()["id"] == first.json()["id"]
        assert repeat.json()["ticket"] == first.json()["ticket"]
        assert len(home.tickets()) == 1


async def test_zabbix_gets_the_ticket_in_its_answer_without_asking(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        event = {"event_source": "0", "event_value": "1", "event_update_status": "0", "event_id": "77"}
        more = {"event_nseverity": "4", "host_host": "db1", "trigger_id": "5", "event_name": "Disk is full"}
        answer = await home.post("zabbix", json={**event, **more, "format": "zabbix-webhook/1"})
        assert answer.status_code == 201
        assert answer.json()["ticket"]["number"] == home.tickets()[0]["number"]


async def test_a_payload_broken_by_a_macro_becomes_a_ticket_with_the_original_attached(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        body = b'{"notificationtype":"PROBLEM" "hostname"'
        answer = await home.post("nagios", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 202
        await home.settled()
        (event,) = (await home.view(answer)).events
        assert event.event["kind"] == "raw"
        (entry,) = [entry for entry in home.entries() if entry["attachments"]]
        files = entry["attachments"]
        assert isinstance(files, list)
        assert [file["size"] for file in files if isinstance(file, dict)] == [len(body)]


async def test_a_rule_that_drops_says_so_by_name_and_makes_no_ticket(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        answer = await home.nagios("PROBLEM", "CRITICAL", host="lab-3")
        await home.settled()
        (event,) = (await home.view(answer)).events
        assert (event.reason, event.route) == (Reason.DROPPED_BY_RULE, "silence")
        assert home.tickets() == []


async def test_an_attachment_over_the_limit_of_the_call_follows_by_mail(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        big = b"\x00\x01binary" * 200_000
        files = {"dump": ("core.bin", big, "application/octet-stream"), "log": ("small.log", b"a line", "text/plain")}
        form = {"kind": "problem", "title": "core dump", "host": "db1"}
        answer = await home.post("app", data=form, files=files)
        assert answer.status_code == 202
        await home.settled()
        stored = {
            str(file["filename"]): file["size"]
            for entry in home.entries()
            for file in (entry["attachments"] if isinstance(entry["attachments"], list) else [])
            if isinstance(file, dict)
        }
        assert stored == {"core.bin": len(big), "small.log": 6}
        assert len(home.tickets()) == 1


async def test_what_no_rule_takes_is_a_dead_letter_and_a_ticket_once_there_is_a_rule(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        answer = await home.app(host="db1", labels={"team": "nobody"})
        await home.settled()
        (letter,) = await home.gateway.reader.dead_letters()
        assert (letter.id, letter.reason) == (answer.json()["id"], Reason.UNROUTED)
        await home.restart(home.rest + "  - {name: rest, ticket: {helpdesk: osticket}}\n")
        assert await home.gateway.journal.requeue([letter.id], now=home.gateway.now()) == [letter.id]
        home.gateway.pipeline.wake()
        await home.settled()
        assert len(home.tickets()) == 1
        assert await home.gateway.reader.dead_letters() == []


async def test_a_template_that_fails_costs_its_look_but_not_the_ticket(tmp_path: Path) -> None:
    rest = """\
routes:
  - name: all
    ticket: {helpdesk: osticket, title: "{{ event.labels.site }} is ill"}
"""
    async with house(tmp_path, rest) as home:
        answer = await home.app(host="db1")
        await home.settled()
        assert len(home.tickets()) == 1
        view = await home.view(answer)
        assert any("routes[all].ticket.title" in warning for warning in view.warnings)
        assert Reason.RENDER_FAILED in [line.reason for line in view.timeline]


async def _closed_incidents(home: House) -> int:
    return (await home.gateway.reader.counts()).open_incidents


async def test_a_recovery_before_its_problem_opens_nothing_and_the_late_problem_is_stale(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        base = {"event_source": "0", "event_id": "9", "host_host": "db1", "trigger_id": "5", "event_name": "x"}
        await home.post("zabbix", json={**base, "event_value": "0", "event_update_status": "0"})
        late = await home.post("zabbix", json={**base, "event_value": "1", "event_update_status": "0"})
        await home.settled()
        assert [event.reason for event in (await home.view(late)).events] == [Reason.STALE]
        assert home.tickets() == []
        assert await _closed_incidents(home) == 0
