"""Receipts coming in and being claimed: the SQL of `accept`, `claim_receipts` and their neighbours."""

import asyncio
import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.journal.bodies import Stored
from gateway.journal.rows import clean, dumps, insert_many, texts
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted, NewReceipt

_RECEIPT = (
    "INSERT INTO receipt (sequence, id, source, received_at, status, tries, size, content_type, headers, envelope,"
    " peer, warnings, recent, recent_until)"
)
_BODY = "INSERT INTO body (sequence, content, file)"
_DUPLICATE = "INSERT OR REPLACE INTO duplicate (key, digest, receipt, expires_at)"
_KNOWN_KEYS = "SELECT key, digest, receipt, expires_at FROM duplicate WHERE key IN"
_RECENT = "SELECT recent, id, recent_until FROM receipt WHERE sequence > ? AND recent IS NOT NULL ORDER BY sequence"
_WARNED = texts([Reason.DUPLICATE_KEY_REUSED.explain()])


SHORT = 900.0
"""Seconds: a key that the sender did not give and that counts no longer than this is kept in memory and with its receipt; a
table of them would be written at random places for every delivery."""
MOST_RECENT = 250_000
"""So many of those are remembered; beyond that the oldest are forgotten first, and a repeat of theirs is a repeated event."""

FEW_RECENT = 20_000
"""So many are no burden, expired or not."""


