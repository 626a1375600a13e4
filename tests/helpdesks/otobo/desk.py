"""A sandbox OTOBO or Znuny reached without a socket, and orders for the connector."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from gateway.helpdesks.otobo.connector import OtoboConnector
from gateway.helpdesks.otobo.sandbox import OtoboSandbox
from gateway.helpdesks.otobo.sandbox_settings import OtoboSandboxSettings
from gateway.helpdesks.otobo.settings import OtoboSettings, WebService, ZnunySettings
from gateway.helpdesks.protocol import Answer, CallFailed, Order
from gateway.model.action import ActionKind, AttachmentRef, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Drop, Request
from gateway.sandbox.faults import Fault
from gateway.sandbox.records import Entry, Ticket
from gateway.sandbox.store import Store

MARKER = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def settings(**changes: object) -> WebService:
    given: dict[str, object] = {
        "kind": "otobo",
        "url": "https://helpdesk.example/otobo",
        "auth": {"user": "gateway", "password": SANDBOX_API_KEY},
        "queue": "Monitoring",
        "customer": "kunde",
        "sandbox": True,
        "limits": {"settle": "20ms"},
        "ticket_url": "https://helpdesk.example/otobo/index.pl?Action=AgentTicketZoom;TicketNumber={number}",
        **changes,
    }
    return (ZnunySettings if given["kind"] == "znuny" else OtoboSettings).model_validate(given)


def connector(**changes: object) -> OtoboConnector:
    return OtoboConnector("desk", settings(**changes))


STOCK: dict[str, object] = {"webservice": "GenericTicketConnectorREST", "layout": "stock"}


def attachment(name: str, content: bytes, kind: str = "text/plain", content_id: str = "") -> AttachmentRef:
    digest = hashlib.sha256(content).hexdigest()
    return AttachmentRef("r", 0, 0, name, kind, len(content), digest, bool(content_id), content_id)


def order(
    kind: ActionKind = ActionKind.CREATE,
    *,
    title: str = "Disk full on web01",
    text: str = "/ is 97 % full",
    html: str = "",
    files: Sequence[tuple[str, bytes]] = (),
    fields: Mapping[str, JsonValue] | None = None,
    quiet: bool = False,
    reopen: bool = False,
    ticket: TicketRef | None = None,
    left_out: tuple[str, ...] = (),
    marker: str = MARKER,
) -> Order:
    refs = tuple(attachment(name, content) for name, content in files)
    draft = TicketDraft(title, text, html, fields or {}, refs, quiet=quiet, reopen=reopen)
    contents = tuple(content for _, content in files)
    return Order("a-1", kind, marker, draft, ticket, 1_795_000_000.75, attachments=contents, left_out=left_out)


class Clock:
    """The helpdesk's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_795_304_861.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """The double; what it was asked stands in ``asked`` (method and path, without the prefix)."""

    def __init__(self, switches: OtoboSandboxSettings | None = None, name: str = "otobo") -> None:
        self.store = Store(None)
        self.clock = Clock()
        self.double = OtoboSandbox(self.store, switches, name=name, clock=self.clock)
        self.asked: list[str] = []
        self.addresses: list[str] = []
        self.bodies: list[bytes] = []
        self.client = "127.0.0.1"

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float,
    ) -> Answer:
        address = urlsplit(url)
        path = "/" + address.path.partition("/")[2].partition("/")[2]
        self.asked.append(f"{method} {path.removeprefix('/nph-genericinterface.pl/Webservice')}")
        self.addresses.append(url)
        self.bodies.append(content)
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(method, path, address.query, lower, content, self.client)
        try:
            async with asyncio.timeout(timeout):
                reply = await self.double.answer(request)
        except TimeoutError:
            raise CallFailed("no whole answer in time", sent=True) from None
        if isinstance(reply, Drop):
            raise CallFailed("the connection was lost", sent=True)
        return Answer(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body.encode())

    def fault(self, **values: object) -> None:
        self.double.faults.replace([Fault.model_validate(values)])

    def heal(self) -> None:
        self.double.faults.replace([])

    @property
    def tickets(self) -> list[Ticket]:
        """The oldest first."""
        return list(reversed(self.store.tickets(self.double.name)))

    def entries(self, index: int = 0) -> tuple[Entry, ...]:
        ticket = self.tickets[index]
        return self.store.threads([ticket.id])[ticket.id].entries

    async def make(self, way: OtoboConnector, one: Order) -> TicketRef:
        outcome = await self.call(way, one)
        assert outcome.kind is OutcomeKind.DELIVERED, outcome
        assert outcome.ticket
        return outcome.ticket

    async def call(self, way: OtoboConnector, one: Order, timeout: float = 5.0) -> Outcome:
        return await way.call(one, way.prepare(one), self, timeout=timeout)

    async def resolve(self, way: OtoboConnector, one: Order) -> Outcome:
        await asyncio.sleep(way._settings.limits.settle)
        return await way.resolve(one, way.prepare(one), self, timeout=5.0)

    async def close(self) -> None:
        await self.double.close()
        self.store.close()
