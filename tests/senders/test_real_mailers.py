"""Real mail programs hand over mail as the documentation says, while the gateway is killed: nothing lost, nothing doubled.

Debian packages: postfix, exim4-daemon-light, procmail, maildrop, swaks. Exim and Postfix exclude each other; unpack the
one that is missing and say where it is::

    apt-get download exim4-daemon-light && dpkg -x exim4-daemon-light_*.deb /opt/exim
    EXIM4=/opt/exim/usr/sbin/exim4 make real-senders

``REAL_MAILS`` and ``REAL_KILLS`` say how many (20 and 2; with make 100 and 8).
"""

import asyncio
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.journal.locate import reading
from gateway.model.json import JsonObject
from gateway.model.receipt import Receipt
from tests.crash.harness import free_port, sandbox_process, wait_for
from tests.docs.pages import ROOT, blocks
from tests.e2e.process import launch, read_json
from tests.senders import mailers
from tests.senders.mailers import RECIPIENT, SCRIPT, USER, Deliverer, Mailer, Places, program, snippet

MAILS = int(os.environ.get("REAL_MAILS", "20"))
KILLS = int(os.environ.get("REAL_KILLS", "2"))
PATIENCE = 40.0
CYCLE = 2.0
"""Seconds from one start to the next, roughly."""
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as mail servers do"),
]

ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  smtp: {{listen: "127.0.0.1:{smtp}", hostname: tickets.example.org}}
  lmtp: {{listen: ["unix:{socket}", "127.0.0.1:{lmtp}"], hostname: tickets.example.org}}
  spool: {spool}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
sources:
  support: {{kind: mail, recipients: ["support@tickets.example.org", "support+*@tickets.example.org"]}}
helpdesks:
  desk:
    kind: osticket
    sandbox: true
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    limits: {{creates: off, timeout: 2s, settle: 300ms, retry_first: 100ms, retry_most: 400ms}}
routes:
  - name: mail
    ticket: {{helpdesk: desk, template: generic, title: "{{{{ event.title }}}}"}}
"""


@dataclass(slots=True)
class Gate:
    """A gateway with all its mail doors that can be killed and started again."""

    places: Places
    sandbox: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    kills: int = 0

    def start(self) -> None:
        places = self.places
        config = ROUTES.format(
            port=self.port, smtp=places.smtp, lmtp=places.lmtp, socket=places.socket, spool=places.spool,
            sandbox=self.sandbox,
        )  # fmt: skip
        running = launch(places.folder, config, port=self.port)
        self.process = running.process

        def answers() -> bool:
            assert running.process.poll() is None, running.log[-3000:]
            try:
                with socket.socket(socket.AF_UNIX) as client:  # the last door that opens
                    client.connect(str(places.socket))
                return running.request("GET", "/healthz").status == 200
            except OSError:
                return False

        wait_for(answers, "the gateway to answer")
        places.socket.chmod(0o777)  # a site puts the mail server's user into the group instead

    def kill(self) -> None:
        """SIGKILL, as a power cut is."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def tickets(self) -> list[JsonObject]:
        found = read_json(f"{self.sandbox}/tickets.json")
        assert isinstance(found, list)
        return found

    def receipts(self) -> list[Receipt]:
        """What came in, with its octets."""

        async def read() -> list[Receipt | None]:
            async with reading(self.places.folder / "journal.db") as reader:
                return [await reader.body(line.id) for line in await reader.receipts(limit=10)]

        return [receipt for receipt in asyncio.run(read()) if receipt is not None]

    def drained(self) -> bool:
        """Whether nothing waits, neither in the journal nor in the spool."""

        async def read() -> bool:
            async with reading(self.places.folder / "journal.db") as reader:
                counts = await reader.counts()
            return counts.receipts_waiting == 0 and sum(counts.actions_waiting.values()) == 0

        return not list((self.places.spool / "new").iterdir()) and asyncio.run(read())

    def entries(self, test: str) -> Counter[str]:
        """How often each mail of a test is there, by its Message-ID, which ends its subject; each entry of a ticket counts."""
        found: Counter[str] = Counter()
        for ticket in self.tickets():
            entries = ticket["entries"]
            assert isinstance(entries, list)
            identity = str(ticket["subject"]).removeprefix("Störung ")
            if identity.startswith(f"{test}-"):
                found[identity] += len(entries)
        return found


@pytest.fixture(scope="module")
def alone() -> Iterator[Gate]:
    """A gateway for what needs no mail server."""
    with a_gate() as built:
        yield built


