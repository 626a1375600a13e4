"""The hard brake of one helpdesk: no more tickets in a time than `limits.creates`, whatever comes.

What is more waits in the journal (`held_by_brake`), in its order, and goes out as the time allows, or when an operator lets it go.
People are told once per episode, by a ticket in that very helpdesk. An episode begins when creates are held back, and ends when
none is and the time has passed. The journal counts, so that a restart changes nothing. Follow-ups and closes are never held back.
"""

from collections.abc import Callable
from dataclasses import replace

from gateway.config.values import RateLimit, rate_text
from gateway.delivery.memory import Memory
from gateway.helpdesks.protocol import Connector
from gateway.journal.protocol import HistoryLine, IncidentChange, Journal, Processed
from gateway.model.action import ActionKind, NewAction, TicketDraft
from gateway.model.brake import CAUSE, Allowance, BrakeNews, BrakeView, Words
from gateway.model.event import Severity
from gateway.model.ids import marker_of, new_id
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason

LOOK_EVERY = 1.0
"""Seconds between looks at what waits while creates are held back."""
TELL_AFTER = 5.0
"""Seconds from the beginning of an episode to its ticket, so that it can say more than that one create waits."""
TITLES = 20
"""Titles of what waits that the ticket names."""
AT_ONCE = 500
"""Creates that are marked in one transaction."""


