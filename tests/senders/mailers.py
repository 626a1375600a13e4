"""Real mail programs, each in a folder of its own: nothing of the system's mail is touched.

What they are told about the gateway is read from the documentation, with the places of this test put in.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.docs.pages import ROOT, blocks

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
SCRIPT = ROOT / "deploy" / "ticket-gateway-pipe"
USER = "nobody"
"""As whom mail programs start the script here; the documentation says `ticket-gateway`."""
RECIPIENT = "support@tickets.example.org"


def program(*names: str) -> str | None:
    """Where a program is; an environment variable of its name in capitals goes first (``EXIM4=/opt/exim/usr/sbin/exim4``)."""
    for name in names:
        given = os.environ.get(name.upper())
        found = given or shutil.which(name, path=SYSTEM)
        if found:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the gateway of the test listens, and where its files are."""

    folder: Path
    smtp: int
    lmtp: int

    @property
    def socket(self) -> Path:
        return self.folder / "lmtp.sock"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def script(self) -> Path:
        return self.folder / "ticket-gateway-pipe"

    def put_in(self, text: str) -> str:
        """The documentation's words with the places of this test."""
        for word, place in {
            "/usr/local/bin/ticket-gateway-pipe": f"{self.script} --spool {self.spool}",
            "/run/ticket-gateway/lmtp.sock": str(self.socket),
            "127.0.0.1:2525": f"127.0.0.1:{self.smtp}",
            "[127.0.0.1]:2525": f"[127.0.0.1]:{self.smtp}",
            "port = 2525": f"port = {self.smtp}",
            "127.0.0.1:2424": f"127.0.0.1:{self.lmtp}",
            "user=ticket-gateway": f"user={USER}",
            "user = ticket-gateway": f"user = {USER}",
        }.items():
            text = text.replace(word, place)
        return text


def snippet(first_line: str) -> str:
    """The block of the mail page that begins with this comment."""
    found = [block.text for block in blocks(ROOT / "docs" / "mail.md") if block.text.startswith(f"# {first_line}\n")]
    assert len(found) == 1, f"docs/mail.md has {len(found)} blocks that begin with '# {first_line}'"
    return found[0]


class Mailer(Protocol):
    """A program that takes mail and hands it to the gateway, until the gateway has it."""

    def send(self, message: str, sender: str, *recipients: str) -> None:
        """Give it a mail; it is its own from then on."""
        ...

    def flush(self) -> None:
        """Have it try again what it could not hand over."""
        ...

    def waiting(self) -> int:
        """How many mails it has."""
        ...

    def refused(self) -> int:
        """How often it was told to come again."""
        ...

    def complaints(self) -> list[str]:
        """What it gave up, and what it says went wrong for good."""
        ...


