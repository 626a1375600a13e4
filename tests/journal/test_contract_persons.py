"""What every journal promises about what persons did to tickets."""

from dataclasses import replace

import pytest

from gateway.journal.protocol import HistoryLine, IncidentChange, Journal, Noticed, Processed
from gateway.model.action import ActionKind, ActionStatus, Outcome, OutcomeKind
from gateway.model.incident import Deed, Incident, IncidentState, Touch
from gateway.model.reasons import Reason
from tests.journal.builders import (
    NOON,
    a_receipt,
    a_ticket,
    an_action,
    an_incident,
    begun,
    claimed,
    deliver,
    die,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio
CLOSED = Touch(Deed.CLOSED, NOON + 60)


async def with_ticket(journal: Journal, key: str = "a", number: str = "100001") -> Incident:
    incident = an_incident(key)
    await processed(journal, an_action(incident.id), incident=incident)
    [create] = await claimed(journal)
    await deliver(journal, create, ticket=replace(a_ticket(number), id=f"id-{number}"))
    return await now(journal, incident)


async def now(journal: Journal, incident: Incident) -> Incident:
    found = await journal.reader().incident(incident.id)
    assert found is not None
    return found


def line(incident: Incident) -> HistoryLine:
    return HistoryLine(NOON + 60, "ticket", Reason.CLOSED_BY_HAND, "anna", incident=incident.id)


async def test_what_was_noticed_is_kept_with_its_history_and_leaves_the_version_alone(journal: Journal) -> None:
    incident = await with_ticket(journal)
    other = a_ticket("200002")
    assert await journal.notice(Noticed(incident, NOON + 60, CLOSED, other, (line(incident),)))
    after = await now(journal, incident)
    assert (after.touch, after.ticket, after.version) == (CLOSED, other, incident.version)
    [receipt] = await journal.reader().receipts(limit=1)
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert [one.reason for one in view.timeline if one.what == "ticket"] == [Reason.CLOSED_BY_HAND]
    assert await journal.notice(Noticed(after, NOON + 70))
    assert (await now(journal, incident)).touch is None


async def test_nothing_is_concluded_about_an_incident_that_went_on_meanwhile(journal: Journal) -> None:
    incident = await with_ticket(journal)
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    later = replace(incident, version=incident.version + 1)
    await journal.commit_processed([Processed(receipt.id, incidents=(IncidentChange(later, incident.version),))])
    assert not await journal.notice(Noticed(incident, NOON + 60, CLOSED, None, (line(incident),)))
    assert (await now(journal, incident)).touch is None


async def test_nothing_is_concluded_while_an_action_of_the_incident_is_under_way(journal: Journal) -> None:
    incident = await with_ticket(journal)
    await processed(journal, an_action(incident.id, ActionKind.REOPEN, sequence=2))
    assert not await journal.notice(Noticed(incident, NOON + 60, CLOSED))
    [action] = await claimed(journal)
    await die(journal, action)
    assert not await journal.notice(Noticed(incident, NOON + 60, CLOSED)), "we closed it, and could not open it again"


async def test_nothing_is_concluded_if_an_action_ended_while_the_ticket_was_read(journal: Journal) -> None:
    incident = await with_ticket(journal)  # its create ended at noon
    assert not await journal.notice(Noticed(incident, NOON + 60, CLOSED, began=NOON - 1))
    assert await journal.notice(Noticed(incident, NOON + 60, CLOSED, began=NOON + 1))


async def test_nothing_is_concluded_about_a_closed_incident_or_another_ticket(journal: Journal) -> None:
    incident = await with_ticket(journal)
    assert incident.ticket is not None
    stranger = replace(incident, ticket=replace(incident.ticket, id="another"))
    assert not await journal.notice(Noticed(stranger, NOON + 60, CLOSED))
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    over = replace(incident, state=IncidentState.CLOSED, closed_at=NOON, version=incident.version + 1)
    await journal.commit_processed([Processed(receipt.id, incidents=(IncidentChange(over, incident.version),))])
    assert not await journal.notice(Noticed(replace(over, version=over.version), NOON + 60, CLOSED))


async def test_open_tickets_come_in_the_order_of_the_last_look(journal: Journal) -> None:
    first, second = await with_ticket(journal, "a", "1"), await with_ticket(journal, "b", "2")
    without = an_incident("c")
    await processed(journal, an_action(without.id), incident=without)
    assert [one.id for one in await journal.open_tickets("osticket", limit=9, looked_before=NOON)] == [
        first.id,
        second.id,
    ]
    await journal.notice(Noticed(first, NOON))
    assert [one.id for one in await journal.open_tickets("osticket", limit=9, looked_before=NOON)] == [second.id]
    assert [one.id for one in await journal.open_tickets("osticket", limit=1, looked_before=NOON + 1)] == [second.id]
    assert await journal.open_tickets("zammad", limit=9, looked_before=NOON) == []


async def test_incidents_are_found_by_the_id_or_the_number_of_their_ticket(journal: Journal) -> None:
    incident = await with_ticket(journal, "a", "100001")
    for name in ("100001", "id-100001"):
        assert [one.id for one in await journal.incidents_of_ticket("osticket", name)] == [incident.id]
    assert await journal.incidents_of_ticket("osticket", "1") == []
    assert await journal.incidents_of_ticket("zammad", "100001") == []


async def test_the_end_of_an_action_tells_of_persons_too(journal: Journal) -> None:
    incident = await with_ticket(journal)

    async def ends(kind: ActionKind, outcome: Outcome) -> Touch | None:
        incident_now = await now(journal, incident)
        await processed(journal, an_action(incident.id, kind, sequence=incident_now.sequence + 2))
        [action] = await claimed(journal)
        assert await begun(journal, action)
        status = ActionStatus(outcome.kind.value)
        await journal.finish_attempt(replace(finished(action, status), outcome=outcome))
        return (await now(journal, incident)).touch

    quiet = Outcome(OutcomeKind.SKIPPED, Reason.CLOSED_BY_HAND)
    assert await ends(ActionKind.APPEND, quiet) == Touch(Deed.CLOSED, NOON)
    opened = Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, flags=(Reason.CLOSED_BY_HAND,))
    assert await ends(ActionKind.APPEND, opened) is None
    touched = Outcome(OutcomeKind.SKIPPED, Reason.TOUCHED)
    assert await ends(ActionKind.CLOSE, touched) == Touch(Deed.WORKED, NOON)
    assert await ends(ActionKind.APPEND, Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED)) == Touch(Deed.WORKED, NOON)
    assert await ends(ActionKind.REOPEN, Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED)) is None
