"""``ticket``: what people ask of a helpdesk, over whichever API it has."""

import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from gateway.cli.common import config_option, counted, fail, json_option, load_config, run
from gateway.cli.terminal import block, show, show_json

if TYPE_CHECKING:
    from gateway.config.config import Config
    from gateway.helpdesks.operations import Done, HistoryEntry, Operator, Refusal, Ticket
    from gateway.helpdesks.protocol import Http
    from gateway.model.json import JsonValue

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


def _helpdesk_option(command: F) -> F:
    return click.option("--helpdesk", "helpdesk", metavar="NAME", help="Which; needed where there are several.")(
        command
    )


def _field_option(command: F) -> F:
    text = "A field by the helpdesk's name; may be given several times. true, false and whole numbers are read as such."
    return click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help=text)(command)


@click.group()
def ticket() -> None:
    """Work with tickets of a configured helpdesk. TICKET is a number, as people see it, or an id.

    A helpdesk that cannot do something over its API says so; the exit code is then 1.
    """


@ticket.command()
@click.argument("ticket", metavar="TICKET")
@_helpdesk_option
@config_option
@json_option
def get(ticket: str, helpdesk: str | None, config_path: Path, *, as_json: bool) -> None:
    """Show a ticket with its articles."""
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    found = desk.ask(lambda operator, http, timeout: operator.get(ticket, http, timeout=timeout))
    if as_json:
        show_json(asdict(found))
    else:
        show("\n".join(_ticket_lines(found)))


@ticket.command()
@click.argument("text", default="")
@click.option("--title", default="", help="A piece of the title.")
@click.option("--number", default="", help="The whole number.")
@click.option("--customer", default="", metavar="ADDRESS", help="The customer's mail address.")
@click.option("--open", "only_open", is_flag=True, help="Only tickets that somebody is to work on.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many.")
@_field_option
@_helpdesk_option
@config_option
@json_option
def search(
    text: str,
    title: str,
    number: str,
    customer: str,
    limit: int,
    fields: tuple[str, ...],
    helpdesk: str | None,
    config_path: Path,
    *,
    only_open: bool,
    as_json: bool,
) -> None:
    """List tickets. TEXT is searched as the helpdesk searches; the options are exact, and all must hold."""
    from gateway.helpdesks.operations import Query  # noqa: PLC0415 - keeps other verbs fast

    query = Query(text, title, number, customer, only_open, _fields(fields), limit)
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    found = desk.ask(lambda operator, http, timeout: operator.search(query, http, timeout=timeout))
    if as_json:
        show_json([asdict(one) for one in found])
        return
    for one in found:
        show(f"{one.ref.number.ljust(12)}  {one.state_name.ljust(16)}  {one.queue.ljust(16)}  {one.title}")
    show(f"{counted(len(found), 'ticket')}.")


@ticket.command()
@click.option("--title", required=True, help="Its title.")
@click.option("--text", default="", help="Its first message; `-` reads standard input.")
@_field_option
@_helpdesk_option
@config_option
@json_option
def create(
    title: str, text: str, fields: tuple[str, ...], helpdesk: str | None, config_path: Path, *, as_json: bool
) -> None:
    """Make a ticket. Fields are those of a route's `ticket.fields`."""
    from gateway.model.action import TicketDraft  # noqa: PLC0415 - keeps other verbs fast

    draft = TicketDraft(title=title, text=_text(text) or title, fields=_fields(fields))
    marker = secrets.token_hex(16)
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    desk.tell(
        desk.ask(lambda operator, http, timeout: operator.create(draft, marker, http, timeout=timeout)), "created"
    )


@ticket.command()
@click.argument("ticket", metavar="TICKET")
@click.option("--note", default="", help="Why; becomes an article. `-` reads standard input.")
@click.option("--title", default="", help="Its new title.")
@_field_option
@_helpdesk_option
@config_option
@json_option
def update(
    ticket: str,
    note: str,
    title: str,
    fields: tuple[str, ...],
    helpdesk: str | None,
    config_path: Path,
    *,
    as_json: bool,
) -> None:
    """Change fields or the title of a ticket, add a note, or all of it."""
    from gateway.helpdesks.operations import Change  # noqa: PLC0415 - keeps other verbs fast

    if not fields and not note and not title:
        raise click.UsageError("say what to change: --field NAME=VALUE, --title TEXT, --note TEXT, or several of them")
    change = Change(fields=_fields(fields), title=title, note=_text(note))
    marker = secrets.token_hex(16)
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    desk.tell(
        desk.ask(lambda operator, http, timeout: operator.update(ticket, change, marker, http, timeout=timeout)),
        "changed",
    )


@ticket.command()
@click.argument("ticket", metavar="TICKET")
@click.option("--note", default="", help="Why; becomes an article. `-` reads standard input.")
@_helpdesk_option
@config_option
@json_option
def close(ticket: str, note: str, helpdesk: str | None, config_path: Path, *, as_json: bool) -> None:
    """Close a ticket."""
    words, marker = _text(note), secrets.token_hex(16)
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    desk.tell(
        desk.ask(lambda operator, http, timeout: operator.close(ticket, words, marker, http, timeout=timeout)),
        "closed",
    )


@ticket.command()
@click.argument("ticket", metavar="TICKET")
@_helpdesk_option
@config_option
@json_option
def history(ticket: str, helpdesk: str | None, config_path: Path, *, as_json: bool) -> None:
    """Show what was done to a ticket, the oldest first."""
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    entries = desk.ask(lambda operator, http, timeout: operator.history(ticket, http, timeout=timeout))
    if as_json:
        show_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        show(_entry_line(entry))


