"""Correlation keys: canonical text built from named fields, by which events find their incident.

A key is the JSON text of a list of ``[field, value]`` pairs, source and route first, then the fields in the order of
their names, so that it reads by itself and does not depend on how a rule orders them:
``[["source","nagios-hq"],["route","databases"],["host","db-1"],["service","disk"]]``.
"""

import hashlib
from collections.abc import Sequence

import orjson

from gateway.model.event import Event
from gateway.model.reasons import Reason
from gateway.routing.fields import Subject, text_of, value_of

_OPTIONAL = frozenset({"service"})
_LONGEST = 256


def correlation_key(
    fields: Sequence[str] | None,
    subject: Subject,
    *,
    route: str,
    include_source: bool = True,
    include_route: bool = True,
    across: Sequence[str] = (),
    default_key: Sequence[str] = (),
) -> tuple[str, tuple[Reason, ...]]:
    """The correlation key of an event under a route, and why it is not the plain one.

    ``fields`` None means the key that the source's kind proves stable, ``default_key``. The sources of ``across`` share their
    keys: in theirs all of them stand in place of the one; only where a source's own key has to be used it stays the source's.

    An empty field counts as missing, and then the source's own key is used in place of the route's, with reason
    `key_field_missing`. Two kinds of field may be empty: ``service``, which an event about a whole host does not have,
    and the fields of the source's own key, which its kind has proven to be enough together. If all fields are empty
    nothing is left to tell events apart, so that counts as missing whatever the fields are.

    Where the source's own key is empty as well, the sender's own name for the thing (``origin_key``) stands in for it,
    and without that a digest of the content: two unreadable payloads must never be counted as one.
    """
    wanted = tuple(default_key if fields is None else fields)
    reasons: tuple[Reason, ...] = ()
    pairs = _pairs(wanted, subject)
    if _missing(pairs, frozenset(default_key)):
        reasons = (Reason.KEY_FIELD_MISSING,)
        pairs = _own_key(subject, default_key)
    head = []
    if subject.source in across and not reasons:
        head.append(("across", ", ".join(sorted(set(across)))))
    elif include_source:
        head.append(("source", subject.source))
    if include_route:
        head.append(("route", route))
    return orjson.dumps([*head, *((name, _short(value)) for name, value in pairs)]).decode(), reasons


def _pairs(names: Sequence[str], subject: Subject) -> list[tuple[str, str]]:
    return [(name, text_of(value_of(subject, name))) for name in sorted(set(names))]


def _missing(pairs: Sequence[tuple[str, str]], own: frozenset[str]) -> bool:
    empty = [name for name, value in pairs if not value]
    return len(empty) == len(pairs) or any(name not in _OPTIONAL and name not in own for name in empty)


def _own_key(subject: Subject, default_key: Sequence[str]) -> list[tuple[str, str]]:
    pairs = _pairs(default_key, subject)
    if any(value for _, value in pairs):
        return pairs
    if subject.event.origin_key:
        return [("origin_key", subject.event.origin_key)]
    return [("content", _digest(subject.event))]


def _digest(event: Event) -> str:
    parts = (event.kind.value, event.title, event.text, event.html, *(file.sha256 for file in event.attachments))
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _short(value: str) -> str:
    """A value that is safe in JSON and not longer than a key should be: long ones keep their start and a digest."""
    data = value.encode("utf-8", "backslashreplace")
    if len(value) <= _LONGEST:
        return value if value.isascii() else data.decode()
    return f"{data[:64].decode('utf-8', 'ignore')}…{hashlib.sha256(data).hexdigest()[:32]}"
