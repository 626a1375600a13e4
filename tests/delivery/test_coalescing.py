"""Follow-ups that pile up go out as one article, in their order, and nothing else is ever mixed into it."""

import asyncio
import email
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery.coalescing import MOST_CHARACTERS, merge_of
from gateway.helpdesks.osticket.connector import OsTicketConnector
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.journal.protocol import Journal
from gateway.journal.sqlite import SqliteJournal, open_sqlite
from gateway.model.action import Action, ActionKind, ActionStatus, AttachmentRef, Follower, TicketDraft
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason
from tests.delivery.desk import Wire, answer, desk, until
from tests.delivery.desk import settings as of_osticket
from tests.journal.builders import NOON, a_ticket, an_action, an_incident, claimed, deliver, processed

CONNECTOR = OsTicketConnector("osticket", of_osticket())


def a_draft(
    text: str,
    *,
    html: str = "",
    reopen: bool = False,
    quiet: bool = True,
    reasons: Sequence[Reason] = (),
    fields: Mapping[str, JsonValue] | None = None,
    files: Sequence[AttachmentRef] = (),
    alone: bool = False,
    references: tuple[str, ...] = (),
) -> TicketDraft:
    return TicketDraft(
        "disk full", text, html, fields or {}, tuple(files), quiet, reopen, tuple(reasons), "", references, alone
    )


def a_file(name: str, size: int = 10, content_id: str = "") -> AttachmentRef:
    return AttachmentRef("r", 0, 0, name, "text/plain", size, name, content_id=content_id)


def an_append(drafts: Sequence[TicketDraft], *, kind: ActionKind = ActionKind.APPEND, tries: int = 0) -> Action:
    """The first of these, claimed, with the others behind it."""
    new = an_action("i", kind)
    first = Action.first(replace(new, draft=drafts[0]), receipt="receipt-0", fence=1, paused_before=0.0)
    behind = tuple(Follower(f"a{n}", f"receipt-{n}", NOON + n, draft) for n, draft in enumerate(drafts[1:], 1))
    return replace(first, behind=behind, tries=tries)


def test_texts_stand_in_their_order_each_under_its_time_and_receipt() -> None:
    merge = merge_of(an_append([a_draft("one"), a_draft("two", quiet=False), a_draft("three")]), CONNECTOR)
    assert merge is not None
    assert merge.actions == ("a1", "a2")
    assert merge.draft.text == (
        "--- 2027-01-15 08:00:00 UTC, receipt receipt-0 ---\n\none\n\n"
        "--- 2027-01-15 08:00:01 UTC, receipt receipt-1 ---\n\ntwo\n\n"
        "--- 2027-01-15 08:00:02 UTC, receipt receipt-2 ---\n\nthree\n"
    )
    assert merge.draft.html == ""
    assert not merge.draft.quiet, "one of them is to be heard"


def test_where_one_has_html_all_have_and_what_has_none_is_escaped() -> None:
    merge = merge_of(an_append([a_draft("<one>"), a_draft("two", html="<b>two</b>")]), CONNECTOR)
    assert merge is not None
    assert "<p>&lt;one&gt;</p>\n<hr>\n" in merge.draft.html
    assert merge.draft.html.endswith("receipt receipt-1</p>\n<b>two</b>")


def test_files_go_with_their_texts() -> None:
    merge = merge_of(an_append([a_draft("one", files=[a_file("a")]), a_draft("two", files=[a_file("b")])]), CONNECTOR)
    assert merge is not None
    assert [file.filename for file in merge.draft.attachments] == ["a", "b"]


@pytest.mark.parametrize(
    "boundary",
    [
        a_draft("it stands in for a close", reasons=[Reason.CLOSE_UNSUPPORTED]),
        a_draft("for a reopening", reasons=[Reason.REOPEN_UNSUPPORTED], reopen=True),
        a_draft("for a change of fields", reasons=[Reason.UPDATE_UNSUPPORTED]),
        a_draft("it reopens", reopen=True),
        a_draft("its route says coalesce: off", alone=True),
        a_draft("it answers a mail", references=("m@x",)),
        a_draft("in another name", fields={"email": "somebody@example.org"}),
        a_draft("more than fits", files=[a_file("big", 2**31)]),
        a_draft("x" * MOST_CHARACTERS),
        a_draft("another image of the same name", html="<img>", files=[a_file("b", content_id="image1")]),
    ],
    ids=lambda draft: draft.text[:30],
)
def test_nothing_is_merged_over_a_boundary_nor_behind_it(boundary: TicketDraft) -> None:
    image = a_draft("one", html="<img>", files=[a_file("a", content_id="image1")])
    merge = merge_of(an_append([image, a_draft("two"), boundary, a_draft("three")]), CONNECTOR)
    assert merge is not None
    assert merge.actions == ("a1",)


