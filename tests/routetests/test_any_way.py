"""Whatever the layout of a file, one value changes and nothing else; however time is cut into steps, the same happens."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.document import Plain, plain, read_document
from gateway.config.loader import load
from gateway.config.problems import Path as Place
from gateway.config.route_tests import Expect, TestStep
from gateway.config.secrets import stand_in
from gateway.model.json import JsonValue
from gateway.routetests import run
from gateway.routetests.rewrite import Change, rewritten
from gateway.ruleset import Ruleset
from tests.routetests.files import HEAD

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "c c", "ü"]), VALUES, min_size=1)


def paths(value: Plain, at: Place = ()) -> list[Place]:
    """Of all values below."""
    inner: list[tuple[str | int, Plain]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [found for step, each in inner for found in [(*at, step), *paths(each, (*at, step))]]


def put(value: Plain, path: Place, new: Plain) -> Plain:
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {name: put(each, rest, new) if name == step else each for name, each in value.items()}
    assert isinstance(value, list)
    return [put(each, rest, new) if index == step else each for index, each in enumerate(value)]


@settings(max_examples=150, deadline=None)
@given(document=DOCUMENTS, new=VALUES, flow=st.sampled_from([True, False, None]), data=st.data())
def test_one_value_changes_in_any_layout(
    document: dict[str, JsonValue], new: JsonValue, flow: bool, data: st.DataObject
) -> None:
    text = yaml.safe_dump(
        document, default_flow_style=flow, allow_unicode=True, width=data.draw(st.sampled_from([20, 200]))
    )
    before = plain(read_document(text.encode()).root)
    path = data.draw(st.sampled_from(paths(before)))
    value = plain(read_document(rewritten("v: 0\n", [Change(("v",), new)]).encode()).root)
    assert value == {"v": new}
    after = rewritten(text, [Change(path, new)])
    assert plain(read_document(after.encode()).root) == put(before, path, new)


STORY = """\
tests:
  - name: a life with an outage
    steps:
      - {at: 0s, send: {source: nagios, host: web1}}
      - {at: 200s, fault: {zammad: down}, send: {source: nagios, host: web2}}
      - {at: 1000s, send: {source: nagios, kind: recovery, host: web1}}
      - {at: 2000s, fault: {zammad: {fault: commit_then_drop, count: 1}}}
      - {at: 9000s, send: {source: nagios, kind: recovery, host: web2}}
      - {at: 20000s, expect: {tickets: 2}}
"""


@lru_cache(maxsize=1)
def story() -> Ruleset:
    path = Path("/nowhere/routes.yaml")
    return run.tested_rules(load((HEAD + STORY).encode(), path=path, env={}, unset=stand_in))


def life(instants: Iterable[int]) -> list[tuple[float, str, str]]:
    """What happens if the test looks at these instants as well."""
    rules = story()
    (test,) = rules.config.tests
    looks = [TestStep(at=instant, expect=Expect(create=0)) for instant in instants]
    steps = sorted([*test.steps, *looks], key=lambda step: step.at)
    config = replace(rules.config, tests=(test.model_copy(update={"steps": steps}),))
    result = run.run_test(replace(rules, config=config), 0)
    return [(round(one.after, 3), one.text, ",".join(one.reasons)) for one in result.happened]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 19999), max_size=12, unique=True))
def test_looking_changes_nothing(instants: list[int]) -> None:
    plainly = life([])
    assert [reason for _, text, reason in plainly if text.startswith(("create", "close"))][-1] == "recovered,delivered"
    assert life(instants) == plainly
