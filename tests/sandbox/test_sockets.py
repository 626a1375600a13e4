"""The sandbox as a program: real sockets, real signals, and tickets that outlive a SIGKILL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.sandbox import SANDBOX_API_KEY

pytestmark = pytest.mark.processes
PROGRAM = """
import sys
from pathlib import Path
from gateway.sandbox.serve import run_sandbox
run_sandbox("127.0.0.1", 0, Path(sys.argv[1]), on_ready=lambda url: print(url, flush=True))
"""
BODY = json.dumps({"name": "Mon", "email": "mon@example.org", "subject": "s", "message": "m"}).encode()


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TICKET_GATEWAY_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("sandbox")) as (url, _):
        yield url


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        httpx.delete(f"{request.getfixturevalue('server')}/faults")


def _fault(server: str, **fault: object) -> None:
    assert httpx.put(f"{server}/faults", json={"osticket": [fault]}).status_code == 200


def _post(server: str) -> httpx.Response:
    return httpx.post(
        f"{server}/osticket/api/tickets.json", content=BODY, headers={"X-API-Key": SANDBOX_API_KEY}, timeout=5
    )


def _count(server: str) -> int:
    return len(httpx.get(f"{server}/tickets.json").json())


def test_a_ticket_is_made_and_the_connection_is_used_again(server: str) -> None:
    with httpx.Client() as client:
        for _ in range(2):
            answer = client.post(
                f"{server}/osticket/api/tickets.json", content=BODY, headers={"X-API-Key": SANDBOX_API_KEY}
            )
            assert answer.status_code == 201
            assert answer.headers["content-length"] == str(len(answer.text))
            assert "connection" not in answer.headers


def test_a_fatal_page_has_no_length(server: str) -> None:
    _fault(server, fault="database_down")
    answer = _post(server)
    assert answer.status_code == 200
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers


def test_refuse_resets_the_connection_and_writes_nothing(server: str) -> None:
    before = _count(server)
    _fault(server, fault="refuse", count=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        _post(server)
    assert _count(server) == before
    assert _post(server).status_code == 201


def test_refuse_sends_a_reset_and_not_one_byte(server: str) -> None:
    _fault(server, fault="refuse", count=1)
    with _raw(server) as connection:
        connection.sendall(_request(server))
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_commit_then_drop_writes_and_closes_without_an_answer(server: str) -> None:
    before = _count(server)
    _fault(server, fault="commit_then_drop", count=1)
    with _raw(server) as connection:
        connection.sendall(_request(server))
        assert connection.recv(100) == b""
    assert _count(server) == before + 1


def test_commit_then_hang_writes_before_the_client_gives_up(server: str) -> None:
    before = _count(server)
    _fault(server, fault="commit_then_hang", seconds=60, count=1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server}/osticket/api/tickets.json", content=BODY, headers={"X-API-Key": SANDBOX_API_KEY}, timeout=0.2
        )
    assert _count(server) == before + 1


def test_a_client_that_hangs_up_does_not_stop_the_commit(server: str) -> None:
    before = _count(server)
    _fault(server, fault="hang_before_commit", seconds=0.3, count=1)
    with _raw(server) as connection:
        connection.sendall(_request(server))
        assert _count(server) == before
    deadline = time.monotonic() + 5
    while _count(server) == before and time.monotonic() < deadline:
        pass
    assert _count(server) == before + 1


def test_a_body_that_does_not_arrive_whole_makes_no_ticket(server: str) -> None:
    before = _count(server)
    with _raw(server) as connection:
        connection.sendall(_request(server)[:-1])
    assert _post(server).status_code == 201
    assert _count(server) == before + 1


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ({"fault": "rate_limit", "seconds": 7}, 429, ("retry-after", "7")),
        ({"fault": "auth_broken"}, 401, ("content-type", "text/html; charset=UTF-8")),
        ({"fault": "html_error", "status": 502}, 502, ("content-type", "text/html")),
        ({"fault": "redirect"}, 302, ("location", "https://login.example/")),
        ({"fault": "maintenance"}, 503, ("content-type", "text/html")),
    ],
)
def test_other_faults_answer_and_write_nothing(
    server: str, fault: dict[str, object], status: int, header: tuple[str, str]
) -> None:
    before = _count(server)
    _fault(server, **fault)
    answer = _post(server)
    assert (answer.status_code, answer.headers[header[0]]) == (status, header[1])
    assert _count(server) == before


def test_tickets_outlive_a_kill_and_a_stop_is_clean(tmp_path: Path) -> None:
    with running(tmp_path) as (url, process):
        number = _post(url).text
        process.kill()
    with running(tmp_path) as (url, process):
        (ticket,) = httpx.get(f"{url}/tickets.json").json()
        assert (ticket["number"], ticket["entries"][0]["body"]) == (number, "m")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def _raw(server: str) -> socket.socket:
    parts = urlsplit(server)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5)


def _request(server: str) -> bytes:
    head = (
        f"POST /sandbox/osticket/api/tickets.json HTTP/1.1\r\nHost: {urlsplit(server).netloc}\r\n"
        f"X-API-Key: {SANDBOX_API_KEY}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY
