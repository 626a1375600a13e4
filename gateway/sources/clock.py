"""Times as senders write them, and only where their zone is certain."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.model.reasons import Reason

_LATEST = 32503680000.0  # the year 3000; a larger number of seconds is milliseconds or worse


def from_number(value: float) -> float | None:
    """Seconds since the epoch from seconds, milliseconds, microseconds or nanoseconds; None if it is no such time."""
    if not math.isfinite(value) or value <= 0:
        return None
    for _ in range(4):
        if value < _LATEST:
            return value
        value /= 1000
    return None


def from_text(text: str, zone: str) -> tuple[float | None, tuple[str, ...]]:
    """Seconds since the epoch from ISO 8601 or from a number, and the reason if there is a time but no zone.

    ``zone`` is the source's own zone (``Europe/Berlin``), for times that bear none.
    """
    text = text.strip()
    if not text or len(text) > 64:
        return None, ()
    try:
        return from_number(float(text)), ()
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, ()
    return in_zone(moment, zone)


def in_zone(moment: datetime, zone: str) -> tuple[float | None, tuple[str, ...]]:
    """The instant of a moment, with the source's zone if it bears none of its own."""
    if moment.tzinfo is None:
        if not zone:
            return None, (Reason.TIME_WITHOUT_ZONE.value,)
        try:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None, (Reason.TIME_WITHOUT_ZONE.value,)
    try:
        return moment.timestamp(), ()
    except (OverflowError, ValueError):  # year 1 or 9999 beside the edge of the calendar
        return None, ()
