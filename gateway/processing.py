"""From judged events to what shall be written: correlate, render.

Pure: the same code serves `serve`, `explain` and `replay`.

`gateway.judging` has judged each event; `process` joins the events to their incidents and dresses the actions. `Facts` is
what the journal knows, carried forward over the receipts of one batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.changes import Changes
from gateway.dressing import Occasion, dress, handed_on, reason_of, render_event, variants_of
from gateway.facts import Facts
from gateway.firing import dress_released, fired_timer, released, storms_first
from gateway.groups import Gathered, Listing, listings, vanished
from gateway.incidents.machine import identify, is_reusable, orphan, step
from gateway.incidents.members import tombstone_key
from gateway.incidents.threads import Case, Verdict, is_unverified
from gateway.incidents.timers import closed_for_good, lapsed
from gateway.incidents.transition import Purpose, Transition, Wish
from gateway.incidents.untold import is_shown_only
from gateway.journal.protocol import (
    ALSO,
    EventRecord,
    HeldAction,
    HistoryLine,
    IncidentChange,
    MailTaken,
    Processed,
    Variant,
)
from gateway.judging import Routed, RoutedEvent, Target
from gateway.model.action import ActionKind, NewAction, TicketDraft
from gateway.model.event import Kind
from gateway.model.ids import new_id
from gateway.model.incident import Incident, IncidentState, Tombstone
from gateway.model.plan import Plan
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.quarantine import REPLAY_OF, held, is_guarded, judge
from gateway.routing.router import decision_json
from gateway.ruleset import Ruleset
from gateway.storms import Storms, moved_away, without


@dataclass(slots=True)
class _Work:
    """What one receipt wants written, while it grows."""

    routed: Routed
    facts: Facts
    rules: Ruleset
    records: list[EventRecord] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    actions: list[NewAction] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    plans: dict[str, bytes] = field(default_factory=dict)
    history: list[HistoryLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ordinals: dict[tuple[int, str, str, str], int] = field(default_factory=dict)
    mails: list[MailTaken] = field(default_factory=list)
    joined: Verdict = field(default_factory=Verdict)  # of the event at hand
    gathered: Gathered = field(default_factory=Gathered)
    met: dict[str, RoutedEvent] = field(default_factory=dict)  # incidents of groups, with an event that is about each
    unrouted: bool = False

    @property
    def storms(self) -> Storms:
        """What storms do with the receipt."""
        return Storms(self.facts, self.rules, self.changes, self.history)


def process(routed: Routed, facts: Facts, rules: Ruleset) -> Processed:
    """Join a receipt's events to their incidents and dress the actions. ``facts`` is carried forward.

    What a guard holds back becomes a dead letter that leaves no other trace, as if it had not come yet.
    """
    guard = next((event.guard for event in routed.events if event.guard is not None), None)
    if guard is None or not is_guarded(routed.receipt):
        return _process(routed, facts, rules)
    tried = facts.copy()
    processed = _process(routed, tried, rules)
    verdict = judge(guard, routed.receipt, processed, facts.arrivals)
    for new in verdict.arrivals:
        facts.arrivals.setdefault(new.arrival.key, []).append(new.arrival)
    if verdict.hold is None:
        facts.become(tried)
        return replace(processed, arrivals=verdict.arrivals)
    for record in processed.events:
        if record.event.duplicate_key and record.duplicate_of is None:
            facts.duplicates[(routed.receipt.source, record.event.duplicate_key)] = (routed.receipt.id, record.index)
    return held(routed.receipt, processed, verdict)


def _process(routed: Routed, facts: Facts, rules: Ruleset) -> Processed:
    work = _Work(routed, facts, rules, warnings=list(routed.warnings))
    for event in routed.events:
        _event(work, event)
    for name, listing in listings(routed.events).items():
        _sweep(work, name, listing)
    for told in list(work.gathered.tellings):
        _tell(work, facts.incidents[told])
    dead = Reason.UNROUTED if work.unrouted and rules.config.unrouted.dead_letter else None
    return Processed(
        receipt=routed.receipt.id,
        events=tuple(work.records),
        warnings=tuple(work.warnings),
        incidents=tuple(
            IncidentChange(facts.incidents[name], version) for name, version in work.changes.expected.items()
        ),
        actions=tuple(work.actions),
        tombstones=tuple(work.tombstones),
        plans=work.plans,
        history=tuple(work.history),
        mails=tuple(work.mails),
        timers=tuple(work.changes.timers.values()),
        cancelled_timers=tuple(work.changes.cancelled),
        storms=work.storms.groups(),
        joined=tuple(work.changes.joined),
        dead=dead,
        detail=dead.explain() if dead is not None else "",
    )


def _event(work: _Work, routed: RoutedEvent) -> None:
    """Find out what becomes of one event, and write that down."""
    event, source = routed.event, work.routed.receipt.source
    anew = REPLAY_OF in work.routed.receipt.envelope  # an operator's wish, not a repeated delivery
    if anew and event.duplicate_key:  # the key stays with the first one; this one must neither meet nor claim it
        event = replace(event, duplicate_key="")
        routed = replace(routed, event=event)
    first = work.facts.duplicates.get((source, event.duplicate_key)) if event.duplicate_key else None
    if first is not None and first != (work.routed.receipt.id, routed.index):
        _note(work, routed, Reason.DUPLICATE, detail=f"of receipt {first[0]}", duplicate_of=first)
        return
    if event.duplicate_key:
        work.facts.duplicates[(source, event.duplicate_key)] = (work.routed.receipt.id, routed.index)
    _catch_up(work, routed)
    drop = next((target.rule.route.drop for target in routed.targets if target.rule.route.drop is not None), None)
    found = identify(
        event=event,
        source=source,
        by_member=work.facts.followed(source, event.origin_key) if event.origin_key else (),
        by_key=None,
    )
    followed = [incident for incident in found.incidents if found.follows and not moved_away(incident, work.rules)]
    work.joined = _joined(work, routed) if routed.refs else Verdict()
    if work.joined.incidents:
        followed = list(work.joined.incidents)
    if followed and not (drop is not None and drop.open_incidents):
        _follow(work, routed, followed)
    elif routed.silence is not None:
        one = routed.silence
        _note(work, routed, Reason.SILENCED, f"{one.id[-8:]} by {one.author}: {one.comment}")
    elif not routed.targets:
        _unrouted(work, routed)
    else:
        _targets(work, routed)
    if work.joined.refused is not None:
        _line(work, "correlated", work.joined.refused, work.joined.detail, routed.index, "")


def _joined(work: _Work, routed: RoutedEvent) -> Verdict:
    """Where a mail goes by what it refers to."""
    assert routed.refs is not None
    facts, event, received_at = work.facts, routed.event, work.routed.receipt.received_at

    def takes_more(incident: Incident) -> bool:
        if moved_away(incident, work.rules):
            return False
        if incident.is_digest and (event.kind is Kind.PROBLEM or event.ends_problem):
            return False  # what it tells of says so itself
        if incident.state is not IncidentState.CLOSED:
            return True
        twin = facts.incidents.get(facts.by_key.get(incident.key, ""))
        running = incident.key in facts.open_keys or (twin is not None and twin.state is not IncidentState.CLOSED)
        plan = facts.plans.get(incident.plan)
        reusable = plan is not None and is_reusable(incident, plan, received_at)
        return event.kind is Kind.MESSAGE and reusable and not running

    case = Case(routed.refs, event, work.routed.receipt.source, work.rules.threads.is_ours)
    return case.decide(facts.threads, facts.incidents, takes_more)


def _take_in(work: _Work, routed: RoutedEvent, incident: Incident) -> None:
    """Remember a mail with the incident that took it in, so that answers to it find their way."""
    if routed.refs is None:
        return
    event, receipt = routed.event, work.routed.receipt
    # Who is only said to have written, and is no part of it by what we know, becomes no part of it.
    opened = incident.version == 0
    named = () if is_unverified(event) and not opened else work.rules.threads.participants(event, _rcpt(receipt))
    if named or event.message_id:
        work.mails.append(MailTaken(incident.id, receipt.source, event.message_id, named))
        work.facts.threads.add(incident.id, receipt.source, event.message_id, named)


def _rcpt(receipt: Receipt) -> list[str]:
    return receipt.envelope.get("rcpt_to", "").replace(",", " ").split()


def _follow(work: _Work, routed: RoutedEvent, incidents: Sequence[Incident]) -> None:
    """An event that belongs to open incidents follows the route and policy that opened them."""
    for position, incident in enumerate(incidents):
        plan = work.facts.plans[incident.plan]
        if routed.event.group:
            work.met.setdefault(incident.id, routed)
        transition = _step(work, routed, incident, incident.key, plan, incident.plan)
        transition = _apply(work, routed, plan, transition, variables={})
        if transition.incident is not None:
            _take_in(work, routed, transition.incident)
        if position == 0:
            detail = "; ".join(part for part in (transition.detail, work.joined.detail) if part)
            _note(work, routed, transition.reason, detail, incident.route, incident.id)
        else:
            _also(work, routed, transition.reason, transition.detail, incident.route, incident.id)


def _targets(work: _Work, routed: RoutedEvent) -> None:
    """An event that its rules take. The first that makes a ticket speaks for it; without any, the one that drops it."""
    by_weight = sorted(routed.targets, key=lambda one: (one.rule.plan is None, one.rule.route.drop is None))
    for target in routed.targets:
        name = target.rule.route.name
        if target.rule.route.drop is not None:
            reason, detail, incident = Reason.DROPPED_BY_RULE, target.rule.route.drop.reason, ""
        elif target.rule.plan is None:
            reason, detail, incident = Reason.NO_INCIDENT, "", ""
        else:
            transition = _take(work, routed, target, target.rule.plan)
            reason, detail = transition.reason, transition.detail
            incident = transition.incident.id if transition.incident is not None else ""
        if target is by_weight[0]:
            _note(work, routed, reason, detail, name, incident)
        else:
            _also(work, routed, reason, detail, name, incident)


def _take(work: _Work, routed: RoutedEvent, target: Target, plan: Plan) -> Transition:
    incident = _known(work, target)
    digest = target.rule.digest
    if incident is not None and (
        moved_away(incident, work.rules) or (incident.is_told_by_digest and work.storms.is_lost(incident))
    ):
        if incident.state is not IncidentState.CLOSED:
            gone = moved_away(incident, work.rules)
            _detach(work, incident, Reason.HELPDESK_CHANGED if gone else Reason.DETACHED)
        incident = None
    if incident is not None and incident.state is not IncidentState.CLOSED:
        plan, digest = work.facts.plans[incident.plan], incident.plan
        if routed.event.group:
            work.met.setdefault(incident.id, routed)
    elif incident is not None and incident.helpdesk != plan.helpdesk:
        plan, digest = _where_it_fell_back(incident, plan, digest, work.routed.receipt.received_at)
    key = incident.key if incident else target.key
    transition = _step(work, routed, incident, key, plan, digest, target.reasons, target.storm)
    if transition.incident is not None and transition.incident.plan in {target.rule.digest, *target.rule.fallbacks}:
        work.plans.update({target.rule.digest: target.rule.plan_bytes, **target.rule.fallbacks})
        work.facts.plans[transition.incident.plan] = plan
    transition = _apply(work, routed, plan, transition, variables=target.vars)
    if transition.incident is not None:
        _take_in(work, routed, transition.incident)
    incident_id = transition.incident.id if transition.incident is not None else ""
    for reason in target.reasons:
        _line(work, "correlated", reason, "", routed.index, incident_id)
    for told in target.missing:
        _line(work, "correlated", Reason.LOOKUP_MISSING, told, routed.index, incident_id)
    return transition


def _where_it_fell_back(incident: Incident, plan: Plan, digest: str, received_at: float) -> tuple[Plan, str]:
    """The plan under which a closed incident at a fallback may be used again, with its digest; else the route's own."""
    for other in plan.fallbacks:
        if other.plan.helpdesk == incident.helpdesk and is_reusable(incident, other.plan, received_at):
            return other.plan, other.digest
    return plan, digest


