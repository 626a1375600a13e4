"""Read ``routes.yaml``: text to tree, references filled, models checked, lint asked; every error at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config import lint
from gateway.config.config import Config, Places, Templates, places_of, without
from gateway.config.document import Fault, Node, Place, Unreadable, child, plain, read_document, walk
from gateway.config.files import FileFault, digest_of, named_lists, read_list, read_templates
from gateway.config.includes import Whole, include
from gateway.config.lookups import Loaded, load_lookups, own_name
from gateway.config.messages import findings, shown_value, unitless
from gateway.config.models import (
    NOT_BUILT_YET,
    File,
    HelpdeskSettings,
    Route,
    Server,
    SourceSettings,
    Tls,
    Unrouted,
)
from gateway.config.problems import ConfigErrors, Level, Path, Problem, did_you_mean, in_order, without_secrets
from gateway.config.registries import Registries, default_registries
from gateway.config.route_tests import RouteTest
from gateway.config.secrets import Unset, fill
from gateway.config.shipped import shipped_templates
from gateway.routing.lookups import Table

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_Model = TypeVar("_Model", bound=BaseModel)


def load_file(
    path: FilePath, *, env: Mapping[str, str], registries: Registries | None = None, unset: Unset | None = None
) -> Config:
    """Read a configuration with the templates and lists it names.

    ``unset`` gives what stands in for references that lead nowhere on this machine; default: they are errors.

    Raises:
        ConfigErrors: with all that is wrong, at its places.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(2**20 + 1)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        hint = "`ticket-gateway init` writes one to start from" if isinstance(error, FileNotFoundError) else ""
        raise ConfigErrors([Problem(str(path), 0, 0, (), f"cannot be read: {words}", hint)]) from None
    return load(raw, path=path, env=env, registries=registries, unset=unset)


def load(
    raw: bytes,
    *,
    path: FilePath,
    env: Mapping[str, str],
    registries: Registries | None = None,
    unset: Unset | None = None,
) -> Config:
    """Read a configuration from its bytes; ``path`` names it in messages, and its folder holds what it names.

    ``unset`` is as in `load_file`.

    Raises:
        ConfigErrors: with all that is wrong, at its places.
    """
    try:
        document = read_document(raw)
    except Unreadable as error:
        place = error.place or Place(0, 0)
        raise ConfigErrors([Problem(str(path), place.line, place.column, (), error.message, error.hint)]) from None
    filled = fill(document.root, env=env, folder=path.parent, unset=unset)
    whole = include(filled.root, path, env, unset)
    loading = _Loading(path, raw, registries or default_registries(), whole)
    for fault in (*document.faults, *filled.faults, *whole.faults):
        loading.told(fault)
    outside = tuple(dict.fromkeys((*filled.secrets, *whole.secrets)))
    config = loading.config(whole.root, outside)
    masked = without_secrets(loading.problems, outside)  # not those written in the file: they may be plain words
    errors = [problem for problem in masked if problem.level is Level.ERROR]
    if config is None or errors:
        raise ConfigErrors(_once(errors))
    return config


