"""Every recorded answer of a real osTicket means what the contract says it means."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.helpdesks.osticket.answers import classify, ticket_number
from gateway.helpdesks.protocol import Answer
from gateway.model.action import OutcomeKind
from gateway.model.reasons import Reason
from tests.helpdesks.osticket.orders import answer

EXCHANGES = [json.loads(line) for line in (Path(__file__).parent / "exchanges.jsonl").read_text().splitlines()]
HTTP = [one for one in EXCHANGES if one["request"]["method"] != "PIPE" and one["response"]["status"]]
BY_NAME = {one["name"]: one for one in HTTP}

REJECTED, UNKNOWN, DOWN, AUTH = (
    OutcomeKind.REJECTED,
    OutcomeKind.UNKNOWN,
    OutcomeKind.HELPDESK_DOWN,
    OutcomeKind.AUTH_BROKEN,
)
NOT_DELIVERED = {
    "json-source-Phone": REJECTED,
    "json-source-Email": REJECTED,
    "json-message-object": REJECTED,
    "json-subject-missing": REJECTED,
    "json-subject-list": REJECTED,
    "json-email-bad": REJECTED,
    "json-phone-text": REJECTED,
    "missing-name-new-user": REJECTED,
    "missing-all-but-alert": REJECTED,
    "json-status-closed-requiretopic": REJECTED,
    "json-att-list-of-strings": REJECTED,
    "json-mem-24MB": REJECTED,
    "json-70MB-nginx-limit": REJECTED,
    "auth-nokey": AUTH,
    "auth-wrongkey": AUTH,
    "auth-key-other-ip": AUTH,
    "auth-inactive": AUTH,
    "auth-nocreate": AUTH,
    "get": AUTH,
    "unknown-format-yaml": AUTH,
    "empty-body": REJECTED,
    "bad-json": REJECTED,
    "probe-empty-object": REJECTED,
    "probe-empty-object-bad-key": AUTH,
    "json-bad-utf8": REJECTED,
    "force-https-on": AUTH,
    "cron": UNKNOWN,
    "banned-new": REJECTED,
    "maxopen-2": DOWN,
    "json-verify-email-dns": REJECTED,
    "json-custom-field-missing-required": REJECTED,
    "db-unavailable": DOWN,
    "json-db-connection-lost-at-ost_thread_entry": UNKNOWN,
    "email-banned": REJECTED,
    "email-unregistered-rejected": REJECTED,
    "email-no-from": REJECTED,
    "email-empty-body": REJECTED,
    "xml-malformed": REJECTED,
    "xml-missing-message": REJECTED,
}


def recorded(exchange: dict[str, Any]) -> Answer:
    response = exchange["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return Answer(response["status"], headers, response["body"].encode())


@pytest.mark.parametrize("exchange", HTTP, ids=lambda one: one["name"])
def test_a_recorded_answer_means_what_the_contract_says(exchange: dict[str, Any]) -> None:
    given = recorded(exchange)
    assert classify(given).kind is NOT_DELIVERED.get(exchange["name"], OutcomeKind.DELIVERED)
    assert (ticket_number(given) is not None) is (given.status == 201)


@pytest.mark.parametrize("exchange", HTTP, ids=lambda one: one["name"])
def test_what_is_called_proven_unwritten_had_written_nothing(exchange: dict[str, Any]) -> None:
    proven = classify(recorded(exchange)).kind in {REJECTED, DOWN, AUTH}
    # A list as subject, and a closed first status, make half a ticket; neither can come of what we send.
    known = {"json-subject-list", "json-status-closed-requiretopic"}
    assert not (proven and "ticket row created" in exchange["effect"]) or exchange["name"] in known


def test_every_expected_exchange_is_there() -> None:
    assert set(NOT_DELIVERED) <= set(BY_NAME)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, "", UNKNOWN),
        (201, "<html>login</html>", UNKNOWN),
        (201, "../users/1", UNKNOWN),
        (201, "12\n34", UNKNOWN),
        (201, "123456789012345678901", UNKNOWN),
        (201, "no digits", UNKNOWN),
        (200, "777564", UNKNOWN),
        (200, "<html>Please log in</html>", UNKNOWN),
        (202, "777564", UNKNOWN),
        (301, "", AUTH),
        (302, "", AUTH),
        (307, "", AUTH),
        (404, "<html>404</html>", AUTH),
        (403, "<html>Forbidden by firewall</html>", AUTH),
        (408, "", DOWN),
        (411, "", REJECTED),
        (429, "", DOWN),
        (500, "<html>nginx</html>", UNKNOWN),
        (500, "Unable to create new ticket :unknown error", UNKNOWN),
        (502, "<html>502</html>", UNKNOWN),
        (503, "", UNKNOWN),
        (504, "", UNKNOWN),
        (599, "", UNKNOWN),
    ],
)
def test_answers_beyond_the_recordings(status: int, body: str, kind: OutcomeKind) -> None:
    assert classify(answer(status, body)).kind is kind


def test_a_cut_answer_is_never_a_success() -> None:
    assert classify(Answer(201, {}, b"777564", truncated=True)).kind is UNKNOWN


def test_a_number_may_have_any_pattern_of_the_administrator() -> None:
    assert ticket_number(answer(201, "INC-609378")) == "INC-609378"
    assert ticket_number(answer(201, "2026/0001")) == "2026/0001"


def test_a_refused_client_names_the_usual_causes_and_leaves_out_the_phone_if_there_was_one() -> None:
    given = recorded(BY_NAME["json-verify-email-dns"])
    assert "does not resolve" in classify(given).detail
    assert classify(given).degrade == ()
    assert classify(given, sent=("phone", "attachments")).degrade == ("phone",)


@pytest.mark.parametrize("name", ["json-mem-24MB", "json-70MB-nginx-limit"])
def test_a_request_too_large_is_tried_once_without_its_files(name: str) -> None:
    assert classify(recorded(BY_NAME[name]), sent=("attachments",)).degrade == ("attachments",)
    assert classify(recorded(BY_NAME[name])).degrade == ()


def test_a_limit_of_open_tickets_is_tried_again_in_an_hour() -> None:
    outcome = classify(recorded(BY_NAME["maxopen-2"]))
    assert (outcome.reason, outcome.retry_after) == (Reason.RATE_LIMITED, 3600)


def test_a_redirect_says_where_to() -> None:
    assert "https://elsewhere.example/" in classify(answer(302, location="https://elsewhere.example/")).detail


def test_details_are_one_bounded_line() -> None:
    detail = classify(answer(500, "<br />\n<b>Fatal</b>\x1b[31m\r\n" + "x" * 100_000)).detail
    assert detail.isprintable()
    assert len(detail) < 700


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "99999999999999999999"}, 3600.0),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1e3"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Sun, 22 Nov 2026 01:00:30 GMT", "date": "Sun, 22 Nov 2026 01:00:00 GMT"}, 30.0),
        ({"retry_after": "Sun, 22 Nov 2026 00:00:30 GMT", "date": "Sun, 22 Nov 2026 01:00:00 GMT"}, None),
        ({"retry_after": "Sun, 22 Nov 2026 01:00:30 GMT"}, None),
        ({}, None),
    ],
)
def test_the_helpdesks_wish_to_wait_is_honoured_within_reason(headers: dict[str, str], seconds: float | None) -> None:
    assert classify(answer(429, "slow down", **headers)).retry_after == seconds
