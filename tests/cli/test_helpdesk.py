"""`helpdesk ping`, `helpdesk setup`, and `check --online` with a helpdesk that can rehearse."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from gateway.config.models import HttpServer
from gateway.receive.serve import HttpServers
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.sandbox import Sandbox
from tests.cli.support import tg

pytestmark = pytest.mark.anyio

CONFIG = """\
version: 1
sources:
  app: {{kind: generic, auth: {{bearer: "${{env:TOKEN:-a-token}}"}}}}
helpdesks:
  desk:
    kind: otobo
    url: {url}/otobo
    auth: {{user: gateway, password: "${{env:KEY:-5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}"}}
    queue: Monitoring
    customer: kunde
    sandbox: true
{more}
routes:
  - name: all
    ticket:
      helpdesk: desk
      title: "{{{{ event.title }}}}"
      body: "{{{{ event.text }}}}"
      fields: {fields}
"""


class Desk:
    """A sandbox on a socket, and verbs run beside it in a thread."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str) -> None:
        self.folder, self.sandbox, self.url = folder, sandbox, url

    async def run(
        self, *words: object, fields: str = "{}", more: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        path = self.folder / "routes.yaml"
        path.write_text(CONFIG.format(url=self.url, fields=fields, more=more))
        return await asyncio.to_thread(tg, *words, "--config", path, env=dict(env or {}))


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    sandbox = Sandbox(None, environ={})
    server = HttpServers(sandbox_app(sandbox), HttpServer(listen="127.0.0.1:0"))
    await server.start()
    try:
        yield Desk(folder, sandbox, f"{server.addresses[0]}/sandbox")
    finally:
        await server.stop(0.5)
        await sandbox.close()


async def test_ping_tells_a_good_helpdesk_from_a_bad_password(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        good = await one.run("helpdesk", "ping")
        assert (good.exit_code, good.output) == (0, "desk: answers and takes our credentials\n")
        bad = await one.run("helpdesk", "ping", "desk", "--json", env={"KEY": "wrong"})
        assert bad.exit_code == 1
        (probe,) = json.loads(bad.output)
        assert not probe["well"]
        assert "AuthFail" in probe["detail"]
        assert (await one.run("helpdesk", "ping", "nope")).exit_code == 2


async def test_setup_prints_what_to_import_and_proves_what_is_there(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        told = await one.run("helpdesk", "setup", "--write", tmp_path / "import")
        assert told.exit_code == 0, told.output
        assert "# TicketGateway.yml" in told.output
        assert "a search for a marker that no ticket has finds nothing" in told.output
        service = yaml.safe_load((tmp_path / "import" / "TicketGateway.yml").read_text())
        assert "TicketSearch" in service["Provider"]["Operation"]
        assert (tmp_path / "import" / "TicketGatewayID.yml").exists()
        assert one.sandbox.tickets() == []


async def test_setup_says_that_the_dynamic_field_is_missing(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        told = await one.run("helpdesk", "setup", "--json", more="    dynamic_field: Elsewhere")
        assert told.exit_code == 1
        last = json.loads(told.output)["proofs"][-1]
        assert last["well"] is False
        assert "import it" in last["detail"]
        offline = await one.run("helpdesk", "setup", "--offline", more="    dynamic_field: Elsewhere")
        assert offline.exit_code == 0


async def test_check_online_tries_the_fields_of_each_route_without_making_a_ticket(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        good = await one.run("check", "--online", fields='{queue: Network, DynamicField_Host: "{{ event.host }}"}')
        assert good.exit_code == 0, good.output
        assert "would take the tickets of route all" in good.output
        table = '{state: {from: severity, table: {critical: open, "*": closed}}}'
        bad = await one.run("check", "--online", fields=table)
        assert bad.exit_code == 1
        assert "would refuse the tickets of route all" in bad.output
        assert "State parameter is invalid" in bad.output
        assert one.sandbox.tickets() == []


async def test_check_refuses_a_field_that_the_helpdesk_would_drop_without_a_word(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        bad = await one.run("check", fields="{Queue: Network}")
        assert bad.exit_code == 2
        assert "write `queue`" in bad.output


async def test_a_ticket_is_made_read_and_closed_by_its_verbs(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        made = await one.run(
            "ticket", "create", "--title", "by hand", "--text", "more", "--field", "queue=Raw", "--json"
        )
        assert made.exit_code == 0, made.output
        number = json.loads(made.output)["ticket"]["number"]
        assert "Raw" in (await one.run("ticket", "get", number)).output
        assert (await one.run("ticket", "close", number)).exit_code == 0
        assert "closed successful" in (await one.run("ticket", "history", number)).output
        found = await one.run("ticket", "search", "--title", "hand", "--json")
        assert [ticket["ref"]["number"] for ticket in json.loads(found.output)] == [number]
        gone = await one.run("ticket", "get", "4711")
        assert gone.exit_code == 1
