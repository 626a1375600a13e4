"""The grammar of ``match``: from raw data to a tree of clauses that can be tried fast, or tried with a trace.

A match is a mapping of field names to what they must be, and the nestings ``all``, ``any`` (lists of matches) and ``not``
(one match). All its entries must hold. What a field must be is a value, a list of values, or a mapping of tests.
"""

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model.event import Kind, Severity
from gateway.model.json import JsonValue
from gateway.routing import predicates
from gateway.routing.clauses import SEEN, Every, Leaf, Node, Not, Some, shown
from gateway.routing.errors import RuleError, did_you_mean, path_text
from gateway.routing.fields import Reader, UnknownField, reader_of, text_of
from gateway.routing.predicates import Regex, Scalar, Test

Path = tuple[str | int, ...]

_DEPTH = 40
_OPERATORS = ("eq", "in", "glob", "re", "gte", "gt", "lte", "lt", "cidr", "exists", "contains", "in_file", "not")
_COST = {"eq": 1, "in": 1, "exists": 1, "in_file": 1, "glob": 2, "gte": 2, "gt": 2, "lte": 2, "lt": 2, "contains": 4}
_DEAREST = 8
_CLOSED_LISTS: dict[str, tuple[str, ...]] = {
    "kind": tuple(kind.value for kind in Kind),
    "severity": tuple(severity.value for severity in Severity),
}


