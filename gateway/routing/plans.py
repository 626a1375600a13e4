"""From a rule's configuration to what its incidents keep."""

from gateway.config.models import IncidentPolicy
from gateway.model.plan import Policy


def policy_of(incident: IncidentPolicy) -> Policy:
    """The policy that an incident keeps for its life."""
    return Policy(
        append_every=incident.repeat.append_every,
        recover_action=incident.recover.action,
        recover_when=incident.recover.when,
        notes=incident.notes,
        reopen_within=incident.reopen_within,
    )