class _Loading:
    """Gathers what a file says with all that it includes, and what is wrong with it."""

    def __init__(self, path: FilePath, raw: bytes, registries: Registries, whole: Whole) -> None:
        self._path = path
        self._raw = raw
        self._registries = registries
        self._whole = whole
        self._places = Places({})
        self.problems: list[Problem] = []

    def add(self, path: Path, place: Place, message: str, hint: str = "") -> None:
        """Note an error; ``path`` leads through the whole."""
        self.told(Fault(self._whole.shown(path), place, message, hint))

    def told(self, fault: Fault) -> None:
        """Note an error; its path leads through the file in which it stands."""
        place = fault.place
        file = place.file or str(self._path)
        self.problems.append(Problem(file, place.line, place.column, fault.path, fault.message, fault.hint))

    def config(self, root: Node, outside: tuple[str, ...]) -> Config | None:
        """The configuration as far as it can be understood; None if not even its outline can."""
        if not isinstance(root.data, dict):
            self.add((), root.place, f"the file must be a section with `version: 1` and more, not {shown_value(root)}")
            return None
        self._places = places = places_of(root, self._whole.own)
        root = self._built(root, places)
        outline = self._outline(root)
        sources = dict(self._sources(root))
        helpdesks = dict(self._helpdesks(root))
        routes = self._listed(root, "routes", Route)
        tests = self._listed(root, "tests", RouteTest)
        loaded = self._lookups(outline, routes)
        of_all = own_name(outline.lookup) if outline is not None else ""
        routes = [(at, each.model_copy(update={"lookup": own_name(each.lookup) or of_all})) for at, each in routes]
        listed = child(root, "routes")
        unrouted = self._section(root, "unrouted", Unrouted) or Unrouted()
        server = self._section(root, "server", Server)
        templates = self._templates(root, outline)
        lists = self._lists(root)
        models: list[BaseModel] = [*sources.values(), *helpdesks.values(), *([server] if server else [])]
        folder = self._path.parent
        config = Config(
            path=self._path,
            folder=folder,
            server=_server_in(folder, server or Server()),
            sources=sources,
            helpdesks={name: _helpdesk_in(folder, settings) for name, settings in helpdesks.items()},
            routes=tuple(route for _, route in routes),
            unrouted=unrouted,
            templates=templates,
            in_files=lists,
            files=(self._path, *self._whole.files),
            digest=digest_of([self._raw, *self._whole.files.values()], templates, lists, _tables(loaded)),
            secrets=tuple(dict.fromkeys([*outside, *(s.reveal() for m in models for _, s in lint.secrets_in(m))])),
            places=places,
            schedules=outline.schedules if outline is not None else {},
            lookups=loaded.lookups,
            lookup=of_all,
            include=outline.include if outline is not None else [],
            tests=tuple(test for _, test in tests),
        )
        subject = lint.Subject(
            config=config,
            registries=self._registries,
            routes=tuple(routes),
            count=len(listed.data) if listed is not None and isinstance(listed.data, list) else 0,
            source_names=_names(root, "sources"),
            helpdesk_names=_names(root, "helpdesks"),
            whole=not self.problems,
            tests=tuple(tests),
        )
        twice = {(p.file, p.line, p.column) for p in self.problems if p.path[-1:] == ("name",)}
        notes = [note for note in lint.check(subject) if (note.file, note.line, note.column) not in twice]
        self.problems.extend(notes)
        return _noted(config, tuple(without_secrets(in_order(notes), outside)))

    def _built(self, root: Node, places: Places) -> Node:
        """Refuse what is not built yet, and take it out, so that it is said once."""
        refused: set[Path] = set()
        for path, _ in walk(root):
            for pattern, what in _NOT_BUILT:
                if len(path) == len(pattern) and all(p in {"*", s} for p, s in zip(pattern, path, strict=True)):
                    refused.add(path)
                    self.add(path, places.at(path).place, f"is not built yet: {what}", "remove this key")
        return without(root, frozenset(refused)) if refused else root

    def _outline(self, root: Node) -> File | None:
        assert isinstance(root.data, dict)
        parts = {"sources", "helpdesks", "routes", "unrouted", "server", "tests"}
        entries = {key: entry for key, entry in root.data.items() if key not in parts}
        return self._model(File, Node(root.place, entries), ())

    def _section(self, root: Node, name: str, model: type[_Model]) -> _Model | None:
        node = child(root, name)
        return None if node is None else self._model(model, node, (name,))

    def _sources(self, root: Node) -> Iterator[tuple[str, SourceSettings]]:
        kinds = {name: kind.settings for name, kind in self._registries.source_kinds.items()}
        for name, node in self._named(root, "sources"):
            settings = self._of_kind(("sources", name), node, kinds)
            if settings is not None:
                yield name, settings

    def _helpdesks(self, root: Node) -> Iterator[tuple[str, HelpdeskSettings]]:
        kinds = {name: kind.settings for name, kind in self._registries.helpdesk_kinds.items()}
        for name, node in self._named(root, "helpdesks"):
            settings = self._of_kind(("helpdesks", name), node, kinds)
            if isinstance(settings, HelpdeskSettings):
                yield name, settings

    def _named(self, root: Node, section: str) -> Iterator[tuple[str, Node]]:
        node = child(root, section)
        if node is None:
            return
        if not isinstance(node.data, dict):
            hint = "fill it in, or remove the key" if node.data is None else "write `NAME:` lines below it, indented"
            self.add((section,), node.place, f"must be a section, not {shown_value(node)}", hint)
            return
        for name, entry in node.data.items():
            if not _NAME.fullmatch(name):
                hint = "only letters, digits and _ . - can stand here, 64 at most"
                self.add((section, name), entry.place, f"the name '{name}' cannot be used", hint)
            if isinstance(entry.node.data, dict):
                yield name, entry.node
            else:
                message = f"must be a section, not {shown_value(entry.node)}"
                self.add((section, name), entry.node.place, message, "write `kind: ...` below it, indented")

    def _of_kind(self, path: Path, node: Node, kinds: Mapping[str, type[_Model]]) -> _Model | None:
        kind = child(node, "kind")
        if kind is None:
            self.add(path, node.place, "'kind' is missing", f"known: {', '.join(sorted(kinds))}")
            return None
        if kind.broken:
            return None
        model = kinds.get(kind.data) if isinstance(kind.data, str) else None
        if model is None:
            hint = did_you_mean(kind.data, kinds) if isinstance(kind.data, str) else ""
            known = f"known: {', '.join(sorted(kinds))}"
            self.add((*path, "kind"), kind.place, f"unknown kind {shown_value(kind)}", hint or known)
            return None
        return self._model(model, node, path)

    def _listed(self, root: Node, section: str, model: type[_Model]) -> list[tuple[int, _Model]]:
        """The valid entries of a list, with their index in the file."""
        node = child(root, section)
        if node is None:
            return []
        if not isinstance(node.data, list):
            one = f"each {section.removesuffix('s')} begins with '- name: ...'"
            hint = "fill it in, or remove the key" if node.data is None else one
            self.add((section,), node.place, f"must be a list, not {shown_value(node)}", hint)
            return []
        read = [(index, self._model(model, each, (section, index))) for index, each in enumerate(node.data)]
        return [(index, made) for index, made in read if made is not None]

    def _model(self, model: type[_Model], node: Node, path: Path) -> _Model | None:
        broken = any(each.broken for _, each in walk(node))
        for found in unitless([model], node, path):
            self.add(found.path, found.place, found.message, found.hint)
        try:
            made = model.model_validate(plain(node), by_alias=True, by_name=False)
        except ValidationError as error:
            for found in findings(error, model, node, path):
                self.add(found.path, found.place, found.message, found.hint)
            return None
        return None if broken else made

    def _templates(self, root: Node, outline: File | None) -> Templates:
        node = child(root, "templates")
        name = outline.templates if outline else "templates"
        folder = self._path.parent / name
        try:
            if node is not None and not node.broken and outline and not folder.is_dir():
                self.add(("templates",), node.place, f"the folder {folder} is not there", "create it, or mend the name")
            shipped = read_templates(shipped_templates())
            return {**shipped, **read_templates(folder)}
        except (FileFault, OSError, ValueError) as error:
            place = node.place if node else root.place
            self.add(("templates",), place, str(error))
            return {}

    def _lookups(self, outline: File | None, routes: list[tuple[int, Route]]) -> Loaded:
        named, of_all = (outline.lookups, outline.lookup) if outline is not None else ({}, None)
        loaded = load_lookups(self._path.parent, named, of_all, routes)
        for path, message, hint in loaded.wrong:
            self.add(path, self._places.at(path).place, message, hint)
        self.problems += loaded.in_files
        return loaded

    def _lists(self, root: Node) -> dict[str, tuple[str, ...]]:
        lists: dict[str, tuple[str, ...]] = {}
        for path, name in named_lists(root):
            try:
                lists[name] = lists.get(name) or read_list(self._path.parent / name)
            except FileFault as error:
                lists[name] = ()
                node = _at(root, path)
                self.add(path, node.place if node else root.place, str(error))
        return lists


