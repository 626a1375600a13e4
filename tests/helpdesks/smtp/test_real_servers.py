"""TLS and log-in with the gateway's own mail door, and a whole way through Postfix to the helpdesk behind it."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme
from argon2 import PasswordHasher

from gateway.helpdesks.smtp.connector import SmtpConnector
from gateway.helpdesks.smtp.sandbox import SmtpSandbox
from gateway.model.action import ActionKind, OutcomeKind
from gateway.sandbox.store import Store
from tests.crash.harness import free_port
from tests.e2e.house import until
from tests.helpdesks.smtp.support import called, order, scripted, settings
from tests.receive.smtp.support import house
from tests.receive.smtp.test_postfix import MAIN
from tests.senders.mailers import postfix, program

pytestmark = pytest.mark.anyio

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@dataclass(frozen=True)
class Keys:
    """A certificate for ``localhost``, and the authority that signed it."""

    server: dict[str, str]
    authority: str


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(folder / "key.pem")
    for blob in made.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return Keys({"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}, str(folder / "ca.pem"))


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def account(password: str = "right", **more: object) -> dict[str, object]:
    return {"auth": {"user": "ann", "password": password}, "to": "support@own.example", "host": "localhost", **more}


async def test_over_starttls_and_with_a_log_in_the_mail_arrives(keys: Keys) -> None:
    async with house(tls=keys.server, auth={"users": {"ann": QUICK.hash("right")}}) as gate:
        connector = SmtpConnector("desk", settings(gate.port, tls="starttls", ca=keys.authority, **account()))
        outcome = await called(connector, order(text="Grüße", files=(("a.bin", "", b"\0" * 300_000),)))
        assert outcome.kind is OutcomeKind.DELIVERED, outcome.detail
        (receipt,) = gate.box.receipts
        assert receipt.envelope["tls"].startswith("TLSv1.")
        assert receipt.envelope["rcpt_to"] == "support@own.example"
        wrong = SmtpConnector("desk", settings(gate.port, tls="starttls", ca=keys.authority, **account("wrong")))
        assert (await called(wrong, order())).kind is OutcomeKind.AUTH_BROKEN


async def test_a_certificate_of_somebody_else_is_never_talked_to(keys: Keys) -> None:
    async with house(tls=keys.server) as gate:
        for changes in ({"host": "localhost"}, {"host": "127.0.0.1", "ca": keys.authority}):
            given = {**account(), **changes}
            outcome = await called(SmtpConnector("desk", settings(gate.port, tls="starttls", **given)), order())
            assert outcome.kind is OutcomeKind.NOT_SENT
            assert "certificate" in outcome.detail.lower()
        assert gate.box.receipts == []


async def test_tls_from_the_start_works_too(keys: Keys) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.server["cert"], keys.server["key"])
    async with scripted({}, context) as (port, heard):
        connector = SmtpConnector("desk", settings(port, tls="implicit", host="localhost", ca=keys.authority))
        outcome = await called(connector, order())
    assert outcome.kind is OutcomeKind.DELIVERED, outcome.detail
    assert heard[0] == "EHLO example.org"


# ------------------------------------------------------------------------------------------------------------- Postfix


@dataclass(frozen=True)
class Relay:
    """A Postfix that takes mail at ``port`` and hands it on to ``behind``."""

    port: int
    behind: int


@pytest.fixture
def relay() -> Iterator[Relay]:
    port, behind = free_port(), free_port()
    services = f"127.0.0.1:{port} inet n - n - - smtpd\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n"
    main = MAIN.format(transport=f"smtp:[127.0.0.1]:{behind}") + "mynetworks = 127.0.0.0/8\n"
    with postfix(main=main, master=services):
        yield Relay(port, behind)


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0 or program("postfix") is None, reason="needs root and the Debian package postfix")
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_through_a_real_postfix_a_thread_stays_a_thread(relay: Relay) -> None:
    store = Store(None)
    desk = SmtpSandbox(store)
    await desk.listen("127.0.0.1", relay.behind)
    try:
        await _talk_through(relay, store)
    finally:
        await desk.close()
        store.close()


async def _talk_through(relay: Relay, store: Store) -> None:
    connector = SmtpConnector("desk", settings(relay.port, to="support@own.example"))
    made = await called(
        connector, order(title="Störung", text=".dot\n" + "x" * 3000, files=(("ä.bin", "", b"\0\r\n.\r\n"),))
    )
    assert made.ticket is not None, made.detail
    assert "queued as" in made.detail
    follow_up = order(ActionKind.APPEND, marker="cd" * 16, text="still", ticket=made.ticket)
    assert (await called(connector, follow_up)).kind is OutcomeKind.DELIVERED

    def entries() -> list[str]:
        found = store.threads(ticket.id for ticket in store.tickets())
        return [entry.body for thread in found.values() for entry in thread.entries]

    async def arrived() -> bool:
        return len(entries()) == 2

    await until(arrived, 20)
    (ticket,) = store.tickets()
    assert ticket.subject.endswith("Störung")
    first, second = entries()
    assert first == ".dot\n" + "x" * 3000 + "\n"
    assert second == "still\n"
    (file,) = store.threads([ticket.id])[ticket.id].entries[0].attachments
    assert (file.filename, file.size) == ("ä.bin", 6)
