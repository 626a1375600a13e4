"""``dead``: what waits for a person."""

import sys
from pathlib import Path

import click

from gateway.cli.common import config_option, json_option, load_config, moment, run, show, show_json
from gateway.config.config import Config
from gateway.journal.protocol import DeadLetter


@click.group()
def dead() -> None:
    """Look after dead letters: what the gateway cannot finish without a person."""


async def _letters(config: Config) -> list[DeadLetter]:
    from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

    async with reading(config) as reader:
        return await reader.dead_letters()


@dead.command("ls")
@config_option
@json_option
def list_letters(config_path: Path, *, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    letters = run(_letters(load_config(config_path)))
    if as_json:
        show_json(letters)
        return
    for letter in letters:
        behind = f", {letter.blocked} waiting behind it" if letter.blocked else ""
        show(f"{letter.id}  {moment(letter.since)}  {letter.what} {letter.source or letter.helpdesk}: {letter.title}")
        show(f"    {letter.reason.value}{behind}: {letter.detail or letter.reason.explain()}")
    if not letters:
        show("No dead letters.")


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@config_option
def retry(ids: tuple[str, ...], config_path: Path, *, every: bool) -> None:
    """Send dead letters on their way again. Markers are kept: what was delivered is not sent twice."""
    _change("retry", ids, config_path, every=every)


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@config_option
def drop(ids: tuple[str, ...], config_path: Path, *, every: bool) -> None:
    """Drop dead letters for good. Dropping a create ends what waits behind it and closes its incident."""
    _change("drop", ids, config_path, every=every)


def _change(what: str, ids: tuple[str, ...], config_path: Path, *, every: bool) -> None:
    config = load_config(config_path)
    if not ids and not every:
        raise click.UsageError("name the dead letters, or say --all")

    async def work() -> tuple[list[str], list[str]]:
        from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

        wanted = [letter.id for letter in await _letters(config)] if every else list(ids)
        async with operating(config) as operations:
            done = await (operations.retry(wanted) if what == "retry" else operations.drop(wanted))
        return wanted, done

    wanted, done = run(work())
    for name in wanted:
        show(f"{name}  {('sent again' if what == 'retry' else 'dropped') if name in done else 'is no dead letter'}")
    sys.exit(0 if set(wanted) <= set(done) else 1)
