"""Look-up tables: of each the row that a field of an event names. Pure; reading files is `gateway.config.tables`.

A table is an index from what its key column holds to a row, so that an exact look-up costs the same however many rows there
are. Patterns are tried one after the other, the most specific first: the one with the most characters that are no wildcard, of
equal ones that which stands first in the file. Of networks the smallest that holds the address counts.
"""

import ipaddress
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.model.decision import LookedUp
from gateway.routing.errors import did_you_mean
from gateway.routing.fields import Reader, Subject, UnknownField, Value, reader_of, text_of
from gateway.routing.predicates import Network, address_of, glob

Way = Literal["exact", "glob", "cidr"]
"""How the key column is compared."""

MAX_PATTERNS = 1000
"""Most rows with wildcards of one table: each may have to be tried for every event."""
SHOWN = 200
"""Characters of a value that are shown."""

_WILD = "*?["


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    line: int
    message: str
    hint: str = ""


@dataclass(slots=True, repr=False)
class Table:
    """Rows that can be found by what their key column holds. Built by `table_of`, then never changed.

    ``file`` is its name as configured, ``lines`` where each row begins in it. ``whole`` is false if it could not be read: then
    nothing is known of its columns. ``digest`` names the content of the file.
    """

    file: str
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    lines: Sequence[int] = ()
    whole: bool = True
    digest: str = ""
    ignore_case: bool = False
    positions: dict[str, int] = field(default_factory=dict)
    exact: dict[str, int] = field(default_factory=dict)
    patterns: tuple[tuple[Callable[[Value], bool], int], ...] = ()
    networks: dict[int, dict[Network, int]] = field(default_factory=dict)

    def find(self, text: str) -> int | None:
        """The row of a value, by its number from 0."""
        text = text.strip()
        if self.ignore_case:
            text = text.casefold()
        found = self.exact.get(text)
        if found is None and self.patterns:
            found = next((row for test, row in self.patterns if test(text)), None)
        if found is None and self.networks:
            found = self._in_network(text)
        return found

    def _in_network(self, text: str) -> int | None:
        address = address_of(text)
        if address is None:
            return None
        for length in sorted(self.networks, reverse=True):
            if length <= address.max_prefixlen:
                row = self.networks[length].get(ipaddress.ip_network((address, length), strict=False))
                if row is not None:
                    return row
        return None


def table_of(
    file: str,
    columns: Sequence[str],
    rows: Iterable[tuple[int, tuple[str, ...]]],
    *,
    key: str,
    way: Way = "exact",
    ignore_case: bool = False,
    digest: str = "",
) -> tuple[Table, list[Fault]]:
    """A table of rows with the lines on which they begin, and what is wrong with them. ``key`` is one of the columns."""
    kept: list[tuple[str, ...]] = []
    lines = array("I")
    table = Table(file, tuple(columns), kept, lines, ignore_case=ignore_case, digest=digest)
    table.positions = {name: position for position, name in enumerate(columns)}
    at = table.positions[key]
    patterns: list[tuple[str, int]] = []
    faults: list[Fault] = []
    for line, row in rows:
        word = row[at].casefold() if ignore_case else row[at]
        try:
            earlier = _enter(table, word, len(kept), way, patterns)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
            continue
        if earlier is not None:
            told = f"'{word[:SHOWN]}' stands on line {lines[earlier]} already"
            faults.append(Fault(line, told, f"keep one row for each {key}"))
            continue
        kept.append(row)
        lines.append(line)
    if len(patterns) > MAX_PATTERNS:
        told = f"more than {MAX_PATTERNS} rows with wildcards"
        faults.append(Fault(0, told, "each may have to be tried for every event; use plain names where you can"))
    specific = sorted(patterns, key=lambda one: -_literal(one[0]))
    table.patterns = tuple((glob([pattern]), row) for pattern, row in specific[:MAX_PATTERNS])
    return table, faults


def _literal(pattern: str) -> int:
    return sum(character not in "*?[]!" for character in pattern)


