"""Tickets by mail: every action is a mail with a Message-ID of its own, the same each time it is sent.

A mail server's 250 says that it has the mail, not that there is a ticket; that is all that SMTP can tell. Follow-ups refer
to the incident's first mail by `In-Reply-To` and `References`, and bear its token in the subject.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import orjson

from gateway.helpdesks.doubt import Doubt
from gateway.helpdesks.files import File, choose, noted, split
from gateway.helpdesks.http import tls_context
from gateway.helpdesks.mail import Mail, as_text
from gateway.helpdesks.protocol import Capabilities, Certainty, Http, Order
from gateway.helpdesks.smtp.answers import of_loss, of_refusal
from gateway.helpdesks.smtp.client import Envelope, Lost, Refused, Server, hand_over, rehearse
from gateway.helpdesks.smtp.fields import DOCUMENTED, Checked, checked
from gateway.helpdesks.smtp.settings import TOKEN, SmtpSettings
from gateway.helpdesks.text import one_line, whole
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject
from gateway.model.reasons import Reason

SUBSTITUTES = {
    ActionKind.CLOSE: (
        ActionKind.APPEND,
        Reason.CLOSE_UNSUPPORTED,
        "a mail closes nothing, unless the helpdesk reads headers for it (`close`): a quiet mail says that the problem is over.",
    ),
    ActionKind.REOPEN: (
        ActionKind.APPEND,
        Reason.REOPEN_UNSUPPORTED,
        "most helpdesks open a ticket again when a mail comes for it: one without `Auto-Submitted` says that the problem is back.",
    ),
    ActionKind.UPDATE: (
        ActionKind.APPEND,
        Reason.UPDATE_UNSUPPORTED,
        "a mail changes no fields: a further mail says what changed, with the route's `X-` headers.",
    ),
}
CAPABILITIES = Capabilities(
    actions=frozenset({ActionKind.CREATE, ActionKind.APPEND}),
    certainty=Certainty.NONE,
    readable=False,
    fields=DOCUMENTED,
    open_fields=True,
    substitutes=SUBSTITUTES,
)

MOST_REFERENCES = 20
"""Message-IDs of a person's mail that a follow-up hands on: the newest."""
_NO_SUBJECT = "(no subject)"
_MOST_SUBJECT = 250


@dataclass(frozen=True, slots=True)
class Stored:
    """A request as it lies in the journal: the mail, and to whom it goes. ``anchor`` is what later mails refer to."""

    mail: str
    recipients: tuple[str, ...]
    token: str
    anchor: str
    files: bool

    def write(self) -> bytes:
        """Canonical JSON: the same order gives the same octets."""
        envelope: JsonObject = {
            "v": 1,
            "mail": self.mail,
            "recipients": list(self.recipients),
            "token": self.token,
            "anchor": self.anchor,
            "files": self.files,
        }
        return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, request: bytes) -> "Stored":
        """The request that `write` wrote."""
        envelope = orjson.loads(request)
        if envelope["v"] != 1:
            raise ValueError(f"this stored request has version {envelope['v']!r}; an older or newer gateway wrote it")
        return cls(
            envelope["mail"], tuple(envelope["recipients"]), envelope["token"], envelope["anchor"], envelope["files"]
        )


