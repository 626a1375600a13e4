"""A helpdesk that refuses a ticket, or does not take it for too long, and the one that takes it instead."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.cli.story import story
from gateway.journal.protocol import ReceiptView
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, start, until
from tests.e2e.test_several_helpdesks import CONFIG, in_helpdesk

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: alerts
    ticket:
      helpdesk: zammad
      template: alert
      fields: {priority: "3 high"}
      fallback:
        helpdesk: osticket
        after: 400ms
        title: "[zammad was down] {{ event.host }}"
        fields: {priority: 2}
    incident: {reopen_within: 1h}
"""

DOWN = Fault(fault=FaultKind.MAINTENANCE, seconds=0)


def fallback(folder: Path, rest: str = ROUTES) -> AbstractAsyncContextManager[House]:
    return house(folder, rest, config=CONFIG)


def switch(home: House, *faults: Fault, helpdesk: str = "zammad") -> None:
    home.sandbox.set_faults({helpdesk: list(faults)})


def entries(ticket: JsonObject) -> list[JsonObject]:
    found = ticket["entries"]
    assert isinstance(found, list)
    return [entry for entry in found if isinstance(entry, dict)]


async def at_osticket(home: House, number: int = 1) -> None:
    async def there() -> bool:
        return len(in_helpdesk(home, "osticket")) == number

    await until(there)


def actions(view: ReceiptView) -> list[tuple[str, str, str, str]]:
    return [(one.helpdesk, one.kind.value, one.status.value, one.reason.value) for one in view.actions]


async def test_a_ticket_that_its_helpdesk_does_not_take_in_time_goes_to_the_fallback_and_stays_there(
    tmp_path: Path,
) -> None:
    async with fallback(tmp_path) as home:
        switch(home, DOWN)
        answer = await home.nagios("PROBLEM", "CRITICAL")
        note = await home.nagios("ACKNOWLEDGEMENT", "CRITICAL", NOTIFICATIONCOMMENT="on it")
        await at_osticket(home)
        await home.settled()
        view = await home.view(answer)
        assert actions(view) == [
            ("zammad", "create", "skipped", "fell_back"),
            ("osticket", "create", "delivered", "delivered"),
        ]
        assert view.ticket is not None
        assert view.ticket.helpdesk == "osticket"
        assert Reason.FELL_BACK.value in view.actions[1].flags
        assert actions(await home.view(note)) == [
            ("zammad", "append", "skipped", "fell_back"),
            ("osticket", "append", "delivered", "delivered"),
        ]
        told = story(view)
        assert "make a ticket in zammad: fell back to osticket: " in told
        assert "fell_back: from zammad to osticket: " in told
        assert "not taken within 400ms" in told
        # Zammad comes back: nothing is made there any more; what follows goes to the ticket.
        home.sandbox.clear_faults()
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        await home.nagios("PROBLEM", "CRITICAL", SERVICEOUTPUT="broken again")
        await home.settled()
        [ticket] = home.tickets()
        assert ticket["helpdesk"] == "osticket"
        assert ticket["subject"] == "[zammad was down] web1"
        texts = [str(entry["body"]) for entry in entries(ticket)]
        assert "on it" in texts[1]
        assert len(texts) == 4
        # Another problem finds its own helpdesk well again.
        await home.nagios("PROBLEM", "CRITICAL", host="web2")
        await home.settled()
        assert [one["helpdesk"] for one in home.tickets()] == ["osticket", "zammad"]
        shown = home.gateway.metrics.render().decode()
        assert 'ticket_gateway_fallbacks_total{helpdesk="zammad"' in shown


async def test_credentials_that_are_refused_for_too_long_are_no_reason_to_wait(tmp_path: Path) -> None:
    async with fallback(tmp_path) as home:
        switch(home, Fault(fault=FaultKind.AUTH_BROKEN))
        answer = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        view = await home.view(answer)
        assert actions(view)[0] == ("zammad", "create", "skipped", "fell_back")
        assert "(" in view.actions[0].detail  # why it stood still
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["osticket"]


async def test_while_an_operator_has_paused_the_helpdesk_its_tickets_wait_for_him(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        (delivery, _, _) = home.gateway._deliveries["zammad"]
        await delivery.pause("Ada", "an upgrade")
        await home.nagios("PROBLEM", "CRITICAL")
        delivery.wake()
        assert await home.gateway.journal.claim_overdue("zammad", limit=1, now=0.0, lease=1.0, paused_total=0.0) == []

        async def processed() -> bool:
            return (await home.gateway.reader.counts()).actions_waiting == {"zammad": 1}

        await until(processed)
        await delivery._fall_back_overdue(home.gateway.now() + 3600)
        assert (await home.gateway.reader.counts()).actions_waiting == {"zammad": 1}
        await delivery.resume()
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["zammad"]


async def test_a_ticket_that_is_refused_once_more_without_the_field_goes_to_the_fallback_at_once(
    tmp_path: Path,
) -> None:
    nowhere = CONFIG.replace("group: Users", "group: Nobody")
    async with house(tmp_path, ROUTES.replace("400ms", "1h"), config=nowhere) as home:
        answer = await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        view = await home.view(answer)
        assert actions(view)[0] == ("zammad", "create", "skipped", "fell_back")
        assert {attempt.outcome for attempt in view.actions[0].attempts} == {"rejected"}
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["osticket"]


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (Fault(fault=FaultKind.HANG_BEFORE_COMMIT, seconds=0.6, commits=False, count=1), "osticket"),
        (Fault(fault=FaultKind.COMMIT_THEN_HANG, seconds=0.6, count=1), "zammad"),
        (Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1), "zammad"),
    ],
    ids=["wrote nothing", "wrote, then hung", "wrote, then dropped"],
)
async def test_after_a_doubtful_call_only_the_look_up_decides(tmp_path: Path, fault: Fault, where: str) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "100ms")) as home:
        switch(home, fault)
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == [where]


