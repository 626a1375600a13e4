"""The settings of a mail source."""

from functools import cached_property
from typing import Annotated, Literal

import re2
from pydantic import AfterValidator, Field

from gateway.config.models import Section, SourceSettings
from gateway.model.event import Kind, Severity


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
