"""The settings of a generic source: where in its JSON the parts of an event stand."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.models import Section, SourceSettings
from gateway.sources.generic.paths import steps


def _path(text: str) -> str:
    steps(text)
    return text


Path = Annotated[str, AfterValidator(_path)]


class Rule(Section):
    """How one field is found: at a path or as a constant, then through a table."""

    path: Path | None = Field(default=None, description="Where it stands: `order.items[0].name`.")
    const: str | None = Field(default=None, description="Always this text, instead of a path.")
    table: dict[str, str] = Field(
        default={},
        description='What each value becomes; `"*"` is any other value. Without `"*"`, other values stay as they are.',
    )
    default: str = Field(default="", description="What it is where nothing stands at the path.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.const is None):
            raise ValueError("give either `path` or `const`")
        return self


One = Path | Rule
Where = One | Annotated[list[One], Field(min_length=1)]
"""A path, a rule, or several of them, of which the first that finds something counts."""


class SenderMap(Section):
    """Where the person stands who wrote."""

    name: Where = Field(default="sender.name", description="The person's name.")
    address: Where = Field(default="sender.address", description="The person's mail address.")


class LinkMap(Section):
    """One link of the event."""

    title: str = Field(description="What people read.")
    url: Path = Field(description="Where its address stands; only http and https are taken.")


class AttachmentMap(Section):
    """Where a list of attachments stands, and the names of the parts of each."""

    path: Path = Field(default="attachments", description="Where the list stands.")
    filename: Path = Field(default="filename", description="The file's name, within one entry.")
    media_type: Path = Field(default="media_type", description="Its media type, within one entry.")
    content: Path = Field(default="content", description="Its content in base64, within one entry.")


class GenericMap(Section):
    """Paths into the JSON. What is not named here is not read, but for attachments."""

    title: Where | None = Field(default=None, description="One line.")
    text: Where | None = Field(default=None, description="Plain text.")
    html: Where | None = Field(default=None, description="HTML, cleaned before anybody sees it.")
    severity: Where | None = Field(default=None, description="Severity, or a word of the documented table.")
    kind: Where | None = Field(default=None, description="Kind, or a word of the documented table.")
    state: Where | None = Field(default=None, description="The sender's own word for the state.")
    host: Where | None = Field(default=None, description="What machine.")
    service: Where | None = Field(default=None, description="What on it.")
    origin_key: Where | None = Field(default=None, description="The sender's name for what has the problem.")
    problem_id: Where | None = Field(default=None, description="The sender's id of this episode.")
    occurred_at: Where | None = Field(default=None, description="Epoch in seconds or milliseconds, or ISO 8601.")
    still_in_problem: Where | None = Field(default=None, description="true or false: how it stands after the event.")
    duplicate_key: Where | None = Field(default=None, description="The sender's id of this very delivery.")
    sender: SenderMap | None = Field(default=None, description="Who wrote.")
    labels: Path | dict[str, Where] | None = Field(
        default=None,
        description="Labels by name, or the path of an object whose entries become labels.",
    )
    links: Path | list[LinkMap] | None = Field(
        default=None,
        description="Links, or the path of a list of `{title, url}`.",
    )
    attachments: AttachmentMap = Field(default_factory=AttachmentMap, description="Files, in base64.")


class GroupMap(Section):
    """Where a body says which group its alerts belong to. Paths begin at the top of the body."""

    key: Where = Field(description="The sender's name for the group; a rule makes it the key with `key: [group]`.")
    state: Where | None = Field(
        default=None,
        description="How the whole group stands, in the words of `kind`; a word of `recovery` ends what is left of it.",
    )
    whole: bool = Field(
        default=False,
        description="Each body names every alert of its group that is a problem: one that is missing has recovered.",
    )
    left_out: Path | None = Field(
        default=None, description="Number of alerts that the sender has left out; if it is not 0, nothing is missing."
    )


OWN_NAMES = GenericMap(
    title="title",
    text="text",
    html="html",
    severity="severity",
    kind="kind",
    state="state",
    host="host",
    service="service",
    origin_key="origin_key",
    problem_id="problem_id",
    occurred_at="occurred_at",
    still_in_problem="still_in_problem",
    duplicate_key="duplicate_key",
    sender=SenderMap(),
    labels="labels",
    links="links",
)


class GenericSettings(SourceSettings):
    """Any sender of JSON or forms. Without `map`, fields have the event's own names."""

    malformed: Literal["accept", "reject"] = Field(
        default="reject",
        description="What to do with a payload that cannot be read: `reject` it (400), or `accept` it as a `raw` event.",
    )
    map: GenericMap = Field(default=OWN_NAMES, description="Where in the JSON the parts of the event stand.")
    events: Path | None = Field(
        default=None,
        description="Where a list of events stands; paths of `map` begin in each entry, and at the top of the body with `$.`. A "
        "list at the top needs nothing.",
    )
    group: GroupMap | None = Field(default=None, description="The group of alerts that a body is about.")
