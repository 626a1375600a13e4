"""Bad files and exactly what is printed about them."""

from pathlib import Path

import pytest

from gateway.config.loader import load_file
from gateway.config.problems import ConfigErrors
from tests.config.samples import GOOD, problems, read

SOURCE = "    kind: nagios\n"
HELPDESK = "    kind: osticket\n"
TOKEN = '{bearer: "${env:NAGIOS_TOKEN}"}'
TITLE = '"{{ event.title }}"'

# (what is replaced in the good file, by what, what is printed)
SPOILED: dict[str, tuple[str, str, list[str]]] = {
    "an unknown helpdesk": (
        "helpdesk: osticket",
        "helpdesk: ostiket",
        ["routes.yaml:16:17: routes[0].ticket.helpdesk: unknown helpdesk 'ostiket'; did you mean 'osticket'?"],
    ),
    "an unknown key": (
        SOURCE,
        SOURCE + "    timezon: UTC\n",
        ["routes.yaml:5:5: sources.nagios.timezon: unknown key 'timezon'; did you mean 'timezone'?"],
    ),
    "a key one level too high": (
        "    ticket:\n",
        "    template: alert\n    ticket:\n",
        ["routes.yaml:15:5: routes[0].template: unknown key 'template'; it belongs under 'ticket'"],
    ),
    "an unknown kind": (
        "kind: nagios",
        "kind: nagois",
        ["routes.yaml:4:11: sources.nagios.kind: unknown kind 'nagois'; did you mean 'nagios'?"],
    ),
    "no kind": (
        SOURCE,
        "",
        ["routes.yaml:4:5: sources.nagios: 'kind' is missing; known: generic, mail, nagios, zabbix"],
    ),
    "no version": ("version: 1\n", "", ["routes.yaml:1:1: 'version' is missing; write `version: 1`"]),
    "a version that does not exist": (
        "version: 1",
        "version: 2",
        ["routes.yaml:1:10: version: must be 1, not the number 2"],
    ),
    "a value out of bounds": (
        SOURCE,
        SOURCE + "    wait: 9s\n",
        ["routes.yaml:5:11: sources.nagios.wait: must be at most 8s"],
    ),
    "a duration that is none": (
        SOURCE,
        SOURCE + "    wait: soon\n",
        [
            (
                "routes.yaml:5:11: sources.nagios.wait: 'soon' is no duration; "
                "write a number with a unit: 300ms, 90s, 5m, 1h, 3d, 2w"
            )
        ],
    ),
    "a duration without a unit": (
        SOURCE,
        SOURCE + "    wait: 5\n",
        ["routes.yaml:5:11: sources.nagios.wait: the number 5 needs a unit; write 300ms, 90s, 5m, 1h, 3d or 2w"],
    ),
    "a text for a list and a number for a text": (
        SOURCE,
        SOURCE + "    networks: 10.0.0.0/8\n    timezone: 1.10\n",
        [
            (
                "routes.yaml:5:15: sources.nagios.networks: must be a list, not '10.0.0.0/8'; "
                "write [one, two], or one entry per line after '- '"
            ),
            "routes.yaml:6:15: sources.nagios.timezone: must be a text, not the number 1.1; put it in quotes",
        ],
    ),
    "a network and a time zone that do not exist": (
        SOURCE,
        SOURCE + "    networks: [10.0.0.0/8, 300.1.1.1]\n    timezone: Europe/Berln\n",
        [
            (
                "routes.yaml:5:28: sources.nagios.networks[1]: '300.1.1.1' is no address or network; "
                "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
            ),
            "routes.yaml:6:15: sources.nagios.timezone: unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ],
    ),
    "a bare word where authentication belongs, which may be a secret": (
        TOKEN,
        "hunter22",
        ["routes.yaml:5:11: sources.nagios.auth: must be a section or 'none', not a bare value"],
    ),
    "a number for a secret": (
        '"${env:NAGIOS_TOKEN}"',
        "12345",
        ["routes.yaml:5:20: sources.nagios.auth.bearer: a secret is a text; put it in quotes"],
    ),
    "no authentication": (
        f"    auth: {TOKEN}\n",
        "",
        [
            (
                "routes.yaml:3:3: sources.nagios: 'auth' is missing; "
                'add `auth: {bearer: "${env:NAGIOS_TOKEN}"}`; `auth: none` lets anybody send'
            )
        ],
    ),
    "an empty authentication": (
        TOKEN,
        "{}",
        [
            (
                "routes.yaml:5:5: sources.nagios.auth: names no way to authenticate; "
                "known: bearer, basic, query, path, header, hmac"
            )
        ],
    ),
    "an unset variable": (
        "${env:NAGIOS_TOKEN}",
        "${env:OTHER}",
        [
            (
                "routes.yaml:5:20: sources.nagios.auth.bearer: the environment variable OTHER is not set; "
                "set it, or write ${env:OTHER:-DEFAULT}"
            )
        ],
    ),
    "a secret file that is not there": (
        "${env:NAGIOS_TOKEN}",
        "${file:secrets/nagios}",
        [
            (
                "routes.yaml:5:20: sources.nagios.auth.bearer: the file secrets/nagios is not there; "
                "create it, or mend the name"
            )
        ],
    ),
    "a reference that is misspelt": (
        "${env:NAGIOS_TOKEN}",
        "${ENV:NAGIOS_TOKEN}",
        [
            (
                "routes.yaml:5:20: sources.nagios.auth.bearer: '${ENV:...}' is not understood; "
                "write ${env:NAME} or ${file:PATH}, and $${ for a plain ${"
            )
        ],
    ),
    "the same key twice": (
        "match: {source: nagios}",
        "match: {source: nagios, source: x}",
        ["routes.yaml:14:29: routes[0].match.source: the key 'source' stands here twice; first on line 14"],
    ),
    "a merge key": (
        "match: {source: nagios}",
        "match: {<<: {a: b}}",
        ["routes.yaml:14:13: routes[0].match[\"<<\"]: merge keys ('<<') are not read; write the keys out"],
    ),
    "a tag": (
        "version: 1",
        "version: !!python/object/apply:os.system 1",
        ["routes.yaml:1:10: version: tags ('!!python/object/apply:os.system') are not read; remove it"],
    ),
    "a huge number": (
        "version: 1",
        "version: 99999999999999999999999",
        ["routes.yaml:1:10: version: the number is too large; put it in quotes if it is a text"],
    ),
    "a template text without quotes": (
        TITLE,
        "{{ event.title }}",
        [
            (
                "routes.yaml:17:15: a key must be one word, not a list or section; "
                'put a text that begins with { or [ in quotes, such as "{{ event.host }}"'
            )
        ],
    ),
    "a colon too many": (
        TITLE,
        "a: b",
        [
            (
                "routes.yaml:17:15: a ':' too many, or the indentation is wrong; put a text with ': ' or ' #' in it, "
                "or one that begins with { [ * & ! % @, in quotes"
            )
        ],
    ),
    "a tab": ("  - name", "\t- name", ["routes.yaml:13:1: a tab stands here; indent with blanks"]),
    "an unknown template": (
        f"title: {TITLE}",
        "template: alrt",
        ["routes.yaml:17:17: routes[0].ticket.template: there is no template folder 'alrt'; did you mean 'alert'?"],
    ),
    "a list of hosts that is not there": (
        "match: {source: nagios}",
        "match: {host: {in_file: hosts.txt}}",
        ["routes.yaml:14:29: routes[0].match.host.in_file: the file hosts.txt is not there"],
    ),
    "a name that cannot be a path": (
        "  nagios:\n",
        "  other/nagios:\n",
        [
            (
                "routes.yaml:3:3: sources[\"other/nagios\"]: the name 'other/nagios' cannot be used; "
                "only letters, digits and _ . - can stand here, 64 at most"
            )
        ],
    ),
    "a helpdesk that is a text": (
        "helpdesks:\n",
        "helpdesks:\n  other: https://x\n",
        ["routes.yaml:7:10: helpdesks.other: must be a section, not 'https://x'; write `kind: ...` below it, indented"],
    ),
    "a short settle": (
        HELPDESK,
        HELPDESK + "    limits: {settle: 1s}\n",
        [
            (
                "routes.yaml:9:22: helpdesks.osticket.limits.settle: at least 60s, "
                "since osTicket may go on working for that long"
            )
        ],
    ),
}
ADDED: dict[str, tuple[str, list[str]]] = {
    "an unknown section": ("rutes: []\n", ["routes.yaml:19:1: rutes: unknown key 'rutes'; did you mean 'routes'?"]),
    "keys that are not built yet": (
        "server:\n  console: {}\n",
        ["routes.yaml:20:3: server.console: is not built yet: the operators' console; remove this key"],
    ),
    "sources that share incidents": (
        (
            "    incident: {across: [nagois, nagios]}\n  - name: b\n    ticket: {helpdesk: osticket, template: alert}\n"
            "    incident: {across: [nagios], key: [host], include_source: false}\n"
        ),
        [
            (
                "routes.yaml:19:16: routes[0].incident.across: needs a `key`: the sources' own keys differ; "
                "write `key: [host, service]`"
            ),
            "routes.yaml:19:25: routes[0].incident.across[0]: unknown source 'nagois'; did you mean 'nagios'?",
            (
                "routes.yaml:22:16: routes[1].incident.across: does nothing with `include_source: false`, "
                "which joins all sources; leave one of them out"
            ),
            (
                "routes.yaml:22:16: routes[1].incident.across: names one source only; "
                "name all that see the same things, or leave it out"
            ),
        ],
    ),
    "schedules that cannot be read, and one that is not there": (
        (
            "    when: {during: nihgts}\nschedules:\n  nights: {tz: Europe/Brelin, weekly: ['22:00-06:00']}\n"
            "  broken: {windows: ['2026-12-05T22:00/2026-12-05T21:00'], weekly: ['someday 8-9']}\n  empty: {}\n"
        ),
        [
            "routes.yaml:19:20: routes[0].when.during: there is no schedule 'nihgts'; did you mean 'nights'?",
            "routes.yaml:21:16: schedules.nights.tz: unknown time zone 'Europe/Brelin'; write one like Europe/Berlin",
            "routes.yaml:22:22: schedules.broken.windows[0]: '2026-12-05T22:00/2026-12-05T21:00' ends before it begins",
            (
                "routes.yaml:22:69: schedules.broken.weekly[0]: 'someday 8-9' is no weekly time; "
                "write mon-fri 08:00-18:00, sat 22:00-06:00 or 02:00-03:00"
            ),
            "routes.yaml:23:3: schedules.empty: holds no time; add `windows` or `weekly`",
        ],
    ),
    "a look-up in a field that does not exist": (
        '      fields: {priority: {from: severty, table: {critical: high, "*": low}}}\n',
        ["routes.yaml:19:33: routes[0].ticket.fields.priority.from: unknown field 'severty'; did you mean 'severity'?"],
    ),
    "a former name that is in use": (
        "  - name: b\n    was: alerts\n    match: {host: x}\n    drop: {reason: x}\n",
        ["routes.yaml:20:10: routes[1].was: the former name 'alerts' is taken; route 'alerts' has it"],
    ),
    "an empty reason and a name with a blank": (
        "  - name: b\n    drop: {reason: ''}\n  - name: 'a b'\n    drop: {reason: x}\n",
        [
            "routes.yaml:20:20: routes[1].drop.reason: is empty",
            "routes.yaml:21:11: routes[2].name: 'a b' cannot be used; only letters, digits and _ . - can stand here",
        ],
    ),
    "a switch that is neither on nor off": (
        "unrouted: {dead_letter: maybe}\n",
        ["routes.yaml:19:25: unrouted.dead_letter: must be true or false, not 'maybe'"],
    ),
    "addresses to listen on": (
        'server: {http: {listen: [":8025", "localhost:99999", "unix:x"]}, journal: {url: "postgresql://x"}}\n',
        [
            (
                "routes.yaml:19:26: server.http.listen[0]: ':8025' names no host; "
                "write 127.0.0.1:8025, or 0.0.0.0:8025 for all addresses"
            ),
            (
                "routes.yaml:19:35: server.http.listen[1]: 'localhost:99999' is no address to listen on; "
                "write 127.0.0.1:8025, [::1]:8025 or unix:/path/to.sock"
            ),
            (
                "routes.yaml:19:54: server.http.listen[2]: 'unix:x' is no socket; "
                "write unix:/path/to.sock with a full path"
            ),
            (
                "routes.yaml:19:81: server.journal.url: is not built yet: a journal in PostgreSQL; "
                "write sqlite:///data/journal.db"
            ),
        ],
    ),
    "a template folder that is not there": (
        "templates: tmpl\n",
        ["routes.yaml:19:12: templates: the folder tmpl is not there; create it, or mend the name"],
    ),
}
WHOLE: dict[str, tuple[bytes, list[str]]] = {
    "nothing": (b"", ["routes.yaml: the file is empty; `ticket-gateway init` writes one to start from"]),
    "a word": (
        b"hello",
        ["routes.yaml:1:1: the file must be a section with `version: 1` and more, not 'hello'"],
    ),
    "sections without content": (
        b"version: 1\nsources:\nroutes:\n",
        [
            "routes.yaml:2:9: sources: must be a section, not empty; fill it in, or remove the key",
            "routes.yaml:3:8: routes: must be a list, not empty; fill it in, or remove the key",
        ],
    ),
    "another encoding": (
        b"version: 1\n# caf\xe9\n",
        ["routes.yaml:2:6: the file is not UTF-8 here; save it as UTF-8"],
    ),
    "a control character": (
        b"version: 1\n#\x07\n",
        ["routes.yaml:2:2: a control character (U+0007) stands here; remove it"],
    ),
    "two documents": (
        b"version: 1\n---\nversion: 1\n",
        ["routes.yaml:2:1: a second document begins here; keep all in one document: remove the '---'"],
    ),
    "an alias inside of itself": (
        b"version: 1\nsources: &a {x: *a}\n",
        ["routes.yaml:2:17: '*a' stands inside the value it refers to"],
    ),
    "an alias to nothing": (
        b"version: *x\n",
        ["routes.yaml:1:10: '*x' refers to nothing; write '&x' before the value it stands for"],
    ),
    "50 000 brackets": (b"version: " + b"[" * 50_000, ["routes.yaml:1:49: nested deeper than 40 levels"]),
    "more than a mebibyte": (b"#" * (2**20 + 1), ["routes.yaml: the file is larger than 1 MiB"]),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_file_is_told_with_place_and_hint(case: str, tmp_path: Path) -> None:
    old, new, expected = SPOILED[case]
    assert GOOD.count(old) >= 1
    found = problems(tmp_path, GOOD.replace(old, new))
    if case == "a name that cannot be a path":
        found = found[:1]  # the rule that names the source is told too
    assert found == expected


@pytest.mark.parametrize("case", ADDED)
def test_an_addition_is_told_with_place_and_hint(case: str, tmp_path: Path) -> None:
    text, expected = ADDED[case]
    assert problems(tmp_path, GOOD + text) == expected


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_no_configuration_at_all_is_told(case: str, tmp_path: Path) -> None:
    raw, expected = WHOLE[case]
    assert problems(tmp_path, raw) == expected


def test_an_alias_bomb_is_refused_before_it_is_built(tmp_path: Path) -> None:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]
    (found,) = problems(tmp_path, "\n".join(lines))
    assert found.endswith("more than 100000 values; aliases count as what they stand for")


def test_errors_of_all_sections_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("kind: nagios", "kind: nagios\n    wait: 9s").replace("url: https", "urll: https")
    text = text.replace("source: nagios", "hots: db").replace("helpdesk: osticket", "helpdesk: zamad")
    text = text.replace("${env:OSTICKET_KEY}", "${env:NOT_SET}")
    found = problems(tmp_path, text + "servr: {}\n")
    assert [line.split(": ")[0] for line in found] == [
        "routes.yaml:5:11",
        "routes.yaml:9:5",
        "routes.yaml:10:5",
        "routes.yaml:11:21",
        "routes.yaml:15:19",
        "routes.yaml:17:17",
        "routes.yaml:20:1",
    ]


def test_a_missing_file_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="No such file or directory; `ticket-gateway init` writes one"):
        load_file(tmp_path / "absent.yaml", env={})


def test_a_template_with_a_fault_is_told_with_its_own_line(tmp_path: Path) -> None:
    generic = tmp_path / "templates" / "broken"
    generic.mkdir(parents=True)
    (generic / "title.j2").write_text("{{ event.title }}")
    (generic / "body.txt.j2").write_text("one\n{{ event.text | uper }}\n")
    found = problems(tmp_path, GOOD.replace(f"title: {TITLE}", "template: broken"))
    assert found[0].startswith("templates/broken/body.txt.j2:2:1: there is no filter `uper`")


def test_a_template_folder_without_a_title_says_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "half"
    folder.mkdir(parents=True)
    (folder / "body.txt.j2").write_text("x")
    found = problems(tmp_path, GOOD.replace(f"title: {TITLE}", "template: half"))
    assert found == [
        (
            "routes.yaml:17:17: routes[0].ticket.template: templates/half/title.j2 is missing; "
            "it holds body.txt.j2; or give `title`"
        )
    ]


def test_a_good_file_is_good(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).routes[0].name == "alerts"
