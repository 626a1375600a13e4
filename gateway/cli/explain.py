"""``explain``: what would be done with a message, and why. Sends nothing."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli.common import config_option, fail, json_option, known_source, load_config, run
from gateway.cli.explaining import Explained, as_json_object, as_text, explained
from gateway.cli.messages import message_options, read_or_fail
from gateway.cli.terminal import show, show_json
from gateway.config.config import Config
from gateway.model.incident import TicketRef
from gateway.model.receipt import Receipt
from gateway.processing import Facts
from gateway.ruleset import build_ruleset


@click.command()
@click.option("--source", default="", metavar="NAME", help="Name of the source; not needed for ids.")
@message_options
@click.argument("messages", nargs=-1, required=True, metavar="FILE|ID...")
@config_option
@json_option
def explain(
    source: str,
    content_type: str,
    headers: tuple[str, ...],
    messages: tuple[str, ...],
    config_path: Path,
    *,
    as_json: bool,
) -> None:
    """Explain rule by rule what would be done with messages: files (- for standard input) or ids of receipts.

    Nothing is sent and nothing is stored. No incident is taken to be open before the first message; several messages
    are taken one after the other, so that a recovery can be explained after its problem.
    """
    config = load_config(config_path)
    if source:
        known_source(config, source)
    rules = build_ruleset(config)
    facts = Facts()
    tickets: dict[str, TicketRef] = {}
    told: list[Explained] = []
    for name in messages:
        receipt = _receipt(config, source, name, content_type, headers)
        one = explained(name, receipt, facts, tickets, rules)
        told.append(one)
        if not as_json:
            show(as_text(one))
    if as_json:
        show_json([as_json_object(one) for one in told])
    else:
        show("Nothing was sent.")


def _receipt(config: Config, source: str, name: str, content_type: str, headers: Sequence[str]) -> Receipt:
    if name == "-" or Path(name).exists():
        if not source:
            fail(f"say with --source which source {name} is of; there are: {', '.join(sorted(config.sources))}")
        return read_or_fail(name, content_type, headers, source=source, now=time.time()).as_receipt()

    async def stored() -> Receipt | None:
        from gateway.cli.access import reading  # noqa: PLC0415 - only needed for ids

        async with reading(config) as reader:
            view = await reader.receipt(name)
            return await reader.body(view.id) if view is not None else None

    from gateway.journal.locate import journal_path  # noqa: PLC0415 - as above

    receipt = run(stored()) if journal_path(config).exists() else None
    if receipt is None:
        fail(f"{name!r} is neither a file nor the id of a receipt; see `ticket-gateway events ls`", 1)
    if source and receipt.source != source:
        fail(f"receipt {receipt.id} is of source {receipt.source!r}, not {source!r}; leave --source out")
    known_source(config, receipt.source)
    return receipt
