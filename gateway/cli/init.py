"""``init``: a folder to start from."""

from pathlib import Path

import click

from gateway.cli.common import fail


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option(
    "--sandbox", is_flag=True, help="Write the configuration of the demonstration, against the sandbox helpdesk."
)
def init(folder: Path, *, sandbox: bool) -> None:
    """Write routes.yaml and the ticket templates into FOLDER (default: here). Existing files are never overwritten."""
    from gateway.config.shipped import shipped_routes, shipped_templates  # noqa: PLC0415 - keeps other verbs fast
    from gateway.config.starter import STARTER  # noqa: PLC0415 - as above

    target = folder / "routes.yaml"
    if target.exists():
        fail(f"{target} is there already; nothing was written", 1)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(shipped_routes().read_text(encoding="utf-8") if sandbox else STARTER, encoding="utf-8")
    click.echo(f"wrote {target}")
    templates = shipped_templates()
    for file in sorted(templates.glob("*/*.j2")):
        path = folder / "templates" / file.relative_to(templates)
        if path.exists():
            click.echo(f"kept  {path}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        click.echo(f"wrote {path}")
    click.echo("")
    if sandbox:
        click.echo(f"Next: ticket-gateway serve --with-sandbox --config {target}")
    else:
        click.echo(f"Next: edit {target}, set the secrets it names, then: ticket-gateway check {target}")
