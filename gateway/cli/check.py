"""``check``: is the configuration right, and what will be done where a helpdesk cannot do what it asks."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.common import json_option, show_json
from gateway.config.problems import Level


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("routes.yaml"))
@click.option("--online", is_flag=True, help="Also ask each helpdesk whether it answers and takes our credentials.")
@json_option
def check(file: Path, *, online: bool, as_json: bool) -> None:
    """Check FILE (default routes.yaml): all errors at once, with their places and the way out."""
    from gateway.cli.checking import check_file, probe_helpdesks  # noqa: PLC0415 - keeps other verbs fast

    config, problems = check_file(file)
    errors = [problem for problem in problems if problem.level is Level.ERROR]
    probes = probe_helpdesks(config) if online and config is not None and not errors else []
    if as_json:
        show_json(
            {"ok": not errors and all(ok for _, ok, _ in probes), "problems": [asdict(problem) for problem in problems]}
        )
    else:
        for problem in problems:
            click.echo(str(problem), err=problem.level is Level.ERROR)
        for name, ok, detail in probes:
            click.echo(f"{file}: helpdesk {name}: {'answers and takes our credentials' if ok else detail}", err=not ok)
        if errors:
            click.echo(f"{file}: {len(errors)} error(s)", err=True)
        elif config is not None:
            click.echo(
                f"{file}: good: {len(config.sources)} sources, {len(config.routes)} routes, "
                f"{len(config.helpdesks)} helpdesks"
            )
    if errors or not all(ok for _, ok, _ in probes):
        sys.exit(2)
