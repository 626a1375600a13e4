"""The settings of a Zammad in ``routes.yaml``."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.config.models import HttpHelpdeskSettings, Section, expression
from gateway.config.values import SecretText, Size

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_ADDRESS = re.compile(r"[^\s@<>(),;:\\\"\[\]]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")
_HEADER = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_API = "/api/v1"


def mail_address(value: object) -> str:
    """A plain mail address, trimmed.

    Raises:
        ValueError: with what is wrong. Zammad answers 422 to an address that it cannot use.
    """
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > 254 or _ADDRESS.fullmatch(text) is None:
        raise ValueError(f"{value!r} is no plain mail address; write one like monitoring@example.org")
    return text


def _url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no http(s) address without query; write https://HOST")
    return value


def _customer(value: str) -> str:
    return mail_address(value) if value else ""


def _attribute(value: str) -> str:
    if value and _ATTRIBUTE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no internal name of an attribute; write one like gateway_key, or nothing")
    return value


def _domain(value: str) -> str:
    if value and _DOMAIN.fullmatch(value.lower()) is None:
        raise ValueError(f"{value!r} is no domain; write one like gateway.example.org")
    return value.lower()


def _act_as(value: str) -> str:
    if value and _HEADER.fullmatch(value) is None:
        raise ValueError("a user's id, login or address, in ASCII")
    return value


class ZammadBasic(Section):
    """User and password. Zammad's documentation advises against it; accounts with a second factor are refused."""

    user: str = Field(min_length=1, description="Login or address.")
    password: SecretText = Field(description="Password.")


class ZammadAuth(Section):
    """How Zammad knows us: exactly one of these."""

    token: SecretText | None = Field(
        default=None,
        description="Access token of an agent (Profile, Token Access) with the permission `ticket.agent`. Advised.",
    )
    bearer: SecretText | None = Field(default=None, description="OAuth2 token.")
    basic: ZammadBasic | None = Field(default=None, description="User and password.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(way is not None for way in (self.token, self.bearer, self.basic)) != 1:
            raise ValueError("give exactly one of token, bearer and basic")
        return self


class ZammadStates(Section):
    """States by name, where the first of their type is not the one that is meant. Names are those of this Zammad."""

    open: str = Field(
        default="",
        description="State of a reopened ticket. Default: the one that Zammad uses for follow-ups, else the first open one.",
    )
    closed: str = Field(
        default="", description="State of a closed ticket. Default: the first one of the type `closed`."
    )


class ZammadSettings(HttpHelpdeskSettings):
    """A Zammad, used over its REST API. Built after its documentation and source; not tried on a live server."""

    kind: Literal["zammad"] = Field(description="`zammad`.")
    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Its address: `https://zammad.example.org`; `/api/v1` is added where it is missing.",
    )
    auth: ZammadAuth = Field(description="How Zammad knows us.")
    act_as: Annotated[str, AfterValidator(_act_as)] = Field(
        default="",
        description="Act for this user (id, login or address), with its rights; our account then needs `admin.user`.",
    )
    group: str = Field(
        default="",
        description="Group of tickets whose route names none (`Users`, `Sales::Europe`).",
    )
    customer: Annotated[str, AfterValidator(_customer)] = Field(
        default="",
        description="Mail address of the customer of tickets whose route names none. Zammad makes the user at the first ticket.",
    )
    states: ZammadStates = Field(default_factory=ZammadStates, description="States, where they are not the usual ones.")
    marker_attribute: Annotated[str, AfterValidator(_attribute)] = Field(
        default="gateway_key",
        description="Internal name of a text attribute of tickets that an administrator has added for us; by it a ticket is "
        "found again after a call of unknown outcome. Where it is missing the Message-ID of the first article is used. "
        "Empty: never.",
    )
    domain: Annotated[str, AfterValidator(_domain)] = Field(
        default="",
        description="Right side of our Message-IDs. Default: the host of `url`. Do not change it while tickets are being "
        "made: it is how they are found again.",
    )
    article_type: Literal["note", "phone", "web"] = Field(
        default="note",
        description="Type of our articles. `note` touches neither state nor response times; `phone` and `web` do.",
    )
    internal: bool = Field(
        default=False, description="Hide our articles from customers; a route's field `internal` wins."
    )
    subject_number: Annotated[str, AfterValidator(expression)] = Field(
        default=r"(?i)ticket#\s{0,2}([0-9]{2,20})",
        description="RE2 expression for a ticket's number in the subject of a mail; its first group, if it has one, is the "
        "number. It counts only for who takes part in that ticket. The default takes `[Ticket#1010138]`. Empty: numbers in "
        "subjects do not count.",
    )
    max_request: Size = Field(
        default=20 * 2**20,
        gt=0,
        description="Files of one request together (base64 adds a third; the web server before Zammad has the last word). More "
        "are spread over several follow-ups; a single larger file is named in the ticket and not sent.",
    )

    @model_validator(mode="after")
    def _settles_long_enough(self) -> Self:
        if self.limits.settle < 60 and not self.sandbox:
            raise ValueError("limits.settle: at least 60s, since Zammad may go on working for that long")
        return self

    @property
    def base(self) -> str:
        """The address of people's pages, without a slash at its end."""
        return self.url.rstrip("/").removesuffix(_API)

    @property
    def api(self) -> str:
        """The address of the API, without a slash at its end."""
        return self.base + _API

    @property
    def message_domain(self) -> str:
        """The right side of our Message-IDs."""
        return self.domain or (urlsplit(self.url).hostname or "ticket-gateway.invalid").lower()
