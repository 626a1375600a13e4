"""Tickets that people make by hand where the helpdesk can nothing else."""

import pytest

from gateway.helpdesks.operations import Done, Failed, Operation, Unsupported
from gateway.helpdesks.registry import operate
from gateway.model.action import OutcomeKind
from tests.helpdesks.smtp.support import CLOSE, MARKER, NO_HTTP, order, server, settings

pytestmark = pytest.mark.anyio


async def test_a_mail_makes_a_ticket_by_hand_and_everything_else_says_why_not() -> None:
    async with server() as (port, heard):
        desk = operate("desk", settings(port))
        assert desk is not None
        made = await desk.create(order().draft, MARKER, NO_HTTP, timeout=2.0)
        assert isinstance(made, Done)
        assert made.ticket.number == MARKER[:12]
        assert isinstance(await desk.get("x", NO_HTTP, timeout=1.0), Unsupported)
        assert [one for one, why in desk.operations.items() if why is None] == [Operation.CREATE]
        assert sum(line.startswith("MAIL") for line in heard) == 1


async def test_a_mail_whose_fate_is_not_known_is_not_sent_twice_by_hand() -> None:
    async with server(dot=CLOSE) as (port, heard):
        desk = operate("desk", settings(port))
        assert desk is not None
        made = await desk.create(order().draft, MARKER, NO_HTTP, timeout=2.0)
        assert isinstance(made, Failed)
        assert made.kind is OutcomeKind.UNKNOWN
        assert sum(line.startswith("MAIL") for line in heard) == 1
