"""OTOBO and Znuny: tickets by the Generic Interface, found again by a marker, completed where a call died half-way."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.helpdesks.operations import TicketState
from gateway.helpdesks.otobo import files, requests
from gateway.helpdesks.otobo.answers import NOTHING_CREATED, no_access
from gateway.helpdesks.otobo.fields import DOCUMENTED, FieldProblem, check_fields
from gateway.helpdesks.otobo.finding import Finder, Proof, cannot_tell
from gateway.helpdesks.otobo.persons import deeds
from gateway.helpdesks.otobo.reading import NEWEST, Seen, follow, look
from gateway.helpdesks.otobo.requests import Stored
from gateway.helpdesks.otobo.service import Service
from gateway.helpdesks.otobo.settings import Call, WebService
from gateway.helpdesks.persons import closed_by_hand, follows_on, skipped, with_line
from gateway.helpdesks.protocol import Capabilities, Certainty, Http, Order
from gateway.helpdesks.standing import Standing
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

CAPABILITIES = Capabilities(
    actions=frozenset(ActionKind), certainty=Certainty.STRONG_LOOKUP, readable=True, fields=DOCUMENTED, open_fields=True
)

_MARKER = re.compile(r"[0-9a-f]{8,64}")
_MOST_REMEMBERED = 10_000
_MOST_FAULTS = 3  # of one kind that mostly lasts and sometimes passes


class OtoboConnector:
    """One OTOBO or Znuny (`gateway.helpdesks.protocol.Connector`)."""

    def __init__(self, name: str, settings: WebService) -> None:
        """``name`` is its name in the configuration."""
        self._name = name
        self._settings = settings
        self.service = Service(settings)
        self.finder = Finder(self.service, settings)
        self._faults: dict[str, int] = {}  # marker -> how often the create was refused without a reason
        self._looked: dict[str, tuple[str, float]] = {}  # marker -> how its half-made ticket looks, and since when

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. A title can be edited by agents, and a marker that was not found again proves nothing."""
        if self.finder.broken:
            return replace(CAPABILITIES, certainty=Certainty.NONE)
        if self._settings.finds_by == "title":
            return replace(CAPABILITIES, certainty=Certainty.EVENTUAL_LOOKUP)
        return CAPABILITIES

    @property
    def fingerprint(self) -> str:
        """Kind and address; the interface says nothing of the installation."""
        return f"{self._settings.kind} {self._settings.url.rstrip('/')}"

    def check_fields(self, fields: Mapping[str, JsonValue]) -> list[FieldProblem]:
        """What is wrong with a route's ``ticket.fields``."""
        return check_fields(fields, self._settings)

    def requester(self, draft: TicketDraft) -> str:  # noqa: ARG002 - the protocol's signature
        """Empty: an address that the helpdesk does not know makes no record, so creates need not wait for each other."""
        return ""

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:  # noqa: ARG002 - as above
        """Files that do not fit into one request follow in articles of their own."""
        return files.split(draft, per_file=self._settings.max_attachment, per_body=self._settings.max_body)

    def prepare(self, order: Order) -> bytes:
        """The stored request.

        Raises:
            ValueError: the draft has a field that the helpdesk would misunderstand, or there is no ticket to follow up.
        """
        if not _MARKER.fullmatch(order.marker):
            raise ValueError(
                f"marker {order.marker!r} is not lower-case hexadecimal; the helpdesk compares without case"
            )
        make = requests.create if order.kind is ActionKind.CREATE else requests.follow_up
        return make(order, self._settings).write()

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Make the call. A follow-up reads the ticket first: where it was merged, and what its state is."""
        stored, deadline = Stored.read(request), self.deadline(timeout)
        if order.kind is ActionKind.CREATE:
            outcome = await self._create(order, stored, http, deadline)
        else:
            outcome = await self._follow_up(order, stored, http, deadline)
        if outcome.kind is not OutcomeKind.AUTH_BROKEN:
            return outcome
        # A refused log-in never concerns one ticket alone. If it works again at once, the call is simply made again.
        again = await self.probe(http, timeout=timeout)
        well = again.kind is OutcomeKind.DELIVERED
        return replace(outcome, kind=OutcomeKind.HELPDESK_DOWN, reason=Reason.HELPDESK_DOWN) if well else outcome

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Find out what an unknown outcome was; complete what was left half-made once it does not change any more."""
        stored, deadline = Stored.read(request), self.deadline(timeout)
        if order.kind is ActionKind.CREATE:
            outcome = await self._resolve_create(order, stored, http, deadline)
        else:
            outcome = await self._resolve_follow_up(order, stored, http, deadline)
        if outcome.kind is not OutcomeKind.UNKNOWN:
            self._looked.pop(order.marker, None)
        return outcome

    async def probe(self, http: Http, *, timeout: float) -> Outcome:
        """Log in anew and search for a value that no ticket has: it must find nothing. Writes nothing but a session."""
        deadline = self.deadline(timeout)
        refused = await self.service.log_in(http, deadline)
        if refused is not None:
            return refused
        honoured = await self.finder.honoured(http, deadline)
        if isinstance(honoured, Outcome):
            return honoured
        if not honoured:
            return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, self.ignored())
        return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, "it answers, takes the log-in and honours the search")

    async def standing(self, ticket: TicketRef, http: Http, *, timeout: float) -> Standing | Outcome:
        """How a ticket of ours stands (`gateway.helpdesks.standing`)."""
        deadline = self.deadline(timeout)
        seen = await look(self.service, ticket.id, http, deadline, articles=0)
        if not isinstance(seen, Outcome):
            seen = await follow(self.service, seen, http, deadline, articles=0)
        if no_access(seen):
            return Standing(None, TicketState.REMOVED, detail=f"ticket {ticket.number} is gone, or not to be seen")
        if isinstance(seen, Outcome):
            return seen
        found = seen.ticket
        if found.state in {TicketState.REMOVED, TicketState.MERGED}:
            return Standing(None, found.state, detail=f"ticket {found.ref.number} is {found.state.value}")
        touched: str | Outcome = ""
        if found.state.is_open:
            touched = await self._touched(ticket, seen, http, deadline)
        if isinstance(touched, Outcome):
            return touched
        page = self._settings.ticket_url.replace("{number}", found.ref.number).replace("{id}", found.ref.id)
        ref = replace(found.ref, helpdesk=self._name, fingerprint=self.fingerprint, url=page)
        return Standing(ref, found.state, (touched,) if touched else ())

    def ignored(self) -> str:
        """What to say where a search answers with everything."""
        if self._settings.finds_by == "title":
            return (
                "a search for a title that no ticket has found tickets: `Title` is not honoured by the search's route"
            )
        return (
            f"a search for a marker that no ticket has found tickets: there is no valid dynamic field "
            f"{self._settings.dynamic_field!r} for tickets, or the search's route drops it; import it: "
            f"ticket-gateway helpdesk setup {self._name}"
        )

    @staticmethod
    def deadline(timeout: float) -> float:
        """The instant of the loop's clock at which a call that may take so long has to be over."""
        return asyncio.get_running_loop().time() + timeout

    # -------------------------------------------------------------------------------------------------------- creates

    async def _create(
        self, order: Order, stored: Stored, http: Http, deadline: float, flags: tuple[Reason, ...] = ()
    ) -> Outcome:
        heard = await self.service.ask(Call.CREATE, stored.body, http, deadline, sent=stored.parts)
        if isinstance(heard, Outcome):
            return self._may_pass(order, heard)
        ticket, number = str(heard.get("TicketID", "")), str(heard.get("TicketNumber", ""))
        if not ticket or not number:
            return cannot_tell("the answer to the create names no ticket")
        await self.finder.learn(ticket, order.marker, http, deadline)
        ref = TicketRef(self._name, ticket, number, requester=_customer(stored))
        detail = f"ticket {number}" + (f"; {self.finder.broken}" if self.finder.broken else "")
        return self._delivered(Reason.DELIVERED, ref, detail, flags)

    async def _resolve_create(self, order: Order, stored: Stored, http: Http, deadline: float) -> Outcome:
        found = await self.finder.find(order.marker, http, deadline)
        if isinstance(found, Outcome):
            return _undecided(found)
        if found.tickets:
            flags = (Reason.POSSIBLE_DUPLICATE,) if len(found.tickets) > 1 else ()
            return await self._adopt(order, stored, found.tickets[0], http, deadline, flags)
        if found.foreign:
            return cannot_tell(
                f"the look-up found {found.foreign} tickets that do not bear the marker; {self.ignored()}"
            )
        proof = await self.finder.proof(http, deadline)
        if isinstance(proof, Outcome):
            return _undecided(proof)
        if proof is Proof.PROVEN:
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "the look-up proves that no ticket was made")
        if proof is Proof.IGNORED:
            return cannot_tell(self.ignored())
        return await self._without_proof(order, stored, http, deadline)

    async def _without_proof(self, order: Order, stored: Stored, http: Http, deadline: float) -> Outcome:
        """Nothing of ours was ever found here, so finding nothing proves nothing. Other tickets may change that soon."""
        why = self.finder.broken or "no ticket of the gateway can be found in this helpdesk yet"
        if not self._settled(order.marker, "nothing"):
            return cannot_tell(f"the look-up found nothing, which proves nothing: {why}")
        if self._settings.on_unknown == "resend":
            return await self._create(order, stored, http, deadline, (Reason.POSSIBLE_DUPLICATE,))
        return Outcome(
            OutcomeKind.REJECTED,
            Reason.UNKNOWN_OUTCOME,
            f"it cannot be known whether the ticket was made: {why}. Look for it by hand, then retry or drop this; "
            "`on_unknown: resend` sends again in such cases",
        )

    async def _adopt(
        self, order: Order, stored: Stored, seen: Seen, http: Http, deadline: float, flags: tuple[Reason, ...] = ()
    ) -> Outcome:
        """Take a ticket that bears our marker; complete it if it was left half-made."""
        lacks_article, files_there = _progress(seen, order, stored)
        lacks_fields = {name: value for name, value in stored.dynamic.items() if name not in seen.dynamic}
        ref = replace(seen.ticket.ref, helpdesk=self._name)
        if not lacks_article and files_there >= len(stored.files) and not lacks_fields:
            return self._delivered(Reason.FOUND, ref, f"ticket {ref.number}, found by its marker", flags)
        if not self._settled(order.marker, seen.looks):
            return cannot_tell(f"ticket {ref.number} is there and not complete; it may still be being made")
        if lacks_article or files_there < len(stored.files):
            missing = stored.files if lacks_article else stored.files[files_there:]
            rest = requests.rest_of(stored, missing, with_article=lacks_article, marker=order.marker)
            heard = await self.service.ask(Call.UPDATE, {**rest, "TicketID": ref.id}, http, deadline)
            if isinstance(heard, Outcome):
                return heard if heard.kind is OutcomeKind.REJECTED else _undecided(heard)
        if lacks_fields:
            rest = {"DynamicField": [{"Name": name, "Value": value} for name, value in lacks_fields.items()]}
            heard = await self.service.ask(Call.UPDATE, {**rest, "TicketID": ref.id}, http, deadline)
            if isinstance(heard, Outcome):
                flags = (*flags, Reason.FIELD_REFUSED)
        return self._delivered(Reason.FOUND, ref, f"ticket {ref.number} was half-made and is complete now", flags)

    # ----------------------------------------------------------------------------------------------------- follow-ups

    async def _follow_up(self, order: Order, stored: Stored, http: Http, deadline: float) -> Outcome:
        assert order.ticket is not None
        seen = await self._current(order, http, deadline)
        if no_access(seen) and order.in_place:
            return await self._without_ticket(order, http, deadline)
        if isinstance(seen, Outcome):
            return seen
        found = seen.ticket
        if (
            found.state in {TicketState.REMOVED, TicketState.MERGED} and order.in_place
        ):  # removed, or merged into one that we cannot see
            return await self._without_ticket(order, http, deadline)
        by_hand = closed_by_hand(order) if found.state is TicketState.CLOSED else ""
        if by_hand == "stay_quiet":
            return Outcome(OutcomeKind.SKIPPED, Reason.CLOSED_BY_HAND, f"ticket {found.ref.number} was closed by hand")
        if by_hand == "new":
            return await self._in_place(order, found.ref, http, deadline)
        if order.draft.only_if_untouched and found.state is not TicketState.CLOSED:
            touched = await self._touched(order.ticket, seen, http, deadline)
            if isinstance(touched, Outcome):
                return touched
            if touched:
                note = {name: value for name, value in stored.body.items() if name in {"Article", "Attachment"}}
                heard = await self.service.ask(Call.UPDATE, {**note, "TicketID": found.ref.id}, http, deadline)
                if isinstance(heard, Outcome):
                    return heard
                told = f"ticket {found.ref.number} stays as it is: {touched}; the recovery was added as a note"
                return Outcome(OutcomeKind.SKIPPED, Reason.TOUCHED, told)
        wish = "reopen" if by_hand else stored.wish
        change, told = _state_change(wish, found.state, self._settings)
        whole: JsonObject = {**stored.body, "TicketID": found.ref.id}
        fields = stored.body.get("Ticket")
        ticket: JsonObject = {**(fields if isinstance(fields, dict) else {}), **change}
        if ticket:
            whole["Ticket"] = ticket
        heard = await self.service.ask(Call.UPDATE, whole, http, deadline, sent=stored.parts)
        if isinstance(heard, Outcome):
            return heard
        ref = self._known(order, found.ref)
        flags = (Reason.TICKET_MOVED,) if order.ticket.id != ref.id else ()
        flags = (*flags, Reason.CLOSED_BY_HAND) if by_hand else flags
        return self._delivered(Reason.DELIVERED, ref, f"ticket {ref.number}{told}", flags)

    async def _touched(self, ours: TicketRef, seen: Seen, http: Http, deadline: float) -> str | Outcome:
        """What persons did to the ticket, in one line; empty if nothing."""
        if ours.id != seen.ticket.ref.id:
            return "a person merged it"
        found = await deeds(self.service, seen, http, deadline)
        return found if isinstance(found, Outcome) else "; ".join(found)

    async def _without_ticket(self, order: Order, http: Http, deadline: float) -> Outcome:
        """The ticket is deleted, or where our agent may not see it: a problem gets a new one, an end needs none."""
        assert order.ticket is not None
        if order.kind is ActionKind.CLOSE:
            detail = f"ticket {order.ticket.number} is gone, or where our agent may not see it"
            return Outcome(OutcomeKind.SKIPPED, Reason.TICKET_GONE, detail)
        return await self._in_place(order, None, http, deadline)

    async def _in_place(self, order: Order, closed: TicketRef | None, http: Http, deadline: float) -> Outcome:
        """A new ticket in the place of one that is gone, or that was ``closed`` by hand."""
        assert order.ticket is not None
        line = follows_on(closed or order.ticket, gone=closed is None)
        try:
            new, stored = self._new(order, line)
        except ValueError as error:
            detail = f"ticket {order.ticket.number} needs a new one in its place, which cannot be made: {error}"
            return Outcome(OutcomeKind.REJECTED, Reason.REJECTED, detail)
        outcome = await self._create(new, stored, http, deadline)
        return _replaced(outcome, () if closed is None else (Reason.CLOSED_BY_HAND,))

    def _new(self, order: Order, line: str = "") -> tuple[Order, Stored]:
        """The create that stands in for a follow-up; it bears the same marker, so that it can be looked up by it."""
        draft = replace(with_line(order.draft, line), quiet=False)
        new = replace(order, kind=ActionKind.CREATE, ticket=None, draft=draft)
        return new, requests.create(new, self._settings)

    async def _current(self, order: Order, http: Http, deadline: float) -> Seen | Outcome:
        """The ticket, or the one that it was merged into."""
        assert order.ticket is not None
        seen = await look(self.service, order.ticket.id, http, deadline, articles=0)
        return seen if isinstance(seen, Outcome) else await follow(self.service, seen, http, deadline, articles=0)

    async def _resolve_follow_up(self, order: Order, stored: Stored, http: Http, deadline: float) -> Outcome:
        """By its article; the state is written before the article, so where that is, the state was set."""
        assert order.ticket is not None
        first = await look(self.service, order.ticket.id, http, deadline, articles=NEWEST)
        last = (
            first if isinstance(first, Outcome) else await follow(self.service, first, http, deadline, articles=NEWEST)
        )
        if isinstance(last, Outcome) and not no_access(last):
            return _undecided(last)
        for seen in (first, last):
            if isinstance(seen, Seen) and seen.own_articles(order.marker):
                moved = (Reason.TICKET_MOVED,) if seen is not first else ()
                outcome = await self._adopt(order, stored, seen, http, deadline, moved)
                if order.draft.only_if_untouched and seen.ticket.state is not TicketState.CLOSED:
                    told = f"ticket {seen.ticket.ref.number} stays as it is; the recovery was added as a note"
                    return skipped(outcome, Reason.TOUCHED, told)
                return outcome
        replaces = order.in_place and order.kind is not ActionKind.CLOSE
        if replaces and (isinstance(last, Outcome) or order.draft.closed_by_hand == "new"):
            try:
                new, create = self._new(order)
            except ValueError:  # then the call has made none either
                return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "no ticket can be made of it")
            made = await self._resolve_create(new, create, http, deadline)  # the call may have made one
            if made.kind is not OutcomeKind.NOT_SENT:
                return _replaced(made)
        if isinstance(last, Outcome) and not replaces:
            return last
        if "Article" not in stored.body:
            return cannot_tell("a change without an article cannot be told from what others did")
        return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "the ticket has no article with this marker")

    # ----------------------------------------------------------------------------------------------------------- parts

    def _may_pass(self, order: Order, outcome: Outcome) -> Outcome:
        """A create that failed at its first row is tried again before it is set aside; nothing was written."""
        if outcome.kind is not OutcomeKind.REJECTED or NOTHING_CREATED not in outcome.detail:
            return outcome
        count = self._faults.pop(order.marker, 0) + 1
        if count >= _MOST_FAULTS:
            return outcome
        if len(self._faults) >= _MOST_REMEMBERED:
            self._faults.pop(next(iter(self._faults)))
        self._faults[order.marker] = count
        return replace(outcome, kind=OutcomeKind.HELPDESK_DOWN, reason=Reason.HELPDESK_DOWN, degrade=())

    def _known(self, order: Order, found: TicketRef) -> TicketRef:
        """The incident's own reference where it is still that ticket."""
        return order.ticket if order.ticket is not None and order.ticket.id == found.id else found

    def _delivered(self, reason: Reason, ref: TicketRef, detail: str, flags: Sequence[Reason] = ()) -> Outcome:
        page = self._settings.ticket_url.replace("{number}", ref.number).replace("{id}", ref.id)
        whole = replace(ref, helpdesk=self._name, fingerprint=self.fingerprint, url=ref.url or page)
        return Outcome(OutcomeKind.DELIVERED, reason, detail, ticket=whole, flags=tuple(dict.fromkeys(flags)))

    def _settled(self, marker: str, looks: str) -> bool:
        """Whether it has looked the same for as long as a call may go on after its deadline."""
        now = asyncio.get_running_loop().time()
        before = self._looked.get(marker)
        if before is not None and before[0] == looks:  # a ticket without articles and fields looks like nothing at all
            return now - before[1] >= 0.9 * self._settings.limits.settle  # delivery's clock is another one
        if len(self._looked) >= _MOST_REMEMBERED:
            self._looked.pop(next(iter(self._looked)))  # that one is looked at once more
        self._looked[marker] = (looks, now)
        return False


