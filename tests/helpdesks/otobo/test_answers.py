"""The table of answers: what each one proves, taken from the recorded exchanges where there is one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.helpdesks.otobo.answers import read_answer
from gateway.helpdesks.otobo.settings import Call
from gateway.helpdesks.protocol import Answer
from gateway.model.action import Outcome, OutcomeKind
from gateway.model.reasons import Reason

RECORDED = {
    exchange["name"]: exchange
    for exchange in map(json.loads, Path(__file__).with_name("exchanges.jsonl").read_text("utf-8").strip().split("\n"))
}


def recorded(name: str) -> Answer:
    response = RECORDED[name]["response"]
    headers = {key.lower(): value for key, value in response["headers"].items()}
    return Answer(response["status"], headers, response["body"].encode())


def outcome(name: str, call: Call = Call.CREATE, sent: tuple[str, ...] = ()) -> Outcome:
    found = read_answer(recorded(name), call, sent=sent)
    assert isinstance(found, Outcome)
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("session-create-wrong-password", OutcomeKind.AUTH_BROKEN),
        ("session-create-no-password", OutcomeKind.AUTH_BROKEN),
        ("session-unknown-or-expired", OutcomeKind.AUTH_BROKEN),
        ("bad-json", OutcomeKind.REJECTED),
        ("empty-object", OutcomeKind.REJECTED),
        ("unknown-route", OutcomeKind.AUTH_BROKEN),
        ("wrong-method", OutcomeKind.AUTH_BROKEN),
        ("unknown-web-service", OutcomeKind.HELPDESK_DOWN),
        ("inactive-web-service", OutcomeKind.HELPDESK_DOWN),
        ("body-over-MaxLength", OutcomeKind.REJECTED),
        ("create-unknown-customer-login", OutcomeKind.REJECTED),
        ("create-queue-wrong-case", OutcomeKind.REJECTED),
        ("create-queue-without-permission", OutcomeKind.REJECTED),
        ("create-fails-half-way", OutcomeKind.UNKNOWN),
        ("json-array", OutcomeKind.UNKNOWN),
    ],
)
def test_what_a_recorded_answer_to_a_create_proves(name: str, kind: OutcomeKind) -> None:
    assert outcome(name).kind is kind


@pytest.mark.parametrize("name", ["update-fails-half-way", "update-queue-without-permission"])
def test_a_fault_of_an_update_leaves_open_what_was_written(name: str) -> None:
    assert outcome(name, Call.UPDATE).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("name", "sent", "degrade"),
    [
        ("create-unknown-customer-login", ("customer", "queue"), ("customer",)),
        ("create-unknown-queue", ("queue", "state"), ("queue",)),
        ("create-queue-without-permission", ("queue",), ("queue",)),
        ("create-unknown-state", ("state",), ("state",)),
        ("create-unknown-dynamic-field", ("DynamicField_Host", "queue"), ("DynamicField_Host",)),
        ("create-attachment-empty-content", ("attachments",), ("attachments",)),
        ("create-unknown-state", (), ()),
        ("body-over-MaxLength", ("attachments",), ("attachments",)),
    ],
)
def test_a_refusal_names_the_fields_that_may_be_left_out(
    name: str, sent: tuple[str, ...], degrade: tuple[str, ...]
) -> None:
    assert outcome(name, sent=sent).degrade == degrade


def test_a_refused_marker_field_says_how_to_import_it() -> None:
    assert "ticket-gateway helpdesk setup" in outcome("create-unknown-dynamic-field").detail


@pytest.mark.parametrize(
    ("status", "body", "headers", "writing", "reading"),
    [
        (200, "<html>login</html>", {}, OutcomeKind.UNKNOWN, OutcomeKind.HELPDESK_DOWN),
        (200, "[]", {}, OutcomeKind.UNKNOWN, OutcomeKind.HELPDESK_DOWN),
        (500, "Internal Server Error", {"content-type": "text/plain"}, OutcomeKind.UNKNOWN, OutcomeKind.HELPDESK_DOWN),
        (502, "<html>", {"content-type": "text/html"}, OutcomeKind.UNKNOWN, OutcomeKind.HELPDESK_DOWN),
        (503, "", {}, OutcomeKind.UNKNOWN, OutcomeKind.HELPDESK_DOWN),
        (429, "", {"retry-after": "7"}, OutcomeKind.HELPDESK_DOWN, OutcomeKind.HELPDESK_DOWN),
        (302, "", {"location": "https://sso.example/"}, OutcomeKind.AUTH_BROKEN, OutcomeKind.AUTH_BROKEN),
        (403, "", {}, OutcomeKind.AUTH_BROKEN, OutcomeKind.AUTH_BROKEN),
        (404, "", {}, OutcomeKind.AUTH_BROKEN, OutcomeKind.AUTH_BROKEN),
        (400, "", {}, OutcomeKind.REJECTED, OutcomeKind.REJECTED),
    ],
)
def test_what_is_not_the_interfaces_own_answer_proves_little_of_a_writing_call(
    status: int, body: str, headers: dict[str, str], writing: OutcomeKind, reading: OutcomeKind
) -> None:
    for call, kind in ((Call.CREATE, writing), (Call.UPDATE, writing), (Call.GET, reading)):
        found = read_answer(Answer(status, headers, body.encode()), call)
        assert isinstance(found, Outcome)
        assert found.kind is kind


def test_a_wish_to_wait_is_handed_on() -> None:
    found = read_answer(Answer(429, {"retry-after": "7"}, b""), Call.CREATE)
    assert isinstance(found, Outcome)
    assert (found.retry_after, found.reason) == (7.0, Reason.RATE_LIMITED)


def test_an_answer_that_was_cut_is_never_a_success() -> None:
    found = read_answer(Answer(200, {}, b'{"TicketID":"1"}', truncated=True), Call.CREATE)
    assert isinstance(found, Outcome)
    assert found.kind is OutcomeKind.UNKNOWN


@given(st.integers(100, 599), st.binary(max_size=200), st.sampled_from(list(Call)), st.booleans())
def test_no_answer_whatsoever_raises_and_reading_never_ends_as_unknown(
    status: int, body: bytes, call: Call, truncated: bool
) -> None:
    found = read_answer(Answer(status, {}, body, truncated=truncated), call)
    if isinstance(found, Outcome) and call in {Call.GET, Call.SEARCH, Call.HISTORY, Call.SESSION}:
        assert found.kind is not OutcomeKind.UNKNOWN
