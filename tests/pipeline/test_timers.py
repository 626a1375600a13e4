"""Timers and receipts side by side: what was received first is processed first, however late both are done."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway import firing
from gateway.firing import fired
from gateway.incidents.timers import Outage
from gateway.journal.protocol import CommitResult, NewTimer, Processed, Timer
from gateway.model.action import ActionKind
from gateway.model.incident import Incident, IncidentState, TicketRef
from gateway.model.plan import Plan
from gateway.model.reasons import Reason
from gateway.ruleset import Ruleset
from tests.e2e.house import until
from tests.pipeline.works import CONFIG, Works, event, works

pytestmark = pytest.mark.anyio
LIFE = CONFIG.replace(
    "{repeat: {append_every: 1h}, reopen_within: 1h}",
    "{key: [host], include_source: false, confirm: 90s, recover: {hold: 5m}, reopen_within: 1h, expire: never}",
)


@asynccontextmanager
async def lives(folder: Path) -> AsyncIterator[Works]:
    """A pipeline whose timers the test fires by hand, unless it runs them; its receipts are an hour old."""
    async with works(folder, config=LIFE) as at:
        at.at = time.time() - 3600
        yield at


async def take(at: Works, kind: str, after: float, *, source: str = "app", host: str = "db-1") -> str:
    new = at.receipt(event(kind, kind=kind, host=host), source=source)
    return (await at.pipeline.accept(replace(new, received_at=at.at + after))).id


async def incident_of(at: Works, receipt: str) -> Incident:
    (incident,) = (await at.view(receipt)).incidents
    return incident


async def fire_all(at: Works) -> None:
    while await at.pipeline.timers.fire_due():
        pass


async def test_a_backlog_ends_as_if_every_timer_had_fired_in_time(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        short = await take(at, "problem", 0, host="short")
        await take(at, "recovery", 60, host="short")
        long = await take(at, "problem", 0, host="long")
        over = await take(at, "recovery", 600, host="long")
        again = await take(at, "problem", 1200, host="long")
        await at.idle()
        await fire_all(at)
        assert (await incident_of(at, short)).state is IncidentState.CLOSED
        assert (await at.view(short)).actions == ()
        flags = [[action.flags[0] for action in (await at.view(name)).actions] for name in (long, over, again)]
        assert flags == [["confirmed"], ["recovered"], ["relapsed"]]
        assert (await at.view(again)).events[0].reason is Reason.RELAPSED
        assert (await at.view(long)).actions[0].queued_at == pytest.approx(at.at - 5 + 3 + 90)


async def test_a_timer_waits_for_a_receipt_of_another_source_that_came_before_it(tmp_path: Path) -> None:
    """Tool B's recovery lies in the journal, not processed yet: the hold must not end before B's problem is known."""
    async with lives(tmp_path) as at:
        first = await take(at, "problem", 0)
        await at.idle()
        await fire_all(at)
        await take(at, "recovery", 600)
        await at.idle()
        late = at.receipt(event("problem"), source="other")
        await at.journal.accept(replace(late, received_at=at.at + 700))  # nobody has claimed it
        await fire_all(at)
        assert (await incident_of(at, first)).state is IncidentState.RECOVERING
        at.pipeline.wake()
        await at.idle()
        await fire_all(at)
        assert (await incident_of(at, first)).state is IncidentState.OPEN
        assert (await at.view(late.id)).events[0].reason is Reason.BACK_WITHIN_HOLD


async def test_an_incident_of_two_sources_does_not_end_by_a_receipt_of_one_of_them(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        first = await take(at, "problem", 0)
        await take(at, "problem", 1, source="other")
        await at.idle()
        await fire_all(at)
        await take(at, "recovery", 600)
        await at.idle()
        await take(at, "recovery", 601, source="other")
        await at.idle()
        after = await take(at, "problem", 2000)  # the hold was due long ago, but `other` may have said something since
        await at.idle()
        assert (await at.view(after)).events[0].reason is Reason.BACK_WITHIN_HOLD
        assert (await incident_of(at, first)).state is IncidentState.OPEN


HOSTS = CONFIG.replace(
    "{repeat: {append_every: 1h}, reopen_within: 1h}", "{key: [host, service], suppressed_by: host, expire: never}"
).replace("  - name: all\n", "  - name: all\n    match: {severity: {gte: warning}}\n")


async def say(at: Works, kind: str, after: float, service: str = "") -> str:
    told = {
        "kind": kind,
        "severity": "info" if kind == "recovery" else "major",  # so that no rule takes it
        "title": kind,
        "host": "db-1",
        "service": service,
        "origin_key": f"db-1/{service}",
    }
    new = at.receipt(json.dumps(told).encode())
    return (await at.pipeline.accept(replace(new, received_at=at.at + after))).id


@pytest.mark.parametrize("late", [True, False])
async def test_a_host_that_is_down_holds_back_the_tickets_of_its_services(tmp_path: Path, *, late: bool) -> None:
    """The same whether all of it is done in time or, after a night without the gateway, at once."""
    async with works(tmp_path, config=HOSTS) as at:
        at.at = time.time() - 3600

        async def step(kind: str, after: float, service: str = "") -> str:
            name = await say(at, kind, after, service)
            if not late:
                await at.idle()
                await at.pipeline.timers.fire_due()
            return name

        host = await step("problem", 0)
        brief = await step("problem", 10, "http")
        lasting = await step("problem", 20, "disk")
        over = await step("recovery", 300)
        ended = await step("recovery", 330, "http")
        after = await step("recovery", 1000, "disk")
        await at.idle()
        await fire_all(at)
        told = [(await at.view(name)).events[0].reason for name in (host, brief, lasting, over, ended, after)]
        assert told == [
            Reason.OPENED,
            Reason.SUPPRESSED,
            Reason.SUPPRESSED,
            Reason.RECOVERED,
            Reason.NOT_CONFIRMED,
            Reason.RECOVERED,
        ]
        assert (await at.view(brief)).actions == ()
        (action,) = (await at.view(lasting)).actions
        assert action.flags == ("confirmed",)
        closed = (await at.view(over)).incidents[0].closed_at
        assert closed is not None
        assert action.queued_at == pytest.approx(closed + 90.0)


async def test_a_timer_and_an_event_at_once_write_one_history(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        [timer] = await at.journal.due_timers(now=time.time(), limit=5)
        plans = await at.journal.plans([timer.incident.plan])
        plan = at.rules.rules["all"].plan
        assert plan is not None
        assert set(plans) == {timer.incident.plan}
        meanwhile = await take(at, "recovery", 30)
        await at.idle()
        late = fired(timer, plan, at.rules)
        assert [action.kind for action in late.actions] == [ActionKind.CREATE]
        assert await at.journal.commit_processed([late]) == [CommitResult.GONE]
        assert (await at.view(meanwhile)).events[0].reason is Reason.NOT_CONFIRMED
        assert (await at.view(name)).actions == ()


async def test_a_conflict_leaves_the_timer_for_the_next_look(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        [timer] = await at.journal.due_timers(now=time.time(), limit=5)
        await take(at, "problem", 30)
        await at.idle()
        stale = fired(timer, at.rules.rules["all"].plan, at.rules)
        [result] = await at.journal.commit_processed([stale])
        assert result in {CommitResult.CONFLICT, CommitResult.GONE}
        await fire_all(at)
        actions = [action for view in [await at.view(name)] for action in view.actions]
        everything = await at.journal.reader().counts()
        assert everything.actions_waiting == {"desk": 1}
        assert len(actions) <= 1


async def test_firing_twice_or_by_an_event_gives_the_same_markers(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        [timer] = await at.journal.due_timers(now=time.time(), limit=5)
        by_loop = fired(timer, at.rules.rules["all"].plan, at.rules)
        await take(at, "recovery", 600)  # the receipt itself fires what was due before it
        await at.idle()
        (action,) = (await at.view(name)).actions
        assert action.marker == by_loop.actions[0].marker
        assert action.kind is ActionKind.CREATE


async def test_one_timer_that_cannot_be_fired_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = firing.fired

    def broken(
        timer: Timer, plan: Plan | None, rules: Ruleset, outages: Sequence[Outage] = (), **more: Any
    ) -> Processed:
        if timer.incident.host == "bad":
            raise RuntimeError("our own bug")
        return real(timer, plan, rules, outages, **more)

    async with lives(tmp_path) as at:
        bad = await take(at, "problem", 0, host="bad")
        good = await take(at, "problem", 0, host="good")
        await at.idle()
        monkeypatch.setattr(firing, "fired", broken)
        await fire_all(at)
        assert at.seen.failures == [("confirm", "our own bug")]
        assert (await incident_of(at, good)).state is IncidentState.OPEN
        assert (await incident_of(at, bad)).state is IncidentState.PENDING


async def test_one_timer_whose_outcome_cannot_be_written_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = firing.fired

    def unwritable(
        timer: Timer, plan: Plan | None, rules: Ruleset, outages: Sequence[Outage] = (), **more: Any
    ) -> Processed:
        done = real(timer, plan, rules, outages, **more)
        if timer.incident.host != "bad":
            return done
        return replace(done, timers=(NewTimer(cast("str", None), timer.incident.id, "hold", 0.0),))

    async with lives(tmp_path) as at:
        bad = await take(at, "problem", 0, host="bad")
        good = await take(at, "problem", 0, host="good")
        await at.idle()
        monkeypatch.setattr(firing, "fired", unwritable)
        await fire_all(at)
        assert [kind for kind, _ in at.seen.failures] == ["confirm"]
        assert (await incident_of(at, good)).state is IncidentState.OPEN
        assert (await incident_of(at, bad)).state is IncidentState.PENDING


async def test_the_loop_fires_by_itself_and_ends_when_told(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        running = asyncio.create_task(at.pipeline.timers.run())

        async def has_fired() -> bool:
            return bool(at.seen.timers)

        await until(has_fired, 10)
        at.pipeline.timers.stop()
        await asyncio.wait_for(running, 10)
        assert [kind for kind, _ in at.seen.timers] == ["confirm"]
        assert (await incident_of(at, name)).state is IncidentState.OPEN


async def test_a_ticket_in_another_helpdesk_of_the_same_name_is_not_written_to_by_a_timer(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        elsewhere = replace(
            await incident_of(at, name), ticket=TicketRef("desk", "1", "1", fingerprint="https://other")
        )
        timer = Timer(f"{elsewhere.id}/confirm", "confirm", at.at, elsewhere)
        assert fired(timer, at.rules.rules["all"].plan, at.rules) == Processed("", timer=timer.id)


async def test_a_timer_of_what_is_closed_is_only_deleted(tmp_path: Path) -> None:
    async with lives(tmp_path) as at:
        name = await take(at, "problem", 0)
        await at.idle()
        closed = replace(await incident_of(at, name), state=IncidentState.CLOSED, timers=())
        timer = Timer(f"{closed.id}/confirm", "confirm", at.at, closed)
        assert fired(timer, at.rules.rules["all"].plan, at.rules) == Processed("", timer=timer.id)
