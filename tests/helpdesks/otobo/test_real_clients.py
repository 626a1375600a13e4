"""Client libraries of other people against the stand-in: their idea of these interfaces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import httpx
import pytest

from gateway.config.models import HttpServer
from gateway.receive.serve import HttpServers
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.anyio
TEXT = {"Subject": "s", "Body": "b", "ContentType": "text/plain; charset=utf-8"}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Sandbox, str]]:
    sandbox = Sandbox(None, environ={})
    desk = HttpServers(sandbox_app(sandbox), HttpServer(listen="127.0.0.1:0"))
    await desk.start()
    try:
        yield sandbox, f"{desk.addresses[0]}/sandbox"
    finally:
        await desk.stop(0.5)
        await sandbox.close()


@pytest.mark.parametrize("helpdesk", ["otobo", "znuny"])
@pytest.mark.parametrize("package", ["otobo", "otobo_znuny"])
async def test_the_clients_with_a_log_in_per_call_create_change_read_and_search(package: str, helpdesk: str) -> None:
    """They drop dynamic fields without a word, as against a live helpdesk."""
    parts = {
        "otobo": ("otobo", "otobo", "otobo", "otobo", "OTOBOClient"),
        "otobo_znuny": (
            "otobo_znuny.clients.otobo_client",
            "otobo_znuny.domain_models.otobo_client_config",
            "otobo_znuny.domain_models.basic_auth_model",
            "otobo_znuny.domain_models.ticket_models",
            "OTOBOZnunyClient",
        ),
    }[package]
    clients, configs, logins, models = (import_module(name) for name in parts[:4])
    operation = import_module(
        "otobo" if package == "otobo" else f"{package}.domain_models.ticket_operation"
    ).TicketOperation
    async with served() as (sandbox, url):
        paths = {
            operation.CREATE: "ticket",
            operation.SEARCH: "ticket/search",
            operation.GET: "ticket/get",
            operation.UPDATE: "ticket",
        }
        config = configs.ClientConfig(
            base_url=f"{url}/{helpdesk}/nph-genericinterface.pl", webservice_name="OTOBO", operation_url_map=paths
        )
        named = models.IdName
        async with getattr(clients, parts[4])(config) as client:
            client.login(logins.BasicAuth(user_login="gateway", password=SANDBOX_API_KEY))
            wanted = models.TicketCreate(
                title="by a real client",
                queue=named(name="Raw"),
                state=named(name="new"),
                priority=named(name="3 normal"),
                customer_user="kunde",
                dynamic_fields={"Host": "web01"},
                article=models.Article(subject="s", body="b"),
            )
            made = await client.create_ticket(wanted)
            note = models.Article(subject="n", body="more")
            await client.update_ticket(models.TicketUpdate(id=made.id, title="renamed", article=note))
            assert (await client.get_ticket(made.id)).title == "renamed"
            assert await client.search_tickets(models.TicketSearch(titles=["%RENAMED%"])) == [made.id]
            with pytest.raises(Exception, match="Queue parameter is invalid"):
                await client.create_ticket(wanted.model_copy(update={"queue": named(name="Nope")}))
        (ticket,) = sandbox.store.tickets(helpdesk)
        assert ticket.entry_count == 2
        assert "DynamicField_Host" not in ticket.fields


@pytest.mark.parametrize("helpdesk", ["otobo", "znuny"])
async def test_pyznuny_creates_changes_and_reads_over_the_stock_routes_with_a_session(helpdesk: str) -> None:
    clients = import_module("pyznuny.ticket.client")

    def work(address: str) -> str:
        ticket = {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"}
        field = {"Name": "Host", "Value": "web01"}
        with httpx.Client(base_url=address, trust_env=False) as way:
            client = clients.TicketClient(client=way, username="gateway", password=SANDBOX_API_KEY)
            made = client.ticket.create({"Ticket": ticket, "Article": TEXT, "DynamicField": field}).json()
            client.ticket.update(made["TicketID"], Ticket={"State": "open"})
            return str(client.ticket.get(made["TicketID"]).json()["Ticket"][0]["State"])

    async with served() as (sandbox, url):
        address = f"{url}/{helpdesk}/nph-genericinterface.pl/Webservice/GenericTicketConnectorREST"
        assert await asyncio.to_thread(work, address) == "open"
        assert sandbox.store.tickets(helpdesk)[0].fields["DynamicField_Host"] == "web01"
