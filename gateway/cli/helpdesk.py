"""``helpdesk``: is it well, what does it need, and shall anything be sent to it."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.cli.common import config_option, counted, fail, json_option, load_config, run
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


@helpdesk.command("ls")
@config_option
@json_option
def list_helpdesks(config_path: Path, *, as_json: bool) -> None:
    """List the configured helpdesks: what waits for each, and whether its queue stands still. Asks none of them."""
    from gateway.cli.desks import desks  # noqa: PLC0415 - keeps other verbs fast

    found = run(desks(load_config(config_path)))
    if as_json:
        show_json(found)
        return
    width = max((len(desk.name) for desk in found), default=0)
    for desk in found:
        show(
            f"{desk.name.ljust(width)}  {desk.kind.ljust(9)}  {counted(desk.waiting, 'action')} waiting; {desk.stands}"
        )
    if not found:
        show("No helpdesks.")


@helpdesk.command()
@click.argument("name", required=False)
@click.option("--reason", "why", default="", help="Why; shown wherever the pause is.")
@config_option
@json_option
def pause(name: str | None, why: str, config_path: Path, *, as_json: bool) -> None:
    """Send nothing more to helpdesk NAME until `resume`, over restarts too.

    What is to be sent waits in its order and grows no older meanwhile; events are taken as before. Calls that are under way end.
    """
    from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

    config = load_config(config_path)
    chosen = _chosen(config, name)

    async def work() -> None:
        async with operating(config) as operations:
            await operations.pause(chosen, why)

    run(work())
    if as_json:
        show_json({"helpdesk": chosen, "paused": True})
    else:
        show(f"{chosen}: paused; `ticket-gateway helpdesk resume {chosen}` sends what waits")


@helpdesk.command()
@click.argument("name", required=False)
@config_option
@json_option
def resume(name: str | None, config_path: Path, *, as_json: bool) -> None:
    """Go on sending to helpdesk NAME, also where it was paused because it refused our credentials.

    The exit code is 1 if it was not paused.
    """
    from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

    config = load_config(config_path)
    chosen = _chosen(config, name)

    async def work() -> bool:
        async with operating(config) as operations:
            return await operations.resume(chosen)

    stood = run(work())
    if as_json:
        show_json({"helpdesk": chosen, "resumed": stood})
    else:
        show(f"{chosen}: {'goes on' if stood else 'it was not paused'}", err=not stood)
    sys.exit(0 if stood else 1)


@helpdesk.command()
@click.argument("name", required=False)
@click.option("--for", "length", default="", metavar="TIME", help="Also what comes within this time: 30m, 2h.")
@config_option
@json_option
def release(name: str | None, length: str, config_path: Path, *, as_json: bool) -> None:
    """Let the tickets go that the brake of helpdesk NAME holds back (`limits.creates`). It counts anew from then on."""
    from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast
    from gateway.config.values import duration  # noqa: PLC0415 - as above

    config = load_config(config_path)
    chosen = _chosen(config, name)
    try:
        longer = duration(length) if length else 0.0
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None

    async def work() -> None:
        async with operating(config) as operations:
            await operations.release(chosen, longer)

    run(work())
    if as_json:
        show_json({"helpdesk": chosen, "released": True, "for": longer})
    else:
        show(f"{chosen}: what was held back goes out" + (f", and what comes within {length}" if length else ""))


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
