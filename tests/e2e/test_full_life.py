"""The full life of an incident against the sandbox helpdesk, on a clock that the test moves."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from gateway.journal.protocol import ReceiptView
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from tests.e2e.house import House, house, until
from tests.e2e.test_otobo import CONFIG as OTOBO
from tests.e2e.test_time import HOUR, Clock

pytestmark = pytest.mark.anyio


def routes(incident: str) -> str:
    return f"""\
routes:
  - name: alerts
    match: {{source: [nagios, zabbix]}}
    ticket: {{helpdesk: osticket, template: alert}}
    incident: {{{incident}}}
"""


async def states(home: House, view: ReceiptView) -> list[IncidentState]:
    found = [await home.gateway.reader.incident(incident.id) for incident in view.incidents]
    return [incident.state for incident in found if incident is not None]


async def stands(home: House, incident: Incident, state: IncidentState) -> None:
    """Until the incident stands so, and what follows from that is delivered."""

    async def so() -> bool:
        now = await home.gateway.reader.incident(incident.id)
        return now is not None and now.state is state

    await until(so)
    await home.settled()


async def some_time(home: House) -> None:
    """More than the gateway needs to notice that something is due."""
    await asyncio.sleep(1.2)
    await home.settled()


def words(home: House, ticket: int = 0) -> Sequence[str]:
    return [str(entry["body"]) for entry in home.entries(ticket)]


async def test_a_problem_makes_its_ticket_only_when_it_has_lasted_for_confirm(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("confirm: 90s"), clock=clock) as home:
        answer = await home.nagios("PROBLEM", "CRITICAL")
        await some_time(home)
        view = await home.view(answer)
        assert [event.reason for event in view.events] == [Reason.UNCONFIRMED]
        assert (home.tickets(), view.actions) == ([], ())
        clock.offset += 80
        await some_time(home)
        assert home.tickets() == []
        clock.offset += 15
        await stands(home, view.incidents[0], IncidentState.OPEN)
        assert len(home.tickets()) == 1
        assert "HTTP CRITICAL" in words(home)[0]
        view = await home.view(answer)
        assert [(action.reason, action.flags) for action in view.actions] == [(Reason.DELIVERED, ("confirmed",))]
        assert [line.reason for line in view.timeline if line.what == "timer"] == [Reason.CONFIRMED]
        assert view.ticket is not None


async def test_a_problem_that_is_over_within_confirm_makes_no_ticket(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("confirm: 90s, reopen_within: 1h"), clock=clock) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        clock.offset += 60
        recovered = await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert [event.reason for event in (await home.view(recovered)).events] == [Reason.NOT_CONFIRMED]
        clock.offset += 600
        await some_time(home)
        assert home.tickets() == []


async def test_confirm_and_hold_outlive_a_restart_and_what_was_due_meanwhile_is_done(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("confirm: 90s, recover: {hold: 5m}"), clock=clock) as home:

        async def restart() -> None:
            await home.gateway.stop(1.0)
            clock.offset += 400
            config = home.gateway.config
            home.gateway = type(home.gateway)(config, clock=clock)
            await home.gateway.start()

        problem = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        await restart()
        (incident,) = (await home.view(problem)).incidents
        await stands(home, incident, IncidentState.OPEN)
        assert len(home.tickets()) == 1
        recovered = await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert [event.reason for event in (await home.view(recovered)).events] == [Reason.RECOVERY_HELD]
        await restart()
        await stands(home, incident, IncidentState.CLOSED)
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 2
        assert [a.flags for a in (await home.view(recovered)).actions] == [("recovered", "close_unsupported")]


async def test_a_problem_that_comes_back_within_the_hold_leaves_its_ticket_in_peace(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("recover: {hold: 5m}, reopen_within: 1h"), clock=clock) as home:
        first = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        clock.offset += 200
        back = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="3")
        await home.settled()
        assert [event.reason for event in (await home.view(back)).events] == [Reason.BACK_WITHIN_HOLD]
        clock.offset += 1000
        await some_time(home)
        assert await states(home, await home.view(first)) == [IncidentState.OPEN]
        assert len(home.entries()) == 1


async def test_two_tools_that_see_one_fault_make_one_ticket_which_closes_when_both_say_so(tmp_path: Path) -> None:
    clock = Clock()
    rest = """\
routes:
  - name: databases
    ticket: {helpdesk: osticket, template: alert}
    incident: {key: [host, service], across: [nagios, app], confirm: 90s, recover: {hold: 5m}}
