"""Files of look-up tables: CSV, or a mapping or list in YAML or JSON; read once, with caps, every fault with its line."""

import csv
import hashlib
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from gateway.config.document import MAX_BYTES, Node, Unreadable, read_document
from gateway.config.files import FileFault, read_text
from gateway.config.models import LookupSettings
from gateway.routing.fields import text_of
from gateway.routing.lookups import Fault, Table, table_of

MAX_TABLE = 64 * 2**20
"""Largest CSV file, in octets."""
MAX_ROWS = 500_000
"""Most rows."""
MAX_COLUMNS = 100
"""Most columns."""
MAX_CELL = 4096
"""Most characters of one cell."""
MOST_FAULTS = 20
"""Faults of one file that are told; the others are counted."""

_DELIMITERS = (";", "\t", ",")
_TAKEN = {"get", "items", "keys", "values"}  # a template would mean something else


class Unusable(Exception):
    """A table that cannot be used at all. ``key`` is the setting at fault, ``hint`` the way out."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Content:
    """A file's columns, its rows with the lines on which they begin, and what is wrong with it so far."""

    columns: tuple[str, ...]
    rows: list[tuple[int, tuple[str, ...]]]
    faults: list[Fault]


def column_name(text: str) -> str:
    """A column's name as rules and templates write it: in lower case, with `_` for all but letters and digits."""
    return re.sub(r"\W+", "_", text.strip().casefold()).strip("_")


def read_table(file: FilePath, settings: LookupSettings) -> tuple[Table, list[Fault]]:
    """The table, and what is wrong with its rows.

    Raises:
        Unusable: the file cannot be read, or has no column for the key.
    """
    try:
        text = read_text(file, MAX_TABLE)
    except FileFault as error:
        raise Unusable("file", str(error)) from None
    read = _from_tree if file.suffix.lower() in {".yaml", ".yml", ".json"} else _from_csv
    content = read(text, settings)
    key = _key(content.columns, settings, file)
    faults = [*content.faults, *_column_faults(content.columns)]
    table, more = table_of(
        settings.file,
        content.columns,
        content.rows,
        key=key,
        way=settings.match,
        ignore_case=settings.ignore_case,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )
    faults += more
    if len(faults) > MOST_FAULTS:
        left = len(faults) - MOST_FAULTS
        faults = [*sorted(faults, key=lambda one: one.line)[:MOST_FAULTS], Fault(0, f"{left} more rows are wrong")]
    return table, faults


def _key(columns: tuple[str, ...], settings: LookupSettings, file: FilePath) -> str:
    if settings.column:
        wanted, key = [column_name(settings.column)], "column"
    else:
        wanted, key = list(dict.fromkeys((column_name(settings.by), column_name(settings.by.rpartition(".")[2])))), "by"
    for name in wanted:
        if name in columns:
            return name
    known = ", ".join(columns) or "none"
    raise Unusable(key, f"{file} has no column '{wanted[-1]}'", f"name it with `column`; there are {known}")


def _column_faults(columns: tuple[str, ...]) -> Iterator[Fault]:
    for name in sorted(_TAKEN & set(columns)):
        yield Fault(1, f"a column cannot be called '{name}'", "give it another name")
    for name in sorted({each for each in columns if columns.count(each) > 1}):
        yield Fault(1, f"two columns are called '{name}'", "give one another name")
    if len(columns) > MAX_COLUMNS:
        yield Fault(1, f"more than {MAX_COLUMNS} columns")


# ------------------------------------------------------------------------------------------------------------------ CSV


