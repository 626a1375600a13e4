"""From a rule's configuration to what its incidents keep."""

from gateway.config.models import Escalate, Expire, IncidentPolicy
from gateway.model.plan import Policy


def policy_of(incident: IncidentPolicy) -> Policy:
    """The policy that an incident keeps for its life."""
    escalate = incident.escalate if isinstance(incident.escalate, Escalate) else Escalate(severity=incident.escalate)
    flap, storm = incident.flap, incident.storm
    expire = incident.expire if isinstance(incident.expire, Expire) else None
    return Policy(
        append_every=incident.repeat.append_every,
        recover_action=incident.recover.action,
        recover_when=incident.recover.when,
        notes=incident.notes,
        joined=incident.joined,
        reopen_within=max(incident.reopen_within, flap.within if flap is not None else 0.0),
        confirm=incident.confirm,
        coalesce=incident.coalesce == "on",
        suppressed_by=incident.suppressed_by or "",
        flap_changes=flap.changes if flap is not None else 0,
        flap_within=flap.within if flap is not None else 0.0,
        hold=incident.recover.hold,
        only_if_untouched=incident.recover.only_if_untouched,
        closed_by_hand=incident.closed_by_hand,
        storm_limit=storm.limit if storm is not None else 0,
        storm_within=storm.within if storm is not None else 0.0,
        storm_every=storm.every if storm is not None else 0.0,
        rise=escalate.severity,
        escalate_after=escalate.after,
        escalate_by=escalate.action,
        expire_after=expire.after if expire is not None else None,
        expire=expire.then if expire is not None else "note",
    )
