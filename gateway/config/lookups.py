"""The look-ups of a configuration: which there are, under which names, and their tables."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.config.models import LookupSettings, Route
from gateway.config.problems import Path, Problem, did_you_mean
from gateway.config.tables import Unusable, column_name, read_table
from gateway.routing.fields import UnknownField, reader_of, text_of
from gateway.routing.lookups import Lookup, Table

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


def own_name(lookup: LookupSettings | str | None) -> str:
    """The name under which a rule's own look-up is kept: that under `lookups`, or one made of what it is."""
    if lookup is None or isinstance(lookup, str):
        return lookup or ""
    plain = f"{lookup.file} by {lookup.by}"
    if lookup.model_fields_set <= {"file", "by"}:
        return plain
    return f"{plain} #{hashlib.sha256(lookup.model_dump_json().encode()).hexdigest()[:8]}"


@dataclass(slots=True)
class Loaded:
    """All look-ups by name, and what is wrong: at a setting (path, message, hint), or in a file."""

    lookups: dict[str, Lookup] = field(default_factory=dict)
    wrong: list[tuple[Path, str, str]] = field(default_factory=list)
    in_files: list[Problem] = field(default_factory=list)


def load_lookups(
    folder: FilePath,
    named: Mapping[str, LookupSettings],
    of_all: LookupSettings | str | None,
    routes: Sequence[tuple[int, Route]],
) -> Loaded:
    """Read every table once. A look-up whose table cannot be read is there too, so that it is told once."""
    loaded = Loaded()
    tables: dict[tuple[str, str, str, bool], Table] = {}
    for path, name, settings in _all(named, of_all, routes):
        if path[0] == "lookups" and not _NAME.fullmatch(name):
            hint = "begin with a letter; only letters, digits and _ can stand here"
            loaded.wrong.append((path, f"the name '{name}' cannot be used in `lookups.NAME.COLUMN`", hint))
        known = _knows_field(loaded, path, settings)
        key = (settings.file, settings.column or settings.by, settings.match, settings.ignore_case)
        if key not in tables:
            tables[key] = _table(loaded, folder, path, settings) if known else Table(settings.file, whole=False)
        table = tables[key]
        default = {column_name(column): text_of(value) for column, value in (settings.default or {}).items()}
        for column in default:
            if table.whole and column not in table.positions:
                at = (*path, "default")
                hint = did_you_mean(column, table.columns)
                loaded.wrong.append((at, f"{settings.file} has no column '{column}'", hint))
        loaded.lookups.setdefault(
            name,
            Lookup(
                name=name if path[0] == "lookups" else settings.file,
                by=settings.by if known else "host",
                table=table,
                named=path[0] == "lookups",
                default=default if settings.default is not None else None,
                tells=settings.missing == "tell",
            ),
        )
    for path, wanted in _wanted(of_all, routes):
        if wanted not in named:
            hint = did_you_mean(wanted, named) or "add it under `lookups`, or write {file: hosts.csv, by: host}"
            loaded.wrong.append((path, f"there is no look-up '{wanted}'", hint))
    return loaded


def _all(
    named: Mapping[str, LookupSettings], of_all: LookupSettings | str | None, routes: Sequence[tuple[int, Route]]
) -> Iterator[tuple[Path, str, LookupSettings]]:
    for name, settings in named.items():
        yield ("lookups", name), name, settings
    if isinstance(of_all, LookupSettings):
        yield ("lookup",), own_name(of_all), of_all
    for index, route in routes:
        if isinstance(route.lookup, LookupSettings):
            yield ("routes", index, "lookup"), own_name(route.lookup), route.lookup


def _wanted(of_all: LookupSettings | str | None, routes: Sequence[tuple[int, Route]]) -> Iterator[tuple[Path, str]]:
    if isinstance(of_all, str):
        yield ("lookup",), of_all
    for index, route in routes:
        if isinstance(route.lookup, str):
            yield ("routes", index, "lookup"), route.lookup


def _knows_field(loaded: Loaded, path: Path, settings: LookupSettings) -> bool:
    """Whether there is the field that names the row."""
    if settings.by.partition(".")[0] in {"lookup", "lookups"}:
        hint = "name a field of the event"
        loaded.wrong.append(((*path, "by"), "a look-up cannot depend on another one", hint))
        return False
    try:
        reader_of(settings.by)
    except UnknownField as unknown:
        loaded.wrong.append(((*path, "by"), str(unknown), unknown.hint))
        return False
    return True


def _table(loaded: Loaded, folder: FilePath, path: Path, settings: LookupSettings) -> Table:
    file = folder / settings.file
    try:
        table, faults = read_table(file, settings)
    except Unusable as error:
        loaded.wrong.append(((*path, error.key), error.message, error.hint))
        return Table(settings.file, whole=False)
    for fault in faults:
        column = 1 if fault.line else 0
        loaded.in_files.append(Problem(str(file), fault.line, column, (), fault.message, fault.hint))
    return table
