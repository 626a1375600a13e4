"""What happened in a test, in order, as expectations and people look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.action import ActionKind
from gateway.model.json import JsonValue


class What(StrEnum):
    """What a line is about."""

    EVENT = "event"  # an event was processed
    TIMER = "timer"  # something became due
    ACTION = "action"  # an action came to its end: delivered, skipped, dead
    TRY = "try"  # a call did not bring it to its end
    DEAD = "dead"  # a receipt waits for a person
    REFUSED = "refused"  # the door did not take it
    AGENT = "agent"  # a person did something in a helpdesk
    FAULT = "fault"  # our own code failed


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened.

    ``after`` is the time since the test began. ``reasons`` are those that were given, the first one first. ``action`` is set
    where a helpdesk was changed, or, with ``skipped``, was not after all; ``seen`` is then what can be expected of it, ``told`` the
    part of it that people look at.
    ``trace`` are the rules as they were tried, ``reached`` those that took the event. ``dropped`` is the reason of the rule that
    dropped it.
    """

    after: float
    what: What
    text: str
    reasons: tuple[str, ...] = ()
    route: str = ""
    action: ActionKind | None = None
    skipped: bool = False
    helpdesk: str = ""
    seen: Mapping[str, JsonValue] = field(default_factory=dict)
    told: Mapping[str, JsonValue] = field(default_factory=dict)
    trace: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    dropped: str | None = None
