"""A gateway that is killed while tickets go to their fallback: each is made once, at the one helpdesk or the other."""

import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from gateway.faultpoints import ENVIRONMENT, Point
from gateway.model.action import ActionKind, ActionStatus
from tests.crash import harness
from tests.crash.harness import free_port, sandbox_process, wait_for

ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  log: {{level: warning}}
sources:
  app: {{kind: generic, auth: {{bearer: crash-test-token}}}}
helpdesks:
  zammad:
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    group: Users
    customer: monitoring@example.org
    sandbox: true
    limits: {{creates: off, timeout: 1s, settle: 100ms, retry_first: 20ms, retry_most: 50ms}}
  osticket:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{creates: off, timeout: 1s, settle: 100ms, retry_first: 20ms, retry_most: 50ms}}
routes:
  - name: all
    ticket: {{helpdesk: zammad, template: generic, fallback: {{helpdesk: osticket, after: 60ms}}}}
    incident: {{key: [host]}}
"""
LIVES = [
    (Point.INTENT_BEFORE_COMMIT, 2),
    (Point.INTENT_AFTER_COMMIT, 1),
    (Point.CALL_AFTER, 2),
    (Point.OUTCOME_BEFORE_COMMIT, 2),
    (Point.OUTCOME_BEFORE_COMMIT, 4),
    (Point.OUTCOME_AFTER_COMMIT, 3),
    (Point.INTENT_AFTER_COMMIT, 4),
]
"""Where each process dies. Zammad is down: the outcomes are refused calls, then the way to the fallback, then its ticket."""


@pytest.mark.processes
def test_wherever_it_is_killed_each_ticket_is_made_once(tmp_path: Path) -> None:
    killed = Counter[int]()
    sent: list[str] = []
    with sandbox_process(tmp_path) as sandbox:
        port = free_port()
        (tmp_path / "routes.yaml").write_text(ROUTES.format(port=port, sandbox=sandbox))
        harness._templates(tmp_path)
        harness._put(f"{sandbox}/faults", {"zammad": [{"fault": "maintenance", "seconds": 0}]})
        clients = harness._Clients(f"http://127.0.0.1:{port}", 1)
        for number, (point, count) in enumerate(LIVES):
            process = harness._start(tmp_path, {ENVIRONMENT: f"{point.value}={count}"})
            sent += [f"host-{number}-{part}" for part in "ab"]
            waiting = [*sent[-2:]]
            try:
                while process.poll() is None and waiting:
                    if clients._post("app", _problem(waiting[0]), waiting[0]) is not None:
                        waiting.pop(0)
                killed[process.wait(8.0)] += 1
            except subprocess.TimeoutExpired:
                process.kill()
                killed[process.wait()] += 1
            sent = [
                name for name in sent if name not in waiting
            ]  # nothing was promised of these; perhaps they are there all the same
        process = harness._start(tmp_path, {})
        try:
            wait_for(lambda: harness._get(f"http://127.0.0.1:{port}/healthz") is not None, "the last start", 20.0)
            harness._put(f"{sandbox}/faults", {"zammad": []})
            wait_for(lambda: harness._drained(tmp_path), "the queue to drain", 60.0)
        finally:
            process.terminate()
            assert process.wait(40) == 0
        found = harness._get(f"{sandbox}/tickets.json")
    assert killed == {-signal.SIGKILL: len(LIVES)}
    assert len(sent) >= len(LIVES)
    assert isinstance(found, dict | list)
    tickets = found["tickets"] if isinstance(found, dict) else found
    made = Counter(str(ticket["subject"]) for ticket in tickets)
    assert set(made.values()) == {1}, made
    assert set(made) >= {f"{name} is down" for name in sent}
    assert {ticket["helpdesk"] for ticket in tickets} >= {"osticket"}
    for view in harness._views(tmp_path):
        creates = [action for action in view.actions if action.kind is ActionKind.CREATE]
        assert sum(action.status is ActionStatus.DELIVERED for action in creates) == 1, view.id
        assert {action.status for action in creates} <= {ActionStatus.DELIVERED, ActionStatus.SKIPPED}


def _problem(host: str) -> bytes:
    return f'{{"kind": "problem", "severity": "critical", "title": "{host} is down", "host": "{host}"}}'.encode()
