"""``silence``: what makes no tickets for a while, by whose word, and why."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from gateway.cli.common import config_option, fail, json_option, load_config, moment, run
from gateway.cli.terminal import show, show_json
from gateway.config.values import duration
from gateway.model.ids import new_id
from gateway.model.silence import Silence

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.model.json import JsonValue

SHOWN = 8
"""Last characters of an id, by which a silence is named."""


@click.group()
def silence() -> None:
    """Look after silences: what an operator does not want tickets of, for a while."""


@silence.command()
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--match", "match_text", default="", metavar="JSON", help="A match as in a rule, for more than equality.")
@click.option("--for", "length", required=True, metavar="TIME", help="How long: 30m, 2h, 3d.")
@click.option(
    "--from", "begins", default="", metavar="INSTANT", help="From when on: 2026-12-05T22:00+01:00; default: now."
)
@click.option("--comment", required=True, help="Why; everybody who meets the silence reads it.")
@click.option("--author", default="", help="By whose word; default: the user.")
@config_option
@json_option
def add(
    fields: tuple[str, ...],
    match_text: str,
    length: str,
    begins: str,
    comment: str,
    author: str,
    config_path: Path,
    *,
    as_json: bool,
) -> None:
    """Silence what matches all of the given fields, such as `host=db-1` or `host=db-*`.

    What it takes is accepted and recorded, but makes no ticket and writes to none. Recoveries and notes of incidents that are
    open get through. When the time is over, the next problem of the same kind makes its ticket.
    """
    from gateway.cli.access import operating, operator  # noqa: PLC0415 - keeps other verbs fast

    config = load_config(config_path)
    now = time.time()
    starts_at = _instant(begins) if begins else now
    try:
        ends_at = starts_at + duration(length)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    made = Silence(
        id=new_id(),
        match=_match(fields, match_text),
        starts_at=starts_at,
        ends_at=ends_at,
        author=author or operator(),
        comment=comment,
        made_at=now,
    )

    async def work() -> None:
        async with operating(config) as operations:
            await operations.silence(made)

    run(work())
    if as_json:
        show_json(made)
    else:
        show(f"{made.id[-SHOWN:]}  silent until {moment(ends_at)}: {_shown(made)}")


@silence.command("ls")
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@config_option
@json_option
def list_silences(config_path: Path, *, every: bool, as_json: bool) -> None:
    """List the silences in force and to come, those that end first at the top."""
    now = time.time()
    found = [one for one in run(_kept(load_config(config_path))) if every or one.ends_at > now]
    if as_json:
        show_json(found)
        return
    for one in found:
        stands = "over since" if one.ends_at <= now else "until" if one.starts_at <= now else "to come, until"
        show(f"{one.id[-SHOWN:]}  {stands} {moment(one.ends_at)}  {_shown(one)}\n    {one.author}: {one.comment}")
    if not found:
        show("No silences.")


@silence.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@config_option
@json_option
def rm(ids: tuple[str, ...], config_path: Path, *, as_json: bool) -> None:
    """End silences now. Their record stays (`ls --all`)."""
    from gateway.cli.access import operating  # noqa: PLC0415 - keeps other verbs fast

    config = load_config(config_path)

    async def work() -> list[str]:
        async with operating(config) as operations:
            return await operations.end_silences(list(ids))

    done = run(work())
    unknown = [name for name in ids if not any(each.endswith(name) for each in done)]
    if as_json:
        show_json({"done": done, "no_silences": unknown})
    else:
        for name in ids:
            show(f"{name}  {'is no silence in force; see `ticket-gateway silence ls`' if name in unknown else 'ended'}")
    sys.exit(1 if unknown else 0)


async def _kept(config: "Config") -> list[Silence]:
    from gateway.cli.access import reading  # noqa: PLC0415 - keeps other verbs fast

    async with reading(config) as reader:
        return await reader.silences()


def _match(fields: tuple[str, ...], text: str) -> "dict[str, JsonValue]":
    match: dict[str, JsonValue] = {}
    if text:
        try:
            given = orjson.loads(text)
        except ValueError as error:
            raise click.UsageError(f"--match is no JSON: {error}") from None
        if not isinstance(given, dict):
            raise click.UsageError('--match is a mapping of fields: \'{"severity": {"lte": "minor"}}\'')
        match.update(given)
    for entry in fields:
        name, equals, value = entry.partition("=")
        if not equals or not name or name in match:
            raise click.UsageError(f"{entry!r} is not FIELD=VALUE, or its field stands here twice")
        match[name] = {"glob": value} if any(mark in value for mark in "*?[") else value
    return match


def _shown(one: Silence) -> str:
    return ", ".join(
        f"{name}={value['glob'] if isinstance(value, dict) and value.keys() == {'glob'} else _plain(value)}"
        for name, value in one.match.items()
    )


def _plain(value: "JsonValue") -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _instant(text: str) -> float:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--from: {text!r} is no instant; write 2026-12-05T22:00+01:00")
    return instant.timestamp()