def _enter(table: Table, word: str, row: int, way: Way, patterns: list[tuple[str, int]]) -> int | None:
    """Put a row into the index; gives back the number of the one that has its place already.

    Raises:
        ValueError: for what cannot be a key.
    """
    if not word:
        raise ValueError("the key is empty")
    if way == "cidr":
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise ValueError(f"'{word[:SHOWN]}' is no address or network") from None
        found = table.networks.setdefault(network.prefixlen, {}).setdefault(network, row)
        return found if found != row else None
    found = table.exact.setdefault(word, row)
    if found != row:
        return found
    if way == "glob" and any(each in word for each in _WILD):
        glob([word])  # raises what is wrong with it
        patterns.append((word, row))
    return None


# ------------------------------------------------------------------------------------------------------------ look-ups


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table with the field that names the row.

    ``name`` is how people know it. ``named``: it stands under `lookups`, so that every rule may name it. ``default`` is the row
    of what has none; without it and without ``tells`` the columns are empty, with ``tells`` they are absent, and that is told.
    """

    name: str
    by: str
    table: Table
    named: bool = True
    default: Mapping[str, str] | None = None
    tells: bool = True
    read: Reader = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", reader_of(self.by))

    def has(self, column: str) -> bool:
        """Whether there is such a column, as far as is known."""
        return not self.table.whole or column in self.table.positions

    def value(self, subject: Subject, column: str) -> Value:
        """What a column holds for an event."""
        position = self.table.positions.get(column)
        if position is None:
            return None
        row = self._row(subject)
        if row is not None:
            return self.table.rows[row][position]
        if self.default is not None:
            return self.default.get(column, "")
        return None if self.tells else ""

    def columns(self, subject: Subject) -> dict[str, str] | None:
        """All columns for an event; None where they are absent."""
        row = self._row(subject)
        if row is not None:
            return dict(zip(self.table.columns, self.table.rows[row], strict=True))
        if self.default is None and self.tells:
            return None
        default = self.default or {}
        return {name: default.get(name, "") for name in self.table.columns}

    def trace(self, subject: Subject) -> LookedUp:
        """What was looked up, and what was found."""
        row = self._row(subject)
        columns = self.columns(subject)
        place = f"{self.table.file}:{self.table.lines[row]}" if row is not None else ""
        if row is None and self.default is not None:
            place = "default"
        shown = {name: text[:SHOWN] for name, text in (columns or {}).items() if text}
        return LookedUp(self.name, self.by, text_of(self.read(subject))[:SHOWN], place, shown, columns is None)

    def _row(self, subject: Subject) -> int | None:
        value = self.read(subject)
        if isinstance(value, tuple):
            return next((row for each in value if (row := self.table.find(each)) is not None), None)
        text = text_of(value)
        return self.table.find(text) if text else None


Lookups = Mapping[str, Lookup]
"""By name; those of a single rule under a name of their own (`own_name`)."""


def references(path: str, own: str) -> Iterator[str]:
    """The look-up that a field names; ``own`` is that of the rule in which it stands."""
    family, _, rest = path.partition(".")
    if family == "lookup" and own:
        yield own
    elif family == "lookups" and rest:
        yield rest.partition(".")[0]


def check_column(path: str, own: str, lookups: Lookups) -> None:
    """See that what a field names is there; fields of other families pass.

    Raises:
        UnknownField: with a hint.
    """
    family, dot, rest = path.partition(".")
    if family not in {"lookup", "lookups"}:
        return
    named = {name: one for name, one in lookups.items() if one.named}
    if family == "lookup":
        name, column = own, rest
        if not own:
            raise UnknownField(path, "give this route a `lookup: {file: ..., by: host}`, or write lookups.NAME.COLUMN")
    else:
        name, dot, column = rest.partition(".")
        if name not in named:
            raise UnknownField(path, did_you_mean(name, named) or "add it under `lookups`")
    lookup = lookups.get(name)
    if lookup is None:
        return  # told where it is defined
    if not dot or not column or not lookup.has(column):
        known = lookup.table.columns
        raise UnknownField(path, did_you_mean(column, known) or f"{lookup.table.file} has {', '.join(known)}")
