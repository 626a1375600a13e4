"""What several verbs need: options, reading configurations and messages, printing."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import orjson

from gateway.config.config import Config
from gateway.config.loader import load_file
from gateway.config.problems import ConfigErrors
from gateway.model.ids import new_id
from gateway.model.receipt import NewReceipt
from gateway.observability.logs import visible

T = TypeVar("T")

USAGE = 2
"""Exit code for wrong usage and broken configuration."""


def config_option(command: Callable[..., T]) -> Callable[..., T]:
    """Adds ``--config FILE``."""
    return click.option(
        "--config",
        "-c",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("routes.yaml"),
        show_default=True,
        envvar="TICKET_GATEWAY_CONFIG",
        help="The configuration.",
    )(command)


def json_option(command: Callable[..., T]) -> Callable[..., T]:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Say what is wrong on standard error and end."""
    click.echo(f"ticket-gateway: {message}", err=True)
    sys.exit(code)


def load_config(path: Path) -> Config:
    """The configuration, or the end with all its errors on standard error."""
    try:
        return load_file(path, env=os.environ)
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(str(problem), err=True)
        fail(f"{path} has {len(errors.problems)} error(s)")


def show(text: str) -> None:
    """Print text that may hold what a sender wrote: nothing in it can move the cursor or reorder the line."""
    click.echo("\n".join(visible(line) for line in text.split("\n")))


def show_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_plain).decode())


def show_json_line(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(orjson.dumps(value, default=_plain).decode())


def _plain(value: object) -> object:
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def moment(instant: float | None) -> str:
    """An instant for people: UTC, to the second."""
    if instant is None:
        return "-"
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def run(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def run_server(work: Coroutine[None, None, T]) -> T:
    """Run a server's coroutine to its end, on the fast loop where there is one."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - only servers need it
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def headers_of(values: Sequence[str]) -> list[tuple[str, str]]:
    """``Name: value`` texts as pairs, names in lower case."""
    pairs: list[tuple[str, str]] = []
    for value in values:
        name, colon, rest = value.partition(":")
        if not colon or not name.strip():
            fail(f"--header {value!r} is not of the form 'Name: value'")
        pairs.append((name.strip().lower(), rest.strip()))
    return pairs


def read_message(file: str, content_type: str, headers: Sequence[str], *, source: str, now: float) -> NewReceipt:
    """A raw body, or a recorded request (JSON with method, path, headers, body_encoding, body), as a receipt.

    ``file`` ``-`` reads standard input. A recorded request's own content type and headers count unless options give others.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    given = headers_of(headers)
    recorded = _recorded(data)
    envelope = {"door": "cli", "method": "POST", "path": "", "query": ""}
    if recorded is not None:
        body, recorded_headers, envelope = recorded
        given = [*given, *(pair for pair in recorded_headers if pair[0] not in {name for name, _ in given})]
        data = body
    declared = content_type or next((value for name, value in given if name == "content-type"), "") or _guess(data)
    return NewReceipt(
        id=new_id(),
        source=source,
        received_at=now,
        body=data,
        content_type=declared,
        headers=tuple(pair for pair in given if pair[0] not in {"authorization", "cookie"}),
        envelope=envelope,
        peer="",
    )


def _recorded(data: bytes) -> tuple[bytes, list[tuple[str, str]], dict[str, str]] | None:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not {"method", "headers", "body", "body_encoding"} <= record.keys():
        return None
    text = record["body"]
    body = base64.b64decode(text) if record["body_encoding"] == "base64" else str(text).encode()
    headers = [(str(name).lower(), str(value)) for name, value in record["headers"]]
    envelope = {
        "door": "cli",
        "method": str(record["method"]),
        "path": str(record.get("path", "")),
        "query": str(record.get("query", "")),
    }
    return body, headers, envelope


def _guess(data: bytes) -> str:
    head = data.lstrip()[:1]
    if head in {b"{", b"["}:
        return "application/json"
    first = data.split(b"\n", 1)[0]
    return "application/x-www-form-urlencoded" if b"=" in first and b" " not in first.split(b"=")[0] else "text/plain"
