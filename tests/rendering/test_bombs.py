"""Templates that would eat memory or time; each must end in an error, soon and cheaply (threats C1, C2)."""

import time
import tracemalloc

import pytest

from gateway.rendering.budget import Limits
from gateway.rendering.environment import Format, RenderFailed, run

BIG = "x" * 200_000
NAMES: dict[str, object] = {"big": BIG, "text": "a<b", "number": 7, "items": ["a", "b"], "labels": {"a": "b"}}


def grown(start: str, grow: str) -> str:
    """A template that makes a value larger sixty times."""
    return "{% set n = namespace(v=" + start + ") %}{% for i in range(60) %}{% set n.v = " + grow + " %}{% endfor %}"


BOMBS = {
    "nested loops": "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3,
    "loops that print": "{% for a in range(9999) %}{% for b in range(9999) %}0123456789{% endfor %}{% endfor %}",
    "a loop over much constant text": "{% for a in range(99999) %}" + "y" * 1000 + "{% endfor %}",
    "a loop over a large value": "{% for a in range(99999) %}{{ big }}{% endfor %}",
    "a filtered loop": "{% for a in range(99999) if a < 0 %}{% endfor %}{% for a in range(99999) if a < 0 %}{% endfor %}",
    "range too wide": "{{ range(10**8) | list }}",
    "range times range": "{% for a in range(99999) %}{{ range(99999) | list | length }}{% endfor %}",
    "center": "{{ 'a'.center(10**9) }}",
    "center as filter": "{{ 'a' | center(10**9) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "format": "{{ '{:999999999}'.format(1) }}",
    "format_map": "{{ '{a:999999999}'.format_map({'a': 1}) }}",
    "percent": "{{ '%999999999d' % 1 }}",
    "percent with a star": "{{ '%*d' % (999999999, 1) }}",
    "percent precision": "{{ '%.999999999f' % 1 }}",
    "percent with a mapping": "{{ '%(a)999999999s' % {'a': 1} }}",
    "format filter": "{{ '%999999999d' | format(1) }}",
    "many directives": "{{ ('%s' * 1000) | format(big) }}",
    "text times number": "{{ 'a' * 10**9 }}",
    "number times text": "{{ 10**9 * 'a' }}",
    "list times number": "{{ ([1] * 10**8) | length }}",
    "power": "{{ 10 ** (10 ** 8) }}",
    "squares": grown("3", "n.v * n.v") + "{{ n.v }}",
    "doubling by tilde": grown("'a'", "n.v ~ n.v"),
    "doubling by plus": grown("'a'", "n.v + n.v"),
    "doubling by join": grown("'a'", "[n.v, n.v]|join"),
    "doubling by join method": grown("'a'", "''.join([n.v,n.v])"),
    "doubling lists": grown("[1]", "[n.v, n.v]") + "{{ n.v == n.v }}",
    "flat doubling lists": grown("[1]", "n.v + n.v"),
    "doubling mappings": grown("1", "{1: n.v, 2: n.v}"),
    "doubling by set block": "{% set n = namespace(v='aa') %}"
    "{% for i in range(60) %}{% set v %}{{ n.v }}{{ n.v }}{% endset %}{% set n.v = v %}{% endfor %}",
    "many large values": "".join(f"{{% set v{i} = big ~ {i} %}}" for i in range(500)),
    "many large slices": "".join(f"{{% set v{i} = big[1:] %}}" for i in range(500)),
    "replace": "{{ big | replace('x', big) }}",
    "replace method": "{{ big.replace('x', big) }}",
    "replace of nothing": "{{ big | replace('', big) }}",
    "join": "{{ range(90000) | join(big) }}",
    "indent": "{{ ('\n' * 100000) | indent(10**6) }}",
    "indent within bounds": "{{ ('\nx' * 100000) | indent(200) }}",
    "wordwrap": "{{ big | wordwrap(1, wrapstring=big) }}",
    "batch": "{{ [1] | batch(10**9, 'x') | list }}",
    "slice": "{{ [1] | slice(10**9) | list }}",
    "round": "{{ 1.5 | round(10**9, 'ceil') }}",
    "tojson": "{{ [big, big, big, big, big, big] | tojson }}",
    "time format": "{{ 1 | time(format='%Y' * 5000) }}",
    "time format width": "{{ 1 | time(format='%999999999Y') }}",
    "urlencode": "{{ (big ~ '<' * 700000) | urlencode }}",
    "escape": "{{ ('<' * 900000) | escape }}",
    "split": "{% for i in range(999) %}{% set a = ('a ' * 400000).split() %}{% endfor %}",
    "sum of lists": "{{ ([[1]] | sum(start=[])) }}",
    "lipsum": "{{ lipsum(n=10**8) }}",
    "cycler": "{{ cycler(1) }}",
    "comparisons": "{% for i in range(99999) %}{% if 'y' in big %}{% endif %}{% endfor %}",
    "membership in a range": "{% for i in range(99999) %}{% if 1.5 in range(99999) %}{% endif %}{% endfor %}",
    "recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "recursive macro": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "deep source": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "long number": "{{ " + "9" * 5000 + " }}",
    "long hexadecimal number": "{{ 0x" + "f" * 100000 + " % 7 }}",
    "long text": "z" * 300_000 + "{{ number }}",
}


