import hashlib
import hmac

import pytest

from gateway.config.models import Auth, Hmac
from gateway.config.values import Secret
from gateway.journal.protocol import ActionView, EventView, HistoryLine, JournalFull, ReceiptView
from gateway.model.action import ActionKind, ActionStatus
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus
from tests.receive.support import BEARER, NOW, TICKET, House, figures, open_source, source

pytestmark = pytest.mark.anyio

ID = "019a9f00-0000-7000-8000-000000000001"
OPERATOR = {"Authorization": "Bearer operator-token"}


def whole_view() -> ReceiptView:
    event = EventView(
        0, {"kind": "problem", "title": "disk \ud800 full"}, Reason.OPENED, "databases", "inc-1", {}, None
    )
    action = ActionView(
        id="act-1", incident="inc-1", helpdesk="osticket", kind=ActionKind.CREATE, status=ActionStatus.DELIVERED,
        reason=Reason.DELIVERED, flags=(), marker="m", route="databases", sequence=1, receipt=ID, queued_at=NOW,
        not_before=NOW, tries=1, title="t", detail="", attempts=(),
    )  # fmt: skip
    return ReceiptView(
        id=ID, source="shop", received_at=NOW, peer="192.0.2.9", content_type="application/json", size=7,
        status=ReceiptStatus.PROCESSED, reason=None, detail="", tries=1, warnings=("time without zone",),
        envelope={"path": "/in/shop"}, events=(event,), actions=(action,), incidents=(), ticket=TICKET,
        timeline=(HistoryLine(NOW, "accepted"), HistoryLine(NOW + 1, "opened", Reason.OPENED)),
    )  # fmt: skip


def house() -> House:
    built = House({"shop": source(), "other": source(Auth(bearer=Secret("other-token"))), "open": open_source()})
    built.desk.views[ID] = whole_view()
    return built


async def test_a_source_sees_what_became_of_its_receipt() -> None:
    async with house().client() as client:
        answer = await client.get(f"/receipts/{ID}", headers=BEARER)
        alias = await client.get(f"/events/{ID}", headers=BEARER)
    told = answer.json()
    assert alias.json() == told
    assert (told["status"], told["ticket"]["number"], told["warnings"]) == (
        "processed",
        "100017",
        ["time without zone"],
    )
    assert told["events"][0]["kind"] == "problem"
    assert told["events"][0]["reason"] == "opened"
    assert told["actions"][0]["status"] == "delivered"
    assert told["timeline"][1] == {"at": "2026-11-21T23:19:22.000Z", "what": "opened", "reason": "opened", "detail": ""}


async def test_others_do_not_learn_that_a_receipt_exists() -> None:
    async with house().client() as client:
        foreign = await client.get(f"/receipts/{ID}", headers={"Authorization": "Bearer other-token"})
        missing = await client.get("/receipts/" + "0" * 36, headers=BEARER)
        nobody = await client.get(f"/receipts/{ID}")
        nothing = await client.get("/receipts/" + "0" * 36)
        prefix = await client.get(f"/receipts/{ID[:8]}", headers=BEARER)
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert (nobody.status_code, nobody.json()) == (401, nothing.json())
    assert prefix.status_code == 404


async def test_operators_see_every_receipt() -> None:
    async with house().client() as client:
        assert (await client.get(f"/receipts/{ID}", headers=OPERATOR)).status_code == 200
        assert (await client.get("/receipts/" + "0" * 36, headers=OPERATOR)).status_code == 404
        assert (await client.delete(f"/receipts/{ID}", headers=OPERATOR)).status_code == 405


async def test_senders_with_other_credentials_read_with_those() -> None:
    signing = Auth(hmac=Hmac(header="X-Sig", secrets=[Secret("s")]))
    built = House({"path": source(Auth(path=Secret("p-token"))), "signed": source(signing), "open": open_source()})
    async with built.client() as client:
        by_path = (await client.post("/in/path/p-token", content=b"{}")).json()["status_url"]
        right = hmac.new(b"s", b"{}", hashlib.sha256).hexdigest()
        by_signature = (await client.post("/in/signed", content=b"{}", headers={"X-Sig": right})).json()["status_url"]
        open_to_all = (await client.post("/in/open", content=b"{}")).json()["status_url"]
        empty = hmac.new(b"s", b"", hashlib.sha256).hexdigest()
        assert (await client.get(by_path)).status_code == 401
        assert (await client.get(by_path + "/p-token")).status_code == 200
        assert (await client.get(by_signature, headers={"X-Sig": empty})).status_code == 200
        assert (await client.get(by_signature, headers={"X-Sig": right})).status_code == 401
        assert (await client.get(open_to_all)).status_code == 200


async def test_alive_says_nothing_about_the_journal_and_ready_says_what_is_wrong() -> None:
    async def full() -> str | None:
        return f"the journal cannot write: {JournalFull('no room')}"

    built = House({}, checks={"journal": full})
    async with built.client() as client:
        assert (await client.get("/healthz")).status_code == 200
        unfit = await client.get("/readyz")
        assert unfit.status_code == 503
        assert unfit.json() == {
            "ready": False,
            "checks": {"journal": "the journal cannot write: no room", "intake": "ok"},
        }


async def test_ready_turns_false_while_stopping() -> None:
    built = House({})
    async with built.client() as client:
        assert (await client.get("/readyz")).status_code == 200
        built.admission.stopping = True
        assert (await client.get("/readyz")).json()["checks"]["intake"] == "The gateway is stopping."


async def test_metrics_are_scraped_with_the_figures_of_the_queue() -> None:
    built = house()
    built.admission.refresh(figures(waiting=4))
    async with built.client() as client:
        text = (await client.get("/metrics")).text
    assert "ticket_gateway_receipts_waiting 4.0" in text
    assert 'ticket_gateway_oldest_action_seconds{helpdesk="osticket"} 9.0' in text


async def test_the_first_page_says_what_this_is_and_the_rest_is_not_found() -> None:
    async with house().client() as client:
        assert "ticket-gateway" in (await client.get("/")).text
        assert (await client.get("/console")).status_code == 404
        assert (await client.post("/healthz")).headers["Allow"] == "GET, HEAD"
