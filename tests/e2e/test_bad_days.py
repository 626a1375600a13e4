"""Bad days of the machine under the real program: no room, a failing disk, no file handles, signals, a second start."""

import contextlib
import http.client
import json
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.model.json import JsonObject
from tests.crash.harness import sandbox_process
from tests.e2e.process import OPERATOR, PATIENCE, Program, free_port, launch, read_json, running, wait_for

TOKEN = "a-token-of-bad-days"
CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///{journal}", min_free: 64KiB}}
  operator: {{bearer: {operator}}}
sources:
  app: {{kind: generic, auth: {{bearer: {token}}}}}
helpdesks:
  desk:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{creates: off, timeout: 3s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
routes:
  - name: all
    ticket: {{helpdesk: desk, template: generic}}
    incident: {{key: [title]}}
"""
# A file system of its own for the journal, of 8 MiB, in a mount name space that ends with the program.
SMALL_DISK = 'mount -t tmpfs -o size=24m,mode=700 none "$0" && exec "$@"'

FEW_HANDLES = ("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox_process(tmp_path_factory.mktemp("desk")) as url:
        yield url


def config(desk: str, port: int, journal: str = "journal.db") -> str:
    return CONFIG.format(port=port, sandbox=desk, token=TOKEN, operator=OPERATOR, journal=journal)


def started(folder: Path, desk: str, prefix: tuple[str, ...] = ()) -> contextlib.AbstractContextManager[Program]:
    port = free_port()
    return running(folder, config(desk, port), port=port, token=TOKEN, prefix=prefix)


def subjects(desk: str) -> Counter[str]:
    tickets = read_json(f"{desk}/tickets.json")
    assert isinstance(tickets, list)
    return Counter(ticket["subject"] for ticket in tickets)


def faults(desk: str, *wanted: JsonObject) -> None:
    request = urllib.request.Request(
        f"{desk}/faults", data=json.dumps({"osticket": list(wanted)}).encode(), method="PUT"
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=PATIENCE):
        return


def mountable(folder: Path) -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", str(folder)]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


# ------------------------------------------------------------------------------------------------------------- disk


@pytest.mark.parametrize("size", [2_000, 100_000], ids=["rows", "files"])
def test_a_full_disk_answers_503_loses_nothing_and_goes_on_by_itself_when_there_is_room(
    tmp_path: Path, desk: str, size: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mountable(disk):
        pytest.skip("this machine lets nobody mount a small file system (unshare --user --mount)")
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, str(disk))
    port = free_port()
    with running(tmp_path, config(desk, port, "disk/journal.db"), port=port, token=TOKEN, prefix=prefix) as gateway:
        inside = Path(f"/proc/{gateway.process.pid}/root{disk}")
        ballast = inside / "ballast"
        ballast.write_bytes(b"x" * 22_000_000)  # without it there is room for all that was taken, and what comes of it
        accepted: dict[str, str] = {}
        refused = 0
        for number in range(300):
            title = f"full {size} {number}"
            answer = gateway.post("app", {"title": title, "text": "y" * size})
            assert answer.status in {202, 503}, answer
            if answer.status == 202:
                accepted[title] = str(answer.json()["id"])
            else:
                refused += 1
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["title"] == "Service Unavailable"
            if refused == 5:
                break
        assert accepted
        assert refused == 5, "the disk was never full"
        assert gateway.process.poll() is None
        ballast.unlink()
        wait_for(lambda: gateway.post("app", {"title": f"room again {size}"}).status == 202, "room")
        for title, identity in accepted.items():
            receipt = gateway.settled(identity)
            assert receipt["status"] == "processed"
            assert subjects(desk)[title] == 1
        assert gateway.get("/readyz").status == 200


def test_an_error_of_the_disk_ends_the_program_and_the_next_one_has_all_that_was_answered(
    tmp_path: Path, desk: str
) -> None:
    """A limit on the size of files makes the write fail with an error that is none of room."""
    accepted: dict[str, str] = {}
    with started(tmp_path, desk) as gateway:
        for number in range(5):
            answer = gateway.post("app", {"title": f"disk {number}"})
            accepted[f"disk {number}"] = str(gateway.ended(answer)["id"])
        size = (tmp_path / "journal.db-wal").stat().st_size
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, size))
        answer = gateway.post("app", {"title": "never written", "text": "y" * 3000})
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert gateway.process.wait(PATIENCE) == 1
        assert "SQLITE_IOERR" in gateway.log
        (last,) = gateway.lines(event="cannot go on")
        assert "disk failed" in str(last["detail"])
    with started(tmp_path, desk) as gateway:
        for title, identity in accepted.items():
            assert gateway.settled(identity)["status"] == "processed"
            assert subjects(desk)[title] == 1


def test_bodies_that_somebody_deleted_cost_only_themselves(tmp_path: Path, desk: str) -> None:
    with started(tmp_path, desk) as gateway:
        big = gateway.ended(gateway.post("app", {"title": "its body goes", "text": "y" * 100_000}))["id"]
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        journal.execute("UPDATE receipt SET status = 'accepted' WHERE id = ?", (big,))  # as if it had not got further
        journal.commit()
    shutil.rmtree(tmp_path / "bodies")
    with started(tmp_path, desk) as gateway:
        assert gateway.ended(gateway.post("app", {"title": "a neighbour"}))["status"] == "processed"
        receipt = gateway.settled(str(big))
        assert (receipt["status"], receipt["reason"]) == ("dead", "poison")
        assert "is gone" in str(receipt["detail"])
        assert gateway.process.poll() is None


# ------------------------------------------------------------------------------------------------------ file handles


def test_two_hundred_connections_on_sixty_four_handles_pass_and_everything_works_again(
    tmp_path: Path, desk: str
) -> None:
    body = json.dumps({"title": "in the crowd", "text": "y" * 100_000}).encode()
    request = (
        f"POST /in/app HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    with started(tmp_path, desk, prefix=FEW_HANDLES) as gateway:
        crowd: list[socket.socket] = []
        with contextlib.ExitStack() as stack:
            crowd += [stack.enter_context(gateway.connect()) for _ in range(200)]
            answers = Counter(_first_line(connection, request) for connection in crowd)
        assert answers["HTTP/1.1 202 Accepted"] > 5
        assert set(answers) <= {"HTTP/1.1 202 Accepted", "HTTP/1.1 503 Service Unavailable", ""}
        wait_for(lambda: _accepts(gateway), "a place after the crowd")
        assert gateway.ended(gateway.post("app", {"title": "after the crowd"}))["status"] == "processed"
        assert gateway.get("/readyz").status == 200
        assert gateway.process.poll() is None


def _first_line(connection: socket.socket, request: bytes) -> str:
    try:
        connection.sendall(request)
        return connection.recv(4096).split(b"\r\n", 1)[0].decode()
    except OSError:
        return ""


def _accepts(gateway: Program) -> bool:
    with contextlib.suppress(OSError):
        return gateway.get("/healthz").status == 200
    return False


def test_without_a_free_handle_for_a_body_it_is_503_and_never_the_end(tmp_path: Path, desk: str) -> None:
    with (
        started(tmp_path, desk) as gateway,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)) as door,
    ):
        headers = {"Authorization": f"Bearer {TOKEN}"}

        def post(title: str, size: int) -> tuple[int, str]:
            door.request("POST", "/in/app", json.dumps({"title": title, "text": "y" * size}), headers)
            answer = door.getresponse()
            return answer.status, str(json.loads(answer.read()).get("id", ""))

        door.request("GET", "/healthz")  # so that the connection is taken
        door.getresponse().read()
        before = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))  # nothing new can be opened
        small = [post(f"small {number}", 10) for number in range(3)]
        large = [post(f"large {number}", 100_000) for number in range(3)]
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, before)
        assert [status for status, _ in small] == [202, 202, 202]
        assert [status for status, _ in large] == [503, 503, 503]
        assert "ulimit" in str(gateway.lines(reason="no_room")[0]["detail"])
        small.append(post("large at last", 100_000))
        for status, identity in small:
            assert status == 202
            assert gateway.settled(identity)["ticket"]


# ------------------------------------------------------------------------------------------------ stops and starts


def test_a_stop_answers_what_is_there_finishes_its_calls_refuses_the_rest_and_loses_nothing(
    tmp_path: Path, desk: str
) -> None:
    faults(desk, {"fault": "slow", "seconds": 0.6})
    try:
        with started(tmp_path, desk) as gateway:
            titles = [f"stopped {number}" for number in range(40)]
            going = threading.Event()

            def send(title: str) -> tuple[str, int]:
                try:
                    status = gateway.post("app", {"title": title}).status
                except OSError:  # the door was closed: its sender tries again later
                    status = 0
                going.set()
                return title, status

            with ThreadPoolExecutor(4) as senders, gateway.connect() as slow:
                slow.sendall(
                    f"POST /in/app HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 13\r\n\r\n{{".encode()
                )
                answers = [senders.submit(send, title) for title in titles]
                assert going.wait(PATIENCE)
                gateway.process.send_signal(signal.SIGTERM)
                wait_for(lambda: bool(gateway.lines(event="stopping")), "the stop to begin")
                slow.sendall(b'"title": 12}')
                late = slow.recv(4096)
            assert gateway.process.wait(PATIENCE) == 0
            assert late.startswith(b"HTTP/1.1 503")
            assert b"retry-after" in late
            statuses = dict(answer.result() for answer in answers)
        assert set(statuses.values()) <= {202, 503, 0}
        kept = [title for title, status in statuses.items() if status == 202]
        assert kept
    finally:
        faults(desk)
    with started(tmp_path, desk) as gateway:
        wait_for(lambda: all(subjects(desk)[title] for title in kept), "what was accepted to be delivered")
    found = subjects(desk)
    assert all(found[title] == 1 for title in kept)
    assert not any(found[title] > 1 for title in titles)


def test_a_second_instance_on_the_journal_or_the_port_is_refused_in_one_clear_line(tmp_path: Path, desk: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with started(tmp_path, desk) as gateway:
        second = launch(other, config(desk, free_port(), f"{tmp_path}/journal.db"), port=0)
        assert second.process.wait(PATIENCE) == 1
        (line,) = second.lines(event="cannot start")
        assert f"in use by process {gateway.process.pid}" in str(line["detail"])
        third = launch(other, config(desk, gateway.port, "third.db"), port=0)
        assert third.process.wait(PATIENCE) == 1
        assert f"port {gateway.port}: Address already in use" in str(third.lines(event="cannot start")[-1]["detail"])
        assert gateway.ended(gateway.post("app", {"title": "the first goes on"}))["status"] == "processed"


def test_a_helpdesk_that_is_down_slows_no_door_and_gets_everything_later(tmp_path: Path, desk: str) -> None:
    faults(desk, {"fault": "refuse"})
    try:
        with started(tmp_path, desk) as gateway:
            answers = [gateway.post("app", {"title": f"patient {number}"}) for number in range(10)]
            assert {answer.status for answer in answers} == {202}
            wait_for(lambda: bool(gateway.lines(event="action")), "a first call")
            assert not any(subjects(desk)[f"patient {number}"] for number in range(10))
            faults(desk)
            for answer in answers:
                assert gateway.ended(answer)["ticket"]
    finally:
        faults(desk)
    assert all(subjects(desk)[f"patient {number}"] == 1 for number in range(10))
