"""The state machine under shuffled, repeated and delayed events."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.incidents.ordering import order_within_receipt
from gateway.model.action import ActionKind
from gateway.model.event import Event, Kind
from gateway.model.incident import IncidentState
from gateway.model.plan import Policy
from gateway.model.reasons import Reason
from tests.incidents.world import ALL, TWO, Memory, other, plan, problem, recovery

POLICIES = st.builds(
    Policy,
    append_every=st.sampled_from([None, 0.0, 3.0]),
    recover_action=st.sampled_from(["close", "append", "none"]),
    recover_when=st.just("all"),
    notes=st.sampled_from(["append", "ignore"]),
    reopen_within=st.sampled_from([0.0, 4.0, 1e6]),
    confirm=st.sampled_from([0.0, 0.0, 2.5, 5.0]),
    hold=st.sampled_from([0.0, 0.0, 2.5, 5.0]),
    rise=st.sampled_from(["append", "update", "ignore"]),
    escalate_after=st.sampled_from([None, 3.5]),
    expire_after=st.sampled_from([None, 1e5]),
    flap_changes=st.sampled_from([0, 0, 3]),
    flap_within=st.just(6.0),
)
ORIGINS = ("a", "b", "c")


@dataclass(frozen=True)
class History:
    """What truly happened, in order, and who has a problem at the end."""

    events: tuple[Event, ...]
    running: frozenset[str]


@st.composite
def histories(draw: st.DrawFn, *, ids: bool, clocks: bool) -> History:
    """Episodes of a few members, one after the other per member, the last one perhaps still running."""
    lasting = {origin: draw(st.booleans()) for origin in ORIGINS}
    turns = {origin: draw(st.integers(0, 3)) for origin in ORIGINS}
    tracks: dict[str, list[tuple[str, str]]] = {}
    for origin in ORIGINS:
        steps = [(word, f"{origin}{turn}") for turn in range(turns[origin]) for word in ("problem", "recovery")]
        tracks[origin] = steps[:-1] if lasting[origin] else steps
    events: list[Event] = []
    while any(tracks.values()):
        origin = draw(st.sampled_from([name for name, track in tracks.items() if track]))
        word, episode = tracks[origin].pop(0)
        make = problem if word == "problem" else recovery
        events.append(make(origin, episode=episode if ids else "", at=float(len(events) + 1) if clocks else None))
    running = frozenset(origin for origin in ORIGINS if lasting[origin] and turns[origin])
    return History(tuple(events), running)


@st.composite
def deliveries(draw: st.DrawFn, true: st.SearchStrategy[History]) -> tuple[History, tuple[Event, ...]]:
    """A history with its events as they arrive: some repeated, all shuffled."""
    history = draw(true)
    repeated = draw(st.lists(st.sampled_from(history.events), max_size=4)) if history.events else []
    return history, tuple(draw(st.permutations([*history.events, *repeated])))


def play(events: Sequence[Event], policy: Policy, actions: frozenset[ActionKind] = TWO) -> Memory:
    memory = Memory(plan(policy), actions)
    for index, event in enumerate(events):
        before = memory.open()
        result = memory.send(event, 1000.0 + index)
        if result.incident is not None and result.incident.state is IncidentState.CLOSED:
            assert not any(m.in_problem for m in result.incident.members), "closed while a member has the problem"
        if before is not None:
            again = all(w.kind is not ActionKind.CREATE or w.until is not None for w in result.wishes)
            assert again or memory.incidents[before.id].state is IncidentState.CLOSED, "a second create while open"
    return memory


def in_problem(memory: Memory) -> frozenset[str]:
    incident = memory.open()
    return frozenset() if incident is None else frozenset(m.origin_key for m in incident.members if m.in_problem)


@given(deliveries(histories(ids=True, clocks=True)), POLICIES)
@settings(max_examples=300, deadline=None)
def test_with_episode_ids_and_clocks_the_end_is_that_of_the_true_order(
    delivery: tuple[History, tuple[Event, ...]], policy: Policy
) -> None:
    history, arrived = delivery
    assert in_problem(play(arrived, policy)) == history.running


@given(deliveries(histories(ids=False, clocks=True)), POLICIES)
@settings(max_examples=300, deadline=None)
def test_with_clocks_alone_the_end_is_that_of_the_true_order(
    delivery: tuple[History, tuple[Event, ...]], policy: Policy
) -> None:
    history, arrived = delivery
    assert in_problem(play(arrived, policy)) == history.running


@given(histories(ids=True, clocks=True), POLICIES, st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_was_lost_on_the_way_the_last_word_about_each_member_decides(
    history: History, policy: Policy, data: st.DataObject
) -> None:
    """Some events never come, the others in any order; then the sender says once more how each member stands."""
    kept = [event for event in history.events if data.draw(st.booleans(), label="comes")]
    shuffled = data.draw(st.permutations(kept))
    last = {event.origin_key: event for event in history.events}
    assert in_problem(play([*shuffled, *last.values()], policy)) == history.running


@st.composite
def one_episode_per_member(draw: st.DrawFn) -> History:
    """The way of Zabbix: one trigger, several events, each a member of its own with its id as episode; no clock."""
    lasting = draw(st.lists(st.booleans(), max_size=5))
    events = [problem(str(n), episode=str(n)) for n in range(len(lasting))]
    events += [recovery(str(n), episode=str(n)) for n, lasts in enumerate(lasting) if not lasts]
    return History(tuple(events), frozenset(str(n) for n, lasts in enumerate(lasting) if lasts))


@given(deliveries(one_episode_per_member()), POLICIES)
@settings(max_examples=300, deadline=None)
def test_with_a_member_per_episode_the_end_is_that_of_the_true_order_without_any_clock(
    delivery: tuple[History, tuple[Event, ...]], policy: Policy
) -> None:
    history, arrived = delivery
    assert in_problem(play(arrived, policy)) == history.running


@given(histories(ids=False, clocks=False), POLICIES)
@settings(max_examples=200, deadline=None)
def test_in_the_true_order_neither_ids_nor_clocks_are_needed(history: History, policy: Policy) -> None:
    assert in_problem(play(history.events, policy)) == history.running


ANY_EVENT = st.one_of(
    st.builds(
        problem,
        st.sampled_from(ORIGINS),
        episode=st.sampled_from(["", "1", "2"]),
        at=st.none() | st.integers(0, 9).map(float),
    ),
    st.builds(
        recovery,
        st.sampled_from(ORIGINS),
        episode=st.sampled_from(["", "1", "2"]),
        at=st.none() | st.integers(0, 9).map(float),
    ),
    st.builds(other, st.sampled_from(list(Kind)), st.sampled_from([*ORIGINS, ""])),
)


@given(st.lists(ANY_EVENT, max_size=25), POLICIES, st.sampled_from([TWO, ALL]))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_one_incident_is_open_at_most_and_every_ticket_is_created_once(
    events: list[Event], policy: Policy, actions: frozenset[ActionKind]
) -> None:
    memory = play(events, policy, actions)
    creates = [incident for incident, wish in memory.wishes if wish.kind is ActionKind.CREATE]
    ticketless = [
        incident.id
        for incident in memory.incidents.values()
        if incident.state is IncidentState.PENDING or Reason.NOT_CONFIRMED.value in incident.reasons
    ]
    assert sorted([*creates, *ticketless]) == sorted(memory.incidents)
    for incident in memory.incidents.values():
        assert (incident.closed_at is None) is (incident.state is not IncidentState.CLOSED)
        assert (incident.sequence == 0) is (incident.id in ticketless)
        assert sum(1 for name, _ in memory.wishes if name == incident.id) == incident.sequence


@given(st.lists(ANY_EVENT, max_size=15), POLICIES)
@settings(max_examples=200, deadline=None)
def test_any_beginning_replays_to_the_same_state(events: list[Event], policy: Policy) -> None:
    whole = Memory(plan(policy))
    for index, event in enumerate(events):
        whole.send(event, 1000.0 + index)
        again = play(events[: index + 1], policy)
        assert (again.incidents, again.graves, again.wishes) == (whole.incidents, whole.graves, whole.wishes)


@given(st.lists(ANY_EVENT, max_size=15))
def test_a_problem_is_never_set_aside_for_anything_but_being_stale(events: list[Event]) -> None:
    memory = Memory()
    for index, event in enumerate(events):
        result = memory.send(event, float(index))
        if event.kind is Kind.PROBLEM and result.incident is None:
            assert result.reason is Reason.STALE
            assert result.detail
        assert all(grave.origin_key == event.origin_key for grave in result.tombstones)


@given(st.lists(ANY_EVENT, max_size=12))
def test_the_order_within_a_receipt_takes_every_event_once(events: list[Event]) -> None:
    order = order_within_receipt(events)
    assert sorted(order) == list(range(len(events)))
    rest = [index for index in order if not events[index].ends_problem]
    assert rest == sorted(rest)