@pytest.mark.parametrize("kind", [ActionKind.CREATE, ActionKind.CLOSE, ActionKind.REOPEN, ActionKind.UPDATE])
def test_only_follow_ups_take_up_others(kind: ActionKind) -> None:
    assert merge_of(an_append([a_draft("one"), a_draft("two")], kind=kind), CONNECTOR) is None


def test_what_was_tried_once_is_sent_as_it_was() -> None:
    assert merge_of(an_append([a_draft("one"), a_draft("two")], tries=1), CONNECTOR) is None


DRAFTS = st.builds(
    a_draft,
    st.text(min_size=1, max_size=20),
    quiet=st.booleans(),
    reopen=st.sampled_from([False, False, True]),
    reasons=st.sampled_from([(), (), (Reason.CLOSE_UNSUPPORTED,)]),
    alone=st.sampled_from([False, False, True]),
)


@given(st.lists(DRAFTS, min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_whatever_waits_every_text_goes_out_once_and_in_order(drafts: list[TicketDraft]) -> None:
    """Merge, send, merge what is left, until nothing is."""
    sent: list[str] = []
    left = list(drafts)
    while left:
        merge = merge_of(an_append(left), CONNECTOR)
        taken = 1 + (len(merge.actions) if merge is not None else 0)
        whole = merge.draft.text if merge is not None else left[0].text
        position = 0
        for draft in left[:taken]:
            position = whole.index(draft.text.strip(), position) + len(draft.text.strip())
            sent.append(draft.text)
            assert taken == 1 or not (draft.alone or draft.reasons)
        left = left[taken:]
    assert sent == [draft.text for draft in drafts]


@pytest.fixture
async def journal(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteJournal]:
    opened = await open_sqlite(tmp_path / "j.db", run="test")
    yield opened
    await opened.close()


def text_of(mail: bytes) -> str:
    parts = email.message_from_bytes(mail).walk()
    payloads = (part.get_payload(decode=True) for part in parts if part.get_content_type() == "text/plain")
    return "".join(payload.decode() for payload in payloads if isinstance(payload, bytes))


@pytest.mark.anyio
async def test_what_has_piled_up_is_one_article_and_what_came_after_its_first_try_is_the_next(journal: Journal) -> None:
    down = asyncio.Event()
    down.set()
    incident = an_incident()
    await processed(journal, an_action(incident.id), incident=incident)
    [create] = await claimed(journal)
    await deliver(journal, create, ticket=a_ticket())
    receipts = []

    async def come(*numbers: int) -> None:
        for number in numbers:
            new = an_action(incident.id, ActionKind.APPEND, sequence=2 + number)
            receipts.append(await processed(journal, replace(new, draft=a_draft(f"text {number}"))))

    await come(0, 1, 2)

    async def reply(wire: Wire, url: str, content: bytes) -> Answer:
        if down.is_set():
            raise CallFailed("refused", sent=False)
        return answer(201, "100001")

    async with desk(journal, reply) as at:
        await until(lambda: len(at.wire.calls) >= 1)
        await come(3, 4, 5)
        down.clear()
        await at.all_are([receipts[0], receipts[3]], ActionStatus.DELIVERED)
        await at.all_are([*receipts[1:3], *receipts[4:]], ActionStatus.SKIPPED)
        bodies = [text_of(content) for _, content in at.wire.calls]
        assert len({content for _, content in at.wire.calls}) == 2, "a repeat is the same octets"
        for body, numbers in ((bodies[0], range(3)), (bodies[-1], range(3, 6))):
            places = [body.find(f"text {number}") for number in range(6)]
            assert [n for n in range(6) if places[n] >= 0] == [*numbers]
            assert [places[n] for n in numbers] == sorted(places[n] for n in numbers)
        assert at.told.words.count("coalesced 2") == 2
