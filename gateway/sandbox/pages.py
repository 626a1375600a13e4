"""The sandbox's pages for people, and its JSON for programs.

No script but one small file of our own, nothing from other hosts, and HTML of tickets only after it was cleaned again:
the sandbox shows what anybody on the network may have written into an alert.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from urllib.parse import parse_qs, quote, urlsplit

import nh3
import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from gateway.model.json import JsonObject
from gateway.sandbox.double import Double
from gateway.sandbox.faults import EXPLAINED, Fault, FaultKind, parse_faults
from gateway.sandbox.records import Attachment, Entry, TicketEvent
from gateway.sandbox.sandbox import Sandbox, UnknownHelpdesk

_LISTED = 200  # tickets on the page; tickets.json has them all
_MAX_FORM = 1 << 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_SHOWN_IMAGES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"}
)  # no SVG: it runs scripts
_STYLES = {
    "color",
    "background-color",
    "font-weight",
    "font-style",
    "text-align",
    "text-decoration",
    "border",
    "padding",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size / 1024:.0f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


def _told(detail: str) -> str:
    """What happened, for people: OTOBO and Znuny keep it as values between `%%`."""
    return " · ".join(filter(None, detail.split("%%"))) if detail.startswith("%%") else detail


def _is_image(file: Attachment) -> bool:
    return file.media_type.lower() in _SHOWN_IMAGES


def shown_html(entry: Entry, root: str) -> Markup:
    """An HTML entry for our page: cleaned again, its inline images taken from here, others left out."""
    own = {file.content_id: file.id for file in entry.attachments if file.content_id}

    def source(tag: str, attribute: str, value: str) -> str | None:
        if tag == "img" and attribute == "src":
            known = own.get(value.removeprefix("cid:"))
            return None if known is None else f"{root}/attachments/{known}"
        return value

    attributes = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    attributes["*"] = {"style"}
    cleaned = nh3.clean(
        entry.body,
        attributes=attributes,
        attribute_filter=source,
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "cid"},
    )
    return Markup(cleaned)  # noqa: S704 - cleaned one line above


class _Json(Response):
    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


def _problem(status: int, title: str, detail: str) -> Response:
    body: JsonObject = {"status": status, "title": title, "detail": detail}
    return _Json(body, status_code=status, media_type="application/problem+json", headers=_HEADERS)


async def _limited(request: Request) -> bytes:
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > _MAX_FORM:
            raise ValueError("more than 1 MiB")
    return raw


async def _form(request: Request) -> dict[str, str]:
    raw = await _limited(request)
    return {name: values[-1] for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}


def _from_elsewhere(request: Request) -> bool:
    """Whether another site's page made the browser send this form."""
    origin = request.headers.get("origin")
    return bool(origin) and origin != "null" and urlsplit(origin).netloc != request.headers.get("host")


def sandbox_pages(sandbox: Sandbox) -> Router:
    """The pages and the JSON addresses, below wherever ``root_path`` says they are."""
    return _Pages(sandbox).router()


