"""The settings of a helpdesk that is reached by mail."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.config.models import HelpdeskSettings, Limits, Section, expression
from gateway.config.values import Duration, SecretText, Size
from gateway.helpdesks import addresses
from gateway.helpdesks.addresses import display_name, is_host, plain_address
from gateway.helpdesks.text import one_line

TOKEN = 12
"""Hex digits of the token in a subject."""

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,76}")
_MADE = frozenset(
    {"from", "to", "cc", "bcc", "sender", "reply-to", "return-path", "received", "subject", "date", "message-id"}
    | {"in-reply-to", "references", "auto-submitted", "mime-version", "dkim-signature", "resent-to", "resent-from"}
    | {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}
)
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}


def _host(value: str) -> str:
    if not is_host(value) and re.fullmatch(r"[0-9a-fA-F:.]{2,45}", value) is None:
        raise ValueError(f"{value!r} is no host; write one like mail.example.org, and the port under `port`")
    return value


def header_name(name: str) -> str:
    """The name of a header that nobody else makes.

    Raises:
        ValueError: it is no name, or one of ours.
    """
    if _HEADER.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a header; write one like X-Priority")
    if name.lower() in _MADE:
        raise ValueError(f"the gateway makes {name} itself; leave it out")
    return name


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        header_name(name)
        if one_line(text) != text or not text:
            raise ValueError(f"the value of {name} is one line of text, not empty")
    return value


MailAddress = Annotated[str, BeforeValidator(plain_address)]
MaybeAddress = Annotated[str, BeforeValidator(lambda value: plain_address(value) if value else "")]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]


class SmtpAuth(Section):
    """User and password, by PLAIN or LOGIN; only over TLS, but to this machine."""

    user: str = Field(min_length=1, description="Name of the account.")
    password: SecretText = Field(description="Its password.")


class MailLimits(Limits):
    """How hard the mail server may be driven, and how long things may take."""

    timeout: Duration = Field(
        default=120.0,
        gt=0,
        le=600,
        description="Total time of one mail. A mail server may check what it was given for minutes (RFC 5321 allows it ten).",
    )


class SmtpSettings(HelpdeskSettings):
    """A helpdesk that makes tickets of mail, reached through a mail server by SMTP."""

    kind: Literal["smtp"] = Field(description="`smtp`.")
    host: Annotated[str, AfterValidator(_host)] = Field(description="The mail server that takes our mails.")
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Its port. Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.",
    )
    tls: Literal["starttls", "implicit", "none"] = Field(
        default="starttls",
        description="`starttls` (refused where the server does not offer it), `implicit` (TLS from the start), or `none`. "
        "The certificate is checked; `ca` names an authority of your own.",
    )
    auth: SmtpAuth | None = Field(default=None, description="Account at the mail server; default: none.")
    hello: Annotated[str, AfterValidator(addresses.domain)] = Field(
        default="", description="What we call ourselves (EHLO). Default: the right side of our Message-IDs."
    )
    from_: MailAddress = Field(
        alias="from",
        description="Whom the mails come from; the helpdesk takes it for the requester. Bounces go there, so let somebody read it.",
    )
    from_name: Annotated[str, AfterValidator(display_name)] = Field(
        default="Monitoring", description="Name beside that address."
    )
    to: MailAddress = Field(description="Mailbox of the helpdesk, where a route's field `to` names no other.")
    reply_to: MaybeAddress = Field(
        default="", description="Where answers go, if not to `from`; a route's field `reply_to` wins."
    )
    to_domains: list[Annotated[str, AfterValidator(addresses.domain)]] = Field(
        default=[],
        description="Domains that the fields `to` and `cc` of a route may name: what an event says must not choose "
        "any mailbox of the world. Default: that of `to`.",
    )
    domain: Annotated[str, AfterValidator(addresses.domain)] = Field(
        default="",
        description="Right side of our Message-IDs. Default: the domain of `from`. Do not change it while tickets are being made: "
        "the same mail must keep its name.",
    )
    subject_token: bool = Field(
        default=True,
        description="Begin each subject with `[tg:TOKEN]`, the same for all mails of one incident: for helpdesks that thread by "
        "subject, and for people. The headers `In-Reply-To` and `References` are always there.",
    )
    auto_submitted: bool = Field(
        default=True,
        description="Mark the mails as made by a machine (`Auto-Submitted: auto-generated`, RFC 3834), so that nothing answers "
        "them by itself. `false` for helpdesks that drop such mail (Jira Service Management does by default).",
    )
    headers: Headers = Field(
        default={},
        description='Further headers of every mail (`Precedence: bulk`, `X-Priority: "1"`). Routes add `X-...` headers as fields.',
    )
    close: Headers = Field(
        default={},
        description="Headers by which this helpdesk closes a ticket (`X-OTRS-FollowUp-State: closed successful`, if the mail "
        "account is trusted). Empty: it cannot; a follow-up says that the problem is over.",
    )
    reopen: Headers = Field(
        default={},
        description="Headers by which it opens a ticket again. Empty: it cannot; a follow-up says that the problem is back.",
    )
    deduplicates: bool = Field(
        default=False,
        description="The helpdesk (or its mail server) drops a second mail with the same Message-ID. Then a mail whose fate is not "
        "known is simply sent again. osTicket does. Say `true` only where you have tried it.",
    )
    on_unknown: Literal["resend", "dead_letter"] = Field(
        default="resend",
        description="What to do where a mail may have been taken and the helpdesk does not drop second copies: send it again, as "
        "every mail server does, and flag it `possible_duplicate`; or leave it to a person.",
    )
    subject_number: Annotated[str, AfterValidator(expression)] = Field(
        default=rf"\[tg:([0-9a-f]{{{TOKEN}}})\]",
        description="RE2 expression for our token in the subject of a mail that comes back. It counts only for who takes part in "
        "that ticket. Empty: tokens in subjects do not count.",
    )
    max_message: Size = Field(
        default=20 * 2**20,
        gt=0,
        description="Files of one mail together (base64 adds a third). More are spread over several mails; a single larger file is "
        "named in the ticket and not sent.",
    )
    limits: MailLimits = Field(default_factory=MailLimits, description="How hard the mail server may be driven.")

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.auth is not None and self.tls == "none" and not self.is_local:
            raise ValueError("tls: the password would travel in the clear; write `starttls` or `implicit`")
        return self

    def doubtful(self) -> Iterator[tuple[str, str, str]]:
        """Tickets in the clear."""
        if self.tls == "none" and not self.is_local:
            yield "tls", "all tickets travel in the clear", "write `starttls`"

    @property
    def is_local(self) -> bool:
        """Whether the mail server is on this machine."""
        return self.host in {"localhost", "::1"} or re.fullmatch(r"127\.\d+\.\d+\.\d+", self.host) is not None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or _PORTS[self.tls]

    @property
    def message_domain(self) -> str:
        """The right side of our Message-IDs, in lower case."""
        return self.domain or self.from_.rpartition("@")[2].lower()

    @property
    def allowed(self) -> frozenset[str]:
        """The domains that a route's `to` and `cc` may name, in lower case."""
        return frozenset(self.to_domains) or frozenset({self.to.rpartition("@")[2].lower()})
