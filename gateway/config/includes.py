"""``include``: further files, read as if their parts stood in the main one.

Sections by name (`SECTIONS`) are joined; a name that stands in two files is an error that tells both places. Lists (`LISTS`)
are put together in the order of the files' names, where ``include`` stands in the main file: before its own entries if the key
is above them, else behind them.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.config.document import MAX_BYTES, Data, Empty, Entry, Fault, Node, Place, Unreadable, child, read_document
from gateway.config.messages import shown_value
from gateway.config.problems import Path, did_you_mean
from gateway.config.secrets import Unset, fill

SECTIONS = ("sources", "helpdesks", "schedules", "lookups")
"""Sections that an included file may have, by name."""
LISTS = ("routes", "tests")
"""Lists that an included file may have."""
MAX_FILES = 1000
"""Most included files."""
MAX_ALL = 16 * 2**20
"""Octets of all included files together."""

_ALLOWED = ("version", *SECTIONS, *LISTS)
_WILD = frozenset("*?[")


@dataclass(slots=True)
class Whole:
    """A main file with what it includes.

    ``faults`` are those of the included files and of including them; their paths are those of the file in which they stand.
    ``secrets`` came from outside. ``files`` were read, with their octets. ``own`` tells for an entry of a list, by its place in
    the whole, its place in its own file.
    """

    root: Node
    main: FilePath
    faults: list[Fault] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    files: dict[FilePath, bytes] = field(default_factory=dict)
    own: dict[tuple[str, int], int] = field(default_factory=dict)

    def shown(self, path: Path) -> Path:
        """A path through the whole as one through the file in which it stands."""
        return shown_path(path, self.own)


def shown_path(path: Path, own: Mapping[tuple[str, int], int]) -> Path:
    """A path through the whole as one through the file in which it stands; see `Whole.own`."""
    if len(path) >= 2 and isinstance(path[0], str) and isinstance(path[1], int):
        return (path[0], own.get((path[0], path[1]), path[1]), *path[2:])
    return path


def patterns(root: Node) -> Iterator[tuple[Path, Place, str]]:
    """What ``include`` names, with its path and place."""
    node = child(root, "include")
    if node is None or node.broken:
        return
    items = node.data if isinstance(node.data, list) else [node]
    for index, item in enumerate(items):
        if isinstance(item.data, str) and not item.broken:
            yield ("include", index) if items is node.data else ("include",), item.place, item.data


def is_pattern(text: str) -> bool:
    """Whether it names files by a pattern, so that there may be none."""
    return not _WILD.isdisjoint(text)


def matching(folder: FilePath, pattern: str) -> list[FilePath]:
    """The files of a pattern, in the order of their names; hidden ones only where the pattern says so."""
    return [FilePath(each) for each in sorted(glob.glob(os.path.join(folder, pattern), recursive=True))]  # noqa: PTH118, PTH207 - pathlib's has no absolute patterns


def include(root: Node, main: FilePath, env: Mapping[str, str], unset: Unset | None = None) -> Whole:
    """Read what the main file includes, fill in references (``unset`` as in `fill`), and join it with the main file's tree."""
    whole = Whole(root, main)
    parts: list[tuple[FilePath, Node]] = []
    octets = 0
    for path, place, pattern in patterns(root):
        found = matching(main.parent, pattern)
        if not found and not is_pattern(pattern):
            whole.faults.append(Fault(path, place, f"the file {main.parent / pattern} is not there", "mend the name"))
        for file in found:
            if file in whole.files:
                continue
            try:
                raw = _read(file, main)
            except ValueError as error:
                message, _, hint = str(error).partition("; ")
                whole.faults.append(Fault(path, place, message, hint))
                continue
            whole.files[file] = raw
            octets += len(raw)
            if len(whole.files) > MAX_FILES or octets > MAX_ALL:
                words = f"more than {MAX_FILES} files, or {MAX_ALL // 2**20} MiB"
                whole.faults.append(Fault(path, place, words, "put several routes into one file"))
                return whole
            part = _part(file, raw, main, env, whole, unset)
            if part is not None:
                parts.append((file, part))
    _join(whole, parts)
    return whole


def _read(file: FilePath, main: FilePath) -> bytes:
    try:
        if file.resolve() == main.resolve():
            raise ValueError(f"{file} would include itself; use a folder of its own, such as routes.d/*.yaml")
        if not file.is_file():
            raise ValueError(f"{file} is no file")
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}; mend its permissions") from None


