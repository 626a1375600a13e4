"""Members, orphans, and news that comes late or twice."""

from dataclasses import replace

from gateway.incidents import members
from gateway.incidents.machine import identify, orphan
from gateway.incidents.ordering import order_within_receipt
from gateway.model.event import Kind
from gateway.model.incident import Incident, Member
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from tests.incidents.world import KEY, Memory, other, plan, problem, recovery

# ------------------------------------------------------------------------------------------------------------ members


def test_an_incident_recovers_when_all_its_members_have() -> None:
    memory = Memory()
    memory.send(problem("event/1"), 0.0)
    memory.send(problem("event/2"), 1.0)
    assert memory.send(recovery("event/1"), 2.0).reason is Reason.MEMBER_RECOVERED
    assert memory.open() is not None
    assert memory.send(recovery("event/2"), 3.0).reason is Reason.RECOVERED
    assert memory.open() is None


def test_recover_any_closes_with_the_first_member() -> None:
    memory = Memory(plan(Policy(recover_when="any")))
    memory.send(problem("event/1"), 0.0)
    memory.send(problem("event/2"), 1.0)
    assert memory.send(recovery("event/2"), 2.0).reason is Reason.RECOVERED


def test_the_same_origin_key_of_two_sources_is_two_members() -> None:
    memory = Memory()
    memory.send(problem(), 0.0, source="nagios-a")
    memory.send(problem(), 1.0, source="nagios-b")
    assert memory.send(recovery(), 2.0, source="nagios-a").reason is Reason.MEMBER_RECOVERED
    assert memory.send(recovery(), 3.0, source="nagios-b").reason is Reason.RECOVERED


def test_a_recovery_of_what_takes_no_part_closes_nothing() -> None:
    memory = Memory()
    memory.send(problem("db-1/disk"), 0.0)
    result = memory.send(recovery("db-1/load"), 1.0)
    assert (result.reason, len(result.tombstones)) == (Reason.ORPHAN_RECOVERY, 1)
    assert memory.open() is not None


def test_a_second_recovery_of_one_member_does_not_count_for_another() -> None:
    memory = Memory()
    memory.send(problem("event/1"), 0.0)
    memory.send(problem("event/2"), 1.0)
    memory.send(recovery("event/1"), 2.0)
    assert memory.send(recovery("event/1"), 3.0).reason is Reason.ORPHAN_RECOVERY
    assert memory.open() is not None


def test_members_that_recovered_longest_ago_are_forgotten_beyond_the_limit_and_those_in_problem_never() -> None:
    known: tuple[Member, ...] = ()
    for number in range(members.MOST + 50):
        known = members.put(known, Member("s", str(number), number < 10, recovered_at=float(number)))
    assert len(known) == members.MOST
    names = {int(m.origin_key) for m in known}
    assert names == set(range(10)) | set(range(60, members.MOST + 50))


def test_an_event_that_is_no_problem_follows_its_member_though_its_key_is_another() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    result = memory.send(recovery(), 1.0, key="[another key]")
    assert result.reason is Reason.RECOVERED
    assert memory.open(KEY) is None


def test_a_problem_goes_by_its_key_and_not_by_its_member() -> None:
    memory = Memory()
    memory.send(problem(), 0.0)
    assert memory.send(problem(), 1.0, key="[another key]").reason is Reason.OPENED


def _incident(number: str, *, in_problem: bool) -> Incident:
    memory = Memory()
    memory.send(problem("event/1"), 0.0)
    memory.send(problem("event/2"), 0.0)
    if not in_problem:
        memory.send(recovery("event/1"), 1.0)
    return replace(memory.incidents["i1"], id=number)


def test_a_recovery_follows_all_incidents_in_which_its_member_has_the_problem() -> None:
    here, there, done = (
        _incident("a", in_problem=True),
        _incident("b", in_problem=True),
        _incident("c", in_problem=False),
    )
    found = identify(event=recovery("event/1"), source="nagios", by_member=(here, there, done), by_key=None)
    assert ([i.id for i in found.incidents], found.follows) == (["a", "b"], True)
    note = identify(event=other(Kind.CUSTOM, "event/1"), source="nagios", by_member=(here, there, done), by_key=None)
    assert [i.id for i in note.incidents] == ["a", "b", "c"]


