"""Puts what happened into the expectations of a file, and nothing else: comments, order and layout stay as they are. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.problems import Path
from gateway.model.json import JsonValue

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


class CannotRewrite(ValueError):
    """A value that cannot be put into the file; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a place of the file shall say. ``path`` leads to it from the root of that file."""

    path: Path
    value: JsonValue


def rewritten(text: str, changes: Iterable[Change]) -> str:
    """The text with these values in their places.

    Raises:
        CannotRewrite: a place is not there, or stands behind an alias.
    """
    root = yaml.compose(text, Loader=_LOADER)
    edits: list[tuple[int, int, str]] = []
    seen: dict[int, int] = {}
    _count(root, seen)
    for change in changes:
        key, node = _at(root, change.path, seen)
        start, end = _span(node, text)
        edits.append((start, end, " " * _missing_blanks(key, node, start == end) + flow(change.value)))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def flow(value: JsonValue) -> str:
    """A value on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(name)}: {flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


def _count(node: Node | None, seen: dict[int, int]) -> None:
    """How often each node is met: more than once is an alias."""
    waiting = [node] if node is not None else []
    while waiting:
        one = waiting.pop()
        seen[id(one)] = seen.get(id(one), 0) + 1
        if seen[id(one)] > 1:
            continue
        waiting += [part for pair in one.value for part in pair] if isinstance(one, MappingNode) else []
        waiting += one.value if isinstance(one, SequenceNode) else []


def _at(root: Node | None, path: Path, seen: Mapping[int, int]) -> tuple[Node | None, Node]:
    """(the key before it, if it is an entry of a section; the value at a path)."""
    key, node = None, root
    for step in path:
        inner: Node | None = None
        key = None
        if isinstance(node, MappingNode):
            key, inner = next((pair for pair in node.value if pair[0].value == str(step)), (None, None))
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            inner = node.value[step]
        if inner is None:
            raise CannotRewrite("the place is not there any more; was the file changed meanwhile?")
        if seen[id(inner)] > 1:
            mark = inner.start_mark
            raise CannotRewrite(f"it stands behind an alias of line {mark.line + 1}; change it by hand")
        node = inner
    if node is None:
        raise CannotRewrite("the file is empty")
    return key, node


def _missing_blanks(key: Node | None, node: Node, empty: bool) -> int:  # noqa: FBT001 - a fact about the node
    """How far a value must be moved to the right, so that it belongs to its key: a list may stand below it, one value may not."""
    if empty:
        return 1
    if key is None or node.start_mark.line == key.start_mark.line:
        return 0
    return max(0, key.start_mark.column + 2 - node.start_mark.column)


def _span(node: Node, text: str) -> tuple[int, int]:
    """Where a value begins and ends, without what follows it: comments, blanks, line ends."""
    start = node.start_mark.index
    if isinstance(node, ScalarNode):
        end = node.end_mark.index
        return start, start + len(text[start:end].rstrip())
    assert isinstance(node, MappingNode | SequenceNode)
    if node.flow_style or not node.value:
        return start, node.end_mark.index
    last = node.value[-1]
    return start, _span(last[1] if isinstance(node, MappingNode) else last, text)[1]
