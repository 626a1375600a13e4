"""What `check` remarks about files that are right in form."""

import os
from pathlib import Path

import pytest

from gateway.config.listen import Listen, parse_listen
from gateway.config.values import duration, duration_text, size, size_text
from tests.config.samples import GOOD, problems, read

SOURCE = "    kind: nagios\n"


def notes(folder: Path, text: str, level: str = "warning") -> list[str]:
    """What is remarked upon, but for the brake of each helpdesk."""
    found = [
        str(note) for note in read(folder, text).notes if note.level == level and "limits.creates" not in note.message
    ]
    return [note.replace(f"{folder}/", "") for note in found]


def test_a_good_file_gives_no_warning(tmp_path: Path) -> None:
    assert notes(tmp_path, GOOD) == []


def test_what_osticket_does_instead_is_told_as_information(tmp_path: Path) -> None:
    text = GOOD + "    incident: {recover: {action: close}, reopen_within: 3d}\n"
    close, reopen = notes(tmp_path, text, "info")
    assert close.startswith(
        "routes.yaml:19:34: info: routes[0].incident.recover.action: close: osTicket closes nothing"
    )
    assert close.endswith("(close_unsupported)")
    assert reopen.startswith("routes.yaml:19:57: info: routes[0].incident.reopen_within: 3d: ")
    assert reopen.endswith("(reopen_unsupported)")


def test_the_brake_of_each_helpdesk_is_told_as_information(tmp_path: Path) -> None:
    said = [note.message for note in read(tmp_path, GOOD).notes if "limits.creates" in note.message]
    assert said == ["at most 200/h new tickets (limits.creates)"]
    off = GOOD.replace("    requester:", "    limits: {creates: off}\n    requester:")
    said = [note.message for note in read(tmp_path, off).notes if "limits.creates" in note.message]
    assert said == ["no brake (limits.creates: off)"]


def test_a_policy_that_asks_for_nothing_impossible_is_not_remarked_upon(tmp_path: Path) -> None:
    assert notes(tmp_path, GOOD + "    incident: {recover: {action: append}}\n", "info") == []


def test_a_route_behind_one_that_takes_everything_is_told(tmp_path: Path) -> None:
    text = GOOD.replace("    match: {source: nagios}\n", "") + "  - name: late\n    drop: {reason: x}\n"
    assert notes(tmp_path, text) == [
        (
            "routes.yaml:18:5: warning: routes[1]: 'late' is never reached: 'alerts' takes everything; "
            "move it up, or give that one a `match`"
        ),
    ]


def test_a_route_after_one_that_takes_everything_and_continues_is_reached(tmp_path: Path) -> None:
    text = GOOD.replace("    match: {source: nagios}\n", "    then: continue\n")
    assert notes(tmp_path, text + "  - name: late\n    drop: {reason: x}\n") == []


def test_a_route_that_does_nothing_is_told(tmp_path: Path) -> None:
    (found,) = notes(tmp_path, GOOD + "  - name: idle\n    match: {host: x}\n")
    assert "'idle' makes no ticket" in found


@pytest.mark.parametrize("listen", ["127.0.0.1:8025", "[::1]:8025", "localhost:1", "unix:/run/x.sock"])
def test_no_authentication_is_no_matter_where_only_this_machine_can_send(listen: str, tmp_path: Path) -> None:
    text = GOOD.replace('{bearer: "${env:NAGIOS_TOKEN}"}', "none") + f'server: {{http: {{listen: "{listen}"}}}}\n'
    assert notes(tmp_path, text) == []


@pytest.mark.parametrize("listen", ["0.0.0.0:8025", "[::]:8025", "tickets.example.org:8025"])
def test_no_authentication_is_told_where_others_can_send(listen: str, tmp_path: Path) -> None:
    text = GOOD.replace('{bearer: "${env:NAGIOS_TOKEN}"}', "none") + f'server: {{http: {{listen: "{listen}"}}}}\n'
    (found,) = notes(tmp_path, text)
    assert found.startswith("routes.yaml:5:11: warning: sources.nagios.auth: anybody who reaches the gateway may send")
    assert notes(tmp_path, text.replace(SOURCE, SOURCE + "    networks: [10.0.0.0/8]\n")) == []


def test_two_ways_to_authenticate_are_told(tmp_path: Path) -> None:
    (found,) = notes(tmp_path, GOOD.replace("{bearer:", '{path: "${env:OSTICKET_KEY}", bearer:'))
    assert "any one of bearer, path is enough" in found


