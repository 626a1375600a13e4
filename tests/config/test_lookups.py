"""Look-up tables: what may stand in their files, and what `check` says of those and of the rules that use them."""

from pathlib import Path

import pytest

from gateway.config.config import Config
from gateway.config.tables import MOST_FAULTS, column_name
from gateway.model.event import Event, Kind
from gateway.routing.fields import Subject, value_of
from tests.config.samples import GOOD, problems, read

HOSTS = "Host;Site;Queue\ndb-1;FRA;DBA\nweb-1;MUC;Web\n"
OF_ALL = GOOD + "lookup: {file: hosts.csv, by: host}\n"


def table(folder: Path, content: str | bytes = HOSTS, name: str = "hosts.csv") -> None:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def site(config: Config, host: str, column: str = "site") -> object:
    event = Event(Kind.PROBLEM, host=host)
    return value_of(Subject(event, "nagios", lookups=config.lookups, lookup=config.lookup), f"lookup.{column}")


@pytest.mark.parametrize(
    "content",
    [
        HOSTS,
        HOSTS.replace(";", ","),
        HOSTS.replace(";", "\t"),
        HOSTS.replace("\n", "\r\n"),
        "\ufeff" + HOSTS,
        "sep=;\r\n" + HOSTS,
        "# exported at night\n\n" + HOSTS.replace("web-1", "# nobody;;\n;;\n\nweb-1"),
        HOSTS.replace("\n", ";\n"),  # a separator at the end of every line
        'Host;Site;"Queue"\n"db-1"; FRA ;DBA\nweb-1;MUC;"We\nb"\n',
        HOSTS.removesuffix("\n"),
    ],
)
def test_a_table_is_read_as_spreadsheets_and_inventories_write_it(tmp_path: Path, content: str) -> None:
    table(tmp_path, content)
    config = read(tmp_path, OF_ALL)
    assert [site(config, host) for host in ("db-1", "web-1", "DB-1", "other")] == ["FRA", "MUC", None, None]
    assert site(config, "db-1", "queue") == "DBA"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hosts.yaml", "db-1: {site: FRA, queue: 7}\nweb-1: {Site: MUC}\n"),
        ("hosts.json", '[{"host": "db-1", "site": "FRA", "queue": 7}, {"host": "web-1", "site": "MUC"}]'),
    ],
)
def test_a_table_may_be_yaml_or_json(tmp_path: Path, name: str, content: str) -> None:
    table(tmp_path, content, name)
    config = read(tmp_path, OF_ALL.replace("hosts.csv", name))
    assert [site(config, "db-1"), site(config, "web-1")] == ["FRA", "MUC"]
    assert [site(config, "db-1", "queue"), site(config, "web-1", "queue")] == ["7", ""]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HOSTS + "db-1;X;Y\n", "hosts.csv:4:1: 'db-1' stands on line 2 already; keep one row for each host"),
        (HOSTS + "a;b\n", "hosts.csv:4:1: 2 cells, but the first line has 3; put a cell that holds a separator"),
        (HOSTS + '"a\nb";c;d;e\n', "hosts.csv:4:1: 4 cells, but the first line has 3"),
        (HOSTS + ";a;b\n", "hosts.csv:4:1: the key is empty"),
        (HOSTS + 'a;"b;c\n', "hosts.csv:4:1: this is no CSV: unexpected end of data; close the quotes"),
        ("Host;Site;SITE\n", "hosts.csv:1:1: two columns are called 'site'; give one another name"),
        ("Host;Items\n", "hosts.csv:1:1: a column cannot be called 'items'"),
        (f"Host;Site\na;{'x' * 5000}\n", "hosts.csv:2:1: a cell of more than 4096 characters"),
        ("", "routes.yaml:19:16: lookup.file: the table hosts.csv is empty; its first line names the columns"),
        (b"Host;Site\na;\xff\n", "routes.yaml:19:16: lookup.file: the file hosts.csv is not UTF-8 in line 2"),
        (
            "Name;Site\n",
            "routes.yaml:19:31: lookup.by: hosts.csv has no column 'host'; name it with `column`; there are",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    table(tmp_path, content)
    (found,) = problems(tmp_path, OF_ALL)
    assert found.startswith(told)


def test_of_many_wrong_rows_some_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    table(tmp_path, HOSTS + "a;b\n" * 1000)
    found = problems(tmp_path, OF_ALL)
    assert len(found) == MOST_FAULTS + 1
    assert f"hosts.csv: {1000 - MOST_FAULTS} more rows are wrong" in found


def test_a_table_that_is_not_there_is_told_once_however_many_columns_are_named(tmp_path: Path) -> None:
    text = OF_ALL.replace('"{{ event.title }}"', '"{{ lookup.site }} {{ lookup.queue }}"')
    text = text.replace("match: {", "match: {lookup.site: FRA, ")
    assert problems(tmp_path, text) == ["routes.yaml:19:16: lookup.file: the file hosts.csv is not there"]


def test_columns_that_are_not_there_are_told_wherever_they_are_named(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "templates" / "own").mkdir(parents=True)
    (tmp_path / "templates" / "own" / "title.j2").write_text("{{ event.title }}\n{{ lookup.sit }}")
    (tmp_path / "templates" / "own" / "body.html.j2").write_text('{{ lookup["quue"] }}{{ lookup.get("anything") }}')
    text = OF_ALL.replace("match: {", "match: {lookup.sites: FRA, lookups.host.site: FRA, ").replace(
        "    ticket:\n",
        "    vars: {where: '{{ lookup.sit }}'}\n    incident: {key: [lookup.site, lookup.kwew]}\n    ticket:\n"
        "      fields: {priority: {from: lookup.prio, table: {'*': low}}, notes: '{{ lookups.hosts.site }}'}\n",
    )
    text += (
        "lookups: {hosts: {file: hosts.csv, by: host}}\nunrouted: {ticket: {helpdesk: osticket, template: own}}\n"
        "server: {}\n"
    )
    found = [one.removesuffix("ueue") for one in problems(tmp_path, text)]
    assert found == [
        "routes.yaml:14:27: routes[0].match[\"lookup.sites\"]: there is no field 'lookup.sites'; did you mean 'site'?",
        "routes.yaml:14:51: routes[0].match[\"lookups.host.site\"]: there is no field 'lookups.host.site'; did you mean 'hosts'?",
        "routes.yaml:15:19: routes[0].vars.where: there is no `lookup.sit`; did you mean 'site'?",
        "routes.yaml:16:35: routes[0].incident.key[1]: there is no field 'lookup.kwew'; hosts.csv has host, site, q",
        "routes.yaml:18:33: routes[0].ticket.fields.priority.from: there is no field 'lookup.prio'; hosts.csv has host, site, q",
        "templates/own/body.html.j2:1:1: there is no `lookup.quue` in unrouted; did you mean 'queue'?",
        "templates/own/title.j2:2:1: there is no `lookup.sit` in unrouted; did you mean 'site'?",
    ]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("{file: hosts.csv, by: hots}", "lookup.by: there is no field 'hots'; did you mean 'host'?"),
        ("{file: hosts.csv, by: lookup.site}", "lookup.by: a look-up cannot depend on another one"),
        (
            "{file: hosts.csv, by: host, default: {sit: X}}",
            "lookup.default: hosts.csv has no column 'sit'; did you mean 'site'?",
        ),
        ("{file: hosts.csv}", "lookup: 'by' is missing"),
        ("{file: hosts.csv, by: host, match: fuzzy}", "lookup.match: must be 'exact', 'glob' or 'cidr', not 'fuzzy'"),
        ("hosts", "lookup: there is no look-up 'hosts'; add it under `lookups`"),
        ("[a]", "lookup: "),
    ],
)
def test_a_wrong_setting_is_told(tmp_path: Path, setting: str, told: str) -> None:
    table(tmp_path)
    (found,) = problems(tmp_path, GOOD + f"lookup: {setting}\n")
    assert found.startswith("routes.yaml:19:")
    assert told in found


