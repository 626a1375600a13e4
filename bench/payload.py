"""The events that are sent: 700 octets of JSON, every one different."""

import orjson

SIZE = 700
MARK = 16
"""Hexadecimal digits that tell one event from all others; they stand in several fields."""
_HOLE = b"0123456789abcdef"


def pieces(hosts: str = "own") -> tuple[bytes, ...]:
    """The body, cut where the mark goes: ``mark.join(pieces)`` is a body of exactly `SIZE` octets.

    Each event is a problem of an object of its own, as the first alarms of a large failure are.
    """
    hole = _HOLE.decode()
    event = {
        "kind": "problem",
        "severity": "critical",
        "title": f"Queue {hole} is full",
        "host": f"{hosts}-{hole}",
        "service": "message queue",
        "origin_key": f"queue/{hole}",
        "labels": {"site": "FRA1", "team": "messaging", "environment": "production"},
        "text": "",
    }
    words = "The broker refuses new messages; producers wait, consumers are idle. "
    room = SIZE - len(orjson.dumps(event))
    event["text"] = (words * 20)[:room]
    body = orjson.dumps(event)
    if len(body) != SIZE:
        raise RuntimeError(f"the body has {len(body)} octets, not {SIZE}")
    return tuple(body.split(_HOLE))


def mark(run: int, number: int) -> bytes:
    """The mark of the ``number``-th event of a run."""
    return b"%08x%08x" % (run & 0xFFFFFFFF, number)
