"""Every way a helpdesk can fail, and what stands in it afterwards."""

import asyncio
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.model.action import ActionStatus
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import house, until

pytestmark = pytest.mark.anyio

PASSING = [
    Fault(fault=FaultKind.REFUSE, count=2),
    Fault(fault=FaultKind.RATE_LIMIT, count=1, seconds=0.2),
    Fault(fault=FaultKind.DATABASE_DOWN, count=2),
    Fault(fault=FaultKind.HTML_ERROR, count=1, status=502),
    Fault(fault=FaultKind.HTML_ERROR, count=1, status=504),
    Fault(fault=FaultKind.MAINTENANCE, count=1, seconds=0.2),
    Fault(fault=FaultKind.HANG_BEFORE_COMMIT, count=1, seconds=1.05),
    Fault(fault=FaultKind.HANG_BEFORE_COMMIT, count=1, seconds=1.3, commits=False),
    Fault(fault=FaultKind.COMMIT_THEN_HANG, count=1, seconds=1.5),
    Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.fault}-{fault.commits}-{fault.status}")
async def test_a_fault_that_passes_leaves_exactly_one_ticket(tmp_path: Path, fault: Fault) -> None:
    async with house(tmp_path) as home:
        home.faults(fault)
        answer = await home.app(host="db1")
        await home.settled()
        assert len(home.tickets()) == 1
        (action,) = (await home.view(answer)).actions
        assert action.status is ActionStatus.DELIVERED
        assert len(action.attempts) > 1


async def test_follow_ups_wait_for_their_ticket_and_keep_their_order(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.faults(Fault(fault=FaultKind.REFUSE, count=3))
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        for number in range(5):
            await home.nagios(
                "ACKNOWLEDGEMENT",
                "CRITICAL",
                SERVICENOTIFICATIONID=f"1{number}",
                NOTIFICATIONAUTHOR="ann",
                NOTIFICATIONCOMMENT=f"note {number}",
            )
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        await home.settled()
        texts = [str(entry["body"]) for entry in home.entries()]
        assert [number for text in texts for number in range(5) if f"note {number}" in text] == [0, 1, 2, 3, 4]
        assert len(texts) == 3, "what has waited goes out as one; what stands in for the close goes by itself"
        assert sorted(range(5), key=lambda number: texts[1].index(f"note {number}")) == [0, 1, 2, 3, 4]


async def test_refused_credentials_stop_the_queue_and_burn_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.faults(Fault(fault=FaultKind.AUTH_BROKEN))
        await asyncio.gather(*(home.app(host=f"host-{number}") for number in range(10)))

        async def paused() -> bool:
            return bool((await home.gateway.journal.helpdesk_state("osticket")).paused_since)

        await until(paused)
        assert await home.gateway.reader.dead_letters() == []
        home.faults()
        await home.settled()
        assert len(home.tickets()) == 10


async def test_a_redirect_never_carries_the_key_away_and_waits_for_a_person(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.faults(Fault(fault=FaultKind.REDIRECT))
        await home.app(host="db1")

        async def paused() -> bool:
            return bool((await home.gateway.journal.helpdesk_state("osticket")).paused_since)

        await until(paused)
        home.faults()
        await home.settled()
        assert len(home.tickets()) == 1


async def test_a_ticket_that_is_refused_for_good_is_a_dead_letter_and_its_neighbours_go_on(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.sandbox.change_settings({"osticket": {"banned": ["banned@example.org"]}})
        rest = """\
routes:
  - name: bad
    match: {host: bad}
    ticket: {helpdesk: osticket, fields: {email: banned@example.org, name: Nobody}}
  - name: good
    ticket: {helpdesk: osticket}
"""
        await home.restart(rest)
        refused = await home.app(host="bad")
        await home.app(host="good")
        follower = await home.post("app", json={"kind": "recovery", "title": "over", "host": "bad"})
        await until(lambda: _dead(home.gateway, 1, blocked=1))
        (letter,) = await home.gateway.reader.dead_letters()
        assert letter.reason is Reason.REJECTED
        assert "Ticket denied" in letter.detail
        assert letter.blocked == 1
        assert len(home.tickets()) == 1
        dropped = await home.gateway.journal.drop([letter.id], now=home.gateway.now(), who="the tests")
        assert dropped == [letter.id]
        await home.settled()
        assert [action.reason for action in (await home.view(follower)).actions] == [Reason.CREATE_DROPPED]
        assert [incident.state.value for incident in (await home.view(refused)).incidents] == ["closed"]


async def _dead(gateway: Gateway, number: int, *, blocked: int = 0) -> bool:
    letters = await gateway.reader.dead_letters()
    return len(letters) == number and sum(letter.blocked for letter in letters) >= blocked


async def test_what_was_accepted_before_a_stop_is_delivered_after_the_next_start(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.faults(Fault(fault=FaultKind.REFUSE))
        await asyncio.gather(*(home.app(host=f"host-{number}") for number in range(20)))
        home.faults()
        await home.restart()
        await home.settled()
        assert len(home.tickets()) == 20


async def test_a_moved_helpdesk_is_never_written_to_under_old_numbers(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.settled()
        home.sandbox_url = home.sandbox_url.replace("127.0.0.1", "localhost")
        await home.restart()
        again = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="2")
        await home.settled()
        assert len(home.tickets()) == 2
        assert [event.reason for event in (await home.view(again)).events] == [Reason.OPENED]


@pytest.mark.parametrize("at", ["thread_entry", "attachment"])
async def test_what_an_osticket_that_died_half_way_may_have_left_besides_is_flagged(tmp_path: Path, at: str) -> None:
    """The piece bears no Message-ID yet, so nobody can find it: it is told that it may be there."""
    async with house(tmp_path) as home:
        home.faults(Fault(fault=FaultKind.DIE_HALF_WAY, at=at, count=1))
        answer = await home.app(host="db1", text="the words", attachments=[{"filename": "a.txt", "content": "aGk="}])
        await home.settled()
        home.faults()
        (action,) = (await home.view(answer)).actions
        assert action.status is ActionStatus.DELIVERED
        assert Reason.POSSIBLE_DUPLICATE.value in action.flags
        whole = [
            entry for number in range(len(home.tickets())) for entry in home.entries(number) if entry["attachments"]
        ]
        assert len(whole) == 1
