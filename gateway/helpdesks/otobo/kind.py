"""OTOBO and Znuny as the registry knows them."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from gateway.helpdesks.operations import Operation, Operator
from gateway.helpdesks.otobo.connector import CAPABILITIES
from gateway.helpdesks.otobo.fields import check_fields
from gateway.helpdesks.otobo.operator import OtoboOperator
from gateway.helpdesks.otobo.settings import OtoboSettings, WebService, ZnunySettings
from gateway.helpdesks.otobo.setup import OtoboSetup
from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.model.json import JsonValue


def _settings(settings: BaseModel) -> WebService:
    if not isinstance(settings, WebService):
        raise TypeError(f"OTOBO and Znuny are configured by WebService, not by {type(settings).__name__}")
    return settings


def _connect(name: str, settings: BaseModel) -> Connector:
    return OtoboSetup(name, _settings(settings))


def _check(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _settings(settings))


def _operate(name: str, settings: BaseModel) -> Operator:
    return OtoboOperator(name, _settings(settings))


_OPERATIONS = frozenset(Operation) - {Operation.DELETE}  # with routes for an operation of one's own it can
OTOBO = HelpdeskKind("otobo", OtoboSettings, CAPABILITIES, _connect, _check, _operate, _OPERATIONS)
"""The kind."""

ZNUNY = HelpdeskKind("znuny", ZnunySettings, CAPABILITIES, _connect, _check, _operate, _OPERATIONS)
"""The kind; it differs in its name and prefix."""
