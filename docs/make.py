"""Write what is made from the code (reference pages, shared parts of scripts), or with ``--check`` say what is out of step."""  # noqa: INP001 - a script

import argparse
import difflib
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from gateway.config import models
from gateway.config.document import plain, read_document
from gateway.config.messages import keys_of, models_in
from gateway.config.registries import default_registries
from gateway.config.values import RateLimit, Secret, duration, duration_text, rate, rate_text, size, size_text
from gateway.helpdesks.operations import Operation
from gateway.helpdesks.protocol import Certainty
from gateway.helpdesks.registry import HELPDESK_KINDS
from gateway.model.action import ActionKind
from gateway.model.reasons import Reason
from gateway.routing.fields import FIELD_NAMES

FOLDER = Path(__file__).resolve().parent
DEPLOY = FOLDER.parent / "deploy"
SCRIPTS = ("ticket-gateway-notify", "ticket-gateway-pipe")
"""Single files that share `deploy/shared/spool.py`."""
_SHARED_FROM = " into the scripts below\n"
_SHARED = re.compile(r"(?<=^# --- shared part: made from deploy/shared/spool\.py by docs/make\.py ---\n).*"
                     r"(?=^# --- end of the shared part ---\n)", re.MULTILINE | re.DOTALL)  # fmt: skip
MADE = "<!-- Made by docs/make.py; do not edit. -->\n\n"

INTRODUCTION = """\
# Configuration: `routes.yaml`

One file says who may send, where tickets are made, and what becomes of each event. `ticket-gateway check` tells
everything that is wrong with it, with line and column; `ticket-gateway schema` prints a JSON Schema for editors.

* The file is UTF-8, at most 1 MiB, one YAML 1.2 document: `on`, `no` and `22:22` are texts. A key that is unknown, or
  stands twice, is an error. Tags and merge keys (`<<`) are not read; anchors and aliases are.
* **Secrets** come from outside: `${env:NAME}` is an environment variable, `${env:NAME:-default}` one with a default, and
  `${file:PATH}` the content of a file without its last line break. They may be a whole value or a part of one. Write
  `$${` for a plain `${`. Secrets are masked in every message and log.
* **Durations** have a unit: `300ms`, `90s`, `5m`, `1h30m`, `3d`, `2w`. **Sizes**: `512B`, `64KiB`, `25MiB`, `1GB`.
  **Rates**: `10/s`, `60/m`, `200/h`.
* Names of files are relative to the folder of `routes.yaml`.
"""

EXAMPLES: dict[str, str] = {
    "File": "version: 1\ntemplates: templates\nunrouted: {dead_letter: true}",
    "HttpServer": 'listen: ["127.0.0.1:8025", "[::1]:8025"]\nmax_body: 25MiB\ntrusted_proxies: [192.0.2.1]',
    "Tls": "cert: /etc/ticket-gateway/cert.pem\nkey: /etc/ticket-gateway/key.pem",
    "JournalSettings": 'url: "sqlite:///data/journal.db"\nkeep: 30d\nmin_free: 1GiB',
    "Operator": 'bearer: "${env:OPERATOR_TOKEN}"',
    "Log": "format: json\nlevel: info",
    "Auth": 'bearer: "${env:NAGIOS_TOKEN}"',
    "Basic": 'user: nagios\npassword: "${file:/run/secrets/nagios}"',
    "Hmac": 'header: X-Signature\nsecrets: ["${env:SHOP_NEW}", "${env:SHOP_OLD}"]\ntolerance: 5m',
    "Limits": "concurrency: 4\nrate: 10/s\ntimeout: 30s\nsettle: 90s",
    "Route": 'name: databases\nmatch:\n  source: [nagios, zabbix]\n  host: {glob: "db-*"}\n  severity: {gte: warning}\n'
    "  not: {labels.env: [dev, test]}\nvars: {site: \"{{ event.host.split('-')[1] | upper }}\"}\n"
    "ticket: {helpdesk: osticket, template: alert}",
    "Matcher": 'glob: ["db-*", "sql-*"]',
    "Ticket": 'helpdesk: osticket\ntemplate: alert\ntitle: "[{{ event.severity }}] {{ event.host }}"\n'
    'fields:\n  priority: {from: severity, table: {critical: high, "*": normal}}',
    "Fallback": "helpdesk: osticket\nafter: 15m\nfields: {priority: 2}",
    "IncidentPolicy": "key: [host, service]\nrepeat: {append_every: 1h}\nrecover: {action: close}\nreopen_within: 3d",
    "RouteTest": "name: an alarm makes one ticket\nsteps:\n  - {at: 0s, send: {source: nagios, host: web1}, expect: {create: 1}}\n"
    "  - {at: 1h, send: {source: nagios, kind: recovery, host: web1}, expect: {close: 1}}",
    "FaultSpec": "fault: slow\nseconds: 20s\ncount: 3",
    "Drop": "reason: test systems make no tickets",
    "Unrouted": "dead_letter: true",
}

