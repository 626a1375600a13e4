"""A whole gateway before HTTP APIs of all sorts: the life of an incident, with each fault at each step."""

from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from gateway.config.loader import load
from gateway.config.problems import Level
from gateway.model.json import JsonObject
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.faults import Fault, FaultKind
from tests.e2e.house import House, house, until
from tests.e2e.matrix import DOUBTFUL, HEAD, STORY, faults, flagged, story, switch, tickets_of, told

pytestmark = pytest.mark.anyio

LIMITS = "limits: {{timeout: 300ms, settle: 150ms, retry_first: 50ms, retry_most: 200ms}}"
PLAIN = (
    HEAD
    + """\
  desk:
    kind: webhook
    url: {sandbox}/webhook/plain
    auth: {{bearer: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    probe: {{url: /me}}
    create:
      url: /tickets
      body: {{title: "{{{{ title }}}}", text: "{{{{ text }}}}", marker: "{{{{ marker }}}}"}}
      answer: {{id: data.id, number: data.number}}
    append:
      url: "/tickets/{{{{ ticket.id }}}}/notes"
      body: {{text: "{{{{ text }}}}", marker: "{{{{ marker }}}}"}}
    close:
      url: "/tickets/{{{{ ticket.id }}}}"
      method: PUT
      body: {{state: closed, text: "{{{{ text }}}}"}}
    reopen:
      url: "/tickets/{{{{ ticket.id }}}}"
      method: PATCH
      body: {{state: open, text: "{{{{ text }}}}"}}
    sandbox: true
    """
    + LIMITS
    + "\n{rest}\n"
)
RESENDS = PLAIN.replace("    sandbox: true", "    on_unknown: resend\n    sandbox: true")
IDEMPOTENT = PLAIN.replace("      body:", "      idempotent: true\n      body:")
SEARCH = """\
      look_up: {{url: "/tickets?marker={{{{ marker }}}}", hits: data, marker: marker, certainty: CERTAINTY}}
"""
NOTES = """\
      look_up: {{url: "/tickets/{{{{ ticket.id }}}}/notes?marker={{{{ marker }}}}", hits: data, marker: marker, certainty: strong}}
"""
LOOKED_UP = PLAIN.replace("    append:\n", SEARCH + "    append:\n").replace("    close:\n", NOTES + "    close:\n")
LOOKED_UP = LOOKED_UP.replace("      method: PATCH\n", "      method: PATCH\n      idempotent: true\n")
ROUTES = """\
routes:
  - name: alerts
    match: {source: nagios}
    ticket: {helpdesk: desk, template: alert}
    incident: {repeat: {append_every: 1ms}, reopen_within: 1h}
  - name: app
    match: {source: app}
    ticket: {helpdesk: desk, template: generic}
    incident: {key: [host]}
"""
FAULTS = faults(0.3)


def calling(folder: Path, config: str = PLAIN, routes: str = ROUTES) -> AbstractAsyncContextManager[House]:
    return house(folder, routes, config=config)


def words(home: House, ticket: JsonObject) -> list[str]:
    entries = home.entries(home.tickets().index(ticket))
    return [str(entry["body"]).partition("step ")[2][:1] for entry in entries]


@pytest.mark.parametrize("name", FAULTS)
async def test_where_the_key_is_honoured_a_fault_at_every_step_still_makes_one_ticket(
    tmp_path: Path, name: str
) -> None:
    async with calling(tmp_path, IDEMPOTENT) as home:
        home.sandbox.change_settings({"webhook": {"idempotent": True}})
        await story(home, "webhook", FAULTS[name])
        (ticket,) = tickets_of(home)
        assert ticket["status"] == "open"
        assert words(home, ticket) == ["0", "1", "2", "3"]
        assert await home.gateway.reader.dead_letters() == []
        assert not await flagged(home)


