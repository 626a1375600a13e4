"""Orders for an API, and an API that says what it is told to say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from gateway.helpdesks.protocol import Answer, CallFailed, Order
from gateway.helpdesks.webhook.connector import WebhookConnector
from gateway.helpdesks.webhook.settings import WebhookSettings
from gateway.model.action import ActionKind, Outcome
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue

TICKET = TicketRef("desk", "T-7", "7", fingerprint="webhook https://api.example.org/v1")


def settings(**changes: object) -> WebhookSettings:
    """The settings of the tests, as a configuration file would give them."""
    given: dict[str, object] = {
        "kind": "webhook",
        "url": "https://api.example.org/v1",
        "create": {"url": "/tickets", "body": {"title": "{{ title }}"}, "answer": {"id": "id"}},
        "append": {"url": "/tickets/{{ ticket.id }}/notes", "body": {"text": "{{ text }}"}},
        "sandbox": True,
        "limits": {"settle": "1s"},
        **changes,
    }
    return WebhookSettings.model_validate(given)


@dataclass
class Api:
    """`gateway.helpdesks.protocol.Http`: answers in their order, the last one again and again; remembers what came."""

    answers: list[Answer | CallFailed]
    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
    ) -> Answer:
        self.calls.append((method, url, dict(headers), content))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CallFailed):
            raise answer
        return answer


def answer(status: int = 201, body: JsonValue = None, **headers: str) -> Answer:
    """An answer with JSON."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, orjson.dumps(body))


async def called(
    api: Api,
    one: Order,
    *,
    kind: ActionKind | None = None,
    connector: WebhookConnector | None = None,
    **changes: object,
) -> Outcome:
    """Prepare and call."""
    made = connector or WebhookConnector("desk", settings(**changes))
    assert kind is None or one.kind is kind
    return await made.call(one, made.prepare(one), api, timeout=5.0)
