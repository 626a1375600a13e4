"""The settings of an OTOBO or a Znuny in ``routes.yaml``, and the routes of its web service."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from gateway.config.models import HttpHelpdeskSettings, Section, expression
from gateway.config.values import SecretText, Size


class Call(StrEnum):
    """What the web service is asked for; the names of its routes in the configuration."""

    SESSION = "session"
    CREATE = "create"
    GET = "get"
    SEARCH = "search"
    UPDATE = "update"
    HISTORY = "history"
    DELETE = "delete"


LOWER: Mapping[Call, str] = {
    Call.SESSION: "POST /session",
    Call.CREATE: "POST /ticket",
    Call.GET: "POST /ticket/get",
    Call.SEARCH: "POST /ticket/search",
    Call.UPDATE: "PATCH /ticket",
    Call.HISTORY: "POST /ticket/history",
}
"""The layout that `ticket-gateway helpdesk setup` prints: everything goes in a body."""

STOCK: Mapping[Call, str] = {
    Call.SESSION: "POST /Session",
    Call.CREATE: "POST /Ticket",
    Call.GET: "GET /Ticket/:TicketID",
    Call.SEARCH: "GET /Ticket",
    Call.UPDATE: "PATCH /Ticket/:TicketID",
    Call.HISTORY: "GET /TicketHistory/:TicketID",
}
"""The layout of `GenericTicketConnectorREST`, which both helpdesks come with. A GET cannot search a dynamic field."""

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9:_./-]*)")
_NAME = re.compile(r"[A-Za-z0-9]+")


def _base_url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no http(s) address without query; write https://HOST/otobo")
    if "nph-genericinterface" in value:
        raise ValueError(
            "leave out nph-genericinterface.pl and what follows; the web service's name goes to `webservice`"
        )
    return value


def _routes(value: dict[Call, str]) -> dict[Call, str]:
    for name, route in value.items():
        if _ROUTE.fullmatch(route) is None:
            raise ValueError(f"{name.value}: {route!r} is no route; write METHOD /path, like POST /ticket/search")
    return value


def _field_name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no name of a dynamic field, which has letters and digits only")
    return value


class OtoboAuth(Section):
    """How the helpdesk knows us: an agent of its own."""

    user: str = Field(min_length=1, description="Login of the agent. Give it `rw` on the groups of its queues.")
    password: SecretText = Field(description="Password of the agent.")
    login: Literal["session", "call"] = Field(
        default="session",
        description="`session` logs in once and again when the session ends; `call` sends the password with every call.",
    )


class WebService(HttpHelpdeskSettings):
    """What OTOBO and Znuny have in common: the Generic Interface over REST."""

    webservice: str = Field(
        default="TicketGateway",
        pattern=r"^[^/?#\s]([^/?#]*[^/?#\s])?$",
        description="Name of the web service, with its case.",
    )
    auth: OtoboAuth = Field(description="How the helpdesk knows us.")
    layout: Literal["lower", "stock"] = Field(
        default="lower",
        description="Routes of the web service: `lower` (`/ticket/search`, as `helpdesk setup` prints it) or `stock` "
        "(`GenericTicketConnectorREST`). The stock one can find a ticket only by its title.",
    )
    routes: Annotated[dict[Call, str], AfterValidator(_routes)] = Field(
        default={},
        description="Routes that differ from the layout: `{search: POST /tickets/search}`. `delete` exists only where "
        "somebody has added such an operation.",
    )
    find_by: Literal["dynamic_field", "title"] | None = Field(
        default=None,
        description="By what a ticket is found again after a doubtful call: a dynamic field, which needs a POST route "
        "for searching, or a marker in the title. Default: the field where the route allows it.",
    )
    dynamic_field: Annotated[str, AfterValidator(_field_name)] = Field(
        default="TicketGatewayID",
        description="Dynamic field (text, of tickets) that holds the marker; `helpdesk setup` prints it.",
    )
    queue: str = Field(min_length=1, description="Queue of tickets whose route names none; sub-queues as `A::B`.")
    customer: str = Field(
        min_length=1,
        description="Customer of tickets whose route names none: a login, or any mail address but at `example.*`.",
    )
    state: str = Field(default="new", description="State of a new ticket.")
    priority: str = Field(default="3 normal", description="Priority of a new ticket.")
    open_state: str = Field(default="open", description="State that a reopened ticket gets.")
    closed_state: str = Field(default="closed successful", description="State that a closed ticket gets.")
    channel: Literal["Internal", "Email", "Phone"] = Field(
        default="Internal", description="Communication channel of articles; `Email` sends nothing."
    )
    sender: Literal["agent", "system", "customer"] = Field(default="agent", description="Sender type of articles.")
    visible: bool = Field(default=False, description="Show articles to the customer.")
    auto_response: str = Field(
        default="auto reject",
        min_length=1,
        description="Type of automatic answer to ask for. With `auto reply` a queue that has one mails it for every "
        "ticket; a type that the queue has no answer for keeps it silent.",
    )
    max_body: Size = Field(
        default=100_000_000,
        ge=16_000,
        description="Largest request, as set for the web service (`MaxLength`, in bytes of the body).",
    )
    max_attachment: Size = Field(default=25 * 2**20, gt=0, description="Largest file that is sent.")

    subject_number: Annotated[str, AfterValidator(expression)] = Field(
        default=r"(?i)ticket#\s{0,2}([0-9]{4,20})",
        description="RE2 expression for a ticket's number in the subject of a mail; its first group, if it has one, is the "
        "number. It counts only for who takes part in that ticket. The default takes `[Ticket#2026112210000004]`; another "
        "`Ticket::Hook` needs another one. Empty: numbers in subjects do not count.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.limits.settle < 60 and not self.sandbox:
            raise ValueError("limits.settle: at least 60s, since the helpdesk may go on working for that long")
        if self.find_by == "dynamic_field" and not self.searches_by_body:
            raise ValueError(
                f"find_by: a dynamic field cannot be searched over {self.route(Call.SEARCH)!r}; add a POST route for "
                "TicketSearch (`routes: {search: POST /ticket/search}`), or write `find_by: title`"
            )
        in_address = [call.value for call in Call if (self.route(call) or "").startswith("GET ")]
        if self.auth.login == "call" and in_address:
            raise ValueError(
                f"auth.login: {', '.join(in_address)} go by GET, which would write the password into addresses and logs; "
                "use `login: session`, or POST routes"
            )
        return self

    @property
    def service_url(self) -> str:
        """The web service's address, to which routes are added."""
        return f"{self.url.rstrip('/')}/nph-genericinterface.pl/Webservice/{quote(self.webservice, safe='')}"

    def route(self, call: Call) -> str | None:
        """``METHOD /path`` of a call; None if the web service has none."""
        return self.routes.get(call) or (STOCK if self.layout == "stock" else LOWER).get(call)

    @property
    def searches_by_body(self) -> bool:
        """Whether a search can have nested criteria."""
        return not (self.route(Call.SEARCH) or "GET").startswith("GET")

    @property
    def finds_by(self) -> Literal["dynamic_field", "title"]:
        """By what a ticket is found again."""
        return self.find_by or ("dynamic_field" if self.searches_by_body else "title")


class OtoboSettings(WebService):
    """An OTOBO, over its Generic Interface; its ways were observed on version 11.0."""

    kind: Literal["otobo"] = Field(description="`otobo`.")
    url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="Address of the helpdesk with its prefix: `https://helpdesk.example.org/otobo`."
    )


class ZnunySettings(WebService):
    """A Znuny, over its Generic Interface; its ways were read in the source, never tried on a running one."""

    kind: Literal["znuny"] = Field(description="`znuny`.")
    url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="Address of the helpdesk with its prefix: `https://helpdesk.example.org/znuny`, before version 7 `/otrs`."
    )
