"""Whatever fails at two helpdesks, whenever: in the end there is one ticket, at the one or the other, with all that was said.

On virtual time, with the real connectors before the sandbox's stand-ins in memory.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as some

from gateway.config.config import Config
from gateway.config.route_tests import Send
from gateway.routetests.clock import VirtualLoop
from gateway.routetests.run import tested_rules as rules_of
from gateway.routetests.world import World
from gateway.sandbox.faults import Fault, FaultKind
from tests.config.samples import read

START = 1_767_783_600.0
ROUTES = """\
version: 1
sources:
  nagios: {kind: nagios, auth: {bearer: "${env:NAGIOS_TOKEN}"}}
helpdesks:
  zammad:
    kind: zammad
    url: https://zammad.example.org
    auth: {token: "${env:OSTICKET_KEY}"}
    group: Users
    customer: monitoring@example.org
  osticket:
    kind: osticket
    url: https://support.example.org/api
    auth: {api_key: "${env:OSTICKET_KEY}"}
    requester: {email: monitoring@example.org}
routes:
  - name: alerts
    ticket: {helpdesk: FIRST, template: generic, fallback: {helpdesk: SECOND, after: 15m}}
    incident: {confirm: CONFIRM, recover: {hold: 2m}, reopen_within: 1d, repeat: {append_every: 1m}}
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """From when on a helpdesk has a fault, and for how many requests (None: until the next trouble of it)."""

    at: int
    helpdesk: str
    kind: FaultKind | None
    count: int | None


WELL_KNOWN = [
    FaultKind.REFUSE, FaultKind.SLOW, FaultKind.RATE_LIMIT, FaultKind.AUTH_BROKEN, FaultKind.DATABASE_DOWN,
    FaultKind.HTML_ERROR, FaultKind.MAINTENANCE, FaultKind.HANG_BEFORE_COMMIT, FaultKind.COMMIT_THEN_HANG,
    FaultKind.COMMIT_THEN_DROP,
]  # fmt: skip
MINUTES = some.integers(0, 90)
TROUBLES = some.lists(
    some.builds(
        Trouble,
        at=MINUTES,
        helpdesk=some.sampled_from(["zammad", "osticket"]),
        kind=some.one_of(some.none(), some.sampled_from(WELL_KNOWN)),  # None: nobody answers at its address
        count=some.one_of(some.none(), some.integers(1, 3)),
    ),
    max_size=6,
)
KINDS = some.lists(some.tuples(MINUTES, some.sampled_from(["problem", "acknowledgement", "recovery"])), max_size=5)


def config(folder: Path, first: str, confirm: str) -> Config:
    second = "osticket" if first == "zammad" else "zammad"
    return read(folder, ROUTES.replace("FIRST", first).replace("SECOND", second).replace("CONFIRM", confirm))


async def life(world: World, troubles: list[Trouble], later: list[tuple[int, str]]) -> None:
    """A problem at the first minute, what is said later, troubles in between, and two days without any."""
    await world.start()
    said = [(1, "problem"), *((minute + 2, kind) for minute, kind in later)]
    steps = sorted([*((one.at, one) for one in troubles), *said], key=lambda step: step[0])
    for number, (minute, what) in enumerate(steps):
        await world.pass_time(60.0 * minute, due=False)
        if isinstance(what, Trouble):
            # Credentials that are refused once and then taken concern one ticket, which is refused for good.
            count = None if what.kind is FaultKind.AUTH_BROKEN else what.count
            faults = [] if what.kind is None else [Fault(fault=what.kind, count=count, seconds=40.0)]
            world.desks[what.helpdesk].fault(faults, down=what.kind is None)
        else:
            await world.send(Send(source="nagios", kind=what, host="web1", service="HTTP", text=f"word {number}"))
    await world.pass_time(6000.0, due=True)
    for desk in world.desks.values():
        desk.fault([])
    await world.pass_time(2 * 86400.0, due=True)


@settings(max_examples=40, deadline=None)
@given(
    troubles=TROUBLES,
    later=KINDS,
    first=some.sampled_from(["zammad", "osticket"]),
    confirm=some.sampled_from(["0s", "3m"]),
)
def test_one_incident_has_one_ticket_whatever_fails(
    troubles: list[Trouble], later: list[tuple[int, str]], first: str, confirm: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rules = rules_of(config(Path(folder), first, confirm))
    loop = VirtualLoop(START)

    async def run() -> World:
        world = World(rules, loop)
        await life(world, troubles, later)
        return world

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = runner.run(run())
        told = "\n".join(f"{one.after:.0f}s {one.what.value} {one.text} {one.reasons}" for one in world.happened)
        standing = runner.run(world.standing())
        incidents = [one for one in world.journal.incidents() if one.reasons != ("not_confirmed",)]
        assert standing.dead_letters == 0, told
        assert sum(standing.tickets.values()) == len(incidents), told
        for incident in incidents:
            assert incident.ticket is not None, told
            assert incident.ticket.helpdesk == incident.helpdesk, told
            assert standing.tickets[incident.helpdesk] >= 1, told
        runner.run(world.stop())
