import json
from pathlib import Path

import pytest

from gateway.cli import VERBS, cli
from tests.cli.support import configuration, printed, tg


def test_init_writes_a_configuration_that_check_finds_good_once_its_secrets_are_set(tmp_path: Path) -> None:
    done = tg("init", tmp_path / "new")
    assert done.exit_code == 0
    assert "  export NAGIOS_TOKEN=...\n  export OSTICKET_KEY=...\n" in done.stdout
    assert "ZABBIX" not in done.stdout  # it is only in a comment
    path = tmp_path / "new" / "routes.yaml"
    bare = tg("check", path)
    assert bare.exit_code == 2
    assert f"{path}:20:20: sources.nagios.auth.bearer: the environment variable NAGIOS_TOKEN is not set" in bare.stderr
    assert bare.stderr.endswith(f"{path}: 2 errors\n")
    good = tg("check", path, env={"NAGIOS_TOKEN": "a-long-token", "OSTICKET_KEY": "a-long-key"})
    assert good.exit_code == 0
    assert good.stdout.endswith(f"{path}: good: 1 source, 1 route, 1 helpdesk\n")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    template = tmp_path / "templates" / "alert" / "title.j2"
    template.parent.mkdir(parents=True)
    template.write_text("mine")
    assert f"kept  {template}" in tg("init", tmp_path).stdout
    (tmp_path / "routes.yaml").write_text("mine too")
    again = tg("init", tmp_path)
    assert again.exit_code == 1
    assert "is there already; nothing was overwritten" in again.stderr
    assert (template.read_text(), (tmp_path / "routes.yaml").read_text()) == ("mine", "mine too")


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nowhere"])
def test_init_where_nothing_can_be_written_says_so(place: str) -> None:
    done = tg("init", place)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"ticket-gateway: {place}")


def test_check_takes_the_file_as_argument_as_option_and_from_the_environment(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    for done in (tg("check", path), tg("check", "-c", path), tg("check", env={"TICKET_GATEWAY_CONFIG": str(path)})):
        assert done.exit_code == 0
        assert f"{path}: good: 4 sources, 3 routes, 1 helpdesk" in done.stdout


def test_check_as_json_gives_every_problem_with_its_place(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    path.write_text(path.read_text().replace("template: alert ", "templat: alert "))
    done = tg("check", "--json", path)
    told = printed(done)
    assert done.exit_code == 2
    assert isinstance(told, dict)
    assert told["ok"] is False
    errors = [problem for problem in told["problems"] if problem["level"] == "error"]
    assert errors[0]["line"] > 1
    assert "did you mean 'template'?" in errors[0]["hint"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory; `ticket-gateway init` writes one"),
        (b"", "the file is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\x00", ""),
        (b"routes: [", ""),
        (b"a: &a [*a]\n", ""),
    ],
)
@pytest.mark.parametrize(
    "verb",
    [
        ("check",),
        ("events", "ls"),
        ("dead", "ls"),
        ("doctor",),
        ("serve",),
        ("demo",),
        ("replay", "x"),
        ("explain", "x"),
    ],
)
def test_a_broken_configuration_is_told_by_every_verb_with_exit_code_2(
    tmp_path: Path, content: bytes | None, words: str, verb: tuple[str, ...]
) -> None:
    path = tmp_path / "routes.yaml"
    if content is not None:
        path.write_bytes(content)
    done = tg(*verb, "-c", path)
    assert done.exit_code == 2
    assert str(path) in done.output
    assert words in done.output


def test_the_demonstration_needs_a_source_of_each_kind(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    text = path.read_text().partition("\n# What the rules above shall do")[0]
    start, end = text.index("  zabbix:\n"), text.index("  shop:\n")
    path.write_text((text[:start] + text[end:]).replace("[nagios, zabbix]", "nagios"))
    done = tg("demo", "-c", path)
    assert done.exit_code == 2
    assert "has no source of kind zabbix" in done.stderr


def test_schema_is_a_json_schema() -> None:
    assert "properties" in json.loads(tg("schema").stdout)


def test_a_mistyped_verb_is_told_the_nearest_one() -> None:
    done = tg("explian")
    assert done.exit_code == 2
    assert "There is no verb 'explian'; did you mean 'explain'?" in done.stderr


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_and_a_line_of_its_own(verb: str) -> None:
    done = tg(verb, "--help")
    assert done.exit_code == 0
    assert "Usage: " in done.stdout
    assert VERBS[verb][1].endswith(".")


@pytest.mark.parametrize(
    "verb",
    [
        "check",
        "parse",
        "explain",
        "send",
        "events ls",
        "events show",
        "dead ls",
        "dead retry",
        "dead drop",
        "replay",
        "schema",
        "doctor",
    ],
)
def test_every_verb_that_prints_data_has_json(verb: str) -> None:
    assert "--json" in tg(*verb.split(), "--help").stdout


def test_nobody_is_left_out_of_the_list() -> None:
    assert cli.list_commands(cli.make_context("x", ["schema"])) == sorted(VERBS)
