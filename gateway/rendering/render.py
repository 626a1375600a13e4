"""From a plan, a purpose and a context to a draft that any helpdesk can take.

A draft always comes about: a part whose template fails is made by the built-in plain rendering, the failure stands in
the text, and the draft bears the reason `render_failed`. What templates print is never rendered again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from gateway.incidents.transition import Purpose
from gateway.model.action import AttachmentRef, TicketDraft
from gateway.model.json import JsonValue
from gateway.model.plan import Plan, Template
from gateway.model.reasons import Reason
from gateway.rendering.builtin import MAX_TITLE, plain_body, plain_title
from gateway.rendering.compile import place_of
from gateway.rendering.context import Context, Names, names_of, with_html
from gateway.rendering.environment import Format, RenderFailed, run
from gateway.rendering.filters import cut
from gateway.rendering.sanitise import clean, fold

ValueOf = Callable[[str], JsonValue]
"""The value of a field of the event by its name (``severity``, ``labels.env``); None if it has none."""
_SHORT = 10_000_000
"""More than any template may print: here only control characters are taken out."""


@dataclass(slots=True)
class _Run:
    """One draft in the making: its names, and the failures so far."""

    names: Names
    clock: Callable[[], float]
    failures: list[RenderFailed] = field(default_factory=list)

    def text(self, template: Template, format_: Format = "text") -> str | None:
        """The rendered text, or None if the template failed."""
        if "{" not in template.text:  # a constant; the sandbox would give the same
            return template.text
        try:
            return clean(run(format_, template.name, template.text, self.names, clock=self.clock), _SHORT)
        except RenderFailed as failed:
            self.failures.append(failed)
            return None


def draft(
    plan: Plan,
    purpose: Purpose,
    context: Context,
    *,
    value_of: ValueOf,
    attachments: tuple[AttachmentRef, ...] = (),
    quiet: bool = False,
    reopen: bool = False,
    reasons: tuple[Reason, ...] = (),
    updates: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[TicketDraft, RenderFailed | None]:
    """The draft, and the first failure of a template if there was one. Never raises.

    ``clock`` is monotonic and bounds each template's time. ``attachments`` are left out where the plan says so. ``updates``: the
    ticket's fields change, so the draft bears those that the plan has for that.
    """
    running = _Run(names_of(context, purpose.value), clock)
    running.names["vars"] = _variables(plan, running)
    spec = plan.ticket
    title = _title(running.text(spec.title), context)
    fields = _fields(plan, spec.escalated if updates else spec.fields, running, value_of)
    template = {Purpose.PROBLEM: spec.body, Purpose.RECOVERY: spec.recovery}.get(purpose, spec.update)
    running.names = with_html(running.names, context.event) if spec.format == "html" else running.names
    body = running.text(template, spec.format)
    text, html = _bodies(body, spec.format, context, purpose, running.failures)
    if running.failures:
        reasons = (*reasons, Reason.RENDER_FAILED)
    made = TicketDraft(
        title=title,
        text=text,
        html=html,
        fields=fields,
        attachments=attachments if spec.attachments else (),
        quiet=quiet,
        reopen=reopen,
        reasons=reasons,
    )
    return made, running.failures[0] if running.failures else None


def fallback(
    context: Context,
    purpose: Purpose,
    *,
    failure: RenderFailed | None = None,
    fields: Mapping[str, JsonValue] | None = None,
    attachments: tuple[AttachmentRef, ...] = (),
    quiet: bool = False,
    reopen: bool = False,
    reasons: tuple[Reason, ...] = (),
) -> TicketDraft:
    """The built-in plain draft, for where no template can be used at all. Never raises."""
    return TicketDraft(
        title=plain_title(context),
        text=plain_body(context, purpose) + (_apology([failure]) if failure else ""),
        fields=fields or {},
        attachments=attachments,
        quiet=quiet,
        reopen=reopen,
        reasons=(*reasons, Reason.RENDER_FAILED),
    )


def _title(rendered: str | None, context: Context) -> str:
    """On one line, at most 250 characters, never empty."""
    return cut(fold(rendered[: 20 * MAX_TITLE]), MAX_TITLE) if rendered and fold(rendered) else plain_title(context)


def _bodies(
    body: str | None,
    format_: Format,
    context: Context,
    purpose: Purpose,
    failures: list[RenderFailed],
) -> tuple[str, str]:
    """Text and HTML of the draft. With an HTML body the text is the plain rendering, for helpdesks without HTML."""
    apology = _apology(failures) if failures else ""
    if body is None or (not body.strip() and not apology):
        return plain_body(context, purpose) + apology, ""
    if format_ == "text":
        return body.strip("\n") + "\n" + apology, ""
    html = body.strip() + (Markup("<p><i>{}</i></p>").format(apology.strip()) if apology else "")
    return plain_body(context, purpose) + apology, str(html)


def _apology(failures: list[RenderFailed]) -> str:
    """Says in the ticket which templates failed and where."""
    return "".join(
        f"\nA ticket template failed, so a part of this text is plain: {fold(str(f))}\n" for f in failures[:5]
    )


def _variables(plan: Plan, running: _Run) -> Names:
    """The route's ``vars``: those that the match found, then its templates in their order; each may use those before."""
    known = running.names["vars"]
    variables: Names = dict(known) if isinstance(known, dict) else {}
    for name, text in plan.vars.items():
        running.names["vars"] = variables
        rendered = running.text(Template(place_of("routes.yaml", plan.route, ("vars", name)), text))
        if rendered is not None:
            variables = {**variables, name: rendered}
    return variables