_NOT_BUILT = tuple(
    (tuple(pattern.split(".")), what)
    for written, what in NOT_BUILT_YET.items()
    for pattern in dict.fromkeys((written, written.replace("routes.*.incident", "unrouted.incident")))
)


def _tables(loaded: Loaded) -> list[Table]:
    return [lookup.table for lookup in loaded.lookups.values()]


def _server_in(folder: FilePath, server: Server) -> Server:
    """The server with its certificates' files named from the configuration's folder, wherever the program is started."""

    def named(tls: Tls) -> Tls:
        return tls.model_copy(update={"cert": str(folder / tls.cert), "key": str(folder / tls.key)})

    changes: dict[str, object] = {}
    if server.http.tls is not None:
        changes["http"] = server.http.model_copy(update={"tls": named(server.http.tls)})
    if server.smtp is not None and server.smtp.tls is not None:
        changes["smtp"] = server.smtp.model_copy(update={"tls": named(server.smtp.tls)})
    return server.model_copy(update=changes) if changes else server


def _helpdesk_in(folder: FilePath, settings: HelpdeskSettings) -> HelpdeskSettings:
    """The helpdesk with its authority's file named from the configuration's folder."""
    return settings.model_copy(update={"ca": str(folder / settings.ca)}) if settings.ca else settings


def _at(root: Node, path: Path) -> Node | None:
    node: Node | None = root
    for step in path:
        node = child(node, step) if node else None
    return node


def _names(root: Node, section: str) -> frozenset[str]:
    node = child(root, section)
    return frozenset(node.data) if node is not None and isinstance(node.data, dict) else frozenset()


def _noted(config: Config, notes: tuple[Problem, ...]) -> Config:
    return replace(config, notes=notes)


def _once(problems: list[Problem]) -> list[Problem]:
    """One problem per place and message: what stands behind an alias is met more than once."""
    return list({(p.file, p.line, p.column, p.message, p.hint, p.level): p for p in reversed(problems)}.values())
