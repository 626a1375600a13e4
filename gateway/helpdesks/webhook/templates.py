"""Texts and trees of a configured request, rendered: strings are templates, everything else stays as it is.

A text that is one expression and nothing else (`{{ fields.impact }}`) gives the expression's value with its type; where
that is not defined, its key is left out. In addresses every expression is quoted for the place it stands in.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Undefined, nodes

from gateway.helpdesks.files import File
from gateway.helpdesks.text import whole
from gateway.model.json import JsonValue
from gateway.rendering.environment import ENVIRONMENTS, RenderFailed, compiled, evaluate, run

EACH = "$each"
FILES = "files"
CONTENT = "$base64"
NAMES: Mapping[str, str] = {
    "title": "the title, one line",
    "text": "the text",
    "html": "the same as HTML; empty where there is none",
    "fields": "the route's `ticket.fields`, rendered",
    "ticket": "of a follow-up: `ticket.id`, `ticket.number`, `ticket.url`",
    "marker": "the action's own key, 32 hex digits: the same each time the request is sent, and no other action's",
    "action": "`create`, `append`, `close`, `reopen`, `update`",
    "at": "when the action was queued, in seconds since the epoch",
}
"""What a template of a request may name."""

_ALONE = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}|\{%|%\}|\{#).)*)\}\}\s*", re.DOTALL)
_PLAIN = re.compile(r"\s*[\w.]+\s*")
_IN_ADDRESS = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_SAFE = re.compile(r"[A-Za-z0-9!#$&'()*+,/:;=?@._~%\[\]-]*")
Names = Mapping[str, object]


class _Omitted:
    """The value of a text that is not defined."""


_OMITTED = _Omitted()


def tree(value: JsonValue, names: Names, files: Iterable[tuple[File, str]] = ()) -> JsonValue:
    """A tree with its texts rendered. ``files`` are those to send, each with its content in base64.

    Raises:
        ValueError: a template failed.
    """
    made = _node(value, names, list(files), "body")
    return None if isinstance(made, _Omitted) else made


def text(template: str, names: Names, place: str) -> str:
    """One text, rendered.

    Raises:
        ValueError: it failed, or gives no text.
    """
    try:
        return run("text", place, template, names, clock=time.monotonic) if "{" in template else template
    except RenderFailed as failed:
        raise ValueError(f"{place}: {failed.message}") from None


def address(template: str, names: Names, place: str) -> str:
    """A path with its query; what expressions give is quoted whole, so that it stays in its place.

    Raises:
        ValueError: an expression failed or gives nothing.
    """

    def given(match: re.Match[str]) -> str:
        value = _value(match[1], names, place)
        if isinstance(value, _Omitted | dict | list) or value in (None, "", ".", ".."):
            raise ValueError(f"{place}: {{{{{match[1]}}}}} gives nothing that could stand in an address")
        return quote(str(value), safe="")

    return _IN_ADDRESS.sub(given, template)


def takes_files(value: JsonValue) -> bool:
    """Whether a tree has a place for files."""
    if isinstance(value, dict):
        return EACH in value or any(takes_files(one) for one in value.values())
    return isinstance(value, list) and any(takes_files(one) for one in value)


# ------------------------------------------------------------------------------------------------------------- rendering


def _node(value: JsonValue, names: Names, files: list[tuple[File, str]], place: str) -> "JsonValue | _Omitted":
    match value:
        case str():
            return _leaf(value, names, place)
        case dict() if EACH in value:
            return [_file(value, names, file, content, place) for file, content in files]
        case dict():
            made = {key: _node(one, names, files, f"{place}.{key}") for key, one in value.items()}
            return {key: one for key, one in made.items() if not isinstance(one, _Omitted)}
        case list():
            items = [_node(one, names, files, f"{place}.{index}") for index, one in enumerate(value)]
            return [one for one in items if not isinstance(one, _Omitted)]
        case _:
            return value


def _leaf(template: str, names: Names, place: str) -> "JsonValue | _Omitted":
    alone = _ALONE.fullmatch(template)
    return _value(alone[1], names, place) if alone else whole(text(template, names, place))


def _file(value: Mapping[str, JsonValue], names: Names, file: File, content: str, place: str) -> JsonValue:
    of_file = {**names, "file": {"name": file.name, "media_type": file.media_type, "size": len(file.content)}}
    made: dict[str, JsonValue] = {}
    for key, one in value.items():
        if key != EACH:
            rendered = content if one == CONTENT else _node(one, of_file, [], f"{place}.{key}")
            if not isinstance(rendered, _Omitted):
                made[key] = rendered
    return made


def _value(expression: str, names: Names, place: str) -> "JsonValue | _Omitted":
    try:
        value = evaluate(place, expression, names, clock=time.monotonic)
    except RenderFailed as failed:
        raise ValueError(f"{place}: {failed.message}") from None
    if isinstance(value, Undefined):
        return _OMITTED
    return _as_json(value, place)


def _as_json(value: object, place: str) -> JsonValue:
    match value:
        case str():
            return whole(str(value))
        case None | bool() | int():
            return value
        case float() if value == value and abs(value) != float("inf"):  # noqa: PLR0124 - the test for NaN
            return value
        case list() | tuple():
            return [_as_json(one, place) for one in value]
        case dict():
            return {str(key): _as_json(one, place) for key, one in value.items()}
        case _:
            raise ValueError(f"{place}: the expression gives a {type(value).__name__}, which JSON has not")


# -------------------------------------------------------------------------------------------------------------- checking


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a template. ``place`` is a path with dots below what was checked."""

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Used:
    """Names of `ticket.fields` in a request: those without which it cannot be made, and all."""

    needed: frozenset[str]
    all: frozenset[str]

    def __or__(self, other: "Used") -> "Used":
        return Used(self.needed | other.needed, self.all | other.all)


