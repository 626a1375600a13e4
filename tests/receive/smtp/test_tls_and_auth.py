"""TLS and who may log in."""

import asyncio
import base64
import shutil
import smtplib
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from argon2 import PasswordHasher

from tests.receive.smtp.support import MESSAGE, SENDER, SUPPORT, Client, house

pytestmark = pytest.mark.anyio

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
RIGHT = base64.b64encode(b"\0ann\0right")
WRONG = base64.b64encode(b"\0ann\0wrong")
NOBODY = base64.b64encode(b"\0nobody\0right")


@dataclass(frozen=True)
class Keys:
    """A certificate, and the context of a client that trusts it."""

    settings: dict[str, str]
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    made.private_key_pem.write_to_path(folder / "key.pem")
    for blob in made.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Keys({"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}, context)


def users(**settings: object) -> dict[str, object]:
    return {"users": {"ann": QUICK.hash("right")}, **settings}


async def secured(client: Client, keys: Keys) -> None:
    await client.say(b"EHLO c.example")
    assert (await client.say(b"STARTTLS")).startswith(b"220")
    await client.start_tls(keys.context)
    await client.say(b"EHLO c.example")


async def test_starttls_is_offered_and_the_envelope_says_so(keys: Keys) -> None:
    async with house(tls=keys.settings) as gate, gate.client() as client:
        assert b"250-STARTTLS" in await client.say(b"EHLO c.example")
        assert await client.code(b"STARTTLS now") == 501
        assert (await client.say(b"STARTTLS")).startswith(b"220")
        await client.start_tls(keys.context)
        assert b"STARTTLS" not in await client.say(b"EHLO c.example")
        assert await client.code(b"STARTTLS") == 503
        assert (await client.deliver()).startswith(b"250")
        assert gate.box.receipts[0].envelope["tls"].startswith("TLSv1.")


async def test_commands_behind_starttls_in_clear_are_never_run(keys: Keys) -> None:
    async with house(tls=keys.settings) as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.send(b"STARTTLS\r\n" + SENDER + b"\r\n" + SUPPORT + b"\r\nRSET\r\n")
        assert (await client.answer()).startswith(b"220")
        await client.start_tls(keys.context)
        assert await client.code(b"NOOP") == 250  # and no answer to anything before it
        assert (await client.say(SENDER)).startswith(b"503 5.5.1 Say EHLO")
        await client.say(b"EHLO c.example")
        assert await client.code(SUPPORT) == 503


async def test_what_was_said_before_tls_counts_for_nothing(keys: Keys) -> None:
    async with house(tls=keys.settings) as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        await client.say(SENDER)
        await client.say(SUPPORT)
        await client.say(b"STARTTLS")
        await client.start_tls(keys.context)
        assert await client.code(b"DATA") == 503


async def test_clear_text_in_place_of_a_handshake_ends_the_connection(keys: Keys) -> None:
    async with house(tls=keys.settings) as gate:
        async with gate.client() as client:
            await client.say(b"EHLO c.example")
            await client.say(b"STARTTLS")
            await client.send(SENDER + b"\r\n" + SUPPORT + b"\r\n" * 20)
            rest = await client.rest()
            assert b"250" not in rest
        async with gate.client() as other:
            assert await other.code(b"NOOP") == 250


async def test_where_tls_is_wanted_nothing_goes_without(keys: Keys) -> None:
    async with house(tls=keys.settings, require_tls=True, auth=users()) as gate, gate.client() as client:
        assert b"AUTH" not in await client.say(b"EHLO c.example")
        assert (await client.say(SENDER)).startswith(b"530 5.7.0")
        assert (await client.say(b"AUTH PLAIN " + RIGHT)).startswith((b"530", b"538"))
        await secured(client, keys)
        assert (await client.say(SENDER)).startswith(b"250")


async def test_tls_from_the_first_byte(keys: Keys) -> None:
    async with house(listen=[], listen_tls="127.0.0.1:0", tls=keys.settings, require_tls=True) as gate:
        assert gate.server.addresses[0].startswith("smtps://127.0.0.1:")
        async with gate.client(keys.context) as client:
            assert (await client.deliver()).startswith(b"250")
        assert gate.box.receipts[0].envelope["tls"].startswith("TLSv1.")


async def test_pythons_client_speaks_starttls_and_logs_in(keys: Keys) -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("localhost", port) as client:
            client.starttls(context=keys.context)
            client.login("ann", "right")
            client.sendmail("a@b.example", "support@own.example", MESSAGE)

    async with house(tls=keys.settings, auth=users(required=True)) as gate:
        await asyncio.to_thread(send, gate.port)
        assert gate.box.receipts[0].envelope["auth_user"] == "ann"


async def test_auth_without_tls_is_refused_even_on_loopback_unless_allowed(keys: Keys) -> None:
    async with house(tls=keys.settings, auth=users()) as gate, gate.client() as client:
        assert b"AUTH" not in await client.say(b"EHLO c.example")
        assert (await client.say(b"AUTH PLAIN " + RIGHT)).startswith(b"538 5.7.11")
    async with house(auth=users(without_tls_on_loopback=True)) as gate, gate.client() as client:
        assert b"250-AUTH PLAIN LOGIN" in await client.say(b"EHLO c.example")
        assert (await client.say(b"AUTH PLAIN " + RIGHT)).startswith(b"235")
    asked = users(without_tls_on_loopback=True)
    async with house(auth=asked, proxy_protocol=["127.0.0.1"]) as gate, gate.client(greet=False) as client:
        await client.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n")
        await client.answer()
        await client.say(b"EHLO c.example")
        assert (await client.say(b"AUTH PLAIN " + RIGHT)).startswith(b"538")


async def test_plain_and_login_in_all_their_forms() -> None:
    async with house(auth=users(without_tls_on_loopback=True)) as gate:
        for words in (
            [b"AUTH PLAIN " + RIGHT], [b"AUTH PLAIN", RIGHT],
            [b"AUTH LOGIN", base64.b64encode(b"ann"), base64.b64encode(b"right")],
            [b"auth login " + base64.b64encode(b"ann"), base64.b64encode(b"right")],
        ):  # fmt: skip
            async with gate.client() as client:
                await client.say(b"EHLO c.example")
                for word in words[:-1]:
                    assert (await client.say(word)).startswith(b"334")
                assert (await client.say(words[-1])).startswith(b"235 2.7.0")
                assert await client.code(b"AUTH PLAIN " + RIGHT) == 503


async def test_broken_logins_are_refused_and_the_session_goes_on() -> None:
    async with house(auth=users(without_tls_on_loopback=True)) as gate, gate.client() as client:
        assert await client.code(b"AUTH PLAIN " + RIGHT) == 503
        await client.say(b"EHLO c.example")
        assert await client.code(b"AUTH PLAIN") == 334
        assert await client.code(b"*") == 501
        assert await client.code(b"AUTH PLAIN !!!") == 501
        assert await client.code(b"AUTH PLAIN =") == 501
        assert await client.code(b"AUTH CRAM-MD5") == 504
        assert await client.code(b"AUTH") == 504
        assert await client.code(b"AUTH LOGIN") == 334
        await client.send(b"x" * 20_000 + b"\r\n")
        assert (await client.answer()).startswith(b"500")
        assert await client.code(b"*") == 501
        assert await client.code(SENDER) == 250
        assert await client.code(b"AUTH PLAIN " + RIGHT) == 503


async def test_few_guesses_end_the_connection_and_say_nothing_of_the_user() -> None:
    async with (
        house(auth=users(without_tls_on_loopback=True), limits={"auth_tries": 2}) as gate,
        gate.client() as client,
    ):
        await client.say(b"EHLO c.example")
        first = await client.say(b"AUTH PLAIN " + WRONG)
        assert first == await client.say(b"AUTH PLAIN " + NOBODY)
        assert first.startswith(b"535 5.7.8")
        assert (await client.rest()).startswith(b"421 4.7.0")


async def test_mail_without_a_login_is_refused_where_one_is_wanted() -> None:
    async with house(auth=users(without_tls_on_loopback=True, required=True)) as gate, gate.client() as client:
        await client.say(b"EHLO c.example")
        assert (await client.say(SENDER)).startswith(b"530 5.7.0")
        assert (await client.say(b"AUTH PLAIN " + RIGHT)).startswith(b"235")
        assert (await client.say(SENDER)).startswith(b"250")


async def test_a_password_that_is_no_hash_does_not_start() -> None:
    with pytest.raises(ValueError, match="'ann' is no Argon2 hash"):
        async with house(auth={"users": {"ann": "right"}}):
            pass


@pytest.mark.parametrize("behaviour", ["garbage", "leaves", "waits", "aborts"])
async def test_a_failed_handshake_gives_its_place_back(keys: Keys, behaviour: str) -> None:
    limits = {"connections": 1, "handshake": "200ms"}
    async with house(tls=keys.settings, limits=limits) as gate:
        assert gate.server._house is not None
        async with gate.client() as client:
            await client.say(b"EHLO c.example")
            assert (await client.say(b"STARTTLS")).startswith(b"220")
            if behaviour == "garbage":
                await client.send(b"\x16\x03\x01" + b"x" * 500)
            if behaviour in {"garbage", "waits"}:
                await client.rest()
            if behaviour == "aborts":
                client.writer.transport.abort()
        async with asyncio.timeout(5):
            while gate.server._house.peers.open:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.01)
        async with gate.client() as client:
            assert await client.code(b"NOOP") == 250


async def test_a_renewed_certificate_is_given_to_new_clients(keys: Keys, tmp_path: Path) -> None:
    other = trustme.CA()
    made = other.issue_cert("localhost")
    own = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    for name, path in own.items():
        shutil.copyfile(keys.settings[name], path)
    trusting = ssl.create_default_context()
    other.configure_trust(trusting)
    async with house(tls=own) as gate:
        async with gate.client() as client:
            await secured(client, keys)
        made.private_key_pem.write_to_path(own["key"])
        made.cert_chain_pems[0].write_to_path(own["cert"])
        assert gate.server.reload_certificate()
        async with gate.client() as client:
            await secured(client, Keys(own, trusting))
