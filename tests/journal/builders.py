"""Small builders of model objects with defaults that make sense together."""

import itertools
from collections.abc import Sequence

from gateway.journal.protocol import (
    EventRecord,
    FinishedAttempt,
    HeldAction,
    IncidentChange,
    Journal,
    NewTimer,
    Processed,
)
from gateway.model.action import Action, ActionKind, ActionStatus, NewAction, Outcome, OutcomeKind, TicketDraft
from gateway.model.event import Attachment, Event, Kind, Severity
from gateway.model.ids import marker_of, new_id
from gateway.model.incident import Incident, IncidentState, Member, TicketRef
from gateway.model.plan import Plan, Policy, Template, TicketSpec
from gateway.model.reasons import Reason
from gateway.model.receipt import DuplicateKey, NewReceipt

NOON = 1_800_000_000.0
DAY = 86400.0
_numbers = itertools.count(1)


def a_receipt(
    body: bytes = b'{"title": "disk full"}',
    *,
    source: str = "nagios",
    at: float = NOON,
    key: str = "",
    horizon: float = 120.0,
    given: bool = True,
) -> NewReceipt:
    return NewReceipt(
        id=new_id(),
        source=source,
        received_at=at,
        body=body,
        content_type="application/json",
        headers=(("user-agent", "test"),),
        envelope={"door": "http", "method": "POST", "path": f"/in/{source}"},
        peer="192.0.2.1",
        duplicate_key=DuplicateKey(key, horizon, given) if key else None,
    )


def an_event(title: str = "disk full", *, duplicate_key: str = "", attachments: Sequence[Attachment] = ()) -> Event:
    return Event(
        kind=Kind.PROBLEM,
        severity=Severity.CRITICAL,
        title=title,
        host="db-1",
        service="disk",
        origin_key="db-1/disk",
        duplicate_key=duplicate_key,
        attachments=tuple(attachments),
    )


def a_record(event: Event | None = None, *, index: int = 0, incident: str = "", keep: bool = True) -> EventRecord:
    return EventRecord(
        index,
        event or an_event(),
        Reason.OPENED,
        route="databases",
        incident=incident,
        keep_attachments=keep,
    )


def a_member(origin_key: str = "db-1/disk", source: str = "nagios") -> Member:
    return Member(
        source,
        origin_key,
        in_problem=True,
        last_problem_at=NOON,
        title="Disk full",
        host="db-1",
        service="disk",
        severity=Severity.MAJOR,
        group="{}:{host}",
    )


def an_incident(
    key: str = "databases/db-1/disk",
    *,
    state: IncidentState = IncidentState.OPEN,
    version: int = 0,
    plan: str = "",
    closed_at: float | None = None,
    members: Sequence[Member] = (),
    incident_id: str = "",
) -> Incident:
    return Incident(
        id=incident_id or new_id(),
        key=key,
        state=state,
        version=version,
        route="databases",
        helpdesk="osticket",
        plan=plan,
        severity=Severity.CRITICAL,
        title="disk full",
        host="db-1",
        service="disk",
        occurrences=1,
        sequence=0,
        opened_at=NOON,
        last_event_at=NOON,
        last_appended_at=0.0,
        closed_at=closed_at,
        members=tuple(members) or (a_member(),),
    )


def a_plan(reopen_within: float = 0.0) -> Plan:
    template = Template("t", "text")
    return Plan(
        "databases", "osticket", Policy(reopen_within=reopen_within), TicketSpec(template, template, template, template)
    )


def an_action(
    incident: str,
    kind: ActionKind = ActionKind.CREATE,
    *,
    sequence: int = 1,
    requester: str = "",
    queued_at: float = NOON,
    helpdesk: str = "osticket",
    cause: str = "",
) -> NewAction:
    cause = cause or f"{new_id()}/{next(_numbers)}"
    return NewAction(
        id=new_id(),
        incident=incident,
        helpdesk=helpdesk,
        kind=kind,
        marker=marker_of(cause=cause, route="databases", helpdesk=helpdesk, kind=kind.value, ordinal=0),
        cause=cause,
        route="databases",
        ordinal=0,
        sequence=sequence,
        draft=TicketDraft("disk full", "The disk is full.", fields={"topicId": 2}, reasons=(Reason.CLOSE_UNSUPPORTED,)),
        requester=requester,
        queued_at=queued_at,
        reason=Reason.OPENED,
    )


def a_timer(incident: str, due_at: float, held: HeldAction | None = None) -> NewTimer:
    return NewTimer(new_id(), incident, "hold", due_at, held)


def a_ticket(number: str = "100001") -> TicketRef:
    return TicketRef("osticket", number, number, url=f"https://support.example.org/{number}", anchor="<m@x>")


def finished(
    action: Action,
    status: ActionStatus,
    kind: OutcomeKind | None = None,
    *,
    at: float = NOON,
    reason: Reason = Reason.DELIVERED,
    ticket: TicketRef | None = None,
    not_before: float = 0.0,
    burnt: bool = True,
) -> FinishedAttempt:
    kinds = {ActionStatus.DELIVERED: OutcomeKind.DELIVERED, ActionStatus.UNKNOWN: OutcomeKind.UNKNOWN}
    outcome = Outcome(kind or kinds.get(status, OutcomeKind.REJECTED), reason, "said so", ticket=ticket)
    return FinishedAttempt(action.id, action.fence, at, outcome, status, not_before=not_before, burnt=burnt)


async def processed(
    journal: Journal,
    *actions: NewAction,
    incident: Incident | None = None,
    at: float = NOON,
    plan: Plan | None = None,
) -> str:
    """Take in one receipt and commit its processing; gives back the receipt's id."""
    receipt = a_receipt(at=at)
    await journal.accept(receipt, claim=True)
    await journal.commit_processed(
        [
            Processed(
                receipt.id,
                events=(a_record(incident=incident.id if incident else ""),),
                incidents=(IncidentChange(incident, None),) if incident else (),
                actions=actions,
                plans={plan.digest: plan.to_bytes()} if plan else {},
            ),
        ],
    )
    return receipt.id


async def claimed(journal: Journal, *, now: float = NOON, limit: int = 10, lease: float = 60.0) -> list[Action]:
    return await journal.claim_actions("osticket", limit=limit, now=now, lease=lease)


async def begun(journal: Journal, action: Action, *, at: float = NOON, request: bytes = b"request") -> bool:
    return await journal.begin_attempt(
        action.id,
        fence=action.fence,
        request=request,
        started_at=at,
        deadline=at + 30,
        resolve_at=at + 120,
    )


async def deliver(journal: Journal, action: Action, *, ticket: TicketRef | None = None) -> bool:
    assert await begun(journal, action)
    return await journal.finish_attempt(finished(action, ActionStatus.DELIVERED, ticket=ticket))


async def die(journal: Journal, action: Action, *, reason: Reason = Reason.REJECTED) -> bool:
    assert await begun(journal, action)
    return await journal.finish_attempt(finished(action, ActionStatus.DEAD, reason=reason))
