"""Was a call carried out? The configured look-up, and the proof that finding nothing means something.

A hit counts only if it bears our marker. Absence of a ticket counts only from a search that finds nothing for a random
marker and has found a ticket of ours since the start. What is written to a ticket is looked for in that ticket's own list,
where other entries are no surprise.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.protocol import CallFailed, Http, Order
from gateway.helpdesks.webhook import answers, paths, templates
from gateway.helpdesks.webhook.answers import Named
from gateway.helpdesks.webhook.session import Refused, Session
from gateway.helpdesks.webhook.settings import WebhookLookUp, WebhookSettings
from gateway.helpdesks.webhook.stored import marker_names
from gateway.model.action import ActionKind, Outcome, OutcomeKind
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason

ASK_AGAIN = 60.0
"""Seconds between the two look-ups of an eventual search that together count as absence."""
_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """Hits that bear the marker; ``foreign`` do not."""

    ours: tuple[Named, ...]
    foreign: int


class Finder:
    """Look-ups on one API; remembers what was proven since the start."""

    def __init__(
        self, settings: WebhookSettings, session: Session, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Asks nothing yet."""
        self._settings = settings
        self._session = session
        self._monotonic = monotonic
        self._finds_ours = False
        self._absent: dict[str, float] = {}

    async def learn(self, look_up: WebhookLookUp, order: Order, http: Http, timeout: float) -> None:
        """After a create that was answered: can its marker be found? Once is enough; what cannot be asked is left."""
        if not self._finds_ours:
            found = await self._search(look_up, order, order.marker, http, timeout)
            self._finds_ours = isinstance(found, Found) and bool(found.ours)

    async def find(self, look_up: WebhookLookUp, order: Order, http: Http, timeout: float) -> Found | Outcome | None:
        """Our hits; or an outcome: NOT_SENT is proven absence, UNKNOWN cannot tell yet. None: it can never tell."""
        half = timeout / 2
        found = await self._search(look_up, order, order.marker, http, half)
        if isinstance(found, Outcome) or found.ours:
            self._absent.pop(order.marker, None)
            return found
        if order.kind is ActionKind.CREATE:
            if found.foreign:
                return _unknown(f"the look-up found {found.foreign} tickets that do not bear the marker")
            other = await self._search(look_up, order, secrets.token_hex(16), http, half)
            if isinstance(other, Outcome):
                return other
            if other.ours or other.foreign:
                return _unknown("a look-up for a marker that no ticket has finds tickets; is `look_up.url` right?")
            if not self._finds_ours:
                return None
        return self._twice(look_up, order.marker)

    def _twice(self, look_up: WebhookLookUp, marker: str) -> Outcome:
        if look_up.certainty == "strong":
            return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "the look-up proves that nothing was made")
        now = self._monotonic()
        while len(self._absent) >= _MOST_REMEMBERED:
            self._absent.pop(next(iter(self._absent)))
        since = self._absent.setdefault(marker, now)
        apart = min(ASK_AGAIN, self._settings.limits.settle) if self._settings.sandbox else ASK_AGAIN
        if now - since < 0.9 * apart:
            return Outcome(
                OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, "not found yet; looked up once more", retry_after=apart
            )
        self._absent.pop(marker, None)
        return Outcome(OutcomeKind.NOT_SENT, Reason.NOT_SENT, "looked up twice, and nothing was made")

    async def _search(
        self, look_up: WebhookLookUp, order: Order, marker: str, http: Http, timeout: float
    ) -> Found | Outcome:
        names = marker_names(order, marker)
        try:
            url = self._settings.base + templates.address(look_up.url, names, "look_up.url")
            body = b"" if look_up.body is None else orjson.dumps(templates.tree(look_up.body, names))
        except ValueError as error:
            return _unknown(str(error))
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            answer = await self._session.ask(look_up.method, url, headers, body, http, timeout)
        except CallFailed as failure:
            return _undecided(failure_outcome(failure))
        except Refused as refused:
            return _undecided(refused.outcome)
        outcome = answers.of_read(answer, [])
        if outcome.kind is not OutcomeKind.DELIVERED:
            return _undecided(outcome)
        return _hits(answers.body_of(answer), look_up, marker)


def _hits(value: JsonValue, look_up: WebhookLookUp, marker: str) -> Found | Outcome:
    listed = paths.at(value, look_up.hits)
    if not isinstance(listed, list):
        return _unknown(f"the look-up's answer has no list at `{look_up.hits or 'its top'}`")
    ours = [one for one in listed if any(marker in str(found) for found in paths.every(one, look_up.marker))]
    named = tuple(answers.named(one, look_up.id, look_up.number) for one in ours)
    return Found(named, len(listed) - len(ours))


def _undecided(outcome: Outcome) -> Outcome:
    """A look-up that failed leaves the first call as unknown as before."""
    if outcome.kind is OutcomeKind.AUTH_BROKEN:
        return outcome
    return Outcome(OutcomeKind.UNKNOWN, outcome.reason, outcome.detail, retry_after=outcome.retry_after)


def _unknown(detail: str) -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, Reason.UNKNOWN_OUTCOME, detail)
