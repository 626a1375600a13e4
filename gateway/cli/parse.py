"""``parse``: the events that a message means."""

import sys
import time
from pathlib import Path

import click

from gateway.cli.common import config_option, fail, load_config, read_message, show_json_line
from gateway.cli.shapes import event_json
from gateway.sources.protocol import SourceKind


@click.command()
@click.option(
    "--source",
    "kind_name",
    required=True,
    metavar="KIND",
    help="A kind (nagios, zabbix, generic), or a name of the configuration.",
)
@click.option(
    "--content-type", default="", help="Content type of the body; default: that of a recorded request, or a guess."
)
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@config_option
def parse(
    kind_name: str, content_type: str, headers: tuple[str, ...], files: tuple[str, ...], config_path: Path
) -> None:
    """Print the events of each FILE as one line of JSON; without FILE, of standard input."""
    from gateway.sources.registry import SOURCE_KINDS  # noqa: PLC0415 - keeps other verbs fast

    kind: SourceKind | None = SOURCE_KINDS.get(kind_name)
    if kind is not None:
        settings = kind.settings.model_validate({"kind": kind_name, "auth": "none"})
    else:
        if not config_path.exists():
            fail(
                f"{kind_name!r} is no kind ({', '.join(sorted(SOURCE_KINDS))}), and there is no {config_path} to look it up in"
            )
        config = load_config(config_path)
        if kind_name not in config.sources:
            fail(f"{kind_name!r} is neither a kind ({', '.join(sorted(SOURCE_KINDS))}) nor a source of {config_path}")
        settings = config.sources[kind_name]
        kind = SOURCE_KINDS[settings.kind]
    unread = False
    for file in files or ("-",):
        new = read_message(file, content_type, headers, source=kind_name, now=time.time())
        parsed = kind.parse(new.as_receipt(), settings)
        unread = unread or any(event.kind.value == "raw" for event in parsed.events)
        show_json_line(
            {"file": file, "events": [event_json(event) for event in parsed.events], "warnings": parsed.warnings},
        )
    sys.exit(1 if unread else 0)
