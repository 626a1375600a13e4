"""What every journal promises about the mails of incidents and who takes part in them."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.journal.protocol import (
    MOST_MAILS,
    MOST_PARTICIPANTS,
    CommitResult,
    IncidentChange,
    Journal,
    KnownThreads,
    Lookup,
    MailTaken,
    Processed,
    ThreadLookup,
)
from gateway.journal.sqlite import open_sqlite
from gateway.model.incident import Incident, IncidentState
from tests.journal.builders import (
    DAY,
    NOON,
    a_plan,
    a_receipt,
    a_ticket,
    an_action,
    an_incident,
    claimed,
    deliver,
)

pytestmark = pytest.mark.anyio


def taken(incident: Incident, message_id: str, *participants: str, source: str = "mail") -> MailTaken:
    return MailTaken(incident.id, source, message_id, participants)


async def commit(journal: Journal, incident: Incident, *mails: MailTaken, version: int | None = None) -> CommitResult:
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    plan = a_plan()
    [result] = await journal.commit_processed(
        [
            Processed(
                receipt.id,
                incidents=(IncidentChange(incident, version),),
                plans={plan.digest: plan.to_bytes()},
                mails=mails,
            )
        ]
    )
    return result


async def ask(journal: Journal, lookup: ThreadLookup) -> KnownThreads:
    return (await journal.know(Lookup(threads=lookup), NOON)).threads


async def test_a_mail_finds_the_incident_that_took_it_in_with_who_takes_part(journal: Journal) -> None:
    incident = an_incident(plan=a_plan().digest)
    await commit(journal, incident, taken(incident, "one@x", "ann@x", "bob@x"), taken(incident, "", "eve@x"))
    known = await journal.know(Lookup(threads=ThreadLookup(mails=frozenset({("mail", "one@x")}))), NOON)
    assert known.threads.mails == {("mail", "one@x"): (incident.id,)}
    assert known.threads.participants == {incident.id: frozenset({"ann@x", "bob@x", "eve@x"})}
    assert set(known.threads.incidents) == {incident.id}
    assert incident.plan in known.plans


async def test_a_mail_of_another_source_or_another_spelling_finds_nothing(journal: Journal) -> None:
    incident = an_incident()
    await commit(journal, incident, taken(incident, "one@x", "ann@x"))
    wanted = frozenset({("sales", "one@x"), ("mail", "ONE@x"), ("mail", "one@x "), ("mail", "")})
    assert await ask(journal, ThreadLookup(mails=wanted)) == KnownThreads()


async def test_nothing_is_known_of_threads_where_nothing_is_asked(journal: Journal) -> None:
    incident = an_incident()
    await commit(journal, incident, taken(incident, "one@x", "ann@x"))
    assert (await journal.know(Lookup(keys=frozenset({incident.key})), NOON)).threads == KnownThreads()


async def test_incidents_are_found_by_id_and_by_the_marker_of_an_action(journal: Journal) -> None:
    incident = an_incident()
    action = an_action(incident.id)
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    change = (IncidentChange(incident, None),)
    await journal.commit_processed([Processed(receipt.id, incidents=change, actions=(action,))])
    known = await ask(
        journal, ThreadLookup(incidents=frozenset({incident.id, "unknown"}), markers=frozenset({action.marker, "ff"}))
    )
    assert known.markers == {action.marker: incident.id}
    assert set(known.incidents) == {incident.id}


async def test_a_ticket_is_found_by_helpdesk_and_number_the_open_incident_first(journal: Journal) -> None:
    old = an_incident("old", state=IncidentState.CLOSED, closed_at=NOON)
    new = replace(an_incident("new"), opened_at=NOON - DAY)
    for incident in (old, new):
        receipt = a_receipt()
        await journal.accept(receipt, claim=True)
        change = (IncidentChange(incident, None),)
        await journal.commit_processed([Processed(receipt.id, incidents=change, actions=(an_action(incident.id),))])
        (action,) = await claimed(journal)
        await deliver(journal, action, ticket=a_ticket("INC-7"))
    known = await ask(
        journal, ThreadLookup(tickets=frozenset({("osticket", "INC-7"), ("zammad", "INC-7"), ("osticket", "7")}))
    )
    assert known.tickets == {("osticket", "INC-7"): (new.id, old.id)}
    ticket = known.incidents[new.id].ticket
    assert ticket is not None
    assert ticket.number == "INC-7"


async def test_of_a_closed_incident_it_is_told_whether_another_runs_under_its_key(journal: Journal) -> None:
    closed = an_incident("key", state=IncidentState.CLOSED, closed_at=NOON)
    lonely = an_incident("other", state=IncidentState.CLOSED, closed_at=NOON)
    await commit(journal, closed, taken(closed, "one@x", "ann@x"))
    await commit(journal, lonely, taken(lonely, "two@x", "ann@x"))
    running = an_incident("key")
    await commit(journal, running)
    known = await ask(journal, ThreadLookup(mails=frozenset({("mail", "one@x"), ("mail", "two@x")})))
    assert set(known.incidents) == {closed.id, lonely.id}
    assert known.open_keys == frozenset({"key"})


async def test_one_mail_may_belong_to_several_incidents(journal: Journal) -> None:
    first, second = an_incident("a"), an_incident("b")
    await commit(journal, first, taken(first, "one@x"), taken(first, "one@x"))
    await commit(journal, second, taken(second, "one@x"))
    known = await ask(journal, ThreadLookup(mails=frozenset({("mail", "one@x")})))
    assert known.mails == {("mail", "one@x"): (second.id, first.id)}


async def test_of_a_conflict_nothing_is_kept(journal: Journal) -> None:
    incident = an_incident()
    await commit(journal, incident)
    assert await commit(journal, incident, taken(incident, "one@x", "ann@x"), version=7) is CommitResult.CONFLICT
    assert await ask(journal, ThreadLookup(mails=frozenset({("mail", "one@x")}))) == KnownThreads()
    assert (await ask(journal, ThreadLookup(incidents=frozenset({incident.id})))).participants == {}


async def test_the_newest_mails_and_the_first_participants_are_kept(journal: Journal) -> None:
    incident = an_incident()
    crowd = tuple(f"{number:04}@x" for number in range(MOST_PARTICIPANTS + 10))
    mails = [taken(incident, f"{number}@x", *crowd[number : number + 2]) for number in range(MOST_MAILS + 3)]
    await commit(journal, incident, *mails)
    wanted = frozenset(("mail", f"{number}@x") for number in range(MOST_MAILS + 3))
    known = await ask(journal, ThreadLookup(mails=wanted))
    assert set(known.mails) == {("mail", f"{number}@x") for number in range(3, MOST_MAILS + 3)}
    assert known.participants == {incident.id: frozenset(crowd[:MOST_PARTICIPANTS])}


async def test_text_without_a_utf8_form_fails_nothing(journal: Journal) -> None:
    incident = an_incident()
    await commit(journal, incident, taken(incident, "one\ud800@x", "ann\udfff@x"))
    await ask(
        journal,
        ThreadLookup(
            mails=frozenset({("mail", "one\ud800@x")}),
            markers=frozenset({"\ud800"}),
            tickets=frozenset({("osticket", "\ud800")}),
            incidents=frozenset({"\ud800"}),
        ),
    )


async def test_a_forgotten_incident_takes_its_mails_with_it(journal: Journal) -> None:
    incident = an_incident(state=IncidentState.CLOSED, closed_at=NOON)
    await commit(journal, incident, taken(incident, "one@x", "ann@x"))
    await journal.prune(now=NOON + 2 * DAY, keep=DAY, keep_links=DAY, limit=10)
    assert await ask(journal, ThreadLookup(mails=frozenset({("mail", "one@x")}))) == KnownThreads()


async def test_all_of_it_outlives_the_process(tmp_path: Path) -> None:
    incident = an_incident()
    journal = await open_sqlite(tmp_path / "j.db", run="one")
    await commit(journal, incident, taken(incident, "one@x", "ann@x"))
    await journal.close()
    again = await open_sqlite(tmp_path / "j.db", run="two")
    known = await ask(again, ThreadLookup(mails=frozenset({("mail", "one@x")})))
    assert known.participants == {incident.id: frozenset({"ann@x"})}
    await again.close()
