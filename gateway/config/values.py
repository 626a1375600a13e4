"""Values with units as they are written in YAML: durations, sizes, rates, secrets, addresses to listen on."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB|GB|GiB)", re.ASCII)
_BYTES = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h|d)", re.ASCII)


def duration(value: object) -> float:
    """Seconds from ``90s``, ``5m``, ``1h``, ``3d``, ``300ms`` or a joined form such as ``1h30m``.

    Raises:
        ValueError: with the accepted forms.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)  # an already validated value
    text = value.strip() if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"{value!r} is no duration; write a number with a unit: 300ms, 90s, 5m, 1h, 3d, 2w")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration_text(seconds: float) -> str:
    """A duration as it is written in the file: ``90s``, ``3d``; what is no whole number of a unit in a smaller one."""
    for unit in ("w", "d", "h", "m"):
        count = seconds / _SECONDS[unit]
        if count.is_integer() and (count > 1 or unit in {"h", "d"}) and count:
            return f"{count:.0f}{unit}"
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"


def size_text(octets: int) -> str:
    """A size as it is written in the file: ``25MiB``, ``512B``."""
    for unit in ("GiB", "MiB", "KiB"):
        if octets and octets % _BYTES[unit] == 0:
            return f"{octets // _BYTES[unit]}{unit}"
    return f"{octets}B"


def size(value: object) -> int:
    """Octets from ``25MiB``, ``64 KiB``, ``1GB``.

    Raises:
        ValueError: with the accepted forms.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no size; write a number with a unit: 512B, 64KiB, 25MiB, 1GiB")
    return int(float(match[1]) * _BYTES[match[2]])


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` in ``per`` seconds."""

    count: float
    per: float


def rate(value: object) -> RateLimit:
    """A rate from ``10/s``, ``200/h``.

    Raises:
        ValueError: with the accepted forms.
    """
    if isinstance(value, RateLimit):
        return value
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no rate; write a number per unit: 10/s, 60/m, 200/h")
    return RateLimit(float(match[1]), _SECONDS[match[2]])


def rate_or_off(value: object) -> RateLimit | None:
    """A rate, or None for ``off``.

    Raises:
        ValueError: with the accepted forms.
    """
    if value is None or value == "off":
        return None
    try:
        limit = rate(value)
    except ValueError:
        raise ValueError(f"{value!r} is no rate; write a number per unit: 200/h, 2000/d; or off") from None
    if limit.count < 1:
        raise ValueError(f"{value!r}: at least one; write off for no limit, or pause the helpdesk")
    return limit


def rate_text(limit: RateLimit) -> str:
    """A rate as it is written in the file: ``10/s``."""
    unit = next(unit for unit, seconds in _SECONDS.items() if seconds == limit.per)
    return f"{limit.count:g}/{unit}"


class Secret(str):
    """A secret value: it prints as ``<secret>``; `reveal` gives the text at the one place that needs it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    def __str__(self) -> str:
        return "<secret>"

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def reveal(self) -> str:
        """The secret itself."""
        return str.__str__(self)


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("a secret is a text; put it in quotes")  # noqa: TRY004 - pydantic wants ValueError
    if not value:
        raise ValueError("the secret is empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError("the secret holds a control character or a line break")
    return Secret(value)


Duration = Annotated[
    float,
    BeforeValidator(duration),
    WithJsonSchema(
        {"type": ["string", "number"], "description": "A time with a unit.", "examples": ["90s", "5m", "1h30m"]}
    ),
]
Size = Annotated[
    int,
    BeforeValidator(size),
    WithJsonSchema({"type": ["string", "integer"], "description": "A size with a unit.", "examples": ["25MiB"]}),
]
Rate = Annotated[
    RateLimit,
    BeforeValidator(rate),
    WithJsonSchema({"type": "string", "description": "A number per unit of time.", "examples": ["10/s"]}),
]
RateOrOff = Annotated[
    RateLimit | None,
    BeforeValidator(rate_or_off),
    WithJsonSchema(
        {"type": "string", "description": "A number per unit of time, or off.", "examples": ["200/h", "off"]}
    ),
]
SecretText = Annotated[
    Secret,
    BeforeValidator(_secret),
    WithJsonSchema({"type": "string", "description": "A secret; best as `${env:NAME}` or `${file:PATH}`."}),
]
