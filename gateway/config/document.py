"""YAML text as a tree that knows its places: YAML 1.2 scalars, no tags, no merge keys, bounded depth and aliases.

PyYAML's loaders read YAML 1.1 (``on`` is true, ``22:22`` is 1342), let the last duplicate key win and build what an alias
bomb says. So only its events are used; they are made without recursion, and the tree is built here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gateway.config.problems import Path

MAX_BYTES = 2**20
"""Largest configuration file."""
MAX_DEPTH = 40
"""Deepest nesting; the grammar needs about 12, more only for nested ``all``/``any``/``not``."""
MAX_NODES = 100_000
"""Most values after all aliases are followed."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it

Scalar: TypeAlias = "str | int | float | bool | None"
Data: TypeAlias = "Scalar | list[Node] | dict[str, Entry]"
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the file, counted from 1. ``file`` names it if it is not the main one."""

    line: int
    column: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place. ``origin`` tells how a text came about; a ``broken`` one was reported already."""

    place: Place
    data: Data = field(repr=False)
    origin: str = "written"
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a mapping with the place of its key."""

    place: Place
    node: Node


class Unreadable(Exception):
    """The text is no document that we read; ``place`` is None for the file as a whole."""

    def __init__(self, place: Place | None, message: str, hint: str = "") -> None:
        """``message`` without the place."""
        super().__init__(message)
        self.place = place
        self.message = message
        self.hint = hint


class Empty(Unreadable):
    """There is nothing in the file, or only remarks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that leaves the rest readable."""

    path: Path
    place: Place
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole file: its tree and the faults met on the way (duplicate keys, tags, numbers too large)."""

    root: Node
    faults: tuple[Fault, ...]


def read_document(raw: bytes, file: str = "") -> Document:
    """Build the tree of the one document in ``raw``; ``file`` is what its places are told to be in.

    Raises:
        Unreadable: if it is no UTF-8, no YAML, too large, too deep, or more than one document.
    """
    text = _text(raw, file)
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, file) from None
    except yaml.YAMLError as error:
        raise Unreadable(None, f"this is no YAML: {str(error).splitlines()[0]}") from None
    if builder.root is None:
        raise Empty(None, "the file is empty", "`ticket-gateway init` writes one to start from")
    return Document(builder.root, tuple(builder.faults))


def plain(node: Node) -> Plain:
    """The value without places."""
    if isinstance(node.data, dict):
        return {key: plain(entry.node) for key, entry in node.data.items()}
    if isinstance(node.data, list):
        return [plain(item) for item in node.data]
    return node.data


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every value with its path, outside in."""
    yield path, node
    if isinstance(node.data, dict):
        for key, entry in node.data.items():
            yield from walk(entry.node, (*path, key))
    elif isinstance(node.data, list):
        for index, item in enumerate(node.data):
            yield from walk(item, (*path, index))


def child(node: Node, step: str | int) -> Node | None:
    """The value under a key or index, or None."""
    if isinstance(node.data, dict) and isinstance(step, str):
        entry = node.data.get(step)
        return entry.node if entry else None
    if isinstance(node.data, list) and isinstance(step, int) and 0 <= step < len(node.data):
        return node.data[step]
    return None


_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def scalar(text: str) -> Scalar:
    """A plain scalar by the core schema of YAML 1.2 (section 10.3.2).

    Raises:
        ValueError: for a number that no setting can mean: not finite, or of more than 18 digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"'{text}' is no number that can be used here")
    if _INT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        if len(text) > 18:
            raise ValueError("the number is too large")
        return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
    if _FLOAT.fullmatch(text):
        number = float(text) if len(text) <= 40 else float("inf")
        if abs(number) == float("inf"):
            raise ValueError("the number is too large")
        return number
    return text


@dataclass(slots=True)
class _Open:
    """A collection that is not finished."""

    place: Place
    data: list[Node] | dict[str, Entry]
    anchor: str | None
    nodes_before: int
    height: int = 1
    key: str | None = None
    key_place: Place | None = None
    skip: bool = False  # the value belongs to a key that was refused


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    nodes: int
    height: int