_VALUES = {duration: "duration", size: "size", rate: "rate"}
_WORDS: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Secret: "secret",
    RateLimit: "rate",
}


def words(annotation: object, metadata: list[object] | None = None) -> str:
    """A type in words."""
    for each in metadata or []:
        if isinstance(each, BeforeValidator) and each.func in _VALUES:
            return _VALUES[each.func]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return words(inner[0], list(inner[1:]))
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(words(each) for each in inner if each is not types.NoneType))
    if origin is list:
        return f"list of {words(inner[0])}"
    if origin is dict:
        value = words(inner[1])
        return "section" if value == "anything" else f"section of NAME: {value}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[section](#{annotation.__name__.lower()})"
    return _WORDS.get(annotation, "anything")


def shown_default(info: FieldInfo) -> str:
    """A default as it would be written in the file."""
    if info.is_required():
        return "**needed**"
    value = info.get_default(call_default_factory=True, validated_data={})
    validators = [each.func for each in info.metadata if isinstance(each, BeforeValidator)]
    if isinstance(value, float) and duration in validators:
        return f"`{duration_text(value)}`"
    if isinstance(value, RateLimit):
        return f"`{rate_text(value)}`"
    if isinstance(value, int) and size in validators:
        return f"`{size_text(value)}`"
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, BaseModel):
        return "as there"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "`" + ", ".join(f"{key}: {each}" for key, each in value.items()) + "`"
    return f"`{value}`"


def section(model: type[BaseModel], title: str, level: int) -> Iterator[str]:
    """One model: what it is, its keys, an example."""
    yield f'<a id="{model.__name__.lower()}"></a>\n{"#" * level} {title}\n'
    yield inspect.cleandoc(model.__doc__ or "") + "\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for key, info in keys_of(model).items():
        cells = [f"`{key}`", words(info.annotation, info.metadata), shown_default(info), info.description or ""]
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    example = EXAMPLES.get(model.__name__)
    if example:
        model.model_validate(plain(read_document(example.encode()).root))  # an example that is wrong ends the run
        yield f"\n```yaml\n{example}\n```"
    yield ""


def configuration() -> str:
    """The page about ``routes.yaml``."""
    known = default_registries()
    seen: set[type[BaseModel]] = {models.SourceSettings, models.HelpdeskSettings, models.HttpHelpdeskSettings}
    lines: list[str] = [INTRODUCTION]

    def tell(model: type[BaseModel], title: str, level: int) -> None:
        if model in seen:
            return
        seen.add(model)
        lines.extend(section(model, title, level))
        for key, info in keys_of(model).items():
            for inner in models_in(info.annotation):
                tell(inner, f"{title}.{key}" if level > 2 else key, min(level + 1, 4))

    tell(models.File, "The whole file", 2)
    lines += ["## Sources\n", "A source is served at `/in/NAME`. What it may say depends on its `kind`.\n"]
    tell(models.Auth, "auth", 3)
    for name, source in sorted(known.source_kinds.items()):
        tell(source.settings, f"`kind: {name}` ({source.title})", 3)
    lines += ["## Helpdesks\n"]
    tell(models.Limits, "limits", 3)
    for name, helpdesk in sorted(known.helpdesk_kinds.items()):
        tell(helpdesk.settings, f"`kind: {name}`", 3)
        lines += [f"Fields of a ticket (`ticket.fields`) in {name}:\n", "| field | meaning |\n|---|---|"]
        lines += [f"| `{field}` | {line} |" for field, line in helpdesk.capabilities.fields.items()]
        if helpdesk.capabilities.open_fields and "DynamicField_NAME" not in helpdesk.capabilities.fields:
            lines.append("| any other | a custom field of that name |")
        lines.append("")
    lines += ["## Matching\n", "A test is a value (equal to it), a list (equal to one of them), or a section:\n"]
    tell(models.Matcher, "Tests", 3)
    lines += ["`all: [...]`, `any: [...]` and `not: {...}` nest tests of several fields.\n", "### Fields of an event\n"]
    lines += ["| field | meaning |\n|---|---|", *(f"| `{name}` | {line} |" for name, line in FIELD_NAMES.items()), ""]
    lines += ["## Not built yet\n", "These keys are refused with a message that says so:\n"]
    lines += [f"* `{key}`: {what}" for key, what in models.NOT_BUILT_YET.items()]
    return "\n".join(lines) + "\n"


def reasons() -> str:
    """The page about reasons."""
    rows = [f"| `{reason.value}` | {reason.explain()} |" for reason in Reason]
    head = "# Reasons\n\nEvery decision that is not the plain way bears one of these words: in the log, in metrics and in\n"
    return head + "a receipt's timeline.\n\n| reason | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"


