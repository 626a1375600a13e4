"""The answers of the Generic Interface, as they were recorded."""

import json
import random
from collections.abc import Mapping

from gateway.model.json import JsonObject, JsonValue
from gateway.sandbox.double import Reply

_JSON = (("Content-Type", "application/json; charset=UTF-8"),)
_PLAIN = (("Content-Type", "text/plain; charset=UTF-8"),)


class Refused(Exception):
    """An error that the operation itself tells: status 200, told by its key alone."""

    def __init__(self, operation: str, kind: str, words: str, *, prefix: bool = True) -> None:
        super().__init__(words)
        self.code = f"{operation}.{kind}"
        self.words = f"{operation}: {words}" if prefix else words


class Fault(Exception):
    """A failure inside of an operation: status 500, JSON labelled as text. What was written by then stays."""


def success(data: Mapping[str, JsonValue], draw: random.Random, *, ordered: bool) -> Reply:
    """A whole answer; OTOBO gives its keys in an order of chance, Znuny sorts them."""
    return Reply(200, dumped(dict(data), draw, ordered=ordered), _JSON)


def refusal(error: Refused, draw: random.Random, *, ordered: bool) -> Reply:
    """200 with `Error`."""
    return success({"Error": {"ErrorCode": error.code, "ErrorMessage": error.words}}, draw, ordered=ordered)


def fault(words: str, draw: random.Random) -> Reply:
    """500 with a fault."""
    return Reply(500, dumped({"faultcode": "Server", "faultstring": words}, draw, ordered=False), _PLAIN)


def sentence(words: str, status: int = 500) -> Reply:
    """A plain sentence of the transport."""
    return Reply(status, words, _PLAIN)


EMPTY = Reply(500, "")
"""The web service is unknown or switched off."""


def web_server(status: int, *headers: tuple[str, str]) -> Reply:
    """The page of a web server in front."""
    titles = {302: "302 Found", 429: "429 Too Many Requests", 503: "503 Service Temporarily Unavailable"}
    title = titles.get(status, f"{status} Gateway Time-out" if status == 504 else f"{status} Bad Gateway")
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    return Reply(status, page, (("Content-Type", "text/html"), *headers))


def dumped(data: JsonValue, draw: random.Random, *, ordered: bool) -> str:
    """JSON with the keys sorted or shuffled."""
    return json.dumps(_arranged(data, draw, ordered=ordered), ensure_ascii=False, separators=(",", ":"))


def _arranged(data: JsonValue, draw: random.Random, *, ordered: bool) -> JsonValue:
    if isinstance(data, list):
        return [_arranged(one, draw, ordered=ordered) for one in data]
    if not isinstance(data, dict):
        return data
    names = sorted(data)
    if not ordered:
        draw.shuffle(names)
    arranged: JsonObject = {name: _arranged(data[name], draw, ordered=ordered) for name in names}
    return arranged
