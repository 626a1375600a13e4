"""What persons did to a ticket, by the helpdesk's own history and the articles of customers.

The history says who did each thing by an agent's number. Ours is the one that made the ticket; number 1 is the helpdesk itself,
which also takes in customers' mails: those are told by their articles. The interface does not say which mail came from a machine,
so a customer's out-of-office answer counts as a person; the helpdesk's own automatic answers do not.
"""

import re
from collections.abc import Sequence

from gateway.helpdesks.operations import Article, HistoryEntry
from gateway.helpdesks.otobo.reading import Seen, history, look
from gateway.helpdesks.otobo.service import Service
from gateway.helpdesks.otobo.text import tag
from gateway.helpdesks.protocol import Http
from gateway.model.action import Outcome

SYSTEM = "1"
"""The agent whose number the helpdesk itself acts with."""
MOST_ARTICLES = 200
"""The newest articles that are looked at."""
MOST_TOLD = 3
"""Deeds that are told; there may be more."""

_OURS = re.compile(rf"{tag('')}[0-9a-f]{{8,64}}")
_SILENT = re.compile(r"Send|Escalation|Subscribe|Unsubscribe|Misc$|TimeAccounting|LoopProtection")
"""Beginnings of types that are no work on the ticket."""


async def deeds(service: Service, ticket: Seen, http: Http, deadline: float) -> tuple[str, ...] | Outcome:
    """What persons did to a ticket of ours, in words, the newest last; empty: nobody has touched it."""
    entries = await history(service, ticket.ticket.ref.id, http, deadline)
    if isinstance(entries, Outcome):
        return entries
    seen = await look(service, ticket.ticket.ref.id, http, deadline, articles=MOST_ARTICLES)
    if isinstance(seen, Outcome):
        return seen
    written = [f"article of {one.sender or 'the customer'}" for one in seen.ticket.articles if by_customer(one)]
    return tuple(dict.fromkeys((*by_agents(entries), *written)))[-MOST_TOLD:]


def by_agents(entries: Sequence[HistoryEntry]) -> list[str]:
    """What agents did, but the one that made the ticket."""
    ours = {SYSTEM, *(entry.who for entry in entries if entry.what == "NewTicket")}
    return [
        f"{entry.what} by agent {entry.who}"
        for entry in entries
        if entry.who not in ours and not _SILENT.match(entry.what)
    ]


def by_customer(article: Article) -> bool:
    """Whether a customer wrote it, and not we under that name."""
    return article.kind == "customer" and _OURS.search(article.body) is None
