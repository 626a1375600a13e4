"""The switches of the osTicket double: what an administrator of osTicket could set, and how fast its machine is."""

from pydantic import BaseModel, ConfigDict, Field

from gateway.sandbox import SANDBOX_API_KEY


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApiKey(_Frozen):
    """An API key. osTicket binds it to one address; None stands for any loopback address, `*` for any at all."""

    ip: str | None = None
    active: bool = True
    create: bool = True
    cron: bool = True


class Topic(_Frozen):
    """A help topic and what it sets."""

    name: str
    department: int = 1
    priority: int | None = None
    number_format: str | None = None


class Agent(_Frozen):
    """Somebody who works tickets."""

    name: str
    email: str


class RequiredField(_Frozen):
    """A custom field of the ticket form that must be filled. The id and the label stand in the error."""

    id: int
    label: str


class OsTicketSettings(_Frozen):
    """All switches. A fresh osTicket has `dns_check` on; here it is off, so that the sandbox works without a network."""

    api_keys: dict[str, ApiKey] = Field(default_factory=lambda: {SANDBOX_API_KEY: ApiKey()})
    force_https: bool = False

    topics: dict[int, Topic] = Field(
        default_factory=lambda: {
            1: Topic(name="General Inquiry"),
            2: Topic(name="Feedback"),
            10: Topic(name="Report a Problem", department=3),
            11: Topic(name="Report a Problem / Access Issue", department=3),
        }
    )
    departments: dict[int, str] = Field(default_factory=lambda: {1: "Support", 2: "Sales", 3: "Maintenance"})
    priorities: dict[int, str] = Field(default_factory=lambda: {1: "low", 2: "normal", 3: "high", 4: "emergency"})
    default_priority: int = 2
    agents: dict[int, Agent] = Field(
        default_factory=lambda: {1: Agent(name="Ad Min", email="admin@helpdesk.example")}, min_length=1
    )
    mailboxes: tuple[str, ...] = Field(default=("support@helpdesk.example",), min_length=1)
    custom_fields: tuple[str, ...] = ()
    required_fields: dict[str, RequiredField] = Field(default_factory=dict)

    number_format: str = Field(default="######", description="each # becomes a random digit")
    dns_check: bool = False
    unresolvable: tuple[str, ...] = Field(
        default=("local", "internal", "lan", "test", "invalid", "example", "localhost"),
        description="with dns_check: domains, and all below them, that do not resolve; no look-up is made",
    )
    banned: tuple[str, ...] = ()
    accept_unregistered: bool = True
    max_open_tickets: int = Field(default=0, ge=0, description="per requester; 0: no limit")
    reopen: bool = Field(default=True, description="whether a reply reopens a closed ticket")
    close_requires_topic: bool = False

    attachments: bool = True
    max_file_size: int = Field(default=1_048_576, ge=0, description="bytes, inclusive; mail is not limited")
    extensions: tuple[str, ...] = Field(default=(), description="allowed extensions without the dot; none: all")
    media_types: tuple[str, ...] = ()
    body_limit: int = Field(default=64 * 1024 * 1024, ge=0, description="the web server's, in bytes: 413")
    memory_limit: int = Field(default=134_217_728, ge=0, description="PHP's, in bytes")

    alerts: bool = Field(default=True, description="mail the agents about new tickets")
    autoresponder: bool = False
    mail_fails: bool = False
    reply_separator: str = "-- reply above this line --"

    workers: int = Field(default=8, ge=1, description="requests worked on at once")
    latency: float = Field(default=0.0, ge=0.0, description="seconds from the check to the commit: the race window")
    mail_time: float = Field(default=0.0, ge=0.0, description="seconds that one outgoing mail takes, after the commit")
    seed: int | None = Field(default=None, description="makes ticket numbers repeatable")