class Recent:
    """Keys of deliveries that are repeated soon or never."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, float]] = {}
        self._order: deque[tuple[bytes, float]] = deque()

    def load(self, connection: sqlite3.Connection, last: int) -> None:
        """Read back what a process before this one knew; ``last`` is the highest sequence."""
        for key, receipt, until in connection.execute(_RECENT, (last - MOST_RECENT,)):
            self.add(key, receipt, until)

    def first(self, key: bytes, now: float) -> str | None:
        """The receipt that bore this key, if it still counts."""
        found = self._known.get(key)
        return found[0] if found is not None and found[1] > now else None

    def add(self, key: bytes, receipt: str, until: float) -> None:
        """A receipt with this key is durable."""
        self._known[key] = (receipt, until)
        self._order.append((key, until))
        # While they are few the expired ones stay too: a clock that was put back may make them count again.
        while len(self._order) > MOST_RECENT or (len(self._order) > FEW_RECENT and self._order[0][1] < until - SHORT):
            old, expired = self._order.popleft()
            if self._known.get(old, ("", 0.0))[1] == expired:
                del self._known[old]


@dataclass(slots=True)
class Arrival:
    """One receipt on its way into the journal, made ready on the loop so that the writer only binds values."""

    new: NewReceipt
    sequence: int
    tries: int
    stored: Stored
    key: bytes
    digest: bytes
    headers: str
    envelope: str
    recent: bytes | None
    recent_until: float | None


def arrive(new: NewReceipt, sequence: int, *, claim: bool, stored: Stored) -> Arrival:
    """Make a receipt ready to be written."""
    duplicate_key = new.duplicate_key
    key = digest = b""
    recent: bytes | None = None
    until: float | None = None
    if duplicate_key is not None:
        name = f"{new.source}\0{duplicate_key.given:d}\0{duplicate_key.value}\0".encode("utf-8", "surrogatepass")
        if not duplicate_key.given and duplicate_key.horizon <= SHORT:
            recent, until = _hash(name + new.body), new.received_at + duplicate_key.horizon
        else:
            key, digest = _hash(name), _hash(new.body)
    return Arrival(
        new,
        sequence,
        1 if claim else 0,
        stored,
        key,
        digest,
        dumps(new.headers).decode() if new.headers else "[]",
        dumps(dict(new.envelope)).decode() if new.envelope else "{}",
        recent,
        until,
    )


def _hash(data: bytes) -> bytes:
    """128 bits: short rows, and no two deliveries that meet by chance or by intent."""
    return hashlib.sha256(data).digest()[:16]


class Intake:
    """Receipts that are written all or none, with the future of whoever waits for them."""

    __slots__ = ("_done", "answers", "arrivals", "error", "future")

    def __init__(
        self,
        arrivals: list[Arrival],
        future: "asyncio.Future[list[Accepted]]",
        done: Callable[["Intake"], None],
    ) -> None:
        self.arrivals = arrivals
        self.future = future
        self.answers: list[Accepted] = []
        self.error: Exception | None = None
        self._done = done

    @property
    def octets(self) -> int:
        """What the bodies weigh."""
        return sum(len(arrival.new.body) for arrival in self.arrivals)

    def answer(self) -> None:
        """The transaction is durable."""
        self._done(self)
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answers)
        else:
            self.future.set_exception(self.error)

    def fail(self, error: Exception) -> None:
        """The transaction came to nothing."""
        self.error = error
        self.answers = []
        self._done(self)
        if not self.future.done():
            self.future.set_exception(error)


_BAD_ROW = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, ValueError, OverflowError)
_Keys = dict[bytes, dict[bytes, tuple[str, float]]]
_STEP = 64


def write_intake(connection: sqlite3.Connection, batch: Sequence[Intake], recent: Recent) -> None:
    """Write all receipts of a batch; where that fails for one of them, each on its own so that the others stand.

    ``recent`` is only asked; who bore which key is added to it once the transaction is durable.
    """
    known = _known_keys(connection, batch)
    connection.execute("SAVEPOINT intake")
    try:
        _write(connection, batch, known, recent, {})
    except _BAD_ROW:
        connection.execute("ROLLBACK TO intake")
        fresh: dict[bytes, str] = {}
        for intake in batch:
            connection.execute("SAVEPOINT one")
            seen = dict(fresh)
            try:
                _write(connection, [intake], _known_keys(connection, [intake]), recent, seen)
                fresh = seen
            except _BAD_ROW as error:
                connection.execute("ROLLBACK TO one")
                intake.error = ValueError(f"the receipt cannot be stored: {error}")
            connection.execute("RELEASE one")
    connection.execute("RELEASE intake")


def _known_keys(connection: sqlite3.Connection, batch: Sequence[Intake]) -> _Keys:
    wanted = [arrival.key for intake in batch for arrival in intake.arrivals if arrival.key]
    known: _Keys = {}
    for start in range(0, len(wanted), _STEP):
        page = wanted[start : start + _STEP]
        width = 1 << (len(page) - 1).bit_length()  # few different statements; the rest is filled with a key again
        marks = ",".join("?" * width)
        page += page[:1] * (width - len(page))
        for key, digest, receipt, expires_at in connection.execute(f"{_KNOWN_KEYS} ({marks})", page):
            known.setdefault(key, {})[digest] = (receipt, expires_at)
    return known


def _write(
    connection: sqlite3.Connection, batch: Sequence[Intake], known: _Keys, recent: Recent, fresh: dict[bytes, str]
) -> None:
    """``fresh`` are the short-lived keys of this transaction, with the receipts that bear them."""
    receipts: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    keys: list[tuple[object, ...]] = []
    for intake in batch:
        intake.answers = []
        for arrival in intake.arrivals:
            new = arrival.new
            warnings = "[]"
            warning: Reason | None = None
            key = new.duplicate_key
            if arrival.recent is not None:
                first = fresh.get(arrival.recent) or recent.first(arrival.recent, new.received_at)
                if first is not None:
                    intake.answers.append(Accepted(new.id, duplicate_of=first))
                    continue
                fresh[arrival.recent] = new.id
            elif key is not None:
                seen = known.setdefault(arrival.key, {})
                alive = {digest: first for digest, first in seen.items() if first[1] > new.received_at}
                if arrival.digest in alive:
                    intake.answers.append(Accepted(new.id, duplicate_of=alive[arrival.digest][0]))
                    continue
                if alive and key.given:
                    warning, warnings = Reason.DUPLICATE_KEY_REUSED, _WARNED
                expires_at = new.received_at + key.horizon
                seen[arrival.digest] = (new.id, expires_at)
                keys.append((arrival.key, arrival.digest, new.id, expires_at))
            receipts.append(
                (
                    arrival.sequence, new.id, new.source, new.received_at, "accepted", arrival.tries, len(new.body),
                    clean(new.content_type), arrival.headers, arrival.envelope, clean(new.peer), warnings,
                    arrival.recent, arrival.recent_until,
                ),
            )  # fmt: skip
            bodies.append((arrival.sequence, arrival.stored.content, arrival.stored.file))
            intake.answers.append(Accepted(new.id, warning=warning))
    if receipts:
        insert_many(connection, _RECEIPT, 14, receipts)
        insert_many(connection, _BODY, 3, bodies)
        insert_many(connection, _DUPLICATE, 4, keys)


_UNCLAIMED = """
SELECT sequence, id, size FROM receipt
WHERE status = 'accepted' AND sequence > ? ORDER BY sequence LIMIT ?
"""
_TRY = "UPDATE receipt SET tries = tries + 1 WHERE sequence IN (SELECT value FROM json_each(?))"
CLAIMED = """
SELECT receipt.*, body.content AS content, body.file AS file FROM receipt JOIN body USING (sequence)
WHERE sequence IN (SELECT value FROM json_each(?)) ORDER BY sequence
"""


def claim(connection: sqlite3.Connection, limit: int, octets: int, taken: Callable[[str], bool]) -> list[sqlite3.Row]:
    """Count a try for the first unclaimed receipts and give back their rows with ``content`` and ``file``.

    At most ``limit``, and none any more once those that are taken weigh ``octets``.
    """
    chosen: list[int] = []
    after = -1
    weight = 0
    while len(chosen) < limit and weight < octets:
        page = connection.execute(_UNCLAIMED, (after, 256)).fetchall()
        if not page:
            break
        for row in page:
            if len(chosen) < limit and weight < octets and not taken(row[1]):
                chosen.append(row[0])
                weight += row[2]
        after = page[-1][0]
    if not chosen:
        return []
    wanted = dumps(chosen).decode()
    connection.execute(_TRY, (wanted,))
    return connection.execute(CLAIMED, (wanted,)).fetchall()
