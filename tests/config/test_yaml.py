"""YAML as 1.2 means it, with places."""

import pytest

from gateway.config.document import Place, Unreadable, child, plain, read_document, scalar, walk


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("no", "no"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("22:22", "22:22"),
        ("12:30:45", "12:30:45"),
        ("2026-01-02", "2026-01-02"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-5", -5),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("", None),
        ("null", None),
        ("=", "="),
    ],
)
def test_a_plain_scalar_is_read_by_the_core_schema(written: str, meant: object) -> None:
    value = plain(read_document(f"a: {written}\n".encode()).root)
    assert value == {"a": meant}
    assert isinstance(value, dict)
    assert type(value["a"]) is type(meant)


@pytest.mark.parametrize("written", [".inf", "-.INF", ".nan", "1e999", "9" * 19, "9" * 5000, "1." + "0" * 5000])
def test_a_number_that_nothing_can_mean_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"too large|is no number"):
        scalar(written)


def test_quoted_and_block_scalars_stay_texts() -> None:
    value = plain(read_document(b"a: '1'\nb: \"true\"\nc: |\n  5\nd: >-\n  null\n").root)
    assert value == {"a": "1", "b": "true", "c": "5\n", "d": "null"}


def test_keys_are_texts_as_written() -> None:
    assert plain(read_document(b"{1: a, on: b, 1.10: c, true: d}").root) == {
        "1": "a",
        "on": "b",
        "1.10": "c",
        "true": "d",
    }


def test_every_value_keeps_its_place_counted_in_characters() -> None:
    root = read_document("ä: {b: 1}\nc:\n  - d\n  -   [e]\n".encode()).root
    places = {path: node.place for path, node in walk(root)}
    assert places["ä", "b"] == Place(1, 8)
    assert places["c", 0] == Place(3, 5)
    assert places["c", 1, 0] == Place(4, 8)


def test_an_alias_stands_for_its_value() -> None:
    root = read_document(b"a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n").root
    assert plain(root) == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, {"b": [1]}]}


def test_the_first_of_two_equal_keys_stays_and_the_second_is_a_fault() -> None:
    document = read_document(b"a: 1\nb: {c: 1, c: 2}\na: {x: [1, 2]}\nd: 4\n")
    assert plain(document.root) == {"a": 1, "b": {"c": 1}, "d": 4}
    assert [(fault.path, fault.place) for fault in document.faults] == [
        (("b", "c"), Place(2, 11)),
        (("a",), Place(3, 1)),
    ]


def test_depth_behind_aliases_counts() -> None:
    text = "a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 20 + "*a" + "]" * 20
    with pytest.raises(Unreadable, match="nested deeper"):
        read_document(text.encode())


def test_a_byte_order_mark_is_passed_over() -> None:
    assert child(read_document(b"\xef\xbb\xbfversion: 1\n").root, "version") is not None
