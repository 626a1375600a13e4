"""Files that the main one includes."""

from pathlib import Path

import pytest

from gateway.config.config import Config
from gateway.config.loader import load_file
from tests.config.samples import ENV, GOOD, problems, read

MAIN = GOOD.replace("routes:\n", "include: routes.d/*.yaml\nroutes:\n")
DROP = "routes:\n  - {{name: {0}, match: {{host: {0}}}, drop: {{reason: x}}}}\n"


def included(folder: Path, **files: str) -> None:
    (folder / "routes.d").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "routes.d" / f"{name}.yaml").write_text(text)


def warnings(config: Config) -> list[str]:
    found = [str(note) for note in config.notes if note.level == "warning"]
    return [note.replace(f"{config.folder}/", "") for note in found]


def names(config: Config) -> list[str]:
    return [route.name for route in config.routes]


def test_included_routes_stand_where_include_stands_in_the_order_of_the_files_names(tmp_path: Path) -> None:
    included(tmp_path, b=DROP.format("b"), a=DROP.format("a1") + DROP.format("a2").removeprefix("routes:\n"))
    assert names(read(tmp_path, MAIN)) == ["a1", "a2", "b", "alerts"]
    assert names(read(tmp_path, GOOD + "include: routes.d/*.yaml\n")) == ["alerts", "a1", "a2", "b"]


def test_sources_helpdesks_and_schedules_of_all_files_are_one_set(tmp_path: Path) -> None:
    included(
        tmp_path,
        a=(
            'version: 1\nsources:\n  zabbix: {kind: zabbix, auth: {bearer: "${env:ZABBIX}"}}\n'
            'helpdesks:\n  second: {kind: osticket, url: "https://two.example.org/api", '
            'auth: {api_key: "${file:key}"}, requester: {email: a@example.org}}\n'
            "schedules:\n  night: {weekly: ['22:00-06:00']}\n"
        ),
        b=(
            "routes:\n  - name: nightly\n    match: {source: zabbix}\n    when: {during: night}\n"
            "    ticket: {helpdesk: second, title: x, body: y}\n"
        ),
    )
    (tmp_path / "key").write_text("key-of-the-second\n")
    config = read(tmp_path, MAIN, ZABBIX="token-of-zabbix")
    assert sorted(config.sources) == ["nagios", "zabbix"]
    assert sorted(config.helpdesks) == ["osticket", "second"]
    assert {"token-of-zabbix", "key-of-the-second"} <= set(config.secrets)
    assert [file.name for file in config.files] == ["routes.yaml", "a.yaml", "b.yaml"]
    assert not warnings(config)


def test_errors_name_the_file_in_which_they_stand_with_its_own_line_and_index(tmp_path: Path) -> None:
    included(
        tmp_path,
        a=DROP.format("a"),
        b=DROP.format("b") + "  - name: c\n    match: {hots: x}\n    ticket: {helpdesk: nowhere, title: x, body: y}\n",
        c="routes:\n  - name: d\n    tickets: {}\n",
        d="sources:\n  late: {kind: nagios, auth: {bearer: '${env:NOT_SET}'}}\n",
    )
    assert problems(tmp_path, MAIN) == [
        "routes.d/b.yaml:4:19: routes[1].match.hots: there is no field 'hots'; did you mean 'host'?",
        "routes.d/b.yaml:5:24: routes[1].ticket.helpdesk: unknown helpdesk 'nowhere'; known: osticket",
        "routes.d/c.yaml:3:5: routes[0].tickets: unknown key 'tickets'; did you mean 'ticket'?",
        (
            "routes.d/d.yaml:2:39: sources.late.auth.bearer: the environment variable NOT_SET is not set; "
            "set it, or write ${env:NOT_SET:-DEFAULT}"
        ),
    ]


