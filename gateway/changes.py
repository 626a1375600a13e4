"""What one receipt, or one timer that fires, changes of incidents, timers and storms, while it grows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.journal.protocol import HeldAction, NewTimer
from gateway.model.incident import Incident, TimerKind
from gateway.model.storm import StormMember, StormTold


def timer_id(incident: str, kind: TimerKind) -> str:
    """The name of an incident's one timer of a kind."""
    return f"{incident}/{kind.value}"


@dataclass(slots=True)
class Changes:
    """The changes so far.

    ``expected`` are the versions in which the incidents that change must still stand (None: it is new), ``groups`` the same of
    groups of storms. A timer that is set and cancelled takes the place of the old one.
    """

    expected: dict[str, int | None] = field(default_factory=dict)
    timers: dict[str, NewTimer] = field(default_factory=dict)
    cancelled: dict[str, None] = field(default_factory=dict)
    groups: dict[str, int | None] = field(default_factory=dict)
    joined: list[StormMember] = field(default_factory=list)
    told: list[StormTold] = field(default_factory=list)

    def note(self, before: Incident | None, after: Incident) -> None:
        """An incident changes, or is new."""
        self.expected.setdefault(after.id, before.version if before is not None else None)

    def set_timers(
        self,
        before: Incident | None,
        after: Incident,
        held: Mapping[tuple[str, str], HeldAction],
        kept: Collection[TimerKind] = (),
    ) -> None:
        """Write down which timers of an incident are new or gone. ``kept``: those that keep another action than before."""
        old = {timer.kind: timer.due_at for timer in before.timers} if before is not None else {}
        now = {timer.kind: timer.due_at for timer in after.timers}
        for kind, due_at in old.items():
            if now.get(kind) != due_at or kind in kept:
                self.timers.pop(timer_id(after.id, kind), None)
                self.cancelled[timer_id(after.id, kind)] = None
        for kind, due_at in now.items():
            if old.get(kind) != due_at or kind in kept:
                name = timer_id(after.id, kind)
                self.timers[name] = NewTimer(name, after.id, kind.value, due_at, held.get((after.id, kind.value)))
