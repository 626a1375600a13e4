"""The models of the ``tests:`` section: what a test sends, what it breaks, and what it expects."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from gateway.config.section import Section
from gateway.config.values import Duration
from gateway.sandbox.faults import Fault, FaultKind

START = "2026-01-07T12:00+00:00"
"""When a test begins that says nothing else: a Wednesday, at noon."""

LONGEST = 10 * 366 * 86400.0
"""Seconds that a test may last, on its own clock."""

FaultName = Literal[
    "refuse", "slow", "rate_limit", "auth_broken", "database_down", "html_error", "redirect", "maintenance",
    "hang_before_commit", "commit_then_hang", "commit_then_drop", "die_half_way", "down", "clear",
]  # fmt: skip
"""The sandbox's faults by name; ``down``: nobody listens at the address; ``clear``: all is well again."""


def _moment(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no instant; write 2026-12-05T22:30+01:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no zone; write {value}+01:00, or {value}Z for UTC")
    return value


class Send(Section):
    """Something that comes in: the fields of an event, or a recorded message that the source's own parser reads."""

    source: str = Field(description="Which source it comes from.")
    file: str | None = Field(
        default=None,
        description="File beside routes.yaml: a mail, a raw body, or a recorded request. It is read as if its sender had sent it.",
    )
    json_: JsonValue = Field(default=None, alias="json", description="Body of a JSON request, for the source's parser.")
    form: dict[str, str] | None = Field(default=None, description="Fields of a form, for the source's parser.")
    body: str | None = Field(default=None, description="Body of a request, for the source's parser.")
    content_type: str = Field(default="", description="Content type of `file` or `body`; default: a guess.")
    headers: dict[str, str] = Field(default={}, description="Headers of the request, or of the mail.")
    kind: Literal[
        "problem", "update", "recovery", "acknowledgement", "custom", "flapping_start", "flapping_stop", "downtime_start",
        "downtime_end", "downtime_cancelled", "information", "message", "bounce", "raw",
    ] | None = Field(default=None, description="Kind of the event; default: `problem`, of a mail: what its text says.")  # fmt: skip
    severity: Literal["info", "warning", "minor", "major", "critical", "unknown"] | None = Field(
        default=None, description="Severity; default: `critical` for a problem, else `info`."
    )
    host: str = Field(default="", description="Host.")
    service: str = Field(default="", description="Service.")
    title: str = Field(default="", description="Title, of a mail its subject; default: made of the fields.")
    text: str = Field(default="", description="Text.")
    state: str = Field(default="", description="The sender's own word for the state (`CRITICAL`).")
    still_in_problem: bool | None = Field(default=None, description="How the object stands after the event.")
    labels: dict[str, str] = Field(default={}, description="Labels.")
    origin_key: str = Field(
        default="", description="The sender's own name for what has the problem; default: host and service."
    )
    problem_id: str = Field(default="", description="The sender's id of this episode.")
    group: str = Field(default="", description="The sender's name for the group of alerts in which it comes.")
    from_: str = Field(default="", alias="from", description="Of a mail: who wrote it (`Jane <jane@example.org>`).")
    to: list[str] | str = Field(default=[], description="Of a mail: to whom it is.")
    cc: list[str] | str = Field(default=[], description="Of a mail: who has a copy.")
    message_id: str = Field(default="", description="Of a mail: its Message-ID; default: a new one.")
    in_reply_to: str = Field(default="", description="Of a mail: the Message-ID that it answers.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in ("file", "json_", "form", "body") if name in self.model_fields_set]
        beside = self.model_fields_set - {"source", "headers", "content_type", "from_", "to", *ways}
        if len(ways) > 1:
            raise ValueError(f"{ways[1].strip('_')}: stands beside `{ways[0].strip('_')}`; give one of them")
        if ways and beside:
            name = min(beside).strip("_")
            raise ValueError(f"{name}: the message of `{ways[0].strip('_')}` says this itself; leave it out")
        if self.content_type and not ways:
            raise ValueError("content_type: belongs to a `file` or `body`; leave it out")
        return self

    @property
    def is_recorded(self) -> bool:
        """Whether it brings a message of its own."""
        return not {"file", "json_", "form", "body"}.isdisjoint(self.model_fields_set)


class FaultSpec(Section):
    """A fault of a helpdesk, with what it needs."""

    fault: FaultName = Field(description="Which.")
    count: int | None = Field(
        default=None, ge=1, description="Only the next requests, so many; default: until `clear`."
    )
    seconds: Duration | None = Field(default=None, ge=0, description="How long it waits, or asks to wait.")
    status: int = Field(default=502, ge=500, le=599, description="Of `html_error`: the status.")
    commits: bool = Field(default=True, description="Of `hang_before_commit`: whether it writes in the end.")
    at: Literal["ticket", "thread_entry", "attachment"] = Field(
        default="thread_entry", description="Of `die_half_way`: what could not be written any more."
    )
    match: str | None = Field(default=None, description="Only requests whose subject holds this.")

    def as_fault(self) -> Fault:
        """As the sandbox knows it."""
        return Fault(
            fault=FaultKind(self.fault),
            count=self.count,
            seconds=self.seconds,
            status=self.status,
            commits=self.commits,
            at=self.at,
            match=self.match,
        )


Faults = FaultName | FaultSpec | list[FaultSpec]
Fields = dict[str, JsonValue]
Count = Annotated[int, Field(ge=0)]
Amount = Count | Fields | list[Fields]
"""How many, or what the one looks like, or what each of several looks like, in their order."""
Words = str | list[str]


class Expect(Section):
    """What must have happened. Actions, drops and reasons count since the last `expect`; the rest is how it stands."""

    create: Amount | None = Field(
        default=None,
        description="Tickets that were made: how many, or what the one looks like (`helpdesk`, `route`, `title`, `body`, fields).",
    )
    append: Amount | None = Field(default=None, description="Follow-ups that were written.")
    close: Amount | None = Field(default=None, description="Tickets that were closed.")
    reopen: Amount | None = Field(default=None, description="Tickets that were opened again.")
    update: Amount | None = Field(default=None, description="Tickets whose fields were changed.")
    actions: Count | None = Field(default=None, description="All these together.")
    skipped: Amount | None = Field(
        default=None,
        description="Actions that were not made after all: a ticket that a person has worked on is not closed.",
    )
    tickets: Count | dict[str, Count] | None = Field(
        default=None, description="Tickets that there are now: in all helpdesks together, or by helpdesk."
    )
    open_incidents: Count | None = Field(default=None, description="Incidents that are not closed now.")
    dead_letters: Count | None = Field(default=None, description="What waits for a person now.")
    dropped: Count | Words | None = Field(
        default=None, description="Events that rules dropped: how many, or for which reasons."
    )
    route: Words | None = Field(default=None, description="Routes that took the events, each once, in their order.")
    reason: Words | None = Field(
        default=None,
        description="Reasons (docs/reasons.md) that were given, among others, to events, timers and actions.",
    )

    @property
    def given(self) -> list[str]:
        """The keys that are written, in the order of this model."""
        return [name for name in type(self).model_fields if name in self.model_fields_set]


class TestStep(Section):
    """One moment of a test. Where it holds several things they are done in the order of this table."""

    __test__ = False

    at: Duration = Field(
        le=LONGEST,
        description="When, counted from the start of the test; never before the step above.",
    )
    fault: Literal["clear"] | dict[str, Faults] | None = Field(
        default=None, description="Faults by helpdesk, or `clear`: all helpdesks are well again."
    )
    agent: dict[str, str] | None = Field(
        default=None,
        description="What a person does to the newest ticket of a helpdesk: `{zammad: close}`; all that the sandbox's page can.",
    )
    send: Send | None = Field(default=None, description="What comes in.")
    times: int = Field(
        default=1, ge=1, le=1000, description="How often `send` is sent; `{n}` in its texts is then 1, 2, 3 and so on."
    )
    every: Duration = Field(default=0.0, ge=0, le=86400, description="The time between two of these.")
    expect: Expect | None = Field(default=None, description="What must have happened, when all is sent.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.model_fields_set & {"fault", "agent", "send", "expect"}:
            raise ValueError("the step does nothing; give it `send`, `fault`, `agent` or `expect`")
        if self.send is None and not {"times", "every"}.isdisjoint(self.model_fields_set):
            raise ValueError("`times` and `every` say how often something is sent; give it `send`")
        return self

    @property
    def ends(self) -> float:
        """When all of it is done, as `at`."""
        return self.at + (self.times - 1) * self.every

    def sends(self) -> Iterator[tuple[float, Send]]:
        """What is sent when."""
        for number in range(1, self.times + 1) if self.send is not None else ():
            assert self.send is not None
            yield self.at + (number - 1) * self.every, _numbered(self.send, number) if self.times > 1 else self.send


def _numbered(send: Send, number: int) -> Send:
    """The same with the number in place of ``{n}``, in all its texts."""

    def filled(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return value.replace("{n}", str(number))
        if isinstance(value, list):
            return [filled(item) for item in value]
        return {filled_key(name): filled(item) for name, item in value.items()} if isinstance(value, dict) else value

    def filled_key(name: str) -> str:
        return name.replace("{n}", str(number))

    return Send.model_validate(filled(send.model_dump(by_alias=True, exclude_unset=True)))


class RouteTest(Section):
    """A test of the rules, on virtual time."""

    name: str = Field(min_length=1, max_length=200, description="What it shows, in a sentence; unique.")
    start: Annotated[str, AfterValidator(_moment)] = Field(
        default=START, description="The instant of `at: 0s`, with its zone: `2026-12-05T22:30+01:00`."
    )
    steps: list[TestStep] = Field(min_length=1, description="What happens, in order.")

    @property
    def begins(self) -> float:
        """The instant of ``at: 0s``, in seconds since 1970."""
        return datetime.fromisoformat(self.start).timestamp()
