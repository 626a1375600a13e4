"""Any HTTP API that takes JSON: each action is the request that the configuration describes, stored before it is sent.

What is known of a call that nobody answered depends on the API: a look-up finds it, the idempotency key makes it harmless
to send again, or nothing does, and then `on_unknown` decides.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from gateway.helpdesks.doubt import Doubt
from gateway.helpdesks.files import describe, file_name, noted, split, where
from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.protocol import CallFailed, Capabilities, Certainty, Http, Order
from gateway.helpdesks.webhook import answers, templates
from gateway.helpdesks.webhook.answers import Named
from gateway.helpdesks.webhook.finding import Finder, Found
from gateway.helpdesks.webhook.session import Refused, Session
from gateway.helpdesks.webhook.settings import WebhookRequest, WebhookSettings
from gateway.helpdesks.webhook.stored import Stored, prepare
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.reasons import Reason

SUBSTITUTES = {
    ActionKind.CLOSE: (
        ActionKind.APPEND,
        Reason.CLOSE_UNSUPPORTED,
        "where no `close` request is configured, an `append` says that the problem is over.",
    ),
    ActionKind.REOPEN: (
        ActionKind.APPEND,
        Reason.REOPEN_UNSUPPORTED,
        "where no `reopen` request is configured, an `append` says that the problem is back.",
    ),
    ActionKind.UPDATE: (
        ActionKind.APPEND,
        Reason.UPDATE_UNSUPPORTED,
        "where no `update` request is configured, an `append` says what changed.",
    ),
}
CAPABILITIES = Capabilities(
    actions=frozenset({ActionKind.CREATE, ActionKind.APPEND}),
    certainty=Certainty.NONE,
    readable=False,
    fields={},
    open_fields=True,
    substitutes=SUBSTITUTES,
)

_JUST_REFUSED = 30.0
"""Seconds after a 401 in which the helpdesk counts as refusing us, where no harmless call can be made."""


class WebhookConnector:
    """One configured API (`gateway.helpdesks.protocol.Connector`)."""

    def __init__(
        self, name: str, settings: WebhookSettings, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``name`` is its name in the configuration."""
        self._name = name
        self._settings = settings
        self._monotonic = monotonic
        self._session = Session(settings, monotonic=monotonic)
        self._finder = Finder(settings, self._session, monotonic=monotonic)
        self._doubt = Doubt(settings.on_unknown)
        self._refused_at = -_JUST_REFUSED

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What is configured."""
        requests = self._settings.requests
        return replace(
            CAPABILITIES,
            actions=frozenset(requests),
            certainty=_certainty(self._settings),
            substitutes={kind: instead for kind, instead in SUBSTITUTES.items() if kind not in requests},
        )

    @property
    def fingerprint(self) -> str:
        """Kind and address."""
        return f"webhook {self._settings.base}"

    def requester(self, draft: TicketDraft) -> str:  # noqa: ARG002 - what an API makes of addresses is not known
        """Nobody: nothing is known of users here."""
        return ""

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:
        """Files that the request has no place for are named in the text; a text without a place follows as an append."""
        request, append = self._settings.request_for(kind), self._settings.append
        if draft.attachments and not templates.takes_files(request.body):
            draft = _without_files(draft)
        parts = split(draft, most=self._settings.max_request)
        if len(parts) > 1 and not templates.takes_files(append.body):
            parts = (_without_files(draft, keep=parts[0]),)
        if request.also_append and request is not append:
            parts = (parts[0], replace(draft, attachments=()), *parts[1:])
        return parts

    def prepare(self, order: Order) -> bytes:
        """The request, its templates rendered.

        Raises:
            ValueError: a template failed, or a follow-up has no ticket.
        """
        return prepare(order, self._settings).write()

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Make the call."""
        outcome = self._masked(await self._call(order, Stored.read(request), http, timeout))
        if outcome.kind is OutcomeKind.UNKNOWN and self.capabilities.certainty is Certainty.NONE:
            self._doubt.arises(order.marker)  # delivery asks a person now, or sends again
        return outcome

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Look it up, or send it again where that does no harm; else as `on_unknown` says."""
        return self._masked(await self._resolve(order, request, http, timeout))

    async def probe(self, http: Http, *, timeout: float) -> Outcome:
        """The configured harmless call. Without one: whether anything answers, and we were not refused just now."""
        return self._masked(await self._probe(http, timeout))

    # ---------------------------------------------------------------------------------------------------------- inside

    def _masked(self, outcome: Outcome) -> Outcome:
        return replace(outcome, detail=self._session.masked(outcome.detail))

    async def _resolve(self, order: Order, request: bytes, http: Http, timeout: float) -> Outcome:
        configured = self._settings.request_for(order.kind)
        if configured.look_up is not None:
            found = await self._finder.find(configured.look_up, order, http, timeout)
            if isinstance(found, Found):
                several = (Reason.POSSIBLE_DUPLICATE,) if len(found.ours) > 1 else ()
                outcome = Outcome(OutcomeKind.DELIVERED, Reason.FOUND, "found by its marker", flags=several)
                return self._with_ticket(order, outcome, found.ours[0])
            if found is not None:
                return found
        flags: tuple[Reason, ...] = ()
        if not configured.repeats:
            asks = self._doubt.verdict(order.marker, f"the {order.kind.value} was carried out")
            if asks is not None:
                return asks
            flags = (Reason.POSSIBLE_DUPLICATE,)
        elif configured.may_say_twice:
            flags = (Reason.POSSIBLE_DUPLICATE,)
        outcome = await self._call(order, Stored.read(request), http, timeout)
        if outcome.kind is OutcomeKind.DELIVERED:
            return replace(outcome, reason=Reason.FOUND, detail=f"{outcome.detail}; sent again", flags=flags)
        if outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN}:
            return replace(outcome, kind=OutcomeKind.UNKNOWN)  # the first call is as unknown as before
        return outcome

    async def _probe(self, http: Http, timeout: float) -> Outcome:
        probe, base = self._settings.probe, self._settings.base
        if probe is None and self._monotonic() - self._refused_at < _JUST_REFUSED:
            return Outcome(
                OutcomeKind.AUTH_BROKEN, Reason.AUTH_BROKEN, "refused with 401 just now; there is no `probe`"
            )
        try:
            if probe is None:
                answer = await http.request("HEAD", base, headers={}, timeout=timeout)
                down = answer.status >= 500
                kind, reason = (
                    (OutcomeKind.HELPDESK_DOWN, Reason.HELPDESK_DOWN)
                    if down
                    else (OutcomeKind.DELIVERED, Reason.DELIVERED)
                )
                return Outcome(kind, reason, f"{answer.status} to HEAD; no `probe` is configured")
            answer = await self._session.ask("GET", base + probe.url, {}, b"", http, timeout)
        except CallFailed as failure:
            return failure_outcome(failure)
        except Refused as refused:
            return refused.outcome
        return answers.of_read(answer, probe.statuses)

    async def _call(self, order: Order, stored: Stored, http: Http, timeout: float) -> Outcome:
        configured = self._settings.request_for(order.kind)
        end = self._monotonic() + timeout
        try:
            answer = await self._session.ask(
                stored.method, stored.url, stored.headers, stored.json.encode(), http, timeout
            )
        except CallFailed as failure:
            return failure_outcome(failure)
        except Refused as refused:
            return refused.outcome
        if answer.status == 401:
            self._refused_at = self._monotonic()
        outcome = answers.of_write(
            answer,
            configured,
            self._settings.down,
            names_ticket="ticket." in configured.url,
            files=stored.files,
        )
        if outcome.kind is not OutcomeKind.DELIVERED:
            return outcome
        paths = configured.answer
        told = answers.named(answers.body_of(answer), paths.id, paths.number, paths.url)
        if order.kind is ActionKind.CREATE and configured.look_up is not None:
            await self._finder.learn(configured.look_up, order, http, max(0.01, end - self._monotonic()))
        return self._with_ticket(order, outcome, told)

    def _with_ticket(self, order: Order, outcome: Outcome, told: Named) -> Outcome:
        if order.ticket is not None:
            return replace(outcome, detail=f"ticket {order.ticket.number}: {outcome.detail}", ticket=order.ticket)
        identity = told.id or order.marker
        number = told.number or identity
        page = self._settings.ticket_url
        made = page.replace("{number}", quote(number, safe="")).replace("{id}", quote(identity, safe=""))
        ticket = TicketRef(
            helpdesk=self._name, id=identity, number=number, url=told.url or made, fingerprint=self.fingerprint
        )
        return replace(outcome, detail=f"ticket {number}: {outcome.detail}", ticket=ticket)


def _certainty(settings: WebhookSettings) -> Certainty:
    """How well doubts can be resolved at all; what one request cannot, `resolve` leaves to `on_unknown`."""
    requests: list[WebhookRequest] = list(settings.requests.values())
    kinds = {request.look_up.certainty for request in requests if request.look_up is not None}
    if kinds:
        return Certainty.STRONG_LOOKUP if kinds == {"strong"} else Certainty.EVENTUAL_LOOKUP
    return Certainty.SAME_CALL if any(request.repeats for request in requests) else Certainty.NONE


def _without_files(draft: TicketDraft, keep: TicketDraft | None = None) -> TicketDraft:
    """The draft with lines in place of its files; ``keep`` names those that do go."""
    kept = keep.attachments if keep is not None else ()
    notes = [
        f"Not attached, this help desk's API takes no such file: {describe(ref, file_name(ref.filename, number))}{where(ref)}"
        for number, ref in enumerate(draft.attachments, 1)
        if ref not in kept
    ]
    text, html = noted(draft.text, draft.html, notes)
    return replace(draft, text=text, html=html, attachments=kept)