def _from_csv(text: str, settings: LookupSettings) -> _Content:
    stream = io.StringIO(text, newline="")
    above, first, delimiter = _first_line(stream)
    if not first:
        raise Unusable("file", f"the table {settings.file} is empty", "its first line names the columns")
    reader = csv.reader(itertools.chain([first], stream), delimiter=delimiter or _delimiter(first), strict=True)
    header: list[str] = []
    kept: list[int] = []
    content = _Content((), [], [])
    known: dict[str, str] = {}  # one text for equal cells: most columns hold few different ones
    while True:
        line = above + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            content.faults.append(Fault(line, f"this is no CSV: {error}", 'close the quotes; write "" for one inside'))
            return content
        if cells is None:
            return content
        if not any(map(str.strip, cells)) or cells[0].startswith("#"):
            continue
        if not header:
            header = cells
            kept = [position for position, cell in enumerate(cells) if column_name(cell)]
            content = _Content(tuple(column_name(cells[position]) for position in kept), content.rows, content.faults)
        elif len(cells) != len(header):
            told = f"{len(cells)} cells, but the first line has {len(header)}"
            content.faults.append(Fault(line, told, "put a cell that holds a separator into double quotes"))
        else:
            row = tuple(known.setdefault(cell, cell) for cell in (cells[position].strip() for position in kept))
            if not _take(content, line, row):
                return content


def _take(content: _Content, line: int, row: tuple[str, ...]) -> bool:
    """Add a row; false if there are too many."""
    if any(len(cell) > MAX_CELL for cell in row):
        content.faults.append(Fault(line, f"a cell of more than {MAX_CELL} characters"))
        return True
    content.rows.append((line, row))
    if len(content.rows) > MAX_ROWS:
        content.faults.append(Fault(line, f"more than {MAX_ROWS:,} rows"))
        return False
    return True


def _first_line(stream: io.StringIO) -> tuple[int, str, str]:
    """How many lines stand above the one with the columns' names, that line, and the delimiter if one of those names it."""
    delimiter = ""
    for above, line in enumerate(stream):
        named = re.fullmatch(r"sep=(.)\s*", line)  # Excel's own
        if named is not None:
            delimiter = named[1]
        elif line.strip() and not line.startswith("#"):
            return above, line, delimiter
    return 0, "", ""


def _delimiter(line: str) -> str:
    """The one that the first line has most of, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=bare.count)


# --------------------------------------------------------------------------------------------------------- YAML and JSON


def _from_tree(text: str, settings: LookupSettings) -> _Content:
    """``{db-1: {site: FRA}}``, where the key's column is named as `by` or `column` says, or ``[{host: db-1, site: FRA}]``."""
    try:
        document = read_document(text.encode(), settings.file)
    except Unreadable as error:
        hint = f"a table of more than {MAX_BYTES // 2**20} MiB must be CSV" if "larger" in error.message else error.hint
        line = f"line {error.place.line}: " if error.place else ""
        raise Unusable("file", f"the table {settings.file} cannot be read: {line}{error.message}", hint) from None
    faults = [Fault(fault.place.line, fault.message, fault.hint) for fault in document.faults]
    key = column_name(settings.column or settings.by.rpartition(".")[2])
    found: list[tuple[int, dict[str, str]]] = []
    for at, name, node in _entries(document.root):
        row = {key: name} if name is not None else {}
        if not isinstance(node.data, dict):
            faults.append(Fault(at, "a row is a section of columns", "write NAME: {site: FRA, queue: DBA}"))
            continue
        for column, entry in node.data.items():
            value = entry.node.data
            if isinstance(value, list | dict):
                faults.append(Fault(entry.place.line, f"'{column}' must be one value"))
            else:
                row[column_name(column)] = text_of(value).strip()
        found.append((at, row))
    columns = tuple(dict.fromkeys(column for _, row in found for column in row))
    content = _Content(columns, [], faults)
    for at, row in found:
        if not _take(content, at, tuple(row.get(column, "") for column in columns)):
            break
    return content


def _entries(root: Node) -> Iterator[tuple[int, str | None, Node]]:
    if isinstance(root.data, dict):
        for name, entry in root.data.items():
            yield entry.place.line, name, entry.node
    elif isinstance(root.data, list):
        for item in root.data:
            yield item.place.line, None, item
    else:
        yield root.place.line, None, root
