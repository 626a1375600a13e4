"""Which follow-ups may touch a ticket that a person has closed."""

from dataclasses import replace

import pytest

from gateway.incidents.persons import when_closed, with_rules
from gateway.incidents.transition import Purpose, Wish
from gateway.model.action import ActionKind, TicketDraft
from gateway.model.event import Kind
from gateway.model.incident import Deed, TimerKind, Touch
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from tests.incidents.world import Memory, plan, problem

APPENDS = [purpose for purpose in Purpose if purpose not in {Purpose.PROBLEM, Purpose.RELAPSE}]
NEWS = {Purpose.WORSE, Purpose.JOINED}
LASTS = {Purpose.REPEAT, *NEWS, Purpose.ESCALATION, Purpose.FLAPPING}


def said(policy: str, purpose: Purpose, kind: Kind = Kind.PROBLEM, *, reopen: bool = False) -> str:
    wish = Wish(ActionKind.APPEND, purpose, quiet=True, reopen=reopen)
    return when_closed(wish, kind, Policy(closed_by_hand=policy))  # type: ignore[arg-type]  # the words of the test


@pytest.mark.parametrize("purpose", APPENDS)
def test_only_what_says_that_the_problem_lasts_opens_a_ticket_or_makes_a_new_one(purpose: Purpose) -> None:
    for policy in ("reopen", "new"):
        assert said(policy, purpose) == (policy if purpose in LASTS else "")
    assert said("", purpose) == ""


@pytest.mark.parametrize("purpose", APPENDS)
def test_who_stays_quiet_speaks_only_of_what_is_worse(purpose: Purpose) -> None:
    assert said("stay_quiet", purpose) == ("reopen" if purpose in NEWS else "stay_quiet")


def test_a_report_is_news_each_time() -> None:
    assert said("stay_quiet", Purpose.REPEAT, Kind.INFORMATION) == "reopen"


def test_what_a_person_wrote_opens_a_closed_ticket_as_ever() -> None:
    assert said("stay_quiet", Purpose.NOTE, Kind.MESSAGE, reopen=True) == ""


def test_only_a_close_asks_whether_the_ticket_is_untouched() -> None:
    policy = Policy(only_if_untouched=True)
    for kind in ActionKind:
        wish = Wish(kind, Purpose.RECOVERY, quiet=True, reopen=False)
        draft = with_rules(TicketDraft("t", "x"), wish, Kind.RECOVERY, policy)
        assert draft.only_if_untouched is (kind is ActionKind.CLOSE)


# --------------------------------------------------------------------------------------------- what is known of persons


def memory(deed: Deed, policy: str = "stay_quiet") -> Memory:
    """An incident since 0, whose ticket a person touched at 10."""
    one = Memory(plan(Policy(closed_by_hand=policy, escalate_after=1800.0)))  # type: ignore[arg-type]  # as above
    one.send(problem(), 0.0)
    (name,) = one.incidents
    one.incidents[name] = replace(one.incidents[name], touch=Touch(deed, 10.0))
    return one


@pytest.mark.parametrize(
    ("deed", "policy", "told"),
    [
        (Deed.CLOSED, "stay_quiet", 0),
        (Deed.CLOSED, "reopen", 1),
        (Deed.CLOSED, "new", 1),
        (Deed.REMOVED, "stay_quiet", 1),
        (Deed.WORKED, "new", 0),
    ],
)
def test_where_repeats_are_only_counted_a_ticket_that_was_taken_away_gets_one_follow_up(
    deed: Deed, policy: str, told: int
) -> None:
    one = memory(deed, policy)
    reasons = [one.send(problem(), at).reason for at in (20.0, 30.0, 40.0)]
    assert reasons == [Reason.REPEAT_APPENDED] * told + [Reason.REPEATED] * (3 - told)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [(Deed.WORKED, Reason.TOUCHED), (Deed.CLOSED, Reason.TOUCHED), (Deed.REMOVED, Reason.ESCALATED)],
)
def test_who_looks_after_a_ticket_is_not_reminded_of_it(deed: Deed, reason: Reason) -> None:
    one = memory(deed)
    one.pass_time(2000.0)
    assert [found for _, kind, found in one.fired if kind is TimerKind.ESCALATE] == [reason]
    assert [wish.purpose for _, wish in one.wishes] == [
        Purpose.PROBLEM,
        *([Purpose.ESCALATION] if reason is Reason.ESCALATED else []),
    ]
