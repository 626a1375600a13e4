"""Receipts: what we acknowledged, byte for byte."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.event import Event
from gateway.model.reasons import Reason


class ReceiptStatus(StrEnum):
    """Where a receipt stands."""

    ACCEPTED = "accepted"  # on disk, not yet worked on to its end
    PROCESSED = "processed"  # parsed, routed and correlated; its actions have a life of their own
    DEAD = "dead"  # waits for a person


@dataclass(frozen=True, slots=True)
class DuplicateKey:
    """By which a repeated delivery is recognised within one source.

    A key counts as repeated only together with the same body digest, and only for ``horizon`` seconds after it was
    first seen. ``given`` is true for a key that the sender chose (``Idempotency-Key``, ``webhook-id``): such a key
    with another body is accepted with a warning. A key that was given and one that was not never meet.
    """

    value: str
    horizon: float
    given: bool = True


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """What a door hands to the journal.

    ``headers`` are the allow-listed ones, names in lower case. ``envelope`` holds what the door knows beside the body:
    ``door`` (``http``, ``smtp``, ``pipe``), ``method``, ``path``, ``query``.
    """

    id: str
    source: str
    received_at: float
    body: bytes
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    envelope: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""
    duplicate_key: DuplicateKey | None = None

    def as_receipt(self, sequence: int = 0) -> "Receipt":
        """The receipt as it is worked on for the first time, without reading it back from the journal."""
        return Receipt(
            id=self.id,
            sequence=sequence,
            source=self.source,
            received_at=self.received_at,
            body=self.body,
            content_type=self.content_type,
            headers=self.headers,
            envelope=self.envelope,
            peer=self.peer,
            tries=1,
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The journal's word that a receipt is durable, or that it was durable before under ``duplicate_of``."""

    id: str
    duplicate_of: str | None = None
    warning: Reason | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it is read back from the journal to be worked on.

    ``tries`` counts the attempts to process it, the running one included.
    """

    id: str
    sequence: int
    source: str
    received_at: float
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]
    envelope: Mapping[str, str]
    peer: str
    tries: int

    def header(self, name: str) -> str:
        """The first value of a header, by its lower-case name, or the empty string."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of a receipt: at least one event, and what it could not understand.

    Warnings are sentences for people, each naming the place.
    """

    events: tuple[Event, ...]
    warnings: tuple[str, ...] = ()
