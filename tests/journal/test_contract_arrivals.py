"""What every journal promises about what counts against a rate, and about receipts that are held back."""

from pathlib import Path

import pytest

from gateway.journal.protocol import (
    INCIDENT_RATE,
    RELEASED,
    Arrival,
    IncidentChange,
    Journal,
    Lookup,
    NewArrival,
    Processed,
)
from gateway.journal.sqlite import open_sqlite
from gateway.model.reasons import Reason
from tests.journal.builders import NOON, a_receipt, an_incident

pytestmark = pytest.mark.anyio


async def counted(journal: Journal, key: str, at: float, *, held: bool = False, keep: int = 3) -> str:
    new = a_receipt(str(at).encode(), at=at)
    await journal.accept(new, claim=True)
    arrival = NewArrival(Arrival(key, new.id, at, held), keep, at + 60)
    await journal.commit_processed([Processed(receipt=new.id, arrivals=(arrival,))])
    return new.id


async def arrivals(journal: Journal, *keys: str) -> dict[str, list[tuple[float, bool]]]:
    known = await journal.know(Lookup(rates=frozenset(keys)), NOON)
    return {key: [(one.at, one.held) for one in group] for key, group in known.arrivals.items()}


async def test_the_newest_arrivals_of_each_key_are_kept_newest_first(journal: Journal) -> None:
    for second in range(5):
        await counted(journal, "ann", NOON + second, held=second == 3)
    await counted(journal, "bob", NOON)
    assert await arrivals(journal, "ann", "bob", "carl") == {
        "ann": [(NOON + 4, False), (NOON + 3, True), (NOON + 2, False)],
        "bob": [(NOON, False)],
    }


async def test_a_receipt_counts_once_however_often_it_is_written(journal: Journal) -> None:
    name = await counted(journal, "ann", NOON)
    again = NewArrival(Arrival("ann", name, NOON), 3, NOON + 60)
    other = a_receipt(b"other", at=NOON + 1)
    await journal.accept(other, claim=True)
    await journal.commit_processed([Processed(receipt=other.id, arrivals=(again,))])
    assert await arrivals(journal, "ann") == {"ann": [(NOON, False)]}


async def test_arrivals_of_an_incident_come_with_it_but_only_if_rates_are_asked_for(journal: Journal) -> None:
    incident = an_incident()
    await journal.commit_processed([Processed(receipt="", incidents=(IncidentChange(incident, None),))])
    await counted(journal, INCIDENT_RATE + incident.id, NOON)
    keys = frozenset({incident.key})
    assert (await journal.know(Lookup(keys=keys), NOON)).arrivals == {}
    known = await journal.know(Lookup(keys=keys, rates=frozenset({"ann"})), NOON)
    assert [one.at for one in known.arrivals[INCIDENT_RATE + incident.id]] == [NOON]


async def test_arrivals_are_forgotten_when_their_time_is_over(journal: Journal) -> None:
    await counted(journal, "ann", NOON)
    await counted(journal, "ann", NOON + 30)
    await journal.prune(now=NOON + 70, keep=86400, keep_links=86400, limit=10)
    assert await arrivals(journal, "ann") == {"ann": [(NOON + 30, False)]}


async def test_arrivals_outlive_a_restart(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "j.db", run="one")
    await counted(journal, 'sender ["post","jörg@example.org"]', NOON, held=True)
    await journal.close()
    journal = await open_sqlite(tmp_path / "j.db", run="two")
    assert await arrivals(journal, 'sender ["post","jörg@example.org"]') == {
        'sender ["post","jörg@example.org"]': [(NOON, True)]
    }
    await journal.close()


@pytest.mark.parametrize(("dead", "mark"), [(Reason.QUARANTINED, "quarantined"), (Reason.UNROUTED, None)])
async def test_a_receipt_that_was_held_says_so_when_it_is_released(
    journal: Journal, dead: Reason, mark: str | None
) -> None:
    new = a_receipt()
    await journal.accept(new, claim=True)
    await journal.commit_processed([Processed(receipt=new.id, dead=dead)])
    assert [letter.reason for letter in await journal.reader().dead_letters()] == [dead]
    assert await journal.requeue([new.id], now=NOON + 1) == [new.id]
    [receipt] = await journal.claim_receipts(limit=5, now=NOON + 1, lease=60)
    assert receipt.envelope.get(RELEASED) == mark
    assert receipt.envelope["door"] == "http"
