import asyncio
import hmac
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route as WebRoute

from gateway.config.models import Auth, Hmac
from gateway.config.values import Secret
from gateway.journal.protocol import JournalBroken, JournalFull
from gateway.model.reasons import Reason
from gateway.model.receipt import Accepted
from gateway.receive.admission import Admission
from gateway.receive.intake import IntakeClosed, Progress
from tests.receive.support import BEARER, NOW, TICKET, House, Look, figures, open_source, source

pytestmark = pytest.mark.anyio


async def test_a_delivery_is_stored_as_it_came_and_answered_with_its_id() -> None:
    house = House({"shop": source()})
    async with house.client() as client:
        answer = await client.post(
            "/in/shop?a=1",
            content=b'{"x": 1}\n',
            headers={**BEARER, "Content-Type": "application/json", "Cookie": "c=1"},
        )
    (stored,) = house.desk.receipts
    assert answer.status_code == 202
    assert answer.json() == {"id": stored.id, "status_url": f"/receipts/{stored.id}", "ticket": None}
    assert (stored.body, stored.source, stored.received_at, stored.peer) == (b'{"x": 1}\n', "shop", NOW, "192.0.2.9")
    assert stored.envelope == {"door": "http", "method": "POST", "path": "/in/shop", "query": "a=1"}
    assert dict(stored.headers)["content-type"] == "application/json"
    assert not {"authorization", "cookie"} & dict(stored.headers).keys()
    assert house.count("ticket_gateway_receipts_accepted_total", source="shop") == 1


async def test_the_status_url_bears_the_public_address_and_the_base_path() -> None:
    house = House({"shop": open_source()}, {"public_url": "https://gw.example.org", "base_path": "/tickets"})
    async with house.client() as client:
        passed_on = await client.post("/tickets/in/shop", content=b"1")
        taken_off = await client.post("/in/shop", content=b"2")
    for answer in (passed_on, taken_off):
        assert answer.json()["status_url"] == "https://gw.example.org/tickets/receipts/" + answer.json()["id"]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""])
async def test_any_content_type_is_stored_raw(content_type: str) -> None:
    house = House({"shop": open_source()})
    async with house.client() as client:
        answer = await client.post("/in/shop", content=b"\x00\xff not json", headers={"Content-Type": content_type})
    assert answer.status_code == 202
    assert house.desk.receipts[0].body == b"\x00\xff not json"


async def test_unknown_sources_and_wrong_tokens_take_the_same_way_to_different_answers() -> None:
    house = House({"shop": source()})
    checks = "ticket_gateway_credential_checks_total"
    async with house.client() as client:
        unknown = await client.post("/in/nothing", content=b"{}", headers=BEARER)
        after_unknown = house.count(checks)
        wrong = await client.post("/in/shop", content=b"{}", headers={"Authorization": "Bearer wrong"})
    assert (after_unknown, house.count(checks)) == (1, 2)
    assert (unknown.status_code, wrong.status_code) == (404, 401)
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")
    assert not house.desk.receipts
    assert house.count("ticket_gateway_receipts_refused_total", source="other", reason="unknown_source") == 1
    assert house.count("ticket_gateway_receipts_refused_total", source="shop", reason="wrong_credentials") == 1


async def test_problems_name_the_fault_and_the_way_out() -> None:
    house = House({"shop": source()})
    async with house.client() as client:
        problem = await client.post("/in/shop", content=b"{}")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "hint"} <= problem.json().keys()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_delivers(method: str) -> None:
    house = House({"shop": open_source()})
    async with house.client() as client:
        for name in ("shop", "nothing"):
            answer = await client.request(method, f"/in/{name}")
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_compressed_bodies_are_refused_before_anything_else() -> None:
    house = House({"shop": open_source()})
    async with house.client() as client:
        for encoding in ("gzip", "deflate", "gzip, gzip", "br"):
            answer = await client.post("/in/shop", content=b"x", headers={"Content-Encoding": encoding})
            assert answer.status_code == 415
        assert (
            await client.post("/in/shop", content=b"x", headers={"Content-Encoding": "identity"})
        ).status_code == 202


