"""``doctor``: is this installation well."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.common import config_option, counted, json_option
from gateway.cli.terminal import show, show_json

SPOOL = Path("/var/spool/ticket-gateway-notify")
"""Where `ticket-gateway-notify` keeps what it could not hand over, unless its settings say otherwise."""


@click.command()
@config_option
@click.option(
    "--spool",
    type=click.Path(path_type=Path),
    default=SPOOL,
    show_default=True,
    metavar="FOLDER",
    help="Spool of ticket-gateway-notify, if it runs on this machine.",
)
@json_option
def doctor(config_path: Path, spool: Path, *, as_json: bool) -> None:
    """Look at everything that must be right: configuration, journal, disk, the running gateway, helpdesks, spool.

    Each fault is told with its way out. The exit code is 1 if there is any, 2 if the configuration has errors.
    """
    from gateway.cli.examination import Finding, examine  # noqa: PLC0415 - keeps other verbs fast

    findings: list[Finding] = []
    for finding in examine(config_path, spool):
        findings.append(finding)
        if not as_json:
            show(f"{finding.level.value.ljust(5)}  {finding.what}")
            if finding.way_out:
                show(f"       -> {finding.way_out}")
    faults = [finding for finding in findings if finding.level.value == "FAULT"]
    if as_json:
        show_json({"ok": not faults, "findings": [asdict(finding) for finding in findings]})
    else:
        show(f"\n{counted(len(faults), 'fault')}." if faults else "\nAll is well.")
    sys.exit(2 if any(finding.area == "configuration" for finding in faults) else 1 if faults else 0)
