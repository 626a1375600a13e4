"""Messages from files: raw bodies, and recorded requests."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from gateway.cli.common import fail
from gateway.model.receipt import NewReceipt
from gateway.receive.messages import MOST, Unreadable, bounded, message_of, read_file

__all__ = ["Unreadable", "headers_of", "message_options", "read_message", "read_or_fail"]

T = TypeVar("T")


def message_options(command: Callable[..., T]) -> Callable[..., T]:
    """Adds ``--content-type`` and ``--header``."""
    header = click.option(
        "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request."
    )
    content = click.option(
        "--content-type",
        default="",
        metavar="TYPE",
        help="Content type of the body; default: that of a recorded request, or a guess.",
    )
    return content(header(command))


def read_message(file: str, content_type: str, headers: Sequence[str], *, source: str, now: float) -> NewReceipt:
    """A raw body, or a recorded request (JSON with method, path, headers, body_encoding, body), as a receipt.

    ``file`` ``-`` reads standard input. A recorded request's own content type and headers count unless options give others.

    Raises:
        Unreadable: no such file, no permission, too big.
    """
    return message_of(_read(file), content_type, headers_of(headers), source=source, now=now)


def read_or_fail(file: str, content_type: str, headers: Sequence[str], *, source: str, now: float) -> NewReceipt:
    """The same; ends the program where the file cannot be read."""
    try:
        return read_message(file, content_type, headers, source=source, now=now)
    except Unreadable as error:
        fail(str(error))


def headers_of(values: Sequence[str]) -> list[tuple[str, str]]:
    """``Name: value`` texts as pairs, names in lower case."""
    pairs: list[tuple[str, str]] = []
    for value in values:
        name, colon, rest = value.partition(":")
        if not colon or not name.strip():
            fail(f"--header {value!r} is not of the form 'Name: value'")
        pairs.append((name.strip().lower(), rest.strip()))
    return pairs


def _read(file: str) -> bytes:
    if file != "-":
        return read_file(file)
    if sys.stdin.isatty():
        click.echo("Reading the message from this terminal; end it with Ctrl-D.", err=True)
    return bounded(file, sys.stdin.buffer.read(MOST + 1))
