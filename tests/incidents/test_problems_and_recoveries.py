"""The plain course of an incident: opened, counted, appended, closed, used again."""

from dataclasses import replace

import pytest

from gateway.incidents.machine import step
from gateway.incidents.transition import Purpose, Wish
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind, Severity
from gateway.model.incident import IncidentState
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from tests.incidents.world import ALL, Memory, other, plan, problem, recovery

QUIET_CLOSE = Wish(
    ActionKind.APPEND, Purpose.RECOVERY, True, False, (Reason.CLOSE_UNSUPPORTED,), wanted=ActionKind.CLOSE
)


def test_a_problem_without_an_incident_opens_one_and_asks_for_a_ticket() -> None:
    result = Memory().send(problem(severity=Severity.CRITICAL), 100.0)
    assert result.reason is Reason.OPENED
    assert result.wishes == (Wish(ActionKind.CREATE, Purpose.PROBLEM, quiet=False, reopen=False),)
    incident = result.incident
    assert incident is not None
    assert (incident.state, incident.version, incident.occurrences) == (IncidentState.OPEN, 0, 1)
    assert (incident.severity, incident.title, incident.route) == (Severity.CRITICAL, "disk full", "databases")
    assert (incident.opened_at, incident.last_event_at, incident.last_appended_at) == (100.0, 100.0, 100.0)
    assert [(m.source, m.origin_key, m.in_problem) for m in incident.members] == [("nagios", "db-1/disk", True)]


def test_a_repeated_problem_is_counted_and_refreshes_severity_and_title() -> None:
    memory = Memory()
    memory.send(problem(), 100.0)
    result = memory.send(problem(severity=Severity.CRITICAL, title="disk 99 %"), 200.0)
    assert (result.reason, result.wishes) == (Reason.REPEATED, ())
    incident = result.incident
    assert incident is not None
    assert (incident.version, incident.occurrences, incident.last_event_at) == (1, 2, 200.0)
    assert (incident.severity, incident.title) == (Severity.CRITICAL, "disk 99 %")


def test_a_repeat_is_appended_once_in_append_every() -> None:
    memory = Memory(plan(Policy(append_every=60.0)))
    results = [memory.send(problem(), now) for now in (0.0, 59.0, 60.0, 119.0, 120.0)]
    assert [r.reason for r in results] == [
        Reason.OPENED,
        Reason.REPEATED,
        Reason.REPEAT_APPENDED,
        Reason.REPEATED,
        Reason.REPEAT_APPENDED,
    ]
    assert results[2].wishes == (Wish(ActionKind.APPEND, Purpose.REPEAT, quiet=True, reopen=False),)
    assert results[4].incident is not None
    assert results[4].incident.occurrences == 5


def test_a_recovery_closes_in_our_memory_and_appends_quietly_where_the_helpdesk_closes_nothing() -> None:
    memory = Memory()
    memory.send(problem(), 100.0)
    result = memory.send(recovery(), 200.0)
    assert (result.reason, result.wishes) == (Reason.RECOVERED, (QUIET_CLOSE,))
    assert result.incident is not None
    assert (result.incident.state, result.incident.closed_at) == (IncidentState.CLOSED, 200.0)
    assert result.incident.severity is Severity.MAJOR, "the severity of the recovery is not that of the incident"


def test_a_helpdesk_that_can_close_is_asked_to_close() -> None:
    memory = Memory(actions=ALL, substitutes={})
    memory.send(problem(), 100.0)
    assert memory.send(recovery(), 200.0).wishes == (Wish(ActionKind.CLOSE, Purpose.RECOVERY, True, False),)


def test_a_missing_action_without_a_declared_substitute_becomes_an_append_with_its_reason() -> None:
    memory = Memory(substitutes={})
    memory.send(problem(), 100.0)
    assert memory.send(recovery(), 200.0).wishes == (QUIET_CLOSE,)


def test_recover_append_leaves_the_ticket_open_and_says_so_quietly() -> None:
    memory = Memory(plan(Policy(recover_action="append")), actions=ALL)
    memory.send(problem(), 100.0)
    result = memory.send(recovery(), 200.0)
    assert result.wishes == (Wish(ActionKind.APPEND, Purpose.RECOVERY, True, False),)
    assert result.incident is not None
    assert result.incident.state is IncidentState.CLOSED


