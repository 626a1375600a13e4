"""The brake with a whole gateway: a burst, a recovery meanwhile, and a kill."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.action import ActionStatus
from gateway.model.reasons import Reason
from tests.cli.support import call
from tests.crash.harness import sandbox_process
from tests.e2e.house import CONFIG, House, house, until
from tests.e2e.process import OPERATOR, free_port, read_json, running, wait_for
from tests.e2e.test_time import HOUR, Clock

ROUTES = """\
routes:
  - name: app
    ticket: {helpdesk: osticket, template: generic}
    incident: {key: [host], reopen_within: 1h}
"""


def braked(limit: str) -> str:
    return CONFIG.replace("limits: {{", f"limits: {{{{creates: {limit}, ")


def subjects(home: House) -> Counter[str]:
    return Counter(str(ticket["subject"]) for ticket in home.tickets())


def told(home: House) -> list[str]:
    return [subject for subject in subjects(home) if "limit" in subject or "more than" in subject]


async def holds(home: House, waiting: int) -> None:
    async def so() -> bool:
        return (await home.gateway.reader.counts()).held.get("osticket", 0) == waiting

    await until(so)


@pytest.mark.anyio
async def test_a_burst_makes_as_many_tickets_as_allowed_and_one_that_tells_and_loses_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, ROUTES, clock=clock, config=braked("20/h")) as home:
        answers = [await home.app(title=f"alarm {number}", host=f"h{number % 30}") for number in range(300)]
        assert {answer.status_code for answer in answers} == {202}
        await holds(home, 10)
        clock.offset += 10

        async def is_told() -> bool:
            return len(told(home)) == 1

        await until(is_told)
        await holds(home, 10)
        assert len(home.tickets()) == 21
        assert "10 wait" in told(home)[0]
        digest = home.tickets()[-1]
        text = str(digest["entries"])
        assert "alarm 29" in text
        assert "ticket-gateway helpdesk release osticket" in text
        metrics = (await home.client.get(f"{home.url}/metrics")).text
        assert "ticket_gateway_creates_held" in metrics
        notes = (await home.client.get(f"{home.url}/readyz")).json()["notes"]
        assert notes["helpdesk osticket"] == "10 new tickets are held back (limits.creates)"
        over = await home.app(kind="recovery", title="well again", host="h29")  # it never had a ticket, and gets none
        await holds(home, 9)
        (action,) = [one for one in (await home.view(over)).actions if one.receipt == over.json()["id"]]
        assert (action.status, action.reason) == (ActionStatus.SKIPPED, Reason.RECOVERED_WHILE_HELD)
        clock.offset += HOUR
        await home.settled()
        assert len(home.tickets()) == 30
        assert all(f"alarm {number}" in subjects(home) for number in range(29))
        assert "alarm 29" not in subjects(home)
        views = [await home.view(answer) for answer in answers]
        assert {view.status.value for view in views} == {"processed"}
        back = await home.app(title="again", host="h29")  # within `reopen_within`: there is no ticket to reopen
        await home.settled()
        assert [event.reason for event in (await home.view(back)).events] == [Reason.OPENED]


TOKEN = "a-token-of-brakes"
PROCESS = """\
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
    limits: {{creates: 10/h, timeout: 3s, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
routes:
  - name: all
    ticket: {{helpdesk: desk, template: generic}}
    incident: {{key: [title]}}
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    with sandbox_process(tmp_path) as url:
        yield url


def tickets(sandbox: str) -> Counter[str]:
    found = read_json(f"{sandbox}/tickets.json")
    assert isinstance(found, list)
    return Counter(ticket["subject"] for ticket in found)


@pytest.mark.processes
def test_a_brake_holds_over_a_kill_tells_once_and_lets_all_go_when_it_is_released(tmp_path: Path, sandbox: str) -> None:
    port = free_port()
    config = PROCESS.format(port=port, sandbox=sandbox, token=TOKEN, operator=OPERATOR)
    with running(tmp_path, config, port=port, token=TOKEN) as gateway:
        for number in range(25):
            assert gateway.post("app", {"title": f"it broke {number}"}).status == 202
        wait_for(lambda: sum(tickets(sandbox).values()) == 11, "ten tickets, and the one that tells")
        gateway.process.kill()
        gateway.process.wait()
    assert "15 new tickets held back" in call(tmp_path, "helpdesk", "ls").stdout
    with running(tmp_path, config, port=port, token=TOKEN) as gateway:
        assert gateway.post("app", {"title": "it broke 25"}).status == 202
        wait_for(lambda: "16 new tickets held back" in call(tmp_path, "helpdesk", "ls").stdout, "one more to be held")
        assert sum(tickets(sandbox).values()) == 11
        assert "16 new tickets for helpdesk desk held back" in call(tmp_path, "doctor").stdout
        assert "(held)" in call(tmp_path, "events", "ls").stdout
        assert len(gateway.lines(event="brake", level="error")) == 1  # in both lives together
        released = call(tmp_path, "helpdesk", "release")
        assert released.stdout == "desk: what was held back goes out\n", released.stderr
        wait_for(lambda: sum(tickets(sandbox).values()) == 27, "all of them")
        made = tickets(sandbox)
        assert {f"it broke {number}": made[f"it broke {number}"] for number in range(26)} == {
            f"it broke {number}": 1 for number in range(26)
        }
