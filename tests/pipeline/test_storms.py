"""Storms under shuffled, repeated and delayed events: every incident stands in one ticket, and the digest tells the truth."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.loader import load_file
from gateway.config.shipped import shipped_templates
from gateway.facts import facts_of
from gateway.firing import SLACK, Timers
from gateway.journal.memory import MemoryJournal
from gateway.journal.protocol import CommitResult, Processed, Timer
from gateway.judging import lookup, route
from gateway.model.action import ActionKind, NewAction
from gateway.model.event import Event, Kind, Severity
from gateway.model.ids import new_id
from gateway.model.incident import Incident, IncidentState
from gateway.model.reasons import Reason
from gateway.model.receipt import NewReceipt, Parsed
from gateway.model.storm import StormRow
from gateway.processing import process
from gateway.ruleset import Ruleset, build_ruleset
from tests.journal.builders import a_ticket, deliver, die
from tests.pipeline.works import CONFIG

pytestmark = pytest.mark.anyio
NOON = 1_800_000_000.0
WITHIN = 300.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("storms")
    (made / "templates").symlink_to(shipped_templates())
    return made


def rules_of(folder: Path, incident: str, *, ticket: str = "template: alert, format: text") -> Ruleset:
    """Storms of more than three within five minutes."""
    config = CONFIG.replace("{helpdesk: desk}", f"{{helpdesk: desk, {ticket}, fields: {{priority: 2}}}}").replace(
        "{repeat: {append_every: 1h}, reopen_within: 1h}",
        f"{{key: [host], expire: never, storm: {{limit: 3, within: 5m, every: 1m}}, {incident}}}",
    )
    (folder / "routes.yaml").write_text(config)
    return build_ruleset(load_file(folder / "routes.yaml", env={}))


@dataclass
class World:
    """Receipts and timers, one after the other, over a journal in memory, on a clock of its own."""

    rules: Ruleset
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    now: float = NOON
    actions: list[NewAction] = field(default_factory=list)
    fired_lines: list[Reason] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timers = Timers(self.journal, lambda: self.rules, self, wake_delivery=lambda _: None, clock=self._clock)

    def _clock(self) -> float:
        return self.now

    def fired(self, timer: Timer, processed: Processed) -> None:
        self._see(processed)

    def timer_failed(self, timer: Timer, error: BaseException) -> None:
        raise error

    def _see(self, processed: Processed) -> None:
        self.actions += processed.actions
        self.fired_lines += [line.reason for line in processed.history if line.reason is not None]

    async def wait(self, seconds: float) -> None:
        """Time passes, second by second as far as timers can tell."""
        end = self.now + seconds
        while True:
            due = [timer.due_at for timer in await self.journal.due_timers(now=end, limit=1)]
            if not due:
                break
            self.now = max(self.now, due[0] + SLACK + 0.001)
            while await self.timers.fire_due():
                pass
        self.now = max(self.now, end)

    async def send(
        self, host: str, kind: Kind = Kind.PROBLEM, *, severity: Severity = Severity.MAJOR, text: str = ""
    ) -> Reason:
        new = NewReceipt(new_id(), "app", self.now, b"{}")
        await self.journal.accept(new)
        [receipt] = await self.journal.claim_receipts(limit=1, now=self.now, lease=60.0)
        event = Event(kind, severity, f"{kind.value} of {host}", text=text, host=host, origin_key=host)
        routed = route(receipt, Parsed((event,)), self.rules)
        facts = facts_of(await self.journal.know(lookup([routed]), self.now))
        processed = process(routed, facts, self.rules)
        assert await self.journal.commit_processed([processed]) == [CommitResult.COMMITTED]
        self._see(processed)
        self.now += 0.01
        return processed.events[0].reason

    async def come(self, *hosts: str, kind: Kind = Kind.PROBLEM) -> list[Reason]:
        return [await self.send(host, kind) for host in hosts]

    @property
    def incidents(self) -> list[Incident]:
        return list(self.journal._incidents.values())

    @property
    def digests(self) -> list[Incident]:
        return [one for one in self.incidents if one.is_digest]

    @property
    def states(self) -> list[str]:
        """How the digests stand."""
        return [one.state.value for one in self.digests]

    async def rows(self) -> dict[str, tuple[StormRow, ...]]:
        return await self.journal.storm_rows([one.id for one in self.digests])

    def of(self, incident: Incident) -> list[ActionKind]:
        return [action.kind for action in self.actions if action.incident == incident.id]

    def words(self) -> list[str]:
        """What the digests were told, in order."""
        ids = {one.id for one in self.digests}
        return [action.draft.text for action in self.actions if action.incident in ids]


def hosts(count: int, first: int = 0) -> list[str]:
    return [f"h{number:02}" for number in range(first, first + count)]


JOINED, OPENED = Reason.JOINED_STORM, Reason.OPENED


def played(folder: Path, incident: str = "reopen_within: 1h") -> World:
    return World(rules_of(folder, incident))


async def test_one_more_than_the_limit_begins_a_storm_and_its_ticket_waits_a_moment_for_the_others(
    folder: Path,
) -> None:
    world = played(folder)
    assert await world.come(*hosts(6)) == [OPENED] * 3 + [JOINED] * 3
    assert world.words() == []
    await world.wait(6)
    [word] = world.words()
    assert "3 open, 0 recovered" in word
    assert [action.draft.fields for action in world.actions if action.incident == world.digests[0].id] == [
        {"priority": 2}
    ]
    await world.wait(600)
    assert len(world.words()) == 1, "nothing is new"


async def test_the_limit_alone_is_no_storm_and_counts_anew_when_time_has_passed(folder: Path) -> None:
    world = played(folder)
    assert await world.come(*hosts(3)) == [OPENED] * 3
    await world.wait(WITHIN + 1)
    assert await world.come(*hosts(3, 3)) == [OPENED] * 3
    assert world.digests == []


async def test_the_storm_is_over_when_nothing_new_has_come_for_the_time_and_the_next_one_has_its_own_digest(
    folder: Path,
) -> None:
    world = played(folder)
    await world.come(*hosts(5))
    await world.wait(WITHIN - 10)
    assert await world.send("late") is JOINED
    await world.wait(WITHIN + 1)
    assert await world.come(*hosts(5, 10)) == [OPENED] * 3 + [JOINED] * 2
    assert len(world.digests) == 2
    assert sorted(len(rows) for rows in (await world.rows()).values()) == [2, 3]
    assert world.states == ["open"] * 2


async def test_what_is_back_opens_its_digest_again_and_stands_in_no_other_ticket(folder: Path) -> None:
    world = played(folder)
    await world.come(*hosts(5))
    await world.wait(10)
    await world.come("h03", "h04", kind=Kind.RECOVERY)
    await world.wait(61)
    [digest] = world.digests
    assert world.states == ["closed"]
    await world.wait(WITHIN + 1)
    assert await world.send("h03") is Reason.RELAPSED
    await world.wait(10)
    assert world.states == ["open"]
    assert "It goes on" in world.words()[-1]
    await world.send("h03", Kind.RECOVERY)
    await world.wait(61)
    assert world.states == ["closed"]
    relapsed = next(one for one in world.incidents if one.host == "h03")
    assert (world.of(relapsed), relapsed.digest) == ([], digest.id)


async def test_who_joins_a_storm_whose_digest_has_closed_opens_it_again(folder: Path) -> None:
    world = played(folder)
    await world.come(*hosts(4))
    await world.wait(10)
    await world.send("h03", Kind.RECOVERY)
    await world.wait(61)
    assert world.states == ["closed"]
    assert await world.send("new") is JOINED
    await world.wait(10)
    assert world.states == ["open"]


async def test_with_confirm_only_what_lasts_counts_and_joins_when_its_time_has_come(folder: Path) -> None:
    world = played(folder, "confirm: 90s")
    assert set(await world.come(*hosts(8))) == {Reason.UNCONFIRMED}
    await world.come("h00", "h07", kind=Kind.RECOVERY)
    await world.wait(100)
    assert world.fired_lines.count(Reason.CONFIRMED) == 3
    assert world.fired_lines.count(JOINED) == 3
    assert sum(action.kind is ActionKind.CREATE for action in world.actions) == 4
    assert "3 open, 0 recovered" in world.words()[0]
    assert all("h07" not in word for word in world.words())


async def test_with_hold_a_digest_waits_until_every_recovery_has_lasted(folder: Path) -> None:
    world = played(folder, "recover: {hold: 5m}")
    await world.come(*hosts(4))
    await world.wait(10)
    await world.send("h03", Kind.RECOVERY)
    await world.wait(120)
    assert "recovering" in world.words()[-1]
    assert world.states == ["open"]
    await world.wait(300)
    assert world.states == ["closed"]


async def test_notes_and_what_nobody_acknowledges_are_told_with_the_next_word(folder: Path) -> None:
    world = played(folder, "escalate: {after: 10m}")
    await world.come(*hosts(5))
    await world.wait(10)
    await world.send("h03", Kind.ACKNOWLEDGEMENT, text="ann looks after it")
    await world.wait(60)
    assert "acknowledgement: acknowledgement of h03: ann looks after it" in world.words()[-1]
    await world.wait(600)
    [row] = [line for line in world.words()[-1].splitlines() if "not acknowledged" in line]
    assert "h04" in row


async def test_what_flaps_and_what_gets_worse_is_told_by_its_row(folder: Path) -> None:
    world = played(folder, "flap: {changes: 3, within: 30m}")
    await world.come(*hosts(4))
    await world.wait(10)
    await world.send("h03", severity=Severity.CRITICAL)
    await world.wait(60)
    assert "critical" in world.words()[-1]
    for kind in (Kind.RECOVERY, Kind.PROBLEM, Kind.RECOVERY, Kind.PROBLEM):
        await world.send("h03", kind)
        await world.wait(20)
    assert any("flapping" in word for word in world.words())


async def test_a_word_is_loud_if_something_is_new_or_worse_and_quiet_if_all_of_it_is_good_news(folder: Path) -> None:
    world = played(folder, "recover: {hold: 5m}")
    await world.come(*hosts(5))
    await world.wait(10)
    await world.send("h03", Kind.RECOVERY)
    await world.wait(61)
    await world.send("h04", severity=Severity.CRITICAL)
    await world.wait(61)
    digest = world.digests[0].id
    assert [action.draft.quiet for action in world.actions if action.incident == digest] == [False, True, False]


async def test_what_joined_a_digest_whose_create_was_dropped_is_taken_off_it_and_the_storm_goes_on_in_another(
    folder: Path,
) -> None:
    world = played(folder)
    await world.come(*hosts(5))
    await world.wait(6)
    [digest] = world.digests
    while claimed := await world.journal.claim_actions("desk", limit=10, now=world.now, lease=60.0):
        for action in claimed:
            if action.incident == digest.id:
                await die(world.journal, action)
                await world.journal.drop([action.id], now=world.now, who="ann")
            else:
                await deliver(world.journal, action, ticket=a_ticket(action.id))
    assert await world.send("h03") is JOINED
    assert Reason.DETACHED in world.fired_lines[-3:]
    assert await world.send("h04", Kind.RECOVERY) is Reason.RECOVERED
    await world.wait(61)
    assert len(world.digests) == 2
    assert sorted(len(rows) for rows in (await world.rows()).values()) == [1, 2]
    assert "1 open, 0 recovered" in world.words()[-1]


async def test_after_a_week_without_anybody_a_digest_does_not_say_nothing_ten_thousand_times(folder: Path) -> None:
    world = played(folder)
    await world.come(*hosts(5))
    await world.wait(10)
    before = world.digests[0].version
    world.now += 7 * 86400
    while await world.timers.fire_due():
        pass
    assert world.digests[0].version - before <= 4
    await world.send("h04", Kind.RECOVERY)
    await world.wait(61)
    assert "1 open, 1 recovered" in world.words()[-1]


async def test_messages_of_people_have_tickets_of_their_own_and_do_not_count(folder: Path) -> None:
    world = played(folder)
    assert await world.come(*hosts(6), kind=Kind.MESSAGE) == [OPENED] * 6
    assert world.digests == []


async def test_fields_of_per_are_counted_apart(folder: Path) -> None:
    world = played(folder)
    config = (folder / "routes.yaml").read_text().replace("every: 1m}", "every: 1m, per: [severity]}")
    (folder / "routes.yaml").write_text(config)
    world.rules = build_ruleset(load_file(folder / "routes.yaml", env={}))
    for host in hosts(3):
        assert await world.send(host) is OPENED
    for host in hosts(3, 3):
        assert await world.send(host, severity=Severity.CRITICAL) is OPENED
    assert await world.send("h06") is JOINED
    assert world.digests[0].key.startswith('[["storm","all"],["severity","major"]')


async def test_a_replay_of_what_began_a_storm_meets_the_same_marker(folder: Path) -> None:
    world = played(folder)
    await world.come(*hosts(4))
    [digest] = world.digests
    await world.wait(10)
    [create] = [action for action in world.actions if action.incident == digest.id]
    assert create.cause == f"timer/{digest.id}/digest/0"
    assert len({action.marker for action in world.actions}) == len(world.actions)


async def test_in_html_it_is_a_table_and_what_is_sent_beside_it_for_those_without_html_tells_the_same(
    folder: Path,
) -> None:
    world = World(rules_of(folder, "reopen_within: 1h", ticket="template: alert"))
    await world.come(*hosts(4), "<b>bold</b>")
    await world.wait(10)
    [draft] = [action.draft for action in world.actions if action.incident == world.digests[0].id]
    assert draft.reasons == ()
    assert draft.html.count("<tr>") == 3
    assert "&lt;b&gt;bold" in draft.html
    assert draft.text.count("receipt ") == 2
    assert "2 open, 0 recovered" in draft.text


async def test_a_thousand_incidents_are_counted_and_five_hundred_shown(folder: Path) -> None:
    world = played(folder)
    await world.come(*(f"host-{number}" for number in range(603)))
    await world.wait(10)
    [draft] = [action.draft for action in world.actions if action.incident == world.digests[0].id]
    assert draft.reasons == ()
    assert "600 open, 0 recovered" in draft.text
    assert draft.text.count("receipt ") == 500
    assert "and 100 more" in draft.text


STEPS = st.lists(
    st.tuples(
        st.sampled_from(hosts(9)),
        st.sampled_from([Kind.PROBLEM] * 5 + [Kind.RECOVERY] * 3 + [Kind.ACKNOWLEDGEMENT]),
        st.sampled_from([Severity.WARNING, Severity.CRITICAL]),
        st.sampled_from([0.0, 0.0, 0.0, 2.0, 30.0, 70.0, 200.0, 400.0]),
    ),
    max_size=40,
)
POLICIES = [
    "reopen_within: 0s",
    "reopen_within: 1h",
    "confirm: 90s, recover: {hold: 1m}, reopen_within: 10m",
    "flap: {changes: 3, within: 10m}, escalate: {after: 2m, severity: append}",
    "repeat: {append_every: 10s}, recover: {action: append}",
]


async def _play(world: World, steps: Iterable[tuple[str, Kind, Severity, float]]) -> None:
    for host, kind, severity, pause in steps:
        await world.send(host, kind, severity=severity)
        await world.wait(pause)
    await world.wait(4000)


@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_comes_every_incident_stands_in_one_ticket_and_the_digest_tells_how_it_stands(
    folder: Path, policy: str
) -> None:
    rules = rules_of(folder, policy)

    @given(STEPS)
    @settings(max_examples=60, deadline=None)
    def check(steps: list[tuple[str, Kind, Severity, float]]) -> None:
        world = World(rules)

        async def run() -> dict[str, tuple[StormRow, ...]]:
            await _play(world, steps)
            return await world.rows()

        _hold(world, asyncio.run(run()))

    check()


def _hold(world: World, rows: dict[str, tuple[StormRow, ...]]) -> None:
    told_of = [row.incident for group in rows.values() for row in group]
    own: list[float] = []
    for one in world.incidents:
        kinds = world.of(one)
        creates = kinds.count(ActionKind.CREATE)
        if one.is_digest:
            assert (creates, kinds[0]) == (1, ActionKind.CREATE)
            group = rows[one.id]
            assert (one.state is IncidentState.CLOSED) is all(row.is_over for row in group)
            assert [row.told for row in group] == [row.stands for row in group], "its last word is the truth"
        elif one.is_told_by_digest:
            assert kinds == [], "it has no ticket of its own"
            assert told_of.count(one.id) == 1
        else:
            unconfirmed = one.state is IncidentState.PENDING or Reason.NOT_CONFIRMED.value in one.reasons
            assert creates == (0 if unconfirmed else 1)
            assert one.id not in told_of
            own += [a.queued_at for a in world.actions if a.incident == one.id and a.kind is ActionKind.CREATE]
    for at in own:
        assert sum(at - WITHIN < other <= at for other in own) <= 3, "more tickets than the limit"
