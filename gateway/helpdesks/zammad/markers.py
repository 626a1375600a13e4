"""Which markers this Zammad lets us find again, and the look-up by them.

A search that is not understood brings the latest tickets, not an error, and one over the search index lags behind. So a
criterion counts only after it has found nothing for a random value, and proves absence only after it has also found
something that is there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.helpdesks.zammad.desk import Desk, Found, Gone, State, Stopped, as_found, is_condition
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

SAMPLE = 5
"""Tickets that the self-test looks at: the newest."""
MOST_HITS = 10
"""Hits of a look-up that are read again."""
TAG = "gw-"
"""How our tags begin."""
_LIMIT = 25


class Criterion(StrEnum):
    """By what a ticket is found again, the best first."""

    ATTRIBUTE = "attribute"
    MESSAGE_ID = "message_id"
    TAG = "tag"
    TEXT = "text"  # nothing else works: a search for words, which may lag behind


@dataclass(frozen=True, slots=True)
class Marker:
    """What one action leaves in its ticket: its marker, and the Message-ID of its article (with angle brackets)."""

    key: str
    message_id: str

    @property
    def tag(self) -> str:
        """As a tag, and as the last line of a text."""
        return f"{TAG}{self.key}"


@dataclass(frozen=True, slots=True)
class Learned:
    """What the self-test found out about this Zammad.

    ``usable`` are the criteria that find nothing for a random value, the best first; ``proven`` those that have also
    found something. ``remarks`` say, for people, why better ones are not used.
    """

    states: Mapping[int, State]
    usable: tuple[Criterion, ...]
    proven: frozenset[Criterion]
    remarks: tuple[str, ...] = ()

    @property
    def best(self) -> Criterion:
        """The criterion that new tickets are found by."""
        return self.usable[0] if self.usable else Criterion.TEXT

    @property
    def proves_absence(self) -> bool:
        """True if what the best criterion does not find is not there."""
        return self.best is not Criterion.TEXT and self.best in self.proven

    def told(self) -> str:
        """In one line."""
        how = "proves absence" if self.proves_absence else "not proven yet"
        return "; ".join((f"tickets are found again by {self.best.value} ({how})", *self.remarks))

    def with_proof(self, criterion: Criterion) -> "Learned":
        """After it found what is there."""
        return replace(self, proven=self.proven | {criterion})

    def without(self, criterion: Criterion, remark: str) -> "Learned":
        """After it did not find what is there."""
        usable = tuple(each for each in self.usable if each is not criterion)
        return replace(self, usable=usable, proven=self.proven - {criterion}, remarks=(*self.remarks, remark))


async def learn(desk: Desk, settings: ZammadSettings, random: str) -> Learned:
    """The self-test; ``random`` is a hex text that is nowhere. Writes nothing.

    Raises:
        Stopped: Zammad does not answer well enough to be tested.
    """
    states = await desk.states()
    ids: list[JsonValue] = [str(number) for number in states]
    newest: JsonObject = {"limit": SAMPLE, "sort_by": "id", "order_by": "desc"}
    sample = await desk.search({**is_condition("ticket.state_id", ids), **newest})
    if sample is None:
        await desk.states()  # as below
        sample = []
    sample = sample[:SAMPLE]  # where conditions are not understood, the limit may not be either
    usable: list[Criterion] = []
    proven: set[Criterion] = set()
    remarks: list[str] = []
    for criterion in (Criterion.ATTRIBUTE, Criterion.MESSAGE_ID, Criterion.TAG):
        name = settings.marker_attribute
        if criterion is Criterion.ATTRIBUTE and not name:
            continue
        if criterion is Criterion.ATTRIBUTE and sample and not any(name in ticket for ticket in sample):
            remarks.append(f"tickets have no attribute {name}")
            continue
        fault = await misled(desk, criterion, settings, random)
        if fault:
            remarks.append(fault)
            continue
        usable.append(criterion)
        if await _finds(desk, criterion, sample, settings):
            proven.add(criterion)
            break
        if criterion is Criterion.MESSAGE_ID:
            break  # it will be proven by the first ticket; tags would stay in Zammad's list for ever
    return Learned(states, tuple(usable), frozenset(proven), tuple(remarks))


async def misled(desk: Desk, criterion: Criterion, settings: ZammadSettings, random: str) -> str:
    """Why the criterion cannot be believed: it finds something for a value that is nowhere. Empty: it can.

    Raises:
        Stopped: cannot tell.
    """
    hits = await desk.search(_condition(criterion, Marker(random, f"<tg-{random}@nowhere.invalid>"), settings))
    if hits is None:
        await desk.states()  # a database that is away refuses everything: then this stops the test
        return f"the search by {criterion.value} is refused"
    return f"the search by {criterion.value} brings {len(hits)} tickets for a value that is nowhere" if hits else ""


async def _finds(desk: Desk, criterion: Criterion, sample: Sequence[JsonObject], settings: ZammadSettings) -> bool:
    """Whether the criterion finds one of the tickets that are there."""
    for ticket in sample:
        number = ticket.get("id")
        if not isinstance(number, int):
            continue
        there = await _there(desk, criterion, number, ticket, settings)
        if there is not None:
            hits = await desk.search(_condition(criterion, there, settings))
            return any(hit.get("id") == number for hit in hits or ())
    return False


async def _there(
    desk: Desk, criterion: Criterion, number: int, ticket: JsonObject, settings: ZammadSettings
) -> Marker | None:
    """A marker that this ticket bears, whoever gave it."""
    if criterion is Criterion.ATTRIBUTE:
        value = ticket.get(settings.marker_attribute)
        return Marker(value, "") if isinstance(value, str) and value else None
    if criterion is Criterion.TAG:
        tags = [tag for tag in await desk.tags(number) if tag.startswith(TAG)]
        return Marker(tags[0].removeprefix(TAG), "") if tags else None
    for article in await desk.articles(number):
        value = article.get("message_id")
        if isinstance(value, str) and value:
            return Marker("", value)
    return None


def _condition(criterion: Criterion, marker: Marker, settings: ZammadSettings) -> JsonObject:
    match criterion:
        case Criterion.ATTRIBUTE:
            asked = is_condition(f"ticket.{settings.marker_attribute}", marker.key)
        case Criterion.MESSAGE_ID:  # the column of the hash is the one with an index
            digest = hashlib.md5(marker.message_id.encode(), usedforsecurity=False).hexdigest()
            asked = is_condition("article.message_id_md5", digest)
        case Criterion.TAG:
            asked = is_condition("ticket.tags", marker.tag, "contains all")
        case _:
            asked = {"query": marker.key}  # without quotes: the search by SQL takes them for text
    return {**asked, "limit": _LIMIT}


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a look-up brought: tickets that bear the marker (checked, the lowest id first), and how many that do not."""

    tickets: tuple[Found, ...]
    foreign: int

    @property
    def absent(self) -> bool:
        """True if nothing at all was found."""
        return not self.tickets and not self.foreign


