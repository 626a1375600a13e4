"""What persons did to a ticket, by Zammad's own history and the articles.

Ours are the articles that bear our marker, and what our account changed. Zammad's triggers, schedulers and mail gate act as the
user 1, and what they write has the sender `System`; an automatic reply that came by mail is marked by Zammad when it comes in.
"""

from gateway.helpdesks.zammad.article import strings
from gateway.helpdesks.zammad.desk import Desk, Found
from gateway.model.json import JsonObject

SYSTEM = 1
"""The user whose id Zammad itself acts with."""
MOST_TOLD = 3
"""Deeds that are told; there may be more."""

_DEEDS = frozenset({"created", "updated", "added", "removed", "merged_into", "received_merge"})
"""Types of history entries that are work; notifications, escalations and sent mails are none."""


async def our_user(desk: Desk) -> int:
    """The id of the user that we act as. Raises `Stopped`."""
    one = await desk.look("GET", "/users/me")
    number = one.object.get("id")
    return number if isinstance(number, int) else 0


async def deeds(desk: Desk, ticket: Found, ours: int) -> tuple[str, ...]:
    """What persons did to the ticket, in words, the newest last; empty: nobody has touched it.

    Raises:
        Stopped: cannot tell.
    """
    one = await desk.look("GET", f"/ticket_history/{ticket.id}")
    people = _logins(one.object)
    customer = ticket.raw.get("customer_id")
    changed = [
        _told(raw, people)
        for raw in strings(one.object.get("history"))
        if isinstance(raw, dict)
        and raw.get("object") == "Ticket"
        and raw.get("type") in _DEEDS
        # The customer's mails change the state, also those that nobody wrote; what somebody wrote is among the articles.
        and raw.get("created_by_id") not in {SYSTEM, ours, customer}
    ]
    written = [
        f"article of {raw.get('from') or raw.get('created_by') or 'somebody'}" for raw in await _written(desk, ticket)
    ]
    return tuple(dict.fromkeys((*changed, *written)))[-MOST_TOLD:]


async def _written(desk: Desk, ticket: Found) -> list[JsonObject]:
    return [raw for raw in await desk.articles(ticket.id) if not (is_ours(raw) or is_automatic(raw))]


def is_ours(article: JsonObject) -> bool:
    """Whether it bears a marker of ours, whichever action it is of."""
    preferences = article.get("preferences")
    return isinstance(preferences, dict) and bool(preferences.get("gateway_event"))


def is_automatic(article: JsonObject) -> bool:
    """Whether no person wrote it."""
    preferences = article.get("preferences")
    return article.get("sender") == "System" or (
        isinstance(preferences, dict) and preferences.get("is-auto-response") is True
    )


def _logins(raw: JsonObject) -> dict[str, str]:
    assets = raw.get("assets")
    users = assets.get("User") if isinstance(assets, dict) else None
    if not isinstance(users, dict):
        return {}
    return {number: str(user.get("login") or number) for number, user in users.items() if isinstance(user, dict)}


def _told(raw: JsonObject, people: dict[str, str]) -> str:
    who = str(raw.get("created_by_id") or "somebody")
    what = str(raw.get("attribute") or raw.get("type") or "")
    after = raw.get("value_to")
    return f"{what}{f' {after}' if after else ''} by {people.get(who, f'user {who}')}"[:120]
