"""What a source kind is: its settings, how its payloads are read, and how its deliveries repeat."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.models import SourceSettings
from gateway.config.values import RateLimit
from gateway.model.event import Event
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt, Parsed, Receipt


class Malformed(ValueError):
    """A payload that cannot be read. ``place`` is ``line 3, column 7`` or a field's name; ``hint`` is the way out."""

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        """``message`` says what is wrong, without the place."""
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Guard:
    """What may hold an event back before it reaches a helpdesk (`gateway.quarantine`).

    * ``hold``, ``detail``: it is held in any case, for this reason (one of `gateway.model.reasons.HELD`), in these words.
    * ``sender``: who it counts against, in a form that small changes of an address do not escape.
    * ``per_sender``, ``per_incident``: how many may go on; None is no limit.
    * ``person``: it looks as if a person wrote it; who seldom writes is not held back because of an incident's rate.
    """

    sender: str = ""
    per_sender: RateLimit | None = None
    per_incident: RateLimit | None = None
    person: bool = False
    hold: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of sender, as the registry knows it. All functions are pure and total unless said otherwise.

    * ``settings``: its configuration model.
    * ``parse(receipt, settings)``: never raises; what cannot be read becomes one event of kind `raw` with the original
      attached, and a warning that names the place.
    * ``inspect(receipt, settings)``: raises `Malformed` if the payload is not well-formed; asked before `accept`
      only where the source says ``malformed: reject``.
    * ``apart``: its payloads are always parsed in a process that can be stopped, whatever their size.
    * ``guard(event, receipt, settings)``: what may hold the event back; None for a kind or an event that nothing holds.
    * ``threads``: its events are mails, which find their incident also by what they refer to (`gateway.incidents.threads`).
    * ``default_key``: the fields of the correlation key where a route names none.
    """

    name: str
    title: str
    settings: type[SourceSettings]
    parse: Callable[[Receipt, SourceSettings], Parsed]
    inspect: Callable[[NewReceipt, SourceSettings], None]
    default_key: tuple[str, ...]
    apart: bool = False
    threads: bool = False
    guard: Callable[[Event, Receipt, SourceSettings], Guard | None] | None = None