@contextmanager
def a_gate() -> Iterator[Gate]:
    folder = Path(tempfile.mkdtemp(prefix="tg-mailers-", dir="/tmp"))
    folder.chmod(0o755)  # mail programs start the script as another user
    places = Places(folder, free_port(), free_port())
    shutil.copy(SCRIPT, places.script)
    places.script.chmod(0o755)
    places.spool.mkdir()
    shutil.chown(places.spool, "root", "nogroup")
    places.spool.chmod(0o2770)  # as the documentation says: a folder of a common group
    try:
        with sandbox_process(folder) as sandbox:
            built = Gate(places, sandbox, free_port())
            try:
                built.start()
                yield built
            finally:
                built.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------------------------------------------------- ways

Way = Callable[[Places], AbstractContextManager[Mailer]]


def by_postfix(main: str, master: str = "") -> Way:
    def way(places: Places) -> AbstractContextManager[Mailer]:
        added = places.put_in(snippet(master)) if master else ""
        return mailers.postfix(main=places.put_in(snippet(main)), master=added)

    return way


def by_alias(places: Places) -> AbstractContextManager[Mailer]:
    return mailers.postfix(
        main=snippet("/etc/postfix/main.cf, by an alias"), aliases=places.put_in(snippet("/etc/aliases")), local=True
    )


def by_exim(routers: str, transports: str) -> Way:
    def way(places: Places) -> AbstractContextManager[Mailer]:
        return mailers.exim(places.put_in(snippet(routers)), places.put_in(snippet(transports)))

    return way


def by_procmail(places: Places) -> AbstractContextManager[Mailer]:
    path = places.folder / "procmailrc"
    path.write_text(places.put_in(snippet(".procmailrc")))
    found = program("procmail")
    assert found is not None
    return nullcontext(Deliverer([found, "-m", str(path)]))


def by_maildrop(places: Places) -> AbstractContextManager[Mailer]:
    path = places.folder / "mailfilter"
    path.write_text(places.put_in(snippet(".mailfilter")))
    path.chmod(0o600)  # maildrop insists on both
    shutil.chown(path, USER)
    found = program("maildrop")
    assert found is not None
    return nullcontext(Deliverer([found, str(path)], {"HOME": str(places.folder)}))


WAYS: dict[str, tuple[str, Way]] = {
    "postfix-smtp": ("postfix", by_postfix("/etc/postfix/main.cf, by SMTP")),
    "postfix-lmtp-tcp": ("postfix", by_postfix("/etc/postfix/main.cf, by LMTP, through TCP")),
    "postfix-lmtp-unix": ("postfix", by_postfix("/etc/postfix/main.cf, by LMTP, through the unix socket")),
    "postfix-pipe": ("postfix", by_postfix("/etc/postfix/main.cf, by pipe", "/etc/postfix/master.cf, by pipe")),
    "postfix-alias": ("postfix", by_alias),
    "exim-pipe": ("exim4", by_exim("routers, by pipe", "transports, by pipe")),
    "exim-smtp": ("exim4", by_exim("routers, by SMTP", "transports, by SMTP")),
    "exim-lmtp": ("exim4", by_exim("routers, by pipe", "transports, by LMTP")),
    "procmail": ("procmail", by_procmail),
    "maildrop": ("maildrop", by_maildrop),
}


@dataclass(frozen=True, slots=True)
class Lane:
    """A mail program and the gateway to which it hands over, for all tests of that way: nothing of one stays for the next."""

    name: str
    gate: Gate
    mailer: Mailer


@pytest.fixture(scope="module", params=WAYS)
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    needed, way = WAYS[request.param]
    if program(needed) is None:
        pytest.skip(f"needs the program {needed}; see the head of this file")
    with a_gate() as gate, way(gate.places) as mailer:
        yield Lane(request.param, gate, mailer)


def a_mail(test: str, number: int) -> tuple[str, str, str]:
    """Its Message-ID (without brackets), sender and text. Every tenth is larger than what one write of a pipe takes."""
    identity, sender = f"{test}-{number}@customer.example", f"person{number}@{test}.example"
    filler = "A line of some length that makes the mail long.\n" * (4000 if number % 10 == 9 else 1)
    head = f"From: {sender}\nTo: {RECIPIENT}\nSubject: Störung {identity}\nMessage-ID: <{identity}>\n"
    return identity, sender, f"{head}Content-Type: text/plain; charset=utf-8\n\n.dot\nFrom here on {number}.\n{filler}"


