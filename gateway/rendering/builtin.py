"""Built-in texts: what a template folder may leave out, and the plain ticket when a template fails."""

import textwrap

from gateway.incidents.transition import Purpose
from gateway.model.storm import StormTable
from gateway.rendering.context import Context
from gateway.rendering.filters import cut, duration, time
from gateway.rendering.sanitise import MAX_TEXT, clean, fold

MAX_TITLE = 250

UPDATE_TEXT = """\
{{ event.title | one_line | default("News from " ~ source.name, true) }}
{% if event.text and event.text != event.title %}

{{ event.text | trim }}
{% endif %}

{{ receipt.received_at | time }}, receipt {{ receipt.id }}
"""
UPDATE_HTML = """\
<p><b>{{ event.title | one_line | default("News from " ~ source.name, true) }}</b></p>
{% if event.text and event.text != event.title %}
{{ event.text | code }}
{% endif %}
<p>{{ receipt.received_at | time }}, receipt {{ receipt.id }}</p>
"""
RECOVERY_TEXT = """\
The problem is over after {{ incident.duration | duration }}: {{ event.title | one_line }}
{% if event.text and event.text != event.title %}

{{ event.text | trim }}
{% endif %}

{{ receipt.received_at | time }}, receipt {{ receipt.id }}
"""
RECOVERY_HTML = """\
<p><b>The problem is over after {{ incident.duration | duration }}</b>: {{ event.title | one_line }}</p>
{% if event.text and event.text != event.title %}
{{ event.text | code }}
{% endif %}
<p>{{ receipt.received_at | time }}, receipt {{ receipt.id }}</p>
"""

_HEADLINES = {
    Purpose.PROBLEM: "",
    Purpose.REPEAT: "The problem is still there.",
    Purpose.NOTE: "News about the problem.",
    Purpose.RECOVERY: "The problem is over.",
    Purpose.RELAPSE: "The problem is back.",
    Purpose.WORSE: "The problem has become worse.",
    Purpose.ESCALATION: "Nobody has acknowledged the problem.",
    Purpose.JOINED: "Further alerts have joined.",
    Purpose.FLAPPING: "The problem comes and goes. Nothing more is written here until it stays or stays away.",
    Purpose.EXPIRY: "Nothing was heard of the problem for a long time.",
}


def plain_title(context: Context) -> str:
    """A title that needs no template: never empty, one line."""
    event = context.event
    subject = fold(event.title) or " on ".join(part for part in (fold(event.service), fold(event.host)) if part)
    return cut(subject or f"{event.kind.value} from {fold(context.source)}", MAX_TITLE)


def plain_body(context: Context, purpose: Purpose) -> str:
    """A ticket text that needs no template: all that is known, line by line."""
    event, incident = context.event, context.incident
    if context.storm is not None:
        return _storm_body(context.storm, purpose)
    rows = (
        ("Host", event.host),
        ("Service", event.service),
        ("State", event.state),
        ("Severity", event.severity.value),
        ("Since", _instant(incident.opened_at) if incident else ""),
        ("For", _length(context.now - incident.opened_at) if incident and purpose is Purpose.RECOVERY else ""),
        ("Seen", f"{incident.occurrences} times" if incident and incident.occurrences > 1 else ""),
        ("Sender", fold(f"{event.sender_name} {event.sender_address}")),
        ("Source", context.source),
        ("Received", _instant(context.received_at)),
        ("Receipt", context.receipt_id),
        ("Status", context.status_url),
    )
    table = "\n".join(f"{label + ':':<11}{cut(fold(value), 500)}" for label, value in rows if fold(value))
    links = "\n".join(cut(fold(f"{link.title}: {link.url}"), 2000) for link in event.links[:20])
    title = plain_title(context)
    text = clean(event.text, MAX_TEXT).strip()
    parts = (_HEADLINES[purpose], title, textwrap.indent(text, "    ") if text and text != title else "", links, table)
    return "\n\n".join(part for part in parts if part) + "\n"


_STORM_HEADLINES = {
    Purpose.RECOVERY: "All problems of this storm are over.",
    Purpose.RELAPSE: "It goes on: problems of this storm are back, or new ones have come.",
}


def _storm_body(table: StormTable, purpose: Purpose) -> str:
    """What a digest tells, in plain text: the table, line by line."""
    first = f"More than {table.limit} problems came within {duration(table.within)} ({fold(table.about)})."
    lines = [
        "  ".join(
            part
            for part in (
                row.words,
                row.severity.value,
                time(row.opened_at, format="%Y-%m-%d %H:%M:%S"),
                cut(" / ".join(part for part in (fold(row.host), fold(row.service)) if part), 200),
                cut(fold(row.title), 200),
                f"receipt {row.receipt}",
            )
            if part
        )
        for row in table.shown
    ]
    more = [f"and {table.more} more"] if table.more else []
    news = "\n".join(f"* {cut(fold(line), 500)}" for line in table.news)
    total = f"{table.open} open, {table.total - table.open} recovered"
    parts = (_STORM_HEADLINES.get(purpose, first), total, "\n".join([*lines, *more]), news)
    return "\n\n".join(part for part in parts if part) + "\n"


_FAR = 250_000_000_000
"""Seconds beyond which the calendar ends (the year 9892)."""


def _instant(value: float) -> str:
    return time(value) if 0 <= value < _FAR else ""


def _length(value: float) -> str:
    return duration(value) if 0 <= value < _FAR else ""