def _known(work: _Work, target: Target) -> Incident | None:
    """The incident of the target's key; an open one that was opened under an earlier name of the route goes on."""
    known = [
        work.facts.incidents[found]
        for key in (target.key, *target.old_keys)
        if (found := work.facts.by_key.get(key)) is not None
    ]
    running = [incident for incident in known if incident.state is not IncidentState.CLOSED]
    return next(iter(running), None) or next((one for one in known if one.key == target.key), None)


def _unrouted(work: _Work, routed: RoutedEvent) -> None:
    """No rule takes the event and it follows no incident. What only ends or annotates something needs nobody's look."""
    if routed.event.ends_problem or routed.event.kind in ORPHANS:
        transition = orphan(
            event=routed.event, source=work.routed.receipt.source, received_at=work.routed.receipt.received_at
        )
        _bury(work, transition)
        _note(work, routed, transition.reason)
    else:
        work.unrouted = True
        _note(work, routed, Reason.UNROUTED)


ORPHANS = frozenset(
    {
        Kind.UPDATE,
        Kind.ACKNOWLEDGEMENT,
        Kind.CUSTOM,
        Kind.BOUNCE,
        Kind.FLAPPING_START,
        Kind.FLAPPING_STOP,
        Kind.DOWNTIME_START,
        Kind.DOWNTIME_END,
        Kind.DOWNTIME_CANCELLED,
    },
)
"""Kinds that say nothing to anybody without their incident."""


