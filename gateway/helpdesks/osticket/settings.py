"""The settings of an osTicket in ``routes.yaml``."""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from gateway.config.models import HttpHelpdeskSettings, Section, expression
from gateway.config.values import SecretText, Size
from gateway.helpdesks import addresses
from gateway.helpdesks.addresses import display_name, plain_address

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def mail_address(value: object) -> str:
    """A plain mail address as osTicket takes it, trimmed.

    osTicket refuses `localhost`, display names, lists and non-ASCII, and stores blanks around an address as part of
    it, which makes another user.

    Raises:
        ValueError: with what is wrong.
    """
    text = plain_address(value)
    if text.lower().endswith("@localhost"):
        raise ValueError(f"{value!r}: osTicket refuses addresses at localhost; use another domain")
    return text


def _api_url(value: str) -> str:
    if _URL.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no http(s) address without query; write https://HOST/api")
    if value.rstrip("/").endswith((".json", ".email", ".xml")):
        raise ValueError("leave out the last part; write https://HOST/api and not .../api/tickets.json")
    return value


def _id_start(value: str) -> str:
    if not re.fullmatch(r"(B[0-9A-Za-z_-]{0,40})?", value):
        raise ValueError("it begins with B, as all Message-IDs do that osTicket makes; write one like Bvgixlr-")
    return value


MailAddress = Annotated[str, BeforeValidator(mail_address)]


class OsTicketAuth(Section):
    """How osTicket knows us."""

    api_key: SecretText = Field(
        description="API key with the right to create tickets. osTicket binds it to the one IP address it sees us from.",
    )


class Requester(Section):
    """Whom the tickets belong to, where the route's fields say nothing else."""

    name: Annotated[str, AfterValidator(display_name)] = Field(
        default="Monitoring",
        description="Name of the user that osTicket makes for a new address; a known address keeps its name.",
    )
    email: MailAddress = Field(
        description="Mail address of the user. Not one of the help desk's own mailboxes: those cannot answer a ticket.",
    )


class OsTicketSettings(HttpHelpdeskSettings):
    """An osTicket, used over its API for tickets; its ways were observed on version 1.18."""

    kind: Literal["osticket"] = Field(description="`osticket`.")
    url: Annotated[str, AfterValidator(_api_url)] = Field(
        description="Address of the API: `https://support.example.org/api`, or `.../api/http.php` where the web server "
        "rewrites no addresses.",
    )
    auth: OsTicketAuth = Field(description="How osTicket knows us.")
    requester: Requester = Field(description="Whom the tickets belong to.")
    domain: Annotated[str, AfterValidator(addresses.domain)] = Field(
        default="",
        description="Right side of our Message-IDs. Default: the domain of `requester.email`. Do not change it while "
        "tickets are being made: it is how a ticket is found again.",
    )
    to: Annotated[str, BeforeValidator(lambda value: mail_address(value) if value else "")] = Field(
        default="",
        description="Mailbox of the help desk that mails are addressed to; it decides department, priority and topic of "
        "a ticket made by mail. Default: the requester's own address, with which osTicket uses its default mailbox.",
    )
    mode: Annotated[Literal["live", "shadow"], WithJsonSchema({"enum": ["live", "shadow", "api", "mail"]})] = Field(
        default="live",
        description="`shadow`: everything is done but the calls that write. What would have been done is shown (`events show`, "
        "logs, metrics) with the reason `shadow`. `api` and `mail` are what `create_by` was called earlier; they mean `live` with "
        "that.",
    )
    create_by: Literal["api", "mail"] = Field(
        default="api",
        description="`api` creates tickets by JSON, with topic, priority and fields, and settles doubtful cases by mail; "
        "`mail` creates by mail too (no fields, attachments of any size).",
    )
    subject_number: Annotated[str, AfterValidator(expression)] = Field(
        default=r"#([0-9A-Za-z_-]{1,20})",
        description="RE2 expression for a ticket's number in the subject of a mail; its first group, if it has one, is the "
        "number. It counts only for who takes part in that ticket. The default takes `[#123456]`, `#123456` and "
        "`[#INC-123456]`. Empty: numbers in subjects do not count.",
    )
    own_ids: Annotated[str, AfterValidator(_id_start)] = Field(
        default="B",
        description="How the Message-IDs begin that this osTicket signs by itself (`Bvgixlr-`, as its mails show). A mail that "
        "answers one of them is handed on by mail, so that osTicket finds the ticket; if it finds none, the new ticket has the "
        "mailbox's topic and priority. Empty: never.",
    )
    alert: bool = Field(default=True, description="Alert the agents of a new ticket; a route's field `alert` wins.")
    autorespond: bool = Field(
        default=False,
        description="Confirm a new ticket to the requester; a route's field `autorespond` wins.",
    )
    priorities: dict[str, int] = Field(
        default={"low": 1, "normal": 2, "high": 3, "emergency": 4},
        description="The priorities of this osTicket by name, with their ids. osTicket silently takes its default for "
        "an id that it does not know, so others are refused here.",
    )
    max_attachment: Size = Field(
        default=2**20,
        gt=0,
        description="Largest file of a JSON request, as set for the message field of osTicket's ticket form. osTicket "
        "drops larger ones without telling; they follow by mail.",
    )
    max_mail: Size = Field(
        default=16 * 2**20,
        gt=0,
        description="Files of one request together. More are spread over several follow-ups; a single larger file is "
        "named in the ticket and not sent. PHP needs some eight times this as its memory limit.",
    )

    @model_validator(mode="before")
    @classmethod
    def _earlier_mode(cls, given: object) -> object:
        """`mode: mail` was how `create_by: mail` was written."""
        if not isinstance(given, dict) or given.get("mode") not in {"api", "mail"}:
            return given
        if "create_by" in given:
            raise ValueError(f"`mode: {given['mode']}` is the earlier way to write `create_by`; leave one of them out")
        return {**given, "mode": "live", "create_by": given["mode"]}

    @model_validator(mode="after")
    def _settles_long_enough(self) -> Self:
        if self.limits.settle < 60 and not self.sandbox:
            raise ValueError("limits.settle: at least 60s, since osTicket may go on working for that long")
        return self

    @property
    def base(self) -> str:
        """The API's address without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def message_domain(self) -> str:
        """The right side of our Message-IDs, in lower case: osTicket compares them with case."""
        return self.domain or self.requester.email.rpartition("@")[2].lower()


def ip_address(value: str) -> str:
    """The canonical text of an IP address; osTicket itself would store anything.

    Raises:
        ValueError: it is none.
    """
    return str(ipaddress.ip_address(value.strip()))
