"""From wishes to actions: what a ticket is told is rendered, split where its helpdesk must have it in parts, and marked.

Pure. `gateway.processing` dresses what events bring about, `gateway.firing` what timers do.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.config.values import duration_text
from gateway.incidents.machine import elsewhere
from gateway.incidents.persons import with_rules
from gateway.incidents.threads import Verdict, is_unverified
from gateway.incidents.transition import Purpose, Wish
from gateway.journal.protocol import HeldAction, Variant
from gateway.judging import Routed, RoutedEvent
from gateway.model.action import ActionKind, AttachmentRef, Elsewhere, NewAction, TicketDraft
from gateway.model.event import Attachment, Event, Kind
from gateway.model.ids import marker_of, new_id
from gateway.model.incident import Deadline, Incident, TimerKind
from gateway.model.json import JsonValue
from gateway.model.plan import Plan
from gateway.model.reasons import Reason
from gateway.model.receipt import Receipt
from gateway.model.storm import StormTable
from gateway.rendering.context import Context
from gateway.rendering.environment import RenderFailed
from gateway.rendering.render import draft
from gateway.rendering.row import Row
from gateway.routing.fields import Subject, Value, value_of
from gateway.routing.lookups import Lookup
from gateway.ruleset import Ruleset

_NO_RECEIPT = "none (a timer)"
_REASONS = {
    Purpose.PROBLEM: Reason.OPENED,
    Purpose.REPEAT: Reason.REPEAT_APPENDED,
    Purpose.NOTE: Reason.NOTED,
    Purpose.RECOVERY: Reason.RECOVERED,
    Purpose.RELAPSE: Reason.RELAPSED,
    Purpose.WORSE: Reason.SEVERITY_RAISED,
    Purpose.FLAPPING: Reason.FLAPPING,
    Purpose.JOINED: Reason.MEMBER_JOINED,
}
_HELD_REASONS = {TimerKind.CONFIRM: Reason.CONFIRMED, TimerKind.HOLD: Reason.RECOVERED}


def reason_of(wish: Wish) -> Reason:
    """Why the action of an event's wish is issued: at once, or when the timer fires that it waits for."""
    return _HELD_REASONS[wish.until] if wish.until is not None else _REASONS[wish.purpose]


# ---------------------------------------------------------------------------------------------------------------- dress


@dataclass(frozen=True, slots=True)
class Occasion:
    """What actions are issued for: an event of a receipt, or one firing of a timer.

    ``cause`` names it. ``ordinal`` is asked once for each action of a helpdesk, in their order, and tells those of one cause apart
    in their markers. ``at`` is in seconds since the epoch.
    """

    cause: str
    at: float
    ordinal: Callable[[str, ActionKind], int]


def dress(
    action: HeldAction,
    occasion: Occasion,
    incident: Incident,
    plan: Plan,
    rules: Ruleset,
    references: tuple[str, ...] = (),
) -> list[NewAction]:
    """What is to be done as actions, split where the helpdesk cannot take all of it in one call.

    Their numbers go on from the incident's. ``references``: what the first of them may tell its helpdesk of the mail behind it.
    While the incident has no ticket they bear what is done in their place at the plan's fallbacks.
    """
    variants = {one.helpdesk: one for one in action.variants}
    here = variants.get(plan.helpdesk)  # it was rendered before the incident fell back
    given = replace(action, kind=here.kind, draft=here.draft) if here is not None else action
    if given.kind not in rules.abilities(plan.helpdesk)[0]:  # kept since before, for another helpdesk
        given = replace(given, kind=ActionKind.APPEND)
    actions = _at_helpdesk(given, occasion, incident, plan, rules, references)
    if incident.ticket is not None or not plan.fallbacks:
        return actions
    others: list[Elsewhere] = []
    for other in plan.fallbacks:
        there = variants.get(other.plan.helpdesk)
        if there is None:
            continue
        told = replace(there.draft, reasons=(*there.draft.reasons, Reason.FELL_BACK))
        moved = replace(action, kind=there.kind, draft=told)
        done = tuple(_at_helpdesk(moved, occasion, incident, other.plan, rules, references))
        others.append(Elsewhere(other.plan.helpdesk, other.digest, other.after, done))
    first, *parts = actions
    nothing = tuple(replace(other, actions=()) for other in others)
    return [replace(first, elsewhere=tuple(others)), *(replace(part, elsewhere=nothing) for part in parts)]


