"""Verbs called in this process, and the program as processes of its own."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.config.shipped import shipped_routes
from tests.crash.harness import free_port

CAPTURES = Path(__file__).parent.parent / "sources" / "captures"
PROBLEM = CAPTURES / "nagios" / "01-form-svc-problem.json"
RECOVERY = CAPTURES / "nagios" / "03-form-svc-recovery.json"


def tg(*arguments: object, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
    """Run one verb in this process; a fault that would be a traceback fails the test."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def configuration(folder: Path, port: int | None = None) -> Path:
    """The shipped configuration, on a free port, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "routes.yaml"
    path.write_text(shipped_routes().read_text().replace("8025", str(port or free_port())))
    return path


@dataclass(slots=True)
class Program:
    """The program as a process; what it prints goes into a file."""

    process: "subprocess.Popen[bytes]"
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, seconds: float = 15.0, after: int = 0) -> None:
        end = time.monotonic() + seconds
        while words not in self.text[after:]:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            _pause()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


@contextmanager
def program(folder: Path, *arguments: object, env: dict[str, str] | None = None) -> Iterator[Program]:
    """Start the program in ``folder``; it is killed at the end if it still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"output-{time.monotonic_ns()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *(str(argument) for argument in arguments)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    try:
        yield Program(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def call(
    folder: Path, *arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """One verb as a process of its own, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *(str(argument) for argument in arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=30,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def verb(folder: Path, *arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """One verb with the configuration in a folder, as `call` but in this process, which saves the start of another one."""
    result = tg(*arguments, stdin=stdin, env={"TICKET_GATEWAY_CONFIG": str(folder / "routes.yaml")})
    return subprocess.CompletedProcess(list(map(str, arguments)), result.exit_code, result.stdout, result.stderr)


def until_answered(url: str, seconds: float = 15.0) -> httpx.Response:
    """Ask until the address answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, timeout=2.0, trust_env=False)
        except httpx.HTTPError:
            assert time.monotonic() < end, f"{url} never answered"
            _pause()


def printed(result: Result) -> object:
    """What a verb printed as JSON."""
    value: object = json.loads(result.stdout)
    return value


def _pause() -> None:
    select.select([], [], [], 0.02)
