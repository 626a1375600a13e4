"""Any HTTP API, as the registry knows it."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from gateway.helpdesks.creating import CreatesOnly
from gateway.helpdesks.operations import Operation, Operator
from gateway.helpdesks.protocol import Connector, HelpdeskKind
from gateway.helpdesks.webhook.connector import CAPABILITIES, WebhookConnector
from gateway.helpdesks.webhook.fields import check_fields
from gateway.helpdesks.webhook.settings import WebhookSettings
from gateway.model.json import JsonValue

_NOT_DESCRIBED = ("only the requests of actions are configured, none that reads", "open the ticket in the helpdesk")
_WHY: Mapping[Operation, tuple[str, str]] = {
    operation: _NOT_DESCRIBED for operation in Operation if operation is not Operation.CREATE
}


def _settings(settings: BaseModel) -> WebhookSettings:
    if not isinstance(settings, WebhookSettings):
        raise TypeError(f"a webhook is configured by WebhookSettings, not by {type(settings).__name__}")
    return settings


def _connect(name: str, settings: BaseModel) -> Connector:
    return WebhookConnector(name, _settings(settings))


def _check(fields: Mapping[str, JsonValue], settings: BaseModel) -> Sequence[tuple[str, str, str]]:
    return check_fields(fields, _settings(settings))


def _operate(name: str, settings: BaseModel) -> Operator:
    return CreatesOnly(WebhookConnector(name, _settings(settings)), _WHY)


WEBHOOK = HelpdeskKind(
    "webhook", WebhookSettings, CAPABILITIES, _connect, _check, _operate, frozenset({Operation.CREATE})
)
"""The kind."""
