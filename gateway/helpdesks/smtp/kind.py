"""Mail as the registry knows it."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from gateway.helpdesks.creating import CreatesOnly
from gateway.helpdesks.operations import Operation, Operator
from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.helpdesks.smtp.connector import CAPABILITIES, SmtpConnector
from gateway.helpdesks.smtp.fields import check_fields
from gateway.helpdesks.smtp.settings import SmtpSettings
from gateway.model.json import JsonValue

_SENT = ("nothing comes back of a mail but the mail server's word", "open the ticket in the helpdesk")
_WHY: Mapping[Operation, tuple[str, str]] = {
    operation: _SENT for operation in Operation if operation is not Operation.CREATE
}


def _settings(settings: BaseModel) -> SmtpSettings:
    if not isinstance(settings, SmtpSettings):
        raise TypeError(f"mail is configured by SmtpSettings, not by {type(settings).__name__}")
    return settings


def _connect(name: str, settings: BaseModel) -> Connector:
    return SmtpConnector(name, _settings(settings))


def _check(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _settings(settings))


def _operate(name: str, settings: BaseModel) -> Operator:
    return CreatesOnly(SmtpConnector(name, _settings(settings)), _WHY)


SMTP = HelpdeskKind("smtp", SmtpSettings, CAPABILITIES, _connect, _check, _operate, frozenset({Operation.CREATE}))
"""The kind."""