async def test_a_body_over_the_cap_of_its_source_is_refused_by_its_declared_length() -> None:
    house = House({"shop": open_source(max_body="100B"), "big": open_source(max_body="1GiB")}, {"max_body": "200B"})
    async with house.client() as client:
        assert (await client.post("/in/shop", content=b"x" * 100)).status_code == 202
        refused = await client.post("/in/shop", content=b"x" * 101)
        assert (refused.status_code, refused.headers["Connection"]) == (413, "close")
        assert (await client.post("/in/big", content=b"x" * 201)).status_code == 413
        assert (await client.post("/in/shop", content=b"x", headers={"Content-Length": "9" * 30})).status_code == 413


async def test_a_body_without_length_is_cut_off_at_the_cap() -> None:
    house = House({"shop": open_source(max_body="10kB")})
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 1_000_000:
            given += 1000
            yield b"x" * 1000

    async with house.client() as client:
        answer = await client.post("/in/shop", content=endless())
    assert answer.status_code == 413
    assert given <= 12_000
    assert house.admission.in_flight == 0


async def test_bodies_beyond_the_shared_budget_are_answered_with_503() -> None:
    house = House({"shop": open_source()}, admission=Admission(max_in_flight=1000))
    house.desk.hold = asyncio.Event()
    async with house.client() as client:
        first = asyncio.create_task(client.post("/in/shop", content=b"x" * 800))
        await house.desk.entered.wait()
        second = await client.post("/in/shop", content=b"y" * 300)
        house.desk.hold.set()
        assert (await first).status_code == 202
        third = await client.post("/in/shop", content=b"y" * 2000)  # alone, and within its own cap
    assert (second.status_code, second.headers["Retry-After"]) == (503, "5")
    assert third.status_code == 202
    assert house.admission.in_flight == 0


async def test_a_repeat_is_answered_with_the_first_id_and_its_ticket() -> None:
    house = House({"shop": open_source()})
    async with house.client() as client:
        first = await client.post("/in/shop", content=b"{}")
        house.desk.ticket = TICKET
        again = await client.post("/in/shop", content=b"{}")
    assert again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["duplicate"] is True
    assert again.json()["ticket"] == {"helpdesk": "osticket", "id": "17", "number": "100017", "url": TICKET.url}


async def test_the_keys_of_deliveries_come_from_the_sender_or_from_the_bytes() -> None:
    house = House({"shop": open_source(retry_horizon="5m"), "off": open_source(retry_horizon="0s")})
    async with house.client() as client:
        await client.post("/in/shop", content=b"1", headers={"Idempotency-Key": "k", "webhook-id": "w"})
        await client.post("/in/shop", content=b"2", headers={"webhook-id": "w"})
        await client.post("/in/shop", content=b"3", headers={"Idempotency-Key": "k" * 5000})
        await client.post("/in/shop", content=b"4")
        await client.post("/in/shop?other=1", content=b"4")
        await client.post("/in/off", content=b"4")
    chosen, webhook, long, digest, other, none = (receipt.duplicate_key for receipt in house.desk.receipts)
    assert chosen is not None
    assert webhook is not None
    assert long is not None
    assert digest is not None
    assert other is not None
    assert (chosen.value, chosen.given, chosen.horizon) == ("idempotency-key:k", True, 7 * 86400.0)
    assert webhook.value == "webhook-id:w"
    assert len(long.value) < 256
    assert (digest.given, digest.horizon) == (False, 300.0)
    assert digest.value != other.value
    assert none is None


async def test_prefer_wait_answers_201_with_the_ticket_that_this_event_made() -> None:
    house = House({"shop": open_source()})
    house.desk.progress = Progress(TICKET, created=True, done=True)
    async with house.client() as client:
        answer = await client.post("/in/shop", content=b"{}", headers={"Prefer": "respond-async, wait=60"})
    assert (answer.status_code, answer.json()["ticket"]["number"]) == (201, "100017")
    assert house.desk.waited == [(answer.json()["id"], 8.0)]


