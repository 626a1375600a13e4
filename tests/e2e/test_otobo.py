"""The life of an incident in an OTOBO: problem, repeat, recovery, relapse, with each thing that can go wrong."""

from pathlib import Path

import pytest

from gateway.model.json import JsonObject
from gateway.model.reasons import Reason
from gateway.sandbox.faults import Fault
from tests.e2e.house import House, house
from tests.e2e.matrix import HEAD

pytestmark = pytest.mark.anyio

CONFIG = (
    HEAD
    + """\
  desk:
    kind: otobo
    url: {sandbox}/otobo
    auth: {{user: gateway, password: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    queue: Monitoring
    customer: kunde
    ticket_url: "https://help.example.org/otobo/index.pl?Action=AgentTicketZoom;TicketNumber={{number}}"
    sandbox: true
    limits: {{timeout: 500ms, settle: 100ms, retry_first: 50ms, retry_most: 200ms}}
{rest}
"""
)
ROUTES = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket:
      helpdesk: desk
      template: alert
      fields:
        priority: {from: severity, table: {critical: 5 very high, "*": 3 normal}}
        DynamicField_Severity: "{{ event.severity }}"
        DynamicField_Host: "{{ event.host }}"
    incident: {repeat: {append_every: 1ms}, reopen_within: 1h}
  - name: app
    match: {source: app}
    ticket: {helpdesk: desk, template: generic}
    incident: {key: [host]}
