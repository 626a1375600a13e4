"""Which columns of look-up tables a template names. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import TemplateError, nodes

from gateway.model.json import JsonValue
from gateway.model.plan import Plan
from gateway.rendering.environment import Format, parsed
from gateway.routing.lookups import references

_METHODS = frozenset({"get", "items", "keys", "values"})


@dataclass(frozen=True, slots=True)
class Named:
    """A place in a template that names a column: ``lookup.site`` or ``lookups.hosts.site``.

    ``column`` is empty where only the template's run tells which one.
    """

    line: int
    table: str
    column: str = ""

    @property
    def path(self) -> str:
        """As it is written."""
        return ".".join(part for part in ("lookups" if self.table else "lookup", self.table, self.column) if part)


@lru_cache(maxsize=4096)
def named_columns(format: Format, text: str) -> tuple[Named, ...]:  # noqa: A002 - the word of the configuration
    """All of them, in order. Of a template that cannot be read: none."""
    if "lookup" not in text:
        return ()
    try:
        tree = parsed(format, text)
    except (TemplateError, RecursionError):
        return ()
    assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    found: dict[Named, None] = {}
    inner: set[int] = set()
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        steps = _steps(node, inner) if id(node) not in inner else None
        if steps is None or steps[0] in assigned:
            continue
        if steps[0] == "lookup":
            found[Named(node.lineno, "", _column(steps[1:2]))] = None
        elif steps[0] == "lookups" and len(steps) > 1 and steps[1] not in _METHODS:
            found[Named(node.lineno, steps[1], _column(steps[2:3]))] = None
    return tuple(sorted(found, key=lambda one: (one.line, one.path)))


def _steps(node: nodes.Expr, inner: set[int]) -> list[str] | None:
    """``lookups.hosts["site"]`` as a list of names, as far as they are constant; what lies within is noted in ``inner``."""
    steps: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            steps.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            steps.append(node.arg.value)
        else:
            steps.clear()  # what follows is a column that only the run tells
        node = node.node
        inner.add(id(node))
    return [node.name, *reversed(steps)] if isinstance(node, nodes.Name) else None


def _column(step: list[str]) -> str:
    return step[0] if step and step[0] not in _METHODS else ""


def lookups_of(plan: Plan) -> tuple[str, ...]:
    """The look-ups that the templates and tables of a plan name."""
    spec = plan.ticket
    texts: list[tuple[Format, str]] = [("text", text) for text in (spec.title.text, *plan.vars.values())]
    texts += [(spec.format, template.text) for template in (spec.body, spec.update, spec.recovery)]
    fields: JsonValue = [dict(spec.fields), dict(spec.escalated)]
    texts += [("text", text) for text in texts_in(fields)]
    named = (one.path for format_, text in texts for one in named_columns(format_, text))
    paths = [*named, *fields_in(fields)]
    return tuple(dict.fromkeys(name for path in paths for name in references(path, plan.lookup)))


def texts_in(value: JsonValue) -> Iterator[str]:
    """All texts inside a field's value."""
    if isinstance(value, str):
        yield value
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from texts_in(inner)


def fields_in(value: JsonValue) -> Iterator[str]:
    """The fields of the event by which a field's value is looked up (``from``)."""
    if isinstance(value, dict) and isinstance(value.get("from"), str) and "table" in value:
        yield str(value["from"])
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from fields_in(inner)
