"""TicketSearch: a criterion that is not known, or comes in another shape, is dropped, and everything matches."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from gateway.helpdesks.otobo.sandbox_check import whole_number
from gateway.helpdesks.otobo.sandbox_settings import OtoboSandboxSettings
from gateway.helpdesks.otobo.sandbox_show import dynamic_values
from gateway.model.json import JsonValue
from gateway.sandbox.records import Thread, Ticket

_SORTS: Mapping[str, Callable[[Ticket], str | float]] = {
    "Age": lambda ticket: ticket.created,
    "Created": lambda ticket: ticket.created,
    "Changed": lambda ticket: ticket.updated,
    "TicketNumber": lambda ticket: ticket.number,
    "Title": lambda ticket: ticket.subject,
    "Queue": lambda ticket: ticket.department,
    "State": lambda ticket: ticket.status,
    "Priority": lambda ticket: ticket.priority,
}
_PLURALS = ("Queues", "QueueIDs", "States", "StateIDs", "Priorities", "PriorityIDs", "Types", "Services", "Locks")
_OPERATORS = frozenset(
    {"Equals", "Like", "GreaterThan", "GreaterThanEquals", "SmallerThan", "SmallerThanEquals", "Empty"}
)
_WORD = re.compile(r"[^\s,;:!?()\[\]{}<>\"']+")
_STOP_WORDS = frozenset({"the", "and", "for", "with", "that", "this", "from", "und", "der", "die", "das"})


class _Nothing(Exception):
    """A value that cannot match: the answer is empty and no error."""


def search(
    asked: Mapping[str, JsonValue],
    tickets: Sequence[Ticket],
    threads: Mapping[int, Thread],
    settings: OtoboSandboxSettings,
    now: float,
) -> list[int]:
    """Ids of the tickets that match, in order."""
    try:
        tests = _tests(asked, threads, settings, now)
        found = [ticket for ticket in tickets if all(test(ticket) for test in tests)]
        sort = str(asked.get("SortBy") or "Age")
        if sort not in _SORTS:
            return []
        up = str(asked.get("OrderBy") or "Down") == "Up"
        found.sort(key=lambda ticket: (_SORTS[sort](ticket), ticket.id), reverse=not up)
        limit = str(asked.get("Limit") or "500")
        if not whole_number(limit):
            return []
        return [ticket.id for ticket in found[: int(limit)]]
    except _Nothing:
        return []


_Test = Callable[[Ticket], bool]


def _tests(
    asked: Mapping[str, JsonValue], threads: Mapping[int, Thread], settings: OtoboSandboxSettings, now: float
) -> list[_Test]:
    tests: list[_Test] = []
    for name, pick in (("Title", _title), ("TicketNumber", _number)):
        if asked.get(name) not in (None, ""):
            tests.append(_by_pattern(pick, asked[name]))
    if asked.get("TicketID") not in (None, ""):
        wanted = set(_texts(asked["TicketID"]))
        tests.append(lambda ticket: str(ticket.id) in wanted)
    tests += [
        _by_customer(name, asked[name])
        for name in ("CustomerUserLogin", "CustomerID")
        if asked.get(name) not in (None, "")
    ]
    tests += [_plural(name, asked[name], settings) for name in _PLURALS if asked.get(name) not in (None, "", [])]
    if asked.get("StateType"):
        types = {text.lower() for text in _texts(asked["StateType"])}
        tests.append(lambda ticket: settings.states.get(ticket.status, "").lower() in types)
    for name in ("MIMEBase_Subject", "MIMEBase_Body", "MIMEBase_From", "Fulltext"):
        if asked.get(name) not in (None, ""):
            tests.append(_by_words(name, str(asked[name]), threads))
    tests += _by_time(asked, now)
    return tests + _by_dynamic_field(asked, settings)


def _by_dynamic_field(asked: Mapping[str, JsonValue], settings: OtoboSandboxSettings) -> list[_Test]:
    pairs: list[tuple[str, JsonValue]] = []
    listed = asked.get("DynamicField")
    if listed is not None:
        pairs = [
            (str(one.get("Name", "")), {n: v for n, v in one.items() if n in _OPERATORS})
            for one in (listed if isinstance(listed, list) else [listed])
            if isinstance(one, dict)
        ]
    else:
        start = "DynamicField_"
        pairs = [(name.removeprefix(start), value) for name, value in asked.items() if name.startswith(start)]
    tests: list[_Test] = []
    for name, operators in pairs:
        known = settings.dynamic_fields.get(name)
        if known is None or known.of != "Ticket" or not isinstance(operators, dict):
            continue  # dropped: everything matches
        for operator, value in operators.items():
            if operator in _OPERATORS and value != "":
                tests.append(_by_operator(name, operator, value))
    return tests


def _by_pattern(pick: Callable[[Ticket], str], value: JsonValue) -> _Test:
    patterns = [_pattern(text) for text in _texts(value)]
    return lambda ticket: any(pattern.fullmatch(pick(ticket)) for pattern in patterns)


def _by_customer(name: str, value: JsonValue) -> _Test:
    logins = {text.lower() for text in _texts(value)}
    return lambda ticket: _customer(ticket, name) in logins


def _by_operator(name: str, operator: str, value: JsonValue) -> _Test:
    return lambda ticket: _holds(dynamic_values(ticket).get(name), operator, value)


def _after(at: float, sign: int) -> _Test:
    return lambda ticket: (ticket.created - at) * sign >= 0


def _holds(there: JsonValue, operator: str, value: JsonValue) -> bool:
    """In the database's collation: without regard to case and to blanks at the end."""
    values = [_collated(one) for one in (there if isinstance(there, list) else [there]) if one is not None]
    if operator == "Empty":
        return bool(values) != (str(value) == "1")
    texts = _texts(value)
    if operator == "Equals":
        return any(_collated(text) in values for text in texts if "*" not in text)
    if operator == "Like":
        negated = texts[0].startswith("!")
        patterns = [_pattern(text.removeprefix("!")) for text in texts]
        return any(p.fullmatch(one) for p in patterns for one in values) != negated
    limit = _collated(texts[0])
    greater = operator.startswith("Greater")
    return any(
        (one > limit if greater else one < limit) or (operator.endswith("Equals") and one == limit) for one in values
    )


