"""``sandbox``: the stand-in helpdesk by itself."""

from pathlib import Path

import click

from gateway.cli.common import fail
from gateway.cli.terminal import show


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8027,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("data/sandbox"),
    show_default=True,
    help="Folder of its tickets.",
)
@click.option("--mail", default="", metavar="HOST:PORT", help="Take mail by SMTP at this address too.")
def sandbox(host: str, port: int, data: Path, mail: str) -> None:
    """Serve the sandbox helpdesk until Ctrl-C. Its page, /sandbox, shows tickets and has switches for faults."""
    from gateway.sandbox.serve import run_sandbox  # noqa: PLC0415 - keeps other verbs fast

    if mail and not mail.rpartition(":")[2].isdigit():
        fail(f"--mail {mail}: write HOST:PORT, such as 127.0.0.1:2526")
    ready = False

    def on_ready(url: str) -> None:
        nonlocal ready
        ready = True
        taking = f" Mail is taken at {mail}." if mail else ""
        show(f"Sandbox helpdesk: {url}\nIts tickets are kept in {data}.{taking} Stop with Ctrl-C.")

    try:
        run_sandbox(host, port, data, mail=mail, on_ready=on_ready)
    except OSError as error:
        fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", 1)
    except SystemExit:  # uvicorn's way to say that it cannot listen; its log line says why
        if not ready:
            fail(f"cannot listen on {host} port {port}; --port 0 takes a free one", 1)
        raise
