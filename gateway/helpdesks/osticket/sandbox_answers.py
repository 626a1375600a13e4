"""The answers of osTicket 1.18 and of the nginx in front of it, word for word as recorded."""

import html
from collections.abc import Iterable, Mapping

from gateway.sandbox.double import Reply

_PAGE_HEADERS = (
    ("Set-Cookie", "OSTSESSID=0000sandbox0000session0000; Max-Age=1440; path=/; HttpOnly"),
    ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
    ("Cache-Control", "no-store, no-cache, must-revalidate"),
    ("Pragma", "no-cache"),
)
_HEADERS = (("Content-Type", "text/html; charset=UTF-8"), *_PAGE_HEADERS)
_FATAL_TYPE = ("Content-Type", "text/html; charset=utf-8")
_ROOT = "/path/to/osticket"
_UNABLE = "Unable to create new ticket :"


class Answered(Exception):
    """A request that is over: the reply, and the titles of its lines in the system log."""

    def __init__(self, reply: Reply, *log: str) -> None:
        """``log`` are the titles."""
        super().__init__(reply.body)
        self.reply = reply
        self.log = log


def reply(status: int, body: str) -> Reply:
    """An ordinary answer of osTicket."""
    return Reply(status, body, _HEADERS)


def refused(status: int, body: str) -> Answered:
    """A refusal that osTicket writes into its system log."""
    return Answered(reply(status, body), f"API Error ({status})")


def unable(errors: Iterable[tuple[str, str]]) -> Answered:
    """Fields that are wrong: (field or its id, sentence)."""
    return refused(500, _UNABLE + "\n".join(f"{field}\n{sentence}" for field, sentence in errors))


def denied(address: str) -> Answered:
    """Banned, filtered or unregistered."""
    sentence = "This help desk is for use by authorized users only"
    body = f"{_UNABLE}Ticket denied: {address}\n\n{sentence}"
    return Answered(reply(403, body), "Ticket denied", "API Error (403)")


def fatal(message: str, frames: Iterable[str] = (), *, session: bool = True) -> Reply:
    """How PHP dies: status 200, a page without a length; without a database there is no session either."""
    trace = "".join(f"#{index} {_ROOT}{frame}\n" for index, frame in enumerate(frames))
    body = f"<br />\n<b>Fatal error</b>:  {message}"
    if trace:
        body += f"\nStack trace:\n{trace}#{trace.count(chr(10))} {{main}}\n  thrown in <b>{_ROOT}</b><br />\n"
    return Reply(200, body, (_FATAL_TYPE, *(_PAGE_HEADERS if session else ())), chunked=True)


def type_error(function: str, argument: str, wanted: str, given: str, place: str, frames: Iterable[str]) -> Answered:
    """A value of the wrong JSON type."""
    text = f"Uncaught TypeError: {function}(): Argument #1 (${argument}) must be of type {wanted}, {given} given"
    return Answered(fatal(f"{text} in {_ROOT}/include/{place}", frames))


def message_not_text() -> Answered:
    """A message that is an object or a list."""
    return type_error(
        "substr",
        "string",
        "string",
        "array",
        "class.format.php:999",
        (
            "/include/class.format.php(999): substr()",
            "/include/class.api.php(459): Format::parseRfc2397()",
            "/include/class.api.php(445): ApiJsonDataParser::fixup()",
            "/include/class.api.php(256): ApiJsonDataParser::parse()",
            "/include/class.api.php(228): ApiController->parseRequest()",
        ),
    )


def subject_not_text() -> Answered:
    """A subject that is a list: PHP dies after the ticket row was written."""
    return type_error(
        "trim",
        "string",
        "string",
        "array",
        "class.format.php:148",
        (
            "/include/class.format.php(148): trim()",
            "/include/class.format.php(214): Format::html_balance()",
            "/include/class.format.php(365): Format::html()",
            "/include/class.format.php(380): Format::sanitize()",
        ),
    )


def attachments_not_objects(given: str) -> Answered:
    """Attachments that are not a list of objects."""
    return type_error(
        "reset",
        "array",
        "array",
        given,
        "class.api.php:468",
        (
            "/include/class.api.php(468): reset()",
            "/include/class.api.php(445): ApiJsonDataParser::fixup()",
            "/include/class.api.php(256): ApiJsonDataParser::parse()",
            "/include/class.api.php(228): ApiController->parseRequest()",
        ),
    )


def field_not_scalar(field: str) -> Answered:
    """A list where a topic id or a phone number belongs."""
    return type_error(
        "trim", field, "string", "array", "class.format.php:148", ("/include/class.format.php(148): trim()",)
    )


def out_of_memory(limit: int, wanted: int) -> Reply:
    """A request too large for PHP."""
    return fatal(
        f"Allowed memory size of {limit} bytes exhausted (tried to allocate {wanted} bytes) in"
        f" <b>{_ROOT}/include/class.format.php</b> on line <b>1022</b><br />\n"
    )


DATABASE_DOWN = fatal(
    f"Uncaught mysqli_sql_exception: Access denied, this account is locked in {_ROOT}/include/mysqli.php:69",
    (
        "/include/mysqli.php(69): mysqli-&gt;real_connect()",
        "/bootstrap.php(217): db_connect()",
        "/main.inc.php(28): Bootstrap::connect()",
        "/api/api.inc.php(32): require_once('...')",
        "/api/http.php(16): require('...')",
    ),
    session=False,
)
DATABASE_GONE = fatal(
    f"Uncaught mysqli_sql_exception: MySQL server has gone away in {_ROOT}/include/mysqli.php:211",
    (
        "/include/mysqli.php(211): mysqli-&gt;ping()",
        "/include/class.orm.php(3482): db_query()",
        "/include/class.orm.php(658): MySqlExecutor-&gt;execute()",
        "/include/class.thread.php(1803): VerySimpleModel-&gt;save()",
    ),
)

_REASONS: Mapping[int, str] = {
    302: "Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


def web_server(status: int, *headers: tuple[str, str]) -> Reply:
    """The web server's own page."""
    line = html.escape(f"{status} {_REASONS.get(status, 'Error')}")
    body = (
        f"<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n"
        "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, body, (("Content-Type", "text/html"), *headers))
