"""`mode: shadow`: the whole way runs, nothing is written, and what would have been done is shown."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.model.action import ActionKind, ActionStatus
from gateway.model.incident import IncidentState
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.cli.support import tg
from tests.e2e.house import CONFIG, TOKEN, House, house, start, until

pytestmark = pytest.mark.anyio
SHADOW = CONFIG.replace("    sandbox: true\n", "    sandbox: true\n    mode: shadow\n")
ROUTES = """\
routes:
  - name: alerts
    match: {source: [nagios, zabbix]}
    ticket: {helpdesk: osticket, template: alert}
    incident: {repeat: {append_every: 1s}, reopen_within: 1h}
  - name: app
    match: {source: app}
    ticket: {helpdesk: osticket, template: generic}
    incident: {key: [host]}
"""


async def become(home: House, config: str) -> None:
    """Stop, and start with another configuration on the same journal."""
    await home.gateway.stop(1.0)
    home.gateway = await start(home.folder, home.sandbox_url, home.rest, config=config)


async def test_in_shadow_mode_everything_is_done_but_the_call(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=SHADOW) as home:
        problem = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        worse = await home.nagios("ACKNOWLEDGEMENT", "CRITICAL", NOTIFICATIONCOMMENT="on it")
        recovered = await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert home.tickets() == []
        views = [await home.view(answer) for answer in (problem, worse, recovered)]
        actions = [view.actions[0] for view in views]
        assert [one.kind for one in actions] == [ActionKind.CREATE, ActionKind.APPEND, ActionKind.APPEND]
        assert {(one.status, one.reason, one.tries) for one in actions} == {(ActionStatus.SKIPPED, Reason.SHADOW, 0)}
        assert actions[0].detail.startswith("would have created a ticket in osticket: ")
        assert "HTTP" in actions[0].detail
        assert [view.ticket for view in views] == [None] * 3
        assert views[2].incidents[0].state is IncidentState.CLOSED
        request = await home.gateway.reader.request(actions[0].id)
        assert request is not None
        assert "HTTP CRITICAL" in str(json.loads(request))
        counted = (await home.client.get(f"{home.url}/metrics")).text
        assert 'kind="create",outcome="skipped",reason="shadow"} 1.0' in counted
        assert 'kind="append",outcome="skipped",reason="shadow"} 2.0' in counted
        assert "ticket_gateway_attempts_total{" not in counted
        notes = (await home.client.get(f"{home.url}/readyz")).json()["notes"]
        assert "shadow" in notes["helpdesk osticket"]


async def test_a_sender_that_waits_is_answered_at_once_and_told_of_the_shadow(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=SHADOW) as home:
        for text in ("first", "again"):  # the one that would make the ticket, and a repeat that is only counted
            answer = await home.post(
                "app", json={"title": "it broke", "text": text, "host": "web1"}, headers={"Prefer": "wait=8"}
            )
            assert answer.status_code == 202
            assert (answer.json()["ticket"], answer.json()["shadow"]) == (None, True)
            assert answer.elapsed.total_seconds() < 4
            await home.settled()
            shown = await home.client.get(
                f"{home.url}/receipts/{answer.json()['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert shown.json()["ticket"] is None


async def test_what_would_have_been_done_can_be_read_with_the_request(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=SHADOW) as home:
        answer = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        await home.gateway.stop(1.0)
        path = tmp_path / "routes.yaml"
        identity = str(answer.json()["id"])

        async def said(*words: str) -> str:
            return (await asyncio.to_thread(tg, *words, "-c", path)).output

        assert "opened  (shadow)" in await said("events", "ls")
        told = await said("events", "show", identity, "--request")
        assert "Action, only shown: would have created a ticket in osticket: " in told
        assert "shadow: The helpdesk is in shadow mode" in told
        assert '"subject": "' in told
        assert "5A4DB0C0" not in told
        whole = json.loads(await said("events", "show", identity, "--request", "--json"))
        assert list(whole["requests"]) == [whole["actions"][0]["id"]]
        assert "only shown: it is in shadow mode" in await said("explain", "--source", "nagios", identity)
        assert "only shown" in await said("check")
        await home.gateway.start()


async def test_when_it_goes_live_the_next_event_of_an_open_incident_makes_its_ticket(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=SHADOW) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.nagios("PROBLEM", "CRITICAL", host="web2")
        await home.settled()
        await become(home, CONFIG)
        note = await home.nagios("ACKNOWLEDGEMENT", "CRITICAL", NOTIFICATIONCOMMENT="on it")
        await home.settled()
        (unheard,) = (await home.view(note)).actions
        assert (unheard.status, unheard.reason) == (ActionStatus.SKIPPED, Reason.NO_TICKET)
        assert home.tickets() == []
        repeat = await home.nagios("PROBLEM", "CRITICAL", SERVICEOUTPUT="still broken")
        await home.settled()
        view = await home.view(repeat)
        assert [event.reason for event in view.events] == [Reason.SHADOW_ENDED]
        assert [(one.kind, one.status) for one in view.actions] == [(ActionKind.CREATE, ActionStatus.DELIVERED)]
        assert view.incidents[0].occurrences == 2
        assert len(home.tickets()) == 1
        assert "still broken" in str(home.entries()[0]["body"])
        await home.nagios("RECOVERY", "OK")
        ended = await home.nagios("RECOVERY", "OK", host="web2")
        await home.settled()
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 2
        (never,) = (await home.view(ended)).actions
        assert (never.status, never.reason) == (ActionStatus.SKIPPED, Reason.NO_TICKET)
        again = await home.nagios("PROBLEM", "CRITICAL", host="web2", SERVICEOUTPUT="again")  # nothing can be reopened
        await home.settled()
        assert [event.reason for event in (await home.view(again)).events] == [Reason.OPENED]
        assert len(home.tickets()) == 2


async def test_a_ticket_that_is_there_is_left_alone_when_shadow_mode_begins(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        await become(home, SHADOW)
        before = home.tickets()
        ended = await home.nagios("RECOVERY", "OK")
        await home.settled()
        view = await home.view(ended)
        assert view.ticket is not None
        assert view.actions[0].detail.startswith(f"would have added to ticket {view.ticket.number} in osticket: ")
        assert home.tickets() == before
        await become(home, CONFIG)
        relapse = await home.nagios("PROBLEM", "CRITICAL", SERVICEOUTPUT="again")
        await home.settled()
        assert [event.reason for event in (await home.view(relapse)).events] == [Reason.RELAPSED]
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 2


async def test_what_may_have_been_written_before_shadow_mode_is_neither_repeated_nor_forgotten(tmp_path: Path) -> None:
    slow = CONFIG.replace("settle: 100ms", "settle: 2s")
    async with house(tmp_path, ROUTES, config=slow) as home:
        home.faults(Fault(fault=FaultKind.COMMIT_THEN_DROP))
        doubtful = await home.nagios("PROBLEM", "CRITICAL")

        async def stands(reason: Reason) -> bool:
            view = await home.view(doubtful)
            return bool(view.actions) and view.actions[0].reason is reason

        await until(lambda: stands(Reason.UNKNOWN_OUTCOME))
        await become(home, slow.replace("    sandbox: true\n", "    sandbox: true\n    mode: shadow\n"))
        home.sandbox.clear_faults()
        await until(lambda: stands(Reason.SHADOW))
        assert (await home.view(doubtful)).actions[0].status is ActionStatus.UNKNOWN
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 1
