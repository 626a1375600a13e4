"""The work of ``check`` and ``doctor``: read, lint, and ask helpdesks."""

import os
from pathlib import Path

from gateway.cli.common import run
from gateway.config.config import Config
from gateway.config.loader import load_file
from gateway.config.problems import ConfigErrors, Problem
from gateway.helpdesks.http import HelpdeskHttp
from gateway.helpdesks.protocol import Connector
from gateway.helpdesks.registry import connect
from gateway.model.action import OutcomeKind


def check_file(file: Path) -> tuple[Config | None, list[Problem]]:
    """The configuration, if it can be read, and everything there is to say about it."""
    try:
        config = load_file(file, env=os.environ)
    except ConfigErrors as errors:
        return None, list(errors.problems)
    return config, list(config.notes)


def probe_helpdesks(config: Config) -> list[tuple[str, bool, str]]:
    """For each helpdesk: its name, whether the harmless call worked, and what it said."""

    async def ask(connector: Connector, http: HelpdeskHttp, timeout: float) -> tuple[str, bool, str]:
        try:
            outcome = await connector.probe(http, timeout=timeout)
        finally:
            await http.aclose()
        return connector.name, outcome.kind is OutcomeKind.DELIVERED, f"{outcome.kind.value}: {outcome.detail}"

    async def all_of_them() -> list[tuple[str, bool, str]]:
        return [
            await ask(connect(name, settings), HelpdeskHttp(settings), min(settings.limits.timeout, 15.0))
            for name, settings in config.helpdesks.items()
        ]

    return run(all_of_them())
