"""One million finished events in the journal: does intake feel them?

The large journal is made from a small one: the real program takes a problem and its repeats to a ticket; their rows are
then copied by SQL through the journal's own schema, under new ids, keys and instants, and the indexes grow as they would.
One event in ten has made a ticket, with its incident (closed), action, request and attempts; the others are repeats
that were counted in one.
"""

import os
import shutil
import sqlite3
import time
from pathlib import Path

from bench.client import Client
from bench.figures import Figure, below, median, spread
from bench.intake import one_round
from bench.payload import mark, pieces
from bench.processes import DROPPED, TO_TICKETS, TOKEN, address, gateway, sandbox

EVENTS = 1_000_000
TICKETS_EVERY = 10
GOAL = 10.0


def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """Rounds against an empty and a full journal by turns, in per cent of slowing."""
    events = EVENTS // 10 if quick else EVENTS
    rounds, seconds = (3, 1.0) if quick else (5, 2.0)
    full = folder / "full"
    began = time.monotonic()
    _seed(folder, full)
    multiply(full / "journal.db", events)
    octets = (full / "journal.db").stat().st_size
    made = time.monotonic() - began
    with gateway(folder / "empty", action=DROPPED) as small, gateway(full, action=DROPPED) as large:
        with large.frozen():
            one_round(small, 0.5)
        with small.frozen():
            one_round(large, 0.5)
        slower: list[float] = []
        rates: list[tuple[float, float]] = []
        for number in range(rounds):
            results = {}
            for which in (("small", "large"), ("large", "small"))[number % 2]:
                ours, other = (small, large) if which == "small" else (large, small)
                with other.frozen():
                    results[which] = one_round(ours, seconds).rate
            rates.append((results["small"], results["large"]))
            slower.append((1 - results["large"] / results["small"]) * 100)
    empty, filled = (median([rate[side] for rate in rates]) for side in (0, 1))
    how = (
        f"{filled:.0f}/s with {events:,} finished events ({octets / 2**30:.1f} GiB, made in {made:.0f} s), "
        f"{empty:.0f}/s with an empty journal\nper cent by round: {spread(slower, 1)}"
    )
    return [below(f"slowing by {events:,} finished events", median(slower), GOAL, how, unit=" %", digits=1)]


def _seed(folder: Path, target: Path) -> None:
    """A journal with one ticket and one counted repeat, made by the real program."""
    seed = folder / "seed"
    with (
        sandbox(seed) as desk,
        gateway(seed / "journal", action=TO_TICKETS, sandbox=address(desk)) as ours,
    ):
        client = Client(ours.port)
        body = mark(0, 1).join(pieces("seed"))
        for part in (body, body + b" "):  # not byte-equal, so a repeat of the problem and not of the request
            status, answer = client.post("/in/app", part, {"Authorization": f"Bearer {TOKEN}", "Prefer": "wait=8"})
            if status not in {201, 202} or b'"number"' not in answer:
                raise RuntimeError(f"the first event made no ticket: {status} {answer[:500]!r}")
        client.close()
    target.mkdir()
    shutil.copy(seed / "journal" / "journal.db", target / "journal.db")


def multiply(path: Path, events: int) -> None:
    """Copy the rows of the journal at ``path`` until it holds ``events`` finished ones. Nobody may have it open."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -262144", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    first, second = (row[0] for row in database.execute("SELECT id FROM receipt ORDER BY sequence LIMIT 2"))
    database.execute("BEGIN")
    database.execute("CREATE TEMP TABLE n AS WITH RECURSIVE c(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM c LIMIT ?)"
                     " SELECT n, n % ? = 0 AS makes FROM c", (events - 2, TICKETS_EVERY))  # fmt: skip
    every = f"n.n - n.n % {TICKETS_EVERY}"
    receipt, incident, action = _id("n.n"), _id(every, "a"), _id("n.n", "b")
    chosen = f"CASE WHEN n.makes THEN '{first}' ELSE '{second}' END"
    database.execute("UPDATE incident SET state = 'closed', closed_at = last_event_at, version = version + 1")
    database.execute("UPDATE member SET open = 0")
    when = "- 3600 + n.n * 0.001"
    _copy(database, "receipt", f"receipt.id = {chosen}",
          {"sequence": "n.n", "id": receipt, "received_at": f"t.received_at {when}"})  # fmt: skip
    _copy(database, "body", "t.sequence = CASE WHEN n.makes THEN 1 ELSE 2 END", {"sequence": "n.n"})
    _copy(database, "event", f"t.receipt = {chosen}", {"number": "n.n", "receipt": receipt, "incident": incident})
    history = "(SELECT max(number) FROM history) + (n.n - 3) * 16 + t.number"
    numbers = {"receipt": receipt, "incident": incident, "action": f"CASE WHEN t.action = '' THEN '' ELSE {action} END"}
    _copy(database, "history", f"t.receipt = {chosen}", {"number": history, **numbers})
    makes = "n.makes"
    _copy(database, "incident", makes, {"id": incident, "key": "t.key || n.n"})
    _copy(database, "member", makes, {"incident": incident, "origin_key": "t.origin_key || n.n"})
    _copy(database, "action", makes, {"number": "n.n", "id": action, "marker": f"lower(hex({_id('n.n', 'c')}))",
          "incident": incident, "cause": f"{receipt} || '/0'", "receipt": receipt})  # fmt: skip
    _copy(database, "request", makes, {"action": action})
    _copy(database, "attempt", makes, {"action": action})
    database.execute("COMMIT")
    left = database.execute("SELECT count(*) FROM receipt WHERE status = 'processed'").fetchone()[0]
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.close()
    _settle(path)
    if left != events:
        raise RuntimeError(f"the journal holds {left} finished receipts, not {events}")


def _settle(path: Path) -> None:
    """Have it all on disk before anything is measured: writing back gigabytes would slow every fsync."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _id(number: str, sort: str = "0") -> str:
    """An id in the form of ours that ascends with ``number`` and is older than any made today."""
    return f"printf('01900000-{sort}000-7000-8000-%012x', {number})"


def _copy(database: sqlite3.Connection, table: str, condition: str, changed: dict[str, str]) -> None:
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
    condition = condition.replace(f"{table}.", "t.")
    database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n CROSS JOIN"
        f" (SELECT * FROM {table}) AS t ON {condition} WHERE {_ORIGINAL[table]} ORDER BY n.n"
    )


_ORIGINAL = {
    "receipt": "t.sequence <= 2",
    "body": "t.sequence <= 2",
    "event": "t.number <= 2",
    "history": "t.number <= 16",
    "incident": "t.rowid <= 1",
    "member": "t.open = 0",
    "action": "t.number <= 1",
    "request": "true",
    "attempt": "true",
}
"""Which rows of a table are those that the real program wrote."""
