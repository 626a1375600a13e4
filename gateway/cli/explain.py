"""``explain``: what would be done with a message, and why. Sends nothing."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from gateway.cli.common import config_option, fail, json_option, load_config, read_message, run, show, show_json
from gateway.cli.shapes import event_json
from gateway.config.config import Config
from gateway.helpdesks.protocol import Order
from gateway.journal.protocol import Processed
from gateway.model.action import NewAction
from gateway.model.decision import RuleTrace
from gateway.model.event import Event
from gateway.model.json import JsonObject
from gateway.model.receipt import Receipt
from gateway.processing import Facts, Routed, process, route
from gateway.ruleset import Ruleset, build_ruleset

LONGEST = 4000
"""Characters of a request that are shown; --json shows all."""


@click.command()
@click.option("--source", required=True, help="Name of the source.")
@click.option("--content-type", default="", help="Content type of the body.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request.")
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

    No incident is taken to be open before the first message; several messages are taken one after the other, so that a
    recovery can be explained after its problem.
    """
    config = load_config(config_path)
    if source not in config.sources:
        fail(f"{source!r} is no source of {config_path}; it has: {', '.join(sorted(config.sources))}")
    rules = build_ruleset(config)
    facts = Facts()
    told: list[JsonObject] = []
    for name in messages:
        receipt = _receipt(config, source, name, content_type, headers)
        settings, kind = rules.source(source), rules.kind_of(source)
        assert settings is not None
        assert kind is not None
        parsed = kind.parse(receipt, settings)
        routed = route(receipt, parsed, rules, full=True)
        processed = process(routed, facts, rules)
        if as_json:
            told.append(_as_json(name, routed, processed, rules))
        else:
            show(_as_text(name, routed, processed, rules))
    if as_json:
        show_json(told)
    sys.exit(0)


def _receipt(config: Config, source: str, name: str, content_type: str, headers: Sequence[str]) -> Receipt:
    if name == "-" or Path(name).exists():
        return read_message(name, content_type, headers, source=source, now=time.time()).as_receipt()

    async def stored() -> Receipt | None:
        from gateway.cli.access import reading  # noqa: PLC0415 - only needed for ids

        async with reading(config) as reader:
            return await reader.body(name)

    receipt = run(stored())
    if receipt is None:
        fail(f"{name!r} is neither a file nor the id of a receipt", 1)
    return receipt


def _as_text(name: str, routed: Routed, processed: Processed, rules: Ruleset) -> str:
    lines = [f"== {name}"]
    lines += [f"warning: {warning}" for warning in processed.warnings]
    for event in routed.events:
        lines += ["", *_event_lines(event.index, event.event), "", "rules"]
        for trace in event.decision.trace:
            lines += _rule_lines(trace)
        record = next(one for one in processed.events if one.index == event.index)
        lines += ["", f"becomes   {record.reason.value}: {record.reason.explain()}"]
        keys = {target.rule.route.name: target.key for target in event.targets}
        lines += [f"key       {keys[record.route]}"] if record.route in keys else []
    for change in processed.incidents:
        incident = change.incident
        lines.append(
            f"incident  {incident.state.value}, {incident.occurrences} occurrence(s), severity {incident.severity.value}, "
            f"route {incident.route}"
        )
    for action in processed.actions:
        lines += [
            "",
            f"action    {action.kind.value} in {action.helpdesk} ({action.reason.value}), marker {action.marker}",
        ]
        request = orjson.dumps(_request(action, rules), option=orjson.OPT_INDENT_2).decode()
        cut = "\n... (--json shows all)" if len(request) > LONGEST else ""
        lines += [request[:LONGEST] + cut]
    if not processed.actions:
        lines.append("action    none")
    return "\n".join([*lines, ""])


def _event_lines(index: int, event: Event) -> list[str]:
    shown = event_json(event)
    lines = [f"event {index}   {event.kind.value}: {event.title}"]
    fields = ("severity", "state", "host", "service", "origin_key", "problem_id", "occurred_at")
    lines += [f"  {name:<12}{shown[name]}" for name in fields if shown[name]]
    lines += [f"  {'labels.' + name:<12} {value}" for name, value in sorted(event.labels.items())]
    lines += [f"  attachment  {file.filename} ({file.media_type}, {file.size} octets)" for file in event.attachments]
    return lines


def _rule_lines(trace: RuleTrace) -> list[str]:
    lines = [f"  {'takes it' if trace.matched else 'passes  '}  {trace.route}"]
    lines += [
        f"      {'yes' if clause.holds else 'no '}  {clause.path}: wants {clause.expected}, saw {clause.seen}"
        for clause in trace.clauses
    ]
    return lines


def _request(action: NewAction, rules: Ruleset) -> object:
    """The request as the connector would send it, as far as it can be known before the ticket exists."""
    connector = rules.connectors[action.helpdesk]
    order = Order(
        action=action.id,
        kind=action.kind,
        marker=action.marker,
        draft=action.draft,
        ticket=None,
        queued_at=action.queued_at,
        receipt=action.cause.partition("/")[0],
        attachments=[b"x" * reference.size for reference in action.draft.attachments],
    )
    if action.kind.value != "create":
        return {
            "title": action.draft.title,
            "text": action.draft.text,
            "quiet": action.draft.quiet,
            "reopen": action.draft.reopen,
        }
    try:
        prepared: object = orjson.loads(connector.prepare(order))
    except ValueError as error:
        return {"error": str(error)}
    return prepared


def _as_json(name: str, routed: Routed, processed: Processed, rules: Ruleset) -> JsonObject:
    records = {record.index: record for record in processed.events}
    return {
        "message": name,
        "warnings": list(processed.warnings),
        "events": [
            {
                "event": event_json(event.event),
                "rules": [
                    {
                        "route": trace.route,
                        "matched": trace.matched,
                        "clauses": [
                            {"path": c.path, "expected": c.expected, "seen": c.seen, "holds": c.holds}
                            for c in trace.clauses
                        ],
                    }
                    for trace in event.decision.trace
                ],
                "route": records[event.index].route,
                "reason": records[event.index].reason.value,
                "keys": [target.key for target in event.targets],
            }
            for event in routed.events
        ],
        "actions": [
            {
                "kind": action.kind.value,
                "helpdesk": action.helpdesk,
                "marker": action.marker,
                "reason": action.reason.value,
                "request": orjson.loads(orjson.dumps(_request(action, rules))),
            }
            for action in processed.actions
        ],
    }
