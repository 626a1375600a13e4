"""What operators do to the journal's content: retry and drop dead letters, replay receipts, silence what is known.

The same code serves the control socket of a running gateway and the command line when none runs.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.delivery.pauses import paused, resumed
from gateway.journal.protocol import HistoryLine, Journal
from gateway.judging import route
from gateway.mailauth import remembering
from gateway.model.ids import new_id
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt, Receipt, ReceiptStatus
from gateway.model.silence import Silence
from gateway.quarantine import REPLAY_OF
from gateway.routing.silences import MOST, UnfitSilence, compile_silence
from gateway.ruleset import UNROUTED, Ruleset

SHORTEST = 8
"""Characters by which a silence is known: the last ones of its id."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: ``what`` is ``requeued``, ``unchanged``, ``differs``, ``accepted`` or ``unknown``."""

    id: str
    what: str
    detail: str
    new_id: str = ""


class Desk(Protocol):
    """A helpdesk whose delivery runs."""

    async def pause(self, by: str, why: str) -> None:
        """Send nothing more until `resume`."""
        ...

    async def resume(self) -> bool:
        """Go on; False if it did not stand still."""
        ...

    async def release(self, until: float) -> None:
        """Let all creates go that are queued up to an instant, whatever the brake says."""
        ...


class Refused(Exception):
    """What was asked cannot be done; the message says why, for people.

    ``place`` is the field at fault, where there is one.
    """

    def __init__(self, message: str, place: str = "") -> None:
        """``message`` names the fault and the way out."""
        super().__init__(message)
        self.place = place


