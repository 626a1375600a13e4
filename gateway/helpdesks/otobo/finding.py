"""Was a create carried out? The look-up by marker, and the proof that finding nothing means something.

A criterion that the helpdesk does not know, or that comes in a wrong shape, is dropped without a word, and then all
tickets match. An agent without the right to read finds nothing at all. So a hit counts only after it was read and bears
the marker, and absence only from a criterion that finds nothing for a random value and does find a ticket of ours.
"""

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from gateway.helpdesks.otobo.fields import DYNAMIC
from gateway.helpdesks.otobo.reading import NEWEST, Seen, look, search
from gateway.helpdesks.otobo.service import Service
from gateway.helpdesks.otobo.settings import WebService
from gateway.helpdesks.otobo.text import tag
from gateway.helpdesks.protocol import Http
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason

_IN_TITLE = re.compile(rf"{tag('')}([0-9a-f]{{8,64}})")

MOST_HITS = 20
"""Tickets with one marker that are looked at; more say that the criterion was not honoured."""


class Proof(StrEnum):
    """What finding nothing is worth on this helpdesk."""

    PROVEN = "proven"
    UNPROVEN = "unproven"  # nothing of ours can be found yet, so it is not known whether it could be
    IGNORED = "ignored"  # the criterion is dropped: a search answers with tickets that do not match


@dataclass(frozen=True, slots=True)
class Found:
    """The tickets that bear a marker, the oldest first. ``foreign`` were answered too and do not bear it."""

    tickets: tuple[Seen, ...]
    foreign: int


class Finder:
    """Look-ups by marker on one helpdesk; remembers what was proven since the start."""

    def __init__(self, service: Service, settings: WebService) -> None:
        """Opens nothing."""
        self._service = service
        self._settings = settings
        self.proven = False
        self.broken = ""
        """Why our markers cannot be found again, if that was seen; then no look-up proves anything."""

    async def find(self, marker: str, http: Http, deadline: float) -> Found | Outcome:
        """The tickets that bear a marker, each read again."""
        ids = await search(self._service, self._bearing(marker), http, deadline)
        if isinstance(ids, Outcome):
            return ids
        tickets: list[Seen] = []
        for one in sorted(ids[:MOST_HITS], key=_number):
            seen = await look(self._service, one, http, deadline, articles=NEWEST)
            if isinstance(seen, Outcome):
                return seen
            if self.bears(seen, marker):
                tickets.append(seen)
        return Found(tuple(tickets), len(ids) - len(tickets))

    def bears(self, seen: Seen, marker: str) -> bool:
        """Whether a ticket has exactly this marker: the search itself compares without case."""
        if self._settings.finds_by == "title":
            return tag(marker) in seen.ticket.title
        return seen.dynamic.get(self._settings.dynamic_field) == marker

    async def honoured(self, http: Http, deadline: float) -> bool | Outcome:
        """Whether a value that no ticket has finds nothing."""
        ids = await search(self._service, self._bearing(secrets.token_hex(16)), http, deadline)
        return ids if isinstance(ids, Outcome) else not ids

    async def proof(self, http: Http, deadline: float) -> Proof | Outcome:
        """What finding nothing is worth, tried each time: rights and fields can be taken away at any time."""
        honoured = await self.honoured(http, deadline)
        if isinstance(honoured, Outcome):
            return honoured
        if not honoured:
            return Proof.IGNORED
        if self.broken:
            return Proof.UNPROVEN
        again = await self._finds_one_of_ours(http, deadline)
        if isinstance(again, Outcome):
            return again
        self.proven = again
        return Proof.PROVEN if self.proven else Proof.UNPROVEN

    async def learn(self, ticket: str, marker: str, http: Http, deadline: float) -> None:
        """After a create that was answered: can its marker be found? Once is enough; what cannot be asked is left."""
        if self.proven:
            return
        ids = await search(self._service, self._bearing(marker), http, deadline)
        if isinstance(ids, Outcome):
            return
        seen = await look(self._service, ticket, http, deadline, articles=0)
        if isinstance(seen, Outcome):
            return
        if ticket in ids and self.bears(seen, marker):
            self.proven, self.broken = True, ""
        else:
            self.broken = f"ticket {ticket} was made, but its marker cannot be found; " + (
                "has the title been changed?"
                if self._settings.finds_by == "title"
                else f"is there a dynamic field {self._settings.dynamic_field}, and may the agent read the queue?"
            )

    async def _finds_one_of_ours(self, http: Http, deadline: float) -> bool | Outcome:
        """Take any ticket with a marker, and search for that very marker."""
        ids = await search(self._service, self._any_of_ours(), http, deadline)
        if isinstance(ids, Outcome):
            return ids
        for one in ids[:1]:
            seen = await look(self._service, one, http, deadline, articles=0)
            if isinstance(seen, Outcome):
                return seen
            marker = self._marker_of(seen)
            found = await search(self._service, self._bearing(marker), http, deadline) if marker else ()
            return found if isinstance(found, Outcome) else one in found
        return False

    def _marker_of(self, seen: Seen) -> str:
        if self._settings.finds_by == "title":
            match = _IN_TITLE.search(seen.ticket.title)
            return match[1] if match is not None else ""
        value = seen.dynamic.get(self._settings.dynamic_field)
        return value if isinstance(value, str) else ""

    def _bearing(self, marker: str) -> JsonObject:
        if self._settings.finds_by == "title":
            return self._limited({"Title": f"%{tag(marker)}%"})
        return self._limited({f"{DYNAMIC}{self._settings.dynamic_field}": {"Equals": marker}})

    def _any_of_ours(self) -> JsonObject:
        if self._settings.finds_by == "title":
            return self._limited({"Title": f"% {tag('%')}"}, 1)
        return self._limited({f"{DYNAMIC}{self._settings.dynamic_field}": {"Empty": 0}}, 1)

    @staticmethod
    def _limited(criteria: JsonObject, limit: int = MOST_HITS) -> JsonObject:
        return {**criteria, "SearchInArchive": "AllTickets", "Limit": limit}


def cannot_tell(why: str) -> Outcome:
    """A look-up that proves nothing."""
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, why)


def _number(ticket: str) -> tuple[int, str]:
    return (int(ticket) if ticket.isascii() and ticket.isdigit() else 0, ticket)
