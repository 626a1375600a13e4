"""Short ways to make what the tests of routing need."""

from collections.abc import Mapping

from gateway.config.models import Route, Unrouted
from gateway.model.event import Event, Kind, Severity
from gateway.model.json import JsonValue
from gateway.routing.clauses import Every
from gateway.routing.errors import RuleError
from gateway.routing.fields import Subject
from gateway.routing.matchers import Compiler
from gateway.routing.router import Router, compile_routes


def subject(
    host: str = "db-1",
    service: str = "disk",
    severity: Severity = Severity.MAJOR,
    *,
    kind: Kind = Kind.PROBLEM,
    title: str = "",
    labels: Mapping[str, str] | None = None,
    recipients: tuple[str, ...] = (),
    origin_key: str = "db-1/disk",
    peer: str = "192.0.2.7",
    source: str = "nagios-hq",
) -> Subject:
    event = Event(
        kind,
        severity,
        title,
        host=host,
        service=service,
        labels=labels or {},
        recipients=recipients,
        origin_key=origin_key,
    )
    return Subject(event, source, "nagios", peer)


def lines(path: str) -> frozenset[str]:
    if path != "hosts.txt":
        raise FileNotFoundError(2, "No such file or directory", path)
    return frozenset({"db-1", "db-2"})


def compiled(match: JsonValue) -> tuple[Every, list[RuleError]]:
    compiler = Compiler(lines, {"source": ("nagios-hq", "zabbix")})
    return compiler.match(match, ("match",)), compiler.errors


def matches(match: JsonValue, given: Subject | None = None) -> bool:
    test, errors = compiled(match)
    assert errors == []
    result = test.holds(given or subject())
    assert test.trace(given or subject(), []) is result
    return result


def router(*routes: dict[str, JsonValue], unrouted: dict[str, JsonValue] | None = None) -> Router:
    return compile_routes(
        [Route.model_validate({"name": f"r{index}", **route}) for index, route in enumerate(routes)],
        Unrouted.model_validate(unrouted or {}),
        read_lines=lines,
        sources=("nagios-hq", "zabbix"),
    )
