"""The switches of the Zammad double: which release it is, what its administrator has set, and how fast its machine is."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.webhooks import Webhook


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Token(_Frozen):
    """An access token: whose it is and what it may do."""

    user: int = 3
    permissions: tuple[str, ...] = ("ticket.agent",)
    expired: bool = False


class Agent(_Frozen):
    """Somebody who works tickets. ``rights`` are those in every group: read, create, change, full."""

    login: str
    name: str
    password: str = ""
    active: bool = True
    rights: tuple[str, ...] = ("full",)


ANNA_ID = 5
ANNA = Agent(login="anna@helpdesk.example", name="Anna Agent")
"""Who does what is clicked on the sandbox's page."""


class StateRow(_Frozen):
    """A state. ``type``: 1 new, 2 open, 3 pending reminder, 4 pending action, 5 closed, 6 merged, 7 removed."""

    name: str
    type: int
    active: bool = True
    next: int | None = None


class ZammadSandboxSettings(_Frozen):
    """All switches. A fresh one is a newer release with the attribute `gateway_key` and without a search index."""

    webhook: Webhook = Field(
        default_factory=Webhook,
        description="posted whenever a ticket is made or changed, as a trigger would; not for a deleted one",
    )
    release: Literal["newer", "older"] = Field(
        default="newer",
        description="older: another shape of searches, empty bodies are taken, and a refused article leaves an empty ticket",
    )
    tokens: dict[str, Token] = Field(default_factory=lambda: {SANDBOX_API_KEY: Token()})
    agents: dict[int, Agent] = Field(
        default_factory=lambda: {
            3: Agent(login="gateway@helpdesk.example", name="Ticket Gateway", password="sandbox"),  # noqa: S106 - opens nothing
            ANNA_ID: ANNA,
        }
    )
    token_access: bool = Field(default=True, description="off: 403 `API token access disabled!`")
    password_access: bool = True

    groups: dict[int, str] = Field(
        default_factory=lambda: {1: "Users", 2: "Operations", 3: "DBA::FRA", 4: "Sales::Europe"}
    )
    states: dict[int, StateRow] = Field(
        default_factory=lambda: {
            1: StateRow(name="new", type=1),
            2: StateRow(name="open", type=2),
            3: StateRow(name="pending reminder", type=3),
            4: StateRow(name="closed", type=5),
            5: StateRow(name="merged", type=6),
            6: StateRow(name="removed", type=7, active=False),
            7: StateRow(name="pending close", type=4, next=4),
        }
    )
    default_create: int = 1
    default_follow_up: int = 2
    priorities: dict[int, str] = Field(default_factory=lambda: {1: "1 low", 2: "2 normal", 3: "3 high"})
    default_priority: int = 2
    attributes: tuple[str, ...] = Field(default=("gateway_key",), description="custom text attributes of tickets")
    required: tuple[str, ...] = Field(default=(), description="attributes that the workflow makes mandatory")
    tag_new: bool = Field(default=True, description="off: tags that nobody has used yet are dropped without a word")

    search_index: bool = Field(
        default=False, description="queries go to an index that lags behind, not to the database"
    )
    index_delay: float = Field(default=2.0, ge=0.0, description="seconds until the index knows a ticket")
    conditions: Literal["honoured", "ignored"] = Field(
        default="honoured", description="ignored: a search by condition brings the latest tickets"
    )
    unknown_conditions: tuple[str, ...] = Field(
        default=(), description="names that this release does not know: such a condition is dropped"
    )

    system_id: int = Field(default=10, ge=1, le=99)
    body_limit: int = Field(default=64 * 1024 * 1024, ge=0, description="the web server's, in bytes: 413")
    latency: float = Field(default=0.0, ge=0.0, description="seconds from the check to the commit: the race window")
