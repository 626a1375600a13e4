"""Calendar invitations as text that a person can read (RFC 5545, RFC 5546; the lines that matter)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

_LINE = re.compile(r"([A-Za-z-]{1,40})((?:;[^:\"]*(?:\"[^\"]*\"[^:\"]*)*+)?):(.*)")
_PARAMETER = re.compile(r";([A-Za-z-]{1,40})=(?:\"([^\"]*)\"|([^;\"]*))")
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z?))?")
_DURATION = re.compile(r"([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:\d{1,4}S)?)?")
_ESCAPE = re.compile(r"\\([nN,;\\])")
_ORDINAL = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_METHODS: Final = {
    "REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer to an invitation", "PUBLISH": "Calendar entry",
    "COUNTER": "Counter-proposal", "ADD": "Added to a series", "REFRESH": "Question for the newest version",
    "DECLINECOUNTER": "Counter-proposal declined",
}  # fmt: skip
_ANSWERS: Final = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative", "DELEGATED": "delegated"}
_ROLES: Final = {"OPT-PARTICIPANT": "optional", "NON-PARTICIPANT": "for information"}
_DAYS: Final = {"MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday",
                "SA": "Saturday", "SU": "Sunday"}  # fmt: skip
_UNITS: Final = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year", "HOURLY": "hour"}
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                  "November", "December")  # fmt: skip
_PLACES: Final = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last", "-2": "last but one"}
_MOST_EVENTS: Final = 10
_MOST_LINES: Final = 20_000
_MOST_PEOPLE: Final = 30

_Field = tuple[dict[str, str], str]
"""The parameters and the value of one line."""
_NOTHING: Final[_Field] = ({}, "")


@dataclass(slots=True)
class _Entry:
    """One event or task: its fields, and those that stand in it more than once."""

    fields: dict[str, _Field] = field(default_factory=dict)
    attendees: list[_Field] = field(default_factory=list)
    excluded: int = 0

    def text(self, name: str) -> str:
        value = self.fields.get(name, _NOTHING)[1]
        return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def describe(text: str) -> str:
    """The entries of a calendar file: what, when, where, who; the empty string if there are none."""
    lines = re.sub(r"\r?\n[ \t]", "", text[:1_000_000]).splitlines()[:_MOST_LINES]
    method = ""
    open_: list[str] = []
    entries: list[_Entry] = []
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match[1].upper(), match[3].strip()
        if name == "BEGIN":
            open_.append(value.upper())
            del open_[:-20]
            if value.upper() in {"VEVENT", "VTODO"}:
                entries.append(_Entry())
        elif name == "END":
            if value.upper() in open_:
                del open_[open_.index(value.upper()) :]
        elif name == "METHOD":
            method = value.upper()
        elif entries and open_ and open_[-1] in {"VEVENT", "VTODO"}:
            _add(entries[-1], name, match[2], value)
    return "\n\n".join(_described(method, entry) for entry in entries[:_MOST_EVENTS] if entry.fields)


def _add(entry: _Entry, name: str, options: str, value: str) -> None:
    parameters = {key.upper(): quoted or plain for key, quoted, plain in _PARAMETER.findall(options[:2000])}
    if name == "ATTENDEE":
        entry.attendees.append((parameters, value))
    elif name == "EXDATE":
        entry.excluded += value.count(",") + 1
    else:
        entry.fields.setdefault(name, (parameters, value))


def _described(method: str, entry: _Entry) -> str:
    rows = [f"{_headline(method, entry)}: {entry.text('SUMMARY')[:500] or '(no title)'}"]
    for title, value in (
        ("When", _when(entry)),
        ("Repeats", _repeats(entry)),
        ("Where", entry.text("LOCATION")[:500]),
        ("Status", _status(method, entry)),
        ("Organiser", _person(entry.fields.get("ORGANIZER", _NOTHING))),
        ("Answer" if method == "REPLY" else "Attendees", _people(entry)),
        ("Link", entry.text("URL")[:500]),
    ):
        if value:
            rows.append(f"{title}: {' '.join(value.split())}")
    comment = "\n\n".join(entry.text(name)[:10_000].strip() for name in ("COMMENT", "DESCRIPTION") if entry.text(name))
    return "\n".join([*rows, "", comment] if comment else rows)


def _headline(method: str, entry: _Entry) -> str:
    if method == "CANCEL" or entry.text("STATUS").upper() == "CANCELLED":
        one = "one date of a series" if "RECURRENCE-ID" in entry.fields else ""
        return f"Cancelled ({one})" if one else "Cancelled"
    head = _METHODS.get(method, "Calendar entry")
    if "RECURRENCE-ID" in entry.fields:
        return f"{head} (one date of a series)"
    changed = entry.text("SEQUENCE").strip()
    return "Updated invitation" if method == "REQUEST" and changed.isdigit() and int(changed[:9]) > 0 else head


def _status(method: str, entry: _Entry) -> str:
    status = entry.text("STATUS").strip().upper()
    return "" if method == "CANCEL" or status in {"", "CONFIRMED", "CANCELLED"} else status.lower()[:100]


def _when(entry: _Entry) -> str:
    first = entry.fields.get("DTSTART") or entry.fields.get("DUE") or _NOTHING
    start, end = _STAMP.match(first[1]), _STAMP.match(entry.fields.get("DTEND", _NOTHING)[1])
    if start is None:
        return ""
    zone = _zone(first, start)
    text = _day(start) + (f" {start[4]}:{start[5]}" if start[4] else "")
    if end is None:
        length = _DURATION.fullmatch(entry.text("DURATION").strip()) if "DURATION" in entry.fields else None
        return text + zone + (f", for {_length(length)}" if length is not None and _length(length) else "")
    end_zone = _zone(entry.fields["DTEND"], end)
    if start[4] and end[4]:
        other_day = f"{_day(end)} " if start.group(1, 2, 3) != end.group(1, 2, 3) else ""
        until = f"{other_day}{end[4]}:{end[5]}"
        return f"{text} to {until}{zone}" if zone == end_zone else f"{text}{zone} to {until}{end_zone}"
    last = _before(end)  # a whole day ends where the next one begins
    return f"{text} to {last}, all day" if last and last != text else f"{text}, all day"


def _day(stamp: re.Match[str]) -> str:
    found = _date(stamp)
    written = f"{stamp[1]}-{stamp[2]}-{stamp[3]}"
    return f"{tuple(_DAYS.values())[found.weekday()][:3]} {written}" if found is not None else written


def _date(stamp: re.Match[str]) -> date | None:
    try:
        return date(int(stamp[1]), int(stamp[2]), int(stamp[3]))
    except ValueError:
        return None


def _before(stamp: re.Match[str]) -> str:
    found = _date(stamp)
    if found is None or found.toordinal() < 2:
        return ""
    day = date.fromordinal(found.toordinal() - 1)
    return f"{tuple(_DAYS.values())[day.weekday()][:3]} {day.isoformat()}"


def _zone(value: _Field, stamp: re.Match[str]) -> str:
    if not stamp[4]:
        return ""
    if stamp[7]:
        return " UTC"
    name = value[0].get("TZID", "").strip()
    if name.count("/") > 1:  # `/vendor.example/2026/Europe/Berlin`
        name = "/".join(name.rsplit("/", 2)[-2:])
    return f" ({name[:60]})" if name else ""


def _length(duration: re.Match[str]) -> str:
    parts = zip(duration.group(2, 3, 4, 5), ("week", "day", "hour", "minute"), strict=True)
    return " ".join(f"{number} {unit}{'' if number == '1' else 's'}" for number, unit in parts if number)


def _repeats(entry: _Entry) -> str:
    """A rule of repetition in words; as it is written where it says more than the words do."""
    rule = entry.fields.get("RRULE", _NOTHING)[1][:300].upper()
    if not rule:
        return ""
    parts = dict(part.split("=", 1) for part in rule.split(";") if "=" in part)
    unit = _UNITS.get(parts.pop("FREQ", ""))
    every = parts.pop("INTERVAL", "1")
    known: dict[str, Callable[[str], str]] = {
        "BYDAY": _on_days,
        "BYMONTHDAY": lambda value: f" on day {value.replace(',', ', ')} of the month",
        "BYMONTH": _in_months,
        "COUNT": lambda value: f", {value} times",
        "UNTIL": lambda value: f", until {value[:4]}-{value[4:6]}-{value[6:8]}",
    }
    parts.pop("WKST", "")
    if unit is None or not every.isdigit() or parts.keys() - known.keys():
        return rule
    text = f"every {unit}" if every == "1" else f"every {every} {unit}s"
    text += "".join(said(parts[name]) for name, said in known.items() if name in parts)
    return text + (f", except {entry.excluded} date{'s' if entry.excluded > 1 else ''}" if entry.excluded else "")


def _on_days(value: str) -> str:
    names: list[str] = []
    for day in value.split(",")[:14]:
        match = _ORDINAL.fullmatch(day)
        if match is None:
            return f" on {value}"
        place = (match[1] or "").lstrip("+")
        names.append((f"the {_PLACES.get(place, place)} " if place else "") + _DAYS[match[2]])
    return " on " + (", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0])


def _in_months(value: str) -> str:
    numbers = [int(part) for part in value.split(",") if part.isdigit()]
    return " in " + ", ".join(_MONTHS[number - 1] for number in numbers if 1 <= number <= 12)


def _people(entry: _Entry) -> str:
    said = []
    for attendee in entry.attendees[:_MOST_PEOPLE]:
        parameters = attendee[0]
        answer = _ANSWERS.get(parameters.get("PARTSTAT", "").upper(), "")
        role = _ROLES.get(parameters.get("ROLE", "").upper(), "")
        notes = ", ".join(word for word in (answer, role) if word)
        person = _person(attendee)
        if person:
            said.append(f"{person} ({notes})" if notes else person)
    more = len(entry.attendees) - _MOST_PEOPLE
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _person(value: _Field) -> str:
    address = re.sub("(?i)^mailto:", "", value[1].strip())[:300]
    name = value[0].get("CN", "").strip()[:200]
    if name and address and name.lower() != address.lower():
        return f"{name} <{address}>"
    return name or address