async def test_waiting_in_vain_or_for_an_older_ticket_answers_202() -> None:
    house = House({"shop": open_source(wait="5s")})
    async with house.client() as client:
        vain = await client.post("/in/shop", content=b"1")
        house.desk.progress = Progress(TICKET, created=False, done=True)
        older = await client.post("/in/shop", content=b"2")
        unwanted = await client.post("/in/shop", content=b"3", headers={"Prefer": "wait=0"})
    assert (vain.status_code, vain.json()["ticket"]) == (202, None)
    assert (older.status_code, older.json()["ticket"]["id"]) == (202, "17")
    assert unwanted.json()["ticket"] is None
    assert [timeout for _id, timeout in house.desk.waited] == [5.0, 5.0]


async def test_malformed_payloads_are_rejected_with_their_place_or_accepted_with_a_warning() -> None:
    house = House({"strict": open_source(malformed="reject"), "lenient": open_source()})
    async with house.client() as client:
        rejected = await client.post("/in/strict", content=b'{\n "a": }')
        accepted = await client.post("/in/lenient", content=b'{\n "a": }')
        large = await client.post("/in/strict", content=b'"' + b"x" * 100_000)
    assert rejected.status_code == 400
    assert rejected.json()["place"].startswith("line 2, column ")
    assert accepted.status_code == 202
    assert "line 2" in accepted.json()["warning"]
    assert large.status_code == 400
    assert [receipt.source for receipt in house.desk.receipts] == ["lenient"]


async def test_a_fault_of_ours_in_the_inspection_accepts() -> None:
    house = House({"strict": open_source(malformed="reject")})
    async with house.client() as client:
        assert (await client.post("/in/strict", content=b"our fault")).status_code == 202


async def test_a_reused_key_is_accepted_with_a_warning() -> None:
    house = House({"shop": open_source()})
    house.desk.warning = Accepted("", warning=Reason.DUPLICATE_KEY_REUSED)
    async with house.client() as client:
        answer = await client.post("/in/shop", content=b"{}")
    assert answer.json()["warning"] == Reason.DUPLICATE_KEY_REUSED.explain()


@pytest.mark.parametrize("fault", [JournalFull(), IntakeClosed(), JournalBroken(), RuntimeError("a bug with /a/path")])
async def test_our_own_faults_are_503_with_retry_after_and_tell_nothing(fault: Exception) -> None:
    house = House({"shop": open_source()})
    house.desk.fault = fault
    async with house.client() as client:
        answer = await client.post("/in/shop", content=b"{}")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "/a/path" not in answer.text
    assert bool(house.broken) == isinstance(fault, JournalBroken)
    assert ("id" in answer.json()) == isinstance(fault, RuntimeError)


async def test_full_disk_full_queue_and_stop_refuse_with_503() -> None:
    house = House({"shop": open_source()}, admission=Admission(min_free=1000, max_waiting=5))
    async with house.client() as client:

        async def reason() -> str:
            answer = await client.post("/in/shop", content=b"{}")
            return str(answer.json().get("type", answer.status_code)).rpartition("/")[2]

        house.admission.refresh(figures(), free=999)
        assert await reason() == "no_room"
        house.admission.refresh(figures(waiting=3), free=1000)
        assert await reason() == "queue_full"
        house.admission.refresh(figures(waiting=1), free=1000)
        assert await reason() == "202"
        assert await reason() == "202"  # a repeat waits for nothing
        house.admission.stopping = True
        assert await reason() == "stopping"


async def test_a_rate_is_kept_only_where_it_is_configured() -> None:
    house = House({"slow": open_source(rate="2/h"), "free": open_source()})
    async with house.client() as client:
        statuses = [(await client.post("/in/slow", content=b"%d" % number)).status_code for number in range(3)]
        limited = await client.post("/in/slow", content=b"x")
        free = [(await client.post("/in/free", content=b"%d" % number)).status_code for number in range(50)]
    assert statuses == [202, 202, 429]
    assert 0 < int(limited.headers["Retry-After"]) <= 1800
    assert set(free) == {202}


