"""A storm against the sandbox helpdesk, on a clock that the test moves: a few tickets, then one digest for the rest."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.cli.story import story
from gateway.journal.protocol import ReceiptView
from gateway.model.incident import IncidentState
from gateway.model.reasons import Reason
from tests.e2e.house import House, house, until
from tests.e2e.test_fallback import DOWN, at_osticket, entries, switch
from tests.e2e.test_otobo import CONFIG as OTOBO
from tests.e2e.test_several_helpdesks import CONFIG as SEVERAL
from tests.e2e.test_several_helpdesks import in_helpdesk
from tests.e2e.test_time import Clock

pytestmark = pytest.mark.anyio


def routes(more: str = "", *, helpdesk: str = "osticket") -> str:
    return f"""\
routes:
  - name: alerts
    match: {{source: [nagios, zabbix, app]}}
    ticket: {{helpdesk: {helpdesk}, template: alert, format: text}}
    incident: {{storm: {{limit: 3, within: 10m, every: 1m}}{more}}}
"""


async def come(
    home: House, *hosts: str, kind: str = "PROBLEM", state: str = "CRITICAL", **more: str
) -> list[ReceiptView]:
    answers = [
        await home.nagios(kind, state, host, **({"SERVICENOTIFICATIONID": more.get("id", "") + host} | more))
        for host in hosts
    ]
    await home.settled()
    return [await home.view(answer) for answer in answers]


async def word(home: House, clock: Clock, seconds: float = 6.0) -> None:
    """Let the digest say its next word."""
    before = sum(len(home.entries(n)) for n in range(len(home.tickets())))
    clock.offset += seconds

    async def said() -> bool:
        return sum(len(home.entries(n)) for n in range(len(home.tickets()))) > before

    await until(said)
    await home.settled()


def bodies(home: House, ticket: int) -> Sequence[str]:
    return [str(entry["body"]) for entry in home.entries(ticket)]


def many(count: int, first: int = 1) -> list[str]:
    return [f"web{number:02}" for number in range(first, first + count)]


async def test_what_comes_beyond_the_limit_is_told_by_one_digest_which_closes_when_all_is_over(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, routes(), clock=clock) as home:
        views = await come(home, *many(8))
        assert [view.events[0].reason for view in views] == [Reason.OPENED] * 3 + [Reason.JOINED_STORM] * 5
        assert len(home.tickets()) == 3
        await word(home, clock)
        assert len(home.tickets()) == 4
        assert str(home.tickets()[3]["subject"]) == "Storm: more than 3 problems within 10 min (route alerts)"
        (first,) = bodies(home, 3)
        assert "5 open, 0 recovered" in first
        assert all((host in first) is (host > "web03") for host in many(8))
        assert views[5].id in first
        view = await settled_view_of(home, views[6])
        assert view.ticket is not None
        assert view.ticket.number == home.tickets()[3]["number"]
        await come(home, "web04", "web05", kind="RECOVERY", state="OK", id="r")
        await word(home, clock, 61)
        assert "All in all: 3 open, 2 recovered." in bodies(home, 3)[1]
        assert "web06" not in bodies(home, 3)[1], "nothing is new about it"
        await come(home, *many(3, 6), kind="RECOVERY", state="OK", id="r")
        await word(home, clock, 61)
        assert "All 5 problems of this storm are over." in bodies(home, 3)[2]
        digest = await home.gateway.reader.incident(view.incidents[-1].id)
        assert digest is not None
        assert digest.is_digest
        assert digest.state is IncidentState.CLOSED
        assert len(home.entries(0)) == 1, "the first three are still there, with tickets of their own"


async def settled_view_of(home: House, view: ReceiptView) -> ReceiptView:
    await home.settled()
    found = await home.gateway.reader.receipt(view.id)
    assert found is not None
    return found


OTOBO_STORM = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket: {helpdesk: desk, template: alert, fields: {priority: 3 normal}}
    incident: {reopen_within: 1h, storm: {limit: 3, within: 10m, per: [source], every: 1m}}
"""


