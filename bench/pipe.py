"""`ticket-gateway-pipe` from start to exit, against the least that a Python process can cost: `python3 -I -S -c pass`.

Both are started by turns, so that what else happens on the machine meets both. The gateway's commit stands apart: in the
first figure a socket answers as soon as the mail is there. With the real gateway and with the spool, what the disk costs is in
the figure, which is therefore for information.
"""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.disk import Disk
from bench.figures import Figure, below, median
from bench.processes import wait_until
from tests.crash.harness import PROGRAM, free_port

GOAL = 2.5
RUNS = 50
SCRIPT = Path(__file__).resolve().parent.parent / "deploy" / "ticket-gateway-pipe"
MAIL = (
    b"Return-Path: <ann@example.org>\nReceived: from mx.example.org by mail.example.org; Sat, 21 Nov 2026 10:00:00 +0000\n"
    b"From: Ann <ann@example.org>\nTo: support@example.org\nSubject: The fan is loud\nMessage-ID: <%d@example.org>\n\n"
    + b"It is, and has been for a week now, in room three.\n"
    * 75
)
_ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db"}}
sources:
  support: {{kind: mail}}
routes:
  - {{name: all, drop: {{reason: bench}}}}
"""


def interpreter() -> str:
    """The Python of the script's first line."""
    first = SCRIPT.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#!").split()[0]


def _seconds(command: Sequence[str], content: bytes) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(content)
    process.stdin.close()
    code = process.wait()
    took = time.perf_counter() - began
    if code:
        raise RuntimeError(f"{command[0]} ended with {code}")
    return took


def _by_turns(spool: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds of the script and of the bare interpreter, from start to exit."""
    bare = [interpreter(), "-I", "-S", "-c", "pass"]
    ours = [str(SCRIPT), "--source", "support", "--spool", str(spool), "--recipient", "support@example.org"]
    for command in (bare, ours):
        _seconds(command, MAIL % 0)
    taken: list[float] = []
    base: list[float] = []
    for number in range(1, runs + 1):
        base.append(_seconds(bare, b""))
        taken.append(_seconds(ours, MAIL % number))
    return taken, base


@contextmanager
def _answering(spool: Path) -> Iterator[list[int]]:
    """A socket that takes a mail at no cost; gives the lengths of what it got."""
    got: list[int] = []
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spool / "socket"))
        listener.listen(16)
        listener.settimeout(0.1)

        def serve() -> None:
            while not ended.is_set():
                with suppress(TimeoutError), listener.accept()[0] as link:
                    data = b""
                    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
                        data += link.recv(65536)
                    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    got.append(len(data))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield got
        finally:
            ended.set()
            thread.join()


def _length(data: bytes) -> int:
    return int(data.partition(b"Content-Length: ")[2].split(b"\r")[0])


@contextmanager
def _gateway(folder: Path) -> Iterator[Path]:
    (folder / "routes.yaml").write_text(_ROUTES.format(port=free_port()))
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen([*PROGRAM, "serve", "--config", str(folder / "routes.yaml")], stdout=log, stderr=log)
    try:
        wait_until((folder / "spool" / "socket").is_socket, "the gateway", 30.0)
        yield folder / "spool"
    finally:
        process.terminate()
        process.wait()


def measure(folder: Path, found: Disk | None = None, *, quick: bool) -> list[Figure]:
    """The three ways that a mail can go."""
    del found
    if not Path(interpreter()).exists():
        return [Figure("pipe, start to exit", "not measured", how=f"there is no {interpreter()}")]
    runs = RUNS  # both modes: it takes seconds
    del quick
    answering, alone = folder / "answering", folder / "alone"
    for spool in (answering, alone):
        spool.mkdir(parents=True)
    with _answering(answering) as got:
        taken, base = _by_turns(answering, runs)
    if len(got) != runs + 1:
        raise RuntimeError(f"{runs + 1} mails were handed over, {len(got)} came")
    figures = [
        below(
            "start to exit, against python3 -I -S -c pass",
            median(taken) / median(base),
            GOAL,
            f"{_told(taken)}, {_told(base)} of `{interpreter()} -I -S -c pass`; {runs} runs by turns, {len(MAIL)} octets,\n"
            "handed over to a socket that answers at once",
        )
    ]
    with _gateway(folder) as spool:
        figures.append(_for_information("handed over to the gateway, its fsync included", *_by_turns(spool, runs)))
    figures.append(_for_information("gateway away: spooled, with two fsyncs", *_by_turns(alone, runs)))
    kept = sum(1 for _ in (alone / "new").iterdir())
    if kept != runs + 1:
        raise RuntimeError(f"{runs + 1} mails were spooled, {kept} are there")
    return figures


def _for_information(what: str, taken: Sequence[float], base: Sequence[float]) -> Figure:
    return Figure(
        what, f"{median(taken) / median(base):.2f}", how=f"{_told(taken)}, {_told(base)} of the bare interpreter"
    )


def _told(seconds: Sequence[float]) -> str:
    return f"median {median(seconds) * 1000:.1f} ms"