def helpdesks() -> str:
    """The capability matrix."""
    kinds = list(HELPDESK_KINDS.values())
    lines = [
        "# What each helpdesk can do",
        "",
        "Over its API, as the gateway uses it. `smtp` and `webhook` can do more where",
    ]
    lines += [
        "their settings say how: headers that close a ticket, a request for each action, a look-up, `deduplicates`,"
    ]
    lines += ["`idempotent`.", ""]
    lines += ["| | " + " | ".join(kind.name for kind in kinds) + " |", "|---|" + "---|" * len(kinds)]
    notes: list[str] = []
    for action in ActionKind:
        cells = []
        for kind in kinds:
            substitute = kind.capabilities.substitutes.get(action)
            cells.append(
                "yes" if action in kind.capabilities.actions else f"`{substitute[0].value}`" if substitute else "no"
            )
            if substitute:
                notes.append(f"* **{kind.name}, {action.value}**: {substitute[2]}")
        lines.append(f"| the gateway: {action.value} | " + " | ".join(cells) + " |")
    for what in ("a ticket is read before each follow-up", _PERSONS):
        lines.append(f"| {what} | " + " | ".join(_yes(kind.capabilities.readable) for kind in kinds) + " |")
    lines.append(
        "| a doubtful call is settled by | "
        + " | ".join(_CERTAIN[kind.capabilities.certainty] for kind in kinds)
        + " |"
    )
    lines.append("| custom fields | " + " | ".join(_yes(kind.capabilities.open_fields) for kind in kinds) + " |")
    for operation in Operation:
        cells = [_yes(operation in kind.operations) for kind in kinds]
        lines.append(f"| people: `ticket {operation.value}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "What stands in for an action that a helpdesk cannot do:", "", *notes]) + "\n"


_PERSONS = "what persons do is known: `only_if_untouched`, `closed_by_hand`, `notify`, `poll`"
_CERTAIN = {
    Certainty.IDEMPOTENT_MAIL: "a mail with the same Message-ID",
    Certainty.SAME_CALL: "the same call, which does nothing twice",
    Certainty.STRONG_LOOKUP: "looking its marker up",
    Certainty.EVENTUAL_LOOKUP: "looking its marker up, twice",
    Certainty.NONE: "`on_unknown`",
}


def _yes(value: object) -> str:
    return "yes" if value else "no"


def commands() -> str | None:
    """The page about the command line; None while there is no command line."""
    group = getattr(importlib.import_module("gateway.cli"), "cli", None)
    if not isinstance(group, click.Group):
        return None
    parts = ["# Command line\n"]

    def tell(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
        if command.hidden:
            return
        parts.append(f"## `{context.command_path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                if found is not None:
                    tell(found, inner, context)

    tell(group, "ticket-gateway", None)
    return "\n".join(parts)


def metrics() -> str | None:
    """The page about metrics; None while there are none."""
    try:
        module = importlib.import_module("gateway.observability.metrics")
    except ModuleNotFoundError as error:
        if error.name != "gateway.observability.metrics":
            raise
        return None
    lines = ["# Metrics\n", "`GET /metrics` in the Prometheus text format.\n", "| metric | type | labels | meaning |"]
    lines.append("|---|---|---|---|")
    for each in module.metric_docs():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.type} | {labels} | {each.help} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str | None]] = {
    "configuration.md": configuration,
    "reasons.md": reasons,
    "helpdesks.md": helpdesks,
    "cli.md": commands,
    "metrics.md": metrics,
}


def script(name: str) -> str:
    """A script with the shared part in it."""
    shared = (DEPLOY / "shared" / "spool.py").read_text(encoding="utf-8").partition(_SHARED_FROM)[2]
    text, number = _SHARED.subn(lambda _match: f"\n{shared.strip()}\n\n\n", (DEPLOY / name).read_text(encoding="utf-8"))
    if number != 1:
        raise SystemExit(f"deploy/{name} has lost its marks of the shared part")
    return text


def made() -> Iterator[tuple[Path, str]]:
    """Every file that is made, with what must be in it."""
    for name, make in PAGES.items():
        text = make()
        if text is not None:
            yield FOLDER / name, MADE + text
    for name in SCRIPTS:
        yield DEPLOY / name, script(name)


def out_of_step() -> list[str]:
    """A diff for every file that is not what it is made from."""
    diffs = []
    for file, wanted in made():
        name = file.name
        there = file.read_text(encoding="utf-8") if file.is_file() else ""
        if there != wanted:
            lines = difflib.unified_diff(there.splitlines(), wanted.splitlines(), name, name, lineterm="", n=0)
            diffs.append("\n".join(list(lines)[:20]))
    return diffs


def main() -> int:
    """0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of step")
    if parser.parse_args().check:
        diffs = out_of_step()
        for diff in diffs:
            sys.stderr.write(f"{diff}\n")
        if diffs:
            sys.stderr.write("These are out of step with what they are made from: run `make docs`.\n")
        return 1 if diffs else 0
    for file, text in made():
        file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file.relative_to(FOLDER.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
