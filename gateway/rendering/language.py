"""Which part of Jinja's language ticket templates may use, and how it is rewritten to charge the budget.

Refused are all ways to other templates, macros and blocks (they could recurse), and everything that would print text
as HTML without escaping it. What is left can only repeat through ``for``.
"""

import difflib
from collections.abc import Collection, Iterable

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError
from jinja2.visitor import NodeTransformer

from gateway.rendering.budget import MAX_NUMBER_BITS

MAX_TEMPLATE = 262_144
"""Characters of one template."""
MAX_CHAIN = 8
"""Comparisons in one chain: ``a < b < c`` has two."""

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "`include` is not part of ticket templates; write the text out, or use `vars` of the route",
    nodes.Import: "`import` is not part of ticket templates",
    nodes.FromImport: "`from ... import` is not part of ticket templates",
    nodes.Extends: "`extends` is not part of ticket templates",
    nodes.Block: "`block` is not part of ticket templates",
    nodes.Macro: "`macro` is not part of ticket templates; a `for` over a list of rows does the same",
    nodes.CallBlock: "`call` blocks are not part of ticket templates",
    nodes.FilterBlock: "`filter` blocks are not part of ticket templates; use `{% set x %}...{% endset %}{{ x | ... }}`",
    nodes.ScopedEvalContextModifier: "`autoescape` is not part of ticket templates; the file's format decides",
    nodes.EvalContextModifier: "this tag is not part of ticket templates",
}

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.With,
    nodes.Scope,
    nodes.Name,
    nodes.NSRef,
    nodes.Const,
    nodes.Tuple,
    nodes.List,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getitem,
    nodes.Getattr,
    nodes.Slice,
    nodes.Concat,
    nodes.Compare,
    nodes.Operand,
    nodes.BinExpr,
    nodes.UnaryExpr,
)


def near(word: str, words: Iterable[str]) -> str:
    """The near match as a hint: ``did you mean `upper`?``, or the empty string."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""


def check(template: nodes.Template, *, filters: Collection[str], tests: Collection[str]) -> None:
    """Refuse what is not part of the language.

    Raises:
        TemplateAssertionError: with the line.
    """
    stack: list[nodes.Node] = [template]
    while stack:
        node = stack.pop()
        fault = _fault(node, filters, tests)
        if fault:
            raise TemplateAssertionError(fault, node.lineno)
        stack.extend(node.iter_child_nodes())


def _fault(node: nodes.Node, filters: Collection[str], tests: Collection[str]) -> str:
    for kind, message in _REFUSED.items():
        if isinstance(node, kind):
            return message
    if not isinstance(node, _ALLOWED):
        return f"`{type(node).__name__.lower()}` is not part of ticket templates"
    if isinstance(node, nodes.Filter) and (node.name not in filters or node.name.startswith("_")):
        public = [name for name in filters if not name.startswith("_")]
        return f"there is no filter `{node.name}` here; {near(node.name, public) or 'see docs/templates.md'}"
    if isinstance(node, nodes.Test) and node.name not in tests:
        return f"there is no test `{node.name}` here; {near(node.name, tests) or 'see docs/templates.md'}"
    if isinstance(node, nodes.For) and node.recursive:
        return "`recursive` loops are not part of ticket templates"
    if isinstance(node, nodes.AssignBlock) and node.filter is not None:
        return "a `set` block takes no filter; filter the variable where it is used"
    if isinstance(node, nodes.Compare) and len(node.ops) > MAX_CHAIN:
        return f"more than {MAX_CHAIN} comparisons in one chain"
    if isinstance(node, nodes.Const) and isinstance(node.value, int) and node.value.bit_length() > MAX_NUMBER_BITS:
        return "this number is too large"
    return ""


def charged(template: nodes.Template) -> nodes.Template:
    """The same template, every costly place of it charging the budget."""
    rewritten = _Charge().visit(template)
    assert isinstance(rewritten, nodes.Template)
    return rewritten


def _filter(name: str, value: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


class _Charge(NodeTransformer):
    """Wraps what repeats or grows into the internal filters of `gateway.rendering.filters`."""

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        """The node as it shall run, its children first."""
        self.generic_visit(node, *args, **kwargs)
        match node:
            case nodes.For(iter=nodes.Expr() as items):
                text = nodes.Const(_constant_text(node.body), lineno=node.lineno)
                node.iter = _filter("_each", items, text)
                return node
            case nodes.Concat():
                return _filter("_concat", nodes.List(node.nodes, lineno=node.lineno))
            case nodes.Compare() | nodes.Test():
                return _filter("_tick", node)
            case nodes.List() | nodes.Dict() | nodes.Tuple(ctx="load"):
                return _filter("_keep", node)
            case nodes.Getitem(arg=nodes.Slice()):
                return _filter("_part", node)
            case _:
                return node


def _constant_text(body: Iterable[nodes.Node]) -> int:
    """Characters of constant text that one pass through ``body`` may print; loops within charge their own."""
    total = 0
    stack = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.TemplateData):
            total += len(node.data)
        stack.extend(node.else_ if isinstance(node, nodes.For) else node.iter_child_nodes())
    return total
