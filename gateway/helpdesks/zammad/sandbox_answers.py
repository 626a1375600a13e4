"""The answers of Zammad and of the web server in front of it."""

import html
import secrets

import orjson

from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Reply, Request

_JSON = (("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "max-age=0, private, must-revalidate"))
_REASONS = {
    302: "Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    502: "Bad Gateway",
    504: "Gateway Time-out",
}


class Refused(Exception):
    """A request that is over. ``masked``: its text is in the server's log only, unless an administrator asks."""

    def __init__(self, status: int, text: str, *, masked: bool = False, more: JsonObject | None = None) -> None:
        """``more`` are further keys of the body."""
        super().__init__(text)
        self.status = status
        self.text = text
        self.masked = masked
        self.more = more or {}


def ok(value: JsonValue, status: int = 200) -> Reply:
    """A good answer."""
    return Reply(status, orjson.dumps(value).decode(), _JSON)


def unprocessable(text: str) -> Refused:
    """A refusal with a text for people."""
    return Refused(422, text)


def database_error() -> Refused:
    """Every error that the database raises is a 422, and accounts that are no administrators do not see its text."""
    return Refused(422, "the database raised an error", masked=True)


def missing(what: str, number: str) -> Refused:
    """No such record."""
    return Refused(404, f"Couldn't find {what} with 'id'={number}")


def refusal(request: Request, over: Refused, *, newer: bool) -> Reply:
    """An error as JSON where the request asks for JSON, else as a page. Newer releases add keys that nobody asked for."""
    if "json" not in request.headers.get("accept", ""):
        return _page(over.status, over.text if not over.masked else "We're sorry, but something went wrong.")
    body: JsonObject = {"error": over.text, "error_human": over.text}
    if over.masked:
        body = {"error": f"Error ID {secrets.token_urlsafe(6)}: Please contact your administrator."}
    if newer and over.status == 422:
        body["unprocessable_entity"] = None
    headers = (*_JSON, ("X-Failure", over.text)) if over.status in {401, 403} else _JSON
    return Reply(over.status, orjson.dumps({**body, **over.more}).decode(), headers)


def web_server(status: int, *headers: tuple[str, str]) -> Reply:
    """The page of the web server in front."""
    line = html.escape(f"{status} {_REASONS.get(status, 'Error')}")
    body = f"<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n</body>\r\n</html>\r\n"
    return Reply(status, body, (("Content-Type", "text/html"), *headers))


def _page(status: int, text: str) -> Reply:
    body = (
        f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{html.escape(text)}</h1></body></html>\n"
    )
    return Reply(status, body, (("Content-Type", "text/html; charset=utf-8"),))
