"""The real Postfix hands over by SMTP and by LMTP; what was put off comes again, once."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.receive.smtp.support import Box, House, house

NEEDED = ("postfix", "sendmail")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.processes,
    pytest.mark.skipif(
        os.geteuid() != 0 or any(shutil.which(name, path="/usr/sbin:/usr/bin") is None for name in NEEDED),
        reason="needs root and the Debian package postfix",
    ),
]

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = relay.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
relay_domains = own.example
transport_maps = inline:{{ {{ own.example = {transport} }} }}
smtputf8_enable = yes
bounce_queue_lifetime = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
"""
MASTER = """\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Relay:
    """A Postfix of its own in a folder; nothing of the system's is touched."""

    folder: Path
    door: str
    listen: str

    def send(self, text: str, *recipients: str) -> None:
        command = ["/usr/sbin/sendmail", "-C", str(self.folder), "-i", "-f", "nagios@monitor.example", *recipients]
        subprocess.run(command, input=text.encode(), check=True, timeout=20)

    def flush(self) -> None:
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.folder), "-f"], check=True, timeout=20)

    def log(self) -> str:
        return (self.folder / "mail.log").read_text("utf-8", "replace")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(params=["smtp", "lmtp", "lmtp-unix"])
def relay(request: pytest.FixtureRequest) -> Iterator[Relay]:
    door: str = request.param
    folder = Path(tempfile.mkdtemp(prefix="tg-postfix-", dir="/tmp"))
    folder.chmod(0o755)  # its processes run as another user
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    transports = {
        "smtp": (f"smtp:[127.0.0.1]:{port}", f"127.0.0.1:{port}"),
        "lmtp": (f"lmtp:inet:127.0.0.1:{port}", f"127.0.0.1:{port}"),
        "lmtp-unix": (f"lmtp:unix:{folder}/lmtp.sock", f"unix:{folder}/lmtp.sock"),
    }
    transport, listen = transports[door]
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (folder / "main.cf").write_text(MAIN.format(folder=folder, transport=transport))
    (folder / "master.cf").write_text(MASTER)
    control = ["/usr/sbin/postfix", "-c", str(folder)]
    subprocess.run([*control, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield Relay(folder, door, listen)
    finally:
        subprocess.run([*control, "stop"], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


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
                relay.flush()
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
