"""Paths into JSON answers: `data.0.id`. A path through a list without an index goes into each of its elements."""

from collections.abc import Iterator

from gateway.model.json import JsonValue


def one(value: JsonValue, path: str) -> JsonValue:
    """The first value there that is not null; None if there is none. The empty path is the value itself."""
    return next((found for found in every(value, path) if found is not None), None)


def at(value: JsonValue, path: str) -> JsonValue:
    """What stands exactly there, a list as it is; None if there is nothing."""
    for step in [step for step in path.split(".") if step]:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


def every(value: JsonValue, path: str) -> Iterator[JsonValue]:
    """All values there; lists at the end of the path give their elements."""
    yield from _below(value, [step for step in path.split(".") if step])


def _below(value: JsonValue, steps: list[str]) -> Iterator[JsonValue]:
    if not steps:
        yield from value if isinstance(value, list) else [value]
    elif isinstance(value, dict):
        if steps[0] in value:
            yield from _below(value[steps[0]], steps[1:])
    elif isinstance(value, list):
        if steps[0].isascii() and steps[0].isdigit():
            if int(steps[0][:9]) < len(value):
                yield from _below(value[int(steps[0][:9])], steps[1:])
        else:
            for element in value:
                yield from _below(element, steps)
