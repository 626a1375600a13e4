"""The sandbox in which ticket templates run: plain data, strict names, one budget per rendering.

`compiled` gives a template ready to run, from a cache; `run` runs it once. Whatever goes wrong, at compile time or at
run time, is a `RenderFailed` that names the template and its line.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import BuiltinMethodType, MethodType
from typing import Any, Final, Literal

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.runtime import Context as Names
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Namespace
from markupsafe import Markup, escape

from gateway.rendering.budget import DEFAULT_LIMITS, Budget, Limits, OverBudget, running, spending
from gateway.rendering.filters import FILTERS, METHODS, shown
from gateway.rendering.language import MAX_TEMPLATE, charged, check
from gateway.rendering.operators import OPERATORS
from gateway.rendering.row import Row
from gateway.rendering.words import words

Format = Literal["text", "html"]
FILENAME: Final = "<ticket template>"
MAX_RANGE: Final = 100_000

_TEXT_METHODS = words(
    """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric
    isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip
    split splitlines startswith strip swapcase title upper
    """,
)
_LOOP = frozenset({"first", "last", "index", "index0", "revindex", "revindex0", "length", "depth", "depth0"})
"""What a loop tells of itself: numbers and booleans, which need no further look."""
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_ALLOWED_TESTS = {name: test for name, test in TESTS.items() if name not in {"callable", "filter", "test"}}


class RenderFailed(Exception):
    """A template cannot be compiled or run: its name, its own line (0: not known), and what is wrong."""

    def __init__(self, template: str, line: int, message: str) -> None:
        super().__init__(template, line, message)
        self.template = template
        self.line = line
        self.message = message

    def __str__(self) -> str:
        place = f"{self.template}, line {self.line}" if self.line else self.template
        return f"{place}: {self.message}"


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise OverBudget(f"range gives at most {MAX_RANGE:,} numbers")
    return numbers


@pass_context
def _text_output(_: Names, value: object) -> str:
    """What is printed in a text template."""
    text = shown(value)
    running().prints(len(text))
    return text


@pass_context
def _html_output(_: Names, value: object) -> str:
    """What is printed in an HTML template: escaped, unless it is HTML."""
    text = shown(value)
    budget = running()
    budget.prints(len(text))
    if not isinstance(text, Markup):
        before = len(text)
        text = escape(text)
        budget.prints(len(text) - before)
    return text


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, narrowed: data has items and a few harmless methods, nothing else has anything."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self, format: Format) -> None:  # noqa: A002 - the word of the configuration
        super().__init__(
            autoescape=format == "html",
            finalize=_html_output if format == "html" else _text_output,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants are reckoned at run time, where a budget is watching
            cache_size=0,
        )
        self.filters = dict(FILTERS)
        self.tests = dict(_ALLOWED_TESTS)
        self.globals = {"range": _range, "namespace": Namespace}
        self.binop_table = dict(OPERATORS)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_TEMPLATE:
            raise TemplateSyntaxError(f"a template has at most {MAX_TEMPLATE:,} characters", 1)
        template = super()._parse(source, name, filename)
        check(template, filters=self.filters, tests=self.tests)
        return charged(template)

    def tree(self, text: str) -> nodes.Template:
        """A template's syntax tree, which is not to be changed.

        Raises:
            TemplateSyntaxError: if it is none of ours.
        """
        return self._parse(text, None, FILENAME)

    def getattr(self, obj: object, attribute: str) -> object:
        """``obj.attribute`` in a template."""
        if isinstance(obj, Undefined):
            return str(obj)  # strict: raises the error that names the variable
        if attribute.startswith("_"):
            return self.unsafe_undefined(obj, attribute)
        if isinstance(obj, dict):
            if attribute in _MAPPING_METHODS:
                return getattr(obj, attribute)
            return obj[attribute] if attribute in obj else self.undefined(_why(obj), obj=obj, name=attribute)
        if isinstance(obj, str):
            if attribute in METHODS:
                return partial(METHODS[attribute], obj)
            return getattr(str(obj), attribute) if attribute in _TEXT_METHODS else self._refused(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, LoopContext | Namespace) or (isinstance(obj, tuple) and attribute in _names_of(obj)):
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """``obj[argument]`` in a template."""
        if isinstance(argument, str) and not isinstance(obj, dict):
            return self.getattr(obj, argument)
        container: Any = obj
        try:
            return container[argument]
        except (TypeError, LookupError):
            return self.undefined(_why(obj), obj=obj, name=str(argument)[:100])

    def call(self, context: Names, obj: object, /, *args: object, **kwargs: object) -> object:
        """``obj(...)`` in a template."""
        if isinstance(obj, Undefined):
            return str(obj)  # strict: raises the error that names the variable
        if not (isinstance(obj, BuiltinMethodType | MethodType | partial) or obj in (_range, Namespace)):
            raise SecurityError(f"{shown(obj)!r} cannot be called")
        budget = running()
        budget.tick()
        return budget.keep(context.call(obj, *args, **kwargs))

    def _refused(self, obj: object, attribute: str) -> Undefined:
        kind = "text" if isinstance(obj, str) else type(obj).__name__
        return self.undefined(
            f"`{attribute}` of a {kind} is not part of ticket templates; see the filters", exc=SecurityError
        )


def _why(obj: object) -> str | None:
    """Why something has nothing, where it knows."""
    return (obj.why or None) if isinstance(obj, Row) else None


def _names_of(value: tuple[object, ...]) -> tuple[str, ...]:
    names = getattr(type(value), "_fields", ())
    return names if isinstance(names, tuple) else ()


ENVIRONMENTS: dict[str, Sandbox] = {"text": Sandbox("text"), "html": Sandbox("html")}
"""By format."""


@lru_cache(maxsize=64)
def parsed(format: Format, text: str) -> nodes.Template:  # noqa: A002 - the word of the configuration
    """A template's syntax tree, from a cache: what is checked is compiled next."""
    return ENVIRONMENTS[format].tree(text)


