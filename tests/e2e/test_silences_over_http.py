"""Silences as other programs make them: over HTTP, with a token of the operators."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.model.reasons import Reason
from tests.cli.support import tg
from tests.e2e.house import CONFIG, House, house
from tests.e2e.test_silences import listed, reasons, said
from tests.e2e.test_time import HOUR, Clock

pytestmark = pytest.mark.anyio

NAMED = CONFIG.replace(
    "{{bearer: the-operators-token}}", "{{bearer: the-operators-token, tokens: {{deploy-bot: of-a-bot}}}}"
)
WEB1: dict[str, Any] = {"match": {"host": "web1"}, "for": "2h", "comment": "new switch"}


async def ask(
    home: House, method: str, place: str = "", *, token: str = "the-operators-token", key: str = "", **content: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    return await home.client.request(method, f"{home.url}/silences{place}", headers=headers, **content)


async def test_a_silence_made_over_http_keeps_tickets_away_and_its_end_lets_them_through(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock) as home:
        made = await ask(home, "POST", json={**WEB1, "author": "Ada"})
        assert made.status_code == 201
        one = made.json()
        assert (one["state"], one["match"], one["author"], one["comment"]) == (
            "active",
            {"host": "web1"},
            "Ada",
            "new switch",
        )
        assert made.headers["location"] == f"/silences/{one['id']}"
        assert (await ask(home, "GET", f"/{one['id']}")).json() == one
        quiet = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="1")
        assert await reasons(home, quiet) == [Reason.SILENCED]
        (line,) = [line for line in (await home.view(quiet)).timeline if line.reason is Reason.SILENCED]
        assert "Ada: new switch" in line.detail
        assert [each["id"] for each in await listed(home)] == [one["id"]]
        ended = await ask(home, "DELETE", f"/{one['id']}")
        assert (ended.status_code, ended.json()["state"]) == (200, "over")
        assert (await ask(home, "GET")).json() == {"silences": []}
        clock.offset += HOUR
        assert (await ask(home, "DELETE", f"/{one['id']}")).json() == ended.json()
        assert (await ask(home, "GET", "?all=true")).json() == {"silences": [ended.json()]}
        loud = await home.nagios("PROBLEM", "CRITICAL", SERVICENOTIFICATIONID="2")
        assert await reasons(home, loud) == [Reason.OPENED]


async def test_the_command_line_and_http_see_the_same_silences_also_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await said(home, "silence", "add", "host=db*", "--for", "2h", "--comment", "noise", "--author", "Bob")
        later = {**WEB1, "starts_at": "2100-01-01T00:00:00+01:00", "ends_at": "2100-01-02T00:00:00Z"}
        del later["for"]
        assert (await ask(home, "POST", json=later)).json()["state"] == "pending"
        await home.restart()
        both = (await ask(home, "GET")).json()["silences"]
        assert [(each["author"], each["state"]) for each in both] == [("Bob", "active"), ("operator", "pending")]
        assert both[1]["starts_at"] == "2099-12-31T23:00:00.000Z"
        await said(home, "silence", "rm", both[1]["id"][-8:])
        assert (await ask(home, "GET", f"/{both[1]['id']}")).json()["state"] == "over"


async def test_who_asks_is_the_author_by_the_name_of_the_token(tmp_path: Path) -> None:
    async with house(tmp_path, config=NAMED) as home:
        assert (await ask(home, "POST", token="of-a-bot", json=WEB1)).json()["author"] == "deploy-bot"
        assert (await ask(home, "POST", json={**WEB1, "match": {"host": "db1"}})).json()["author"] == "operator"


async def test_a_repeated_request_makes_one_silence(tmp_path: Path) -> None:
    clock = Clock()
    async with house(tmp_path, clock=clock, config=NAMED) as home:
        both = await asyncio.gather(*(ask(home, "POST", json=WEB1) for _ in range(2)))
        assert sorted(answer.status_code for answer in both) == [200, 201]
        assert both[0].json()["id"] == both[1].json()["id"]
        first = await ask(home, "POST", key="deploy-7", json={**WEB1, "match": {"host": "db1"}})
        clock.offset += HOUR
        again = await ask(home, "POST", key="deploy-7", json={**WEB1, "match": {"host": "db1"}})
        assert (again.status_code, again.json()) == (200, first.json())
        await ask(home, "DELETE", f"/{first.json()['id']}")
        ended = await ask(home, "POST", key="deploy-7", json={**WEB1, "match": {"host": "db1"}})
        assert (ended.status_code, ended.json()["state"]) == (200, "over")  # a late repetition revives nothing
        other = await ask(home, "POST", key="deploy-7", json={**WEB1, "match": {"host": "db2"}})
        assert (other.status_code, other.json()["place"]) == (409, "Idempotency-Key")
        theirs = await ask(home, "POST", key="deploy-7", token="of-a-bot", json={**WEB1, "match": {"host": "db2"}})
        assert theirs.status_code == 201
        assert (await ask(home, "POST", json=WEB1)).status_code == 201  # an hour later it is another wish


@pytest.mark.parametrize(
    ("change", "status", "place", "told"),
    [
        ({"match": {}}, 422, "match", "would silence everything"),
        ({"match": "host=web1"}, 422, "match", "a rule"),
        ({"match": {"hots": "web1"}}, 422, "match.hots", "did you mean 'host'"),
        ({"match": {"host": {"in_file": "/etc/passwd"}}}, 422, "match.host.in_file", "reads no files"),
        ({"match": {"host": [f"h{number}" for number in range(300)]}}, 422, "match", "more than 200 values"),
        ({"comment": " "}, 422, "comment", "needs a comment"),
        ({"comment": "x" * 3000}, 422, "comment", "2000 is the most"),
        ({"comment": 7}, 422, "comment", "no text"),
        ({"author": "x" * 300}, 422, "author", "200 is the most"),
        ({"for": "2 years"}, 422, "for", "no duration"),
        ({"for": None}, 422, "for", "no text"),
        ({"for": "0s"}, 422, "ends_at", "must end after it begins"),
        ({"for": "800d"}, 422, "ends_at", "a year at most"),
        ({"for": "9" * 400 + "d"}, 422, "ends_at", "a year at most"),
        ({"ends_at": "2100-01-01T00:00:00Z"}, 422, "for", "Both"),
        ({"starts_at": "2100-01-01T00:00:00"}, 422, "starts_at", "with a zone"),
        ({"until": "tomorrow"}, 422, "until", "no such field"),
        ([], 422, "body", "JSON object"),
        (b'{"match": ', 400, "line 1, column 11", ""),
        (b"[" * 100_000, 413, "", "larger"),
    ],
)
async def test_what_cannot_be_silenced_is_refused_with_the_field_and_the_way_out(
    tmp_path: Path, change: Any, status: int, place: str, told: str
) -> None:
    async with house(tmp_path) as home:
        content = (
            {"content": change} if isinstance(change, bytes) else {"json": {**WEB1, **change} if change else change}
        )
        answer = await ask(home, "POST", **content)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert problem.get("place", "").startswith(place)
        assert told in problem["detail"] + problem.get("hint", "")
        assert await listed(home) == []


async def test_only_operators_make_or_see_silences_and_only_by_the_right_methods(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        for token in ("a-token-of-the-tests", "wrong"):  # a source's token is none of an operator
            for method in ("GET", "POST", "DELETE"):
                refused = await ask(home, method, token=token, json=WEB1)
                assert refused.status_code == 401
                assert "server.operator" in refused.json()["hint"]
        assert (await ask(home, "PUT", json=WEB1)).headers["allow"] == "GET, HEAD, POST"
        assert (await ask(home, "POST", "/x", json=WEB1)).headers["allow"] == "GET, HEAD, DELETE"
        assert (await ask(home, "DELETE", "/none")).status_code == 404
        assert (await ask(home, "GET", "?every=1")).status_code == 400
        assert await listed(home) == []


async def test_without_operators_there_are_no_silences_over_http(tmp_path: Path) -> None:
    config = CONFIG.replace("  operator: {{bearer: the-operators-token}}\n", "")
    async with house(tmp_path, config=config) as home:
        refused = await ask(home, "POST", json=WEB1)
        assert (refused.status_code, refused.json()["hint"]) == (
            401,
            "Set `server.operator` in routes.yaml, and send its token.",
        )


async def test_there_are_at_most_a_thousand_silences_whoever_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operations.MOST", 2)
    async with house(tmp_path) as home:
        for name in ("a", "b"):
            assert (await ask(home, "POST", json={**WEB1, "match": {"host": name}})).status_code == 201
        assert "end some" in (await ask(home, "POST", json=WEB1)).json()["detail"]
        words = ("silence", "add", "host=c", "--for", "2h", "--comment", "x", "--config", home.gateway.config.path)
        assert "end some" in (await asyncio.to_thread(tg, *words)).output


def test_operators_without_a_token_are_refused_by_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text(
        'version: 1\nserver:\n  operator: {tokens: {}}\n  journal: {url: "sqlite:///j.db"}\n'
        "sources: {a: {kind: generic, auth: none}}\n"
    )
    assert f"{path}:3:13: server.operator: operators need a token" in tg("check", path).stderr