class _Builder:
    """Builds the tree of one document from its events."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Event) -> None:
        """Take the next event."""
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1, self._file) if mark else Place(1, 1, self._file)
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Unreadable(place, "a second document begins here", "keep all in one document: remove the '---'")
        elif isinstance(event, AliasEvent):
            self._alias(event.anchor or "", place)
        elif isinstance(event, ScalarEvent):
            self._scalar(event, place)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event, place)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end()

    def _begin(self, event: MappingStartEvent | SequenceStartEvent, place: Place) -> None:
        self._count(1, place)
        self._tag(event.tag, place)
        if self._expects_key():
            raise Unreadable(
                place,
                "a key must be one word, not a list or section",
                'put a text that begins with { or [ in quotes, such as "{{ event.host }}"',
            )
        if len(self._stack) >= MAX_DEPTH:
            raise Unreadable(place, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        data: list[Node] | dict[str, Entry] = {} if isinstance(event, MappingStartEvent) else []
        self._stack.append(_Open(place, data, event.anchor, self._nodes))

    def _end(self) -> None:
        done = self._stack.pop()
        node = Node(done.place, done.data)
        if done.anchor is not None:
            self._anchors[done.anchor] = _Anchored(node, self._nodes - done.nodes_before + 1, done.height)
        self._put(node, done.height + 1)

    def _scalar(self, event: ScalarEvent, place: Place) -> None:
        self._count(1, place)
        self._tag(event.tag, place)
        unquoted = event.style in {None, "", ":"} or (event.implicit[0] and event.tag is None)
        if self._expects_key():
            self._key(event.value, place, unquoted=unquoted)
            return
        value: Scalar = event.value
        broken = False
        if unquoted:
            try:
                value = scalar(event.value)
            except ValueError as error:
                broken = True
                self._fault(place, str(error), "put it in quotes if it is a text")
        node = Node(place, value, broken=broken)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, 0)
        self._put(node, 1)

    def _alias(self, name: str, place: Place) -> None:
        if self._expects_key():
            raise Unreadable(place, "an alias cannot be a key", "write the key out")
        if name not in self._anchors:
            raise Unreadable(place, f"'*{name}' refers to nothing", f"write '&{name}' before the value it stands for")
        anchored = self._anchors[name]
        if anchored is None:
            raise Unreadable(place, f"'*{name}' stands inside the value it refers to")
        self._count(anchored.nodes, place)
        if len(self._stack) + anchored.height > MAX_DEPTH:
            raise Unreadable(place, f"nested deeper than {MAX_DEPTH} levels")
        self._put(anchored.node, anchored.height + 1)

    def _key(self, name: str, place: Place, *, unquoted: bool) -> None:
        top = self._stack[-1]
        assert isinstance(top.data, dict)
        top.key, top.key_place, top.skip = name, place, False
        if unquoted and name == "<<":
            top.skip = True
            self._fault(place, "merge keys ('<<') are not read", "write the keys out", key=name)
        elif unquoted and _WORDS.get(name, "") is None:
            top.skip = True
            self._fault(place, "a key is missing before the ':'", "put a text that begins with { in quotes")
        elif name in top.data:
            top.skip = True
            first = top.data[name].place
            self._fault(place, f"the key '{name}' stands here twice", f"first on line {first.line}", key=name)

    def _put(self, node: Node, height: int) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        top.height = max(top.height, height)
        if isinstance(top.data, list):
            top.data.append(node)
            return
        assert top.key is not None
        assert top.key_place is not None
        if not top.skip:
            top.data[top.key] = Entry(top.key_place, node)
        top.key = None

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].data, dict) and self._stack[-1].key is None

    def _tag(self, tag: str | None, place: Place) -> None:
        if tag is not None:
            self._fault(place, f"tags ('{tag.replace('tag:yaml.org,2002:', '!!')}') are not read", "remove it")

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Unreadable(place, f"more than {MAX_NODES} values", "aliases count as what they stand for")

    def _fault(self, place: Place, message: str, hint: str = "", *, key: str | None = None) -> None:
        path: list[str | int] = [
            len(level.data) if isinstance(level.data, list) else level.key or "" for level in self._stack[:-1]
        ]
        if self._stack and key is None:
            top = self._stack[-1]
            path.append(len(top.data) if isinstance(top.data, list) else top.key or "")
        elif key is not None:
            path.append(key)
        self.faults.append(Fault(tuple(path), place, message, hint))


def _text(raw: bytes, file: str) -> str:
    if len(raw) > MAX_BYTES:
        raise Unreadable(None, f"the file is larger than {MAX_BYTES // 2**20} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        start = raw.rfind(b"\n", 0, error.start) + 1
        column = len(raw[start : error.start].decode("utf-8", "replace")) + 1
        raise Unreadable(Place(line, column, file), "the file is not UTF-8 here", "save it as UTF-8") from None
    bad = _CONTROL.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        raise Unreadable(
            Place(line, column, file), f"a control character (U+{ord(bad[0]):04X}) stands here", "remove it"
        )
    return text


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1, file) if mark else None
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    problem = str(error.problem or "")
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return Unreadable(place, "a tab stands here", "indent with blanks")
    for words, message, hint in _SYNTAX:
        if words in problem:
            return Unreadable(place, message, hint)
    return Unreadable(place, f"this is no YAML: {problem}")


_QUOTES = "put a text with ': ' or ' #' in it, or one that begins with { [ * & ! % @, in quotes"
_SYNTAX = (
    ("mapping values are not allowed", "a ':' too many, or the indentation is wrong", _QUOTES),
    ("could not find expected ':'", "a key without ':', or the indentation is wrong", "write `key: value`"),
    ("did not find expected key", "the indentation is wrong, or something follows a value", _QUOTES),
    ("did not find expected '-' indicator", "the indentation is wrong", "each entry of a list begins with '- '"),
    ("did not find expected node content", "a value is missing", "close every [ and {"),
    ("did not find expected ',' or", "a ',' or a closing bracket is missing", _QUOTES),
    ("unexpected end of stream", "a quoted text does not end", "close the quote"),
    ("cannot start any token", "a text cannot begin like this", _QUOTES),
    ("unknown escape character", "an unknown escape in a quoted text", "write \\\\ for one backslash, or use '...'"),
)
