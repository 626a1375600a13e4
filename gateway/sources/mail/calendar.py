"""Calendar invitations as text that a person can read (RFC 5545, the few lines that matter)."""

import re
from typing import Final

_LINE = re.compile(r"([A-Za-z-]{1,40})((?:;[^:\"]*(?:\"[^\"]*\"[^:\"]*)*+)?):(.*)")
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z?))?")
_METHODS: Final = {
    "REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer to an invitation", "PUBLISH": "Calendar entry",
    "COUNTER": "Counter-proposal",
}  # fmt: skip
_MOST_EVENTS: Final = 10
_MOST_LINES: Final = 20_000


def describe(text: str) -> str:
    """The entries of a calendar file: what, when, where, who; the empty string if there are none."""
    lines = re.sub(r"\r?\n[ \t]", "", text[:1_000_000]).splitlines()[:_MOST_LINES]
    method, depth = "", ""
    events: list[dict[str, tuple[str, str]]] = []
    now: dict[str, tuple[str, str]] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, options, value = match[1].upper(), match[2], match[3].strip()
        if name == "METHOD":
            method = value.upper()
        elif name == "BEGIN":
            depth = value.upper()
            if depth in {"VEVENT", "VTODO"}:
                now = {}
        elif name == "END":
            if value.upper() in {"VEVENT", "VTODO"} and now:
                events.append(now)
            depth = "VEVENT" if value.upper() == "VALARM" else ""
        elif depth in {"VEVENT", "VTODO"}:
            now.setdefault(name, (options, value))
    return "\n\n".join(_entry(method, event) for event in events[:_MOST_EVENTS])


def _entry(method: str, event: dict[str, tuple[str, str]]) -> str:
    def plain(name: str) -> str:
        value = event.get(name, ("", ""))[1]
        return (
            value.replace("\\n", "\n")
            .replace("\\N", "\n")
            .replace("\\,", ",")
            .replace("\\;", ";")
            .replace("\\\\", "\\")
        )

    head = _METHODS.get(method, "Calendar entry")
    rows = [f"{head}: {plain('SUMMARY') or '(no title)'}"]
    start, end = (_stamp(event.get(name)) for name in ("DTSTART", "DTEND"))
    if start:
        rows.append(f"When: {start}" + (f" to {end}" if end else ""))
    for title, name in (("Where", "LOCATION"), ("Status", "STATUS")):
        if plain(name):
            rows.append(f"{title}: {plain(name)[:500]}")
    organiser = event.get("ORGANIZER", ("", ""))[1]
    if organiser:
        rows.append(f"Organiser: {re.sub('(?i)^mailto:', '', organiser)[:300]}")
    if plain("DESCRIPTION"):
        rows += ["", plain("DESCRIPTION")[:10_000].strip()]
    return "\n".join(rows)


def _stamp(field: tuple[str, str] | None) -> str:
    match = _STAMP.match(field[1]) if field else None
    if match is None or field is None:
        return ""
    zone = re.search(r"TZID=\"?([^;:\"]{1,60})", field[0])
    text = f"{match[1]}-{match[2]}-{match[3]}"
    if match[4]:
        text += f" {match[4]}:{match[5]}" + (" UTC" if match[7] else f" ({zone[1]})" if zone else "")
    return text
