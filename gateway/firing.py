"""Timers of incidents, from the state machine to the journal: what one that fires wants written, and when they fire.

A timer fires when it is due and every receipt that came before is processed (`Journal.due_timers`); firing is one transaction,
in which the timer is deleted and its incident must still be what was looked at. What it tells a ticket was dressed when its
event came (`HeldAction`); only what no event told (nobody acknowledged, nothing was heard) is made of the incident itself.

An incident that has a receipt at hand need not wait for that: `gateway.processing` fires what was due before the receipt came,
with `fired_timer`, in the receipt's own transaction. Both ways give the same actions with the same markers.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from gateway.dressing import Occasion, dress, render_timer, variants_of
from gateway.incidents.machine import possible
from gateway.incidents.timers import Outage, fire, outage_of
from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.journal.protocol import (
    CommitResult,
    HeldAction,
    HistoryLine,
    IncidentChange,
    Journal,
    JournalError,
    JournalFull,
    Lookup,
    NewTimer,
    Processed,
    Timer,
    Variant,
)
from gateway.model.action import ActionKind, NewAction
from gateway.model.incident import Deadline, Incident, TimerKind
from gateway.model.plan import Plan, plan_from_bytes
from gateway.model.reasons import Reason
from gateway.ruleset import Ruleset

POLL = 0.5
"""Seconds between looks at what is due."""
SLACK = 0.25
"""Seconds that a receipt may be on its way from the door, where it got its instant, to the journal: timers wait so long."""
AT_ONCE = 64
"""Timers that are fired in one transaction."""
ASIDE = 60.0
"""Seconds after which a timer that failed is tried again."""


# ------------------------------------------------------------------------------------------------------ what it changes


def timer_id(incident: str, kind: TimerKind) -> str:
    """The name of an incident's one timer of a kind."""
    return f"{incident}/{kind.value}"


@dataclass(frozen=True, slots=True)
class TimerChanges:
    """Which timers are set, and which are taken away. A timer in both takes the place of the old one."""

    new: tuple[NewTimer, ...]
    cancelled: tuple[str, ...]


def timer_changes(
    before: Incident | None,
    after: Incident,
    held: Mapping[tuple[str, str], HeldAction],
    kept: Collection[TimerKind] = (),
) -> TimerChanges:
    """What a change of an incident does to its timers. ``kept``: those that keep another action than before."""
    old = {timer.kind: timer.due_at for timer in before.timers} if before is not None else {}
    now = {timer.kind: timer.due_at for timer in after.timers}
    return TimerChanges(
        new=tuple(
            NewTimer(timer_id(after.id, kind), after.id, kind.value, due_at, held.get((after.id, kind.value)))
            for kind, due_at in now.items()
            if old.get(kind) != due_at or kind in kept
        ),
        cancelled=tuple(
            timer_id(after.id, kind) for kind, due_at in old.items() if now.get(kind) != due_at or kind in kept
        ),
    )


# ---------------------------------------------------------------------------------------------------------- what it does


@dataclass(frozen=True, slots=True)
class Fired:
    """What one timer brought about."""

    incident: Incident
    actions: tuple[NewAction, ...] = ()
    history: tuple[HistoryLine, ...] = ()


def fired_timer(
    incident: Incident,
    timer: Deadline,
    plan: Plan,
    rules: Ruleset,
    held: MutableMapping[tuple[str, str], HeldAction],
    outages: Sequence[Outage] = (),
) -> Fired | None:
    """Fire a timer of an incident. What it kept is taken out of ``held``. None if the incident has no such timer any more."""
    receipt = kept.receipt if (kept := held.get((incident.id, timer.kind.value))) is not None else ""
    transition = fire(incident, timer, plan.policy, outages)
    if transition.incident is None:
        return None
    actions: list[NewAction] = []
    occasion = _occasion(transition.incident, timer.kind, timer.due_at)
    if transition.release is not None:
        actions += release(held, transition.incident, plan, transition, rules, timer.due_at, occasion)
    after = _counted(transition.incident, actions)
    can_do, substitutes = rules.abilities(plan.helpdesk)
    for wish in transition.wishes:
        can = possible(wish.kind, wish.purpose, can_do, substitutes, quiet=wish.quiet)
        variants = _variants(after, timer, plan, can, rules)
        told = HeldAction(can.kind, render_timer(after, timer, plan, can, rules), transition.reason, variants=variants)
        actions += dress(told, occasion, after, plan, rules)
        after = _counted(transition.incident, actions)
    same = (after.state, after.flapping) == (incident.state, incident.flapping)
    if not actions and same and transition.reason is not Reason.TOUCHED:
        return Fired(after)  # nothing that anybody need know
    line = HistoryLine(timer.due_at, "timer", transition.reason, timer.kind.value, receipt, incident=incident.id)
    return Fired(after, tuple(actions), (line,))


