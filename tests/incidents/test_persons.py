"""Which follow-ups may touch a ticket that a person has closed."""

import pytest

from gateway.incidents.persons import when_closed, with_rules
from gateway.incidents.transition import Purpose, Wish
from gateway.model.action import ActionKind, TicketDraft
from gateway.model.event import Kind
from gateway.model.plan import Policy

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
