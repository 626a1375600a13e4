"""The Dockerfile, as far as it can be proven without an engine: its context, its commands, its health check."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.packaging.dockerfile import ROOT, copied, instructions


def values(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def test_everything_it_copies_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert set(copied()) == allowed
    for name in copied():
        assert (ROOT / name).exists()


def test_it_installs_what_the_readme_installs() -> None:
    """The same pip commands, which CI runs as a block of the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    wanted = {"--require-hashes -r lock/run.txt", "--no-deps --no-build-isolation ."}
    for arguments in wanted:
        assert re.search(rf'bin/pip" install --quiet {re.escape(arguments)}$', readme, re.MULTILINE)
        assert any(run.endswith(arguments) for run in values("RUN")), arguments


def test_the_program_runs_without_privileges_on_a_volume() -> None:
    last = max(index for index, (name, _) in enumerate(instructions()) if name == "FROM")
    final = instructions()[last:]
    assert ("USER", "8025:8025") in final
    assert ("VOLUME", "/var/lib/ticket-gateway") in final
    assert ("EXPOSE", "8025") in final
    assert [json.loads(rest) for name, rest in final if name == "ENTRYPOINT"] == [["ticket-gateway"]]
    assert [json.loads(rest) for name, rest in final if name == "CMD"] == [
        ["serve", "--config", "/etc/ticket-gateway/routes.yaml"]
    ]
    after_user = final[final.index(("USER", "8025:8025")) :]
    assert not [name for name, _ in after_user if name in {"RUN", "COPY", "ADD"}]


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        pass


@contextmanager
def serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Health)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("path", "well"), [("/healthz", True), ("/wrong", False)])
def test_its_health_check_tells_a_gateway_that_answers_from_one_that_does_not(path: str, *, well: bool) -> None:
    (check,) = values("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    with serving() as base:
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={**os.environ, "HEALTH_URL": base + path}, capture_output=True, check=False, timeout=30,
        )  # fmt: skip
    assert (done.returncode == 0) is well