def release(
    held: MutableMapping[tuple[str, str], HeldAction],
    incident: Incident,
    plan: Plan,
    transition: Transition,
    rules: Ruleset,
    now: float,
    occasion: Occasion | None = None,
) -> list[NewAction]:
    """The actions that a timer has kept, to be issued now; ``occasion`` is that timer's firing, if it is one."""
    assert transition.release is not None
    kept = held.pop((incident.id, transition.release.value), None)
    if kept is None:  # what a stored incident promises is kept, whatever became of the row
        confirm = transition.release is TimerKind.CONFIRM
        wish = Wish(
            ActionKind.CREATE if confirm else ActionKind.APPEND,
            Purpose.PROBLEM if confirm else Purpose.RECOVERY,
            quiet=not confirm,
            reopen=False,
        )
        timer = Deadline(transition.release, now)
        variants = _variants(incident, timer, plan, wish, rules)
        rendered = render_timer(incident, timer, plan, wish, rules)
        kept = HeldAction(wish.kind, rendered, transition.reason, variants=variants)
    return dress(kept, occasion or _occasion(incident, transition.release, now), incident, plan, rules)


def _variants(incident: Incident, timer: Deadline, plan: Plan, wish: Wish, rules: Ruleset) -> tuple[Variant, ...]:
    return variants_of(
        wish, incident, plan, rules, lambda there, wanted: render_timer(incident, timer, there, wanted, rules)
    )


def moved_away(incident: Incident, rules: Ruleset) -> bool:
    """True if the incident's ticket is in another helpdesk than the one that bears its name now."""
    connector = rules.connectors.get(incident.helpdesk)
    if connector is None or incident.ticket is None:
        return False
    return incident.ticket.fingerprint not in {"", connector.fingerprint}


def _counted(incident: Incident, actions: Sequence[NewAction]) -> Incident:
    return replace(incident, sequence=incident.sequence + len(actions))


def _occasion(incident: Incident, kind: TimerKind, now: float) -> Occasion:
    """One firing, which the incident's version names: it rises with each."""
    numbers: defaultdict[str, count[int]] = defaultdict(count)  # one row of them for each helpdesk
    cause = f"timer/{timer_id(incident.id, kind)}/{incident.version}"
    return Occasion(cause, now, lambda helpdesk, _kind: next(numbers[helpdesk]))


# ---------------------------------------------------------------------------------------------------------- when it fires


def fired(timer: Timer, plan: Plan | None, rules: Ruleset, outages: Sequence[Outage] = ()) -> Processed:
    """All that firing a timer wants written.

    One that means nothing any more is only deleted; so is one whose ticket must not be written to.
    """
    if moved_away(timer.incident, rules):
        return Processed("", timer=timer.id)
    kind = TimerKind(timer.kind)
    held = {(timer.incident.id, timer.kind): timer.held} if timer.held is not None else {}
    deadline = Deadline(kind, timer.due_at)
    done = fired_timer(timer.incident, deadline, plan, rules, held, outages) if plan is not None else None
    if done is None:
        return Processed("", timer=timer.id)
    changes = timer_changes(timer.incident, done.incident, held)
    return Processed(
        receipt="",
        timer=timer.id,
        incidents=(IncidentChange(done.incident, timer.incident.version),),
        actions=done.actions,
        timers=changes.new,
        cancelled_timers=changes.cancelled,
        history=done.history,
    )


