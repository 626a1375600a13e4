"""osTicket: tickets by `tickets.json`, follow-ups and doubtful cases by `tickets.email`.

The promise of one ticket per create stands on one Message-ID. The JSON create hands it in as ``mid``; the settling
mail, built and stored together with it, bears the same. osTicket answers that mail with the number of the ticket that
is there, or makes the ticket if none is. The JSON itself is never repeated after a doubtful end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote

import orjson

from gateway.helpdesks.files import File, choose
from gateway.helpdesks.http import failure_outcome
from gateway.helpdesks.mail import Mail, as_text
from gateway.helpdesks.osticket import json_request
from gateway.helpdesks.osticket.answers import classify, ticket_number
from gateway.helpdesks.osticket.fields import BY_MAIL, DOCUMENTED, FieldProblem, check_fields, checked
from gateway.helpdesks.osticket.files import split
from gateway.helpdesks.osticket.settings import OsTicketSettings, mail_address
from gateway.helpdesks.osticket.text import body_html, body_text, one_line, subject, with_notes
from gateway.helpdesks.protocol import Answer, CallFailed, Capabilities, Certainty, Http, Order
from gateway.model.action import ActionKind, Outcome, OutcomeKind, TicketDraft
from gateway.model.incident import TicketRef
from gateway.model.json import JsonObject, JsonValue
from gateway.model.reasons import Reason

CAPABILITIES = Capabilities(
    actions=frozenset({ActionKind.CREATE, ActionKind.APPEND}),
    certainty=Certainty.IDEMPOTENT_MAIL,
    readable=False,
    fields=DOCUMENTED,
    open_fields=True,
    substitutes={
        ActionKind.CLOSE: (
            ActionKind.APPEND,
            Reason.CLOSE_UNSUPPORTED,
            "osTicket closes nothing over its API: a quiet follow-up that does not reopen says that the problem is over.",
        ),
        ActionKind.REOPEN: (
            ActionKind.APPEND,
            Reason.REOPEN_UNSUPPORTED,
            "osTicket has no call to reopen: a follow-up without `Auto-Submitted` makes it open the ticket again.",
        ),
        ActionKind.UPDATE: (
            ActionKind.APPEND,
            Reason.UPDATE_UNSUPPORTED,
            "osTicket changes no fields of a ticket over its API: a follow-up says what changed.",
        ),
    },
)

MOST_REFERENCES = 20
"""Message-IDs of a mail that are handed on: the newest."""

_MARKER = re.compile(r"[0-9a-f]{8,128}")
_ID = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{3,250}")
# B, the install, a random part, the signed tag, the mailbox: `Bvgixlr-2aN2M-AAAAAAAAAAACAAAATWWJyUcu-support@...`
_OWN_ID = re.compile(r"B[0-9A-Za-z]{1,20}-[0-9A-Za-z_+/]{1,20}-[0-9A-Za-z_+/=]{10,100}-[\x21-\x3b\x3d\x3f-\x7e]{3,120}")
_MAIL_NOTE = (
    "This ticket was made by mail, because it was not certain that the first call had worked: "
    "topic, priority and fields are those of the mailbox."
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A request as it lies in the journal.

    ``json`` is the body of `tickets.json`, empty where the first call is a mail; ``mail`` the mail, which for a JSON
    create is the settling one. ``parts`` are those that may be left out after a refusal. ``anchor`` is the Message-ID
    that later follow-ups refer to if this request makes a ticket.
    """

    json: str
    mail: str
    anchor: str
    requester: str
    parts: tuple[str, ...]

    @property
    def way(self) -> Literal["json", "mail"]:
        """By which call it goes first."""
        return "json" if self.json else "mail"

    def write(self) -> bytes:
        """Canonical JSON: the same order gives the same octets."""
        envelope: JsonObject = {
            "v": 1,
            "way": self.way,
            "json": self.json,
            "mail": self.mail,
            "anchor": self.anchor,
            "requester": self.requester,
            "parts": list(self.parts),
        }
        return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, request: bytes) -> "Stored":
        """The request that `write` wrote."""
        envelope = orjson.loads(request)
        if envelope["v"] != 1:
            raise ValueError(f"this stored request has version {envelope['v']!r}; an older or newer gateway wrote it")
        return cls(
            envelope["json"],
            envelope["mail"],
            envelope["anchor"],
            envelope["requester"],
            tuple(envelope["parts"]),
        )


