"""Receipts on their way to actions: order, bursts, poison, conflicts, cancelled senders, restarts."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import pipeline
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.osticket.settings import OsTicketSettings
from gateway.journal.commits import Writer
from gateway.journal.protocol import JournalFull, Known, Lookup
from gateway.journal.sqlite import open_sqlite
from gateway.model.action import ActionKind, TicketDraft
from gateway.model.reasons import Reason
from gateway.model.receipt import ReceiptStatus
from gateway.operations import Operations
from tests.journal.builders import die
from tests.pipeline.works import event, works

pytestmark = pytest.mark.anyio


async def test_the_receipts_of_a_source_are_correlated_in_their_order_whatever_their_size(tmp_path: Path) -> None:
    chance = random.Random(3)
    async with works(tmp_path) as at:
        taken: dict[str, list[str]] = {"app": [], "other": []}
        for number in range(60):
            source = chance.choice(["app", "other"])
            size = chance.choice([10, 10, 100_000, 300_000])
            taken[source].append(await at.take(event(f"{number}", size=size), source=source))
        await at.idle()
        for source, receipts in taken.items():
            assert [name for where, name in at.seen.order if where == source] == receipts


async def test_a_burst_larger_than_what_is_held_is_processed_in_order_and_whole(tmp_path: Path) -> None:
    async with works(tmp_path) as at:
        taken = [at.receipt(event(f"{number}", host=f"h{number % 7}")) for number in range(2000)]
        answers = await asyncio.gather(*(at.pipeline.accept(new) for new in taken))
        assert all(answer.duplicate_of is None for answer in answers)
        late = [await at.take(event("late", host=f"h{number}")) for number in range(20)]
        await at.idle()
        order = [name for _, name in at.seen.order]
        assert order == [*(new.id for new in taken), *late]
        incidents = {(await at.view(name)).events[0].incident for name in late[:7]}
        assert len(incidents) == 7
        assert sum([(await at.view(name)).incidents[0].occurrences for name in late[:7]]) == 2007


async def test_a_source_that_floods_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with works(tmp_path) as at:
        flood = asyncio.gather(*(at.pipeline.accept(at.receipt(event("flood"))) for _ in range(1500)))
        single = await at.take(event("single", host="web"), source="other")
        await flood
        await at.idle()
        place = [name for _, name in at.seen.order].index(single)
        assert place < 1400


@pytest.mark.parametrize("word", ["hang", "eat", "kill"])
async def test_a_large_body_that_its_parser_cannot_stand_becomes_raw_after_three_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr(pipeline, "PARSE_TIME", 2.5 if word == "eat" else 1.0)
    async with works(tmp_path, poisoned=True) as at:
        bad = await at.take(f"{word} ".encode() + b"x" * 300_000)
        neighbours = [await at.take(event("good", host="web")) for _ in range(3)]
        others = [await at.take(event("good"), source="other") for _ in range(3)]
        await at.idle(30)
        view = await at.view(bad)
        assert view.status is ReceiptStatus.PROCESSED
        assert [found.event["kind"] for found in view.events] == ["raw"]
        assert view.actions[0].kind == "create"
        assert await at.titles([*neighbours, *others]) == ["good"] * 6
        if word != "eat":  # what fails for want of memory may say so by itself
            assert len(at.seen.failures) == 3


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_parser_that_raises_costs_no_event(tmp_path: Path, size: int) -> None:
    async with works(tmp_path, poisoned=True) as at:
        bad = await at.take(b"raise " + b"x" * size)
        good = await at.take(event("good"))
        await at.idle()
        assert [found.event["kind"] for found in (await at.view(bad)).events] == ["raw"]
        assert await at.titles([good]) == ["good"]


async def test_restarts_that_are_not_a_receipts_fault_leave_its_meaning_alone(tmp_path: Path) -> None:
    """Crashes with receipts at hand (power, memory, an operator's kill -9) must not make alerts unreadable."""
    async with works(tmp_path) as at:
        await at.pipeline.stop()
        at.task.cancel()
        news = [at.receipt(event(f"{number}")) for number in range(5)]
        for new in news:
            await at.journal.accept(new)
    for _ in range(10):  # a process that claims, and dies before it gets any further
        journal = await open_sqlite(tmp_path / "journal.db", run="crash")
        assert len(await journal.claim_receipts(limit=10, now=at.at, lease=60)) == 5
        await journal.close()
    async with works(tmp_path) as again:
        await again.idle()
        assert await again.titles([new.id for new in news]) == ["0", "1", "2", "3", "4"]


async def test_a_small_body_that_killed_the_process_is_parsed_where_it_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PARSE_TIME", 1.0)
    async with works(tmp_path) as at:
        await at.pipeline.stop()
        at.task.cancel()
        new = at.receipt(b"kill ")
        await at.journal.accept(new)
    for _ in range(pipeline.SUSPECT):  # so many processes died with it at hand
        journal = await open_sqlite(tmp_path / "journal.db", run="crash")
        assert len(await journal.claim_receipts(limit=10, now=at.at, lease=60)) == 1
        await journal.close()
    async with works(tmp_path, poisoned=True) as again:
        good = await again.take(event("good"))
        await again.idle(30)
        assert [found.event["kind"] for found in (await again.view(new.id)).events] == ["raw"]
        assert await again.titles([good]) == ["good"]


async def test_senders_that_hang_up_leave_nothing_lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SWEEP", 0.5)
    chance = random.Random(5)
    async with works(tmp_path) as at:
        for _ in range(5):
            taken = [asyncio.create_task(at.pipeline.accept(at.receipt(event("x")))) for _ in range(900)]
            for turn in range(6):
                await asyncio.sleep(0 if turn % 2 else 0.002)
                for task in taken:
                    if chance.random() < 0.3:
                        task.cancel()
            await asyncio.gather(*taken, return_exceptions=True)
            await at.idle(10)
        for _ in range(100):
            if not at.pipeline._held:
                break
            await asyncio.sleep(0.02)
        assert (at.pipeline._held, at.pipeline._octets) == (0, 0)  # what drifts here would stall the intake for good


async def test_an_event_that_is_replayed_anew_is_no_duplicate_of_itself(tmp_path: Path) -> None:
    form = b"NOTIFICATIONTYPE=PROBLEM&HOSTNAME=web&SERVICEDESC=http&SERVICESTATE=CRITICAL&SERVICENOTIFICATIONID=77"
    async with works(tmp_path) as at:
        first = at.receipt(form, source="nagios", content_type="application/x-www-form-urlencoded")
        await at.pipeline.accept(first)
        await at.idle()
        operations = Operations(at.journal, lambda: at.rules, at.pipeline.accept, at.pipeline.wake)
        (replayed,) = await operations.replay([first.id], now=at.at + 5, anew=True)
        await at.idle()
        view = await at.view(replayed.new_id)
        assert [(found.event["kind"], found.reason) for found in view.events] == [("problem", Reason.REPEATED)]
        assert at.seen.failures == []


async def test_a_host_name_that_is_no_text_is_one_incident_all_the_same(tmp_path: Path) -> None:
    broken = rb'{"kind": "problem", "title": "t\ud800", "host": "h\udfff", "origin_key": "o\ud801"}'
    async with works(tmp_path) as at:
        receipts = [await at.take(broken) for _ in range(3)]
        await at.idle()
        receipts.append(await at.take(broken.replace(b'"problem"', b'"recovery"')))
        await at.idle()
        reasons = [(await at.view(name)).events[0].reason for name in receipts]
        assert reasons == [Reason.OPENED, Reason.REPEATED, Reason.REPEATED, Reason.RECOVERED]
        assert at.seen.failures == []


async def test_an_incident_whose_create_was_dropped_is_not_used_again(tmp_path: Path) -> None:
    """Its ticket does not exist: a relapse must open a new one, or it would never be told to anybody."""
    async with works(tmp_path) as at:
        first = await at.take(event("down"))
        await at.idle()
        (create,) = await at.journal.claim_actions("desk", limit=1, now=at.at + 1, lease=60)
        assert await die(at.journal, create)
        assert await at.journal.drop([create.id], now=at.at + 2, who="the tests") == [create.id]
        again = await at.take(event("down"))
        await at.idle()
        view = await at.view(again)
        assert view.events[0].reason is Reason.OPENED
        assert view.actions[0].kind == "create"
        assert view.events[0].incident != (await at.view(first)).events[0].incident


async def test_a_receipt_whose_incident_an_operator_changed_meanwhile_is_correlated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of its incident rose between look and commit: it is correlated again, not dead-lettered."""
    async with works(tmp_path) as at:
        await at.take(event("down"))
        await at.idle()
        (create,) = await at.journal.claim_actions("desk", limit=1, now=at.at + 1, lease=60)
        assert await die(at.journal, create)
        know = at.journal.know

        async def drops_meanwhile(lookup: Lookup, now: float) -> Known:
            known = await know(lookup, now)
            await at.journal.drop([create.id], now=at.at, who="an operator")
            return known

        monkeypatch.setattr(at.journal, "know", drops_meanwhile)  # the moment cannot be hit otherwise
        again = await at.take(event("down"))
        neighbour = await at.take(event("other", host="web"))
        await at.idle()
        assert (await at.view(again)).events[0].reason is Reason.OPENED
        assert (await at.view(neighbour)).events[0].reason is Reason.OPENED
        assert at.seen.failures == []


class Touchy(OsTicketConnector):
    """A connector with a bug: titles with a certain word are too much for it."""

    def __init__(self, name: str, settings: OsTicketSettings, word: str = "boom") -> None:
        super().__init__(name, settings)
        self._word = word

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:
        if self._word in draft.title:
            raise RuntimeError("a bug of the connector")
        return super().split(kind, draft)


async def test_what_a_failed_receipt_would_have_done_is_not_believed_by_those_behind_it(tmp_path: Path) -> None:
    async with works(tmp_path) as at:
        settings = at.rules.config.helpdesks["desk"]
        assert isinstance(settings, OsTicketSettings)
        at.pipeline.rules = replace(at.rules, connectors={"desk": Touchy("desk", settings)})
        news = [
            at.receipt(event(title, kind=kind))
            for title, kind in [("boom", "problem"), ("over", "recovery"), ("good", "problem"), ("good", "problem")]
        ]
        await asyncio.gather(*(at.pipeline.accept(new) for new in news))
        await at.idle()
        reasons = [(await at.view(new.id)).events[0].reason for new in news[1:]]
        assert reasons == [Reason.ORPHAN_RECOVERY, Reason.OPENED, Reason.REPEATED]
        assert (await at.view(news[0].id)).events[0].reason is Reason.REPEATED
        assert [stage for stage, _ in at.seen.failures] == ["correlate"]


@pytest.mark.parametrize(("word", "end"), [("boom", ReceiptStatus.PROCESSED), ("", ReceiptStatus.DEAD)])
async def test_what_fails_three_times_becomes_raw_and_what_fails_even_then_a_dead_letter(
    tmp_path: Path, word: str, end: ReceiptStatus
) -> None:
    async with works(tmp_path) as at:
        settings = at.rules.config.helpdesks["desk"]
        assert isinstance(settings, OsTicketSettings)
        at.pipeline.rules = replace(at.rules, connectors={"desk": Touchy("desk", settings, word)})
        bad = await at.take(event("boom"))
        await at.idle()
        view = await at.view(bad)
        assert view.status is end
        assert [found.event["kind"] for found in view.events] == (["raw"] if word else [])
        assert len(at.seen.failures) == (3 if word else 4)
        if not word:
            assert view.reason is Reason.POISON
            assert "a bug of the connector" in view.detail


@pytest.mark.parametrize("size", [0, pipeline.AT_ONCE])
async def test_a_repeated_delivery_is_known_as_one_whether_or_not_it_was_worked_on_meanwhile(
    tmp_path: Path, size: int
) -> None:
    async with works(tmp_path) as at:
        body = event("down", size=size)
        answers = await asyncio.gather(
            *(at.pipeline.accept(at.receipt(body, key="the same")) for _ in range(50)),
        )
        await at.idle()
        [first] = {answer.duplicate_of or answer.id for answer in answers}
        assert [answer.duplicate_of for answer in answers].count(None) == 1
        await until(lambda: at.pipeline._held == 0)
        assert at.seen.order == [("app", first)]
        assert at.seen.failures == []
        assert (at.pipeline._octets, at.pipeline._at_hand) == (0, set())


async def test_what_the_journal_refused_comes_to_nothing_though_it_was_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with works(tmp_path) as at:
        monkeypatch.setattr(Writer, "check_room", refuse)
        taken = await asyncio.gather(
            *(at.pipeline.accept(at.receipt(event(f"event {n}"))) for n in range(20)), return_exceptions=True
        )
        assert {type(one) for one in taken} == {JournalFull}
        monkeypatch.undo()
        good = await at.take(event("after it"))
        await at.idle()
        await until(lambda: at.pipeline._held == 0)
        assert at.seen.order == [("app", good)]
        assert (await at.journal.reader().counts()).open_incidents == 1


def refuse(_: Writer) -> None:
    raise JournalFull("no room")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
