"""What is remembered of one helpdesk while its delivery runs: read once, written with every change."""

import asyncio

from gateway.journal.protocol import HelpdeskState, Journal, JournalFull


class Memory:
    """The state of one helpdesk, in the journal and here."""

    def __init__(self, name: str, journal: Journal) -> None:
        self._journal = journal
        self._state = HelpdeskState(name)
        self._saved = True
        self._known = False
        self._lock = asyncio.Lock()

    @property
    def state(self) -> HelpdeskState:
        """As it stands."""
        return self._state

    async def load(self) -> bool:
        """Read what was remembered; true the first time."""
        async with self._lock:
            first, self._known = not self._known, True
            if first:
                self._state = await self._journal.helpdesk_state(self._state.name)
            return first

    async def become(self, state: HelpdeskState) -> None:
        """Change it; durable when this returns.

        Raises:
            JournalFull: there is no room; it is as it was.
        """
        await self._journal.save_helpdesk_state(state)
        self._state, self._saved = state, True

    def soon(self, state: HelpdeskState) -> None:
        """Change it; durable after the next `save`."""
        self._state, self._saved = state, False

    async def save(self) -> None:
        """Write down what is not on disk yet; with a full disk it is tried again the next time."""
        if self._saved:
            return
        self._saved = True
        try:
            await self._journal.save_helpdesk_state(self._state)
        except JournalFull:
            self._saved = False