def _step(
    work: _Work,
    routed: RoutedEvent,
    incident: Incident | None,
    key: str,
    plan: Plan,
    digest: str,
    reasons: tuple[Reason, ...] = (),
    storm: str = "",
) -> Transition:
    receipt = work.routed.receipt
    actions, substitutes = work.rules.abilities(plan.helpdesk)
    return step(
        incident=incident,
        event=routed.event,
        source=receipt.source,
        key=key,
        plan=plan,
        plan_digest=digest,
        capabilities_actions=actions,
        substitutes=substitutes,
        tombstones=work.facts.tombstones.get(tombstone_key(receipt.source, routed.event.origin_key), ()),
        received_at=receipt.received_at,
        incident_id=new_id(),
        reasons=reasons,
        outages=work.facts.outages(routed.event.host, receipt.source) if routed.event.service else (),
        untold=is_shown_only(incident) and not work.rules.shows_only(plan.helpdesk),
        storm=storm,
    )


def _apply(
    work: _Work, routed: RoutedEvent, plan: Plan, transition: Transition, *, variables: dict[str, str]
) -> Transition:
    """Take over what the state machine answered, and dress its wishes as actions; gives it back as it came out."""
    _bury(work, transition)
    incident, reason = transition.incident, transition.reason
    if incident is None:
        return transition
    before = work.facts.incidents.get(incident.id)
    work.changes.note(before, incident)
    at, storms = work.routed.receipt.received_at, work.storms
    if transition.release is not None:
        held = released(work.facts.held, incident, plan, transition, work.rules, at)
        incident, told = storms_first(incident, held, plan, storms, at)
        if not told:
            dressed = dress_released(held, transition, incident, plan, work.rules, at)
            work.actions += dressed
            incident = replace(incident, sequence=incident.sequence + len(dressed))
    if routed.event.group:
        work.gathered.note(before, incident)
    for wish in transition.wishes:
        render = partial(_held, work, routed, plan, incident, wish, variables)
        if wish.kind is ActionKind.CREATE and wish.until is None and incident.storm:
            incident = storms.ask(incident, plan.policy, at, work.routed.receipt.id, render)
            reason = Reason.JOINED_STORM if incident.is_told_by_digest else reason
        if incident.is_told_by_digest:
            incident = _told_by_digest(work, routed, plan, incident, wish, render)
        elif work.gathered.takes(routed.event, wish):
            work.gathered.add(incident.id, routed, plan, wish, variables)
        else:
            incident = _tell(work, incident)
            incident = _issue(work, routed, plan, incident, wish, variables)
    kept = {wish.until for wish in transition.wishes if wish.until is not None and not incident.is_told_by_digest}
    work.changes.set_timers(before, incident, work.facts.held, kept)
    work.facts.put(incident)
    return replace(transition, incident=incident, reason=reason)


