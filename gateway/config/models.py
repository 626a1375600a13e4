"""The models of ``routes.yaml``. Field descriptions are the configuration reference (``docs/configuration.md``).

Models are frozen; unknown keys are errors. A key of the grammar that is not built yet is refused by the loader with a
message that says so (`NOT_BUILT_YET`).
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import re2
from pydantic import AfterValidator, Field, JsonValue, model_validator

from gateway.config.route_tests import RouteTest
from gateway.config.section import Section as Section  # noqa: PLC0414 - the settings of kinds take it from here
from gateway.config.values import Duration, Rate, RateLimit, RateOrOff, Secret, SecretText, Size
from gateway.model.message_ids import LEAST_KEY

NOT_BUILT_YET: dict[str, str] = {
    "server.console": "the operators' console",
}
"""Keys that the grammar knows and this version does not do; ``*`` stands for any name or index."""


# ------------------------------------------------------------------------------------------------------------- server


class Tls(Section):
    """Certificate and key of a door; both files are read again when they change."""

    cert: str = Field(description="PEM file with the certificate and its chain.")
    key: str = Field(description="PEM file with the private key.")


class HttpServer(Section):
    """The HTTP door."""

    listen: str | list[str] = Field(
        default="127.0.0.1:8025",
        description="Where to listen: `HOST:PORT`, `[::1]:PORT`, `unix:/path/to.sock`, or a list of them.",
    )
    max_body: Size = Field(default=25 * 2**20, description="Largest body accepted; a larger one is refused with 413.")
    body_timeout: Duration = Field(default=30.0, description="Longest time a body may take to arrive.")
    max_in_flight: Size = Field(
        default=64 * 2**20,
        description="Bytes of bodies held at one time over all requests; beyond it the answer is 503.",
    )
    max_connections: int = Field(
        default=2000, ge=1, description="Connections at one time; beyond it the answer is 503."
    )
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses or networks whose `X-Forwarded-For` is believed.",
    )
    base_path: str = Field(
        default="", pattern=r"^(/[^/]+)*$", description="Path under which a proxy serves the gateway."
    )
    public_url: str = Field(
        default="",
        description="How senders see the gateway (`https://gateway.example.org`); used in `status_url`. "
        "Empty: a path without host.",
    )
    tls: Tls | None = Field(default=None, description="Serve HTTPS with this certificate.")


class MailLimits(Section):
    """How much mail clients may ask of a mail door. Each bound that bites is answered, counted and logged."""

    recipients: int = Field(default=100, ge=100, description="Recipients of one message; beyond it 452.")
    connections: int = Field(default=200, ge=1, description="Connections at one time; beyond it 421.")
    connections_per_peer: int = Field(
        default=50, ge=1, description="Connections of one client (IPv6: one /64) at one time; beyond it 421."
    )
    connection_rate: Rate | None = Field(
        default=None, description="New connections of one client per time; beyond it 421. Default: no limit."
    )
    commands: int = Field(default=100, ge=20, description="Commands of a session without a message; beyond it 421.")
    errors: int = Field(default=20, ge=1, description="Refused commands of a session without a message; beyond it 421.")
    session: Duration = Field(
        default=600.0, gt=0, description="How long a session may last without delivering a message."
    )
    idle: Duration = Field(default=300.0, gt=0, description="How long a client may be silent between two commands.")
    data: Duration = Field(default=600.0, gt=0, description="Longest time the text of one message may take to arrive.")
    handshake: Duration = Field(default=30.0, gt=0, description="Longest time of a TLS handshake or a PROXY header.")
    auth_tries: int = Field(default=3, ge=1, le=10, description="Wrong passwords of one connection before it is ended.")


class SmtpAuth(Section):
    """Clients that prove who they are (`AUTH PLAIN`, `AUTH LOGIN`)."""

    users: dict[str, SecretText] = Field(
        min_length=1, description="Argon2 hash of the password, by user name: `$argon2id$v=19$...`."
    )
    required: bool = Field(default=False, description="Take mail only from clients that have proven who they are.")
    without_tls_on_loopback: bool = Field(
        default=False, description="Offer `AUTH` without TLS to clients of this machine; never to any other."
    )


class MailDoor(Section):
    """What the SMTP and the LMTP door have in common."""

    hostname: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.\-\[\]:]*$",
        description="Name in the greeting, and domain of a bare `postmaster`. Default: the machine's name.",
    )
    max_message: Size = Field(default=35 * 2**20, ge=64 * 2**10, description="Largest message; beyond it 552.")
    networks: list[str] = Field(
        default=[],
        description="Addresses or networks that may connect; empty: all. A source's own `networks` hold too.",
    )
    limits: MailLimits = Field(default_factory=MailLimits, description="How much clients may ask.")


class SmtpServer(MailDoor):
    """The SMTP door."""

    listen: str | list[str] = Field(
        default="127.0.0.1:2525",
        description="Where to listen, in clear or for `STARTTLS`: `HOST:PORT`, `unix:/path/to.sock`, or a list of them.",
    )
    listen_tls: str | list[str] = Field(
        default=[], description="Where to listen with TLS from the first byte (port 465)."
    )
    tls: Tls | None = Field(default=None, description="Certificate for `STARTTLS` and `listen_tls`.")
    starttls: bool = Field(default=True, description="Offer `STARTTLS` where there is a certificate.")
    require_tls: bool = Field(default=False, description="Take mail only over TLS; 530 without.")
    auth: SmtpAuth | None = Field(default=None, description="Clients that prove who they are.")
    proxy_protocol: list[str] = Field(
        default=[],
        description="Addresses or networks of proxies: their connections to `listen` must begin with a PROXY header "
        "(version 1 or 2), which names the client. From anybody else such a header is an error.",
    )


class LmtpServer(MailDoor):
    """The LMTP door (RFC 2033), for an MTA on the same machine: one answer per recipient."""

    listen: str | list[str] = Field(
        default="unix:/run/ticket-gateway/lmtp.sock",
        description="Where to listen: `unix:/path/to.sock`, `HOST:PORT` (never port 25), or a list of them.",
    )


class JournalSettings(Section):
    """Where accepted events are kept."""

    url: str = Field(
        default="sqlite:///data/journal.db", description="`sqlite:///PATH`, relative to this file's folder."
    )
    keep: Duration = Field(default=30 * 86400.0, description="How long finished receipts are kept.")
    keep_links: Duration = Field(default=400 * 86400.0, description="How long links from a key to its ticket are kept.")
    min_free: Size = Field(default=2**30, description="Free room below which nothing new is accepted (503).")
    max_waiting: int = Field(
        default=1_000_000,
        ge=1,
        description="Receipts and actions waiting beyond which nothing new is accepted (503).",
    )


class Dns(Section):
    """How DNS is asked by the checks of mail senders (`verify` of a mail source). They never hold up an answer."""

    servers: list[str] = Field(
        default=[],
        description="Name servers: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`; default: the system's.",
    )
    timeout: Duration = Field(default=4.0, gt=0, le=30, description="Longest time of one question, with its repeats.")
    deadline: Duration = Field(
        default=15.0,
        gt=0,
        le=60,
        description="Longest time of all checks of one mail; then the result is `temperror`, and the mail goes on.",
    )


class Operator(Section):
    """Who may read every receipt, make silences, and use the operators' other addresses."""

    bearer: SecretText | None = Field(
        default=None, description="Token of the operators (`Authorization: Bearer ...`); its name is `operator`."
    )
    tokens: dict[str, SecretText] = Field(
        default_factory=dict,
        description="Further tokens, each under a name of its own, which stands with what is done with it.",
    )

    @model_validator(mode="after")
    def _has_a_token(self) -> "Operator":
        if self.bearer is None and not self.tokens:
            raise ValueError("operators need a token: name it in `bearer`, or several by their names in `tokens`")
        return self


