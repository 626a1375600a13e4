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
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from gateway.changes import Changes, timer_id
from gateway.dressing import Occasion, dress, render_digest, render_timer, timer_words, variants_of
from gateway.facts import Facts, facts_of
from gateway.incidents.machine import possible
from gateway.incidents.storms import word
from gateway.incidents.timers import Outage, fire, outage_of
from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.incidents.untold import is_shown_only
from gateway.journal.protocol import (
    CommitResult,
    HeldAction,
    HistoryLine,
    IncidentChange,
    Journal,
    JournalError,
    JournalFull,
    Lookup,
    Processed,
    Timer,
    Variant,
)
from gateway.model.action import ActionKind, NewAction, TicketDraft
from gateway.model.incident import Deadline, Incident, IncidentState, TimerKind
from gateway.model.plan import Plan, plan_from_bytes
from gateway.model.reasons import Reason
from gateway.model.storm import StormRow, StormTable, StormTold
from gateway.ruleset import Ruleset
from gateway.storms import Storms, moved_away, without

POLL = 0.5
"""Seconds between looks at what is due."""
SLACK = 0.25
"""Seconds that a receipt may be on its way from the door, where it got its instant, to the journal: timers wait so long."""
AT_ONCE = 64
"""Timers that are fired in one transaction."""
ASIDE = 60.0
"""Seconds after which a timer that failed is tried again."""


# ---------------------------------------------------------------------------------------------------------- what it does


@dataclass(frozen=True, slots=True)
class Fired:
    """What one timer brought about."""

    incident: Incident
    actions: tuple[NewAction, ...] = ()
    history: tuple[HistoryLine, ...] = ()


def fired_timer(
    incident: Incident, timer: Deadline, plan: Plan, storms: Storms, outages: Sequence[Outage] = ()
) -> Fired | None:
    """Fire a timer of an incident. What it kept is taken out of the facts. None if the incident has no such timer any more."""
    held, rules = storms.facts.held, storms.rules
    receipt = kept.receipt if (kept := held.get((incident.id, timer.kind.value))) is not None else ""
    transition = fire(incident, timer, plan.policy, outages)
    if transition.incident is None:
        return None
    actions: list[NewAction] = []
    occasion = _occasion(transition.incident, timer.kind, timer.due_at)
    after, reason = transition.incident, transition.reason
    if transition.release is not None:
        kept = released(held, after, plan, transition, rules, timer.due_at)
        after, told = storms_first(after, kept, plan, storms, timer.due_at)
        if told:
            reason = Reason.JOINED_STORM if kept.kind is ActionKind.CREATE else reason
        else:
            actions += dress(kept, occasion, after, plan, rules)
            after = _counted(after, actions)
    can_do, substitutes = rules.abilities(plan.helpdesk)
    for wish in transition.wishes:
        if after.is_told_by_digest:
            after = _told_by_digest(after, timer, plan, wish, storms)
            continue
        can = possible(wish.kind, wish.purpose, can_do, substitutes, quiet=wish.quiet)
        variants = _variants(after, timer, plan, can, rules)
        rendered = render_timer(after, timer, plan, can, rules)
        told_now = HeldAction(can.kind, rendered, transition.reason, variants=variants)
        actions += dress(told_now, occasion, after, plan, rules)
        after = replace(after, sequence=transition.incident.sequence + len(actions))
    same = (after.state, after.flapping, after.reasons) == (incident.state, incident.flapping, incident.reasons)
    if not actions and same and transition.reason is not Reason.TOUCHED:
        return Fired(after)  # nothing that anybody need know
    line = HistoryLine(timer.due_at, "timer", reason, timer.kind.value, receipt, incident=incident.id)
    return Fired(after, tuple(actions), (line,))


def storms_first(incident: Incident, kept: HeldAction, plan: Plan, storms: Storms, at: float) -> tuple[Incident, bool]:
    """The incident whose kept action is due, and whether a storm's digest tells of it instead."""
    if kept.kind is ActionKind.CREATE and incident.storm and not incident.digest:
        incident = storms.ask(incident, plan.policy, at, kept.receipt, lambda: kept)
    return incident, incident.is_told_by_digest


