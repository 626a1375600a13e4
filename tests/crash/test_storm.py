"""A storm under SIGKILL: one digest, and in it everything that has no ticket of its own, once."""

import asyncio
import json
import re
import urllib.request
from pathlib import Path

import pytest

from gateway.faultpoints import ENVIRONMENT, Point
from gateway.journal.locate import reading
from gateway.journal.protocol import ReceiptView
from gateway.model.incident import Incident, IncidentState
from tests.crash.harness import _drained, _get, _start, _views, free_port, sandbox_process, wait_for

THINGS = 40
LIMIT = 5
ROUTES = """\
version: 1
server:
  http: {{listen: "127.0.0.1:{port}"}}
  journal: {{url: "sqlite:///journal.db", min_free: 1MiB}}
  log: {{level: warning}}
sources:
  app: {{kind: generic, auth: {{bearer: crash-test-token}}}}
helpdesks:
  desk:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
    limits: {{creates: off, timeout: 2s, settle: 300ms, retry_first: 100ms, retry_most: 400ms}}
routes:
  - name: all
    ticket: {{helpdesk: desk, template: generic, format: text}}
    incident: {{key: [host], storm: {{limit: 5, within: 10m, every: 1s}}}}
"""
LIVES = (
    (Point.PROCESSED_BEFORE_COMMIT, 3),
    (Point.PROCESSED_AFTER_COMMIT, 7),  # it has just begun
    (Point.ACCEPT_AFTER_COMMIT, 4),
    (Point.INTENT_BEFORE_COMMIT, 1),
    (Point.INTENT_AFTER_COMMIT, 2),
    (Point.CALL_AFTER, 1),
    (Point.OUTCOME_BEFORE_COMMIT, 1),
    (Point.PROCESSED_AFTER_COMMIT, 5),
    (Point.CALL_AFTER, 1),
    (Point.OUTCOME_AFTER_COMMIT, 1),
)


def _send(port: int, thing: int, kind: str) -> None:
    """Until it is answered with 2xx, as curl does."""
    event = {"kind": kind, "severity": "critical", "title": f"thing {thing:02}", "host": f"host-{thing:02}"}
    event["origin_key"] = event["host"]
    headers = {"Authorization": "Bearer crash-test-token", "Content-Type": "application/json"}
    headers["Idempotency-Key"] = f"{kind}-{thing}"
    url = f"http://127.0.0.1:{port}/in/app"
    request = urllib.request.Request(url, data=json.dumps(event).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=2.0):
            return
    except OSError:
        raise ConnectionError from None


class _Sender:
    """Sends in order, from one life of the gateway to the next."""

    def __init__(self, port: int, kind: str) -> None:
        self._port, self._kind, self._next = port, kind, 0

    @property
    def is_done(self) -> bool:
        return self._next == THINGS

    def go_on(self) -> bool:
        """Send what can be sent now; true when all is."""
        try:
            while not self.is_done:
                _send(self._port, self._next, self._kind)
                self._next += 1
        except ConnectionError:
            return False
        return True


@pytest.mark.processes
def test_a_storm_that_is_killed_again_and_again_has_one_digest_that_tells_of_everything_once(tmp_path: Path) -> None:
    with sandbox_process(tmp_path) as sandbox:
        port = free_port()
        (tmp_path / "routes.yaml").write_text(ROUTES.format(port=port, sandbox=sandbox))
        (tmp_path / "templates").symlink_to(Path(__file__).parents[2] / "templates")
        problems, recoveries = _Sender(port, "problem"), _Sender(port, "recovery")
        for number, (point, count) in enumerate(LIVES):
            _one_life(tmp_path, point, count, problems if number < 7 else recoveries)
        process = _start(tmp_path, {})
        try:
            wait_for(problems.go_on, "every problem to be taken")
            wait_for(recoveries.go_on, "every recovery to be taken")
            wait_for(lambda: all(one.state is IncidentState.CLOSED for one in _incidents(tmp_path)), "the end", 60.0)
            wait_for(lambda: _drained(tmp_path), "the queue to drain", 60.0)
        finally:
            process.terminate()
            process.wait(40)
        tickets = _get(f"{sandbox}/tickets.json")
    assert isinstance(tickets, list)
    _count(tickets, _views(tmp_path))


def _one_life(folder: Path, point: Point, count: int, sender: _Sender) -> None:
    process = _start(folder, {ENVIRONMENT: f"{point.value}={count}"})
    try:
        wait_for(lambda: process.poll() is not None or (sender.go_on() and False), f"the kill at {point.value}", 12.0)
    except TimeoutError:
        process.kill()  # it never came there: dead all the same
    process.wait(10)


def _incidents(folder: Path) -> list[Incident]:
    async def read() -> list[Incident]:
        async with reading(folder / "journal.db") as reader:
            lines = await reader.receipts(limit=1000)
            views = [await reader.receipt(line.id) for line in lines]
        return [one for view in views if view is not None for one in view.incidents]

    return asyncio.run(read())


def _count(tickets: list[dict[str, list[dict[str, str]]]], views: list[ReceiptView]) -> None:
    digests = [ticket for ticket in tickets if str(ticket["subject"]).startswith("Storm")]
    own = [ticket for ticket in tickets if ticket not in digests]
    assert (len(digests), len(own)) == (1, LIMIT)
    [digest] = digests
    assert len(views) == 2 * THINGS
    incidents = {one.id: one for view in views for one in view.incidents}
    told = [one for one in incidents.values() if one.is_told_by_digest]
    assert len(incidents) == THINGS + 1
    assert len(told) == THINGS - LIMIT
    first, *_, last = [entry["body"] for entry in digest["entries"]]
    assert f"All {THINGS - LIMIT} problems of this storm are over." in last
    listed = re.findall(r"host-\d\d", last)
    assert sorted(listed) == sorted(one.host for one in told), "each once, and none that has its own ticket"
    assert "More than 5 problems" in first
    markers = [entry["message_id"] for ticket in tickets for entry in ticket["entries"]]
    assert len(set(markers)) == len(markers), "no word was said twice"
    for view in views:
        assert view.ticket is not None
        is_told = view.incidents[0].is_told_by_digest
        assert (view.ticket.number == str(digest["number"])) is is_told
