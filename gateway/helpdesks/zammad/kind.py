"""Zammad as the registry knows it."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from gateway.helpdesks.operations import Operation, Operator
from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.helpdesks.zammad.connector import CAPABILITIES, ZammadConnector
from gateway.helpdesks.zammad.fields import check_fields
from gateway.helpdesks.zammad.operator import ZammadOperator
from gateway.helpdesks.zammad.settings import ZammadSettings
from gateway.model.json import JsonValue


def _settings(settings: BaseModel) -> ZammadSettings:
    if not isinstance(settings, ZammadSettings):
        raise TypeError(f"Zammad is configured by ZammadSettings, not by {type(settings).__name__}")
    return settings


def _connect(name: str, settings: BaseModel) -> Connector:
    return ZammadConnector(name, _settings(settings))


def _check(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _settings(settings))


def _operate(name: str, settings: BaseModel) -> Operator:
    return ZammadOperator(name, _settings(settings))


ZAMMAD = HelpdeskKind("zammad", ZammadSettings, CAPABILITIES, _connect, _check, _operate, frozenset(Operation))
"""The kind."""
