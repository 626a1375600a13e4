"""What comes to `/helpdesks/NAME/notify`, from helpdesks and from whoever finds the address."""

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass, field

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from gateway.receive.admission import Admission
from gateway.receive.notices import LARGEST, Bell, Notices, signed, tickets_of

SECRETS = (b"the new one", b"the old one")


@dataclass(slots=True)
class Tower:
    """A bell, and who heard it."""

    heard: list[str] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)
    admission: Admission = field(default_factory=Admission)

    def ring(self, ticket: str) -> None:
        self.heard.append(ticket)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        notices = Notices(
            lambda: {"desk": Bell(SECRETS, self.ring)},
            self.admission,
            lambda name, result: self.counted.append((name, result)),
            timeout=1.0,
        )
        await notices.serve(scope, receive, send, scope["path"])

    async def post(self, body: bytes, path: str = "/helpdesks/desk/notify", **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post(path, content=body, headers=named)


def sign(body: bytes, secret: bytes = SECRETS[0], algorithm: str = "sha1") -> str:
    return f"{algorithm}={hmac.new(secret, body, algorithm).hexdigest()}"


def basic(password: bytes) -> str:
    return "Basic " + base64.b64encode(b"helpdesk:" + password).decode()


@pytest.mark.anyio
@pytest.mark.parametrize("secret", SECRETS)
async def test_a_signature_a_password_and_a_token_are_taken_with_any_of_the_secrets(secret: bytes) -> None:
    tower, body = Tower(), b'{"ticket": {"id": 5, "number": "31005"}, "article": {"id": 9}}'
    for headers in (
        {"X_Hub_Signature": sign(body, secret)},
        {"X_Hub_Signature": sign(body, secret).upper().replace("SHA1", "sha1")},
        {"X_Hub_Signature_256": sign(body, secret, "sha256")},
        {"Authorization": basic(secret)},
        {"Authorization": f"Bearer {secret.decode()}"},
    ):
        answer = await tower.post(body, **headers)
        assert (answer.status_code, answer.json()) == (202, {"noted": True})
    assert tower.heard == ["5"] * 5


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "tickets"),
    [
        (b'{"TicketID": "12", "Event": "TicketStateUpdate"}', ["12"]),
        (b'{"Ticket": {"TicketID": 12, "TicketNumber": "2026112210000013"}, "Event": {"TicketID": "12"}}', ["12"]),
        (b'{"Ticket": {}, "Event": {"TicketID": "12"}}', ["12"]),
        (b'{"TicketNumber": "2026112210000013"}', ["2026112210000013"]),
        (b'{"id": 77}', []),
        (b'{"ticket": {"id": true}}', []),
        (b'{"ticket": {"id": {"$ne": 1}, "number": ["1"]}}', []),
        (b'{"ticket": {"id": "1 OR 1=1"}}', []),
        (b'{"ticket": "5"}', []),
        (b"{}", []),
    ],
)
async def test_the_ticket_is_found_where_helpdesks_put_it_and_nothing_else_is_taken_for_one(
    body: bytes, tickets: list[str]
) -> None:
    tower = Tower()
    answer = await tower.post(body, Authorization=basic(SECRETS[0]))
    assert (answer.status_code, answer.json()) == (202, {"noted": bool(tickets)})
    assert tower.heard == tickets


@pytest.mark.anyio
async def test_strangers_are_all_answered_alike_and_nothing_is_read_of_what_they_send() -> None:
    tower, body = Tower(), b'{"ticket": {"id": 5}}'
    answers = [
        await tower.post(body),
        await tower.post(body, Authorization=basic(b"guessed")),
        await tower.post(body, Authorization="Basic not base64"),
        await tower.post(body, X_Hub_Signature=sign(body, b"guessed")),
        await tower.post(body, X_Hub_Signature="sha1="),
        await tower.post(body, X_Hub_Signature=sign(body, algorithm="sha256")),
        await tower.post(body, "/helpdesks/nowhere/notify", X_Hub_Signature=sign(body)),
        await tower.post(body, "/helpdesks/desk/else", X_Hub_Signature=sign(body)),
        await tower.post(body, "/helpdesks//notify", X_Hub_Signature=sign(body)),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert tower.heard == []
    assert tower.admission.in_flight == 0


@pytest.mark.anyio
async def test_what_is_too_large_encoded_or_no_json_is_refused() -> None:
    tower = Tower()
    login = basic(SECRETS[0])
    large = b'{"ticket": {"id": 5}, "article": "' + b"x" * LARGEST + b'"}'
    assert (await tower.post(large, Authorization=login)).status_code == 413
    assert (await tower.post(b"{}", Authorization=login, Content_Encoding="gzip")).status_code == 415
    for body in (b"", b"[]", b"5", b"\xff", b"{", b'{"a": 1' + b"0" * 5000 + b"}", b"[" * 100_000):
        assert (await tower.post(body, Authorization=login)).status_code in {202, 422}
    assert tower.heard == []
    assert tower.admission.in_flight == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "ticket", "Ticket", "Event", "TicketID", "number", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.binary(max_size=200) | JSON.map(orjson.dumps))
def test_whatever_is_posted_gives_at_most_two_plain_names_of_tickets(content: bytes) -> None:
    found = tickets_of(content)
    assert found is None or len(found) <= 2
    for ticket in found or ():
        assert ticket.isascii()
        assert ticket.isalnum()
        assert 0 < len(ticket) <= 40


@given(st.binary(max_size=60), st.binary(max_size=60), st.text(max_size=60))
def test_only_the_octets_that_were_signed_are_accepted(body: bytes, other: bytes, junk: str) -> None:
    headers = {b"x-hub-signature": sign(body).encode()}
    assert signed(headers, body, SECRETS)
    assert signed(headers, other, SECRETS) is (other == body)
    assert not signed({b"x-hub-signature": b"sha1=" + junk.encode()}, body, SECRETS) or junk == sign(body)[5:]
    assert not signed({b"x-hub-signature": junk.encode()}, body, SECRETS)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.dictionaries(st.sampled_from(["Authorization", "X_Hub_Signature"]), st.text(
    st.characters(min_codepoint=32, max_codepoint=126), max_size=40)))  # fmt: skip
def test_no_request_without_the_secret_ever_rings(body: bytes, headers: dict[str, str]) -> None:
    tower = Tower()
    answer = asyncio.run(tower.post(body, **headers))
    assert answer.status_code == 401
    assert tower.heard == []


def test_the_signature_is_the_one_that_zammad_makes() -> None:
    """HMAC-SHA1 of the body, in hex, behind `sha1=` (RFC 2202, case 2, as a body and its key)."""
    vector = {b"x-hub-signature": b"sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}
    assert signed(vector, b"what do ya want for nothing?", (b"Jefe",))
    assert hashlib.sha1(b"").hexdigest() not in str(vector)
