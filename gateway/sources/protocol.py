"""What a source kind is: its settings, how its payloads are read, and how its deliveries repeat."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.models import SourceSettings
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
class SourceKind:
    """A kind of sender, as the registry knows it. All functions are pure and total unless said otherwise.

    * ``settings``: its configuration model.
    * ``parse(receipt, settings)``: never raises; what cannot be read becomes one event of kind `raw` with the original
      attached, and a warning that names the place.
    * ``inspect(receipt, settings)``: raises `Malformed` if the payload is not well-formed; asked before `accept`
      only where the source says ``malformed: reject``.
    * ``apart``: its payloads are always parsed in a process that can be stopped, whatever their size.
    * ``default_key``: the fields of the correlation key where a route names none.
    """

    name: str
    title: str
    settings: type[SourceSettings]
    parse: Callable[[Receipt, SourceSettings], Parsed]
    inspect: Callable[[NewReceipt, SourceSettings], None]
    default_key: tuple[str, ...]
    apart: bool = False
