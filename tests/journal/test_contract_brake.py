"""What every journal promises about the brake: what counts, what waits, what is held, and what ends unmade."""

from dataclasses import replace

import pytest

from gateway.journal.protocol import IncidentChange, Journal, Processed
from gateway.model.action import ActionKind, ActionStatus, OutcomeKind
from gateway.model.brake import Allowance
from gateway.model.incident import IncidentState
from gateway.model.reasons import Reason
from tests.journal.builders import (
    NOON,
    a_ticket,
    an_action,
    an_incident,
    begun,
    claimed,
    deliver,
    finished,
    processed,
)

pytestmark = pytest.mark.anyio
HOUR = Allowance(most=2, per=3600.0)


async def creates(journal: Journal, number: int, *, at: float = NOON) -> list[str]:
    """So many incidents with a create each; gives back their receipts."""
    made = []
    for position in range(number):
        incident = an_incident(key=f"{at}/{position}")
        made.append(await processed(journal, an_action(incident.id, queued_at=at + position / 1000), incident=incident))
    return made


async def reasons(journal: Journal, receipts: list[str]) -> list[str]:
    found = []
    for receipt in receipts:
        view = await journal.reader().receipt(receipt)
        assert view is not None
        found += [action.reason.value for action in view.actions]
    return found


async def test_no_more_creates_are_given_out_than_asked_for_and_they_go_in_their_order(journal: Journal) -> None:
    receipts = await creates(journal, 4)
    first = await journal.claim_actions("osticket", limit=10, now=NOON + 1, lease=60.0, creates=1)
    assert [action.receipt for action in first] == receipts[:1]
    assert await journal.claim_actions("osticket", limit=10, now=NOON + 1, lease=60.0, creates=0) == []
    rest = await journal.claim_actions("osticket", limit=10, now=NOON + 1, lease=60.0, creates=2)
    assert [action.receipt for action in rest] == receipts[1:3]
    free = await journal.claim_actions("osticket", limit=9, now=NOON + 1, lease=60.0, creates=0, free_until=NOON + 1)
    assert [action.receipt for action in free] == receipts[3:]


async def test_follow_ups_and_the_brakes_own_word_go_whatever_the_brake_says(journal: Journal) -> None:
    incident = an_incident()
    await processed(journal, an_action(incident.id), incident=incident)
    [create] = await claimed(journal)
    assert await deliver(journal, create, ticket=a_ticket())
    await processed(journal, an_action(incident.id, ActionKind.APPEND, sequence=2))
    digest = replace(an_action(an_incident(key="digest").id), cause="brake/osticket/1")
    await processed(journal, digest)
    given = await journal.claim_actions("osticket", limit=10, now=NOON + 1, lease=60.0, creates=0)
    assert {(action.kind, action.id == digest.id) for action in given} == {
        (ActionKind.APPEND, False),
        (ActionKind.CREATE, True),
    }


async def test_what_was_called_counts_for_its_time_unless_it_is_proven_to_have_written_nothing(
    journal: Journal,
) -> None:
    await creates(journal, 4)
    assert (await journal.brake("osticket", HOUR, now=NOON + 1, first=9)).begun == 0
    made, lost, doubtful = await claimed(journal, now=NOON + 1, limit=3)
    view = await journal.brake("osticket", HOUR, now=NOON + 1, first=9)
    assert (view.begun, view.waiting, [one.title for one in view.first]) == (3, 1, [made.draft.title])
    for action in (made, lost, doubtful):
        assert await begun(journal, action, at=NOON + 1)
    assert await journal.finish_attempt(finished(made, ActionStatus.DELIVERED, ticket=a_ticket()))
    nothing = finished(lost, ActionStatus.QUEUED, OutcomeKind.NOT_SENT, reason=Reason.NOT_SENT, not_before=NOON + 9)
    assert await journal.finish_attempt(nothing)
    unknown = finished(doubtful, ActionStatus.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, not_before=NOON + 99)
    assert await journal.finish_attempt(unknown)
    view = await journal.brake("osticket", HOUR, now=NOON + 10, first=9)
    assert (view.begun, view.waiting) == (2, 2)
    assert (await journal.brake("osticket", replace(HOUR, free_until=NOON + 5), now=NOON + 10, first=9)).begun == 0
    assert (await journal.brake("osticket", HOUR, now=NOON + 3602, first=9)).begun == 0
    assert (await journal.brake("elsewhere", HOUR, now=NOON + 10, first=9)).begun == 0


async def test_what_is_held_says_so_once_and_goes_when_it_may(journal: Journal) -> None:
    receipts = await creates(journal, 4)
    held = await journal.hold_creates("osticket", free_until=0.0, left=1, now=NOON + 1, limit=2)
    assert (held.marked, held.ended) == (2, 0)
    assert await reasons(journal, receipts) == ["opened", "held_by_brake", "held_by_brake", "opened"]
    assert (await journal.hold_creates("osticket", free_until=0.0, left=1, now=NOON + 1, limit=9)).marked == 1
    assert (await journal.hold_creates("osticket", free_until=0.0, left=1, now=NOON + 1, limit=9)).marked == 0
    assert (await journal.reader().counts()).held == {"osticket": 3}
    assert [line.remark for line in await journal.reader().receipts(limit=9)] == ["held", "held", "held", ""]
    view = await journal.reader().receipt(receipts[1])
    assert view is not None
    assert [line.reason for line in view.timeline if line.what == "held"] == [Reason.HELD_BY_BRAKE]
    for action in await claimed(journal, now=NOON + 2):
        assert await deliver(journal, action, ticket=a_ticket())
    assert (await journal.reader().counts()).held == {}
    assert set(await reasons(journal, receipts)) == {"delivered"}


async def test_a_held_create_whose_problem_is_over_is_never_made_but_what_a_person_said_is_not_lost(
    journal: Journal,
) -> None:
    over, talked = an_incident(key="over"), an_incident(key="talked")
    first = await processed(journal, an_action(over.id), incident=over)
    second = await processed(journal, an_action(talked.id), incident=talked)
    assert (await journal.hold_creates("osticket", free_until=0.0, left=0, now=NOON + 1, limit=9)).marked == 2
    said = replace(an_action(talked.id, ActionKind.APPEND, sequence=2), reason=Reason.NOTED)
    told = replace(an_action(over.id, ActionKind.CLOSE, sequence=2), reason=Reason.RECOVERED)
    for incident, action in ((over, told), (talked, said)):
        closed = replace(incident, state=IncidentState.CLOSED, closed_at=NOON + 5, version=incident.version + 1)
        change = IncidentChange(closed, incident.version)
        await journal.commit_processed([Processed("", incidents=(change,), actions=(action,))])
    assert (await journal.hold_creates("osticket", free_until=0.0, left=0, now=NOON + 6, limit=9)).ended == 1
    assert set(await reasons(journal, [first])) == {"recovered_while_held"}
    ended = await journal.reader().incident(over.id)
    assert ended is not None
    assert "recovered_while_held" in ended.reasons
    assert await reasons(journal, [second]) == ["held_by_brake", "noted"]
    assert [action.incident for action in await claimed(journal, now=NOON + 7)] == [talked.id]
