"""Searches of the Zammad double: conditions go to the database, queries to an index that lags, or to SQL.

Whatever is not understood is dropped, and a search without a criterion brings the latest tickets.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.helpdesks.zammad.sandbox_answers import Refused
from gateway.helpdesks.zammad.sandbox_records import NAME, Records, attributes_of, row_of
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.records import Entry, Ticket

MOST = 200
USUAL = 50
_COLUMNS = {"id", "number", "title", "created_at", "updated_at", "state_id", "group_id", "priority_id", "customer_id"}

Test = Callable[[Ticket], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a search, whether they came as a query or in a body."""

    query: str
    condition: JsonObject
    limit: int
    page: int
    sort_by: tuple[str, ...]
    order_by: tuple[str, ...]


def asked(raw: JsonObject) -> Asked:
    """As Zammad reads them: page sizes are capped without a word, an unknown column is a server error."""
    sort_by = tuple(name.strip() for name in str(raw.get("sort_by") or "updated_at").split(","))
    if any(name not in _COLUMNS for name in sort_by):
        raise Refused(500, f"column tickets.{sort_by[0]} does not exist", masked=True)
    condition = raw.get("condition")
    return Asked(
        query=str(raw.get("query") or ""),
        condition=condition if isinstance(condition, dict) else {},
        limit=min(MOST, _number(raw.get("per_page") or raw.get("limit"), USUAL)),
        page=max(1, _number(raw.get("page"), 1)),
        sort_by=sort_by,
        order_by=tuple(name.strip() for name in str(raw.get("order_by") or "desc").split(",")),
    )


def search(records: Records, one: Asked, now: float) -> list[Ticket]:
    """The tickets of a page."""
    settings = records.settings
    tests: list[Test] = []
    if settings.conditions == "honoured":
        tests += _conditions(records, one.condition)
    if one.query:
        tests.append(_indexed(records, one.query, now) if settings.search_index else _sql(records, one.query))
    found = [ticket for ticket in records.store.tickets(NAME) if all(test(ticket) for test in tests)]
    for position in reversed(range(len(one.sort_by))):
        down = one.order_by[min(position, len(one.order_by) - 1)] != "asc"
        name = one.sort_by[position]
        found.sort(key=partial(_sortable, name=name), reverse=down)
    start = (one.page - 1) * one.limit
    return found[start : start + one.limit]


def _sortable(ticket: Ticket, name: str) -> tuple[float, str]:
    match name:
        case "created_at":
            return ticket.created, ""
        case "updated_at":
            return ticket.updated, ""
        case "title":
            return 0.0, ticket.subject
        case "number":
            return 0.0, ticket.number
        case _:
            return float(ticket.id), ""


def _conditions(records: Records, raw: JsonObject) -> list[Test]:
    """All that is understood; the rest is logged and dropped."""
    if isinstance(raw.get("conditions"), list):
        return [_nested(records, raw)] if records.settings.release == "newer" else []
    tests: list[Test] = []
    for name, rule in raw.items():
        test = _condition(records, name, rule if isinstance(rule, dict) else {})
        if test is not None:
            tests.append(test)
    return tests


def _nested(records: Records, raw: JsonObject) -> Test:
    given = raw.get("conditions")
    tests: list[Test] = []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict) and isinstance(one.get("conditions"), list):
            tests.append(_nested(records, one))
        elif isinstance(one, dict):
            test = _condition(records, str(one.get("name") or ""), one)
            if test is not None:
                tests.append(test)
    match raw.get("operator"):
        case "OR":
            return lambda ticket: any(test(ticket) for test in tests)
        case "NOT":
            return lambda ticket: not any(test(ticket) for test in tests)
        case _:
            return lambda ticket: all(test(ticket) for test in tests)


def _condition(records: Records, name: str, rule: JsonObject) -> Test | None:
    """One rule; None if it is not understood."""
    values_of = _values_of(records, name)
    compare = _operator(str(rule.get("operator") or ""), rule.get("value"))
    if values_of is None or compare is None or name in records.settings.unknown_conditions:
        return None
    return lambda ticket: compare(values_of(ticket))


def _values_of(records: Records, name: str) -> Callable[[Ticket], Sequence[str]] | None:
    table, _, column = name.partition(".")
    if table == "article":
        return _articles_of(records, column)
    if table == "customer" and column == "email":
        return lambda ticket: [ticket.address.lower()]
    if table != "ticket":
        return None
    if column == "tags":
        return lambda ticket: list(row_of(ticket).tags)
    if column in records.settings.attributes:
        return lambda ticket: [attributes_of(ticket).get(column, "")]
    if column in {"id", "number", "title", "state_id", "group_id", "priority_id", "customer_id", "owner_id"}:
        return lambda ticket: [str(records.shown(ticket, expand=False)[column])]
    return None


def _articles_of(records: Records, column: str) -> Callable[[Ticket], Sequence[str]] | None:
    if column in {"message_id", "message_id_md5"}:
        by_ticket: dict[int, list[str]] = defaultdict(list)
        for ticket, value in records.store.message_ids(NAME):
            by_ticket[ticket].append(value if column == "message_id" else _md5(value))
        return lambda ticket: by_ticket.get(ticket.id, [])
    columns: dict[str, Callable[[Entry], str]] = {
        "subject": lambda entry: entry.title or "",
        "body": lambda entry: entry.body,
    }
    take = columns.get(column)
    if take is None:
        return None
    return lambda ticket: [take(entry) for entry in records.entries(ticket.id)]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _operator(name: str, value: JsonValue) -> Callable[[Sequence[str]], bool] | None:
    wanted = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    listed = [part.strip() for one in wanted for part in one.split(",") if part.strip()]
    match name:
        case "is":
            return lambda values: any(one in wanted for one in values)
        case "is not":
            return lambda values: not any(one in wanted for one in values)
        case "contains":
            return lambda values: any(wanted[0].lower() in one.lower() for one in values)
        case "starts with one of":
            return lambda values: any(one.startswith(tuple(wanted)) for one in values)
        case "contains all":
            return lambda values: bool(listed) and all(one in values for one in listed)
        case "contains one":
            return lambda values: any(one in values for one in listed)
        case "contains all not":
            return lambda values: not all(one in values for one in listed)
        case "contains one not":
            return lambda values: not any(one in values for one in listed)
        case _:
            return None


def _sql(records: Records, query: str) -> Test:
    """The whole text as one piece, without case; `field:value` is just text."""
    piece = query.lower()

    def holds(ticket: Ticket) -> bool:
        if piece in ticket.subject.lower() or piece in ticket.number:
            return True
        return any(
            piece in text.lower()
            for entry in records.entries(ticket.id)
            for text in (entry.body, entry.poster, entry.title or "", entry.details.get("to", ""))
        )

    return holds


def _indexed(records: Records, query: str, now: float) -> Test:
    """The index knows a ticket only after a while, and takes texts apart into words."""
    words = re.findall(r"\w+", query.lower())

    def holds(ticket: Ticket) -> bool:
        if ticket.updated + records.settings.index_delay > now:
            return False
        texts = [ticket.subject, ticket.number, *attributes_of(ticket).values(), *row_of(ticket).tags]
        for entry in records.entries(ticket.id):
            texts += [entry.body, entry.title or "", entry.message_id or ""]
        known = set(re.findall(r"\w+", " ".join(texts).lower()))
        return all(word in known for word in words)

    return holds


def _number(value: JsonValue, usual: int) -> int:
    text = str(value or "")
    return int(text) if text.isdigit() and int(text) > 0 else usual
