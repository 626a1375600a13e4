"""The table of statuses and bodies."""

import orjson
import pytest

from gateway.helpdesks.protocol import Answer
from gateway.helpdesks.zammad.answers import after_read, after_write, read
from gateway.model.action import OutcomeKind
from gateway.model.reasons import Reason

K = OutcomeKind


def says(status: int, error: str = "", **more: object) -> Answer:
    return Answer(status, {}, orjson.dumps({"error": error, "error_human": error, **more}))


def page(status: int, **headers: str) -> Answer:
    return Answer(status, headers, b"<html><body><h1>Bad Gateway</h1></body></html>")


MASKED = Answer(
    422, {}, orjson.dumps({"error": "Error ID abc: Please contact your administrator.", "unprocessable_entity": None})
)


@pytest.mark.parametrize(
    ("answer", "write", "reading"),
    [
        (says(401, "Can't find User for Token"), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (says(403, "Not authorized"), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (says(403, "API token access disabled!"), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (says(403, "Maintenance mode enabled!"), K.HELPDESK_DOWN, K.HELPDESK_DOWN),
        (page(403), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (page(404), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (page(302, location="https://login"), K.AUTH_BROKEN, K.AUTH_BROKEN),
        (page(413), K.REJECTED, K.HELPDESK_DOWN),
        (page(429), K.HELPDESK_DOWN, K.HELPDESK_DOWN),
        (says(422, "No lookup value found for 'group': \"X\""), K.REJECTED, K.HELPDESK_DOWN),
        (MASKED, K.UNKNOWN, K.HELPDESK_DOWN),
        (page(422), K.UNKNOWN, K.HELPDESK_DOWN),
        (says(500, "boom"), K.UNKNOWN, K.HELPDESK_DOWN),
        (page(502), K.UNKNOWN, K.HELPDESK_DOWN),
        (page(503), K.UNKNOWN, K.HELPDESK_DOWN),
        (page(200), K.UNKNOWN, K.HELPDESK_DOWN),
        (says(400, "bad"), K.REJECTED, K.HELPDESK_DOWN),
    ],
    ids=lambda value: f"{value.status} {value.body[:30]!r}" if isinstance(value, Answer) else "",
)
def test_what_an_answer_proves(answer: Answer, write: OutcomeKind, reading: OutcomeKind) -> None:
    assert after_write(read(answer), {}, files=False).kind is write
    assert after_read(read(answer)).kind is reading


@pytest.mark.parametrize(
    ("error", "more", "degrade"),
    [
        ("No lookup value found for 'priority': \"9\"", {}, ("priority",)),
        ("Invalid value for param 'owner_id': 99", {}, ("owner",)),
        ("Invalid value 'x' for field 'site'!", {}, ("site",)),
        ("something else", {"invalid_attribute": {"site": "is wrong"}}, ("site",)),
        ("Invalid base64 for attachment with index '0'", {}, ("attachments",)),
        ("No lookup value found for 'group': \"X\"", {}, ()),  # nothing can stand in for it
    ],
)
def test_a_refusal_names_what_may_be_left_out(error: str, more: dict[str, object], degrade: tuple[str, ...]) -> None:
    sent = {"priority": "priority", "owner_id": "owner", "site": "site"}
    outcome = after_write(read(says(422, error, **more)), sent, files=True)
    assert (outcome.kind, outcome.degrade) == (K.REJECTED, degrade)


def test_retry_after_is_honoured() -> None:
    outcome = after_write(read(page(429, **{"retry-after": "7"})), {}, files=False)
    assert (outcome.reason, outcome.retry_after) == (Reason.RATE_LIMITED, 7.0)


def test_a_page_is_told_by_its_words() -> None:
    assert after_read(read(page(502))).detail == "502 Bad Gateway"
