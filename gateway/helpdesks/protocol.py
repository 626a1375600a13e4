"""What delivery asks of a connector, and what a connector may ask of the world.

A connector is pure but for `call`, `resolve` and `probe`, which talk to the helpdesk through the one `Http` they are
given: it adds the total deadline, the cap on the answer, and refuses redirects. Secrets are added by the connector at the
moment of the call; they are never part of the stored request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel

from gateway.model.action import ActionKind, Outcome, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonValue
from gateway.model.reasons import Reason

if TYPE_CHECKING:  # operations stand on this module
    from gateway.helpdesks.operations import Operation, Operator


class Certainty(StrEnum):
    """How well an unknown outcome can be resolved (design, effectively-once delivery)."""

    IDEMPOTENT_MAIL = "idempotent_mail"
    SAME_CALL = "same_call"
    STRONG_LOOKUP = "strong_lookup"
    EVENTUAL_LOOKUP = "eventual_lookup"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a helpdesk can do over its API.

    ``substitutes`` names for each missing action what is done instead and the reason that is recorded; `check` prints
    them. ``fields`` are the names that `ticket.fields` may hold, with one line each; a name outside is an error unless
    ``open_fields`` is true.
    """

    actions: frozenset[ActionKind]
    certainty: Certainty
    readable: bool
    fields: Mapping[str, str]
    open_fields: bool = False
    substitutes: Mapping[ActionKind, tuple[ActionKind, Reason, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer, its body cut at the cap (``truncated``). Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


class CallFailed(Exception):
    """A call that brought no whole answer.

    ``sent`` is false only where it is proven that no byte of the request's body can have been worked on: connect, DNS,
    TLS and pool failures.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        """``message`` names the place and the fault."""
        super().__init__(message)
        self.sent = sent


class Http(Protocol):
    """The one way out: bounded by a deadline, no redirects, capped answers, proxies only where configured."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float,
    ) -> Answer:
        """Send and read the whole answer within ``timeout`` seconds in total, or raise `CallFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What delivery wants done: one action, with all that a connector may need to build its request.

    ``attachments`` are the contents, in the order of ``draft.attachments``. ``left_out`` are fields that were refused
    and must not be sent again. ``queued_at`` is the instant the action was made (for Date headers: it must be the same
    on every attempt). ``in_place``: a new ticket may take the place of one that is not there any more. ``doubtful``:
    an earlier call of this action may have written a part of it.
    """

    action: str
    kind: ActionKind
    marker: str
    draft: TicketDraft
    ticket: TicketRef | None
    queued_at: float
    receipt: str = ""
    attachments: Sequence[bytes] = ()
    left_out: tuple[str, ...] = ()
    in_place: bool = True
    doubtful: bool = False


class Connector(Protocol):
    """One configured helpdesk."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names the instance, so that a ticket id is never used against another one. No secrets."""
        ...

    def requester(self, draft: TicketDraft) -> str:
        """The address that will own the ticket, lower case: creates for one unseen requester are serialised."""
        ...

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:
        """The draft as this helpdesk can take it: the first is the action itself, others become appends after it.

        That is the way of attachments which the first call would lose. Pure.
        """
        ...

    def prepare(self, order: Order) -> bytes:
        """The request as it will be sent, serialised without secrets; also what resolving will need. Pure.

        Raises `ValueError` with a sentence for people if no request can be made of the draft.
        """
        ...

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Make the call of a stored request. Never raises for anything the network or the helpdesk does."""
        ...

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Find out what an unknown outcome was, or bring it about without doubling it.

        NOT_SENT means: proven absent, call again. UNKNOWN means: cannot tell yet.
        """
        ...

    async def probe(self, http: Http, *, timeout: float) -> Outcome:
        """The harmless call: DELIVERED if the helpdesk works and takes our credentials. Writes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HelpdeskKind:
    """A kind of helpdesk, as the registry knows it. ``settings`` is its configuration model.

    ``check_fields`` tells what is wrong with a route's ``ticket.fields`` under given settings, as far as it can be said
    before any event: (field, problem, way out). ``operate`` makes what people use (`gateway.helpdesks.operations`);
    None: it has no operations for people. ``operations`` are those that this kind can do.
    """

    name: str
    settings: type[BaseModel]
    capabilities: Capabilities
    connect: Callable[[str, BaseModel], Connector]
    check_fields: Callable[[Mapping[str, JsonValue], BaseModel], Sequence[tuple[str, str, str]]] | None = None
    operate: "Callable[[str, BaseModel], Operator] | None" = None
    operations: "frozenset[Operation]" = frozenset()