class Watcher(Protocol):
    """Who wants to know of timers. Must not block and must not raise."""

    def fired(self, timer: Timer, processed: Processed) -> None:
        """A timer has fired, durably."""
        ...

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        """Firing failed; it is tried again later."""
        ...


class Timers:
    """Fires what is due. Nothing is kept in memory, so a restart goes on where the last process was."""

    def __init__(
        self,
        journal: Journal,
        rules: Callable[[], Ruleset],
        watcher: Watcher,
        *,
        wake_delivery: Callable[[Iterable[str]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``rules`` gives those in force; ``wake_delivery`` is told the helpdesks that have something to do."""
        self._journal = journal
        self._rules = rules
        self._watcher = watcher
        self._wake_delivery = wake_delivery
        self._clock = clock
        self._aside: dict[str, float] = {}  # timers that failed, and until when they are left alone
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Fire nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Fire until `stop`; raises what the journal raises when it is broken."""
        while not self._stopping.is_set():
            try:
                again = await self.fire_due()
            except JournalFull:
                again = False
            if not again:
                try:
                    await asyncio.wait_for(self._stopping.wait(), POLL)
                except TimeoutError:
                    continue

    async def fire_due(self) -> bool:
        """Fire some of what is due; true if there may be more."""
        now = self._clock()
        self._aside = {name: until for name, until in self._aside.items() if until > now}
        due = await self._journal.due_timers(now=now - SLACK, limit=AT_ONCE + len(self._aside))
        chosen: dict[str, Timer] = {}  # one per incident: the next one must see what this one does
        for timer in due:
            if timer.id not in self._aside:
                chosen.setdefault(timer.incident.id, timer)
        if not chosen:
            return False
        stored_plans = await self._journal.plans(sorted({timer.incident.plan for timer in chosen.values()}))
        plans = {digest: plan_from_bytes(stored) for digest, stored in stored_plans.items()}
        outages = await self._outages(list(chosen.values()), plans, now)
        work: list[tuple[Timer, Processed]] = []
        for timer in chosen.values():
            try:
                done = fired(timer, plans.get(timer.incident.plan), self._rules(), outages.get(timer.incident.id, ()))
                work.append((timer, done))
            except Exception as error:  # noqa: BLE001 - our own bug must not stop the neighbours; it is told and counted
                self._aside[timer.id] = now + ASIDE
                self._watcher.timer_failed(timer, error)
        results = await self._commit(work, now)
        self._wake_delivery({action.helpdesk for _, processed in work for action in processed.actions})
        for (timer, processed), result in zip(work, results, strict=True):
            if result is CommitResult.COMMITTED:
                self._watcher.fired(timer, processed)
        return bool(work)

    async def _commit(self, work: Sequence[tuple[Timer, Processed]], now: float) -> list[CommitResult | None]:
        """Commit a batch; if one of it cannot be written at all, each by itself, so that its neighbours go on."""
        try:
            return list(await self._journal.commit_processed([processed for _, processed in work]))
        except JournalError:
            raise
        except Exception:  # noqa: BLE001 - found out below whose fault it is
            results: list[CommitResult | None] = []
        for timer, processed in work:
            try:
                results += await self._journal.commit_processed([processed])
            except JournalError:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be written must not stop the neighbours
                self._aside[timer.id] = now + ASIDE
                self._watcher.timer_failed(timer, error)
                results.append(None)
        return results

    async def _outages(self, timers: Sequence[Timer], plans: Mapping[str, Plan], now: float) -> dict[str, list[Outage]]:
        """When the hosts of services were down whose tickets wait for that, by incident."""
        waiting = [
            timer.incident
            for timer in timers
            if timer.kind == TimerKind.CONFIRM
            and timer.incident.service
            and (plan := plans.get(timer.incident.plan)) is not None
            and plan.policy.suppressed_by == "host"
        ]
        if not waiting:
            return {}
        known = await self._journal.know(Lookup(hosts=frozenset(one.host for one in waiting)), now)
        return {
            one.id: [
                outage
                for of_host in known.of_hosts
                if of_host.host == one.host
                for member in one.members[:1]
                if (outage := outage_of(of_host, member.source)) is not None
            ]
            for one in waiting
        }