def _part(
    file: FilePath, raw: bytes, main: FilePath, env: Mapping[str, str], whole: Whole, unset: Unset | None
) -> Node | None:
    """The tree of one included file, without what must not stand there; None if it has none."""
    name = str(file)
    try:
        document = read_document(raw, name)
    except Empty:
        return None
    except Unreadable as error:
        whole.faults.append(Fault((), error.place or Place(0, 0, name), error.message, error.hint))
        return None
    filled = fill(document.root, env=env, folder=main.parent, unset=unset)
    whole.faults += (*document.faults, *filled.faults)
    whole.secrets += filled.secrets
    root = filled.root
    if not isinstance(root.data, dict):
        message = f"an included file has sections such as `routes:`, not {shown_value(root)}"
        whole.faults.append(Fault((), root.place, message))
        return None
    kept: dict[str, Entry] = {}
    for key, entry in root.data.items():
        if key not in _ALLOWED:
            message, hint = f"'{key}' cannot stand in an included file", f"move it to {main.name}"
            if key not in {"server", "templates", "unrouted", "include", "lookup"}:
                message, hint = f"unknown key '{key}'", did_you_mean(key, _ALLOWED)
            whole.faults.append(Fault((key,), entry.place, message, hint))
        elif key == "version" and entry.node.data != 1:
            whole.faults.append(Fault((key,), entry.node.place, "must be 1"))
        elif key in SECTIONS and not isinstance(entry.node.data, dict):
            whole.faults.append(_wrong(key, entry.node, "a section"))
        elif key in LISTS and not isinstance(entry.node.data, list):
            whole.faults.append(_wrong(key, entry.node, "a list"))
        else:
            kept[key] = entry
    return Node(root.place, kept)


def _wrong(key: str, node: Node, wanted: str) -> Fault:
    hint = "fill it in, or remove the key" if node.data is None else ""
    return Fault((key,), node.place, f"must be {wanted}, not {shown_value(node)}", hint)


# ------------------------------------------------------------------------------------------------------------- join


def _join(whole: Whole, parts: list[tuple[FilePath, Node]]) -> None:
    """Put the parts into the main file's tree."""
    root = whole.root
    if not parts or not isinstance(root.data, dict):
        return
    joined = dict(root.data)
    order = list(root.data)
    trees = [part.data for _, part in parts if isinstance(part.data, dict)]
    for key in (*SECTIONS, *LISTS):
        main = root.data.get(key)
        entries = [tree[key] for tree in trees if key in tree]
        if not entries or (main is not None and not isinstance(main.node.data, dict if key in SECTIONS else list)):
            continue  # what is wrong with the main file's own is told where it is read
        first = main is not None and order.index("include") > order.index(key)
        of_main = [main] if main is not None else []
        in_order = [*of_main, *entries] if first or key in SECTIONS else [*entries, *of_main]
        head = main or entries[0]
        data: Data = _named(whole, key, in_order) if key in SECTIONS else _listed(whole, key, in_order)
        joined[key] = Entry(head.place, Node(head.node.place, data))
    whole.root = Node(root.place, joined, root.origin, root.broken)


def _named(whole: Whole, section: str, entries: list[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        assert isinstance(entry.node.data, dict)
        for name, each in entry.node.data.items():
            if name in found:
                whole.faults.append(_twice(whole, (section, name), each.place, found[name].place))
            else:
                found[name] = each
    return found


def _listed(whole: Whole, section: str, entries: list[Entry]) -> list[Node]:
    found: list[Node] = []
    names: dict[str, Place] = {}
    for entry in entries:
        assert isinstance(entry.node.data, list)
        for index, item in enumerate(entry.node.data):
            whole.own[section, len(found)] = index
            found.append(item)
            name = child(item, "name")
            if name is None or not isinstance(name.data, str):
                continue
            first = names.setdefault(name.data, name.place)
            if first.file != name.place.file:
                whole.faults.append(_twice(whole, (section, index, "name"), name.place, first))
    return found


def _twice(whole: Whole, path: Path, place: Place, first: Place) -> Fault:
    at = f"{first.file or whole.main}:{first.line}:{first.column}"
    return Fault(path, place, f"the name is taken already: {at}", "choose another one")
