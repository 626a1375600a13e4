"""Whatever comes in, the stand-in answers as the helpdesk could."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.helpdesks.otobo.sandbox import OtoboSandbox
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.double import Reply, Request
from gateway.sandbox.store import Store

SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
TICKET: JsonObject = {"Title": "t", "Queue": "Raw", "State": "new", "Priority": "3 normal", "CustomerUser": "kunde"}
ARTICLE: JsonObject = {"Subject": "s", "Body": "b", "ContentType": "text/plain; charset=utf-8"}
FIELD: JsonObject = {"Name": "Host", "Value": "x"}
FILE: JsonObject = {"Content": "eA==", "ContentType": "text/plain", "Filename": "a"}
PLACES: list[tuple[str, ...]] = [
    *(("Ticket", name) for name in (*TICKET, "QueueID", "PendingTime", "Owner", "Lock", "Type", "SLA", "CustomerID")),
    *(("Article", name) for name in (*ARTICLE, "From", "SenderType", "IsVisibleForCustomer", "MimeType")),
    *(("DynamicField", name) for name in FIELD),
    *(("Attachment", name) for name in (*FILE, "ContentID")),
    *((name,) for name in ("Ticket", "Article", "DynamicField", "Attachment", "TicketID", "TicketNumber", "SessionID")),
]
CRITERIA = ["Title", "TicketID", "TicketNumber", "DynamicField", "DynamicField_Host", "Queues", "QueueIDs", "StateType"]
CRITERIA += [
    "Limit",
    "SortBy",
    "MIMEBase_Body",
    "TicketCreateTimeNewerMinutes",
    "TicketCreateTimeNewerDate",
    "CustomerID",
]


def asked(name: str, method: str, route: str, body: bytes) -> Reply:
    store = Store(None)
    double = OtoboSandbox(store, name=name)
    path = f"/nph-genericinterface.pl/Webservice/TicketGateway{route}"

    async def work() -> Reply:
        first = json.dumps({"UserLogin": "gateway", "Password": SANDBOX_API_KEY, "Ticket": TICKET, "Article": ARTICLE})
        await double.answer(Request("POST", path.rpartition("/ticket")[0] + "/ticket", "", {}, first.encode()))
        reply = await double.answer(Request(method, path, "", {}, body))
        assert isinstance(reply, Reply)
        await double.close()
        return reply

    try:
        return asyncio.run(work())
    finally:
        store.close()


@pytest.mark.parametrize("name", ["otobo", "znuny"])
@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=VALUES, method=st.sampled_from(["POST", "PATCH"]))
def test_any_value_in_any_place_of_a_create_or_update_is_answered(
    name: str, place: tuple[str, ...], value: JsonValue, method: str
) -> None:
    whole: JsonObject = {"UserLogin": "gateway", "Password": SANDBOX_API_KEY, "TicketID": 1}
    whole |= {"Ticket": dict(TICKET), "Article": dict(ARTICLE), "DynamicField": dict(FIELD), "Attachment": dict(FILE)}
    inner = whole[place[0]] if len(place) > 1 else whole
    assert isinstance(inner, dict)
    inner[place[-1]] = value
    assert asked(name, method, "/ticket", json.dumps(whole).encode()).status in {200, 500}


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(CRITERIA), value=VALUES, route=st.sampled_from(["/search", "/get", "/history"]))
def test_any_criterion_is_answered(name: str, value: JsonValue, route: str) -> None:
    whole = {"UserLogin": "gateway", "Password": SANDBOX_API_KEY, name: value}
    assert asked("otobo", "POST", f"/ticket{route}", json.dumps(whole).encode()).status in {200, 500}


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=60), content=VALUES)
def test_any_body_is_answered(body: bytes, content: JsonValue) -> None:
    for raw in (body, json.dumps(content).encode()):
        assert asked("otobo", "POST", "/ticket", raw).status in {200, 500}
