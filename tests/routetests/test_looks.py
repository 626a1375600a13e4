"""What an expectation says of a field: values, parts, lists, tests."""

import pytest

from gateway.model.json import JsonValue
from gateway.routetests.looks import look


@pytest.mark.parametrize(
    ("field", "wanted", "holds", "fails"),
    [
        ("group", "Ops", ["Ops"], ["ops", "Operations", None, ""]),
        ("topicId", 7, [7, "7", "7.0"], [8, "x", None, True]),
        ("quiet", True, [True, "true"], [False, None]),
        ("group", None, [None, "", []], ["Ops", 0]),
        ("title", "disk", ["the disk is full", "disk"], ["Disk", "", None]),
        ("body", ["disk", "full"], ["the disk is full"], ["disk", "full", None]),
        ("tags", ["a", "b"], [["a", "b"], ["b", "a"]], [["a"], ["a", "b", "c"], "a", None]),
        ("reason", "found", [["opened", "found"]], [["opened"], None]),
        ("reason", ["found", "opened"], [["opened", "found", "delivered"]], [["opened"]]),
        ("title", {"eq": "disk"}, ["disk"], ["the disk"]),
        ("title", {"glob": "*disk*"}, ["the disk is full"], ["Disk"]),
        ("title", {"contains": ["DISK", "cpu"]}, ["the disk", "a CPU"], ["memory", None]),
        ("title", {"re": "^[a-z]+$"}, ["disk"], ["Disk", "a b", None]),
        ("group", {"in": ["A", 3]}, ["A", 3, "3"], ["B", None]),
        ("group", {"exists": True}, ["A", 0], [None, ""]),
        ("group", {"not": "A"}, ["B", None], ["A"]),
        ("group", {"not": {"glob": "A*"}, "exists": True}, ["B"], ["AB", None]),
    ],
)
def test_it_holds_or_not(field: str, wanted: JsonValue, holds: list[JsonValue], fails: list[JsonValue]) -> None:
    test = look(field, wanted)
    assert [seen for seen in holds if not test(seen)] == []
    assert [seen for seen in fails if test(seen)] == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, "names no test"),
        ({"contians": "x"}, "there is no test 'contians'; did you mean 'contains'?"),
        ({"re": "("}, "missing"),
        ({"exists": "yes"}, "does not take such a value"),
        ({"not": {"globb": "x"}}, "did you mean 'glob'?"),
    ],
)
def test_what_makes_no_sense_is_said(wanted: JsonValue, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        look("title", wanted)
    assert told in str(caught.value)
