"""`zammad-py`, a client that we did not write, works with the double as it does with a Zammad."""

import asyncio
from pathlib import Path

import pytest
from requests import HTTPError
from zammad_py import ZammadAPI

from gateway.config.models import HttpServer
from gateway.receive.serve import HttpServers
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def story(url: str) -> dict[str, object]:
    """What the client sees, in the order of a ticket's life."""
    client = ZammadAPI(url=f"{url}/sandbox/zammad/api/v1/", http_token=SANDBOX_API_KEY)
    ticket = client.ticket.create(
        {
            "title": "from a client",
            "group": "Users",
            "customer_id": "guess:eve@example.org",
            "article": {"subject": "s", "body": "b", "type": "note"},
        }
    )
    number = ticket["id"]
    changed = client.ticket.update(number, {"state": "closed", "article": {"body": "over"}})
    client.ticket_article.create({"ticket_id": number, "body": "a note"})
    client.ticket_tag.add(number, "x")
    try:
        client.ticket.create(
            {"title": "t", "group": "Nowhere", "customer": "eve@example.org", "article": {"body": "b"}}
        )
    except HTTPError as error:
        refused = str(error)
    else:
        refused = ""
    return {
        "me": client.user.me()["login"],
        "ids": ticket["article_ids"] and changed["article_ids"],
        "title": client.ticket.find(number)["title"],
        "articles": [article["body"] for article in client.ticket.articles(number)],
        "tags": client.ticket.tags(number),
        "found": [each["number"] for each in client.ticket.search("from a client")] == [ticket["number"]],
        "all": len(list(client.ticket.all())),
        "states": len(list(client.ticket_state.all())),
        "refused": "No lookup value found for" in refused,
    }


async def test_zammad_py_makes_changes_and_finds_a_ticket(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, environ={})
    server = HttpServers(sandbox_app(sandbox), HttpServer(listen="127.0.0.1:0"))
    await server.start()
    try:
        seen = await asyncio.to_thread(story, server.addresses[0])
    finally:
        await server.stop(0.5)
        await sandbox.close()
    assert seen == {
        "me": "gateway@helpdesk.example",
        "ids": [1, 2],
        "title": "from a client",
        "articles": ["b", "over", "a note"],
        "tags": {"tags": ["x"]},
        "found": True,
        "all": 1,
        "states": 7,
        "refused": True,
    }
