"""Alert mails by the operator's own patterns (RE2, so that no mail can make one slow)."""

from collections.abc import Sequence
from typing import Final

import re2

from gateway.model.event import Kind
from gateway.sources.mail.alerts import Alert
from gateway.sources.mail.message import Message
from gateway.sources.mail.settings import Pattern
from gateway.sources.text import digest_key, line, names_key

_INPUT: Final = 10_000
_FIELDS: Final = frozenset({"host", "service", "state", "severity", "title", "text", "problem_id", "key"})


def matched(message: Message, patterns: Sequence[Pattern]) -> tuple[Alert, str] | None:
    """The alert of the first pattern that matches, and the text that it captured (empty: the whole)."""
    for pattern in patterns:
        groups = _groups(message, pattern)
        if groups is not None:
            return _alert(pattern, groups, message), groups.get("text", "")
    return None


def _groups(message: Message, pattern: Pattern) -> dict[str, str] | None:
    """The named groups of all expressions; None if one does not match or the pattern has none."""
    address = message.sender.address if message.sender else ""
    found: dict[str, str] = {}
    given = [
        (expression, value)
        for expression, value in (
            (pattern.from_, address),
            (pattern.subject, message.subject),
            (pattern.text, message.text),
        )
        if expression
    ]
    for expression, value in given:
        match = re2.search(expression, value[:_INPUT].encode("utf-8", "replace").decode("utf-8"))
        if match is None:
            return None
        found |= {name: text for name, text in match.groupdict().items() if text}
    return found if given else None


def _alert(pattern: Pattern, groups: dict[str, str], message: Message) -> Alert:
    host, service, state = (line(groups.get(name, ""), 500) for name in ("host", "service", "state"))
    kind = pattern.kind_of(state)
    if groups.get("key"):
        key = names_key(pattern.name, groups["key"])
    elif host or service:
        key = names_key(pattern.name, host, service)
    else:
        key = names_key(pattern.name, groups.get("problem_id") or digest_key(message.subject))
    return Alert(
        tool=pattern.name,
        kind=kind,
        key=key,
        state=state,
        severity=pattern.severity_of(groups.get("severity", ""), state),
        still_in_problem={Kind.PROBLEM: True, Kind.RECOVERY: False}.get(kind),
        host=host,
        service=service,
        title=line(groups.get("title", "")),
        problem_id=line(groups.get("problem_id", ""), 200),
        labels={name: line(text, 2000) for name, text in groups.items() if name not in _FIELDS},
    )
