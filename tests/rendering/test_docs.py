"""The page on templates tells of everything there is, and its example works."""

import re

import pytest

from gateway.incidents.transition import Purpose
from gateway.rendering.context import FIELDS, NAMES
from gateway.rendering.filters import FILTERS
from tests.rendering.material import NAGIOS, ROOT, made, plan

PAGE = (ROOT / "docs" / "templates.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(NAMES | {field for fields in FIELDS.values() for field in fields}))
def test_every_name_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE.partition("## Filters")[0])


@pytest.mark.parametrize("name", sorted(name for name in FILTERS if not name.startswith("_")))
def test_every_filter_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE.partition("## Filters")[2].partition("## Safety")[0])


def test_the_example_renders() -> None:
    example = PAGE.partition("```jinja\n")[2].partition("```")[0]
    result, failure = made(plan(body=example), NAGIOS, Purpose.PROBLEM)
    assert failure is None
    assert result.text.startswith(
        "CRITICAL: HTTP on web01\n\nHost:   web01\nSince:  2026-11-22 02:05 CET\n\n    HTTP CRITICAL"
    )
