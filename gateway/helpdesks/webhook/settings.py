"""The settings of a helpdesk with an HTTP API of its own."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from gateway.config.models import HttpHelpdeskSettings, Section
from gateway.config.values import Duration, SecretText, Size
from gateway.helpdesks.webhook import templates
from gateway.model.action import ActionKind

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,76}")
_PATH = re.compile(r"[^\s.]+(\.[^\s.]+)*")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "accept-encoding"})


def _url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no http(s) address without query; write https://HOST/api")
    return value


def _header(name: str) -> str:
    if name and _HEADER.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a header; write one like X-Api-Key")
    if name.lower() in _OURS:
        raise ValueError(f"the gateway makes the header {name} itself; leave it out")
    return name


def _header_names(value: dict[str, SecretText]) -> dict[str, SecretText]:
    for name, secret in value.items():
        _header(name)
        if not secret.reveal().isascii():
            raise ValueError(f"the value of {name} is not ASCII")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        _header(name)
        for fault in templates.check_text(text, name):
            raise ValueError(f"{name}: {fault.message}")
    return value


def _address(value: str) -> str:
    for fault in templates.check_address(value, "url"):
        raise ValueError(f"{value!r}: {fault.message}")
    return value


def _tree(value: JsonValue) -> JsonValue:
    for fault in templates.check_tree(value, "body"):
        raise ValueError(f"{fault.place}: {fault.message}")
    return value


def _path(value: str) -> str:
    if value and _PATH.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no path; write names and numbers with dots between: data.0.id")
    return value


def _statuses(value: list[int]) -> list[int]:
    for one in value:
        if not 200 <= one <= 599:
            raise ValueError(f"{one} is no status of an answer; write one from 200 to 599")
    return value


Header = Annotated[str, AfterValidator(_header)]
SecretHeaders = Annotated[dict[str, SecretText], AfterValidator(_header_names)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Address = Annotated[str, AfterValidator(_address)]
Tree = Annotated[JsonValue, AfterValidator(_tree)]
Path = Annotated[str, AfterValidator(_path)]
Statuses = Annotated[list[int], AfterValidator(_statuses)]

_WORDS = re.compile(r"\{\{[^{}]*\b(?:text|html)\b")
"""A place in a body where what people read is put."""


class WebhookBasic(Section):
    """User and password."""

    user: str = Field(min_length=1, description="Name of the account.")
    password: SecretText = Field(description="Its password, or the token that stands in its place.")


class WebhookHmac(Section):
    """A signature over the body, by which the API knows that it is ours and whole."""

    header: Header = Field(min_length=1, description="Header that bears it, in hex.")
    secret: SecretText = Field(description="The secret that both sides know.")
    algorithm: Literal["sha256", "sha512"] = Field(default="sha256", description="Hash of the HMAC.")
    prefix: str = Field(default="sha256=", pattern=r"^[!-~]{0,20}$", description="What stands before the signature.")
    timestamp_header: Header = Field(
        default="",
        description="Header with the instant of sending (seconds since the epoch). If it is named, `TIMESTAMP.BODY` is signed.",
    )


class WebhookLogin(Section):
    """A call that gives a token for all other calls, where the API wants one. It is made when it is needed."""

    method: Literal["GET", "POST"] = Field(default="POST", description="How it is called.")
    url: str = Field(description="Where: a path below the help desk's `url`, or a whole https address.")
    headers: SecretHeaders = Field(default={}, description="Headers of this call only.")
    form: dict[str, SecretText] = Field(
        default={}, description="Fields of a form (OAuth: `grant_type`, `client_id` ...)."
    )
    token: Path = Field(min_length=1, description="Path of the token in the answer.")
    header: Header = Field(
        default="Authorization", min_length=1, description="Header that bears the token from then on."
    )
    prefix: str = Field(default="", description="What stands before it there (`Bearer `).")
    lasts: Duration = Field(
        default=1800.0,
        ge=10,
        description="So long it is used; a call that is refused with 401 asks for a new one before.",
    )

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if not self.url.startswith("/") and not self.url.startswith("https://"):
            raise ValueError("url: write a path such as /initSession, or a whole https address")
        return self


class WebhookAuth(Section):
    """How the API knows us. All that is given is sent."""

    bearer: SecretText | None = Field(default=None, description="Token in `Authorization: Bearer`.")
    basic: WebhookBasic | None = Field(default=None, description="HTTP basic authentication.")
    headers: SecretHeaders = Field(
        default={}, description="Headers with keys (`X-Api-Key`, `Authorization: token ...`)."
    )
    query: dict[str, SecretText] = Field(
        default={}, description="Parameters with keys, where the API can nothing better: addresses stand in many logs."
    )
    hmac: WebhookHmac | None = Field(default=None, description="A signature over the body.")
    login: WebhookLogin | None = Field(default=None, description="A call that gives a token for the others.")


class WebhookAnswer(Section):
    """Where the answer names the ticket."""

    id: Path = Field(default="", description="Its id. Empty: the API names none; the action's marker stands for it.")
    number: Path = Field(default="", description="The number that people know; default: the id.")
    url: Path = Field(default="", description="Its page; default: what `ticket_url` makes of number and id.")


class WebhookSuccess(Section):
    """Which answers say that it was done."""

    statuses: Statuses = Field(default=[], description="Statuses; default: all from 200 to 299.")
    has: Path = Field(default="", description="A path that must be there, with something in it.")
    lacks: Path = Field(
        default="",
        description="A path that must not be there (`error`), for APIs that answer errors with 200. Such an answer is a refusal: "
        "name it only where it says that nothing was done.",
    )


class WebhookLookUp(Section):
    """A request that finds what was made by its marker, where nobody heard the answer."""

    method: Literal["GET", "POST"] = Field(default="GET", description="How it is called.")
    url: Address = Field(description="Path with query; a template that names `marker`.")
    body: Tree = Field(default=None, description="JSON of a POST; a tree of templates.")
    hits: Path = Field(default="", description="Path of the list of hits; default: the answer itself.")
    marker: Path = Field(
        min_length=1, description="Path, in a hit, of what bears the marker. Only a hit that bears it is ours."
    )
    id: Path = Field(default="id", min_length=1, description="Path of the ticket's id in a hit.")
    number: Path = Field(default="", description="Path of its number in a hit; default: the id.")
    certainty: Literal["strong", "eventual"] = Field(
        default="eventual",
        description="`strong`: what was written is found at once (a database). `eventual`: after a while (an index); then finding "
        "nothing counts only when it is seen twice, a minute apart.",
    )

    @model_validator(mode="after")
    def _names_the_marker(self) -> Self:
        if "marker" not in self.url and "marker" not in str(self.body):
            raise ValueError("url: a look-up must name {{ marker }}, or it would find anything")
        return self


class WebhookRequest(Section):
    """One call. `url`, `headers` and all texts in `body` are templates."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="How it is called.")
    url: Address = Field(
        description="Path below the help desk's `url`, with a query if need be (`/ticket/{{ ticket.id }}`)."
    )
    headers: Headers = Field(
        default={}, description="Further headers. Keys belong into `auth`, where they are never stored."
    )
    body: Tree = Field(default=None, description="JSON: a tree whose texts are templates. Default: no body.")
    answer: WebhookAnswer = Field(
        default_factory=WebhookAnswer, description="Where the answer names the ticket (`create`)."
    )
    success: WebhookSuccess = Field(default_factory=WebhookSuccess, description="Which answers say that it was done.")
    idempotent: bool | None = Field(
        default=None,
        description="The API does it once, however often the same request with the same idempotency key comes; then a call whose "
        "fate is not known is simply made again. Default: true for PUT and DELETE, which HTTP defines so.",
    )
    look_up: WebhookLookUp | None = Field(default=None, description="How to find what it made.")
    also_append: bool = Field(
        default=False,
        description="The text follows by an `append` of its own: for a `close`, `reopen` or `update` that carries none.",
    )

    @property
    def repeats(self) -> bool:
        """Whether the same call may be made again."""
        return self.method in {"PUT", "DELETE"} if self.idempotent is None else self.idempotent

    @property
    def may_say_twice(self) -> bool:
        """Whether a repeat is taken for harmless without anybody's word, and carries text that an API may add once more."""
        return self.idempotent is None and self.repeats and _WORDS.search(str(self.body)) is not None