"""
ZNUNY = CONFIG.replace("kind: otobo", "kind: znuny").replace("/otobo\n", "/znuny\n")
STOCK = CONFIG.replace("    queue:", "    webservice: GenericTicketConnectorREST\n    layout: stock\n    queue:")

DOUBTFUL = {
    "commit_then_drop": Fault.model_validate({"fault": "commit_then_drop", "count": 1}),
    "commit_then_hang": Fault.model_validate({"fault": "commit_then_hang", "count": 1, "seconds": 0.75}),
    "hang, then write": Fault.model_validate({"fault": "hang_before_commit", "count": 1, "seconds": 0.55}),
    "hang, never write": Fault.model_validate(
        {"fault": "hang_before_commit", "count": 1, "seconds": 0, "commits": False}
    ),
    "die before the ticket": Fault.model_validate({"fault": "die_half_way", "at": "ticket", "count": 1}),
    "die before the article": Fault.model_validate({"fault": "die_half_way", "at": "thread_entry", "count": 1}),
}
PLAIN = {
    "refuse": Fault.model_validate({"fault": "refuse", "count": 2}),
    "slow": Fault.model_validate({"fault": "slow", "seconds": 0.2, "count": 3}),
    "rate_limit": Fault.model_validate({"fault": "rate_limit", "seconds": 0.1, "count": 2}),
    "auth_broken": Fault.model_validate({"fault": "auth_broken", "count": 2}),
    "database_down": Fault.model_validate({"fault": "database_down", "count": 2}),
    "html_error": Fault.model_validate({"fault": "html_error", "count": 2}),
    "maintenance": Fault.model_validate({"fault": "maintenance", "seconds": 0.1, "count": 2}),
}


async def story(home: House, fault: Fault | None = None, *, at: int = -1, host: str = "web1") -> None:
    """Problem, repeat, recovery, relapse of a host; the fault is switched on before the step ``at``."""
    steps = [("PROBLEM", "CRITICAL"), ("PROBLEM", "CRITICAL"), ("RECOVERY", "OK"), ("PROBLEM", "CRITICAL")]
    for number, (kind, state) in enumerate(steps):
        if fault is not None and number == at:
            home.sandbox.set_faults({"otobo": [fault]})
        answer = await home.nagios(kind, state, host=host, SERVICENOTIFICATIONID=f"{host}-{number}")
        assert answer.status_code == 202
        await home.settled()
        home.sandbox.clear_faults()


def told(home: House, ticket: int) -> list[str]:
    """The states that the ticket went through after it was made."""
    events = inside(home.tickets()[ticket], "events")
    return [str(one["detail"]) for one in events if one["type"] == "StateUpdate"]


def inside(value: JsonObject, name: str) -> list[JsonObject]:
    """A list of objects."""
    found = value[name]
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, dict)]


@pytest.mark.parametrize("config", [CONFIG, ZNUNY, STOCK], ids=["otobo", "znuny", "stock routes"])
async def test_a_problem_makes_a_ticket_that_is_followed_closed_and_opened_again(tmp_path: Path, config: str) -> None:
    async with house(tmp_path, ROUTES, config=config) as home:
        await story(home)
        (ticket,) = home.tickets()
        assert (ticket["priority"], ticket["status"], ticket["department"]) == ("5 very high", "open", "Monitoring")
        assert isinstance(ticket["fields"], dict)
        assert ticket["fields"]["DynamicField_Host"] == "web1"
        assert told(home, 0) == ["%%new%%closed successful%%", "%%closed successful%%open%%"]
        assert len(home.entries()) == 4


STEPS = ("create", "append", "close", "reopen")


@pytest.mark.parametrize("fault", [*DOUBTFUL, *PLAIN])
async def test_whatever_goes_wrong_at_whichever_step_there_is_one_ticket_with_every_article_once(
    tmp_path: Path, fault: str
) -> None:
    async with house(tmp_path, ROUTES, config=CONFIG) as home:
        await home.app(host="db1")  # a first ticket, by which absence can be proven
        await home.settled()
        for number, step in enumerate(STEPS):
            await story(home, {**DOUBTFUL, **PLAIN}[fault], at=number, host=f"at-{step}")
        assert len(home.tickets()) == 1 + len(STEPS)
        assert await home.gateway.reader.dead_letters() == []
        for number, step in enumerate(STEPS, 1):
            assert f"at-{step}" in str(home.tickets()[number]["subject"])
            assert told(home, number) == ["%%new%%closed successful%%", "%%closed successful%%open%%"], step
            bodies = [str(entry["body"]) for entry in home.entries(number)]
            assert len(bodies) == len({body.rpartition("tg-")[2] for body in bodies}) == 4, step


async def test_the_first_ticket_of_all_whose_call_was_lost_is_found_all_the_same(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=CONFIG) as home:
        home.sandbox.set_faults({"otobo": [DOUBTFUL["commit_then_drop"]]})
        answer = await home.app(host="db1")
        await home.settled()
        assert len(home.tickets()) == 1
        (action,) = (await home.view(answer)).actions
        assert action.status.value == "delivered"


async def test_the_first_ticket_of_all_that_was_never_made_becomes_a_letter_that_says_why(tmp_path: Path) -> None:
    """Nothing of ours can be found there yet, so finding nothing proves nothing; `on_unknown` says what to do."""
    async with house(tmp_path, ROUTES, config=CONFIG) as home:
        home.sandbox.set_faults({"otobo": [DOUBTFUL["hang, never write"]]})
        await home.app(host="db1")
        await home.settled()
        (letter,) = await home.gateway.reader.dead_letters()
        assert "cannot be known" in str(letter)
    other = tmp_path / "resend"
    other.mkdir()
    resend = CONFIG.replace("    sandbox: true", "    on_unknown: resend\n    sandbox: true")
    async with house(other, ROUTES, config=resend) as home:
        home.sandbox.set_faults({"otobo": [DOUBTFUL["hang, never write"]]})
        answer = await home.app(host="db1")
        await home.settled()
        assert len(home.tickets()) == 1
        view = await home.view(answer)
        assert any(Reason.POSSIBLE_DUPLICATE.value in line.detail for line in view.timeline)


async def test_files_of_a_create_that_died_at_them_are_all_there_in_the_end(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=CONFIG) as home:
        home.sandbox.set_faults(
            {"otobo": [Fault.model_validate({"fault": "die_half_way", "at": "attachment", "count": 1})]}
        )
        files = {
            "dump": ("core.bin", b"\0\1" * 100_000, "application/octet-stream"),
            "log": ("small.log", b"a", "text/plain"),
        }
        await home.post("app", data={"kind": "problem", "title": "core dump", "host": "db1"}, files=files)
        await home.settled()
        assert len(home.tickets()) == 1
        sizes = {
            str(file["filename"]): file["size"] for entry in home.entries() for file in inside(entry, "attachments")
        }
        assert {name: size for name, size in sizes.items() if name != "file-2"} == {"core.bin": 200_000, "small.log": 1}


async def test_an_incident_follows_its_merged_ticket(tmp_path: Path) -> None:
    async with house(tmp_path, ROUTES, config=CONFIG) as home:
        await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        await home.app(host="db1")
        await home.settled()
        child = next(one for one in home.tickets() if "web1" in str(one["subject"]))
        found = home.sandbox.store.by_number("otobo", str(child["number"]))
        assert found is not None
        assert home.sandbox.otobo.act(found.id, "merge")
        await home.nagios("RECOVERY", "OK", SERVICENOTIFICATIONID="2")
        await home.settled()
        main = next(one for one in home.tickets() if one["id"] != found.id)
        assert main["status"] == "closed successful"
        assert len(inside(main, "entries")) == 2


async def test_a_ticket_that_was_left_without_article_and_fields_is_completed(tmp_path: Path) -> None:
    """On stock routes nothing of ours stands in it but the title: it looks like nothing at all, and stays so."""
    async with house(tmp_path, ROUTES, config=STOCK) as home:
        await home.app(host="db1")
        await home.settled()
        home.sandbox.set_faults({"otobo": [DOUBTFUL["die before the article"]]})
        answer = await home.app(host="db2")
        await home.settled()
        (action,) = (await home.view(answer)).actions
        assert action.detail.endswith("was half-made and is complete now")
        assert [len(home.entries(number)) for number in range(2)] == [1, 1]
