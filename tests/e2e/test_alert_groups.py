"""Alert groups: many alerts of one delivery, one ticket. Bodies as Alertmanager and Grafana sent them."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from tests.e2e.house import CONFIG, House, house
from tests.e2e.test_otobo import CONFIG as OTOBO
from tests.e2e.test_otobo import told
from tests.e2e.test_time import Clock

pytestmark = pytest.mark.anyio

CAPTURES = Path(__file__).parent / "captures"
GROUPING = (Path(__file__).parents[2] / "gateway/sources/generic/alertmanager.yaml").read_text(encoding="utf-8")
"""The source as the page of the generic source shows it."""


def config(base: str = CONFIG) -> str:
    """A configuration of the tests with that source in it, called `app`."""
    head, _, rest = base.partition("sources:\n")
    kept = [line for line in rest.splitlines() if not line.startswith("  app:")]
    source = GROUPING.replace("{", "{{").replace("}", "}}").replace('"${{env:PROMETHEUS_TOKEN}}"', "{token}")
    shown = source.partition("sources:\n")[2].partition("routes:\n")[0].replace("  prometheus:", "  app:")
    return head + "sources:\n" + shown + "\n".join(kept) + "\n"


def routes(incident: str = "key: [group]", desk: str = "osticket") -> str:
    return f"""\
routes:
  - name: alerts
    match: {{severity: {{gte: warning}}}}
    ticket: {{helpdesk: {desk}, template: alert}}
    incident: {{{incident}}}
