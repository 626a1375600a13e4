"""Receipts for the tests of sources: from recorded requests, or made up."""

import base64
import json
from pathlib import Path

from gateway.model.event import Event
from gateway.model.receipt import Parsed, Receipt
from gateway.sources.registry import SOURCE_KINDS

CAPTURES = Path(__file__).parent / "captures"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def receipt(body: bytes, content_type: str = JSON, source: str = "test") -> Receipt:
    return Receipt(
        id="r",
        sequence=1,
        source=source,
        received_at=1795303161.0,
        body=body,
        content_type=content_type,
        headers=(),
        envelope={},
        peer="",
        tries=1,
    )


def receipt_of(capture: Path) -> Receipt:
    """The receipt of a recorded request."""
    recorded = json.loads(capture.read_text("utf-8"))
    text = recorded["body"]
    body = base64.b64decode(text) if recorded["body_encoding"] == "base64" else text.encode()
    types = [value for name, value in recorded["headers"] if name.lower() == "content-type"]
    return receipt(body, types[0] if types else "")


def parsed(kind: str, body: bytes, content_type: str = JSON, **settings: object) -> Parsed:
    """What a source of that kind with these settings makes of a body."""
    source = SOURCE_KINDS[kind]
    return source.parse(receipt(body, content_type), source.settings.model_validate({"kind": kind, **settings}))


def only(result: Parsed) -> Event:
    """The one event."""
    (event,) = result.events
    return event
