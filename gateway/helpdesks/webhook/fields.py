"""The fields that a route gives, against those that the configured requests name."""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.config.problems import did_you_mean
from gateway.helpdesks.webhook import templates
from gateway.helpdesks.webhook.settings import WebhookRequest, WebhookSettings
from gateway.model.json import JsonValue


class FieldProblem(NamedTuple):
    """A field that is missing or not used: its name, what is wrong, and the way out."""

    field: str
    problem: str
    hint: str


def check_fields(fields: Mapping[str, JsonValue], settings: WebhookSettings) -> list[FieldProblem]:
    """What is wrong with a route's ``ticket.fields``."""
    found = templates.NOTHING
    for request in settings.requests.values():
        found |= _of(request)
    problems = [
        FieldProblem(
            name, f"no request of this help desk names '{name}'", did_you_mean(name, found.all) or "leave it out"
        )
        for name in fields
        if name not in found.all
    ]
    missing = sorted(_of(settings.create).needed - set(fields))
    return problems + [
        FieldProblem(name, f"the `create` request needs the field '{name}'", f"write `{name}: ...` here")
        for name in missing
    ]


def _of(request: WebhookRequest) -> templates.Used:
    texts: list[JsonValue] = [request.body, *request.headers.values()]
    inside = templates.used(texts)
    address = templates.used(f"x{request.url}")  # nothing in an address may be left out
    return inside | templates.Used(address.all, address.all)
