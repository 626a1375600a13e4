"""A stand-in for osTicket 1.18's ticket API, faithful to what was recorded from a running one.

Statuses, bodies, silent fall-backs, threading of mails and the race between two copies of one mail are osTicket's. Left
out: `Reply-To` and ticket filters, Cc addresses as collaborators, `X-Priority`, `api/pipe.php`, moving long texts into
files, and refusing replies from the helpdesk's own mailboxes.
"""

import asyncio
import ipaddress
import json
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping

from gateway.helpdesks.osticket import sandbox_answers as answers
from gateway.helpdesks.osticket.sandbox_body import Body, json_body, xml_body
from gateway.helpdesks.osticket.sandbox_check import CLOSED, check_body, check_mail
from gateway.helpdesks.osticket.sandbox_mail import parse_mail, subject_of_mail
from gateway.helpdesks.osticket.sandbox_settings import ApiKey, OsTicketSettings
from gateway.helpdesks.osticket.sandbox_work import Append, Create, Work, file_note
from gateway.sandbox.double import Answering, Drop, Reply, Request
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.records import NewEntry, NewTicket
from gateway.sandbox.store import Store
from gateway.sandbox.switches import Faults

_ENDPOINTS = {
    "/api/tickets.json": "json",
    "/api/tickets.xml": "xml",
    "/api/tickets.email": "email",
    "/api/tasks/cron": "cron",
}
_NUMBER_TRIES = 200


