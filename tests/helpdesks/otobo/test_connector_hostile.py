"""Whatever a helpdesk answers, the connector has an outcome for it, and never takes it for proof that nothing was written."""

import asyncio
import json
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.helpdesks.operations import Change, Query
from gateway.helpdesks.otobo.operator import OtoboOperator
from gateway.helpdesks.protocol import Answer
from gateway.model.action import ActionKind, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from tests.helpdesks.otobo import desk

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12) | st.just("109")
NAMES = (
    "TicketID TicketNumber Ticket Article Attachment DynamicField Name Value StateType SessionID ArticleID FilesizeRaw Body Error "
    "ErrorCode ErrorMessage TicketHistory History HistoryType"
)
KEYS = st.sampled_from(NAMES.split())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
SESSION = {"SessionID": "x" * 32}
TICKET = TicketRef("desk", "109", "2026112110000077")


class Liar:
    """Logs anybody in, and answers everything else with what it was given."""

    def __init__(self, status: int, answers: list[JsonValue]) -> None:
        self.status, self.answers, self.count = status, answers, 0

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
    ) -> Answer:
        if url.endswith("/session"):
            return Answer(200, {}, json.dumps(SESSION).encode())
        self.count += 1
        answer = self.answers[self.count % len(self.answers)]
        return Answer(self.status, {"content-type": "application/json"}, json.dumps(answer).encode())


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from([200, 200, 200, 500]),
    answers=st.lists(VALUES, min_size=1, max_size=3),
    kind=st.sampled_from(list(ActionKind)),
)
def test_no_answer_makes_the_connector_raise_or_believe_that_nothing_was_written(
    status: int, answers: list[JsonValue], kind: ActionKind
) -> None:
    async def work() -> None:
        way = desk.connector()
        one = desk.order(kind, ticket=None if kind is ActionKind.CREATE else TICKET, files=[("a", b"a")])
        request = way.prepare(one)
        called = await way.call(one, request, Liar(status, answers), timeout=5)
        if kind is ActionKind.CREATE:
            assert called.kind is not OutcomeKind.NOT_SENT
        found = await way.resolve(one, request, Liar(status, answers), timeout=5)
        if kind is ActionKind.CREATE:
            assert found.kind is not OutcomeKind.NOT_SENT  # such a liar has never shown a ticket of ours
        await way.probe(Liar(status, answers), timeout=5)

    asyncio.run(work())


@settings(max_examples=150, deadline=None)
@given(status=st.sampled_from([200, 200, 500]), answers=st.lists(VALUES, min_size=1, max_size=3))
def test_no_answer_makes_what_people_ask_raise(status: int, answers: list[JsonValue]) -> None:
    async def work() -> None:
        operator = OtoboOperator("desk", desk.settings())
        liar = Liar(status, answers)
        await operator.get("109", liar, timeout=5)
        await operator.search(Query(title="x"), liar, timeout=5)
        await operator.history("109", liar, timeout=5)
        await operator.close("109", "", desk.MARKER, liar, timeout=5)
        await operator.update("109", Change(title="t"), desk.MARKER, liar, timeout=5)
        await operator.create(TicketDraft("t", "x"), desk.MARKER, liar, timeout=5)

    asyncio.run(work())