def _replaced(outcome: Outcome, why: tuple[Reason, ...] = ()) -> Outcome:
    """A create in the place of a follow-up."""
    if outcome.kind is not OutcomeKind.DELIVERED:
        return outcome
    return replace(outcome, flags=(*outcome.flags, *why, Reason.TICKET_REPLACED))


def _undecided(outcome: Outcome) -> Outcome:
    """A look-up that failed leaves the first call as unknown as before."""
    if outcome.kind is OutcomeKind.AUTH_BROKEN:
        return outcome
    return replace(outcome, kind=OutcomeKind.UNKNOWN, degrade=())


def _progress(seen: Seen, order: Order, stored: Stored) -> tuple[bool, int]:
    """(whether the article is missing, files that our articles have)."""
    own = seen.own_articles(order.marker)
    return "Article" in stored.body and not own, sum(len(article.files) for article in own)


def _customer(stored: Stored) -> str:
    ticket = stored.body.get("Ticket")
    return str(ticket.get("CustomerUser", "")) if isinstance(ticket, dict) else ""


def _state_change(wish: str, state: TicketState, settings: WebService) -> tuple[JsonObject, str]:
    """What to send of the state, and what people should know of how the ticket was found.

    An article alone never opens a closed ticket, and what an agent closed keeps the state that the agent chose.
    """
    if wish == "close":
        if state in {TicketState.CLOSED, TicketState.MERGED, TicketState.REMOVED}:
            return {}, f"; it was {state.value} already"
        return {"State": settings.closed_state}, ""
    if wish == "reopen":
        return (
            ({}, "") if state.is_open else ({"State": settings.open_state}, f"; it was {state.value} and is open again")
        )
    return {}, "" if state.is_open else f"; it was {state.value} by somebody else and stays so"