def test_an_event_without_an_origin_key_follows_nobody() -> None:
    here = _incident("a", in_problem=True)
    found = identify(event=recovery(""), source="nagios", by_member=(here,), by_key=None)
    assert (found.incidents, found.follows) == ((), False)


# ------------------------------------------------------------------------------------------------------------ orphans


def test_a_recovery_without_an_incident_opens_nothing_and_leaves_a_tombstone_for_a_day() -> None:
    result = Memory().send(recovery(episode="7", at=50.0), 100.0)
    assert (result.incident, result.reason, result.wishes) == (None, Reason.ORPHAN_RECOVERY, ())
    (grave,) = result.tombstones
    assert (grave.key, grave.origin_key, grave.problem_id, grave.source) == (
        '["member","nagios","db-1/disk"]',
        "db-1/disk",
        "7",
        "nagios",
    )
    assert (grave.at, grave.clock, grave.expires_at) == (50.0, True, 100.0 + 86400.0)


def test_a_problem_of_an_episode_that_recovered_before_is_stale() -> None:
    memory = Memory()
    memory.send(recovery(episode="7"), 0.0)
    assert memory.send(problem(episode="7"), 1.0).reason is Reason.STALE
    assert memory.send(problem(episode="8"), 2.0).reason is Reason.OPENED


def test_a_tombstone_lasts_a_day() -> None:
    memory = Memory()
    memory.send(recovery(episode="7"), 0.0)
    assert memory.send(problem(episode="7"), 86399.0).reason is Reason.STALE
    assert memory.send(problem(episode="7"), 86400.0).reason is Reason.OPENED


def test_a_problem_older_than_an_orphan_recovery_is_stale_and_one_of_the_same_instant_is_not() -> None:
    memory = Memory()
    memory.send(recovery(at=50.0), 100.0)
    assert memory.send(problem(at=49.9), 101.0).reason is Reason.STALE
    assert memory.send(problem(at=50.0), 102.0).reason is Reason.OPENED


def test_clocks_are_not_compared_where_one_of_them_bears_no_zone() -> None:
    memory = Memory()
    memory.send(recovery(), 100.0)
    assert memory.send(problem(at=1.0), 101.0).reason is Reason.OPENED


def test_clocks_of_two_sources_are_not_compared() -> None:
    memory = Memory()
    memory.send(recovery(at=50.0), 100.0, source="nagios-a")
    assert memory.send(problem(at=1.0), 101.0, source="nagios-b").reason is Reason.OPENED


def test_a_tombstone_is_found_though_recovery_and_problem_take_different_routes() -> None:
    memory = Memory()
    memory.send(recovery(episode="7"), 0.0, key="[no route took it]")
    assert memory.send(problem(episode="7"), 1.0).reason is Reason.STALE


def test_what_no_route_takes_leaves_its_tombstone_all_the_same() -> None:
    result = orphan(event=recovery(episode="7"), source="nagios", received_at=0.0)
    assert (result.reason, len(result.tombstones)) == (Reason.ORPHAN_RECOVERY, 1)
    assert orphan(event=other(Kind.CUSTOM), source="nagios", received_at=0.0).reason is Reason.ORPHAN_NOTE


def test_the_id_of_the_episode_is_preferred_to_the_clock() -> None:
    memory = Memory()
    memory.send(recovery(episode="7", at=50.0), 100.0)
    assert memory.send(problem(episode="8", at=1.0), 101.0).reason is Reason.OPENED


# ------------------------------------------------------------------------------------------------------ out of order


def test_a_recovery_older_than_the_last_problem_is_stale_and_one_of_the_same_instant_is_not() -> None:
    memory = Memory()
    memory.send(problem(at=50.0), 100.0)
    assert memory.send(recovery(at=49.9), 101.0).reason is Reason.STALE
    assert memory.send(recovery(at=50.0), 102.0).reason is Reason.RECOVERED


def test_the_recovery_of_an_old_episode_does_not_close_the_new_one() -> None:
    memory = Memory()
    memory.send(problem(episode="8"), 100.0)
    assert memory.send(recovery(episode="7"), 101.0).reason is Reason.STALE
    assert memory.send(problem(episode="7"), 102.0).reason is Reason.STALE
    assert memory.send(recovery(episode="8"), 103.0).reason is Reason.RECOVERED