def test_a_column_without_a_look_up_is_told_what_is_missing(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("match: {", "match: {lookup.site: FRA, "))
    assert found.endswith("give this route a `lookup: {file: ..., by: host}`, or write lookups.NAME.COLUMN")


def test_a_named_table_that_nothing_uses_is_told_and_one_that_is_used_is_not(tmp_path: Path) -> None:
    table(tmp_path)
    named = GOOD + "lookups: {hosts: {file: hosts.csv, by: host}}\n"
    unused = "no rule and no template uses 'hosts'"
    assert unused in str(read(tmp_path, named).notes)
    for used in (
        named.replace("match: {", "match: {lookups.hosts.site: FRA, "),
        named.replace("{{ event.title }}", "{{ lookups.hosts.site }}"),
        named.replace("    ticket:\n", "    lookup: hosts\n    ticket:\n"),
    ):
        assert unused not in str(read(tmp_path, used).notes)


def test_a_changed_table_is_another_configuration(tmp_path: Path) -> None:
    table(tmp_path)
    before = read(tmp_path, OF_ALL)
    table(tmp_path, HOSTS.replace("FRA", "BER"))
    assert read(tmp_path, OF_ALL).digest != before.digest


def test_routes_with_the_same_table_share_it(tmp_path: Path) -> None:
    table(tmp_path)
    own = "    lookup: {file: hosts.csv, by: host, default: {site: HQ}}\n"
    text = OF_ALL.replace("    ticket:\n", own + "    ticket:\n")
    first, second = read(tmp_path, text).lookups.values()
    assert first.table is second.table
    assert (first.default, second.default) == (None, {"site": "HQ"})


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Site", "site"),
        (" Prio (SLA) ", "prio_sla"),
        ("E-Mail", "e_mail"),
        ("Größe", "grösse"),
        ("24x7", "24x7"),
        ("-", ""),
    ],
)
def test_columns_are_named_so_that_templates_can_write_them(written: str, name: str) -> None:
    assert column_name(written) == name


def test_a_misspelt_field_in_a_template_is_found_by_check_also_in_a_list(tmp_path: Path) -> None:
    text = GOOD.replace("{{ event.title }}", "{{ event.titel }}").replace(
        "      title:", "      fields: {tags: ['{{ event.hots }}']}\n      title:"
    )
    found = "\n".join(problems(tmp_path, text))
    assert "routes[0].ticket.title: `event` has no field `titel`; did you mean `title`?" in found
    assert "routes[0].ticket.fields.tags[0]: `event` has no field `hots`; did you mean `host`?" in found
