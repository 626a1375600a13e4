"""Verbs on a journal: through the socket of a running gateway, and without one."""

import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from io import BytesIO
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import structlog
from click.testing import Result

from gateway.cli import access
from gateway.observability.logs import configure_logging
from gateway.sandbox.faults import Fault, FaultKind
from tests.cli.support import PROBLEM, RECOVERY, printed, tg
from tests.e2e.house import TOKEN, House, house, start

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """The gateway's log goes where no verb prints, and tells of no fault of the program."""
    log = BytesIO()
    configure_logging("text", "info", stream=log)
    yield
    structlog.reset_defaults()
    assert b"processing failed" not in log.getvalue(), log.getvalue().decode()


async def ask(built: House, *arguments: object, stdin: bytes | None = None) -> Result:
    """A verb in a thread, since the gateway lives in this loop."""

    def work() -> Result:
        return tg(*arguments, "-c", built.folder / "routes.yaml", stdin=stdin)

    return await anyio.to_thread.run_sync(work)


@asynccontextmanager
async def stopped(built: House) -> AsyncIterator[None]:
    """No gateway runs meanwhile; another one does afterwards."""
    await built.gateway.stop(1.0)
    try:
        yield
    finally:
        built.gateway = await start(built.folder, built.sandbox_url, built.rest)