"""


def capture(name: str) -> dict[str, Any]:
    found = json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def alert(name: str, status: str = "firing", severity: str = "critical", started: int = 0) -> dict[str, Any]:
    ends = "0001-01-01T00:00:00Z" if status == "firing" else "2026-11-21T23:59:00.000Z"
    return {
        "status": status,
        "labels": {"alertname": "Down", "instance": name, "severity": severity},
        "annotations": {"summary": f"{name} is down"},
        "startsAt": f"2026-11-21T23:43:{started:02}.000Z",
        "endsAt": ends,
        "generatorURL": "",
        "fingerprint": f"f-{name}-{severity}",
    }


def group(*alerts: dict[str, Any], name: str = "g", **more: object) -> dict[str, Any]:
    firing = any(one["status"] == "firing" for one in alerts)
    body = {
        "groupKey": name,
        "status": "firing" if firing else "resolved",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
    }
    return body | more


async def send(home: House, body: object) -> list[Reason]:
    return [event.reason for event in (await home.view(await sent(home, body))).events]


async def sent(home: House, body: object) -> httpx.Response:
    answer = await home.post("app", json=body)
    assert answer.status_code == 202, answer.text
    await home.settled()
    return answer


async def incident(home: House, answer: httpx.Response) -> Incident:
    (one,) = (await home.view(answer)).incidents
    found = await home.gateway.reader.incident(one.id)
    assert found is not None
    return found


def words(home: House, ticket: int = 0) -> list[str]:
    return [str(entry["body"]) for entry in home.entries(ticket)]


async def test_a_real_group_makes_one_ticket_that_follows_its_alerts_until_the_last_is_over(tmp_path: Path) -> None:
    async with house(tmp_path, routes(), config=config()) as home:
        assert await send(home, capture("alertmanager/01-firing-single")) == [Reason.OPENED]
        assert await send(home, capture("alertmanager/02-firing-second-joins")) == [
            Reason.REPEATED,
            Reason.MEMBER_JOINED,
        ]
        assert await send(home, capture("alertmanager/03-one-resolved-one-firing")) == [
            Reason.MEMBER_RECOVERED,
            Reason.REPEATED,
        ]
        last = await sent(home, capture("alertmanager/04-all-resolved"))
        assert [event.reason for event in (await home.view(last)).events] == [Reason.RECOVERED]
        assert (await incident(home, last)).state is IncidentState.CLOSED
        (ticket,) = home.tickets()
        assert ticket["subject"] == "[firing] Instance web01:9100 down"
        first, joined, over = words(home)
        assert "alerts of the group" not in first
        assert "1 more in the group:" in joined
        assert "Instance web02:9100 down" in joined
        assert "2 of 2 alerts of the group are a problem:" in joined
        assert "The problem is over" in over


async def test_many_alerts_of_one_delivery_make_one_ticket_with_their_table_and_one_follow_up(tmp_path: Path) -> None:
    async with house(tmp_path, routes(), config=config()) as home:
        first = [alert(f"web{number}", severity="warning") for number in range(8)]
        opened = await sent(home, group(*first, alert("db1")))
        assert [event.reason for event in (await home.view(opened)).events] == [
            Reason.OPENED,
            *[Reason.MEMBER_JOINED] * 7,
            Reason.SEVERITY_RAISED,
        ]
        (ticket,) = home.tickets()
        assert ticket["subject"] == "[firing] db1 is down and 8 more"
        (body,) = words(home)
        assert "9 of 9 alerts of the group are a problem:" in body
        assert "Seen" not in body  # each of them once
        assert body.index("db1 is down", body.index("9 of 9")) < body.index("web0 is down")
        assert all(f"web{number} is down" in body for number in range(8))
        more = [alert(f"app{number}") for number in range(190)]
        await sent(home, group(*first, alert("db1"), *more))
        _, joined = words(home)
        assert "190 more in the group:" in joined
        assert "199 of 199 alerts of the group are a problem:" in joined
        assert "and 149 more" in joined
        await sent(home, group(*first, alert("db1"), *more))
        assert len(words(home)) == 2


async def test_an_alert_that_goes_on_under_another_severity_leaves_the_ticket_open(tmp_path: Path) -> None:
    async with house(tmp_path, routes("key: [group], reopen_within: 1h"), config=config()) as home:
        await sent(home, group(alert("web1", severity="warning")))
        raised = await sent(home, group(alert("web1", "resolved", "warning"), alert("web1", started=30)))
        assert [event.reason for event in (await home.view(raised)).events] == [
            Reason.MEMBER_RECOVERED,
            Reason.SEVERITY_RAISED,
        ]
        assert (await incident(home, raised)).state is IncidentState.OPEN
        assert len(words(home)) == 2
        assert "become worse: critical" in words(home)[1]


async def test_what_the_group_does_not_name_any_more_has_recovered(tmp_path: Path) -> None:
    async with house(tmp_path, routes("key: [group], reopen_within: 1h"), config=config()) as home:
        await sent(home, group(alert("web1"), alert("web2")))
        answer = await sent(home, group(alert("web2")))
        one = await incident(home, answer)
        assert [(member.origin_key, member.in_problem) for member in one.members] == [
            ("f-web1-critical", False),
            ("f-web2-critical", True),
        ]
        (line,) = [line for line in (await home.view(answer)).timeline if line.reason is Reason.MEMBER_VANISHED]
        assert line.detail == "web1 is down: member_recovered"
        assert line.event is None
        back = await sent(home, group(alert("web1"), alert("web2"), version="4"))  # it was only left out once
        assert [event.reason for event in (await home.view(back)).events] == [Reason.MEMBER_JOINED, Reason.REPEATED]
        new = await sent(home, group(alert("web3", started=40)))
        assert (await incident(home, new)).state is IncidentState.OPEN
        assert [member.in_problem for member in (await incident(home, new)).members] == [False, False, True]


async def test_a_group_that_is_over_ends_also_those_whose_recovery_was_lost(tmp_path: Path) -> None:
    async with house(tmp_path, routes(), config=config()) as home:
        await sent(home, group(alert("web1"), alert("web2"), alert("web3")))
        over = await sent(home, group(alert("web2", "resolved")))
        assert (await incident(home, over)).state is IncidentState.CLOSED
        view = await home.view(over)
        assert [event.reason for event in view.events] == [Reason.MEMBER_RECOVERED]
        assert len([line for line in view.timeline if line.reason is Reason.MEMBER_VANISHED]) == 2
        assert len(words(home)) == 2
        assert "The sender says that its whole group is over." in words(home)[1]


async def test_a_delivery_that_leaves_alerts_out_says_nothing_of_them(tmp_path: Path) -> None:
    async with house(tmp_path, routes(), config=config()) as home:
        await sent(home, capture("alertmanager/05-truncated-max-alerts-3-of-8"))
        answer = await sent(home, capture("alertmanager/05-truncated-max-alerts-3-of-8") | {"alerts": [alert("web1")]})
        assert [member.in_problem for member in (await incident(home, answer)).members] == [True] * 4


async def test_a_group_waits_for_confirm_as_a_whole(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("key: [group], confirm: 90s"), config=config(), clock=clock) as home:
        await sent(home, group(alert("web1"), alert("web2")))
        await sent(home, group(alert("web1"), alert("web2"), alert("web3")))
        assert home.tickets() == []
        clock.offset += 120
        answer = await sent(home, group(alert("web1"), alert("web2"), alert("web3")))
        assert (await incident(home, answer)).state is IncidentState.OPEN
        (body,) = words(home)
        assert "3 of 3 alerts of the group are a problem:" in body


async def test_a_group_that_is_over_before_confirm_makes_no_ticket(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes("key: [group], confirm: 90s"), config=config(), clock=clock) as home:
        await sent(home, group(alert("web1"), alert("web2")))
        over = await sent(home, group(alert("web2", "resolved")))
        assert (await incident(home, over)).reasons == (Reason.NOT_CONFIRMED.value,)
        clock.offset += 120
        await sent(home, group(alert("other"), name="h"))
        assert home.tickets() == []


async def test_joined_alerts_can_be_left_to_the_count(tmp_path: Path) -> None:
    async with house(tmp_path, routes("key: [group], joined: ignore"), config=config()) as home:
        await sent(home, group(alert("web1")))
        assert await send(home, group(alert("web1"), alert("web2"))) == [Reason.REPEATED, Reason.REPEATED]
        assert len(words(home)) == 1


async def test_without_the_group_as_key_every_alert_is_a_ticket_of_its_own(tmp_path: Path) -> None:
    async with house(tmp_path, routes("repeat: {append_every: 1h}"), config=config()) as home:
        await sent(home, group(alert("web1"), alert("web2")))
        await sent(home, group(alert("web2", "resolved"), alert("web1")))
        assert sorted(str(ticket["subject"]) for ticket in home.tickets()) == [
            "[firing] web1 is down",
            "[firing] web2 is down",
        ]
        assert sorted(len(words(home, number)) for number in range(2)) == [1, 2]


async def test_a_group_of_grafana_is_closed_in_a_helpdesk_that_can(tmp_path: Path) -> None:
    async with house(tmp_path, routes(desk="desk"), config=config(OTOBO)) as home:
        opened = await sent(home, capture("grafana-firing"))
        resolved = await sent(home, capture("grafana-resolved"))
        assert (await incident(home, opened)).state is IncidentState.CLOSED
        assert (await incident(home, resolved)).state is IncidentState.CLOSED
        assert told(home, 0) == ["%%new%%closed successful%%"]
