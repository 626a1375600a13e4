"""A gateway behind the door, as small as can be, and requests to it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx
import orjson
from starlette.types import ASGIApp

from gateway.config.models import Auth, Operator, Server, SourceSettings
from gateway.config.values import Secret
from gateway.journal.protocol import Counts, DeadLetter, HelpdeskState, ReceiptLine, ReceiptView
from gateway.model.incident import Incident, TicketRef
from gateway.model.receipt import Accepted, NewReceipt, Parsed, Receipt, ReceiptStatus
from gateway.model.silence import Silence
from gateway.observability.health import Check, Health
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission
from gateway.receive.http import build_app
from gateway.receive.intake import Progress
from gateway.sources.protocol import Malformed, SourceKind

NOW = 1_795_303_161.0
TICKET = TicketRef(helpdesk="osticket", id="17", number="100017", url="https://help.example.org/17")


def _inspect(new: NewReceipt, _settings: SourceSettings) -> None:
    if new.body == b"our fault":
        raise KeyError("a bug")
    try:
        orjson.loads(new.body)
    except orjson.JSONDecodeError as error:
        raise Malformed(error.msg, place=f"line {error.lineno}, column {error.colno}", hint="Send JSON.") from None


KIND = SourceKind("generic", "JSON", SourceSettings, lambda _receipt, _settings: Parsed(()), _inspect, ("host",))


@dataclass
class Desk:
    """The intake and the reader of a gateway that keeps receipts in a list."""

    receipts: list[NewReceipt] = field(default_factory=list)
    fault: Exception | None = None
    progress: Progress = field(default_factory=lambda: Progress(None))
    ticket: TicketRef | None = None
    waited: list[tuple[str, float]] = field(default_factory=list)
    warning: Accepted | None = None
    hold: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    views: dict[str, ReceiptView] = field(default_factory=dict)

    async def accept(self, new: NewReceipt) -> Accepted:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault
        for earlier in self.receipts:
            same_key = new.duplicate_key is not None and earlier.duplicate_key == new.duplicate_key
            if same_key and (earlier.source, earlier.body) == (new.source, new.body):
                return Accepted(earlier.id, duplicate_of=earlier.id)
        self.receipts.append(new)
        return replace(self.warning, id=new.id) if self.warning else Accepted(new.id)

    def accept_soon(self, new: NewReceipt) -> "asyncio.Future[list[Accepted]] | None":
        return asyncio.ensure_future(self._alone(new))

    async def _alone(self, new: NewReceipt) -> list[Accepted]:
        return [await self.accept(new)]

    async def wait_ticket(self, receipt_id: str, timeout: float) -> Progress:
        self.waited.append((receipt_id, timeout))
        return self.progress

    async def receipt(self, receipt_id: str) -> ReceiptView | None:
        if receipt_id in self.views:
            return self.views[receipt_id]
        return next((self._view(new) for new in self.receipts if new.id.startswith(receipt_id)), None)

    def _view(self, new: NewReceipt) -> ReceiptView:
        return ReceiptView(
            id=new.id, source=new.source, received_at=new.received_at, peer=new.peer, content_type=new.content_type,
            size=len(new.body), status=ReceiptStatus.ACCEPTED, reason=None, detail="", tries=0, warnings=(),
            envelope=new.envelope, events=(), actions=(), incidents=(), ticket=self.ticket, timeline=(),
        )  # fmt: skip

    async def counts(self) -> Counts:
        return figures(waiting=len(self.receipts))


@dataclass
class Look:
    """The reader over a desk."""

    desk: Desk

    async def receipt(self, receipt_id: str) -> ReceiptView | None:
        return await self.desk.receipt(receipt_id)

    async def body(self, receipt_id: str) -> Receipt | None:
        return None

    async def receipts(self, *, limit: int, source: str = "", status: str = "", before: str = "") -> list[ReceiptLine]:
        return []

    async def incident(self, incident_id: str) -> Incident | None:
        return None

    async def dead_letters(self, *, limit: int = 1000) -> list[DeadLetter]:
        return []

    async def silences(self) -> list[Silence]:
        return []

    async def request(self, action_id: str) -> bytes | None:
        return None

    async def helpdesks(self) -> list[HelpdeskState]:
        return []

    async def counts(self) -> Counts:
        return await self.desk.counts()


def figures(waiting: int = 0) -> Counts:
    return Counts(
        receipts_waiting=waiting, oldest_receipt=None, actions_waiting={"osticket": 2}, oldest_action={"osticket": NOW - 9},
        dead_receipts=1, dead_actions=0, blocked_actions=0, open_incidents=3,
    )  # fmt: skip


def source(auth: Auth | None = None, **settings: object) -> SourceSettings:
    way = auth or Auth(bearer=Secret("right-token"))
    return SourceSettings.model_validate({"kind": "generic", "auth": way, **settings})


def open_source(**settings: object) -> SourceSettings:
    return SourceSettings.model_validate({"kind": "generic", "auth": "none", **settings})


@dataclass
class House:
    """A door and what stands behind it."""

    sources: Mapping[str, SourceSettings]
    http: Mapping[str, object] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    mounts: Mapping[str, ASGIApp] = field(default_factory=dict)
    desk: Desk = field(default_factory=Desk)
    admission: Admission = field(default_factory=Admission)
    broken: list[BaseException] = field(default_factory=list)
    now: float = NOW

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.sources, ["osticket"])
        self.server = Server.model_validate(
            {"http": dict(self.http), "operator": Operator(bearer=Secret("operator-token"))}
        )
        self.app = build_app(
            sources=self.sources,
            kinds={"generic": KIND},
            server=self.server,
            intake=self.desk,
            reader=Look(self.desk),
            admission=self.admission,
            metrics=self.metrics,
            health=Health(self.checks, keep=0.0),
            mounts=self.mounts,
            now=lambda: self.now,
            on_broken=self.broken.append,
        )

    def client(self, address: str = "192.0.2.9") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://gateway.example.org")

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


BEARER = {"Authorization": "Bearer right-token"}
