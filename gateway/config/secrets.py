"""``${env:NAME}``, ``${env:NAME:-default}`` and ``${file:PATH}`` in the values of the file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TypeAlias

from gateway.config.document import Entry, Fault, Node
from gateway.config.problems import Path

MAX_SECRET_FILE = 64 * 1024
"""Largest file that ``${file:}`` reads, in octets."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Filled:
    """A tree with all references replaced. ``secrets`` are the values that came from outside."""

    root: Node
    faults: tuple[Fault, ...]
    secrets: tuple[str, ...]


Unset: TypeAlias = Callable[[Path], str]
"""What stands in, at this path, for a reference that leads nowhere."""


def stand_in(path: Path) -> str:
    """Something of the right form for a value that only the real machine has; it opens nothing."""
    name = str(path[-1]).lower() if path else ""
    if "url" in name or name == "proxy":
        return "http://unset.invalid"
    if any(word in name for word in ("mail", "customer", "from", "recipient")):
        return "unset@unset.invalid"
    return "UNSET0" * 8


def fill(root: Node, *, env: Mapping[str, str], folder: FilePath, unset: Unset | None = None) -> Filled:
    """Replace all references in texts; file names are relative to ``folder``. ``$${`` stands for ``${``.

    A text that cannot be filled is reported and marked as broken, so that nothing else is said about it; with ``unset`` that
    stands in for variables that are not set and files that cannot be read.
    """
    filler = _Filler(env, folder, unset)
    filled = filler.node(root, ())
    return Filled(filled, tuple(filler.faults), tuple(dict.fromkeys(filler.secrets)))


class _LeadsNowhere(ValueError):
    """A reference whose variable or file is not there."""


class _Filler:
    def __init__(self, env: Mapping[str, str], folder: FilePath, unset: Unset | None) -> None:
        self._env = env
        self._folder = folder
        self._unset = unset
        self.faults: list[Fault] = []
        self.secrets: list[str] = []

    def node(self, node: Node, path: Path) -> Node:
        """The same node, filled."""
        if isinstance(node.data, dict):
            entries = {key: Entry(entry.place, self.node(entry.node, (*path, key))) for key, entry in node.data.items()}
            return Node(node.place, entries, broken=node.broken)
        if isinstance(node.data, list):
            items = [self.node(item, (*path, index)) for index, item in enumerate(node.data)]
            return Node(node.place, items, broken=node.broken)
        if not isinstance(node.data, str) or "${" not in node.data:
            return node
        return self._text(node, node.data, path)

    def _text(self, node: Node, text: str, path: Path) -> Node:
        origins: set[str] = set()
        parts: list[str] = []
        end = 0
        for match in _REFERENCE.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            if match[0] == "$${":
                parts.append("${")
                continue
            try:
                value, origin = self._value(match[0], match[1])
            except _LeadsNowhere as error:
                if self._unset is None:
                    return self._fault(node, path, error)
                value, origin = self._unset(path), "outside"
            except ValueError as error:
                return self._fault(node, path, error)
            origins.add(origin)
            parts.append(value)
        parts.append(text[end:])
        origin = "outside" if "outside" in origins else "default" if origins else "written"
        return Node(node.place, "".join(parts), origin=origin)

    def _fault(self, node: Node, path: Path, error: ValueError) -> Node:
        message, _, hint = str(error).partition("; ")
        self.faults.append(Fault(path, node.place, message, hint))
        return Node(node.place, "", broken=True)

    def _value(self, whole: str, inside: str) -> tuple[str, str]:
        kind, colon, rest = inside.partition(":")
        if not whole.endswith("}") or not colon or kind not in {"env", "file"}:
            shown = f"${{{kind}:...}}" if colon else "${...}"
            raise ValueError(
                f"'{shown}' is not understood; write ${{env:NAME}} or ${{file:PATH}}, and $${{ for a plain ${{"
            )
        if kind == "env":
            return self._from_env(rest)
        return self._from_file(rest)

    def _from_env(self, rest: str) -> tuple[str, str]:
        name, has_default, default = rest.partition(":-")
        if not _NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no name of an environment variable; letters, digits and _ only")
        value = self._env.get(name, "")
        if value:
            self.secrets.append(value)
            return value, "outside"
        if has_default:
            return default, "default"
        state = "is empty" if name in self._env else "is not set"
        raise _LeadsNowhere(f"the environment variable {name} {state}; set it, or write ${{env:{name}:-DEFAULT}}")

    def _from_file(self, name: str) -> tuple[str, str]:
        path = self._folder / name
        try:
            if not path.is_file():
                raise _LeadsNowhere(f"the file {path} is not there; create it, or mend the name")
            with path.open("rb") as file:
                raw = file.read(MAX_SECRET_FILE + 1)
        except OSError as error:
            raise _LeadsNowhere(f"the file {path} cannot be read: {error.strerror}; mend its permissions") from None
        if len(raw) > MAX_SECRET_FILE:
            raise ValueError(f"the file {path} is larger than {MAX_SECRET_FILE // 1024} KiB; is it the right one?")
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            raise ValueError(f"the file {path} is not UTF-8; is it the right one?") from None
        value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
        if not value:
            raise _LeadsNowhere(f"the file {path} is empty; write the secret into it")
        self.secrets.append(value)
        return value, "outside"
