"""What a lint check is given, and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.config.config import Config
from gateway.config.models import IncidentPolicy, Route, Ticket
from gateway.config.problems import Level, Path
from gateway.config.registries import Registries
from gateway.config.route_tests import RouteTest


@dataclass(frozen=True, slots=True)
class Subject:
    """A configuration under examination; parts that do not validate are missing from it.

    ``routes`` are the valid ones with their index in the file, ``count`` is the number of all; ``tests`` likewise.
    ``source_names`` and ``helpdesk_names`` hold also those whose settings are wrong. ``whole`` is true if nothing is missing.
    """

    config: Config
    registries: Registries
    routes: tuple[tuple[int, Route], ...]
    count: int
    source_names: frozenset[str]
    helpdesk_names: frozenset[str]
    whole: bool
    tests: tuple[tuple[int, RouteTest], ...] = ()

    def tickets(self) -> Iterator[tuple[Path, Ticket, IncidentPolicy]]:
        """Every ticket section with the path of what holds it and the policy beside it."""
        for index, route in self.routes:
            if route.ticket is not None:
                yield ("routes", index), route.ticket, route.incident
        if self.config.unrouted.ticket is not None:
            yield ("unrouted",), self.config.unrouted.ticket, self.config.unrouted.incident


@dataclass(frozen=True, slots=True)
class Note:
    """One finding of a check. ``file`` and ``line`` are set where it concerns another file (a template)."""

    level: Level
    path: Path
    message: str
    hint: str = ""
    file: str = ""
    line: int = 0


Check = Callable[[Subject], Iterator[Note]]


def error(path: Path, message: str, hint: str = "") -> Note:
    """A finding that keeps the gateway from starting."""
    return Note(Level.ERROR, path, message, hint)


def warning(path: Path, message: str, hint: str = "") -> Note:
    """A finding that is probably not meant."""
    return Note(Level.WARNING, path, message, hint)


def info(path: Path, message: str, hint: str = "") -> Note:
    """Something worth knowing."""
    return Note(Level.INFO, path, message, hint)