@pytest.mark.parametrize("certainty", ["strong", "eventual"])
@pytest.mark.parametrize("name", DOUBTFUL)
async def test_where_the_marker_is_found_a_doubtful_call_is_looked_up(
    tmp_path: Path, name: str, certainty: str
) -> None:
    async with calling(tmp_path, LOOKED_UP.replace("CERTAINTY", certainty)) as home:
        await home.app(host="the first of all")  # what has been found once proves that absence means something
        await home.settled()
        await story(home, "webhook", FAULTS[name], steps=("create", "append"))
        (ticket,) = tickets_of(home)
        assert words(home, ticket) == ["0", "1", "2", "3"]
        assert await home.gateway.reader.dead_letters() == []
        assert not await flagged(home)


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_where_nothing_can_be_known_a_second_ticket_is_flagged_and_none_is_missing(
    tmp_path: Path, name: str
) -> None:
    async with calling(tmp_path, RESENDS) as home:
        await story(home, "webhook", FAULTS[name])
        seen = [word for ticket in tickets_of(home) for word in words(home, ticket)]
        assert sorted(set(seen)) == ["0", "1", "2", "3"]
        assert await flagged(home)
        assert await home.gateway.reader.dead_letters() == []


async def test_where_nothing_can_be_known_a_person_is_asked_by_default(tmp_path: Path) -> None:
    async with calling(tmp_path) as home:
        switch(home, "webhook", Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1))
        await home.nagios(*STORY[0])

        async def asked() -> bool:
            return len(await home.gateway.reader.dead_letters()) == 1

        await until(asked)
        assert len(home.tickets()) == 1
        (letter,) = await home.gateway.reader.dead_letters()
        await home.gateway.journal.requeue([letter.id], now=home.gateway.now())
        await home.settled()
        assert await flagged(home)


@pytest.mark.parametrize(
    ("searches", "fault"), [("ignored", FaultKind.DIE_HALF_WAY), ("empty", FaultKind.COMMIT_THEN_DROP)]
)
async def test_a_search_that_does_not_do_what_it_should_never_counts_as_proof(
    tmp_path: Path, searches: str, fault: FaultKind
) -> None:
    async with calling(tmp_path, LOOKED_UP.replace("CERTAINTY", "strong")) as home:
        home.sandbox.change_settings({"webhook": {"searches": searches}})
        await home.app(host="the first of all")
        await home.settled()
        switch(home, "webhook", Fault(fault=fault, count=1))
        await home.nagios(*STORY[0])

        async def asked() -> bool:
            return len(await home.gateway.reader.dead_letters()) == 1

        async def tried() -> bool:
            receipts = await home.gateway.reader.receipts(limit=1)
            view = await home.gateway.reader.receipt(receipts[0].id)
            return view is not None and any(len(action.attempts) > 2 for action in view.actions)

        await until(asked if searches == "empty" else tried)
        assert len(tickets_of(home)) == (1 if searches == "empty" else 0)


async def test_a_refused_ticket_is_one_dead_letter_and_a_refused_key_stops_the_queue(tmp_path: Path) -> None:
    async with calling(tmp_path) as home:
        home.sandbox.change_settings({"webhook": {"refused_titles": ["bad"]}})
        await home.app(host="db1", title="a bad title")
        await home.app(host="db2")

        async def dead() -> bool:
            return len(await home.gateway.reader.dead_letters()) == 1

        await until(dead)
        await home.settled()
        assert len(home.tickets()) == 1
        home.sandbox.change_settings({"webhook": {"key": "another"}})
        await home.app(host="db3")

        async def paused() -> bool:
            return bool((await home.gateway.journal.helpdesk_state("desk")).paused_since)

        await until(paused)
        home.sandbox.change_settings({"webhook": {"key": SANDBOX_API_KEY}})
        await home.settled()
        assert len(home.tickets()) == 2
        assert len(await home.gateway.reader.dead_letters()) == 1


# ----------------------------------------------------------------------------------------------------- the ready examples

ADDRESSES = {
    "glpi": ("https://glpi.example.org/apirest.php", "glpi/apirest.php"),
    "request-tracker": ("https://rt.example.org/REST/2.0", "rt/REST/2.0"),
    "jira-service-management": ("https://example.atlassian.net/rest/servicedeskapi", "jira/rest/servicedeskapi"),
}
FIELDS = {
    "glpi": 'urgency: {from: severity, table: {critical: 5, "*": 3}}',
    "request-tracker": "queue: General, requestor: noc@example.org",
    "jira-service-management": "service_desk: 1, request_type: 25, priority: High",
}
STATES = {"glpi": "solved", "request-tracker": "resolved", "jira-service-management": "closed"}