class Operations:
    """What operators do."""

    def __init__(
        self,
        journal: Journal,
        rules: Callable[[], Ruleset],
        accept: Callable[[NewReceipt], Awaitable[Accepted]],
        wake: Callable[[], None],
        silenced: Callable[[Sequence[Silence]], None] = lambda _: None,
        desks: Callable[[str], Desk | None] = lambda _: None,
    ) -> None:
        """``rules`` gives those in force; ``wake`` tells pipeline and delivery that there is something to do.

        ``silenced`` is told all silences when one was made or ended. ``desks`` gives the helpdesks whose delivery runs here.
        """
        self._journal = journal
        self._rules = rules
        self._accept = accept
        self._wake = wake
        self._silenced = silenced
        self._desks = desks

    async def retry(self, ids: Sequence[str], *, now: float) -> list[str]:
        """Send dead letters on their way again; gives back the ids that were dead letters."""
        done = await self._journal.requeue(ids, now=now)
        self._wake()
        return done

    async def drop(self, ids: Sequence[str], *, now: float, who: str) -> list[str]:
        """Drop dead letters for good; gives back the ids that were dead letters."""
        done = await self._journal.drop(ids, now=now, who=who)
        self._wake()
        return done

    async def accept(self, new: NewReceipt) -> Accepted:
        """Take a message that an operator hands in, as its source's own."""
        return await self._accept(new)

    async def silence(self, silence: Silence) -> None:
        """Put a silence in force.

        Raises:
            Refused: what is wrong with it.
        """
        try:
            compile_silence(silence, self._rules().lookups)
        except UnfitSilence as fault:
            raise Refused(str(fault), fault.place) from None
        if sum(one.ends_at > silence.made_at for one in await self._journal.reader().silences()) >= MOST:
            raise Refused(f"{MOST} silences are in force or to come, and that is the most; end some, or make a rule")
        await self._journal.put_silence(silence)
        await self._tell_silences()

    async def end_silences(self, ids: Sequence[str], *, now: float) -> list[str]:
        """End silences now, by their ids or the ends of these; gives back the whole ids of those that were in force or to come."""
        ended: list[str] = []
        known = [one for one in await self._journal.reader().silences() if one.ends_at > now]
        for name in ids:
            found = [one for one in known if one.id == name or (len(name) >= SHORTEST and one.id.endswith(name))]
            if len(found) == 1 and found[0].id not in ended:
                over = replace(found[0], starts_at=min(found[0].starts_at, now), ends_at=now)
                await self._journal.put_silence(over)
                ended.append(over.id)
        await self._tell_silences()
        return ended

    async def _tell_silences(self) -> None:
        self._silenced(await self._journal.reader().silences())

    async def pause(self, helpdesk: str, *, now: float, who: str, why: str) -> None:
        """Send nothing to a helpdesk until `resume`; its queue stays as it is, and nothing in it grows older.

        Raises:
            Refused: there is no such helpdesk.
        """
        self._known(helpdesk)
        desk = self._desks(helpdesk)
        if desk is not None:
            await desk.pause(who, why)
            return
        state = await self._journal.helpdesk_state(helpdesk)
        await self._journal.save_helpdesk_state(paused(state, now=now, why=why, by=who))

    async def resume(self, helpdesk: str, *, now: float) -> bool:
        """Go on sending, whatever the reason of the pause; False if it was not paused.

        Raises:
            Refused: there is no such helpdesk.
        """
        self._known(helpdesk)
        desk = self._desks(helpdesk)
        if desk is not None:
            return await desk.resume()
        state = await self._journal.helpdesk_state(helpdesk)
        await self._journal.save_helpdesk_state(resumed(state, now=now))
        return state.paused_since is not None

    async def release(self, helpdesk: str, *, until: float) -> None:
        """Let all creates of a helpdesk go that are queued up to an instant, whatever `limits.creates` says.

        Raises:
            Refused: there is no such helpdesk.
        """
        self._known(helpdesk)
        desk = self._desks(helpdesk)
        if desk is not None:
            await desk.release(until)
            return
        state = await self._journal.helpdesk_state(helpdesk)
        await self._journal.save_helpdesk_state(replace(state, free_until=max(until, state.free_until)))

    def _known(self, helpdesk: str) -> None:
        names = self._rules().config.helpdesks
        if helpdesk not in names:
            raise Refused(f"there is no helpdesk {helpdesk!r}; there are: {', '.join(sorted(names))}")

    async def replay(self, ids: Sequence[str], *, now: float, anew: bool) -> list[Replayed]:
        """Have receipts processed again; what was delivered is not sent again unless ``anew`` asks for it."""
        return [await self._replay(name, now=now, anew=anew) for name in ids]

    async def _replay(self, name: str, *, now: float, anew: bool) -> Replayed:
        reader = self._journal.reader()
        view = await reader.receipt(name)
        receipt = await reader.body(view.id) if view is not None else None
        if view is None or receipt is None:
            return Replayed(name, "unknown", "no receipt has this id, or its body is not kept any more")
        if anew:
            return await self._anew(receipt, now)
        if view.status is ReceiptStatus.DEAD:
            await self._journal.requeue([view.id], now=now)
            self._wake()
            return Replayed(view.id, "requeued", "the dead letter is processed again")
        if view.status is ReceiptStatus.ACCEPTED:
            return Replayed(view.id, "unchanged", "it waits to be processed for the first time")
        if self._rules().source(receipt.source) is None:
            return Replayed(view.id, "differs", f"source {receipt.source} is not configured any more")
        # A repeated delivery went nowhere; where the rules would send it says nothing.
        was = {event.index: event.route for event in view.events if event.reason is not Reason.DUPLICATE}
        try:
            would = self._routes(remembering(receipt, view))
        except Exception as error:  # noqa: BLE001 - what a parser cannot read is the very thing to be told
            return Replayed(view.id, "differs", f"it cannot be parsed now: {type(error).__name__}: {error}")
        repeats = {event.index for event in view.events if event.reason is Reason.DUPLICATE}
        changes = [
            f"event {index}: was {was.get(index) or UNROUTED}, would be {would.get(index) or UNROUTED}"
            for index in sorted((was.keys() | would.keys()) - repeats)
            if was.get(index) != would.get(index)
        ]
        if not changes:
            return Replayed(view.id, "unchanged", "the rules in force decide as they did; nothing is sent again")
        return Replayed(view.id, "differs", "; ".join(changes) + ". With --new it is processed as a new receipt.")

    def _routes(self, receipt: Receipt) -> dict[int, str]:
        rules = self._rules()
        settings, kind = rules.source(receipt.source), rules.kind_of(receipt.source)
        assert settings is not None
        assert kind is not None
        routed = route(receipt, kind.parse(receipt, settings), rules)
        return {event.index: event.targets[0].rule.route.name if event.targets else "" for event in routed.events}

    async def _anew(self, receipt: Receipt, now: float) -> Replayed:
        fresh = NewReceipt(
            id=new_id(),
            source=receipt.source,
            received_at=now,
            body=receipt.body,
            content_type=receipt.content_type,
            headers=receipt.headers,
            envelope={**receipt.envelope, REPLAY_OF: receipt.id},
            peer=receipt.peer,
        )
        accepted = await self._accept(fresh)
        line = HistoryLine(
            at=now, what="replayed", reason=Reason.REPLAYED, detail=f"as {accepted.id}", receipt=receipt.id
        )
        await self._journal.write_history([line])
        return Replayed(receipt.id, "accepted", "it is processed as a new receipt:", accepted.id)
