"""``events``: what came in, and what became of it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.cli.common import config_option, fail, json_option, known_source, load_config, moment, run
from gateway.cli.terminal import show, show_json

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.journal.protocol import ReceiptLine, ReceiptView
    from gateway.model.json import JsonValue


@click.group()
def events() -> None:
    """Look at receipts and their events."""


@events.command("ls")
@click.option("--source", default="", metavar="NAME", help="Only those of this source.")
@click.option("--status", type=click.Choice(["accepted", "processed", "dead"]), default=None, help="Only those.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--before", default="", metavar="ID", help="Only those that came before this one.")
@config_option
@json_option
def list_receipts(
    source: str, status: str | None, limit: int, before: str, config_path: Path, *, as_json: bool
) -> None:
    """List receipts, the newest first."""
    config = load_config(config_path)
    if source:
        known_source(config, source)

    async def work() -> "list[ReceiptLine]":
        from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

        async with reading(config) as reader:
            return await reader.receipts(limit=limit, source=source, status=status or "", before=before)

    lines = run(work())
    if as_json:
        show_json(lines)
        return
    rows = [
        (line.source, line.reason or line.status.value, line.ticket or (f"({line.remark})" if line.remark else "-"))
        for line in lines
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for line, row in zip(lines, rows, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        title = f"{line.kind}: {line.title}" if line.kind else ""
        show(f"{line.id}  {moment(line.received_at)}  {cells}  {title}".rstrip())
    if not lines:
        show("No receipts.")


@events.command("show")
@click.argument("receipt_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write what was received, byte for byte, to standard output.")
@click.option("--request", "requests", is_flag=True, help="Also show each request as it was sent, or would have been.")
@config_option
@json_option
def show_receipt(receipt_id: str, config_path: Path, *, raw: bool, requests: bool, as_json: bool) -> None:
    """Tell the story of one receipt: its events, the rules, the ticket. The first characters of its id are enough."""
    config = load_config(config_path)
    if raw:
        run(_write_raw(config, receipt_id))
        return

    async def work() -> "ReceiptView | None":
        from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

        async with reading(config) as reader:
            return await reader.receipt(receipt_id)

    view = run(work())
    if view is None:
        fail(_unknown(receipt_id), 1)
    sent = run(_requests(config, view)) if requests else {}
    if as_json:
        show_json({**asdict(view), "requests": sent} if requests else view)
        return
    from gateway.cli.story import story  # noqa: PLC0415 - only for people

    show(story(view, sent))


async def _requests(config: "Config", view: "ReceiptView") -> "dict[str, JsonValue]":
    """The stored requests of a receipt's actions, by action. They hold no credentials; our secrets are masked all the same."""
    from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast
    from gateway.config.problems import mask  # noqa: PLC0415 - as above

    found: dict[str, JsonValue] = {}
    async with reading(config) as reader:
        for action in view.actions:
            request = await reader.request(action.id)
            if request is not None:
                found[action.id] = orjson.loads(mask(request.decode("utf-8", "replace"), config.secrets))
    return found


async def _write_raw(config: "Config", receipt_id: str) -> None:
    from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

    async with reading(config) as reader:
        view = await reader.receipt(receipt_id)
        receipt = await reader.body(view.id) if view is not None else None
    if receipt is None:
        fail(_unknown(receipt_id), 1)
    sys.stdout.buffer.write(receipt.body)
    sys.stdout.buffer.flush()


def _unknown(receipt_id: str) -> str:
    return f"no receipt, or more than one, has an id that begins with {receipt_id!r}; see `ticket-gateway events ls`"