def test_recover_none_closes_only_our_memory() -> None:
    memory = Memory(plan(Policy(recover_action="none")))
    memory.send(problem(), 100.0)
    result = memory.send(recovery(), 200.0)
    assert (result.reason, result.wishes) == (Reason.RECOVERY_IGNORED, ())
    assert memory.open() is None


def test_a_relapse_within_reopen_within_uses_the_same_ticket_the_way_that_reopens_it() -> None:
    memory = Memory(plan(Policy(reopen_within=100.0)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    result = memory.send(problem(), 110.0)
    assert result.reason is Reason.RELAPSED
    reasons = (Reason.REOPEN_UNSUPPORTED,)
    expected = Wish(ActionKind.APPEND, Purpose.RELAPSE, False, True, reasons, wanted=ActionKind.REOPEN)
    assert result.wishes == (expected,)
    assert result.incident is not None
    assert (result.incident.id, result.incident.version, result.incident.closed_at) == ("i1", 2, None)
    assert result.incident.members[0].in_problem


def test_a_relapse_after_reopen_within_opens_a_new_incident() -> None:
    memory = Memory(plan(Policy(reopen_within=100.0)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    result = memory.send(problem(), 110.1)
    assert result.reason is Reason.OPENED
    assert result.incident is not None
    assert result.incident.id == "i2"


def test_without_reopen_within_every_relapse_is_a_new_incident() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    assert memory.send(problem(), 10.0).reason is Reason.OPENED


def test_a_helpdesk_that_can_reopen_is_asked_to_reopen() -> None:
    memory = Memory(plan(Policy(reopen_within=100.0)), actions=ALL)
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    assert memory.send(problem(), 20.0).wishes == (Wish(ActionKind.REOPEN, Purpose.RELAPSE, False, True),)


def test_a_relapse_under_a_route_to_another_helpdesk_makes_a_ticket_there() -> None:
    memory = Memory(plan(Policy(reopen_within=100.0)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    memory.plan = plan(Policy(reopen_within=100.0), helpdesk="zammad")
    assert memory.send(problem(), 20.0).reason is Reason.OPENED


@pytest.mark.parametrize("gone", [Reason.CREATE_DROPPED, Reason.DETACHED, Reason.HELPDESK_CHANGED])
def test_an_incident_whose_ticket_is_gone_is_not_used_again(gone: Reason) -> None:
    memory = Memory(plan(Policy(reopen_within=100.0)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 10.0)
    memory.incidents["i1"] = replace(memory.incidents["i1"], reasons=(gone.value,))
    assert memory.send(problem(), 20.0).reason is Reason.OPENED


@pytest.mark.parametrize("kind", [Kind.FLAPPING_STOP, Kind.DOWNTIME_END, Kind.DOWNTIME_CANCELLED])
@pytest.mark.parametrize(("still", "reason"), [(False, Reason.RECOVERED), (True, Reason.NOTED), (None, Reason.NOTED)])
def test_the_end_of_flapping_or_downtime_ends_the_problem_only_if_the_object_is_well(
    kind: Kind, still: bool | None, reason: Reason
) -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    assert memory.send(Event(kind, origin_key="db-1/disk", still_in_problem=still), 10.0).reason is reason


@pytest.mark.parametrize("kind", [Kind.UPDATE, Kind.FLAPPING_START, Kind.DOWNTIME_START, Kind.ACKNOWLEDGEMENT])
def test_other_kinds_never_end_a_problem_even_if_the_object_is_well(kind: Kind) -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    result = memory.send(Event(kind, origin_key="db-1/disk", still_in_problem=False), 10.0)
    assert result.reason is Reason.NOTED
    assert memory.open() is not None


# -------------------------------------------------------------------------------------------------------------- notes


@pytest.mark.parametrize("kind", [Kind.ACKNOWLEDGEMENT, Kind.CUSTOM, Kind.UPDATE, Kind.FLAPPING_START, Kind.BOUNCE])
def test_a_note_is_appended_quietly_and_does_not_reopen(kind: Kind) -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    result = memory.send(other(kind), 10.0)
    assert result.reason is Reason.NOTED
    assert result.wishes == (Wish(ActionKind.APPEND, Purpose.NOTE, quiet=True, reopen=False),)
    assert result.incident is not None
    assert result.incident.occurrences == 1


def test_notes_ignore_writes_nothing_and_says_so() -> None:
    memory = Memory(plan(Policy(notes="ignore")))
    memory.send(problem(), 0.0)
    result = memory.send(other(Kind.CUSTOM), 10.0)
    assert (result.reason, result.wishes) == (Reason.NOTE_IGNORED, ())


@pytest.mark.parametrize(
    "kind",
    [Kind.ACKNOWLEDGEMENT, Kind.CUSTOM, Kind.UPDATE, Kind.FLAPPING_START, Kind.DOWNTIME_START, Kind.BOUNCE],
)
def test_a_note_without_an_open_incident_is_an_orphan(kind: Kind) -> None:
    memory = Memory(plan(Policy(reopen_within=1000.0)))
    assert memory.send(other(kind), 0.0).reason is Reason.ORPHAN_NOTE
    memory.send(problem(), 1.0)
    memory.send(recovery(), 2.0)
    result = memory.send(other(kind), 3.0)
    assert (result.incident, result.reason, result.wishes) == (None, Reason.ORPHAN_NOTE, ())


def test_an_update_refreshes_the_severity_but_not_one_about_a_closed_event() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    raised = memory.send(Event(Kind.UPDATE, Severity.CRITICAL, origin_key="db-1/disk"), 1.0)
    assert raised.incident is not None
    assert raised.incident.severity is Severity.CRITICAL
    late = memory.send(Event(Kind.UPDATE, Severity.INFO, origin_key="db-1/disk", still_in_problem=False), 2.0)
    assert late.incident is not None
    assert late.incident.severity is Severity.CRITICAL


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.RAW, Kind.INFORMATION])
def test_a_message_an_information_and_an_unreadable_payload_open_a_ticket(kind: Kind) -> None:
    result = Memory().send(other(kind, "thread-1"), 0.0)
    assert result.reason is Reason.OPENED
    assert [w.kind for w in result.wishes] == [ActionKind.CREATE]
    unreadable = (Reason.UNREADABLE,) if kind is Kind.RAW else ()
    assert result.wishes[0].reasons == unreadable
    assert result.incident is not None
    assert result.incident.reasons == tuple(reason.value for reason in unreadable)


def test_every_further_message_is_appended_aloud_and_reopens() -> None:
    memory = Memory()
    memory.send(other(Kind.MESSAGE), 0.0)
    results = [memory.send(other(Kind.MESSAGE), now) for now in (1.0, 2.0)]
    assert [r.reason for r in results] == [Reason.NOTED] * 2
    assert results[1].wishes == (Wish(ActionKind.APPEND, Purpose.NOTE, quiet=False, reopen=True),)


def test_what_somebody_writes_about_a_problem_is_none_of_its_occurrences() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    counts = [memory.send(event, now).incident for event, now in ((other(Kind.MESSAGE), 1.0), (problem(), 2.0))]
    assert [incident.occurrences for incident in counts if incident is not None] == [1, 2]


@pytest.mark.parametrize("kind", [Kind.RAW, Kind.INFORMATION])
def test_repeated_information_and_unreadable_payloads_are_counted(kind: Kind) -> None:
    memory = Memory()
    memory.send(other(kind), 0.0)
    assert memory.send(other(kind), 1.0).reason is Reason.REPEATED


def test_an_information_under_an_open_incident_never_keeps_it_open() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    memory.send(other(Kind.INFORMATION, "db-1/boot"), 1.0)
    assert memory.send(recovery(), 2.0).reason is Reason.RECOVERED


def test_an_incident_opened_by_an_information_closes_with_the_recovery_of_the_problem_that_joined() -> None:
    memory = Memory()
    memory.send(other(Kind.INFORMATION, "db-1/boot"), 0.0)
    memory.send(problem(), 1.0)
    assert memory.send(recovery(), 2.0).reason is Reason.RECOVERED
    assert memory.open() is None


def test_a_recovery_of_what_only_informed_closes_its_incident() -> None:
    memory = Memory()
    memory.send(other(Kind.INFORMATION), 0.0)
    assert memory.send(recovery(), 1.0).reason is Reason.RECOVERED


def test_the_reasons_of_the_key_are_kept_with_a_new_incident() -> None:
    the_plan = plan()
    result = step(
        incident=None,
        event=problem(),
        source="nagios",
        key="k",
        plan=the_plan,
        plan_digest=the_plan.digest,
        capabilities_actions=ALL,
        substitutes={},
        tombstones=(),
        received_at=0.0,
        incident_id="i1",
        reasons=(Reason.KEY_FIELD_MISSING,),
    )
    assert result.incident is not None
    assert result.incident.reasons == ("key_field_missing",)
