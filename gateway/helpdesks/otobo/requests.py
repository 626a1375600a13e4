"""The requests of the actions, as they are stored before the first call: without log-in, without a session."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.helpdesks.otobo import files
from gateway.helpdesks.otobo.fields import DYNAMIC, TICKET, Checked, checked
from gateway.helpdesks.otobo.settings import WebService
from gateway.helpdesks.otobo.text import body, subject, title
from gateway.helpdesks.protocol import Order
from gateway.model.action import ActionKind
from gateway.model.json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Stored:
    """A request as it lies in the journal.

    ``body`` is what is sent, but for the log-in, and in follow-ups for the ticket's id and state, which depend on what
    is found there. ``wish`` is ``close``, ``reopen`` or empty. ``parts`` may be left out after a refusal.
    """

    body: JsonObject
    wish: str
    parts: tuple[str, ...]

    def write(self) -> bytes:
        """Canonical JSON: the same order gives the same octets."""
        envelope: JsonObject = {"v": 1, "body": self.body, "wish": self.wish, "parts": list(self.parts)}
        return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, request: bytes) -> "Stored":
        """The request that `write` wrote."""
        envelope = orjson.loads(request)
        if envelope["v"] != 1:
            raise ValueError(f"this stored request has version {envelope['v']!r}; an older or newer gateway wrote it")
        return cls(envelope["body"], envelope["wish"], tuple(envelope["parts"]))

    @property
    def files(self) -> list[JsonValue]:
        """The attachments."""
        found = self.body.get("Attachment")
        return found if isinstance(found, list) else []

    @property
    def dynamic(self) -> dict[str, JsonValue]:
        """The dynamic fields by name, the marker among them."""
        found = self.body.get("DynamicField")
        return {
            str(one["Name"]): one["Value"]
            for one in (found if isinstance(found, list) else [])
            if isinstance(one, dict)
        }


def create(order: Order, settings: WebService) -> Stored:
    """A new ticket. The marker stands first among the dynamic fields: they are written one by one, before the article."""
    draft = order.draft
    fields = checked(_given(order), settings)
    by_title = settings.finds_by == "title"
    ticket: JsonObject = {"Title": title(draft.title, order.marker if by_title else "")}
    defaults = (("Queue", settings.queue), ("State", settings.state), ("Priority", settings.priority))
    ticket |= {name: value for name, value in defaults if f"{name}ID" not in fields.ticket}
    ticket |= {"CustomerUser": settings.customer, **fields.ticket}
    dynamic = [*([] if by_title else [(settings.dynamic_field, order.marker)]), *fields.dynamic]
    article, sent = _article(order, fields, settings)
    whole: JsonObject = {"Ticket": ticket, "Article": article}
    if dynamic:
        whole["DynamicField"] = [{"Name": name, "Value": value} for name, value in dynamic]
    if sent:
        whole["Attachment"] = list(sent)
    return Stored(whole, "", _parts(_given(order), has_files=bool(sent)))


def follow_up(order: Order, settings: WebService) -> Stored:
    """An article on a ticket, and for an update its fields. What it does to the state is decided when it is sent."""
    draft = order.draft
    if order.ticket is None:
        raise ValueError(f"a follow-up needs a ticket, and the incident of action {order.action} has none")
    given = _given(order)
    if order.kind is not ActionKind.UPDATE:
        given = {name: value for name, value in given.items() if name not in TICKET and not name.startswith(DYNAMIC)}
    fields = checked(given, settings)
    whole: JsonObject = {}
    if draft.text.strip() or draft.html.strip() or draft.attachments or order.kind is not ActionKind.UPDATE:
        article, sent = _article(order, fields, settings)
        whole["Article"] = article
        if sent:
            whole["Attachment"] = list(sent)
    if fields.ticket:
        whole["Ticket"] = dict(fields.ticket)
    if fields.dynamic:
        whole["DynamicField"] = [{"Name": name, "Value": value} for name, value in fields.dynamic]
    reopens = order.kind is ActionKind.REOPEN or (draft.reopen and order.kind is not ActionKind.CLOSE)
    wish = "close" if order.kind is ActionKind.CLOSE else "reopen" if reopens else ""
    return Stored(whole, wish, _parts(given, has_files="Attachment" in whole))


def rest_of(stored: Stored, missing: list[JsonValue], *, with_article: bool, marker: str) -> JsonObject:
    """What completes a ticket that was left half-made: its article, or one more article for the files it lacks."""
    article = stored.body.get("Article")
    if not with_article and isinstance(article, dict):
        words, kind = body("Files that were missing after an interrupted call.", "", "", (), marker)
        article = {**article, "Body": words, "ContentType": kind, "NoAgentNotify": 1}
    whole: JsonObject = {"Article": article}
    if missing:
        whole["Attachment"] = missing
    return whole


def _given(order: Order) -> Mapping[str, JsonValue]:
    return {name: value for name, value in order.draft.fields.items() if name not in order.left_out}


def _article(order: Order, fields: Checked, settings: WebService) -> tuple[JsonObject, tuple[JsonObject, ...]]:
    draft = order.draft
    chosen = files.choose(draft, order.attachments, left_out="attachments" in order.left_out)
    refused = tuple(f"Left out, refused by the help desk: {name}" for name in order.left_out if name != "attachments")
    words, kind = body(draft.text, draft.html, draft.title, (*chosen.notes, *fields.notes, *refused), order.marker)
    article: JsonObject = {
        "Subject": subject(draft.title),
        "Body": words,
        "ContentType": kind,
        "CommunicationChannel": settings.channel,
        "SenderType": settings.sender,
        "IsVisibleForCustomer": int(settings.visible),
        "AutoResponseType": settings.auto_response,
        **fields.article,
    }
    if not (not draft.quiet if fields.notify is None else fields.notify):
        article["NoAgentNotify"] = 1
    return article, chosen.sent


def _parts(given: Mapping[str, JsonValue], *, has_files: bool) -> tuple[str, ...]:
    return (*sorted(given), *(["attachments"] if has_files else []))
