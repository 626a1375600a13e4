"""The helpdesks of a test: the real connector talks to the stand-in of its kind, in memory; nothing leaves the process."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import httpx

from gateway.config.config import Config
from gateway.config.models import HelpdeskSettings
from gateway.helpdesks.http import HelpdeskHttp
from gateway.helpdesks.osticket.sandbox import OsTicketSandbox
from gateway.helpdesks.osticket.sandbox_settings import ApiKey
from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings as OsTicketSwitches
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.helpdesks.otobo.sandbox import OtoboSandbox
from gateway.helpdesks.otobo.sandbox_settings import Agent, DynamicField, OtoboSandboxSettings
from gateway.helpdesks.otobo.sandbox_settings import WebService as WebServiceSwitches
from gateway.helpdesks.otobo.settings import WebService
from gateway.helpdesks.protocol import Connector
from gateway.helpdesks.registry import connect
from gateway.helpdesks.zammad.sandbox import ZammadSandbox
from gateway.helpdesks.zammad.sandbox_settings import Agent as ZammadAgent
from gateway.helpdesks.zammad.sandbox_settings import Token, ZammadSandboxSettings
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.routetests.names import learn
from gateway.routetests.plain import PlainConnector, PlainDesk
from gateway.sandbox.double import Answering, Double, Drop, Request
from gateway.sandbox.faults import Fault
from gateway.sandbox.store import Store

_OURS, _ACT_AS = 900, 901
"""Ids of agents that are only in tests."""


def as_tested(config: Config) -> Config:
    """The configuration with its helpdesks as their stand-ins need them.

    They are live, and OTOBO's web service has its usual layout.
    """

    def usual(settings: HelpdeskSettings) -> HelpdeskSettings:
        changes: dict[str, object] = {"mode": "live"}
        if isinstance(settings, WebService):
            changes |= {"layout": "lower", "routes": {}, "find_by": None}
        return settings.model_copy(update=changes)

    return replace(config, helpdesks={name: usual(settings) for name, settings in config.helpdesks.items()})


@dataclass(slots=True)
class Desk:
    """One helpdesk of one test. ``down``: nobody answers at its address.

    The API that its connector knows at ``base`` is below ``prefix`` at the stand-in.
    """

    name: str
    settings: HelpdeskSettings
    double: Double | PlainDesk
    store: Store
    base: str = ""
    prefix: str = ""
    http: HelpdeskHttp = field(init=False)
    connector: Connector = field(init=False)
    down: bool = False

    def __post_init__(self) -> None:
        self.http = HelpdeskHttp(self.settings, _Wire(self))
        self.connector = connect(self.name, self.settings)
        if isinstance(self.double, PlainDesk):
            self.connector = PlainConnector(self.connector, self.double, lambda: self.down)

    def fault(self, faults: list[Fault], *, down: bool = False) -> None:
        """Switch these faults on and all others off."""
        self.down = down
        self.double.faults.replace(faults)

    @property
    def busy(self) -> bool:
        """Whether a request is still worked on, even if nobody waits for its answer any more."""
        return isinstance(self.double, Answering | PlainDesk) and self.double.busy

    def act(self, action: str) -> bool:
        """Do to its newest ticket what an agent would; false if there is none, or it cannot be done."""
        newest = self.store.tickets(limit=1)
        return bool(newest) and self.double.act(newest[0].id, action)

    def count(self) -> int:
        """How many tickets there are."""
        return self.store.count()

    async def close(self) -> None:
        """End what still hangs."""
        self.double.faults.replace(())
        if isinstance(self.double, Answering | PlainDesk):
            await self.double.close()
        self.store.close()


class _Wire(httpx.AsyncBaseTransport):
    """In place of the network: the stand-in answers, or nobody does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        desk = self._desk
        if isinstance(desk.double, PlainDesk):
            raise httpx.ConnectError("a test never calls this helpdesk")
        if desk.down:
            raise httpx.ConnectError("connection refused (the test says that the helpdesk is down)")
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        own = httpx.URL(desk.base).raw_path.decode("ascii").rstrip("/")
        asked = Request(
            method=request.method,
            path=unquote(desk.prefix + path.removeprefix(own)),
            query=query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.content,
            https=request.url.scheme == "https",
        )
        learn(desk.double, desk.settings, asked)
        answer = await desk.double.answer(asked)
        await asyncio.sleep(0)
        if isinstance(answer, Drop):
            raise httpx.ReadError("the connection was closed without an answer")
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body.encode())


def make_desks(config: Config, clock: Callable[[], float]) -> Mapping[str, Desk]:
    """A fresh stand-in for every helpdesk of a configuration."""
    return {name: _desk(name, settings, clock) for name, settings in config.helpdesks.items()}


def agents_can(kind: str) -> Mapping[str, str]:
    """What an agent can do at the stand-in of a kind of helpdesk: action and its label."""
    return _AGENTS.get(kind, PlainDesk.actions)


_AGENTS: Mapping[str, Mapping[str, str]] = {
    "osticket": OsTicketSandbox.actions,
    "zammad": ZammadSandbox.actions,
    "otobo": OtoboSandbox.actions,
    "znuny": OtoboSandbox.actions,
}


def _desk(name: str, settings: HelpdeskSettings, clock: Callable[[], float]) -> Desk:
    store = Store(None)
    if isinstance(settings, OsTicketSettings):
        key = settings.auth.api_key.reveal()
        names = {number: word for word, number in settings.priorities.items()}
        switches = OsTicketSwitches(api_keys={key: ApiKey(ip="*")}, priorities=names, seed=1)
        return Desk(name, settings, OsTicketSandbox(store, switches, clock=clock), store, settings.base, "/api")
    if isinstance(settings, ZammadSettings):
        zammad = ZammadSandbox(store, _zammad(settings), clock=clock)
        return Desk(name, settings, zammad, store, settings.base, "")
    if not isinstance(settings, WebService):
        return Desk(name, settings, PlainDesk(store, clock), store)
    otobo = OtoboSandbox(store, _otobo(settings), name=settings.kind, clock=clock)
    return Desk(name, settings, otobo, store, settings.url, "")


def _zammad(settings: ZammadSettings) -> ZammadSandboxSettings:
    auth, usual = settings.auth, ZammadSandboxSettings()
    basic = auth.basic
    agent = ZammadAgent(
        login=basic.user if basic is not None else "gateway@helpdesk.example",
        name="Ticket Gateway",
        password=basic.password.reveal() if basic is not None else "",
    )
    token = auth.token or auth.bearer
    agents = {**usual.agents, 3: agent}
    rights: tuple[str, ...] = ("ticket.agent",)
    if settings.act_as:
        agents[_ACT_AS] = ZammadAgent(login=settings.act_as, name=settings.act_as)
        rights = ("ticket.agent", "admin.user")
    tokens = {token.reveal(): Token(permissions=rights)} if token is not None else {}
    attributes = (settings.marker_attribute,) if settings.marker_attribute else ()
    return usual.model_copy(update={"agents": agents, "tokens": tokens, "attributes": attributes})


def _otobo(settings: WebService) -> OtoboSandboxSettings:
    usual = OtoboSandboxSettings(seed=1)
    service = WebServiceSwitches(max_length=settings.max_body)
    agent = Agent(id=_OURS, name="Ticket Gateway", password=settings.auth.password.reveal())
    return usual.model_copy(
        update={
            "services": {settings.webservice: service},
            "agents": {**usual.agents, settings.auth.user: agent},
            "dynamic_fields": {**usual.dynamic_fields, settings.dynamic_field: DynamicField()},
        }
    )