class SmtpConnector:
    """One helpdesk that reads mail (`gateway.helpdesks.protocol.Connector`)."""

    def __init__(self, name: str, settings: SmtpSettings) -> None:
        """``name`` is its name in the configuration."""
        self._name = name
        self._settings = settings
        self._doubt = Doubt(settings.on_unknown)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, by the headers that its settings name for closing and opening."""
        settings = self._settings
        able = {ActionKind.CLOSE} if settings.close else set[ActionKind]()
        able |= {ActionKind.REOPEN} if settings.reopen else set()
        return replace(
            CAPABILITIES,
            actions=CAPABILITIES.actions | able,
            certainty=Certainty.IDEMPOTENT_MAIL if settings.deduplicates else Certainty.NONE,
            substitutes={kind: instead for kind, instead in SUBSTITUTES.items() if kind not in able},
        )

    @property
    def fingerprint(self) -> str:
        """Kind and mailbox: by which server the mails go there does not matter."""
        return f"smtp {self._settings.to.lower()}"

    def requester(self, draft: TicketDraft) -> str:  # noqa: ARG002 - all come from one address
        """Nobody: mails are worked on when the helpdesk reads them, so sending one by one keeps nothing apart."""
        return ""

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:  # noqa: ARG002 - the same for all
        """More files than one mail takes follow in mails of their own."""
        return split(draft, most=self._settings.max_message)

    def prepare(self, order: Order) -> bytes:
        """The mail.

        Raises:
            ValueError: a field of the draft cannot be sent, or a follow-up has no ticket.
        """
        settings, draft, ticket = self._settings, order.draft, order.ticket
        fields = checked({name: v for name, v in draft.fields.items() if name not in order.left_out}, settings)
        if order.kind is not ActionKind.CREATE and ticket is None:
            raise ValueError(f"a follow-up needs a ticket, and the incident of action {order.action} has none")
        token = order.marker[:TOKEN] if ticket is None else ticket.number
        message_id = f"<{draft.message_name or f'tg-{order.marker}'}@{settings.message_domain}>"
        text, html, sent = self._message(order)
        anchor = message_id if ticket is None else ticket.anchor
        handed_on = tuple(f"<{name}>" for name in draft.references[-MOST_REFERENCES:] if _is_id(name))
        to = fields.to if ticket is None else mailbox_of(ticket) or fields.to
        mail = Mail(
            message_id=message_id,
            marker=order.marker,
            at=order.queued_at,
            sender=settings.from_,
            sender_name=settings.from_name,
            to=to,
            subject=_subject(draft.title),
            text=text,
            html=html,
            files=sent,
            token=f"[tg:{token}]" if settings.subject_token else "",
            references=() if ticket is None else tuple(dict.fromkeys((*((anchor,) if anchor else ()), *handed_on))),
            auto_submitted=settings.auto_submitted and not _must_reopen(order),
            copies=tuple(one for one in fields.copies if one.lower() != to.lower()),
            reply_to=fields.reply_to,
            headers=self._headers(order.kind, fields),
        )
        return Stored(as_text(mail), (to, *mail.copies), token, anchor, bool(sent)).write()

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:  # noqa: ARG002 - no HTTP
        """Hand the mail over."""
        stored = Stored.read(request)
        try:
            envelope = Envelope(self._settings.from_, stored.recipients, stored.mail.encode("ascii"))
            handed = await hand_over(self._server, envelope, timeout=timeout)
        except Refused as refused:
            return self._masked(of_refusal(refused, files=stored.files))
        except Lost as lost:
            outcome = of_loss(lost)
            if outcome.kind is OutcomeKind.UNKNOWN:
                self._doubt.arises(order.marker)
            return outcome
        detail = f"{self._settings.host}: {handed.reply}" + "".join(f"; not sent to {one}" for one in handed.refused)
        flags = (Reason.FIELD_REFUSED,) if handed.refused else ()
        return Outcome(
            OutcomeKind.DELIVERED, Reason.DELIVERED, detail[:600], ticket=self._ticket(order, stored), flags=flags
        )

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Send the same mail again; where the helpdesk may not drop a second one, only as `on_unknown` says, and flagged."""
        asks = None if self._settings.deduplicates else self._doubt.verdict(order.marker, "the mail was taken")
        if asks is not None:
            return asks
        outcome = await self.call(order, request, http, timeout=timeout)
        if outcome.kind is OutcomeKind.DELIVERED:
            flags = () if self._settings.deduplicates else (Reason.POSSIBLE_DUPLICATE,)
            detail = f"{outcome.detail}; sent again with the same Message-ID"
            return replace(outcome, reason=Reason.FOUND, detail=detail, flags=(*outcome.flags, *flags))
        if outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN}:
            return replace(outcome, kind=OutcomeKind.UNKNOWN)  # the first mail is as unknown as before
        return outcome

    async def probe(self, http: Http, *, timeout: float) -> Outcome:  # noqa: ARG002 - no HTTP
        """All of a mail but the mail: log-in, sender and mailbox. Nothing is sent."""
        envelope = Envelope(self._settings.from_, (self._settings.to,))
        try:
            reply = await rehearse(self._server, envelope, timeout=timeout)
        except Refused as refused:
            return self._masked(of_refusal(refused, files=False))
        except Lost as lost:
            return of_loss(lost)
        return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, f"{self._settings.host}: {reply}")

    # ---------------------------------------------------------------------------------------------------------- inside

    def _masked(self, outcome: Outcome) -> Outcome:
        """The outcome without our password, should the server repeat it."""
        password = self._server.password
        return replace(outcome, detail=outcome.detail.replace(password, "<secret>")) if password else outcome

    @cached_property
    def _server(self) -> Server:
        settings = self._settings
        host, port = settings.address
        encrypted = settings.tls != "none"
        return Server(
            host=host,
            port=port,
            hello=settings.hello or settings.message_domain,
            tls=tls_context(settings, needed=True) if encrypted else None,
            implicit=settings.tls == "implicit",
            user=settings.auth.user if settings.auth else "",
            password=settings.auth.password.reveal() if settings.auth else "",
        )

    def _message(self, order: Order) -> tuple[str, str, tuple[File, ...]]:
        """Text, HTML and files of the mail, with a line for everything that was left out."""
        draft = order.draft
        chosen = choose(draft, order.attachments, left_out="attachments" in order.left_out)
        refused = tuple(
            f"Left out, refused by the mail server: {one_line(str(part))}"
            for part in order.left_out
            if part != "attachments"
        )
        text = whole(draft.text).strip("\n") or _subject(draft.title)
        text, html = noted(text, whole(chosen.html).strip(), (*chosen.notes, *refused))
        return text.rstrip("\n") + "\n", html, chosen.sent

    def _headers(self, kind: ActionKind, fields: Checked) -> tuple[tuple[str, str], ...]:
        """Those of the settings, of the action, and of the route, each name once: the later wins."""
        settings = self._settings
        by_kind = {ActionKind.CLOSE: settings.close, ActionKind.REOPEN: settings.reopen}.get(kind, {})
        named: dict[str, tuple[str, str]] = {}
        for name, value in (*settings.headers.items(), *fields.headers, *by_kind.items()):
            named[name.lower()] = (name, value)
        return tuple(named.values())

    def _ticket(self, order: Order, stored: Stored) -> TicketRef:
        if order.ticket is not None:
            return order.ticket
        token, page = stored.token, self._settings.ticket_url
        identity = f"{token}/{stored.recipients[0]}"
        return TicketRef(
            helpdesk=self._name,
            id=identity,
            number=token,
            url=page.replace("{number}", token).replace("{id}", identity),
            anchor=stored.anchor,
            requester=self._settings.from_,
            fingerprint=self.fingerprint,
        )


def mailbox_of(ticket: TicketRef) -> str:
    """Where a ticket's first mail went; empty if its id does not say."""
    return ticket.id.partition("/")[2]


def _must_reopen(order: Order) -> bool:
    return order.kind is ActionKind.REOPEN or (order.draft.reopen and order.kind is not ActionKind.CLOSE)


def _subject(title: str) -> str:
    line = one_line(title) or _NO_SUBJECT
    return line if len(line) <= _MOST_SUBJECT else line[: _MOST_SUBJECT - 1].rstrip() + "…"


def _is_id(name: str) -> bool:
    return 3 <= len(name) <= 250 and name.isascii() and name.isprintable() and not set(name) & set("<> ")
