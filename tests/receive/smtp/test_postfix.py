"""The real Postfix hands over by SMTP and by LMTP; what was put off comes again, once."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.crash.harness import free_port
from tests.receive.smtp.support import Box, House, house
from tests.senders.mailers import Postfix, postfix, program

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.skipif(
        os.geteuid() != 0 or program("postfix") is None,
        reason="needs root and the Debian package postfix",
    ),
]

MAIN = """\
relay_domains = own.example
transport_maps = inline:{{ {{ own.example = {transport} }} }}
smtputf8_enable = yes
"""


@dataclass(frozen=True)
class Relay:
    """A Postfix that hands the mail of a domain to one of our doors."""

    postfix: Postfix
    door: str
    listen: str
    before: int = 0

    def log(self) -> str:
        """What it has said since the test began."""
        return self.postfix.log()[self.before :]

    def send(self, text: str, *recipients: str) -> None:
        self.postfix.send(text, "nagios@monitor.example", *recipients)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module", params=["smtp", "lmtp", "lmtp-unix"])
def running(request: pytest.FixtureRequest) -> Iterator[Relay]:
    door: str = request.param
    with tempfile.TemporaryDirectory(prefix="tg-doors-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # the processes of Postfix run as another user
        port = free_port()
        transport, listen = {
            "smtp": (f"smtp:[127.0.0.1]:{port}", f"127.0.0.1:{port}"),
            "lmtp": (f"lmtp:inet:127.0.0.1:{port}", f"127.0.0.1:{port}"),
            "lmtp-unix": (f"lmtp:unix:{folder}/lmtp.sock", f"unix:{folder}/lmtp.sock"),
        }[door]
        with postfix(main=MAIN.format(transport=transport)) as built:
            yield Relay(built, door, listen)


@pytest.fixture
def relay(running: Relay) -> Relay:
    """One Postfix for all tests of a door, of which each sees only its own part of the log."""
    return replace(running, before=len(running.postfix.log()))


@asynccontextmanager
async def opened(relay: Relay, box: Box) -> AsyncIterator[House]:
    async with house(lmtp=relay.door.startswith("lmtp"), listen=relay.listen, box=box) as gate:
        if relay.listen.startswith("unix:"):
            shutil.chown(relay.listen.removeprefix("unix:"), "postfix")  # a site puts Postfix into the group instead
        yield gate


async def until(relay: Relay, box: Box, count: int) -> None:
    try:
        async with asyncio.timeout(20):
            while len(box.receipts) < count:
                relay.postfix.flush()
                await asyncio.sleep(0.3)
    except TimeoutError:
        pytest.fail(relay.log())


async def test_postfix_hands_over_and_nothing_is_lost_or_doubled(relay: Relay) -> None:
    box = Box()
    text = "Subject: Störung auf dénse\r\nMessage-ID: <1@x>\r\n\r\n.dot\r\nFrom here\r\n".replace("\r\n", "\n")
    relay.send(text, "support@own.example", "Alerts+DB@own.example", "sales@own.example")  # nobody listens yet
    box.faults["sales"] = OSError("disk full")
    async with opened(relay, box):
        if relay.door == "smtp":  # one answer for all, so nobody has it while one of the sources cannot
            await asyncio.wait_for(box.entered.wait(), 20)
            assert box.receipts == []
        else:
            await until(relay, box, 1)
    async with opened(relay, box):  # the gateway came back, and its disk has room
        box.faults.clear()
        await until(relay, box, 2)
        await asyncio.sleep(0.5)
    desk, sales = sorted(box.receipts, key=lambda receipt: receipt.source)
    assert (desk.source, sales.source) == ("desk", "sales")
    assert desk.envelope["mail_from"] == "nagios@monitor.example"
    assert sorted(desk.envelope["rcpt_to"].split("\n")) == ["Alerts+DB@own.example", "support@own.example"]
    assert "Subject: Störung auf dénse\r\n".encode() in desk.body
    assert desk.body.endswith(b"\r\n\r\n.dot\r\nFrom here\r\n")
    assert "status=bounced" not in relay.log()


async def test_an_unknown_recipient_is_refused_at_once_and_the_known_one_served(relay: Relay) -> None:
    box = Box()
    async with opened(relay, box):
        relay.send("Subject: x\n\ny\n", "support@own.example", "nobody@own.example")
        await until(relay, box, 1)
    assert [receipt.envelope["rcpt_to"] for receipt in box.receipts] == ["support@own.example"]
    assert "550 5.1.1 No such recipient here" in relay.log()