def test_a_problem_of_the_episode_that_closed_the_incident_is_stale() -> None:
    memory = Memory(plan(Policy(reopen_within=1000.0)))
    memory.send(problem(episode="7"), 100.0)
    memory.send(recovery(episode="7"), 101.0)
    result = memory.send(problem(episode="7"), 102.0)
    assert (result.incident, result.reason) == (None, Reason.STALE)
    assert memory.send(problem(episode="8"), 103.0).reason is Reason.RELAPSED


def test_a_delayed_problem_does_not_reopen_what_recovered_after_it() -> None:
    memory = Memory(plan(Policy(reopen_within=1000.0)))
    memory.send(problem(at=10.0), 100.0)
    memory.send(recovery(at=30.0), 101.0)
    assert memory.send(problem(at=20.0), 102.0).reason is Reason.STALE
    assert memory.send(problem(at=31.0), 103.0).reason is Reason.RELAPSED


def test_old_news_stays_old_though_another_incident_of_the_key_came_between() -> None:
    memory = Memory()
    memory.send(problem("a", at=10.0), 100.0)
    memory.send(recovery("a", at=30.0), 101.0)
    memory.send(problem("b", at=40.0), 102.0)
    memory.send(recovery("b", at=50.0), 103.0)
    assert memory.send(problem("a", at=20.0), 104.0).reason is Reason.STALE


def test_a_delayed_repeat_is_counted_but_does_not_turn_severity_or_time_back() -> None:
    memory = Memory()
    memory.send(problem(at=50.0, title="now"), 100.0)
    result = memory.send(problem(at=20.0, title="before"), 101.0)
    assert (result.reason, result.incident is not None and result.incident.title) == (Reason.REPEATED, "now")
    assert memory.send(recovery(at=30.0), 102.0).reason is Reason.STALE


def test_recoveries_come_first_within_one_receipt_and_all_else_keeps_its_order() -> None:
    events = [problem("a"), recovery("b"), other(Kind.CUSTOM, "c"), recovery("d")]
    assert order_within_receipt(events) == (1, 3, 0, 2)


def test_a_recovery_stays_behind_the_problem_that_it_ends_in_the_same_receipt() -> None:
    assert order_within_receipt([problem("a"), recovery("a")]) == (0, 1)
    assert order_within_receipt([problem("a", episode="2"), recovery("a", episode="1")]) == (1, 0)
    assert order_within_receipt([problem("a", at=9.0), recovery("a", at=8.0)]) == (1, 0)
    assert order_within_receipt([problem("a", at=8.0), recovery("a", at=9.0)]) == (0, 1)
    assert order_within_receipt([problem("a", at=9.0), recovery("a", at=9.0)]) == (0, 1)


def test_an_instant_of_another_clock_is_not_kept_beside_a_new_one() -> None:
    member = members.started(None, problem(), "s", 5000.0)
    assert members.ended(member, recovery(), 5001.0).last_problem_at == 5000.0
    assert members.ended(member, recovery(at=10.0), 5001.0).last_problem_at == 0.0


def test_a_relapse_is_possible_up_to_the_very_end_of_reopen_within() -> None:
    memory = Memory(plan(Policy(reopen_within=10.0)))
    memory.send(problem(), 0.0)
    memory.send(recovery(), 1.0)
    assert memory.send(problem(), 11.0).reason is Reason.RELAPSED


def test_the_recovery_of_a_later_episode_ends_the_one_whose_own_recovery_was_lost() -> None:
    memory = Memory()
    memory.send(problem(episode="1", at=10.0), 100.0)
    result = memory.send(recovery(episode="2", at=40.0), 200.0)
    assert result.reason is Reason.RECOVERED
    assert memory.send(problem(episode="2", at=30.0), 300.0).reason is Reason.STALE


def test_in_a_group_problems_come_first_so_that_it_is_never_over_in_between() -> None:
    events = [
        replace(one, group="g") for one in (recovery("a"), problem("b"), problem("c"), recovery("c"), recovery("d"))
    ]
    assert order_within_receipt(events) == (1, 2, 0, 3, 4)
    again = [replace(one, group="g") for one in (recovery("a"), problem("a"))]
    assert order_within_receipt(again) == (0, 1)
