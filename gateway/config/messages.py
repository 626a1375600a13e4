"""Pydantic's findings as sentences for administrators, each at its place in the file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config.document import Node, Place, child
from gateway.config.problems import Path, did_you_mean
from gateway.config.values import duration, size

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a section",
    "model_type": "a section",
    "model_attributes_type": "a section",
}
_HINTS = {
    "a text": "put it in quotes",
    "a list": "write [one, two], or one entry per line after '- '",
    "a section": "write `key: value` lines below it, indented",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS = {
    r"^[A-Za-z0-9_.-]+$": "only letters, digits and _ . - can stand here",
    r"^(/[^/]+)*$": "it must begin with / and not end with one, such as /gateway",
}

_SECRETIVE = {"auth", "operator"}  # below these keys a misplaced value may be a secret: it is never shown


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one place."""

    path: Path
    place: Place
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Located:
    """An error with its way into the tree; ``branch`` is set where it passed through a union."""

    path: Path
    node: Node
    place: Place
    detail: ErrorDetails
    union_at: Path | None
    branch: str


def findings(error: ValidationError, model: type[BaseModel], root: Node, prefix: Path = ()) -> list[Finding]:
    """All errors of one validation. ``root`` is the tree that was validated, ``prefix`` where it stands in the file."""
    located = [_locate(detail, root) for detail in error.errors(include_url=False, include_input=False)]
    found: list[Finding] = []
    for group in _by_union(located):
        finding = _sentence(group, model)
        if finding is not None:
            found.append(Finding((*prefix, *finding.path), finding.place, finding.message, finding.hint))
    return found


def unitless(models: Sequence[type[BaseModel]], node: Node, path: Path = ()) -> Iterator[Finding]:
    """Durations and sizes given as bare numbers, which could mean anything; 0 needs no unit."""
    if isinstance(node.data, list):
        for index, item in enumerate(node.data):
            yield from unitless(models, item, (*path, index))
    if not isinstance(node.data, dict):
        return
    for key, entry in node.data.items():
        inner, here = entry.node, (*path, key)
        fields = [keys_of(model)[key] for model in models if key in keys_of(model)]
        hints = [_UNITS[each.func] for info in fields for each in _validators(info) if each.func in _UNITS]
        if hints and isinstance(inner.data, int | float) and not isinstance(inner.data, bool) and inner.data:
            yield Finding(here, inner.place, f"the number {inner.data} needs a unit", hints[0])
        else:
            below = [each for info in fields for each in models_in(info.annotation)]
            yield from unitless(below or models, inner, here)


def _validators(info: FieldInfo) -> Iterator[BeforeValidator]:
    yield from (each for each in info.metadata if isinstance(each, BeforeValidator))
    for inner in get_args(info.annotation):
        yield from (each for each in getattr(inner, "__metadata__", ()) if isinstance(each, BeforeValidator))


_UNITS: dict[object, str] = {
    duration: "write 300ms, 90s, 5m, 1h, 3d or 2w",
    size: "write 512B, 64KiB, 25MiB or 1GiB",
}


def keys_at(model: type[BaseModel], path: Path) -> dict[str, FieldInfo]:
    """The keys that a section may have, by the name that is written in the file."""
    models = models_at(model, path)
    return {key: info for each in models for key, info in keys_of(each).items()}


def models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """The models that may stand at a path; indexes and names of dictionaries are passed over."""
    models = [model]
    for step in path:
        inner = [
            each
            for candidate in models
            if isinstance(step, str) and step in keys_of(candidate)
            for each in models_in(keys_of(candidate)[step].annotation)
        ]
        models = inner or models
    return models


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of one model, by the name that is written in the file."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def _locate(detail: ErrorDetails, root: Node) -> _Located:
    """Follow pydantic's location into the tree; steps that lead nowhere name the branch of a union."""
    node, place, path = root, root.place, list[str | int]()
    union_at: Path | None = None
    branch = ""
    for position, step in enumerate(detail["loc"]):
        last = position == len(detail["loc"]) - 1
        inner = child(node, step)
        if inner is not None:
            place = inner.place
            if isinstance(node.data, dict) and isinstance(step, str):
                place = node.data[step].place if detail["type"] == "extra_forbidden" and last else inner.place
            node = inner
            path.append(step)
        elif last and detail["type"] == "missing":
            path.append(step)
        elif step != "[key]" and union_at is None:
            union_at, branch = tuple(path), str(step)
    return _Located(tuple(path), node, place, detail, union_at, branch)


def _by_union(located: Sequence[_Located]) -> list[list[_Located]]:
    """Errors as they are told: one by one, but of a union only the branch that was meant."""
    groups: list[list[_Located]] = []
    unions: dict[Path, list[_Located]] = {}
    for each in located:
        if each.union_at is None:
            groups.append([each])
        else:
            unions.setdefault(each.union_at, []).append(each)
    for at, members in unions.items():
        deeper = {each.branch for each in members if len(each.path) > len(at)}
        told: dict[Path, list[_Located]] = {}
        for each in members:
            if not deeper or each.branch in deeper:
                told.setdefault(each.path, []).append(each)
        groups.extend(_plainest(each) for each in told.values())
    return groups


