"""A whole gateway and its sandbox helpdesk on real sockets, in the test's own loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.app import Gateway
from gateway.config.loader import load_file
from gateway.config.models import HttpServer
from gateway.config.shipped import shipped_templates
from gateway.journal.protocol import ReceiptView
from gateway.model.json import JsonObject
from gateway.receive.serve import HttpServers
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.faults import Fault
from gateway.sandbox.sandbox import Sandbox

TOKEN = "a-token-of-the-tests"

CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:0", max_body: 8MiB}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  operator: {{bearer: the-operators-token}}
sources:
  nagios: {{kind: nagios, auth: {{bearer: {token}}}}}
  zabbix: {{kind: zabbix, auth: {{bearer: {token}}}, timezone: UTC, wait: 5s}}
  app: {{kind: generic, auth: {{bearer: {token}}}}}
helpdesks:
  osticket:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    ticket_url: "https://help.example.org/tickets/{{number}}"
    sandbox: true
    limits: {{timeout: 1s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
{rest}
"""

ROUTES = """\
routes:
  - name: silence
    match: {host: {glob: "lab-*"}}
    drop: {reason: laboratory machines}
  - name: alerts
    match: {source: [nagios, zabbix]}
    ticket: {helpdesk: osticket, template: alert}
    incident: {repeat: {append_every: 1h}, reopen_within: 1h}
  - name: app
    match: {source: app, not: {labels.team: nobody}}
    ticket: {helpdesk: osticket, template: generic}
    incident: {key: [host]}
"""


@dataclass(slots=True)
class House:
    """What a test works with."""

    folder: Path
    sandbox: Sandbox
    sandbox_url: str
    client: httpx.AsyncClient
    gateway: Gateway
    rest: str = ROUTES
    served: list[HttpServers] = field(default_factory=list)
    config: str = CONFIG

    @property
    def url(self) -> str:
        return self.gateway.addresses[0]

    async def nagios(self, kind: str, state: str, host: str = "web1", **more: str) -> httpx.Response:
        form = {
            "NOTIFICATIONTYPE": kind,
            "HOSTNAME": host,
            "SERVICEDESC": "HTTP",
            "SERVICESTATE": state,
            "SERVICEOUTPUT": f"HTTP {state}",
            **more,
        }
        return await self.post("nagios", data=form)

    async def app(self, **event: object) -> httpx.Response:
        return await self.post("app", json={"kind": "problem", "severity": "critical", "title": "it broke", **event})

    async def post(self, source: str, *, headers: dict[str, str] | None = None, **content: object) -> httpx.Response:
        return await self.client.post(
            f"{self.url}/in/{source}",
            headers={"Authorization": f"Bearer {TOKEN}", **(headers or {})},
            **content,  # type: ignore[arg-type]  # json, data, content or files, as httpx takes them
        )

    def tickets(self) -> list[JsonObject]:
        """The helpdesk's tickets, the oldest first."""
        found = []
        for ticket in reversed(self.sandbox.tickets()):
            assert isinstance(ticket, dict)
            found.append(ticket)
        return found

    def entries(self, ticket: int = 0) -> list[JsonObject]:
        entries = self.tickets()[ticket]["entries"]
        assert isinstance(entries, list)
        return [entry for entry in entries if isinstance(entry, dict)]

    def act(self, ticket: int, action: str) -> None:
        """Do to a ticket what an agent would."""
        number = self.tickets()[ticket]["number"]
        found = self.sandbox.store.by_number("osticket", str(number))
        assert found is not None
        assert self.sandbox.osticket.act(found.id, action)

    def faults(self, *faults: Fault) -> None:
        self.sandbox.set_faults({"osticket": list(faults)})

    async def view(self, answer: httpx.Response) -> ReceiptView:
        view = await self.gateway.reader.receipt(answer.json()["id"])
        assert view is not None
        return view

    async def settled(self) -> None:
        """Until nothing waits any more."""

        async def idle() -> bool:
            counts = await self.gateway.reader.counts()
            return counts.receipts_waiting == 0 and sum(counts.actions_waiting.values()) == 0

        await until(idle)

    async def restart(self, rest: str | None = None) -> None:
        """Stop the gateway and start another one on the same journal."""
        await self.gateway.stop(1.0)
        self.gateway = await start(
            self.folder, self.sandbox_url, self.rest if rest is None else rest, config=self.config
        )


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Ask until it holds."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)


async def start(
    folder: Path, sandbox_url: str, rest: str, clock: Callable[[], float] = time.time, config: str = CONFIG
) -> Gateway:
    path = folder / "routes.yaml"
    path.write_text(config.format(token=TOKEN, sandbox=sandbox_url, rest=rest))
    templates = folder / "templates"
    if not templates.exists():
        templates.symlink_to(shipped_templates())
    gateway = Gateway(load_file(path, env={}), clock=clock)
    await gateway.start()
    return gateway


@asynccontextmanager
async def house(
    folder: Path, rest: str = ROUTES, *, clock: Callable[[], float] = time.time, config: str = CONFIG
) -> AsyncIterator[House]:
    """Everything up; everything down afterwards. ``clock`` is the gateway's.

    `MAIL-PORT` in ``config`` stands for the port at which the sandbox takes mail.
    """
    sandbox = Sandbox(None, environ={})
    if "MAIL-PORT" in config:
        await sandbox.smtp.listen("127.0.0.1", 0)
        config = config.replace("MAIL-PORT", sandbox.smtp.address.rpartition(":")[2])
    desk = HttpServers(sandbox_app(sandbox), HttpServer(listen="127.0.0.1:0"))
    await desk.start()
    url = f"{desk.addresses[0]}/sandbox"
    gateway = await start(folder, url, rest, clock, config)
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:
        built = House(folder, sandbox, url, client, gateway, rest, config=config)
        try:
            yield built
        finally:
            await built.gateway.stop(1.0)
            sandbox.clear_faults()
            await desk.stop(0.5)
            await sandbox.close()
