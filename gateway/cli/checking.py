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


def probe_helpdesks(config: Config) -> list[Probe]:
    """Ask each helpdesk whether it answers and takes our credentials."""

    async def ask(connector: Connector, http: HelpdeskHttp, timeout: float) -> Probe:
        try:
            outcome = await connector.probe(http, timeout=timeout)
        finally:
            await http.aclose()
        return Probe(connector.name, outcome.kind is OutcomeKind.DELIVERED, _detail(outcome))

    async def all_of_them() -> list[Probe]:
        return [
            await ask(connect(name, settings), HelpdeskHttp(settings), min(settings.limits.timeout, PATIENCE))
            for name, settings in config.helpdesks.items()
        ]

    return run(all_of_them())


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
