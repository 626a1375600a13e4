"""Mail as the registry knows it."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.helpdesks.smtp.connector import CAPABILITIES, SmtpConnector
from gateway.helpdesks.smtp.fields import check_fields
from gateway.helpdesks.smtp.settings import SmtpSettings
from gateway.model.json import JsonValue


def _settings(settings: BaseModel) -> SmtpSettings:
    if not isinstance(settings, SmtpSettings):
        raise TypeError(f"mail is configured by SmtpSettings, not by {type(settings).__name__}")
    return settings


def _connect(name: str, settings: BaseModel) -> Connector:
    return SmtpConnector(name, _settings(settings))


def _check(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _settings(settings))


SMTP = HelpdeskKind("smtp", SmtpSettings, CAPABILITIES, _connect, _check)
"""The kind."""
