"""The command line, one module per verb. Verbs are imported when they are called, so that each starts fast."""

import importlib
import os
import sys
from typing import NoReturn

import click

VERBS = {
    "check": (
        "gateway.cli.check:check",
        "Say everything that is wrong with a configuration, with places and ways out.",
    ),
    "dead": ("gateway.cli.dead:dead", "Dead letters: what waits for you. List, retry, drop."),
    "demo": ("gateway.cli.demo:demo", "Gateway and sandbox helpdesk with four sample events: `make run`."),
    "doctor": ("gateway.cli.doctor:doctor", "Is this installation well? Configuration, journal, gateway, helpdesks."),
    "events": ("gateway.cli.events:events", "What came in, and what became of it. List, show."),
    "explain": ("gateway.cli.explain:explain", "What would be done with a message, rule by rule; sends nothing."),
    "helpdesk": ("gateway.cli.helpdesk:helpdesk", "Is a helpdesk well, what does it need? List, ping, setup, pause."),
    "init": ("gateway.cli.init:init", "Write a configuration and templates to start from."),
    "parse": ("gateway.cli.parse:parse", "Print the events that a message means, as JSON."),
    "replay": ("gateway.cli.replay:replay", "Have receipts processed again."),
    "sandbox": ("gateway.cli.sandbox:sandbox", "Serve the stand-in helpdesk by itself."),
    "schema": ("gateway.cli.schema:schema", "Print the JSON Schema of routes.yaml, for editors."),
    "send": ("gateway.cli.send:send", "Hand a message in as if its sender had."),
    "serve": ("gateway.cli.serve:serve", "Run the gateway."),
    "silence": ("gateway.cli.silence:silence", "What makes no tickets for a while. Add, list, remove."),
    "test": ("gateway.cli.test:test", "Run the tests of a configuration, on virtual time."),
    "ticket": (
        "gateway.cli.ticket:ticket",
        "Tickets of a helpdesk: get, search, create, update, close, history, delete.",
    ),
}
"""Verb -> where its command is, and one line about it."""

EPILOG = """\
\b
Exit codes: 0 fine
            1 a negative answer: not found, not well, not possible now
            2 wrong usage, or a configuration with errors

TICKET_GATEWAY_CONFIG names the configuration where --config does not; the default is routes.yaml in this folder.
"""


class Verbs(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs, in alphabetical order."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb for a mistyped one."""
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

            near = get_close_matches(name, VERBS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(VERBS))}"
            ctx.fail(f"There is no verb {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The verbs with their lines, without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, VERBS[name][1]) for name in sorted(VERBS)])


@click.group(
    cls=Verbs,
    epilog=EPILOG,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="ticket-gateway", prog_name="ticket-gateway")
def cli() -> None:
    """From everything that can raise an alarm to exactly one ticket in your helpdesk."""


def main() -> None:
    """The entry point of `ticket-gateway`: no fault ends in a traceback, unless TICKET_GATEWAY_TRACEBACK asks for it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8
    try:
        cli.main(args=sys.argv[1:], prog_name="ticket-gateway")
    except Exception as error:  # the program's edge: whatever it is, a person reads it
        if os.environ.get("TICKET_GATEWAY_TRACEBACK"):
            raise
        _told(error)


def _told(error: Exception) -> NoReturn:
    from gateway.cli.common import fail  # noqa: PLC0415 - only after a fault

    if isinstance(error, OSError):
        fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", 1)
    fail(
        f"this is a fault of ticket-gateway itself: {type(error).__name__}: {error}; "
        "run it again with TICKET_GATEWAY_TRACEBACK=1 to see where, and report that",
        1,
    )
