"""Random histories, played on both journals at once: they must answer alike and look alike at the end."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.memory import MemoryJournal
from gateway.journal.protocol import IncidentChange, Journal, Lookup, Processed
from gateway.journal.sqlite import open_sqlite
from gateway.model.action import Action, ActionKind, ActionStatus, NewAction, OutcomeKind
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt
from tests.journal.builders import (
    NOON,
    a_receipt,
    a_record,
    a_ticket,
    a_timer,
    an_action,
    an_event,
    an_incident,
    begun,
    finished,
)

KEYS = ("a", "b", "c")
REASONS = {ActionStatus.UNKNOWN: Reason.UNKNOWN_OUTCOME, ActionStatus.QUEUED: Reason.NOT_SENT}


class Play:
    """One random history. Every choice is made here, so that both journals are asked the same."""

    def __init__(self, seed: int, journals: Sequence[Journal]) -> None:
        self.random = random.Random(seed)
        self.journals = journals
        self.now = NOON
        self.receipts: list[NewReceipt] = []
        self.incidents: list[Incident] = []
        self.actions: list[NewAction] = []
        self.claims: list[Action] = []

    async def step(self) -> None:
        self.now += self.random.choice([0, 1, 30, 300])
        names = [
            "accept",
            "process",
            "process",
            "claim",
            "claim",
            "begin",
            "finish",
            "finish",
            "operate",
            "prune",
            "look",
        ]
        await getattr(self, self.random.choice(names))()

    async def accept(self) -> None:
        key = self.random.choice(["", "k1", "k2"])
        new = a_receipt(self.random.choice([b"1", b"2"]), at=self.now, key=key, given=self.random.random() < 0.5)
        answers = [await journal.accept(new) for journal in self.journals]
        assert answers[0] == answers[1]
        self.receipts.append(new)

    async def process(self) -> None:
        if not self.receipts:
            return
        receipt = self.random.choice(self.receipts)
        old = self.random.choice(self.incidents) if self.incidents and self.random.random() < 0.6 else None
        incident = old or an_incident(self.random.choice(KEYS))
        if old is not None:
            closed = self.random.random() < 0.3
            state = IncidentState.CLOSED if closed else IncidentState.OPEN
            incident = replace(old, state=state, closed_at=self.now if closed else None, version=old.version + 1)
        kinds = self.random.choices([ActionKind.CREATE, ActionKind.APPEND], k=self.random.randrange(3))
        actions = tuple(
            an_action(
                incident.id,
                kind,
                sequence=incident.sequence + number + 1,
                requester=self.random.choice(["", "w"]),
                queued_at=self.now + len(self.actions) / 1000 + number / 10_000,
            )
            for number, kind in enumerate(kinds)
        )
        incident = replace(incident, sequence=incident.sequence + len(actions))
        event = an_event(duplicate_key=self.random.choice(["", "n1", "n2", "n3"]))
        work = Processed(
            receipt.id,
            events=(a_record(event, incident=incident.id),),
            incidents=(IncidentChange(incident, old.version if old else None),),
            actions=actions,
            timers=(a_timer(incident.id, self.now + 5),) if self.random.random() < 0.3 else (),
            dead=Reason.POISON if self.random.random() < 0.1 else None,
        )
        answers = [await journal.commit_processed([work]) for journal in self.journals]
        assert answers[0] == answers[1]
        if answers[0] == ["committed"]:
            self.incidents = [known for known in self.incidents if known.id != incident.id] + [incident]
            self.actions += actions

    async def claim(self) -> None:
        limit = self.random.choice([1, 3, 10])
        answers = [await j.claim_actions("osticket", limit=limit, now=self.now, lease=60) for j in self.journals]
        assert answers[0] == answers[1]
        self.claims += answers[0]

    async def begin(self) -> None:
        if self.claims:
            action = self.random.choice(self.claims)
            answers = [await begun(journal, action, at=self.now) for journal in self.journals]
            assert answers[0] == answers[1]

    async def finish(self) -> None:
        if not self.claims:
            return
        action = self.random.choice(self.claims[-5:])
        if self.random.random() < 0.8:
            for journal in self.journals:
                await begun(journal, action, at=self.now)
        chosen = [ActionStatus.DELIVERED, ActionStatus.DEAD, ActionStatus.UNKNOWN, ActionStatus.QUEUED]
        status = self.random.choice([*chosen, ActionStatus.SKIPPED])
        kind = self.random.choice([None, OutcomeKind.UNKNOWN]) if status is ActionStatus.DEAD else None
        end = finished(
            action,
            status,
            kind,
            at=self.now + len(self.actions) / 1000,
            reason=REASONS.get(status, Reason.DELIVERED),
            ticket=a_ticket() if status is ActionStatus.DELIVERED else None,
            not_before=self.now + self.random.choice([0, 40]),
            burnt=self.random.random() < 0.8,
        )
        answers = [await journal.finish_attempt(end) for journal in self.journals]
        assert answers[0] == answers[1]

    async def operate(self) -> None:
        ids = [action.id for action in self.actions] + [receipt.id for receipt in self.receipts]
        chosen = self.random.sample(ids, min(len(ids), 4))
        if self.random.random() < 0.5:
            answers = [await journal.requeue(chosen, now=self.now) for journal in self.journals]
        else:
            answers = [await journal.drop(chosen, now=self.now, who="anna") for journal in self.journals]
        assert answers[0] == answers[1]
        self.incidents = [
            found for known in self.incidents if (found := await self.journals[0].reader().incident(known.id))
        ]

    async def prune(self) -> None:
        if self.random.random() < 0.3:
            answers = [await j.prune(now=self.now, keep=600, keep_links=3000, limit=2) for j in self.journals]
            assert answers[0] == answers[1]
            reader = self.journals[0].reader()
            self.incidents = [found for known in self.incidents if (found := await reader.incident(known.id))]

    async def look(self) -> None:
        lookup = Lookup(
            frozenset(KEYS),
            frozenset({("nagios", "db-1/disk")}),
            frozenset({("nagios", "n1"), ("nagios", "n2")}),
        )
        known = [await journal.know(lookup, self.now) for journal in self.journals]
        assert known[0] == known[1]
        timers = [await journal.due_timers(now=self.now, limit=5) for journal in self.journals]
        assert timers[0] == timers[1]
        counts = [await journal.reader().counts() for journal in self.journals]
        assert counts[0] == counts[1]
        letters = [sorted(await j.reader().dead_letters(), key=lambda letter: letter.id) for j in self.journals]
        assert letters[0] == letters[1]
        lines = [await journal.reader().receipts(limit=50) for journal in self.journals]
        assert lines[0] == lines[1]
        for line in lines[0]:
            views = [await journal.reader().receipt(line.id) for journal in self.journals]
            assert views[0] == views[1]


async def play(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite = await open_sqlite(Path(folder) / "j.db", run="test")
        try:
            story = Play(seed, [MemoryJournal(), sqlite])
            for _ in range(60):
                await story.step()
            await story.look()
        finally:
            await sqlite.close()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_both_journals_tell_the_same_story(seed: int) -> None:
    asyncio.run(play(seed))
