"""What is shipped and written from the models: example, starter, schema, reference pages."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

import orjson

from gateway.config import shipped
from gateway.config.loader import load, load_file
from gateway.config.models import File
from gateway.config.problems import Level
from gateway.config.schema import schema
from gateway.config.starter import STARTER
from gateway.model.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_file_works_with_nothing_set_and_gives_no_warning() -> None:
    config = load_file(shipped.shipped_routes(), env={})
    assert {note.level for note in config.notes} <= {Level.INFO}
    assert set(config.sources) == {"nagios", "zabbix", "shop", "support"}
    assert config.helpdesks["osticket"].sandbox


def test_the_starter_file_needs_two_secrets_and_gives_no_warning(tmp_path: Path) -> None:
    env = {"NAGIOS_TOKEN": "n" * 20, "OSTICKET_KEY": "k" * 20}
    config = load(STARTER.encode(), path=tmp_path / "routes.yaml", env=env)
    assert {note.level for note in config.notes} <= {Level.INFO}


def test_the_starter_file_uncommented_is_right_too(tmp_path: Path) -> None:
    lines = [line.replace("  # ", "  ", 1) if line.startswith("  # ") else line for line in STARTER.splitlines()]
    env = {"NAGIOS_TOKEN": "n" * 20, "OSTICKET_KEY": "k" * 20, "ZABBIX_TOKEN": "z" * 20}
    config = load("\n".join(lines).encode(), path=tmp_path / "routes.yaml", env=env)
    assert set(config.sources) == {"nagios", "zabbix", "support"}
    assert [route.name for route in config.routes] == ["alerts", "mail"]


def test_an_installed_wheel_is_searched_before_the_checkout(tmp_path: Path) -> None:
    installed = tmp_path / "gateway" / "shipped"
    (installed / "templates").mkdir(parents=True)
    (installed / "routes.yaml").touch()
    assert shipped.find(tmp_path / "gateway") == installed
    (installed / "routes.yaml").unlink()
    (tmp_path / "templates").mkdir()
    (tmp_path / "routes.yaml").touch()
    assert shipped.find(tmp_path / "gateway") == tmp_path


def test_the_schema_is_json_and_tells_kinds_apart() -> None:
    made = orjson.loads(orjson.dumps(schema()))
    assert set(made["properties"]) == set(File.model_fields)
    references = [each["$ref"] for each in made["properties"]["sources"]["additionalProperties"]["oneOf"]]
    assert references == [
        "#/$defs/sources.generic",
        "#/$defs/sources.mail",
        "#/$defs/sources.nagios",
        "#/$defs/sources.zabbix",
    ]
    for reference in references:
        kind = made["$defs"][reference.removeprefix("#/$defs/")]
        assert kind["properties"]["kind"]["const"] == reference.rpartition(".")[2]
        assert kind["additionalProperties"] is False


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    made = schema()
    text = orjson.dumps(made).decode()
    definitions = orjson.loads(text)["$defs"]
    wanted = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert wanted <= set(definitions)
    assert len(wanted) > 20


def test_every_reason_has_its_line_in_the_reference() -> None:
    page = (ROOT / "docs" / "reasons.md").read_text()
    assert [reason for reason in Reason if f"| `{reason.value}` |" not in page] == []


def test_the_reference_pages_are_in_step_with_the_code() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make.py"))
    configuration = cast("Callable[[], str]", page["configuration"])()
    assert (ROOT / "docs" / "configuration.md").read_text().endswith(configuration)


def test_a_licence_expression_is_read_as_spdx_means_it() -> None:
    permissive = cast("Callable[[str], bool]", runpy.run_path(str(ROOT / "docs" / "licences.py"))["permissive"])
    assert permissive("MIT OR GPL-3.0-only")
    assert permissive("(MIT OR GPL-3.0-only) AND BSD-3-Clause")
    assert not permissive("MPL-2.0 AND (Apache-2.0 OR MIT)")
    assert not permissive("MIT AND GPL-3.0-only")
    assert not permissive("GPL-3.0-only")
    assert not permissive("MIT License; GNU General Public License (GPL)")
