"""The request as it lies in the journal: pure data, made once and the same on every attempt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gateway.helpdesks.protocol import Order
from gateway.helpdesks.zammad import article
from gateway.helpdesks.zammad.fields import checked
from gateway.helpdesks.zammad.markers import Marker
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.action import ActionKind
from gateway.model.json import JsonObject, JsonValue

_REPLACING = frozenset({ActionKind.APPEND, ActionKind.REOPEN, ActionKind.UPDATE})
"""Follow-ups that become a ticket of their own where theirs was deleted, or closed by hand."""
_MARKER = re.compile(r"[0-9a-f]{8,128}")


@dataclass(frozen=True, slots=True)
class Stored:
    """What will be sent.

    ``ticket`` are the keys of a new ticket: that of a create, or the one that takes a deleted ticket's place (empty where
    none would). ``change`` are keys that a follow-up changes. ``files`` counts the article's files. ``sent`` maps keys that
    may be left out after a refusal to their fields.
    """

    kind: ActionKind
    marker: Marker
    ticket: JsonObject
    change: JsonObject
    article: JsonObject
    files: int
    requester: str
    sent: Mapping[str, str]

    def write(self) -> bytes:
        """Canonical JSON: the same order gives the same octets."""
        envelope: JsonObject = {
            "v": 1,
            "kind": self.kind.value,
            "marker": self.marker.key,
            "anchor": self.marker.message_id,
            "ticket": self.ticket,
            "change": self.change,
            "article": self.article,
            "files": self.files,
            "requester": self.requester,
            "sent": dict(self.sent),
        }
        return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, request: bytes) -> "Stored":
        """The request that `write` wrote."""
        envelope = orjson.loads(request)
        if envelope["v"] != 1:
            raise ValueError(f"this stored request has version {envelope['v']!r}; an older or newer gateway wrote it")
        return cls(
            ActionKind(envelope["kind"]),
            Marker(envelope["marker"], envelope["anchor"]),
            envelope["ticket"],
            envelope["change"],
            envelope["article"],
            envelope["files"],
            envelope["requester"],
            envelope["sent"],
        )


def _could_be_made(fields: Mapping[str, JsonValue], settings: ZammadSettings) -> bool:
    """Whether a ticket could be made of a follow-up: what a person writes may have neither group nor customer."""
    return bool(fields.get("group") or settings.group) and bool(fields.get("customer") or settings.customer)


def prepare(order: Order, settings: ZammadSettings) -> Stored:
    """The request of an order.

    Raises:
        ValueError: the draft has a field that Zammad would misunderstand, or there is no ticket to follow up.
    """
    if not _MARKER.fullmatch(order.marker):
        raise ValueError(f"marker {order.marker!r} is not lower-case hexadecimal")
    if order.kind is not ActionKind.CREATE and order.ticket is None:
        raise ValueError(f"a follow-up needs a ticket, and the incident of action {order.action} has none")
    draft = order.draft
    name = draft.message_name or f"tg-{order.marker}"
    marker = Marker(order.marker, f"<{name}@{settings.message_domain}>")
    given = {name: value for name, value in draft.fields.items() if name not in order.left_out}
    makes = order.kind is ActionKind.CREATE or (order.kind in _REPLACING and _could_be_made(given, settings))
    fields = checked(given, settings, order.queued_at, new=makes)
    message = article.build(order, fields.article, marker.message_id)
    ticket: JsonObject = {}
    if makes:
        ticket = {**fields.ticket, "title": article.title(draft.title)}
        if settings.marker_attribute:
            ticket[settings.marker_attribute] = order.marker
    if order.kind is not ActionKind.CREATE:
        ticket.pop("state", None)  # what takes a deleted ticket's place begins where every new one does
        ticket.pop("state_id", None)
        ticket.pop("pending_time", None)
    updates = order.kind is ActionKind.UPDATE
    change = dict(checked(given, settings, order.queued_at, new=False).ticket) if updates else {}
    known = order.ticket.requester if order.ticket is not None else ""
    return Stored(
        kind=order.kind,
        marker=marker,
        ticket=ticket,
        change=change,
        article=message.article,
        files=message.files,
        requester=known or fields.customer,
        sent=fields.sent,
    )
