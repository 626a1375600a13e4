"""The switches of the OTOBO and Znuny doubles: what an administrator could set there."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.sandbox import SANDBOX_API_KEY
from gateway.sandbox.webhooks import Webhook

PERMISSIONS = frozenset({"ro", "move_into", "create", "note", "owner", "priority", "rw"})
"""The permissions on a group; `rw` includes all others."""

STATE_TYPES = ("new", "open", "closed", "pending reminder", "pending auto", "removed", "merged")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


ANNA = "anna"
ANNA_ID = 12
"""Who does what is clicked on the sandbox's page."""


class Agent(_Frozen):
    """An agent: what it may do on which group."""

    id: int
    name: str
    password: str
    groups: dict[str, tuple[str, ...]] = {"users": ("rw",)}


class Customer(_Frozen):
    """A customer's record."""

    name: str
    email: str
    company: str
    password: str = ""


class WebService(_Frozen):
    """A web service of the Generic Interface."""

    layout: Literal["lower", "stock"] = "lower"
    max_length: int = Field(default=100_000_000, description="bytes of a body; more is answered with 413")
    include_ticket_data: bool = False
    active: bool = True
    deletes: bool = Field(default=False, description="an operation that somebody has added: DELETE /ticket/:TicketID")


class DynamicField(_Frozen):
    """A dynamic field. ``keys`` are those of a dropdown or multiselect."""

    kind: Literal["text", "dropdown", "multiselect", "checkbox", "date"] = "text"
    of: Literal["Ticket", "Article"] = "Ticket"
    keys: tuple[str, ...] = ()
    pattern: str = ""


class OtoboSandboxSettings(_Frozen):
    """All switches. Shipped names are OTOBO's; the agent, its queue and its fields are the gateway's."""

    webhook: Webhook = Field(
        default_factory=Webhook, description="posted by an invoker whenever a ticket is made, changed or deleted"
    )
    services: dict[str, WebService] = Field(
        default_factory=lambda: {
            "TicketGateway": WebService(),
            "GenericTicketConnectorREST": WebService(layout="stock"),
            "OTOBO": WebService(max_length=16_000, include_ticket_data=True),
        }
    )
    agents: dict[str, Agent] = Field(
        default_factory=lambda: {"gateway": Agent(id=4, name="Ticket Gateway", password=SANDBOX_API_KEY)}
    )
    customers: dict[str, Customer] = Field(
        default_factory=lambda: {"kunde": Customer(name="Karl Kunde", email="karl@customer.test", company="ACME")}
    )
    queues: dict[str, str] = Field(
        default_factory=lambda: {
            "Postmaster": "users",
            "Raw": "users",
            "Junk": "users",
            "Misc": "users",
            "Network": "users",
            "Monitoring": "users",
            "VIP": "vip",
        },
        description="queue and its group; ids count from 1 in this order",
    )
    states: dict[str, str] = Field(
        default_factory=lambda: {
            "new": "new",
            "closed successful": "closed",
            "closed unsuccessful": "closed",
            "open": "open",
            "removed": "removed",
            "pending reminder": "pending reminder",
            "pending auto close+": "pending auto",
            "pending auto close-": "pending auto",
            "merged": "merged",
        },
        description="state and its type; administrators rename states",
    )
    priorities: tuple[str, ...] = ("1 very low", "2 low", "3 normal", "4 high", "5 very high")
    types: tuple[str, ...] = ("Unclassified", "Incident", "Problem")
    services_of_customers: dict[str, tuple[str, ...]] = Field(
        default={"Network": ("kunde",)}, description="service and the customers who may have it"
    )
    slas: dict[str, str] = Field(default_factory=lambda: {"Gold": "Network"}, description="SLA and its service")
    dynamic_fields: dict[str, DynamicField] = Field(
        default_factory=lambda: {
            "TicketGatewayID": DynamicField(),
            "Severity": DynamicField(kind="dropdown", keys=("info", "warning", "minor", "major", "critical")),
            "Host": DynamicField(),
            "Tags": DynamicField(kind="multiselect", keys=("network", "storage", "database")),
        }
    )
    auto_replies: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="queue and the types of automatic answers that it has"
    )
    check_invalid_address: bool = Field(default=True, description="refuse addresses at example.*")
    owner_reset_on_unlock: bool = True
    title_length: int = Field(default=191, ge=1, description="longer titles are cut without a word")
    session_life: float = Field(default=7200.0, ge=0.0, description="seconds after it was made, whatever its use")
    latency: float = Field(
        default=0.0, ge=0.0, description="seconds between the parts of a create: the ticket is visible meanwhile"
    )
    seed: int | None = Field(default=None, description="makes the order of keys repeatable")
