"""Silences: what an operator does not want tickets of, for a while."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.json import JsonValue


@dataclass(frozen=True, slots=True)
class Silence:
    """What ``match`` (as in a rule) takes and is received within the time makes no ticket and writes to none.

    What follows an open incident (its recovery, its notes) gets through. One that was ended early keeps its record, with
    ``ends_at`` moved to that instant.
    """

    id: str
    match: Mapping[str, JsonValue]
    starts_at: float
    ends_at: float
    author: str
    comment: str
    made_at: float