class OsTicketConnector:
    """One osTicket (`gateway.helpdesks.protocol.Connector`)."""

    def __init__(self, name: str, settings: OsTicketSettings) -> None:
        """``name`` is its name in the configuration."""
        self._name = name
        self._settings = settings
        self._json_url = f"{settings.base}/tickets.json"
        self._mail_url = f"{settings.base}/tickets.email"

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; by mail alone it can set fewer fields."""
        if self._settings.create_by == "api":
            return CAPABILITIES
        known = {name: line for name, line in DOCUMENTED.items() if name in BY_MAIL}
        return replace(CAPABILITIES, fields=known, open_fields=False)

    @property
    def fingerprint(self) -> str:
        """Kind and address: osTicket says nothing of itself over its API."""
        return f"osticket {self._settings.base}"

    def check_fields(self, fields: Mapping[str, JsonValue]) -> list[FieldProblem]:
        """What is wrong with a route's ``ticket.fields``; values are checked where they are constant."""
        return check_fields(fields, self._settings)

    def requester(self, draft: TicketDraft) -> str:
        """The owner's address in lower case, in which form osTicket looks users up."""
        try:
            return mail_address(draft.fields.get("email") or self._settings.requester.email).lower()
        except ValueError:
            return self._settings.requester.email.lower()  # as `checked` does

    def split(self, kind: ActionKind, draft: TicketDraft) -> tuple[TicketDraft, ...]:
        """Files that the first call would lose follow by mail; what no mail takes is named in the ticket."""
        by_json = kind is ActionKind.CREATE and self._settings.create_by == "api"
        most = self._settings.max_mail
        return split(draft, per_file=min(self._settings.max_attachment, most) if by_json else most, per_request=most)

    def prepare(self, order: Order) -> bytes:
        """The stored request: JSON and settling mail of a create, or the one mail.

        Raises:
            ValueError: the draft has a field that osTicket would misunderstand, or the ticket cannot be addressed.
        """
        if not _MARKER.fullmatch(order.marker):
            raise ValueError(
                f"marker {order.marker!r} is not lower-case hexadecimal; osTicket tells Message-IDs by case"
            )
        return (self._create(order) if order.kind is ActionKind.CREATE else self._append(order)).write()

    async def call(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Make the call. An append may be repeated at will; a JSON create only where nothing was written."""
        stored = Stored.read(request)
        if stored.json:
            return await self._post(order, stored, http, timeout, self._json_url, "application/json", stored.json)
        return await self._post(order, stored, http, timeout, self._mail_url, "message/rfc822", stored.mail)

    async def resolve(self, order: Order, request: bytes, http: Http, *, timeout: float) -> Outcome:
        """Send the mail with the action's Message-ID: osTicket finds what it has of it, or makes it now.

        Its answer does not say which of the two it did. If it made the ticket, the ticket's text says so. Whatever
        keeps the mail from arriving leaves the first call as unknown as before, so NOT_SENT is never the answer.
        """
        stored = Stored.read(request)
        outcome = await self._post(order, stored, http, timeout, self._mail_url, "message/rfc822", stored.mail)
        if outcome.kind is OutcomeKind.DELIVERED:
            doubt = "; if the mail had to make it, topic, priority and fields are the mailbox's" if stored.json else ""
            return replace(outcome, reason=Reason.FOUND, detail=f"{outcome.detail}, by its Message-ID{doubt}")
        if outcome.kind in {OutcomeKind.NOT_SENT, OutcomeKind.HELPDESK_DOWN}:
            return replace(outcome, kind=OutcomeKind.UNKNOWN)
        return outcome

    async def probe(self, http: Http, *, timeout: float) -> Outcome:
        """An empty object: `400 No errors` says that address and key are good. osTicket logs one line."""
        try:
            answer = await self._send(http, timeout, self._json_url, "application/json", b"{}")
        except CallFailed as failure:
            return failure_outcome(failure)
        if answer.status == 400 and answer.body.strip() == b"No errors":
            return Outcome(OutcomeKind.DELIVERED, Reason.DELIVERED, "osTicket answers and takes the key")
        outcome = classify(answer)
        if outcome.kind is OutcomeKind.DELIVERED:  # a ticket made of nothing: this is no osTicket
            return replace(outcome, kind=OutcomeKind.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME)
        return outcome

    # ------------------------------------------------------------------------------------------------------- requests

    def _create(self, order: Order) -> Stored:
        draft, settings = order.draft, self._settings
        fields = checked({name: v for name, v in draft.fields.items() if name not in order.left_out}, settings)
        text, html, chosen = _message(order)
        text, html = with_notes(text, html, fields.notes)
        message_id = self._message_id(order)
        line = subject(draft.title)
        handed_on = self._of_osticket(draft.references)
        by_json = settings.create_by == "api" and not handed_on  # a JSON request always makes a new ticket
        mail_text, mail_html = with_notes(text, html, (_MAIL_NOTE,)) if by_json else (text, html)
        mail = Mail(
            message_id=message_id,
            marker=order.marker,
            at=order.queued_at,
            sender=fields.email,
            sender_name=fields.name,
            to=settings.to or fields.email,
            subject=line,
            text=mail_text,
            html=mail_html,
            files=chosen,
            references=handed_on,
            auto_submitted=not fields.autorespond,
        )
        body = json_request.build(
            json_request.NewTicket(
                message_id=message_id,
                name=fields.name,
                email=fields.email,
                subject=line,
                text=text,
                html=html,
                alert=fields.alert,
                autorespond=fields.autorespond,
                fields=fields.others,
                files=chosen,
            ),
        )
        parts = [*(["attachments"] if chosen else []), *(["phone"] if "phone" in fields.others else [])]
        return Stored(body if by_json else "", as_text(mail), message_id, fields.email.lower(), tuple(parts))

    def _append(self, order: Order) -> Stored:
        ticket, draft = order.ticket, order.draft
        if ticket is None:
            raise ValueError(f"a follow-up needs a ticket, and the incident of action {order.action} has none")
        # What stands in for a close never reopens, and what stands in for a reopening must.
        reopen = order.kind is ActionKind.REOPEN or (draft.reopen and order.kind is not ActionKind.CLOSE)
        quiet = draft.quiet or order.kind is ActionKind.CLOSE
        audible = bool(ticket.number and ticket.requester) and " " not in ticket.number
        if not ticket.anchor and not audible:
            raise ValueError(f"ticket {ticket.number!r} has neither a Message-ID nor an owner to reach it by")
        by_reference = bool(ticket.anchor) and (quiet or not audible)
        handed_on = tuple(f"<{name}>" for name in draft.references[-MOST_REFERENCES:] if _ID.fullmatch(name))
        text, html, chosen = _message(order)
        sender = ticket.requester or self._settings.requester.email
        ours = sender.lower() == self._settings.requester.email.lower()
        mail = Mail(
            message_id=self._message_id(order),
            marker=order.marker,
            at=order.queued_at,
            sender=sender,
            sender_name=self._settings.requester.name if ours else sender.partition("@")[0],
            to=self._settings.to or sender,
            subject=subject(draft.title),
            text=text,
            html=html,
            files=chosen,
            token="" if by_reference else f"[#{ticket.number}]",
            # Any other id than osTicket's own makes a follow-up that nobody is told of.
            references=(ticket.anchor, *handed_on) if by_reference else self._of_osticket(draft.references),
            auto_submitted=not reopen,
        )
        parts = ("attachments",) if chosen else ()
        return Stored("", as_text(mail), mail.message_id, sender.lower(), parts)

    def _message_id(self, order: Order) -> str:
        """Signed by the gateway; without a signature in what earlier versions stored."""
        return f"<{order.draft.message_name or f'tg-{order.marker}'}@{self._settings.message_domain}>"

    def _of_osticket(self, references: tuple[str, ...]) -> tuple[str, ...]:
        """Those that only osTicket itself can have made: it signs them, and looks at no other proof for them."""
        start = self._settings.own_ids
        own = [name for name in references if start and name.startswith(start) and _OWN_ID.fullmatch(name)]
        return tuple(f"<{name}>" for name in own[-MOST_REFERENCES:])

    # ---------------------------------------------------------------------------------------------------------- calls

    async def _post(
        self,
        order: Order,
        stored: Stored,
        http: Http,
        timeout: float,
        url: str,
        content_type: str,
        content: str,
    ) -> Outcome:
        try:
            answer = await self._send(http, timeout, url, content_type, content.encode())
        except CallFailed as failure:
            return failure_outcome(failure)
        outcome = classify(answer, sent=stored.parts)
        number = ticket_number(answer)
        return self._delivered(order, stored, outcome, number) if number else outcome

    async def _send(self, http: Http, timeout: float, url: str, content_type: str, content: bytes) -> Answer:
        headers = {"X-API-Key": self._settings.auth.api_key.reveal(), "Content-Type": content_type}
        return await http.request("POST", url, headers=headers, content=content, timeout=timeout)

    def _delivered(self, order: Order, stored: Stored, outcome: Outcome, number: str) -> Outcome:
        """The outcome with the ticket: the known one, or for an append that landed elsewhere the one it landed in."""
        known = order.ticket
        if known is not None and known.number == number:
            return replace(outcome, ticket=replace(known, anchor=known.anchor or stored.anchor))
        page = self._settings.ticket_url
        ticket = TicketRef(
            helpdesk=self._name,
            id=number,
            number=number,
            url=page.replace("{number}", quote(number, safe="")).replace("{id}", quote(number, safe="")),
            anchor=stored.anchor,
            requester=stored.requester,
            fingerprint=self.fingerprint,
        )
        moved = (Reason.TICKET_MOVED,) if known is not None else ()
        return replace(outcome, ticket=ticket, flags=(*outcome.flags, *moved))


def _message(order: Order) -> tuple[str, str, tuple[File, ...]]:
    """Text, HTML and files of the message, with a line for everything that was left out."""
    draft = order.draft
    chosen = choose(draft, order.attachments, left_out="attachments" in order.left_out)
    refused = tuple(
        f"Left out, refused by the help desk: {one_line(str(part))}" for part in order.left_out if part != "attachments"
    )
    text, html = body_text(draft.text, draft.title), body_html(chosen.html)
    text, html = with_notes(text, html, (*chosen.notes, *refused))
    return text, html, chosen.sent
