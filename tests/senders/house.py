"""The real gateway before the real sandbox, each a process of its own, for real senders."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.locate import reading
from gateway.journal.protocol import ReceiptLine
from gateway.model.json import JsonObject
from tests.crash.harness import free_port, sandbox_process, wait_for
from tests.e2e.process import launch, read_json

TOKEN = "a-token-for-real-senders"

ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
sources:
  curl: {{kind: nagios, auth: {{bearer: {token}}}}}
  notify: {{kind: nagios, auth: {{bearer: {token}}}}}
  zabbix: {{kind: zabbix, auth: {{bearer: {token}}}, wait: 5s}}
helpdesks:
  desk:
    kind: osticket
    sandbox: true
    url: {sandbox}/osticket/api
    ticket_url: "{sandbox}/tickets/number/osticket/{{number}}"
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    limits: {{creates: off, timeout: 2s, settle: 300ms, retry_first: 100ms, retry_most: 400ms}}
routes:
  - name: alerts
    match: {{severity: {{gte: warning}}}}
    ticket: {{helpdesk: desk, template: alert}}
    incident: {{repeat: {{append_every: 1h}}, reopen_within: 3d}}
unrouted: {{dead_letter: true}}
"""


@dataclass(slots=True)
class House:
    """A gateway and what it made."""

    folder: Path
    sandbox: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the gateway and wait until it answers."""
        config = ROUTES.format(port=self.port, sandbox=self.sandbox, token=TOKEN)
        program = launch(self.folder, config, port=self.port)
        self.process = program.process

        def answers() -> bool:
            assert program.process.poll() is None, program.log[-2000:]
            try:
                return program.request("GET", "/healthz").status == 200
            except OSError:
                return False

        wait_for(answers, "the gateway to answer")

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def url(self, source: str) -> str:
        """Where the source sends to."""
        return f"http://127.0.0.1:{self.port}/in/{source}"

    def events(self, source: str) -> list[ReceiptLine]:
        """What came in, oldest first."""

        async def read() -> list[ReceiptLine]:
            async with reading(self.folder / "journal.db") as reader:
                return await reader.receipts(limit=10_000, source=source)

        return asyncio.run(read())[::-1]

    def drained(self) -> bool:
        """True if nothing waits."""

        async def read() -> bool:
            async with reading(self.folder / "journal.db") as reader:
                counts = await reader.counts()
            return counts.receipts_waiting == 0 and sum(counts.actions_waiting.values()) == 0

        return asyncio.run(read())

    def ticket(self, number: str) -> tuple[str, list[str]]:
        """Subject and bodies of a ticket."""
        found = next(ticket for ticket in self.tickets() if ticket["number"] == number)
        entries = found["entries"]
        assert isinstance(entries, list)
        return str(found["subject"]), [str(entry["body"]) for entry in entries if isinstance(entry, dict)]

    def tickets(self) -> list[JsonObject]:
        """All tickets of the sandbox."""
        found = read_json(f"{self.sandbox}/tickets.json")
        assert isinstance(found, list)
        return found


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """A running gateway with an empty sandbox."""
    with sandbox_process(folder) as sandbox:
        here = House(folder, sandbox, free_port())
        here.start()
        try:
            yield here
        finally:
            if here.process is not None and here.process.poll() is None:
                here.process.terminate()
                here.process.wait(15)
