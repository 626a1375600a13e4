"""``helpdesk``: is it well, and what does it need."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.cli.common import config_option, fail, json_option, load_config, run
from gateway.cli.terminal import show, show_json

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.helpdesks.protocol import Http

T = TypeVar("T")


@click.group()
def helpdesk() -> None:
    """Look after a configured helpdesk."""


@helpdesk.command()
@click.argument("name", required=False)
@config_option
@json_option
def ping(name: str | None, config_path: Path, *, as_json: bool) -> None:
    """Make the harmless call to helpdesk NAME (default: to each); exit code 1 if one is not well."""
    from gateway.cli.checking import probe_helpdesks  # noqa: PLC0415 - keeps other verbs fast

    config = load_config(config_path)
    wanted = None if name is None else _chosen(config, name)
    probes = probe_helpdesks(config, wanted)
    if as_json:
        show_json([asdict(probe) for probe in probes])
    else:
        for probe in probes:
            show(f"{probe.helpdesk}: {probe.detail}", err=not probe.well)
    sys.exit(0 if all(probe.well for probe in probes) else 1)


@helpdesk.command()
@click.argument("name", required=False)
@click.option("--write", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Write the files there too.")
@click.option("--offline", is_flag=True, help="Only say what to import; ask the helpdesk nothing.")
@config_option
@json_option
def setup(name: str | None, folder: Path | None, config_path: Path, *, offline: bool, as_json: bool) -> None:
    """Say what helpdesk NAME needs, as files to import, and prove what is there already. Makes no ticket.

    The exit code is 1 if something that the gateway relies on is missing.
    """
    from gateway.helpdesks.registry import connect  # noqa: PLC0415 - keeps other verbs fast
    from gateway.helpdesks.setup import SetsUp  # noqa: PLC0415 - as above

    config = load_config(config_path)
    chosen = _chosen(config, name)
    connector = connect(chosen, config.helpdesks[chosen])
    if not isinstance(connector, SetsUp):
        fail(f"a helpdesk of the kind {config.helpdesks[chosen].kind} needs nothing that could be imported", 1)
    files = connector.setup_files()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            (folder / file.name).write_text(file.text, encoding="utf-8")
    patience = config.helpdesks[chosen].limits.timeout
    proofs = [] if offline else _asked(config, chosen, lambda http: connector.prove(http, timeout=patience))
    if as_json:
        show_json({"files": [asdict(file) for file in files], "proofs": [asdict(proof) for proof in proofs]})
    else:
        for file in files:
            show(f"# {file.name}\n# {file.steps}\n{file.text}")
        for proof in proofs:
            mark = {True: "ok     ", False: "FAULT  ", None: "not yet"}[proof.well]
            show(f"{mark}  {proof.what}" + (f": {proof.detail}" if proof.detail else ""), err=proof.well is False)
    sys.exit(1 if any(proof.well is False for proof in proofs) else 0)


def _asked(config: "Config", name: str, work: "Callable[[Http], Awaitable[T]]") -> T:
    from gateway.helpdesks.http import HelpdeskHttp  # noqa: PLC0415 - keeps other verbs fast

    async def asked() -> T:
        http = HelpdeskHttp(config.helpdesks[name])
        try:
            return await work(http)
        finally:
            await http.aclose()

    return run(asked())


def _chosen(config: "Config", name: str | None) -> str:
    known = ", ".join(sorted(config.helpdesks)) or "none"
    if name is None and len(config.helpdesks) == 1:
        return next(iter(config.helpdesks))
    if name is None:
        fail(f"say which helpdesk: {known}")
    if name not in config.helpdesks:
        fail(f"{config.path} has no helpdesk {name!r}; it has: {known}")
    return name
