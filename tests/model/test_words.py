"""The words of the product."""

import re
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Event, Kind, Severity
from gateway.model.ids import marker_of, new_id
from gateway.model.plan import Plan, Policy, Template, TicketSpec, plan_from_bytes
from gateway.model.reasons import Reason


def test_ids_are_version_7_and_carry_their_instant() -> None:
    identity = uuid.UUID(new_id(1_795_303_161.25))
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    assert identity.int >> 80 == 1_795_303_161_250


def test_ids_ascend_in_the_order_they_were_made_also_over_threads() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ids == sorted(ids) for ids in made)
    assert len({name for ids in made for name in ids}) == 8000


@given(st.lists(st.text(min_size=1), min_size=4, max_size=4), st.integers(0, 9))
def test_a_marker_is_the_same_for_the_same_action_and_safe_in_a_message_id(parts: list[str], ordinal: int) -> None:
    cause, route, helpdesk, kind = (part.replace("\x1f", "") for part in parts)
    made = marker_of(cause=cause, route=route, helpdesk=helpdesk, kind=kind, ordinal=ordinal)
    assert made == marker_of(cause=cause, route=route, helpdesk=helpdesk, kind=kind, ordinal=ordinal)
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert made != marker_of(cause=cause, route=route, helpdesk=helpdesk, kind=kind, ordinal=ordinal + 1)


def test_every_reason_has_its_sentence() -> None:
    assert all(reason.explain().endswith(".") for reason in Reason)


@pytest.mark.parametrize("kind", [Kind.FLAPPING_STOP, Kind.DOWNTIME_END, Kind.DOWNTIME_CANCELLED])
def test_the_end_of_flapping_or_a_downtime_ends_a_problem_only_where_the_object_is_well(kind: Kind) -> None:
    assert Event(kind, still_in_problem=False).ends_problem
    assert not Event(kind, still_in_problem=True).ends_problem
    assert not Event(kind).ends_problem


def test_a_recovery_ends_a_problem_and_a_comment_at_a_good_moment_does_not() -> None:
    assert Event(Kind.RECOVERY).ends_problem
    assert not Event(Kind.UPDATE, still_in_problem=False).ends_problem
    assert not Event(Kind.FLAPPING_START, still_in_problem=False).ends_problem


def test_severities_are_ordered_and_unknown_compares_with_nothing() -> None:
    known = [severity for severity in Severity if severity is not Severity.UNKNOWN]
    assert [severity.rank for severity in known] == [0, 1, 2, 3, 4]
    assert Severity.UNKNOWN.rank is None


@given(st.text(), st.floats(0, 1e9), st.dictionaries(st.text(), st.text()))
def test_a_plan_comes_back_from_the_journal_as_it_was(text: str, seconds: float, names: dict[str, str]) -> None:
    text = text.encode("utf-8", "replace").decode()
    names = {
        key.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
        for key, value in names.items()
    }
    part = Template("templates/alert/title.j2", text)
    spec = TicketSpec(part, part, part, part, "html", {"priority": {"from": "severity", "table": dict(names)}})
    plan = Plan("alerts", "desk", Policy(append_every=seconds), spec, names)
    again = plan_from_bytes(plan.to_bytes())
    assert again == plan
    assert again.digest == plan.digest