def variants_of(
    wish: Wish, incident: Incident, plan: Plan, rules: Ruleset, render: Callable[[Plan, Wish], TicketDraft]
) -> tuple[Variant, ...]:
    """What a wish is at the fallbacks of a plan, as long as the incident may fall back: until it has a ticket."""
    if incident.ticket is not None:
        return ()
    found: list[Variant] = []
    for other in plan.fallbacks:
        there = elsewhere(wish, other.plan, *rules.abilities(other.plan.helpdesk))
        found.append(Variant(other.plan.helpdesk, there.kind, render(other.plan, there)))
    return tuple(found)


def _at_helpdesk(
    action: HeldAction,
    occasion: Occasion,
    incident: Incident,
    plan: Plan,
    rules: Ruleset,
    references: tuple[str, ...],
) -> list[NewAction]:
    connector = rules.connectors.get(plan.helpdesk)
    parts: Sequence[TicketDraft] = (
        connector.split(action.kind, action.draft) if connector is not None else (action.draft,)
    )
    actions: list[NewAction] = []
    for position, part in enumerate(parts):
        kind = action.kind if position == 0 else ActionKind.APPEND
        ordinal = occasion.ordinal(plan.helpdesk, kind)
        marker = marker_of(
            cause=occasion.cause, route=plan.route, helpdesk=plan.helpdesk, kind=kind.value, ordinal=ordinal
        )
        actions.append(
            NewAction(
                id=new_id(),
                incident=incident.id,
                helpdesk=plan.helpdesk,
                kind=kind,
                marker=marker,
                cause=occasion.cause,
                route=plan.route,
                ordinal=ordinal,
                sequence=incident.sequence + position + 1,
                draft=replace(
                    part,
                    message_name=rules.threads.message_ids.name(marker, incident.id),
                    references=references if position == 0 else (),
                    alone=not plan.policy.coalesce,
                ),
                requester=connector.requester(part) if connector is not None else "",
                queued_at=occasion.at,
                reason=action.reason,
                receipt=action.receipt,
            ),
        )
    return actions


def handed_on(event: Event, joined: Verdict, kind: ActionKind) -> tuple[str, ...]:
    """What a mail refers to, as far as the helpdesk may be told (`TicketDraft.references`), the oldest first.

    A follow-up: if its sender takes part in the ticket. A new ticket: unless a check of the sender failed, or it refers to a
    ticket of ours that it may not join.
    """
    good = not is_unverified(event) and joined.refused is None and not event.auto_generated
    if not (good and not joined.incidents if kind is ActionKind.CREATE else joined.trusted):
        return ()
    return tuple(dict.fromkeys((*event.references, *event.in_reply_to)))


# --------------------------------------------------------------------------------------------------------------- render


def render_event(
    routed: Routed,
    judged: RoutedEvent,
    plan: Plan,
    incident: Incident,
    wish: Wish,
    rules: Ruleset,
    variables: dict[str, str],
    joined: Collection[tuple[str, str]] = (),
    beside: Sequence[RoutedEvent] = (),
) -> tuple[TicketDraft, RenderFailed | None]:
    """What a ticket is told of an event, and the first failure of a template if there was one.

    ``joined`` are the members that came by the same delivery, ``beside`` the events of which it is told with this one.
    """
    receipt, http = routed.receipt, rules.config.server.http
    context = Context(
        event=judged.event,
        source=receipt.source,
        source_kind=judged.subject.source_kind,
        route=plan.route,
        receipt_id=receipt.id,
        received_at=receipt.received_at,
        now=receipt.received_at,
        incident=incident,
        status_url=f"{http.public_url.rstrip('/')}/receipts/{receipt.id}" if http.public_url else "",
        warnings=routed.warnings,
        vars=variables,
        joined=frozenset(joined),
    )
    attachments = _attachments(receipt, judged, *beside) if plan.ticket.attachments else ()
    return _render(plan, wish, context, judged.subject, rules, attachments)


