"""``check``: is the configuration right, and what will be done where a helpdesk cannot do what it asks."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.common import USAGE, config_option, counted, json_option
from gateway.cli.terminal import show, show_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_option
@click.option(
    "--online",
    is_flag=True,
    help="Also ask each helpdesk whether it answers, takes our credentials and, where it can tell, the fields of the routes.",
)
@json_option
def check(file: Path | None, config_path: Path, *, online: bool, as_json: bool) -> None:
    """Check FILE (default: that of --config): all errors at once, with their places and the way out.

    The exit code is 2 if there are errors, 1 if the file is good and a helpdesk did not answer as it should.
    """
    from gateway.cli.checking import check_file, probe_helpdesks, tables_of  # noqa: PLC0415 - keeps other verbs fast
    from gateway.config.problems import Level  # noqa: PLC0415 - as above

    path = file or config_path
    config, problems = check_file(path)
    errors = [problem for problem in problems if problem.level is Level.ERROR]
    probes = probe_helpdesks(config, rehearsing=True) if online and config is not None and not errors else []
    answering = all(probe.well for probe in probes)
    if as_json:
        show_json(
            {
                "file": str(path),
                "ok": not errors and answering,
                "files": [str(each) for each in config.files] if config is not None else [],
                "tables": tables_of(config) if config is not None else {},
                "problems": [asdict(problem) for problem in problems],
                "helpdesks": [asdict(probe) for probe in probes],
            }
        )
    else:
        for problem in problems:
            show(str(problem), err=problem.level is Level.ERROR)
        for probe in probes:
            show(f"{path}: helpdesk {probe.helpdesk}: {probe.detail}", err=not probe.well)
        if config is not None and not errors:
            for each in config.files[1:]:
                show(f"{path}: with {each}")
            for table, rows in tables_of(config).items():
                show(f"{path}: with {table}: {counted(rows, 'row')}")
            show(
                f"{path}: good: {counted(len(config.sources), 'source')}, {counted(len(config.routes), 'route')}, "
                f"{counted(len(config.helpdesks), 'helpdesk')}"
            )
        elif any(error.line for error in errors):
            show(f"{path}: {counted(len(errors), 'error')}", err=True)
    sys.exit(USAGE if errors else 0 if answering else 1)
