"""The processes of a bench: the real gateway, the sandbox, the baseline. Started here, ended here."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.commits import COMMIT_DELAY
from tests.crash.harness import free_port

TOKEN = "bench-token-3f9d"
API_KEY = "5A4DB0C05A4DB0C05A4DB0C05A4DB0C0"

_ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db"}}
sources:
  app: {{kind: generic, auth: {{bearer: {token}}}}}
helpdesks:
  desk:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: {key}}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{concurrency: 4, creates: off}}
routes:
  - name: all
{action}
"""
TO_TICKETS = "    ticket: {helpdesk: desk, template: generic}"
DROPPED = "    drop: {reason: bench}"
NO_SANDBOX = "http://127.0.0.1:9/sandbox"


@dataclass(slots=True)
class Running:
    """A process of ours with a port."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    def freeze(self) -> None:
        """Stand still, so that the other side of a comparison has the machine for itself."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stand still within the block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def memory(self) -> int:
        """Octets of memory of this process and its children: the proportional set size of each, summed."""
        return sum(_pss(number) for number in _family(self.process.pid))


@contextmanager
def _process(command: list[str], port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{Path(command[2]).name}.log"
    with (folder / name).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=log, stderr=log, env={**os.environ, **environment}
        )
    running = Running(process, port, folder)
    try:
        _wait_up(running, folder / name)
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_up(running: Running, log: Path) -> None:
    def up() -> bool:
        if running.process.poll() is not None:
            raise RuntimeError(f"a process ended at its start: {log.read_text('utf-8', 'replace')[-2000:]}")
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=2.0)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    wait_until(up, "a process to answer", 60.0)


@contextmanager
def gateway(folder: Path, *, action: str, sandbox: str = NO_SANDBOX, delay: float = 0.0) -> Iterator[Running]:
    """The gateway as users start it, with its own journal in ``folder``; ``delay`` seconds are added to each commit."""
    port = free_port()
    text = _ROUTES.format(port=port, token=TOKEN, sandbox=sandbox, key=API_KEY, action=action)
    with serve(folder, text, port, delay) as running:
        yield running


@contextmanager
def serve(folder: Path, routes: str, port: int, delay: float = 0.0) -> Iterator[Running]:
    """The gateway with a configuration of the caller's, whose HTTP door is at ``port``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "routes.yaml"
    config.write_text(routes)
    shipped = folder / "templates"
    if not shipped.exists():
        shipped.symlink_to(Path(__file__).resolve().parent.parent / "templates", target_is_directory=True)
    environment = {COMMIT_DELAY: f"{delay * 1000:g}"} if delay else {}
    with _process(["-m", "gateway", "serve", "--config", str(config)], port, folder, environment) as running:
        yield running


@contextmanager
def sandbox(folder: Path) -> Iterator[Running]:
    """The sandbox helpdesk as a process of its own."""
    port = free_port()
    command = ["-m", "gateway", "sandbox", "--port", str(port), "--data", str(folder / "sandbox")]
    with _process(command, port, folder / "sandbox-log", {}) as running:
        yield running


@contextmanager
def baseline(folder: Path) -> Iterator[Running]:
    """The bare endpoint."""
    port = free_port()
    with _process(["-m", "bench.baseline", str(port)], port, folder, {}) as running:
        yield running


def address(running: Running) -> str:
    """Of the sandbox, as a gateway's configuration wants it."""
    return f"http://127.0.0.1:{running.port}/sandbox"


def tune(running: Running, **settings: float) -> None:
    """Change switches of the sandbox's osTicket."""
    request = urllib.request.Request(
        f"{address(running)}/settings",
        data=json.dumps({"osticket": settings}).encode(),
        method="PUT",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10.0) as answer:
        answer.read()


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Ask until it holds.

    Raises:
        RuntimeError: naming ``what`` did not come.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


def _family(root: int) -> list[int]:
    found, queue = [], [root]
    while queue:
        number = queue.pop()
        found.append(number)
        for children in Path(f"/proc/{number}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                queue += [int(child) for child in children.read_text().split()]
    return found


def _pss(number: int) -> int:
    try:
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
