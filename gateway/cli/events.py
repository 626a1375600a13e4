"""``events``: what came in, and what became of it."""

import sys
from pathlib import Path

import click

from gateway.cli.common import config_option, fail, json_option, load_config, moment, run, show, show_json
from gateway.cli.shapes import receipt_text
from gateway.journal.protocol import ReceiptLine, ReceiptView


@click.group()
def events() -> None:
    """Look at receipts and their events."""


@events.command("ls")
@click.option("--source", default="", help="Only those of this source.")
@click.option("--status", type=click.Choice(["accepted", "processed", "dead"]), default=None, help="Only those.")
@click.option("--limit", default=50, show_default=True, help="How many.")
@config_option
@json_option
def list_receipts(source: str, status: str | None, limit: int, config_path: Path, *, as_json: bool) -> None:
    """List receipts, the newest first."""
    config = load_config(config_path)

    async def work() -> list[ReceiptLine]:
        from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

        async with reading(config) as reader:
            return await reader.receipts(limit=limit, source=source, status=status or "")

    lines = run(work())
    if as_json:
        show_json(lines)
        return
    for line in lines:
        ticket = f"  ticket {line.ticket}" if line.ticket else ""
        kind = f"{line.kind}: " if line.kind else ""
        show(
            f"{line.id}  {moment(line.received_at)}  {line.source}  {line.reason or line.status.value}{ticket}  {kind}{line.title}"
        )
    if not lines:
        show("No receipts.")


@events.command("show")
@click.argument("receipt_id")
@config_option
@json_option
def show_receipt(receipt_id: str, config_path: Path, *, as_json: bool) -> None:
    """Show one receipt with its events, actions, attempts and timeline. The first characters of its id are enough."""
    config = load_config(config_path)

    async def work() -> ReceiptView | None:
        from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

        async with reading(config) as reader:
            return await reader.receipt(receipt_id)

    view = run(work())
    if view is None:
        fail(f"no receipt {receipt_id}", 1)
    if as_json:
        show_json(view)
    else:
        show(receipt_text(view))
    sys.exit(0)
