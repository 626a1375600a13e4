"""Zammad: one call per action, a look at the ticket before each follow-up, a look-up after each doubtful call.

Zammad has no idempotency key. So every create bears its marker as a custom attribute and as the Message-ID of its first
article, and what the self-test has proven to be findable settles doubt (`gateway.helpdesks.zammad.markers`).
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from gateway.helpdesks.files import split
from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.persons import closed_by_hand, follows_on, skipped
from gateway.helpdesks.protocol import CallFailed, Capabilities, Certainty, Http, Order
from gateway.helpdesks.standing import Standing
from gateway.helpdesks.zammad import answers, article
from gateway.helpdesks.zammad.answers import Read
from gateway.helpdesks.zammad.desk import PENDING_ACTION, Desk, Found, Gone, Stopped, as_found, state_for
from gateway.helpdesks.zammad.fields import DOCUMENTED, FieldProblem, check_fields
from gateway.helpdesks.zammad.markers import (
    Criterion,
    Learned,
    Marker,
    learn,
    look_up,
    misled,
    our_article,
    our_articles,
)
from gateway.helpdesks.zammad.persons import deeds, our_user
from gateway.helpdesks.zammad.settings import ZammadSettings, mail_address
from gateway.helpdesks.zammad.stored import Stored, prepare
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

CAPABILITIES = Capabilities(
    actions=frozenset(ActionKind),
    certainty=Certainty.STRONG_LOOKUP,
    readable=True,
    fields=DOCUMENTED,
    open_fields=True,
)

ASK_AGAIN = 60.0
"""Seconds between two look-ups that together count as absence where one alone proves none."""
MOST_MASKED = 5
"""Calls that may end in an error that Zammad hides, each proven to have written nothing, before a person is asked."""
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Doubt:
    """What is remembered of a marker while its outcome is unknown; forgotten when it is settled, or at a restart."""

    absent_since: float | None = None
    resent: bool = False
    masked: int = 0
    half: str = ""
    half_since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a follow-up goes: the ticket as it stands, and the flags of how it was come by."""

    ticket: Found
    flags: tuple[Reason, ...] = field(default=())