NOTHING = Used(frozenset(), frozenset())


def check_tree(value: JsonValue, place: str, *, in_file: bool = False) -> Iterator[Fault]:
    """Everything that is wrong with a tree of templates."""
    match value:
        case str() if value == CONTENT:
            if not in_file:
                yield Fault(place, f"`{CONTENT}` stands only below a section with `{EACH}: {FILES}`")
        case str():
            yield from check_text(value, place, in_file=in_file)
        case dict():
            each = value.get(EACH)
            if EACH in value and (each != FILES or in_file):
                yield Fault(f"{place}.{EACH}", f"only `{EACH}: {FILES}` is known, once")
            for key, one in value.items():
                if key != EACH:
                    yield from check_tree(one, f"{place}.{key}", in_file=in_file or EACH in value)
        case list():
            for index, one in enumerate(value):
                yield from check_tree(one, f"{place}.{index}", in_file=in_file)


def check_text(template: str, place: str, *, in_file: bool = False) -> Iterator[Fault]:
    """What is wrong with one template: it cannot be compiled, or names what is not there."""
    try:
        compiled("text", place, template)
    except RenderFailed as failed:
        yield Fault(place, failed.message)
        return
    known = {*NAMES, "range", "namespace", *({"file"} if in_file else ())}
    for name in sorted(_free_names(template) - known):
        yield Fault(
            place, f"nothing is called '{name}' here; known: {', '.join(sorted(known - {'range', 'namespace'}))}"
        )


def check_address(template: str, place: str) -> Iterator[Fault]:
    """What is wrong with a path: it begins with a slash and holds only expressions, no blocks."""
    constant = _IN_ADDRESS.sub("", template)
    if not template.startswith("/") or template.startswith("//"):
        yield Fault(place, "it begins with one `/` and goes on from the help desk's `url`")
    elif "{" in constant or "}" in constant or _SAFE.fullmatch(constant) is None or "#" in constant:
        yield Fault(place, "only what stands in addresses, and {{ expressions }}, can stand here")
    elif ".." in constant:
        yield Fault(place, "`..` cannot stand here")
    yield from check_text(template, place)


def used(value: JsonValue) -> Used:
    """The fields that a tree or text names."""
    match value:
        case str():
            names, alone = _fields_of(value), _ALONE.fullmatch(value)
            may_lack = "default" in value or "is defined" in value or (alone and _PLAIN.fullmatch(alone[1]))
            return Used(frozenset() if may_lack else names, names)
        case dict():
            return _all_of(value.values())
        case list():
            return _all_of(value)
        case _:
            return NOTHING


def _all_of(values: Iterable[JsonValue]) -> Used:
    found = NOTHING
    for one in values:
        found |= used(one)
    return found


def _free_names(template: str) -> set[str]:
    """Names that a template reads and does not set itself."""
    parsed = ENVIRONMENTS["text"].parse(template)
    read = {node.name for node in parsed.find_all(nodes.Name) if node.ctx == "load"}
    return read - {node.name for node in parsed.find_all(nodes.Name) if node.ctx != "load"}


def _fields_of(template: str) -> frozenset[str]:
    try:
        parsed = ENVIRONMENTS["text"].parse(template)
    except Exception:  # noqa: BLE001 - told by `check_text`; whatever Jinja raises of a text that is none
        return frozenset()
    found: set[str] = set()
    for node in parsed.find_all(nodes.Getattr):
        if isinstance(node.node, nodes.Name) and node.node.name == "fields":
            found.add(node.attr)
    for item in parsed.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name == "fields" and isinstance(item.arg, nodes.Const):
            found.add(str(item.arg.value))
    return frozenset(found)