async def test_where_the_helpdesk_can_the_digest_is_closed_and_what_is_back_opens_it_again(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, OTOBO_STORM, clock=clock, config=OTOBO) as home:
        await come(home, *many(5))
        await word(home, clock)
        assert home.tickets()[3]["priority"] == "3 normal", "its fields are those of the tickets of its route"
        await come(home, "web04", "web05", kind="RECOVERY", state="OK", id="r")
        await word(home, clock, 61)
        assert "closed" in str(home.tickets()[3]["status"])
        await come(home, "web05", id="again")
        await word(home, clock)
        assert len(home.tickets()) == 4
        assert "open" in str(home.tickets()[3]["status"])
        assert "It goes on" in str(home.entries(3)[-1]["body"])


async def test_a_helpdesk_that_is_down_gets_the_digest_when_it_is_up_again_and_a_restart_changes_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with house(tmp_path, routes(), clock=clock) as home:
        await come(home, *many(6))
        config = home.gateway.config
        await home.gateway.stop(1.0)
        clock.offset += 3
        home.gateway = type(home.gateway)(config, clock=clock)
        await home.gateway.start()
        [seventh] = await come(home, "web07")
        assert seventh.events[0].reason is Reason.JOINED_STORM
        await word(home, clock)
        assert len(home.tickets()) == 4
        assert "4 open, 0 recovered" in bodies(home, 3)[0]


async def test_events_show_tells_of_the_digest_and_operators_are_warned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    async with house(tmp_path, routes(), clock=clock) as home:
        views = await come(home, *many(5))
        await word(home, clock)
        told = story(await settled_view_of(home, views[4]))
        assert "joined_storm: A storm is on" in told
        assert "the digest of a storm tells of it: incident" in told
        assert f"ticket {home.tickets()[3]['number']} in osticket" in told
        assert "No action of its own: the digest of a storm tells of it." in told
        began = story(await settled_view_of(home, views[3]))
        assert "storm_began" in began
        logged = capsys.readouterr()
        assert "a storm began" in logged.out + logged.err
        metrics = (await home.client.get(f"{home.url}/metrics")).text
        assert 'ticket_gateway_decisions_total{reason="joined_storm"} 2.0' in metrics
        assert 'ticket_gateway_decisions_total{reason="storm_began"}' in metrics


FALLBACK = """\
routes:
  - name: alerts
    ticket:
      helpdesk: zammad
      template: alert
      fields: {priority: "3 high"}
      fallback: {helpdesk: osticket, after: 400ms, fields: {priority: 4}}
    incident: {storm: {limit: 2, within: 10m, every: 1m}}
"""


async def test_a_digest_that_its_helpdesk_does_not_take_goes_to_the_fallback_and_stays_there(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, FALLBACK, clock=clock, config=SEVERAL) as home:
        switch(home, DOWN)
        await come_unsettled(home, *many(4))
        await at_osticket(home, 2)
        clock.offset += 6
        await at_osticket(home, 3)
        await home.settled()
        [digest] = [one for one in in_helpdesk(home, "osticket") if str(one["subject"]).startswith("Storm")]
        assert digest["priority"] == "emergency", "the fallback's own fields"
        switch(home)
        await come(home, "web03", "web04", kind="RECOVERY", state="OK", id="r")
        await word(home, clock, 61)
        [digest] = [one for one in in_helpdesk(home, "osticket") if str(one["subject"]).startswith("Storm")]
        assert "All 2 problems of this storm are over." in str(entries(digest)[-1]["body"])
        assert in_helpdesk(home, "zammad") == []


async def come_unsettled(home: House, *hosts: str) -> None:
    for host in hosts:
        await home.nagios("PROBLEM", "CRITICAL", host, SERVICENOTIFICATIONID=host)
