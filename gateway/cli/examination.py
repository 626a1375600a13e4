"""The work of ``doctor``: one finding after the other."""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.cli.access import reading, running
from gateway.cli.checking import check_file, probe_helpdesks
from gateway.cli.common import counted, moment, run
from gateway.config.config import Config
from gateway.config.problems import Level
from gateway.journal.locate import journal_path
from gateway.journal.protocol import Counts
from gateway.receive.spool import entries, spool_path

LATE = 300.0
"""Seconds that something may wait before it is worth a look."""


class Mark(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    NOTE = "note"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one area, and what to do about it."""

    area: str
    level: Mark
    what: str
    way_out: str = ""


def examine(config_path: Path, spool: Path) -> Iterator[Finding]:
    """Everything there is to say, as it is found."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("program", Mark.OK, f"Python {version}, SQLite {sqlite3.sqlite_version}")
    config, problems = check_file(config_path)
    errors = [problem for problem in problems if problem.level is Level.ERROR]
    for problem in errors:
        yield Finding("configuration", Mark.FAULT, str(problem))
    if config is not None and not errors:
        remarks = f"; {counted(len(problems), 'remark')} of `ticket-gateway check`" if problems else ""
        yield Finding("configuration", Mark.OK, f"{config.path}: {counted(len(config.routes), 'route')}{remarks}")
        yield from _journal(config)
        yield from _mail_spool(config)
        for probe in probe_helpdesks(config):
            way = "" if probe.well else f"see `helpdesks.{probe.helpdesk}` in {config.path}: url, credentials, network"
            mark = Mark.OK if probe.well else Mark.FAULT
            yield Finding("helpdesk", mark, f"helpdesk {probe.helpdesk} {probe.detail}", way)
    yield from _spool(spool)


def _journal(config: Config) -> Iterator[Finding]:
    path = journal_path(config)
    folder = path.parent
    nearest = next((place for place in (folder, *folder.parents) if _exists(place)), Path("/"))
    if not os.access(nearest, os.W_OK | os.X_OK):
        way = "run this as the gateway's user, or give that user the folder"
        yield Finding("journal", Mark.FAULT, f"journal {path}: {nearest} cannot be written by this user", way)
        return
    yield _room(nearest, path, config.server.journal.min_free)
    if not _exists(path):
        yield Finding("journal", Mark.NOTE, f"there is no journal at {path} yet", "`ticket-gateway serve` makes it")
        yield Finding(
            "gateway", Mark.FAULT, "no gateway is running with this configuration", _START.format(config.path)
        )
        return

    async def look() -> tuple[Mapping[str, object] | None, Counts]:
        remote = await running(config)
        status = await remote.ask("GET", "/status") if remote is not None else None
        async with reading(config) as reader:
            return status if isinstance(status, dict) else None, await reader.counts()

    status, counts = run(look())
    yield from _gateway(config, status)
    yield from _waiting(counts, alive=status is not None)
    for name, number in counts.held.items():
        what = f"{counted(number, 'new ticket')} for helpdesk {name} held back: more were due than its limits.creates"
        yield Finding(
            "brake", Mark.FAULT, what, f"look at `events ls`; `ticket-gateway helpdesk release {name}` lets them go"
        )
    dead = counts.dead_receipts + counts.dead_actions
    blocked = f", {counted(counts.blocked_actions, 'action')} behind them" if counts.blocked_actions else ""
    if dead:
        yield Finding("dead letters", Mark.FAULT, counted(dead, "dead letter") + blocked, "`ticket-gateway dead ls`")
    else:
        yield Finding("dead letters", Mark.OK, "no dead letters")


_START = "ticket-gateway serve --config {}"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # inside a folder that we may not enter


def _room(folder: Path, path: Path, least: int) -> Finding:
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return Finding("journal", Mark.FAULT, f"journal {path}: {error.strerror}")
    room = disk.f_bavail * disk.f_frsize
    what = f"journal {path}: {room >> 20} MiB free; below {least >> 20} MiB (journal.min_free) nothing is accepted"
    if room < least:
        return Finding("journal", Mark.FAULT, what, "make room on this disk; what was accepted is not lost")
    return Finding("journal", Mark.OK, what)


def _gateway(config: Config, status: Mapping[str, object] | None) -> Iterator[Finding]:
    if status is None:
        yield Finding("gateway", Mark.FAULT, "no gateway is running on this journal", _START.format(config.path))
        return
    addresses = status.get("addresses")
    where = ", ".join(str(one) for one in addresses) if isinstance(addresses, list) else "?"
    yield Finding("gateway", Mark.OK, f"the gateway is running at {where}")
    if status.get("digest") != config.digest:
        way = "SIGHUP makes it read the file again; its log says if it cannot"
        yield Finding("gateway", Mark.NOTE, f"{config.path} is not what the running gateway has in force", way)
    spool = status.get("spool")
    trouble = spool.get("trouble") if isinstance(spool, dict) else None
    for name, why in (trouble if isinstance(trouble, dict) else {}).items():
        way = "mend the cause; the file stays in the spool until then, and is taken by itself"
        yield Finding("pipe", Mark.FAULT, f"mail {name}: {why}" if name else str(why), way)
    helpdesks = status.get("helpdesks")
    for name, state in (helpdesks if isinstance(helpdesks, dict) else {}).items():
        if isinstance(state, dict) and state.get("shadow"):
            what = f"helpdesk {name} is in shadow mode: what would have been written to it is only shown"
            yield Finding(
                "gateway", Mark.NOTE, what, f"take `mode: shadow` out of `helpdesks.{name}` when you have seen enough"
            )
        if isinstance(state, dict) and state.get("paused_by"):
            what = f"the queue of helpdesk {name} is paused {state['paused']}"
            yield Finding("gateway", Mark.NOTE, what, f"`ticket-gateway helpdesk resume {name}` sends what waits")
        elif isinstance(state, dict) and state.get("paused"):
            way = "mend its credentials and send SIGHUP, or restart; the queue goes on by itself when they are taken"
            yield Finding("gateway", Mark.FAULT, f"the queue of helpdesk {name} stands still", way)
        elif isinstance(state, dict) and state.get("breaker") not in {None, "closed"}:
            what = f"helpdesk {name} failed again and again; it is tried carefully (breaker {state['breaker']})"
            yield Finding("gateway", Mark.NOTE, what)


def _waiting(counts: Counts, *, alive: bool) -> Iterator[Finding]:
    waiting = sum(counts.actions_waiting.values())
    oldest = min((at for at in (counts.oldest_receipt, *counts.oldest_action.values()) if at is not None), default=None)
    since = f", the oldest since {moment(oldest)}" if oldest is not None else ""
    what = (
        f"{counted(counts.receipts_waiting, 'receipt')} and {counted(waiting, 'action')} waiting{since}; "
        f"{counted(counts.open_incidents, 'open incident')}"
    )
    late = oldest is not None and time.time() - oldest > LATE and alive
    way = "`ticket-gateway events ls` and the gateway's log say what they wait for" if late else ""
    yield Finding("queue", Mark.NOTE if late else Mark.OK, what, way)


def _mail_spool(config: Config) -> Iterator[Finding]:
    """What `ticket-gateway-pipe` left for the gateway."""
    folder = spool_path(config)
    if not _exists(folder / "new"):
        if any(source.kind == "mail" for source in config.sources.values()):
            way = "`ticket-gateway serve` makes it; for another user of the mail server see the documentation on mail"
            yield Finding("pipe", Mark.NOTE, f"there is no spool at {folder} yet", way)
        return
    try:
        found = entries(folder)
        others = stat.S_IMODE((folder / "new").stat().st_mode) & stat.S_IWOTH
    except OSError as error:
        way = "run this as the gateway's user, or give that user the folder"
        yield Finding("pipe", Mark.FAULT, f"the mail spool {folder} cannot be read: {error.strerror}", way)
        return
    if others:
        way = f"chmod -R o-rwx {folder}; give the mail server's user a common group"
        yield Finding("pipe", Mark.FAULT, f"everybody on this machine may write mail to {folder}", way)
    late = [entry for entry in found if time.time() - entry.written > LATE]
    if late:
        what = f"{counted(len(late), 'mail')} in {folder / 'new'}, the oldest since {moment(late[0].written)}"
        yield Finding(
            "pipe", Mark.FAULT, what, "a running gateway takes them; what it cannot take, its log and this tell"
        )
    else:
        yield Finding("pipe", Mark.OK, f"{counted(len(found), 'mail')} waiting in {folder}")


def _spool(spool: Path) -> Iterator[Finding]:
    try:
        found = {name: _count(spool / name) for name in ("new", "rejected", "broken")}
    except PermissionError:
        yield Finding("spool", Mark.NOTE, f"the spool {spool} cannot be read by this user")
        return
    if all(number is None for number in found.values()):
        return  # nothing notifies from this machine
    ways = {
        "new": "`ticket-gateway-notify --flush` sends them; put it into cron",
        "rejected": "the answer lies beside each file; mend the cause and move the file back to new",
        "broken": "these files cannot be read; look at them and delete them",
    }
    left = {name: number for name, number in found.items() if number}
    for name, number in left.items():
        yield Finding("spool", Mark.FAULT, f"{counted(number, 'alert')} in {spool / name}", ways[name])
    if not left:
        yield Finding("spool", Mark.OK, f"nothing waits in {spool}")


def _count(folder: Path) -> int | None:
    """The alerts in a folder of the spool; None if there is no such folder."""
    try:
        return sum(1 for file in folder.iterdir() if ".event" in file.name)
    except (FileNotFoundError, NotADirectoryError):
        return None
