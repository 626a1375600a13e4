"""The file with the key of our Message-IDs."""

from pathlib import Path

import pytest

from gateway.journal.message_key import copy_keys, is_open_to_others, key_path, read_keys, read_or_make_keys
from gateway.journal.protocol import JournalError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return key_path(tmp_path / "journal.db")


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(path: Path) -> None:
    assert read_keys(path) == ()
    (key,) = read_or_make_keys(path)
    assert len(key) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert not is_open_to_others(path)


def test_the_next_start_takes_the_same_key(path: Path) -> None:
    assert read_or_make_keys(path) == read_or_make_keys(path)


def test_two_gateways_make_different_keys(path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert read_or_make_keys(path) != read_or_make_keys(tmp_path / "other" / path.name)


def test_a_line_above_the_old_one_is_the_new_key(path: Path) -> None:
    (old,) = read_or_make_keys(path)
    path.write_bytes(b"# since March\n" + b"n" * 32 + b"\n\n" + old + b"\n")
    assert read_or_make_keys(path) == (b"n" * 32, old)


def test_what_a_start_that_was_cut_off_left_is_no_hindrance(path: Path) -> None:
    path.with_name(f"{path.name}.new").write_bytes(b"half")
    assert len(read_or_make_keys(path)) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"x" * 32 + b"\nshort\n"])
def test_a_file_that_holds_no_key_is_an_error_and_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="keys of at least"):
        read_or_make_keys(path)
    assert path.read_bytes() == content


def test_a_key_that_others_can_read_is_told(path: Path) -> None:
    read_or_make_keys(path)
    path.chmod(0o640)
    assert is_open_to_others(path)


def test_a_backup_takes_the_key_along(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    copy_keys(path, folder)
    assert not (folder / path.name).exists()
    keys = read_or_make_keys(path)
    copy_keys(path, folder)
    assert read_keys(folder / path.name) == keys
    assert (folder / path.name).stat().st_mode & 0o777 == 0o600
