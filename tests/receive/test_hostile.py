import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Scope

from gateway.config.models import Auth, Hmac
from gateway.config.values import Secret
from tests.receive.support import House, open_source, source

pytestmark = pytest.mark.anyio

HEADER_VALUE = st.binary(max_size=80).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b""))
NAMES = st.sampled_from(
    [b"authorization", b"content-type", b"content-length", b"content-encoding", b"prefer", b"idempotency-key", b"webhook-id",
     b"x-sig", b"x-time", b"x-forwarded-for", b"transfer-encoding", b"host"]
)  # fmt: skip
PATHS = st.one_of(
    st.sampled_from(
        ["/in/open", "/in/closed", "/in/signed", "/in/", "/in", "/receipts/", "/", "/in//open", "/in/open/%2e"]
    ),
    st.text(max_size=30).map(lambda text: "/" + text),
    st.text(max_size=60).map(lambda text: "/receipts/" + text),
)


def house() -> House:
    signed = source(
        Auth(hmac=Hmac(header="X-Sig", secrets=[Secret("s")], timestamp_header="X-Time")), malformed="reject"
    )
    sources = {"open": open_source(malformed="reject"), "closed": source(), "signed": signed}
    return House(sources, {"trusted_proxies": ["192.0.2.0/24"]})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["POST", "GET", "HEAD", "PUT", "PATCH", "X"]),
    path=PATHS,
    query=st.binary(max_size=60),
    headers=st.lists(st.tuples(NAMES, HEADER_VALUE), max_size=6),
    body=st.binary(max_size=200),
)
async def test_no_request_is_answered_with_a_fault_of_ours(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    statuses: list[int] = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return pieces.pop() if pieces else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            assert isinstance(status, int)
            statuses.append(status)

    scope: Scope = {
        "type": "http", "method": method, "path": path, "raw_path": b"", "query_string": query, "headers": headers,
        "client": ("192.0.2.1", 1), "server": ("gw", 80), "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    app = house().app
    await app(scope, receive, send)
    assert len(statuses) == 1
    assert statuses[0] < 500


async def test_what_the_sender_says_about_host_and_path_decides_nothing() -> None:
    door = house()
    async with door.client() as client:
        for host in ("gw/healthz?x=", "gateway/in/open", "@evil.example"):
            answer = await client.post("/in/closed", content=b"{}", headers={"Host": host})
            assert answer.status_code == 401
        for path in ("//in/closed", "/healthz/../in/closed", "/in/open%2F..%2Fclosed", "/in/%00"):
            sent = await client.send(httpx.Request("POST", f"http://gw{path}", content=b"{}"))
            assert sent.status_code in {401, 404, 405}
    assert not door.desk.receipts
