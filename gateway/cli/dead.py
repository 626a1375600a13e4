"""``dead``: what waits for a person."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import config_option, counted, fail, json_option, load_config, moment, run
from gateway.cli.terminal import show, show_json
from gateway.model.reasons import Reason

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.journal.protocol import DeadLetter

SHORTEST = 8
"""Characters of an id that must be given."""
MOST = 1_000_000
"""Dead letters that `--all` takes."""


_reason_option = click.option(
    "--reason", default=None, type=click.Choice([reason.value for reason in Reason]), metavar="REASON",
    help="Only those with this reason, such as quarantined.",
)  # fmt: skip


@click.group()
def dead() -> None:
    """Look after dead letters: what the gateway cannot finish without a person."""


@dead.command("ls")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="How many.")
@_reason_option
@config_option
@json_option
def list_letters(limit: int, reason: str | None, config_path: Path, *, as_json: bool) -> None:
    """List the dead letters, oldest first, and what to do about each."""
    letters = _with(reason, run(_letters(load_config(config_path), MOST if reason else limit)))[:limit]
    if as_json:
        show_json(letters)
        return
    if not letters:
        show("No dead letters.")
        return
    for letter in letters:
        show(_told(letter) + "\n")
    show(f"{counted(len(letters), 'dead letter')}. When the cause is mended:")
    show("  ticket-gateway dead retry ID...   sends them on their way again; what was delivered is not sent twice")
    show("  ticket-gateway dead drop ID...    gives them up for good")
    show("Both take the first characters of an id, or --all.")


def _told(letter: "DeadLetter") -> str:
    if letter.what == "receipt":
        head = f"receipt from {letter.source}" + (f": {letter.title}" if letter.title else "")
    else:
        head = f"action for {letter.helpdesk}: {letter.title}"
    why = letter.reason.explain()
    lines = [f"{letter.id}  {moment(letter.since)}  {head}", f"    {letter.reason.value}: {why}"]
    if letter.detail and letter.detail != why:
        lines.append(f"    it says: {letter.detail}")
    if letter.blocked:
        lines.append(f"    behind it: {counted(letter.blocked, 'action')} of the same incident")
    lines.append(f"    its story: ticket-gateway events show {letter.receipt}")
    return "\n".join(lines)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All of them.")
@_reason_option
@config_option
@json_option
def retry(ids: tuple[str, ...], reason: str | None, config_path: Path, *, every: bool, as_json: bool) -> None:
    """Send dead letters on their way again. Markers are kept: what was delivered is not sent twice."""
    _change("retry", ids, reason, config_path, every=every, as_json=as_json)


@dead.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All of them; needs --yes.")
@click.option("--yes", is_flag=True, help="Really all.")
@_reason_option
@config_option
@json_option
def drop(ids: tuple[str, ...], reason: str | None, config_path: Path, *, every: bool, yes: bool, as_json: bool) -> None:
    """Drop dead letters for good. Dropping a create ends what waits behind it and closes its incident."""
    if every and not yes:
        raise click.UsageError("--all drops everything that waits for a person; say --all --yes if that is meant")
    _change("drop", ids, reason, config_path, every=every, as_json=as_json)


def _with(reason: str | None, letters: "list[DeadLetter]") -> "list[DeadLetter]":
    return [letter for letter in letters if not reason or letter.reason.value == reason]


def _change(
    what: str, ids: tuple[str, ...], reason: str | None, config_path: Path, *, every: bool, as_json: bool
) -> None:
    if bool(ids) == every:
        raise click.UsageError("name the dead letters, or say --all")
    if reason and not every:
        raise click.UsageError("--reason goes with --all")
    config = load_config(config_path)

    async def work() -> tuple[list[str], list[str], bool]:
        from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

        letters = [letter.id for letter in _with(reason, await _letters(config, MOST))]
        wanted = letters if every else list(dict.fromkeys(_whole(name, letters) for name in ids))
        async with operating(config) as operations:
            done = await (operations.retry(wanted) if what == "retry" else operations.drop(wanted))
            return wanted, done, operations.by_gateway

    wanted, done, alive = run(work())
    if as_json:
        show_json({"done": done, "no_dead_letters": [name for name in wanted if name not in set(done)]})
    else:
        word = "is on its way again" if what == "retry" else "dropped"
        for name in wanted:
            show(f"{name}  {word if name in set(done) else 'is no dead letter; see `ticket-gateway dead ls`'}")
        if not wanted:
            show("No dead letters.")
        elif done and what == "retry" and not alive:
            show("No gateway is running; it is worked on when one starts.")
    sys.exit(0 if set(wanted) <= set(done) else 1)


def _whole(name: str, letters: list[str]) -> str:
    """The id of the only dead letter that begins so; the text itself if there is none."""
    found = [letter for letter in letters if letter.startswith(name)] if len(name) >= SHORTEST else []
    if len(found) > 1:
        fail(f"{name!r} is the beginning of {len(found)} dead letters; give more of the id", 1)
    return found[0] if found else name


async def _letters(config: "Config", limit: int) -> "list[DeadLetter]":
    from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

    async with reading(config) as reader:
        return await reader.dead_letters(limit=limit)
