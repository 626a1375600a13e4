"""Included files and look-up tables as an administrator meets them: `check`, `explain`, `events show`, `SIGHUP`."""

import json
import signal
import threading
from pathlib import Path

import httpx
import pytest

from tests.cli.support import Program, call, configuration, printed, program, tg, until_answered
from tests.crash.harness import free_port

HOSTS = "Host;Site;Customer\nweb1;FRA;web-team@example.org\nWEB2;MUC;other@example.org\n"
ROUTE = """\
routes:
  - name: web
    match: {host: {glob: "web*"}}
    lookup: {file: hosts.csv, by: host, ignore_case: true}
    ticket:
      helpdesk: osticket
      template: alert
      title: "{{ lookup.site }}: {{ event.title }}"
      fields: {email: "{{ lookup.customer }}"}
    incident: {key: [host, service, lookup.site]}
"""


def site(folder: Path, port: int | None = None) -> Path:
    """The shipped configuration with a route in a file of its own, before all others."""
    path = configuration(folder, port)
    path.write_text(path.read_text().replace("\nroutes:\n", "\ninclude: routes.d/*.yaml\nroutes:\n"))
    (folder / "routes.d").mkdir()
    (folder / "routes.d" / "web.yaml").write_text(ROUTE)
    (folder / "hosts.csv").write_text(HOSTS)
    return path


def form(host: str) -> dict[str, str]:
    return {
        "NOTIFICATIONTYPE": "PROBLEM",
        "SERVICESTATE": "CRITICAL",
        "SERVICEDESC": "HTTP",
        "SERVICEOUTPUT": "down",
        "HOSTNAME": host,
    }


def message(folder: Path, host: str) -> Path:
    file = folder / f"{host}.form"
    file.write_text("&".join(f"{name}={value}" for name, value in form(host).items()))
    return file


def explained(config: Path, *hosts: str, as_json: bool = False) -> str:
    files = [message(config.parent, host) for host in hosts]
    options = ["--source", "nagios", "--content-type", "application/x-www-form-urlencoded", "-c", config]
    done = tg("explain", *options, *(["--json"] if as_json else []), *files)
    assert done.exit_code == 0
    return done.stdout


def test_check_lists_the_files_that_it_read(tmp_path: Path) -> None:
    path = site(tmp_path)
    done = tg("check", path)
    assert done.exit_code == 0
    assert f"{path}: with {tmp_path}/routes.d/web.yaml\n{path}: with {tmp_path}/hosts.csv: 2 rows\n" in done.stdout
    told = printed(tg("check", "--json", path))
    assert isinstance(told, dict)
    assert told["files"] == [str(path), f"{tmp_path}/routes.d/web.yaml"]
    assert told["tables"] == {f"{tmp_path}/hosts.csv": 2}


def test_explain_shows_the_row_and_what_came_of_it(tmp_path: Path) -> None:
    text = explained(site(tmp_path), "web2")
    assert '  lookup hosts.csv: host "web2" is hosts.csv:3: host=WEB2, site=MUC, customer=other@example.org' in text
    assert "lookup.site MUC" in text
    assert '"subject": "MUC: CRITICAL: HTTP on web2"' in text
    assert '"email": "other@example.org"' in text


def test_explain_says_that_there_is_no_row_and_the_ticket_is_made_all_the_same(tmp_path: Path) -> None:
    text = explained(site(tmp_path), "web9")
    missing = 'lookup hosts.csv: no row for host "web9"'
    assert f"  {missing}\n" in text
    assert (
        f"lookup_missing: A look-up that the route needs has no row for the event; add one, or a `default`. ({missing})"
        in text
    )
    assert "key_field_missing" in text  # the key falls back to the source's own
    (one,) = json.loads(explained(tmp_path / "routes.yaml", "web9", as_json=True))
    assert f"routes[web].ticket.title, line 1: {missing}" in one["actions"][0]["text"]
    assert '"subject": "CRITICAL: HTTP on web9"' in text


@pytest.mark.parametrize(("setting", "subject"), [("missing: ignore", ": C"), ("default: {site: HQ}", "HQ: C")])
def test_a_default_or_empty_columns_take_the_place_of_a_row(tmp_path: Path, setting: str, subject: str) -> None:
    path = site(tmp_path)
    own = tmp_path / "routes.d" / "web.yaml"
    own.write_text(own.read_text().replace("by: host,", f"by: host, {setting},"))
    (one,) = json.loads(explained(path, "web9", as_json=True))
    assert one["actions"][0]["title"] == f"{subject}RITICAL: HTTP on web9"
    assert "lookup_missing" not in str(one["events"][0]["remarks"])
    assert one["events"][0]["lookups"][0]["value"] == "web9"


