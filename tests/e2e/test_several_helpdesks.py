"""One event, two routes, two helpdesks: each has its own incident, ticket and course."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.cli.story import story
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import TOKEN, House, house, until

pytestmark = pytest.mark.anyio

CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:0", max_body: 8MiB}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  operator: {{bearer: the-operators-token}}
sources:
  nagios: {{kind: nagios, auth: {{bearer: {token}}}}}
  app: {{kind: generic, auth: {{bearer: {token}}}, wait: 5s}}
helpdesks:
  zammad:
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    group: Users
    customer: monitoring@example.org
    sandbox: true
    limits: {{timeout: 300ms, settle: 150ms, retry_first: 50ms, retry_most: 200ms}}
  osticket:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{timeout: 1s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
{rest}
"""

BOTH = """\
routes:
  - name: network
    match: {severity: critical}
    ticket: {helpdesk: zammad, template: alert, fields: {priority: "3 high"}}
    incident: {reopen_within: 1h}
    then: continue
  - name: everything
    ticket: {helpdesk: osticket, template: alert}
    incident: {repeat: {append_every: 1ms}, recover: {action: append}}
"""


def both(folder: Path, rest: str = BOTH) -> AbstractAsyncContextManager[House]:
    return house(folder, rest, config=CONFIG)


def in_helpdesk(home: House, name: str) -> list[JsonObject]:
    return [ticket for ticket in home.tickets() if ticket["helpdesk"] == name]


async def test_each_route_has_its_own_ticket_and_the_recovery_reaches_both(tmp_path: Path) -> None:
    async with both(tmp_path) as home:
        first = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        view = await home.view(first)
        assert [(incident.route, incident.helpdesk) for incident in view.incidents] == [
            ("network", "zammad"),
            ("everything", "osticket"),
        ]
        assert view.events[0].route == "network"
        assert view.ticket == view.incidents[0].ticket
        page = await home.client.get(
            f"{home.url}/receipts/{view.id}", headers={"Authorization": "Bearer the-operators-token"}
        )
        shown = page.json()
        assert [ticket["helpdesk"] for ticket in shown["tickets"]] == ["zammad", "osticket"]
        assert shown["ticket"] == shown["tickets"][0]
        # A second problem: one only counts, the other tells its ticket each time.
        answer = await home.nagios("PROBLEM", "CRITICAL", SERVICEOUTPUT="still broken")
        await home.settled()
        assert len(home.tickets()) == 2
        again = await home.view(answer)
        assert [(action.helpdesk, action.kind.value) for action in again.actions] == [("osticket", "append")]
        assert len(again.incidents) == 2
        # The recovery is no `critical`: it follows both incidents all the same, each by its own policy.
        over = await home.nagios("RECOVERY", "OK")
        await home.settled()
        view = await home.view(over)
        assert [(action.helpdesk, action.kind.value) for action in view.actions] == [
            ("zammad", "close"),
            ("osticket", "append"),
        ]
        told = story(view)
        assert "route network" in told
        assert "also route everything: recovered" in told
        assert told.count("closed") >= 2
        assert in_helpdesk(home, "zammad")[0]["status"] == "closed"
        assert in_helpdesk(home, "osticket")[0]["status"] == "open"
        # The relapse uses the one's ticket again and makes the other a new one.
        await home.nagios("PROBLEM", "CRITICAL", SERVICEOUTPUT="broken again")
        await home.settled()
        assert (len(in_helpdesk(home, "zammad")), len(in_helpdesk(home, "osticket"))) == (1, 2)


async def test_one_helpdesk_that_is_down_does_not_hold_up_the_other(tmp_path: Path) -> None:
    async with both(tmp_path) as home:
        home.sandbox.set_faults({"zammad": [Fault(fault=FaultKind.MAINTENANCE, seconds=0)]})
        answer = await home.nagios("PROBLEM", "CRITICAL")

        async def at_osticket() -> bool:
            return bool(in_helpdesk(home, "osticket"))

        await until(at_osticket)
        assert in_helpdesk(home, "zammad") == []
        assert (await home.view(answer)).ticket is None  # that of the first route is not made yet
        home.sandbox.clear_faults()
        await home.settled()
        view = await home.view(answer)
        assert view.ticket is not None
        assert view.ticket.helpdesk == "zammad"
        assert len(home.tickets()) == 2


async def test_the_answer_bears_the_ticket_of_the_first_route(tmp_path: Path) -> None:
    async with both(tmp_path) as home:
        home.sandbox.set_faults({"zammad": [Fault(fault=FaultKind.SLOW, seconds=0.2, count=20)]})
        answer = await home.app(host="db-1", severity="critical")
        assert answer.status_code == 201
        assert answer.json()["ticket"]["helpdesk"] == "zammad"
        await home.settled()
        assert len(home.tickets()) == 2


async def test_two_routes_on_one_helpdesk_make_two_tickets_there(tmp_path: Path) -> None:
    async with both(tmp_path, BOTH.replace("helpdesk: osticket", "helpdesk: zammad")) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert sorted(str(ticket["status"]) for ticket in home.tickets()) == ["closed", "new"]


async def test_a_drop_after_a_ticket_is_told_and_ends_nothing_but_the_search(tmp_path: Path) -> None:
    rest = """\
routes:
  - name: network
    match: {severity: critical}
    ticket: {helpdesk: zammad, template: alert}
    then: continue
  - name: quiet
    match: {host: web1}
    drop: {reason: nobody else need know}
  - name: everything
    ticket: {helpdesk: osticket, template: alert}
"""
    async with both(tmp_path, rest) as home:
        answer = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        view = await home.view(answer)
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["zammad"]
        assert view.events[0].reason is Reason.OPENED
        assert "also route quiet: nobody else need know: dropped_by_rule" in story(view)
        answer = await home.nagios("PROBLEM", "WARNING", SERVICEDESC="other")
        await home.settled()
        assert (await home.view(answer)).events[0].reason is Reason.DROPPED_BY_RULE


async def test_a_route_that_only_records_leaves_the_word_and_the_files_to_the_next(tmp_path: Path) -> None:
    rest = """\
routes:
  - name: record
    then: continue
  - name: everything
    ticket: {helpdesk: osticket, template: generic}
    incident: {key: [host]}
"""
    async with both(tmp_path, rest) as home:
        answer = await home.client.post(
            f"{home.url}/in/app",
            headers={"Authorization": f"Bearer {TOKEN}"},
            data={"kind": "problem", "title": "it broke", "host": "db-1"},
            files={"log": ("log.txt", b"the whole log", "text/plain")},
        )
        assert answer.json()["ticket"]["helpdesk"] == "osticket"
        await home.settled()
        view = await home.view(answer)
        assert (view.events[0].route, view.events[0].reason) == ("everything", Reason.OPENED)
        attachments = home.entries()[0]["attachments"]
        assert isinstance(attachments, list)
        assert len(attachments) == 1
