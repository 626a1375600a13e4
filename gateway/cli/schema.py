"""``schema``: the JSON Schema of the configuration, for editors."""

import click

from gateway.cli.terminal import show_json


@click.command()
@click.option("--json", is_flag=True, expose_value=False, help="It is always JSON.")
def schema() -> None:
    """Print the JSON Schema of routes.yaml."""
    from gateway.config.schema import schema as build  # noqa: PLC0415 - keeps other verbs fast

    show_json(build())