class Log(Section):
    """The log on standard error."""

    format: Literal["json", "text"] = Field(
        default="json", description="One JSON object, or one readable line, per entry."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )


def _long_enough(value: Secret) -> Secret:
    if len(value.reveal().encode()) < LEAST_KEY:
        raise ValueError(f"a key has at least {LEAST_KEY} characters; make one with `openssl rand -hex 32`")
    return value


SigningKey = Annotated[SecretText, AfterValidator(_long_enough)]


class Server(Section):
    """What the gateway itself needs."""

    http: HttpServer = Field(default_factory=HttpServer, description="The HTTP door.")
    smtp: SmtpServer | None = Field(default=None, description="The SMTP door; default: none.")
    lmtp: LmtpServer | None = Field(default=None, description="The LMTP door; default: none.")
    spool: str = Field(
        default="",
        description="Folder to which `ticket-gateway-pipe` writes mail while the gateway is away, and where it finds its "
        "socket, relative to this file's folder. Default: `spool` beside the journal.",
    )
    journal: JournalSettings = Field(default_factory=JournalSettings, description="Where accepted events are kept.")
    dns: Dns = Field(default_factory=Dns, description="How DNS is asked by the checks of mail senders.")
    operator: Operator | None = Field(default=None, description="Access for operators to every receipt.")
    message_id_key: SigningKey | list[SigningKey] | None = Field(
        default=None,
        description="Key that signs our Message-IDs, so that an answer to one finds its ticket; or a list, newest first: the "
        "first signs, all are accepted. Default: `message-id.key` beside the journal, made at the first start.",
    )
    log: Log = Field(default_factory=Log, description="The log.")