async def test_what_may_have_been_written_never_goes_elsewhere_however_long_nobody_can_tell(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        switch(home, Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1))
        answer = await home.nagios("PROBLEM", "CRITICAL")

        async def in_doubt(tries: int) -> bool:
            found = (await home.view(answer)).actions
            doubts = [attempt for one in found for attempt in one.attempts if attempt.finished_at is not None]
            return len(doubts) >= tries and doubts[0].outcome == "unknown"

        await until(lambda: in_doubt(1))
        switch(home, Fault(fault=FaultKind.HTML_ERROR))
        await until(lambda: in_doubt(4))
        assert in_helpdesk(home, "osticket") == []
        home.sandbox.clear_faults()
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["zammad"]


async def test_a_helpdesk_that_comes_back_while_the_fallback_is_called_gets_no_ticket(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        home.sandbox.set_faults(
            {"zammad": [DOWN], "osticket": [Fault(fault=FaultKind.COMMIT_THEN_HANG, seconds=1.3, count=1)]}
        )
        await home.nagios("PROBLEM", "CRITICAL")
        await at_osticket(home)
        home.sandbox.set_faults({"zammad": [], "osticket": []})
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["osticket"]


async def test_a_fallback_that_is_down_too_is_tried_again_and_the_first_one_is_not(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        home.sandbox.set_faults({"zammad": [DOWN], "osticket": [Fault(fault=FaultKind.MAINTENANCE, seconds=0)]})
        answer = await home.nagios("PROBLEM", "CRITICAL")

        async def tried() -> bool:
            found = (await home.view(answer)).actions
            return len(found) == 2 and len(found[1].attempts) >= 2

        await until(tried)
        switch(home, helpdesk="zammad")
        assert home.tickets() == []
        home.sandbox.clear_faults()
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["osticket"]


async def test_what_belongs_to_a_ticket_waits_for_the_helpdesk_that_has_it(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        switch(home, DOWN)
        over = await home.nagios("RECOVERY", "OK")

        async def tried() -> bool:
            found = (await home.view(over)).actions
            return bool(found) and len(found[0].attempts) >= 3

        await until(tried)
        home.sandbox.clear_faults()
        await home.settled()
        [ticket] = home.tickets()
        assert (ticket["helpdesk"], ticket["status"]) == ("zammad", "closed")


async def test_a_restart_with_other_rules_keeps_what_was_promised_to_the_ticket(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "2s")) as home:
        switch(home, DOWN)
        answer = await home.nagios("PROBLEM", "CRITICAL")

        async def tried() -> bool:
            found = (await home.view(answer)).actions
            return bool(found) and len(found[0].attempts) >= 1

        await until(tried)
        plain = ROUTES[: ROUTES.index("      fallback:")] + ROUTES[ROUTES.index("    incident:") :]
        await home.gateway.stop(1.0)
        home.gateway = await start(home.folder, home.sandbox_url, plain, config=CONFIG)
        await home.settled()
        [ticket] = home.tickets()
        assert ticket["subject"] == "[zammad was down] web1"
        await home.nagios("RECOVERY", "OK")
        await home.settled()
        assert len(entries(home.tickets()[0])) == 2
        again = await home.gateway.reader.receipt((await home.view(answer)).id)
        assert again is not None
        assert len(again.actions) == 2


CLOSES = """\
routes:
  - name: alerts
    ticket:
      helpdesk: osticket
      template: alert
      fields: {priority: 2}
      fallback: [{helpdesk: zammad, after: 300ms, fields: {priority: "3 high"}}]
    incident: {recover: {hold: 100ms}}
"""


async def test_what_waits_is_done_as_the_fallback_can(tmp_path: Path) -> None:
    """What stands in for closing at osTicket is a follow-up; Zammad can close."""
    async with fallback(tmp_path, CLOSES) as home:
        switch(home, Fault(fault=FaultKind.AUTH_BROKEN), helpdesk="osticket")
        await home.nagios("PROBLEM", "CRITICAL")
        over = await home.nagios("RECOVERY", "OK")
        await home.settled()

        async def closed() -> bool:
            return [(one["helpdesk"], one["status"]) for one in home.tickets()] == [("zammad", "closed")]

        await until(closed)
        assert actions(await home.view(over))[-1] == ("zammad", "close", "delivered", "delivered")


async def test_who_waits_for_the_ticket_gets_that_of_the_fallback(tmp_path: Path) -> None:
    async with fallback(tmp_path, ROUTES.replace("400ms", "50ms")) as home:
        switch(home, DOWN)
        answer = await home.app(host="db-1")
        assert answer.status_code == 201
        assert answer.json()["ticket"]["helpdesk"] == "osticket"


async def test_a_doubt_that_osticket_settles_with_a_ticket_of_its_own_goes_nowhere_else(tmp_path: Path) -> None:
    async with fallback(tmp_path, CLOSES.replace("300ms", "50ms")) as home:
        switch(
            home,
            Fault(fault=FaultKind.HANG_BEFORE_COMMIT, seconds=1.3, commits=False, count=1),
            helpdesk="osticket",
        )
        await home.nagios("PROBLEM", "CRITICAL")
        await home.settled()
        assert [ticket["helpdesk"] for ticket in home.tickets()] == ["osticket"]