class Brake:
    """Holds creates back. ``limit`` None: it never does."""

    def __init__(
        self,
        connector: Connector,
        limit: RateLimit | None,
        journal: Journal,
        memory: Memory,
        words: Words,
        tell: Callable[[str, str], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        """``tell`` is given ``brake`` or ``brake_off`` and what there is to say."""
        self._connector = connector
        self._limit = limit
        self._journal = journal
        self._memory = memory
        self._words = words
        self._tell = tell
        self._clock = clock
        self._left = 0
        self._next_look = 0.0
        self._told = False
        self.waiting = 0

    @property
    def holds(self) -> bool:
        """True while creates are held back."""
        return self._limit is not None and self._memory.state.braking_since is not None

    @property
    def left(self) -> int | None:
        """Creates that may be called before the journal is asked again; None: as many as there are."""
        return None if self._limit is None else self._left

    @property
    def free_until(self) -> float:
        """Creates that were queued up to then go out in any case."""
        return self._memory.state.free_until

    def took(self, creates: int) -> None:
        """So many creates are on their way."""
        self._left = max(0, self._left - creates)

    async def release(self, until: float) -> None:
        """Let all creates go that are queued up to an instant; durable when this returns."""
        await self._memory.load()
        await self._memory.become(replace(self._memory.state, free_until=max(until, self.free_until)))
        self._next_look = 0.0
        if (since := self._memory.state.braking_since) is not None:
            await self._end(self._clock(), since)

    async def look(self) -> None:
        """See how many creates may go, and hold the others; asks the journal only where it may matter."""
        now = self._clock()
        # A clock that was put back must not delay it: no look is ever planned further ahead than this.
        early = 0 < self._next_look - now <= LOOK_EVERY
        if self._limit is None or (self._left > 0 and not self.holds) or early:
            return
        allowance = Allowance(max(1, int(self._limit.count)), self._limit.per, self.free_until)
        view = await self._journal.brake(self._connector.name, allowance, now=now, first=TITLES)
        self._left = max(0, allowance.most - view.begun)
        self._next_look = now + LOOK_EVERY if self._left == 0 or self.holds else 0.0
        self.waiting = max(0, view.waiting - self._left)
        if self.waiting:
            await self._hold(now, view)
        elif self.holds:
            await self._over(now)

    async def _hold(self, now: float, view: BrakeView) -> None:
        if not self.holds:
            await self._memory.become(replace(self._memory.state, braking_since=now))
            self._told = False
            self._tell("brake", f"more tickets are due than limits.creates allows; {self.waiting} wait")
        name = self._connector.name
        await self._journal.hold_creates(name, free_until=self.free_until, left=self._left, now=now, limit=AT_ONCE)
        since = self._memory.state.braking_since
        if since is not None and not self._told and now - since >= TELL_AFTER and view.first:
            await self._tell_people(now, since, view)
            self._told = True

    async def _over(self, now: float) -> None:
        """Nothing waits any more: what is recovered is ended, and after the time the episode is over."""
        name, since = self._connector.name, self._memory.state.braking_since
        await self._journal.hold_creates(name, free_until=self.free_until, left=self._left, now=now, limit=AT_ONCE)
        if since is None or self._limit is None or now - since < self._limit.per:
            return
        await self._end(now, since)

    async def _end(self, now: float, since: float) -> None:
        await self._tell_over(now, since)
        await self._memory.become(replace(self._memory.state, braking_since=None))
        self._next_look, self.waiting = 0.0, 0
        self._tell("brake_off", "creates are not held back any more")

    # ------------------------------------------------------------------------------------------------- what people read

    async def _tell_people(self, now: float, since: float, view: BrakeView) -> None:
        """Make the episode's ticket; one that is there already is left as it is."""
        sample = view.first[0]
        model = await self._journal.reader().incident(sample.incident)
        news = self._news(since, self.waiting, tuple(one.title for one in view.first))
        incident = Incident(
            id=self._incident(since),
            key=f"{CAUSE}{self._connector.name}/{since}",
            state=IncidentState.OPEN,
            version=0,
            route=CAUSE.rstrip("/"),
            helpdesk=self._connector.name,
            plan=model.plan if model is not None else "",
            severity=Severity.MAJOR,
            title=self._words(news)[0],
            host="",
            service="",
            occurrences=1,
            sequence=1,
            opened_at=now,
            last_event_at=now,
            last_appended_at=now,
        )
        await self._write(ActionKind.CREATE, news, incident, None, now, sample.draft)

    async def _tell_over(self, now: float, since: float) -> None:
        incident = await self._journal.reader().incident(self._incident(since))
        if incident is None or incident.state is IncidentState.CLOSED:
            return
        can_close = ActionKind.CLOSE in self._connector.capabilities.actions
        closed = replace(
            incident,
            state=IncidentState.CLOSED,
            version=incident.version + 1,
            closed_at=now,
            sequence=incident.sequence + 1,
        )
        kind = ActionKind.CLOSE if can_close else ActionKind.APPEND
        news = replace(self._news(since, 0, ()), over=True)
        await self._write(kind, news, closed, incident.version, now, TicketDraft("", ""))

    async def _write(
        self,
        kind: ActionKind,
        news: BrakeNews,
        incident: Incident,
        expected: int | None,
        now: float,
        like: TicketDraft,
    ) -> None:
        title, text = self._words(news)
        name = self._connector.name
        cause = incident.key
        draft = TicketDraft(title=title, text=text, fields=like.fields, quiet=kind is not ActionKind.CREATE)
        marker = marker_of(cause=cause, route=incident.route, helpdesk=name, kind=kind.value, ordinal=0)
        action = NewAction(
            id=new_id(),
            incident=incident.id,
            helpdesk=name,
            kind=kind,
            marker=marker,
            cause=cause,
            route=incident.route,
            ordinal=0,
            sequence=incident.sequence,
            draft=draft,
            requester=self._connector.requester(draft) if kind is ActionKind.CREATE else "",
            queued_at=now,
            reason=Reason.BRAKE,
        )
        line = HistoryLine(now, "brake", Reason.BRAKE, title, incident=incident.id, action=action.id)
        change = IncidentChange(incident, expected)
        await self._journal.commit_processed([Processed("", incidents=(change,), actions=(action,), history=(line,))])

    def _news(self, since: float, waiting: int, titles: tuple[str, ...]) -> BrakeNews:
        assert self._limit is not None
        return BrakeNews(self._connector.name, rate_text(self._limit), since, waiting, titles)

    def _incident(self, since: float) -> str:
        """The same for one episode, so that a second ticket of it is a conflict."""
        return f"brake-{marker_of(cause=f'{since}', route='', helpdesk=self._connector.name, kind='', ordinal=0)}"
