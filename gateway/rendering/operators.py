"""The arithmetic of templates, bounded before it is done."""

import operator
from collections.abc import Callable

from gateway.rendering.budget import OverBudget, number_is_small, running
from gateway.rendering.filters import plain, printf

Operator = Callable[[object, object], object]
_LONGEST_EXPONENT = 4096


def _numbers(left: object, right: object) -> None:
    for value in (left, right):
        if isinstance(value, int):
            number_is_small(value)


def _add(left: object, right: object) -> object:
    if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        running().allows(len(left) + len(right))
    return operator.add(plain(left), plain(right))


def _multiply(left: object, right: object) -> object:
    for text, times in ((left, right), (right, left)):
        if isinstance(text, str) and isinstance(times, int):
            running().allows(len(text) * max(times, 0))
            return operator.mul(str(plain(text)), times)
        if isinstance(text, list | tuple):
            raise TypeError("a list cannot be multiplied in a ticket template")
    return operator.mul(left, right)


def _power(left: object, right: object) -> object:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _LONGEST_EXPONENT:
        raise OverBudget("the template makes a number of more than 1,200 digits")
    return operator.pow(left, right)


def _modulo(left: object, right: object) -> object:
    if not isinstance(left, str):
        return operator.mod(left, right)
    if isinstance(right, dict):
        return printf(left, **{str(key): value for key, value in right.items()})
    return printf(left, *(right if isinstance(right, tuple) else (right,)))


def _bounded(function: Operator) -> Operator:
    def bounded(left: object, right: object) -> object:
        budget = running()
        budget.tick()
        _numbers(left, right)
        return budget.keep(function(left, right))

    return bounded


OPERATORS: dict[str, Operator] = {
    "+": _bounded(_add),
    "-": _bounded(operator.sub),
    "*": _bounded(_multiply),
    "/": _bounded(operator.truediv),
    "//": _bounded(operator.floordiv),
    "%": _bounded(_modulo),
    "**": _bounded(_power),
}
"""By the sign they have in a template."""
