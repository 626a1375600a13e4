"""Paths into JSON: ``order.items[0].name``, ``labels["app.kubernetes.io/name"]``. Data, not code.

``$.`` begins at the top of the body, whatever part of it is being read: ``$.groupKey``.
"""

import re
from functools import lru_cache

from gateway.model.json import JsonValue

_STEP = re.compile(
    r'\.?(?P<name>[^.\[\]"\']+)|\[(?P<index>-?\d{1,6})\]|\.?\[?(?P<quote>["\'])(?P<quoted>.+?)(?P=quote)\]?'
)

Step = str | int
TOP = "$."


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[Step, ...]:
    """The steps of a path: names for objects, numbers for lists (from the end where negative).

    Raises:
        ValueError: with the place of the fault.
    """
    found: list[Step] = []
    at = start = len(TOP) if path.startswith(TOP) else 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (at == start and path.startswith(".", at)):
            raise ValueError(
                f"{path!r} is no path: character {at + 1} is not understood; write order.items[0].name, "
                'and names with dots in quotes: labels["app.name"]',
            )
        found.append(int(match["index"]) if match["index"] else (match["name"] or match["quoted"]))
        at = match.end()
    if not found:
        raise ValueError("a path is empty; write order.title")
    return tuple(found)


def look_up(value: JsonValue, path: str, root: JsonValue = None) -> JsonValue:
    """What stands at the path, or None where nothing does. Form fields may bear the whole path as their name.

    ``root`` is where paths with ``$.`` begin.
    """
    if path.startswith(TOP):
        value, path = root, path[len(TOP) :]
    if isinstance(value, dict) and path in value:
        return value[path]
    for step in steps(path):
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value