@dataclass(slots=True)
class Compiler:
    """Compiles matches and gathers every fault on the way.

    ``read_lines(path)`` gives the lines of an ``in_file`` list, or raises OSError or ValueError. ``names`` are the
    values that a field can have where that is known (``source``, ``source_kind``); equality with another is a fault. ``check``
    has the last word on a field's name; it raises `UnknownField`. ``groups`` and ``fields`` are gathered: the named groups, and
    the fields that are tested.
    """

    read_lines: Callable[[str], frozenset[str]]
    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    errors: list[RuleError] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    check: Callable[[str], None] = lambda _path: None
    fields: set[str] = field(default_factory=set)

    def match(self, raw: JsonValue, place: Path, *, trace: Path = ("match",), depth: int = 0) -> Every:
        """Compile one match. ``place`` leads to it in the file, ``trace`` is how clauses are named in a trace.

        Faults go into ``errors``; what they stand in is left out of the result.
        """
        if not isinstance(raw, dict):
            self._fault(place, "a match is a mapping of fields", "host: db-1")
            return Every("", ())
        if depth > _DEPTH:
            self._fault(place, f"nested deeper than {_DEPTH}")
            return Every("", ())
        parts = [
            self._nesting(key, value, (*place, key), (*trace, key), depth)
            if key in {"all", "any", "not"}
            else self._field(key, value, (*place, key), (*trace, key), depth)
            for key, value in raw.items()
        ]
        return Every("", tuple(part for part in parts if part is not None))

    def _fault(self, place: Path, message: str, hint: str = "") -> None:
        self.errors.append(RuleError(place, message, hint))

    def _nesting(self, key: str, raw: JsonValue, place: Path, trace: Path, depth: int) -> Node | None:
        if key == "not":
            if not isinstance(raw, dict) or not raw:
                self._fault(place, "`not` takes one match", "not: {labels.env: [dev, test]}")
                return None
            return self._negated(lambda: self.match(raw, place, trace=trace, depth=depth + 1), trace)
        if not isinstance(raw, list) or not raw:
            self._fault(place, f"`{key}` takes a list of matches", f"{key}: [{{host: db-1}}, {{service: disk}}]")
            return None
        parts = tuple(
            self.match(item, (*place, index), trace=(*trace, index), depth=depth + 1) for index, item in enumerate(raw)
        )
        return Every(path_text(trace), parts) if key == "all" else Some(path_text(trace), parts)

    def _negated(self, compile_part: Callable[[], Node | None], trace: Path) -> Node | None:
        groups = set(self.groups)
        part = compile_part()
        self.groups = groups
        return None if part is None else Not(path_text(trace), part)

    def _field(self, name: str, raw: JsonValue, place: Path, trace: Path, depth: int) -> Node | None:
        try:
            read = reader_of(name)
            self.check(name)
        except UnknownField as unknown:
            self._fault(place, str(unknown), unknown.hint)
            return None
        self.fields.add(name)
        return self._value(name, read, raw, place, trace, depth)

    def _value(self, name: str, read: Reader, raw: JsonValue, place: Path, trace: Path, depth: int) -> Node | None:
        if isinstance(raw, dict):
            return self._tests(name, read, raw, place, trace, depth)
        values = self._scalars(raw, place)
        if values is None:
            return None
        self._known_values(name, values, place, listed=isinstance(raw, list))
        return Leaf(path_text(trace), _expected(values), read, predicates.equal_to(values), _COST["eq"])

    def _tests(
        self, name: str, read: Reader, raw: dict[str, JsonValue], place: Path, trace: Path, depth: int
    ) -> Node | None:
        if not raw or depth > _DEPTH:
            self._fault(place, "no test is given" if not raw else f"nested deeper than {_DEPTH}", 'glob: "db-*"')
            return None
        parts = [
            self._operator(name, read, key, value, (*place, key), (*trace, key), depth) for key, value in raw.items()
        ]
        return Every("", tuple(part for part in parts if part is not None))

    def _operator(
        self, name: str, read: Reader, key: str, raw: JsonValue, place: Path, trace: Path, depth: int
    ) -> Node | None:
        if key == "not":
            return self._negated(lambda: self._value(name, read, raw, place, trace, depth + 1), trace)
        if key not in _OPERATORS:
            hint = did_you_mean(key, _OPERATORS) or "the tests are " + ", ".join(_OPERATORS)
            self._fault(place, f"there is no test {key!r}", hint)
            return None
        try:
            found = self._test(name, key, raw, place)
        except ValueError as error:
            self._fault(place, str(error))
            return None
        if found is None:
            return None
        test, expected, regex = found
        return Leaf(path_text(trace), expected, read, test, _COST.get(key, _DEAREST), regex)

    def _test(self, name: str, key: str, raw: JsonValue, place: Path) -> tuple[Test, str, Regex | None] | None:
        if key in {"eq", "in"}:
            values = self._scalars(raw, place, lists=key == "in")
            if values is None:
                return None
            self._known_values(name, values, place, listed=isinstance(raw, list))
            return predicates.equal_to(values), _expected(values), None
        if key in predicates.ORDER:
            return self._comparison(name, key, raw, place)
        if key == "exists":
            if not isinstance(raw, bool):
                self._fault(place, "`exists` is true or false")
                return None
            return predicates.exists(raw), "present" if raw else "absent", None
        texts = self._texts(key, raw, place)
        if texts is None:
            return None
        expected = _expected(texts)
        if key == "glob":
            return predicates.glob(texts), expected, None
        if key == "contains":
            return predicates.contains(texts), expected, None
        if key == "cidr":
            return predicates.in_networks(tuple(map(_network, texts))), expected, None
        if key == "re":
            regex = _regex(texts[0])
            self.groups.update(regex.groups)
            return predicates.each(regex.found), expected, regex
        return self._file(texts[0], place)

    def _comparison(self, name: str, key: str, raw: JsonValue, place: Path) -> tuple[Test, str, None] | None:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            self._fault(place, f"`{key}` takes a severity or a number", f"{key}: warning")
            return None
        severities = [severity.value for severity in Severity if severity.rank is not None]
        number = predicates.number_of(raw) if isinstance(raw, str) else float(raw)
        if name == "severity" and number is not None:
            self._fault(place, "a severity compares with a severity", "one of " + ", ".join(severities))
            return None
        if number is None and raw not in severities:
            hint = did_you_mean(str(raw), severities) or "one of " + ", ".join(severities)
            told = (
                "`unknown` compares with nothing" if raw == "unknown" else f"{raw!r} is neither a severity nor a number"
            )
            self._fault(place, told, hint)
            return None
        return predicates.compare(key, str(raw) if number is None else number), str(raw), None

    def _file(self, path: str, place: Path) -> tuple[Test, str, None] | None:
        try:
            lines = self.read_lines(path)
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._fault(place, f"cannot read {path}: {told}")
            return None
        return predicates.each(lambda text: text in lines), f"a line of {path}"[:SEEN], None

    def _scalars(self, raw: JsonValue, place: Path, *, lists: bool = True) -> list[Scalar] | None:
        if raw is None:
            self._fault(place, "there is no value", "to test that a field is not there, write {exists: false}")
            return None
        items = raw if isinstance(raw, list) and lists else [raw]
        if not items:
            self._fault(place, "an empty list never matches", "name at least one value")
            return None
        values = [item for item in items if isinstance(item, str | int | float)]
        if len(values) < len(items):
            kind = "a text, number or truth value" + (", or a list of them" if lists else "")
            self._fault(place, f"this must be {kind}", "nested tests go under all, any or not")
            return None
        return values

    def _texts(self, key: str, raw: JsonValue, place: Path) -> list[str] | None:
        many = key in {"glob", "contains", "cidr"}
        items = raw if isinstance(raw, list) and many else [raw]
        texts = [item for item in items if isinstance(item, str) and item]
        if not items or len(texts) < len(items):
            self._fault(place, f"`{key}` takes a text" + (" or a list of texts" if many else ""), "put it in quotes")
            return None
        return texts

    def _known_values(self, name: str, values: Sequence[Scalar], place: Path, *, listed: bool) -> None:
        """Equality with a value that the field can never have is a slip of the pen: a rule that never matches."""
        known = _CLOSED_LISTS.get(name) or self.names.get(name)
        if not known:
            return
        for index, value in enumerate(values):
            if value not in known:
                hint = did_you_mean(str(value), known) or "one of " + ", ".join(known)
                self._fault((*place, index) if listed else place, f"no {name} is called {value!r}", hint)


def _network(text: str) -> predicates.Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no network; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32") from None


def _regex(pattern: str) -> Regex:
    try:
        return Regex(pattern)
    except ValueError as error:
        told = f"RE2 refuses it: {error}"
        raise ValueError(f"{told}; look-around and back references do not exist in RE2") from None


def _expected(values: Sequence[Scalar]) -> str:
    return shown(tuple(text_of(value) for value in values))