def test_a_name_that_stands_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    included(
        tmp_path,
        a="sources:\n  nagios: {kind: nagios, auth: none}\n" + DROP.format("alerts"),
        b=DROP.format("alerts"),
    )
    taken = "the name is taken already"
    assert problems(tmp_path, GOOD + "include: [routes.d/a.yaml, routes.d/b.yaml]\n") == [
        f"routes.d/a.yaml:2:3: sources.nagios: {taken}: routes.yaml:3:3; choose another one",
        f"routes.d/a.yaml:4:12: routes[0].name: {taken}: routes.yaml:13:11; choose another one",
        f"routes.d/b.yaml:2:12: routes[0].name: {taken}: routes.yaml:13:11; choose another one",
    ]
    told = problems(tmp_path, GOOD.replace("alerts", "other") + "include: routes.d/*.yaml\n")
    assert told[-1] == f"routes.d/b.yaml:2:12: routes[0].name: {taken}: routes.d/a.yaml:4:12; choose another one"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("include: x.yaml\n", "1:1: include: 'include' cannot stand in an included file; move it to routes.yaml"),
        ("server: {}\n", "1:1: server: 'server' cannot stand in an included file; move it to routes.yaml"),
        ("rootes: []\n", "1:1: rootes: unknown key 'rootes'; did you mean 'routes'?"),
        ("routes:\n", "1:8: routes: must be a list, not empty; fill it in, or remove the key"),
        ("sources: [a]\n", "1:10: sources: must be a section, not a list"),
        ("version: 2\n", "1:10: version: must be 1"),
        ("- a\n", "1:1: an included file has sections such as `routes:`, not a list"),
        ("routes: [\n", "2:1: a value is missing; close every [ and {"),
        ("routes: [{name: a, drop: {reason: b}}]\n---\n", "2:1: a second document begins here"),
    ],
)
def test_what_an_included_file_cannot_be_is_told(tmp_path: Path, text: str, told: str) -> None:
    included(tmp_path, a=text)
    (found,) = problems(tmp_path, MAIN)
    assert found.startswith(f"routes.d/a.yaml:{told}")


def test_a_file_of_remarks_only_is_no_error_and_hidden_ones_are_not_read(tmp_path: Path) -> None:
    included(tmp_path, a="# nothing yet\n", b="")
    (tmp_path / "routes.d" / ".#c.yaml").write_text("broken: [")
    assert names(read(tmp_path, MAIN)) == ["alerts"]


def test_a_name_without_a_file_is_an_error_and_a_pattern_without_one_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD + "include: [more.yaml]\n") == [
        "routes.yaml:19:11: include[0]: the file more.yaml is not there; mend the name"
    ]
    assert warnings(read(tmp_path, MAIN)) == [
        "routes.yaml:12:10: warning: include: no file matches 'routes.d/*.yaml'; the folder routes.d is not there"
    ]
    (tmp_path / "routes.d").mkdir()
    config = read(tmp_path, MAIN)
    assert not warnings(config)
    assert any("no file matches" in str(note) for note in config.notes)


def test_a_file_that_cannot_be_read_or_is_the_main_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "routes.d" / "folder.yaml").mkdir(parents=True)
    (found,) = problems(tmp_path, MAIN)
    assert found == "routes.yaml:12:10: include: routes.d/folder.yaml is no file"
    (found,) = problems(tmp_path, GOOD + "include: '*.yaml'\n")
    assert "would include itself; use a folder of its own" in found


def test_a_change_of_an_included_file_is_another_configuration(tmp_path: Path) -> None:
    included(tmp_path, a=DROP.format("a"))
    before = read(tmp_path, MAIN)
    included(tmp_path, a=DROP.format("b"))
    after = load_file(before.path, env=ENV)
    assert names(after) == ["b", "alerts"]
    assert before.digest != after.digest


def test_secrets_written_into_an_included_file_are_told_at_its_name(tmp_path: Path) -> None:
    included(tmp_path, a="sources:\n  open: {kind: nagios, auth: {bearer: plain-text-token}}\n")
    (tmp_path / "routes.d" / "a.yaml").chmod(0o644)
    assert warnings(read(tmp_path, MAIN)) == [
        "routes.d/a.yaml: warning: everybody on this machine can read this file and the secrets in it; chmod 640 it",
        (
            "routes.d/a.yaml:2:39: warning: sources.open.auth.bearer: a secret in plain text; "
            "write ${env:NAME} or ${file:PATH} in its place"
        ),
    ]
