"""The connector and the sandbox's OTOBO understand each other: made once, found again, completed, followed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from gateway.helpdesks.protocol import Answer, CallFailed, Certainty, Order
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from gateway.sandbox.records import NewEntry
from tests.helpdesks.otobo.desk import MARKER, OTHER, STOCK, Desk, attachment, connector, order

pytestmark = pytest.mark.anyio
LAYOUTS: list[dict[str, object]] = [{}, STOCK]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    await one.close()


@pytest.mark.parametrize("layout", LAYOUTS, ids=["lower", "stock"])
async def test_a_ticket_is_stored_with_its_fields_files_and_marker(desk: Desk, layout: dict[str, object]) -> None:
    fields: dict[str, JsonValue] = {
        "priority": "4 high",
        "type": "Incident",
        "queue": "Network",
        "service": "Network",
        "sla": "Gold",
        "owner": "gateway",
        "lock": "unlock",
        "state": "pending reminder",
        "pending": "2h",
        "DynamicField_Severity": "critical",
        "DynamicField_Tags": ["network", "storage"],
        "visible": True,
        "channel": "Phone",
        "sender": "system",
    }
    one = order(title="Füllstand\n<95 %>", fields=fields, files=[("löß.txt", b"df output"), ("../b.bin", b"\0\1")])
    ticket = await desk.make(connector(**layout), one)
    (stored,) = desk.tickets
    assert (ticket.id, ticket.number, ticket.requester) == (str(stored.id), stored.number, "kunde")
    assert stored.number in ticket.url
    assert stored.subject.startswith("Füllstand <95 %>")
    assert (stored.department, stored.priority, stored.topic, stored.status, stored.assignee) == (
        "Network",
        "4 high",
        "Incident",
        "pending reminder",
        "gateway",
    )
    assert stored.fields["DynamicField_Severity"] == "critical"
    assert stored.fields["DynamicField_Tags"] == '["network", "storage"]'
    assert (stored.fields["service"], stored.fields["sla"], stored.fields["lock"]) == ("Network", "Gold", "unlock")
    assert float(stored.fields["pending"]) == desk.clock.now + 7200
    (entry,) = desk.entries()
    assert entry.body == f"/ is 97 % full\n\ntg-{MARKER}"
    assert [(file.filename, file.size) for file in entry.attachments] == [("löß.txt", 9), ("b.bin", 2)]
    assert entry.details["IsVisibleForCustomer"] == "1"
    assert (entry.details["SenderType"], entry.details["CommunicationChannel"]) == ("system", "Phone")


async def test_an_article_is_internal_and_hidden_unless_told_otherwise(desk: Desk) -> None:
    await desk.make(connector(), order(html="<p>graph</p>"))
    (entry,) = desk.entries()
    assert (entry.details["IsVisibleForCustomer"], entry.details["CommunicationChannel"]) == ("0", "Internal")
    assert entry.format == "html"


async def test_an_inline_image_keeps_its_content_id(desk: Desk) -> None:
    png = b"\x89PNG\r\n\x1a\n"
    draft = TicketDraft(
        "t", "x", '<p>Graph:</p><img src="cid:graph@gw">', {}, (attachment("g.png", png, "image/png", "graph@gw"),)
    )
    await desk.make(connector(), Order("a", ActionKind.CREATE, MARKER, draft, None, 0.0, attachments=(png,)))
    (entry,) = desk.entries()
    file = next(file for file in entry.attachments if file.filename == "g.png")
    assert (file.inline, file.content_id) == (True, "graph@gw")


# ---------------------------------------------------------------------------------------------------- doubtful creates


@pytest.mark.parametrize("layout", LAYOUTS, ids=["lower", "stock"])
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_hang"])
async def test_a_create_whose_answer_was_lost_is_found_by_its_marker(
    desk: Desk, fault: str, layout: dict[str, object]
) -> None:
    way, one = connector(**layout), order(files=[("a.txt", b"a")])
    desk.fault(fault=fault, count=1)
    assert (await desk.call(way, one, timeout=0.2)).kind is OutcomeKind.UNKNOWN
    found = await desk.resolve(way, one)
    assert (found.kind, found.reason) == (OutcomeKind.DELIVERED, Reason.FOUND)
    assert found.ticket
    assert found.ticket.number == desk.tickets[0].number
    assert len(desk.tickets) == len(desk.entries()) == 1


@pytest.mark.parametrize("layout", LAYOUTS, ids=["lower", "stock"])
async def test_absence_is_believed_once_a_ticket_of_ours_was_found_again(desk: Desk, layout: dict[str, object]) -> None:
    await desk.make(connector(**layout), order(marker=OTHER))
    way, one = connector(**layout), order()  # a gateway that was just started, and knows of no ticket
    desk.fault(fault="hang_before_commit", commits=False, seconds=0)
    assert (await desk.call(way, one)).kind is OutcomeKind.UNKNOWN
    desk.heal()
    assert (await desk.resolve(way, one)).kind is OutcomeKind.NOT_SENT
    await desk.make(way, one)
    assert len(desk.tickets) == 2


async def test_finding_nothing_where_nothing_of_ours_is_proves_nothing(desk: Desk) -> None:
    way, one = connector(), order()
    first = await desk.resolve(way, one)
    assert first.kind is OutcomeKind.UNKNOWN
    last = await desk.resolve(way, one)
    assert (last.kind, last.reason) == (OutcomeKind.REJECTED, Reason.UNKNOWN_OUTCOME)
    assert desk.tickets == []


async def test_a_right_that_was_taken_away_takes_the_proof_with_it(desk: Desk) -> None:
    way = connector()
    await desk.make(way, order(marker=OTHER))
    assert (await desk.resolve(way, order())).kind is OutcomeKind.NOT_SENT
    agent = desk.double.settings.agents["gateway"].model_copy(update={"groups": {"users": ("create",)}})
    desk.double.change_settings({"agents": {"gateway": agent}})
    assert (await desk.resolve(way, order())).kind is OutcomeKind.UNKNOWN


async def test_without_proof_it_is_sent_again_only_if_told_so_and_says_possible_duplicate(desk: Desk) -> None:
    way, one = connector(on_unknown="resend"), order()
    assert (await desk.resolve(way, one)).kind is OutcomeKind.UNKNOWN
    sent = await desk.resolve(way, one)
    assert (sent.kind, sent.flags) == (OutcomeKind.DELIVERED, (Reason.POSSIBLE_DUPLICATE,))
    assert len(desk.tickets) == 1


async def test_a_search_that_drops_the_criterion_never_proves_absence(desk: Desk) -> None:
    """OTOBO answers with all tickets for a dynamic field that it does not know."""
    await desk.make(connector(), order(marker=OTHER))
    way = connector(dynamic_field="NoSuchField")
    for _ in range(3):
        assert (await desk.resolve(way, order())).kind is OutcomeKind.UNKNOWN
    probe = await way.probe(desk, timeout=5)
    assert probe.kind is OutcomeKind.REJECTED
    assert "NoSuchField" in probe.detail


async def test_a_marker_that_is_not_found_after_a_create_lowers_what_can_be_promised_until_it_is(desk: Desk) -> None:
    class Blind(Desk):
        blind = True

        async def request(
            self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
        ) -> Answer:
            if self.blind and url.endswith("/search"):
                return Answer(200, {}, b"{}")
            return await super().request(method, url, headers=headers, content=content, timeout=timeout)

    blind, way = Blind(), connector()
    outcome = await blind.call(way, order())
    assert "its marker cannot be found" in outcome.detail
    promised = [way.capabilities.certainty]
    blind.blind = False
    await blind.make(way, order(marker=OTHER))
    promised.append(way.capabilities.certainty)
    assert promised == [Certainty.NONE, Certainty.STRONG_LOOKUP]
    await blind.close()


async def test_an_agent_that_may_create_and_not_read_proves_nothing(desk: Desk) -> None:
    agents = desk.double.settings.agents
    desk.double.change_settings(
        {"agents": {"gateway": agents["gateway"].model_copy(update={"groups": {"users": ("create",)}})}}
    )
    way = connector()
    outcome = await desk.call(way, order())
    # It cannot be read either, so nothing is learned; absence stays unproven.
    assert outcome.kind is OutcomeKind.DELIVERED
    assert (await desk.resolve(way, order(marker=OTHER))).kind is OutcomeKind.UNKNOWN
    assert (await desk.resolve(way, order(marker=OTHER))).kind is OutcomeKind.REJECTED


async def test_a_title_that_an_agent_has_changed_still_bears_the_marker(desk: Desk) -> None:
    way = connector(**STOCK)
    assert way.capabilities.certainty is Certainty.EVENTUAL_LOOKUP
    await desk.make(way, order(marker=OTHER))
    assert desk.double.act(desk.tickets[0].id, "retitle")
    stored = desk.tickets[0]
    desk.store.change_ticket(stored.id, 0.0, subject=f"{stored.subject} (please call back)")
    assert (await desk.resolve(way, order(marker=OTHER))).reason is Reason.FOUND
    assert (await desk.resolve(connector(**STOCK), order())).kind is OutcomeKind.NOT_SENT  # proven by that very ticket


@pytest.mark.parametrize("at", ["thread_entry", "attachment"])
async def test_a_half_made_ticket_is_completed_once_it_no_longer_changes(desk: Desk, at: str) -> None:
    way, one = connector(), order(files=[("a.txt", b"a"), ("b.txt", b"bb")])
    desk.fault(fault="die_half_way", at=at, count=1)
    assert (await desk.call(way, one)).kind is OutcomeKind.UNKNOWN
    assert len(desk.tickets) == 1
    first = await desk.resolve(way, one)
    assert first.kind is OutcomeKind.UNKNOWN  # it may still be being made
    done = await desk.resolve(way, one)
    assert (done.kind, done.reason) == (OutcomeKind.DELIVERED, Reason.FOUND)
    assert len(desk.tickets) == 1
    names = [file.filename for entry in desk.entries() for file in entry.attachments]
    assert names == ["a.txt", "b.txt"]
    assert "/ is 97 % full" in desk.entries()[0].body
    again = await desk.resolve(way, one)
    assert again.kind is OutcomeKind.DELIVERED
    assert len([file for entry in desk.entries() for file in entry.attachments]) == 2


async def test_a_field_that_cannot_be_stored_does_not_cost_the_ticket(desk: Desk) -> None:
    """A list in a text field passes the checks and fails while writing: a ticket without article."""
    way, one = connector(), order(fields={"DynamicField_Host": ["a", "b"]})
    assert (await desk.call(way, one)).kind is OutcomeKind.UNKNOWN
    assert desk.entries() == ()
    assert (await desk.resolve(way, one)).kind is OutcomeKind.UNKNOWN
    done = await desk.resolve(way, one)
    assert (done.kind, done.flags) == (OutcomeKind.DELIVERED, (Reason.FIELD_REFUSED,))
    assert len(desk.entries()) == 1


async def test_a_ticket_that_is_still_being_made_is_left_alone(desk: Desk) -> None:
    desk.double.change_settings({"latency": 0.05})
    way, one = connector(limits={"settle": "200ms"}), order(files=[("a.txt", b"a"), ("b.txt", b"b")])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(desk.call(way, one), 0.08)  # the client hangs up; the helpdesk goes on
    looks: list[Outcome] = []
    while not looks or looks[-1].kind is OutcomeKind.UNKNOWN:
        looks.append(await way.resolve(one, way.prepare(one), desk, timeout=5))
        await asyncio.sleep(0.03)
    assert len(looks) > 1
    assert looks[-1].reason is Reason.FOUND
    assert len(desk.entries()) == 1


# ---------------------------------------------------------------------------------------------------------- follow-ups


async def _ticket(desk: Desk) -> TicketRef:
    return await desk.make(connector(), order(marker=OTHER))


@pytest.mark.parametrize("layout", LAYOUTS, ids=["lower", "stock"])
async def test_an_article_on_a_closed_ticket_leaves_it_closed_and_says_so(
    desk: Desk, layout: dict[str, object]
) -> None:
    way = connector(**layout)
    ticket = await desk.make(way, order(marker=OTHER))
    assert desk.double.act(desk.tickets[0].id, "close")
    outcome = await desk.call(way, order(ActionKind.APPEND, ticket=ticket, text="more"))
    assert outcome.kind is OutcomeKind.DELIVERED
    assert "closed by somebody else" in outcome.detail
    assert desk.tickets[0].status == "closed successful"
    assert len(desk.entries()) == 2


@pytest.mark.parametrize("kind", [ActionKind.REOPEN, ActionKind.APPEND])
async def test_reopening_is_explicit(desk: Desk, kind: ActionKind) -> None:
    ticket = await _ticket(desk)
    assert desk.double.act(desk.tickets[0].id, "close")
    await desk.make(connector(), order(kind, ticket=ticket, reopen=kind is ActionKind.APPEND))
    assert desk.tickets[0].status == "open"


async def test_a_close_sets_the_state_and_adds_the_article_in_one_call(desk: Desk) -> None:
    ticket, way = await _ticket(desk), connector()
    desk.asked.clear()
    await desk.make(way, order(ActionKind.CLOSE, ticket=ticket, quiet=True))
    assert desk.tickets[0].status == "closed successful"
    assert [line.rpartition("/")[2] for line in desk.asked] == ["session", "get", "ticket"]


async def test_a_ticket_with_more_text_than_an_answer_holds_can_still_be_followed(desk: Desk) -> None:
    ticket, way = await _ticket(desk), connector()
    for number in range(60):
        await desk.make(way, order(ActionKind.APPEND, ticket=ticket, text="x" * 1000, marker=f"{number:032x}"))
    desk.bodies.clear()
    await desk.make(way, order(ActionKind.APPEND, ticket=ticket))
    assert not any(b"AllArticles" in body for body in desk.bodies)
    found = await desk.resolve(way, order(ActionKind.APPEND, ticket=ticket))
    assert found.reason is Reason.FOUND
    assert b'"ArticleLimit":50' in desk.bodies[-1]


async def test_what_an_agent_closed_keeps_the_agents_state(desk: Desk) -> None:
    ticket = await _ticket(desk)
    desk.store.set_status(desk.tickets[0].id, "closed unsuccessful", 0.0)
    await desk.make(connector(), order(ActionKind.CLOSE, ticket=ticket))
    assert desk.tickets[0].status == "closed unsuccessful"


async def test_a_pending_ticket_is_no_closed_one(desk: Desk) -> None:
    ticket = await _ticket(desk)
    desk.store.set_status(desk.tickets[0].id, "pending reminder", 0.0)
    await desk.make(connector(), order(ActionKind.REOPEN, ticket=ticket))
    assert desk.tickets[0].status == "pending reminder"


async def test_a_merged_ticket_is_followed_to_the_main_one(desk: Desk) -> None:
    ticket = await _ticket(desk)
    main = await desk.make(connector(), order(marker="ab" * 16, title="the main one"))
    assert desk.double.act(int(ticket.id), "merge")
    outcome = await desk.call(connector(), order(ActionKind.CLOSE, ticket=ticket, text="over"))
    assert outcome.ticket
    assert (outcome.ticket.number, outcome.flags) == (main.number, (Reason.TICKET_MOVED,))
    assert [len(desk.entries(index)) for index in (0, 1)] == [1, 2]
    assert desk.tickets[1].status == "closed successful"


async def test_a_renamed_state_is_understood_by_its_type(desk: Desk) -> None:
    ticket = await _ticket(desk)
    states = {**desk.double.settings.states, "erledigt": "closed"}
    desk.double.change_settings({"states": states})
    desk.store.set_status(desk.tickets[0].id, "erledigt", 0.0)
    outcome = await desk.call(connector(), order(ActionKind.APPEND, ticket=ticket))
    assert "closed by somebody else" in outcome.detail


@pytest.mark.parametrize("kind", [ActionKind.APPEND, ActionKind.CLOSE, ActionKind.REOPEN])
@pytest.mark.parametrize("fault", ["commit_then_drop", "hang_before_commit", "die_half_way"])
async def test_a_doubtful_follow_up_is_there_exactly_once_in_the_end(desk: Desk, kind: ActionKind, fault: str) -> None:
    ticket, way = await _ticket(desk), connector()
    if kind is ActionKind.REOPEN:
        assert desk.double.act(desk.tickets[0].id, "close")
    one = order(kind, ticket=ticket, text="more")
    desk.fault(fault=fault, count=1, **({"commits": False, "seconds": 0} if fault == "hang_before_commit" else {}))
    assert (await desk.call(way, one)).kind is OutcomeKind.UNKNOWN
    outcome = await desk.resolve(way, one)
    if outcome.kind is OutcomeKind.NOT_SENT:
        outcome = await desk.call(way, one)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert len(desk.entries()) == 2
    wanted = {ActionKind.APPEND: "new", ActionKind.CLOSE: "closed successful", ActionKind.REOPEN: "open"}
    assert desk.tickets[0].status == wanted[kind]


async def test_an_update_changes_fields_and_says_so(desk: Desk) -> None:
    ticket = await _ticket(desk)
    fields = {"priority": "5 very high", "queue": "Network", "DynamicField_Severity": "major"}
    await desk.make(connector(), order(ActionKind.UPDATE, ticket=ticket, fields=fields))
    stored = desk.tickets[0]
    assert (stored.priority, stored.department) == ("5 very high", "Network")
    assert stored.fields["DynamicField_Severity"] == "major"


async def test_a_follow_up_to_a_ticket_that_is_gone_makes_a_new_one_that_names_it(desk: Desk) -> None:
    ticket = await _ticket(desk)
    assert desk.double.act(desk.tickets[0].id, "delete")
    outcome = await desk.call(connector(), order(ActionKind.APPEND, ticket=ticket, quiet=True))
    assert (outcome.kind, outcome.flags) == (OutcomeKind.DELIVERED, (Reason.TICKET_REPLACED,))
    (new,) = desk.tickets
    assert outcome.ticket is not None
    assert outcome.ticket.number == new.number
    assert f"This goes on from ticket {ticket.number}" in desk.entries()[0].body


async def test_a_person_who_changes_a_ticket_that_is_gone_is_told_so_and_gets_no_new_one(desk: Desk) -> None:
    ticket = await _ticket(desk)
    assert desk.double.act(desk.tickets[0].id, "delete")
    asked = replace(order(ActionKind.UPDATE, ticket=ticket, fields={"priority": "4 high"}), in_place=False)
    outcome = await desk.call(connector(), asked)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "no such ticket" in outcome.detail
    assert desk.tickets == []


async def test_a_removed_ticket_is_as_good_as_gone(desk: Desk) -> None:
    ticket = await _ticket(desk)
    desk.store.set_status(desk.tickets[0].id, "removed", 0.0)
    outcome = await desk.call(connector(), order(ActionKind.APPEND, ticket=ticket))
    assert Reason.TICKET_REPLACED in outcome.flags
    close = await desk.call(connector(), order(ActionKind.CLOSE, ticket=ticket))
    assert (close.kind, close.reason) == (OutcomeKind.SKIPPED, Reason.TICKET_GONE)


@pytest.mark.parametrize(
    ("sender", "body", "outcome"),
    [
        ("customer", "What is this?", OutcomeKind.SKIPPED),
        ("customer", f"a mail that came through us\n\ntg-{MARKER}", OutcomeKind.DELIVERED),
        ("system", "We have received your request.", OutcomeKind.DELIVERED),
    ],
    ids=["a customer's answer", "an article of ours", "an automatic answer"],
)
async def test_an_answer_of_a_person_keeps_a_ticket_open_and_no_other(
    desk: Desk, sender: str, body: str, outcome: OutcomeKind
) -> None:
    ticket = await _ticket(desk)
    details = {"SenderType": sender, "IsVisibleForCustomer": "1", "CommunicationChannel": "Email"}
    details["ContentType"] = "text/plain; charset=utf-8"
    desk.store.add_entry(desk.tickets[0].id, NewEntry("message", "Karl", body, title="Re", details=details), 0.0)
    close = order(ActionKind.CLOSE, ticket=ticket, marker=OTHER)
    done = await desk.call(connector(), replace(close, draft=replace(close.draft, only_if_untouched=True)))
    assert done.kind is outcome


# ------------------------------------------------------------------------------------------------------------ sessions


async def test_one_session_serves_many_calls_and_never_stands_in_the_stored_request(desk: Desk) -> None:
    way = connector()
    for number in range(3):
        await desk.make(way, order(marker=f"{number:032x}"))
    assert sum(line.endswith("/session") for line in desk.asked) == 1
    assert b"SessionID" not in way.prepare(order())


async def test_an_ended_session_is_made_anew_and_the_call_repeated(desk: Desk) -> None:
    way = connector()
    await desk.make(way, order(marker=OTHER))
    desk.clock.now += 7201
    await desk.make(way, order())
    desk.client = "127.0.0.9"  # a session that is used from another address is refused and deleted
    await desk.make(way, order(marker="cd" * 16))
    assert sum(line.endswith("/session") for line in desk.asked) == 3
    assert len(desk.tickets) == 3


async def test_a_wrong_password_is_auth_broken_and_the_probe_says_the_same(desk: Desk) -> None:
    for login in ("session", "call"):
        way = connector(auth={"user": "gateway", "password": "wrong", "login": login})
        assert (await desk.call(way, order())).kind is OutcomeKind.AUTH_BROKEN
        assert (await way.probe(desk, timeout=5)).kind is OutcomeKind.AUTH_BROKEN


async def test_with_login_per_call_there_is_no_session(desk: Desk) -> None:
    way = connector(
        auth={"user": "gateway", "password": desk.double.settings.agents["gateway"].password, "login": "call"}
    )
    await desk.make(way, order())
    assert (await way.probe(desk, timeout=5)).kind is OutcomeKind.DELIVERED
    assert not any(line.endswith("/session") for line in desk.asked)


async def test_the_password_stands_in_no_address(desk: Desk) -> None:
    way = connector(**STOCK)
    await desk.make(way, order())
    assert any("SessionID=" in address for address in desk.addresses)
    assert not any(desk.double.settings.agents["gateway"].password in address for address in desk.addresses)


async def test_a_failed_reading_call_has_written_nothing_and_tells_no_session(desk: Desk) -> None:
    """Over GET the session stands in the address, and the pool names the address of a call that failed."""
    way, ticket = connector(**STOCK), await _ticket(desk)
    await desk.make(way, order())

    class Cut(Desk):
        async def request(
            self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
        ) -> Answer:
            raise CallFailed(f"{method} {url}: cut", sent=True)

    cut = Cut()
    outcome = await cut.call(way, order(ActionKind.APPEND, ticket=ticket))
    assert outcome.kind is OutcomeKind.HELPDESK_DOWN
    assert "SessionID" not in outcome.detail
    assert "GET https://helpdesk.example/otobo/" in outcome.detail
    await cut.close()


# ------------------------------------------------------------------------------------------------------------ refusals


async def test_a_refused_field_can_be_left_out_and_the_default_stands_in(desk: Desk) -> None:
    way, fields = connector(), {"queue": "NoSuch"}
    refused = await desk.call(way, order(fields=fields))
    assert (refused.kind, refused.degrade) == (OutcomeKind.REJECTED, ("queue",))
    await desk.make(way, order(fields=fields, left_out=refused.degrade))
    assert desk.tickets[0].department == "Monitoring"
    assert "Left out, refused by the help desk: queue" in desk.entries()[0].body


async def test_a_body_over_the_services_limit_proves_that_nothing_was_written(desk: Desk) -> None:
    way = connector(webservice="OTOBO")
    refused = await desk.call(way, order(files=[("big.bin", bytes(20_000))]))
    assert (refused.kind, refused.degrade) == (OutcomeKind.REJECTED, ("attachments",))
    assert desk.tickets == []


async def test_a_web_service_that_is_switched_off_is_down_and_sets_no_ticket_aside(desk: Desk) -> None:
    assert (await desk.call(connector(webservice="Nope"), order())).kind is OutcomeKind.HELPDESK_DOWN


async def test_the_double_of_znuny_takes_the_same_calls(desk: Desk) -> None:
    znuny = Desk(name="znuny")
    way = connector(kind="znuny", url="https://helpdesk.example/znuny")
    ticket = await znuny.make(way, order(files=[("a.txt", b"a")]))
    await znuny.make(way, order(ActionKind.CLOSE, ticket=ticket, marker=OTHER))
    assert znuny.tickets[0].status == "closed successful"
    assert way.fingerprint == "znuny https://helpdesk.example/znuny"
    await znuny.close()
