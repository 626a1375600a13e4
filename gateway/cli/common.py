"""What several verbs need: options, reading the configuration, running coroutines, ending with a message.

Imports of what is slow (pydantic, asyncio, the log) are inside the functions, so that every verb starts fast.
"""

import os
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from gateway.cli.terminal import show

if TYPE_CHECKING:
    from gateway.config.config import Config

T = TypeVar("T")

USAGE = 2
"""Exit code for wrong usage and broken configuration."""


def config_option(command: Callable[..., T]) -> Callable[..., T]:
    """Adds ``--config FILE``."""
    return click.option(
        "--config",
        "-c",
        "config_path",
        type=click.Path(path_type=Path),
        default=Path("routes.yaml"),
        show_default=True,
        envvar="TICKET_GATEWAY_CONFIG",
        metavar="FILE",
        help="The configuration.",
    )(command)


def json_option(command: Callable[..., T]) -> Callable[..., T]:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Say what is wrong on standard error and end."""
    show(f"ticket-gateway: {message}", err=True)
    sys.exit(code)


def load_config(path: Path) -> "Config":
    """The configuration, or the end with all its errors on standard error."""
    from gateway.config.loader import load_file  # noqa: PLC0415 - see the module
    from gateway.config.problems import ConfigErrors  # noqa: PLC0415 - as above

    try:
        return load_file(path, env=os.environ)
    except ConfigErrors as errors:
        for problem in errors.problems:
            show(str(problem), err=True)
        if all(problem.line == 0 for problem in errors.problems):
            sys.exit(USAGE)  # it cannot be read; that is all there is to say
        fail(f"{path} has {counted(len(errors.problems), 'error')}")


def known_source(config: "Config", name: str) -> None:
    """End unless ``name`` is a source of the configuration."""
    if name not in config.sources:
        known = ", ".join(sorted(config.sources)) or "none"
        fail(f"{config.path} has no source {name!r}; it has: {known}")


def counted(number: int, what: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def moment(instant: float | None) -> str:
    """An instant for people: UTC, to the second."""
    if instant is None:
        return "-"
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def run(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end."""
    import asyncio  # noqa: PLC0415 - see the module

    return asyncio.run(work)


def run_server(work: Coroutine[None, None, T]) -> T:
    """Run a server's coroutine to its end, on the fast loop where there is one."""
    import asyncio  # noqa: PLC0415 - see the module

    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - only servers need it
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
