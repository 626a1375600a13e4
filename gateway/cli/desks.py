"""How the configured helpdesks stand, as verbs tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cli.access import reading, running
from gateway.cli.common import counted, moment
from gateway.config.config import Config
from gateway.delivery.pauses import told
from gateway.journal.locate import journal_path
from gateway.journal.protocol import Counts, HelpdeskState


@dataclass(frozen=True, slots=True)
class DeskState:
    """One configured helpdesk. ``breaker`` is empty where no gateway runs; ``stands`` says all of it for people."""

    name: str
    kind: str
    waiting: int
    held: int
    paused: str
    paused_since: float | None
    breaker: str
    shadow: bool
    stands: str


async def desks(config: Config) -> list[DeskState]:
    """All of them, by name."""
    remote = await running(config)
    status = await remote.ask("GET", "/status") if remote is not None else None
    states, counts = await _remembered(config)
    return [
        _desk(config, name, states.get(name, HelpdeskState(name)), counts, _breaker(status, name))
        for name in sorted(config.helpdesks)
    ]


async def _remembered(config: Config) -> tuple[dict[str, HelpdeskState], Counts | None]:
    if not journal_path(config).exists():
        return {}, None
    async with reading(config) as reader:
        return {state.name: state for state in await reader.helpdesks()}, await reader.counts()


def _breaker(status: object, name: str) -> str:
    helpdesks = status.get("helpdesks") if isinstance(status, Mapping) else None
    state = helpdesks.get(name) if isinstance(helpdesks, Mapping) else None
    return str(state.get("breaker", "")) if isinstance(state, Mapping) else ""


def _desk(config: Config, name: str, state: HelpdeskState, counts: Counts | None, breaker: str) -> DeskState:
    settings = config.helpdesks[name]
    paused = told(state)
    stands = "goes" if breaker else "no gateway runs"
    if breaker not in {"", "closed"}:
        stands = f"fails again and again (breaker {breaker})"
    if settings.shadow:
        stands += "; in shadow mode: nothing is written to it"
    if paused:
        stands = f"paused since {moment(state.paused_since)} {paused}"
    waiting = counts.actions_waiting.get(name, 0) if counts is not None else 0
    held = counts.held.get(name, 0) if counts is not None else 0
    if held:
        stands += f"; {counted(held, 'new ticket')} held back by limits.creates"
    return DeskState(name, settings.kind, waiting, held, paused, state.paused_since, breaker, settings.shadow, stands)
