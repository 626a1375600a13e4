"""What is known of incidents while a batch is worked on. In memory, and good for that batch only."""

from dataclasses import dataclass, field

from gateway.incidents.threads import Threads
from gateway.incidents.timers import Outage, outage_of
from gateway.journal.protocol import Arrival, HeldAction, Known
from gateway.model.incident import Incident, IncidentState, Tombstone
from gateway.model.plan import Plan, plan_from_bytes
from gateway.model.storm import StormGroup


@dataclass(slots=True)
class Facts:
    """What is known of incidents while a batch is worked on: the journal's answer, then our own changes."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    by_member: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    tombstones: dict[str, list[Tombstone]] = field(default_factory=dict)
    duplicates: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)
    threads: Threads = field(default_factory=Threads)
    open_keys: frozenset[str] = frozenset()
    held: dict[tuple[str, str], HeldAction] = field(default_factory=dict)
    of_hosts: dict[str, list[str]] = field(default_factory=dict)
    storms: dict[str, StormGroup] = field(default_factory=dict)

    def copy(self) -> "Facts":
        """The same, to be changed without changing this one."""
        return Facts(
            incidents=dict(self.incidents),
            by_key=dict(self.by_key),
            by_member={member: list(ids) for member, ids in self.by_member.items()},
            tombstones={key: list(stones) for key, stones in self.tombstones.items()},
            duplicates=dict(self.duplicates),
            plans=dict(self.plans),
            arrivals=self.arrivals,
            threads=self.threads.copy(),
            open_keys=self.open_keys,
            held=dict(self.held),
            of_hosts={host: list(ids) for host, ids in self.of_hosts.items()},
            storms=dict(self.storms),
        )

    def become(self, other: "Facts") -> None:
        """Take over what was tried on a `copy`."""
        self.incidents, self.by_key, self.by_member = other.incidents, other.by_key, other.by_member
        self.tombstones, self.duplicates, self.plans = other.tombstones, other.duplicates, other.plans
        self.threads, self.held, self.of_hosts = other.threads, other.held, other.of_hosts
        self.storms = other.storms

    def put(self, incident: Incident) -> None:
        """Take note of how an incident stands now."""
        self.incidents[incident.id] = incident
        self.by_key[incident.key] = incident.id
        for member in incident.members:
            ids = self.by_member.setdefault((member.source, member.origin_key), [])
            if incident.id not in ids:
                ids.append(incident.id)
        if incident.host and not incident.service:
            names = self.of_hosts.setdefault(incident.host, [])
            if incident.id not in names:
                names.append(incident.id)

    def outages(self, host: str, source: str) -> list[Outage]:
        """When a host was down, as this source says."""
        found = (outage_of(self.incidents[name], source) for name in self.of_hosts.get(host, ()))
        return [outage for outage in found if outage is not None]

    def followed(self, source: str, origin_key: str) -> list[Incident]:
        """The incidents that are not closed and that this member takes part in."""
        found = (self.incidents[name] for name in self.by_member.get((source, origin_key), ()))
        return [incident for incident in found if incident.state is not IncidentState.CLOSED]


def facts_of(known: Known) -> Facts:
    """The journal's answer, ready to be carried forward."""
    facts = Facts(
        tombstones={key: list(stones) for key, stones in known.tombstones.items()},
        duplicates=dict(known.duplicates),
        plans={digest: plan_from_bytes(data) for digest, data in known.plans.items()},
        arrivals={key: list(group) for key, group in known.arrivals.items()},
        threads=Threads(
            mails={mail: list(names) for mail, names in known.threads.mails.items()},
            markers=dict(known.threads.markers),
            tickets={ticket: list(names) for ticket, names in known.threads.tickets.items()},
            participants={name: set(group) for name, group in known.threads.participants.items()},
        ),
        open_keys=known.threads.open_keys,
        held=dict(known.held),
        storms=dict(known.storms),
    )
    for incident in known.digests:
        facts.incidents[incident.id] = incident
    for incident in known.of_hosts:
        facts.incidents[incident.id] = incident
        facts.of_hosts.setdefault(incident.host, []).append(incident.id)
    for name, incident in known.threads.incidents.items():
        if incident.state is IncidentState.CLOSED:
            facts.incidents[name] = incident  # another one may be the one of its key
        else:
            facts.put(incident)
    for incidents in known.by_member.values():
        for incident in incidents:
            facts.put(incident)
    for incident in known.by_key.values():
        facts.put(incident)
    return facts