def _told_by_digest(incident: Incident, timer: Deadline, plan: Plan, wish: Wish, storms: Storms) -> Incident:
    """What a timer would have told an incident's own ticket: its row says so, or a line of the digest's next word."""
    news = ""
    if wish.purpose is Purpose.ESCALATION:
        incident = replace(incident, reasons=tuple(dict.fromkeys((*incident.reasons, Reason.ESCALATED.value))))
    elif wish.purpose is Purpose.EXPIRY:
        news = timer_words(timer, plan)

    def held() -> HeldAction:
        variants = _variants(incident, timer, plan, wish, storms.rules)
        rendered = render_timer(incident, timer, plan, wish, storms.rules)
        return HeldAction(wish.kind, rendered, Reason.STORM_TOLD, variants=variants)

    storms.tell(incident, plan.policy, timer.due_at, held, news)
    return incident


def said_digest(
    digest: Incident, timer: Deadline, plan: Plan, rows: Sequence[StormRow], storms: Storms, now: float = 0.0
) -> Fired | None:
    """Fire the timer of a storm's digest: its ticket is told what is new."""
    if timer not in digest.timers or digest.state is IncidentState.CLOSED or plan.storm is None:
        return None
    rules, held = storms.rules, storms.facts.held
    begins = not digest.sequence or (is_shown_only(digest) and not rules.shows_only(plan.helpdesk))
    kept = held.pop((digest.id, timer.kind.value), None) or HeldAction(
        ActionKind.APPEND, TicketDraft("", ""), Reason.STORM_TOLD
    )
    if begins:  # for the first time, or because its ticket was only shown
        digest = replace(digest, reasons=without(digest.reasons, Reason.SHADOW))
        kept = replace(kept, kind=ActionKind.CREATE)
    said = word(digest, rows, timer.due_at, plan.policy, kept.kind, now=now)
    fields = {
        one.helpdesk: one.draft.fields for one in kept.variants
    }  # at the fallbacks, the digest's own now among them
    fields.setdefault(plan.helpdesk, kept.draft.fields)
    after, actions = said.digest, []
    if said.wish is not None and said.table is not None:
        can_do, substitutes = rules.abilities(plan.helpdesk)
        can = possible(said.wish.kind, said.wish.purpose, can_do, substitutes, quiet=said.wish.quiet)
        can = replace(can, reopen=said.wish.reopen)

        def render(there: Plan, wanted: Wish, table: StormTable = said.table) -> TicketDraft:
            return render_digest(said.digest, table, there, wanted, rules, fields.get(there.helpdesk, {}), timer.due_at)

        variants = variants_of(can, after, plan, rules, render)
        action = HeldAction(can.kind, render(plan, can), said.reason, kept.receipt, variants)
        actions = dress(action, _occasion(digest, timer.kind, timer.due_at), after, plan, rules)
        after = _counted(after, actions)
    following = kept.kind if said.wish is None else ActionKind.APPEND
    held[digest.id, timer.kind.value] = replace(kept, kind=following, reason=Reason.STORM_TOLD, receipt="")
    storms.changes.told += [StormTold(digest.id, row.incident, row.stands) for row in said.told]
    if not actions and after.state is digest.state:
        return Fired(after)
    line = HistoryLine(timer.due_at, "timer", said.reason, timer.kind.value, kept.receipt, incident=digest.id)
    return Fired(after, tuple(actions), (line,))


def released(
    held: MutableMapping[tuple[str, str], HeldAction],
    incident: Incident,
    plan: Plan,
    transition: Transition,
    rules: Ruleset,
    now: float,
) -> HeldAction:
    """The action that a timer has kept, to be issued now."""
    assert transition.release is not None
    kept = held.pop((incident.id, transition.release.value), None)
    if kept is not None:
        return kept
    # What a stored incident promises is kept, whatever became of the row.
    confirm = transition.release is TimerKind.CONFIRM
    wish = Wish(
        ActionKind.CREATE if confirm else ActionKind.APPEND,
        Purpose.PROBLEM if confirm else Purpose.RECOVERY,
        quiet=not confirm,
        reopen=False,
    )
    timer = Deadline(transition.release, now)
    variants = _variants(incident, timer, plan, wish, rules)
    return HeldAction(wish.kind, render_timer(incident, timer, plan, wish, rules), transition.reason, variants=variants)


