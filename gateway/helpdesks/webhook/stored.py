"""The stored request of an action: as it will be sent, without what only the moment of the call adds (keys, signatures)."""

import base64
from dataclasses import dataclass

import orjson

from gateway.helpdesks.files import choose, noted
from gateway.helpdesks.protocol import Order
from gateway.helpdesks.text import one_line, whole
from gateway.helpdesks.webhook import templates
from gateway.helpdesks.webhook.settings import WebhookSettings
from gateway.model.action import ActionKind
from gateway.model.json import JsonObject

_NO_TITLE = "(no subject)"


@dataclass(frozen=True, slots=True)
class Stored:
    """A request as it lies in the journal. ``json`` is the body as text, empty for none; ``files``: some go with it."""

    method: str
    url: str
    headers: dict[str, str]
    json: str
    files: bool

    def write(self) -> bytes:
        """Canonical JSON: the same order gives the same octets."""
        envelope: JsonObject = {
            "v": 1,
            "method": self.method,
            "url": self.url,
            "headers": dict(self.headers),
            "json": self.json,
            "files": self.files,
        }
        return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, request: bytes) -> "Stored":
        """The request that `write` wrote."""
        envelope = orjson.loads(request)
        if envelope["v"] != 1:
            raise ValueError(f"this stored request has version {envelope['v']!r}; an older or newer gateway wrote it")
        return cls(envelope["method"], envelope["url"], envelope["headers"], envelope["json"], envelope["files"])


def prepare(order: Order, settings: WebhookSettings) -> Stored:
    """The request of an order.

    Raises:
        ValueError: a template failed, or a follow-up has no ticket.
    """
    if order.kind is not ActionKind.CREATE and order.ticket is None:
        raise ValueError(f"a follow-up needs a ticket, and the incident of action {order.action} has none")
    request = settings.request_for(order.kind)
    chosen = choose(order.draft, order.attachments, left_out="attachments" in order.left_out)
    names = _names(order, chosen.notes, chosen.html)
    contents = [(file, base64.b64encode(file.content).decode("ascii")) for file in chosen.sent]
    body = "" if request.body is None else orjson.dumps(templates.tree(request.body, names, contents)).decode()
    headers = {name: _header(name, value, names) for name, value in request.headers.items()}
    if settings.idempotency_header:
        headers[settings.idempotency_header] = order.marker
    if body:
        headers["Content-Type"] = "application/json"
    url = settings.base + templates.address(request.url, names, "url")
    return Stored(request.method, url, headers, body, bool(contents) and templates.takes_files(request.body))


def marker_names(order: Order, marker: str) -> templates.Names:
    """What a look-up may name; ``marker`` takes the place of the order's own."""
    return {**_names(order, (), order.draft.html), "marker": marker}


def _names(order: Order, notes: tuple[str, ...], html: str) -> templates.Names:
    draft, ticket = order.draft, order.ticket
    refused = tuple(
        f"Left out, refused by the help desk: {one_line(str(part))}" for part in order.left_out if part != "attachments"
    )
    text, shown = noted(whole(draft.text).strip("\n"), whole(html).strip(), (*notes, *refused))
    return {
        "title": one_line(draft.title) or _NO_TITLE,
        "text": text.strip() or one_line(draft.title) or _NO_TITLE,
        "html": shown,
        "fields": {name: value for name, value in draft.fields.items() if name not in order.left_out},
        "ticket": {
            "id": ticket.id if ticket else "",
            "number": ticket.number if ticket else "",
            "url": ticket.url if ticket else "",
        },
        "marker": order.marker,
        "action": order.kind.value,
        "at": int(order.queued_at),
    }


def _header(name: str, template: str, names: templates.Names) -> str:
    """A header's value: one line of ASCII, whatever the event says."""
    value = one_line(templates.text(template, names, f"headers.{name}"))
    return value.encode("ascii", "replace").decode("ascii")