def test_a_secret_in_plain_text_is_told_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    text = GOOD.replace('"${env:OSTICKET_KEY}"', "plain-key")
    path.write_text(text)
    path.chmod(0o644)
    whole, one = notes(tmp_path, text)
    assert whole.startswith("routes.yaml:1:1: warning: everybody on this machine can read this file")
    assert one.startswith("routes.yaml:10:21: warning: helpdesks.osticket.auth.api_key: a secret in plain text")
    path.chmod(0o600)
    assert len(notes(tmp_path, text)) == 1
    assert notes(tmp_path, text.replace("    kind: osticket\n", "    kind: osticket\n    sandbox: true\n")) == []


def test_a_default_token_is_told_where_others_can_send(tmp_path: Path) -> None:
    text = GOOD.replace("${env:NAGIOS_TOKEN}", "${env:UNSET:-try}")
    assert notes(tmp_path, text) == []
    found = notes(tmp_path, text + 'server: {http: {listen: "0.0.0.0:1"}}\n')
    assert any("the default in this file serves as secret" in note for note in found)


def test_http_to_another_machine_and_unverified_certificates_are_told(tmp_path: Path) -> None:
    text = GOOD.replace("https://support", "http://support").replace(
        "    kind: osticket\n", "    kind: osticket\n    verify: false\n"
    )
    verify, url = notes(tmp_path, text)
    assert "verify: any certificate is accepted" in verify
    assert "url: the key and all tickets travel in the clear" in url


def test_a_file_without_sources_or_routes_is_told(tmp_path: Path) -> None:
    found = notes(tmp_path, "version: 1\n")
    assert [note.partition("warning: ")[2].split(":")[0] for note in found] == ["no route", "no source"]


def test_the_same_address_twice_is_an_error(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD + "server: {http: {listen: ['[::1]:80', '[::1]:080']}}\n")
    assert found == ["routes.yaml:19:38: server.http.listen[1]: '[::1]:80' stands here twice"]


def test_a_certificate_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    found = problems(tmp_path, GOOD + "server: {http: {tls: {cert: cert.pem, key: key.pem}}}\n")
    assert found == ["routes.yaml:19:29: server.http.tls.cert: the file cert.pem is not there; mend the name"]


def test_a_ticket_address_with_another_placeholder_is_an_error(tmp_path: Path) -> None:
    text = GOOD.replace("    kind: osticket\n", "    kind: osticket\n    ticket_url: 'https://x/{nummer}'\n")
    (found,) = problems(tmp_path, text)
    assert found.endswith("ticket_url: only {number} and {id} can stand in braces here")


def test_the_digest_changes_with_the_file_a_template_or_a_list_and_with_nothing_else(tmp_path: Path) -> None:
    text = GOOD.replace("{source: nagios}", "{host: {in_file: hosts.txt}}")
    (tmp_path / "hosts.txt").write_text("# ours\n db-1 \n\ndb-2\n")
    first = read(tmp_path, text)
    assert first.read_lines("hosts.txt") == ("db-1", "db-2")
    assert read(tmp_path, text, NAGIOS_TOKEN="another").digest == first.digest
    digests = {first.digest, read(tmp_path, text + "# more\n").digest}
    (tmp_path / "hosts.txt").write_text("db-1\n")
    digests.add(read(tmp_path, text).digest)
    (tmp_path / "templates" / "generic" / "update.txt.j2").write_text("x")
    digests.add(read(tmp_path, text).digest)
    assert len(digests) == 4


def test_own_templates_stand_before_the_shipped_ones(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.templates["generic"]["title.j2"] == "{{ event.title }}"
    assert "alert" in config.templates


def test_a_file_that_others_may_not_read_loads_as_any(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert os.fspath(config.resolve("data/x")) == f"{tmp_path}/data/x"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:8025", Listen("127.0.0.1", 8025)),
        ("[::1]:0", Listen("::1", 0)),
        ("unix:/run/x.sock", Listen(unix="/run/x.sock")),
    ],
)
def test_an_address_to_listen_on_reads_and_prints_the_same(text: str, meant: Listen) -> None:
    assert parse_listen(text) == meant
    assert str(meant) == text


@pytest.mark.parametrize(
    "text", ["", ":", "8025", "::1:8025", "[::1]", "[x]:1", "a b:1", "h:65536", "h:-1", "h:²", "unix:"]
)
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_listen(text)


@pytest.mark.parametrize("text", ["300ms", "90s", "5m", "1h", "3d", "2w", "7d", "0s", "60s", "0.5s"])
def test_a_duration_prints_as_something_that_means_the_same(text: str) -> None:
    assert duration(duration_text(duration(text))) == duration(text)


@pytest.mark.parametrize("text", ["0B", "1B", "1023B", "1KiB", "25MiB", "1GiB", "1GB"])
def test_a_size_prints_as_something_that_means_the_same(text: str) -> None:
    assert size(size_text(size(text))) == size(text)
