"""`helpdesk pause` and `resume` with the real program, also when it is killed meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import call, verb
from tests.crash.harness import sandbox_process
from tests.e2e.process import OPERATOR, Program, free_port, read_json, running, wait_for

pytestmark = pytest.mark.processes
TOKEN = "a-token-of-pauses"
CONFIG = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: 64KiB}}
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
    limits: {{timeout: 3s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
routes:
  - name: all
    ticket: {{helpdesk: desk, template: generic}}
    incident: {{key: [title]}}
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    with sandbox_process(tmp_path) as url:
        yield url


def tickets(sandbox: str) -> int:
    found = read_json(f"{sandbox}/tickets.json")
    assert isinstance(found, list)
    return len(found)


def ls(folder: Path) -> str:
    done = verb(folder, "helpdesk", "ls")
    assert done.returncode == 0, done.stderr
    return done.stdout


def notes(gateway: Program) -> object:
    answer = gateway.get("/readyz")
    assert answer.status == 200
    return answer.json().get("notes", {})


def test_a_pause_holds_the_queue_over_a_kill_until_it_is_resumed(tmp_path: Path, sandbox: str) -> None:
    port = free_port()
    config = CONFIG.format(port=port, sandbox=sandbox, token=TOKEN, operator=OPERATOR)
    with running(tmp_path, config, port=port, token=TOKEN) as gateway:
        paused = call(tmp_path, "helpdesk", "pause", "desk", "--reason", "moving house")
        assert (paused.returncode, paused.stdout[:12]) == (0, "desk: paused"), paused.stderr
        for number in range(5):
            assert gateway.post("app", {"title": f"it broke {number}"}).status == 202
        wait_for(lambda: "5 actions waiting; paused since" in ls(tmp_path), "the queue to stand")
        assert "moving house" in str(notes(gateway))
        gateway.process.kill()
        gateway.process.wait()
    assert "moving house" in ls(tmp_path)
    with running(tmp_path, config, port=port, token=TOKEN) as gateway:
        assert gateway.post("app", {"title": "it broke 5"}).status == 202
        wait_for(lambda: "6 actions waiting; paused since" in ls(tmp_path), "the queue to stand")
        assert "moving house" in str(notes(gateway))
        assert 'ticket_gateway_helpdesk_paused{helpdesk="desk"} 1.0' in gateway.get("/metrics").body.decode()
        assert "is paused by" in verb(tmp_path, "doctor").stdout
        assert tickets(sandbox) == 0
        assert call(tmp_path, "helpdesk", "resume").stdout == "desk: goes on\n"
        wait_for(lambda: "0 actions waiting; goes" in ls(tmp_path), "the queue to go")
        assert tickets(sandbox) == 6
        wait_for(lambda: notes(gateway) == {}, "a new look at the readiness")
        again = verb(tmp_path, "helpdesk", "resume", "desk")
        assert (again.returncode, again.stderr) == (1, "desk: it was not paused\n")


def test_a_pause_without_a_running_gateway_is_in_force_when_it_starts(tmp_path: Path, sandbox: str) -> None:
    port = free_port()
    config = CONFIG.format(port=port, sandbox=sandbox, token=TOKEN, operator=OPERATOR)
    with running(tmp_path, config, port=port, token=TOKEN):
        pass
    assert call(tmp_path, "helpdesk", "pause", "desk").returncode == 0
    assert "no gateway" not in ls(tmp_path)
    assert "0 actions waiting; paused since" in ls(tmp_path)
    unknown = verb(tmp_path, "helpdesk", "pause", "nobody")
    assert (unknown.returncode, "it has: desk" in unknown.stderr) == (2, True)
    with running(tmp_path, config, port=port, token=TOKEN) as gateway:
        assert gateway.post("app", {"title": "it broke"}).status == 202
        wait_for(lambda: "1 action waiting; paused since" in ls(tmp_path), "the queue to stand")
        assert tickets(sandbox) == 0
