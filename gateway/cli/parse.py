"""``parse``: the events that a message means."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import USAGE, config_option, fail, load_config
from gateway.cli.messages import Unreadable, message_options, read_message
from gateway.cli.shapes import event_json
from gateway.cli.terminal import show, show_json_line

if TYPE_CHECKING:
    from gateway.config.models import SourceSettings
    from gateway.sources.protocol import SourceKind


@click.command()
@click.option(
    "--source",
    "name",
    required=True,
    metavar="KIND|NAME",
    help="A kind (nagios, zabbix, generic), or the name of a source of the configuration.",
)
@message_options
@click.argument("files", nargs=-1, metavar="[FILE]...")
@config_option
@click.option("--json", is_flag=True, expose_value=False, help="It is always JSON.")
def parse(name: str, content_type: str, headers: tuple[str, ...], files: tuple[str, ...], config_path: Path) -> None:
    """Print the events of each FILE as one line of JSON; without FILE, or for -, of standard input.

    A FILE is a raw body, or a recorded request. The exit code is 1 if one of them could not be understood: then its
    event is of the kind `raw`.
    """
    kind, settings = _reader(name, config_path)
    code = 0
    for file in files or ("-",):
        try:
            new = read_message(file, content_type, headers, source=name, now=time.time())
        except Unreadable as error:
            show(f"ticket-gateway: {error}", err=True)
            code = USAGE
            continue
        parsed = kind.parse(new.as_receipt(), settings)
        if any(event.kind.value == "raw" for event in parsed.events):
            code = max(code, 1)
        show_json_line(
            {"file": file, "events": [event_json(event) for event in parsed.events], "warnings": parsed.warnings},
        )
    sys.exit(code)


def _reader(name: str, config_path: Path) -> "tuple[SourceKind, SourceSettings]":
    """A parser with its settings: those of a source of the configuration, else the kind's own."""
    from gateway.sources.registry import SOURCE_KINDS  # noqa: PLC0415 - keeps other verbs fast

    kind = SOURCE_KINDS.get(name)
    if kind is not None:
        return kind, kind.settings.model_validate({"kind": name, "auth": "none"})
    kinds = ", ".join(sorted(SOURCE_KINDS))
    if not config_path.exists():
        fail(f"{name!r} is no kind of source ({kinds}), and there is no {config_path} that could name it")
    config = load_config(config_path)
    if name not in config.sources:
        named = ", ".join(sorted(config.sources)) or "none"
        fail(f"{name!r} is neither a kind of source ({kinds}) nor a source of {config_path} ({named})")
    return SOURCE_KINDS[config.sources[name].kind], config.sources[name]
