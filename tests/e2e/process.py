"""The real program as a process of its own, with the sandbox as another one, and bytes sent to it by hand."""

import http.client
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.shipped import shipped_templates
from gateway.model.action import UNFINISHED, ActionStatus
from gateway.model.json import JsonObject
from tests.crash.harness import PROGRAM, free_port, wait_for

PATIENCE = 15.0
OPERATOR = "an-operators-own-token"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> JsonObject:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@dataclass(slots=True)
class Program:
    """A running gateway."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"
    token: str = ""
    log_path: Path = field(default_factory=Path)

    @property
    def log(self) -> str:
        """All that it wrote to standard error and standard output."""
        return self.log_path.read_text("utf-8")

    def raw(self, data: bytes, *, timeout: float = PATIENCE) -> bytes:
        """Send octets as they are; all that comes back until the gateway closes the connection."""
        with self.connect(timeout=timeout) as connection:
            connection.sendall(data)
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)

    def connect(self, *, timeout: float = PATIENCE) -> socket.socket:
        """A connection to its door."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
        finally:
            connection.close()

    def post(self, source: str, body: "bytes | JsonObject", **headers: str) -> Reply:
        """Deliver to a source with the bearer token, unless another ``authorization`` is given."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "POST",
            f"/in/{source}",
            content,
            {"authorization": f"Bearer {self.token}", "content-type": "application/json", **named},
        )

    def get(self, path: str) -> Reply:
        """Read an address as an operator."""
        return self.request("GET", path, headers={"authorization": f"Bearer {OPERATOR}"})

    def ended(self, reply: Reply) -> JsonObject:
        """The receipt of an accepted delivery once nothing of it waits any more."""
        assert reply.status in {200, 201, 202}, reply
        return self.settled(str(reply.json()["id"]))

    def settled(self, receipt: str) -> JsonObject:
        """The receipt once nothing of it waits any more."""
        found: JsonObject = {}

        def done() -> bool:
            nonlocal found
            found = self.get(f"/receipts/{receipt}").json()
            actions = found.get("actions")
            return found.get("status") in {"processed", "dead"} and not any(
                isinstance(action, dict) and ActionStatus(str(action["status"])) in UNFINISHED
                for action in (actions if isinstance(actions, list) else ())
            )

        wait_for(done, f"receipt {receipt} to settle")
        return found

    def events(self, receipt: JsonObject) -> list[JsonObject]:
        """The events of a receipt."""
        found = receipt["events"]
        assert isinstance(found, list)
        return [event for event in found if isinstance(event, dict)]

    def lines(self, **wanted: object) -> list[JsonObject]:
        """The entries of the log that have these values."""
        found = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in found if all(line.get(key) == value for key, value in wanted.items())]


def templates(folder: Path) -> None:
    """The templates that are shipped."""
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(shipped_templates())


def launch(
    folder: Path,
    config: str,
    *,
    port: int,
    token: str = "",
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> Program:
    """Start the program with a configuration, without waiting for it. ``prefix`` is a command that runs the rest."""
    templates(folder)
    (folder / "routes.yaml").write_text(config)
    path = folder / "gateway.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            [*prefix, *PROGRAM, "serve", "--config", str(folder / "routes.yaml")],
            stdout=log,
            stderr=log,
            env={**os.environ, **(env or {})},
        )
    return Program(folder, port, process, token, path)


@contextmanager
def running(
    folder: Path,
    config: str,
    *,
    port: int,
    token: str = "",
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> Iterator[Program]:
    """A gateway that answers; it is ended at the end whatever happened."""
    program = launch(folder, config, port=port, token=token, env=env, prefix=prefix)
    try:
        wait_for(lambda: _answers(program), "the gateway to answer")
        yield program
    finally:
        if program.process.poll() is None:
            program.process.terminate()
            try:
                program.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()


def _answers(program: Program) -> bool:
    if program.process.poll() is not None:
        raise AssertionError(f"the gateway ended with {program.process.returncode}: {program.log[-2000:]}")
    try:
        return program.request("GET", "/healthz").status == 200
    except OSError:
        return False


def read_json(url: str) -> object:
    """What an address of the sandbox says."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        value: object = json.load(answer)
        return value


__all__ = [
    "OPERATOR",
    "PATIENCE",
    "Program",
    "Reply",
    "free_port",
    "launch",
    "read_json",
    "running",
    "templates",
    "wait_for",
]
