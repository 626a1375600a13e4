"""``sandbox``: the stand-in helpdesk by itself."""

from pathlib import Path

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8027, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/sandbox"),
    show_default=True,
    help="Folder of its tickets.",
)
def sandbox(host: str, port: int, data: Path) -> None:
    """Serve the sandbox helpdesk until Ctrl-C. Its page, /sandbox, shows tickets and has switches for faults."""
    from gateway.sandbox.serve import run_sandbox  # noqa: PLC0415 - keeps other verbs fast

    run_sandbox(host, port, data, on_ready=lambda url: click.echo(f"Sandbox helpdesk: {url}"))
