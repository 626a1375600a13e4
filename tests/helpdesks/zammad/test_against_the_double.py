"""The connector and the sandbox's Zammad understand each other, on good days and bad ones."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.helpdesks.protocol import Certainty
from gateway.helpdesks.zammad.markers import Criterion
from gateway.helpdesks.zammad.sandbox_settings import StateRow, Token, ZammadSandboxSettings
from gateway.model.action import ActionKind, OutcomeKind
from gateway.model.reasons import Reason
from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.faults import FaultKind
from gateway.sandbox.records import NewEntry
from tests.helpdesks.zammad.desk import MARKER, Desk, desk, order

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
async def one() -> AsyncIterator[Desk]:
    made = desk()
    yield made
    await made.double.close()
    made.store.close()


def switched(**settings: object) -> Desk:
    return desk(ZammadSandboxSettings.model_validate(settings))


# ------------------------------------------------------------------------------------------------------------ good days


async def test_a_ticket_has_its_fields_its_marker_and_its_article(one: Desk) -> None:
    fields = {"group": "DBA::FRA", "priority": "3 high", "customer": "Eve@example.org", "tags": ["a", "b"], "owner": 3}
    ticket = await one.create(order(fields=fields))
    (shown,) = one.tickets
    assert (shown["group"], shown["priority"], shown["customer"]) == ("DBA::FRA", "3 high", "eve@example.org")
    assert shown["gateway_key"] == MARKER
    assert shown["number"] == ticket.number != ticket.id
    assert ticket.url == f"http://zammad.example.org/#ticket/zoom/{ticket.id}"
    assert ticket.requester == "eve@example.org"
    (article,) = one.articles(ticket.id)
    assert (article["type"], article["body"], article["subject"]) == ("note", "It is down.", shown["title"])
    assert article["message_id"] == ticket.anchor == f"<tg-{MARKER}@zammad.example.org>"


async def test_inline_images_and_files_arrive(one: Desk) -> None:
    html = '<p>see <img src="cid:graph.png"></p>'
    files = (("graph.png", "image/png", PNG), ("log.txt", "text/plain", b"lines"))
    ticket = await one.create(order(html=html, files=files))
    (article,) = one.articles(ticket.id)
    assert "/api/v1/ticket_attachment/" in str(article["body"])
    assert [file["filename"] for file in article["attachments"]] == ["log.txt"]  # type: ignore[union-attr, index, call-overload]  # JSON
    stored = one.double._records.entries(int(ticket.id))[0].attachments
    assert [(file.inline, file.size) for file in stored] == [(False, 5), (True, len(PNG))]


async def test_a_follow_up_and_a_change_of_state_are_one_call(one: Desk) -> None:
    ticket = await one.create()
    one.asked.clear()
    outcome = await one.follow(ActionKind.CLOSE, ticket)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert [call for call in one.asked if call[0] != "GET"] == [("PUT", f"/tickets/{ticket.id}")]
    assert one.tickets[0]["state"] == "closed"
    assert len(one.articles(ticket.id)) == 2


async def test_a_note_leaves_a_closed_ticket_closed_and_says_so(one: Desk) -> None:
    ticket = await one.create()
    one.act(ticket, "close")
    outcome = await one.follow(ActionKind.APPEND, ticket)
    assert Reason.TICKET_WAS_CLOSED in outcome.flags
    assert one.tickets[0]["state"] == "closed"


@pytest.mark.parametrize("kind", [ActionKind.REOPEN, ActionKind.APPEND])
async def test_a_relapse_opens_a_closed_ticket_again(one: Desk, kind: ActionKind) -> None:
    ticket = await one.create()
    one.act(ticket, "close")
    await one.follow(kind, ticket, reopen=True)
    assert one.tickets[0]["state"] == "open"


async def test_a_relapse_leaves_the_state_that_a_person_chose(one: Desk) -> None:
    ticket = await one.create(order(fields={"state": "pending reminder", "pending_time": "2d"}))
    await one.follow(ActionKind.REOPEN, ticket, reopen=True)
    assert one.tickets[0]["state"] == "pending reminder"


async def test_a_ticket_that_would_close_by_itself_is_opened_by_a_relapse(one: Desk) -> None:
    ticket = await one.create(order(fields={"state": "pending close", "pending_time": "2d"}))
    await one.follow(ActionKind.REOPEN, ticket, reopen=True)
    assert one.tickets[0]["state"] == "open"
    assert one.tickets[0]["pending_time"] is None


async def test_renamed_states_are_known_by_their_type() -> None:
    states = {1: StateRow(name="neu", type=1), 2: StateRow(name="offen", type=2), 9: StateRow(name="erledigt", type=5)}
    one = switched(states=states)
    ticket = await one.create()
    await one.follow(ActionKind.CLOSE, ticket)
    assert one.tickets[0]["state"] == "erledigt"
    await one.follow(ActionKind.REOPEN, ticket, marker="ef" * 16)
    assert one.tickets[0]["state"] == "offen"


# -------------------------------------------------------------------------------------------------- what a person did


async def test_a_merged_ticket_is_followed_and_the_incident_goes_with_it(one: Desk) -> None:
    ticket = await one.create()
    target = await one.create(order(marker="11" * 16, title="the target"))
    one.act(ticket, "merge")
    outcome = await one.follow(ActionKind.APPEND, ticket)
    assert outcome.ticket is not None
    assert outcome.ticket.id == target.id
    assert Reason.TICKET_MOVED in outcome.flags
    assert [article["body"] for article in one.articles(target.id)][-1] == "more"


async def test_a_deleted_ticket_is_replaced_while_the_problem_lasts(one: Desk) -> None:
    ticket = await one.create()
    one.act(ticket, "delete")
    outcome = await one.follow(ActionKind.APPEND, ticket)
    assert outcome.ticket is not None
    assert outcome.ticket.id != ticket.id
    assert Reason.TICKET_REPLACED in outcome.flags
    assert one.tickets[0]["state"] == "new"


async def test_a_raised_severity_that_changes_fields_replaces_a_deleted_ticket_too(one: Desk) -> None:
    ticket = await one.create()
    one.act(ticket, "delete")
    asked = order(ActionKind.UPDATE, marker="cd" * 16, ticket=ticket, fields={"priority": "3 high"})
    outcome = await one.call(asked)
    assert Reason.TICKET_REPLACED in outcome.flags
    assert one.tickets[0]["priority"] == "3 high"
    one.act(ticket=replace(ticket, id=str(one.tickets[0]["id"])), action="delete")
    outcome = await one.call(replace(asked, in_place=False))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SKIPPED, Reason.TICKET_GONE)
    assert one.tickets == []


async def test_an_update_sends_the_fields_that_it_changes_and_no_others(one: Desk) -> None:
    ticket = await one.create(order(fields={"group": "DBA::FRA"}))
    outcome = await one.call(order(ActionKind.UPDATE, marker="cd" * 16, ticket=ticket, fields={"priority": "3 high"}))
    assert outcome.kind is OutcomeKind.DELIVERED
    assert (one.tickets[0]["group"], one.tickets[0]["priority"]) == ("DBA::FRA", "3 high")


@pytest.mark.parametrize(
    ("details", "outcome"),
    [
        ({"sender": "Customer", "type": "email"}, OutcomeKind.SKIPPED),
        ({"sender": "Customer", "preferences": '{"is-auto-response": true}'}, OutcomeKind.DELIVERED),
        ({"sender": "Customer", "preferences": '{"gateway_event": "00ff00ff"}'}, OutcomeKind.DELIVERED),
        ({"sender": "System"}, OutcomeKind.DELIVERED),
    ],
    ids=["a customer's answer", "an out-of-office answer", "an article of ours", "a trigger"],
)
async def test_an_answer_of_a_person_keeps_a_ticket_open_and_no_other(
    one: Desk, details: dict[str, str], outcome: OutcomeKind
) -> None:
    ticket = await one.create()
    one.store.add_entry(int(ticket.id), NewEntry("message", "Eve", "What is this?", details=details), 0.0)
    close = order(ActionKind.CLOSE, marker="cd" * 16, ticket=ticket)
    done = await one.call(replace(close, draft=replace(close.draft, only_if_untouched=True)))
    assert done.kind is outcome


async def test_a_close_of_a_deleted_ticket_is_skipped(one: Desk) -> None:
    ticket = await one.create()
    one.act(ticket, "delete")
    outcome = await one.follow(ActionKind.CLOSE, ticket)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.SKIPPED, Reason.TICKET_GONE)
    assert one.tickets == []


# ------------------------------------------------------------------------------------------------------- doubtful calls


@pytest.mark.parametrize("attribute", ["gateway_key", ""])
async def test_a_create_whose_answer_was_lost_is_found_and_not_repeated(attribute: str) -> None:
    one = desk(marker_attribute=attribute)
    one.faults(FaultKind.COMMIT_THEN_DROP)
    assert (await one.call(order())).kind is OutcomeKind.UNKNOWN
    outcome = await one.resolve(order())
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DELIVERED, Reason.FOUND)
    assert len(one.tickets) == 1


async def test_absence_counts_once_the_criterion_has_found_a_ticket(one: Desk) -> None:
    await one.create()
    other = order(marker="99" * 16)
    one.faults(FaultKind.HANG_BEFORE_COMMIT, seconds=0, commits=False)
    assert (await one.call(other)).kind is OutcomeKind.UNKNOWN
    outcome = await one.resolve(other)
    assert (outcome.kind, outcome.flags) == (OutcomeKind.NOT_SENT, ())


async def test_an_unproven_absence_counts_after_asking_twice_and_flags_the_repeat(one: Desk) -> None:
    one.faults(FaultKind.HANG_BEFORE_COMMIT, seconds=0, commits=False)
    assert (await one.call(order())).kind is OutcomeKind.UNKNOWN
    assert (await one.resolve(order())).kind is OutcomeKind.UNKNOWN
    one.clock.now += 2
    outcome = await one.resolve(order())
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert Reason.POSSIBLE_DUPLICATE in outcome.flags
    again = await one.call(order())
    assert Reason.POSSIBLE_DUPLICATE in again.flags
    assert len(one.tickets) == 1


async def test_a_found_ticket_that_was_merged_meanwhile_is_followed(one: Desk) -> None:
    await one.create(order(marker="11" * 16, title="the target"))
    one.faults(FaultKind.COMMIT_THEN_DROP)
    await one.call(order())
    made = max(int(str(ticket["id"])) for ticket in one.tickets)
    assert one.double.act(made, "merge")
    outcome = await one.resolve(order())
    assert outcome.ticket is not None
    assert outcome.kind is OutcomeKind.DELIVERED
    assert int(outcome.ticket.id) < made


async def test_two_tickets_with_one_marker_are_told(one: Desk) -> None:
    await one.create()
    await one.create()
    outcome = await one.resolve(order())
    assert outcome.ticket is not None
    assert outcome.ticket.id == str(one.tickets[0]["id"])
    assert Reason.POSSIBLE_DUPLICATE in outcome.flags
    assert str(one.tickets[1]["number"]) in outcome.detail


@pytest.mark.parametrize("kind", [ActionKind.APPEND, ActionKind.CLOSE, ActionKind.REOPEN])
async def test_a_follow_up_whose_answer_was_lost_is_found_by_its_article(one: Desk, kind: ActionKind) -> None:
    ticket = await one.create()
    follow = order(kind, marker="cd" * 16, ticket=ticket)
    one.faults(FaultKind.COMMIT_THEN_DROP)
    assert (await one.call(follow)).kind is OutcomeKind.UNKNOWN
    assert (await one.resolve(follow)).kind is OutcomeKind.DELIVERED
    assert len(one.articles(ticket.id)) == 2


async def test_a_follow_up_that_was_not_written_is_called_again(one: Desk) -> None:
    ticket = await one.create()
    follow = order(ActionKind.CLOSE, marker="cd" * 16, ticket=ticket)
    one.faults(FaultKind.DIE_HALF_WAY)
    assert (await one.call(follow)).kind is OutcomeKind.UNKNOWN
    assert (await one.resolve(follow)).kind is OutcomeKind.NOT_SENT
    assert len(one.articles(ticket.id)) == 1


async def test_half_a_ticket_of_an_older_release_is_completed_when_it_has_settled() -> None:
    one = switched(release="older")
    await one.create(order(marker="11" * 16))
    one.faults(FaultKind.DIE_HALF_WAY, at="thread_entry")
    assert (await one.call(order())).kind is OutcomeKind.UNKNOWN
    assert (await one.resolve(order())).kind is OutcomeKind.UNKNOWN  # it may still be at work
    one.clock.now += 2
    outcome = await one.resolve(order())
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DELIVERED, Reason.FOUND)
    assert len(one.tickets) == 2
    assert outcome.ticket is not None
    assert [article["body"] for article in one.articles(outcome.ticket.id)] == ["It is down."]


async def test_the_empty_ticket_of_a_refused_article_is_not_doubled() -> None:
    one = switched(release="older")
    await one.create(order(marker="11" * 16))
    bad = order(files=(("a.bin", "application/octet-stream", b"x"),))
    request = one.way.prepare(bad).replace(b'"mime-type"', b'"mime-typo"')
    outcome = await one.way.call(bad, request, one, timeout=5.0)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "without its article" in outcome.detail
    await one.way.resolve(bad, request, one, timeout=5.0)
    one.clock.now += 2
    outcome = await one.way.resolve(bad, request, one, timeout=5.0)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert Reason.FIELD_REFUSED in outcome.flags
    assert len(one.tickets) == 2


async def test_an_error_that_zammad_hides_is_tried_a_few_times_and_then_shown_to_a_person(one: Desk) -> None:
    await one.create()
    other = order(marker="99" * 16)
    ends: list[OutcomeKind] = []
    for _ in range(5):
        one.faults(FaultKind.DIE_HALF_WAY)
        assert (await one.call(other)).kind is OutcomeKind.UNKNOWN
        ends.append((await one.resolve(other)).kind)
    assert ends == [*[OutcomeKind.NOT_SENT] * 4, OutcomeKind.REJECTED]
    assert len(one.tickets) == 1


# ---------------------------------------------------------------------------------------------------------- self-test


async def test_without_the_attribute_the_message_id_is_used() -> None:
    one = switched(attributes=())
    first = await one.call(order())
    assert Reason.LOOK_UP_WEAKENED in first.flags  # an empty Zammad cannot show what attributes it has
    one.faults(FaultKind.COMMIT_THEN_DROP)
    other = order(marker="99" * 16)
    await one.call(other)
    assert (await one.resolve(other)).kind is OutcomeKind.DELIVERED
    assert len(one.tickets) == 2


async def test_where_only_tags_work_a_tag_is_the_marker() -> None:
    names = ("article.message_id", "article.message_id_md5")
    one = switched(attributes=(), unknown_conditions=names)
    await one.create()
    one.way._learned = None
    one.faults(FaultKind.COMMIT_THEN_DROP)
    other = order(marker="99" * 16)
    await one.call(other)
    assert one.double._records.shown(one.store.tickets("zammad")[0], expand=True)["title"]
    assert (await one.resolve(other)).kind is OutcomeKind.DELIVERED
    assert "gw-" + "99" * 16 in str(one.store.tickets("zammad")[0].fields["tags"])


async def test_where_conditions_are_ignored_the_marker_stands_in_the_text_and_certainty_is_less() -> None:
    one = switched(conditions="ignored")
    await one.create()
    one.way._learned = None
    one.faults(FaultKind.COMMIT_THEN_DROP)
    other = order(marker="99" * 16)
    await one.call(other)
    assert one.way.capabilities.certainty is Certainty.EVENTUAL_LOOKUP
    assert "gw-" + "99" * 16 in str(one.articles(one.store.tickets("zammad")[0].id)[0]["body"])
    assert (await one.resolve(other)).kind is OutcomeKind.DELIVERED
    assert len(one.tickets) == 2


async def test_the_latest_tickets_are_never_taken_for_ours() -> None:
    one = switched(conditions="ignored")
    first = await one.call(order())
    assert Reason.LOOK_UP_WEAKENED in first.flags
    one.faults(FaultKind.HANG_BEFORE_COMMIT, seconds=0, commits=False)
    other = order(marker="99" * 16)
    await one.call(other)
    assert (await one.resolve(other)).kind is OutcomeKind.UNKNOWN
    one.clock.now += 2
    outcome = await one.resolve(other)
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert Reason.POSSIBLE_DUPLICATE in outcome.flags


async def test_the_probe_tells_what_the_self_test_found(one: Desk) -> None:
    await one.create()
    outcome = await one.way.probe(one, timeout=5.0)
    assert outcome.kind is OutcomeKind.DELIVERED
    assert outcome.detail == "tickets are found again by attribute (proves absence)"


async def test_a_self_test_against_a_database_that_is_away_concludes_nothing(one: Desk) -> None:
    one.faults(FaultKind.DATABASE_DOWN, count=None)
    assert (await one.call(order())).kind is OutcomeKind.HELPDESK_DOWN
    assert one.way._learned is None


async def test_an_attribute_that_is_taken_away_is_noticed_at_the_next_ticket() -> None:
    one = desk()
    await one.create()
    assert one.way._learned is not None
    assert one.way._learned.proves_absence
    one.double.change_settings({"attributes": ()})
    weakened = await one.call(order(marker="11" * 16))
    assert Reason.LOOK_UP_WEAKENED in weakened.flags
    one.faults(FaultKind.COMMIT_THEN_DROP)
    other = order(marker="99" * 16)
    await one.call(other)
    assert (await one.resolve(other)).reason is Reason.FOUND
    assert one.way._learned.best is Criterion.MESSAGE_ID


async def test_a_lost_ticket_proves_the_criterion_that_found_it() -> None:
    one = desk()
    one.faults(FaultKind.COMMIT_THEN_DROP)
    await one.call(order())
    await one.resolve(order())
    assert one.way._learned is not None
    assert one.way._learned.proves_absence


# ------------------------------------------------------------------------------------------------------- refused, down


async def test_maintenance_mode_is_waited_for(one: Desk) -> None:
    one.faults(FaultKind.MAINTENANCE)
    assert (await one.call(order())).kind is OutcomeKind.HELPDESK_DOWN
    assert (await one.call(order())).kind is OutcomeKind.DELIVERED


@pytest.mark.parametrize(
    "kind", [FaultKind.HTML_ERROR, FaultKind.DATABASE_DOWN, FaultKind.RATE_LIMIT, FaultKind.REFUSE]
)
async def test_a_failure_before_the_first_write_has_written_nothing(one: Desk, kind: FaultKind) -> None:
    one.faults(kind)
    outcome = await one.call(order())
    assert outcome.kind in {OutcomeKind.HELPDESK_DOWN, OutcomeKind.NOT_SENT}
    assert one.tickets == []


async def test_a_failure_during_a_look_up_leaves_it_unknown(one: Desk) -> None:
    await one.create()
    one.faults(FaultKind.REFUSE)
    assert (await one.resolve(order())).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("kind", [FaultKind.AUTH_BROKEN, FaultKind.REDIRECT])
async def test_refused_credentials_and_redirects_stop_the_queue(one: Desk, kind: FaultKind) -> None:
    one.faults(kind)
    assert (await one.call(order())).kind is OutcomeKind.AUTH_BROKEN


async def test_a_field_that_is_refused_may_be_left_out(one: Desk) -> None:
    outcome = await one.call(order(fields={"priority": "9 wrong"}))
    assert (outcome.kind, outcome.degrade) == (OutcomeKind.REJECTED, ("priority",))
    ticket = await one.create(order(fields={"priority": "9 wrong"}, left_out=("priority",)))
    assert "Left out, refused by the help desk: priority" in str(one.articles(ticket.id)[0]["body"])


async def test_an_attribute_that_zammad_drops_without_a_word_is_told(one: Desk) -> None:
    outcome = await one.call(order(fields={"sity": "FRA", "priority": 3, "mentions": [3]}))
    assert outcome.kind is OutcomeKind.DELIVERED
    assert Reason.FIELD_REFUSED in outcome.flags
    assert outcome.detail.endswith("tickets here have no attribute sity")


async def test_an_unknown_group_falls_back_to_the_help_desks_own(one: Desk) -> None:
    outcome = await one.call(order(fields={"group": "Nowhere"}))
    assert outcome.degrade == ("group",)
    await one.create(order(fields={"group": "Nowhere"}, left_out=("group",)))
    assert one.tickets[0]["group"] == "Users"


async def test_a_token_without_the_permission_is_told_by_the_probe() -> None:
    one = switched(tokens={SANDBOX_API_KEY: Token(permissions=())})
    outcome = await one.way.probe(one, timeout=5.0)
    assert outcome.kind is OutcomeKind.AUTH_BROKEN
    assert "ticket.agent" in outcome.detail


async def test_basic_bearer_and_acting_for_another_user_are_sent(one: Desk) -> None:
    await one.create()
    assert one.sent[-1][0]["authorization"].startswith("Token token=")
    basic = desk(auth={"basic": {"user": "gateway@helpdesk.example", "password": "sandbox"}})
    await basic.create()
    bearer = desk(auth={"bearer": SANDBOX_API_KEY}, act_as="gateway@helpdesk.example")
    assert (await bearer.call(order())).kind is OutcomeKind.AUTH_BROKEN  # it lacks admin.user
    assert bearer.sent[0][0]["from"] == "gateway@helpdesk.example"
