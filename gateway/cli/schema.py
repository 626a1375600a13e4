"""``schema``: the JSON Schema of the configuration, for editors."""

import click

from gateway.cli.common import show_json


@click.command()
def schema() -> None:
    """Print the JSON Schema of routes.yaml."""
    from gateway.config.schema import schema as build  # noqa: PLC0415 - keeps other verbs fast

    show_json(build())
