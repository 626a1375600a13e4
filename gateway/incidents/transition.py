"""What the state machine answers."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.action import ActionKind
from gateway.model.incident import Incident, TimerKind, Tombstone
from gateway.model.reasons import Reason


class Purpose(StrEnum):
    """What an action tells people; it chooses the template (problem: title and body; recovery: recovery; else update)."""

    PROBLEM = "problem"
    REPEAT = "repeat"
    NOTE = "note"
    RECOVERY = "recovery"
    RELAPSE = "relapse"
    WORSE = "worse"
    ESCALATION = "escalation"
    EXPIRY = "expiry"
    FLAPPING = "flapping"
    JOINED = "joined"


@dataclass(frozen=True, slots=True)
class Wish:
    """An action that the state machine wants, before it is rendered.

    ``quiet``: nobody needs to be told. ``reopen``: a closed ticket must open again. ``reasons`` tell what is done in
    place of what was asked (`close_unsupported`). ``until`` keeps it, dressed, until that timer of the incident fires; it takes
    the place of what the timer kept before. ``wanted`` is what was asked where ``kind`` stands in for it.
    """

    kind: ActionKind
    purpose: Purpose
    quiet: bool
    reopen: bool
    reasons: tuple[Reason, ...] = ()
    until: TimerKind | None = None
    wanted: ActionKind | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """What one event, or one timer, does to one incident.

    ``incident`` is how it stands afterwards (None: the event joins none); it is new where its version is 0 and changed
    where its version is one more than before. ``reason`` is what became of the event. ``release`` names the timer whose kept
    action is to be issued now, before the wishes.
    """

    incident: Incident | None
    reason: Reason
    wishes: tuple[Wish, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    detail: str = ""
    release: TimerKind | None = None