@ticket.command()
@click.argument("ticket", metavar="TICKET")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@_helpdesk_option
@config_option
@json_option
def delete(ticket: str, helpdesk: str | None, config_path: Path, *, sure: bool, as_json: bool) -> None:
    """Delete a ticket for good, with all its articles; there is no way back. It asks first, unless `--yes` is given.

    Zammad lets only administrators do that; OTOBO and Znuny need an operation of your own (`routes.delete`).
    """
    desk = _Desk(config_path, helpdesk, as_json=as_json)
    if not sure:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("a deleted ticket does not come back; say --yes")
        click.confirm(f"Delete ticket {ticket} in {desk.name} for good?", abort=True, err=True)
    desk.tell(desk.ask(lambda operator, http, timeout: operator.delete(ticket, http, timeout=timeout)), "deleted")


# --------------------------------------------------------------------------------------------------------------- asking


class _Desk:
    """The helpdesk that was asked for, and how its answers are told."""

    def __init__(self, config_path: Path, helpdesk: str | None, *, as_json: bool) -> None:
        self._config = load_config(config_path)
        self._name = _chosen(self._config, helpdesk)
        self._as_json = as_json

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    def ask(self, work: "Callable[[Operator, Http, float], Awaitable[T | Refusal]]") -> T:
        """The answer; a refusal ends the program with exit code 1."""
        from gateway.helpdesks.http import HelpdeskHttp  # noqa: PLC0415 - keeps other verbs fast
        from gateway.helpdesks.operations import Failed, NotFound, Unsupported  # noqa: PLC0415 - as above
        from gateway.helpdesks.registry import operate  # noqa: PLC0415 - as above

        settings = self._config.helpdesks[self._name]
        operator = operate(self._name, settings)
        if operator is None:
            fail(f"helpdesks of the kind {settings.kind} have no operations for people", 1)

        async def asked() -> "T | Refusal":
            http = HelpdeskHttp(settings)
            try:
                return await work(operator, http, settings.limits.timeout)
            finally:
                await http.aclose()

        answer = run(asked())
        if isinstance(answer, Unsupported | NotFound | Failed):
            self._refused(answer)
        return answer

    def tell(self, done: "Done", what: str) -> None:
        """Say that it was done."""
        if self._as_json:
            show_json({"done": what, "ticket": asdict(done.ticket), "notes": list(done.notes)})
            return
        show(f"{what}: ticket {done.ticket.number} (id {done.ticket.id}) {done.ticket.url}".rstrip())
        for note in done.notes:
            show(f"  note: {note}")

    def _refused(self, refusal: "Refusal") -> NoReturn:
        from gateway.helpdesks.operations import NotFound, Unsupported  # noqa: PLC0415 - keeps other verbs fast

        if self._as_json:
            show_json({"refused": type(refusal).__name__.lower(), **asdict(refusal)})
            sys.exit(1)
        if isinstance(refusal, Unsupported):
            way = f"; {refusal.instead}" if refusal.instead else ""
            fail(f"{refusal.helpdesk} cannot do this ({refusal.operation.value}): {refusal.why}{way}", 1)
        if isinstance(refusal, NotFound):
            fail(f"{refusal.helpdesk} has no ticket {refusal.ticket}: {refusal.detail}", 1)
        doubt = "it is not known whether it was done; look before you repeat it: " if refusal.kind == "unknown" else ""
        fail(f"{refusal.helpdesk}: {doubt}{refusal.kind.value}: {refusal.detail}", 1)


def _chosen(config: "Config", name: str | None) -> str:
    known = ", ".join(sorted(config.helpdesks)) or "none"
    if name is None and len(config.helpdesks) == 1:
        return next(iter(config.helpdesks))
    if name is None:
        fail(f"say which helpdesk: --helpdesk NAME; {config.path} has: {known}")
    if name not in config.helpdesks:
        fail(f"{config.path} has no helpdesk {name!r}; it has: {known}")
    return name


def _fields(given: tuple[str, ...]) -> "dict[str, JsonValue]":
    fields: dict[str, JsonValue] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--field")
        fields[name.strip()] = _value(value)
    return fields


def _value(text: str) -> "JsonValue":
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and (text == "0" or text[0] != "0") else text


def _text(given: str) -> str:
    return sys.stdin.read() if given == "-" else given


# --------------------------------------------------------------------------------------------------------------- telling


def _ticket_lines(one: "Ticket") -> list[str]:
    from gateway.sources.mail.html import to_text  # noqa: PLC0415 - keeps other verbs fast

    lines = [f"{one.ref.number}  {one.title}", f"   state: {one.state_name} ({one.state.value})"]
    named = {
        "priority": one.priority,
        "queue": one.queue,
        "owner": one.owner,
        "customer": one.customer,
        "tags": ", ".join(one.tags),
        "created": one.created_at,
        "changed": one.updated_at,
        "page": one.ref.url,
        "merged into": one.merged_into,
    }
    lines += [f"   {name}: {value}" for name, value in named.items() if value]
    lines += [f"   {name}: {value}" for name, value in one.fields.items()]
    for article in one.articles:
        hidden = ", internal" if article.internal else ""
        lines += ["", f"-- {article.created_at}  {article.sender}  {article.subject}  [{article.kind}{hidden}]"]
        lines += block(to_text(article.body) if article.format == "html" else article.body, "   ")
        lines += [f"   attached: {file.filename} ({file.size} bytes)" for file in article.files]
    return lines


def _entry_line(entry: "HistoryEntry") -> str:
    change = f"  {entry.attribute}" if entry.attribute else ""
    if entry.before or entry.after:
        change += f": {entry.before or '-'} -> {entry.after or '-'}"
    return f"{entry.at}  {entry.who.ljust(24)}  {entry.what}{change}"
