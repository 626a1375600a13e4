"""The page, the JSON beside it, and what hostile tickets do to them: nothing."""

import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.model.json import JsonObject
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.anyio
EVIL = "<script>alert(1)</script>\"'&"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(None, environ={})


@pytest.fixture(params=["alone", "mounted"])
async def client(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    app = sandbox_app(sandbox)
    whole = app if request.param == "alone" else Starlette(routes=[Mount("/sandbox", app)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://sandbox.example") as client:
        yield client


async def _create(client: httpx.AsyncClient, **changes: object) -> str:
    body = {"name": "Mon", "email": "mon@example.org", "subject": "Disk full", "message": "hello", **changes}
    answer = await client.post("/sandbox/osticket/api/tickets.json", json=body, headers={"X-API-Key": SANDBOX_API_KEY})
    assert answer.status_code == 201, answer.text
    return answer.text


async def test_the_page_lists_tickets_newest_first(client: httpx.AsyncClient) -> None:
    numbers = [await _create(client) for _ in range(3)]
    page = (await client.get("/sandbox/")).text
    assert sorted(numbers, key=page.index) == numbers[::-1]
    assert 'href="/sandbox/tickets/1"' in page
    assert "http://sandbox.example/sandbox/osticket/api" in page


async def test_a_script_in_a_subject_is_text(client: httpx.AsyncClient) -> None:
    await _create(client, subject="a &lt;script&gt; < b", name="<b>x", message=EVIL)
    for path in ("/sandbox/", "/sandbox/list", "/sandbox/tickets/1"):
        answer = await client.get(path)
        assert "<script>alert" not in answer.text
        assert "a &amp;lt;script&amp;gt;" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "'unsafe-inline'" not in answer.headers["content-security-policy"].partition("script-src")[2]


async def test_html_of_a_ticket_is_shown_without_scripts_and_foreign_images(client: httpx.AsyncClient) -> None:
    html = '<b>bold</b><img src="http://spy.example/x.png"><p style="position:fixed;color:red" onclick="x()">p</p>'
    image = f'<img src="data:image/png;base64,{base64.b64encode(PNG).decode()}">'
    await _create(client, message=f"data:text/html;charset=utf-8,{html}{image}")
    page = (await client.get("/sandbox/tickets/1")).text
    assert "<b>bold</b>" in page
    assert "spy.example" not in page
    assert "onclick" not in page
    assert "position" not in page
    assert 'src="/sandbox/attachments/1"' in page


async def test_an_image_opens_and_other_files_are_downloaded(client: httpx.AsyncClient) -> None:
    files = [
        {"a.png": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
        {"x.html": "data:text/html,<script>alert(1)</script>"},
        {"../../ü.svg": "data:image/svg+xml,<svg onload='alert(1)'/>"},
    ]
    await _create(client, attachments=files)
    image, page, drawing = [await client.get(f"/sandbox/attachments/{number}") for number in (1, 2, 3)]
    assert (image.content, image.headers["content-type"]) == (PNG, "image/png")
    assert image.headers["content-disposition"].startswith("inline")
    for answer in (page, drawing):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    assert "..%2F..%2F%C3%BC.svg" in drawing.headers["content-disposition"]


async def test_the_json_lists_entries_and_attachments(client: httpx.AsyncClient) -> None:
    number = await _create(client, mid="<m@x>", attachments=[{"f.txt": "data:text/plain;charset=utf-8,content"}])
    (ticket,) = (await client.get("/sandbox/tickets.json")).json()
    assert (ticket["helpdesk"], ticket["number"], ticket["subject"]) == ("osticket", number, "Disk full")
    assert ticket["requester"]["email"] == "mon@example.org"
    (entry,) = ticket["entries"]
    assert (entry["type"], entry["body"], entry["message_id"]) == ("message", "hello", "<m@x>")
    (file,) = entry["attachments"]
    assert (file["filename"], file["type"], file["size"]) == ("f.txt", "text/plain", 7)
    assert file["sha256"] == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


async def test_the_buttons_do_what_an_agent_would(client: httpx.AsyncClient) -> None:
    await _create(client)
    for action, status in (("close", "closed"), ("reopen", "open"), ("archive", "archived")):
        answer = await client.post(f"/sandbox/tickets/1/{action}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sandbox/tickets/1")
        assert (await client.get("/sandbox/tickets.json")).json()[0]["status"] == status
    page = (await client.get("/sandbox/tickets/1")).text
    assert "reopened" in page
    assert (await client.post("/sandbox/tickets/1/delete")).headers["location"] == "/sandbox/"
    assert (await client.get("/sandbox/tickets.json")).json() == []
    assert (await client.get("/sandbox/tickets/1")).status_code == 404


async def test_another_site_s_page_cannot_press_the_buttons(client: httpx.AsyncClient) -> None:
    await _create(client)
    answer = await client.post("/sandbox/tickets/1/delete", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert len((await client.get("/sandbox/tickets.json")).json()) == 1


async def test_faults_are_switched_by_json(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    wanted: JsonObject = {"osticket": [{"fault": "html_error", "status": 504, "count": 1}]}
    assert (await client.put("/sandbox/faults", json=wanted)).status_code == 200
    answer = await client.post("/sandbox/osticket/api/tickets.json")
    assert answer.status_code == 504
    assert (await client.get("/sandbox/faults")).json()["osticket"][0]["left"] == 0
    await client.put("/sandbox/faults", json={"osticket": [{"fault": "refuse"}]})
    assert (await client.delete("/sandbox/faults")).status_code == 204
    assert sandbox.osticket.faults.active == []


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"osticket": [{"fault": "rain"}]}', b'{"jira": []}'])
async def test_wrong_faults_are_refused_with_a_problem(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.put("/sandbox/faults", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_faults_are_switched_on_the_page(client: httpx.AsyncClient) -> None:
    form = {"fault": "slow", "seconds": "0.5", "count": "2", "probability": "", "match": "web<01>"}
    assert (await client.post("/sandbox/switch/osticket", data=form)).status_code == 303
    page = (await client.get("/sandbox/")).text
    assert "web&lt;01&gt;" in page
    await client.post("/sandbox/switch/osticket", data={"fault": "off"})
    assert "No faults are switched on" in (await client.get("/sandbox/")).text


async def test_settings_are_changed_by_json(client: httpx.AsyncClient) -> None:
    answer = await client.put("/sandbox/settings", json={"osticket": {"number_format": "T-########"}})
    assert answer.json()["osticket"]["number_format"] == "T-########"
    assert (await _create(client)).startswith("T-")
    wrong = await client.put("/sandbox/settings", json={"osticket": {"workers": 0}})
    assert wrong.status_code == 422
    assert "workers" in wrong.json()["detail"]


async def test_an_unchanged_list_costs_nothing(client: httpx.AsyncClient) -> None:
    first = await client.get("/sandbox/list")
    again = await client.get("/sandbox/list", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await _create(client)
    changed = await client.get("/sandbox/list", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


async def test_the_history_of_an_otobo_is_shown_without_its_marks(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    number = await _create(client)
    ticket = sandbox.store.by_number("osticket", number)
    assert ticket is not None
    sandbox.store.add_event(ticket.id, "StateUpdate", "%%new%%closed successful%%", 0.0)
    page = (await client.get(f"/sandbox/tickets/{ticket.id}")).text
    assert "<span>new · closed successful</span>" in page
