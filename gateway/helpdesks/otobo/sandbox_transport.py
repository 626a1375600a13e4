"""How a request becomes an operation with parameters: address, route, body, query, and who outranks whom."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.helpdesks.otobo import sandbox_answers as answers
from gateway.helpdesks.otobo.sandbox_settings import OtoboSandboxSettings, WebService
from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Reply, Request

_SERVICE = re.compile(r"/nph-genericinterface\.pl/Webservice(ID)?/([^/]+)(/.*)?")
_LOWER: tuple[tuple[str, str, str], ...] = (
    ("SessionCreate", "POST PUT PATCH", "/session"),
    ("TicketCreate", "POST", "/ticket"),
    ("TicketGet", "POST", "/ticket/get"),
    ("TicketSearch", "POST", "/ticket/search"),
    ("TicketUpdate", "PATCH PUT", "/ticket"),
    ("TicketHistoryGet", "POST", "/ticket/history"),
)
_STOCK: tuple[tuple[str, str, str], ...] = (
    ("SessionCreate", "POST", "/Session"),
    ("SessionGet", "GET", "/Session/:SessionID"),
    ("TicketCreate", "POST", "/Ticket"),
    ("TicketGet", "GET", "/Ticket/:TicketID"),
    ("TicketGet", "GET", "/TicketList"),
    ("TicketSearch", "GET", "/Ticket"),
    ("TicketUpdate", "PATCH", "/Ticket/:TicketID"),
    ("TicketHistoryGet", "GET", "/TicketHistory/:TicketID"),
)
_ADDED: tuple[tuple[str, str, str], ...] = (("TicketDelete", "DELETE", "/ticket/:TicketID"),)


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation that is asked for."""

    operation: str
    parameters: JsonObject
    service: WebService


def understand(request: Request, settings: OtoboSandboxSettings, *, znuny: bool) -> Asked | Reply:
    """The operation, or the transport's own answer."""
    address = _SERVICE.fullmatch(request.path)
    service = settings.services.get(address[2]) if address is not None and not address[1] else None
    if address is None or service is None or not service.active:
        return answers.EMPTY
    route = address[3] or ""
    matched = _operation(request.method, route, service)
    if matched is None:
        return answers.sentence(f"HTTP::REST Error while determine Operation for request URI '{route}'.")
    if len(request.body) > service.max_length:
        return answers.sentence("Payload Too Large", 413)
    operation, from_path = matched
    from_query = _query(request.query)
    body: JsonObject = {}
    if request.method not in {"GET", "HEAD"} and (request.body or not (from_query or from_path)):
        read = _body(request, znuny=znuny)
        if isinstance(read, Reply):
            return read
        body = read
    return Asked(operation, {**body, **from_query, **from_path}, service)


def _operation(method: str, route: str, service: WebService) -> tuple[str, JsonObject] | None:
    routes = _STOCK if service.layout == "stock" else _LOWER
    for operation, methods, pattern in (*routes, *(_ADDED if service.deletes else ())):
        expression = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", pattern)
        match = re.fullmatch(expression, route)
        if match is not None and method in methods.split():
            found: JsonObject = {name: value for name, value in match.groupdict().items() if value}
            return operation, found
    return None


def _query(text: str) -> JsonObject:
    found: JsonObject = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        known = found.get(name)
        found[name] = value if name not in found else [*(known if isinstance(known, list) else [known]), value]
    return found


def _body(request: Request, *, znuny: bool) -> JsonObject | Reply:
    broken = answers.sentence("Error while decoding request content.")
    if request.headers.get("content-encoding", "identity") != "identity":
        return broken
    charset = re.search(r"charset=\"?([\w-]+)", request.headers.get("content-type", ""), re.IGNORECASE)
    raw = request.body.removeprefix(b"\xef\xbb\xbf") if znuny else request.body
    try:
        text = raw.decode("latin-1" if charset and charset[1].lower() in {"iso-8859-1", "latin1"} else "utf-8")
        value: JsonValue = json.loads(text) if text else ""
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return broken
    if isinstance(value, list):
        return Reply(
            500,
            '{"faultcode":"Server","faultstring":"Got Data but it is not a hash ref in Mapping handler!"}',
            (("Content-Type", "text/plain; charset=UTF-8"),),
        )
    if not isinstance(value, dict) or not value:
        return answers.sentence("Unsupported request content structure.")
    return value


def header_login(headers: Mapping[str, str]) -> JsonObject:
    """Znuny's credentials in headers, which override those of body and query."""
    names = ("UserLogin", "CustomerUserLogin", "SessionID", "Password")
    return {
        name: headers[f"x-otrs-header-{name.lower()}"] for name in names if f"x-otrs-header-{name.lower()}" in headers
    }
