"""``replay``: have receipts processed again."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import config_option, json_option, load_config, run
from gateway.cli.terminal import show, show_json

if TYPE_CHECKING:
    from gateway.operations import Replayed


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--new", "anew", is_flag=True, help="Process them as new receipts, under new markers: may make new tickets."
)
@config_option
@json_option
def replay(ids: tuple[str, ...], config_path: Path, *, anew: bool, as_json: bool) -> None:
    """Process receipts again, by their ids or the beginnings of these.

    A dead letter is processed again. For one that was processed, this says whether the rules in force would decide
    otherwise; markers are kept, so nothing is sent twice. Only --new makes a new receipt of it.
    """
    config = load_config(config_path)

    async def work() -> "tuple[list[Replayed], bool]":
        from gateway.cli.access import operating, reading  # noqa: PLC0415 - keeps other verbs fast

        async with reading(config):
            pass  # there must be a journal already
        async with operating(config) as operations:
            return await operations.replay(list(ids), anew=anew), operations.by_gateway

    results, alive = run(work())
    if as_json:
        show_json(results)
    else:
        for one in results:
            show(f"{one.id}  {one.what}: {one.detail}{f' {one.new_id}' if one.new_id else ''}")
        if not alive and any(one.what in {"requeued", "accepted"} for one in results):
            show("No gateway is running; it is worked on when one starts.")
    sys.exit(1 if any(one.what == "unknown" for one in results) else 0)
