"""Plans: the part of a route that an incident keeps for its whole life, whatever becomes of the configuration."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from gateway.model.action import ClosedByHand
from gateway.model.json import JsonValue


@dataclass(frozen=True, slots=True)
class Policy:
    """What the course of an incident does to its ticket. Durations are seconds.

    ``append_every`` None only counts repeats; ``reopen_within`` 0 opens a new incident at every relapse. ``confirm`` is how long
    a problem must last before its ticket is made, ``hold`` how long a recovery before it counts. ``rise`` is what a severity
    does that is worse than any before; ``escalate_after`` None: nothing happens to what nobody acknowledges, else
    ``escalate_by``. ``expire_after`` None: an incident without news stays as it is. ``flap_changes`` 0: flapping is not watched.
    ``suppressed_by`` host: tickets of services wait while their host is down. ``coalesce``: follow-ups that wait behind each
    other may be sent as one. ``joined``: what a further alert of a group does. ``only_if_untouched``: a ticket on which a
    person has worked is not closed. ``closed_by_hand`` is what becomes of follow-ups to a ticket that a person has closed; empty:
    they are added, and it stays closed. More than ``storm_limit`` tickets (0: not watched) within ``storm_within`` are a storm,
    whose digest is told what is new every ``storm_every``. A default stands for what plans of earlier versions meant.
    """

    append_every: float | None = None
    recover_action: Literal["close", "append", "none"] = "close"
    recover_when: Literal["all", "any"] = "all"
    notes: Literal["append", "ignore"] = "append"
    reopen_within: float = 0.0
    confirm: float = 0.0
    hold: float = 0.0
    rise: Literal["append", "update", "ignore"] = "ignore"
    escalate_after: float | None = None
    escalate_by: Literal["append", "update"] = "append"
    expire_after: float | None = None
    expire: Literal["note", "close", "forget"] = "note"
    flap_changes: int = 0
    flap_within: float = 0.0
    suppressed_by: Literal["", "host"] = ""
    coalesce: bool = True
    joined: Literal["append", "ignore"] = "append"
    only_if_untouched: bool = False
    closed_by_hand: ClosedByHand = ""
    storm_limit: int = 0
    storm_within: float = 0.0
    storm_every: float = 0.0


@dataclass(frozen=True, slots=True)
class Template:
    """A template's text with the name under which its errors are told (``templates/alert/title.j2``)."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TicketSpec:
    """What a ticket and its follow-ups are made of.

    ``body`` and ``update`` and ``recovery`` are of ``format``. ``fields`` is `ticket.fields` as configured: texts are
    templates, ``{"from": FIELD, "table": {...}}`` is a look-up. ``escalated`` are those that an update changes.
    """

    title: Template
    body: Template
    update: Template
    recovery: Template
    format: Literal["text", "html"] = "text"
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    attachments: bool = True
    escalated: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A route as an incident keeps it. ``vars`` are the route's variables, each a template text; ``lookup`` names its table.

    ``fallbacks`` are what it becomes, the first one first, if the helpdesk does not take the ticket.
    ``storm`` is what the ticket of a storm is made of, but for its fields; None where storms are not watched.
    """

    route: str
    helpdesk: str
    policy: Policy
    ticket: TicketSpec
    vars: Mapping[str, str] = field(default_factory=dict)
    lookup: str = ""
    fallbacks: "tuple[FallbackPlan, ...]" = ()
    storm: TicketSpec | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return orjson.dumps(self._plain(), option=orjson.OPT_SORT_KEYS)

    def _plain(self) -> dict[str, object]:
        plain = asdict(self)
        if not self.fallbacks:  # as earlier versions wrote it, so that its digest is theirs
            del plain["fallbacks"]
        return plain

    @property
    def digest(self) -> str:
        """Names the plan: 32 hex digits of the hash of its canonical form."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class FallbackPlan:
    """The plan of a route at another helpdesk, with its digest; ``after`` so many seconds without a ticket it is due."""

    after: float
    digest: str
    plan: Plan


def plan_from_bytes(data: bytes) -> Plan:
    """The plan that `Plan.to_bytes` wrote."""
    return _plan(orjson.loads(data))


def _plan(raw: dict[str, Any]) -> Plan:
    storm = raw.get("storm")
    return Plan(
        route=raw["route"],
        helpdesk=raw["helpdesk"],
        policy=Policy(**raw["policy"]),
        ticket=_spec(raw["ticket"]),
        vars=raw["vars"],
        lookup=raw.get("lookup", ""),  # as above
        fallbacks=tuple(
            FallbackPlan(one["after"], one["digest"], _plan(one["plan"])) for one in raw.get("fallbacks", ())
        ),
        storm=_spec(storm) if storm is not None else None,
    )


def _spec(raw: Mapping[str, Any]) -> TicketSpec:
    return TicketSpec(
        title=Template(**raw["title"]),
        body=Template(**raw["body"]),
        update=Template(**raw["update"]),
        recovery=Template(**raw["recovery"]),
        format=raw["format"],
        fields=raw["fields"],
        attachments=raw["attachments"],
        escalated=raw.get("escalated", {}),  # absent in plans of earlier versions
    )
