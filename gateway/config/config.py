"""A configuration that was read and found good."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.config.document import Entry, Node, Place
from gateway.config.models import HelpdeskSettings, Route, ScheduleSettings, Server, SourceSettings, Unrouted
from gateway.config.problems import Path, Problem
from gateway.config.route_tests import RouteTest
from gateway.routing.lookups import Lookups

Templates = Mapping[str, Mapping[str, str]]
"""Folder -> file -> text."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands and how it came there: ``written``, ``default`` (of ``${env:}``) or ``outside``."""

    place: Place
    origin: str


@dataclass(frozen=True, slots=True)
class Places:
    """The places of all values, without the values. ``own`` is that of `gateway.config.includes.Whole`."""

    spots: Mapping[Path, Spot]
    own: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def at(self, path: Path) -> Spot:
        """The spot of a value, or of the nearest section around it."""
        while path and path not in self.spots:
            path = path[:-1]
        return self.spots.get(path, Spot(Place(0, 0), "written"))


def places_of(root: Node, own: Mapping[tuple[str, int], int] | None = None) -> Places:
    """Index a tree. A section or list stands where its key stands, a single value where it begins."""
    spots: dict[Path, Spot] = {(): Spot(root.place, root.origin)}
    waiting: list[tuple[Path, Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node.data, dict):
            inner: list[tuple[str | int, Node, Place | None]] = [
                (key, entry.node, entry.place) for key, entry in node.data.items()
            ]
        elif isinstance(node.data, list):
            inner = [(index, item, None) for index, item in enumerate(node.data)]
        else:
            continue
        for step, each, key_place in inner:
            composed = isinstance(each.data, list | dict)
            spots[(*path, step)] = Spot(key_place if composed and key_place else each.place, each.origin)
            waiting.append(((*path, step), each))
    return Places(spots, own or {})


def without(node: Node, paths: frozenset[Path], path: Path = ()) -> Node:
    """The tree without the values at ``paths``."""
    if isinstance(node.data, dict):
        kept = {
            key: Entry(entry.place, without(entry.node, paths, (*path, key)))
            for key, entry in node.data.items()
            if (*path, key) not in paths
        }
        return Node(node.place, kept, node.origin, node.broken)
    if isinstance(node.data, list):
        items = [without(item, paths, (*path, index)) for index, item in enumerate(node.data)]
        return Node(node.place, items, node.origin, node.broken)
    return node


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """A whole configuration, with the files it names as they were when it was read.

    ``files`` are those that it was read from: the main one, then what it includes. ``digest`` is the SHA-256 of all of
    them, the templates, the lists and the tables they name, 64 hex digits; secrets are no part of
    it but where they stand in the file itself. ``secrets`` are the values that a log must never show. ``notes`` are
    warnings and remarks that do not keep the gateway from starting. ``lookups`` are all tables, those of single routes too (there
    `Route.lookup` is the name); ``lookup`` names that of ``unrouted``. It prints without any setting.
    """

    path: FilePath
    folder: FilePath
    server: Server
    sources: Mapping[str, SourceSettings]
    helpdesks: Mapping[str, HelpdeskSettings]
    routes: tuple[Route, ...]
    unrouted: Unrouted
    templates: Templates
    in_files: Mapping[str, tuple[str, ...]]
    digest: str
    secrets: tuple[str, ...]
    places: Places
    notes: tuple[Problem, ...] = field(default=())
    schedules: Mapping[str, ScheduleSettings] = field(default_factory=dict)
    files: tuple[FilePath, ...] = ()
    lookups: Lookups = field(default_factory=dict)
    lookup: str = ""
    include: str | list[str] = field(default_factory=list)
    tests: tuple[RouteTest, ...] = field(default=())

    def __repr__(self) -> str:
        return f"Config({str(self.path)!r}, digest={self.digest[:12]!r})"

    def read_lines(self, name: str) -> tuple[str, ...]:
        """The lines of a file that an ``in_file`` names.

        Raises:
            KeyError: for a file that no rule names.
        """
        return self.in_files[name]

    def resolve(self, name: str) -> FilePath:
        """A file named in the configuration, relative to the configuration's folder."""
        return self.folder / name
