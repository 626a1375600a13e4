"""Whatever answers come, the connector and the operator end with a value, and never with a ticket that is not proven."""

import asyncio
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway.helpdesks.operations import Change, Query
from gateway.helpdesks.protocol import Answer, CallFailed
from gateway.helpdesks.zammad.connector import ZammadConnector
from gateway.helpdesks.zammad.operator import ZammadOperator
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from tests.helpdesks.zammad.desk import MARKER, order, settings

KEYS = st.sampled_from(
    [
        *[
            "id",
            "number",
            "state_id",
            "state_type_id",
            "name",
            "active",
            "state",
            "title",
            "article_ids",
            "gateway_key",
            "articles",
            "tags",
            "links",
        ],
        *[
            "link_type",
            "link_object_value",
            "message_id",
            "preferences",
            "gateway_event",
            "attachments",
            "error",
            "error_human",
        ],
        *["history", "assets", "User", "invalid_attribute", "default_follow_up", "customer", "size", "filename"],
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.integers(),
    st.text(max_size=9),
    st.sampled_from(["parent", MARKER, f"<tg-{MARKER}@zammad.example.org>", "Error ID x", "Maintenance mode enabled!"]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=12
)
TICKETS = st.fixed_dictionaries(
    {"id": st.integers(1, 4), "state_id": st.integers(0, 8)},
    optional={
        "number": st.text(max_size=4),
        "gateway_key": LEAVES,
        "message_id": LEAVES,
        "state_type_id": st.integers(0, 9),
    },
)


def _written(value: object) -> bytes:
    """As JSON; what JSON cannot hold becomes a broken body."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b"{"


BODIES = VALUES.map(_written)
STATUSES = st.sampled_from([201, 302, 401, 403, 404, 404, 413, 422, 422, 429, 500, 502])
ARTICLES = st.dictionaries(KEYS, VALUES, max_size=6)


def shaped(good: st.SearchStrategy[object]) -> st.SearchStrategy[list[tuple[int, bytes] | bool]]:
    """Answers of the right shape, strange ones, and none at all."""
    right = st.tuples(st.just(200), good.map(_written))
    wrong = st.tuples(STATUSES, BODIES | st.binary(max_size=20))
    strange = st.tuples(st.just(200), BODIES)
    return st.lists(st.one_of(right, right, right, wrong, strange, st.booleans()), max_size=8)


ANSWERS = st.fixed_dictionaries(
    {
        "search": shaped(st.lists(TICKETS, max_size=2)),
        "articles": shaped(st.lists(ARTICLES, max_size=2)),
        "tickets": shaped(TICKETS),
        "": shaped(VALUES),
    }
)
Given = dict[str, list[tuple[int, bytes] | bool]]
STATES = [{"id": number, "name": f"s{number}", "state_type_id": number} for number in range(1, 8)]
TICKET = TicketRef("zammad", "3", "1000003")


@given(body=BODIES)
def test_strange_states_stop_the_self_test_and_write_nothing(body: bytes) -> None:
    class Strange(Stranger):
        async def request(
            self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
        ) -> Answer:
            assert method == "GET" or url.endswith("/search?expand=true")
            return Answer(200, {}, body)

    outcome = asyncio.run(ZammadConnector("zammad", settings()).probe(Strange({}), timeout=5.0))
    assert outcome.kind in {OutcomeKind.DELIVERED, OutcomeKind.HELPDESK_DOWN}


class Stranger:
    """Answers from a list for each kind of question, and then that nobody is there."""

    def __init__(self, answers: Given) -> None:
        self._answers = {kind: iter(each) for kind, each in answers.items()}

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float
    ) -> Answer:
        if "/ticket_states" in url:  # without them nothing else is asked; that they are strange is tested on its own
            return Answer(200, {}, orjson.dumps(STATES))
        kind = next(kind for kind in ("search", "articles", "tickets", "") if kind in url)
        given_ = next(self._answers[kind], False)
        if isinstance(given_, bool):
            raise CallFailed("gone", sent=given_)
        return Answer(given_[0], {}, given_[1])


@pytest.mark.parametrize("kind", list(ActionKind))
@given(answers=ANSWERS)
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_ends_as_an_outcome(kind: ActionKind, answers: Given) -> None:
    one = order(kind, ticket=None if kind is ActionKind.CREATE else TICKET)

    async def story() -> list[Outcome]:
        way = ZammadConnector("zammad", settings())
        request = way.prepare(one)
        desk = Stranger(answers)
        return [
            await way.call(one, request, desk, timeout=5.0),
            await way.resolve(one, request, desk, timeout=5.0),
            await way.probe(desk, timeout=5.0),
        ]

    called, resolved, _ = asyncio.run(story())
    for outcome in (called, resolved):
        assert (outcome.kind is OutcomeKind.DELIVERED) == (outcome.ticket is not None)


@given(answers=ANSWERS)
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_to_a_person_is_a_value(answers: Given) -> None:
    async def story() -> None:
        way, desk = ZammadOperator("zammad", settings()), Stranger(answers)
        await way.get("3", desk, timeout=5.0)
        await way.search(Query(text="x", only_open=True, fields={"site": "a"}), Stranger(answers), timeout=5.0)
        await way.history("3", Stranger(answers), timeout=5.0)
        await way.update("3", Change({"tags": "a"}, title="t", note="n"), MARKER, Stranger(answers), timeout=5.0)
        await way.close("3", "", MARKER, Stranger(answers), timeout=5.0)
        await way.create(TicketDraft("t", "x"), MARKER, Stranger(answers), timeout=5.0)

    asyncio.run(story())