@contextmanager
def killed_again_and_again(gate: Gate, kills: int, seed: int) -> Iterator[threading.Event]:
    """Kills at moments that nobody chose, each followed by a start a little later; the event is set after the last."""
    chance, faults, over = random.Random(seed), list[BaseException](), threading.Event()

    def run() -> None:
        try:
            for _ in range(kills):
                pause(chance.uniform(0.05, 1.0))
                gate.kill()
                pause(chance.uniform(0.0, 0.5))
                gate.start()
        except BaseException as fault:  # noqa: BLE001 - told by the test's own thread
            faults.append(fault)
        over.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield over
    finally:
        thread.join(PATIENCE)
    if faults:
        raise faults[0]


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def handed_over(lane: Lane, test: str, count: int) -> None:
    """Wait until the mailer has nothing left and so many mails of a test are in tickets."""
    mailer = lane.mailer

    def arrived() -> bool:
        if mailer.waiting():
            mailer.flush()
        return not mailer.waiting() and len(lane.gate.entries(test)) >= count

    try:
        wait_for(arrived, "all mails to become tickets", PATIENCE)
    except TimeoutError:
        pytest.fail("\n".join([f"{mailer.waiting()} are waiting", *mailer.complaints()[-20:]]))


def test_no_mail_is_lost_or_doubled_while_the_gateway_is_killed(lane: Lane, capsys: pytest.CaptureFixture[str]) -> None:
    gate = lane.gate
    sent: list[str] = []
    began = time.monotonic()
    with killed_again_and_again(gate, KILLS, seed=len(lane.name)) as over:
        for number in range(MAILS):
            identity, sender, text = a_mail("killed", number)
            lane.mailer.send(text, sender, RECIPIENT)
            sent.append(identity)
            over.wait(KILLS * CYCLE / MAILS)  # so that there are mails on the way at every kill
    handed_over(lane, "killed", MAILS)
    gate.kill()  # what is left in the journal or the spool would be told again now
    gate.start()
    wait_for(gate.drained, "the gateway to have nothing left")
    found = gate.entries("killed")
    lost = [identity for identity in sent if not found[identity]]
    doubled = [identity for identity, number in found.items() if number > 1]
    told = [
        lane.name, f"{len(sent)} mails", f"{gate.kills} kills", f"{len(found)} tickets",
        f"{len(lost)} lost", f"{len(doubled)} doubled", f"{time.monotonic() - began:.0f} s",
    ]  # fmt: skip
    with capsys.disabled():
        sys.stderr.write("\n" + ", ".join(told) + "\n")
    assert (lost, doubled) == ([], [])
    assert set(found) == set(sent)
    assert lane.mailer.complaints() == []


def test_octets_and_envelope_arrive_as_they_were(lane: Lane) -> None:
    _, sender, text = a_mail("octets", 1)
    lane.mailer.send(text, sender, "support+printer@tickets.example.org")
    handed_over(lane, "octets", 1)
    (receipt,) = (one for one in lane.gate.receipts() if one.envelope["mail_from"] == sender)
    assert receipt.body.replace(b"\r\n", b"\n").endswith(b"\n\n" + text.partition("\n\n")[2].encode())
    assert "Subject: Störung".encode() in receipt.body
    assert not receipt.body.startswith(b"From ")
    if lane.name == "procmail":  # it clears the environment
        assert "rcpt_to" not in receipt.envelope
    elif lane.name == "maildrop":
        assert receipt.envelope["rcpt_to"] == RECIPIENT
    else:
        assert receipt.envelope["rcpt_to"] == "support+printer@tickets.example.org"
        assert receipt.envelope["subaddress"] == "printer"


def test_what_nobody_can_take_stays_with_the_mail_server(lane: Lane) -> None:
    gate, mailer, before = lane.gate, lane.mailer, lane.mailer.refused()
    gate.stop()
    away = gate.places.spool.rename(gate.places.folder / "elsewhere")  # the script has nowhere to go either
    identity, sender, text = a_mail("refused", 1)
    mailer.send(text, sender, RECIPIENT)
    wait_for(lambda: mailer.refused() > before, "the mail to be refused")
    assert mailer.waiting() == 1
    assert mailer.complaints() == []
    away.rename(gate.places.spool)
    gate.start()
    handed_over(lane, "refused", 1)
    assert gate.entries("refused") == {identity: 1}


@pytest.mark.parametrize("word", ["--header", "@mail.eml", "LMTP"])
def test_swaks_says_that_the_gateway_took_the_mail(alone: Gate, tmp_path: Path, word: str) -> None:
    if program("swaks") is None:
        pytest.skip("needs the program swaks; see the head of this file")
    before = len(alone.tickets())
    calls = [each for block in blocks(ROOT / "docs" / "mail.md") for each in block.text.splitlines()]
    [command] = [each for each in calls if each.startswith("swaks ") and word in each]
    (tmp_path / "mail.eml").write_text("From: Ann <ann@example.org>\nSubject: From a file\n\nHello.\n")
    done = subprocess.run(
        shlex.split(alone.places.put_in(command)), capture_output=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done
    assert b"250 2.0.0" in done.stdout
    wait_for(lambda: len(alone.tickets()) == before + 1, "the ticket")
