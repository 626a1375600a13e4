"""The ticket sections that a route's fallbacks stand for."""

from collections.abc import Sequence
from typing import TypeVar

from gateway.config.models import Escalate, Fallback, IncidentPolicy, Ticket

_T = TypeVar("_T")


def fallbacks_of(ticket: Ticket) -> Sequence[Fallback]:
    """The fallbacks of a ticket section, in their order."""
    return ticket.fallback if isinstance(ticket.fallback, list) else [ticket.fallback]


def ticket_at(ticket: Ticket, fallback: Fallback) -> Ticket:
    """The ticket section as it is at a fallback; it names no fallbacks itself."""
    own = fallback.template is not None

    def text(given: str | None, before: str | None) -> str | None:
        return given if own or given is not None else before

    return Ticket(
        helpdesk=fallback.helpdesk,
        template=_else(fallback.template, ticket.template),
        title=text(fallback.title, ticket.title),
        body=text(fallback.body, ticket.body),
        update=text(fallback.update, ticket.update),
        recovery=text(fallback.recovery, ticket.recovery),
        format=fallback.format if own or fallback.format is not None else ticket.format,
        fields=fallback.fields,
        attachments=_else(fallback.attachments, ticket.attachments),
    )


def incident_at(incident: IncidentPolicy, fallback: Fallback) -> IncidentPolicy:
    """The incident section as it is at a fallback: the fields that an escalation sets are that helpdesk's."""
    given = incident.escalate if isinstance(incident.escalate, Escalate) else Escalate(severity=incident.escalate)
    escalate = given.model_copy(update={"fields": fallback.escalated})
    if not fallback.escalated:
        plain = {"severity": "append" if given.severity == "update" else given.severity, "action": "append"}
        escalate = escalate.model_copy(update=plain)
    return incident.model_copy(update={"escalate": escalate})


def _else(given: _T | None, before: _T) -> _T:
    return before if given is None else given