def _plainest(members: list[_Located]) -> list[_Located]:
    said = [each for each in members if each.detail["type"] not in {*_EXPECTED, "literal_error"}]
    return said[:1] or members


def _sentence(group: list[_Located], model: type[BaseModel]) -> Finding | None:
    first = group[0]
    if any(each.node.broken for each in group):
        return None  # reported where it could not be filled
    kind = first.detail["type"]
    context = first.detail.get("ctx", {})
    if kind == "missing":
        return _missing(first, model)
    if kind == "extra_forbidden":
        return _unknown(first, model)
    if kind in _EXPECTED or kind == "literal_error":
        return _wrong_type(group)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        unit = "s" if isinstance(first.node.data, str) and first.node.data.strip().endswith(tuple("smhdw")) else ""
        limit = context.get(name)
        shown = f"{limit:g}" if isinstance(limit, int | float) else str(limit)
        return Finding(first.path, first.place, f"must be {words} {shown}{unit}")
    if kind in {"string_too_short", "too_short"}:
        return Finding(first.path, first.place, "is empty", "write at least one entry" if kind == "too_short" else "")
    if kind == "string_pattern_mismatch":
        why = _PATTERNS.get(str(context.get("pattern")), "it does not have the form that is needed")
        return Finding(first.path, first.place, f"{shown_value(first.node)} cannot be used", why)
    if kind == "value_error":
        return _value_error(first)
    return Finding(first.path, first.place, first.detail["msg"][:1].lower() + first.detail["msg"][1:])


def _value_error(error: _Located) -> Finding:
    """The sentence of one of our own validators; ``key.key: sentence`` names a place further inside."""
    message, path, place, node = str(error.detail.get("ctx", {}).get("error", "")), error.path, error.place, error.node
    named = re.match(r"([a-z_]+(?:\.[a-z_]+)*): ", message)
    for step in named[1].split(".") if named else ():
        inner = child(node, step)
        if inner is None:
            break
        node, path, place = inner, (*path, step), inner.place
    if named and path != error.path:
        message = message[named.end() :]
    if node.origin == "outside":
        message = message.replace(repr(node.data), "the value").replace(str(node.data), "the value")
    message, _, hint = message.partition("; ")
    return Finding(path, place, message, hint)


def _missing(error: _Located, model: type[BaseModel]) -> Finding:
    *above, name = error.path
    info = keys_at(model, tuple(above)).get(str(name))
    if info is not None and get_origin(info.annotation) is Literal:
        return Finding(
            tuple(above), error.place, f"'{name}' is missing", f"write `{name}: {get_args(info.annotation)[0]}`"
        )
    hint = (info.description or "").split(". ")[0].rstrip(".") if info else ""
    return Finding(tuple(above), error.place, f"'{name}' is missing", hint[:1].lower() + hint[1:])


def _unknown(error: _Located, model: type[BaseModel]) -> Finding:
    *above, name = error.path
    known = keys_at(model, tuple(above))
    for key, info in known.items():
        if any(str(name) in keys_of(each) for each in models_in(info.annotation)):
            return Finding(error.path, error.place, f"unknown key '{name}'", f"it belongs under '{key}'")
    return Finding(error.path, error.place, f"unknown key '{name}'", did_you_mean(str(name), known))


def _wrong_type(group: list[_Located]) -> Finding:
    first = group[0]
    wanted: list[str] = []
    words: list[str] = []
    for each in group:
        if each.detail["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", str(each.detail.get("ctx", {}).get("expected", "")))
            words += choices
            wanted += [f"'{choice}'" for choice in choices] or [str(each.detail.get("ctx", {}).get("expected"))]
        else:
            wanted.append(_EXPECTED[each.detail["type"]])
    wanted = list(dict.fromkeys(wanted))
    secretive = not _SECRETIVE.isdisjoint(map(str, first.path)) and isinstance(first.node.data, str | int | float)
    shown = "a bare value" if secretive else shown_value(first.node)
    said = f"must be {either(wanted)}, not {shown}"
    hint = ""
    if words and isinstance(first.node.data, str) and first.node.origin != "outside":
        near = did_you_mean(first.node.data, words)
        hint = near if near.startswith("did") else ""
    elif first.node.data is None:
        hint = "fill it in, or remove the key"
    elif wanted[0] != "a text" or not isinstance(first.node.data, list | dict):
        hint = _HINTS.get(wanted[0], "")
    return Finding(first.path, first.place, said, hint)


def either(words: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def shown_value(node: Node) -> str:
    """What stands there, in words; never a value that came from outside."""
    data = node.data
    if isinstance(data, dict):
        return "a section"
    if isinstance(data, list):
        return "a list"
    if data is None:
        return "empty"
    if node.origin != "written":
        return "the value of ${...}"
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, str):
        return f"'{data}'" if len(data) <= 60 and data.isprintable() else "this text"
    return f"the number {data}"