class ZammadConnector:
    """One Zammad (`gateway.helpdesks.protocol.Connector`)."""

    def __init__(self, name: str, settings: ZammadSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``name`` is its name in the configuration."""
        self._name = name
        self._settings = settings
        self._monotonic = monotonic
        self._learned: Learned | None = None
        self._doubts: dict[str, _Doubt] = {}
        self._user = 0

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; how certainly doubt is settled is known after the self-test."""
        if self._learned is None or self._learned.best is not Criterion.TEXT:
            return CAPABILITIES
        return replace(CAPABILITIES, certainty=Certainty.EVENTUAL_LOOKUP)

    @property
    def fingerprint(self) -> str:
        """Kind and address."""
        return f"zammad {self._settings.base}"

    def check_fields(self, fields: Mapping[str, JsonValue]) -> list[FieldProblem]:
        """What is wrong with a route's ``ticket.fields``; values are checked where they are constant."""
        return check_fields(fields, self._settings)

    def requester(self, draft: TicketDraft) -> str:
        """The customer's address in lower case: two creates at once for an unknown one could make two users."""
        try:
            return mail_address(draft.fields.get("customer") or self._settings.customer).lower()
        except ValueError:
            return self._settings.customer.lower()  # `prepare` refuses the draft with the reason

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:  # noqa: ARG002 - the same for all
        """More files than one request takes follow in requests of their own."""
        return split(draft, most=self._settings.max_request)

    def prepare(self, order: Order) -> bytes:
        """The stored request: the keys of the ticket, and the article.

        Raises:
            ValueError: the draft has a field that Zammad would misunderstand.
        """
        return prepare(order, self._settings).write()

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Create, or look at the ticket and follow up."""
        stored = Stored.read(request)
        desk = Desk(self._settings, http, timeout)
        try:
            learned = await self._learn(desk)
            if order.kind is ActionKind.CREATE:
                return await self._create(desk, stored, learned)
            return await self._follow_up(desk, order, stored, learned)
        except Stopped as stop:
            return stop.outcome

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Look the action up: a create by its marker, a follow-up among the articles of its ticket."""
        stored = Stored.read(request)
        desk = Desk(self._settings, http, timeout)
        try:
            learned = await self._learn(desk)
            if order.kind is not ActionKind.CREATE:
                found = await desk.located(_id_of(order), learned.states)
                if isinstance(found, Found):
                    return await self._resolve_follow_up(desk, order, stored, found, learned)
                if not (stored.ticket and order.in_place):
                    return self._gone(found)
                return _replaced(await self._resolve_create(desk, stored, learned))
            return await self._resolve_create(desk, stored, learned)
        except Stopped as stop:
            if stop.outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN}:
                return replace(stop.outcome, kind=OutcomeKind.UNKNOWN)  # the first call is as unknown as before
            return stop.outcome

    async def probe(self, http: Http, *, timeout: float) -> Outcome:
        """Who are we, and the self-test where it has not run: what is read proves address, credentials and rights."""
        desk = Desk(self._settings, http, timeout)
        try:
            await desk.look("GET", "/users/me")
            learned = await self._learn(desk)
        except Stopped as stop:
            return stop.outcome
        return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, learned.told())

    async def standing(self, ticket: TicketRef, http: Http, *, timeout: float) -> Standing | Outcome:
        """How a ticket of ours stands (`gateway.helpdesks.standing`)."""
        desk = Desk(self._settings, http, timeout)
        try:
            learned = await self._learn(desk)
            found = await desk.located(ticket.id, learned.states)
            if isinstance(found, Gone):
                return Standing(None, TicketState.REMOVED, detail=found.detail)
            place = _Place(found, (Reason.TICKET_MOVED,) if str(found.id) != ticket.id else ())
            touched = await self._touched(desk, place) if found.state.kind.is_open else ""
        except Stopped as stop:
            return stop.outcome
        return Standing(self._reference(found), found.state.kind, (touched,) if touched else ())

    async def _learn(self, desk: Desk) -> Learned:
        """The self-test, once per start."""
        if self._learned is None:
            self._learned = await learn(desk, self._settings, secrets.token_hex(16))
        return self._learned

    # --------------------------------------------------------------------------------------------------------- create

    async def _create(self, desk: Desk, stored: Stored, learned: Learned) -> Outcome:
        body = self._body(stored, learned)
        try:
            one = await desk.ask("POST", "/tickets?expand=true", body)
        except CallFailed as failure:
            return failure_outcome(failure)
        found = as_found(one.object, learned.states) if answers.ticket_id(one) is not None else None
        if found is None:
            return await self._not_created(desk, stored, learned, one)
        flags = await self._prove(desk, stored, learned, found)
        doubt = self._doubts.pop(stored.marker.key, None)
        if doubt is not None and doubt.resent:
            flags = (*flags, Reason.POSSIBLE_DUPLICATE)
        lost = _lost(stored, found, self._settings.marker_attribute)
        if not lost:
            return self._delivered(stored, found, Reason.DELIVERED, flags)
        outcome = self._delivered(stored, found, Reason.DELIVERED, (*flags, Reason.FIELD_REFUSED))
        return replace(outcome, detail=f"{outcome.detail}; tickets here have no attribute {', '.join(lost)}")

    def _body(self, stored: Stored, learned: Learned) -> JsonObject:
        """The body of a create: what is stored, and the weaker markers where only they work here."""
        ticket, message = stored.ticket, stored.article
        if learned.best is Criterion.TAG:
            tags = str(ticket.get("tags") or "")
            ticket = {**ticket, "tags": f"{tags},{stored.marker.tag}".lstrip(",")}
        elif learned.best is Criterion.TEXT:
            message = article.with_line(message, f"Reference: {stored.marker.tag}")
        return {**ticket, "article": message}

    async def _not_created(self, desk: Desk, stored: Stored, learned: Learned, one: Read) -> Outcome:
        """No ticket in the answer. Older releases keep an empty ticket of a create whose article they refuse."""
        if one.good:
            return Outcome(
                OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, answers.detail(one, "not the answer of a create")
            )
        outcome = answers.after_write(one, stored.sent, files=bool(stored.article.get("attachments")))
        if one.is_masked:
            self._doubt(stored.marker).masked += 1
        if outcome.kind is not OutcomeKind.REJECTED or one.status != 422:
            return outcome
        try:
            left = await look_up(desk, stored.marker, learned, self._settings)
        except Stopped as stop:
            detail = f"{outcome.detail}; whether it left an empty ticket could not be asked: {stop.outcome.detail}"
            return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)
        if not left.tickets:
            return outcome
        detail = f"{outcome.detail}; it left ticket {left.tickets[0].number} without its article"
        return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)

    async def _prove(self, desk: Desk, stored: Stored, learned: Learned, made: Found) -> tuple[Reason, ...]:
        """With a ticket that is there: does it show its attribute, and does the best criterion find it?"""
        name = self._settings.marker_attribute
        before = learned
        if Criterion.ATTRIBUTE in learned.usable and made.raw.get(name) != stored.marker.key:
            learned = learned.without(Criterion.ATTRIBUTE, f"a new ticket does not show its attribute {name}")
        try:
            while learned.usable and learned.best not in learned.proven:
                found = await look_up(desk, stored.marker, replace(learned, usable=(learned.best,)), self._settings)
                fault = f"the search by {learned.best.value} does not find a ticket that is there"
                if any(ticket.id == made.id for ticket in found.tickets):
                    # While Zammad was empty, a search that brings the latest tickets looked like a good one.
                    fault = await misled(desk, learned.best, self._settings, secrets.token_hex(16))
                learned = learned.without(learned.best, fault) if fault else learned.with_proof(learned.best)
        except Stopped:
            return ()  # the next create proves it
        finally:
            # Where nothing is left, the next call tests anew: criteria behind a proven one were not tested.
            self._learned = learned if learned.usable or not before.usable else None
        return (Reason.LOOK_UP_WEAKENED,) if learned.best is not before.best else ()

    async def _resolve_create(self, desk: Desk, stored: Stored, learned: Learned) -> Outcome:
        found = await look_up(desk, stored.marker, learned, self._settings)
        if not found.tickets and found.foreign and learned.usable:  # a search for words may well bring others
            self._learned = None  # it brings what was not asked for: test again
            return _unknown(f"the look-up brought {found.foreign} tickets that are not ours")
        if not found.tickets:
            return self._absent(stored, learned)
        ticket = found.tickets[0]
        others = ", ".join(other.number for other in found.tickets[1:])
        flags = (Reason.POSSIBLE_DUPLICATE,) if others else ()
        if not learned.proves_absence:
            flags = (*flags, *await self._prove(desk, stored, learned, ticket))
        if ticket.state.kind is TicketState.MERGED:
            target = await desk.located(ticket.id, learned.states)
            if isinstance(target, Found) and target.id != ticket.id:
                return self._settled(stored, target, (*flags, Reason.TICKET_MOVED), others)
        articles = await desk.articles(ticket.id)
        ours = our_articles(articles, stored.marker)
        if ours and sum(map(_files, ours)) >= stored.files:
            return self._settled(stored, ticket, flags, others)
        return await self._complete(desk, stored, ticket, flags, ours)

    def _absent(self, stored: Stored, learned: Learned) -> Outcome:
        """Not found. Where that is no proof it counts after asking twice, and the repeat is flagged."""
        doubt = self._doubt(stored.marker)
        if doubt.masked >= MOST_MASKED:
            self._doubts.pop(stored.marker.key, None)
            detail = (
                f"Zammad answered {MOST_MASKED} times with an error that only its own log explains; nothing was written"
            )
            return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail)
        if learned.proves_absence:
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, f"not there, by {learned.best.value}")
        now = self._monotonic()
        if doubt.absent_since is None:
            doubt.absent_since = now
        gap = self._settings.limits.settle if self._settings.sandbox else max(ASK_AGAIN, self._settings.limits.settle)
        if now - doubt.absent_since < gap:
            return _unknown(f"not found by {learned.best.value}, which proves nothing yet; asked again later")
        doubt.resent, doubt.absent_since = True, None
        detail = f"not found twice by {learned.best.value}, which is not proven"
        return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, detail, flags=(Reason.POSSIBLE_DUPLICATE,))

    async def _complete(
        self,
        desk: Desk,
        stored: Stored,
        ticket: Found,
        flags: tuple[Reason, ...],
        ours: Sequence[JsonObject],
    ) -> Outcome:
        """A half-made ticket: when nothing has changed for a while, it gets what is missing."""
        doubt = self._doubt(stored.marker)
        seen = f"{ticket.id} {ticket.raw.get('updated_at')} {ticket.raw.get('article_count')} {len(ours)}"
        now = self._monotonic()
        if doubt.half != seen:
            doubt.half, doubt.half_since = seen, now
        if now - doubt.half_since < self._settings.limits.settle:
            return _unknown(f"ticket {ticket.number} is there and not whole; looked at again before it is completed")
        message = article.rest_of(stored.article, ours) if ours else stored.article
        outcome = await self._put(desk, stored, ticket, {"article": message}, flags)
        if outcome.kind is OutcomeKind.REJECTED and message.get("attachments"):
            bare = {key: value for key, value in message.items() if key != "attachments"}
            bare = article.with_line(bare, "Its attachments were refused by the help desk.")
            outcome = await self._put(desk, stored, ticket, {"article": bare}, (*flags, Reason.FIELD_REFUSED))
        if outcome.kind is OutcomeKind.DELIVERED:
            self._doubts.pop(stored.marker.key, None)
            return replace(outcome, reason=Reason.FOUND, detail=f"{outcome.detail}, found half made and completed")
        return outcome

    # ----------------------------------------------------------------------------------------------------- follow-ups

    async def _follow_up(self, desk: Desk, order: Order, stored: Stored, learned: Learned) -> Outcome:
        """One PUT makes the note and the change of state, or none of both."""
        found = await desk.located(_id_of(order), learned.states)
        if isinstance(found, Gone):
            return await self._replace(desk, order, stored, learned, found)
        place = _Place(found, (Reason.TICKET_MOVED,) if str(found.id) != _id_of(order) else ())
        closed = found.state.kind is TicketState.CLOSED
        if closed and closed_by_hand(order) == "stay_quiet":
            return self._left_alone(place, Reason.CLOSED_BY_HAND, f"ticket {found.number} was closed by hand")
        if closed and order.draft.closed_by_hand == "new" and stored.ticket:
            return await self._replace(desk, order, stored, learned, found)
        if order.draft.only_if_untouched and not closed:
            touched = await self._touched(desk, place)
            if touched:
                told = f"ticket {found.number} stays as it is: {touched}; the recovery was added as a note"
                outcome = await self._put(
                    desk, stored, found, {"article": stored.article}, place.flags, known=order.ticket
                )
                return skipped(outcome, Reason.TOUCHED, told)
        body, flags = self._change(order, stored, place, learned)
        return await self._put(desk, stored, place.ticket, body, flags, known=order.ticket)

    def _change(
        self, order: Order, stored: Stored, place: _Place, learned: Learned
    ) -> tuple[JsonObject, tuple[Reason, ...]]:
        """The body of the PUT, and what is to be told of the ticket's state."""
        body: JsonObject = {**stored.change, "article": stored.article}
        body.pop("tags", None)  # a PUT does not take them; see `_tag`
        now, states, flags = place.ticket.state, learned.states, place.flags
        if order.kind is ActionKind.CLOSE:
            if now.kind is TicketState.CLOSED:
                return body, (*flags, Reason.TICKET_WAS_CLOSED)
            wanted = state_for(states, self._settings.states.closed, TicketState.CLOSED)
            if wanted is None:
                raise Stopped(_no_state(self._settings.states.closed or "closed"))
            return {**body, "state_id": wanted.id}, flags
        by_hand = now.kind is TicketState.CLOSED and order.draft.closed_by_hand == "reopen"
        flags = (*flags, Reason.CLOSED_BY_HAND) if by_hand else flags
        reopens = by_hand or order.kind is ActionKind.REOPEN or (order.kind is ActionKind.APPEND and order.draft.reopen)
        if reopens and (now.kind is TicketState.CLOSED or now.type == PENDING_ACTION):
            wanted = state_for(states, self._settings.states.open, TicketState.OPEN)
            if wanted is None:
                raise Stopped(_no_state(self._settings.states.open or "open"))
            return {**body, "state_id": wanted.id}, flags
        if now.kind is TicketState.CLOSED and order.kind is ActionKind.APPEND:
            flags = (*flags, Reason.TICKET_WAS_CLOSED)
        return body, flags

    async def _put(
        self,
        desk: Desk,
        stored: Stored,
        ticket: Found,
        body: JsonObject,
        flags: tuple[Reason, ...],
        *,
        known: TicketRef | None = None,
    ) -> Outcome:
        try:
            one = await desk.ask("PUT", f"/tickets/{ticket.id}?expand=true", body)
        except CallFailed as failure:
            return failure_outcome(failure)
        if answers.ticket_id(one) == ticket.id:
            self._doubts.pop(stored.marker.key, None)
            flags = (*flags, *await self._tag(desk, stored, ticket))
            return self._delivered(stored, ticket, Reason.DELIVERED, flags, known)
        if one.good:
            detail = answers.detail(one, "not the answer of an update")
            return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)
        if one.status == 404 and one.error:  # deleted between our look and our call: the next attempt replaces it
            return Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, answers.detail(one), retry_after=0.0)
        if one.is_masked:
            self._doubt(stored.marker).masked += 1
        return answers.after_write(one, stored.sent, files=bool(stored.article.get("attachments")))

    async def _tag(self, desk: Desk, stored: Stored, ticket: Found) -> tuple[Reason, ...]:
        """Tags of an update have an address of their own; to add one twice does no harm."""
        for tag in filter(None, str(stored.change.get("tags") or "").split(",")):
            body: JsonObject = {"object": "Ticket", "o_id": ticket.id, "item": tag}
            try:
                one = await desk.ask("POST", "/tags/add", body)
            except CallFailed:
                return (Reason.FIELD_REFUSED,)
            if not one.good:
                return (Reason.FIELD_REFUSED,)
        return ()

    async def _resolve_follow_up(
        self, desk: Desk, order: Order, stored: Stored, ticket: Found, learned: Learned
    ) -> Outcome:
        """Its article is in the list, or it was not written: the list comes from the database itself."""
        moved = (Reason.TICKET_MOVED,) if str(ticket.id) != _id_of(order) else ()
        if our_article(await desk.articles(ticket.id), stored.marker) is not None:
            flags = (*moved, *await self._tag(desk, stored, ticket))
            outcome = self._settled(stored, ticket, flags, "", order.ticket)
            if order.draft.only_if_untouched and ticket.state.kind is not TicketState.CLOSED:
                told = f"ticket {ticket.number} stays as it is; the recovery was added as a note"
                return skipped(outcome, Reason.TOUCHED, told)
            return outcome
        if order.draft.closed_by_hand == "new" and stored.ticket:  # the call may have made a ticket of its own
            made = await self._resolve_create(desk, stored, learned)
            if made.kind is not OutcomeKind.NOT_SENT:
                return _replaced(made)
        doubt = self._doubt(stored.marker)
        if doubt.masked >= MOST_MASKED:
            self._doubts.pop(stored.marker.key, None)
            detail = (
                f"Zammad answered {MOST_MASKED} times with an error that only its own log explains; nothing was written"
            )
            return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail)
        return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, f"not among the articles of ticket {ticket.number}")

    async def _replace(
        self, desk: Desk, order: Order, stored: Stored, learned: Learned, before: Found | Gone
    ) -> Outcome:
        """The ticket was deleted, or closed by hand: a problem gets a new one, an end needs none."""
        if isinstance(before, Gone) and not (stored.ticket and order.in_place):
            return self._gone(before)
        assert order.ticket is not None
        line = follows_on(order.ticket, gone=isinstance(before, Gone))
        told = replace(stored, article=article.with_line(stored.article, line))
        if isinstance(before, Found):
            told = replace(told, ticket={**stored.ticket, "links": {"Ticket": {"normal": [before.id]}}})
        outcome = await self._create(desk, told, learned)
        if (
            outcome.kind is OutcomeKind.REJECTED and "links" in told.ticket
        ):  # it wrote nothing, and the text names the other
            outcome = await self._create(desk, replace(told, ticket=stored.ticket), learned)
        return _replaced(outcome, () if isinstance(before, Gone) else (Reason.CLOSED_BY_HAND,))

    async def _touched(self, desk: Desk, place: _Place) -> str:
        """What persons did to the ticket, in one line; empty if nothing."""
        if Reason.TICKET_MOVED in place.flags:
            return "a person merged it"
        if not self._user:
            self._user = await our_user(desk)
        return "; ".join(await deeds(desk, place.ticket, self._user))

    def _left_alone(self, place: _Place, reason: Reason, detail: str) -> Outcome:
        return Outcome(OutcomeKind.SKIPPED, reason, detail, flags=place.flags)

    def _gone(self, gone: Gone) -> Outcome:
        return Outcome(OutcomeKind.SKIPPED, Reason.TICKET_GONE, gone.detail)

    # -------------------------------------------------------------------------------------------------------- outcomes

    def _doubt(self, marker: Marker) -> _Doubt:
        while len(self._doubts) >= _MOST_REMEMBERED:
            self._doubts.pop(next(iter(self._doubts)))
        return self._doubts.setdefault(marker.key, _Doubt())

    def _settled(
        self, stored: Stored, ticket: Found, flags: tuple[Reason, ...], others: str, known: TicketRef | None = None
    ) -> Outcome:
        self._doubts.pop(stored.marker.key, None)
        outcome = self._delivered(stored, ticket, Reason.FOUND, flags, known)
        return replace(outcome, detail=f"{outcome.detail}; also there: {others}") if others else outcome

    def _delivered(
        self, stored: Stored, ticket: Found, reason: Reason, flags: tuple[Reason, ...], known: TicketRef | None = None
    ) -> Outcome:
        same = known if known is not None and known.id == str(ticket.id) else None
        reference = replace(
            self._reference(ticket),
            anchor=same.anchor if same is not None and same.anchor else stored.marker.message_id,
            requester=same.requester if same is not None and same.requester else stored.requester,
        )
        return Outcome(
            OutcomeKind.DELIVERED,
            reason,
            f"ticket {ticket.number}",
            ticket=reference,
            flags=tuple(dict.fromkeys(flags)),
        )

    def _reference(self, ticket: Found) -> TicketRef:
        return TicketRef(
            helpdesk=self._name,
            id=str(ticket.id),
            number=ticket.number,
            url=self.page_of(ticket.id, ticket.number),
            fingerprint=self.fingerprint,
        )

    def page_of(self, ticket: int | str, number: str) -> str:
        """The address of a ticket's page for people."""
        page = self._settings.ticket_url or f"{self._settings.base}/#ticket/zoom/{{id}}"
        return page.replace("{number}", quote(number, safe="")).replace("{id}", quote(str(ticket), safe=""))


def _id_of(order: Order) -> str:
    assert order.ticket is not None  # `prepare` refuses a follow-up without one
    return order.ticket.id


def _lost(stored: Stored, made: Found, marker_attribute: str) -> list[str]:
    """Attributes that Zammad does not know: it drops them without a word, and its answer does not show them."""
    ours = {*DOCUMENTED, *(f"{name}_id" for name in DOCUMENTED), "title", "links", marker_attribute}
    return [name for name in stored.ticket if name not in ours and name not in made.raw]


def _files(ours: JsonObject) -> int:
    """How many files an article shows: inline images are among them."""
    return len(article.strings(ours.get("attachments")))


def _replaced(outcome: Outcome, why: tuple[Reason, ...] = ()) -> Outcome:
    """A create in the place of a follow-up."""
    if outcome.kind is not OutcomeKind.DELIVERED:
        return outcome
    return replace(outcome, flags=(*outcome.flags, *why, Reason.TICKET_REPLACED))


def _unknown(detail: str) -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)


def _no_state(name: str) -> Outcome:
    detail = f"this Zammad has no active state {name!r}; see `states` in the help desk's settings"
    return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail)