def example(name: str) -> str:
    return files("gateway.helpdesks.webhook").joinpath("examples", f"{name}.yaml").read_text("utf-8")


def of_the_sandbox(name: str) -> str:
    """The example as it is, but for address, keys and limits."""
    text = (
        example(name).partition("helpdesks:\n")[2].replace(ADDRESSES[name][0], f"SANDBOX/webhook/{ADDRESSES[name][1]}")
    )
    for variable in ("GLPI_APP_TOKEN", "GLPI_USER_TOKEN", "RT_TOKEN", "JIRA_API_TOKEN"):
        text = text.replace(f"${{env:{variable}}}", SANDBOX_API_KEY)
    text = text.replace("{", "{{").replace("}", "}}").replace("SANDBOX", "{sandbox}")
    _, _, rest = text.partition("\n")
    return HEAD + f"  desk:\n    sandbox: true\n    on_unknown: resend\n    {LIMITS}\n" + rest + "\n{rest}\n"


def routes_of(name: str) -> str:
    return ROUTES.replace("template: alert}", "template: alert, fields: {" + FIELDS[name] + "}}").replace(
        "template: generic}", "template: generic, fields: {" + FIELDS[name] + "}}"
    )


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_example_is_a_good_configuration(name: str, tmp_path: Path) -> None:
    helpdesk = next(iter(yaml.safe_load(example(name))["helpdesks"]))
    whole = f"""\
version: 1
sources:
  app: {{kind: generic, auth: {{bearer: "${{env:T}}"}}}}
{example(name)}
routes:
  - name: all
    ticket: {{helpdesk: {helpdesk}, fields: {{{FIELDS[name]}}}}}
    incident: {{reopen_within: 1h}}
"""
    env = dict.fromkeys(("T", "GLPI_APP_TOKEN", "GLPI_USER_TOKEN", "RT_TOKEN", "JIRA_API_TOKEN"), "x")
    config = load(whole.encode(), path=tmp_path / "routes.yaml", env=env)
    assert [str(note) for note in config.notes if note.level is not Level.INFO] == []


@pytest.mark.parametrize("name", ADDRESSES)
async def test_each_example_carries_an_incident_through_its_life(name: str, tmp_path: Path) -> None:
    async with calling(tmp_path, of_the_sandbox(name), routes_of(name)) as home:
        home.sandbox.change_settings({"webhook": {"session_calls": 3}})
        states: list[object] = []
        for number, (kind, state) in enumerate(STORY):
            await told(home, kind, state, f"step {number}")
            states.append(home.tickets()[0]["status"])
        (ticket,) = home.tickets()
        assert states == ["open", "open", STATES[name], "open"]
        assert words(home, ticket) == ["0", "1", "2", "3"]
        assert await home.gateway.reader.dead_letters() == []


@pytest.mark.parametrize("fault", ["writes, then hangs up", "hangs, writes nothing"])
async def test_in_request_tracker_a_lost_create_is_found_by_its_custom_field(tmp_path: Path, fault: str) -> None:
    async with calling(tmp_path, of_the_sandbox("request-tracker"), routes_of("request-tracker")) as home:
        await home.app(host="the first of all")
        await home.settled()
        switch(home, "webhook", FAULTS[fault])
        await told(home, *STORY[0], "step 0")
        assert len(tickets_of(home)) == 1
        assert not await flagged(home)


async def test_in_request_tracker_files_travel_and_in_jira_they_are_named(tmp_path: Path) -> None:
    dump = {"dump": ("größe.bin", b"\0\1" * 50_000, "application/octet-stream")}
    for name in ("request-tracker", "jira-service-management"):
        folder = tmp_path / name[:1]
        folder.mkdir()
        async with calling(folder, of_the_sandbox(name), routes_of(name)) as home:
            await home.post("app", data={"kind": "problem", "title": "core dump", "host": "db1"}, files=dump)
            await home.settled()
            (entry,) = home.entries(0)
            names = [(file["filename"], file["size"]) for file in entry["attachments"]]  # type: ignore[index, union-attr, call-overload]  # JSON
            assert names == ([("größe.bin", 100_000)] if name == "request-tracker" else [])
            assert ("Not attached" in str(entry["body"])) is (name != "request-tracker")
