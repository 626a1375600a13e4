"""What the file says of our Message-IDs and of numbers in subjects."""

from pathlib import Path

import pytest

from gateway.ruleset import build_ruleset, configured_keys
from tests.config.samples import GOOD, problems, read


def with_server(text: str) -> str:
    return GOOD.replace("version: 1\n", f"version: 1\nserver:\n  {text}\n", 1)


def test_keys_are_read_from_files_newest_first_and_never_printed(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("the-newest-key-of-all\n")
    (tmp_path / "old").write_text("the-key-of-last-year\n")
    config = read(tmp_path, with_server('message_id_key: ["${file:new}", "${file:old}"]'))
    assert configured_keys(config) == (b"the-newest-key-of-all", b"the-key-of-last-year")
    assert "the-newest" not in repr(config.server)
    assert "the-newest" not in repr(build_ruleset(config).threads)


def test_one_key_is_enough_and_none_is_named_by_default(tmp_path: Path) -> None:
    one = read(tmp_path, with_server("message_id_key: the-newest-key-of-all"))
    assert configured_keys(one) == (b"the-newest-key-of-all",)
    assert configured_keys(read(tmp_path, GOOD)) == ()


def test_the_keys_beside_the_journal_count_only_where_the_file_names_none(tmp_path: Path) -> None:
    named = read(tmp_path, with_server("message_id_key: the-newest-key-of-all"))
    beside = [b"the key beside the journal"]
    incident = "01a2017f-cc12-782b-9d54-cfbd6a6e8212"
    with_both, with_named = build_ruleset(named, beside).threads, build_ruleset(named).threads
    assert with_both.message_ids.name("ab" * 16, incident) == with_named.message_ids.name("ab" * 16, incident)
    assert build_ruleset(read(tmp_path, GOOD), beside).threads.message_ids
    assert not build_ruleset(read(tmp_path, GOOD)).threads.message_ids


@pytest.mark.parametrize("text", ["message_id_key: short", "message_id_key: [short]"])
def test_a_short_key_is_told_with_its_place_and_a_way_out(tmp_path: Path, text: str) -> None:
    (told,) = problems(tmp_path, with_server(text))
    assert "routes.yaml:3:" in told
    assert "at least 16 characters" in told
    assert "openssl rand -hex 32" in told
