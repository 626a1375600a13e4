"""What answers mean, what is added to a call at its moment, and what of it is ever stored."""

import hashlib
import hmac

import orjson
import pytest

from gateway.helpdesks.protocol import CallFailed, Certainty
from gateway.helpdesks.webhook.connector import WebhookConnector
from gateway.model.action import ActionKind, OutcomeKind
from gateway.model.reasons import Reason
from tests.helpdesks.smtp.support import MARKER, order
from tests.helpdesks.webhook.support import TICKET, Api, answer, called, settings

pytestmark = pytest.mark.anyio

DELIVERED, REJECTED, UNKNOWN = OutcomeKind.DELIVERED, OutcomeKind.REJECTED, OutcomeKind.UNKNOWN
DOWN, AUTH, NOT_SENT = OutcomeKind.HELPDESK_DOWN, OutcomeKind.AUTH_BROKEN, OutcomeKind.NOT_SENT


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, {"id": "T-7"}, DELIVERED),
        (201, {"id": 7}, DELIVERED),
        (200, {"id": "../users/1"}, UNKNOWN),
        (200, {"id": "a\r\nX: y"}, UNKNOWN),
        (200, {"id": True}, UNKNOWN),
        (200, {"id": {"id": 1}}, UNKNOWN),
        (200, {"error": "no"}, UNKNOWN),
        (200, "<html>log in</html>", UNKNOWN),
        (400, {"error": "title"}, REJECTED),
        (401, {}, AUTH),
        (403, {}, AUTH),
        (404, {}, AUTH),
        (405, {}, AUTH),
        (408, {}, DOWN),
        (409, {}, REJECTED),
        (413, {}, REJECTED),
        (422, {}, REJECTED),
        (429, {}, DOWN),
        (302, {}, AUTH),
        (500, {}, UNKNOWN),
        (503, {}, UNKNOWN),
        (504, {}, UNKNOWN),
    ],
)
async def test_each_status_proves_what_http_says_of_it(status: int, body: object, kind: OutcomeKind) -> None:
    outcome = await called(Api([answer(status, body)]), order())  # type: ignore[arg-type]  # JSON
    assert outcome.kind is kind


async def test_what_the_configuration_knows_of_answers_is_believed() -> None:
    create = {"url": "/t", "body": {}, "success": {"statuses": [200], "has": "data.ok", "lacks": "error"}}
    for status, body, kind in (
        (200, {"data": {"ok": 1}}, DELIVERED),
        (200, {"data": {"ok": False}}, UNKNOWN),
        (200, {"data": {"ok": 1}, "error": "no such queue"}, REJECTED),
        (201, {"data": {"ok": 1}}, UNKNOWN),
        (503, {}, DOWN),
    ):
        assert (await called(Api([answer(status, body)]), order(), create=create, down=[503])).kind is kind  # type: ignore[arg-type]  # JSON


async def test_an_api_that_names_no_id_is_known_by_our_own() -> None:
    outcome = await called(Api([answer(204)]), order(), create={"url": "/hook", "body": {"text": "{{ title }}"}})
    assert outcome.ticket is not None
    assert outcome.ticket.id == MARKER


async def test_a_ticket_that_is_gone_is_refused_and_not_taken_for_a_wrong_address() -> None:
    outcome = await called(Api([answer(404)]), order(ActionKind.APPEND, ticket=TICKET))
    assert outcome.kind is REJECTED


async def test_keys_are_in_the_call_and_never_in_what_is_stored() -> None:
    auth = {
        "basic": {"user": "gateway", "password": "secret-1"},
        "headers": {"X-Api-Key": "secret-2"},
        "query": {"key": "secret-3 &"},
        "hmac": {"header": "X-Signature", "secret": "secret-4"},
    }
    connector = WebhookConnector("desk", settings(auth=auth))
    stored = connector.prepare(order())
    assert b"secret" not in stored
    api = Api([answer(201, {"id": 1})])
    outcome = await connector.call(order(), stored, api, timeout=5.0)
    ((_, url, headers, content),) = api.calls
    assert url == "https://api.example.org/v1/tickets?key=secret-3%20%26"
    assert headers["Authorization"] == "Basic Z2F0ZXdheTpzZWNyZXQtMQ=="
    assert headers["X-Api-Key"] == "secret-2"
    assert headers["Idempotency-Key"] == MARKER
    assert headers["X-Signature"] == "sha256=" + hmac.new(b"secret-4", content, hashlib.sha256).hexdigest()
    assert "secret" not in str(outcome)


async def test_no_word_of_a_server_or_a_failure_carries_a_key_into_the_journal() -> None:
    auth = {"query": {"key": "s3cret word"}, "headers": {"Authorization": "token t0ken-of-ours"}}
    connector = WebhookConnector("desk", settings(auth=auth))
    echo = answer(400, {"error": "bad key t0ken-of-ours"})
    lost = CallFailed("POST https://api.example.org/v1/tickets?key=s3cret%20word: gone", sent=True)
    for one in (echo, lost):
        outcome = await called(Api([one]), order(), connector=connector)
        probed = await connector.probe(Api([one]), timeout=1.0)
        for detail in (outcome.detail, probed.detail):
            assert "s3cret" not in detail
            assert "t0ken" not in detail


