"""Incidents whose ticket was only shown (`mode: shadow`), when their helpdesk makes tickets again. Pure."""

from dataclasses import replace

from gateway.incidents.transition import Transition, Wish
from gateway.model.event import Event, Kind
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason

_MAKES = frozenset({Kind.PROBLEM, Kind.MESSAGE, Kind.INFORMATION, Kind.RAW})
"""Kinds of events that make a ticket for an incident that has none. Notes and recoveries end or annotate; they begin nothing."""


def is_shown_only(incident: Incident | None) -> bool:
    """Whether the incident's ticket was not made but only shown."""
    return incident is not None and incident.ticket is None and Reason.SHADOW.value in incident.reasons


def with_ticket(transition: Transition, event: Event, create: Wish) -> Transition:
    """What an event does to an open incident that has no ticket: it gets one, in place of what the ticket was to be told.

    Where the event begins nothing the transition stays as it is; delivery sets aside what nobody can be told.
    """
    incident = transition.incident
    if incident is None or incident.state is not IncidentState.OPEN or event.kind not in _MAKES:
        return transition
    reasons = tuple(reason for reason in incident.reasons if reason != Reason.SHADOW.value)
    return replace(
        transition,
        incident=replace(incident, reasons=reasons, last_appended_at=incident.last_event_at),
        reason=Reason.SHADOW_ENDED,
        wishes=(create,),
    )