def _variants(incident: Incident, timer: Deadline, plan: Plan, wish: Wish, rules: Ruleset) -> tuple[Variant, ...]:
    return variants_of(
        wish, incident, plan, rules, lambda there, wanted: render_timer(incident, timer, there, wanted, rules)
    )


def dress_released(
    kept: HeldAction, transition: Transition, incident: Incident, plan: Plan, rules: Ruleset, now: float
) -> list[NewAction]:
    """What a timer has kept, as actions."""
    assert transition.release is not None
    return dress(kept, _occasion(incident, transition.release, now), incident, plan, rules)


def _counted(incident: Incident, actions: Sequence[NewAction]) -> Incident:
    return replace(incident, sequence=incident.sequence + len(actions))


def _occasion(incident: Incident, kind: TimerKind, now: float) -> Occasion:
    """One firing, which the incident's version names: it rises with each."""
    numbers: defaultdict[str, count[int]] = defaultdict(count)  # one row of them for each helpdesk
    cause = f"timer/{timer_id(incident.id, kind)}/{incident.version}"
    return Occasion(cause, now, lambda helpdesk, _kind: next(numbers[helpdesk]))


# ---------------------------------------------------------------------------------------------------------- when it fires


def fired(
    timer: Timer,
    plan: Plan | None,
    rules: Ruleset,
    outages: Sequence[Outage] = (),
    *,
    facts: Facts | None = None,
    rows: Sequence[StormRow] = (),
    now: float = 0.0,
) -> Processed:
    """All that firing a timer wants written. ``facts`` (of storms) is carried forward; ``rows`` are those of a digest.

    ``now`` is the instant at which it is fired, which may be long after it was due.

    One that means nothing any more is only deleted; so is one whose ticket must not be written to.
    """
    incident, changes = timer.incident, Changes()
    if moved_away(incident, rules) or plan is None:
        return Processed("", timer=timer.id)
    facts = facts if facts is not None else Facts()
    if timer.held is not None:
        facts.held[incident.id, timer.kind] = timer.held
    history: list[HistoryLine] = []
    storms = Storms(facts, rules, changes, history)
    deadline = Deadline(TimerKind(timer.kind), timer.due_at)
    if deadline.kind is TimerKind.DIGEST:
        done = said_digest(incident, deadline, plan, rows, storms, now)
    else:
        done = fired_timer(incident, deadline, plan, storms, outages)
    if done is None:
        return Processed("", timer=timer.id)
    changes.note(incident, done.incident)
    changes.set_timers(incident, done.incident, facts.held)
    facts.incidents[incident.id] = done.incident
    return Processed(
        receipt="",
        timer=timer.id,
        incidents=tuple(IncidentChange(facts.incidents[name], version) for name, version in changes.expected.items()),
        actions=done.actions,
        timers=tuple(changes.timers.values()),
        cancelled_timers=tuple(changes.cancelled),
        history=(*history, *done.history),
        storms=storms.groups(),
        joined=tuple(changes.joined),
        told=tuple(changes.told),
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
        facts, rows = await self._storms(list(chosen.values()), now)
        work: list[tuple[Timer, Processed]] = []
        for timer in chosen.values():
            name = timer.incident.id
            try:
                done = fired(
                    timer,
                    plans.get(timer.incident.plan),
                    self._rules(),
                    outages.get(name, ()),
                    facts=facts,
                    rows=rows.get(name, ()),
                    now=now,
                )
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

    async def _storms(self, timers: Sequence[Timer], now: float) -> tuple[Facts, Mapping[str, Sequence[StormRow]]]:
        """What is known of the storms that these timers may begin, join, or tell of."""
        groups = frozenset(one.incident.storm for one in timers if one.incident.storm and not one.incident.digest)
        told = frozenset(one.incident.digest for one in timers if one.incident.is_told_by_digest)
        facts = (
            facts_of(await self._journal.know(Lookup(storms=groups, digests=told), now)) if groups or told else Facts()
        )
        speaking = [timer.incident.id for timer in timers if timer.kind == TimerKind.DIGEST]
        return facts, await self._journal.storm_rows(speaking) if speaking else {}

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
