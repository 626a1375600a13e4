"""The connector and the double, joined without a socket."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.config.values import Secret
from gateway.helpdesks.protocol import Answer, CallFailed, Order
from gateway.helpdesks.zammad.connector import ZammadConnector
from gateway.helpdesks.zammad.sandbox import ZammadSandbox
from gateway.helpdesks.zammad.sandbox_settings import ZammadSandboxSettings
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.action import ActionKind, AttachmentRef, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Drop, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.store import Store

MARKER = "ab" * 16


def settings(**changes: object) -> ZammadSettings:
    """The settings of the tests, as a configuration file would give them."""
    given: dict[str, object] = {
        "kind": "zammad",
        "url": "http://zammad.example.org",
        "auth": {"token": Secret(SANDBOX_API_KEY)},
        "group": "Users",
        "customer": "monitoring@example.org",
        "sandbox": True,
        "limits": {"timeout": "5s", "settle": "1s"},
        **changes,
    }
    return ZammadSettings.model_validate(given)


def order(
    kind: ActionKind = ActionKind.CREATE,
    *,
    marker: str = MARKER,
    title: str = "HTTP CRITICAL on web1",
    text: str = "It is down.",
    html: str = "",
    fields: Mapping[str, object] | None = None,
    files: tuple[tuple[str, str, bytes], ...] = (),
    ticket: TicketRef | None = None,
    reopen: bool = False,
    left_out: tuple[str, ...] = (),
) -> Order:
    """An order as delivery makes one; ``files`` are (name, media type, content), shown in place by their name."""
    references = tuple(
        AttachmentRef("r", 0, index, name, kind_, len(content), hashlib.sha256(content).hexdigest(), content_id=name)
        for index, (name, kind_, content) in enumerate(files)
    )
    draft = TicketDraft(
        title=title,
        text=text,
        html=html,
        fields=dict(fields or {}),  # type: ignore[arg-type]  # JSON values of the tests
        attachments=references,
        reopen=reopen,
    )
    return Order("an-action", kind, marker, draft, ticket, 1_700_000_000.0, "r", [file[2] for file in files], left_out)


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """A Zammad, reached without a socket, and a connector for it."""

    way: ZammadConnector
    store: Store
    double: ZammadSandbox
    clock: Clock
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
    ) -> Answer:
        parts = urlsplit(url)
        self.asked.append((method, parts.path.removeprefix("/api/v1")))
        lower = {name.lower(): value for name, value in headers.items()}
        self.sent.append((lower, content))
        reply = await self.double.answer(Request(method, parts.path, parts.query, lower, content))
        if isinstance(reply, Drop):
            raise CallFailed("the connection was lost", sent=True)
        return Answer(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body.encode())

    async def call(self, one: Order) -> Outcome:
        return await self.way.call(one, self.way.prepare(one), self, timeout=5.0)

    async def resolve(self, one: Order) -> Outcome:
        return await self.way.resolve(one, self.way.prepare(one), self, timeout=5.0)

    async def create(self, one: Order | None = None) -> TicketRef:
        outcome = await self.call(one or order())
        assert outcome.kind is OutcomeKind.DELIVERED, outcome
        assert outcome.ticket is not None
        return outcome.ticket

    async def follow(
        self, kind: ActionKind, ticket: TicketRef, *, marker: str = "cd" * 16, reopen: bool = False
    ) -> Outcome:
        return await self.call(order(kind, marker=marker, text="more", ticket=ticket, reopen=reopen))

    def faults(self, *kinds: FaultKind, **more: object) -> None:
        self.double.faults.replace([Fault.model_validate({"fault": kind, "count": 1, **more}) for kind in kinds])

    @property
    def tickets(self) -> list[JsonObject]:
        """What the helpdesk shows, the oldest first."""
        records = self.double._records
        return [records.shown(ticket, expand=True) for ticket in reversed(self.store.tickets("zammad"))]

    def articles(self, ticket: str | int) -> list[JsonObject]:
        records = self.double._records
        return [records.article(int(ticket), entry) for entry in records.entries(int(ticket))]

    def act(self, ticket: TicketRef, action: str) -> None:
        assert self.double.act(int(ticket.id), action)


def desk(sandbox: ZammadSandboxSettings | None = None, **changes: object) -> Desk:
    """A new Zammad with no tickets; ``changes`` are those of the connector's settings."""
    store, clock = Store(None), Clock()
    double = ZammadSandbox(store, sandbox, clock=clock)
    way = ZammadConnector("zammad", settings(**changes), monotonic=clock)
    return Desk(way, store, double, clock)