"""
    async with house(tmp_path, rest, clock=clock) as home:
        first = await home.nagios("PROBLEM", "WARNING", "db1")
        (incident,) = (await settled_view(home, first)).incidents
        clock.offset += 100
        await stands(home, incident, IncidentState.OPEN)
        second = await home.app(host="db1", service="HTTP", origin_key="other tool")
        view = await settled_view(home, second)
        assert [event.reason for event in view.events] == [Reason.SEVERITY_RAISED]
        assert [one.id for one in view.incidents] == [incident.id]
        one_over = await home.nagios("RECOVERY", "OK", "db1")
        assert (await settled_view(home, one_over)).events[0].reason is Reason.MEMBER_RECOVERED
        clock.offset += 400
        await some_time(home)
        both_over = await home.app(host="db1", service="HTTP", origin_key="other tool", kind="recovery")
        assert (await settled_view(home, both_over)).events[0].reason is Reason.RECOVERY_HELD
        clock.offset += 310
        await stands(home, incident, IncidentState.CLOSED)
        assert len(home.tickets()) == 1
        assert len(home.entries()) == 3


async def settled_view(home: House, answer: httpx.Response) -> ReceiptView:
    await home.settled()
    return await home.view(answer)


async def test_a_severity_worse_than_any_before_is_told_at_once_and_each_level_once(tmp_path: Path) -> None:
    async with house(tmp_path, routes("repeat: {append_every: 1h}")) as home:
        states = ("WARNING", "WARNING", "CRITICAL", "WARNING", "CRITICAL")
        answers = [
            await home.nagios("PROBLEM", state, SERVICENOTIFICATIONID=str(number))
            for number, state in enumerate(states)
        ]
        await home.settled()
        reasons = [(await home.view(answer)).events[0].reason for answer in answers]
        assert reasons == [
            Reason.OPENED,
            Reason.REPEATED,
            Reason.SEVERITY_RAISED,
            Reason.REPEATED,
            Reason.REPEATED,
        ]
        assert len(home.entries()) == 2
        assert "become worse: critical" in words(home)[1]


OTOBO_LIFE = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket:
      helpdesk: desk
      template: alert
      fields: {priority: {from: severity, table: {critical: 5 very high, "*": 3 normal}}}
    incident:
      confirm: 90s
      recover: {hold: 5m}
      reopen_within: 1h
      escalate:
        severity: update
        after: 30m
        action: update
        fields: {priority: {from: severity, table: {critical: 5 very high, "*": 4 high}}}
"""


async def test_where_the_helpdesk_can_an_escalation_changes_fields_and_the_close_waits_for_the_hold(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with house(tmp_path, OTOBO_LIFE, clock=clock, config=OTOBO) as home:
        first = await home.nagios("PROBLEM", "WARNING", SERVICENOTIFICATIONID="1")
        (incident,) = (await settled_view(home, first)).incidents
        clock.offset += 100
        await stands(home, incident, IncidentState.OPEN)
        seen = [shown_priority(home)]
        clock.offset += 1810

        async def told() -> bool:
            return len((await home.view(first)).actions) == 2

        await until(told)
        await home.settled()
        seen.append(shown_priority(home))
        worse = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="2")
        assert (await settled_view(home, worse)).events[0].reason is Reason.SEVERITY_RAISED
        seen.append(shown_priority(home))
        assert seen == ["3 normal", "4 high", "5 very high"]
        updates = (await home.view(worse)).actions
        assert [(action.kind, action.flags[0]) for action in updates] == [
            ("update", "escalated"),
            ("update", "severity_raised"),
        ]
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="3")
        await home.settled()
        assert "closed" not in str(home.tickets()[0]["status"])
        clock.offset += 310
        await stands(home, incident, IncidentState.CLOSED)
        assert "closed" in str(home.tickets()[0]["status"])
        assert len(home.tickets()) == 1


def shown_priority(home: House) -> str:
    fields = home.tickets()[0]
    return str(fields.get("priority"))


async def test_what_comes_and_goes_is_told_once_and_closes_when_it_has_stayed_away(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("flap: {changes: 6, within: 30m}"), clock=clock) as home:
        views = []
        for number in range(12):
            clock.offset += 60
            kind, state = ("RECOVERY", "OK") if number % 2 else ("PROBLEM", "CRITICAL")
            views.append(await settled_view(home, await home.nagios(kind, state, SERVICENOTIFICATIONID=str(number))))
        reasons = [view.events[0].reason for view in views]
        assert reasons[5:] == [Reason.FLAPPING] * 7
        assert len(home.tickets()) == 1
        entries = len(home.entries())
        assert entries == 6, "five changes, then one word about all that follow"
        assert "comes and goes" in words(home)[-1]
        (incident,) = views[-1].incidents
        clock.offset += 1900
        await stands(home, incident, IncidentState.CLOSED)
        assert len(home.entries()) == entries + 1


async def test_what_nobody_acknowledges_is_told_once_and_events_show_tells_of_it(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("escalate: {after: 30m}"), clock=clock) as home:
        problem = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        seen = await home.nagios("PROBLEM", "CRITICAL", "web2", SERVICENOTIFICATIONID="2")
        await home.nagios("ACKNOWLEDGEMENT", "CRITICAL", "web2", SERVICENOTIFICATIONID="3")
        await home.settled()
        clock.offset += 0.6 * HOUR

        async def told() -> bool:
            return len((await home.view(problem)).actions) == 2

        await until(told)
        clock.offset += 3 * HOUR
        await some_time(home)
        view = await home.view(problem)
        assert [action.flags[0] for action in view.actions] == ["opened", "escalated"]
        assert "Nobody has acknowledged this for 30m." in words(home, 0)[1]
        assert len((await home.view(seen)).actions) == 1


async def test_an_open_problem_of_which_nothing_is_heard_gets_a_quiet_note(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("expire: {after: 2d}"), clock=clock) as home:
        problem = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        clock.offset += 49 * HOUR

        async def told() -> bool:
            return len((await home.view(problem)).actions) == 2

        await until(told)
        await home.settled()
        assert "Nothing was heard of this for 2d." in words(home)[1]
        recovered = await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert [event.reason for event in (await home.view(recovered)).events] == [Reason.RECOVERED]


async def test_expire_forget_makes_a_new_ticket_of_the_next_problem(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("expire: {after: 2d, then: forget}, reopen_within: 7d"), clock=clock) as home:
        problem = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.settled()
        (incident,) = (await home.view(problem)).incidents
        clock.offset += 49 * HOUR
        await stands(home, incident, IncidentState.CLOSED)
        assert len(home.entries()) == 1
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="2")
        await home.settled()
        assert len(home.tickets()) == 2
