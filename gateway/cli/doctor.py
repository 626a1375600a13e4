"""``doctor``: is this installation well."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.common import config_option, moment, run
from gateway.config.config import Config
from gateway.config.problems import Level, Problem
from gateway.journal.protocol import Counts

Finding = tuple[bool, str]


@click.command()
@config_option
def doctor(config_path: Path) -> None:
    """Look at everything that must be right: configuration, journal, disk, the running gateway, each helpdesk."""
    from gateway.cli.checking import check_file  # noqa: PLC0415 - keeps other verbs fast

    well = True
    config, problems = check_file(config_path)
    for good, text in _findings(config, problems):
        click.echo(f"{'ok   ' if good else 'FAULT'}  {text}", err=not good)
        well = well and good
    sys.exit(0 if well else 1)


def _findings(config: Config | None, problems: list[Problem]) -> Iterator[Finding]:
    from gateway.cli.checking import probe_helpdesks  # noqa: PLC0415 - keeps other verbs fast

    version = ".".join(str(part) for part in sys.version_info[:3])
    yield sys.version_info >= (3, 11), f"Python {version}, SQLite {sqlite3.sqlite_version}"
    errors = [problem for problem in problems if problem.level is Level.ERROR]
    for problem in errors:
        yield False, str(problem)
    if config is None or errors:
        return
    yield True, f"{config.path}: {len(config.routes)} routes, {len(problems)} remark(s); see `ticket-gateway check`"
    yield from _journal(config)
    for name, good, detail in probe_helpdesks(config):
        yield good, f"helpdesk {name}: {'answers and takes our credentials' if good else detail}"


def _journal(config: Config) -> Iterator[Finding]:
    from gateway.cli.access import reading, running  # noqa: PLC0415 - keeps other verbs fast
    from gateway.journal.locate import journal_path  # noqa: PLC0415 - as above

    path = journal_path(config)
    folder = path.parent
    if not path.exists():
        nearest = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
        yield (
            os.access(nearest, os.W_OK),
            f"no journal at {path} yet; {nearest} can be written: {os.access(nearest, os.W_OK)}",
        )
        return
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    least = config.server.journal.min_free
    yield room >= least, f"journal {path}: {room >> 20} MiB free (journal.min_free is {least >> 20} MiB)"

    async def look() -> tuple[bool, Counts]:
        remote = await running(config)
        async with reading(config) as reader:
            return remote is not None, await reader.counts()

    alive, counts = run(look())
    yield alive, "the gateway is running" if alive else "no gateway is running on this journal"
    waiting = sum(counts.actions_waiting.values())
    oldest = min(counts.oldest_action.values(), default=None)
    since = f", the oldest since {moment(oldest)}" if oldest is not None else ""
    yield (
        True,
        f"{counts.receipts_waiting} receipts and {waiting} actions waiting{since}; {counts.open_incidents} open incidents",
    )
    dead = counts.dead_receipts + counts.dead_actions
    yield dead == 0, f"{dead} dead letters" + ("; see `ticket-gateway dead ls`" if dead else "")
