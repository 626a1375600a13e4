"""Printing: text and JSON in which nothing that a sender wrote can move the cursor or reorder a line."""

import base64
import json

import click
import orjson


def show(text: str, *, err: bool = False) -> None:
    """Print lines of text that may hold what a sender wrote."""
    click.echo("\n".join(harmless(line) for line in text.split("\n")), err=err)


def harmless(line: str) -> str:
    r"""``line`` with every character that steers a terminal written as ``\uXXXX``."""
    if line.isascii() and line.isprintable():
        return line
    from gateway.observability.logs import visible  # noqa: PLC0415 - the log's imports are slow, and rarely needed here

    return visible(line)


def show_json(value: object) -> None:
    """Print one JSON document."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_plain).decode()
    except TypeError:  # lone surrogates, integers over 64 bits
        text = json.dumps(value, indent=2, default=_plain)
    show(text)


def show_json_line(value: object) -> None:
    """Print one JSON document on one line."""
    try:
        text = orjson.dumps(value, default=_plain).decode()
    except TypeError:  # as above
        text = json.dumps(value, default=_plain)
    show(text)


def _plain(value: object) -> object:
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def block(text: str, indent: str) -> list[str]:
    """Lines of a text, each behind ``indent``, without blank ones at the ends."""
    return [f"{indent}{line}".rstrip() for line in text.strip("\n").split("\n")]