class OsTicketSandbox(Answering):
    """One osTicket. Its tickets are in the store; only its switches are in memory."""

    name = "osticket"
    title = "osTicket"
    actions: Mapping[str, str] = {"close": "Close", "reopen": "Reopen", "archive": "Archive", "delete": "Delete"}

    def __init__(
        self, store: Store, settings: OsTicketSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970."""
        super().__init__()
        self.settings = settings or OsTicketSettings()
        self.faults = Faults()
        self._store = store
        self._clock = clock
        self._random = random.Random(self.settings.seed)  # noqa: S311 - ticket numbers
        self._workers = asyncio.Semaphore(self.settings.workers)

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some switches; raises pydantic's `ValidationError` and changes nothing if one of them is wrong."""
        before = self.settings
        self.settings = OsTicketSettings.model_validate({**before.model_dump(), **changes})
        if self.settings.workers != before.workers:
            self._workers = asyncio.Semaphore(self.settings.workers)
        if self.settings.seed != before.seed:
            self._random = random.Random(self.settings.seed)  # noqa: S311 - ticket numbers

    def act(self, ticket: int, action: str) -> bool:
        """Do what an agent would do on the ticket's page."""
        found = self._store.ticket(ticket)
        if found is None or found.helpdesk != self.name or action not in self.actions:
            return False
        with self._store.transaction():
            if action == "delete":
                self._store.delete(ticket)
                return True
            status, event = {
                "close": ("closed", "closed"),
                "reopen": ("open", "reopened"),
                "archive": ("archived", "archived"),
            }[action]
            if found.status != status:
                self._store.set_status(ticket, status, self._clock())
                self._store.add_event(ticket, event, "by an agent", self._clock())
        return True

    async def _answer(self, request: Request) -> Reply | Drop:
        """What osTicket does with a whole request."""
        for fault in self.faults.at_the_door(lambda: _subject(request)):
            if fault.fault is FaultKind.SLOW:
                await self.faults.wait(fault.wait)
            else:
                return _at_the_door(fault)
        try:
            return await self._handle(request)
        except answers.Answered as over:
            for title in over.log:
                self._store.log(self.name, "Warning", title, over.reply.body, self._clock())
            return over.reply

    async def _handle(self, request: Request) -> Reply | Drop:
        settings = self.settings
        if len(request.body) > settings.body_limit:
            return answers.web_server(413)
        if settings.force_https and not request.https:
            if request.method == "GET":
                host = request.headers.get("host", "localhost")
                return answers.web_server(302, ("Location", f"https://{host}{request.path}"))
            return answers.reply(400, "HTTPS Protocol Required")
        endpoint = _ENDPOINTS.get(request.path.replace("/api/http.php/", "/api/", 1))
        if endpoint is None or request.method != "POST":
            return answers.reply(400, "URL not supported")
        key = self._key(request)
        if not (key.cron if endpoint == "cron" else key.create):
            raise answers.refused(401, "API key not authorized")
        if endpoint == "cron":
            return answers.reply(200, "Completed")
        if len(request.body) > settings.memory_limit * (0.35 if endpoint == "email" else 0.25):
            return answers.out_of_memory(settings.memory_limit, len(request.body))
        return await self._work(request, endpoint)

    def _key(self, request: Request) -> ApiKey:
        given = request.headers.get("x-api-key", "").strip().lower()
        key = next((key for text, key in self.settings.api_keys.items() if text.lower() == given), None)
        if key is None or not _from_its_address(key, request.client):
            raise answers.refused(401, "Valid API key required")
        if not key.active:
            raise answers.refused(401, "API key not found/active or source IP not authorized")
        return key

    async def _work(self, request: Request, endpoint: str) -> Reply | Drop:
        """Check at the start, store at the commit: two copies in flight together both pass the check."""
        async with self._workers:
            work = self._check(request, endpoint)
            if isinstance(work, str):
                return answers.reply(201, work)
            if self.settings.latency:
                await asyncio.sleep(self.settings.latency)
            fault = self.faults.at_the_commit(lambda: _subject(request))
            if fault is None:
                reply, mails = self._commit(work)
                if mails and self.settings.mail_time:
                    await asyncio.sleep(mails * self.settings.mail_time)
                return reply
        return await self._work_badly(work, fault)

    async def _work_badly(self, work: Work, fault: Fault) -> Reply | Drop:
        """Hanging holds no worker, so that tests of one fault do not starve the others."""
        if fault.fault is FaultKind.DIE_HALF_WAY:
            self._leave_fragment(work, fault.at)
            return answers.DATABASE_GONE
        if fault.fault is FaultKind.HANG_BEFORE_COMMIT:
            await self.faults.wait(fault.wait)
            return self._commit(work)[0] if fault.commits else answers.web_server(504)
        reply, _ = self._commit(work)
        if fault.fault is FaultKind.COMMIT_THEN_DROP:
            return Drop.CLOSE
        await self.faults.wait(fault.wait)
        return reply

    def _check(self, request: Request, endpoint: str) -> Work | str:
        body = request.body
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            body = b""  # PHP has taken it apart already
        if endpoint == "email":
            mail = parse_mail(body, self.settings.reply_separator)
            if mail is None:
                raise answers.unable([("user", "Incomplete client information")])
            return check_mail(mail, request.client, self.name, self._store, self.settings)
        parsed: Body = json_body(body) if endpoint == "json" else xml_body(body)
        return check_body(parsed, request.client, self.name, self._store, self.settings)

    def _commit(self, work: Work) -> tuple[Reply, int]:
        """Write everything; answers the reply and the number of mails that go out."""
        with self._store.transaction():
            return self._append(work) if isinstance(work, Append) else self._create(work)

    def _append(self, work: Append) -> tuple[Reply, int]:
        now, ticket = self._clock(), work.ticket
        if self._store.ticket(ticket.id) is None:  # an agent deleted it meanwhile
            return answers.DATABASE_GONE, 0
        for note in work.file_notes:
            self._store.add_entry(ticket.id, file_note(note), now)
        self._store.add_entry(ticket.id, work.entry, now)
        current = self._store.ticket(ticket.id)
        if work.reopens and current is not None and current.status in CLOSED:
            self._store.set_status(ticket.id, "open", now)
            self._store.add_event(ticket.id, "reopened", f"by a reply of {work.entry.poster}", now)
        mails = 0
        if work.loud and ticket.assignee:
            mails = self._mail(ticket.id, self._agent_address(ticket.assignee), "New Message Alert")
        return answers.reply(201, ticket.number), mails

    def _create(self, work: Create) -> tuple[Reply, int]:
        now = self._clock()
        for name in work.unexpected:
            self._store.log(self.name, "Error", "Unexpected Data (400)", name, now)
        ticket, number = self._ticket_row(work, now)
        if work.fatal_subject:
            return answers.subject_not_text().reply, 0
        for note in work.file_notes:
            self._store.add_entry(ticket, file_note(note), now)
        self._store.add_entry(ticket, work.entry, now)
        if work.cannot_close:
            sentence = "This ticket is missing a Help Topic and cannot be closed"
            refusal = answers.unable([("err", sentence)])
            self._store.log(self.name, "Warning", refusal.log[0], sentence, now)
            return refusal.reply, 0
        if work.status in CLOSED:
            self._store.add_event(ticket, "closed", "by the request", now)
        return answers.reply(201, number), self._mails_of_create(work, ticket, number, now)

    def _ticket_row(self, work: Create, now: float) -> tuple[int, str]:
        person = work.person or self._store.add_person(
            self.name, work.address.lower(), work.name, phone=work.phone, notes=work.notes
        )
        number = self._number(work.number_format or self.settings.number_format)
        row = NewTicket(
            number=number,
            subject=work.subject,
            owner=person.id,
            requester=person.name,
            address=work.address,
            source=work.source,
            status=work.status,
            priority=work.priority,
            topic=work.topic,
            department=work.department,
            ip=work.ip,
            fields=work.fields,
        )
        ticket = self._store.add_ticket(self.name, row, now)
        self._store.add_event(ticket, "created", f"by {work.source}", now)
        return ticket, number

    def _mails_of_create(self, work: Create, ticket: int, number: str, now: float) -> int:
        settings = self.settings
        admin = next(iter(settings.agents.values())).email
        mails = 0
        if work.agent is not None:
            agent = settings.agents[work.agent]
            self._store.set_assignee(ticket, agent.name)
            self._store.add_event(ticket, "assigned", f"to {agent.name}", now)
            mails += self._mail(ticket, agent.email, "Ticket Assigned to you")
        if work.alert and settings.alerts:
            mails += self._mail(ticket, admin, "New Ticket Alert")
        if work.autorespond and settings.autoresponder:
            mails += self._mail(ticket, work.address, f"Support Ticket Opened [#{number}]")
        row = self._store.ticket(ticket)
        limit = settings.max_open_tickets
        if limit and row is not None and self._store.open_tickets(row.owner) >= limit:
            title = f"Maximum Open Tickets Limit ({work.address})"
            self._store.log(self.name, "Warning", title, number, now)
            mails += self._mail(ticket, admin, title)
        return mails

    def _leave_fragment(self, work: Work, at: str) -> None:
        """What was in the database when it went away: ``at`` names the table that could not be written any more."""
        now = self._clock()
        if at == "ticket" or (isinstance(work, Append) and at == "thread_entry"):
            return
        with self._store.transaction():
            ticket = work.ticket.id if isinstance(work, Append) else self._ticket_row(work, now)[0]
            if at == "attachment":
                entry = work.entry  # the Message-ID is written last, so it is not there yet
                bare = NewEntry(entry.kind, entry.poster, entry.body, entry.format, entry.title)
                self._store.add_entry(ticket, bare, now)

    def _mail(self, ticket: int, recipient: str, subject: str) -> int:
        """Write down a mail; its Message-ID has osTicket's shape and leads a reply back to the ticket."""
        if self.settings.mail_fails:
            self._store.log(self.name, "Error", "Mailer Error", f"To: {recipient}", self._clock())
            return 0
        mailbox = self.settings.mailboxes[0]
        message_id = f"<Bsandbox-{secrets.token_hex(3)}-{secrets.token_hex(12)}-{mailbox}>"
        self._store.add_mail(ticket, recipient, subject, message_id, self._clock())
        return 1

    def _agent_address(self, name: str) -> str:
        return next((agent.email for agent in self.settings.agents.values() if agent.name == name), "")

    def _number(self, pattern: str) -> str:
        """A random number that no ticket has; a pattern that is used up gets longer."""
        while True:
            for _ in range(_NUMBER_TRIES):
                number = re.sub("#", lambda _: self._random.choice("0123456789"), pattern)
                if not self._store.number_taken(self.name, number):
                    return number
            pattern += "#"


def _from_its_address(key: ApiKey, client: str) -> bool:
    if key.ip == "*" or (key.ip is not None and key.ip == client):
        return True
    try:
        return key.ip is None and (not client or ipaddress.ip_address(client).is_loopback)
    except ValueError:
        return False


def _subject(request: Request) -> str:
    """The subject of a request, for switches that look at it; empty if there is none."""
    if request.path.endswith(".email"):
        return subject_of_mail(request.body)
    if request.path.endswith(".xml"):
        found = re.search(rb"<subject[^>]*>(.*?)</subject>", request.body, re.DOTALL)
        return found.group(1).decode("utf-8", "replace") if found else ""
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        return ""
    subject = value.get("subject", "") if isinstance(value, dict) else ""
    return subject if isinstance(subject, str) else ""


def _at_the_door(fault: Fault) -> Reply | Drop:
    seconds = str(round(fault.wait))
    match fault.fault:
        case FaultKind.REFUSE:
            return Drop.RESET
        case FaultKind.RATE_LIMIT:
            return answers.web_server(429, ("Retry-After", seconds))
        case FaultKind.AUTH_BROKEN:
            return answers.reply(401, "Valid API key required")
        case FaultKind.DATABASE_DOWN:
            return answers.DATABASE_DOWN
        case FaultKind.REDIRECT:
            return answers.web_server(302, ("Location", "https://login.example/"))
        case FaultKind.MAINTENANCE:
            return answers.web_server(503, ("Retry-After", seconds))
        case _:
            return answers.web_server(fault.status)
