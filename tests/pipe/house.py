"""The script and the gateway as processes of their own, and what the journal holds."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.process import OPERATOR, Program, free_port, launch, running

SCRIPT = Path(__file__).parents[2] / "deploy" / "ticket-gateway-pipe"
VARIABLES = ("SENDER", "RECIPIENT", "ORIGINAL_RECIPIENT", "EXTENSION", "LOCAL_PART", "CLIENT_ADDRESS", "CLIENT_HELO")

ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: {min_free}}}
  operator: {{bearer: {operator}}}
sources:
  support: {{kind: mail, recipients: ["support@tickets.example.org"], max_body: 40MiB}}
  app: {{kind: generic, auth: none}}
routes:
  - {{name: all, drop: {{reason: a test}}}}
unrouted: {{dead_letter: true}}
"""


def mail(number: int | str, text: str = "Hello.") -> bytes:
    """A mail whose subject is its number."""
    return (
        f"From: Ann <ann@example.org>\nTo: support@tickets.example.org\nSubject: mail {number}\n"
        f"Message-ID: <{number}@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n{text}\n"
    ).encode()


def command(spool: Path, *options: str, source: str = "support") -> list[str]:
    """The script's command line."""
    return [sys.executable, "-I", "-S", str(SCRIPT), "--source", source, "--spool", str(spool), *options]


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what a mail server sets, and with ``variables``."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | dict(variables or {})


def pipe(
    spool: Path,
    content: bytes,
    *options: str,
    source: str = "support",
    variables: Mapping[str, str] | None = None,
    user: int | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run it once."""
    return subprocess.run(
        command(spool, *options, source=source), input=content, env=environment(variables), capture_output=True,
        timeout=60, check=False, user=user,
    )  # fmt: skip


def names(spool: Path, folder: str = "new") -> list[str]:
    """The files of a folder of the spool; none where there is no folder."""
    return sorted(path.name for path in (spool / folder).iterdir()) if (spool / folder).exists() else []


def spool_of(folder: Path) -> Path:
    """The gateway's spool, made as an administrator would."""
    spool = folder / "spool"
    spool.mkdir(exist_ok=True, mode=0o700)
    return spool


def gateway(
    folder: Path, *, min_free: str = "1MiB", env: Mapping[str, str] | None = None, killed: bool = False
) -> AbstractContextManager[Program]:
    """The gateway on a journal in ``folder``. One that will be ``killed`` at its start is not waited for."""
    port = free_port()
    config = ROUTES.format(port=port, operator=OPERATOR, min_free=min_free)
    if killed:
        return nullcontext(launch(folder, config, port=port, env=env))
    return running(folder, config, port=port, env=env)


@dataclass(frozen=True, slots=True)
class Row:
    """A receipt as it stands in the journal."""

    id: str
    source: str
    status: str
    envelope: dict[str, str]
    peer: str
    body: bytes
    detail: str

    @property
    def subject(self) -> str:
        """The subject of its mail."""
        return next(line.partition(b": ")[2] for line in self.body.split(b"\n") if line.startswith(b"Subject")).decode()


def rows(folder: Path) -> list[Row]:
    """All receipts, in their order."""
    query = (
        "SELECT id, source, status, envelope, peer, content, file, detail FROM receipt JOIN body USING (sequence)"
        " ORDER BY sequence"
    )
    path = folder / "journal.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return [
            Row(
                row[0], row[1], row[2], json.loads(row[3]), row[4],
                row[5] if row[5] is not None else (folder / "bodies" / row[6]).read_bytes(), row[7],
            )
            for row in journal.execute(query)
        ]  # fmt: skip


def asked(spool: Path) -> str:
    """What the gateway says to octets that are no mail: it cannot read them, once it takes mail at all."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10.0)
        try:
            link.connect(str(spool / "socket"))
        except OSError:
            return ""
        link.sendall(b"POST /mail HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
        return b"".join(iter(lambda: link.recv(4096), b"")).decode()


def is_open(spool: Path) -> bool:
    """True once the gateway takes mail from the script: it has looked at what was in the spool before."""
    return "cannot be read" in asked(spool)


@dataclass(slots=True)
class Stub:
    """Something that listens where the gateway would."""

    answer: bytes | None
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def listening(spool: Path, answer: bytes | None) -> Iterator[Stub]:
    """A daemon that reads a request and says ``answer``; None: it never says anything; empty: it hangs up."""
    stub = Stub(answer)
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spool / "socket"))
        listener.listen(16)
        listener.settimeout(0.2)

        def serve() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    link, _ = listener.accept()
                    with link:
                        link.settimeout(10.0)
                        stub.requests.append(_request(link))
                        if stub.answer is None:
                            ended.wait(20)
                        else:
                            link.sendall(stub.answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield stub
        finally:
            ended.set()
            thread.join()


def _request(link: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += link.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += link.recv(65536)
    return body
