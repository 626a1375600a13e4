"""How much memory it needs: standing idle, and while a burst comes in and drains."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from bench.figures import Figure, below
from bench.intake import RUNS
from bench.load import Spec, load
from bench.processes import TO_TICKETS, TOKEN, Running, address, gateway, sandbox, wait_until

IDLE = 90.0
BUSY = 200.0
BURST = 50_000
_MIB = 2**20


def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """PSS of the gateway's processes, in MiB. The sandbox helpdesk is not part of it."""
    count = BURST // 10 if quick else BURST
    with sandbox(folder) as desk, gateway(folder, action=TO_TICKETS, sandbox=address(desk)) as ours:
        time.sleep(2.0)
        idle = ours.memory() / _MIB
        peak = _Peak(ours)
        peak.start()
        began = time.monotonic()
        load(Spec(ours.port, "/in/app", TOKEN, RUNS.next(), count=count))
        taken = time.monotonic() - began
        wait_until(lambda: _left(folder / "journal.db") == 0, "the burst to drain", 600.0)
        drained = time.monotonic() - began
        peak.stop()
        made = _tickets(folder)
    if made != count:
        raise RuntimeError(f"{count} events made {made} tickets")
    how = f"taken in {taken:.0f} s, all {count:,} delivered as tickets after {drained:.0f} s ({count / drained:.0f}/s)"
    return [
        below("memory, idle", idle, IDLE, "proportional set size (PSS) of all our processes", unit=" MiB", digits=0),
        below(f"memory, most during a burst of {count:,}", peak.most / _MIB, BUSY, how, unit=" MiB", digits=0),
    ]


class _Peak(threading.Thread):
    """Looks five times a second."""

    def __init__(self, running: Running) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._ended = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._ended.wait(0.2):
            self.most = max(self.most, self._running.memory())

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _left(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        waiting: int = database.execute(
            "SELECT (SELECT count(*) FROM receipt WHERE status = 'accepted')"
            " + (SELECT count(*) FROM action WHERE status IN ('waiting', 'queued', 'in_flight', 'unknown'))"
        ).fetchone()[0]
        return waiting


def _tickets(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "sandbox" / "sandbox.db")) as database:
        number: int = database.execute("SELECT count(*) FROM ticket").fetchone()[0]
        return number
