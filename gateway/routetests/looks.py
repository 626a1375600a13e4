"""What an expectation says of an action's fields: values, lists and tests, written much as in ``match``. Pure."""

from collections.abc import Callable, Mapping

from gateway.model.json import JsonValue
from gateway.routing import predicates
from gateway.routing.errors import did_you_mean
from gateway.routing.fields import Value

Test = Callable[[JsonValue], bool]

WORDS_OF = frozenset({"title", "body", "request"})
"""Fields of which an expectation names a part: a plain text is looked for in them."""
ALWAYS: Mapping[str, str] = {
    "helpdesk": "name of the helpdesk",
    "route": "name of the route",
    "title": "part of the title",
    "body": "part of the text",
    "request": "part of what is sent to the helpdesk, without secrets",
    "quiet": "whether nobody is told",
    "reason": "a reason that it bears",
    "attachments": "names of its files",
    **dict.fromkeys(("state", "status"), "state of the ticket afterwards, in the helpdesk's words"),
    **dict.fromkeys(("group", "queue", "department"), "where the ticket is"),
    **dict.fromkeys(("customer", "requester", "email"), "whose the ticket is"),
    **dict.fromkeys(("owner", "assignee"), "which agent has it"),
    "priority": "its priority",
    "topic": "its topic",
    "number": "its number",
}
"""What can be expected of every action, whatever its helpdesk."""
TESTS = ("contains", "eq", "exists", "glob", "in", "not", "re")


def look(field: str, wanted: JsonValue) -> Test:
    """The test of a field's value.

    Raises:
        ValueError: it makes no sense; with a sentence and, behind ``; ``, the way out.
    """
    if isinstance(wanted, dict):
        if not wanted:
            raise ValueError('names no test; write {contains: "disk"}')
        tests = [_named(field, name, value) for name, value in wanted.items()]
        return lambda seen: all(test(seen) for test in tests)
    if isinstance(wanted, list):
        texts = {_text(item) for item in wanted}
        if field in {"reason", *WORDS_OF}:
            parts = [look(field, item) for item in wanted]
            return lambda seen: all(part(seen) for part in parts)
        return lambda seen: texts == {_text(item) for item in (seen if isinstance(seen, list) else [seen])}
    if wanted is None:
        return lambda seen: seen in (None, "", [])
    if field in WORDS_OF:
        return _of_value(predicates.each(lambda text: _text(wanted) in text))
    return _of_value(predicates.equal_to([wanted]))


def _named(field: str, name: str, value: JsonValue) -> Test:
    match name:
        case "not":
            inner = look(field, value)
            return lambda seen: not inner(seen)
        case "exists" if isinstance(value, bool):
            return _of_value(predicates.exists(value))
        case "eq" | "in":
            items = value if isinstance(value, list) else [value]
            return _of_value(predicates.equal_to([item for item in items if isinstance(item, str | int | float)]))
        case "contains" | "glob":
            texts = [_text(item) for item in (value if isinstance(value, list) else [value])]
            return _of_value(predicates.contains(texts) if name == "contains" else predicates.glob(texts))
        case "re" if isinstance(value, str):
            return _of_value(predicates.each(predicates.Regex(value).found))
    if name in TESTS:
        raise ValueError(f"'{name}' does not take such a value")
    raise ValueError(f"there is no test '{name}'; {did_you_mean(name, TESTS) or 'there are ' + ', '.join(TESTS)}")


def _of_value(test: predicates.Test) -> Test:
    return lambda seen: test(_value(seen))


def _value(seen: JsonValue) -> Value:
    if isinstance(seen, list):
        return tuple(_text(item) for item in seen)
    return seen if not isinstance(seen, dict) else _text(seen)


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
