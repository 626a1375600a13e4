"""`ticket-gateway ticket`: the verbs over a Zammad and an osTicket of the sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import call, program, until_answered, verb

CONFIG = """\
version: 1
server: {{http: {{listen: "127.0.0.1:0"}}, journal: {{url: "sqlite:///journal.db"}}}}
sources: {{nagios: {{kind: nagios, auth: {{bearer: a-token}}}}}}
helpdesks:
  zammad:
    kind: zammad
    url: {sandbox}/zammad
    auth: {{token: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    group: Users
    customer: monitoring@example.org
    sandbox: true
  osticket:
    kind: osticket
    url: {sandbox}/osticket/api
    auth: {{api_key: 5A4DB0C05A4DB0C05A4DB0C05A4DB0C0}}
    requester: {{email: monitoring@example.org}}
    sandbox: true
routes:
  - {{name: all, ticket: {{helpdesk: zammad}}, incident: {{key: [host]}}}}
"""

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a configuration, and the sandbox that it speaks of."""
    folder = tmp_path_factory.mktemp("desk")
    with program(folder, "sandbox", "--port", "0", "--data", "sandbox") as running:
        running.wait_for("Stop with")
        url = running.text.partition("Sandbox helpdesk: ")[2].split()[0]
        until_answered(url)
        (folder / "routes.yaml").write_text(CONFIG.format(sandbox=url))
        yield folder


def test_a_ticket_lives_from_create_to_history(desk: Path) -> None:
    made = verb(desk, "ticket", "create", "--helpdesk", "zammad", "--title", "By hand", "--text", "-", stdin=b"hello")
    assert made.returncode == 0, made.stderr
    number = made.stdout.split("ticket ")[1].split()[0]
    changed = verb(
        desk, "ticket", "update", number, "--helpdesk", "zammad", "--field", "priority=3 high", "--note", "now"
    )
    assert changed.stdout.startswith("changed: ticket"), changed.stderr
    closed = verb(desk, "ticket", "close", number, "--helpdesk", "zammad")
    assert closed.stdout.startswith("closed: ticket"), closed.stderr
    shown = verb(desk, "ticket", "get", number, "--helpdesk", "zammad").stdout
    assert "state: closed (closed)" in shown
    assert "priority: 3 high" in shown
    assert "hello" in shown
    found = verb(desk, "ticket", "search", "--title", "by hand", "--helpdesk", "zammad").stdout
    assert number in found
    history = call(desk, "ticket", "history", number, "--helpdesk", "zammad").stdout
    assert "state: new -> closed" in history


def test_json_is_printed_for_answers_and_for_refusals(desk: Path) -> None:
    found = verb(desk, "ticket", "search", "--helpdesk", "zammad", "--json")
    assert found.stdout.lstrip().startswith("[")
    refused = verb(desk, "ticket", "get", "1", "--helpdesk", "osticket", "--json")
    assert refused.returncode == 1
    assert '"refused": "unsupported"' in refused.stdout


def test_osticket_says_that_it_cannot(desk: Path) -> None:
    refused = verb(desk, "ticket", "close", "1", "--helpdesk", "osticket")
    assert refused.returncode == 1
    assert (
        "osticket cannot do this (close): osTicket closes nothing over its API; close it in osTicket" in refused.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["get", "1"], 2, "say which helpdesk"),
        (["get", "1", "--helpdesk", "nowhere"], 2, "has no helpdesk 'nowhere'"),
        (["get", "99999", "--helpdesk", "zammad"], 1, "has no ticket 99999"),
        (["update", "1", "--helpdesk", "zammad"], 2, "say what to change"),
        (["delete", "1", "--helpdesk", "zammad"], 2, "a deleted ticket does not come back; say --yes"),
        (["delete", "99999", "--helpdesk", "zammad", "--yes"], 1, "has no ticket 99999"),
        (["delete", "1", "--helpdesk", "osticket", "--yes"], 1, "osTicket deletes nothing over its API"),
        (["update", "1", "--helpdesk", "zammad", "--field", "x"], 2, "not NAME=VALUE"),
    ],
)
def test_what_cannot_be_done_is_told(desk: Path, arguments: list[str], code: int, words: str) -> None:
    done = verb(desk, "ticket", *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