def render_timer(incident: Incident, timer: Deadline, plan: Plan, wish: Wish, rules: Ruleset) -> TicketDraft:
    """What a ticket is told that no event says."""
    source = next((member.source for member in incident.members), "")
    event = Event(
        kind=Kind.PROBLEM if wish.kind is ActionKind.CREATE else Kind.UPDATE,
        severity=incident.severity,
        title=incident.title,
        text=timer_words(timer, plan),
        host=incident.host,
        service=incident.service,
    )
    kind = rules.kind_of(source)
    kind_name = kind.name if kind is not None else ""
    subject = Subject(event=event, source=source, source_kind=kind_name, lookups=rules.lookups)
    context = Context(
        event=event,
        source=source,
        source_kind=subject.source_kind,
        route=plan.route,
        receipt_id=_NO_RECEIPT,
        received_at=timer.due_at,
        now=timer.due_at,
        incident=incident,
    )
    rendered, _ = _render(plan, wish, context, subject, rules)
    return rendered


def timer_words(timer: Deadline, plan: Plan) -> str:
    """What a timer has to say."""
    return {
        TimerKind.HOLD: "The problem is over.",
        TimerKind.ESCALATE: f"Nobody has acknowledged this for {duration_text(plan.policy.escalate_after or 0.0)}.",
        TimerKind.EXPIRE: f"Nothing was heard of this for {duration_text(plan.policy.expire_after or 0.0)}.",
    }.get(timer.kind, "")


def render_digest(
    digest: Incident,
    table: StormTable,
    plan: Plan,
    wish: Wish,
    rules: Ruleset,
    fields: Mapping[str, JsonValue],
    at: float,
) -> TicketDraft:
    """What the ticket of a storm is told. ``fields`` are those of the ticket that the first of its incidents would have had."""
    assert plan.storm is not None
    kinds = {Purpose.PROBLEM: Kind.PROBLEM, Purpose.RECOVERY: Kind.RECOVERY}
    event = Event(kind=kinds.get(wish.purpose, Kind.UPDATE), severity=digest.severity, title=digest.title)
    context = Context(
        event=event,
        source="",
        source_kind="",
        route=plan.route,
        receipt_id=_NO_RECEIPT,
        received_at=at,
        now=at,
        incident=digest,
        storm=table,
        public_url=rules.config.server.http.public_url,
    )
    spoken = replace(plan, ticket=plan.storm, vars={})
    made, _ = _render(spoken, wish, context, Subject(event=event, source="", lookups=rules.lookups), rules)
    return replace(made, fields=fields)


def _render(
    plan: Plan,
    wish: Wish,
    context: Context,
    subject: Subject,
    rules: Ruleset,
    attachments: tuple[AttachmentRef, ...] = (),
) -> tuple[TicketDraft, RenderFailed | None]:
    if rules.lookups:
        subject = replace(subject, lookup=plan.lookup)
        rows = {name: _row(one, subject) for name, one in rules.lookups.items() if one.named}
        own = rules.lookups.get(plan.lookup)
        context = replace(context, lookup=_row(own, subject) if own is not None else context.lookup, lookups=rows)
    rendered, failure = draft(
        plan,
        wish.purpose,
        context,
        attachments=attachments,
        value_of=lambda path: _as_json(value_of(subject, path)),
        quiet=wish.quiet,
        reopen=wish.reopen,
        reasons=wish.reasons,
        updates=wish.kind is ActionKind.UPDATE,
    )
    return with_rules(rendered, wish, subject.event.kind, plan.policy), failure


def _row(lookup: Lookup, subject: Subject) -> Row:
    """What a template gets to see of a look-up."""
    columns = lookup.columns(subject)
    return Row(columns, "" if columns is not None else str(lookup.trace(subject)))


def _as_json(value: Value) -> JsonValue:
    """A field's value for a look-up table: several values are looked up as one text."""
    return ", ".join(value) if isinstance(value, tuple) else value


def _attachments(receipt: Receipt, *events: RoutedEvent) -> tuple[AttachmentRef, ...]:
    return tuple(
        AttachmentRef(
            receipt=receipt.id,
            event=routed.index,
            index=index,
            filename=attachment.filename,
            media_type=_shown_type(attachment),
            size=attachment.size,
            sha256=attachment.sha256,
            inline=attachment.inline,
            content_id=attachment.content_id,
        )
        for routed in events
        for index, attachment in enumerate(routed.event.attachments)
    )


def _shown_type(attachment: Attachment) -> str:
    """The declared type, but for an image that was sent as octets: helpdesks show by this type."""
    unknown = attachment.media_type in {"", "application/octet-stream"} and attachment.content_id
    is_image = attachment.detected_type.startswith("image/") and attachment.detected_type != "image/svg+xml"
    return attachment.detected_type if unknown and is_image else attachment.media_type
