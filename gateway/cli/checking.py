"""The work of ``check`` and ``doctor``: read, lint, and ask helpdesks."""

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.common import run
from gateway.config.config import Config
from gateway.config.loader import load_file
from gateway.config.problems import ConfigErrors, Problem
from gateway.helpdesks.http import HelpdeskHttp
from gateway.helpdesks.protocol import Connector
from gateway.helpdesks.registry import connect
from gateway.helpdesks.setup import Rehearses, rehearsals
from gateway.model.action import Outcome, OutcomeKind

PATIENCE = 15.0
"""Seconds for a helpdesk's answer, at most."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How a helpdesk took the harmless call."""

    helpdesk: str
    well: bool
    detail: str


def check_file(file: Path) -> tuple[Config | None, list[Problem]]:
    """The configuration, if it can be read, and everything there is to say about it."""
    try:
        config = load_file(file, env=os.environ)
    except ConfigErrors as errors:
        return None, list(errors.problems)
    return config, list(config.notes)


def tables_of(config: Config) -> dict[str, int]:
    """How many rows each file of look-ups has."""
    return {str(config.resolve(one.table.file)): len(one.table.rows) for one in config.lookups.values()}


def probe_helpdesks(config: Config, only: str | None = None, *, rehearsing: bool = False) -> list[Probe]:
    """Ask each helpdesk, or ``only`` one, whether it answers and takes our credentials.

    ``rehearsing``: where a helpdesk can check a route's fields without making a ticket, it does; what it has against
    them is a probe of its own.
    """

    async def ask(connector: Connector, http: HelpdeskHttp, timeout: float) -> list[Probe]:
        try:
            outcome = await connector.probe(http, timeout=timeout)
            well = outcome.kind is OutcomeKind.DELIVERED
            probes = [Probe(connector.name, well, _detail(outcome))]
            if well and rehearsing and isinstance(connector, Rehearses):
                probes += await _rehearsed(config, connector, connector.name, http, timeout)
        finally:
            await http.aclose()
        return probes

    async def all_of_them() -> list[Probe]:
        return [
            probe
            for name, settings in config.helpdesks.items()
            if only in {None, name}
            for probe in await ask(
                connect(name, settings), HelpdeskHttp(settings), min(settings.limits.timeout, PATIENCE)
            )
        ]

    return run(all_of_them())


async def _rehearsed(
    config: Config, connector: Rehearses, name: str, http: HelpdeskHttp, timeout: float
) -> list[Probe]:
    """What the helpdesk has against the constant fields of each route."""
    tickets = [(f"route {route.name}", route.ticket) for route in config.routes]
    tickets.append(("unrouted", config.unrouted.ticket))
    probes: list[Probe] = []
    for place, ticket in tickets:
        if ticket is None or ticket.helpdesk != name:
            continue
        refusals = [await connector.rehearse(one, http, timeout=timeout) for one in rehearsals(ticket.fields)]
        said = [words for words in dict.fromkeys(refusals) if words]
        probes += [Probe(name, well=False, detail=f"would refuse the tickets of {place}: {words}") for words in said]
        if not said:
            probes.append(
                Probe(name, well=True, detail=f"would take the tickets of {place} (tried without making one)")
            )
    return probes


def _detail(outcome: Outcome) -> str:
    if outcome.kind is OutcomeKind.DELIVERED:
        return "answers and takes our credentials"
    what = {
        OutcomeKind.AUTH_BROKEN: "refuses our credentials",
        OutcomeKind.HELPDESK_DOWN: "is down",
        OutcomeKind.NOT_SENT: "cannot be reached",
        OutcomeKind.UNKNOWN: "does not answer as this kind of helpdesk does; is its url right?",
        OutcomeKind.REJECTED: "refuses the call",
    }.get(outcome.kind, outcome.kind.value)
    return f"{what}: {outcome.detail}" if outcome.detail else what