def _fields(plan: Plan, wanted: Mapping[str, JsonValue], running: _Run, value_of: ValueOf) -> dict[str, JsonValue]:
    """The helpdesk's fields; one whose template failed, or whose table has no such value, is left out."""
    result: dict[str, JsonValue] = {}
    for name, value in wanted.items():
        before = len(running.failures)
        rendered, there = _field(value, ("ticket", "fields", name), plan.route, running, value_of)
        if there and len(running.failures) == before:
            result[name] = rendered
    return result


def _field(
    value: JsonValue,
    path: tuple[str | int, ...],
    route: str,
    running: _Run,
    value_of: ValueOf,
) -> tuple[JsonValue, bool]:
    """The rendered value, and whether there is one."""
    if isinstance(value, str):
        return running.text(Template(place_of("routes.yaml", route, path), value)), True
    if isinstance(value, list):
        items = [_field(item, (*path, index), route, running, value_of) for index, item in enumerate(value)]
        return [item for item, there in items if there], True
    if not isinstance(value, dict):
        return value, True
    if is_lookup(value):
        found, key = _look_up(value, value_of)
        return _field(found, (*path, "table", key), route, running, value_of) if key is not None else (None, False)
    entries = {key: _field(item, (*path, key), route, running, value_of) for key, item in value.items()}
    return {key: item for key, (item, there) in entries.items() if there}, True


def is_lookup(value: JsonValue) -> bool:
    """Whether a field's value is ``{from: FIELD, table: {...}}``."""
    return (
        isinstance(value, dict)
        and value.keys() == {"from", "table"}
        and isinstance(value["from"], str)
        and isinstance(value["table"], dict)
    )


def _look_up(value: dict[str, JsonValue], value_of: ValueOf) -> tuple[JsonValue, str | None]:
    """What the table has for the field's value, and under which key; ``*`` is for all others."""
    source, table = value["from"], value["table"]
    assert isinstance(source, str)
    assert isinstance(table, dict)
    seen = value_of(source)
    word = ("true" if seen else "false") if isinstance(seen, bool) else "" if seen is None else str(seen)
    for key in (word, "*"):
        if key in table:
            return table[key], key
    return None, None
