"""What a helpdesk needs before the gateway can use it, and the proof that it has it.

A connector that has something to set up, or that can try a route's fields without making a ticket, has these methods
beside those of `gateway.helpdesks.protocol.Connector`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.helpdesks.protocol import Http
from gateway.model.json import JsonValue


@dataclass(frozen=True, slots=True)
class SetupFile:
    """Something for the helpdesk's administrator: a file to import, and how (``steps``, for people)."""

    name: str
    text: str
    steps: str


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was tried. ``well`` is None where it can be neither proven nor disproven yet."""

    what: str
    well: bool | None
    detail: str = ""


@runtime_checkable
class SetsUp(Protocol):
    """A connector whose helpdesk has to be prepared."""

    def setup_files(self) -> Sequence[SetupFile]:
        """What to import. Pure."""
        ...

    async def prove(self, http: Http, *, timeout: float) -> Sequence[Proof]:
        """Try everything that the connector relies on; makes no ticket. Never raises for what a helpdesk does."""
        ...


@runtime_checkable
class Rehearses(Protocol):
    """A connector that can have fields checked by the helpdesk without making a ticket."""

    async def rehearse(self, fields: Mapping[str, JsonValue], http: Http, *, timeout: float) -> str:
        """What the helpdesk has against them, in its words; empty if it would take them."""
        ...


def rehearsals(fields: Mapping[str, JsonValue], most: int = 20) -> list[dict[str, JsonValue]]:
    """Sets of constant fields that between them hold every constant value of a route's ``ticket.fields``.

    Templates are left out: their values are known only with an event. Of tables each value is tried once, the first of
    every table together; at most ``most`` sets.
    """
    first: dict[str, JsonValue] = {}
    others: list[tuple[str, JsonValue]] = []
    for name, value in fields.items():
        table = value.get("table") if isinstance(value, dict) else None
        values = list(table.values()) if isinstance(table, dict) else [value]
        constant = [one for one in values if not _is_open(one)]
        if constant:
            first[name] = constant[0]
            others += [(name, one) for at, one in enumerate(constant) if one not in constant[:at] and at]
    return [first, *({**first, name: value} for name, value in others[: most - 1])]


def _is_open(value: JsonValue) -> bool:
    if isinstance(value, list):
        return any(_is_open(one) for one in value)
    return isinstance(value, dict) or (isinstance(value, str) and any(sign in value for sign in ("{{", "{%", "{#")))