async def test_tokens_in_path_and_query_are_not_kept() -> None:
    auth = Auth(path=Secret("path-token"), query={"token": Secret("query-token")})
    house = House({"shop": source(auth)})
    async with house.client() as client:
        by_path = await client.post("/in/shop/path-token?a=1", content=b"1")
        by_query = await client.post("/in/shop?a=1&to%6ben=query-token&b=2", content=b"2")
        wrong = await client.post("/in/shop/other-token", content=b"3")
    assert (by_path.status_code, by_query.status_code, wrong.status_code) == (202, 202, 401)
    assert house.desk.receipts[0].envelope["path"] == "/in/shop/***"
    assert house.desk.receipts[1].envelope["query"] == "a=1&b=2"
    assert "-token" not in repr([receipt.envelope for receipt in house.desk.receipts])


async def test_a_path_token_leads_nowhere_where_the_source_takes_none() -> None:
    house = House({"shop": source()})
    async with house.client() as client:
        assert (await client.post("/in/shop/anything", content=b"{}", headers=BEARER)).status_code == 404


async def test_networks_are_judged_by_the_socket_unless_a_proxy_is_trusted() -> None:
    inside = {"X-Forwarded-For": "10.1.2.3"}
    plain = House({"shop": source(networks=["10.0.0.0/8"])})
    async with plain.client("192.0.2.9") as client:
        assert (await client.post("/in/shop", content=b"1", headers={**BEARER, **inside})).status_code == 403
        assert (await client.post("/in/shop", content=b"1", headers=inside)).status_code == 401
    proxied = House({"shop": source(networks=["10.0.0.0/8"])}, {"trusted_proxies": ["192.0.2.9"]})
    async with proxied.client("192.0.2.9") as client:
        assert (await client.post("/in/shop", content=b"1", headers={**BEARER, **inside})).status_code == 202
        spoofed = {**BEARER, "X-Forwarded-For": "10.1.2.3, 203.0.113.5"}
        assert (await client.post("/in/shop", content=b"2", headers=spoofed)).status_code == 403
    assert proxied.desk.receipts[0].peer == "10.1.2.3"


async def test_a_signed_request_that_is_played_again_is_recognised_and_later_refused() -> None:
    signing = Hmac(header="X-Sig", secrets=[Secret("new"), Secret("old")], timestamp_header="X-Time", tolerance=300.0)
    house = House({"shop": source(Auth(hmac=signing))})
    stamp = str(int(NOW))
    digest = hmac.new(b"old", f"{stamp}.{{}}".encode(), "sha256").hexdigest()
    headers = {"X-Sig": f"sha256={digest}", "X-Time": stamp}
    async with house.client() as client:
        first = await client.post("/in/shop", content=b"{}", headers=headers)
        again = await client.post("/in/shop", content=b"{}", headers={**headers, "Idempotency-Key": "another"})
        forged = await client.post("/in/shop", content=b"{ }", headers=headers)
        unsigned = await client.post("/in/shop", content=b"{}")
        house.now = NOW + 3600
        late = await client.post("/in/shop", content=b"{}", headers=headers)
    assert (first.status_code, again.json()["id"], again.json()["duplicate"]) == (202, first.json()["id"], True)
    assert [answer.status_code for answer in (forged, unsigned, late)] == [401, 401, 401]
    assert not {"x-sig", "x-time"} & dict(house.desk.receipts[0].headers).keys()


async def test_the_gates_follow_the_figures_of_journal_and_disk() -> None:
    room = [10**12]
    house = House({"shop": open_source()})
    gates = Admission.of(house.server, lambda: room[0])
    watch = asyncio.create_task(gates.watch(Look(house.desk), every=0.001))
    try:
        for free, refused in ((10**12, False), (2**30 - 1, True), (2**30, False)):
            room[0] = free
            for _ in range(2000):
                await asyncio.sleep(0.001)
                if gates.counts is not None and (gates.refusal() is not None) is refused:
                    break
            assert (gates.refusal() is not None) is refused
    finally:
        watch.cancel()


async def test_mounted_applications_answer_under_their_prefix_only() -> None:
    async def hello(_request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    house = House({}, {"base_path": "/gw"}, mounts={"/sandbox": Starlette(routes=[WebRoute("/page", hello)])})
    async with house.client() as client:
        for base in ("", "/gw"):
            assert (await client.get(f"{base}/sandbox/page")).text == "hello"
        assert (await client.get("/sandboxed")).status_code == 404