def _plural(name: str, value: JsonValue, settings: OtoboSandboxSettings) -> _Test:
    known: Mapping[str, tuple[list[str], Callable[[Ticket], str]]] = {
        "Queue": (list(settings.queues), lambda ticket: ticket.department),
        "State": (list(settings.states), lambda ticket: ticket.status),
        "Priorit": (list(settings.priorities), lambda ticket: ticket.priority),
        "Type": (list(settings.types), lambda ticket: ticket.topic),
        "Service": (list(settings.services_of_customers), lambda ticket: ticket.fields.get("service", "")),
        "Lock": (["unlock", "lock"], lambda ticket: ticket.fields.get("lock", "unlock")),
    }
    names, pick = next(pair for start, pair in known.items() if name.startswith(start))
    wanted: set[str] = set()
    for text in _texts(value):
        if name.endswith("IDs"):
            if not whole_number(text) or not 0 < int(text) <= len(names):
                raise _Nothing
            wanted.add(names[int(text) - 1])
        elif text.lower() in {one.lower() for one in names}:
            wanted.add(next(one for one in names if one.lower() == text.lower()))
        else:
            raise _Nothing
    return lambda ticket: pick(ticket) in wanted


def _by_words(name: str, text: str, threads: Mapping[int, Thread]) -> _Test:
    """An index of words: lower case, 3 to 30 characters, no stop words. A UUID is not in it."""
    wanted = text.lower().strip("%*")

    def matches(ticket: Ticket) -> bool:
        words: set[str] = set()
        for entry in threads[ticket.id].entries:
            texts = {
                "MIMEBase_Subject": [entry.title or ""],
                "MIMEBase_Body": [entry.body],
                "MIMEBase_From": [entry.poster],
            }.get(name, [entry.title or "", entry.body, entry.poster])
            for one in texts:
                words |= {word for word in _WORD.findall(one.lower()) if 3 <= len(word) <= 30}
        return wanted in words - _STOP_WORDS

    return matches


def _by_time(asked: Mapping[str, JsonValue], now: float) -> list[_Test]:
    tests: list[_Test] = []
    for name, sign in (("TicketCreateTimeNewer", 1), ("TicketCreateTimeOlder", -1)):
        at: float | None = None
        if asked.get(f"{name}Minutes") not in (None, ""):
            minutes = str(asked[f"{name}Minutes"])
            if not whole_number(minutes):
                raise _Nothing
            at = now - 60 * int(minutes)
        if asked.get(f"{name}Date") not in (None, ""):
            try:
                at = datetime.strptime(str(asked[f"{name}Date"]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
            except ValueError:
                raise _Nothing from None
        if at is not None:
            tests.append(_after(at, sign))
    return tests


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace("%", ".*").replace(r"\*", ".*"), re.IGNORECASE | re.DOTALL)


def _texts(value: JsonValue) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _collated(value: JsonValue) -> str:
    return str(value).rstrip(" ").lower()


def _title(ticket: Ticket) -> str:
    return ticket.subject


def _number(ticket: Ticket) -> str:
    return ticket.number


def _customer(ticket: Ticket, name: str) -> str:
    return (ticket.address if name == "CustomerUserLogin" else ticket.fields.get("customer_id", "")).lower()
