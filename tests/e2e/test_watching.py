"""What persons do to tickets is learned from the helpdesk's webhooks, or by and by, on every helpdesk that can be read."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.model.action import ActionStatus
from gateway.model.incident import Deed, IncidentState
from gateway.model.reasons import Reason
from tests.e2e.house import house, until
from tests.e2e.test_persons import CONFIGS, ROUTES, Story
from tests.e2e.test_time import HOUR, Clock

pytestmark = pytest.mark.anyio

SECRET = "only the helpdesk and we know it"
COUNTS = ROUTES.replace("repeat: {append_every: 1ms}, ", "")  # repeats are only counted
Begin = Callable[..., AbstractAsyncContextManager[tuple[Story, Clock]]]


@pytest.fixture(params=list(CONFIGS))
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Begin:
    """Makes the story of one incident; webhooks ring unless the test polls."""
    desk = str(request.param)

    @asynccontextmanager
    async def begin(policy: str, poll: str = "") -> AsyncIterator[tuple[Story, Clock]]:
        name = "zammad" if desk == "zammad" else "desk"
        rest = COUNTS.replace("HELPDESK", name).replace("POLICY", policy)
        how = f"poll: {poll}" if poll else f'notify: {{{{secret: ["an older one", "{SECRET}"]}}}}'
        config = CONFIGS[desk].replace("    sandbox: true", f"    {how}\n    sandbox: true")
        clock = Clock()
        async with house(tmp_path, rest, config=config, clock=clock) as home:
            if not poll:
                hook = {"url": f"{home.url}/helpdesks/{name}/notify", "secret": SECRET}
                home.sandbox.change_settings({desk: {"webhook": hook}})
            one = Story(home, desk)
            await one.told("PROBLEM", "WARNING")
            yield one, clock

    return begin


async def learned(one: Story, deed: Deed | None) -> None:
    async def so() -> bool:
        touch = (await one.incident()).touch
        return (touch.deed if touch is not None else None) is deed

    await until(so, 15.0)


async def reasons(one: Story) -> list[Reason | None]:
    """What the first receipt's timeline says of the ticket."""
    receipt = (await one.home.gateway.reader.receipts(limit=100))[-1]
    view = await one.home.gateway.reader.receipt(receipt.id)
    assert view is not None
    return [line.reason for line in view.timeline if line.what == "ticket"]


async def test_a_webhook_tells_of_an_answer_a_close_and_a_reopening(watched: Begin) -> None:
    async with watched("confirm: 0s") as (one, _):
        one.person("answer")
        await learned(one, Deed.WORKED)
        one.person("close")
        await learned(one, Deed.CLOSED)
        one.person("reopen")
        await learned(one, Deed.WORKED)
        assert await reasons(one) == [Reason.TOUCHED, Reason.CLOSED_BY_HAND, Reason.OPENED_BY_HAND]
        over = await one.acted("RECOVERY", "OK")
        assert over.status is ActionStatus.DELIVERED
        assert (await one.incident()).state is IncidentState.CLOSED


async def test_our_own_work_is_nobodys(watched: Begin) -> None:
    async with watched("reopen_within: 1h") as (one, _):
        await one.told("PROBLEM", "CRITICAL")
        await one.told("RECOVERY", "OK")
        await one.told("PROBLEM", "CRITICAL")
        one.person("answer")  # behind all webhooks of ours
        await learned(one, Deed.WORKED)
        assert await reasons(one) == [Reason.TOUCHED]


@pytest.mark.parametrize("policy", ["reopen", "new"])
async def test_where_repeats_are_only_counted_the_next_problem_gets_its_ticket_back(
    watched: Begin, policy: str
) -> None:
    async with watched(f"closed_by_hand: {policy}") as (one, clock):
        clock.offset += 5
        one.person("close")
        await learned(one, Deed.CLOSED)
        clock.offset += 5
        again = await one.acted("PROBLEM", "WARNING")
        assert Reason.CLOSED_BY_HAND.value in again.flags
        assert one.states == (["open"] if policy == "reopen" else ["closed", "new"])
        touch = (await one.incident()).touch
        assert touch is None or touch.deed is Deed.WORKED
        assert await one.told("PROBLEM", "WARNING") is None, "and then they are counted again"


async def test_a_merged_ticket_is_followed_at_once(watched: Begin) -> None:
    async with watched("confirm: 0s") as (one, _):
        await one.told("PROBLEM", "WARNING", "other")
        receipt = (await one.home.gateway.reader.receipts(limit=100))[-1]
        target = str(one.home.tickets()[1]["number"])
        one.person("merge")

        async def moved() -> bool:
            view = await one.home.gateway.reader.receipt(receipt.id)
            return view is not None and view.ticket is not None and view.ticket.number == target

        await until(moved, 15.0)
        assert (await reasons(one))[0] is Reason.TICKET_MOVED


async def test_who_has_answered_is_not_reminded(watched: Begin) -> None:
    async with watched("escalate: {after: 30m}") as (one, clock):
        one.person("answer")
        await learned(one, Deed.WORKED)
        clock.offset += HOUR

        async def fired() -> bool:
            return (await one.incident()).timers[0].kind == "expire"

        await until(fired)
        await one.home.settled()
        assert len(one.home.entries()) == 2
        receipt = (await one.home.gateway.reader.receipts(limit=1))[0]
        view = await one.home.gateway.reader.receipt(receipt.id)
        assert view is not None
        assert [line.reason for line in view.timeline if line.what == "timer"] == [Reason.TOUCHED]


async def test_without_a_webhook_it_is_learned_by_and_by(watched: Begin) -> None:
    async with watched("confirm: 0s", poll="5m") as (one, clock):
        clock.offset += 301
        one.person("close")
        await learned(one, Deed.CLOSED)
        one.person("delete")
        clock.offset += 301
        await learned(one, Deed.REMOVED)
        assert await reasons(one) == [Reason.CLOSED_BY_HAND, Reason.TICKET_GONE]
        clock.offset += 5
        again = await one.acted("PROBLEM", "WARNING")
        assert Reason.TICKET_REPLACED.value in again.flags
        assert one.states == ["new"]


async def test_a_forged_a_wrong_and_a_late_webhook_do_nothing(watched: Begin) -> None:
    async with watched("confirm: 0s") as (one, _):
        home = one.home
        ticket = home.tickets()[0]
        name = "zammad" if one.desk == "zammad" else "desk"
        url = f"{home.url}/helpdesks/{name}/notify"
        lie = f'{{"ticket": {{"id": {ticket["id"]}, "state": "closed"}}}}'.encode()
        right = {"X-Hub-Signature": "sha1=" + hmac.new(SECRET.encode(), lie, hashlib.sha1).hexdigest()}
        wrong = {"X-Hub-Signature": "sha1=" + hmac.new(b"guessed", lie, hashlib.sha1).hexdigest()}
        answers = [
            await home.client.post(url, content=lie, headers=headers)
            for headers in ({}, wrong, {"Authorization": "Bearer guessed"}, right, right)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 202, 202]
        assert (await home.client.post(url, content=lie + b" ", headers=right)).status_code == 401
        elsewhere = f"{home.url}/helpdesks/nowhere/notify"
        assert (await home.client.post(elsewhere, content=lie, headers=right)).status_code == 401
        unknown = await home.client.post(url, json={"TicketID": 4711}, headers={"Authorization": f"Bearer {SECRET}"})
        assert (unknown.status_code, unknown.json()) == (202, {"noted": True})
        one.person("answer")
        await learned(one, Deed.WORKED)
        assert await reasons(one) == [Reason.TOUCHED]
