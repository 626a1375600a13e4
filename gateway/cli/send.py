"""``send``: hand a message in as if its sender had."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import config_option, json_option, known_source, load_config, run
from gateway.cli.messages import message_options, read_or_fail
from gateway.cli.terminal import show, show_json

if TYPE_CHECKING:
    from gateway.model.receipt import Accepted


@click.command()
@click.option("--source", required=True, metavar="NAME", help="Name of the source.")
@message_options
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
    known_source(config, source)
    new = read_or_fail(file, content_type, headers, source=source, now=time.time())

    async def work() -> "tuple[Accepted, bool]":
        from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

        async with operating(config) as operations:
            return await operations.accept(new), operations.by_gateway

    accepted, alive = run(work())
    name = accepted.duplicate_of or accepted.id
    if as_json:
        show_json({"id": name, "duplicate": accepted.duplicate_of is not None, "gateway_running": alive})
        return
    show(f"accepted as {name}" + (" (it was accepted before; the first one counts)" if accepted.duplicate_of else ""))
    if not alive:
        show("No gateway is running; it is worked on when one starts.")
    show(f"What becomes of it: ticket-gateway events show {name}")
