"""What persons do to tickets while the gateway works with them, on every helpdesk that can be read."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.journal.protocol import ActionView
from gateway.model.action import ActionStatus
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, until
from tests.e2e.test_otobo import CONFIG as OTOBO
from tests.e2e.test_otobo import ZNUNY
from tests.e2e.test_zammad import CONFIG as ZAMMAD

pytestmark = pytest.mark.anyio

ROUTES = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket: {helpdesk: HELPDESK, template: alert}
    incident: {repeat: {append_every: 1ms}, POLICY}
"""
CONFIGS = {"zammad": ZAMMAD, "otobo": OTOBO, "znuny": ZNUNY}


@dataclass(slots=True)
class Story:
    """One incident of one helpdesk, and an agent at its desk."""

    home: House
    desk: str
    number: int = 0

    async def told(self, kind: str, state: str, host: str = "web1") -> ActionView | None:
        """A notification, and the action that came of it, if there is one."""
        self.number += 1
        answer = await self.home.nagios(kind, state, host, SERVICENOTIFICATIONID=str(self.number))
        await self.home.settled()
        view = await self.home.view(answer)
        return view.actions[-1] if view.actions else None

    async def acted(self, kind: str, state: str) -> ActionView:
        action = await self.told(kind, state)
        assert action is not None
        return action

    def person(self, action: str, ticket: int = 0) -> None:
        number = self.home.tickets()[ticket]["id"]
        assert isinstance(number, int)
        assert self.home.sandbox.doubles[self.desk].act(number, action)

    def fault(self, **switches: object) -> None:
        self.home.sandbox.set_faults({self.desk: [Fault.model_validate(switches)]})

    @property
    def states(self) -> list[str]:
        """The states of the tickets, the oldest first: whether each is closed."""
        return ["closed" if "closed" in str(one["status"]) else str(one["status"]) for one in self.home.tickets()]

    def text(self, ticket: int) -> str:
        return "\n".join(str(entry["body"]) for entry in self.home.entries(ticket))

    async def incident(self) -> Incident:
        receipts = await self.home.gateway.reader.receipts(limit=1)
        view = await self.home.gateway.reader.receipt(receipts[0].id)
        assert view is not None
        (incident,) = view.incidents
        return incident


Begin = Callable[[str], AbstractAsyncContextManager[Story]]
"""Makes the story of one incident under a policy."""


@pytest.fixture(params=list(CONFIGS))
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Begin:
    desk = str(request.param)

    @asynccontextmanager
    async def begin(policy: str) -> AsyncIterator[Story]:
        rest = ROUTES.replace("HELPDESK", "zammad" if desk == "zammad" else "desk").replace("POLICY", policy)
        async with house(tmp_path, rest, config=CONFIGS[desk]) as home:
            one = Story(home, desk)
            await one.told("PROBLEM", "WARNING")
            yield one

    return begin


# ------------------------------------------------------------------------------------------------------- closed by hand


async def test_a_ticket_that_a_person_closed_stays_quiet_until_it_is_worse(story: Begin) -> None:
    async with story("reopen_within: 0s") as one:
        one.person("close")
        repeat = await one.acted("PROBLEM", "WARNING")
        assert (repeat.status, repeat.reason) == (ActionStatus.SKIPPED, Reason.CLOSED_BY_HAND)
        assert (one.states, len(one.home.entries())) == (["closed"], 1)
        worse = await one.acted("PROBLEM", "CRITICAL")
        assert Reason.CLOSED_BY_HAND.value in worse.flags
        assert (one.states, len(one.home.entries())) == (["open"], 2)
        one.person("close")
        over = await one.acted("RECOVERY", "OK")
        assert (over.kind, over.status, over.reason) == ("close", ActionStatus.SKIPPED, Reason.CLOSED_BY_HAND)
        assert (one.states, len(one.home.entries())) == (["closed"], 2)
        assert (await one.incident()).state is IncidentState.CLOSED


async def test_reopen_opens_a_ticket_that_a_person_closed_with_the_next_follow_up(story: Begin) -> None:
    async with story("closed_by_hand: reopen") as one:
        one.person("close")
        repeat = await one.acted("PROBLEM", "WARNING")
        assert (repeat.status, Reason.CLOSED_BY_HAND.value in repeat.flags) == (ActionStatus.DELIVERED, True)
        assert (one.states, len(one.home.entries())) == (["open"], 2)
        one.person("close")
        over = await one.acted("RECOVERY", "OK")
        assert over.status is ActionStatus.DELIVERED
        assert (one.states, len(one.home.entries())) == (["closed"], 3)


