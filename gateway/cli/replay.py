"""``replay``: have receipts processed again."""

import sys
from pathlib import Path

import click

from gateway.cli.common import config_option, json_option, load_config, run, show, show_json
from gateway.operations import Replayed


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option(
    "--new", "anew", is_flag=True, help="Process them as new receipts, under new markers: may make new tickets."
)
@config_option
@json_option
def replay(ids: tuple[str, ...], config_path: Path, *, anew: bool, as_json: bool) -> None:
    """Process receipts again. Markers are kept, so what was delivered is not sent twice."""
    config = load_config(config_path)

    async def work() -> list[Replayed]:
        from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

        async with operating(config) as operations:
            return await operations.replay(ids, anew=anew)

    results = run(work())
    if as_json:
        show_json(results)
    else:
        for one in results:
            show(f"{one.id}  {one.what}: {one.detail}{f' as {one.new_id}' if one.new_id else ''}")
    sys.exit(1 if any(one.what == "unknown" for one in results) else 0)