async def test_a_log_in_is_made_when_it_is_needed_and_again_when_it_has_ended() -> None:
    login = {"url": "/login", "form": {"client_secret": "s&s"}, "token": "access_token", "prefix": "Bearer "}
    connector = WebhookConnector("desk", settings(auth={"login": login}))
    token, made = answer(200, {"access_token": "t1"}), answer(201, {"id": 1})
    api = Api([token, made, made, answer(401), answer(200, {"access_token": "t2"}), made])
    for _ in range(3):
        assert (await called(api, order(), connector=connector)).kind is DELIVERED
    assert [(url.rpartition("/")[2], headers.get("Authorization", "")) for _, url, headers, _ in api.calls] == [
        ("login", ""),
        ("tickets", "Bearer t1"),
        ("tickets", "Bearer t1"),
        ("tickets", "Bearer t1"),
        ("login", ""),
        ("tickets", "Bearer t2"),
    ]
    assert api.calls[0][3] == b"client_secret=s%26s"


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (answer(401), AUTH),
        (answer(200, {"other": 1}), AUTH),
        (answer(500), DOWN),
        (answer(200, {"access_token": "a\nb"}), AUTH),
        (CallFailed("gone", sent=False), NOT_SENT),
    ],
)
async def test_a_log_in_that_fails_proves_that_nothing_was_written(refusal: object, kind: OutcomeKind) -> None:
    login = {"url": "https://login.example.org/token", "token": "access_token"}
    api = Api([refusal])  # type: ignore[list-item]  # an answer or a failure
    outcome = await called(api, order(), auth={"login": login})
    assert outcome.kind is kind
    assert len(api.calls) == 1


async def test_without_a_probe_a_refused_key_pauses_and_is_tried_again_after_a_while() -> None:
    now = 1000.0
    connector = WebhookConnector("desk", settings(), monotonic=lambda: now)
    assert (await called(Api([answer(401)]), order(), connector=connector)).kind is AUTH
    assert (await connector.probe(Api([answer(200)]), timeout=1.0)).kind is AUTH
    now += 60.0
    assert (await connector.probe(Api([answer(404)]), timeout=1.0)).kind is DELIVERED
    assert (await connector.probe(Api([answer(503)]), timeout=1.0)).kind is DOWN


async def test_what_is_repeatable_is_sent_again_and_what_is_not_only_with_a_flag() -> None:
    one, lost = order(), CallFailed("lost", sent=True)
    for changes, flags in (
        ({"create": {"url": "/t", "body": {}, "idempotent": True}}, ()),
        ({"create": {"url": "/t", "body": {}, "method": "PUT"}}, ()),
        ({"create": {"url": "/t", "body": {}}, "on_unknown": "resend"}, (Reason.POSSIBLE_DUPLICATE,)),
    ):
        connector = WebhookConnector("desk", settings(**changes))
        api = Api([lost, answer(200)])
        request = connector.prepare(one)
        assert (await connector.call(one, request, api, timeout=1.0)).kind is UNKNOWN
        again = await connector.resolve(one, request, api, timeout=1.0)
        assert (again.kind, again.flags) == (DELIVERED, flags)
        assert api.calls[0] == api.calls[1]


async def test_the_capability_is_the_best_that_is_configured() -> None:
    look_up = {"url": "/t?q={{ marker }}", "marker": "m", "certainty": "strong"}
    create = {"url": "/t", "body": {}}
    for changes, certainty in (
        ({}, Certainty.NONE),
        ({"close": {"url": "/t", "method": "PUT", "body": {}}}, Certainty.SAME_CALL),
        ({"create": {**create, "look_up": look_up}}, Certainty.STRONG_LOOKUP),
        ({"create": {**create, "look_up": {**look_up, "certainty": "eventual"}}}, Certainty.EVENTUAL_LOOKUP),
    ):
        able = WebhookConnector("desk", settings(**changes)).capabilities
        assert able.certainty is certainty
        assert (ActionKind.CLOSE in able.actions) is ("close" in changes)
        assert (ActionKind.CLOSE in able.substitutes) is ("close" not in changes)


async def test_absence_counts_only_after_a_ticket_of_ours_was_found_and_a_random_marker_was_not() -> None:
    create = {"url": "/t", "body": {}, "look_up": {"url": "/f?q={{ marker }}", "marker": "m", "certainty": "strong"}}
    one = order()
    hit, none = answer(200, [{"id": 1, "m": f"x {MARKER}"}]), answer(200, [])
    connector = WebhookConnector("desk", settings(create=create))
    request = connector.prepare(one)
    first = await connector.resolve(one, request, Api([none]), timeout=1.0)
    assert (first.kind, first.reason) == (REJECTED, Reason.UNKNOWN_OUTCOME)  # nothing was ever found: a person is asked
    assert (await called(Api([answer(201), hit]), one, connector=connector)).kind is DELIVERED
    assert (await connector.resolve(one, request, Api([none]), timeout=1.0)).kind is NOT_SENT
    found = await connector.resolve(one, request, Api([hit]), timeout=1.0)
    assert (found.kind, found.reason) == (DELIVERED, Reason.FOUND)
    foreign = answer(200, [{"id": 2, "m": "another"}])
    for answers in (
        [foreign],
        [none, foreign],
        [answer(500)],
        [answer(200, {"no": "list"})],
        [CallFailed("x", sent=False)],
    ):
        assert (await connector.resolve(one, request, Api(answers), timeout=1.0)).kind is UNKNOWN  # type: ignore[arg-type]  # a list of both


async def test_a_text_without_a_place_in_the_close_follows_as_an_append() -> None:
    close = {"url": "/tickets/{{ ticket.id }}", "method": "PUT", "body": {"state": "closed"}, "also_append": True}
    connector = WebhookConnector("desk", settings(close=close))
    draft = order(ActionKind.CLOSE, ticket=TICKET, text="It is over.").draft
    first, second = connector.split(ActionKind.CLOSE, draft)
    assert first.text == second.text == "It is over."
    assert connector.split(ActionKind.APPEND, draft) == (draft,)
    stored = orjson.loads(connector.prepare(order(ActionKind.CLOSE, ticket=TICKET)))
    assert (stored["method"], stored["url"]) == ("PUT", "https://api.example.org/v1/tickets/T-7")