class _Pages:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._templates = Environment(
            loader=PackageLoader("gateway.sandbox", "pages"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters.update(when=_when, size=_size, told=_told, quote=lambda text: quote(text, safe=""))
        self._templates.tests["image"] = _is_image

    def router(self) -> Router:
        return Router(
            [
                Route("/", self.home),
                Route("/list", self.listed),
                Route("/tickets.json", self.tickets_json),
                Route("/tickets/{ticket:int}", self.ticket),
                Route("/tickets/number/{helpdesk}/{number}", self.ticket_by_number),
                Route("/tickets/{ticket:int}/{action}", self.act, methods=["POST"]),
                Route("/attachments/{attachment:int}", self.attachment),
                Route("/log", self.log),
                Route("/faults", self.get_faults, methods=["GET"]),
                Route("/faults", self.put_faults, methods=["PUT"]),
                Route("/faults", self.delete_faults, methods=["DELETE"]),
                Route("/switch/{helpdesk}", self.switch, methods=["POST"]),
                Route("/settings", self.get_settings, methods=["GET"]),
                Route("/settings", self.put_settings, methods=["PUT"]),
                Route("/style.css", self.static("style.css", "text/css")),
                Route("/refresh.js", self.static("refresh.js", "text/javascript")),
            ]
        )

    def static(self, name: str, media_type: str) -> Endpoint:
        text = files("gateway.sandbox").joinpath("pages", name).read_text("utf-8")

        async def serve(_request: Request) -> Response:
            return Response(text, media_type=media_type, headers={**_HEADERS, "Cache-Control": "max-age=60"})

        return serve

    def page(self, request: Request, name: str, **values: object) -> Response:
        root = str(request.scope.get("root_path", ""))
        html = self._templates.get_template(name).render(root=root, doubles=self._sandbox.doubles, **values)
        return HTMLResponse(html, headers=_HEADERS)

    # Pages

    async def home(self, request: Request) -> Response:
        host = request.headers.get("host", "127.0.0.1")
        return self.page(
            request,
            "home.html",
            tickets=self._sandbox.store.tickets(limit=_LISTED),
            total=self._sandbox.store.count(),
            kinds=EXPLAINED,
            host=re.sub(r"[^\w.:\[\]-]", "", host),
            scheme=request.url.scheme,
        )

    async def listed(self, request: Request) -> Response:
        store = self._sandbox.store
        version = f'"{store.version()}"'
        if request.headers.get("if-none-match") == version:
            return Response(status_code=304)
        answer = self.page(request, "list.html", tickets=store.tickets(limit=_LISTED), total=store.count())
        answer.headers["ETag"] = version
        return answer

    async def ticket_by_number(self, request: Request) -> Response:
        """The ticket's page under the number that people and the gateway know."""
        found = self._sandbox.store.by_number(request.path_params["helpdesk"], request.path_params["number"])
        if found is None:
            return self.page_not_found(request)
        root = str(request.scope.get("root_path", ""))
        return Response(status_code=303, headers={"Location": f"{root}/tickets/{found.id}"})

    async def ticket(self, request: Request) -> Response:
        ticket = self._sandbox.store.ticket(request.path_params["ticket"])
        if ticket is None:
            return self.page_not_found(request)
        root = str(request.scope.get("root_path", ""))
        thread = self._sandbox.store.threads([ticket.id])[ticket.id]
        timeline: list[Entry | TicketEvent] = [*thread.events, *thread.entries]
        timeline.sort(key=lambda item: item.created)
        return self.page(
            request,
            "ticket.html",
            ticket=ticket,
            timeline=timeline,
            mails=thread.mails,
            is_entry=lambda item: isinstance(item, Entry),
            shown_html=lambda entry: shown_html(entry, root),
            actions=self._sandbox.doubles[ticket.helpdesk].actions,
        )

    def page_not_found(self, request: Request) -> Response:
        answer = self.page(request, "missing.html")
        answer.status_code = 404
        return answer

    async def log(self, request: Request) -> Response:
        return self.page(request, "log.html", lines=self._sandbox.store.system_log())

    async def attachment(self, request: Request) -> Response:
        found = self._sandbox.store.content(request.path_params["attachment"])
        if found is None:
            return self.page_not_found(request)
        file, data = found
        way = "inline" if _is_image(file) else "attachment"
        headers = {
            **_HEADERS,
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": f"{way}; filename*=UTF-8''{quote(file.filename, safe='')}",
        }
        media_type = file.media_type.lower() if _is_image(file) else "application/octet-stream"
        return Response(data, media_type=media_type, headers=headers)

    # Buttons

    async def act(self, request: Request) -> Response:
        if _from_elsewhere(request):
            return _problem(403, "Forbidden", "this form came from another site")
        root = str(request.scope.get("root_path", ""))
        number, action = request.path_params["ticket"], request.path_params["action"]
        ticket = self._sandbox.store.ticket(number)
        if ticket is None or not self._sandbox.doubles[ticket.helpdesk].act(number, action):
            return self.page_not_found(request)
        gone = self._sandbox.store.ticket(number) is None
        return RedirectResponse(f"{root}/" if gone else f"{root}/tickets/{number}", status_code=303)

    async def switch(self, request: Request) -> Response:
        double = self._sandbox.doubles.get(request.path_params["helpdesk"])
        if double is None:
            return self.page_not_found(request)
        if _from_elsewhere(request):
            return _problem(403, "Forbidden", "this form came from another site")
        try:
            _switch(double, await _form(request))
        except (ValidationError, ValueError) as error:
            return _problem(422, "Not a fault switch", _first_line(error))
        return RedirectResponse(f"{request.scope.get('root_path', '')}/", status_code=303)

    # JSON

    async def tickets_json(self, request: Request) -> Response:
        helpdesk, limit = request.query_params.get("helpdesk", ""), request.query_params.get("limit", "-1")
        if not re.fullmatch(r"-1|\d{1,9}", limit):
            return _problem(400, "Bad limit", "limit must be a whole number")
        return _Json(self._sandbox.tickets(helpdesk, int(limit)), headers=_HEADERS)

    async def get_faults(self, _request: Request) -> Response:
        return _Json(self._sandbox.described_faults(), headers=_HEADERS)

    async def put_faults(self, request: Request) -> Response:
        try:
            self._sandbox.set_faults(parse_faults(await _limited(request)))
        except (ValidationError, ValueError, UnknownHelpdesk) as error:
            return _problem(422, "Not a set of faults", _first_line(error))
        return _Json(self._sandbox.described_faults(), headers=_HEADERS)

    async def delete_faults(self, _request: Request) -> Response:
        self._sandbox.clear_faults()
        return Response(status_code=204)

    async def get_settings(self, _request: Request) -> Response:
        return _Json(self._sandbox.described_settings(), headers=_HEADERS)

    async def put_settings(self, request: Request) -> Response:
        try:
            changes = orjson.loads(await _limited(request))
            if not isinstance(changes, dict):
                return _problem(422, "Not a set of settings", 'expected {"osticket": {…}}')
            self._sandbox.change_settings(changes)
        except (ValidationError, ValueError, UnknownHelpdesk) as error:
            return _problem(422, "Not a set of settings", _first_line(error))
        return _Json(self._sandbox.described_settings(), headers=_HEADERS)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _switch(double: Double, form: dict[str, str]) -> None:
    """Add one fault to those that can still hit, or switch all of them off."""
    if form.get("fault") == "off":
        double.faults.replace(())
        return
    text = {name: form[name] for name in ("match", "at") if form.get(name)}
    numbers = {name: float(form[name]) for name in ("seconds", "probability") if form.get(name)}
    whole = {name: int(form[name]) for name in ("count", "status", "seed") if form.get(name)}
    added = Fault.model_validate({"fault": FaultKind(form.get("fault", "")), **text, **numbers, **whole})
    kept = [fault.model_copy(update={"count": left}) for fault, left, _ in double.faults.active]
    double.faults.replace([*kept, added])