def _ask(port: int, host: str) -> str:
    """Send a problem; gives back the receipt's id when its ticket is there."""
    answer = httpx.post(
        f"http://127.0.0.1:{port}/in/nagios",
        data=form(host),
        headers={"Authorization": "Bearer try-nagios", "Prefer": "wait=5"},
        timeout=10.0,
        trust_env=False,
    ).json()
    assert answer["ticket"]["number"]
    return str(answer["id"])


def _title(port: int, host: str) -> str:
    tickets = httpx.get(f"http://127.0.0.1:{port}/sandbox/tickets.json", trust_env=False).json()
    return next(str(ticket["subject"]) for ticket in tickets if host in ticket["subject"])


def _reload(gateway: Program, words: str) -> None:
    mark = len(gateway.text)
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for(words, after=mark)


@pytest.mark.processes
def test_of_two_reloads_in_a_row_the_later_one_is_in_force_however_long_the_first_one_takes(tmp_path: Path) -> None:
    port = free_port()
    site(tmp_path, port)
    large = HOSTS.replace("MUC", "BER") + "".join(f"host-{number};X;x@example.org\n" for number in range(60_000))
    with program(tmp_path, "serve", "--with-sandbox") as gateway:
        until_answered(f"http://127.0.0.1:{port}/healthz")
        gateway.wait_for("started")
        (tmp_path / "hosts.csv").write_text(large)
        gateway.process.send_signal(signal.SIGHUP)
        threading.Event().wait(0.1)  # so that the first one has begun to read
        (tmp_path / "new.csv").write_text(HOSTS)
        (tmp_path / "new.csv").rename(tmp_path / "hosts.csv")
        _reload(gateway, "configuration read again")
        gateway.wait_for("configuration read again", after=gateway.text.index("configuration read again") + 1)
        _ask(port, "web2")
        assert _title(port, "web2") == "MUC: CRITICAL: HTTP on web2"


@pytest.mark.processes
def test_a_reload_reads_tables_and_included_files_and_keeps_the_old_ones_when_one_is_broken(tmp_path: Path) -> None:
    port = free_port()
    site(tmp_path, port)
    with program(tmp_path, "serve", "--with-sandbox") as gateway:
        until_answered(f"http://127.0.0.1:{port}/healthz")
        gateway.wait_for("started")
        _ask(port, "web1")
        assert _title(port, "web1") == "FRA: CRITICAL: HTTP on web1"

        (tmp_path / "hosts.csv").write_text(HOSTS.replace("MUC", "BER") + "web1;BER;x\n")
        _reload(gateway, "the old one stays in force")
        assert "hosts.csv:4:1: 'web1' stands on line 2 already" in gateway.text
        _ask(port, "web2")
        assert _title(port, "web2") == "MUC: CRITICAL: HTTP on web2"

        (tmp_path / "hosts.csv").write_text(HOSTS + "web3;BER;x@example.org\n")
        more = "routes:\n  - name: mail\n    match: {host: x}\n    drop: {reason: x}\n"
        (tmp_path / "routes.d" / "x.yaml").write_text(more.replace("mail", "lab"))
        _reload(gateway, "configuration read again")
        receipt = _ask(port, "web3")
        assert _title(port, "web3") == "BER: CRITICAL: HTTP on web3"
        assert (
            'lookup hosts.csv: host "web3" is hosts.csv:4: host=web3, site=BER'
            in call(tmp_path, "events", "show", receipt).stdout
        )

        missing = _ask(port, "web4")
        story = call(tmp_path, "events", "show", missing).stdout
        assert "lookup_missing" in story
        assert 'lookup hosts.csv: no row for host "web4"' in story

        silenced = call(tmp_path, "silence", "add", "lookup.site=BER", "--for", "1h", "--comment", "x")
        assert silenced.returncode != 0
        assert "there is no field 'lookup.site'" in silenced.stderr

        (tmp_path / "routes.d" / "x.yaml").write_text(more)
        _reload(gateway, "the old one stays in force")
        assert "routes[2].name: the name is taken already: routes.d/x.yaml:2:11" in gateway.text
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.text