async def look_up(desk: Desk, marker: Marker, learned: Learned, settings: ZammadSettings) -> LookUp:
    """The tickets that bear the marker, by every criterion that works here.

    Raises:
        Stopped: cannot tell.
    """
    found: dict[int, Found] = {}
    foreign: set[int] = set()
    for criterion in learned.usable or (Criterion.TEXT,):
        hits = await desk.search(_condition(criterion, marker, settings))
        if hits is None:  # it worked when it was tested
            told = f"the search by {criterion.value} is refused"
            raise Stopped(Outcome(OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN, told))
        for hit in hits[:MOST_HITS]:
            one = as_found(hit, learned.states)
            if one is None or one.id in found or one.id in foreign:
                continue
            again = await desk.ticket(one.id, learned.states)
            if isinstance(again, Gone):
                continue
            if await bears(desk, again, marker, settings):
                found[again.id] = again
            else:
                foreign.add(again.id)
    return LookUp(tuple(found[number] for number in sorted(found)), len(foreign))


async def bears(desk: Desk, ticket: Found, marker: Marker, settings: ZammadSettings) -> bool:
    """Whether the ticket bears the marker, by its attribute, an article or a tag. Raises `Stopped`."""
    if settings.marker_attribute and ticket.raw.get(settings.marker_attribute) == marker.key:
        return True
    if our_article(await desk.articles(ticket.id), marker) is not None:
        return True
    return marker.tag in await desk.tags(ticket.id)


def our_article(articles: Sequence[JsonObject], marker: Marker) -> JsonObject | None:
    """The article that an action wrote; bodies are never compared, since Zammad rewrites them."""
    return next(iter(our_articles(articles, marker)), None)


def our_articles(articles: Sequence[JsonObject], marker: Marker) -> list[JsonObject]:
    """All that an action wrote: its article, and one with the files that a broken call had left out."""
    return [article for article in articles if _is_ours(article, marker)]


def _is_ours(article: JsonObject, marker: Marker) -> bool:
    preferences = article.get("preferences")
    noted = preferences.get("gateway_event") if isinstance(preferences, dict) else None
    return article.get("message_id") == marker.message_id or noted == marker.key
