"""Durable SMTP intake against Postfix: the same client, the same load, the same disk, in one run by turns.

Load: Postfix's ``smtp-source``, 16 sessions that keep their connections, messages of 4 KiB to one recipient. Ours: the SMTP
door on the SQLite journal, in a process of its own; 250 after the commit. Postfix's: its smtpd and cleanup with the stock
limits, every message held in its queue, so that it delivers nothing meanwhile; 250 after its fsync. Both write to the same
folder. Needs root and the Debian package ``postfix``; nothing of the system's own Postfix is touched or started.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvloop

from bench.disk import Disk
from bench.figures import Figure, at_least, median, spread
from bench.processes import wait_until
from gateway.config.models import SmtpServer, SourceSettings
from gateway.journal.sqlite import open_sqlite
from gateway.model.ids import new_id
from gateway.observability.metrics import Metrics
from gateway.receive.admission import Admission
from gateway.receive.smtp.mailroom import Mailroom
from gateway.receive.smtp.server import MailServer
from tests.crash.harness import free_port

GOAL = 1.5
SESSIONS = 16
OCTETS = 4096
RECIPIENT = "support@bench.example"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = bench.example
mydestination = bench.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
smtpd_client_restrictions = check_client_access static:HOLD
smtpd_peername_lookup = no
in_flow_delay = 0
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class _Mail(SourceSettings):
    """A mail source as far as its recipients go."""

    recipients: list[str]


async def _receive(port: int, folder: Path) -> None:
    """The process that is measured: door and journal, until it is ended."""
    journal = await open_sqlite(folder / "journal.db", run=new_id())
    sources = {"mail": _Mail(kind="mail", recipients=[RECIPIENT])}
    mailroom = Mailroom(sources, journal.accept_all, hostname="bench.example")
    settings = SmtpServer(listen=f"127.0.0.1:{port}", hostname="bench.example")
    server = MailServer(settings, mailroom, admission=Admission(), metrics=Metrics(sources))
    await server.start()
    await asyncio.Event().wait()


@contextmanager
def _ours(folder: Path) -> Iterator[int]:
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "bench.smtp", str(port), str(folder)]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: _answers(port), "the SMTP door", 30.0)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _postfix(folder: Path) -> Iterator[int]:
    """A Postfix of its own: configuration, queue and log in ``folder``."""
    port = free_port()
    control = _program("postfix")
    assert control is not None
    for part in ("", "queue", "data"):
        (folder / part).mkdir(mode=0o755)
    for parent in (folder, *folder.parents):
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)  # its processes run as another user
    shutil.chown(folder / "data", "postfix")
    (folder / "main.cf").write_text(_MAIN.format(folder=folder))
    (folder / "master.cf").write_text(_MASTER.format(port=port))
    subprocess.run([control, "-c", str(folder), "start"], check=True, capture_output=True)
    try:
        wait_until(lambda: _answers(port), "Postfix", 30.0)
        yield port
    finally:
        subprocess.run([control, "-c", str(folder), "stop"], check=True, capture_output=True)


def _answers(port: int) -> bool:
    return subprocess.run(_source(port, 1), check=False, capture_output=True).returncode == 0


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _source(port: int, count: int) -> list[str]:
    program = _program("smtp-source")
    assert program is not None
    options = ["-d", "-s", str(min(SESSIONS, count)), "-m", str(count), "-l", str(OCTETS)]
    return [program, *options, "-f", "sender@bench.example", "-t", RECIPIENT, f"127.0.0.1:{port}"]


def _rate(port: int, count: int) -> float:
    began = time.monotonic()
    subprocess.run(_source(port, count), check=True)
    return count / (time.monotonic() - began)


def measure(folder: Path, found: Disk | None = None, *, quick: bool) -> list[Figure]:
    """Rounds of the one and the other by turns; afterwards both must hold every message."""
    del found
    if os.geteuid() != 0 or _program("smtp-source") is None or _program("postfix") is None:
        return [
            Figure("SMTP intake against Postfix into its queue", "not measured", how="needs root and Debian's postfix")
        ]
    rounds, count = (3, 1000) if quick else (7, 3000)
    folder.mkdir(parents=True, exist_ok=True)
    ours: list[float] = []
    theirs: list[float] = []
    with _postfix(folder / "postfix") as postfix, _ours(folder / "ours") as gateway:
        for port in (postfix, gateway):
            _rate(port, 500)
        kept = _kept(folder)
        for _ in range(rounds):
            theirs.append(_rate(postfix, count))
            ours.append(_rate(gateway, count))
        for before, after in zip(kept, _kept(folder), strict=True):
            if after - before != rounds * count:
                raise RuntimeError(f"{rounds * count} messages were sent, {after - before} are kept")
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    how = (
        f"{median(ours):.0f}/s of ours, {median(theirs):.0f}/s of Postfix; {SESSIONS} connections, {OCTETS} octets, "
        f"{rounds} rounds of {count}, every message found on disk on both sides\n"
        f"ratios of the rounds: {spread(ratios)}"
    )
    return [at_least("SMTP intake against Postfix into its queue", median(ratios), GOAL, how)]


def _kept(folder: Path) -> tuple[int, int]:
    """Messages that ours and Postfix hold."""
    with closing(sqlite3.connect(f"file:{folder}/ours/journal.db?mode=ro", uri=True)) as journal:
        receipts: int = journal.execute("SELECT count(*) FROM receipt").fetchone()[0]
    return receipts, sum(1 for path in (folder / "postfix" / "queue" / "hold").rglob("*") if path.is_file())


if __name__ == "__main__":
    uvloop.run(_receive(int(sys.argv[1]), Path(sys.argv[2])))
