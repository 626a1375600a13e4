"""The journal of a test: the one in memory, which can also say what it waits for."""

from collections.abc import Iterator

from gateway.journal.memory import MemoryJournal
from gateway.model.action import ActionStatus
from gateway.model.incident import Incident

_WAITS = frozenset({ActionStatus.QUEUED, ActionStatus.UNKNOWN})


class TestJournal(MemoryJournal):
    """A `MemoryJournal` whose owner moves the time."""

    __test__ = False

    @property
    def calling(self) -> bool:
        """Whether an action is on its way to a helpdesk."""
        return any(action.claimed_until is not None for action in self._actions.values())

    def due_actions(self) -> Iterator[float]:
        """When each action that waits may be tried again, or goes to another helpdesk."""
        for action in self._actions.values():
            if action.status in _WAITS:
                yield action.not_before
            if action.status is ActionStatus.QUEUED and action.new.falls_back_after is not None:
                yield action.new.queued_at + action.new.falls_back_after

    def incidents(self) -> list[Incident]:
        """All incidents, in the order in which they were opened."""
        return [self._with_ticket(incident) for incident in self._incidents.values()]

    def request(self, action: str) -> bytes:
        """An action's request, as it was sent; secrets are no part of it."""
        return self._actions[action].request if action in self._actions else b""

    def flags(self, action: str) -> list[str]:
        """Why an action was made, and what was found out about it."""
        return list(self._actions[action].flags) if action in self._actions else []