@lru_cache(maxsize=1024)
def _compiled(format: Format, text: str) -> Template:  # noqa: A002 - the word of the configuration
    environment = ENVIRONMENTS[format]
    code = environment.compile(parsed(format, text), name=None, filename=FILENAME)
    return Template.from_code(environment, code, environment.make_globals(None))


def compiled(format: Format, name: str, text: str) -> Template:  # noqa: A002 - the word of the configuration
    """The template, compiled; from a cache if its text was seen before.

    Raises:
        RenderFailed: if the text is no template of ours.
    """
    try:
        return _compiled(format, text)
    except TemplateSyntaxError as error:
        raise RenderFailed(name, error.lineno, error.message or "syntax error") from None
    except RecursionError:
        raise RenderFailed(name, 0, "the template nests too deeply") from None
    except (SyntaxError, ValueError, OverflowError, MemoryError, TemplateError) as error:
        raise RenderFailed(name, 0, f"the template cannot be compiled: {error}") from None


def run(
    format: Format,  # noqa: A002 - the word of the configuration
    name: str,
    text: str,
    names: Mapping[str, object],
    *,
    clock: Callable[[], float],
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Render a template once. ``names`` must be plain data: texts, numbers, lists and dicts, never changed by this.

    Raises:
        RenderFailed: whatever goes wrong, with the template's line.
    """
    template = compiled(format, name, text)
    try:
        with spending(Budget(clock, limits)):
            return "".join(template.root_render_func(template.new_context(dict(names))))
    except RecursionError:
        raise RenderFailed(name, 0, "the template nests too deeply") from None
    except Exception as error:  # noqa: BLE001 - a template can raise anything; all of it becomes one error with its place
        raise RenderFailed(name, _line(template, error), _message(error)) from None


def evaluate(
    name: str,
    expression: str,
    names: Mapping[str, object],
    *,
    clock: Callable[[], float],
    limits: Limits = DEFAULT_LIMITS,
) -> object:
    """The value of one expression, with its type; jinja2's `Undefined` where it names what is not there.

    Raises:
        RenderFailed: whatever goes wrong.
    """
    template = compiled("text", name, f"{{% set value = {expression} %}}")
    context = template.new_context(dict(names))
    try:
        with spending(Budget(clock, limits)):
            for _ in template.root_render_func(context):
                pass  # it prints nothing
    except RecursionError:
        raise RenderFailed(name, 0, "the template nests too deeply") from None
    except Exception as error:  # noqa: BLE001 - as in `run`
        raise RenderFailed(name, _line(template, error), _message(error)) from None
    return context.vars["value"]


def _line(template: Template, error: BaseException) -> int:
    """The template's own line on which ``error`` was raised."""
    line = 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _message(error: Exception) -> str:
    if isinstance(error, UndefinedError):
        return (error.message or "a variable is not known").replace("'dict object'", "this mapping")
    if isinstance(error, OverBudget | TemplateError | ValueError | TypeError | OverflowError):
        return str(error)[:500]
    return f"{type(error).__name__}: {error}"[:500]