@pytest.mark.parametrize("format_", ["text", "html"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_in_an_error(bomb: str, format_: Format) -> None:
    began = time.monotonic()
    with pytest.raises(RenderFailed) as failed:
        run(format_, "templates/bomb/body", BOMBS[bomb], NAMES, clock=time.monotonic)
    assert failed.value.template == "templates/bomb/body"
    assert failed.value.message
    assert time.monotonic() - began < 3, "one second of budget, and a slow machine"


@pytest.mark.parametrize("bomb", ["many large values", "split", "flat doubling lists", "squares", "range times range"])
def test_a_bomb_takes_little_memory(bomb: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RenderFailed):
            run("text", "t", BOMBS[bomb], NAMES, clock=lambda: 0.0)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_the_clock_ends_a_template_that_does_little_but_long() -> None:
    ticks = iter(range(1000))
    with pytest.raises(RenderFailed, match="longer than 1 s") as failed:
        run("text", "t", "\n{% for i in range(50) %}{% endfor %}", NAMES, clock=lambda: next(ticks) / 10)
    assert failed.value.line == 2


def test_the_limits_are_those_that_are_given() -> None:
    template = "{% for i in range(30) %}ab{% endfor %}"
    assert run("text", "t", template, {}, clock=lambda: 0.0, limits=Limits(output=60, steps=40)) == "ab" * 30
    with pytest.raises(RenderFailed, match="prints more than 59"):
        run("text", "t", template, {}, clock=lambda: 0.0, limits=Limits(output=59))
    with pytest.raises(RenderFailed, match="more than 29 steps"):
        run("text", "t", template, {}, clock=lambda: 0.0, limits=Limits(steps=29))


ESCAPES = {
    "classes": "{{ ''.__class__.__mro__ }}",
    "attr filter": "{{ '' | attr('__class__') }}",
    "item for attribute": "{{ ''['__class__'] }}",
    "map attribute": "{{ [''] | map(attribute='__class__') | list }}",
    "sort attribute": "{{ ['', 'a'] | sort(attribute='__class__') }}",
    "globals of a function": "{{ range.__globals__ }}",
    "globals of a method": "{{ namespace.__init__.__globals__ }}",
    "cycler": "{{ cycler.__init__.__globals__ }}",
    "self": "{{ self.__init__ }}",
    "loop": "{% for a in [1] %}{{ loop.__init__ }}{{ loop._iterator }}{% endfor %}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "percent": "{{ '%(a)s' % labels.__class__ }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "from import": "{% from 'os' import x %}",
    "extends": "{% extends 'a' %}",
    "mutation": "{% set x = labels.update({'a': 1}) %}",
    "list mutation": "{{ items.append(1) }}",
    "calling a text": "{{ text() }}",
    "internal filters": "{{ 1 | _keep }}",
    "safe": "{{ text | safe }}",
    "autoescape off": "{% autoescape false %}{{ text }}{% endautoescape %}",
    "filter block": "{% filter upper %}{{ text }}{% endfilter %}",
    "set block with a filter": "{% set a | upper %}{{ text }}{% endset %}",
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_nothing_but_plain_data_can_be_reached(escape: str) -> None:
    with pytest.raises(RenderFailed):
        run("html", "t", ESCAPES[escape], NAMES, clock=time.monotonic)