# ------------------------------------------------------------------------------------------------------------- Postfix

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = relay.example
mydestination = {destination}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps = {aliases}
alias_database =
local_recipient_maps =
mailbox_command = {mailbox_command}
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
local unix - n n - - local
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A Postfix of its own."""

    folder: Path

    def send(self, message: str, sender: str, *recipients: str) -> None:
        command = ["/usr/sbin/sendmail", "-C", str(self.folder), "-i", "-f", sender, *recipients]
        subprocess.run(command, input=message.encode(), check=True, timeout=30)

    def flush(self) -> None:
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.folder), "-f"], check=True, timeout=30)

    def waiting(self) -> int:
        return sum(
            path.is_file() for name in ("maildrop", "incoming", "active", "deferred")
            for path in (self.folder / "queue" / name).rglob("*")
        )  # fmt: skip

    def log(self) -> str:
        """What it has to say."""
        return (self.folder / "mail.log").read_text("utf-8", "replace")

    def refused(self) -> int:
        return self.log().count("status=deferred")

    def complaints(self) -> list[str]:
        return [
            line
            for line in self.log().splitlines()
            if re.search(r"status=bounced|fatal:|panic:|warning: .*(?:pipe|local)", line)
        ]


@contextmanager
def postfix(
    *, main: str = "", master: str = "", aliases: str = "", mailbox_command: str = "", local: bool = False
) -> Iterator[Postfix]:
    """A running Postfix with these additions; ``local``: it is the last stop of the gateway's domain."""
    folder = Path(tempfile.mkdtemp(prefix="tg-postfix-", dir="/tmp"))
    folder.chmod(0o755)  # its processes run as another user
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    known = ""
    if aliases:
        (folder / "aliases").write_text(aliases)
        known = f"hash:{folder}/aliases"
    destination = "tickets.example.org" if local else ""
    settings = MAIN.format(folder=folder, destination=destination, aliases=known, mailbox_command=mailbox_command)
    (folder / "main.cf").write_text(settings + main)
    (folder / "master.cf").write_text(MASTER + master)
    if aliases:
        subprocess.run(["/usr/sbin/postalias", "-c", str(folder), known], check=True, timeout=30)
    control = ["/usr/sbin/postfix", "-c", str(folder)]
    subprocess.run([*control, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield Postfix(folder)
    finally:
        subprocess.run([*control, "stop"], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------------------------------------------------- Exim

EXIM = """\
primary_hostname = relay.example
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment =
acl_not_smtp = accept
qualify_domain = relay.example
never_users =
trusted_users = root
split_spool_directory = false
pid_file_path = {folder}/exim.pid
exim_path = {program}
begin routers
{routers}
begin transports
{transports}
begin retry
* * F,1d,1s
"""


@dataclass(frozen=True, slots=True)
class Exim:
    """An Exim of its own."""

    program: str
    folder: Path

    def _run(self, *options: str, text: str = "") -> str:
        command = [self.program, "-C", str(self.folder / "exim.conf"), *options]
        done = subprocess.run(command, input=text.encode(), check=True, timeout=60, capture_output=True)
        return done.stdout.decode("utf-8", "replace")

    def send(self, message: str, sender: str, *recipients: str) -> None:
        self._run("-odq", "-i", "-f", sender, *recipients, text=message)
        self.flush()  # by root: with a configuration of its own Exim trusts nobody else

    def flush(self) -> None:
        self._run("-qff")

    def waiting(self) -> int:
        return len(list((self.folder / "spool" / "input").rglob("*-H")))

    def refused(self) -> int:
        log = self.folder / "mainlog"
        return log.read_text("utf-8", "replace").count(" == ") if log.exists() else 0

    def complaints(self) -> list[str]:
        """Without what Exim says of every configuration that is not the system's, when one connection takes more mails."""
        lines: list[str] = []
        for name in ("mainlog", "paniclog"):
            if (self.folder / name).exists():
                lines += (self.folder / name).read_text("utf-8", "replace").splitlines()
        panics = [line for line in lines if re.search(r" \*\* | Frozen|panic|failed|lost privilege", line)]
        return [line for line in panics if not line.endswith("lost privilege for using -C option")]


@contextmanager
def exim(routers: str, transports: str) -> Iterator[Exim]:
    """An Exim that delivers what it is given at once, and again when it is flushed."""
    found = program("exim4", "exim")
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="tg-exim-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "spool").mkdir()
    (folder / "exim.conf").write_text(EXIM.format(folder=folder, program=found, routers=routers, transports=transports))
    for path in (folder, folder / "spool"):
        shutil.chown(path, "Debian-exim", "Debian-exim")
    try:
        yield Exim(found, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------- programs that only deliver


@dataclass(slots=True)
class Deliverer:
    """A program that is started once for each mail, before a mail server's queue: exit 75 means that it comes again."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    queue: "deque[tuple[str, str]]" = field(default_factory=deque)
    failed: list[str] = field(default_factory=list)
    deferred: int = 0

    def send(self, message: str, sender: str, *recipients: str) -> None:
        del recipients
        self.queue.append((message, sender))
        self.flush()

    def flush(self) -> None:
        for _ in range(len(self.queue)):
            message, sender = self.queue.popleft()
            done = subprocess.run(
                self.command, input=f"From {sender} Sun Nov 22 04:00:00 2026\n{message}".encode(), timeout=120,
                env={"PATH": SYSTEM, "SENDER": sender, "RECIPIENT": RECIPIENT, **self.environment}, user=USER, group="nogroup",
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode == os.EX_TEMPFAIL:
                self.queue.append((message, sender))
                self.deferred += 1
            elif done.returncode:
                self.failed.append(f"exit {done.returncode}: {done.stderr.decode('utf-8', 'replace')}")

    def waiting(self) -> int:
        return len(self.queue)

    def refused(self) -> int:
        return self.deferred

    def complaints(self) -> list[str]:
        return self.failed