# ------------------------------------------------------------------------------------------------------------ sources


class Basic(Section):
    """HTTP basic authentication."""

    user: str = Field(min_length=1, description="User name.")
    password: SecretText = Field(description="Password.")


class Hmac(Section):
    """A signature over the raw body."""

    header: str = Field(description="Header that bears the signature: hex or base64, with or without `sha256=`.")
    secrets: list[SecretText] = Field(min_length=1, description="Secrets, newest first; any of them is accepted.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="Hash of the HMAC.")
    timestamp_header: str = Field(
        default="",
        description="Header with the instant of signing (seconds since the epoch), which is then part of what is signed.",
    )
    signed: str = Field(
        default="",
        description="What is signed, from `{timestamp}`, `{id}` and `{body}`; default `{body}`, with a timestamp header "
        "`{timestamp}.{body}`.",
    )
    id_header: str = Field(default="", description="Header with the delivery id, where it is signed or serves as key.")
    tolerance: Duration = Field(default=300.0, description="How far the timestamp may be off, either way.")


class Auth(Section):
    """How a sender proves who it is: exactly one way, or several of which any is enough."""

    bearer: SecretText | list[SecretText] | None = Field(default=None, description="Token in `Authorization: Bearer`.")
    basic: Basic | None = Field(default=None, description="HTTP basic authentication.")
    query: dict[str, SecretText] | None = Field(
        default=None,
        description="Token in the query, for senders that know only a URL: `{token: ...}` is `?token=...`.",
    )
    path: SecretText | None = Field(default=None, description="Token as last part of the path: `/in/SOURCE/TOKEN`.")
    header: dict[str, SecretText] | None = Field(
        default=None, description="Token in a header of its own: `{X-Token: ...}`."
    )
    hmac: Hmac | None = Field(default=None, description="Signature over the raw body.")


class SourceSettings(Section):
    """What every source has."""

    kind: str = Field(description="What sends: `nagios`, `zabbix`, `generic`.")
    auth: Auth | Literal["none"] | None = Field(
        default=None,
        description="How the sender proves who it is. Needed; `none` says that anybody who reaches the address may send.",
    )
    networks: list[str] = Field(default=[], description="Addresses or networks that may send; empty: all.")
    timezone: str = Field(default="", description="Zone of the sender's times where they bear none (`Europe/Berlin`).")
    wait: Duration = Field(
        default=0.0, le=8.0, description="How long to wait with the answer for the ticket, at most 8s."
    )
    malformed: Literal["accept", "reject"] = Field(
        default="accept",
        description="What to do with a payload that cannot be read: `accept` it as a `raw` event, or `reject` it (400).",
    )
    rate: Rate | None = Field(
        default=None, description="Requests beyond this rate are answered with 429; default: no limit."
    )
    max_body: Size | None = Field(
        default=None, description="Largest body of this source, below `server.http.max_body`."
    )
    retry_horizon: Duration = Field(
        default=120.0,
        description="Byte-equal requests within this time are one delivery, where the sender gives no delivery id.",
    )
    severity: dict[str, Literal["info", "warning", "minor", "major", "critical", "unknown"]] = Field(
        default={},
        description="Changes to the kind's severity table, by the sender's own word (`UNREACHABLE: minor`).",
    )


# ---------------------------------------------------------------------------------------------------------- helpdesks


class Limits(Section):
    """How hard a helpdesk may be driven, and how long things may take."""

    concurrency: int = Field(default=4, ge=1, le=64, description="Calls at one time.")
    rate: Rate | None = Field(default=None, description="Calls per time; default: no limit.")
    creates: RateOrOff = Field(
        default=RateLimit(200, 3600),
        description="The hard brake: new tickets per time. What is more waits in its order (`held_by_brake`), one ticket tells "
        "people, and an alarm rings; nothing is lost. `off`: no brake.",
    )
    timeout: Duration = Field(default=30.0, gt=0, le=600, description="Total time of one call.")
    settle: Duration = Field(
        default=90.0,
        gt=0,
        description="How long after the deadline of a call with unknown outcome the look-up waits; at least 60s, "
        "but against the sandbox.",
    )
    retry_first: Duration = Field(default=5.0, gt=0, description="Longest pause before the first repeat; it doubles.")
    retry_most: Duration = Field(default=3600.0, gt=0, description="Longest pause between repeats.")
    max_age: Duration = Field(
        default=7 * 86400.0, gt=0, description="Age at which an undelivered action becomes a dead letter."
    )


def expression(text: str) -> str:
    """The text, if it is an RE2 expression.

    Raises:
        ValueError: with RE2's words.
    """
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


class HelpdeskSettings(Section):
    """What every helpdesk has."""

    kind: str = Field(description="Which helpdesk: `osticket`, `zammad`.")
    ticket_url: str = Field(
        default="",
        description="Address of a ticket's page, from `{number}` and `{id}`; part of answers and templates.",
    )
    mode: Literal["live", "shadow"] = Field(
        default="live",
        description="`shadow`: everything is done but the calls that write. What would have been done is shown (`events show`, "
        "logs, metrics) with the reason `shadow`.",
    )
    limits: Limits = Field(default_factory=Limits, description="How hard it may be driven.")
    ca: str = Field(
        default="",
        description="PEM file of the authority that signed its certificate; default: the system's.",
    )
    verify: bool = Field(default=True, description="`false` accepts any certificate; said loudly at each start.")
    on_unknown: Literal["resend", "dead_letter"] = Field(
        default="dead_letter",
        description="What to do with an unknown outcome where nothing can be looked up.",
    )
    subject_number: Annotated[str, AfterValidator(expression)] = Field(
        default="",
        description="RE2 expression for a ticket's number in the subject of a mail; its first group, if it has one, is the "
        "number. It counts only for who takes part in that ticket. Empty: numbers in subjects do not count.",
    )
    sandbox: bool = Field(default=False, description="This is the built-in sandbox: `settle` may be short.")

    def doubtful(self) -> Iterator[tuple[str, str, str]]:
        """What is allowed and probably not meant, for `check`: (key, what, way out)."""
        yield from ()

    @property
    def shadow(self) -> bool:
        """True if nothing may be written to it."""
        return self.mode == "shadow"


class Notify(Section):
    """The helpdesk tells us what persons do to tickets: `POST /helpdesks/NAME/notify`."""

    secret: SecretText | list[SecretText] = Field(
        description="What the helpdesk proves itself with, or a list of which any is accepted: the key of its signature "
        "(`X-Hub-Signature`, as Zammad sends it), the password of its basic authentication (OTOBO, Znuny), or a bearer token.",
    )


class HttpHelpdeskSettings(HelpdeskSettings):
    """What every helpdesk has that is called over HTTP."""

    url: str = Field(description="Its API's address.")
    proxy: str = Field(default="", description="HTTP proxy for its calls; the environment's proxies are not used.")
    notify: Notify | None = Field(
        default=None,
        description="Learn at once what persons do to tickets, from a webhook of the helpdesk. It is a hint only: the ticket is "
        "read before anything is concluded. Default: tickets are read before each follow-up, and at no other time.",
    )
    poll: Duration | None = Field(
        default=None,
        ge=10,
        le=86400,
        description="Read the tickets of open incidents so often, at most 100 each time, those that were not read for longest "
        "first; within the helpdesk's limits, and never before actions. Default: never.",
    )


# ------------------------------------------------------------------------------------------------------------- routes

Scalar = str | int | float | bool


class Matcher(Section):
    """A test of one field, where plain equality or a list is not enough. All given tests must hold."""

    eq: Scalar | None = Field(default=None, description="Equal to this.")
    any_of: list[Scalar] | None = Field(default=None, alias="in", description="Equal to one of these.")
    glob: str | list[str] | None = Field(
        default=None, description="Shell pattern over the whole value: `*`, `?`, `[a-c]`."
    )
    re: str | None = Field(default=None, description="RE2 expression found in the value; named groups become `vars`.")
    gte: Scalar | None = Field(default=None, description="At least: a severity or a number.")
    gt: Scalar | None = Field(default=None, description="More than.")
    lte: Scalar | None = Field(default=None, description="At most.")
    lt: Scalar | None = Field(default=None, description="Less than.")
    cidr: str | list[str] | None = Field(default=None, description="An IP address within this network.")
    exists: bool | None = Field(default=None, description="The field is there and not empty, or is not.")
    contains: str | list[str] | None = Field(
        default=None, description="The text holds this (any of these), without case."
    )
    in_file: str | None = Field(default=None, description="Equal to a line of this file, read when the file is loaded.")
    not_: "MatchValue | None" = Field(default=None, alias="not", description="The nested test does not hold.")


MatchValue = Annotated[Scalar | list[Scalar] | Matcher, Field(union_mode="left_to_right")]
Match = dict[str, JsonValue]
"""Field name -> `MatchValue`, and the nestings ``all`` (list), ``any`` (list), ``not`` (one). Checked by routing.compile."""


class FieldTable(Section):
    """A field's value looked up by another field of the event."""

    from_: str = Field(alias="from", description="Field of the event: `severity`, `host`, `labels.env`.")
    table: dict[str, JsonValue] = Field(description="Value by the field's value; `*` for all others.")


class Fallback(Section):
    """Where the ticket is made if its helpdesk refuses it, or does not take it for too long.

    What is left out is as in the ticket section, but for the fields. With a `template` of its own none of the ticket's texts
    is used.
    """

    helpdesk: str = Field(description="Name of another helpdesk.")
    after: Duration = Field(
        default=900.0,
        gt=0,
        description="How long the ticket may wait for the helpdesk before this one. A ticket that is refused does not wait.",
    )
    template: str | None = Field(default=None, description="Folder under `templates/`.")
    title: str | None = Field(default=None, description="Template text of the title.")
    body: str | None = Field(default=None, description="Template text of the body.")
    update: str | None = Field(default=None, description="Template text of follow-ups.")
    recovery: str | None = Field(default=None, description="Template text of what a recovery says.")
    format: Literal["text", "html"] | None = Field(default=None, description="Which of the folder's bodies to use.")
    fields: dict[str, JsonValue] = Field(
        default={}, description="Fields of this helpdesk, as in `ticket.fields`; those are not taken over."
    )
    escalated: dict[str, JsonValue] = Field(
        default={},
        description="Fields that an `update` of `incident.escalate` sets here; without any it is a plain follow-up.",
    )
    attachments: bool | None = Field(default=None, description="Pass the event's attachments on.")


class Ticket(Section):
    """What the ticket is made of."""

    helpdesk: str = Field(description="Name of a helpdesk.")
    template: str = Field(default="generic", description="Folder under `templates/`.")
    title: str | None = Field(default=None, description="Template text in place of the folder's `title.j2`.")
    body: str | None = Field(default=None, description="Template text in place of the folder's body.")
    update: str | None = Field(default=None, description="Template text in place of the folder's `update`.")
    recovery: str | None = Field(default=None, description="Template text in place of the folder's `recovery`.")
    format: Literal["text", "html"] | None = Field(
        default=None,
        description="Which of the folder's bodies to use; default: HTML if the folder has it.",
    )
    fields: dict[str, JsonValue] = Field(
        default={},
        description="Fields of the helpdesk. A text is a template; `{from: severity, table: {...}}` looks a value up.",
    )
    attachments: bool = Field(default=True, description="Pass the event's attachments on.")
    fallback: Fallback | list[Fallback] = Field(
        default=[],
        description="Other helpdesks, in their order, for a ticket that this one refuses or does not take for too long.",
    )


class Repeat(Section):
    """What further problems of an open incident do."""

    append_every: Duration | None = Field(
        default=None,
        description="At most one follow-up in this time; the others are only counted. Default: only count.",
    )


class Recover(Section):
    """What a recovery does."""

    action: Literal["close", "append", "none"] = Field(
        default="close", description="Close, add a note, or leave alone."
    )
    orphan: Literal["ignore"] = Field(default="ignore", description="A recovery without incident is set aside.")
    when: Literal["all", "any"] = Field(default="all", description="Recovered when all members are, or the first.")
    hold: Duration = Field(
        default=0.0,
        le=7 * 86400,
        description="How long the recovery must last before `action` is taken; a problem within this time goes on as if nothing "
        "had been.",
    )
    only_if_untouched: bool = Field(
        default=False,
        description="Close only a ticket on which no person has worked: no answer, note, owner, state or other change but ours. "
        "Else the recovery is a quiet follow-up, and the ticket stays as it is. The helpdesk must be one that can be read.",
    )


class Escalate(Section):
    """What happens when a problem gets worse, or nobody looks after it."""

    severity: Literal["append", "update", "ignore"] = Field(
        default="append",
        description="What a severity does that is worse than any before in this incident: a follow-up at once, a follow-up that "
        "also sets `fields`, or nothing.",
    )
    after: Duration | None = Field(
        default=None,
        gt=0,
        description="A ticket whose problem nobody has acknowledged within this time is told so, once. Default: never.",
    )
    action: Literal["append", "update"] = Field(
        default="append", description="How it is told: a follow-up, or one that also sets `fields`."
    )
    fields: dict[str, JsonValue] = Field(
        default={},
        description="Fields of the helpdesk that `update` sets (priority, owner, queue), written as in `ticket.fields`; all others "
        "stay as they are.",
    )


class Expire(Section):
    """What happens to an open incident of which nothing more is heard."""

    after: Duration = Field(default=14 * 86400.0, ge=60, description="So long without any event.")
    then: Literal["note", "close", "forget"] = Field(
        default="note",
        description="A quiet follow-up; close the ticket; or leave it alone, so that the next problem makes a new one.",
    )


class Flap(Section):
    """When a problem that comes and goes is left in peace."""

    changes: int = Field(ge=3, le=100, description="So many times come or gone, within the time, are flapping.")
    within: Duration = Field(
        gt=0,
        le=86400,
        description="The time; also how long it must neither come nor go until it flaps no more, and the least `reopen_within`.",
    )


class Storm(Section):
    """When many tickets become one."""

    limit: int = Field(ge=2, le=1000, description="More tickets than this within the time are a storm.")
    within: Duration = Field(
        gt=0, le=86400, description="The time; also how long nothing new must come until the storm is over."
    )
    per: list[str] = Field(
        default=[],
        description="Fields of the event whose values are counted apart (`source`, `labels.site`); the route always is.",
    )
    then: Literal["digest"] = Field(
        default="digest",
        description="What comes beyond the limit makes no ticket of its own: one digest ticket tells of all of it.",
    )
    every: Duration = Field(
        default=60.0, ge=1, le=86400, description="At most one follow-up of the digest in this time tells what is new."
    )
    template: str = Field(default="storm", description="Folder under `templates/` for the digest ticket.")


class IncidentPolicy(Section):
    """Which events belong together, and what their course does to the ticket."""

    key: list[str] | None = Field(
        default=None,
        description="Fields that make the correlation key, with source and route; default: what the source's kind "
        "proves stable.",
    )
    include_source: bool = Field(default=True, description="The source is part of the key.")
    include_route: bool = Field(default=True, description="The route is part of the key.")
    across: list[str] = Field(
        default=[],
        description="Sources that see the same things: what they report under one key is one incident, which recovers when it has "
        "for all of them. Needs `key`.",
    )
    confirm: Duration = Field(
        default=0.0,
        ge=0,
        le=86400,
        description="How long a problem must last before its ticket is made; if it is over before, none is.",
    )
    repeat: Repeat = Field(default_factory=Repeat, description="What further problems do.")
    escalate: Escalate | Literal["append", "update", "ignore"] = Field(
        default="append",
        description="What happens when a problem gets worse or nobody looks after it; one word stands for `severity`.",
    )
    recover: Recover = Field(default_factory=Recover, description="What a recovery does.")
    coalesce: Literal["on", "off"] = Field(
        default="on",
        description="Follow-ups of one ticket that wait because the helpdesk is down or slow are sent as one article, their texts "
        "in order; `off`: each by itself.",
    )
    notes: Literal["append", "ignore"] = Field(
        default="append",
        description="What acknowledgements, comments and downtimes do: a quiet follow-up, or nothing.",
    )
    joined: Literal["append", "ignore"] = Field(
        default="append",
        description="What further alerts of a group do: a follow-up with all that stand in the group, one for each delivery, or "
        "nothing.",
    )
    closed_by_hand: Literal["stay_quiet", "reopen", "new"] = Field(
        default="stay_quiet",
        description="What happens to follow-ups when a person has closed the ticket while the problem lasts. `stay_quiet`: nothing "
        "more is written to it, but a severity worse than any before opens it again. `reopen`: the next follow-up opens it again. "
        "`new`: the next follow-up becomes a new ticket that names the old one. The helpdesk must be one that can be read.",
    )
    reopen_within: Duration = Field(
        default=0.0,
        description="A problem that comes back within this time after the incident closed uses the same ticket.",
    )
    suppressed_by: Literal["host"] | None = Field(
        default=None,
        description="`host`: the ticket of a service waits while an incident of its host itself (same source, no service) is open, "
        "and 90 s longer; what is over by then makes none. Default: never.",
    )
    flap: Flap | None = Field(
        default=None,
        description="A problem that comes and goes more often than this: its ticket is told once and stays open; it closes when "
        "the problem has stayed away. Default: not watched.",
    )
    storm: Storm | None = Field(
        default=None,
        description="When more tickets than this would be made, one digest ticket holds the table of those beyond it; it closes "
        "when all have recovered. Only problems count. Default: not watched.",
    )
    expire: Expire | Literal["never"] = Field(
        default_factory=Expire,
        description="What happens to an open problem of which nothing more is heard. Tickets of mails never expire.",
    )


class ScheduleSettings(Section):
    """A time that rules may name with `when`."""

    tz: str = Field(default="UTC", description="Zone of its wall clock times (`Europe/Berlin`).")
    windows: list[str] = Field(default=[], description="Single times: `2026-12-05T22:00/2026-12-06T04:00`.")
    weekly: list[str] = Field(
        default=[], description="Times of every week: `mon-fri 08:00-18:00`, `sat 22:00-06:00`, `02:00-03:00` (daily)."
    )


class LookupSettings(Section):
    """A table in a file, of which an event uses the row that one of its fields names."""

    file: str = Field(
        min_length=1,
        description="CSV (`;`, `,` or tabs; the first line names the columns), YAML or JSON; relative to this file's folder.",
    )
    by: str = Field(
        min_length=1, description="Field of the event that names the row: `host`, `service`, `labels.asset`."
    )
    column: str = Field(
        default="", description="Column that it is compared with. Default: the one that is called as the field."
    )
    match: Literal["exact", "glob", "cidr"] = Field(
        default="exact",
        description="How it is compared: as it is; `*`, `?` and `[a-c]` in the column are wildcards; or the column holds networks.",
    )
    ignore_case: bool = Field(default=False, description="Compare without case.")
    default: dict[str, Scalar] | None = Field(
        default=None, description="The row of what has none; columns that it leaves out are empty."
    )
    missing: Literal["tell", "ignore"] = Field(
        default="tell",
        description="Where there is no row: its columns are absent and that is told (`lookup_missing`), or they are empty.",
    )


class When(Section):
    """The time at which a rule takes anything: that of receipt counts. All that is given must hold."""

    during: str | None = Field(default=None, description="Within this schedule.")
    outside: str | None = Field(default=None, description="Outside of this schedule.")


class Drop(Section):
    """Drop what matches, by name and with a reason."""

    reason: str = Field(min_length=1, description="Why; shown with every event that it drops.")
    open_incidents: bool = Field(
        default=False,
        description="Drop also what follows an open incident (its recovery, notes); default: those get through.",
    )


class Route(Section):
    """One rule: what it matches, and what to do then. The first match wins."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the rule; unique.")
    was: list[str] | str = Field(default=[], description="Earlier names; open incidents of those go on under this one.")
    match: Match = Field(default={}, description="Tests of the event's fields that must all hold; empty: everything.")
    lookup: LookupSettings | str | None = Field(
        default=None,
        description="A table for this rule, whose columns are `lookup.COLUMN` here, or the name of one under `lookups`; default: "
        "that of the whole file.",
    )
    when: When | None = Field(default=None, description="The time at which it takes anything; default: always.")
    vars: dict[str, str] = Field(default={}, description="Variables for the templates; each a template itself.")
    drop: Drop | None = Field(default=None, description="Drop what matches.")
    ticket: Ticket | None = Field(default=None, description="What the ticket is made of.")
    incident: IncidentPolicy = Field(default_factory=IncidentPolicy, description="Which events belong together.")
    then: Literal["stop", "continue"] = Field(default="stop", description="Go on to later routes after this one.")


class Unrouted(Section):
    """What to do with an event that no route takes."""

    dead_letter: bool = Field(default=True, description="Keep it as a visible dead letter.")
    ticket: Ticket | None = Field(default=None, description="Make a ticket of it instead.")
    incident: IncidentPolicy = Field(default_factory=IncidentPolicy, description="Which events belong together.")


class File(Section):
    """The whole file, but for the settings of each kind, which their own models check."""

    version: Literal[1] = Field(description="Version of the grammar.")
    include: str | list[str] = Field(
        default=[],
        description="Further files with `sources`, `helpdesks`, `schedules`, `lookups` and `routes`: a name or pattern "
        "(`routes.d/*.yaml`), or a list of them; see [large sites](large-sites.md).",
    )
    server: Server = Field(default_factory=Server, description="What the gateway itself needs.")
    sources: dict[str, JsonValue] = Field(default={}, description="Who may send, by name: served at `/in/NAME`.")
    helpdesks: dict[str, JsonValue] = Field(default={}, description="Where tickets are made, by name.")
    templates: str = Field(default="templates", description="Folder of the ticket templates, relative to this file.")
    schedules: dict[str, ScheduleSettings] = Field(default={}, description="Times, by name, for `when`.")
    lookups: dict[str, LookupSettings] = Field(
        default={}, description="Tables, by name: `lookups.NAME.COLUMN`; see [large sites](large-sites.md)."
    )
    lookup: LookupSettings | str | None = Field(
        default=None, description="The table of all rules that have none of their own; its columns are `lookup.COLUMN`."
    )
    routes: list[Route] = Field(default=[], description="The rules, in order.")
    unrouted: Unrouted = Field(default_factory=Unrouted, description="What no rule takes.")
    tests: list[RouteTest] = Field(default=[], description="Tests of the rules, for `ticket-gateway test`.")
