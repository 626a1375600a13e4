"""``serve``: the gateway itself."""

import sys
from pathlib import Path

import click

from gateway.cli.common import config_option, load_config, run_server
from gateway.journal.locate import journal_path


@click.command()
@config_option
@click.option("--with-sandbox", is_flag=True, help="Serve the built-in sandbox helpdesk under /sandbox as well.")
def serve(config_path: Path, *, with_sandbox: bool) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    from gateway.app import serve_until_stopped  # noqa: PLC0415 - other verbs start without the servers

    config = load_config(config_path)

    async def work() -> int:
        if not with_sandbox:
            return await serve_until_stopped(config)
        from gateway.sandbox.app import sandbox_app  # noqa: PLC0415 - only where it is asked for
        from gateway.sandbox.sandbox import Sandbox  # noqa: PLC0415 - as above

        sandbox = Sandbox(journal_path(config).parent / "sandbox")
        try:
            return await serve_until_stopped(config, mounts={"/sandbox": sandbox_app(sandbox)})
        finally:
            await sandbox.close()

    sys.exit(run_server(work()))