class WebhookProbe(Section):
    """A harmless call that needs our credentials."""

    url: Address = Field(description="Path below the help desk's `url`.")
    statuses: Statuses = Field(default=[], description="Statuses that say that all is well; default: 200 to 299.")


class WebhookSettings(HttpHelpdeskSettings):
    """Any HTTP API that takes JSON: for each action the request that it wants."""

    kind: Literal["webhook"] = Field(description="`webhook`.")
    url: Annotated[str, AfterValidator(_url)] = Field(description="Address that all paths begin at, without query.")
    auth: WebhookAuth = Field(default_factory=WebhookAuth, description="How the API knows us.")
    create: WebhookRequest = Field(description="Makes a ticket.")
    append: WebhookRequest = Field(description="Adds a text to it.")
    close: WebhookRequest | None = Field(
        default=None, description="Closes it. Default: an `append` says that the problem is over."
    )
    reopen: WebhookRequest | None = Field(
        default=None, description="Opens it again. Default: an `append` says that the problem is back."
    )
    update: WebhookRequest | None = Field(
        default=None, description="Changes its fields. Default: an `append` says what changed."
    )
    probe: WebhookProbe | None = Field(
        default=None,
        description="A harmless call: `helpdesk ping`, `doctor`, and whether a refusal concerns one ticket or all of them.",
    )
    idempotency_header: Header = Field(
        default="Idempotency-Key", description="Header with the action's marker; empty: none."
    )
    down: Statuses = Field(
        default=[],
        description="Statuses by which this API says that nothing was done and it will work later (503 of a maintenance page). "
        "Without that word a 5xx may have written something.",
    )
    max_request: Size = Field(
        default=10 * 2**20, gt=0, description="Files of one request together; more follow in appends of their own."
    )

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if self.auth.basic is not None and self.auth.bearer is not None:
            raise ValueError("auth: `bearer` and `basic` are both the header Authorization; give one")
        if self.limits.settle < 60 and not self.sandbox:
            raise ValueError("limits.settle: at least 60s, since the API may go on working for that long")
        if re.search(r"\{\{[^}]*\bticket\.", self.create.url):
            raise ValueError("create.url: there is no ticket yet that it could name")
        return self

    def doubtful(self) -> Iterator[tuple[str, str, str]]:
        """No harmless call, where keys can be refused."""
        if self.probe is None and self.auth != WebhookAuth():
            yield (
                "auth",
                "without `probe` a refusal of these keys can hardly be told from that of one ticket",
                "add `probe`",
            )

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")

    def request_for(self, kind: ActionKind) -> WebhookRequest:
        """The request of an action; that of `append` where it has none of its own."""
        own = {ActionKind.CREATE: self.create, ActionKind.CLOSE: self.close, ActionKind.REOPEN: self.reopen}
        own[ActionKind.UPDATE] = self.update
        return own.get(kind) or self.append

    @property
    def requests(self) -> dict[ActionKind, WebhookRequest]:
        """Those that are configured."""
        given = {
            ActionKind.CREATE: self.create,
            ActionKind.APPEND: self.append,
            ActionKind.CLOSE: self.close,
            ActionKind.REOPEN: self.reopen,
            ActionKind.UPDATE: self.update,
        }
        return {kind: request for kind, request in given.items() if request is not None}