def _told_by_digest(
    work: _Work, routed: RoutedEvent, plan: Plan, incident: Incident, wish: Wish, render: Callable[[], HeldAction]
) -> Incident:
    """What an event would have told an incident's own ticket: its row says so, or a line of the digest's next word."""
    event, news = routed.event, ""
    if event.kind is Kind.ACKNOWLEDGEMENT:
        incident = replace(incident, reasons=without(incident.reasons, Reason.ESCALATED))
    if wish.purpose is Purpose.NOTE:
        words = dict.fromkeys(part for part in (event.title.strip(), event.text.strip()) if part)
        news = f"{event.kind.value}: {': '.join(words)}, receipt {work.routed.receipt.id}"
    work.storms.tell(incident, plan.policy, work.routed.receipt.received_at, render, news)
    return incident


def _issue(
    work: _Work,
    routed: RoutedEvent,
    plan: Plan,
    incident: Incident,
    wish: Wish,
    variables: dict[str, str],
    beside: Sequence[RoutedEvent] = (),
) -> Incident:
    """Dress one wish as actions, or keep it for its timer; the incident with their number."""
    action = _held(work, routed, plan, incident, wish, variables, beside)
    if wish.until is not None:
        work.facts.held[incident.id, wish.until.value] = replace(action, receipt=work.routed.receipt.id)
        return incident
    references = handed_on(routed.event, work.joined, wish.kind) if routed.refs else ()
    dressed = dress(action, _occasion(work, routed, plan), incident, plan, work.rules, references)
    work.actions += dressed
    incident = replace(incident, sequence=incident.sequence + len(dressed))
    if incident.is_digest:
        incident = work.storms.watched(incident, work.routed.receipt.received_at, plan.policy, action)
    return incident


