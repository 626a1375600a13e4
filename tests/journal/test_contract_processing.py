"""What every journal promises about receipts, correlation and timers."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.journal.protocol import (
    CommitResult,
    HeldAction,
    HistoryLine,
    IncidentChange,
    Journal,
    JournalError,
    Lookup,
    Processed,
)
from gateway.journal.sqlite import open_sqlite
from gateway.model.action import ActionKind, AttachmentRef, TicketDraft
from gateway.model.event import Attachment, Severity
from gateway.model.incident import Deadline, IncidentState, TimerKind, Tombstone
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus
from gateway.model.silence import Silence
from tests.journal.builders import (
    NOON,
    a_member,
    a_plan,
    a_receipt,
    a_record,
    a_ticket,
    a_timer,
    an_action,
    an_event,
    an_incident,
    claimed,
    deliver,
    processed,
)

pytestmark = pytest.mark.anyio
KEY = "databases/db-1/disk"


async def test_an_accepted_receipt_is_given_out_byte_for_byte(journal: Journal) -> None:
    new = a_receipt(b"\x00\xff raw bytes")
    accepted = await journal.accept(new)
    [receipt] = await journal.claim_receipts(limit=5, now=NOON, lease=60)
    assert (accepted.id, accepted.duplicate_of) == (new.id, None)
    assert (receipt.id, receipt.body, receipt.tries) == (new.id, b"\x00\xff raw bytes", 1)
    assert (receipt.headers, receipt.envelope, receipt.peer) == (new.headers, new.envelope, new.peer)


async def test_receipts_are_given_out_in_the_order_of_the_calls(journal: Journal) -> None:
    news = [a_receipt(str(number).encode()) for number in range(150)]
    await asyncio.gather(*(journal.accept(new) for new in news))
    receipts = await journal.claim_receipts(limit=1000, now=NOON, lease=60)
    assert [receipt.id for receipt in receipts] == [new.id for new in news]
    assert sorted({receipt.sequence for receipt in receipts}) == [receipt.sequence for receipt in receipts]


async def test_a_receipt_claimed_on_acceptance_is_not_given_out_until_released(journal: Journal) -> None:
    new = a_receipt()
    await journal.accept(new, claim=True)
    assert await journal.claim_receipts(limit=5, now=NOON, lease=60) == []
    await journal.release_receipt(new.id, now=NOON)
    [receipt] = await journal.claim_receipts(limit=5, now=NOON, lease=60)
    assert receipt.tries == 2


async def test_a_receipt_is_given_out_again_when_its_lease_has_ended(journal: Journal) -> None:
    await journal.accept(a_receipt())
    assert len(await journal.claim_receipts(limit=5, now=NOON, lease=60)) == 1
    assert await journal.claim_receipts(limit=5, now=NOON + 59, lease=60) == []
    [again] = await journal.claim_receipts(limit=5, now=NOON + 61, lease=60)
    assert again.tries == 2


async def test_a_repeated_key_with_the_same_body_names_the_first_receipt(journal: Journal) -> None:
    first, second = a_receipt(key="k"), a_receipt(key="k", at=NOON + 119)
    await journal.accept(first)
    assert (await journal.accept(second)).duplicate_of == first.id
    assert await journal.reader().receipt(second.id) is None


async def test_a_key_is_forgotten_after_its_horizon(journal: Journal) -> None:
    await journal.accept(a_receipt(key="k"))
    later = await journal.accept(a_receipt(key="k", at=NOON + 121))
    assert later.duplicate_of is None
    assert later.warning is None


async def test_a_key_of_another_source_is_another_key(journal: Journal) -> None:
    await journal.accept(a_receipt(key="k"))
    assert (await journal.accept(a_receipt(key="k", source="zabbix"))).duplicate_of is None


async def test_a_given_key_with_another_body_is_accepted_with_a_warning(journal: Journal) -> None:
    await journal.accept(a_receipt(b"one", key="k"))
    second = a_receipt(b"two", key="k")
    accepted = await journal.accept(second)
    assert (accepted.duplicate_of, accepted.warning) == (None, Reason.DUPLICATE_KEY_REUSED)
    view = await journal.reader().receipt(second.id)
    assert view is not None
    assert view.warnings == (Reason.DUPLICATE_KEY_REUSED.explain(),)
    assert (await journal.accept(a_receipt(b"two", key="k"))).duplicate_of == second.id


async def test_a_derived_key_with_another_body_is_accepted_without_a_warning(journal: Journal) -> None:
    await journal.accept(a_receipt(b"one", key="k", given=False))
    assert (await journal.accept(a_receipt(b"two", key="k", given=False))).warning is None


async def test_of_many_equal_keys_at_once_exactly_one_is_new(journal: Journal) -> None:
    answers = await asyncio.gather(*(journal.accept(a_receipt(key="k")) for _ in range(50)))
    new = [answer for answer in answers if answer.duplicate_of is None]
    assert len(new) == 1
    assert {answer.duplicate_of for answer in answers} == {None, new[0].id}


async def test_several_receipts_are_accepted_all_or_none(journal: Journal) -> None:
    first, second = a_receipt(), a_receipt()
    await journal.accept(first)
    with pytest.raises(ValueError, match="receipt"):
        await journal.accept_all([second, first])
    assert await journal.reader().receipt(second.id) is None
    assert [answer.id for answer in await journal.accept_all([second])] == [second.id]


async def test_a_bad_receipt_does_not_fail_its_neighbours(journal: Journal) -> None:
    new, bad, good = a_receipt(), a_receipt(), a_receipt()
    await journal.accept(new)
    answers = await asyncio.gather(
        journal.accept(replace(bad, id=new.id)),
        journal.accept(good),
        return_exceptions=True,
    )
    assert isinstance(answers[0], ValueError)
    assert not isinstance(answers[1], BaseException)
    assert await journal.reader().receipt(good.id) is not None


async def test_a_receipt_that_cannot_be_written_at_all_fails_alone(tmp_path: Path) -> None:
    journal = await open_sqlite(tmp_path / "j.db", run="test")
    answers = await asyncio.gather(
        journal.accept(replace(a_receipt(), source="\ud800")),
        journal.accept(good := a_receipt()),
        return_exceptions=True,
    )
    assert isinstance(answers[0], ValueError)
    assert await journal.reader().receipt(good.id) is not None
    await journal.close()


async def test_what_was_processed_is_found_by_key_and_by_member(journal: Journal) -> None:
    plan = a_plan()
    incident = an_incident(plan=plan.digest, members=[a_member(), a_member("db-1/cpu")])
    await processed(journal, incident=incident, plan=plan)
    known = await journal.know(
        Lookup(frozenset({KEY, "other"}), frozenset({("nagios", "db-1/cpu"), ("zabbix", "db-1/cpu")})),
        NOON,
    )
    assert known.by_key == {KEY: incident}
    assert known.by_member == {("nagios", "db-1/cpu"): (incident,)}
    assert known.plans == {plan.digest: plan.to_bytes()}


async def test_a_second_open_incident_of_one_key_is_a_conflict_and_writes_nothing(journal: Journal) -> None:
    await processed(journal, incident=an_incident())
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    twin = an_incident()
    work = Processed(receipt.id, events=(a_record(),), incidents=(IncidentChange(twin, None),))
    assert await journal.commit_processed([work]) == [CommitResult.CONFLICT]
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert (view.status, view.events) == (ReceiptStatus.ACCEPTED, ())
    assert await journal.reader().incident(twin.id) is None


async def test_a_stale_version_is_a_conflict_and_its_neighbour_is_committed(journal: Journal) -> None:
    incident = an_incident()
    await processed(journal, incident=incident)
    first, second = a_receipt(), a_receipt()
    await journal.accept_all([first, second])
    change = IncidentChange(replace(incident, version=1, occurrences=2), 0)
    results = await journal.commit_processed(
        [Processed(first.id, incidents=(change,)), Processed(second.id, incidents=(change,))],
    )
    assert results == [CommitResult.COMMITTED, CommitResult.CONFLICT]
    stored = await journal.reader().incident(incident.id)
    assert stored is not None
    assert (stored.version, stored.occurrences) == (1, 2)


async def test_a_receipt_is_processed_once(journal: Journal) -> None:
    receipt = await processed(journal)
    assert await journal.commit_processed([Processed(receipt)]) == [CommitResult.GONE]
    assert await journal.claim_receipts(limit=5, now=NOON + 999, lease=60) == []


async def test_a_closed_incident_is_known_by_key_but_not_by_member(journal: Journal) -> None:
    older = an_incident(state=IncidentState.CLOSED, closed_at=NOON)
    newer = an_incident(state=IncidentState.CLOSED, closed_at=NOON + 5)
    await processed(journal, incident=newer)
    await processed(journal, incident=older)
    known = await journal.know(Lookup(frozenset({KEY}), frozenset({("nagios", "db-1/disk")})), NOON)
    assert known.by_key[KEY].id == newer.id
    assert known.by_member == {}
    await processed(journal, incident=(opened := an_incident()))
    assert (await journal.know(Lookup(frozenset({KEY})), NOON)).by_key[KEY].id == opened.id


async def test_tombstones_are_known_until_they_expire(journal: Journal) -> None:
    receipt = a_receipt()
    await journal.accept(receipt)
    stone = Tombstone(KEY, "db-1/disk", "7", NOON, clock=True, expires_at=NOON + 100)
    await journal.commit_processed([Processed(receipt.id, tombstones=(stone,))])
    assert (await journal.know(Lookup(frozenset({KEY})), NOON + 99)).tombstones == {KEY: (stone,)}
    assert (await journal.know(Lookup(frozenset({KEY})), NOON + 100)).tombstones == {}


async def test_an_events_own_key_is_known_and_a_second_bearer_is_a_conflict(journal: Journal) -> None:
    first, second = a_receipt(), a_receipt()
    await journal.accept_all([first, second])
    record = a_record(an_event(duplicate_key="n-17"))
    works = [Processed(first.id, events=(record,)), Processed(second.id, events=(record,))]
    assert await journal.commit_processed(works) == [CommitResult.COMMITTED, CommitResult.CONFLICT]
    known = await journal.know(Lookup(duplicates=frozenset({("nagios", "n-17"), ("zabbix", "n-17")})), NOON)
    assert known.duplicates == {("nagios", "n-17"): (first.id, 0)}
    repeated = replace(record, duplicate_of=(first.id, 0), reason=Reason.DUPLICATE)
    assert await journal.commit_processed([Processed(second.id, events=(repeated,))]) == [CommitResult.COMMITTED]
    view = await journal.reader().receipt(second.id)
    assert view is not None
    assert view.events[0].duplicate_of == (first.id, 0)


async def test_an_action_whose_marker_exists_is_left_as_it_is(journal: Journal) -> None:
    incident = an_incident()
    await processed(journal, an_action(incident.id, cause="r/0"), incident=incident)
    await processed(journal, an_action(incident.id, cause="r/0"))
    assert len(await claimed(journal, now=NOON + 1)) == 1
    assert (await journal.reader().counts()).actions_waiting == {"osticket": 1}


async def test_attachments_come_back_and_are_checked(journal: Journal) -> None:
    content = b"x" * 100_000
    event = an_event(attachments=[Attachment("a.bin", "application/octet-stream", content)])
    receipt = a_receipt()
    await journal.accept(receipt)
    await journal.commit_processed(
        [Processed(receipt.id, events=(a_record(event), a_record(event, index=1, keep=False)))]
    )
    ref = AttachmentRef(receipt.id, 0, 0, "a.bin", "application/octet-stream", 100_000, event.attachments[0].sha256)
    assert await journal.attachment(ref) == content
    with pytest.raises(JournalError, match="gone"):
        await journal.attachment(replace(ref, event=1))
    with pytest.raises(JournalError, match="not the one"):
        await journal.attachment(replace(ref, sha256="0" * 64))


async def test_text_that_has_no_utf8_form_is_stored_all_the_same(journal: Journal) -> None:
    receipt = a_receipt()
    await journal.accept(receipt)
    event = replace(an_event("bad \ud800 title"), labels={"k\udfff": "v\ud800"})
    assert await journal.commit_processed([Processed(receipt.id, events=(a_record(event),))]) == [
        CommitResult.COMMITTED
    ]
    assert await journal.reader().receipt(receipt.id) is not None


async def test_a_timer_fires_only_when_every_earlier_receipt_is_processed(journal: Journal) -> None:
    incident = an_incident()
    receipt, waiting = a_receipt(), a_receipt(at=NOON + 10)
    await journal.accept_all([receipt, waiting])
    early, late = a_timer(incident.id, NOON + 5), a_timer(incident.id, NOON + 10)
    await journal.commit_processed(
        [Processed(receipt.id, incidents=(IncidentChange(incident, None),), timers=(late, early))],
    )
    assert await journal.due_timers(now=NOON + 4, limit=10) == []
    assert [timer.id for timer in await journal.due_timers(now=NOON + 20, limit=10)] == [early.id]
    await journal.commit_processed([Processed(waiting.id)])
    due = await journal.due_timers(now=NOON + 20, limit=10)
    assert [timer.id for timer in due] == [early.id, late.id]
    assert due[0].incident == incident


async def test_a_fired_or_cancelled_timer_is_gone(journal: Journal) -> None:
    incident = an_incident()
    receipt, second = a_receipt(), a_receipt()
    await journal.accept_all([receipt, second])
    first, other = a_timer(incident.id, NOON + 5), a_timer(incident.id, NOON + 6)
    change = IncidentChange(incident, None)
    await journal.commit_processed([Processed(receipt.id, incidents=(change,), timers=(first, other))])
    assert await journal.commit_processed([Processed("", timer=first.id)]) == [CommitResult.COMMITTED]
    assert await journal.commit_processed([Processed("", timer=first.id)]) == [CommitResult.GONE]
    await journal.commit_processed([Processed(second.id, cancelled_timers=(other.id,))])
    assert await journal.due_timers(now=NOON + 20, limit=10) == []


async def test_what_a_timer_keeps_comes_back_with_it_and_is_known_while_its_incident_waits(journal: Journal) -> None:
    draft = TicketDraft(
        "disk full", "text", "<p>html</p>", fields={"topicId": 2}, quiet=True, reasons=(Reason.RENDER_FAILED,)
    )
    receipt = a_receipt()
    held = HeldAction(ActionKind.CREATE, draft, Reason.CONFIRMED, receipt.id)
    waiting = replace(
        an_incident(),
        state=IncidentState.RECOVERING,
        timers=(Deadline(TimerKind.HOLD, NOON + 5), Deadline(TimerKind.EXPIRE, NOON + 99)),
        worst=Severity.CRITICAL,
    )
    await journal.accept(receipt)
    timer = a_timer(waiting.id, NOON + 5, held)
    await journal.commit_processed(
        [
            Processed(
                receipt.id,
                events=(a_record(an_event(), incident=waiting.id),),
                incidents=(IncidentChange(waiting, None),),
                timers=(timer, a_timer(waiting.id, NOON + 9)),
                plans={waiting.plan: b"{}"},
            )
        ]
    )
    known = await journal.know(Lookup(keys=frozenset({waiting.key})), NOON)
    assert known.by_key[waiting.key] == waiting
    assert known.held == {(waiting.id, "hold"): held}
    due = await journal.due_timers(now=NOON + 20, limit=10)
    assert (due[0].id, due[0].held) == (timer.id, held)
    assert await journal.plans([waiting.plan, "unknown"]) == {waiting.plan: b"{}"}
    opened = replace(waiting, state=IncidentState.OPEN, version=1, timers=())
    told = replace(an_action(waiting.id), receipt=receipt.id)
    silent = an_action(waiting.id, ActionKind.APPEND, sequence=2)
    lines = (HistoryLine(NOON + 5, "timer", Reason.EXPIRED, "hold", incident=waiting.id),)
    fired = Processed("", timer=timer.id, incidents=(IncidentChange(opened, 0),), actions=(told, silent), history=lines)
    assert await journal.commit_processed([fired]) == [CommitResult.COMMITTED]
    assert (await journal.know(Lookup(keys=frozenset({waiting.key})), NOON)).held == {}
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert [(action.id, action.receipt) for action in view.actions] == [(told.id, receipt.id), (silent.id, "")]
    assert [line.reason for line in view.timeline if line.what == "timer"] == [Reason.EXPIRED]


async def test_a_dead_receipt_is_listed_requeued_and_starts_with_no_tries(journal: Journal) -> None:
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    dead = Processed(receipt.id, events=(a_record(),), dead=Reason.POISON, detail="it broke")
    await journal.commit_processed([dead])
    [letter] = await journal.reader().dead_letters()
    assert (letter.what, letter.id, letter.reason, letter.detail) == ("receipt", receipt.id, Reason.POISON, "it broke")
    assert await journal.requeue([receipt.id, "nonsense"], now=NOON) == [receipt.id]
    assert await journal.requeue([receipt.id], now=NOON) == []
    [again] = await journal.claim_receipts(limit=5, now=NOON, lease=60)
    assert again.tries == 1
    assert await journal.commit_processed([Processed(receipt.id, events=(a_record(),))]) == [CommitResult.COMMITTED]


async def test_a_dropped_receipt_is_no_dead_letter_and_says_who_dropped_it(journal: Journal) -> None:
    receipt = a_receipt()
    await journal.accept(receipt)
    await journal.commit_processed([Processed(receipt.id, dead=Reason.UNROUTED)])
    assert await journal.drop([receipt.id], now=NOON, who="anna") == [receipt.id]
    assert await journal.reader().dead_letters() == []
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert view.reason is Reason.DROPPED_BY_OPERATOR
    assert view.timeline[-1].detail == "anna"


async def test_the_view_of_a_receipt_tells_its_whole_story(journal: Journal) -> None:
    incident = an_incident()
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    line = HistoryLine(NOON + 1, "opened", Reason.OPENED, "x", receipt.id, 0, incident.id)
    await journal.commit_processed(
        [
            Processed(
                receipt.id,
                events=(a_record(incident=incident.id),),
                warnings=("odd",),
                incidents=(IncidentChange(incident, None),),
                actions=(an_action(incident.id),),
                history=(line,),
            ),
        ],
    )
    await journal.write_history([replace(line, at=NOON + 2, what="seen")])
    view = await journal.reader().receipt(receipt.id[:18])
    assert view is not None
    assert (view.id, view.status, view.warnings, view.tries) == (receipt.id, ReceiptStatus.PROCESSED, ("odd",), 1)
    assert [moment.what for moment in view.timeline] == ["accepted", "opened", "seen"]
    assert view.events[0].event["title"] == "disk full"
    assert view.incidents == (incident,)
    assert view.actions[0].title == "disk full"
    whole = await journal.reader().body(receipt.id)
    assert whole is not None
    assert whole.body == receipt.body


async def test_lists_are_newest_first_and_filtered(journal: Journal) -> None:
    ids = [await processed(journal) for _ in range(3)]
    other = a_receipt(source="zabbix")
    await journal.accept(other)
    reader = journal.reader()
    assert [line.id for line in await reader.receipts(limit=2)] == [other.id, ids[2]]
    assert [line.id for line in await reader.receipts(limit=9, before=ids[2])] == [ids[1], ids[0]]
    assert [line.id for line in await reader.receipts(limit=9, source="zabbix")] == [other.id]
    assert [line.id for line in await reader.receipts(limit=9, status="accepted")] == [other.id]


async def test_an_ambiguous_or_short_prefix_names_nothing(journal: Journal) -> None:
    first = await processed(journal)
    await journal.accept(replace(a_receipt(), id=first[:-1] + ("0" if first[-1] != "0" else "1")))
    assert await journal.reader().receipt(first[:7]) is None
    assert await journal.reader().receipt(first[:-1]) is None


async def test_a_closed_journal_takes_nothing(journal: Journal) -> None:
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.accept(a_receipt())


async def test_the_probe_works_on_a_sound_journal(journal: Journal) -> None:
    await journal.probe(NOON)


async def test_a_key_that_the_sender_gave_and_one_made_from_the_content_never_meet(journal: Journal) -> None:
    await journal.accept(a_receipt(b"one", key="k", given=True))
    assert (await journal.accept(a_receipt(b"one", key="k", given=False))).duplicate_of is None


async def test_silences_are_kept_changed_and_listed_by_their_end(journal: Journal) -> None:
    late = Silence("s1", {"host": {"glob": "db-*"}}, NOON, NOON + 99, "Ada", "a \ud800 comment", NOON)
    early = Silence("s2", {"host": "web1"}, NOON, NOON + 50, "Bob", "why", NOON)
    for one in (late, early):
        await journal.put_silence(one)
    found = await journal.reader().silences()
    assert [(one.id, dict(one.match)) for one in found] == [
        ("s2", {"host": "web1"}),
        ("s1", {"host": {"glob": "db-*"}}),
    ]
    await journal.put_silence(replace(early, ends_at=NOON + 100))
    assert [(one.id, one.ends_at) for one in await journal.reader().silences()] == [
        ("s1", NOON + 99),
        ("s2", NOON + 100),
    ]


async def test_incidents_of_further_routes_are_shown_but_do_not_lend_their_ticket(journal: Journal) -> None:
    first, second = an_incident("one"), an_incident("two", members=[a_member("other")])
    receipt = a_receipt()
    await journal.accept(receipt, claim=True)
    line = HistoryLine(NOON, "correlated", Reason.OPENED, "also route two", receipt.id, 0, second.id)
    [result] = await journal.commit_processed(
        [
            Processed(
                receipt.id,
                events=(a_record(incident=first.id),),
                incidents=(IncidentChange(second, None), IncidentChange(first, None)),
                actions=(an_action(second.id),),
                history=(line,),
            )
        ]
    )
    assert result is CommitResult.COMMITTED
    [create] = await claimed(journal)
    assert await deliver(journal, create, ticket=a_ticket())
    view = await journal.reader().receipt(receipt.id)
    assert view is not None
    assert [one.id for one in view.incidents] == [first.id, second.id]
    assert view.incidents[1].ticket == a_ticket()
    assert view.ticket is None
