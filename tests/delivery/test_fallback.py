"""When a ticket may go to another helpdesk: every row of what is proven, and what is not."""

from dataclasses import replace

import pytest

from gateway.delivery.fallback import fallback_of, falls_back, has_waited
from gateway.delivery.schedule import Next
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.memory import MemoryJournal
from gateway.model.action import Action, ActionKind, ActionStatus, Elsewhere, Outcome, OutcomeKind
from gateway.model.reasons import Reason
from tests.delivery.desk import Desk, Wire, desk, until
from tests.journal.builders import NOON, a_ticket, an_action, an_incident, processed

AGAIN = Next(ActionStatus.QUEUED, Reason.NOT_SENT, NOON + 5)
DEAD = Next(ActionStatus.DEAD, Reason.REJECTED)
IN_DOUBT = Next(ActionStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME, NOON + 90)
ABSENT = Next(ActionStatus.UNKNOWN, Reason.NOT_SENT, NOON, call_again=True)
DEGRADED = Next(ActionStatus.QUEUED, Reason.FIELD_REFUSED, NOON, degraded=("group",))


def a_create(*fallbacks: str, after: float = 900.0) -> Action:
    first = Action.first(an_action("incident"), receipt="r", fence=1, paused_before=0.0)
    return replace(first, fallbacks=fallbacks, falls_back_after=after if fallbacks else None)


@pytest.mark.parametrize(
    ("kind", "following", "looked_up", "waited", "goes"),
    [
        # A call that is proven to have written nothing: when it has waited, or is refused for good.
        (OutcomeKind.NOT_SENT, AGAIN, False, False, False),
        (OutcomeKind.NOT_SENT, AGAIN, False, True, True),
        (OutcomeKind.HELPDESK_DOWN, AGAIN, False, True, True),
        (OutcomeKind.AUTH_BROKEN, AGAIN, False, True, True),
        (OutcomeKind.REJECTED, DEAD, False, False, True),
        (OutcomeKind.REJECTED, DEGRADED, False, True, False),  # first without the field
        # What may have been written stays.
        (OutcomeKind.UNKNOWN, IN_DOUBT, False, True, False),
        (OutcomeKind.UNKNOWN, Next(ActionStatus.DEAD, Reason.UNKNOWN_OUTCOME), False, True, False),
        (OutcomeKind.UNKNOWN, Next(ActionStatus.QUEUED, Reason.POSSIBLE_DUPLICATE), False, True, False),
        # Of a look-up only the proof of absence counts; a refused one proves nothing about the call before it.
        (OutcomeKind.NOT_SENT, ABSENT, True, True, True),
        (OutcomeKind.NOT_SENT, ABSENT, True, False, False),
        (OutcomeKind.NOT_SENT, IN_DOUBT, True, True, False),
        (OutcomeKind.HELPDESK_DOWN, IN_DOUBT, True, True, False),
        (OutcomeKind.REJECTED, DEAD, True, True, False),
        (OutcomeKind.UNKNOWN, IN_DOUBT, True, True, False),
        # What is done is done.
        (OutcomeKind.DELIVERED, Next(ActionStatus.DELIVERED, Reason.DELIVERED), False, True, False),
        (OutcomeKind.SKIPPED, Next(ActionStatus.SKIPPED, Reason.TICKET_GONE), False, True, False),
    ],
)
def test_only_what_is_proven_to_have_written_nothing_goes_elsewhere(
    kind: OutcomeKind, following: Next, looked_up: bool, waited: bool, goes: bool
) -> None:
    outcome = Outcome(kind, Reason.NOT_SENT)
    assert falls_back(outcome, following, looked_up=looked_up, waited=waited) is goes


def test_the_first_fallback_that_is_there_is_taken() -> None:
    there = {"b", "c"}.__contains__
    assert fallback_of(a_create("a", "b", "c"), there) == "b"
    assert fallback_of(a_create("a"), there) == ""
    assert fallback_of(a_create(), there) == ""


def test_what_belongs_to_a_ticket_has_none() -> None:
    create = a_create("a")
    for kind in set(ActionKind) - {ActionKind.CREATE}:
        assert fallback_of(replace(create, kind=kind), lambda _: True) == ""
    assert fallback_of(replace(create, ticket=a_ticket()), lambda _: True) == ""


def test_its_age_stands_still_while_the_helpdesk_was_paused() -> None:
    create = replace(a_create("a"), paused_before=50.0)
    assert not has_waited(create, now=NOON + 899, paused_total=50.0)
    assert has_waited(create, now=NOON + 900, paused_total=50.0)
    assert not has_waited(create, now=NOON + 999, paused_total=150.0)
    assert has_waited(create, now=NOON + 1000, paused_total=150.0)
    # Queued in the middle of a pause that still lasts: its part before does not make it younger than it is.
    assert has_waited(replace(create, paused_before=500.0), now=NOON + 900, paused_total=50.0)
    assert not has_waited(a_create(), now=NOON + 1e9, paused_total=0.0)


async def refused(wire: Wire, url: str, content: bytes) -> Answer:
    raise CallFailed("connection refused", sent=False)


async def waiting(at: Desk, number: int) -> list[str]:
    """So many creates with a fallback after a quarter of an hour."""
    receipts: list[str] = []
    for each in range(number):
        incident = an_incident(key=f"key {each}")
        there = Elsewhere("other", "plan", 900.0, (an_action(incident.id, helpdesk="other"),))
        create = replace(an_action(incident.id, queued_at=at.clock() - 1), elsewhere=(there,))
        receipts.append(await processed(at.journal, create, incident=incident, at=at.clock() - 1))
    at.delivery.wake()
    return receipts


@pytest.mark.anyio
async def test_a_long_queue_does_not_wait_for_its_turn_at_the_breaker() -> None:
    """After an outage of a quarter of an hour hundreds are overdue at once, and few of them were ever called."""
    async with desk(MemoryJournal(), refused, retry_first="1h", retry_most="1h") as at:
        receipts = await waiting(at, 180)
        await until(lambda: "breaker_open" in at.told.words)
        calls = len(at.wire.ways())
        assert calls < 180
        at.clock.offset += 900
        at.delivery.wake()
        await until(lambda: sum(bool(step.fell_back_to) for step in at.told.steps) == 180, 2.5)
        assert set(await at.statuses(receipts)) == {ActionStatus.SKIPPED, ActionStatus.QUEUED}
        assert {step.fell_back_to for step in at.told.steps} == {"", "other"}
