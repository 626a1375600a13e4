"""What every journal promises about storms: groups, and the incidents that digests tell of."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.journal.protocol import CommitResult, IncidentChange, Journal, Lookup, Processed
from gateway.model.incident import Incident, IncidentState
from gateway.model.storm import StormChange, StormGroup, StormMember, StormTold
from tests.journal.builders import DAY, NOON, a_receipt, a_record, a_ticket, an_action, an_incident, claimed, deliver

pytestmark = pytest.mark.anyio
KEY = '[["storm","databases"]]'
GROUP = StormGroup(KEY, 1, (NOON, NOON + 1), "", NOON + 1, NOON + 600)


async def write(
    journal: Journal,
    *changes: StormChange,
    incidents: Sequence[IncidentChange] = (),
    joined: Sequence[StormMember] = (),
    told: Sequence[StormTold] = (),
) -> CommitResult:
    new = Processed("", incidents=tuple(incidents), storms=changes, joined=tuple(joined), told=tuple(told))
    [result] = await journal.commit_processed([new])
    return result


async def group(journal: Journal) -> StormGroup | None:
    return (await journal.know(Lookup(storms=frozenset({KEY})), NOON)).storms.get(KEY)


async def a_storm(journal: Journal, *members: Incident) -> Incident:
    """A digest of these incidents."""
    digest = an_incident("digest", incident_id="d")
    digest = replace(digest, digest=digest.id, storm=KEY, members=())
    told = [replace(one, digest=digest.id, storm=KEY) for one in members]
    result = await write(
        journal,
        StormChange(replace(GROUP, digest=digest.id), None),
        incidents=[IncidentChange(one, None) for one in (digest, *told)],
        joined=[StormMember(digest.id, one.id, f"receipt of {one.id}", NOON) for one in told],
    )
    assert result is CommitResult.COMMITTED
    return digest


async def test_a_group_is_kept_as_it_was_written(journal: Journal) -> None:
    assert await group(journal) is None
    assert await write(journal, StormChange(GROUP, None)) is CommitResult.COMMITTED
    assert await group(journal) == GROUP
    later = replace(GROUP, version=2, opened=(NOON + 5,), digest="d")
    assert await write(journal, StormChange(later, 1)) is CommitResult.COMMITTED
    assert await group(journal) == later


async def test_two_that_count_at_once_are_a_conflict_and_nothing_of_the_second_is_written(journal: Journal) -> None:
    await write(journal, StormChange(GROUP, None))
    other = an_incident("other")
    for expected in (None, 7):
        change = StormChange(replace(GROUP, version=2, opened=()), expected)
        assert await write(journal, change, incidents=[IncidentChange(other, None)]) is CommitResult.CONFLICT
    assert await group(journal) == GROUP
    assert await journal.reader().incident(other.id) is None


async def test_within_a_batch_each_counts_on_from_the_one_before(journal: Journal) -> None:
    batch = [
        Processed("", storms=(StormChange(replace(GROUP, version=number), number - 1 or None),)) for number in (1, 2, 3)
    ]
    assert await journal.commit_processed(batch) == [CommitResult.COMMITTED] * 3


async def test_a_digest_tells_of_its_incidents_as_they_stand_now_and_keeps_what_was_told(journal: Journal) -> None:
    first, second = an_incident("one", incident_id="a"), an_incident("two", incident_id="b")
    digest = await a_storm(journal, first, second)
    rows = (await journal.storm_rows([digest.id, "nobody"]))[digest.id]
    assert [(row.incident, row.receipt, row.told, row.words) for row in rows] == [
        ("a", "receipt of a", "", "open"),
        ("b", "receipt of b", "", "open"),
    ]
    stored = await journal.reader().incident("a")
    assert stored is not None
    closed = replace(stored, state=IncidentState.CLOSED, closed_at=NOON + 9, version=1)
    flapping = replace(second, digest=digest.id, storm=KEY, flapping=True, reasons=("escalated",), version=1)
    await write(journal, incidents=[IncidentChange(closed, 0), IncidentChange(flapping, 0)])
    await write(journal, told=[StormTold(digest.id, "a", "recovered"), StormTold(digest.id, "nobody", "x")])
    rows = (await journal.storm_rows([digest.id]))[digest.id]
    assert [(row.told, row.words, row.closed_at) for row in rows] == [
        ("recovered", "recovered", NOON + 9),
        ("", "open, flapping, not acknowledged", None),
    ]
    assert await journal.storm_rows(["nobody"]) == {}


async def test_an_incident_joins_a_digest_once(journal: Journal) -> None:
    digest = await a_storm(journal, an_incident("one", incident_id="a"))
    again = StormMember(digest.id, "a", "another receipt", NOON)
    assert await write(journal, joined=[again]) is CommitResult.CONFLICT


async def test_with_an_incident_or_a_group_its_digest_is_known(journal: Journal) -> None:
    one = an_incident("one", incident_id="a")
    digest = await a_storm(journal, one)
    for lookup in (
        Lookup(keys=frozenset({one.key})),
        Lookup(storms=frozenset({KEY})),
        Lookup(digests=frozenset({digest.id})),
    ):
        known = await journal.know(lookup, NOON)
        assert [found.id for found in known.digests] == [digest.id]
        assert known.digests[0].is_digest
    nothing = await journal.know(Lookup(keys=frozenset({"another"})), NOON)
    assert (nothing.digests, nothing.storms) == ((), {})


async def test_the_group_of_a_pending_incident_is_known_with_it(journal: Journal) -> None:
    await write(journal, StormChange(GROUP, None))
    pending = replace(an_incident("one", state=IncidentState.PENDING), storm=KEY)
    await write(journal, incidents=[IncidentChange(pending, None)])
    assert (await journal.know(Lookup(keys=frozenset({"one"})), NOON)).storms == {KEY: GROUP}


async def test_the_ticket_of_what_a_digest_tells_of_is_the_digests(journal: Journal) -> None:
    one = an_incident("one", incident_id="a")
    digest = await a_storm(journal, one)
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    create = an_action(digest.id)
    await journal.commit_processed([Processed(receipt.id, events=(a_record(incident="a"),), actions=(create,))])
    [action] = await claimed(journal)
    assert await deliver(journal, action, ticket=a_ticket("4711"))
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert view.ticket is not None
    assert view.ticket.number == "4711"
    assert {incident.id for incident in view.incidents} == {"a", digest.id}
    [line] = await journal.reader().receipts(limit=5)
    assert line.ticket == "4711"


async def test_groups_and_rows_are_forgotten_in_time(journal: Journal) -> None:
    one = replace(an_incident("one", incident_id="a", state=IncidentState.CLOSED, closed_at=NOON), reasons=())
    digest = await a_storm(journal, one)
    await journal.prune(now=NOON + 40 * DAY, keep=30 * DAY, keep_links=400 * DAY, limit=10)
    assert await group(journal) is None
    assert await journal.storm_rows([digest.id]) == {}
