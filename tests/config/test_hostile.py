"""Whatever stands in a file, the loader answers with a configuration or with `ConfigErrors`, and shows no secret."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.config import Config
from gateway.config.loader import load
from gateway.config.problems import ConfigErrors
from tests.config.samples import GOOD, problems, read, write

FOLDER = Path(tempfile.gettempdir()) / "no-such-folder-of-ticket-gateway"
CANARY = "c4n4ry-7f3a91"

WORDS = """
version 1 sources helpdesks routes unrouted server kind nagios zabbix generic osticket auth bearer none match source host
in_file not all any ticket helpdesk fields template incident key repeat recover action wait map storm was then ${env:A}
${file:x} ${env:A:-b} $${ ${ url limits settle listen http tls networks timezone vars drop reason re glob severity gte
schedules tests templates labels.x
"""
words = st.sampled_from(WORDS.split())
leaves = st.one_of(words, st.integers(), st.booleans(), st.none(), st.text(max_size=8), st.floats(allow_nan=False))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(words, st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=25,
)


def outcome(raw: bytes) -> Config | ConfigErrors:
    try:
        return load(raw, path=FOLDER / "routes.yaml", env={"A": CANARY})
    except ConfigErrors as errors:
        return errors


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_configuration_or_errors(raw: bytes) -> None:
    assert CANARY not in str(outcome(raw))


@given(st.text(alphabet=st.sampled_from(list(" \n\t:-[]{},&*!|>'\"%@`#?~$abc01.<=_")), max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_punctuation_is_a_configuration_or_errors(text: str) -> None:
    outcome(text.encode())


@given(trees)
@settings(max_examples=300, deadline=None)
def test_any_tree_is_a_configuration_or_errors(tree: object) -> None:
    result = outcome(json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace"))
    assert CANARY not in str(result)
    assert CANARY not in repr(result)


@given(st.sampled_from(["version", "sources", "helpdesks", "routes", "unrouted", "server", "templates"]), trees)
@settings(max_examples=300, deadline=None)
def test_any_tree_in_place_of_a_section_is_a_configuration_or_errors(section: str, tree: object) -> None:
    text = json.dumps({"version": 1, section: tree}, ensure_ascii=False).encode("utf-8", "replace")
    assert CANARY not in str(outcome(text))


PLACES_FOR_A_SECRET = [
    ("kind: nagios", 'kind: "${env:CANARY}"'),
    ("    kind: nagios\n", '    kind: nagios\n    wait: "${env:CANARY}"\n'),
    ("    kind: nagios\n", '    kind: nagios\n    malformed: "${env:CANARY}"\n'),
    ("    kind: nagios\n", '    kind: nagios\n    networks: ["${env:CANARY}"]\n    timezone: "${env:CANARY}"\n'),
    ('{bearer: "${env:NAGIOS_TOKEN}"}', '"${env:CANARY}"'),
    ('{bearer: "${env:NAGIOS_TOKEN}"}', '["${env:CANARY}"]'),
    ('{bearer: "${env:NAGIOS_TOKEN}"}', '{hmac: "${env:CANARY}"}'),
    ("https://support.example.org/api", '"ftp://x:${env:CANARY}@y"'),
    ("monitoring@example.org", '"${env:CANARY}"'),
    ("helpdesk: osticket", 'helpdesk: "${env:CANARY}"'),
    ("name: alerts", 'name: "${env:CANARY} x"'),
    (
        "match: {source: nagios}",
        'match: {source: "${env:CANARY}", severity: {gte: "${env:CANARY}"}, host: {re: "(${env:CANARY}"}}',
    ),
    ('"{{ event.title }}"', '"{{ ${env:CANARY} | nofilter }}"'),
    ("version: 1", 'version: "${env:CANARY}"'),
]


@pytest.mark.parametrize(("old", "new"), PLACES_FOR_A_SECRET)
def test_no_problem_shows_a_value_from_outside(old: str, new: str, tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace(old, new), CANARY=CANARY)
    assert found
    assert CANARY not in "\n".join(found)


def test_a_good_configuration_prints_no_secret_and_remembers_all_of_them(tmp_path: Path) -> None:
    text = GOOD.replace('"${env:NAGIOS_TOKEN}"', "written-in-the-file").replace("/api", "/${env:CANARY}")
    config = read(tmp_path, text, CANARY=CANARY)
    assert set(config.secrets) == {CANARY, "osticket-key-1", "written-in-the-file"}
    for shown in (repr(config), str(config), repr(config.sources), str(config.sources), *map(str, config.notes)):
        for secret in ("osticket-key-1", "written-in-the-file"):
            assert secret not in shown
    assert CANARY not in repr(config)


def test_a_fault_in_a_file_shows_no_context_of_the_failed_validation(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("kind: nagios", "kind: nagios\n    wait: 9s"))
    with pytest.raises(ConfigErrors) as caught:
        load(path.read_bytes(), path=path, env={"NAGIOS_TOKEN": CANARY, "OSTICKET_KEY": CANARY})
    assert caught.value.__cause__ is None
    assert CANARY not in repr(caught.value)
