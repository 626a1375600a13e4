"""Times that rules may name: single windows and weekly ones, in a time zone. Pure.

A window begins at its first instant and ends before its last. Weekly times are wall clock times of their zone: on the day on
which clocks change, a time that does not exist begins when the clock has jumped over it, one that exists twice counts both times.
"""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WEEKLY = re.compile(rf"(?:({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))? )?({_CLOCK})-({_CLOCK}|24:00)", re.ASCII)
_WINDOW = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)/(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)", re.ASCII)
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Weekly:
    """On some days of the week (0 is Monday) from one minute of the day to another, which may be on the next day."""

    days: frozenset[int]
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something holds: within any of its windows (instants) or weekly times."""

    zone: zoneinfo.ZoneInfo
    windows: tuple[tuple[float, float], ...] = ()
    weekly: tuple[Weekly, ...] = ()

    def covers(self, at: float) -> bool:
        """Whether an instant lies within."""
        if any(begins <= at < ends for begins, ends in self.windows):
            return True
        if not self.weekly:
            return False
        local = datetime.fromtimestamp(at, self.zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        return any(
            (day in each.days and each.begins <= minute < each.ends)
            or ((day - 1) % 7 in each.days and minute < each.ends - _DAY)
            for each in self.weekly
        )


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """The zone.

    Raises:
        ValueError: if there is none of this name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; write one like Europe/Berlin") from None


def weekly_of(text: str) -> Weekly:
    """From ``mon-fri 08:00-18:00``, ``sat 22:00-06:00`` (until Sunday morning) or ``02:00-03:00`` (every day).

    Raises:
        ValueError: with the accepted forms.
    """
    match = _WEEKLY.fullmatch(" ".join(text.lower().split()))
    if match is None:
        raise ValueError(f"{text!r} is no weekly time; write mon-fri 08:00-18:00, sat 22:00-06:00 or 02:00-03:00")
    first, last = match[1], match[2]
    days = range(7)
    if first:
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days = range(begin, end + 1) if begin <= end else range(begin, end + 8)
    begins, ends = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (match[3], match[4]))
    if begins == ends:
        raise ValueError(f"{text!r} begins when it ends; write 00:00-24:00 for a whole day")
    return Weekly(frozenset(day % 7 for day in days), begins, ends if ends > begins else ends + _DAY)


def window_of(text: str, zone: zoneinfo.ZoneInfo) -> tuple[float, float]:
    """From ``2026-12-05T22:00/2026-12-06T04:00``, wall clock times of the zone.

    Raises:
        ValueError: with the accepted form.
    """
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no window; write 2026-12-05T22:00/2026-12-06T04:00")
    begins, ends = (datetime.fromisoformat(part).replace(tzinfo=zone) for part in match.groups())
    if ends <= begins:
        raise ValueError(f"{text!r} ends before it begins")
    return begins.timestamp(), ends.timestamp()


def schedule_of(tz: str, windows: list[str], weekly: list[str]) -> Schedule:
    """All of it.

    Raises:
        ValueError: for the first part that cannot be read.
    """
    zone = zone_of(tz)
    return Schedule(zone, tuple(window_of(text, zone) for text in windows), tuple(weekly_of(text) for text in weekly))


def shown_time(at: float, zone: zoneinfo.ZoneInfo) -> str:
    """An instant as a trace shows it: ``Sat 2026-12-05 22:10 Europe/Berlin``."""
    try:
        return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M} {zone.key}"
    except (OverflowError, OSError, ValueError):
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(0):%Y} {at:g}"