def _held(
    work: _Work,
    routed: RoutedEvent,
    plan: Plan,
    incident: Incident,
    wish: Wish,
    variables: dict[str, str],
    beside: Sequence[RoutedEvent] = (),
) -> HeldAction:
    """A wish, rendered, here and at the fallbacks."""
    rendered = _render(work, routed, plan, incident, wish, variables, beside)
    variants = _variants(work, routed, plan, incident, wish, variables, beside)
    return HeldAction(wish.kind, rendered, reason_of(wish), variants=variants)


def _tell(work: _Work, incident: Incident) -> Incident:
    """Issue what was gathered of a delivery for one incident: its ticket is told all of it at once."""
    told = work.gathered.tellings.pop(incident.id, None)
    if told is None:
        return incident
    until = told.wish.until
    if until is not None and incident.due_at(until) is None:  # it was over before its ticket was made
        return incident
    incident = _issue(work, told.routed, told.plan, incident, told.wish, told.variables, told.beside)
    if until is not None:
        work.changes.set_timers(incident, incident, work.facts.held, {until})
    work.facts.put(incident)
    return incident


def _sweep(work: _Work, name: str, listing: Listing) -> None:
    """What a delivery that names a whole group does to those alerts of it that it does not name."""
    source = work.routed.receipt.source
    for found, routed in list(work.met.items()):
        incident, ends = vanished(work.facts.incidents[found], source, name, listing)
        if not ends or moved_away(incident, work.rules):
            continue
        work.facts.put(incident)
        for event in ends:
            incident = work.facts.incidents[found]
            one = replace(routed, event=event, subject=replace(routed.subject, event=event), refs=None)
            plan = work.facts.plans[incident.plan]
            transition = _step(work, one, incident, incident.key, plan, incident.plan)
            _apply(work, one, plan, transition, variables={})
            told = f"{event.title or event.origin_key}: {transition.reason.value}"
            _line(work, "correlated", Reason.MEMBER_VANISHED, told, None, found)  # it is about no event of the receipt


def _render(
    work: _Work,
    routed: RoutedEvent,
    plan: Plan,
    incident: Incident,
    wish: Wish,
    variables: dict[str, str],
    beside: Sequence[RoutedEvent] = (),
) -> TicketDraft:
    """Render a wish; what failed is told."""
    joined = work.gathered.joined.get(incident.id, ())
    rendered, failure = render_event(
        work.routed, routed, plan, incident, wish, work.rules, variables, joined=joined, beside=beside
    )
    if failure is not None:
        work.warnings.append(str(failure))
        _line(work, "rendered", Reason.RENDER_FAILED, str(failure), routed.index, incident.id)
    return rendered


def _variants(
    work: _Work,
    routed: RoutedEvent,
    plan: Plan,
    incident: Incident,
    wish: Wish,
    variables: dict[str, str],
    beside: Sequence[RoutedEvent],
) -> tuple[Variant, ...]:
    """The wish as it is at the route's fallbacks. A template that fails there is told by the ticket, if it comes to that."""
    joined = work.gathered.joined.get(incident.id, ())

    def render(there: Plan, wanted: Wish) -> TicketDraft:
        return render_event(
            work.routed, routed, there, incident, wanted, work.rules, variables, joined=joined, beside=beside
        )[0]

    return variants_of(wish, incident, plan, work.rules, render)


