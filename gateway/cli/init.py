"""``init``: a folder to start from."""

import re
from pathlib import Path

import click

from gateway.cli.common import counted, fail
from gateway.cli.terminal import show


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--sandbox", is_flag=True, help="Write the configuration of the demonstration, against the sandbox helpdesk."
)
def init(folder: Path, *, sandbox: bool) -> None:
    """Write routes.yaml and the ticket templates into FOLDER (default: here). Existing files are never overwritten."""
    from gateway.config.shipped import shipped_routes, shipped_templates  # noqa: PLC0415 - keeps other verbs fast
    from gateway.config.starter import STARTER  # noqa: PLC0415 - as above

    target = folder / "routes.yaml"
    text = shipped_routes().read_text(encoding="utf-8") if sandbox else STARTER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
        show(f"wrote {target}")
        _write_templates(shipped_templates(), folder)
    except FileExistsError:
        fail(f"{target if target.exists() else folder} is there already; nothing was overwritten", 1)
    except OSError as error:
        fail(f"{error.filename}: cannot be written: {error.strerror}", 1)
    show("\nNext:")
    if sandbox:
        show(f"  ticket-gateway serve --with-sandbox --config {target}")
        return
    show(f"  edit {target}: the address of your osTicket, and who asks for the tickets")
    written = "\n".join(line.partition("#")[0] for line in text.splitlines())
    for name in dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", written)):
        show(f"  export {name}=...")
    show(f"  ticket-gateway check --online {target}")
    show(f"  ticket-gateway serve --config {target}")
    show("Mail from a mail server's pipe: `ticket-gateway-pipe --help`; install it where the mail server may run it.")


def _write_templates(shipped: Path, folder: Path) -> None:
    wrote, kept = 0, []
    for file in sorted(shipped.glob("*/*.j2")):
        path = folder / "templates" / file.relative_to(shipped)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as copy:
                copy.write(file.read_text(encoding="utf-8"))
            wrote += 1
        except FileExistsError:
            kept.append(path)
    if wrote:
        show(f"wrote {folder / 'templates'}: {counted(wrote, 'file')}")
    for path in kept:
        show(f"kept  {path}")
