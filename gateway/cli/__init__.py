"""The command line, one module per verb. Verbs are imported when they are called, so that each starts fast."""

import importlib
import sys

import click

VERBS = {
    "check": "gateway.cli.check:check",
    "dead": "gateway.cli.dead:dead",
    "demo": "gateway.cli.demo:demo",
    "doctor": "gateway.cli.doctor:doctor",
    "events": "gateway.cli.events:events",
    "explain": "gateway.cli.explain:explain",
    "init": "gateway.cli.init:init",
    "parse": "gateway.cli.parse:parse",
    "replay": "gateway.cli.replay:replay",
    "sandbox": "gateway.cli.sandbox:sandbox",
    "schema": "gateway.cli.schema:schema",
    "send": "gateway.cli.send:send",
    "serve": "gateway.cli.serve:serve",
}
"""Verb -> where its command is."""


class Verbs(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs, in alphabetical order."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """The command of a verb."""
        place = VERBS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ticket-gateway", prog_name="ticket-gateway")
def cli() -> None:
    """From everything that can raise an alarm to exactly one ticket in your helpdesk."""


def main() -> None:
    """The entry point of `ticket-gateway`."""
    cli.main(args=sys.argv[1:], prog_name="ticket-gateway")