def _occasion(work: _Work, routed: RoutedEvent, plan: Plan) -> Occasion:
    """An event as the cause of actions; those of each kind under each route at each helpdesk are counted."""

    def ordinal(helpdesk: str, kind: ActionKind) -> int:
        place = (routed.index, plan.route, helpdesk, kind.value)
        number = work.ordinals.get(place, 0)
        work.ordinals[place] = number + 1
        return number

    receipt = work.routed.receipt
    return Occasion(f"{receipt.id}/{routed.index}", receipt.received_at, ordinal)


def _catch_up(work: _Work, routed: RoutedEvent) -> None:
    """Fire what was due, before this receipt came, for the incidents that its event may be about.

    Only where all members are of the receipt's own source, whose receipts come in order: what another source has said
    meanwhile may not be known yet, so there the timer waits for its turn (`gateway.firing`).
    """
    facts, receipt = work.facts, work.routed.receipt
    concerned = facts.followed(receipt.source, routed.event.origin_key) if routed.event.origin_key else []
    concerned += [found for target in routed.targets if (found := _known(work, target)) is not None]
    for name in dict.fromkeys(incident.id for incident in concerned):
        while (timer := lapsed(facts.incidents[name], receipt.received_at)) is not None:
            incident = facts.incidents[name]
            plan = facts.plans.get(incident.plan)
            foreign = any(member.source != receipt.source for member in incident.members)
            if foreign or plan is None or moved_away(incident, work.rules):
                break
            outages = facts.outages(incident.host, receipt.source) if incident.service else ()
            fired = fired_timer(incident, timer, plan, work.storms, outages)
            assert fired is not None
            work.changes.note(incident, fired.incident)
            work.changes.set_timers(incident, fired.incident, facts.held)
            work.actions += fired.actions
            work.history += fired.history
            facts.put(fired.incident)


def _detach(work: _Work, incident: Incident, reason: Reason) -> None:
    """Close an incident whose ticket must not be written to, so that the problem opens a new one."""
    now = work.routed.receipt.received_at
    closed = replace(closed_for_good(incident, now), version=incident.version + 1)
    work.changes.note(incident, closed)
    work.changes.set_timers(incident, closed, work.facts.held)
    work.facts.incidents[incident.id] = closed
    _line(work, "detached", reason, "", None, incident.id)


def _bury(work: _Work, transition: Transition) -> None:
    """Remember recoveries that found no incident, so that their problem, if it comes late, opens none."""
    for stone in transition.tombstones:
        work.tombstones.append(stone)
        work.facts.tombstones.setdefault(stone.key, []).append(stone)


def _note(
    work: _Work,
    routed: RoutedEvent,
    reason: Reason,
    detail: str = "",
    route_name: str = "",
    incident: str = "",
    duplicate_of: tuple[str, int] | None = None,
) -> None:
    """Write down what became of an event."""
    unused = {Reason.DUPLICATE, Reason.DROPPED_BY_RULE, Reason.NO_INCIDENT, Reason.SILENCED}
    work.records.append(
        EventRecord(
            index=routed.index,
            event=routed.event,
            reason=reason,
            route=route_name,
            incident=incident,
            decision=decision_json(routed.decision),
            duplicate_of=duplicate_of,
            keep_attachments=reason not in unused,
        ),
    )
    _line(work, "correlated", reason, detail or (f"route {route_name}" if route_name else ""), routed.index, incident)


def _also(work: _Work, routed: RoutedEvent, reason: Reason, detail: str, route_name: str, incident: str) -> None:
    """Write down what became of an event under a further route."""
    told = f"{ALSO}{route_name}{f': {detail}' if detail else ''}"
    _line(work, "correlated", reason, told, routed.index, incident)


def _line(work: _Work, what: str, reason: Reason, detail: str, index: int | None, incident: str) -> None:
    receipt = work.routed.receipt
    work.history.append(
        HistoryLine(
            at=receipt.received_at,
            what=what,
            reason=reason,
            detail=detail,
            receipt=receipt.id,
            event=index,
            incident=incident,
        ),
    )