async def test_the_story_of_a_receipt_says_why_there_is_a_ticket_and_what_happened_to_it(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        answer = await built.nagios("PROBLEM", "CRITICAL")
        await built.settled()
        number = built.tickets()[0]["number"]
        told = (await ask(built, "events", "show", answer.json()["id"][:30])).stdout
        listed = (await ask(built, "events", "ls", "--source", "nagios")).stdout
    for words in (
        "from nagios (127.0.0.1) at ",
        "Event 0: problem, critical: CRITICAL: HTTP on web1",
        "  | HTTP CRITICAL",
        "  route silence did not match\n    no   match.host.glob wants lab-*; saw web1\n",
        "  route alerts took it\n    yes  match.source wants nagios, zabbix; saw nagios\n",
        "opened: The event opened a new incident",
        "key source nagios, route alerts, host web1, service HTTP",
        "Action: make a ticket in osticket: done",
        f"  ticket {number} in osticket  https://help.example.org/tickets/{number}",
    ):
        assert words in told, told
    assert f"nagios  opened  {number}  problem: CRITICAL: HTTP on web1" in listed


async def test_send_hands_a_message_to_the_running_gateway(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        done = await ask(built, "send", "--json", "--source", "nagios", PROBLEM)
        sent = printed(done)
        assert isinstance(sent, dict)
        assert sent["gateway_running"] is True
        await built.settled()
        assert len(built.tickets()) == 1
        view = await built.gateway.reader.receipt(sent["id"])
        assert view is not None
        assert view.envelope["door"] == "cli"


async def test_without_a_gateway_send_journals_and_the_next_start_makes_the_ticket(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        async with stopped(built):
            done = await ask(built, "send", "--source", "nagios", "-", stdin=PROBLEM.read_bytes())
            assert done.exit_code == 0
            assert "No gateway is running; it is worked on when one starts." in done.stdout
            assert built.tickets() == []
        await built.settled()
        assert len(built.tickets()) == 1


async def test_a_dead_letter_is_told_with_the_way_out_and_retried_once_the_cause_is_mended(tmp_path: Path) -> None:
    async with house(tmp_path, rest="routes:\n  - {name: none, match: {host: nobody}, drop: {reason: x}}\n") as built:
        answer = await built.app(title="nobody wants \x1b[31mme")
        await built.settled()
        name = answer.json()["id"]
        told = (await ask(built, "dead", "ls")).stdout
        assert f"{name}  " in told
        assert "unrouted: No route matched. Add a route" in told
        assert f"ticket-gateway events show {name}" in told
        assert "ticket-gateway dead retry ID..." in told
        assert "\x1b" not in told
        sick = await ask(built, "doctor", "--spool", tmp_path / "none")
        assert sick.exit_code == 1
        assert "FAULT  1 dead letter\n       -> `ticket-gateway dead ls`\n" in sick.stdout
        await built.restart("routes:\n  - {name: all, match: {}, ticket: {helpdesk: osticket, template: generic}}\n")
        done = await ask(built, "dead", "retry", name[:30])
        assert done.stdout == f"{name}  is on its way again\n"
        await built.settled()
        assert len(built.tickets()) == 1
        again = await ask(built, "dead", "retry", name)
        assert again.exit_code == 1
        assert "is no dead letter" in again.stdout
        assert (await ask(built, "dead", "ls")).stdout == "No dead letters.\n"


async def test_drop_gives_dead_letters_up_also_without_a_gateway_and_all_of_them_only_when_meant(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, rest="routes:\n  - {name: none, match: {host: nobody}, drop: {reason: x}}\n") as built:
        names = [(await built.app(title=f"event {number}")).json()["id"] for number in range(2)]
        await built.settled()
        async with stopped(built):
            unsure = await ask(built, "dead", "drop", "--all")
            assert unsure.exit_code == 2
            assert "--all --yes" in unsure.stderr
            done = await ask(built, "dead", "drop", "--all", "--yes", "--json")
            assert printed(done) == {"done": names, "no_dead_letters": []}
            assert (await ask(built, "dead", "ls")).stdout == "No dead letters.\n"


async def test_dead_letters_of_one_reason_are_told_and_dropped_apart_from_the_others(tmp_path: Path) -> None:
    async with house(tmp_path, rest="routes:\n  - {name: none, match: {host: nobody}, drop: {reason: x}}\n") as built:
        names = [(await built.app(title=f"event {number}")).json()["id"] for number in range(2)]
        await built.settled()
        assert (await ask(built, "dead", "ls", "--reason", "quarantined")).stdout == "No dead letters.\n"
        told = (await ask(built, "dead", "ls", "--reason", "unrouted")).stdout
        assert all(name in told for name in names)
        both = ("dead", "drop", "--all", "--yes", "--json", "--reason")
        assert printed(await ask(built, *both, "quarantined")) == {"done": [], "no_dead_letters": []}
        assert printed(await ask(built, *both, "unrouted")) == {"done": names, "no_dead_letters": []}
        wrong = await ask(built, "dead", "retry", names[0], "--reason", "unrouted")
        assert (wrong.exit_code, "--reason goes with --all" in wrong.stderr) == (2, True)
        assert (await ask(built, "dead", "ls", "--reason", "unheard-of")).exit_code == 2


async def test_a_replay_compares_and_sends_nothing_again(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        answer = await built.nagios("PROBLEM", "CRITICAL")
        await built.settled()
        same = await ask(built, "replay", answer.json()["id"][:30])
        assert "unchanged: the rules in force decide as they did" in same.stdout
        moved = "routes:\n  - {name: other, match: {}, ticket: {helpdesk: osticket, template: alert}}\n"
        await built.restart(moved)
        differs = await ask(built, "replay", "--json", answer.json()["id"])
        (one,) = json.loads(differs.stdout)
        assert one["what"] == "differs"
        assert one["detail"].startswith("event 0: was alerts, would be other")
        await built.settled()
        assert len(built.entries()) == 1


async def test_a_replay_of_a_repeated_delivery_is_no_difference(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        await ask(built, "send", "--source", "nagios", PROBLEM)
        await built.settled()
        second = printed(await ask(built, "send", "--json", "--source", "nagios", PROBLEM))
        assert isinstance(second, dict)
        await built.settled()
        view = await built.gateway.reader.receipt(second["id"])
        assert view is not None
        assert view.events[0].reason.value == "duplicate"
        done = await ask(built, "replay", second["id"])
        assert "unchanged" in done.stdout


async def test_a_replay_of_a_source_that_is_gone_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        answer = await built.app()
        await built.settled()
        config = tmp_path / "routes.yaml"
        async with stopped(built):
            gone = "\n".join(line for line in config.read_text().splitlines() if not line.startswith("  app:"))
            config.write_text(gone[: gone.index("  - name: app")])
            done = await ask(built, "replay", answer.json()["id"])
            assert "differs: source app is not configured any more" in done.stdout


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    ("place", "kind", "reasons"), [(1, "problem", {"relapsed", "stale"}), (0, "recovery", {"orphan_recovery", "stale"})]
)
async def test_a_replay_with_new_processes_the_message_again_under_new_markers(
    tmp_path: Path, place: int, kind: str, reasons: set[str], running: bool
) -> None:
    async with house(tmp_path) as built:
        for message in (PROBLEM, RECOVERY):
            await ask(built, "send", "--source", "nagios", message)
            await built.settled()
        old = (await built.gateway.reader.receipts(limit=2))[place].id
        async with nullcontext() if running else stopped(built):
            (one,) = json.loads((await ask(built, "replay", "--new", "--json", old)).stdout)
        assert one["what"] == "accepted"
        await built.settled()
        view = await built.gateway.reader.receipt(one["new_id"])
        assert view is not None
        assert view.tries == 1
        assert [event.event["kind"] for event in view.events] == [kind]
        assert view.events[0].reason.value in reasons


async def test_a_replay_of_an_unknown_id_is_a_negative_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        done = await ask(built, "replay", "00000000")
        assert done.exit_code == 1
        assert "no receipt has this id" in done.stdout


async def test_doctor_finds_a_helpdesk_that_refuses_the_key_and_alerts_left_in_the_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for name in ("new", "rejected", "broken", "tmp"):
        (spool / name).mkdir(parents=True)
    (spool / "rejected" / "1.event").touch()
    (spool / "rejected" / "1.answer").touch()
    async with house(tmp_path) as built:
        well = await ask(built, "doctor", "--spool", tmp_path / "none")
        assert well.exit_code == 0, well.stdout
        assert "the gateway is running at http://127.0.0.1:" in well.stdout
        config = tmp_path / "routes.yaml"
        config.write_text(config.read_text().replace("api_key: 5A4", "api_key: 000"))
        sick = printed(await ask(built, "doctor", "--json", "--spool", spool))
        online = await ask(built, "check", "--online")
    assert isinstance(sick, dict)
    assert sick["ok"] is False
    told = {finding["area"]: finding for finding in sick["findings"]}
    assert "refuses our credentials" in told["helpdesk"]["what"]
    assert told["helpdesk"]["level"] == "FAULT"
    assert told["spool"]["what"] == f"1 alert in {spool / 'rejected'}"
    assert any("not what the running gateway has in force" in finding["what"] for finding in sick["findings"])
    assert online.exit_code == 1
    assert "helpdesk osticket: refuses our credentials" in online.stderr


async def test_doctor_finds_a_journal_without_room_and_a_gateway_that_does_not_run(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        config = tmp_path / "routes.yaml"
        async with stopped(built):
            config.write_text(config.read_text().replace("min_free: 1MiB", "min_free: 900000GiB"))
            done = await ask(built, "doctor", "--spool", tmp_path / "none")
        assert done.exit_code == 1
        assert "nothing is accepted\n       -> make room on this disk" in done.stdout
        assert "FAULT  no gateway is running on this journal\n       -> ticket-gateway serve --config" in done.stdout


async def test_doctor_of_a_broken_configuration_tells_its_errors(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("version: 1\nnonsense: 1\n")
    done = tg("doctor", "-c", tmp_path / "routes.yaml", "--spool", tmp_path / "none")
    assert done.exit_code == 2
    assert "FAULT  " in done.stdout
    assert "routes.yaml:2:" in done.stdout


async def test_a_socket_left_by_a_killed_gateway_hinders_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        async with stopped(built):
            left = socket.socket(socket.AF_UNIX)
            left.bind(str(tmp_path / "journal.db.sock"))
            left.close()
            done = await ask(built, "send", "--source", "nagios", PROBLEM)
            assert done.exit_code == 0
            assert "No gateway is running" in done.stdout
        assert "the gateway is running" in (await ask(built, "doctor", "--spool", tmp_path / "none")).stdout


def test_a_gateway_that_does_not_answer_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "PATIENCE", 0.2)
    tg("init", "--sandbox", tmp_path)
    (tmp_path / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "data" / "journal.db.sock"))
        silent.listen()
        done = tg("send", "--source", "nagios", "-c", tmp_path / "routes.yaml", PROBLEM)
    assert done.exit_code == 1
    assert "the running gateway did not answer on" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_doctor_finds_a_queue_that_stands_still(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        built.faults(Fault(fault=FaultKind.AUTH_BROKEN))
        view = await built.view(await built.nagios("PROBLEM", "CRITICAL"))
        with anyio.fail_after(15):
            while not (view.actions and view.actions[0].reason.value == "auth_broken"):
                await anyio.sleep(0.01)
                view = await built.gateway.reader.receipt(view.id) or view
        done = await ask(built, "doctor", "--spool", tmp_path / "none")
        assert done.exit_code == 1
        assert "FAULT  the queue of helpdesk osticket stands still\n       -> " in done.stdout
        assert "FAULT  helpdesk osticket refuses our credentials" in done.stdout


async def test_a_gateway_that_cannot_write_now_is_told_in_one_line(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        built.gateway.pipeline.close()
        done = await ask(built, "send", "--source", "nagios", PROBLEM)
        assert done.exit_code == 1
        assert done.stderr == "ticket-gateway: the running gateway refused: the gateway is stopping\n"


async def test_what_waits_is_told_with_its_next_try(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        built.faults(Fault(fault=FaultKind.REFUSE))
        answer = await built.nagios("PROBLEM", "CRITICAL")
        view = await built.view(answer)
        with anyio.fail_after(15):
            while not (view.actions and view.actions[0].attempts and view.actions[0].attempts[0].finished_at):
                await anyio.sleep(0.01)
                view = await built.view(answer)
        told = (await ask(built, "events", "show", view.id)).stdout
        assert "Action: make a ticket in osticket: " in told
        assert "  attempt 1 at " in told


def test_verbs_that_read_say_where_they_looked_for_the_journal(tmp_path: Path) -> None:
    tg("init", "--sandbox", tmp_path)
    for verb in (("events", "ls"), ("events", "show", "x"), ("dead", "ls"), ("dead", "retry", "x"), ("replay", "x")):
        done = tg(*verb, "-c", tmp_path / "routes.yaml")
        assert done.exit_code == 1
        assert f"there is no journal at {tmp_path / 'data' / 'journal.db'} yet" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_journal_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    tg("init", "--sandbox", tmp_path)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "journal.db"
    for content in (b"this is no database" * 100, b""):
        path.write_bytes(content)
        done = tg("events", "ls", "-c", tmp_path / "routes.yaml")
        assert done.exit_code == 1
        assert done.stderr.startswith(f"ticket-gateway: the journal {path} cannot be read: ")
        assert done.stderr.count("\n") == 1


def test_a_journal_of_another_program_is_told_in_one_line(tmp_path: Path) -> None:
    tg("init", "--sandbox", tmp_path)
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "journal.db") as connection:
        connection.execute("CREATE TABLE receipt (x)")
    connection.close()
    done = tg("send", "--source", "nagios", "-c", tmp_path / "routes.yaml", PROBLEM)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1


async def test_a_receipt_can_be_written_out_as_it_came(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        body = '{"kind": "problem",  "title": "ü"}'.encode()
        answer = await built.client.post(
            f"{built.url}/in/app", content=body, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        await built.settled()
        told = await ask(built, "events", "show", answer.json()["id"], "--raw")
        assert told.stdout_bytes == body
        unknown = await ask(built, "events", "show", "nothing", "--raw")
        assert unknown.exit_code == 1


async def test_explain_of_a_receipt_says_also_what_became_of_it_when_it_came(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        await built.nagios("PROBLEM", "CRITICAL")
        answer = await built.nagios("RECOVERY", "OK")
        await built.settled()
        number = built.tickets()[0]["number"]
        told = (await ask(built, "explain", answer.json()["id"])).stdout
        assert (
            f"When it came: recovered, ticket {number}; see `ticket-gateway events show {answer.json()['id']}`" in told
        )
        (whole,) = json.loads((await ask(built, "explain", answer.json()["id"], "--json")).stdout)
        assert whole["became"] == ["recovered"]
        (whole,) = json.loads((await ask(built, "explain", "--source", "nagios", PROBLEM, "--json")).stdout)
        assert whole["became"] == []
