"""``explain``: what would be done with a message, and why. Sends nothing."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.common import config_option, fail, json_option, known_source, load_config, run
from gateway.cli.explaining import Explained, as_json_object, as_text, explained
from gateway.cli.messages import message_options, read_or_fail
from gateway.cli.terminal import show, show_json
from gateway.config.config import Config
from gateway.facts import Facts
from gateway.journal.protocol import ReceiptView
from gateway.model.incident import TicketRef
from gateway.model.receipt import Receipt
from gateway.model.silence import Silence
from gateway.routing.silences import Silencer, compile_silences
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
    are taken one after the other, so that a recovery can be explained after its problem. What
    became of a stored receipt, with the tickets that were open when it came, stands below.
    """
    config = load_config(config_path)
    if source:
        known_source(config, source)
    rules = replace(build_ruleset(config, _keys(config)), silencers=_silencers(config))
    facts = Facts()
    tickets: dict[str, TicketRef] = {}
    told: list[Explained] = []
    for name in messages:
        receipt, then = _receipt(config, source, name, content_type, headers)
        one = replace(explained(name, receipt, facts, tickets, rules), then=then)
        told.append(one)
        if not as_json:
            show(as_text(one))
    if as_json:
        show_json([as_json_object(one) for one in told])
    else:
        show("Nothing was sent.")


def _keys(config: Config) -> tuple[bytes, ...]:
    """The keys beside the journal, where there are any that we may read: without them no Message-ID is known as ours."""
    from gateway.journal.locate import journal_path  # noqa: PLC0415 - as below
    from gateway.journal.message_key import key_path, read_keys  # noqa: PLC0415 - as below
    from gateway.journal.protocol import JournalError  # noqa: PLC0415 - as below

    try:
        return read_keys(key_path(journal_path(config)))
    except JournalError:
        return ()


def _silencers(config: Config) -> tuple[Silencer, ...]:
    """What is silenced now, where there is a journal that we may read and that knows silences."""
    import sqlite3  # noqa: PLC0415 - as below

    from gateway.journal.locate import journal_path, reading  # noqa: PLC0415 - as below

    async def kept() -> list[Silence]:
        async with reading(journal_path(config)) as reader:
            return await reader.silences()

    try:
        silences = run(kept()) if journal_path(config).exists() else []
    except (sqlite3.Error, OSError):
        return ()
    return compile_silences(silences, time.time())


def _receipt(
    config: Config, source: str, name: str, content_type: str, headers: Sequence[str]
) -> tuple[Receipt, ReceiptView | None]:
    """The receipt, and for a stored one what became of it."""
    if name == "-" or Path(name).exists():
        if not source:
            fail(f"say with --source which source {name} is of; there are: {', '.join(sorted(config.sources))}")
        return read_or_fail(name, content_type, headers, source=source, now=time.time()).as_receipt(), None

    async def stored() -> tuple[Receipt, ReceiptView] | None:
        from gateway.cli.access import reading  # noqa: PLC0415 - only needed for ids
        from gateway.mailauth import remembering  # noqa: PLC0415 - as above

        async with reading(config) as reader:
            view = await reader.receipt(name)
            found = await reader.body(view.id) if view is not None else None
            return (remembering(found, view), view) if found is not None and view is not None else None

    from gateway.journal.locate import journal_path  # noqa: PLC0415 - as above

    kept = run(stored()) if journal_path(config).exists() else None
    if kept is None:
        fail(f"{name!r} is neither a file nor the id of a receipt; see `ticket-gateway events ls`", 1)
    receipt, view = kept
    if source and receipt.source != source:
        fail(f"receipt {receipt.id} is of source {receipt.source!r}, not {source!r}; leave --source out")
    known_source(config, receipt.source)
    return receipt, view