@pytest.mark.parametrize("fault", [None, FaultKind.COMMIT_THEN_DROP, FaultKind.HANG_BEFORE_COMMIT])
async def test_new_makes_one_ticket_that_names_the_closed_one_whatever_becomes_of_the_call(
    story: Begin,
    fault: FaultKind | None,
) -> None:
    async with story("closed_by_hand: new") as one:
        (first,) = one.home.tickets()
        one.person("close")
        if fault is not None:
            one.fault(fault=fault, count=1, seconds=0, commits=False)
        repeat = await one.acted("PROBLEM", "WARNING")
        assert repeat.status is ActionStatus.DELIVERED
        assert Reason.TICKET_REPLACED.value in repeat.flags
        assert one.states == ["closed", "new"]
        assert f"This goes on from ticket {first['number']}" in one.text(1)
        incident = await one.incident()
        assert incident.ticket is not None
        assert incident.ticket.number == one.home.tickets()[1]["number"]
        await one.acted("RECOVERY", "OK")
        assert one.states == ["closed", "closed"]
        assert (len(one.home.entries(0)), len(one.home.entries(1))) == (1, 2)
        assert await one.home.gateway.reader.dead_letters() == []


async def test_a_new_ticket_whose_call_was_cut_off_by_a_stop_is_found_by_the_next_start(story: Begin) -> None:
    async with story("closed_by_hand: new") as one:
        home = one.home
        one.person("close")
        one.fault(fault=FaultKind.COMMIT_THEN_HANG, count=1, seconds=5)
        answer = await home.nagios("PROBLEM", "WARNING", SERVICENOTIFICATIONID="9")

        async def made() -> bool:
            return len(home.tickets()) == 2

        await until(made)
        await home.gateway.stop(0.0)
        home.sandbox.clear_faults()
        home.gateway = type(home.gateway)(home.gateway.config)
        await home.gateway.start()
        await home.settled()
        (action,) = (await home.view(answer)).actions
        assert (action.status, action.reason) == (ActionStatus.DELIVERED, Reason.FOUND)
        assert one.states == ["closed", "new"]
        await one.acted("RECOVERY", "OK")
        assert one.states == ["closed", "closed"]


# ------------------------------------------------------------------------------------------------------ merged, deleted


async def test_a_merged_ticket_is_followed_and_its_target_becomes_the_incidents_ticket(story: Begin) -> None:
    async with story("recover: {only_if_untouched: true}") as one:
        await one.told("PROBLEM", "WARNING", "other")
        one.person("merge")
        target = one.home.tickets()[1]
        repeat = await one.acted("PROBLEM", "WARNING")
        assert Reason.TICKET_MOVED.value in repeat.flags
        incident = await one.incident()
        assert incident.ticket is not None
        assert incident.ticket.number == target["number"]
        over = await one.acted("RECOVERY", "OK")
        assert over.reason is Reason.TOUCHED, "another's ticket is not closed by our recovery"
        assert one.states == ["merged", "new"]


@pytest.mark.parametrize("fault", [None, FaultKind.COMMIT_THEN_DROP, FaultKind.HANG_BEFORE_COMMIT])
async def test_a_deleted_ticket_is_replaced_by_one_new_one_and_its_end_needs_none(
    story: Begin,
    fault: FaultKind | None,
) -> None:
    async with story("closed_by_hand: stay_quiet") as one:
        await one.told("PROBLEM", "WARNING", "other")  # by which the absence of others is proven
        one.person("delete")
        if fault is not None:
            one.fault(fault=fault, count=1, seconds=0, commits=False)
        repeat = await one.acted("PROBLEM", "WARNING")
        assert (repeat.status, Reason.TICKET_REPLACED.value in repeat.flags) == (ActionStatus.DELIVERED, True)
        assert one.states == ["new", "new"]
        assert "which is not there any more" in one.text(1)
        one.person("delete", 1)
        over = await one.acted("RECOVERY", "OK")
        assert (over.status, over.reason) == (ActionStatus.SKIPPED, Reason.TICKET_GONE)
        assert one.states == ["new"]


# ------------------------------------------------------------------------------------------------------------ untouched


async def test_an_untouched_ticket_is_closed_whatever_we_wrote_into_it_ourselves(story: Begin) -> None:
    async with story("recover: {only_if_untouched: true}") as one:
        await one.told("PROBLEM", "WARNING")
        await one.told("PROBLEM", "CRITICAL")
        over = await one.acted("RECOVERY", "OK")
        assert over.status is ActionStatus.DELIVERED
        assert (one.states, len(one.home.entries())) == (["closed"], 4)


@pytest.mark.parametrize("deed", ["answer", "lock or take", "reopen"])
@pytest.mark.parametrize("fault", [None, FaultKind.COMMIT_THEN_DROP, FaultKind.HANG_BEFORE_COMMIT])
async def test_a_ticket_that_a_person_has_worked_on_is_told_of_the_recovery_once_and_stays_open(
    story: Begin,
    deed: str,
    fault: FaultKind | None,
) -> None:
    async with story("recover: {only_if_untouched: true}") as one:
        if deed == "lock or take":
            deed = "take" if one.desk == "zammad" else "lock"
        one.person(deed)
        before = len(one.home.entries())
        if fault is not None:
            one.fault(fault=fault, count=1, seconds=0, commits=False)
        over = await one.acted("RECOVERY", "OK")
        assert (over.kind, over.status, over.reason) == ("close", ActionStatus.SKIPPED, Reason.TOUCHED)
        assert (one.states, len(one.home.entries())) == (["open" if deed == "reopen" else "new"], before + 1)
        assert "stays as it is" in over.detail
        assert (await one.incident()).state is IncidentState.CLOSED
