"""``send``: hand a message in as if its sender had."""

import sys
import time
from pathlib import Path

import click

from gateway.cli.common import config_option, fail, json_option, load_config, read_message, run, show, show_json
from gateway.model.receipt import Accepted


@click.command()
@click.option("--source", required=True, help="Name of the source.")
@click.option("--content-type", default="", help="Content type of the body.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request.")
@click.argument("file")
@config_option
@json_option
def send(
    source: str,
    content_type: str,
    headers: tuple[str, ...],
    file: str,
    config_path: Path,
    *,
    as_json: bool,
) -> None:
    """Hand FILE (- for standard input) to the gateway as a message of SOURCE. It is journaled like any other."""
    config = load_config(config_path)
    if source not in config.sources:
        fail(f"{source!r} is no source of {config_path}; it has: {', '.join(sorted(config.sources))}")
    new = read_message(file, content_type, headers, source=source, now=time.time())

    async def work() -> Accepted:
        from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

        async with operating(config) as operations:
            return await operations.accept(new)

    accepted = run(work())
    if as_json:
        show_json(accepted)
    else:
        show(
            f"accepted as {accepted.duplicate_of or accepted.id}" + (" (seen before)" if accepted.duplicate_of else "")
        )
    sys.exit(0)
