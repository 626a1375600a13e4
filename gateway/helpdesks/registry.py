"""The kinds of helpdesk there are: ours, and those that other packages add.

Another package adds a kind by an entry point of the group `ticket_gateway.helpdesks` that names a `HelpdeskKind`.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from types import MappingProxyType

from pydantic import BaseModel

from gateway.config.models import HelpdeskSettings
from gateway.helpdesks.creating import CreatesOnly
from gateway.helpdesks.operations import Operation, Operator
from gateway.helpdesks.osticket.connector import CAPABILITIES, OsTicketConnector
from gateway.helpdesks.osticket.fields import check_fields
from gateway.helpdesks.osticket.operator import WHY
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.helpdesks.otobo.kind import OTOBO, ZNUNY
from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.helpdesks.smtp.kind import SMTP
from gateway.helpdesks.webhook.kind import WEBHOOK
from gateway.helpdesks.zammad.kind import ZAMMAD
from gateway.model.json import JsonValue

GROUP = "ticket_gateway.helpdesks"
"""The entry points by which other packages add kinds."""


def connect(name: str, settings: HelpdeskSettings) -> Connector:
    """The connector of a configured helpdesk; opens nothing.

    Raises:
        KeyError: no such kind.
    """
    return HELPDESK_KINDS[settings.kind].connect(name, settings)


def operate(name: str, settings: HelpdeskSettings) -> Operator | None:
    """What people use of a configured helpdesk; None if its kind has no operations for people.

    Raises:
        KeyError: no such kind.
    """
    make = HELPDESK_KINDS[settings.kind].operate
    return None if make is None else make(name, settings)


def _osticket(settings: BaseModel) -> OsTicketSettings:
    if not isinstance(settings, OsTicketSettings):
        raise TypeError(f"osTicket is configured by OsTicketSettings, not by {type(settings).__name__}")
    return settings


def _connect_osticket(name: str, settings: BaseModel) -> Connector:
    return OsTicketConnector(name, _osticket(settings))


def _check_osticket(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _osticket(settings))


def _operate_osticket(name: str, settings: BaseModel) -> Operator:
    return CreatesOnly(OsTicketConnector(name, _osticket(settings)), WHY)


_OURS = (
    HelpdeskKind(
        "osticket",
        OsTicketSettings,
        CAPABILITIES,
        _connect_osticket,
        _check_osticket,
        _operate_osticket,
        frozenset({Operation.CREATE}),
    ),
    ZAMMAD,
    OTOBO,
    ZNUNY,
    SMTP,
    WEBHOOK,
)


def _all() -> Mapping[str, HelpdeskKind]:
    """Ours and added ones. A name of ours cannot be taken over; an addition that cannot be loaded is an error."""
    kinds = {kind.name: kind for kind in _OURS}
    for point in entry_points(group=GROUP):
        kind = point.load()
        if not isinstance(kind, HelpdeskKind):
            raise TypeError(f"entry point {point.name!r} ({point.value}) is no HelpdeskKind")
        if kind.name in kinds:
            raise ValueError(
                f"entry point {point.name!r} ({point.value}): helpdesk kind {kind.name!r} is there already"
            )
        kinds[kind.name] = kind
    return MappingProxyType(kinds)


HELPDESK_KINDS: Mapping[str, HelpdeskKind] = _all()
"""Every kind of helpdesk by its name in ``kind:``."""
