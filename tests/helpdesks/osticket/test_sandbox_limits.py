"""What is lost without a word, and the sizes at which osTicket or its web server gives up."""

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.helpdesks.osticket.sandbox_settings import OsTicketSettings
from gateway.model.json import JsonObject
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.anyio
MINIMAL: JsonObject = {"name": "Mon", "email": "mon@example.org", "subject": "s", "message": "m"}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(None, environ={})


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(sandbox_app(sandbox)),
        base_url="http://127.0.0.1/sandbox/osticket/api",
        headers={"X-API-Key": SANDBOX_API_KEY},
    ) as client:
        yield client


def _with_file(name: str, data: bytes) -> JsonObject:
    url = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
    return {**MINIMAL, "attachments": [{name: url}]}


async def _create(client: httpx.AsyncClient, body: JsonObject) -> str:
    answer = await client.post("/tickets.json", json=body)
    assert answer.status_code == 201, answer.text
    return answer.text


def _entries(sandbox: Sandbox, number: str) -> list[tuple[str, str | None, str, list[tuple[str, int, str]]]]:
    ticket = sandbox.store.by_number("osticket", number)
    assert ticket is not None
    thread = sandbox.store.threads([ticket.id])[ticket.id]
    return [(e.kind, e.title, e.body, [(f.filename, f.size, f.sha256) for f in e.attachments]) for e in thread.entries]


async def test_a_file_of_exactly_the_limit_is_kept_byte_for_byte(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    data = os.urandom(1_048_576)
    (entry,) = _entries(sandbox, await _create(client, _with_file("a.bin", data)))
    assert entry[3] == [("a.bin", 1_048_576, hashlib.sha256(data).hexdigest())]


async def test_one_byte_more_vanishes_with_a_note_and_still_201(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    note, message = _entries(sandbox, await _create(client, _with_file("1048577.png", os.urandom(1_048_577))))
    assert note == ("note", "File Import Error", "1048577.png: File size is too large", [])
    assert message[3] == []


async def test_a_larger_limit_lets_eight_megabytes_in(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"max_file_size": 16 << 20})
    (entry,) = _entries(sandbox, await _create(client, _with_file("8M.png", os.urandom(8 << 20))))
    assert entry[3][0][:2] == ("8M.png", 8 << 20)


async def test_a_mail_may_carry_more_than_the_limit(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    data = os.urandom(1_048_577)
    mail = (
        b"From: mon@example.org\nTo: support@helpdesk.example\nSubject: big\nMessage-ID: <big@gateway.example>\n"
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: text/plain\n\nt\n--B\n"
        b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="big.bin"\n\n' + base64.encodebytes(data) + b"--B--\n"
    )
    answer = await client.post("/tickets.email", content=mail)
    (entry,) = _entries(sandbox, answer.text)
    assert entry[3] == [("big.bin", 1_048_577, hashlib.sha256(data).hexdigest())]


async def test_php_runs_out_of_memory_with_a_page_of_status_200(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    body = json.dumps(_with_file("m.bin", bytes(24 << 20)))
    answer = await client.post("/tickets.json", content=body)
    assert answer.status_code == 200
    assert answer.text.startswith("<br />\n<b>Fatal error</b>:  Allowed memory size of 134217728 bytes exhausted")
    assert sandbox.store.count() == 0


async def test_the_web_server_refuses_what_is_too_large_for_it(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"body_limit": 1000})
    answer = await client.post("/tickets.json", content=b"x" * 1001)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html")
    assert "413 Request Entity Too Large" in answer.text
    assert sandbox.store.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"[" * 600 + b"]" * 600, 400, "Maximum stack depth exceeded"),
        (b"[" * 100_000, 400, "Maximum stack depth exceeded"),
        (b"\x1f\x8b\x08\x00\x00", 400, "Unexpected control character found"),
        (b"\xef\xbb\xbf{}", 400, "Syntax error, malformed JSON"),
        (b'{"a": NaN}', 400, "Syntax error, malformed JSON"),
        (b"null", 400, "No errors"),
        (b'"text"', 400, "No errors"),
        (b"17", 400, "No errors"),
        (b'{"subject":"s","message":"m","name":"\\ud800","email":"a@example.org"}', 400, "Malformed UTF-8"),
    ],
)
async def test_bodies_that_are_no_ticket_are_refused_in_osticket_s_words(
    client: httpx.AsyncClient, body: bytes, status: int, text: str
) -> None:
    answer = await client.post("/tickets.json", content=body)
    assert answer.status_code == status
    assert answer.text.startswith(text)


async def test_numbers_are_six_random_digits_and_not_ascending(client: httpx.AsyncClient) -> None:
    numbers = [await _create(client, MINIMAL) for _ in range(12)]
    assert all(number.isdigit() and len(number) == 6 for number in numbers)
    assert len(set(numbers)) == 12
    assert numbers != sorted(numbers)


async def test_a_number_format_with_a_prefix_stands_in_the_body(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    sandbox.osticket.change_settings({"number_format": "INC-######"})
    number = await _create(client, MINIMAL)
    assert number.startswith("INC-")
    assert len(number) == 10


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("topicId", 999, "topic"),
        ("topicId", "none", "topic"),
        ("priority", "high", "priority"),
        ("priority", 0, "priority"),
    ],
)
async def test_unknown_choices_fall_back_silently(
    client: httpx.AsyncClient, sandbox: Sandbox, field: str, value: str | int, column: str
) -> None:
    number = await _create(client, {**MINIMAL, field: value})
    ticket = sandbox.store.by_number("osticket", number)
    assert getattr(ticket, column) == {"topic": "", "priority": "normal"}[column]


async def test_a_known_requester_keeps_its_first_name_whatever_the_case(
    client: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    await _create(client, MINIMAL)
    number = await _create(client, {**MINIMAL, "email": "MON@Example.org", "name": "Else", "phone": "call me"})
    ticket = sandbox.store.by_number("osticket", number)
    assert ticket is not None
    assert (ticket.requester, ticket.owner) == ("Mon", 1)


async def test_alert_mails_are_data(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await _create(client, MINIMAL)
    await _create(client, {**MINIMAL, "alert": False})
    await _create(client, {**MINIMAL, "alert": "false"})  # the word is true
    mails = [len(thread.mails) for thread in sandbox.store.threads([1, 2, 3]).values()]
    assert mails == [1, 0, 1]


async def test_a_key_works_only_from_its_own_address(sandbox: Sandbox) -> None:
    transport = httpx.ASGITransport(sandbox_app(sandbox), client=("192.0.2.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/sandbox/osticket/api") as client:
        answer = await client.post("/tickets.json", content=b"not looked at", headers={"X-API-Key": SANDBOX_API_KEY})
    assert (answer.status_code, answer.text) == (401, "Valid API key required")


async def test_settings_that_are_wrong_change_nothing(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="lateny"):
        sandbox.change_settings({"osticket": {"lateny": 3, "workers": 1}})
    assert sandbox.osticket.settings == OsTicketSettings()
