"""References to the environment and to files."""

from pathlib import Path

import pytest

from gateway.config.document import plain, read_document
from gateway.config.secrets import Filled, fill


def filled(text: str, folder: Path, **env: str) -> Filled:
    return fill(read_document(text.encode()).root, env=env, folder=folder)


def test_a_variable_fills_a_whole_value_or_a_part(tmp_path: Path) -> None:
    done = filled('a: "${env:X}"\nb: ["https://${env:X}:${env:Y}/"]\n', tmp_path, X="one", Y="two")
    assert plain(done.root) == {"a": "one", "b": ["https://one:two/"]}
    assert done.secrets == ("one", "two")


def test_what_comes_from_outside_is_a_text_and_is_not_read_as_yaml_or_filled_again(tmp_path: Path) -> None:
    done = filled('a: "${env:X}"\nb: "${env:Y}"\n', tmp_path, X="5", Y="${env:X}")
    assert plain(done.root) == {"a": "5", "b": "${env:X}"}


def test_a_default_serves_where_the_variable_is_unset_or_empty_and_is_no_secret(tmp_path: Path) -> None:
    done = filled('a: "${env:X:-try}"\nb: "${env:Y:-}"\nc: "${env:Z:-no}"', tmp_path, Y="", Z="set")
    assert plain(done.root) == {"a": "try", "b": "", "c": "set"}
    assert done.secrets == ("set",)


@pytest.mark.parametrize(("written", "read"), [("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s ")])
def test_a_file_loses_one_trailing_line_break(written: str, read: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written.encode())
    assert plain(filled('a: "${file:key}"', tmp_path).root) == {"a": read}
    assert plain(filled(f'a: "${{file:{tmp_path}/key}}"', Path("/")).root) == {"a": read}


def test_a_doubled_dollar_is_a_plain_one(tmp_path: Path) -> None:
    assert plain(filled('a: "$${env:X} $5 ${env:X}"', tmp_path, X="x").root) == {"a": "${env:X} $5 x"}


def test_keys_and_comments_are_left_alone(tmp_path: Path) -> None:
    done = filled("# ${env:NO}\n'${env:NO}': 1\n", tmp_path)
    assert plain(done.root) == {"${env:NO}": 1}
    assert not done.faults


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("${env:NO}", "the environment variable NO is not set"),
        ("${env:EMPTY}", "the environment variable EMPTY is empty"),
        ("${env:a b}", "'a b' is no name of an environment variable"),
        ("${NAME}", "'${...}' is not understood"),
        ("${env:NO", "'${env:...}' is not understood"),
        ("${vault:x}", "'${vault:...}' is not understood"),
        ("${file:absent}", "absent is not there"),
        ("${file:.}", "is not there"),
        ("${file:empty}", "empty is empty"),
        ("${file:large}", "large is larger than 64 KiB"),
        ("${file:binary}", "binary is not UTF-8"),
    ],
)
def test_a_reference_to_nothing_is_a_fault_with_its_place(reference: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    (tmp_path / "binary").write_bytes(b"\xff")
    done = filled(f'a:\n  - "{reference}"\n', tmp_path, EMPTY="")
    (fault,) = done.faults
    assert told in fault.message
    assert fault.path == ("a", 0)
    assert (fault.place.line, fault.place.column) == (2, 5)
    assert fault.hint
