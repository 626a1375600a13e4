"""What every journal remembers of an action that died or was dropped, so that nothing is made twice or never."""

from dataclasses import replace

import pytest

from gateway.journal.protocol import IncidentChange, Journal, Lookup, Processed
from gateway.model.action import ActionStatus, OutcomeKind
from gateway.model.incident import IncidentState
from gateway.model.reasons import Reason
from tests.journal.builders import (
    NOON,
    a_receipt,
    a_record,
    an_action,
    an_incident,
    begun,
    claimed,
    die,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio


async def test_an_action_that_dies_while_a_question_is_open_is_looked_up_when_retried(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [first] = await claimed(journal)
    assert await begun(journal, first, request=b"the json")
    await journal.finish_attempt(finished(first, ActionStatus.UNKNOWN))
    [look_up] = await claimed(journal)
    assert await die(journal, look_up)  # the look-up was refused: that proves nothing of the first call
    assert await journal.requeue([first.id], now=NOON) == [first.id]
    [again] = await claimed(journal)
    assert (again.resolve, again.status, again.request) == (True, ActionStatus.UNKNOWN, b"request")


async def test_an_action_that_was_refused_at_once_is_made_anew_when_retried(journal: Journal) -> None:
    await processed(journal, an_action(an_incident().id))
    [first] = await claimed(journal)
    assert await begun(journal, first)
    retry = finished(first, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT)
    await journal.finish_attempt(retry)
    [second] = await claimed(journal)
    assert await die(journal, second)
    await journal.requeue([first.id], now=NOON)
    [again] = await claimed(journal)
    assert (again.resolve, again.status, again.request) == (False, ActionStatus.QUEUED, b"")


@pytest.mark.parametrize("recovered", [False, True])
async def test_a_dropped_create_leaves_word_that_its_incident_has_no_ticket(journal: Journal, recovered: bool) -> None:
    incident = an_incident()
    await processed(journal, an_action(incident.id), incident=incident)
    if recovered:
        receipt = a_receipt()
        await journal.accept(receipt, claim=True)
        closed = replace(incident, state=IncidentState.CLOSED, version=1, closed_at=NOON)
        change = IncidentChange(closed, 0)
        await journal.commit_processed([Processed(receipt.id, events=(a_record(),), incidents=(change,))])
    [create] = await claimed(journal)
    assert await die(journal, create)
    await journal.drop([create.id], now=NOON + 1, who="ann")
    known = await journal.know(Lookup(keys=frozenset({incident.key})), NOON + 2)
    found = known.by_key[incident.key]
    assert found.state is IncidentState.CLOSED
    assert Reason.CREATE_DROPPED.value in found.reasons
