"""The settings of a mail source."""

from functools import cached_property
from typing import Annotated, Literal

import re2
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gateway.config.models import Section, SourceSettings
from gateway.config.values import RateLimit, rate
from gateway.model.event import Kind, Severity
from gateway.sources.mail.limits import MAX_RECEIVED


def _expression(text: str) -> str:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        words = error.args[0] if error.args else b""
        raise ValueError(words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)) from None
    except UnicodeEncodeError:
        raise ValueError("it holds a lone surrogate") from None
    return text


Expression = Annotated[str, AfterValidator(_expression)]
AlertKind = Literal["problem", "recovery", "update", "acknowledgement", "information", "message"]
SeverityName = Literal["info", "warning", "minor", "major", "critical", "unknown"]


class Pattern(Section):
    """A mail of a program of your own as an event.

    All given expressions must match; their named groups are the fields `host`, `service`, `state`, `severity`, `title`,
    `text`, `problem_id` and `key`; any other name becomes a label.
    """

    name: str = Field(
        min_length=1, pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the pattern; label `mail.alert`."
    )
    from_: Expression = Field(default="", alias="from", description="RE2 expression found in the sender's address.")
    subject: Expression = Field(default="", description="RE2 expression found in the subject.")
    text: Expression = Field(default="", description="RE2 expression found in the first 10,000 characters of the text.")
    kind: AlertKind = Field(default="problem", description="What such a mail says, where `kinds` does not.")
    kinds: dict[str, AlertKind] = Field(
        default={}, description="Kind by the word of the group `state` (`OK: recovery`)."
    )
    severity: SeverityName = Field(default="unknown", description="How bad it is, where `severities` does not say.")
    severities: dict[str, SeverityName] = Field(
        default={}, description="Severity by the word of the group `severity`, else of `state`."
    )

    def kind_of(self, state: str) -> Kind:
        """The kind for a state, words compared without case."""
        return Kind(self._kinds.get(state.lower(), self.kind))

    def severity_of(self, *words: str) -> Severity:
        """The severity for the first of these words that has one."""
        return Severity(
            next((self._severities[word.lower()] for word in words if word.lower() in self._severities), self.severity)
        )

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {word.lower(): kind for word, kind in self.kinds.items()}

    @cached_property
    def _severities(self) -> dict[str, str]:
        return {word.lower(): severity for word, severity in self.severities.items()}


def _rate(value: object) -> object:
    if value == "off":
        return None
    checked = rate(value)
    if not 1 <= checked.count <= _MOST_COUNTED:
        raise ValueError(f"it must be between 1 and {_MOST_COUNTED} per unit of time, or off")
    return checked


LoopRate = Annotated[
    RateLimit | None,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "description": "A number per unit of time, or `off`.", "examples": ["20/h"]}),
]
_MOST_COUNTED = 1000
"""Mails of one sender that are remembered at most, so that a rate costs little however fast mail comes."""


class Loop(Section):
    """What stops a mail loop that bears no sign of one. What exceeds it is quarantined: kept as a dead letter."""

    per_sender: LoopRate = Field(
        default=RateLimit(20, 3600.0),
        description="Mails of one sender that may open or continue tickets per time; the next are quarantined until it "
        "writes less. Alert mails that are recognised, bounces and automatic replies do not count. `off`: no limit.",
    )
    per_incident: LoopRate = Field(
        default=RateLimit(30, 3600.0),
        description="Mails that one ticket takes per time, whoever writes them, bounces and automatic replies included. "
        "`off`: no limit.",
    )
    hops: int = Field(
        default=MAX_RECEIVED, ge=5, le=200, description="`Received` headers beyond which a mail is quarantined."
    )


class AuthResults(Section):
    """Mail servers of yours whose `Authentication-Results` are believed."""

    trusted: list[str] = Field(
        min_length=1,
        description="Their names as they stand first in that header (`authserv-id`), to the letter: `mx.example.org`.",
    )
    networks: list[str] = Field(
        default=[],
        description="Addresses or networks from which they hand mail over; from others the header counts for nothing. "
        "Default: the source's `networks`; where there are none, this machine. A unix socket always counts.",
    )
    headers: int = Field(
        default=1,
        ge=1,
        le=10,
        description="How many such headers they write on each mail (one for each milter); only so many topmost ones count.",
    )
    hops: int = Field(
        default=1,
        ge=0,
        le=20,
        description="How many `Received` headers may stand above it: your own servers between it and the gateway, itself "
        "included.",
    )


class MailSettings(SourceSettings):
    """A mailbox of the gateway."""

    recipients: list[str] = Field(
        default=[],
        description="Addresses that are this source's by SMTP and LMTP: `support@example.org`, `alerts+*@example.org`, "
        "`*@example.org`.",
    )
    alerts: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto` reads the alert mails of Nagios, Icinga, Zabbix, Checkmk, Monit and Alertmanager as problems "
        "and recoveries; `off` leaves them ordinary mails.",
    )
    patterns: list[Pattern] = Field(
        default=[], description="Alert mails of other programs; asked in order, before the known ones."
    )
    own_domains: list[str] = Field(
        default=[],
        description="Domains of Message-IDs that only your own tickets' mails bear; such a mail goes in a circle.",
    )
    auth_results: AuthResults | None = Field(
        default=None, description="Mail servers whose `Authentication-Results` are believed; default: none."
    )
    verify: list[Literal["dkim", "spf", "dmarc"]] = Field(
        default=[],
        description="What the gateway checks itself, by DNS, after the answer; `mail.auth` tells the result. Needs "
        "`pip install 'ticket-gateway[mail-auth]'`. SPF is not checked for mail that comes from a relay of `auth_results` "
        "or a private address; DMARC needs `dkim` or `spf`.",
    )
    on_auth_fail: Literal["tag", "dead_letter", "reject"] = Field(
        default="tag",
        description="What to do where `mail.auth` is `fail`: `tag` warns and goes on; `dead_letter` keeps it for a person; "
        "`reject` refuses it by SMTP and LMTP (550) if a relay of `auth_results` says so, and keeps it as a dead letter "
        "where it is known only after the answer.",
    )
    loop: Loop = Field(default_factory=Loop, description="What stops a mail loop that bears no sign of one.")
