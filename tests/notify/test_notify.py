"""The script that monitoring hosts run, as real processes against a real (small) HTTP server."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.sources.support import only, parsed

SCRIPT = Path(__file__).parents[2] / "deploy" / "ticket-gateway-notify"
Answer = Callable[[int], int | None]


class Recorder(ThreadingHTTPServer):
    """A gateway that keeps what it got. ``answer`` gives the status of the n-th request; None drops the connection."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Answer = lambda _number: 202

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/in/nagios"

    @property
    def hosts(self) -> list[str]:
        return [json.loads(body)["NAGIOS_HOSTNAME"] for _, _, body in self.requests]

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, headers, _ in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers.items()), body))
            status = self.server.answer(len(self.server.requests))
        if status is None:
            self.close_connection = True
            return
        answer = b'{"id": "x"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Tests stay quiet."""


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def command(spool: Path, url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", str(SCRIPT), *arguments, "--spool", str(spool), "--source", url, "--timeout", "5"]


def environment(host: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NAGIOS_", "TICKET_GATEWAY"))}
    return kept | {"NAGIOS_NOTIFICATIONTYPE": "PROBLEM", "NAGIOS_HOSTNAME": host, "NAGIOS_SERVICEDESC": ""}


def notify(spool: Path, url: str, host: str = "web01", *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(spool, url, "nagios", *arguments), env=environment(host), capture_output=True, timeout=30, check=False
    )


def flush(spool: Path, url: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(spool, url, "--flush"), capture_output=True, timeout=30, check=False)


def names(spool: Path, folder: str = "new") -> list[str]:
    return sorted(path.name for path in (spool / folder).iterdir())


def down() -> str:
    """An address where nothing listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    server.server_close()
    return f"http://127.0.0.1:{port}/in/nagios"


def test_an_event_is_sent_with_its_id_and_nothing_stays(gateway: Recorder, spool: Path) -> None:
    assert notify(spool, gateway.url).returncode == 0
    ((path, headers, body),) = gateway.requests
    assert path == "/in/nagios"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"][14] == "7"
    assert json.loads(body) == {"NAGIOS_NOTIFICATIONTYPE": "PROBLEM", "NAGIOS_HOSTNAME": "web01"}
    assert names(spool) == []


def test_what_waits_is_sent_first_and_in_order(gateway: Recorder, spool: Path) -> None:
    url = down()
    for host in ("a", "b", "c"):
        assert notify(spool, url, host).returncode == 0
    assert len(names(spool)) == 3
    # The address stands in each event; the gateway came back at another one.
    for path in (spool / "new").iterdir():
        path.write_bytes(path.read_bytes().replace(url.encode(), gateway.url.encode()))
    assert notify(spool, gateway.url, "d").returncode == 0
    assert gateway.hosts == ["a", "b", "c", "d"]
    assert names(spool) == []


@pytest.mark.parametrize("status", [503, 429, 401, 404, 302])
def test_an_answer_that_means_later_keeps_the_event(gateway: Recorder, spool: Path, status: int) -> None:
    gateway.answer = lambda _number: status
    result = notify(spool, gateway.url)
    assert result.returncode == 0
    assert str(status) in result.stderr.decode()
    assert len(names(spool)) == 1
    assert flush(spool, gateway.url).returncode == 75
    gateway.answer = lambda _number: 202
    assert flush(spool, gateway.url).returncode == 0
    assert names(spool) == []
    assert len(set(gateway.keys)) == 1


def test_a_lost_answer_repeats_the_same_id(gateway: Recorder, spool: Path) -> None:
    gateway.answer = lambda number: None if number == 1 else 202
    assert notify(spool, gateway.url, "a").returncode == 0
    assert len(names(spool)) == 1
    assert notify(spool, gateway.url, "b").returncode == 0
    assert gateway.hosts == ["a", "a", "b"]
    assert gateway.keys[0] == gateway.keys[1] != gateway.keys[2]


def test_a_refused_event_is_set_aside_with_the_answer_and_neighbours_go_on(gateway: Recorder, spool: Path) -> None:
    gateway.answer = lambda _number: 503
    notify(spool, gateway.url, "a")
    gateway.answer = lambda number: 400 if number == 2 else 202
    assert notify(spool, gateway.url, "b").returncode == 0
    assert gateway.hosts == ["a", "a", "b"]
    assert names(spool) == []
    event, answer = sorted(names(spool, "rejected"), reverse=True)
    assert event == gateway.keys[0] + ".event"
    assert (spool / "rejected" / answer).read_bytes().startswith(b"HTTP 400\n")


def test_one_event_that_the_gateway_fails_at_does_not_hold_up_the_others(gateway: Recorder, spool: Path) -> None:
    gateway.answer = lambda _number: 503
    notify(spool, gateway.url, "poison")
    gateway.answer = lambda number: (
        500 if json.loads(gateway.requests[number - 1][2])["NAGIOS_HOSTNAME"] == "poison" else 202
    )
    assert notify(spool, gateway.url, "good").returncode == 0
    assert gateway.hosts == ["poison", "poison", "good"]
    assert len(names(spool)) == 1


def test_a_spool_file_that_is_broken_three_times_is_set_aside(gateway: Recorder, spool: Path) -> None:
    notify(spool, gateway.url, "first")
    broken = spool / "new" / "01900000-0000-7000-8000-000000000000.event"
    broken.write_bytes(b'{"length": 9000, "headers": {}}\nhalf a bo')
    for host in ("b", "c"):
        assert notify(spool, gateway.url, host).returncode == 0
        assert len(names(spool)) == 1
    assert notify(spool, gateway.url, "d").returncode == 0
    assert gateway.hosts == ["first", "b", "c", "d"]
    assert names(spool) == []
    assert len(names(spool, "broken")) == 1


def test_an_address_that_is_away_does_not_hold_up_another(gateway: Recorder, spool: Path) -> None:
    notify(spool, down(), "a")
    notify(spool, "nonsense://x", "b")
    assert notify(spool, gateway.url, "c").returncode == 0
    assert gateway.hosts == ["c"]
    assert len(names(spool)) == 2


def test_a_process_killed_while_it_sends_loses_nothing(gateway: Recorder, spool: Path) -> None:
    arrived = threading.Event()
    go_on = threading.Event()

    def hold(_number: int) -> int:
        arrived.set()
        go_on.wait(20)
        return 202

    gateway.answer = hold
    process = subprocess.Popen(command(spool, gateway.url, "nagios"), env=environment("a"), stderr=subprocess.DEVNULL)
    assert arrived.wait(20)
    process.kill()
    process.wait(20)
    go_on.set()
    gateway.answer = lambda _number: 202
    assert flush(spool, gateway.url).returncode == 0
    assert gateway.hosts == ["a", "a"]
    assert len(set(gateway.keys)) == 1
    assert names(spool) == []


def test_what_it_sends_is_what_the_nagios_source_reads(gateway: Recorder, spool: Path) -> None:
    variables = environment("web01") | {"NAGIOS_SERVICEDESC": "Disk /", "NAGIOS_SERVICESTATE": "CRITICAL"}
    variables["NAGIOS_SERVICEOUTPUT"] = 'C:\\Temp "50%" full'
    subprocess.run(command(spool, gateway.url, "nagios"), env=variables, timeout=30, check=True)
    ((_, headers, body),) = gateway.requests
    parsed_event = only(parsed("nagios", body, headers["Content-Type"]))
    assert (parsed_event.title, parsed_event.text) == ("CRITICAL: Disk / on web01", 'C:\\Temp "50%" full')


def test_a_spool_that_cannot_be_written_still_sends_and_else_fails(gateway: Recorder, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert notify(blocked / "spool", gateway.url).returncode == 0
    assert gateway.hosts == ["web01"]
    assert notify(blocked / "spool", down()).returncode == 75


def test_a_gateway_that_does_not_answer_ends_the_run_in_time(spool: Path) -> None:
    server = Recorder()  # listens, and never accepts
    started = time.monotonic()
    result = notify(spool, server.url, "a", "--max-time", "1")
    server.server_close()
    assert result.returncode == 0
    assert time.monotonic() - started < 5
    assert len(names(spool)) == 1


def test_a_gateway_that_drips_its_answer_ends_the_run_in_time(spool: Path) -> None:
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        wire, _ = listener.accept()
        with wire, contextlib.suppress(OSError):
            wire.sendall(b"HTTP/1.1 202 Accepted\r\nX: ")
            while not ended.wait(0.2):
                wire.sendall(b"y")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        started = time.monotonic()
        result = notify(spool, f"http://127.0.0.1:{listener.getsockname()[1]}/", "a", "--max-time", "1")
        ended.set()
        thread.join()
    assert result.returncode == 0
    assert time.monotonic() - started < 8
    assert len(names(spool)) == 1


def test_settings_come_from_the_file_and_the_token_goes_along(gateway: Recorder, spool: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    config = tmp_path / "notify.conf"
    config.write_text(f"[gateway]\nurl = {gateway.url}\ntoken_file = {token}\nspool = {spool}  ; here\n")
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "json", "--config", str(config)],
        input=b'{"title": "x"}', env=environment("x"), capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    ((_, headers, body),) = gateway.requests
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == b'{"title": "x"}'


def test_broken_settings_keep_the_event_instead_of_losing_it(spool: Path, tmp_path: Path) -> None:
    config = tmp_path / "notify.conf"
    config.write_text("url = no section\n")
    result = notify(spool, down(), "a", "--config", str(config))
    assert result.returncode == 0
    assert "settings" in result.stderr.decode()
    assert len(names(spool)) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["nagios", "--flush"], ["nagios", "--source"], ["nagios", "--timeout", "x"]]
)
def test_wrong_usage_is_a_temporary_failure(arguments: list[str]) -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, timeout=30, check=False)
    assert result.returncode == 75
    assert b"usage:" in result.stderr


def test_help_says_what_it_does_and_options_may_be_joined(gateway: Recorder, spool: Path) -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, timeout=30, check=True)
    assert b"enable_environment_macros" in result.stdout
    joined = [sys.executable, str(SCRIPT), "nagios", f"--spool={spool}", f"--source={gateway.url}"]
    subprocess.run(joined, env=environment("a"), timeout=30, check=True)
    assert gateway.hosts == ["a"]


def test_without_nagios_variables_nothing_is_sent(spool: Path) -> None:
    result = subprocess.run(
        command(spool, "http://127.0.0.1:9/", "nagios"), env={}, capture_output=True, timeout=30, check=False
    )
    assert result.returncode == 75
    assert b"enable_environment_macros" in result.stderr


def test_octets_that_are_not_utf_8_arrive_as_text(gateway: Recorder, spool: Path) -> None:
    variables = {name.encode(): value.encode() for name, value in environment("web01").items()}
    variables[b"NAGIOS_SERVICEOUTPUT"] = "Köln €".encode("cp1252")
    subprocess.run(command(spool, gateway.url, "nagios"), env=variables, timeout=30, check=True)
    assert json.loads(gateway.requests[0][2])["NAGIOS_SERVICEOUTPUT"] == "Köln €"


@pytest.mark.processes
def test_two_hundred_at_once_end_in_time_with_nothing_lost_or_doubled(gateway: Recorder, spool: Path) -> None:
    started = time.monotonic()
    running = [
        subprocess.Popen(
            command(spool, gateway.url, "nagios"), env=environment(f"host-{number}"), stderr=subprocess.PIPE
        )
        for number in range(200)
    ]
    for process in running:
        _, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, b"")
    assert time.monotonic() - started < 30
    assert names(spool) == []
    assert sorted(gateway.hosts) == sorted(f"host-{number}" for number in range(200))
    assert len(set(gateway.keys)) == 200
